"""The metric stream: thinning, deltas that get lost or repeated, summaries, and going on after a restart."""

import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.stream import MetricStream, seed_series


class Reader:
    """What app/static/live.js does with a delta."""

    def __init__(self) -> None:
        self.generation, self.steps, self.values = -1, np.zeros(0, np.int64), np.zeros(0, np.float32)

    @property
    def have(self) -> dict[str, tuple[int, int]]:
        return {"loss": (self.generation, len(self.steps))}

    def take(self, delta: dict) -> None:
        if "loss" not in delta:
            return
        part = delta["loss"]
        if part["start"] > len(self.steps):  # something was lost: begin anew
            self.__init__()  # type: ignore[misc]
            return
        self.steps = np.concatenate([self.steps[: part["start"]], part["step"]])
        self.values = np.concatenate([self.values[: part["start"]], part["value"]])
        self.generation = part["generation"]


def appended(values: np.ndarray, piece: int, capacity: int = 4096) -> MetricStream:
    stream = MetricStream(capacity)
    for first in range(0, len(values), piece):
        stream.append(first, {"loss": values[first : first + piece]})
    return stream


@settings(deadline=None, max_examples=60)
@given(
    pieces=st.lists(st.integers(1, 90), min_size=1, max_size=25),
    fates=st.lists(st.sampled_from(["taken", "lost", "twice"]), min_size=25, max_size=25),
)
def test_a_reader_ends_with_the_servers_points_whatever_happens_to_the_deltas(pieces: list, fates: list) -> None:
    rng, stream, reader, step = np.random.default_rng(0), MetricStream(capacity=128), Reader(), 0
    for piece, fate in zip(pieces, fates, strict=False):
        stream.append(step, {"loss": rng.random(piece).astype(np.float32)})
        step += piece
        delta = stream.delta(reader.have, ["loss"])
        for _ in range({"taken": 1, "lost": 0, "twice": 2}[fate]):
            reader.take(delta)
    for _ in range(2):
        reader.take(stream.delta(reader.have, ["loss"]))
    steps, values = stream.curve("loss")
    np.testing.assert_array_equal(reader.steps, steps)
    np.testing.assert_array_equal(reader.values, values)
    assert stream.delta(reader.have, ["loss"]) == {}


@pytest.mark.parametrize("piece", [1, 37, 6000])
def test_thinning_keeps_the_ends_and_the_extremes_and_an_even_density(piece: int) -> None:
    values = np.random.default_rng(1).random(20_000).astype(np.float32)
    values[[123, 15_000]] = 9.0, -4.0
    steps, kept = appended(values, piece, capacity=1024).curve("loss")
    assert len(steps) <= 1024 + 2
    assert (steps[0], steps[-1]) == (0, 19_999)
    assert kept[-1] == values[-1]
    assert {9.0, -4.0} <= set(kept.tolist())
    np.testing.assert_array_equal(kept, values[steps])
    assert np.diff(steps).min() > 0
    assert np.diff(steps).max() < 20_000 / 100, "a part of the curve has lost its points"


@pytest.mark.parametrize("piece", [1, 37, 5000])
def test_a_curve_is_the_same_however_many_steps_a_turn_has(piece: int) -> None:
    values = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    values[::97] = np.nan
    one, other = (appended(values, size, capacity=256).curve("loss") for size in (piece, 250))
    np.testing.assert_array_equal(one, other)


def test_summary_is_of_the_values_before_thinning() -> None:
    values = np.random.default_rng(2).random(5000).astype(np.float32)
    summary = appended(values, 333, capacity=64).summary()["loss"]
    assert summary["last"] == values[-1]
    assert summary["best"] == values.min()
    assert summary["mean_last_100"] == pytest.approx(values[-100:].mean(dtype=np.float64))


def test_what_is_unknown_or_not_finite_is_none() -> None:
    stream = MetricStream()
    assert stream.summary() == {}
    stream.append(0, {"loss": np.array([0.5, np.nan], np.float32)})
    assert stream.summary()["loss"] == {"last": None, "best": 0.5, "mean_last_100": None}
    assert stream.curve("loss")[0].tolist() == [0], "what is not finite is not drawn"
    stream.append(2, {"loss": np.zeros(0, np.float32)})


@pytest.mark.parametrize("span", [30, 300])
@pytest.mark.parametrize("piece", [77, 2500])
def test_smoothing_is_pandas_moving_average_whatever_the_pieces(span: int, piece: int) -> None:
    values = np.random.default_rng(3).random(2500).astype(np.float32)
    _, smooth = appended(values, piece).curve(f"loss_smooth_{span}")
    np.testing.assert_allclose(smooth, pd.Series(values).ewm(span=span, adjust=False).mean(), rtol=1e-4)


def test_it_goes_on_from_its_arrays_bit_for_bit() -> None:
    values = np.random.default_rng(4).random(3000).astype(np.float32)
    whole, first = appended(values, 250, capacity=512), appended(values[:1500], 250, capacity=512)
    second = MetricStream.from_arrays(first.arrays())
    for start in range(1500, 3000, 250):
        second.append(start, {"loss": values[start : start + 250]})
    assert whole.summary() == second.summary()
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(array, second.arrays()[name], err_msg=name)


def test_reading_while_writing() -> None:
    stream, reader, values = MetricStream(256), Reader(), np.random.default_rng(5).random(30_000).astype(np.float32)
    writer = threading.Thread(
        target=lambda: [stream.append(i, {"loss": values[i : i + 60]}) for i in range(0, 30_000, 60)]
    )
    writer.start()
    while writer.is_alive():
        reader.take(stream.delta(reader.have, ["loss"]))
    reader.take(stream.delta(reader.have, ["loss"]))
    np.testing.assert_array_equal(reader.steps, stream.curve("loss")[0])


@pytest.mark.parametrize("seeds", [2, 3, 10, 64])
def test_the_series_of_many_seeds(seeds: int) -> None:
    loss = np.random.default_rng(6).random((50, seeds)).astype(np.float32)
    series = seed_series({"loss": loss})
    np.testing.assert_allclose(series["loss"], np.median(loss, axis=1), rtol=1e-6)
    inside = (loss >= series["loss_low"][:, None]) & (loss <= series["loss_high"][:, None])
    assert (inside.mean(axis=1) >= 0.75).all()
    assert (series["loss_low"] <= series["loss"]).all()
    assert (series["loss"] <= series["loss_high"]).all()


def test_the_median_is_finite_while_most_seeds_are() -> None:
    loss = np.array([[np.nan, 0.1, 0.2], [np.nan, np.inf, 0.2]], np.float32)
    assert np.isfinite(seed_series({"loss": loss})["loss"]).tolist() == [True, False]
    assert not np.isfinite(seed_series({"loss": np.array([[np.nan]], np.float32)})["loss"]).any()


def test_the_best_accuracy_is_the_highest_and_the_best_loss_the_lowest() -> None:
    stream, values = MetricStream(), np.array([[0.5], [0.9], [0.7]], np.float32)
    assert stream.record(0, {"loss": values, "accuracy": values}) == 3
    assert stream.summary()["loss"]["best"] == pytest.approx(0.5)
    assert stream.summary()["accuracy"]["best"] == pytest.approx(0.9)


def test_recording_ends_before_the_first_loss_that_is_not_finite() -> None:
    loss = np.array([[1.0], [2.0], [np.nan], [3.0]], np.float32)
    stream = MetricStream()
    assert stream.record(0, {"loss": loss, "accuracy": loss}) == 2
    assert stream.curve("loss")[1].tolist() == stream.curve("accuracy")[1].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("pieces", [[50], [7, 7, 7, 7, 7, 7, 8], [1] * 50, [13, 37], [10, 10, 30]])
@pytest.mark.parametrize("length", [1, 7, 10, 50])
def test_the_mean_of_an_epoch_is_of_its_steps_so_far_whatever_the_pieces(pieces: list[int], length: int) -> None:
    losses = np.random.default_rng(1).random((50, 3)).astype(np.float32)
    stream, first = MetricStream(), 0
    stream.mean_over_epochs(SimpleNamespace(steps=50, steps_per_epoch=length))
    for count in pieces:
        stream.record(first, {"loss": losses[first : first + count]})
        first += count
        stream = MetricStream.from_arrays(stream.arrays())  # a process that ends and goes on
    if length == 50:
        assert "epoch_loss" not in stream.names(), "a run of one epoch has its mean as it goes"
        return
    starts = [step - step % length for step in range(50)]
    expected = [np.median(losses[start : step + 1].mean(axis=0)) for step, start in enumerate(starts)]
    np.testing.assert_allclose(stream.curve("epoch_loss")[1], expected, rtol=1e-5)


def test_the_final_loss_of_each_seed_is_the_mean_of_its_last_hundred_steps() -> None:
    loss = np.random.default_rng(7).random((250, 3)).astype(np.float32)
    loss[240, 2] = np.inf
    stream = MetricStream()
    for first in range(0, 250, 40):
        stream.record(first, {"loss": loss[first : first + 40]})
    again = MetricStream.from_arrays(stream.arrays())
    for found in (stream.final_by_seed(), again.final_by_seed()):
        assert found[:2] == pytest.approx(loss[150:, :2].mean(axis=0).tolist(), rel=1e-6)
        assert found[2] is None
