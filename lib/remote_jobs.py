"""Jobs that other processes train: a mirror of each, kept up to date, and commands that go to whoever has it.

A worker (lib.worker) tells several times a second what is new. What has ended, or rests, is read from the store. When a worker
goes away its jobs go on with another, from their last checkpoint (lib.followers).
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from lib.clearing import Clearing
from lib.fleet import Fleet
from lib.followers import Follower, Followers
from lib.job import ACTIVE, Job, State, weights_in
from lib.jobs import NO_CLEARING
from lib.known_jobs import KEPT_IN_MEMORY, NO_LIMITS, Arguments, Found, KnownJobs, Report, Span
from lib.limits import Limits
from lib.pace import Speed
from lib.records import RunRecord
from lib.remote_job import News, RemoteJob
from lib.settings import Config
from lib.store import Store
from lib.values import shown
from lib.worker import WorkerGoneError

WATCHED_SECONDS = 15.0  # that a job's pictures are sent for after somebody has looked


class RemoteJobs(KnownJobs):
    """Jobs that the workers of a fleet train."""

    kind = RemoteJob

    def __init__(
        self,
        store: Store | Path | str,
        fleet: Fleet,
        *,
        config_of: Callable[[str], type[Config]],
        limits: Limits = NO_LIMITS,
        clearing: Clearing = NO_CLEARING,
    ) -> None:
        super().__init__(store, config_of, limits)
        self._fleet, self.outlives = fleet, fleet.outlives
        self._followers = Followers(fleet, self, clearing)
        self._followers.begin()

    # News

    def watched(self) -> list[str]:
        """The jobs that somebody has looked at just now."""
        since = time.monotonic() - WATCHED_SECONDS
        with self.changed:
            return [job.id for job in self._jobs.values() if job.seen_at >= since]

    def is_busy(self, owner: str) -> bool:
        """Whether a worker has something to tell soon."""
        with self.changed:
            return any(
                job.owner == owner and job.active and job.state is not State.PAUSED for job in self._jobs.values()
            )

    def left_by(self, owner: str) -> list[Job]:
        """The jobs that can go on of a worker that has gone. Its others are in the store. The lock is held."""
        mine = [job for job in self._jobs.values() if job.owner == owner]
        for job in mine:
            if not job.active:
                del self._jobs[job.id]
        return [job for job in mine if job.active]

    def take(self, follower: Follower, news: list[News], gone: list[str]) -> None:
        """Take in what a worker tells. Of a run that another one has it may have a copy, of which it tells as well."""
        with self.changed:
            for each in news:
                job = self._jobs.get(each.id)
                if job is not None and each.values["owner"] != follower.owner and self._has_another(follower, job):
                    continue
                if job is None:
                    if each.about is None:
                        continue
                    job = self._jobs[each.id] = self._new(**each.about, run_id=each.id)
                assert isinstance(job, RemoteJob)
                job.take(each)
            for run_id in gone:
                if run_id in self._jobs and not self._has_another(follower, self._jobs[run_id]):
                    del self._jobs[run_id]  # the worker's store has it
            self.changed.notify_all()

    def _has_another(self, follower: Follower, job: Job) -> bool:
        """Whether it is another worker that has a job."""
        return job.owner != follower.owner and job.owner in self._followers

    def _new(self, *about: Any, **more: Any) -> RemoteJob:
        job = RemoteJob(*about, **more)
        job.owner, job.limits = self.owner, self._limits  # until a worker has it
        job.seen_at = 0.0  # nobody has looked at it yet
        self._lets_ask(job)
        return job

    def _ask(self, job: Job, what: str, *arguments: Any) -> Any:
        """What its worker says of a job; where that is gone, or has no more of it than the store, the store's."""
        follower = self._followers.get(job.owner)
        with suppress(WorkerGoneError):
            found = follower.link.call(what, job.id, *arguments) if follower is not None else None
            if found is not None:
                return found
        if what == "weights":
            return weights_in(self.store.arrays(job.id))
        record = self.store.load(job.id)
        stored = self._restored(record) if record is not None else None
        return stored.history.at(*arguments) if stored is not None else None

    # What is known

    @property
    def cells_at_once(self) -> int:  # type: ignore[override]
        return 2 * max(1, len(self._followers))

    @property
    def trouble(self) -> str:
        """Why runs cannot be saved just now; empty where they can."""
        return next((follower.trouble for follower in self._followers if follower.trouble), self.store.trouble)

    def runs_of(self, visitor: str, slug: str | None, limit: int, *, cells: bool = False) -> list[RunRecord]:
        found = super().runs_of(visitor, slug, limit, cells=cells)
        return self._with_unsaved(found, limit, "runs_of", visitor, slug, limit, cells=cells)

    def runs_in(self, spans: Sequence[Span]) -> list[RunRecord]:
        return self._with_unsaved(super().runs_in(spans), -1, "runs_in", spans)

    def _with_unsaved(
        self, found: list[RunRecord], limit: int, name: str, *arguments: Any, **named: Any
    ) -> list[RunRecord]:
        """Records, the newest first, with those that workers have: what a worker cannot write, this process cannot read."""
        if not self.trouble:
            return found
        found = sorted(
            chain(found, *self._followers.ask_all(name, *arguments, **named)), key=lambda record: record.updated
        )
        newest = {record.id: record for record in found}
        with self.changed:
            away = {job.id for job in self._jobs.values() if job.deleted}  # as a worker has noted that cannot write it
        left = [record for run_id, record in newest.items() if run_id not in away]
        left.sort(key=lambda record: record.created, reverse=True)
        return left if limit < 0 else left[:limit]

    def get(self, run_id: str) -> Job | None:
        with self.changed:
            job = self._jobs.get(run_id)
        if job is None:
            job = self._found(run_id)
        if job is None or job.deleted:
            return None
        job.touch()
        return job

    def _found(self, run_id: str) -> Job | None:
        """A job that is not in memory: one that can go on is its worker's business, one that has ended the store's."""
        record = self.store.load(run_id)
        if self.trouble:
            for follower in self._followers:  # whose memory may have what is not on the disk
                with suppress(WorkerGoneError):
                    follower.link.call("open", run_id)
                    follower.ask()
        elif record is not None and State(record.state) in ACTIVE:
            with suppress(WorkerGoneError):
                self._followers.tell(record, "open", run_id)
        with self.changed:
            if run_id in self._jobs or record is None:
                return self._jobs.get(run_id)
        job = self._restored(record)  # nobody waits for the lock while that is read
        with self.changed:
            if job is not None and not job.active:
                self._jobs.setdefault(run_id, job)
                self.forget_oldest()
            return self._jobs.get(run_id, job)

    def forget_oldest(self) -> None:
        """What was read from the store is dropped, except the latest. What a worker has told of stays until it drops that: it
        tells nothing twice, and while a disk is full the store does not have it."""
        read = [job for job in self._jobs.values() if isinstance(job, RemoteJob) and not (job.told or job.active)]
        for job in read[:-KEPT_IN_MEMORY]:
            del self._jobs[job.id]

    def _restored(self, record: RunRecord) -> Job | None:
        job = super()._restored(record)
        if isinstance(job, RemoteJob):
            self._lets_ask(job)
        return job

    def _lets_ask(self, job: RemoteJob) -> None:
        job.ask = lambda what, *arguments: self._ask(job, what, *arguments)

    def _counts(self, job: Job) -> bool:
        return not job.elsewhere and (job.owner in self._followers or job.owner == self.owner)

    # Commands

    def _enter(self, job: Job) -> None:
        assert isinstance(job, RemoteJob)
        self._followers.tell(job, "begin", job.order())

    def _command(self, name: str, run_id: str, *arguments: Any, **named: Any) -> None:
        job = self.get(run_id)
        if job is None or not job.active:
            return
        rests = job.state is State.PAUSED and isinstance(job, RemoteJob) and not job.built
        if name in ("resume", "step") and rests and not job.sweep:  # or else it counts already
            self.check_limits(job.visitor, job.limits, besides=run_id)
        self._followers.tell(job, "command", name, run_id, *arguments, **named)

    def pause(self, run_id: str) -> None:
        self._command("pause", run_id)

    def resume(self, run_id: str, *, until: int | None = None) -> None:
        self._command("resume", run_id, until=until)

    def step(self, run_id: str) -> None:
        self._command("step", run_id)

    def stop(self, run_id: str, by: str = "") -> None:
        self._command("stop", run_id, by)

    def set_live(self, run_id: str, **values: float) -> None:
        self._command("set_live", run_id, **values)

    def set_speed(self, run_id: str, speed: Speed) -> None:
        self._command("set_speed", run_id, speed)

    def compute(self, function: Callable[[*Arguments], Found], *arguments: *Arguments) -> Found:
        result: Found = self._followers.least_busy().link.call("compute", function, arguments)
        return result

    def compute_everywhere(self, function: Callable[[*Arguments], object], *arguments: *Arguments) -> None:
        self._followers.compute_everywhere(function, *arguments)

    # A worker that has the latest of a run writes: its own record would come after this process's, and undo that.

    def rename(self, run_id: str, name: str) -> None:
        if not any(self._followers.ask_all("rename", run_id, name)):
            super().rename(run_id, name)

    def _put_away(self, run_id: str, when: float) -> None:
        if any(self._followers.ask_all("put_away", run_id, when)):
            self.show_away(run_id, when)
        else:
            super()._put_away(run_id, when)

    def take_up(self, run_id: str) -> Job:
        job = self.get(run_id)
        if job is None:
            raise ValueError(f"The run {shown(run_id)} is not in {self.store.name}: check the id.")
        self._followers.tell(job, "take_up", run_id)
        return self.get(run_id) or job

    # The whole

    def alive(self) -> bool:
        return any(self._followers.ask_all("alive"))

    def report(self) -> Report:
        reports: list[Report] = self._followers.ask_all("report")
        states = {state: sum(report.states.get(state, 0) for report in reports) for state in State}
        waiting = sum(report.waiting for report in reports)
        longest = max((report.longest_wait for report in reports), default=0.0)
        return Report(
            {str(state): count for state, count in states.items()}, waiting, longest, sum(r.steps for r in reports)
        )

    def leave(self) -> None:
        """End what this process does with the workers, and leave them to themselves."""
        self._followers.end()
        self.store.close()

    def shutdown(self) -> None:
        self._followers.end()
        self._fleet.close()
        self.store.close()
