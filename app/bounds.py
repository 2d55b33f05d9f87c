"""Bounds on what one request may bring, and on how many streams may be open."""

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.traffic import counted, streams
from app.visitor import visitor_of

LONGEST_PATH = 1_000
LONGEST_QUERY = 48 * 1024  # bytes; a view of the inside has up to 16,000 characters, most of them escaped
LARGEST_BODY = 64 * 1024  # nothing but an upload has a body, and Streamlit bounds that by server.maxUploadSize
MOST_STREAMS_EACH, MOST_STREAMS = 30, 1_000
UPLOADS = "/_stcore/upload_file/"


class Bounds:
    """Refuses requests that are larger than any of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = _refused(scope) if scope["type"] == "http" else None
        await (refused or self.app)(scope, receive, send)


def _refused(scope: Scope) -> Response | None:
    headers, path, query = Headers(scope=scope), scope["path"], scope["query_string"]
    if len(path) > LONGEST_PATH or len(query) > LONGEST_QUERY:
        text = f"This address is too long: its path may have {LONGEST_PATH:,} characters, its query {LONGEST_QUERY:,}."
        return PlainTextResponse(text, 414)
    if path.startswith(UPLOADS):
        return None
    if "transfer-encoding" in headers:
        return PlainTextResponse("A request must tell its length: send a Content-Length.", 411)
    length = headers.get("content-length", "0")
    # uvicorn has refused what is no number.
    if int(length) > LARGEST_BODY:
        return PlainTextResponse(f"This request has {length} bytes, and may have {LARGEST_BODY:,}.", 413)
    return None


class StreamLimit:
    """Refuses a stream to a visitor who has many open, or when all together have. It sees the end of every stream."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        who = visitor_of(HTTPConnection(scope))
        if streams[who] >= MOST_STREAMS_EACH:
            text = f"You have {streams[who]} charts open, as many as one person may have: close some of your tabs."
            await PlainTextResponse(text, 429, {"retry-after": "10"})(scope, receive, send)
        elif streams.total() >= MOST_STREAMS:
            text = f"{streams.total():,} charts are open, as many as this server has room for: try again in a minute."
            await PlainTextResponse(text, 503, {"retry-after": "60"})(scope, receive, send)
        else:
            with counted(streams, who):
                await self.app(scope, receive, send)
