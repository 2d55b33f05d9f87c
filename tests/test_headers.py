"""The headers that protect people, on whatever the application answers. See also test_hosting.py."""

from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app.headers import SecurityHeaders


async def _page(request: Request) -> PlainTextResponse:
    return PlainTextResponse("text", headers={"set-cookie": "a=1; Path=/", "referrer-policy": "unsafe-url"})


async def _fails(request: Request) -> PlainTextResponse:
    raise RuntimeError("no")


def answer(path: str, https: bool = False) -> httpx.Response:
    app = Starlette(routes=[Route("/", _page), Route("/fails", _fails)], middleware=[Middleware(SecurityHeaders)])

    async def call() -> httpx.Response:
        headers = {"x-forwarded-proto": "https"} if https else {}
        transport: Any = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers) as client:
            return await client.get(path)

    return anyio.run(call)


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/nowhere", 404), ("/fails", 500)])
def test_every_answer_has_them(path: str, status: int) -> None:
    found = answer(path)
    assert found.status_code == status
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers.get_list("referrer-policy") == ["same-origin"]
    assert "camera=()" in found.headers["permissions-policy"]


def test_the_policy_lets_in_no_other_server_and_no_text_as_script() -> None:
    policy = dict(part.split(" ", 1) for part in answer("/").headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "'unsafe-inline'" not in policy["script-src"] and "'unsafe-eval'" not in policy["script-src"]
    assert "'sha256-" in policy["script-src"], "the one script in Streamlit's page"
    assert not any(word in value for value in policy.values() for word in ("http:", "https:", "*"))


def test_a_course_page_may_show_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_FRAME_ANCESTORS", "https://course.example.org")
    assert answer("/").headers["content-security-policy"].endswith("frame-ancestors https://course.example.org")


def test_only_what_came_by_tls_is_bound_to_it() -> None:
    plain, secure = answer("/"), answer("/", https=True)
    assert "strict-transport-security" not in plain.headers
    assert plain.headers["set-cookie"] == "a=1; Path=/"
    assert secure.headers["strict-transport-security"] == "max-age=31536000"
    assert secure.headers["set-cookie"] == "a=1; Path=/; Secure"
