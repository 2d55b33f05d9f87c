"""The frames of the stream: what a reader can rely on when frames are lost, and when a demo fails. See also test_server.py."""

import base64
import json
import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import frames
from demos.registry import get
from lib.job import Job, State

DEMO = get("echo")


def new_job() -> Job:
    job = Job("echo", DEMO.config(), "visitor")
    job.state = State.RUNNING
    return job


def train(job: Job, losses: list[float]) -> None:
    job.stream.append(job.step, {"loss": np.array(losses, np.float32)})
    job.step += len(losses)
    job.version += 1


class Reader:
    """What the page does with frames (app/static/stream.js), in Python."""

    def __init__(self) -> None:
        self.series: dict[str, tuple[int, np.ndarray, np.ndarray]] = {}

    def take(self, line: str) -> bool:
        """Put a frame's points in; False if some before them are missing."""
        for name, delta in json.loads(line)["series"].items():
            step, value = (
                np.frombuffer(base64.b64decode(delta[part]), kind) for part, kind in (("step", "<i4"), ("value", "<f4"))
            )
            generation, old_step, old_value = self.series.get(name, (-1, step[:0], value[:0]))
            start = delta["start"]
            if start and (generation != delta["generation"] or len(old_step) < start):
                return False
            kept = np.concatenate([old_step[:start], step]), np.concatenate([old_value[:start], value])
            self.series[name] = (delta["generation"], *kept)
        return True


@given(
    chunks=st.lists(st.integers(1, 900), min_size=1, max_size=12),
    fates=st.lists(st.sampled_from(["arrives", "lost", "twice"]), min_size=12, max_size=12),
)
def test_lost_and_repeated_frames_are_healed(chunks: list[int], fates: list[str]) -> None:
    """A reader either has exactly the stream's points, or knows that some are missing and begins anew."""
    job, reader = new_job(), Reader()
    job.stream.capacity = 1000
    have, drawn = {}, -1
    for chunk, fate in zip(chunks, fates, strict=False):
        train(job, np.random.default_rng(job.step).random(chunk).tolist())
        content, have, drawn = frames.frame(job, DEMO, have, drawn)
        for _ in range({"arrives": 1, "lost": 0, "twice": 2}[fate]):
            if not reader.take(frames.text(content)):
                have, reader = {}, Reader()
                content, have, drawn = frames.frame(job, DEMO, have, drawn)
                assert reader.take(frames.text(content))
    train(job, [0.5])
    content, have, drawn = frames.frame(job, DEMO, have, drawn)
    if not reader.take(frames.text(content)):
        assert reader.take(frames.text(frames.frame(job, DEMO, {}, -1)[0]))
    for name, (_, step, value) in reader.series.items():
        expected = job.stream.curve(name)
        np.testing.assert_array_equal(step, expected[0])
        np.testing.assert_array_equal(value, expected[1])
    assert set(reader.series) == {"loss", "loss_smooth_30", "loss_smooth_300"}


def test_only_the_series_that_are_asked_for_are_sent() -> None:
    job = new_job()
    train(job, [0.7, 0.6])
    content, have, _ = frames.frame(job, DEMO, {}, -1, ["loss", "no_such_series"])
    assert set(content["series"]) == set(have) == {"loss"}
    assert frames.frame(job, DEMO, {}, -1, [])[0]["series"] == {}


def test_points_that_come_while_a_frame_is_made_are_news_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    job = new_job()
    train(job, [0.7])
    delta = job.stream.delta

    def late(*arguments: Any) -> Any:
        found = delta(*arguments)
        train(job, [0.6])
        return found

    monkeypatch.setattr(job.stream, "delta", late)
    content, have, _ = frames.frame(job, DEMO, {}, -1)
    assert have["loss"][1] == 1
    assert content["version"] < job.version, "or the stream would not look again"


def test_a_frame_in_python_values_is_told_as_it_is() -> None:
    content = {"a": [1, 2.5, None, "x\ny"], "b": {"c": True}}
    assert json.loads(frames.text(content)) == content
    assert "\n" not in frames.text(content), "a line break would end the event"


def test_what_json_has_no_word_for_becomes_plain() -> None:
    content = {
        "nan": float("nan"),
        "list": [np.float32(0.5), np.inf],
        "array": np.array([[1.0, np.nan]]),
        3: np.int64(4),
    }
    assert json.loads(frames.text(content)) == {"nan": None, "list": [0.5, None], "array": [[1.0, None]], "3": 4}


def broken(*_: Any) -> Any:
    raise ValueError("no such bit")


def test_a_demo_that_fails_costs_its_pictures_and_advice_but_not_the_curves(caplog: pytest.LogCaptureFixture) -> None:
    lessons, figures = SimpleNamespace(advise=broken), SimpleNamespace(live_figures=broken)
    demo: Any = SimpleNamespace(slug="broken", lessons=lessons, figures=figures)
    job = new_job()
    job.snapshot, job.snapshot_version = {}, 1
    train(job, [0.7])
    frames._complain.cache_clear()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            content, _, drawn = frames.frame(job, demo, {}, -1)
    assert (json.loads(frames.text(content))["figures"], drawn, content["event"]) == ({}, 1, "running:running:0:")
    assert set(content["series"]) >= {"loss"}
    assert len(caplog.records) == 2, "each complaint is logged once"


def test_pictures_are_made_once_for_all_who_watch() -> None:
    asked: list[int] = []

    def live_figures(config: Any, snapshot: Any) -> Any:
        asked.append(snapshot["n"])
        return {"bars": {"y": np.array([snapshot["n"], np.nan])}}

    demo: Any = SimpleNamespace(slug="echo", lessons=DEMO.lessons, figures=SimpleNamespace(live_figures=live_figures))
    job = new_job()
    for n in (1, 2):
        job.snapshot, job.snapshot_version = {"n": n}, n
        told = [json.loads(frames.text(frames.frame(job, demo, {}, n - 1)[0])) for _ in range(3)]
        assert all(each["figures"] == {"bars": {"y": [n, None]}} and each["run"] == job.id for each in told)
    assert asked == [1, 2]


def test_the_coach_sees_live_settings_as_they_are_now(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(DEMO.lessons, "advise", lambda config, step, summary: seen.append(config))
    job = new_job()
    frames.event_of(job, DEMO), frames.event_of(job, DEMO)
    job.live["learning_rate"] = 0.125
    frames.event_of(job, DEMO)
    assert seen[0] is seen[1], "checked once"
    assert [config.learning_rate for config in seen[1:]] == [DEMO.config().learning_rate, 0.125]


def test_the_status_says_what_the_strip_shows() -> None:
    job = new_job()
    job.message, job.device = "hello", "CPU"
    assert frames.status(job, DEMO) == {
        "run": job.id, "state": "running", "message": "hello", "step": 0, "steps": 66_600, "epoch": 1, "epochs": 100,
        "steps_per_epoch": 666, "steps_per_second": None, "step_seconds": None, "time_left": None, "device": "CPU",
        "speed": None, "metrics": {}, "event": "running:running:0:", "words_per_step": None, "place": 0,
        "people": 0, "turn_seconds": None,
    }  # fmt: skip
    train(job, [0.5, 0.25])
    assert frames.status(job, DEMO)["metrics"] == {"loss": 0.25}
    job.step, job.seconds = 20, 5.0
    assert frames.status(job, DEMO)["step_seconds"] == 0.25
