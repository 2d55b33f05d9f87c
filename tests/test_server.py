"""The server's own parts: frames, routes, the visitor's cookie, the check at start-up."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import anyio
import httpx
import numpy as np
import pytest
import streamlit.config
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from app import frames as made
from app import routes, startup_check
from app.frames import event_of, frame
from app.routes import ROUTES, address
from app.visitor import COOKIE, VisitorCookie, valid
from demos.registry import get
from lib.job import Job, State
from tests.conftest import ROOT

DEMO = get("echo")


def job_with(steps: int = 500) -> Job:
    job = Job("echo", DEMO.config(), "visitor")
    job.stream.append(0, {"loss": np.linspace(0.7, 0.001, steps, dtype=np.float32)})
    job.step, job.state = steps, State.RUNNING
    return job


def points(packed: dict, name: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed[name]), kind)


def test_a_frame_is_json_and_carries_the_points() -> None:
    job = job_with()
    content, have, _ = frame(job, DEMO, {}, 0)
    sent = json.loads(json.dumps(content, allow_nan=False))
    steps, values = job.stream.curve("loss")
    np.testing.assert_array_equal(points(sent["series"]["loss"], "step", "<i4"), steps)
    np.testing.assert_array_equal(points(sent["series"]["loss"], "value", "<f4"), values)
    assert (sent["step"], sent["steps"], sent["epoch"], sent["epochs"]) == (500, 66_600, 1, 100)
    assert have["loss"] == (0, 500)


def test_the_next_frame_carries_only_what_is_new() -> None:
    job = job_with()
    _, have, _ = frame(job, DEMO, {}, 0)
    assert frame(job, DEMO, have, 0)[0]["series"] == {}
    job.stream.append(500, {"loss": np.array([0.25], np.float32)})
    content, _, _ = frame(job, DEMO, have, 0)
    assert content["series"]["loss"]["start"] == 500
    assert points(content["series"]["loss"], "value", "<f4").tolist() == [0.25]


def test_numbers_that_json_has_no_word_for_are_null() -> None:
    job = job_with(200)
    job.stream.append(200, {"loss": np.array([np.nan, np.inf], np.float32)})
    assert json.loads(json.dumps(frame(job, DEMO, {}, 0)[0], allow_nan=False))["metrics"] == {"loss": None}


def test_pictures_are_sent_once_for_each_snapshot() -> None:
    job = job_with()
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (15, 5)).astype(np.uint8)
    job.snapshot = {
        "inputs": bits, "targets": bits, "probabilities": rng.random((15, 5)), "hidden_state": rng.random((15, 5, 4)),
        "step": np.array(500),
    }  # fmt: skip
    job.snapshot_version = 3
    content, _, drawn = frame(job, DEMO, {}, 0)
    assert set(json.loads(made.text(content))["figures"]) == {"batch", "hidden_state"}
    assert drawn == 3
    assert "figures" not in frame(job, DEMO, {}, drawn)[0]


def test_the_event_changes_with_state_and_advice() -> None:
    job = job_with()
    before = event_of(job, DEMO)
    job.stream.append(500, {"loss": np.full(100, 0.001, np.float32)})
    learned = event_of(job, DEMO)
    job.state = State.PAUSED
    assert len({before, learned, event_of(job, DEMO), event_of(None, DEMO)}) == 4


def ask(app: Starlette, path: str, **cookies: str) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here", cookies=cookies) as client:
            return await client.get(path)

    return anyio.run(call)


def test_plotly_comes_from_its_package() -> None:
    answer = ask(Starlette(routes=ROUTES), "/api/plotly.min.js")
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert "plotly.js v" in answer.text[:300]
    assert len(answer.content) > 1_000_000


@pytest.mark.parametrize("name", ["no.js", "..%2Fmain.py", "%2e%2e%2fmain.py", "/etc/passwd"])
def test_only_files_of_the_static_folder_are_served(name: str) -> None:
    assert ask(Starlette(routes=ROUTES), f"/api/static/{name}").status_code == 404


def test_our_script_is_served_under_an_address_that_changes_with_it(monkeypatch, tmp_path: Path) -> None:
    answer = ask(Starlette(routes=ROUTES), address("live.js"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    before = address("live.js")
    monkeypatch.setattr(routes, "STATIC", tmp_path)
    (tmp_path / "live.js").write_text("// another")
    assert address("live.js") != before


def test_a_stream_sends_at_once_then_news_and_ends_when_the_server_does() -> None:
    job = job_with()

    async def read() -> list[dict]:
        frames = []
        async for text in routes._frames(job):
            frames.append(json.loads(text.removeprefix("data: ")))
            if len(frames) == 1:
                job.step, job.version = 501, job.version + 1
            else:
                routes.stopping.set()
        return frames

    try:
        assert [one["step"] for one in anyio.run(read)] == [500, 501]
    finally:
        routes.stopping.clear()


def test_the_stream_of_a_run_that_is_not_there_is_a_404(monkeypatch, tmp_path: Path) -> None:
    from lib.jobs import Jobs
    from lib.store import Store

    jobs = Jobs(Store(tmp_path), workers=1, build=lambda slug, config: None, config_of=lambda slug: DEMO.config)
    monkeypatch.setattr(routes, "jobs", lambda: jobs)
    assert ask(Starlette(routes=ROUTES), "/api/runs/nobody/events").status_code == 404
    jobs.shutdown()


async def _page(request: Request) -> HTMLResponse:
    return HTMLResponse("<p>page</p>")


async def _stream(request: Request) -> StreamingResponse:
    async def parts() -> AsyncIterator[str]:
        yield "data: 1\n\n"

    return StreamingResponse(parts(), media_type="text/event-stream")


async def _text(request: Request) -> PlainTextResponse:
    return PlainTextResponse("text")


COOKIES = Starlette(
    routes=[Route("/", _page), Route("/echo", _page), Route("/api/runs/x/events", _stream), Route("/text", _text)],
    middleware=[Middleware(VisitorCookie)],
)


def test_a_page_gives_a_new_visitor_a_cookie_that_scripts_cannot_read() -> None:
    first, second = (SimpleCookie(ask(COOKIES, "/echo").headers["set-cookie"])[COOKIE] for _ in range(2))
    assert valid(first.value)
    assert first.value != second.value
    assert first["httponly"]
    assert first["samesite"] == "lax"
    assert not first["secure"]


def test_a_visitor_keeps_a_good_cookie_and_loses_a_bad_one() -> None:
    assert "set-cookie" not in ask(COOKIES, "/", **{COOKIE: "a" * 32}).headers
    for bad in ("", "short", "x" * 65, "a b" * 10, "'; drop table runs"):
        assert "set-cookie" in ask(COOKIES, "/", **{COOKIE: bad}).headers, bad


def test_only_pages_set_cookies() -> None:
    assert "set-cookie" not in ask(COOKIES, "/text").headers
    assert "set-cookie" not in ask(COOKIES, "/api/runs/x/events").headers


@pytest.fixture
def options(monkeypatch):
    """Streamlit's options as a dict that a test may change."""
    values = {"runner.postScriptGC": False, "server.fileWatcherType": "none"}
    monkeypatch.setattr(streamlit.config, "get_option", values.__getitem__)
    monkeypatch.delenv("UNROLLED_DEV", raising=False)
    return values


def test_safe_settings_pass(options) -> None:
    startup_check.check()


@pytest.mark.parametrize(("name", "value"), [("runner.postScriptGC", True), ("server.fileWatcherType", "auto")])
def test_unsafe_settings_are_refused_with_reason_and_remedy(options, name: str, value: object) -> None:
    options[name] = value
    with pytest.raises(startup_check.UnsafeSettingsError, match=name) as caught:
        startup_check.check()
    assert "config.toml" in str(caught.value)


def test_a_developer_may_watch_files(options, monkeypatch) -> None:
    monkeypatch.setenv("UNROLLED_DEV", "1")
    options["server.fileWatcherType"] = "auto"
    startup_check.check()


def test_the_server_itself_refuses(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.headless=true", "--runner.postScriptGC=true"],
        cwd=ROOT, env=os.environ | {"UNROLLED_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "runner.postScriptGC is on" in done.stderr
    assert "Traceback" not in done.stderr


def test_streamlit_cannot_clear_kerass_session() -> None:
    code = """
import lib.tf, keras
from streamlit.runtime.scriptrunner import script_runner
layer = keras.layers.Dense(1)
names = keras.layers.Dense(1).name
script_runner._clean_problem_modules()
after = keras.layers.Dense(1).name
assert after not in ("dense", names), after
keras.backend.clear_session()
assert keras.layers.Dense(1).name == "dense", "everybody else may still clear it"
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
