"""Streamlit's scripts and ours from memory: the same as Streamlit sends, but zipped, and nothing else is touched."""

from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from streamlit.web.server.starlette.starlette_static_routes import create_streamlit_static_assets_routes

from app import packed, routes
from app.headers import SecurityHeaders
from app.packed import PackedFiles

STREAMLITS = [*routes.ROUTES, *create_streamlit_static_assets_routes(None)]
APP = Starlette(routes=STREAMLITS, middleware=[Middleware(SecurityHeaders), Middleware(PackedFiles)])
SCRIPT = next(name for name in packed._files() if name.startswith("/static/js/index"))
STYLE = next(name for name in packed._files() if name.endswith(".css"))
PLAIN = {"accept-encoding": "identity"}


def ask(path: str, app: Any = APP, method: str = "GET", **headers: str) -> httpx.Response:
    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.request(method, path, headers=headers)

    return anyio.run(call)


@pytest.mark.parametrize("path", [SCRIPT, STYLE, routes.address("live.js")])
def test_a_file_is_the_same_and_zipped(path: str) -> None:
    for _ in range(2):
        found, expected = ask(path), ask(path, Starlette(routes=STREAMLITS))
        assert (found.status_code, found.content) == (200, expected.content)
        assert found.headers["content-encoding"] == "gzip" and found.headers["vary"] == "Accept-Encoding"
        assert int(found.headers["content-length"]) < len(expected.content)
        assert found.headers["content-type"] == expected.headers["content-type"]
        kept = set(expected.headers["cache-control"].split(", "))
        assert set(found.headers["cache-control"].split(", ")) == kept, "for ever"
        assert found.headers.get_list("x-content-type-options") == ["nosniff"], "once, also the second time"
        assert "default-src 'self'" in found.headers["content-security-policy"]


def test_whoever_has_it_is_told_so() -> None:
    tag = ask(SCRIPT).headers["etag"]
    assert ask(SCRIPT, **{"if-none-match": tag}).status_code == 304
    assert ask(SCRIPT, **{"if-none-match": '"another"'}).status_code == 200


def test_what_is_asked_in_another_way_is_streamlits() -> None:
    whole = ask(SCRIPT, **PLAIN)
    assert "content-encoding" not in whole.headers
    head = ask(SCRIPT, method="HEAD")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", whole.headers["etag"])
    part = ask(SCRIPT, range="bytes=0-9")
    assert (part.status_code, part.content) == (206, whole.content[:10])
    assert ask(SCRIPT, method="POST").status_code == 405


@pytest.mark.parametrize("path", ["/static/js/nothing.js", "/static/../packed.py", "/static//js", "/", "/favicon.png"])
def test_everything_else_goes_on(path: str) -> None:
    found, expected = ask(path), ask(path, Starlette(routes=STREAMLITS))
    assert (found.status_code, found.content) == (expected.status_code, expected.content)


def test_what_is_edited_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_DEV", "1")
    assert not any(path.is_relative_to(routes.STATIC) for path in packed._files().values())
    assert Path(packed._files()[SCRIPT]).is_file()
