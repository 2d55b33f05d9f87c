"""Answers from memory what every newcomer's page loads: Streamlit's scripts and styles, and ours, zipped once.

A page links 61 files of Streamlit's (1.67), and then 14 of ours. Streamlit reads each anew, and sends 2.3 MB as they are. All of
them took 60 ms of the event loop, for which everybody waits; from here they take 4, and 0.7 MB (without what Uvicorn needs).
"""

import asyncio
import gzip
import os
from importlib.resources import files
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.routes import FOREVER, STATIC, address

KINDS = (".js", ".css")  # fonts and pictures are packed already
# Streamlit knows whether a file has changed, and sends a part of one.
STREAMLITS = ("range", "if-none-match", "if-modified-since")


class PackedFiles:
    """Answers a browser that takes gzip. Everything else goes on to the application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.files = _files()
        self.kept: dict[str, Response] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in self.files or not _wants_packed(scope):
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if path not in self.kept:
            self.kept[path] = await asyncio.to_thread(_packed, self.files[path])
        await self.kept[path](scope, receive, send)


def _files() -> dict[str, Path]:
    """The files by their addresses. While ours are edited, they are not among them."""
    streamlits = Path(str(files("streamlit"))) / "static"
    found = {f"/{path.relative_to(streamlits).as_posix()}": path for path in (streamlits / "static").rglob("*.*")}
    if os.environ.get("UNROLLED_DEV") != "1":
        found |= {address(path.name): path for path in STATIC.iterdir()}
    return {name: path for name, path in found.items() if path.suffix in KINDS}


def _wants_packed(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return (
        scope["method"] == "GET"
        and "gzip" in headers.get("accept-encoding", "")
        and not any(name in headers for name in STREAMLITS)
    )


def _packed(file: Path) -> Response:
    """What Streamlit would answer, zipped. So its tag is a weak one: the bytes are others."""
    plain = FileResponse(file, stat_result=file.stat()).headers
    headers = {"content-encoding": "gzip", "vary": "Accept-Encoding", "etag": f"W/{plain['etag']}"}
    headers |= {name: plain[name] for name in ("content-type", "last-modified")}
    return Response(gzip.compress(file.read_bytes()), headers=FOREVER | headers)
