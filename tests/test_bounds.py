"""Bounds of requests and streams, and identities that were made up."""

import asyncio
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app import bounds, traffic
from app.bounds import Bounds, StreamLimit
from app.visitor import COOKIE, VisitorCookie

VISITOR = "v" * 32


async def _page(request: Request) -> PlainTextResponse:
    return PlainTextResponse("page")


BOUNDED = Starlette(routes=[Route("/{path:path}", _page, methods=["GET", "PUT"])], middleware=[Middleware(Bounds)])


@pytest.fixture(autouse=True)
def _no_streams() -> Iterator[None]:
    traffic.streams.clear()
    yield
    traffic.streams.clear()


def ask(app: Any, path: str, method: str = "GET", **settings: Any) -> httpx.Response:
    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.request(method, path, **settings)

    return anyio.run(call)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/echo?text=" + "x" * 16_000, 200),
        ("/echo?text=" + "x" * bounds.LONGEST_QUERY, 414),
        ("/" + "x" * bounds.LONGEST_PATH, 414),
    ],
)
def test_an_address_has_a_bound(path: str, status: int) -> None:
    assert ask(BOUNDED, path).status_code == status


def test_a_body_has_a_bound_and_a_length_but_an_upload_is_left_to_streamlit() -> None:
    large = b"x" * (bounds.LARGEST_BODY + 1)

    async def parts() -> Any:
        yield b"part"

    assert ask(BOUNDED, "/echo", "PUT", content=b"small").status_code == 200
    assert ask(BOUNDED, "/echo", "PUT", content=large).status_code == 413
    assert ask(BOUNDED, "/echo", "PUT", content=parts()).status_code == 411
    assert ask(BOUNDED, "/_stcore/upload_file/session/file", "PUT", content=large).status_code == 200


def open_streams(visitors: list[str], monkeypatch: pytest.MonkeyPatch, **most: int) -> tuple[list[int], list[int]]:
    """The statuses of streams that are opened one after another and stay open, and of as many after they were left."""
    for name, value in most.items():
        monkeypatch.setattr(bounds, name, value)

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()

    async def read() -> tuple[list[int], list[int]]:
        left, rounds = asyncio.Event(), ([], [])
        for statuses in rounds:
            left.clear()
            tasks = [asyncio.ensure_future(one(visitor, statuses, left)) for visitor in visitors]
            while len(statuses) < len(tasks):
                await asyncio.sleep(0)
            left.set()
            await asyncio.gather(*tasks)
        return rounds

    async def one(visitor: str, statuses: list[int], left: asyncio.Event) -> None:
        async def receive() -> Any:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        headers = [(b"cookie", f"{COOKIE}={visitor}".encode())]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "client": ("1.2.3.4", 5)}
        await StreamLimit(stream)(scope, receive, send)

    return asyncio.run(read())


def test_a_visitor_may_have_some_streams_and_again_when_they_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = open_streams([VISITOR] * 4 + ["w" * 32], monkeypatch, MOST_STREAMS_EACH=3)
    assert first == again == [200, 200, 200, 429, 200]
    assert not traffic.streams


def test_all_together_may_have_some_more(monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = open_streams([letter * 32 for letter in "abcde"], monkeypatch, MOST_STREAMS=3)
    assert first == again == [200, 200, 200, 503, 503]


def test_without_a_good_cookie_the_address_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = open_streams(["forged", "x" * 65, "../../etc"], monkeypatch, MOST_STREAMS_EACH=2)
    assert first == [200, 200, 429]


@pytest.mark.parametrize(
    "value", ["", "short", "x" * 5000, "../" * 10, "%00" * 10, "é" * 30, "=;=;==", '"\\000"', "\x7f" * 30]
)
def test_a_forged_cookie_is_nobodys(value: str) -> None:
    app = Starlette(routes=[Route("/", _page)], middleware=[Middleware(VisitorCookie)])
    cookie = f"{COOKIE}={value}".encode("latin-1")
    assert ask(app, "/", headers={b"cookie": cookie}).status_code == 200
