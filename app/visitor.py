"""Who is looking: a random cookie, so that a reload or a second tab finds a visitor's runs again."""

import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from http.cookies import SimpleCookie
from zoneinfo import ZoneInfo

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "unrolled_visitor"
SECONDS = 365 * 24 * 3600
_PATTERN = re.compile(r"[A-Za-z0-9_-]{20,64}")


def valid(value: object) -> bool:
    """Whether this can be a visitor's cookie that we wrote."""
    return isinstance(value, str) and _PATTERN.fullmatch(value) is not None


def visitor_of(connection: HTTPConnection) -> str:
    """Who asks: the visitor, or without a valid cookie the address."""
    value = connection.cookies.get(COOKIE)
    return str(value) if valid(value) else connection.client.host if connection.client else ""


class VisitorCookie:
    """Gives every page that is loaded without a valid cookie a new one. Passes streams through untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = scope["type"] == "http" and scope["method"] == "GET" and "." not in scope["path"].rsplit("/", 1)[-1]
        if not page or valid(HTTPConnection(scope).cookies.get(COOKIE)):
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        secure = "https" in (scope["scheme"], asked.get("x-forwarded-proto"))
        cookie = _cookie(secrets.token_urlsafe(24), secure=secure)
        navigates = "text/html" in asked.get("accept", "")

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # A page that the browser has kept comes back as "not modified", without a content type.
                kept = navigates and message["status"] == 304
                if kept or headers.get("content-type", "").startswith("text/html"):
                    headers.append("set-cookie", cookie)
            await send(message)

        await self.app(scope, receive, send_with_cookie)


def _cookie(value: str, *, secure: bool) -> str:
    cookie: SimpleCookie = SimpleCookie({COOKIE: value})
    cookie[COOKIE].update({"path": "/", "max-age": str(SECONDS), "samesite": "lax"})
    cookie[COOKIE]["httponly"] = True
    cookie[COOKIE]["secure"] = secure
    return cookie[COOKIE].OutputString()


def visitor_id() -> str:
    """The visitor of this script run; without a cookie, one for this session alone."""
    value = st.context.cookies.get(COOKIE)
    if valid(value):
        return str(value)
    return str(st.session_state.setdefault("visitor", secrets.token_urlsafe(24)))


def visitor_address() -> str:
    """The address that this script run is asked from; empty on the server's own machine."""
    return st.context.ip_address or ""


def clock(seconds: float) -> str:
    """A moment on the visitor's clock: the time of day, and before today the date."""
    moment, now = (datetime.fromtimestamp(each, _zone()) for each in (seconds, time.time()))
    return f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M}"


def visitor_clock() -> Callable[[float], str]:
    """What says a moment's date and time on this visitor's clock, also when no script runs."""
    zone = _zone()
    return lambda seconds: f"{datetime.fromtimestamp(seconds, zone):%Y-%m-%d %H:%M}"


def _zone() -> tzinfo:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (KeyError, ValueError):
        return UTC
