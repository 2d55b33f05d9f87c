"""The jobs, sweeps and rooms of this server process, made when they are first asked for."""

import sys
import threading
from types import ModuleType
from typing import Any

from demos.registry import get
from lib.clearing import Clearing
from lib.jobs import Jobs
from lib.limits import Limits
from lib.rooms import Rooms
from lib.settings import Config
from lib.store import data_folder
from lib.sweeps import Sweeps

# When a file changes, `make dev` drops our modules and imports them anew, but not a module without a file: so there is
# never a second Jobs beside the one that trains.
_PROCESS: Any = sys.modules.setdefault("unrolled_process", ModuleType("unrolled_process"))
_MAKING: threading.Lock = _PROCESS.__dict__.setdefault("making", threading.Lock())


def jobs() -> Jobs:
    """The one `Jobs` of this process."""
    with _MAKING:
        return _jobs()


def sweeps() -> Sweeps:
    """The one `Sweeps` of this process."""
    with _MAKING:
        return _sweeps()


def rooms() -> Rooms:
    """The one `Rooms` of this process."""
    with _MAKING:
        return _rooms()


def _rooms() -> Rooms:
    if not hasattr(_PROCESS, "rooms"):
        _PROCESS.rooms = Rooms(_jobs().store, config_of=lambda slug: get(slug).config)
    found: Rooms = _PROCESS.rooms
    return found


def _permit(visitor: str, slug: str, config: Config) -> Limits:
    """The server's limits for a run, or those of the visitor's room."""
    return rooms().permit(visitor, slug, config, Limits.from_environment())


def _sweeps() -> Sweeps:
    if not hasattr(_PROCESS, "sweeps"):
        _PROCESS.sweeps = Sweeps(_jobs(), config_of=lambda slug: get(slug).config)
    found: Sweeps = _PROCESS.sweeps
    return found


def trouble() -> str:
    """Why runs cannot be saved just now; empty where they can."""
    return _PROCESS.jobs.store.trouble if hasattr(_PROCESS, "jobs") else ""


def shutdown() -> None:
    """End the threads of both, and write what they have."""
    sweeps().shutdown()
    jobs().shutdown()


def _jobs() -> Jobs:
    if not hasattr(_PROCESS, "jobs"):
        _PROCESS.jobs = Jobs(
            data_folder(),
            build=lambda slug, config: get(slug).build(config),
            config_of=lambda slug: get(slug).config,
            limits=Limits.from_environment(),
            clearing=Clearing.from_environment(),
        )
        _PROCESS.jobs.permit = _permit
    found: Jobs = _PROCESS.jobs
    return found
