"""What a server has told people of their runs, and whether it keeps to that after a fault."""

from dataclasses import dataclass, field

from benchmarks.run_stream import Frame

ENDED = ("finished", "stopped", "diverged")


@dataclass
class Told:
    """What was last seen of a run that the server must keep: its end, or the step of its last pause."""

    state: str
    step: int


@dataclass
class Ledger:
    """`told` has every run that was shown to somebody. `losses` says, for each run that lost something, what."""

    told: dict[str, Told] = field(default_factory=dict)
    losses: dict[str, str] = field(default_factory=dict)

    def hear(self, frame: Frame) -> None:
        """Take in what a stream says of a run. It must not contradict what was said before."""
        run, state, step = frame["run"], frame["state"], frame["step"]
        before = self.told.get(run)
        self.compare(run, frame)
        if state in ENDED or state == "paused":
            self.told[run] = Told(state, step)
        elif before is None:
            self.told[run] = Told("started", 0)
        elif before.state == "paused":
            before.state = "started"

    def compare(self, run: str, frame: Frame | None, *, left_alone: bool = False) -> None:
        """Note what is missing of a run, given what the server says of it now: a frame, or None when it knows no such run.

        One that was paused and `left_alone` since must be exactly where it was.
        """
        told = self.told.get(run)
        if told is None:
            return
        left_alone = left_alone and told.state == "paused"  # a step may still be waiting for its turn
        was = f"{told.state} at step {told.step:,}"
        if frame is None:
            self._lose(run, f"it was {was}, and is gone")
            return
        state, step = frame["state"], frame["step"]
        kept_state = state == told.state or (told.state not in ENDED and not left_alone)
        kept_step = step == told.step or (step > told.step and not left_alone)
        if state == "failed":
            self._lose(run, f"it was {was}, and has failed: {frame['message']}")
        elif not (kept_state and kept_step):
            self._lose(run, f"it was {was}, and is {state} at step {step:,}")

    def _lose(self, run: str, text: str) -> None:
        self.losses.setdefault(run, text)
