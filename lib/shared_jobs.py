"""Runs of a store that several processes share: whose each one is, how it changes hands, and how what another process trains is
followed. Nothing here is called with the lock held, unless it says so.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lib.job import ACTIVE, Job, State
from lib.known_jobs import KnownJobs
from lib.limits import Limits
from lib.records import RunRecord
from lib.settings import Config
from lib.store import COMMAND_LINE, Store
from lib.stream import MetricStream
from lib.values import shown

LOG = logging.getLogger(__name__)

FOLLOW_EVERY = 1.0  # seconds
FOLLOWED_SECONDS = 60.0  # that a run of another process is followed after somebody has looked at it


class SharedJobs(KnownJobs):
    """Jobs of which some are this process's own, and others another's, or nobody's."""

    def __init__(self, store: Store | Path | str, config_of: Callable[[str], type[Config]], limits: Limits) -> None:
        super().__init__(store, config_of, limits)
        self._taking = threading.Lock()  # while a run changes hands
        self._closed = threading.Event()

    def _new(self, *about: Any, **more: Any) -> Job:
        job = super()._new(*about, **more)
        job.owner = self.owner
        return job

    def _counts(self, job: Job) -> bool:  # with the lock held
        return job.owner == self.owner

    def get(self, run_id: str) -> Job | None:
        with self.changed:
            if (job := self._jobs.get(run_id)) is not None:
                job.touch()
        if job is None and (record := self.store.load(run_id)) is not None:
            restored = self._restored(record)  # without the lock, which every turn needs
            with self.changed:
                if restored is not None:
                    job = self._jobs.setdefault(run_id, restored)
                    self.forget_oldest()
        return job if job is not None and not job.deleted else None

    @contextmanager
    def _active(self, run_id: str) -> Iterator[Job | None]:
        """An active job of this process, or one that becomes so. The lock is held in here, but not while the store is asked."""
        job = self.get(run_id)
        mine = job is not None and job.active and self._takes(job)
        with self.changed:
            yield job if mine and job is not None and job.active and not job.ending else None

    def _adopt_unfinished(self) -> None:
        """Runs that a server before this one did not finish wait, paused, for their visitor."""
        for record in self.store.unfinished():
            if record.owner and self.store.is_alive(record.owner):
                continue
            job = self._restored(record)
            if job is None:
                continue
            job.owner = ""  # nobody's, until somebody lets it go on: this server, or a command line
            if job.active:  # or else it was killed just before its record was written
                ended = "Its process has ended" if record.visitor == COMMAND_LINE else "The server was restarted"
                job.message = f"{ended} at step {job.step:,}. Resume goes on from there."
            self.store.save(job.record())

    def _takes(self, job: Job) -> bool:
        """Whether a run is this process's own, or becomes so now because no process has it."""
        if job.owner == self.owner:
            return True
        with self._taking:
            if job.owner == self.owner:  # somebody was quicker
                return True
            record = self.store.load(job.id)
            if record is not None and record.owner != job.owner:
                self._renew(job, record)
            if job.elsewhere or not job.active or not self.store.take(job.id, job.owner, self.owner):
                return False
            with self.changed:
                job.owner = self.owner
                job.version += 1
            return True

    def _restored(self, record: RunRecord) -> Job | None:
        job = super()._restored(record)
        if job is None:
            return None
        if job.checkpoint is not None:
            job.step = int(job.checkpoint["step"])
        elif job.step:
            job.step, job.stream, job.diary, job.changes = 0, MetricStream(job.stream.capacity), [], []
        job.target = State.PAUSED
        if job.active and record.owner != self.owner:
            job.elsewhere = self.store.is_alive(record.owner)
            if not job.elsewhere:
                job.state = State.PAUSED
                if record.owner:
                    job.message = f"Its process has ended, at step {job.step:,}."
        return job

    def _renew(self, job: Job, record: RunRecord) -> None:
        """Read a run from the store again, which has all of it when another process has ended it or left it."""
        stored = self._restored(record)
        with self.changed:
            if stored is None:
                self._jobs.pop(job.id, None)
                return
            job.renew(stored)
            self._jobs[job.id] = job

    def take_up(self, run_id: str) -> Job:
        job = self.get(run_id)
        if job is None:
            raise ValueError(f"The run {shown(run_id)} is not in {self.store.name}: check the id.")
        if not job.active:
            raise ValueError(f"The run {shown(run_id)} has ended ({job.state}): start a new one.")
        if not self._takes(job):
            raise ValueError(f"The run {shown(run_id)} is being trained by another process: stop that first.")
        return job

    def _follow_loop(self) -> None:
        """Keep what is known of other processes' runs up to date, and notice when one takes up a run that was left.

        They are forgotten when nobody looks at them any more.
        """
        while not self._closed.wait(FOLLOW_EVERY):
            since = time.monotonic() - FOLLOWED_SECONDS
            with self.changed:
                others = [job for job in self._jobs.values() if job.active and job.owner != self.owner]
                for job in [job for job in others if job.seen_at < since]:
                    del self._jobs[job.id]
            try:
                owners = self.store.owners() if others else {}
                for job in others:
                    if job.seen_at >= since and (job.elsewhere or owners.get(job.id, job.owner) != job.owner):
                        self._follow(job)
            except Exception:  # a full disk, say: tried again at the next look
                LOG.exception("the runs of other processes cannot be followed")

    def _follow(self, job: Job) -> None:
        with self._taking:
            alive, record = self.store.is_alive(job.owner), self.store.load(job.id)
            if record is None or job.owner == self.owner:
                return
            if not (alive and record.owner == job.owner and record.state in ACTIVE):
                self._renew(job, record)
                return
            stream = self.store.published(job.id)
            with self.changed:
                job.follow(record, MetricStream.from_arrays(stream) if stream else job.stream)
