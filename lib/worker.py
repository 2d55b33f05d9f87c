"""What a process that trains for others does for them: it begins jobs, obeys, computes, and tells what is new.

It is asked by web processes (lib.remote_jobs), over a pipe (lib.worker_process) or by Ray (lib.ray_workers).
"""

import pickle
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lib.history import Network
from lib.job import ACTIVE, Job, State
from lib.jobs import Jobs
from lib.known_jobs import Report, Span
from lib.limits import LimitError
from lib.pace import Speed
from lib.records import RunRecord
from lib.remote_job import PLAIN, News, Order
from lib.stream import Delta
from lib.values import shown

FORGET_READERS = 60.0  # seconds after they have asked last
SELDOM_SECONDS = 1.0  # between two pieces of news of a job that nobody watches, while its state stays
COMMANDS = ("pause", "resume", "step", "stop", "set_live", "set_speed")


class WorkerGoneError(LimitError):
    """The process that was asked has ended, or cannot be reached."""


@dataclass
class _Seen:
    """What a reader knows of a job, which `owner` has."""

    owner: str
    state: State | None = None
    told_at: float = 0.0
    version: int = -1
    snapshot_version: int = 0
    busy: bool = False
    have: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass
class _Reader:
    jobs: dict[str, _Seen] = field(default_factory=dict)
    asked_at: float = 0.0


class Worker:
    """Every method may be called from any thread, and what it takes and returns can be pickled."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        jobs.untold = self._untold
        self._readers: dict[str, _Reader] = {}
        self._lock = threading.Lock()
        self._arriving: set[str] = set()  # runs that are paused for a moment only, which nobody is to be told

    def owner(self) -> str:
        """The name under which this process owns runs (see `Store.claim`)."""
        return self.jobs.owner

    def begin(self, order: Order) -> None:
        """Begin with a job. What is already there is left alone."""
        job = Job(
            order.slug, order.config, order.visitor, run_id=order.id, sweep=order.sweep, origin=order.origin, start=order.start,
        )  # fmt: skip
        job.stream.capacity, job.pace.speed, job.target = order.points, order.speed, order.target
        job.limits, job.created = order.limits, order.created
        self.jobs.enter(job)

    def open(self, run_id: str) -> bool:
        """Have a run of the store in memory, so that there is news of it: whether there is such a run."""
        return self.jobs.get(run_id) is not None

    def runs_of(self, visitor: str, slug: str | None, limit: int, *, cells: bool) -> list[RunRecord]:
        """The same as `Jobs.runs_of`."""
        return self.jobs.runs_of(visitor, slug, limit, cells=cells)

    def runs_in(self, spans: Sequence[Span]) -> list[RunRecord]:
        """The same as `Jobs.runs_in`."""
        return self.jobs.runs_in(spans)

    def take_over(self, run_id: str, speed: Speed, goes_on: bool, notice: str) -> None:
        """Have a run whose process has ended, from its last checkpoint on: paused, or training again."""
        self._arriving.add(run_id)
        try:
            found = self.jobs.get(run_id)
            if found is None or not found.active:  # it had ended just before
                return
            job = self.jobs.take_up(run_id)
            with self.jobs.changed:
                job.notice, job.pace.speed = notice, speed
                job.become(job.state)
            if goes_on:
                self.jobs.resume(run_id)
        finally:
            self._arriving.discard(run_id)

    def take_up(self, run_id: str) -> None:
        """The same as `Jobs.take_up`; what this process trains for somebody else is not taken from them."""
        if self.jobs.take_up(run_id).state is not State.PAUSED:
            raise ValueError(f"The run {shown(run_id)} is being trained: pause it first.")

    def command(self, name: str, run_id: str, *arguments: Any, **named: Any) -> None:
        """What `Jobs` calls so."""
        assert name in COMMANDS
        getattr(self.jobs, name)(run_id, *arguments, **named)

    def rename(self, run_id: str, name: str) -> bool:
        """Give a run a name, if this process has the latest of it: whether it has."""
        if found := self._has_latest(run_id):
            self.jobs.store.rename(run_id, name)
        return found

    def put_away(self, run_id: str, when: float) -> bool:
        """Delete a run, or bring it back, if this process has the latest of it: whether it has."""
        if found := self._has_latest(run_id):
            self.jobs.store.put_away(run_id, when)
        self.jobs.show_away(run_id, when)
        return found

    def _has_latest(self, run_id: str) -> bool:
        job = self.jobs.in_memory().get(run_id)
        return self.jobs.store.is_unsaved(run_id) or (job is not None and job.owner == self.jobs.owner)

    def weights(self, run_id: str) -> Mapping[str, np.ndarray] | None:
        """A job's networks as they are now."""
        job = self.jobs.get(run_id)
        return self.jobs.weights(job) if job is not None else None

    def network(self, run_id: str, step: int) -> tuple[int, Network] | None:
        """The network that a job kept at this step or before it."""
        job = self.jobs.get(run_id)
        return job.history.at(step) if job is not None else None

    def compute(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        """What a function returns."""
        return function(*arguments)

    def report(self) -> Report:
        """How things stand."""
        return self.jobs.report()

    def trouble(self) -> str:
        """Why runs cannot be saved just now."""
        return self.jobs.store.trouble

    def alive(self) -> bool:
        """Whether all threads are there that jobs need."""
        return self.jobs.alive()

    def shutdown(self) -> None:
        """Write all jobs and end their threads."""
        self.jobs.shutdown()

    # News

    def news(self, reader: str, watched: Sequence[str]) -> tuple[list[News], list[str], str]:
        """What a reader does not know yet, the ids of those that have left memory since, and `trouble`.

        Of the jobs that are `watched` by people it gets the pictures as well, and of others only now and then how they go on. A
        reader asks one question at a time.
        """
        known = self._reader(reader)
        with self.jobs.changed:
            jobs = self.jobs.in_memory()
            for run_id in watched:
                if run_id in jobs:
                    jobs[run_id].touch()
            told = [job for job in jobs.values() if job.id not in self._arriving]
            found = [news for job in told if (news := _news(job, known, job.id in watched)) is not None]
            self.jobs.forget_oldest()
        gone = [run_id for run_id in known.jobs if run_id not in jobs]
        for run_id in gone:
            del known.jobs[run_id]
        return found, gone, self.trouble()

    def _untold(self, job: Job) -> bool:
        """Whether a reader thinks that a job which has ended goes on. The jobs' lock is held."""
        with self._lock:
            seen = [reader.jobs.get(job.id) for reader in self._readers.values()]
        return any(each is not None and each.state in ACTIVE for each in seen)

    def _reader(self, name: str) -> _Reader:
        now = time.monotonic()
        with self._lock:
            self._readers = {key: r for key, r in self._readers.items() if now - r.asked_at < FORGET_READERS}
            reader = self._readers.setdefault(name, _Reader())
            reader.asked_at = now
            return reader


def answer(worker: Callable[[], Worker], name: str, arguments: Any, named: Any) -> bytes:
    """The pickled pair of True and what a method of the worker returns, or False and what that or `worker` raises."""
    try:
        return pickle.dumps((True, getattr(worker(), name)(*arguments, **named)), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps((False, _sendable(error)))


def _sendable(error: Exception) -> Exception:
    """The error itself, or where pickle cannot send it one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")


def _news(job: Job, reader: _Reader, watched: bool) -> News | None:
    """What the reader does not know of a job, None where it knows all."""
    seen = reader.jobs.get(job.id)
    if seen is not None and seen.owner != job.owner:
        seen = None  # a reader who listened to the one before must hear it all
    pictures = watched and job.snapshot is not None and (seen is None or seen.snapshot_version != job.snapshot_version)
    if seen is not None and (seen.version, seen.busy) == (job.version, job.busy) and not pictures:
        return None
    now = time.monotonic()
    if seen is not None and not watched and seen.state is job.state and now - seen.told_at < SELDOM_SECONDS:
        return None
    about = None
    if seen is None:
        seen = reader.jobs[job.id] = _Seen(job.owner)
        about = {"slug": job.slug, "config": job.config, "visitor": job.visitor, "sweep": job.sweep}
    series = _delta(job, seen)
    seen.state, seen.told_at, seen.version, seen.busy = job.state, now, job.version, job.busy
    if pictures:
        seen.snapshot_version = job.snapshot_version
    values = {name: getattr(job, name) for name in PLAIN}
    values |= {"live": dict(job.live), "changes": list(job.changes), "diary": list(job.diary)}
    return News(
        job.id, about, values, job.pace.speed, job.pace.rate if job.state in ACTIVE else None, job.pace.turn_seconds,
        job.history.steps(), job.forkable, job.engine is not None, series, job.stream.summary(), job.stream.final_by_seed(),
        job.snapshot if pictures else None,
    )  # fmt: skip


def _delta(job: Job, seen: _Seen) -> Delta:
    series = job.stream.delta(seen.have)
    seen.have |= {name: (part["generation"], part["start"] + len(part["step"])) for name, part in series.items()}
    return series
