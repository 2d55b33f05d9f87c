"""A demo's training without a page: one run, or a sweep of many, from start to end in the calling thread."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from demos.registry import Demo
from lib.settings import Config, live_values
from lib.stream import MetricStream
from lib.sweep import Plan, Result, rows_of

TURN_SECONDS = 0.15  # one call into the compiled code: often enough for a progress bar and for Ctrl-C


@dataclass
class Run:
    """What a run has reached: `status` is running, finished, stopped, diverged or failed."""

    demo: Demo
    config: Config
    stream: MetricStream = field(default_factory=MetricStream)
    status: str = "running"
    message: str = ""
    step: int = 0
    steps: int = 0  # of the whole run, as its settings say
    target: int = 0  # the step at which this call ends it
    seconds: float = 0.0  # training alone
    compile_seconds: float = 0.0  # tracing and compiling, and importing TensorFlow if nothing had yet
    device: str = ""

    @property
    def steps_per_second(self) -> float | None:
        return self.step / self.seconds if self.seconds > 0 else None

    def report(self) -> dict[str, Any]:
        """The run as a JSON object. What is unknown or not finite is None."""
        report = {
            "demo": self.demo.slug,
            "config": self.config.model_dump(),
            "corpus": self.config.learns_from or None,
            "text": coverage.report() if (coverage := self.config.coverage) else None,
            "seed": getattr(self.config, "seed", None),
            "status": self.status,
            "message": self.message,
            "steps": self.step,
            "seconds": self.seconds,
            "compile_seconds": self.compile_seconds,
            "steps_per_second": self.steps_per_second,
            "device": self.device,
            "metrics": self.stream.summary(),
            "final_by_seed": self.stream.final_by_seed(),
            "theory": {
                "chance": self.demo.theory.chance(self.config),
                "floor": self.demo.theory.floor(self.config),
            },
        }
        return {name: finite(value) for name, value in report.items()}


def finite(value: Any) -> Any:
    """The same, with None for every number that JSON has no word for, and NumPy's numbers as Python's."""
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def train(
    run: Run,
    *,
    steps: int | None = None,
    progress: Callable[[Run], None] = lambda run: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Run:
    """Train to the end of the run, to step `steps`, until `stopped()`, or until the loss is no longer finite.

    `progress` is called when training begins and after each turn of about 150 ms. Raises what the engine
    raises, and `run` then still holds what was measured before.
    """
    began = time.perf_counter()
    engine = run.demo.build(run.config)
    run.device, run.steps = engine.device, engine.steps
    run.stream.mean_over_epochs(engine)
    run.target = engine.steps if steps is None else min(steps, engine.steps)
    if not stopped():
        engine.prepare()
    run.compile_seconds = time.perf_counter() - began
    progress(run)
    _take_turns(run, engine, progress, stopped)
    if run.status == "running":
        run.status = "finished" if run.step == run.steps else "stopped"
        run.message = f"{run.status} at step {run.step}"
    return run


def _take_turns(run: Run, engine: Any, progress: Callable[[Run], None], stopped: Callable[[], bool]) -> None:
    """Train up to step `run.target`, turn by turn, and note what each turn measured."""
    carry, live, size = engine.initial(), live_values(run.config), 1
    while run.step < run.target and not stopped():
        began = time.perf_counter()
        carry, metrics = engine.run(carry, min(size, run.target - run.step), live)
        spent = time.perf_counter() - began
        run.seconds += spent
        done = carry.step - run.step
        _note(run, metrics)
        progress(run)
        if run.status == "diverged":
            return
        size = next_size(done, spent)


def _note(run: Run, metrics: dict[str, np.ndarray]) -> None:
    """Take in the metrics of one turn, [n, seeds], up to the first step at which the median loss is not finite."""
    count = run.stream.record(run.step, metrics)
    run.step += count
    if count < len(metrics["loss"]):
        run.status, run.message = "diverged", f"diverged at step {run.step}"


def next_size(done: int, seconds: float) -> int:
    """The number of steps that should fill a turn, at most eight times more because the first are slow."""
    return max(1, min(8 * done, round(done * TURN_SECONDS / max(seconds, 1e-6))))


@dataclass
class SweepRun:
    """What a sweep has reached: `status` is running, finished or stopped."""

    demo: Demo
    plan: Plan
    results: dict[int, Result] = field(default_factory=dict)
    status: str = "running"
    seconds: float = 0.0  # all of it, compilation included
    compile_seconds: float = 0.0
    device: str = ""

    def report(self) -> dict[str, Any]:
        """The sweep as a JSON object. What is unknown or not finite is None."""
        return {
            "demo": self.demo.slug,
            "config": self.plan.base.model_dump(),
            "axes": {axis.name: list(axis.values) for axis in self.plan.axes},
            "status": self.status,
            "seconds": self.seconds,
            "compile_seconds": self.compile_seconds,
            "device": self.device,
            "cells": rows_of(self.plan, self.results, self.demo.theory),
        }


def sweep(run: SweepRun, *, progress: Callable[[int], None], stopped: Callable[[], bool]) -> SweepRun:
    """Train every cell, one after the other, all of its seeds at once. `progress` is told the cells that are done."""
    began = time.perf_counter()
    for index, config in enumerate(run.plan.cells):
        if stopped():
            break
        cell = train(Run(run.demo, config), stopped=stopped)
        run.results[index] = Result(cell.status, tuple(cell.stream.final_by_seed()))
        run.compile_seconds += cell.compile_seconds
        run.seconds, run.device = time.perf_counter() - began, cell.device
        progress(index + 1)
    run.status = "stopped" if stopped() else "finished"
    return run
