"""The visitor's cookie: at which answers it is set, and what a script makes of it. See also test_server.py."""

from http.cookies import SimpleCookie
from typing import Any

import anyio
import pytest
from streamlit.testing.v1 import AppTest

from app.visitor import COOKIE, VisitorCookie, valid

SCRIPT = """
import streamlit as st
from app.visitor import visitor_id
st.button("again")
st.text(visitor_id())
"""


def answered(headers: dict[str, str], *, status: int = 200, kind: str = "", scheme: str = "http") -> str | None:
    """The Set-Cookie header of an answer to a request for a page."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        content_type = [(b"content-type", kind.encode())] if kind else []
        await send({"type": "http.response.start", "status": status, "headers": content_type})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/echo", "scheme": scheme, "headers": raw}
    anyio.run(VisitorCookie(app), scope, None, send)
    return dict(sent[0]["headers"]).get(b"set-cookie", b"").decode() or None


def test_a_page_that_the_browser_has_kept_brings_the_cookie_too() -> None:
    assert answered({"accept": "text/html,*/*;q=0.8"}, status=304)
    assert not answered({"accept": "*/*"}, status=304)


@pytest.mark.parametrize(
    ("headers", "scheme", "secure"),
    [({}, "http", False), ({}, "https", True), ({"x-forwarded-proto": "https"}, "http", True)],
)
def test_over_https_the_cookie_stays_there(headers: dict[str, str], scheme: str, secure: bool) -> None:
    header = answered(headers, kind="text/html; charset=utf-8", scheme=scheme)
    assert header is not None
    assert bool(SimpleCookie(header)[COOKIE]["secure"]) is secure


def test_messages_pass_one_by_one() -> None:
    passed: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"one", b"two"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            assert passed[-1] == part, "nothing is held back"

    async def send(message: Any) -> None:
        passed.append(message.get("body", b""))

    anyio.run(
        VisitorCookie(app), {"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": []}, None, send
    )
    assert passed == [b"", b"one", b"two"]


def test_a_websocket_is_left_alone() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend((scope, receive, send))

    scope, receive, send = {"type": "websocket", "path": "/_stcore/stream"}, object(), object()
    anyio.run(VisitorCookie(app), scope, receive, send)
    assert seen == [scope, receive, send]


def test_without_a_cookie_each_session_has_an_id_of_its_own() -> None:
    first, other = (AppTest.from_string(SCRIPT).run() for _ in range(2))
    visitor = first.text[0].value
    assert valid(visitor)
    assert first.button[0].click().run().text[0].value == visitor
    assert other.text[0].value != visitor
