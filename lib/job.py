"""A job: one run of training, and what is known of it."""

import json
import secrets
import time
from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

import numpy as np

from lib.history import Arrays, History, Network, kept_count, kept_steps, leaves_of, network_of, parameters_of
from lib.limits import Limits
from lib.pace import Pace
from lib.records import RunRecord
from lib.settings import Config, live_values
from lib.stream import MetricStream


class State(StrEnum):
    """What a job is doing, or how it ended."""

    QUEUED = "queued"
    COMPILING = "compiling"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    DIVERGED = "diverged"
    FAILED = "failed"


NOTES = ("diary", "changes", "seconds")  # what a run has come to at its step, besides numbers in arrays
ACTIVE = frozenset({State.QUEUED, State.COMPILING, State.RUNNING, State.PAUSED})


class Job:
    """One run. Pages read its attributes; only `lib.jobs` writes them.

    `version` goes up at every change that a reader could see. A fork begins with the parameters `start`,
    which the run `origin[0]` had at step `origin[1]`.
    """

    def __init__(
        self,
        slug: str,
        config: Config,
        visitor: str,
        *,
        run_id: str | None = None,
        sweep: str = "",
        origin: tuple[str, int] | None = None,
        start: Arrays | None = None,
    ) -> None:
        self.id = run_id or secrets.token_hex(9)  # never begins with "-", which a command line takes for an option
        self.slug, self.config, self.visitor, self.sweep = slug, config, visitor, sweep
        self.origin, self.start = origin, start
        self.live: dict[str, float] = live_values(config)
        self.changes: list[Any] = []  # [step, name, value]: from that step on it was trained with this value
        self._used = dict(self.live)
        self.state, self.message, self.error = State.QUEUED, "", ""
        self.notice = (
            ""  # what stands there while it has no other message: where it went on after its process had ended
        )
        self.deleted = False
        self.owner = ""  # the process that trains it
        self.elsewhere = False  # another process trains it: it can be watched
        self.step = 0
        self.steps = int(getattr(config, "steps", 0))
        self.steps_per_epoch = int(getattr(config, "windows_per_epoch", 0)) or self.steps
        self.seconds = 0.0
        self.created = time.time()
        self.device = ""
        self.pace = Pace()
        self.stream = MetricStream()
        self.history = History()
        self.diary: list[dict[str, Any]] = []  # a note for each time that the network was measured, the oldest first
        self.snapshot: dict[str, np.ndarray] | None = None
        self.snapshot_version = 0
        self.version = 0
        self.place = 0  # in the queue to be compiled, from 1
        self.people = 0  # how many people took turns when it had its last one
        # The rest belongs to the scheduler.
        self.engine: Any = None
        self.carry: Any = None
        self.checkpoint: Mapping[str, np.ndarray] | None = None  # where a run goes on that is not in memory
        self.target = State.RUNNING  # what it becomes when it is compiled
        self.busy = False  # a thread works on it
        self.waiting = False  # it stands in a queue
        self.waiting_since = 0.0
        self.turn_lengths: deque[float] = deque([0.0, 0.0], maxlen=3)  # seconds of the latest
        self.unsettled = False  # something is to be written or drawn though no step is due
        self.ending: tuple[State, str] | None = None  # how it ends, as soon as that is written
        self.limits = Limits()
        self.single_steps = 0
        self.hold_at: int | None = None  # the step at which it is paused
        self.seen_at = time.monotonic()  # when somebody has looked at it last
        self.saved_at = self.save_seconds = self.draw_seconds = self.drawn_at = self.published_at = 0.0

    def become(self, state: State, message: str = "") -> None:
        """Have another state, and a message that explains it."""
        self.state, self.message = state, message or (self.notice if state in ACTIVE else "")
        self.version += 1

    def touch(self) -> None:
        """Note that somebody looks at it."""
        self.seen_at = time.monotonic()

    @property
    def active(self) -> bool:
        """Whether it can still train."""
        return self.state in ACTIVE

    @property
    def pausing(self) -> bool:
        """Whether it trains no more, and is shown as paused as soon as that is written."""
        return self.state is State.RUNNING and self.target is State.PAUSED

    @property
    def trains(self) -> bool:
        """Whether it goes on from one step to the next."""
        return self.state is State.RUNNING and not (self.pausing or self.ending)

    @property
    def outcome(self) -> tuple[State, str]:
        """The state and the message that are to be written: of a run that ends or pauses, those that it is to have then."""
        return self.ending or ((State.PAUSED, self.notice) if self.pausing else (self.state, self.message))

    @property
    def epoch(self) -> int:
        """The epoch that is being trained on, from 1."""
        return 1 + max(0, min(self.step, self.steps - 1)) // max(1, self.steps_per_epoch)

    @property
    def epochs(self) -> int:
        """How many epochs the run has."""
        return -(-self.steps // max(1, self.steps_per_epoch))

    def note_changes(self) -> None:
        """Note the live settings that the next step is the first to be trained with."""
        for name, value in self.live.items():
            if value != self._used[name]:
                self.changes.append([self.step, name, value])
                self._used[name] = value

    @property
    def steps_per_second(self) -> float | None:
        """Over the last second or so; of a run that has ended, over all of its training time."""
        if self.state is not State.RUNNING:
            return self.step / self.seconds if self.seconds > 0 else None
        return self.pace.rate

    @property
    def time_left(self) -> float | None:
        """Seconds to the end at the present pace, None when that is unknown."""
        rate = self.steps_per_second if self.state is State.RUNNING else None
        return (self.steps - self.step) / rate if rate else None

    def network(self, step: int | None = None) -> tuple[int, Network] | None:
        """The first seed's network and its step: as it is now, or the latest one kept at `step` or before it.

        None when none was kept, or the network has another form than lib.history keeps.
        """
        if step is not None:
            return self.history.at(step)
        leaves = self.weights()
        network = network_of(leaves) if leaves is not None else None
        return (int(leaves["step"]), network) if leaves is not None and network is not None else None

    def parameters(self, step: int | None = None) -> tuple[int, Arrays] | None:
        """The same as flat parameters, which another run can begin with; as it is now it may have any form."""
        if step is not None:
            found = self.history.at(step)
            return (found[0], leaves_of(found[1])) if found is not None else None
        leaves = self.weights()
        parameters = parameters_of(leaves) if leaves is not None else {}
        return (int(leaves["step"]), parameters) if leaves is not None and parameters else None

    @property
    def forkable(self) -> bool:
        """Whether another run could begin with its weights of now."""
        return "leaf_000" in (self.weights() or {})

    def weights(self) -> Mapping[str, np.ndarray] | None:
        """The networks as they are now, as `Carry.weights` or `Carry.to_arrays` wrote them; None before there are any."""
        source = self.carry or self.checkpoint or self.carry  # it moves from one to the other, either way
        return source if source is None or isinstance(source, Mapping) else source.weights()

    def keep_network(self, carry: Any) -> None:
        """Add a carry's network to the history; the first one plans it. Cells of a sweep have none."""
        network = None if self.sweep else network_of(carry.weights())
        if network is None:
            return
        if not self.history.steps():
            self.history = History(kept_steps(self.steps, kept_count(network)))
        self.history.add(carry.step, network)

    def record(self) -> RunRecord:
        """What the store keeps of it."""
        return RunRecord(
            id=self.id, visitor=self.visitor, slug=self.slug, config=self.config.model_dump(), live=dict(self.live),
            changes=list(self.changes), state=str(self.state), message=self.message, step=self.step, steps=self.steps,
            created=self.created, updated=time.time(), seconds=self.seconds, device=self.device,
            summary=self.stream.summary(), final_by_seed=self.stream.final_by_seed(), spark=self.stream.spark(), sweep=self.sweep,
            origin=list(self.origin or ()), diary=list(self.diary), owner=self.owner,
        )  # fmt: skip

    def arrays(self) -> dict[str, np.ndarray]:
        """Curves, checkpoint, history, notes and last picture in one, so that they always belong to the same step.

        The record is written apart, and a process may be killed between the two: so the notes say as well how it has ended.
        """
        carry = self.carry.to_arrays() if self.carry is not None else dict(self.checkpoint or {})
        state, message = self.outcome
        ended = None if state in ACTIVE else [str(state), message]
        notes = json.dumps({name: getattr(self, name) for name in NOTES} | {"ended": ended}).encode()
        parts = {"carry": carry, "stream": self.stream.arrays(), "snapshot": self.snapshot or {}}
        parts["notes"] = {"json": np.frombuffer(notes, np.uint8)}
        parts |= {"history": self.history.to_arrays(), "start": self.start or {}}
        return {f"{part}:{name}": array for part, arrays in parts.items() for name, array in arrays.items()}

    @classmethod
    def restored(cls, record: RunRecord, config: Config, arrays: Mapping[str, np.ndarray]) -> Self:
        """The job that was stored. It has no engine: that is built when it goes on."""
        job = cls(record.slug, config, record.visitor, run_id=record.id, sweep=record.sweep)
        names = ("carry", "stream", "snapshot", "history", "start", "notes")
        parts: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
        for key, array in arrays.items():
            part, _, name = key.partition(":")
            parts[part][name] = array
        if record.origin:
            job.origin, job.start = (record.origin[0], record.origin[1]), parts["start"] or None
        job.stream, job.history = MetricStream.from_arrays(parts["stream"]), History.from_arrays(parts["history"])
        job.snapshot, job.checkpoint = parts["snapshot"] or None, parts["carry"] or None
        job.snapshot_version = int(job.snapshot is not None)
        job.live, job.steps, job.step = dict(record.live), record.steps, record.step
        notes = json.loads(parts["notes"]["json"].tobytes()) if parts["notes"] else {}
        for name in NOTES:
            setattr(job, name, notes.get(name, getattr(record, name)))
        job._used |= {name: value for _, name, value in job.changes}
        state, message = notes.get("ended") or (record.state, record.message)
        job.state, job.message = State(state), message
        job.created, job.device = record.created, record.device
        return job

    def follow(self, record: RunRecord, stream: MetricStream) -> None:
        """Take over what the process that trains it has written."""
        self.stream = stream
        self.pace.mark(max(0, record.step - self.step))
        self.state, self.message = State(record.state), record.message
        self.step, self.steps, self.seconds, self.device = record.step, record.steps, record.seconds, record.device
        self.diary, self.live, self.changes = list(record.diary), dict(record.live), list(record.changes)
        self.version += 1

    def renew(self, stored: "Job") -> None:
        """Become what the store has of it; whoever holds this job sees it go on."""
        versions = {name: getattr(self, name) + 1 for name in ("version", "snapshot_version")}
        vars(self).update(vars(stored) | versions)


def weights_in(arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray] | None:
    """The networks in what `Job.arrays` gave; None where there are none."""
    found = {name.removeprefix("carry:"): array for name, array in arrays.items() if name.startswith("carry:")}
    return found or None
