"""The routes: streams that stay alive, end in time and send what was asked for. See also test_server.py."""

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from starlette.applications import Starlette

from app import routes
from demos.registry import get
from lib.job import Job, State
from lib.jobs import Jobs
from lib.store import Store
from lib.sweeps import Sweeps

DEMO = get("echo")


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Jobs]:
    """Jobs that train nothing, with one run."""
    made = Jobs(Store(tmp_path), workers=1, build=lambda slug, config: None, config_of=lambda slug: DEMO.config)
    sweeps = Sweeps(made, config_of=lambda slug: DEMO.config)
    monkeypatch.setattr(routes, "jobs", lambda: made)
    monkeypatch.setattr(routes, "sweeps", lambda: sweeps)
    yield made
    sweeps.shutdown()
    made.shutdown()


@pytest.fixture
def job(jobs: Jobs) -> Job:
    job = Job("echo", DEMO.config(), "visitor", run_id="the-run")
    job.state, job.step = State.RUNNING, 3
    job.stream.append(0, {"loss": np.array([0.7, 0.6, 0.5], np.float32)})
    jobs._jobs[job.id] = job
    return job


@pytest.fixture(autouse=True)
def _not_stopping() -> Iterator[None]:
    routes.stopping.clear()
    yield
    routes.stopping.clear()


def ask(path: str) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=routes.ROUTES))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.get(path)

    return anyio.run(call)


def first_parts(path: str, count: int) -> tuple[dict[str, str], list[str]]:
    """The headers and the first parts of a stream, which is then ended as the server ends it."""
    headers: dict[str, str] = {}
    parts: list[str] = []
    route, _, query = path.partition("?")

    async def receive() -> Any:
        await anyio.sleep(60)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers.update({name.decode(): value.decode() for name, value in message["headers"]})
        elif message["body"]:
            parts.append(message["body"].decode())
            if len(parts) == count:
                routes.stopping.set()

    scope = {
        "type": "http", "method": "GET", "path": route, "query_string": query.encode(), "headers": [], "root_path": "",
        "asgi": {"spec_version": "2.4"},
    }  # fmt: skip
    anyio.run(Starlette(routes=routes.ROUTES), scope, receive, send)
    return headers, parts


def test_a_stream_begins_with_all_that_there_is(job: Job) -> None:
    headers, parts = first_parts("/api/runs/the-run/events", 1)
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-store"
    assert parts[0].endswith("\n\n")
    frame = json.loads(parts[0].removeprefix("data: "))
    assert (frame["run"], frame["step"]) == ("the-run", 3)
    assert set(frame["series"]) == {"loss", "loss_smooth_30", "loss_smooth_300"}


def test_a_stream_has_only_the_series_that_were_asked_for(job: Job) -> None:
    _, parts = first_parts("/api/runs/the-run/events?series=loss", 1)
    assert set(json.loads(parts[0].removeprefix("data: "))["series"]) == {"loss"}


def test_a_quiet_stream_beats_and_does_not_end_with_the_job(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    monkeypatch.setattr(routes, "BEAT_SECONDS", 0.05)
    job.state = State.FINISHED
    _, parts = first_parts("/api/runs/the-run/events", 3)
    assert parts[1:] == ["event: beat\ndata: 1\n\n"] * 2


def test_at_most_ten_frames_a_second(job: Job) -> None:
    async def read() -> int:
        count, started = 0, time.monotonic()
        async for _ in routes._frames(job):
            count, job.version = count + 1, job.version + 1
            if time.monotonic() - started > 0.75:
                return count
        return count

    assert 3 <= anyio.run(read) <= 9


def test_only_streams_of_runs_that_train_slow_each_other_down(job: Job) -> None:
    rests = Job("echo", DEMO.config(), "visitor")
    rests.state = State.PAUSED

    async def read() -> list[int]:
        streams = [routes._frames(each) for each in (job, job, rests)]
        for stream in streams:
            await anext(stream)
        found = [len(routes._moving)]
        job.state = State.FINISHED
        await anext(streams[0])
        found.append(len(routes._moving))
        for stream in streams:
            await stream.aclose()
        return [*found, len(routes._moving)]

    assert anyio.run(read) == [2, 1, 0]


def test_one_frame_of_a_run_and_none_of_another(job: Job) -> None:
    frame = ask("/api/runs/the-run").json()
    assert (frame["run"], frame["state"], frame["step"]) == ("the-run", "running", 3)
    assert ask("/api/runs/another").status_code == 404
    assert ask("/api/runs/another/events").status_code == 404


@pytest.mark.parametrize("run", ["%00", "..%5C..", "x" * 5000, "%ff", "%F0%9F%90%AD", "the-run%0A", "the run", "*"])
def test_an_id_that_was_made_up_is_not_even_looked_for(monkeypatch: pytest.MonkeyPatch, run: str) -> None:
    monkeypatch.setattr(routes, "jobs", None)
    assert ask(f"/api/runs/{run}").status_code == 404
    assert ask(f"/api/runs/{run}/events").status_code == 404


def test_our_scripts_import_each_other_below_one_address() -> None:
    base = routes.address("live.js").removesuffix("live.js")
    seen, todo = set(), ["live.js"]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        answer = ask(base + name)
        assert answer.status_code == 200, name
        assert "immutable" in answer.headers["cache-control"]
        todo += re.findall(r'from "\./([\w.]+)"', answer.text)
    assert seen == {path.name for path in routes.STATIC.glob("*.js")}, "no script is left over"


def test_a_page_of_yesterday_gets_todays_script_but_does_not_keep_it() -> None:
    answer = ask("/api/static/0123456789ab/live.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


def test_a_change_of_any_script_changes_the_address_of_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(routes, "STATIC", tmp_path)
    (tmp_path / "live.js").write_text("import './chart.js'")
    (tmp_path / "chart.js").write_text("1")
    before = routes.address("live.js")
    (tmp_path / "chart.js").write_text("2")
    assert routes.address("live.js") != before


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_streams_first_and_then_does_what_it_did(number: signal.Signals) -> None:
    seen: list[tuple[int, bool]] = []
    signal.signal(number, lambda received, _: seen.append((received, routes.stopping.is_set())))
    routes.end_streams_on_signals()
    assert not routes.stopping.is_set()
    signal.raise_signal(number)
    assert seen == [(number, True)]
