"""Background training: a few compile threads, a few training threads, and fair turns for everybody (lib.turns).

Whatever touches a job's engine or carry happens in the one thread that has the job's turn (`busy`). The commands (pause,
stop, …) only set what is wanted, under the lock, and take effect after the chunk that is under way. A job is shown as
ended only when that is written, so that no crash takes back what somebody has seen.
"""

import dataclasses
import logging
import os
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lib import chunk
from lib.clearing import Clearing
from lib.job import ACTIVE, Job, State, weights_in
from lib.limits import Limits
from lib.pace import Speed
from lib.records import RunRecord
from lib.safe_store import SafeStore
from lib.settings import Config, SettingError, replace, settings_of
from lib.store import COMMAND_LINE, Store
from lib.stream import CAPACITY, MetricStream
from lib.trainer import GoneError, Trainer
from lib.turns import Turns
from lib.values import shown

LOG = logging.getLogger(__name__)

KEPT_IN_MEMORY = 16  # ended jobs
FOLLOW_EVERY, CLEAR_EVERY = 1.0, 300.0  # seconds
STOPPING = "Stopping after the step that is under way."
STOP_SECONDS = 1.0  # that Stop waits for it
END_SECONDS = 2.0  # that the process's end waits for threads
SAVING_AT_ONCE = 4  # at the process's end
COMPILING_AT_ONCE = 2  # of visitors; and one of sweeps


NO_LIMITS, NO_CLEARING = Limits(), Clearing()


class Report(NamedTuple):
    """How things stand at a moment: jobs in memory by state, and seconds that the one has waited that waits longest."""

    states: dict[str, int]
    waiting: int  # for a turn that is due, or for being compiled
    longest_wait: float
    steps: int  # trained since this began


class Jobs:
    """All jobs of the process. Every method may be called from any thread; a command that makes no sense does nothing."""

    def __init__(
        self,
        store: Store | Path,
        workers: int | None = None,
        *,
        build: Callable[[str, Config], Any],
        config_of: Callable[[str], type[Config]],
        publishes: bool = False,
        limits: Limits = NO_LIMITS,
        clearing: Clearing = NO_CLEARING,
    ) -> None:
        """The jobs of a store that is open, or of a data folder, which may be one that cannot be used (see lib.safe_store).

        With `publishes` it is one of several on the folder: it takes up no other's runs, and tells how its own go on.
        """
        self.store = SafeStore(store)
        self._owner = self.store.claim()
        self._build, self._config_of, self._limits, self._clearing = build, config_of, limits, clearing
        # The limits for a run of a visitor, or a LimitError where they may not begin it at all: a room has rules of its own.
        self.permit: Callable[[str, str, Config], Limits] = lambda visitor, slug, config: limits
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self.sweeps: dict[str, str] = {}  # the sweeps that are under way, and whose they are
        self._turns = Turns()
        self._compilations = {False: Turns(), True: Turns()}  # of visitors, of sweeps
        self._changed = threading.Condition(threading.RLock())
        self._trainer = Trainer(self.store, self._changed, self._steps_due, publishes=publishes)
        self._closing, self._closed = False, threading.Event()
        if not publishes:
            self.store.clear(time.time(), clearing)
            with self._changed:
                self._adopt_unfinished()
        self._workers = workers or max(1, (os.cpu_count() or 2) // 2)
        self._devices: set[str] = set()
        lanes = [*[False] * COMPILING_AT_ONCE, True]
        compiling = [
            (f"compile-{i}", partial(self._compile_loop, self._compilations[lane])) for i, lane in enumerate(lanes)
        ]
        training: list[Any] = [(f"train-{i}", self._train_loop) for i in range(self._workers)]
        loops = [*compiling, *training, ("follow", self._follow_loop)]
        if not publishes:
            loops.append(("clear", self._clear_loop))
        self._threads = [threading.Thread(target=loop, name=name, daemon=True) for name, loop in loops]
        for thread in self._threads:
            thread.start()

    def _adopt_unfinished(self) -> None:
        """Runs that a server before this one did not finish wait, paused, for their visitor."""
        for record in self.store.unfinished():
            job = self._restore(record)
            if job is None or job.elsewhere:
                continue
            job.owner = ""  # nobody's, until somebody lets it go on: this server, or a command line
            if job.active:  # or else it was killed just before its record was written
                ended = "Its process has ended" if record.visitor == COMMAND_LINE else "The server was restarted"
                job.message = f"{ended} at step {job.step:,}. Resume goes on from there."
            self.store.save(job.record())

    # Commands

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
        job = Job(slug, config, visitor, run_id=run_id, sweep=sweep)
        job.stream = MetricStream(points)
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
        job = Job(parent.slug, config, visitor, origin=(run_id, kept), start=start)
        return self._begin(job, paused, speed)

    def _begin(self, job: Job, paused: bool, speed: Speed, instead_of: str = "") -> Job:
        job.pace.speed, job.owner = speed, self._owner
        # Of a sweep the limits were checked for all of it.
        job.limits = Limits() if job.sweep else self.permit(job.visitor, job.slug, job.config)
        job.target = State.PAUSED if paused or speed == 0 else State.RUNNING
        with self._changed:
            job.limits.check_steps(job.steps)
            if not job.sweep and instead_of not in self._under_way():
                self.check_limits(job.visitor, job.limits)
            self._jobs[job.id] = job  # it counts from now on
        if instead_of:
            self.stop(instead_of)
        self.store.save(job.record(), job.arrays() if job.start else None)
        if not job.sweep:
            self.store.prune(job.visitor, job.slug)
        with self._changed:
            if job.state is State.QUEUED and not job.ending:  # or else somebody was quick to stop it
                self._queue_compilation(job)
        return job

    def check_limits(self, visitor: str, limits: Limits | None = None, *, steps: int = 0, besides: str = "") -> None:
        """Raises LimitError where one run or sweep more of this visitor's, of so many `steps` each, is too many.

        The run `besides` does not count.
        """
        limits = limits or self._limits
        with self._changed:
            whose = [person for run_id, person in self._under_way().items() if run_id != besides]
        limits.check_steps(steps)
        limits.check(whose.count(visitor), len(whose))

    def _under_way(self) -> dict[str, str]:
        """The runs and sweeps of this process that have not ended, and whose they are."""
        mine = (job for job in self._jobs.values() if job.owner == self._owner and job.active and not job.ending)
        return {job.sweep or job.id: job.visitor for job in mine} | self.sweeps

    def get(self, run_id: str) -> Job | None:
        """The job with this id, from memory or from the store; None when it was deleted."""
        with self._changed:
            job = self._jobs.get(run_id)
            if job is None and (record := self.store.load(run_id)) is not None:
                job = self._restore(record)
            if job is None or job.deleted:
                return None
            job.touch()
            return job

    def weights(self, job: Job) -> Mapping[str, np.ndarray] | None:
        """A job's networks as they are now, or, where another process trains it, as that has saved them last."""
        return weights_in(self.store.arrays(job.id)) if job.elsewhere else job.weights()

    def pause(self, run_id: str) -> None:
        """Hold it after the chunk that is under way."""
        with self._changed:
            job = self._active(run_id)
            if job is not None and job.target is State.RUNNING:
                job.target = State.PAUSED
                if job.state is State.RUNNING:
                    job.become(State.PAUSED)
                    self._settle_soon(job)

    def resume(self, run_id: str, *, until: int | None = None) -> None:
        """Let a paused job go on, to its end or until it is at a step. Raises LimitError for one that is not in memory."""
        with self._changed:
            job = self._active(run_id)
            if job is None or job.target is State.RUNNING:
                return
            self._admit(job)
            job.target = State.RUNNING
            job.hold_at = None if until is not None and until >= job.steps > 0 else until
            if job.pace.speed == 0:
                job.pace.speed = None
            if job.state is State.PAUSED:
                self._go_on(job, State.RUNNING)

    def step(self, run_id: str) -> None:
        """Train exactly one step of a paused job."""
        with self._changed:
            job = self._active(run_id)
            if job is not None and job.target is State.PAUSED:
                self._admit(job)
                job.single_steps += 1
                if job.state is State.PAUSED:
                    self._go_on(job, State.PAUSED)

    def stop(self, run_id: str) -> None:
        """End it. What it has learned and measured is kept. It has ended when this returns, unless its step takes long."""
        with self._changed:
            job = self._active(run_id)
            if job is None:
                return
            job.ending = (State.STOPPED, "")
            job.become(job.state, STOPPING)
            self._leave_queues(job)
            if job.busy:  # its thread ends it after the chunk
                self._changed.wait_for(lambda: not job.active or self._closing, STOP_SECONDS)
                return
            job.busy = True
        self._take_turn(job)

    def set_live(self, run_id: str, **values: float) -> None:
        """Change live settings of an active job; it takes effect with the next chunk. Raises SettingError."""
        with self._changed:
            job = self._active(run_id)
            if job is None:
                return
            checked = replace(job.config, **(job.live | values))
            for name in values:
                if not settings_of(type(job.config))[name].live:
                    raise ValueError(f"{name} is not a live setting: it needs a new network.")
                new = getattr(checked, name)
                if new != job.live[name]:
                    job.live[name] = new
                    job.version += 1

    def set_speed(self, run_id: str, speed: Speed) -> None:
        """Set the pace: steps per second, None for as fast as it goes, "ramp", or 0 to go one step at a time."""
        with self._changed:
            job = self._active(run_id)
            if job is None:
                return
            job.pace.speed = speed
            job.pace.begin()
            job.version += 1
            if speed == 0:
                self.pause(run_id)
            self._changed.notify_all()

    def rewind(self, run_id: str) -> Job | None:
        """A new job that waits at step 0 with the same initial weights and data, and the live settings of now.

        It stands for the old one, which is stopped. Raises LimitError.
        """
        with self._changed:
            job = self.get(run_id)
            if job is None:
                return None
            config = replace(job.config, **job.live)
            again, speed = Job(job.slug, config, job.visitor, origin=job.origin, start=job.start), job.pace.speed
        return self._begin(again, True, speed, run_id)

    def delete(self, run_id: str) -> None:
        """Stop a run and put it away; for a day `restore` brings it back."""
        self.stop(run_id)
        self._put_away(run_id, time.time())

    def restore(self, run_id: str) -> None:
        """Bring back a deleted run."""
        self._put_away(run_id, 0.0)

    def _put_away(self, run_id: str, when: float) -> None:
        self.store.put_away(run_id, when)
        with self._changed:
            if run_id in self._jobs:
                self._jobs[run_id].deleted = bool(when)

    def runs_of(self, visitor: str, slug: str | None, limit: int, *, cells: bool = False) -> list[RunRecord]:
        """The visitor's runs of a demo, or of all, the newest first, as they stand now (see `Store.runs_of`)."""
        return self.now(self.store.runs_of(visitor, slug, limit, cells=cells))

    def now(self, records: Sequence[RunRecord]) -> list[RunRecord]:
        """Records from the store as their runs stand now."""
        with self._changed:
            return [self._now(record) for record in records]

    def _now(self, record: RunRecord) -> RunRecord:
        job = self._jobs.get(record.id)
        return record if job is None else dataclasses.replace(job.record(), name=record.name)

    def curve(self, run_id: str, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The points of one of a run's series: steps [n] and values [n]."""
        job = self.get(run_id)
        return job.stream.curve(name) if job is not None else (np.zeros(0, np.int64), np.zeros(0, np.float32))

    def alive(self) -> bool:
        """Whether all threads are there that jobs need."""
        return all(thread.is_alive() for thread in self._threads)

    def report(self) -> Report:
        """How things stand now. A job that is held back by its own pace does not wait."""
        with self._changed:
            now = time.monotonic()
            turns = [now - max(job.waiting_since, job.pace.due) for job in self._turns]
            compiling = [
                now - job.waiting_since
                for lane in self._compilations.values()
                for job in lane
                if job.state is State.QUEUED
            ]
            waits = [seconds for seconds in (*turns, *compiling) if seconds > 0]
            states = Counter(str(job.state) for job in self._jobs.values())
            return Report(
                {state: states[state] for state in State}, len(waits), max(waits, default=0.0), self._trainer.steps
            )

    def shutdown(self) -> None:
        """End all threads after their chunk, and write every active job's checkpoint.

        What still trains or compiles after two seconds goes on to nobody's use until the process ends.
        """
        with self._changed:
            self._closing = True
            self._closed.set()
            self._changed.notify_all()
        deadline = time.monotonic() + END_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            self._trainer.gone = True
            left = [job for job in self._jobs.values() if job.active and job.owner == self._owner]
        with ThreadPoolExecutor(SAVING_AT_ONCE) as pool:
            list(pool.map(self._trainer.save_quietly, left))
        self.store.close()

    # Below, all is called with the lock held, unless it says that it has the job's turn.

    def _active(self, run_id: str) -> Job | None:
        job = self.get(run_id)
        return job if job is not None and job.active and not job.ending and self._takes(job) else None

    def _admit(self, job: Job) -> None:
        """Raises LimitError where a job that is to be built again would be one too many."""
        if job.state is State.PAUSED and job.engine is None and not job.sweep:
            self.check_limits(job.visitor, job.limits, besides=job.id)

    def _takes(self, job: Job) -> bool:
        """Whether a run is this process's own, or becomes so now because no process has it."""
        if job.owner == self._owner:
            return True
        record = self.store.load(job.id)
        if record is not None and record.owner != job.owner:
            self._renew(job, record)
        if job.elsewhere or not job.active or not self.store.take(job.id, job.owner, self._owner):
            return False
        job.owner = self._owner
        return True

    def _restore(self, record: RunRecord) -> Job | None:
        """A job from the store. A record whose settings are no longer valid is not shown."""
        try:
            config = self._config_of(record.slug)(**record.config)
            job = Job.restored(record, config, self.store.arrays(record.id))
        except (ValueError, LookupError, KeyError) as error:
            LOG.error("run %s cannot be restored: %s", record.id, error)
            return None
        if job.checkpoint is not None:
            job.step = int(job.checkpoint["step"])
        elif job.step:
            job.step, job.stream, job.diary, job.changes = 0, MetricStream(job.stream.capacity), [], []
        job.target = State.PAUSED
        job.owner, job.limits = record.owner, self._limits
        if job.active and record.owner != self._owner:
            job.elsewhere = self.store.is_alive(record.owner)
            if not job.elsewhere:
                job.state = State.PAUSED
                if record.owner:
                    job.message = f"Its process has ended, at step {job.step:,}."
        self._jobs[job.id] = job
        self._forget_oldest()
        self._changed.notify_all()
        return job

    def take_up(self, run_id: str) -> Job:
        """A run that another process has left, to go on with here. Raises ValueError when there is none, or it still goes on."""
        with self._changed:
            job = self.get(run_id)
            if job is None:
                raise ValueError(f"The run {shown(run_id)} is not in {self.store.folder}: check the id.")
            if not job.active:
                raise ValueError(f"The run {shown(run_id)} has ended ({job.state}): start a new one.")
            if not self._takes(job):
                raise ValueError(f"The run {shown(run_id)} is being trained by another process: stop that first.")
            return job

    # Runs of other processes

    def _follow_loop(self) -> None:
        """Keep what is known of other processes' runs up to date, and notice when one takes up a run that was left."""
        while not self._closing:
            with self._changed:
                others = [job for job in self._jobs.values() if job.active and job.owner != self._owner]
                if not others and not self._closing:
                    self._changed.wait()
            try:
                owners = self.store.owners() if others else {}
                for job in others:
                    if job.elsewhere or owners.get(job.id, job.owner) != job.owner:
                        self._follow(job)
            except Exception:  # a full disk, say: the next look may be luckier
                LOG.exception("the runs of other processes cannot be followed")
            if others:
                self._closed.wait(FOLLOW_EVERY)

    def _follow(self, job: Job) -> None:
        owner = job.owner
        alive, record = self.store.is_alive(owner), self.store.load(job.id)
        if record is None:
            return
        goes_on = alive and record.owner == owner and record.state in ACTIVE
        stream = self.store.published(job.id) if goes_on else {}
        with self._changed:
            if job.owner == self._owner:  # taken up meanwhile
                return
            if goes_on:
                job.follow(record, MetricStream.from_arrays(stream) if stream else job.stream)
            else:
                self._renew(job, record)

    def _renew(self, job: Job, record: RunRecord) -> None:
        """Read a run from the store again, which has all of it when another process has ended it or left it."""
        self._jobs.pop(job.id, None)
        if (stored := self._restore(record)) is not None:
            job.renew(stored)
            self._jobs[job.id] = job

    def _forget_oldest(self) -> None:
        """Jobs that have ended are dropped from memory, except the latest; the store has them."""
        ended = [job for job in self._jobs.values() if not (job.active or job.busy or job.unsettled)]
        for job in ended[:-KEPT_IN_MEMORY]:
            del self._jobs[job.id]

    def _clear_loop(self) -> None:
        while not self._closed.wait(CLEAR_EVERY):
            try:
                self._rest_idle(time.monotonic())
                self.store.clear(time.time(), self._clearing)
            except Exception:  # the next time may be luckier
                LOG.exception("what is to be cleared away stays")

    def _rest_idle(self, now: float) -> None:
        """Write the paused runs that nobody looks at, and drop them from memory (see lib.clearing)."""
        patience = self._clearing.idle_seconds
        with self._changed:
            idle = [job for job in self._jobs.values() if patience is not None and now - job.seen_at > patience]
            idle = [job for job in idle if self._rests(job)]
            for job in idle:
                job.busy = True
        for job in idle:
            saved = self._trainer.save_quietly(job)
            with self._changed:
                job.busy = False
                if self._rests(job) and now - job.seen_at > (patience or 0) and saved:
                    del self._jobs[job.id]
                elif self._needs_turn(job):  # somebody came just then
                    self._wait_for_turn(job)

    def _rests(self, job: Job) -> bool:
        """Whether nothing is to be done for a paused run. A sweep holds on to its cells."""
        rests = job.state is State.PAUSED and not (job.busy or job.waiting or self._needs_turn(job))
        return rests and not job.sweep and job.owner == self._owner

    def _needs_turn(self, job: Job) -> bool:
        going = job.state is State.RUNNING or (job.state is State.PAUSED and job.single_steps > 0)
        return job.active and (going or job.unsettled or job.ending is not None)

    def _queue_compilation(self, job: Job) -> None:
        job.become(State.QUEUED)
        lane = self._compilations[bool(job.sweep)]
        lane.add(job)
        _tell_places(lane)
        self._changed.notify_all()

    def _go_on(self, job: Job, state: State) -> None:
        """Give a paused job turns again; one that came from the store is built first."""
        if job.engine is None:
            self._queue_compilation(job)
            return
        job.become(state)
        if state is State.RUNNING:
            job.pace.begin_anew()
        self._wait_for_turn(job)

    def _settle_soon(self, job: Job) -> None:
        job.unsettled = True
        self._wait_for_turn(job)

    def _wait_for_turn(self, job: Job) -> None:
        if not job.waiting and not job.busy:
            job.waiting = True
            self._turns.add(job)
        self._changed.notify_all()

    def _leave_queues(self, job: Job) -> None:
        job.waiting = False
        self._turns.remove(job)
        lane = self._compilations[bool(job.sweep)]
        lane.remove(job)
        _tell_places(lane)

    # Compiling

    def _compile_loop(self, lane: Turns) -> None:
        """Compile one after the other; of one person only one at a time, so that nobody's long ones hold up all others."""
        while True:
            with self._changed:
                while not self._closing and (job := lane.take(one_each=True)) is None:
                    self._changed.wait()
                if self._closing:
                    return
                assert job is not None
                job.become(State.COMPILING)
                job.place = 0
                _tell_places(lane)
            began = time.monotonic()
            self._compile(job)
            with self._changed:
                lane.done(job, time.monotonic() - began)
                self._changed.notify_all()

    def _compile(self, job: Job) -> None:
        """Build the engine. Nobody else needs it meanwhile; a job that is stopped before it is there goes without."""
        try:
            engine = self._build(job.slug, job.config)
            job.limits.check_steps(engine.steps)
            engine.prepare()
            carry = engine.carry_from(job.checkpoint) if job.checkpoint else chunk.first(engine, job)
            error = None
        except Exception as caught:  # whatever a demo raises is shown on its page, and harms no other job
            error = caught
        with self._changed:
            if job.ending or not job.active or self._trainer.gone:
                return
            if error is not None:
                self._trainer.fail(job, error)
            else:
                job.engine, job.carry, job.checkpoint = engine, carry, None
                job.device, job.steps, job.steps_per_epoch = engine.device, engine.steps, engine.steps_per_epoch
                if not job.history.steps():
                    job.keep_network(carry)
                self._serve(getattr(engine, "device_name", ""))
                job.become(job.target)
                job.pace.begin_anew()
            self._settle_soon(job)

    def _serve(self, device: str) -> None:
        """Have a training thread for each device at least."""
        self._devices.add(device)
        if len(self._devices) > self._workers and not self._closing:
            self._workers += 1
            thread = threading.Thread(target=self._train_loop, name=f"train-{self._workers}", daemon=True)
            self._threads.append(thread)
            thread.start()

    # Turns

    def _train_loop(self) -> None:
        with suppress(GoneError):
            self._train_on()

    def _train_on(self) -> None:
        while (job := self._next_turn()) is not None:
            began = time.monotonic()
            self._take_turn(job)
            with self._changed:
                self._turns.done(job, time.monotonic() - began)

    def _next_turn(self) -> Job | None:
        """The job whose turn it is; None when the process ends."""
        with self._changed:
            while not self._closing:
                now = time.monotonic()
                if (job := self._turns.take(_due_at(now))) is not None:
                    job.waiting, job.busy = False, True
                    job.pace.begin_turn(now)
                    job.people = self._turns.people()
                    return job
                waits = [other.pace.due - now for other in self._turns]
                self._changed.wait(min(waits) if waits else None)
            return None

    def _take_turn(self, job: Job) -> None:
        """A turn of a job that is `busy` for this thread, whatever happens in it."""
        try:
            self._trainer.turn(job)
        except Exception as error:  # as above
            self._trainer.end_after_failure(job, error)
        with self._changed:
            job.busy = False
            if self._needs_turn(job):
                self._wait_for_turn(job)
            elif not job.active:
                self._forget_oldest()

    def _steps_due(self, job: Job) -> int:
        """How many steps this turn has."""
        if job.ending:
            return 0
        if job.state is State.PAUSED and job.single_steps:
            job.single_steps -= 1
            return 1
        if job.state is not State.RUNNING:
            return 0
        due = job.pace.steps_due(self._turns.sharing(job, _due_at(time.monotonic())), job.people)
        return due if job.hold_at is None else max(0, min(due, job.hold_at - job.step))


def _due_at(now: float) -> Callable[[Job], bool]:
    """Whether a job can make use of a turn."""

    def due(job: Job) -> bool:
        needed = job.unsettled or job.ending or job.single_steps or job.state is not State.RUNNING
        return bool(needed) or job.pace.due <= now

    return due


def _tell_places(lane: Turns) -> None:
    """Tell the jobs that wait to be compiled where they stand."""
    for place, job in enumerate(lane.in_order(), 1):
        if job.place != place:
            job.place = place
            job.version += 1
