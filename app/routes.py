"""The server's own routes: the stream of a run, Plotly's script, and our scripts."""

import asyncio
import gzip
import hashlib
import re
import signal
import threading
import time
from collections.abc import AsyncIterator, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app import frames, room_frames
from app.bounds import StreamLimit
from app.service import jobs, rooms, sweeps
from demos.registry import get
from lib.inside import View
from lib.job import ACTIVE, Job, State
from lib.sweeps import Sweep

STATIC = Path(__file__).resolve().parent / "static"
TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
FRAME_SECONDS, LOOK_SECONDS, REST_SECONDS, BEAT_SECONDS, INSIDE_SECONDS = 0.1, 0.02, 0.2, 10.0, 0.5
FEW_STREAMS = 30
# A page tells a quiet stream from a dead one by it, and it cannot see comments.
BEAT = "event: beat\ndata: 1\n\n"
FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
NEVER = {"cache-control": "no-store"}
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

stopping = threading.Event()
_moving: set[object] = set()  # the open streams whose run trains now


async def events(request: Request) -> Response:
    """The frames of one run or sweep, as server-sent events: at once when its state changes, else with news at most ten a second.

    With `?series=loss,loss_low` it has these series only. Whoever has a run's id, which is long and random, may watch it.
    """
    if await _is_room(request.path_params["run_id"]):
        return StreamingResponse(
            _room_frames(request.path_params["run_id"]),
            media_type="text/event-stream",
            headers=NEVER | {"x-accel-buffering": "no"},
        )
    source = await _source(request)
    if source is None:
        return Response("There is no such run.", 404)
    wanted = request.query_params.get("series")
    if "view" in request.query_params and isinstance(source, Job):
        try:
            view = View.from_json(request.query_params["view"])
        except ValueError as error:
            return Response(str(error), 400, media_type="text/plain")
        frames_of_it = _inside_frames(source, view, request.query_params.get("pictures", "").split(","))
        return StreamingResponse(
            frames_of_it, media_type="text/event-stream", headers=NEVER | {"x-accel-buffering": "no"}
        )
    # nginx would hold the frames back until it has some kilobytes.
    return StreamingResponse(
        _frames(source, wanted.split(",") if wanted is not None else None),
        media_type="text/event-stream",
        headers=NEVER | {"x-accel-buffering": "no"},
    )


async def run(request: Request) -> Response:
    """One run as a single frame. A page asks it whether a run is still there whose stream was refused."""
    wanted = request.path_params["run_id"]
    if await _is_room(wanted):
        return Response(
            await asyncio.to_thread(room_frames.frame, wanted), media_type="application/json", headers=NEVER
        )
    source = await _source(request)
    if source is None:
        return Response("There is no such run.", 404)
    content, _, _ = _frame(source, {}, -1)
    return Response(frames.text(content), media_type="application/json", headers=NEVER)


async def nothing(request: Request) -> Response:
    """Whatever else is asked for under /api, for which Streamlit would send its page."""
    return Response("There is nothing here.", 404)


async def _is_room(key: str) -> bool:
    """Whether this is a room or its wall. It may have to wait for somebody who writes."""
    return await asyncio.to_thread(lambda: rooms().get(key) is not None)


async def _source(request: Request) -> Job | Sweep | None:
    """The run or the sweep, which may have to be read from the disk."""
    wanted = request.path_params["run_id"]
    if not _RUN_ID.fullmatch(wanted):
        return None
    return await asyncio.to_thread(lambda: jobs().get(wanted) or sweeps().get(wanted))


def _frame(
    source: Job | Sweep, have: frames.Have, drawn: int, names: Sequence[str] | None = None
) -> tuple[frames.Json, frames.Have, int]:
    """One frame of a run or a sweep, and what the reader has after it."""
    demo = get(source.slug)
    if isinstance(source, Sweep):
        content, drawn = frames.sweep_frame(source, demo, drawn)
        return content, have, drawn
    source.touch()
    return frames.frame(source, demo, have, drawn, names)


async def _frames(source: Job | Sweep, names: Sequence[str] | None = None) -> AsyncIterator[str]:
    """The first frame has all that there is, each later one what is new. The end of a run does not end it: beats follow."""
    have, drawn, seen, state, sent_at = frames.Have(), -1, -1, None, 0.0
    me = object()
    try:
        while not stopping.is_set():
            passed = time.monotonic() - sent_at
            (_moving.add if source.state is State.RUNNING else _moving.discard)(me)
            crowd = max(1.0, len(_moving) / FEW_STREAMS)  # many get their news less often, or nobody would in time
            if source.state != state or (source.version != seen and passed >= crowd * FRAME_SECONDS):
                content, have, drawn = _frame(source, have, drawn, names)
                seen, state, sent_at = content["version"], content["state"], time.monotonic()
                yield f"data: {frames.text(content)}\n\n"
            elif passed > BEAT_SECONDS:
                sent_at = time.monotonic()
                if isinstance(source, Job):
                    source.touch()
                yield BEAT
            await asyncio.sleep(crowd * LOOK_SECONDS if source.state in ACTIVE else REST_SECONDS)
    finally:
        _moving.discard(me)


async def _inside_frames(job: Job, view: View, names: Sequence[str]) -> AsyncIterator[str]:
    """Pictures of what goes on inside, as a person has chosen to look: with each new picture of the run, but at most two
    a second, and at most a tenth of the time for making them."""
    drawn, due, beat_at = -1, 0.0, time.monotonic()
    demo = get(job.slug)
    while not stopping.is_set():
        now = time.monotonic()
        if job.snapshot_version != drawn and now >= due:
            drawn = job.snapshot_version
            job.touch()
            content = await asyncio.to_thread(frames.inside_frame, job, demo, view, names)
            took = time.monotonic() - now
            due, beat_at = now + max(INSIDE_SECONDS, 10 * took), now
            yield f"data: {frames.text(content)}\n\n"
        elif now - beat_at > BEAT_SECONDS:
            beat_at = now
            job.touch()
            yield BEAT
        await asyncio.sleep(LOOK_SECONDS)


async def _room_frames(key: str) -> AsyncIterator[str]:
    """What there is to tell of a room, at most once a second."""
    sent, due, beat_at = "", 0.0, time.monotonic()
    while not stopping.is_set():
        now = time.monotonic()
        if now >= due:
            content = room_frames.ready(key) or await asyncio.to_thread(room_frames.frame, key)
            due = now + room_frames.EVERY_SECONDS
            if content != sent:
                sent, beat_at = content, now
                yield f"data: {content}\n\n"
        if now - beat_at > BEAT_SECONDS:
            beat_at = now
            yield BEAT
        await asyncio.sleep(10 * LOOK_SECONDS)


@cache
def plotly_script() -> bytes:
    """Plotly's own script, from its Python package, zipped: 4.8 MB become 1.5 MB in a quarter of a second."""
    return gzip.compress(files("plotly").joinpath("package_data/plotly.min.js").read_bytes(), 6)


async def plotly(request: Request) -> Response:
    """Plotly's own script."""
    body = await asyncio.to_thread(plotly_script)
    return Response(body, media_type="text/javascript", headers=FOREVER | {"content-encoding": "gzip"})


async def static(request: Request) -> Response:
    """One of our own files. Its address carries a hash of them all, so it may be kept for ever.

    A page that was open while the server was updated asks with an old hash: it gets the present file, but not to keep.
    """
    path = STATIC / request.path_params["name"]
    if path.parent != STATIC or not path.is_file():
        return Response("There is no such file.", 404)
    headers = FOREVER if request.path_params["hash"] == _hash() else NEVER
    return Response(path.read_bytes(), media_type=TYPES.get(path.suffix, "text/plain"), headers=headers)


def _hash() -> str:
    """Of all scripts together, because they import each other by their names."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.glob("*.js")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def address(name: str) -> str:
    """The address of a script of ours, which changes with its content and that of what it imports."""
    return f"/api/static/{_hash()}/{name}"


@cache
def plotly_address() -> str:
    """The address of Plotly's script."""
    return f"/api/plotly.min.js?v={version('plotly')}"


ROUTES = [
    Route("/api/runs/{run_id}/events", events, methods=["GET"], middleware=[Middleware(StreamLimit)]),
    Route("/api/runs/{run_id}", run, methods=["GET"]),
    Route("/api/plotly.min.js", plotly, methods=["GET"]),
    Route("/api/static/{hash}/{name}", static, methods=["GET"]),
    Route("/api/{rest:path}", nothing),  # after all others
]


def end_streams_on_signals() -> None:
    """An open stream would hold up the server's end: end them all first, then do what was done before.

    Call it in the main thread when Uvicorn has set its handlers; in another thread it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)

        def end(number: int, where: FrameType | None, before: Any = before) -> None:
            stopping.set()
            if callable(before):
                before(number, where)
            elif before == signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)

        signal.signal(number, end)
