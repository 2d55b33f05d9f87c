"""What the stream tells a page about a job: one frame, as plain JSON."""

import base64
import logging
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import orjson

from demos.registry import Demo
from lib.inside import Inside, View
from lib.inside_figures import FIGURES
from lib.job import Job
from lib.settings import Config, replace
from lib.sweep_figure import sweep_figures
from lib.sweeps import Sweep

LOG = logging.getLogger(__name__)

WAITING = ("queued", "compiling")
Json = dict[str, Any]
Have = dict[str, tuple[int, int]]


_DRAWN: WeakKeyDictionary[Job, tuple[Mapping[str, Any], orjson.Fragment]] = WeakKeyDictionary()


def event_of(job: Job | None, demo: Demo) -> str:
    """What the page's script must follow: the job's state, what was asked of it, what was measured, and the coach's offer."""
    return _event(job, demo, job.stream.summary()) if job is not None else ""


def frame(job: Job, demo: Demo, have: Have, drawn: int, names: Sequence[str] | None = None) -> tuple[Json, Have, int]:
    """One frame, and what the reader has after it.

    `have` gives for each series the (generation, count of points) that the reader has, `drawn` the version of the last
    pictures that it got. With `names` it gets these series only.
    """
    at = job.version  # first: what comes while this frame is made is news for the next
    delta = job.stream.delta(have, names)
    have = have | {name: (part["generation"], part["start"] + len(part["step"])) for name, part in delta.items()}
    version, snapshot = job.snapshot_version, job.snapshot
    content: Json = {"version": at} | status(job, demo) | {"series": {n: pack(part) for n, part in delta.items()}}
    if snapshot is not None and version != drawn:
        content["figures"] = _pictures(job, demo, snapshot)
        drawn = version
    return content, have, drawn


def _pictures(job: Job, demo: Demo, snapshot: Mapping[str, Any]) -> orjson.Fragment:
    """A run's pictures as JSON, made once for all who watch it."""
    if job not in _DRAWN or _DRAWN[job][0] is not snapshot:
        figures = _tried(demo, "live_figures", demo.figures.live_figures, job.config, snapshot) or {}
        _DRAWN[job] = snapshot, orjson.Fragment(_packed(figures))
    return _DRAWN[job][1]


def inside_frame(job: Job, demo: Demo, view: View, names: Sequence[str]) -> Json:
    """A frame with these pictures of what goes on inside the run's network now, under a view (see lib.inside_figures)."""
    content: Json = {"version": job.version} | status(job, demo) | {"series": {}}
    inside = _tried(demo, "inside", inside_of, job, demo, view)
    figures = (
        {name: _tried(demo, name, FIGURES[name], inside) for name in dict.fromkeys(names) if name in FIGURES}
        if inside
        else {}
    )
    return content | {"figures": {name: figure for name, figure in figures.items() if figure is not None}}


def inside_of(job: Job, demo: Demo, view: View, at: int | None = None) -> Inside | None:
    """The inside of a run's network, now or as it was kept at a training step; None while there is none.

    Raises ReadingError for a text that it cannot read.
    """
    found = job.network(at)
    if found is None or demo.inside is None:
        return None
    step, network = found
    return Inside(demo.inside, _as_trained(job.config, tuple(job.live.items())), network, step, view)


def sweep_frame(sweep: Sweep, demo: Demo, drawn: int) -> tuple[Json, int]:
    """One frame of a sweep, and the version of the maps that the reader has after it. Its steps are its cells."""
    version = sweep.version
    content: Json = {"version": version} | sweep_status(sweep) | {"series": {}}
    if version != drawn:
        content["figures"] = _tried(demo, "sweep_figures", sweep_maps, sweep, demo) or {}
    return content, version


def sweep_maps(sweep: Sweep, demo: Demo) -> dict[str, Json]:
    """The maps of a sweep as it stands."""
    ids = [sweep.cell_id(i) for i in range(len(sweep.cells))]
    return sweep_figures(sweep.plan, dict(sweep.results), demo.theory, ids)


def sweep_status(sweep: Sweep) -> Json:
    """Where the sweep stands, in the words of `status`."""
    device = next((job.device for job in list(sweep.under_way.values()) if job.device), "")
    return {
        "run": sweep.id,
        "state": str(sweep.state),
        "message": sweep.message,
        "step": len(sweep.results),
        "steps": len(sweep.cells),
        "time_left": finite(sweep.time_left),
        "elapsed": sweep.seconds,
        "device": device,
        "metrics": {},
        "event": str(sweep.state),
    }


def status(job: Job, demo: Demo) -> Json:
    """Where the job stands, without curves and pictures. What is unknown or not finite is None."""
    summary = job.stream.summary()
    return {
        "run": job.id,
        "state": str(job.state),
        "message": job.message,
        "step": job.step,
        "steps": job.steps,
        "epoch": job.epoch,
        "epochs": job.epochs,
        "steps_per_epoch": job.steps_per_epoch,
        "steps_per_second": finite(job.steps_per_second),
        "step_seconds": finite(job.seconds / job.step) if job.step else None,  # of computing, without waits and pauses
        "words_per_step": getattr(job.config, "words_per_step", None),
        "time_left": finite(job.time_left),
        "device": job.device,
        "speed": job.pace.speed,
        "place": job.place,
        "people": job.people,
        "turn_seconds": finite(job.pace.turn_seconds),
        "metrics": {name: values["last"] for name, values in summary.items()},
        "event": _event(job, demo, summary),
    }


def text(content: Json) -> str:
    """A frame as one line of strict JSON. What is not finite becomes null, and a NumPy value what it stands for."""
    return _packed(content).decode()


def plain(value: Any) -> Any:
    """The same in plain Python values that JSON can hold."""
    return orjson.loads(_packed(value))


def _packed(value: Any) -> bytes:
    return orjson.dumps(value, _simpler, orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def _simpler(value: Any) -> Any:
    """What orjson cannot write itself, as something that it can."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no place in a frame")


def finite(value: float | None) -> float | None:
    """The number, or None where JSON has no word for it."""
    return value if value is not None and math.isfinite(value) else None


def pack(delta: Mapping[str, Any]) -> Json:
    """A series' delta with its points as base64 of little-endian int32 and float32."""
    arrays = {"step": np.asarray(delta["step"], "<i4"), "value": np.asarray(delta["value"], "<f4")}
    packed = {name: base64.b64encode(array.tobytes()).decode() for name, array in arrays.items()}
    return {"generation": delta["generation"], "start": delta["start"], **packed}


def _event(job: Job, demo: Demo, summary: Mapping[str, Any]) -> str:
    config = _as_trained(job.config, tuple(job.live.items()))
    advice = _tried(demo, "advise", demo.lessons.advise, config, job.step, summary)
    state = "waiting" if job.state in WAITING else job.state  # a page looks the same in both, but for its strip
    return f"{state}:{job.target}:{len(job.diary)}:{advice.id + advice.action if advice else ''}"


@lru_cache(maxsize=1024)
def _as_trained(config: Config, live: tuple[tuple[str, float], ...]) -> Config:
    """A run's settings with the live ones as they are now, checked once and not for each frame and reader."""
    return replace(config, **dict(live))


def _tried(demo: Demo, name: str, function: Any, *arguments: Any) -> Any:
    """A demo's function that fails costs its pictures or its advice, but not the job's status and curves."""
    try:
        return function(*arguments)
    except Exception as error:
        # Not its text, which may quote what somebody typed: whoever may see that finds it in the traceback.
        _complain(f"{demo.slug}: {name} failed: {type(error).__name__}")
        return None


@lru_cache(maxsize=64)
def _complain(message: str) -> None:
    """Once, not ten times a second."""
    LOG.exception(message)
