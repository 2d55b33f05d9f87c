"""What containers, proxies and monitors are told: alive, ready, and the figures."""

import gc
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from app import health, host_code, metrics, routes, service, traffic, warm_up
from app.traffic import Traffic
from demos.registry import DEMOS
from demos.warm_up import compile_defaults, import_tensorflow
from lib.jobs import Jobs
from lib.store import Store
from tests.quadratic import Engine, QuadraticConfig
from tests.test_pages import wait_until

APP = Starlette(routes=[*health.ROUTES, *metrics.ROUTES])
CODE = "correct-horse"


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Jobs]:
    """The server's jobs in a data folder of their own, with a code and no attempts yet."""
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    monkeypatch.setenv("UNROLLED_HOST_CODE", CODE)
    host_code._WRONG.clear()
    made = Jobs(
        Store(tmp_path), workers=1, build=lambda slug, config: Engine(config), config_of=lambda s: QuadraticConfig
    )
    monkeypatch.setattr(service, "_jobs", lambda: made)
    yield made
    made.shutdown()
    host_code._WRONG.clear()


def ask(path: str, app: Any = APP, **settings: Any) -> httpx.Response:
    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.get(path, **settings)

    return anyio.run(call)


def figures() -> dict[str, float]:
    text = ask("/metrics", headers={"authorization": f"Bearer {CODE}"}).text
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {f"{sample.name}{''.join(sample.labels.values())}": sample.value for sample in samples}


def reasons() -> str:
    answer = ask("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    return " ".join(answer.json()["reasons"])


def test_a_process_that_serves_is_alive_and_ready() -> None:
    assert (ask("/healthz").status_code, ask("/healthz").text) == (200, "ok")
    answer = ask("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "reasons": []})


def test_while_it_warms_up_it_is_alive_and_not_ready(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(warm_up, "unready", "")
    monkeypatch.setattr(warm_up.threading, "Timer", lambda seconds, task: SimpleNamespace(start=lambda: None))
    monkeypatch.setenv("UNROLLED_WARM_UP", "1")
    warm_up.start()
    assert "TensorFlow is being imported" in reasons()
    assert ask("/healthz").status_code == 200


def test_where_networks_are_trained_everything_is_compiled_that_can_be(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[Any] = []

    def compute(function: Any, *arguments: Any) -> None:
        asked.append((function, *arguments))
        if arguments == ("gates",):
            raise RuntimeError("no such shapes")

    monkeypatch.setattr(jobs, "compute_everywhere", compute)
    monkeypatch.setattr(warm_up, "unready", "")
    warm_up._warm_up()
    assert asked == [(import_tensorflow,), *((compile_defaults, demo.slug) for demo in DEMOS)]
    assert gc.get_freeze_count() > 10_000, "what is there is not looked at for ever"
    told = [record.getMessage() for record in caplog.records if record.name == warm_up.LOG.name]
    assert told == ["gates could not be warmed up; its page will show the error"]
    assert ask("/readyz").status_code == 200


def test_without_tensorflow_it_is_never_ready(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def compute(function: Any, *arguments: Any) -> None:
        raise ImportError("there is no TensorFlow")

    monkeypatch.setattr(jobs, "compute_everywhere", compute)
    monkeypatch.setattr(warm_up, "unready", "")
    warm_up._warm_up()
    assert "TensorFlow cannot be imported" in reasons()


def test_when_it_ends_it_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    routes.stopping.set()
    try:
        assert "is ending" in reasons()
    finally:
        routes.stopping.clear()


def test_with_a_data_folder_that_cannot_be_written_it_is_not_ready(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path / "nowhere"))
    assert "The data folder cannot be written: No such file or directory." in reasons()
    assert str(tmp_path) not in reasons()


def test_when_the_training_threads_have_ended_it_is_not_ready(jobs: Jobs) -> None:
    jobs.shutdown()
    assert "training thread has ended: restart the server" in reasons()


def test_while_a_training_process_is_replaced_nobody_is_told_to_restart(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNROLLED_BACKEND", "process")
    monkeypatch.setattr(jobs, "alive", lambda: False)
    assert reasons() == "No training process answers: another is being started."


def test_with_a_database_it_is_that_which_counts_and_not_the_folder(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UNROLLED_STORE", "postgresql://nobody@nowhere/nothing")
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path / "not yet"))
    assert ask("/readyz").status_code == 200
    monkeypatch.setattr(type(jobs), "trouble", "The database is away.")
    assert reasons() == "The database is away."


def test_the_figures_tell_of_jobs_people_and_the_process(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    done = jobs.start("quadratic", QuadraticConfig(), "visitor")
    held = jobs.start("quadratic", QuadraticConfig(), "visitor", paused=True)
    wait_until(lambda: not done.active and held.state == "paused")
    with (
        traffic.counted(traffic.streams, "a"),
        traffic.counted(traffic.pages, "a"),
        traffic.counted(traffic.pages, "a"),
    ):
        found = figures()
    expected = {
        "unrolled_jobsfinished": 1, "unrolled_jobspaused": 1, "unrolled_jobsfailed": 0, "unrolled_steps_total": 200,
        "unrolled_streams": 1, "unrolled_sessions": 2, "unrolled_visitors": 1,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    for name in ("unrolled_uptime_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes"):
        assert found[name] > 0


def test_a_run_that_waits_for_its_turn_is_counted_with_its_time(jobs: Jobs) -> None:
    slow = QuadraticConfig(steps=10**6, nap=0.02)
    started = [jobs.start("quadratic", slow, "visitor") for _ in range(3)]
    wait_until(lambda: jobs.report().states["running"] == 3)
    wait_until(lambda: jobs.report().waiting >= 2 and jobs.report().longest_wait > 0)
    for job in started:
        jobs.stop(job.id)
    wait_until(lambda: jobs.report()[:3] == ({**jobs.report().states, "stopped": 3}, 0, 0.0))


def test_a_run_that_its_own_pace_holds_back_does_not_wait(jobs: Jobs) -> None:
    job = jobs.start("quadratic", QuadraticConfig(steps=10**6), "visitor", speed=0.01)
    wait_until(lambda: job.state == "running" and job.waiting and job.pace.due > time.monotonic() + 10)
    assert (jobs.report().waiting, jobs.report().longest_wait) == (0, 0.0)


def test_requests_are_counted_by_their_status() -> None:
    app = Traffic(APP)
    before = figures()
    ask("/healthz", app)
    ask("/nowhere", app)
    after = figures()
    for status in ("2xx", "4xx"):
        name = f"unrolled_http_requests_total{status}"
        assert after[name] == before.get(name, 0) + 1


@pytest.mark.parametrize("settings", [{"headers": {"authorization": f"Bearer {CODE}"}}, {"auth": ("anybody", CODE)}])
def test_the_code_opens_the_figures(settings: dict[str, Any]) -> None:
    answer = ask("/metrics", **settings)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", "Basic wrong", "Basic /w==", "Digest x"])
def test_nothing_else_does(given: str) -> None:
    answer = ask("/metrics", headers={"authorization": given})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer, Basic realm="Unrolled"'


def test_guessing_ends_soon_and_asking_without_a_code_is_no_guess() -> None:
    for _ in range(10):
        assert ask("/metrics").status_code == 401
    for _ in range(5):
        assert ask("/metrics", auth=("anybody", "wrong")).status_code == 401
    answer = ask("/metrics", auth=("anybody", CODE))
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_without_a_host_code_there_are_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNROLLED_HOST_CODE")
    assert ask("/metrics", auth=("anybody", "")).status_code == 404
