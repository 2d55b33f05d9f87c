"""The NumPy engine, and the same model in TensorFlow's hands."""

import math
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from demos.from_scratch import engine, model, task
from demos.from_scratch.config import RUNNERS, FromScratchConfig
from demos.from_scratch.engine import Carry, RaceCarry, RaceEngine, ScratchEngine
from demos.from_scratch.model import Parameters
from lib.job import State
from lib.jobs import Jobs
from lib.store import Store
from lib.tf import tf

SMALL = FromScratchConfig(sentences=20, vocabulary_size=60, hidden_units=8, epochs=3)


def scratch(**settings) -> ScratchEngine:
    built = task.build(SMALL.model_copy(update=settings))
    assert isinstance(built, ScratchEngine)
    return built


def whole(built: ScratchEngine, chunk: int = 7) -> tuple[Carry, dict[str, np.ndarray]]:
    """A whole run, so many steps at a time."""
    built.prepare()
    carry, pieces = built.initial(), []
    while carry.step < built.steps:
        carry, metrics = built.run(carry, chunk)
        pieces.append(metrics)
    return carry, {name: np.concatenate([piece[name][:, 0] for piece in pieces]) for name in pieces[0]}


def test_a_run_is_the_models_functions_one_sentence_after_the_other() -> None:
    carry, metrics = whole(scratch(epochs=1))
    p = engine.initial(SMALL)
    losses = [model.learn(p, x, y, SMALL.truncate, SMALL.learning_rate) / len(x) for x, y in SMALL.words.pairs]
    np.testing.assert_allclose(metrics["loss"], losses, rtol=1e-6)
    for mine, wanted in zip(carry.parameters, p, strict=True):
        np.testing.assert_array_equal(mine, wanted)
        assert mine.dtype == np.float32


def test_chunks_of_any_length_give_the_same_numbers() -> None:
    (first, one), (second, two) = whole(scratch(), 1), whole(scratch(), 1000)
    np.testing.assert_array_equal(one["loss"], two["loss"])
    np.testing.assert_allclose(one["epoch_loss"], two["epoch_loss"], rtol=1e-6)
    np.testing.assert_array_equal(first.parameters.U, second.parameters.U)


def test_an_engine_changes_no_carry_that_it_was_given() -> None:
    built = scratch()
    carry = built.initial()
    before = carry.parameters.V.copy()
    built.run(carry, 5)
    np.testing.assert_array_equal(carry.parameters.V, before)


def test_the_epochs_loss_is_the_mean_over_its_words() -> None:
    _, metrics = whole(scratch())
    lengths = np.array([len(x) for x, _ in SMALL.words.pairs])
    for epoch in range(3):
        own = slice(epoch * 20, (epoch + 1) * 20)
        mean = np.cumsum(metrics["loss"][own] * lengths) / np.cumsum(lengths)
        np.testing.assert_allclose(metrics["epoch_loss"][own], mean, rtol=1e-5)


def test_the_rate_is_halved_after_an_epoch_whose_loss_rose_and_only_then() -> None:
    _, metrics = whole(scratch(learning_rate=1.0, epochs=8))
    ends, rates = metrics["epoch_loss"][19::20], metrics["learning_rate"][::20]
    assert (np.diff(ends) > 0).any()
    expected = [1.0, 1.0]
    for before, now in pairwise(ends[:-1]):
        expected.append(expected[-1] / 2 if now > before else expected[-1])
    np.testing.assert_allclose(rates, expected)
    _, metrics = whole(scratch(learning_rate=1.0, epochs=8, halving=False))
    assert set(metrics["learning_rate"]) == {1.0}


@pytest.mark.parametrize("name", RUNNERS)
def test_the_loss_is_checked_every_few_epochs(name: str) -> None:
    changes = {"hands": name, "sentences": 10, "truncate": 1, "learning_rate": 1.0, "epochs": 10, "check_every": 3}
    _, metrics = whole(scratch(**changes), 20)
    ends, rates = metrics["epoch_loss"][9::10], metrics["learning_rate"][::10]
    assert (np.diff(ends) > 0).any()
    expected, before, rate = [], math.inf, 1.0
    for epoch, loss in enumerate(ends, start=1):
        expected.append(rate)
        if epoch in (3, 6, 9):
            rate, before = rate / 2 if loss > before else rate, loss
    np.testing.assert_allclose(rates, expected)


def test_a_race_checks_the_loss_as_a_run_does() -> None:
    config = SMALL.model_copy(update={"hands": "race", "sentences": 10, "learning_rate": 1.0, "check_every": 2})
    race = RaceEngine(config, {"numpy": task.hand(config, "numpy")})
    carry = race.initial()
    while carry.carries[0].step < 90:
        carry, _ = race.run(carry, 1)
    alone, _ = whole(scratch(sentences=10, learning_rate=1.0, check_every=2, epochs=carry.carries[0].step // 10))
    assert 0 < alone.share < 1 and carry.carries[0].share == alone.share


def test_a_live_rate_counts_at_once() -> None:
    built = scratch()
    _, metrics = built.run(built.initial(), 2, {"learning_rate": 0.5})
    assert metrics["learning_rate"].tolist() == [[0.5], [0.5]]


def test_a_checkpoint_goes_on_where_it_was() -> None:
    built = scratch(learning_rate=1.0)
    carry, _ = built.run(built.initial(), 20)
    carry, _ = built.run(carry, 7)
    again = built.carry_from(carry.to_arrays())
    np.testing.assert_array_equal(built.run(again, 5)[1]["loss"], built.run(carry, 5)[1]["loss"])
    assert again[2:] == carry[2:] and built.carry_from(built.initial().to_arrays())[2:] == built.initial()[2:]
    old = carry.to_arrays()
    del old["checked"]  # as it was written when the loss was checked at every epoch
    assert built.carry_from(old)[2:] == carry[2:]
    with pytest.raises(ValueError, match="another network"):
        scratch(hidden_units=4).carry_from(carry.to_arrays())


def test_the_picture_is_of_the_sentence_that_comes_next() -> None:
    built = scratch()
    carry, _ = built.run(built.initial(), 20)
    seen = built.observe(carry)
    x, y = SMALL.words.pairs[0]
    np.testing.assert_array_equal(seen["x"], x)
    assert seen["nats"].sum() == pytest.approx(model.loss(carry.parameters, x, y), rel=1e-6)


# In other hands


def numpys(truncate: int, x: np.ndarray, y: np.ndarray) -> tuple[Parameters, Parameters, float]:
    p = engine.initial(SMALL)
    return p, *model.backward(p, x, y, truncate)


def assert_close(mine, theirs) -> None:
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(np.asarray(mine) / scale, np.asarray(theirs) / scale, atol=1e-5)


@pytest.mark.parametrize("truncate", [0, 1, 4, 50])
@pytest.mark.parametrize("way", ["eager", "graph", "xla"])
def test_all_hands_agree_on_loss_and_gradient(way: str, truncate: int) -> None:
    from demos.from_scratch import hands

    ways = {
        "eager": hands.gradient,
        "graph": tf.function(hands.gradient),
        "xla": tf.function(hands.gradient, jit_compile=True),
    }
    for x, y in SMALL.words.pairs[:2]:
        p, wanted, loss = numpys(truncate, x, y)
        steps = min(truncate, len(x) - 1)
        found, theirs = ways[way](Parameters(*map(tf.constant, p)), tf.constant(x), tf.constant(y), steps)
        assert float(theirs) == pytest.approx(loss, rel=1e-5)
        for mine, other in zip(found, wanted, strict=True):
            assert_close(mine, other)


@pytest.mark.parametrize("name", RUNNERS[1:])
@pytest.mark.parametrize("truncate", [0, 4, 50])
def test_all_hands_learn_the_same(name: str, truncate: int) -> None:
    config = SMALL.model_copy(update={"truncate": truncate})
    start = engine.initial(config)
    found, losses = {}, {}
    for each in ("numpy", name):
        hand = task.hand(config, each)
        hand.prepare()
        found[each], losses[each] = hand.learn(start, 3, 10, 0.05)
    np.testing.assert_allclose(losses[name], losses["numpy"], rtol=1e-5)
    for mine, wanted in zip(found[name], found["numpy"], strict=True):
        assert_close(mine, wanted)


def test_a_chunk_goes_on_from_block_to_block(monkeypatch: pytest.MonkeyPatch) -> None:
    from demos.from_scratch import hands

    monkeypatch.setattr(hands, "BLOCK", 7)
    start = engine.initial(SMALL)
    hand = task.hand(SMALL, "xla")
    hand.prepare()
    found, losses = hand.learn(start, 3, 16, 0.05)
    wanted, theirs = task.hand(SMALL, "numpy").learn(start, 3, 16, 0.05)
    np.testing.assert_allclose(losses, theirs, rtol=1e-5)
    assert_close(found.V, wanted.V)


def test_a_run_in_other_hands_ends_at_the_same_loss() -> None:
    (_, mine), (_, theirs) = whole(scratch()), whole(scratch(hands="xla"))
    np.testing.assert_allclose(mine["loss"], theirs["loss"], rtol=1e-4)


# The race


def test_a_race_trains_the_same_network_in_all_hands() -> None:
    race = task.build(SMALL.model_copy(update={"hands": "race"}))
    assert isinstance(race, RaceEngine)
    race.prepare()
    carry = race.initial()
    for _ in range(2):
        carry, metrics = race.run(carry, 5)
    assert carry.step == 2
    assert set(metrics) == {"loss", "learning_rate"} | {
        f"{what}_{name}" for what in ("loss", "speed") for name in RUNNERS
    }
    for own in carry.carries:
        alone, _ = scratch().run(scratch().initial(), own.step)
        assert 1 < own.step < 20
        assert_close(own.parameters.V, alone.parameters.V)
    seen = race.observe(carry)
    assert (seen["speeds"] > 0).all()
    again = race.carry_from(carry.to_arrays())
    assert isinstance(again, RaceCarry) and again.seconds == carry.seconds and again.turns == carry.turns
    assert [own.step for own in again.carries] == [own.step for own in carry.carries]


# In the background


def test_a_job_trains_it_to_the_end_and_another_thread_gets_its_turn(tmp_path: Path) -> None:
    config = FromScratchConfig(vocabulary_size=1000, epochs=20)
    jobs = Jobs(Store(tmp_path), 1, build=lambda slug, c: task.build(c), config_of=lambda slug: FromScratchConfig)
    try:
        job = jobs.start("from-scratch", config, "me")
        deadline = time.monotonic() + 60
        while job.step < 100:
            assert time.monotonic() < deadline, job.error
            time.sleep(0.01)
        waits = []
        for _ in range(100):
            asked = time.perf_counter()
            time.sleep(0.001)
            waits.append(time.perf_counter() - asked)
        assert max(waits) < 0.5
        jobs.stop(job.id)
        while job.active or job.busy:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert job.state in (State.STOPPED, State.FINISHED)
        steps, values = job.stream.curve("epoch_loss")
        assert len(steps) and np.isfinite(values).all()
    finally:
        jobs.shutdown()
