"""Whether the server lives, and whether it is ready for people: for containers, proxies and monitors."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app import routes, service, warm_up
from app.service import jobs
from lib.stores import store_place

ENDED = "A training thread has ended: restart the server."
AWAY = "No training process answers: another is being started."


async def healthz(request: Request) -> Response:
    """The process serves."""
    return PlainTextResponse("ok", headers=routes.NEVER)


async def readyz(request: Request) -> Response:
    """The process can train; if not, with a 503, the reasons."""
    reasons = await asyncio.to_thread(lambda: list(_reasons()))
    return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200, routes.NEVER)


ROUTES = [Route("/healthz", healthz, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]


def _reasons() -> Iterator[str]:
    if routes.stopping.is_set():
        yield "The server is ending."
        return
    if warm_up.unready:
        yield warm_up.unready
    if not jobs().alive():
        yield ENDED if service.backend() == "threads" else AWAY
    if trouble := jobs().trouble:
        yield trouble
    place = store_place()
    if not isinstance(place, Path):
        return
    try:
        with tempfile.TemporaryFile(dir=place) as file:  # buffered: a full disk is noticed when it is closed
            file.write(bytes(4096))
    except OSError as error:
        yield f"The data folder cannot be written: {error.strerror}."
