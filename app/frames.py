"""What the stream tells a page about a job: one frame, as plain JSON."""

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from demos.registry import Demo
from lib.job import Job
from lib.settings import replace

Have = dict[str, tuple[int, int]]


def event_of(job: Job | None, demo: Demo) -> str:
    """What the page's script must follow: the job's state, what was asked of it, and the coach's advice."""
    if job is None:
        return ""
    advice = demo.lessons.advise(replace(job.config, **job.live), job.step, job.stream.summary())
    return f"{job.state}:{job.target}:{advice.id if advice else ''}"


def frame(job: Job, demo: Demo, have: Have, drawn: int) -> tuple[dict[str, Any], Have, int]:
    """One frame, and what the reader has after it.

    `have` gives for each series the (generation, count of points) that the reader has, `drawn` the version of the last
    pictures that it got.
    """
    delta = job.stream.delta(have)
    have = have | {name: (part["generation"], part["start"] + len(part["step"])) for name, part in delta.items()}
    version, snapshot = job.snapshot_version, job.snapshot
    content = {
        "run": job.id,
        "version": job.version,
        "state": str(job.state),
        "message": job.message,
        "step": job.step,
        "steps": job.steps,
        "epoch": job.epoch,
        "epochs": job.epochs,
        "steps_per_epoch": job.steps_per_epoch,
        "steps_per_second": finite(job.steps_per_second),
        "time_left": finite(job.time_left),
        "device": job.device,
        "loss": job.stream.summary().get("loss", {}).get("last"),
        "series": {name: pack(part) for name, part in delta.items()},
        "event": event_of(job, demo),
    }
    if snapshot is not None and version != drawn:
        content["figures"] = demo.figures.live_figures(job.config, snapshot)
        drawn = version
    return content, have, drawn


def finite(value: float | None) -> float | None:
    """The number, or None where JSON has no word for it."""
    return value if value is not None and math.isfinite(value) else None


def pack(delta: Mapping[str, Any]) -> dict[str, Any]:
    """A series' delta with its points as base64 of little-endian int32 and float32."""
    arrays = {"step": np.asarray(delta["step"], "<i4"), "value": np.asarray(delta["value"], "<f4")}
    packed = {name: base64.b64encode(array.tobytes()).decode() for name, array in arrays.items()}
    return {"generation": delta["generation"], "start": delta["start"], **packed}
