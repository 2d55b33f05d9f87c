"""The server's own routes: the stream of a run, Plotly's script, and our script."""

import asyncio
import gzip
import hashlib
import json
import signal
import threading
import time
from collections.abc import AsyncIterator
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.frames import Have, frame
from app.service import jobs
from demos.registry import get
from lib.job import Job

STATIC = Path(__file__).parent / "static"
TYPES = {".js": "text/javascript", ".css": "text/css"}
FRAME_SECONDS, LOOK_SECONDS, HEARTBEAT_SECONDS = 0.1, 0.02, 10.0
FOREVER = {"cache-control": "public, max-age=31536000, immutable"}

stopping = threading.Event()


async def events(request: Request) -> Response:
    """The frames of one run, as server-sent events: at once when its state changes, else with news at most ten a second."""
    job = await asyncio.to_thread(jobs().get, request.path_params["run_id"])
    if job is None:
        return Response("There is no such run.", 404)
    return StreamingResponse(
        _frames(job), media_type="text/event-stream", headers={"cache-control": "no-store", "x-accel-buffering": "no"}
    )


async def _frames(job: Job) -> AsyncIterator[str]:
    demo, have, drawn, seen, sent_at, state = get(job.slug), Have(), 0, -1, 0.0, None
    while not stopping.is_set():
        passed = time.monotonic() - sent_at
        if job.state != state or (job.version != seen and passed >= FRAME_SECONDS):
            seen, state = job.version, job.state
            content, have, drawn = frame(job, demo, have, drawn)
            yield f"data: {json.dumps(content, allow_nan=False, separators=(',', ':'))}\n\n"
            sent_at = time.monotonic()
        elif passed > HEARTBEAT_SECONDS:
            yield ": still here\n\n"
            sent_at = time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)


@cache
def _plotly() -> bytes:
    return gzip.compress(files("plotly").joinpath("package_data/plotly.min.js").read_bytes(), 6)


async def plotly(request: Request) -> Response:
    """Plotly's own script, from its Python package."""
    body = await asyncio.to_thread(_plotly)
    return Response(body, media_type="text/javascript", headers=FOREVER | {"content-encoding": "gzip"})


async def static(request: Request) -> Response:
    """One of our own scripts. Its address carries a hash of its content, so it may be kept for ever."""
    path = STATIC / request.path_params["name"]
    if path.parent != STATIC or not path.is_file():
        return Response("There is no such file.", 404)
    return Response(path.read_bytes(), media_type=TYPES.get(path.suffix, "text/plain"), headers=FOREVER)


def address(name: str) -> str:
    """The address of a file of ours, which changes with the file's content."""
    return f"/api/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def plotly_address() -> str:
    """The address of Plotly's script."""
    return f"/api/plotly.min.js?v={version('plotly')}"


ROUTES = [
    Route("/api/runs/{run_id}/events", events),
    Route("/api/plotly.min.js", plotly),
    Route("/api/static/{name}", static),
]


def end_streams_on_signals() -> None:
    """An open stream would hold up the server's end: end them all first, then do what was done before."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)

        def end(number: int, where: FrameType | None, before: Any = before) -> None:
            stopping.set()
            if callable(before):
                before(number, where)

        signal.signal(number, end)
