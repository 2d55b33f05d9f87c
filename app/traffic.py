"""Counts what the server answers, and what is open. A hosted server writes a line about every request."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import prometheus_client
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.hosting import hosted
from app.visitor import visitor_of

LOG = logging.getLogger(__name__)
REQUESTS = prometheus_client.Counter(
    "unrolled_http_requests", "Requests by the class of their status.", ["status"], registry=None
)
pages: Counter[str] = Counter()  # open pages of each visitor
streams: Counter[str] = Counter()  # open streams of each visitor


@contextmanager
def counted(open_now: Counter[str], who: str) -> Iterator[None]:
    """Count one more of a visitor's while it is open."""
    open_now[who] += 1
    try:
        yield
    finally:
        open_now[who] -= 1
        if not open_now[who]:
            del open_now[who]


class Traffic:
    """The outermost part, so that it sees everything."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            with counted(pages, visitor_of(HTTPConnection(scope))):
                await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), 500

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noting)
        finally:
            REQUESTS.labels(f"{status // 100}xx").inc()
            if hosted():
                ms = round(1000 * (time.perf_counter() - started), 1)
                # The path alone: what people typed is in the query.
                request = {"method": scope["method"], "path": scope["path"], "status": status, "ms": ms}
                LOG.info("request", extra=request)
