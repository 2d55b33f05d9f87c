"""Runs and sweeps that have ended, as the store has them, without any training: that would have to be compiled first."""

from typing import Any

import numpy as np

from demos.registry import Demo, get
from lib.job import Job, State
from lib.records import RunRecord, SweepRecord
from lib.sweep import plan
from lib.sweeps import Sweep

MEASURED = 100  # steps


def ended_run(slug: str, visitor: str) -> tuple[RunRecord, dict[str, np.ndarray]]:
    """A run with a demo's defaults and the network that it began with: its record and its arrays. Imports TensorFlow."""
    demo = get(slug)
    engine = demo.build(demo.config())
    first = engine.initial()
    last = first._replace(step=engine.steps)
    job = Job(slug, engine.config, visitor)
    job.step, job.steps, job.steps_per_epoch = last.step, engine.steps, engine.steps_per_epoch
    job.device = engine.device
    losses = np.linspace(1.0, 0.5, MEASURED, dtype=np.float32)[:, None]
    task = getattr(engine, "task", None)
    names = {"loss", "learning_rate", *getattr(task, "metrics", ())}
    job.stream.record(0, {name: np.tile(losses, engine.seeds) for name in names})
    evaluations = getattr(task, "evaluations", None)
    if evaluations is not None:
        measured = {f"{name}_perplexity": 2.0 for name in evaluations.at(last.step)}
        job.diary = [{"step": last.step, **measured, **engine.keep(last).note}]
    job.snapshot = _picture(engine, first)
    job.keep_network(first)
    job.checkpoint, job.state = last.weights(), State.FINISHED
    return job.record(), job.arrays()


def _picture(engine: Any, carry: Any) -> dict[str, np.ndarray]:
    """What `engine.observe` gives, one operation after the other where TensorFlow computes it."""
    if not hasattr(carry, "params"):
        return dict(engine.observe(carry))
    from lib.training import _observe

    found = _observe(engine.task)((carry.params, carry.slots, carry.state), engine.task.block(0), 0)
    return {name: np.asarray(array) for name, array in found.items()} | {"step": np.array(carry.step)}


def ended_sweep(demo: Demo, visitor: str) -> SweepRecord:
    """The first sweep that a demo offers, stopped before its first cell."""
    sweep = Sweep(demo.slug, plan(demo.sweep_base, next(iter(demo.sweeps.values()))), visitor)
    sweep.state = State.STOPPED
    return sweep.record()
