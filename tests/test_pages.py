"""Every page by AppTest: what it shows and does without a browser."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import service
from demos.registry import DEMOS, get
from lib.jobs import Jobs
from lib.store import Store

ENTRY = """
from app import demo_page
demo_page.show("echo")
"""
SMALL = {"series_length": "600", "epochs": "2"}


@pytest.fixture
def jobs(monkeypatch, tmp_path: Path) -> Iterator[Jobs]:
    """The server's jobs, in a data folder of their own."""
    made = Jobs(Store(tmp_path), build=lambda slug, config: get(slug).build(config), config_of=lambda s: get(s).config)
    monkeypatch.setattr(service, "_jobs", lambda: made)
    yield made
    made.shutdown()


def echo(**query: str) -> AppTest:
    page = AppTest.from_string(ENTRY, default_timeout=60)
    page.query_params.update(query)
    return page.run()


def control(page: AppTest, field: str) -> Any:
    return page.get_by_key(f"echo.{field}.{page.session_state['echo/round']}")


def settings_of(page: AppTest) -> dict[str, Any]:
    found: dict[str, Any] = page.session_state["echo/settings"]
    return found


def press(page: AppTest, key: str) -> AppTest:
    return page.button(key=key).click().run()


def job_of(page: AppTest, jobs: Jobs) -> Any:
    job = jobs.get(page.session_state["echo/run"])
    assert job is not None
    return job


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_home_shows_a_card_for_every_demo() -> None:
    page = AppTest.from_file("../app/entry.py", default_timeout=60).run()
    assert not page.exception
    assert page.title[0].value == "Unrolled"
    titles = " ".join(heading.value for heading in page.subheader)
    assert all(demo.title in titles for demo in DEMOS)


def test_controls_come_from_the_configs_fields(jobs: Jobs) -> None:
    page = echo()
    assert not page.exception
    assert [expander.label for expander in page.sidebar.expander] == ["Task", "Network", "Training"]
    for name, value in get("echo").config().model_dump().items():
        assert settings_of(page)[name] == value
        assert control(page, name).help


def test_start_trains_to_the_end_and_the_coach_and_the_table_follow(jobs: Jobs) -> None:
    page = press(echo(epochs="3", initial_weights="glorot"), "echo/Start")
    job = job_of(page, jobs)
    jobs.set_speed(job.id, None)
    wait_until(lambda: not job.active)
    page.run()
    assert not page.exception
    assert "Learned" in page.success[0].value
    assert page.dataframe[0].value["steps"].tolist() == [1998]
    page = press(page, "echo/advice/learned")
    assert settings_of(page)["echo_step"] == 4
    assert job_of(page, jobs).config.echo_step == 4
    assert jobs.get(job.id) is not None, "the finished run is kept"


def test_a_bad_address_is_clamped_and_said_in_one_sentence_each(jobs: Jobs) -> None:
    page = echo(state_size="1e9", cell="brnn", learning_rate="-3", echo_step="7")
    assert len(page.warning[0].value.splitlines()) == 3
    assert settings_of(page)["state_size"] == 64
    assert settings_of(page)["echo_step"] == 7
    assert page.query_params["echo_step"] == "7"
    assert press(page, "echo/notes_read").warning.len == 0


def test_settings_that_do_not_go_together_are_an_error_and_lose_nothing(jobs: Jobs) -> None:
    page = press(echo(**SMALL), "echo/Start")
    job = job_of(page, jobs)
    control(page, "batch_size").set_value(64).run()
    control(page, "series_length").set_value(100).run()
    assert not page.exception
    error = page.error[0].value
    assert "series_length = 100" in error
    assert "choose a series_length of 960 or more" in error
    assert page.button(key="echo/Start").disabled
    assert job_of(page, jobs) is job
    assert settings_of(page)["batch_size"] == 64


def test_a_run_that_fails_shows_why_and_harms_no_other(jobs: Jobs, monkeypatch) -> None:
    build = jobs._build

    def broken(slug: str, config: Any) -> Any:
        if config.state_size == 13:
            raise RuntimeError("thirteen units are unlucky")
        return build(slug, config)

    monkeypatch.setattr(jobs, "_build", broken)
    good = press(echo(**SMALL), "echo/Start")
    bad = press(echo(**SMALL, state_size="13"), "echo/Start")
    wait_until(lambda: not job_of(bad, jobs).active)
    bad.run()
    assert not bad.exception
    assert "RuntimeError: thirteen units are unlucky" in bad.error[0].value
    assert any("Traceback" in code.value for code in bad.code)
    jobs.set_speed(job_of(good, jobs).id, None)
    wait_until(lambda: not job_of(good, jobs).active)
    assert job_of(good, jobs).state == "finished"


def test_a_shared_run_can_be_watched_but_not_steered(jobs: Jobs) -> None:
    mine = press(echo(epochs="1000"), "echo/Start")
    job = job_of(mine, jobs)
    theirs = echo(run=job.id)
    assert "watching" in theirs.info[0].value
    for name in ("Pause", "Stop", "Rewind"):
        assert theirs.button(key=f"echo/{name}").disabled
    assert settings_of(theirs)["epochs"] == 1000, "their controls begin with the run's settings"
    control(theirs, "learning_rate").set_value(1.0).run()
    assert job.live["learning_rate"] == 0.3
    press(theirs, "echo/Start")
    assert job_of(theirs, jobs) is not job
    assert "run" not in theirs.query_params
    jobs.stop(job.id)
    jobs.stop(job_of(theirs, jobs).id)


def test_a_run_that_is_not_there_is_said(jobs: Jobs) -> None:
    page = echo(run="nobody")
    assert not page.exception
    assert "not here any more" in page.warning[0].value


def test_a_preset_sets_every_control(jobs: Jobs) -> None:
    page = echo(state_size="9")
    page.selectbox(key="echo/preset").select("Long memory").run()
    assert not page.exception
    want = get("echo").presets["Long memory"].model_dump()
    assert {name: settings_of(page)[name] for name in want} == want


def test_a_live_setting_reaches_the_running_job(jobs: Jobs) -> None:
    page = press(echo(epochs="1000"), "echo/Start")
    job = job_of(page, jobs)
    control(page, "learning_rate").set_value(0.1).run()
    assert job.live["learning_rate"] == 0.1
    assert job.changes[-1][1:] == ["learning_rate", 0.1]
    assert job_of(page, jobs) is job, "no new network"
    jobs.stop(job.id)


@pytest.mark.parametrize("experiment", get("echo").lessons.EXPERIMENTS, ids=lambda e: e.slug)
def test_every_experiment_can_be_chosen_and_sets_the_controls(jobs: Jobs, experiment: Any) -> None:
    page = echo()
    page.get_by_key("echo/experiment").select(experiment.slug).run()
    assert page.button(key="echo/run_experiment").disabled, "first the prediction"
    page.radio(key=f"echo/guess/{experiment.slug}").set_value(0).run()
    press(page, "echo/run_experiment")
    assert not page.exception
    assert job_of(page, jobs).config == experiment.config
    assert experiment.title in " ".join(str(box.proto) for box in page.info)
    jobs.stop(job_of(page, jobs).id)
