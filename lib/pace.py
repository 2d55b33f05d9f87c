"""The pace of a job: how fast it should train, how many steps its turn has, and how fast it has trained lately."""

import threading
import time
from collections import deque
from typing import Literal

CHUNK_SECONDS = 0.08  # so that Pause, Step and Stop answer at once
CYCLE_SECONDS = 0.18  # of training in which everybody should have a turn; each costs a millisecond or two beside it
SHORTEST_CHUNK_SECONDS = 0.002
FEW_STEPS = 8  # steps so slow that a chunk would have fewer share its overhead, in a chunk of up to
LONGEST_CHUNK_SECONDS = 0.3
FIRST_CHUNK = 2  # steps, while nothing is measured: of a large network each may take seconds
PACED_TURNS = 20.0  # turns a second of a paced job
PACED_TURNS_TOGETHER = 250.0  # of all: each costs a millisecond or two however few steps it has
RAMP_START = 40.0  # steps per second at the start of a ramp, which doubles every second
TURN_WEIGHT = 0.1  # of the latest in the mean time between turns
RATE_WINDOW = 1.5  # seconds over which steps per second are measured

Speed = float | Literal["ramp"] | None


class Pace:
    """`speed` is in steps per second: None for as fast as it goes, 0 for one step at a time, "ramp" for a slow start that
    doubles every second. `due` is when the job's next turn is due, on the monotonic clock. `chunk_seconds` is how long a
    turn takes where no other job waits. `turn_seconds` is how long it was lately from one turn to the next, None where that
    is unknown.
    """

    def __init__(self, speed: Speed = None) -> None:
        self.speed = speed
        self.chunk_seconds = CHUNK_SECONDS
        self._measured = 0.0  # steps per second of computing
        self._rate = 0.0  # the same, of the latest chunk alone
        self._marks: deque[tuple[float, int]] = deque(maxlen=64)
        self._lock = threading.Lock()  # pages read the rate
        self.turn_seconds: float | None = None
        self._turn_at = 0.0
        self.begin()

    def begin(self) -> None:
        """Count what is due from now on."""
        self.due = self._credit = 0.0
        self._paced_at = self._ramp_from = time.monotonic()

    def begin_anew(self) -> None:
        """The same after a pause, and measure the rate anew."""
        self.begin()
        self.turn_seconds, self._turn_at = None, 0.0
        with self._lock:
            self._marks.clear()
            self._marks.append((time.monotonic(), 0))

    def begin_turn(self, now: float) -> None:
        """Note that a turn begins."""
        if self._turn_at:
            before = self.turn_seconds or now - self._turn_at
            self.turn_seconds = before + TURN_WEIGHT * (now - self._turn_at - before)
        self._turn_at = now

    def steps_due(self, sharing: int, people: int = 1) -> int:
        """How many steps this turn has, when a round of turns is shared among so many (see `Turns.sharing`)."""
        seconds = max(SHORTEST_CHUNK_SECONDS, min(self.chunk_seconds, CYCLE_SECONDS / sharing))
        most = FIRST_CHUNK
        if self._measured:
            seconds = max(seconds, min(LONGEST_CHUNK_SECONDS / sharing, FEW_STEPS / self._measured))
            most = max(1, int(self._measured * seconds))
        if self.speed is None:
            return most
        now = time.monotonic()
        rate = RAMP_START * 2 ** min(now - self._ramp_from, 20) if self.speed == "ramp" else float(self.speed)
        self._credit = min(self._credit + rate * min(now - self._paced_at, 1.0), max(1.0, float(most)))
        self._paced_at = now
        steps = int(self._credit)
        self._credit -= steps
        pause = max(1 / PACED_TURNS, people / PACED_TURNS_TOGETHER)
        # A rate of 0: a turn that came between the wish for single steps and the pause.
        self.due = now + max(pause, (1 - self._credit) / rate if 0 < rate < PACED_TURNS else 0.0)
        return steps

    def measure(self, steps: int, seconds: float) -> None:
        """Note how long a chunk took to compute. Of two the quicker one counts: the machine may have held up the other."""
        before, self._rate = self._rate, steps / max(seconds, 1e-6)
        quicker = max(before, self._rate)
        self._measured = min(quicker, 4 * self._measured) if self._measured else quicker

    def mark(self, steps: int) -> None:
        """Note that `steps` steps have been done now."""
        now = time.monotonic()
        with self._lock:
            self._marks.append((now, steps))
            while len(self._marks) > 2 and now - self._marks[0][0] > RATE_WINDOW:
                self._marks.popleft()

    @property
    def rate(self) -> float | None:
        """Steps per second over the last second or so, None when that is unknown."""
        with self._lock:
            if len(self._marks) < 2:
                return None
            passed = self._marks[-1][0] - self._marks[0][0]
            done = sum(steps for _, steps in self._marks) - self._marks[0][1]
        return done / passed if passed > 0 and done else None
