"""Background training: a few compile threads, a few training threads, and fair turns for everybody (lib.turns).

Whatever touches a job's engine or carry happens in the one thread that has the job's turn (`busy`). The commands (pause,
stop, …) only set what is wanted, under the lock, and take effect after the chunk that is under way. A job is shown as
paused or ended only when that is written, so that no crash takes back what somebody has seen.
"""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from lib import chunk, memory
from lib.clearing import Clearing
from lib.job import Job, State
from lib.known_jobs import NO_LIMITS, Arguments, Found, Report
from lib.limits import Limits
from lib.pace import CYCLE_SECONDS, Speed
from lib.settings import Config, replace, settings_of
from lib.shared_jobs import SharedJobs
from lib.store import Store
from lib.trainer import GoneError, Trainer
from lib.turns import Turns

LOG = logging.getLogger(__name__)

TIDY_EVERY, CLEAR_EVERY = 30.0, 300.0  # seconds
PAUSING = "Pausing after the step that is under way."
STOPPING = "Stopping after the step that is under way."
STOP_SECONDS = 1.0  # that Pause and Stop wait for it
END_SECONDS = 2.0  # that the process's end waits for threads
SAVING_AT_ONCE = 4  # at the process's end
MOST_CHARGED = 0.3  # seconds (see lib.turns)
COMPILING_AT_ONCE = 2  # of visitors; and one of sweeps
NO_CLEARING = Clearing()


class Jobs(SharedJobs):
    """All jobs of the process, which it trains itself."""

    def __init__(
        self,
        store: Store | Path | str,
        workers: int | None = None,
        *,
        build: Callable[[str, Config], Any],
        config_of: Callable[[str], type[Config]],
        alone: bool = True,
        publishes: bool = False,
        limits: Limits = NO_LIMITS,
        clearing: Clearing = NO_CLEARING,
    ) -> None:
        """The jobs of a store, or of a data folder (see `KnownJobs`).

        Where it is not `alone` it is one of several on the store: it takes up no other's runs. With `publishes` it writes often
        how its own go on, for others to show.
        """
        super().__init__(store, config_of, limits)
        self._build, self._clearing = build, clearing
        self._turns = Turns(MOST_CHARGED)
        self._compilations = {False: Turns(), True: Turns()}  # of visitors, of sweeps
        self._trainer = Trainer(self.store, self.changed, self._steps_due, publishes=publishes)
        self._closing = False
        self._alone = alone
        if alone:
            self.store.clear(time.time(), clearing)
            self._adopt_unfinished()
        self._workers = workers or max(1, (os.cpu_count() or 2) // 2)
        self._devices: set[str] = set()
        lanes = [*[False] * COMPILING_AT_ONCE, True]
        compiling = [
            (f"compile-{i}", partial(self._compile_loop, self._compilations[lane])) for i, lane in enumerate(lanes)
        ]
        training: list[Any] = [(f"train-{i}", self._train_loop) for i in range(self._workers)]
        loops = [*compiling, *training, ("follow", self._follow_loop), ("clear", self._clear_loop)]
        self._threads = [threading.Thread(target=loop, name=name, daemon=True) for name, loop in loops]
        for thread in self._threads:
            thread.start()

    def enter(self, job: Job) -> None:
        """Train a job that another process has made and allowed; nothing happens where it is known."""
        job.owner = self.owner
        with self.changed:
            if self._jobs.setdefault(job.id, job) is not job:
                return
        self._enter(job)

    def _enter(self, job: Job) -> None:
        self.store.save(job.record(), job.arrays() if job.start else None)
        if not job.sweep:
            self.store.prune(job.visitor, job.slug)
        with self.changed:
            if job.state is State.QUEUED and not job.ending:  # or else somebody was quick to stop it
                self._queue_compilation(job)

    # Commands

    def pause(self, run_id: str) -> None:
        with self._active(run_id) as job:
            if job is None or job.target is not State.RUNNING:
                return
            job.target = State.PAUSED
            if job.state is not State.RUNNING:  # it is not compiled yet, and is paused then
                return
            mine = self._claim_turn(job, PAUSING, lambda: not job.pausing)
        if mine:
            self._take_turn(job)

    def resume(self, run_id: str, *, until: int | None = None) -> None:
        with self._active(run_id) as job:
            if job is None or job.target is State.RUNNING:
                return
            self._admit(job)
            job.target = State.RUNNING
            job.hold_at = None if until is not None and until >= job.steps > 0 else until
            if job.pace.speed == 0:
                job.pace.speed = None
            if job.state is State.PAUSED:
                self._go_on(job, State.RUNNING)
            elif job.state is State.RUNNING:  # it was about to pause
                job.become(State.RUNNING)

    def step(self, run_id: str) -> None:
        with self._active(run_id) as job:
            if job is not None and job.target is State.PAUSED:
                self._admit(job)
                job.single_steps += 1
                if job.state is State.PAUSED:
                    self._go_on(job, State.PAUSED)

    def stop(self, run_id: str, by: str = "") -> None:
        with self._active(run_id) as job:
            if job is None:
                return
            job.ending = (State.STOPPED, by)
            mine = self._claim_turn(job, STOPPING, lambda: not job.active)
        if mine:
            self._take_turn(job)

    def set_live(self, run_id: str, **values: float) -> None:
        with self._active(run_id) as job:
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
        with self._active(run_id) as job:
            if job is None:
                return
            job.pace.speed = speed
            job.pace.begin()
            job.version += 1
            self.changed.notify_all()
        if speed == 0:
            self.pause(run_id)

    def compute(self, function: Callable[[*Arguments], Found], *arguments: *Arguments) -> Found:
        return function(*arguments)

    def compute_everywhere(self, function: Callable[[*Arguments], object], *arguments: *Arguments) -> None:
        function(*arguments)

    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def report(self) -> Report:
        with self.changed:
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

        Those on which no thread works are written first, in case this process is killed. What still trains or compiles after two
        seconds goes on to nobody's use until the process ends.
        """
        deadline = time.monotonic() + END_SECONDS
        with self.changed:
            self._closing = True
            self._closed.set()
            self.changed.notify_all()
            rest = {job for job in self._own() if not job.busy and job.state is not State.COMPILING}
            for job in rest:
                job.busy = True
        self._save_all(rest)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self.changed:
            self._trainer.gone = True
            left = set(self._own()) - rest
        self._save_all(left)
        self.store.close()

    def _own(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.active and job.owner == self.owner]

    def _save_all(self, jobs: Iterable[Job]) -> None:
        with ThreadPoolExecutor(SAVING_AT_ONCE) as pool:
            list(pool.map(self._trainer.save_quietly, jobs))

    # Below, all is called with the lock held, unless it says that it has the job's turn.

    def _admit(self, job: Job) -> None:
        """Raises LimitError where a job that is to be built again would be one too many."""
        if job.state is State.PAUSED and job.engine is None and not job.sweep:
            self.check_limits(job.visitor, job.limits, besides=job.id)

    def _clear_loop(self) -> None:
        cleared = time.monotonic()
        while not self._closed.wait(TIDY_EVERY):
            try:
                memory.release()
                self._rest_idle(time.monotonic())
                if self._alone and time.monotonic() - cleared > CLEAR_EVERY:
                    cleared = time.monotonic()
                    self.store.clear(time.time(), self._clearing)
            except Exception:  # tried again the next time
                LOG.exception("what is to be cleared away stays")

    def _rest_idle(self, now: float) -> None:
        """Write the paused runs that nobody looks at, and drop them from memory (see lib.clearing)."""
        patience = self._clearing.idle_seconds
        with self.changed:
            idle = [job for job in self._jobs.values() if patience is not None and now - job.seen_at > patience]
            idle = [job for job in idle if self._rests(job)]
            for job in idle:
                job.busy = True
        for job in idle:
            saved = self._trainer.save_quietly(job)
            with self.changed:
                job.busy = False
                if self._rests(job) and now - job.seen_at > (patience or 0) and saved:
                    del self._jobs[job.id]
                elif self._needs_turn(job):  # somebody came just then
                    self._wait_for_turn(job)

    def _rests(self, job: Job) -> bool:
        """Whether nothing is to be done for a paused run. A sweep holds on to its cells."""
        rests = job.state is State.PAUSED and not (job.busy or job.waiting or self._needs_turn(job))
        return rests and not job.sweep and job.owner == self.owner

    def _needs_turn(self, job: Job) -> bool:
        going = job.state is State.RUNNING or (job.state is State.PAUSED and job.single_steps > 0)
        return job.active and (going or job.unsettled or job.ending is not None)

    def _queue_compilation(self, job: Job) -> None:
        job.become(State.QUEUED)
        lane = self._compilations[bool(job.sweep)]
        lane.add(job)
        _tell_places(lane)
        self.changed.notify_all()

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
        self.changed.notify_all()

    def _claim_turn(self, job: Job, message: str, settled: Callable[[], bool]) -> bool:
        """Whether this thread has a job's turn now. Else the thread that has it does what is wanted; it is waited for."""
        job.become(job.state, message)
        job.waiting = False
        self._turns.remove(job)
        lane = self._compilations[bool(job.sweep)]
        lane.remove(job)
        _tell_places(lane)
        if job.busy:
            self.changed.wait_for(lambda: settled() or self._closing, STOP_SECONDS)
            return False
        job.busy = True
        return True

    # Compiling

    def _compile_loop(self, lane: Turns) -> None:
        """Compile one after the other; of one person only one at a time, so that nobody's long ones hold up all others."""
        while True:
            with self.changed:
                while not self._closing and (job := lane.take(one_each=True)) is None:
                    self.changed.wait()
                if self._closing:
                    return
                assert job is not None
                job.become(State.COMPILING)
                job.place = 0
                _tell_places(lane)
            began = time.monotonic()
            self._compile(job)
            with self.changed:
                lane.done(job, time.monotonic() - began)
                self.changed.notify_all()

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
        with self.changed:
            if job.ending or not job.active or self._trainer.gone:
                return
            if error is not None:
                self._trainer.fail(job, error)
            else:
                job.engine, job.carry, job.checkpoint = engine, carry, None
                job.device, job.steps, job.steps_per_epoch = engine.device, engine.steps, engine.steps_per_epoch
                if not job.step:
                    job.stream.mean_over_epochs(engine)
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
            job.turn_lengths.append(time.monotonic() - began)
            with self.changed:
                self._turns.done(job, min(job.turn_lengths))  # one long turn among short ones was the machine's

    def _next_turn(self) -> Job | None:
        """The job whose turn it is; None when the process ends."""
        with self.changed:
            while not self._closing:
                now = time.monotonic()
                if (job := self._turns.take(_due_at(now))) is not None:
                    job.waiting, job.busy = False, True
                    job.pace.begin_turn(now)
                    job.people = self._turns.people()
                    return job
                waits = [other.pace.due - now for other in self._turns]
                self.changed.wait(min(waits) if waits else None)
            return None

    def _take_turn(self, job: Job) -> None:
        """A turn of a job that is `busy` for this thread, whatever happens in it."""
        try:
            self._trainer.turn(job)
        except Exception as error:  # as above
            self._trainer.end_after_failure(job, error)
        with self.changed:
            job.busy = False
            if self._needs_turn(job):
                self._wait_for_turn(job)
            elif not job.active:
                if job.id in self._jobs:
                    self._jobs.move_to_end(job.id)  # the latest to end are kept
                self.forget_oldest()

    def _steps_due(self, job: Job) -> int:
        """How many steps this turn has."""
        if job.ending:
            return 0
        if job.state is State.PAUSED and job.single_steps:
            job.single_steps -= 1
            return 1
        if not job.trains:
            return 0
        due = job.pace.steps_due(self._turns.sharing(job, _due_at(time.monotonic() + CYCLE_SECONDS)), job.people)
        return due if job.hold_at is None else max(0, min(due, job.hold_at - job.step))


def _due_at(now: float) -> Callable[[Job], bool]:
    """Whether a job can make use of a turn."""

    def due(job: Job) -> bool:
        return bool(job.unsettled or job.single_steps) or not job.trains or job.pace.due <= now

    return due


def _tell_places(lane: Turns) -> None:
    """Tell the jobs that wait to be compiled where they stand."""
    for place, job in enumerate(lane.in_order(), 1):
        if job.place != place:
            job.place = place
            job.version += 1
