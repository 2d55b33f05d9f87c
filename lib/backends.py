"""Where jobs are trained: in threads of this process, in a process of its own, or on a Ray cluster."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from pydoc import locate
from typing import Any

from lib.clearing import Clearing
from lib.fleet import Fleet
from lib.jobs import NO_CLEARING, Jobs
from lib.known_jobs import NO_LIMITS, KnownJobs
from lib.limits import Limits
from lib.remote_jobs import RemoteJobs
from lib.values import shown
from lib.worker_process import LocalFleet, Setup, new_key

BACKENDS: Mapping[str, str] = {
    "threads": "background threads of the server itself",
    "process": "a process of its own on this machine, so that training and pages do not wait for each other",
    "ray": "a Ray cluster: `ray` starts one here, `ray:ADDRESS` uses one that is there",
}


class BackendError(ValueError):
    """There is no such backend, or it cannot be used. Its text is one line with the remedy."""


def check(backend: str) -> str:
    """The backend. Raises BackendError where there is none of this name, or what it needs is not installed."""
    kind, _, address = backend.partition(":")
    if kind not in BACKENDS or (address and kind != "ray"):
        raise BackendError(f"{shown(backend)} is not a backend: choose one of {', '.join(BACKENDS)}, or ray:ADDRESS.")
    if kind == "ray" and find_spec("ray") is None:
        raise BackendError("Ray is not installed: pip install -r requirements-ray.txt.")
    return backend


def open_jobs(
    backend: str,
    place: Path | str,
    *,
    build: str,
    config_of: str,
    limits: Limits = NO_LIMITS,
    clearing: Clearing = NO_CLEARING,
    begin: str = "",
) -> KnownJobs:
    """The jobs of a store, trained by a backend. `build` and `config_of` (see `Jobs`) and `begin`, which a worker calls first,
    are named "module.function", because other processes import them. Raises BackendError.
    """
    kind, _, address = check(backend).partition(":")
    found: Any = locate(config_of)
    if kind == "threads":
        made: Any = locate(build)
        shared = isinstance(place, str)
        return Jobs(place, build=made, config_of=found, limits=limits, clearing=clearing, publishes=shared)
    setup = Setup(new_key(), place, build, config_of, clearing, begin=begin)
    fleet = LocalFleet(setup) if kind == "process" else _ray(setup, address)
    return RemoteJobs(place, fleet, config_of=found, limits=limits, clearing=clearing)


def _ray(setup: Setup, address: str) -> Fleet:
    from lib import ray_workers  # an optional extra

    try:
        return ray_workers.RayFleet(setup, address or ray_workers.LOCAL)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BackendError(f"The Ray cluster {shown(address)} cannot be used ({reason}): check its address.") from error
