"""Which networks are held to be read."""

from typing import Any, cast

import numpy as np
import pytest

from app import words_networks
from app.words_networks import MOST_OF_A_RUN, SHARED_SECONDS, Which, latest
from demos.registry import get
from lib.job import Job, State
from lib.word_model import unflat

LEAVES = {
    "embedding": np.ones((3, 2), np.float32),
    "layers/layer_0/input_weights": np.ones((2, 4), np.float32),
    "layers/layer_0/recurrent_weights": np.ones((1, 4), np.float32),
    "layers/layer_0/bias": np.ones(4, np.float32),
    "output/weights": np.ones((3, 1), np.float32),
    "output/bias": np.ones(3, np.float32),
}


def test_of_a_run_the_latest_networks_are_held_and_what_the_store_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words_networks, "_MODELS", type(words_networks._MODELS)())
    held = unflat(LEAVES)
    kept, other = Which("story", "run", 5, True), Which("story", "other", 7, False)
    passing = [Which("story", "run", step, False) for step in range(3 * MOST_OF_A_RUN)]
    for which in (kept, other, *passing):
        words_networks._hold(which, held)
    assert list(words_networks._MODELS) == [kept, other, *passing[-MOST_OF_A_RUN:]]
    words_networks.model_of(passing[-1])
    with pytest.raises(ValueError, match="Take the one of now"):
        words_networks.model_of(passing[0])


def test_not_more_is_held_than_there_is_room_for_but_always_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words_networks, "_MODELS", type(words_networks._MODELS)())
    monkeypatch.setattr(words_networks, "MOST_BYTES", 1)
    for step in range(4):
        words_networks._hold(Which("story", f"run {step}", step, False), unflat(LEAVES))
    assert [which.step for which in words_networks._MODELS] == [2, 3]


class _Jobs:
    """What gives a job's weights: those of its step."""

    def weights(self, job: Job) -> dict[str, Any]:
        return {"step": np.array(job.step)}


def test_who_looks_at_a_run_that_goes_on_shares_its_network_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words_networks, "_MODELS", type(words_networks._MODELS)())
    monkeypatch.setattr(words_networks, "jobs", _Jobs)
    monkeypatch.setattr(cast(Any, get("story").words), "network_of", lambda leaves, config: unflat(LEAVES))
    now = 0.0
    monkeypatch.setattr(words_networks.time, "monotonic", lambda: now)
    job = Job("story", get("story").config(), "visitor")
    job.state = State.RUNNING

    def taken_at(step: int) -> int:
        job.step = step
        which = latest(job)
        assert which is not None
        return which.step

    assert (taken_at(10), taken_at(20)) == (10, 10)
    other = Job("story", job.config, "visitor")
    other.state, other.step = State.RUNNING, 5
    assert latest(other) == Which("story", other.id, 5, False)
    job.diary = [{"step": 25}]
    assert taken_at(30) == 30, "an epoch has ended"
    now += SHARED_SECONDS
    assert taken_at(40) == 40
    job.state = State.PAUSED
    assert taken_at(41) == 41, "what stands still is shown as it is"
