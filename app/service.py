"""The jobs, sweeps and rooms of this server process, made when they are first asked for."""

import argparse
import asyncio
import logging
import os
import sys
import threading
import time
from functools import cache
from types import ModuleType
from typing import Any

from app.hosting import hosted
from demos.registry import UnknownDemoError, get
from lib.backends import open_jobs
from lib.clearing import Clearing
from lib.known_jobs import KnownJobs
from lib.limits import Limits
from lib.rooms import Rooms
from lib.settings import Config
from lib.stores import store_place
from lib.sweeps import Sweeps

LOG = logging.getLogger(__name__)
CLOSE_EVERY = 300.0  # seconds

# When a file changes, `make dev` drops our modules and imports them anew, but not a module without a file: so there is
# never a second Jobs beside the one that trains.
_PROCESS: Any = sys.modules.setdefault("unrolled_process", ModuleType("unrolled_process"))
_MAKING: threading.Lock = _PROCESS.__dict__.setdefault("making", threading.Lock())


def backend() -> str:
    """Where jobs are trained (see lib.backends)."""
    return _arguments().backend or os.environ.get("UNROLLED_BACKEND") or ("process" if hosted() else "threads")


@cache
def _arguments() -> argparse.Namespace:
    """What stands behind `--` on Streamlit's command line."""
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--backend", default="")
    return parser.parse_known_args()[0]


def jobs() -> KnownJobs:
    """The jobs of this process."""
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
        _PROCESS.rooms = Rooms(
            _jobs().store, config_of=lambda slug: get(slug).config, runs_in=_jobs().runs_in, title_of=_title
        )
    found: Rooms = _PROCESS.rooms
    return found


def _title(slug: str) -> str:
    """What people know a demo by; one that this version does not have, by its slug."""
    try:
        return get(slug).title
    except UnknownDemoError:
        return slug


def _permit(visitor: str, slug: str, config: Config) -> Limits:
    """The server's limits for a run, or those of the visitor's room."""
    return rooms().permit(visitor, slug, config, Limits.from_environment())


def _sweeps() -> Sweeps:
    if not hasattr(_PROCESS, "sweeps"):
        _PROCESS.sweeps = Sweeps(_jobs(), config_of=lambda slug: get(slug).config)
    found: Sweeps = _PROCESS.sweeps
    return found


async def close_idle_rooms() -> None:
    """Close the rooms in which nothing happens any more, for as long as the server runs."""
    while True:
        try:
            await asyncio.to_thread(lambda: rooms().close_idle(time.time()))
        except Exception:  # tried again the next time
            LOG.exception("the idle rooms stay open")
        await asyncio.sleep(CLOSE_EVERY)


def trouble() -> str:
    """Why runs cannot be saved just now; empty where they can."""
    return _PROCESS.jobs.trouble if hasattr(_PROCESS, "jobs") else ""


def shutdown() -> None:
    """End the threads of both, and write what they have."""
    sweeps().shutdown()
    jobs().shutdown()


def _jobs() -> KnownJobs:
    if not hasattr(_PROCESS, "jobs"):
        _PROCESS.jobs = open_jobs(
            backend(),
            store_place(),
            build="demos.registry.build",
            config_of="demos.registry.config_of",
            limits=Limits.from_environment(),
            clearing=Clearing.from_environment(),
            begin="app.logs.begin_worker" if hosted() else "",
        )
        _PROCESS.jobs.permit = _permit
    found: KnownJobs = _PROCESS.jobs
    return found
