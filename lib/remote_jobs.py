"""Jobs that other processes train: a mirror of each, kept up to date, and commands that go to whoever has it.

A worker (lib.worker) tells several times a second what is new. What has ended, or rests, is read from the store. When a worker
goes away its jobs go on with another, from their last checkpoint.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from lib import memory
from lib.clearing import Clearing
from lib.fleet import BUSY_SECONDS, Fleet, Follower
from lib.job import ACTIVE, Job, State, weights_in
from lib.jobs import CLEAR_EVERY, NO_CLEARING, TIDY_EVERY
from lib.known_jobs import KEPT_IN_MEMORY, NO_LIMITS, Arguments, Found, KnownJobs, Report, Span
from lib.limits import Limits
from lib.pace import Speed
from lib.records import RunRecord
from lib.remote_job import News, RemoteJob
from lib.settings import Config
from lib.store import COMMAND_LINE, Store
from lib.values import shown
from lib.worker import WorkerGoneError

LOG = logging.getLogger(__name__)
NOTICE = "What trained it went away at step {step:,}; it goes on from its last checkpoint."
TEND_SECONDS = 5.0
PATIENCE_SECONDS = 15.0  # that somebody who presses a button waits for a worker to be replaced
LEAVE_SECONDS = 2.0  # that a question which is under way may take while this process ends
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
        self.closed = threading.Event()
        self._followers: dict[str, Follower] = {}
        self._everywhere: list[tuple[Callable[..., object], tuple[Any, ...]]] = []  # what was computed on every worker
        self._gathering = threading.Lock()
        self._moving: set[str] = set()  # runs whose worker has gone, until another one has them
        self._clearing = clearing
        self._gather()
        if fleet.outlives:
            self._take_up_orphans()
        self._tending = threading.Thread(target=self._tend_loop, name="tend", daemon=True)
        self._tending.start()

    def _gather(self) -> None:
        """Follow all workers that there are. Raises what kept it from the last one where there is none."""
        with self._gathering:
            known, failed = [follower.link for follower in self._followers.values()], None
            for link in self._fleet.links():
                if link in known or self.closed.is_set():
                    continue
                try:
                    follower = Follower(link, self)
                    self._followers = {**self._followers, follower.owner: follower}
                    threading.Thread(target=self._catch_up, args=(follower,), name="catch up", daemon=True).start()
                except Exception as error:
                    LOG.error("the worker on %s cannot be used: %s", link.name, error)
                    failed = error
            if failed is not None and not self._followers:
                raise failed

    def _catch_up(self, follower: Follower) -> None:
        """Have a worker that begins later compute what all others did."""
        for function, arguments in list(self._everywhere):
            try:
                follower.link.call("compute", function, arguments)
            except WorkerGoneError:  # the next one catches up
                return
            except Exception:
                LOG.exception("the worker on %s could not catch up", follower.link.name)

    # Workers that go on without this process, and others that come

    def _tend_loop(self) -> None:
        """What is to be done now and then. A fleet that outlives this process has no worker that looks after all of the store."""
        tidied = cleared = time.monotonic()
        while not self.closed.wait(TEND_SECONDS):
            now = time.monotonic()
            try:
                if now - tidied > TIDY_EVERY:
                    tidied = now
                    memory.release()
                if self._fleet.outlives:
                    self._gather()
                    self._take_up_orphans()
                if self._fleet.outlives and now - cleared > CLEAR_EVERY:
                    cleared = now
                    self.store.clear(time.time(), self._clearing)
            except Exception:  # the next time may be luckier
                LOG.exception("the workers cannot be tended")

    def _take_up_orphans(self) -> None:
        """Have runs go on whose process has ended while nobody was there to see it."""
        going = (State.RUNNING, State.QUEUED, State.COMPILING)
        for record in self.store.unfinished():
            left = record.owner and record.visitor != COMMAND_LINE and State(record.state) in going
            if left and record.owner not in self._followers and not self.store.is_alive(record.owner):
                notice = NOTICE.format(step=record.step)
                self._place(record).link.call("take_over", record.id, None, True, notice)

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
        return next((follower.trouble for follower in self._followers.values() if follower.trouble), self.store.trouble)

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
        found = sorted(chain(found, *self._ask_all(name, *arguments, **named)), key=lambda record: record.updated)
        newest = {record.id: record for record in found}
        with self.changed:
            away = {job.id for job in self._jobs.values() if job.deleted}  # as a worker has noted that cannot write it
        left = [record for run_id, record in newest.items() if run_id not in away]
        left.sort(key=lambda record: record.created, reverse=True)
        return left if limit < 0 else left[:limit]

    def _ask_all(self, name: str, *arguments: Any, **named: Any) -> list[Any]:
        """What those workers answer that can be reached."""
        found = []
        for follower in self._followers.values():
            with suppress(WorkerGoneError):
                found.append(follower.link.call(name, *arguments, **named))
        return found

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
            for follower in self._followers.values():  # whose memory may have what is not on the disk
                with suppress(WorkerGoneError):
                    follower.link.call("open", run_id)
                    follower.ask()
        elif record is not None and State(record.state) in ACTIVE:
            with suppress(WorkerGoneError):
                self._tell(record, "open", run_id)
        with self.changed:
            if run_id in self._jobs or record is None:
                return self._jobs.get(run_id)
        job = self._restored(record)  # nobody waits for the lock while that is read
        with self.changed:
            if job is not None and not job.active:
                self._jobs.setdefault(run_id, job)
                self._forget_oldest()
            return self._jobs.get(run_id, job)

    def _forget_oldest(self) -> None:
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

    def _place(self, job: Job | RunRecord) -> Follower:
        """The worker that a run is given to: one with a GPU where the run asks for that and there is one, else one without."""
        wants = isinstance(job, Job) and bool(getattr(job.config, "wants_gpu", False))
        fitting = [follower for follower in self._followers.values() if (follower.link.gpus > 0) == wants]
        return self._least_busy(fitting, job.visitor)

    def _least_busy(self, among: list[Follower], visitor: str = "") -> Follower:
        """Of these workers, or else of all, one that has the fewest of a person's runs for each core, and then the fewest of all.

        Raises WorkerGoneError where there is none.
        """
        among = among or list(self._followers.values())
        if not among:
            raise WorkerGoneError("No training process can be reached just now: try again in a moment.")
        with self.changed:
            active = [other for other in self._jobs.values() if other.active]
        loads = Counter(other.owner for other in active)
        own = Counter(other.owner for other in active if other.visitor == visitor)

        def load(follower: Follower) -> tuple[float, float]:
            cores = max(1.0, follower.link.cores)
            return own[follower.owner] / cores, loads[follower.owner] / cores

        return min(among, key=load)

    def _enter(self, job: Job) -> None:
        assert isinstance(job, RemoteJob)
        self._tell(job, "begin", job.order())

    def _tell(self, job: Job | RunRecord, name: str, *arguments: Any, **named: Any) -> None:
        """Tell something to the worker that has a run, or is to have it. One that has just gone is waited for to be replaced."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if job.id in self._moving:  # or else the other worker would have it paused, for all to see
                    raise WorkerGoneError("The run is on its way to another worker.")
                follower = self._followers.get(job.owner) or self._place(job)
                if isinstance(job, RemoteJob) and not job.told:
                    job.owner = follower.owner  # it counts there from now on
                follower.link.call(name, *arguments, **named)
                follower.ask()
                return
            except WorkerGoneError:
                if time.monotonic() > until:
                    raise
                time.sleep(BUSY_SECONDS)

    def _command(self, name: str, run_id: str, *arguments: Any, **named: Any) -> None:
        job = self.get(run_id)
        if job is None or not job.active:
            return
        rests = job.state is State.PAUSED and isinstance(job, RemoteJob) and not job.built
        if name in ("resume", "step") and rests and not job.sweep:  # or else it counts already
            self.check_limits(job.visitor, job.limits, besides=run_id)
        self._tell(job, "command", name, run_id, *arguments, **named)

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
        result: Found = self._least_busy([]).link.call("compute", function, arguments)
        return result

    def compute_everywhere(self, function: Callable[[*Arguments], object], *arguments: *Arguments) -> None:
        self._everywhere.append((function, arguments))

        def tell(follower: Follower) -> None:
            with suppress(WorkerGoneError):  # the one that comes in its place catches up
                follower.link.call("compute", function, arguments)

        followers = list(self._followers.values())
        with ThreadPoolExecutor(max(1, len(followers))) as pool:
            list(pool.map(tell, followers))

    # A worker that has the latest of a run writes: its own record would come after this process's, and undo that.

    def rename(self, run_id: str, name: str) -> None:
        if not any(self._ask_all("rename", run_id, name)):
            super().rename(run_id, name)

    def _put_away(self, run_id: str, when: float) -> None:
        if any(self._ask_all("put_away", run_id, when)):
            self.show_away(run_id, when)
        else:
            super()._put_away(run_id, when)

    def take_up(self, run_id: str) -> Job:
        job = self.get(run_id)
        if job is None:
            raise ValueError(f"The run {shown(run_id)} is not in {self.store.name}: check the id.")
        self._tell(job, "take_up", run_id)
        return self.get(run_id) or job

    # Workers that go away

    def replace(self, lost: Follower) -> None:
        """Have others go on with what a worker had."""
        LOG.error("the worker on %s has gone; its runs go on elsewhere", lost.link.name)
        with self.changed:
            mine = [job for job in self._jobs.values() if job.owner == lost.owner and job.active]
            left = [(job.id, job.step, job.pace.speed, _goes_on(job)) for job in mine]
            self._moving |= {job.id for job in mine}
            for job in [job for job in self._jobs.values() if job.owner == lost.owner and not job.active]:
                del self._jobs[job.id]
        with self._gathering:
            self._followers = {owner: follower for owner, follower in self._followers.items() if follower is not lost}
        while not self.closed.is_set():
            try:
                self._gather()
                while left:
                    self._move(*left[-1])
                    left.pop()
                return
            except Exception:  # no worker can be begun just now, or this one went too
                LOG.exception("runs wait for a worker")
                self.closed.wait(1.0)

    def _move(self, run_id: str, step: int, speed: Speed, goes_on: bool) -> None:
        """Have another worker go on with a job."""
        with self.changed:
            job = self._jobs.get(run_id)
        if job is not None and job.owner not in self._followers:  # or else it was out of reach for a moment only
            follower = self._place(job)
            follower.link.call("take_over", run_id, speed, goes_on, NOTICE.format(step=step))
            follower.ask()
        with self.changed:
            self._moving.discard(run_id)

    # The whole

    def alive(self) -> bool:
        return any(self._ask_all("alive"))

    def report(self) -> Report:
        reports: list[Report] = self._ask_all("report")
        states = {state: sum(report.states.get(state, 0) for report in reports) for state in State}
        waiting = sum(report.waiting for report in reports)
        longest = max((report.longest_wait for report in reports), default=0.0)
        return Report(
            {str(state): count for state, count in states.items()}, waiting, longest, sum(r.steps for r in reports)
        )

    def leave(self) -> None:
        """End what this process does with the workers, and leave them to themselves."""
        self._end_threads()
        self.store.close()

    def shutdown(self) -> None:
        self._end_threads()
        self._fleet.close()
        self.store.close()

    def _end_threads(self) -> None:
        self.closed.set()
        until = time.monotonic() + LEAVE_SECONDS
        for thread in (self._tending, *(follower.thread for follower in self._followers.values())):
            thread.join(max(0.0, until - time.monotonic()))


def _goes_on(job: Job) -> bool:
    """Whether a job trains, or will as soon as it can."""
    return (
        job.state if job.state is not State.QUEUED and job.state is not State.COMPILING else job.target
    ) is State.RUNNING
