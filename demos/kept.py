"""A run without a page that is kept as the dashboard's are: it can be watched there, survives a crash, and goes on later."""

import time
from collections.abc import Callable
from typing import Any

from demos.registry import Demo, build, config_of
from lib.backends import open_jobs
from lib.faults import FAULTS, in_one_line
from lib.job import Job, State
from lib.jobs import Jobs
from lib.known_jobs import KnownJobs
from lib.settings import Config
from lib.store import COMMAND_LINE, Store
from lib.stores import open_store, place_name, store_place
from lib.values import shown

LOOK_SECONDS, CHUNK_SECONDS = 0.1, 1.0  # nobody waits for a click


def jobs(backend: str | None = None) -> KnownJobs:
    """The jobs of this process, beside those of a server; or those of a backend (see lib.backends)."""
    if backend is not None:
        return open_jobs(backend, store_place(), build="demos.registry.build", config_of="demos.registry.config_of")
    return Jobs(
        _store(),
        1,
        build=build,
        config_of=config_of,
        alone=False,
        publishes=True,
    )


def _store() -> Store:
    """The store of the server. Raises ValueError, with the remedy, where it cannot be opened."""
    place = store_place()
    try:
        return open_store(place)
    except FAULTS as error:
        raise ValueError(in_one_line(error, place_name(place))) from error


def train(
    demo: Demo,
    config: Config | None,
    resume: str | None,
    *,
    steps: int | None,
    points: int,
    progress: Callable[[Job], None],
    stopped: Callable[[], bool],
    backend: str | None = None,
) -> dict[str, Any]:
    """Train a new run with `config`, or go on with the run `resume`, to its end or to step `steps`: the report.

    Asked to stop, it pauses the run, so that it can go on later. Raises ValueError when there is no such run, or no store.
    """
    with_others = jobs(backend)
    try:
        job = _left(with_others, demo, resume) if resume else _begun(with_others, demo, config, points)
        job.pace.chunk_seconds = CHUNK_SECONDS
        with_others.resume(job.id, until=steps)
        while job.state in (State.QUEUED, State.COMPILING, State.RUNNING):
            progress(job)
            if stopped() or (steps is not None and steps <= job.step < job.steps):
                with_others.pause(job.id)
            time.sleep(LOOK_SECONDS)
        while job.busy or job.unsettled:
            time.sleep(LOOK_SECONDS)
        progress(job)
        return _report(demo, job)
    finally:
        with_others.shutdown()


def _begun(with_others: KnownJobs, demo: Demo, config: Config | None, points: int) -> Job:
    assert config is not None
    return with_others.start(demo.slug, config, COMMAND_LINE, paused=True, points=points)


def _left(with_others: KnownJobs, demo: Demo, run_id: str) -> Job:
    job = with_others.get(run_id)
    if job is not None and job.slug != demo.slug:
        raise ValueError(f"The run {shown(run_id)} is one of {job.slug}: go on with `run {job.slug}`.")
    return with_others.take_up(run_id)


def _report(demo: Demo, job: Job) -> dict[str, Any]:
    """The run as a JSON object, in the words of demos.headless."""
    status = "stopped" if job.active else str(job.state)
    return {
        "demo": demo.slug,
        "run": job.id,
        "config": job.config.model_dump(),
        "corpus": job.config.learns_from or None,
        "text": coverage.report() if (coverage := job.config.coverage) else None,
        "seed": getattr(job.config, "seed", None),
        "status": status,
        "message": job.message or f"{status} at step {job.step}",
        "steps": job.step,
        "seconds": job.seconds,
        "steps_per_second": job.step / job.seconds if job.seconds else None,
        "device": job.device,
        "metrics": job.stream.summary(),
        "final_by_seed": job.stream.final_by_seed(),
        "theory": {"chance": demo.theory.chance(job.config), "floor": demo.theory.floor(job.config)},
    }
