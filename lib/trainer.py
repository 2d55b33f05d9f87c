"""What happens in a turn of a job: a chunk of steps or a piece of a measurement, then pictures, and the writing of it all.

Whoever calls has the job's turn. Readers see a job change under the lock `changed`, whole steps at a time.
"""

import dataclasses
import logging
import threading
import time
import traceback
from collections.abc import Callable

import numpy as np

from lib import chunk
from lib.job import Job, State
from lib.safe_store import SafeStore
from lib.stream import finite_steps

LOG = logging.getLogger(__name__)

DRAW_EVERY, SAVE_EVERY, PUBLISH_EVERY = 0.1, 10.0, 1.0  # seconds
DRAWN_TOGETHER, PUBLISHED_TOGETHER = 50.0, 10.0  # pictures and curves a second of all jobs
MOST_SAVING = 0.02  # of a run's time may pass with writing it
MOST_DRAWING = 0.1  # and so much with looking at what a wide network does
NOTED = ("perplexity", "learning_rate")  # of training itself, where it has them: noted with what is measured then
MEASURING = "Measuring on text that it does not learn from."


class GoneError(BaseException):
    """Ends a thread that the process's end has not waited for."""


class Trainer:
    """`steps_due` says how many steps a job's turn has. With `publishes` other processes are told how runs go on.

    Once `gone` is set, under the lock, all that was trained has been written, and nothing more is published.
    """

    def __init__(
        self, store: SafeStore, changed: threading.Condition, steps_due: Callable[[Job], int], *, publishes: bool
    ) -> None:
        self._store, self._changed, self._steps_due, self._publishes = store, changed, steps_due, publishes
        self.gone = False
        self.steps = 0  # trained by this process

    def turn(self, job: Job) -> None:
        """One chunk of a job, and what has to be drawn and written after it. This thread has the job's turn."""
        with self._changed:
            unsettled, job.unsettled = job.unsettled, False
            single = job.state is State.PAUSED
            steps = self._steps_due(job)
            live = dict(job.live)
            if steps:
                job.note_changes()
        if steps and job.carry is not None:
            measured = job.engine.evaluates(job.carry)
            if measured:
                self._evaluate(job, single)
            if not measured or (job.trains and not job.engine.evaluates(job.carry)):
                self._train(job, steps, live)
        rests = not job.trains
        self._draw(job, unsettled or rests)
        now = time.monotonic()
        every = max(PUBLISH_EVERY, job.people / PUBLISHED_TOGETHER)
        if self._publishes and not job.sweep and now - job.published_at >= every and not job.ending:
            job.published_at = now  # the last record comes when all of the run is written, or a reader would miss some
            self._store.publish(job.record(), job.stream.arrays())
        if job.ending:
            self._end(job)
        elif rests or now - job.saved_at >= max(SAVE_EVERY, job.save_seconds / MOST_SAVING):
            self.save(job)
        if rests:
            self._show_paused(job)

    def _draw(self, job: Job, at_once: bool) -> None:
        """Take a picture of the network where one is due. This thread has the job's turn."""
        now = time.monotonic()
        every = max(DRAW_EVERY, job.draw_seconds / MOST_DRAWING, job.people / DRAWN_TOGETHER)
        due = not job.sweep and now - job.drawn_at >= every  # nobody watches the cells of a sweep
        if job.carry is not None and (at_once or due):
            snapshot = job.engine.observe(job.carry)
            job.draw_seconds = time.monotonic() - now
            with self._changed:
                job.snapshot, job.drawn_at = snapshot, now
                job.snapshot_version += 1
                job.version += 1

    def _train(self, job: Job, steps: int, live: dict[str, float]) -> None:
        """Run a chunk and publish it. This thread has the job's turn."""
        before = job.carry
        started = time.perf_counter()
        carry, metrics, kept = chunk.train(job.engine, before, steps, live, job.history)
        seconds = time.perf_counter() - started
        done = finite_steps(metrics)
        diverged = done < carry.step - before.step
        if diverged:
            carry = chunk.exactly(job.engine, before, done, live)
        with self._changed:
            self._leave_if_gone()
            job.stream.record(before.step, metrics)
            for passed in kept:
                if passed.step <= carry.step:
                    job.keep_network(passed)
            job.carry, job.step = carry, carry.step
            job.seconds += seconds
            self.steps += done
            if done and job.state is State.RUNNING:
                job.pace.measure(done, seconds)
            if done:
                job.pace.mark(done)
            job.version += 1
            if diverged:
                text = f"Diverged at step {carry.step:,}: the loss is no longer a number. The last good state is kept."
                job.ending = (State.DIVERGED, text)
            elif carry.step >= job.steps and not job.engine.evaluates(carry):
                job.ending = (State.FINISHED, "")
            elif job.hold_at is not None and carry.step >= job.hold_at and job.state is State.RUNNING:
                job.target = State.PAUSED

    def _evaluate(self, job: Job, single: bool) -> None:
        """Measure the network for a while, and publish the outcome when it is there. This thread has the job's turn.

        A `single` step that was asked for comes after this.
        """
        started = time.perf_counter()
        carry, found = job.engine.evaluate(job.carry)
        finite = all(np.isfinite(value) for value in found.values())
        kept = job.engine.keep(carry) if found and finite else None
        if kept is not None and kept.network and not job.sweep:
            self._store.save_network(job.id, carry.step, kept.network)
        with self._changed:
            self._leave_if_gone()
            job.seconds += time.perf_counter() - started
            job.version += 1
            job.single_steps += single
            if not finite:
                text = f"Diverged at step {carry.step:,}: the network's weights are no longer numbers."
                job.ending = (State.DIVERGED, text)
                return
            if kept is None:
                job.message = job.message or MEASURING
                return
            if job.message == MEASURING:
                job.message = ""
            job.carry = carry
            job.stream.append(carry.step, {name: np.array([value]) for name, value in found.items()})
            reached = job.stream.summary()
            trained = {name: reached[name]["last"] for name in NOTED if name in reached}
            job.diary = [*job.diary, {"step": carry.step, **found, **kept.note, **trained}]
            if carry.step >= job.steps:
                job.ending = (State.FINISHED, "")
        if not job.ending:  # or else it is written soon, as one that has ended
            self.save(job)

    def _leave_if_gone(self) -> None:
        """End this thread where the process has not waited for it: what it has trained would come after the last checkpoint."""
        if self.gone:
            raise GoneError

    def end_after_failure(self, job: Job, error: Exception) -> None:
        """End it as failed; where not even that can be written, other runs go on all the same."""
        with self._changed:
            self.fail(job, error)
            job.unsettled = False
        try:
            self._end(job)
        except Exception:
            LOG.exception("run %s cannot be written", job.id)
            self._show_ended(job)

    def _end(self, job: Job) -> None:
        """Write a job that ends, and free what it trained with. This thread has the job's turn."""
        with self._changed:
            assert job.ending is not None
            if job.ending[0] is State.STOPPED:
                who = f" by {job.ending[1]}" if job.ending[1] else ""
                job.ending = (State.STOPPED, f"Stopped{who} at step {job.step:,}.")
            if job.carry is not None:
                job.keep_network(job.carry)
                job.checkpoint = job.carry.weights()
            job.engine = job.carry = None
        self.save(job)
        if self._publishes:
            self._store.unpublish(job.id)
        self._show_ended(job)

    def _show_paused(self, job: Job) -> None:
        with self._changed:
            if job.pausing and not job.ending:
                job.unsettled = False
                job.become(State.PAUSED)
                self._changed.notify_all()

    def _show_ended(self, job: Job) -> None:
        with self._changed:
            assert job.ending is not None
            job.become(*job.ending)
            job.ending = None
            self._changed.notify_all()

    def save(self, job: Job) -> None:
        started = time.monotonic()
        state, message = job.outcome
        record = dataclasses.replace(job.record(), state=str(state), message=message)
        self._store.save(record, job.arrays())
        job.saved_at = time.monotonic()
        job.save_seconds = job.saved_at - started

    def save_quietly(self, job: Job) -> bool:
        """Write it if that is possible: whether it was. Others are written all the same."""
        try:
            self.save(job)
            return True
        except Exception:
            LOG.exception("run %s cannot be written", job.id)
            return False

    def fail(self, job: Job, error: BaseException) -> None:
        LOG.error("job %s failed", job.id, exc_info=error)
        job.error = "".join(traceback.format_exception(error))
        text = str(error).strip().splitlines()
        job.ending = (State.FAILED, f"{type(error).__name__}: {text[0] if text else 'no message'}")
