"""A run as files that other programs read: CSV, JSON, and TensorBoard's event file.

The curves are as the stream keeps them: of a long run at most 4,096 points for each series, thinned so that the lowest and
the highest of each span are there (see lib.stream). What is said of the last 100 steps is of all values.
"""

import json
import math
import platform
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from lib.job import Job

PACKAGES = ("numpy", "tensorflow", "keras", "streamlit", "plotly")


def series_of(job: Job) -> pd.DataFrame:
    """All series of a run that were measured, not smoothed: one row for each step, one column for each series."""
    names = [name for name in job.stream.names() if "_smooth_" not in name]
    names.sort(key=lambda name: (name != "loss", name))
    columns = []
    for name in names:
        steps, values = job.stream.curve(name)
        columns.append(pd.Series(values, index=pd.Index(steps, name="step"), name=name))
    return pd.concat(columns, axis=1).sort_index() if columns else pd.DataFrame(index=pd.Index([], name="step"))


def as_csv(job: Job) -> str:
    """The series as CSV. Step n is the value measured in step n, counted from 0."""
    return series_of(job).to_csv(lineterminator="\n")


def versions() -> dict[str, str]:
    """The versions that the numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def as_json(job: Job, name: str, theory: Any) -> str:
    """The run as one JSON object: settings, live changes, seed, metrics and versions. What is not finite is null."""
    frame = series_of(job)
    content = {
        "id": job.id,
        "name": name,
        "demo": job.slug,
        "config": job.config.model_dump(),
        "seed": getattr(job.config, "seed", None),
        "live": job.live,
        "changes": job.changes,
        "state": str(job.state),
        "message": job.message,
        "step": job.step,
        "steps": job.steps,
        "created": job.created,
        "seconds": job.seconds,
        "device": job.device,
        "metrics": job.stream.summary(),
        "final_loss_by_seed": job.stream.final_by_seed(),
        "theory": {"chance": theory.chance(job.config), "floor": theory.floor(job.config)},
        "series": {
            str(column): [[int(step), _plain(value)] for step, value in frame[column].dropna().items()]
            for column in frame
        },
        "versions": versions(),
    }
    return json.dumps(content, indent=1, allow_nan=False)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def as_tensorboard(series: pd.DataFrame, created: float, build: Callable[[], Any]) -> bytes:
    """The series of a run that began then as an event file, for `tensorboard --logdir FOLDER`. Loads TensorFlow.

    `build` makes the run's engine. The graph of its training step is in the file too, but for a replay, which trains nothing.
    """
    from lib.graph import step_graph
    from lib.tf import tf

    task = build().task
    v1 = tf.compat.v1
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "events")
        with tf.io.TFRecordWriter(path) as file:
            file.write(v1.Event(wall_time=created, file_version="brain.Event:2").SerializeToString())
            if task is not None:
                file.write(v1.Event(wall_time=created, graph_def=step_graph(task)).SerializeToString())
            for step, row in series.iterrows():
                values = [v1.Summary.Value(tag=str(name), simple_value=value) for name, value in row.dropna().items()]
                event = v1.Event(wall_time=created, step=int(str(step)), summary=v1.Summary(value=values))
                file.write(event.SerializeToString())
        return Path(path).read_bytes()
