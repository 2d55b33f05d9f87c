"""What is known of jobs, and how one begins, wherever it is trained: in threads of this process (lib.jobs) or elsewhere
(lib.remote_jobs)."""

import dataclasses
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

import numpy as np

from lib.job import ACTIVE, Job, State, weights_in
from lib.limits import Limits
from lib.pace import Speed
from lib.records import RunRecord
from lib.safe_store import SafeStore
from lib.settings import Config, SettingError, before, replace
from lib.store import Store
from lib.stream import CAPACITY
from lib.values import shown

LOG = logging.getLogger(__name__)

KEPT_IN_MEMORY = 16  # ended jobs
CURVES_IN_MEMORY = 512  # of others
NO_LIMITS = Limits()
Span = tuple[str, float, float]  # a visitor, from when to when
Found = TypeVar("Found")
Arguments = TypeVarTuple("Arguments")


class Report(NamedTuple):
    """How things stand at a moment: jobs in memory by state, and seconds that the one has waited that waits longest."""

    states: dict[str, int]
    waiting: int  # for a turn that is due, or for being compiled
    longest_wait: float
    steps: int  # trained since this began


class KnownJobs(ABC):
    """All jobs that this process knows. Every method may be called from any thread; a command that makes no sense does nothing.

    Jobs change under the lock `changed`, whole steps at a time.
    """

    kind: type[Job] = Job
    cells_at_once = 2  # of all sweeps together: while one trains, the next compiles
    outlives = False  # whether jobs go on when this process ends

    def __init__(self, store: Store | Path | str, config_of: Callable[[str], type[Config]], limits: Limits) -> None:
        """The jobs of a store that is open, or of a data folder, which may be one that cannot be used (see lib.safe_store)."""
        self.store = SafeStore(store)
        self.owner = self.store.claim()  # the name under which this process owns what it does (see `Store.claim`)
        self._config_of, self._limits = config_of, limits
        # The limits for a run of a visitor, or a LimitError where they may not begin it at all: a room has rules of its own.
        self.permit: Callable[[str, str, Config], Limits] = lambda visitor, slug, config: limits
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self.sweeps: dict[str, str] = {}  # the sweeps that are under way, and whose they are
        self.changed = threading.Condition(threading.RLock())
        self.untold: Callable[[Job], bool] = lambda job: False  # whether somebody is still to hear that a job has ended
        self._stored_curve = lru_cache(CURVES_IN_MEMORY)(self._read_curve)

    @property
    def trouble(self) -> str:
        """Why runs cannot be saved just now; empty where they can."""
        return self.store.trouble

    # How jobs begin

    def start(
        self,
        slug: str,
        config: Config,
        visitor: str,
        *,
        paused: bool = False,
        speed: Speed = None,
        sweep: str = "",
        run_id: str | None = None,
        points: int = CAPACITY,
        instead_of: str = "",
    ) -> Job:
        """Begin a run. It is queued, compiled where these shapes are new, and then runs, or waits at step 0.

        `sweep` is the sweep that it is a cell of: these are compiled in a thread of their own, behind which no visitor waits.
        `points` is how many each series keeps. The run `instead_of` is stopped for it. Raises LimitError, and stops nothing,
        where that is more than is allowed.
        """
        job = self._new(slug, config, visitor, run_id=run_id, sweep=sweep)
        job.stream.capacity = points
        return self._begin(job, paused, speed, instead_of)

    def fork(
        self,
        run_id: str,
        step: int | None,
        config: Config,
        visitor: str,
        *,
        paused: bool = False,
        speed: Speed = None,
    ) -> Job:
        """Begin a run of the same demo with the weights that a run had at `step`, or at the last one kept before it.

        `step` None stands for the weights of now. All else begins anew: step, data, carried state and the optimizer's slots.
        Raises SettingError when the config has several networks, ValueError when there are no such weights, and LimitError.
        Whether they fit the config's network is found when it is compiled: where not, the run fails and says so.
        """
        seeds = getattr(config, "seeds", 1)
        if seeds != 1:
            raise SettingError("seeds", seeds, "is more than the one network that a fork begins with", "choose 1")
        parent = self.get(run_id)
        found = parent.parameters(step) if parent is not None else None
        if parent is None or found is None:
            when = "now" if step is None else f"at step {step:,}"
            raise ValueError(
                f"The run {shown(run_id)} has no weights {when} to begin with: choose another run or step."
            )
        kept, start = found
        job = self._new(parent.slug, config, visitor, origin=(run_id, kept), start=start)
        return self._begin(job, paused, speed)

    def rewind(self, run_id: str) -> Job | None:
        """A new job that waits at step 0 with the same initial weights and data, and the live settings of now.

        It stands for the old one, which is stopped. Raises LimitError.
        """
        job = self.get(run_id)
        if job is None:
            return None
        with self.changed:
            config, speed = replace(job.config, **job.live), job.pace.speed
        again = self._new(job.slug, config, job.visitor, origin=job.origin, start=job.start)
        return self._begin(again, True, speed, run_id)

    def _begin(self, job: Job, paused: bool, speed: Speed, instead_of: str = "") -> Job:
        job.pace.speed = speed
        # Of a sweep the limits were checked for all of it.
        job.limits = Limits() if job.sweep else self.permit(job.visitor, job.slug, job.config)
        job.target = State.PAUSED if paused or speed == 0 else State.RUNNING
        with self.changed:
            job.limits.check_steps(job.steps)
            if not job.sweep and instead_of not in self._under_way():
                self.check_limits(job.visitor, job.limits)
            self._jobs[job.id] = job  # it counts from now on
        job.touch()
        try:
            if instead_of:
                self.stop(instead_of)
            self._enter(job)
        except BaseException:
            with self.changed:
                self._jobs.pop(job.id, None)
            raise
        return job

    def check_limits(self, visitor: str, limits: Limits | None = None, *, steps: int = 0, besides: str = "") -> None:
        """Raises LimitError where one run or sweep more of this visitor's, of so many `steps` each, is too many.

        The run `besides` does not count.
        """
        limits = limits or self._limits
        with self.changed:
            whose = [person for run_id, person in self._under_way().items() if run_id != besides]
        limits.check_steps(steps)
        limits.check(whose.count(visitor), len(whose))

    def _under_way(self) -> dict[str, str]:
        """The runs and sweeps that are trained here and have not ended, and whose they are."""
        mine = (job for job in self._jobs.values() if job.active and not job.ending and self._counts(job))
        return {job.sweep or job.id: job.visitor for job in mine} | self.sweeps

    # What is known of them

    @abstractmethod
    def get(self, run_id: str) -> Job | None:
        """The job with this id, from memory or from the store; None when it was deleted."""

    def runs_of(self, visitor: str, slug: str | None, limit: int, *, cells: bool = False) -> list[RunRecord]:
        """The visitor's runs of a demo, or of all, the newest first, as they stand now (see `Store.runs_of`)."""
        return self.now(self.store.runs_of(visitor, slug, limit, cells=cells))

    def runs_in(self, spans: Sequence[Span]) -> list[RunRecord]:
        """The runs that visitors began in spans of time, the newest first, as they stand now (see `Store.runs_in`)."""
        return self.now(self.store.runs_in(spans))

    def now(self, records: Sequence[RunRecord]) -> list[RunRecord]:
        """Records from the store as their runs stand now."""
        with self.changed:
            return [self._now(record) for record in records]

    def _now(self, record: RunRecord) -> RunRecord:
        job = self._jobs.get(record.id)
        return record if job is None else dataclasses.replace(job.record(), name=record.name)

    def curve(self, run_id: str, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The points of one of a run's series: steps [n] and values [n]."""
        with self.changed:
            known = run_id in self._jobs
        record = None if known or self.trouble else self.store.load(run_id)
        if record is not None and record.state not in ACTIVE:
            return self._stored_curve(run_id, name, record.updated)  # all else stays on the disk
        job = self.get(run_id)
        return job.stream.curve(name) if job is not None else (np.zeros(0, np.int64), np.zeros(0, np.float32))

    def weights(self, job: Job) -> Mapping[str, np.ndarray] | None:
        """A job's networks as they are now, or, where another process trains it, as that has saved them last."""
        return weights_in(self.store.arrays(job.id)) if job.elsewhere else job.weights()

    def _read_curve(self, run_id: str, name: str, updated: float) -> tuple[np.ndarray, np.ndarray]:
        """What `curve` gives for a run that has ended, as it was when it was `updated`."""
        at, points = (f"stream:{name}/{part}" for part in ("step", "value"))
        arrays = self.store.arrays(run_id, at, points)
        return arrays.get(at, np.zeros(0, np.int64)), arrays.get(points, np.zeros(0, np.float32))

    def delete(self, run_id: str) -> None:
        """Stop a run and put it away; for a day `restore` brings it back."""
        self.stop(run_id)
        self._put_away(run_id, time.time())

    def restore(self, run_id: str) -> None:
        """Bring back a deleted run."""
        self._put_away(run_id, 0.0)

    def rename(self, run_id: str, name: str) -> None:
        """Give a run a name."""
        self.store.rename(run_id, name)

    def _put_away(self, run_id: str, when: float) -> None:
        self.store.put_away(run_id, when)
        self.show_away(run_id, when)

    def show_away(self, run_id: str, when: float) -> None:
        """Note in memory that a run was deleted, or brought back."""
        with self.changed:
            job = self._jobs.get(run_id)
            if job is not None:
                job.deleted = bool(when)
                job.version += 1

    def in_memory(self) -> dict[str, Job]:
        """All jobs that are in memory, by their ids."""
        with self.changed:
            return dict(self._jobs)

    def forget_oldest(self) -> None:
        """Jobs that have ended are dropped from memory, except the latest; the store has them. The lock is held."""
        ended = [job for job in self._jobs.values() if not (job.active or job.busy or job.unsettled)]
        for job in ended[:-KEPT_IN_MEMORY]:
            if not self.untold(job):
                del self._jobs[job.id]

    # What depends on where they are trained

    def _new(self, *about: Any, **more: Any) -> Job:
        """A job of the kind that is kept here."""
        return self.kind(*about, **more)

    def _restored(self, record: RunRecord) -> Job | None:
        """A job as the store has it. A record whose settings are no longer valid is not shown."""
        try:
            config_class = self._config_of(record.slug)
            config = config_class(**(before(config_class) | record.config))
            job = self.kind.restored(record, config, self.store.arrays(record.id))
        except (ValueError, LookupError) as error:
            LOG.error("run %s cannot be restored: %s", record.id, error)
            return None
        job.owner, job.limits = record.owner, self._limits
        return job

    @abstractmethod
    def _enter(self, job: Job) -> None:
        """Have a job trained that has just been made, and may be. The lock is not held."""

    @abstractmethod
    def _counts(self, job: Job) -> bool:
        """Whether a job that has not ended is trained here. The lock is held."""

    @abstractmethod
    def take_up(self, run_id: str) -> Job:
        """A run that another process has left, to go on with here. Raises ValueError when there is none, or it still goes on."""

    @abstractmethod
    def pause(self, run_id: str) -> None:
        """Hold it after the chunk that is under way."""

    @abstractmethod
    def resume(self, run_id: str, *, until: int | None = None) -> None:
        """Let a paused job go on, to its end or until it is at a step. Raises LimitError for one that is not in memory."""

    @abstractmethod
    def step(self, run_id: str) -> None:
        """Train exactly one step of a paused job."""

    @abstractmethod
    def stop(self, run_id: str, by: str = "") -> None:
        """End it. What it has learned and measured is kept. It has ended when this returns, unless its step takes long.

        `by` is who did it, for its owner to read, where that was not themselves.
        """

    @abstractmethod
    def set_live(self, run_id: str, **values: float) -> None:
        """Change live settings of an active job; it takes effect with the next chunk. Raises SettingError."""

    @abstractmethod
    def set_speed(self, run_id: str, speed: Speed) -> None:
        """Set the pace: steps per second, None for as fast as it goes, "ramp", or 0 to go one step at a time."""

    @abstractmethod
    def compute(self, function: Callable[[*Arguments], Found], *arguments: *Arguments) -> Found:
        """What one of our module-level functions returns, run where networks are trained. It may take seconds.

        This is a page's one way to TensorFlow. Function, arguments and result must be such that pickle can send them. What it
        raises is passed on.
        """

    @abstractmethod
    def compute_everywhere(self, function: Callable[[*Arguments], object], *arguments: *Arguments) -> None:
        """Run a function as `compute` does, wherever networks are trained, or will be."""

    @abstractmethod
    def alive(self) -> bool:
        """Whether all is there that jobs need to go on."""

    @abstractmethod
    def report(self) -> Report:
        """How things stand now. A job that is held back by its own pace does not wait."""

    @abstractmethod
    def shutdown(self) -> None:
        """Let go of all jobs, so that none loses anything."""
