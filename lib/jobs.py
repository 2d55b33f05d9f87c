"""Background training: two compile threads, a few training threads, and fair turns for every job.

Whatever touches a job's engine or carry happens in the one thread that has the job's turn (`busy`). The commands (pause,
stop, …) only set what is wanted, under the lock, and take effect after the chunk that is under way.
"""

import dataclasses
import logging
import os
import threading
import time
import traceback
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lib import chunk
from lib.job import ACTIVE, Job, State, weights_in
from lib.pace import Speed
from lib.settings import Config, SettingError, replace, settings_of
from lib.store import COMMAND_LINE, RunRecord, Store
from lib.stream import CAPACITY, MetricStream
from lib.values import shown

LOG = logging.getLogger(__name__)

DRAW_EVERY, SAVE_EVERY = 0.1, 10.0  # seconds
MOST_SAVING = 0.02  # of a run's time may pass with writing it
MOST_DRAWING = 0.1  # and so much with looking at what a wide network does
MEASURING = "Measuring on text that it does not learn from."
KEPT_IN_MEMORY = 16  # ended jobs
FOLLOW_EVERY = 1.0  # seconds


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
        store: Store,
        workers: int | None = None,
        *,
        build: Callable[[str, Config], Any],
        config_of: Callable[[str], type[Config]],
        publishes: bool = False,
    ) -> None:
        """With `publishes` it is one of several on the folder: it takes up no other's runs, and tells how its own go on."""
        self.store = store
        self._owner, self._publishes = store.claim(), publishes
        self._build, self._config_of = build, config_of
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._turns: deque[Job] = deque()
        self._compilations: dict[bool, deque[Job]] = {False: deque(), True: deque()}  # of visitors, of sweeps
        self._changed = threading.Condition(threading.RLock())
        self._closing, self._closed = False, threading.Event()
        self._steps_trained = 0
        if not publishes:
            store.purge(time.time())
            with self._changed:
                self._adopt_unfinished()
        count = workers or max(1, (os.cpu_count() or 2) // 2)
        compiling = [(f"compile-{i}", partial(self._compile_loop, lane)) for i, lane in self._compilations.items()]
        training: list[Any] = [(f"train-{i}", self._train_loop) for i in range(count)]
        loops = [*compiling, *training, ("follow", self._follow_loop)]
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
    ) -> Job:
        """Begin a run. It is queued, compiled where these shapes are new, and then runs, or waits at step 0.

        `sweep` is the sweep that it is a cell of: these are compiled in a thread of their own, behind which no visitor waits.
        `points` is how many each series keeps.
        """
        job = Job(slug, config, visitor, run_id=run_id, sweep=sweep)
        job.stream = MetricStream(points)
        return self._begin(job, paused, speed)

    def fork(
        self, run_id: str, step: int | None, config: Config, visitor: str, *, paused: bool = False, speed: Speed = None
    ) -> Job:
        """Begin a run of the same demo with the weights that a run had at `step`, or at the last one kept before it.

        `step` None stands for the weights of now. All else begins anew: step, data, carried state and the optimizer's slots.
        Raises SettingError when the config has several networks, ValueError when there are no such weights. Whether they
        fit the config's network is found when it is compiled: where not, the run fails and says so.
        """
        seeds = getattr(config, "seeds", 1)
        if seeds != 1:
            raise SettingError("seeds", seeds, "is more than the one network that a fork begins with", "choose 1")
        parent = self.get(run_id)
        found = parent.network(step) if parent is not None else None
        if parent is None or found is None:
            when = "now" if step is None else f"at step {step:,}"
            raise ValueError(
                f"The run {shown(run_id)} has no weights {when} to begin with: choose another run or step."
            )
        kept, network = found
        return self._begin(Job(parent.slug, config, visitor, origin=(run_id, kept), start=network), paused, speed)

    def _begin(self, job: Job, paused: bool, speed: Speed) -> Job:
        job.pace.speed, job.owner = speed, self._owner
        job.target = State.PAUSED if paused or speed == 0 else State.RUNNING
        self.store.save(job.record(), job.arrays() if job.start else None)
        if not job.sweep:
            self.store.prune(job.visitor, job.slug)
            self.store.purge(time.time())
        with self._changed:
            self._jobs[job.id] = job
            self._queue_compilation(job)
        return job

    def get(self, run_id: str) -> Job | None:
        """The job with this id, from memory or from the store; None when it was deleted."""
        with self._changed:
            job = self._jobs.get(run_id)
            if job is None and (record := self.store.load(run_id)) is not None:
                job = self._restore(record)
            return job if job is not None and not job.deleted else None

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
                    self._become(job, State.PAUSED)
                    self._settle_soon(job)

    def resume(self, run_id: str, *, until: int | None = None) -> None:
        """Let a paused job go on, to its end or until it is at a step."""
        with self._changed:
            job = self._active(run_id)
            if job is None or job.target is State.RUNNING:
                return
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
                job.single_steps += 1
                if job.state is State.PAUSED:
                    self._go_on(job, State.PAUSED)

    def stop(self, run_id: str) -> None:
        """End it. What it has learned and measured is kept."""
        with self._changed:
            job = self._active(run_id)
            if job is not None:
                self._become(job, State.STOPPED, f"Stopped at step {job.step:,}.")
                self._settle_soon(job)

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
        """A new job that waits at step 0 with the same initial weights and data, and the live settings of now."""
        with self._changed:
            job = self.get(run_id)
            if job is None:
                return None
            self.stop(run_id)
            config = replace(job.config, **job.live)
            again = Job(job.slug, config, job.visitor, origin=job.origin, start=job.start)
            return self._begin(again, True, job.pace.speed)

    def delete(self, run_id: str) -> None:
        """Stop a run and put it away; for a day `restore` brings it back."""
        with self._changed:
            self.stop(run_id)
            self._put_away(run_id, time.time())

    def restore(self, run_id: str) -> None:
        """Bring back a deleted run."""
        with self._changed:
            self._put_away(run_id, 0.0)

    def _put_away(self, run_id: str, when: float) -> None:
        self.store.put_away(run_id, when)
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
                {state: states[state] for state in State}, len(waits), max(waits, default=0.0), self._steps_trained
            )

    def shutdown(self) -> None:
        """End all threads after their chunk, and write every active job's checkpoint."""
        with self._changed:
            self._closing = True
            self._closed.set()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=5)
        for job in list(self._jobs.values()):
            if job.active and job.owner == self._owner:
                self._save(job)
        self.store.close()

    # Below, all is called with the lock held, unless it says that it has the job's turn.

    def _active(self, run_id: str) -> Job | None:
        job = self.get(run_id)
        return job if job is not None and job.state in ACTIVE and self._takes(job) else None

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
        job.owner = record.owner
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

    def _become(self, job: Job, state: State, message: str = "") -> None:
        job.state, job.message = state, message
        job.version += 1

    def _queue_compilation(self, job: Job) -> None:
        self._become(job, State.QUEUED)
        job.waiting_since = time.monotonic()
        self._compilations[bool(job.sweep)].append(job)
        self._changed.notify_all()

    def _go_on(self, job: Job, state: State) -> None:
        """Give a paused job turns again; one that came from the store is built first."""
        if job.engine is None:
            self._queue_compilation(job)
            return
        self._become(job, state)
        if state is State.RUNNING:
            job.pace.begin_anew()
        self._wait_for_turn(job)

    def _settle_soon(self, job: Job) -> None:
        job.unsettled = True
        self._wait_for_turn(job)

    def _wait_for_turn(self, job: Job) -> None:
        if not job.waiting and not job.busy:
            job.waiting, job.waiting_since = True, time.monotonic()
            self._turns.append(job)
        self._changed.notify_all()

    # Compiling

    def _compile_loop(self, lane: deque[Job]) -> None:
        while True:
            with self._changed:
                while not lane and not self._closing:
                    self._changed.wait()
                if self._closing:
                    return
                job = lane.popleft()
                if job.state is not State.QUEUED:
                    continue
                self._become(job, State.COMPILING)
                job.busy = True
            self._compile(job)

    def _compile(self, job: Job) -> None:
        """Build the engine. This thread has the job's turn."""
        try:
            engine = self._build(job.slug, job.config)
            engine.prepare()
            carry = engine.carry_from(job.checkpoint) if job.checkpoint else chunk.first(engine, job)
            error = None
        except Exception as caught:  # whatever a demo raises is shown on its page, and harms no other job
            error = caught
        with self._changed:
            job.busy = False
            if error is not None:
                self._fail(job, error)
            else:
                job.engine, job.carry, job.checkpoint = engine, carry, None
                job.device, job.steps, job.steps_per_epoch = engine.device, engine.steps, engine.steps_per_epoch
                if not job.history.steps():
                    job.keep_network(carry)
                if job.state is State.COMPILING:
                    self._become(job, job.target)
                    job.pace.begin_anew()
            self._settle_soon(job)

    def _fail(self, job: Job, error: BaseException) -> None:
        LOG.error("job %s failed", job.id, exc_info=error)
        job.error = "".join(traceback.format_exception(error))
        text = str(error).strip().splitlines()
        self._become(job, State.FAILED, f"{type(error).__name__}: {text[0] if text else 'no message'}")

    # Turns

    def _train_loop(self) -> None:
        while (job := self._next_turn()) is not None:
            try:
                self._turn(job)
            except Exception as error:  # as above
                with self._changed:
                    self._fail(job, error)
                    job.unsettled = False
                self._end_after_failure(job)
            with self._changed:
                job.busy = False
                if job.state is State.RUNNING or (job.state is State.PAUSED and job.single_steps) or job.unsettled:
                    self._wait_for_turn(job)
                elif not job.active:
                    self._forget_oldest()

    def _next_turn(self) -> Job | None:
        """The job that has waited longest among those that are due; None when the process ends."""
        with self._changed:
            while not self._closing:
                now = time.monotonic()
                for job in self._turns:
                    if job.unsettled or job.single_steps or job.pace.due <= now or job.state is not State.RUNNING:
                        self._turns.remove(job)
                        job.waiting, job.busy = False, True
                        return job
                waits = [job.pace.due - now for job in self._turns]
                self._changed.wait(min(waits) if waits else None)
            return None

    def _turn(self, job: Job) -> None:
        """One chunk of a job, and what has to be drawn and written after it. This thread has the job's turn."""
        with self._changed:
            unsettled, job.unsettled = job.unsettled, False
            single = job.state is State.PAUSED
            steps = self._steps_due(job)
            live = dict(job.live)
            if steps:
                job.note_changes()
        if steps and job.carry is not None:
            if job.engine.evaluates(job.carry):
                self._evaluate(job, single)
            else:
                self._train(job, steps, live)
        now = time.monotonic()
        ended = job.state is not State.RUNNING
        every = max(DRAW_EVERY, job.draw_seconds / MOST_DRAWING)
        draws = not job.sweep and now - job.drawn_at >= every  # nobody watches the cells of a sweep
        if job.carry is not None and (unsettled or ended or draws):
            snapshot = job.engine.observe(job.carry)
            job.draw_seconds = time.monotonic() - now
            with self._changed:
                job.snapshot, job.drawn_at = snapshot, now
                job.snapshot_version += 1
                job.version += 1
        if self._publishes and now - job.published_at >= FOLLOW_EVERY:
            job.published_at, record = now, job.record()
            # The last record comes when all of the run is written, or a reader would miss some.
            if record.state in ACTIVE:
                self.store.publish(record, job.stream.arrays())
        if ended and not job.active:
            self._end(job)
        elif ended or now - job.saved_at >= max(SAVE_EVERY, job.save_seconds / MOST_SAVING):
            self._save(job)

    def _steps_due(self, job: Job) -> int:
        """How many steps this turn has."""
        if job.state is State.PAUSED and job.single_steps:
            job.single_steps -= 1
            return 1
        if job.state is not State.RUNNING:
            return 0
        now = time.monotonic()
        due = job.pace.steps_due(sharing=1 + sum(other.pace.due <= now for other in self._turns))
        return due if job.hold_at is None else max(0, min(due, job.hold_at - job.step))

    def _train(self, job: Job, steps: int, live: dict[str, float]) -> None:
        """Run a chunk and publish it. This thread has the job's turn."""
        before = job.carry
        started = time.perf_counter()
        carry, metrics, kept = chunk.train(job.engine, before, steps, live, job.history)
        seconds = time.perf_counter() - started
        done = job.stream.record(before.step, metrics)
        diverged = done < carry.step - before.step
        if diverged:
            carry = chunk.exactly(job.engine, before, done, live)
        for passed in kept:
            if passed.step <= carry.step:
                job.keep_network(passed)
        with self._changed:
            job.carry, job.step = carry, carry.step
            job.seconds += seconds
            self._steps_trained += done
            if done and job.state is State.RUNNING:
                job.pace.measure(done, seconds)
            if done:
                job.pace.mark(done)
            job.version += 1
            if diverged and job.active:
                text = f"Diverged at step {carry.step:,}: the loss is no longer a number. The last good state is kept."
                self._become(job, State.DIVERGED, text)
            elif carry.step >= job.steps and job.active and not job.engine.evaluates(carry):
                self._become(job, State.FINISHED)
            elif carry.step == job.hold_at and job.state is State.RUNNING:
                job.target = State.PAUSED
                self._become(job, State.PAUSED)

    def _evaluate(self, job: Job, single: bool) -> None:
        """Measure the network for a while, and publish the outcome when it is there. This thread has the job's turn.

        A `single` step that was asked for comes after this.
        """
        started = time.perf_counter()
        carry, found = job.engine.evaluate(job.carry)
        finite = all(np.isfinite(value) for value in found.values())
        kept = job.engine.keep(carry) if found and finite else None
        if kept is not None and kept.network and not job.sweep:
            self.store.save_network(job.id, carry.step, kept.network)
        with self._changed:
            job.seconds += time.perf_counter() - started
            job.version += 1
            job.single_steps += single
            if not finite:
                if job.active:
                    text = f"Diverged at step {carry.step:,}: the network's weights are no longer numbers."
                    self._become(job, State.DIVERGED, text)
                return
            if kept is None:
                job.message = job.message or MEASURING
                return
            if job.message == MEASURING:
                job.message = ""
            job.carry = carry
            job.stream.append(carry.step, {name: np.array([value]) for name, value in found.items()})
            job.diary = [*job.diary, {"step": carry.step, **found, **kept.note}]
            if carry.step >= job.steps and job.active:
                self._become(job, State.FINISHED)
        self._save(job)

    def _end_after_failure(self, job: Job) -> None:
        """The same; where not even that can be written (a full disk, say), other runs go on all the same."""
        try:
            self._end(job)
        except Exception:
            LOG.exception("run %s cannot be written", job.id)

    def _end(self, job: Job) -> None:
        """Write a job that has ended, and free what it trained with. This thread has the job's turn."""
        with self._changed:
            if job.carry is not None:
                job.keep_network(job.carry)
                job.checkpoint = job.carry.weights()
            job.engine = job.carry = None
        self._save(job)

    def _save(self, job: Job) -> None:
        started = time.monotonic()
        self.store.save(job.record(), job.arrays())
        job.saved_at = time.monotonic()
        job.save_seconds = job.saved_at - started
