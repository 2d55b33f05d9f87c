"""Headers of every response by which a browser protects the people who use this server."""

import base64
import hashlib
import os
import re
from collections.abc import Iterator
from importlib.resources import files

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

YEAR = 365 * 24 * 3600
_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def came_by_https(scope: Scope) -> bool:
    """Whether the browser asked by TLS, of us or of the proxy before us."""
    return "https" in (scope["scheme"], Headers(scope=scope).get("x-forwarded-proto"))


def content_policy(frame_ancestors: str) -> str:
    """The Content-Security-Policy that the pages work under: nothing comes from, or goes to, another server."""
    return "; ".join(
        [
            "default-src 'self'",
            # Streamlit imports the stubs of our components from a blob, its page has one line of script of its own, and its
            # protobuf counts large numbers in WebAssembly. No script here is made from text ('unsafe-eval').
            f"script-src 'self' blob: 'wasm-unsafe-eval' {' '.join(_inline_scripts())}",
            # Streamlit (by Emotion) and Plotly both write style elements and style attributes.
            "style-src 'self' 'unsafe-inline'",
            # Streamlit's scripts hold a font and some icons, and Plotly makes a PNG from an SVG that is a blob.
            "font-src 'self' data:",
            "img-src 'self' data: blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            f"frame-ancestors {frame_ancestors}",
        ]
    )


def _inline_scripts() -> Iterator[str]:
    """The scripts in Streamlit's page itself, as a policy names them."""
    page = files("streamlit").joinpath("static/index.html").read_text(encoding="utf-8")
    for script in _INLINE.findall(page):
        yield f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


class SecurityHeaders:
    """Adds the headers to every response, also where the application failed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.headers = {
            # In whose pages ours may stand: a course page's address, such as https://course.example.org.
            "content-security-policy": content_policy(os.environ.get("UNROLLED_FRAME_ANCESTORS") or "'none'"),
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",  # whoever has a run's address may watch it
            "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        https, started = came_by_https(scope), False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._add(MutableHeaders(scope=message), https)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            if not started:
                await PlainTextResponse("Internal Server Error", 500)(scope, receive, send_with_headers)
            raise

    def _add(self, headers: MutableHeaders, https: bool) -> None:
        headers.update(self.headers)
        if not https:
            return
        headers["strict-transport-security"] = f"max-age={YEAR}"
        # Streamlit cannot see a proxy's TLS, so its cookies (_streamlit_session, and _streamlit_xsrf, which cannot be
        # HttpOnly: its script sends it back in a header) lack "Secure".
        for index, (name, value) in enumerate(headers.raw):
            if name == b"set-cookie" and b"secure" not in value.lower().split(b"; "):
                headers.raw[index] = (name, value + b"; Secure")
