"""Every page by AppTest: what it shows and does without a browser."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import controls, lessons_panel, runs_page, service, sweep_panel
from demos.echo.config import EchoConfig
from demos.registry import DEMOS, get
from lib.jobs import Jobs
from lib.lessons import Choice, Claim, Experiment, Finding
from lib.limits import Limits
from lib.rooms import Rooms
from lib.store import Store
from lib.sweeps import Sweeps
from lib.worker import WorkerGoneError

ENTRY = """
from app import demo_page
demo_page.show("{slug}")
"""
RUNS = """
from app import runs_page
runs_page.show()
"""
SMALL = {"series_length": "600", "epochs": "2"}


@pytest.fixture
def jobs(monkeypatch, tmp_path: Path) -> Iterator[Jobs]:
    """The server's jobs, in a data folder of their own."""
    made = Jobs(Store(tmp_path), build=lambda slug, config: get(slug).build(config), config_of=lambda s: get(s).config)
    sweeps = Sweeps(made, config_of=lambda slug: get(slug).config)
    rooms = Rooms(
        made.store, config_of=lambda slug: get(slug).config, runs_in=made.runs_in, title_of=lambda s: get(s).title
    )
    made.permit = lambda visitor, slug, config: rooms.permit(visitor, slug, config, Limits())
    monkeypatch.setattr(service, "_rooms", lambda: rooms)
    monkeypatch.setattr(service, "_jobs", lambda: made)
    monkeypatch.setattr(service, "_sweeps", lambda: sweeps)
    yield made
    sweeps.shutdown()
    made.shutdown()


def demo_page(slug: str, **query: str) -> AppTest:
    page = AppTest.from_string(ENTRY.format(slug=slug), default_timeout=60)
    page.query_params.update(query)
    return page.run()


def echo(**query: str) -> AppTest:
    return demo_page("echo", **query)


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


def test_home_shows_a_card_for_every_demo(jobs: Jobs) -> None:
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


def test_the_settings_are_read_once_for_all_controls(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    page, read, calls = echo(), controls.values, []

    def counted(demo: Any) -> dict[str, Any]:
        calls.append(demo)
        return read(demo)

    monkeypatch.setattr(controls, "values", counted)
    assert not page.run().exception
    assert len(calls) < 4


def test_start_trains_to_the_end_and_the_coach_and_the_table_follow(jobs: Jobs) -> None:
    page = press(echo(epochs="3", initial_weights="glorot"), "echo/Start")
    job = job_of(page, jobs)
    jobs.set_speed(job.id, None)
    wait_until(lambda: not job.active)
    page = open_tab(page, "Your runs")
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


def test_a_text_that_is_not_on_this_server_is_said_and_replaced(jobs: Jobs) -> None:
    page = demo_page("gates", task="text", text="0123456789abcdef")
    assert "is not on this server, so our fables are used" in page.warning[0].value
    assert not page.exception and not page.error


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
    wait_until(lambda: bool(job.changes))
    assert job.changes[-1][1:] == ["learning_rate", 0.1]
    assert job_of(page, jobs) is job, "no new network"
    jobs.stop(job.id)


def test_buttons_say_that_no_training_process_can_be_reached(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    away = "No training process can be reached just now: try again in a moment."

    def gone(*_: Any, **__: Any) -> None:
        raise WorkerGoneError(away)

    for name in ("pause", "resume", "stop", "set_speed", "set_live"):
        monkeypatch.setattr(jobs, name, gone)
    page = press(echo(epochs="1000"), "echo/Start")
    job = job_of(page, jobs)

    def said(page: AppTest) -> bool:
        return not page.exception and [toast.value for toast in page.toast] == [away]

    assert said(press(page, "echo/Pause"))
    assert said(press(page, "echo/Stop"))
    assert said(page.select_slider(key="speed.0").set_value("5 steps/s").run())
    assert said(control(page, "learning_rate").set_value(0.1).run())
    monkeypatch.undo()
    jobs.stop(job.id)


@pytest.mark.parametrize("experiment", get("echo").lessons.EXPERIMENTS, ids=lambda e: e.slug)
def test_every_experiment_can_be_chosen_and_sets_the_controls(jobs: Jobs, experiment: Any, monkeypatch) -> None:
    one = get("echo").config()  # compiled once for all of them; how they end is in test_lessons.py
    monkeypatch.setattr(jobs, "_build", lambda slug, config: get(slug).build(one))
    page = echo()
    page.get_by_key("echo/experiment").select(experiment.slug).run()
    assert page.button(key="echo/run_experiment").disabled, "first the prediction"
    page.radio(key=f"echo/guess/{experiment.slug}").set_value(0).run()
    press(page, "echo/run_experiment")
    assert not page.exception
    assert job_of(page, jobs).config == experiment.config
    assert experiment.title in " ".join(str(box.proto) for box in page.info)
    jobs.stop(job_of(page, jobs).id)


def test_an_experiment_shows_every_claim_also_when_it_comes_out_otherwise(jobs: Jobs, monkeypatch) -> None:
    true = Claim("Something was measured.", lambda r: Finding(f"{len(r.networks)} networks.", len(r.networks) == 2))
    false = Claim("All is learned at once.", lambda r: Finding(f"{r.finals.min():.2f} nats.", r.finals.min() < 0))
    experiment = Experiment(
        "made-up", "Made up", "What comes?", EchoConfig(series_length=600, epochs=20, seeds=2),
        (Choice("below 0", -1, 0), Choice("above", 0, 9)), 0, (true, false), "Because of this.",
    )  # fmt: skip
    monkeypatch.setattr(get("echo").lessons, "EXPERIMENTS", (experiment,))

    def asked(outcome: str) -> str:
        page = echo()
        page.radio(key="echo/guess/made-up").set_value(0).run()
        press(page, "echo/run_experiment")
        job = job_of(page, jobs)
        jobs.set_speed(job.id, None)
        if outcome == "stopped":
            jobs.stop(job.id)
        wait_until(lambda: str(job.state) == outcome)
        page.run()
        assert not page.exception
        return " ".join(box.value for box in (*page.info, *page.warning) if "You predicted" in box.value)

    said = asked("finished")
    assert "It came out otherwise: *above*. Usually it is *below 0*" in said and "Because of this." in said
    assert f"{lessons_panel.TRUE} Something was measured. **2 networks.**" in said
    assert f"{lessons_panel.FALSE} All is learned at once. **0." in said
    assert "cannot be compared, because the run was stopped" in asked("stopped")
    monkeypatch.setattr("lib.job.Job.weights", lambda job: None)
    assert "because the run's weights cannot be read" in asked("finished")


# Every demo

QUICK = {
    "echo": SMALL,
    "binary-rule": {"series_length": "2000", "batch_size": "20", "epochs": "2"},
    "gates": {"training_steps": "100"},
    "story": {"iterations": "100"},
    "ptb": {"epochs": "1", "hidden_units": "16", "embedding_units": "16", "batch_size": "128"},
    "from-scratch": {"epochs": "1", "sentences": "100", "hidden_units": "16"},
}


@pytest.mark.parametrize("slug", [demo.slug for demo in DEMOS])
def test_every_demo_trains_and_draws(jobs: Jobs, slug: str) -> None:
    page = press(demo_page(slug, **QUICK[slug]), f"{slug}/Start")
    job = jobs.get(page.session_state[f"{slug}/run"])
    assert job is not None
    jobs.set_speed(job.id, None)
    wait_until(lambda: not job.active)
    page.run()
    assert not page.exception and not page.error
    assert str(job.state) == "finished"


def test_choosing_a_model_sets_the_other_controls(jobs: Jobs) -> None:
    page = demo_page("ptb")

    def value(field: str) -> Any:
        return page.get_by_key(f"ptb.{field}.{page.session_state['ptb/round']}")

    value("model").select("medium").run()
    assert not page.exception
    found = page.session_state["ptb/settings"]
    assert (found["hidden_units"], found["dropout"], found["epochs"], found["corpus"]) == (650, 0.5, 39, "grammar")
    assert value("hidden_units").value == 650


# The game

GAME = """
from app import game_panel
from demos.registry import get
demo = get("binary-rule")
game_panel.draw(demo, demo.config(), None)
"""


def test_a_person_plays_and_the_score_stands_beside_the_rules(jobs: Jobs) -> None:
    page = AppTest.from_string(GAME, default_timeout=60).run()
    rounds = get("binary-rule").lessons.rounds(get("binary-rule").config(), None, 0)
    for r in rounds[:5]:
        page = page.button(key=f"binary-rule/say_{r.target}").click().run()
    assert [metric.value for metric in page.metric] == ["5 of 5", "–", f"{sum(r.certainty for r in rounds[:5]):g} of 5"]
    assert "Right: the target was" in page.expander[0].label
    page = page.button(key=f"binary-rule/say_{1 - rounds[5].target}").click().run()
    assert page.metric[0].value == "5 of 6"
    page = page.button(key="binary-rule/new_game").click().run()
    assert page.metric[0].value == "0 of 0"


# Sweeps


def sweep_key(name: str) -> str:
    return f"echo/sweep/{name}"


def axis_key(name: str) -> str:
    return sweep_key(f"{next(iter(get('echo').sweeps))}/{name}")


def open_tab(page: AppTest, name: str) -> AppTest:
    page.session_state["echo/tabs"] = name
    return page.run()


def small_sweep(page: AppTest) -> AppTest:
    page = open_tab(page, "Sweep")
    page.text_input(key=axis_key("values_0")).set_value("1:2")
    page.text_input(key=axis_key("values_1")).set_value("2, 4")
    page.number_input(key=sweep_key("epochs")).set_value(2)
    return page.run()


def test_a_sweep_is_described_started_and_shown(jobs: Jobs) -> None:
    page = small_sweep(echo(**SMALL))
    page.segmented_control(key=sweep_key("base")).set_value("As in the controls on the left")
    page = page.run()
    assert any("4 cells × 8 networks = **32 runs**, about" in text.value for text in page.markdown)
    page = press(page, sweep_key("start"))
    assert not page.exception and not page.error
    sweep = service.sweeps().get(page.session_state[sweep_key("shown")])
    assert sweep is not None
    wait_until(lambda: str(sweep.state) == "finished")
    assert all(cell.series_length == 600 for cell in sweep.cells)
    page = page.run()
    assert not page.exception
    assert jobs.runs_of(sweep.visitor, "echo", 9) == []
    rows = sweep_panel.as_csv(get("echo"), sweep).splitlines()
    assert len(rows) == 5 and rows[0].startswith("echo_step,state_size,state,median_final_loss")
    assert json.loads(sweep_panel.as_json(get("echo"), sweep))["status"] == "finished"


@pytest.mark.parametrize(
    ("values", "words"),
    [("0:3", "echo_step = 0"), ("abc", "echo_step = abc"), ("1:50", "200 cells"), ("", "echo_step")],
)
def test_a_bad_axis_is_explained_and_typed_text_survives(jobs: Jobs, values: str, words: str) -> None:
    page = open_tab(echo(), "Sweep")
    page.text_input(key=axis_key("values_0")).set_value(values)
    page = page.run()
    if words == "200 cells":
        assert any(words in text.value for text in page.markdown)
        return
    assert words in page.error[0].value
    assert page.button(key=sweep_key("start")).disabled
    page = open_tab(open_tab(page, "Try this"), "Sweep")
    assert page.text_input(key=axis_key("values_0")).value == values, "also when another tab was open meanwhile"


def test_every_offered_map_fills_in_the_form(jobs: Jobs) -> None:
    page = open_tab(echo(), "Sweep")
    for title, axes in get("echo").sweeps.items():
        page = page.selectbox(key=sweep_key("map")).set_value(title).run()
        for at, (name, values) in enumerate(axes):
            assert page.selectbox(key=sweep_key(f"{title}/name_{at}")).value == name
            assert page.text_input(key=sweep_key(f"{title}/values_{at}")).value == values
        assert not page.error


# Runs


def test_the_runs_page_without_runs_says_what_to_do(jobs: Jobs) -> None:
    page = AppTest.from_string(RUNS, default_timeout=60).run()
    assert not page.exception
    assert "No runs yet" in page.info[0].value


def runs_page_with(jobs: Jobs, monkeypatch: pytest.MonkeyPatch, ticked: list[int]) -> AppTest:
    """Two runs that have ended, and the page with some of them ticked."""
    monkeypatch.setattr(runs_page, "visitor_id", lambda: "me")
    for step in (1, 2):
        job = jobs.start("echo", EchoConfig(series_length=600, epochs=2, echo_step=step), "me")
        wait_until(lambda job=job: not job.active and not job.busy and not job.waiting)
    table = runs_page._table  # AppTest cannot tick a row

    def ticked_table(records: list) -> list:
        table(records)
        return [records[i] for i in ticked if i < len(records)]

    monkeypatch.setattr(runs_page, "_table", ticked_table)
    return AppTest.from_string(RUNS, default_timeout=60).run()


def test_runs_are_listed_newest_first_with_results_and_curves(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    page = runs_page_with(jobs, monkeypatch, [])
    table = page.dataframe[0].value
    assert table["Run"].tolist()[0].startswith("Echo: echo_step 2")
    assert table["State"].tolist() == ["finished", "finished"]
    assert all(len(curve) == 16 for curve in table["Loss"])
    assert table["Last loss"].notna().all()
    page = page.text_input[0].set_value("echo_step 1").run()
    assert len(page.dataframe[0].value) == 1
    page = page.text_input[0].set_value("nothing like it").run()
    assert "No run matches" in page.info[0].value


def test_chosen_runs_are_compared_by_what_differs(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    page = runs_page_with(jobs, monkeypatch, [0, 1])
    assert not page.exception
    compared = page.dataframe[1].value
    assert compared["Echo step"].tolist() == ["2", "1"]
    assert set(compared) == {"run", "Echo step", "best (nats)", "last (nats)", "mean of last 100 (nats)"}


def test_a_run_of_a_demo_that_is_no_more_can_be_compared_and_deleted(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_page_with(jobs, monkeypatch, [])
    newest = jobs.runs_of("me", None, 9)[0]
    jobs.store.save(dataclasses.replace(newest, id="dropped", slug="tides", created=newest.created + 1))
    for ticked in ([0, 1], [0]):
        monkeypatch.setattr(runs_page, "_table", lambda records, ticked=ticked: [records[i] for i in ticked])
        page = AppTest.from_string(RUNS, default_timeout=60).run()
        assert not page.exception
        assert page.dataframe[0].value["run"].tolist()[0] == "tides: settings of an earlier version"
    assert any("cannot be read any more" in caption.value for caption in page.caption)
    assert next(button for button in page.button if button.label == "Open").disabled
    next(button for button in page.button if button.label == "Delete this run").click().run()
    assert len(jobs.runs_of("me", None, 9)) == 2


def test_a_run_is_renamed_deleted_and_brought_back(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    page = runs_page_with(jobs, monkeypatch, [0])
    newest = jobs.runs_of("me", None, 9)[0]
    page = page.text_input(key=f"runs/name/{newest.id}").set_value("two steps back").run()
    assert jobs.runs_of("me", None, 9)[0].name == "two steps back"
    delete = next(button for button in page.button if button.label == "Delete this run")
    page = delete.click().run()
    assert len(jobs.runs_of("me", None, 9)) == 1
    assert jobs.get(newest.id) is None
    assert any("1 run was deleted" in text.value for text in page.markdown)
    page = next(button for button in page.button if button.label == "Undo").click().run()
    assert jobs.runs_of("me", None, 9)[0].name == "two steps back"
    assert jobs.get(newest.id) is not None


def test_a_run_over_the_limit_is_refused_with_the_reason_and_the_old_one_goes_on(jobs: Jobs) -> None:
    jobs.permit = lambda visitor, slug, config: Limits(runs_under_way=1)
    first = echo()
    visitor = first.session_state["visitor"]
    other = jobs.start("echo", get("echo").config(), visitor, paused=True)
    page = press(first, "echo/Start")
    assert page.toast[0].value.startswith("You have 1 run under way, as many as this server allows one person")
    assert not page.exception and other.active
    page = press(open_tab(page, "Sweep"), "echo/sweep/start")
    assert page.toast[0].value.startswith("You have 1 run under way")
    jobs.stop(other.id)
    page = press(page, "echo/Start")
    begun = job_of(page, jobs)
    page = press(page, "echo/New seed")
    assert job_of(page, jobs) is not begun, "one's own run before makes room"
    assert begun.state == "stopped"
    jobs.stop(job_of(page, jobs).id)


def test_what_keeps_runs_from_being_saved_is_said_on_every_page(monkeypatch: pytest.MonkeyPatch, jobs: Jobs) -> None:
    monkeypatch.setattr(service, "trouble", lambda: "The disk with the data folder is full.")
    page = AppTest.from_file("../app/entry.py", default_timeout=60).run()
    assert [warning.value for warning in page.warning] == ["The disk with the data folder is full."]
    monkeypatch.setattr(service, "trouble", lambda: "")
    assert page.run().warning.len == 0
