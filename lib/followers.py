"""The workers that train for this process: a thread that listens to each, which one a run is given to, and who goes on with what
one had that has gone away."""

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lib import memory
from lib.clearing import Clearing
from lib.fleet import ApartError, Fleet, Link
from lib.job import Job, State
from lib.jobs import CLEAR_EVERY, TIDY_EVERY
from lib.pace import Speed
from lib.records import RunRecord
from lib.remote_job import RemoteJob
from lib.store import COMMAND_LINE
from lib.worker import WorkerGoneError

if TYPE_CHECKING:
    from lib.remote_jobs import RemoteJobs

LOG = logging.getLogger(__name__)
NOTICE = "What trained it went away at step {step:,}; it goes on from its last checkpoint."
BUSY_SECONDS, IDLE_SECONDS = 0.1, 0.5  # between two questions for news
TEND_SECONDS = 5.0
PATIENCE_SECONDS = 15.0  # that somebody who presses a button waits for a worker to be replaced
LEAVE_SECONDS = 2.0  # that a question which is under way may take while this process ends


class Follower:
    """One worker, as this process knows it: a thread of its own asks it for news."""

    def __init__(self, link: Link, all_of_them: "Followers") -> None:
        self.link, self.owner = link, str(link.call("owner"))
        self._all, self._jobs, self._name = all_of_them, all_of_them.jobs, secrets.token_hex(8)
        if not self._jobs.store.is_alive(self.owner) and not link.call(
            "trouble"
        ):  # or else it could not claim its name
            raise ApartError(
                f"The worker on {link.name} keeps its runs elsewhere than this server: have all of them use one database, "
                "by UNROLLED_STORE."
            )
        self.trouble = ""
        self._asking, self._asked_at = threading.Lock(), 0.0  # when the last question began that was answered
        self.thread = threading.Thread(target=self._loop, name="news", daemon=True)
        self.ask()
        self.thread.start()

    def ask(self) -> None:
        """Take in all news that there is by now. Of those who ask at the same time one asks for all."""
        came = time.monotonic()
        with self._asking:
            if self._asked_at > came:
                return
            began = time.monotonic()
            news, gone, self.trouble = self.link.call("news", self._name, self._jobs.watched())
            self._jobs.take(self, news, gone)
            self._asked_at = began

    def _loop(self) -> None:
        while not self._all.closed.wait(BUSY_SECONDS if self._jobs.is_busy(self.owner) else IDLE_SECONDS):
            try:
                self.ask()
            except WorkerGoneError:
                if not self._all.closed.is_set():
                    self._all.replace(self)
                return
            except Exception:
                LOG.exception("news of a worker cannot be read")


class Followers:
    """All of them. Each is known by its `owner`, the name that its worker's runs bear in the store."""

    def __init__(self, fleet: Fleet, jobs: "RemoteJobs", clearing: Clearing) -> None:
        self.jobs, self._fleet, self._clearing = jobs, fleet, clearing
        self.closed = threading.Event()
        self._by_owner: dict[str, Follower] = {}
        self._everywhere: list[tuple[Callable[..., object], tuple[Any, ...]]] = []  # what was computed on every worker
        self._gathering = threading.Lock()
        self._moving: set[str] = set()  # runs whose worker has gone, until another one has them

    def begin(self) -> None:
        """Follow all workers, now and later. Raises what kept it from the last one where there is none."""
        self.gather()
        if self._fleet.outlives:
            self._take_up_orphans()
        self._tending = threading.Thread(target=self._tend, name="tend", daemon=True)
        self._tending.start()

    def end(self) -> None:
        """Follow none any more."""
        self.closed.set()
        until = time.monotonic() + LEAVE_SECONDS
        for thread in (self._tending, *(follower.thread for follower in self)):
            thread.join(max(0.0, until - time.monotonic()))

    def __iter__(self) -> Iterator[Follower]:
        return iter(list(self._by_owner.values()))

    def __len__(self) -> int:
        return len(self._by_owner)

    def __contains__(self, owner: str) -> bool:
        return owner in self._by_owner

    def get(self, owner: str) -> Follower | None:
        """The one with that name, if it is still there."""
        return self._by_owner.get(owner)

    # Which one it goes to

    def least_busy(self, among: list[Follower] | None = None, visitor: str = "") -> Follower:
        """Of these workers, or else of all, one that has the fewest of a person's runs for each core, and then the fewest of all.

        Raises WorkerGoneError where there is none.
        """
        among = among or list(self)
        if not among:
            raise WorkerGoneError("No training process can be reached just now: try again in a moment.")
        active = [other for other in self.jobs.in_memory().values() if other.active]
        loads = Counter(other.owner for other in active)
        own = Counter(other.owner for other in active if other.visitor == visitor)

        def load(follower: Follower) -> tuple[float, float]:
            cores = max(1.0, follower.link.cores)
            return own[follower.owner] / cores, loads[follower.owner] / cores

        return min(among, key=load)

    def _place(self, job: Job | RunRecord) -> Follower:
        """The worker that a run is given to: one with a GPU where the run asks for that and there is one, else one without."""
        wants = isinstance(job, Job) and bool(getattr(job.config, "wants_gpu", False))
        return self.least_busy([follower for follower in self if (follower.link.gpus > 0) == wants], job.visitor)

    def tell(self, job: Job | RunRecord, name: str, *arguments: Any, **named: Any) -> None:
        """Tell something to the worker that has a run, or is to have it. One that has just gone is waited for to be replaced."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if job.id in self._moving:  # or else the other worker would have it paused, for all to see
                    raise WorkerGoneError("The run is on its way to another worker.")
                follower = self.get(job.owner) or self._place(job)
                if isinstance(job, RemoteJob) and not job.told:
                    job.owner = follower.owner  # it counts there from now on
                follower.link.call(name, *arguments, **named)
                follower.ask()
                return
            except WorkerGoneError:
                if time.monotonic() > until:
                    raise
                time.sleep(BUSY_SECONDS)

    # All of them

    def ask_all(self, name: str, *arguments: Any, **named: Any) -> list[Any]:
        """What those workers answer that can be reached."""
        found = []
        for follower in self:
            with suppress(WorkerGoneError):
                found.append(follower.link.call(name, *arguments, **named))
        return found

    def compute_everywhere(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have all compute something, and those that come later too."""
        self._everywhere.append((function, arguments))

        def tell(follower: Follower) -> None:
            with suppress(WorkerGoneError):  # the one that comes in its place catches up
                follower.link.call("compute", function, arguments)

        with ThreadPoolExecutor(max(1, len(self))) as pool:
            list(pool.map(tell, self))

    # Workers that come and go

    def gather(self) -> None:
        """Follow all workers that there are. Raises what kept it from the last one where there is none."""
        with self._gathering:
            known, failed = [follower.link for follower in self], None
            for link in self._fleet.links():
                if link in known or self.closed.is_set():
                    continue
                try:
                    follower = Follower(link, self)
                    self._by_owner = {**self._by_owner, follower.owner: follower}
                    threading.Thread(target=self._catch_up, args=(follower,), name="catch up", daemon=True).start()
                except Exception as error:
                    LOG.error("the worker on %s cannot be used: %s", link.name, error)
                    failed = error
            if failed is not None and not self._by_owner:
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

    def _tend(self) -> None:
        """What is to be done now and then. A fleet that outlives this process has no worker that looks after all of the store."""
        tidied = cleared = time.monotonic()
        while not self.closed.wait(TEND_SECONDS):
            now = time.monotonic()
            try:
                if now - tidied > TIDY_EVERY:
                    tidied = now
                    memory.release()
                if self._fleet.outlives:
                    self.gather()
                    self._take_up_orphans()
                if self._fleet.outlives and now - cleared > CLEAR_EVERY:
                    cleared = now
                    self.jobs.store.clear(time.time(), self._clearing)
            except Exception:  # tried again the next time
                LOG.exception("the workers cannot be tended")

    def _take_up_orphans(self) -> None:
        """Have runs go on whose process has ended while nobody was there to see it."""
        going = (State.RUNNING, State.QUEUED, State.COMPILING)
        for record in self.jobs.store.unfinished():
            left = record.owner and record.visitor != COMMAND_LINE and State(record.state) in going
            if left and record.owner not in self and not self.jobs.store.is_alive(record.owner):
                notice = NOTICE.format(step=record.step)
                self._place(record).link.call("take_over", record.id, None, True, notice)

    def replace(self, lost: Follower) -> None:
        """Have others go on with what a worker had."""
        LOG.error("the worker on %s has gone; its runs go on elsewhere", lost.link.name)
        with self.jobs.changed:
            mine = self.jobs.left_by(lost.owner)
            left = [(job.id, job.step, job.pace.speed, _goes_on(job)) for job in mine]
            self._moving |= {job.id for job in mine}
        with self._gathering:
            self._by_owner = {owner: follower for owner, follower in self._by_owner.items() if follower is not lost}
        while not self.closed.is_set():
            try:
                self.gather()
                while left:
                    self._move(*left[-1])
                    left.pop()
                return
            except Exception:  # no worker can be begun just now, or this one went too
                LOG.exception("runs wait for a worker")
                self.closed.wait(1.0)

    def _move(self, run_id: str, step: int, speed: Speed, goes_on: bool) -> None:
        """Have another worker go on with a job."""
        job = self.jobs.in_memory().get(run_id)
        if job is not None and job.owner not in self:  # or else it was out of reach for a moment only
            follower = self._place(job)
            follower.link.call("take_over", run_id, speed, goes_on, NOTICE.format(step=step))
            follower.ask()
        with self.jobs.changed:
            self._moving.discard(run_id)


def _goes_on(job: Job) -> bool:
    """Whether a job trains, or will as soon as it can."""
    return (
        job.state if job.state is not State.QUEUED and job.state is not State.COMPILING else job.target
    ) is State.RUNNING
