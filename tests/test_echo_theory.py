"""The echo's bounds against a brute force over every series that there is."""

import itertools
import math
from collections import Counter
from functools import cache

import numpy as np
import pytest

from demos.echo import theory
from demos.echo.config import EchoConfig
from demos.echo.data import series
from lib.batches import windows

# (series_length, batch_size, truncated_backprop_length, echo_step, stride); echoes may be longer than the series.
SMALL = [
    (length, rows, window, echo, stride)
    for length in range(1, 9)
    for rows in range(1, 5)
    for window in range(1, 6)
    for echo in range(1, length + 3)
    for stride in range(window)
    if length // rows >= window
]


def tiny(length: int, rows: int, window: int, echo: int, stride: int) -> EchoConfig:
    """A config below the sliders' limits, which is what a brute force can afford."""
    return EchoConfig.model_construct(
        series_length=length, batch_size=rows, truncated_backprop_length=window, echo_step=echo, stride=stride
    )


@cache
def conditional_entropy(length: int, rows: int, echo: int, position: int) -> float:
    """H(target | the row's bits so far) in nats at a position, over all rows of all series."""
    row_length = length // rows
    counts: Counter[tuple[tuple[int, ...], int]] = Counter()
    for bits in itertools.product((0, 1), repeat=length):
        for row in range(rows):
            flat = row * row_length + position
            counts[bits[row * row_length : flat + 1], bits[flat - echo] if flat >= echo else 0] += 1
    return entropy_of(counts)


def entropy_within_windows(length: int, rows: int, window: int, echo: int, stride: int, place: int) -> float:
    """H(target | the window's bits so far) in nats at a place of a window, over all windows of all rows of all series."""
    row_length = length // rows
    counts: Counter[tuple[tuple[int, ...], int]] = Counter()
    for bits in itertools.product((0, 1), repeat=length):
        for row, start in itertools.product(range(rows), range(0, row_length - window + 1, stride or window)):
            first = row * row_length + start
            target = bits[first + place - echo] if first + place >= echo else 0
            counts[bits[first : first + place + 1], target] += 1
    return entropy_of(counts)


def entropy_of(counts: Counter[tuple[tuple[int, ...], int]]) -> float:
    """H(target | what was seen) from how often each pair occurs."""
    total, entropies = counts.total(), []
    for seen in {seen for seen, _ in counts}:
        pair = [counts[seen, target] for target in (0, 1)]
        entropies += [-count / total * math.log(count / sum(pair)) for count in pair if count]
    return math.fsum(entropies)


@pytest.mark.parametrize(("length", "rows"), sorted({setting[:2] for setting in SMALL}))
def test_floor_is_what_a_brute_force_over_all_series_finds(length: int, rows: int) -> None:
    for setting in (setting for setting in SMALL if setting[:2] == (length, rows)):
        config, (*_, window, echo, stride) = tiny(*setting), setting
        starts = range(0, length // rows - window + 1, stride or window)
        scored = range(window - (stride or window), window)  # the places of a window
        losses = [[conditional_entropy(length, rows, echo, start + place) for place in scored] for start in starts]
        assert theory.epoch_floor(config) == pytest.approx(np.mean(losses), abs=1e-12), setting
        assert theory.floor_of_first_window(config) == pytest.approx(np.mean(losses[0]), abs=1e-12), setting
        for start, loss in zip(starts, losses, strict=True):
            bounds = [theory.floor_at(config, start + place) for place in scored]
            assert bounds == pytest.approx(loss, abs=1e-12), (setting, start)
        alone = [entropy_within_windows(*setting, place) for place in scored]
        assert theory.without_carried_state(config) == pytest.approx(np.mean(alone), abs=1e-12), setting


def test_brute_force_covers_the_awkward_settings() -> None:
    assert any(rows == 1 for _, rows, *_ in SMALL)
    assert any(echo > length // rows for length, rows, _, echo, _ in SMALL), "an echo longer than a row"
    assert any(length // rows % window for length, rows, window, *_ in SMALL), "a tail that no window uses"
    assert any(length % rows for length, rows, *_ in SMALL), "bits that fill no row"
    assert any(0 < stride < window - echo for *_, window, echo, stride in SMALL), "every echo within its window"


def test_data_has_the_targets_that_the_floor_counts_on() -> None:
    """A target is the bit echo_step earlier in the flat series, or 0 where there is none."""
    length, rows, window, echo = 107, 4, 6, 5
    bits, targets = series(length, echo, seed=3, epoch=1)
    flat = [int(bits[i - echo]) if i >= echo else 0 for i in range(length)]
    assert targets.tolist() == flat
    cut = windows(targets[None], rows, window)
    assert len(cut) == 4, "26 steps of a row are 4 windows of 6, and 2 steps are not used"
    for row in range(rows):
        expected = flat[row * 26 : row * 26 + 24]
        assert cut[:, :, 0, row].ravel().tolist() == expected


@pytest.mark.parametrize(("rows", "window", "echo"), [(5, 15, 3), (2, 4, 1), (1, 15, 3), (3, 6, 9), (7, 5, 5)])
def test_floor_is_the_mean_loss_of_the_best_predictor_on_real_data(rows: int, window: int, echo: int) -> None:
    """An oracle that knows exactly what the theory lets it know, on real series."""
    config = EchoConfig(series_length=1000, batch_size=rows, truncated_backprop_length=window, echo_step=echo)
    losses = []
    for epoch in range(400):
        _, flat = series(config.series_length, echo, seed=0, epoch=epoch)
        target = windows(flat[None], rows, window)[:, :, 0]  # [W, T, B]
        position = np.arange(target.shape[0] * window).reshape(-1, window, 1)
        ones = np.where(position < echo, (rows - 1) / (2 * rows), target)
        losses.append(-np.log(np.where(target == 1, ones, 1 - ones)).mean())
    spread = np.std(losses) / math.sqrt(len(losses))
    assert theory.epoch_floor(config) == pytest.approx(np.mean(losses), abs=max(5 * spread, 1e-12))


def test_defaults() -> None:
    config = EchoConfig()
    entropy = -(0.4 * math.log(0.4) + 0.6 * math.log(0.6))
    assert theory.chance(config) == pytest.approx(0.693147, abs=1e-6)
    assert theory.epoch_floor(config) == pytest.approx(3 * entropy / 9990, rel=1e-12)
    assert theory.without_carried_state(config) == pytest.approx(3 * math.log(2) / 15, rel=1e-4)
    assert theory.floor_of_first_window(config) == pytest.approx(3 * entropy / 15, rel=1e-12)
    assert theory.memory_bits(config) == 4


@pytest.mark.parametrize("echo", [14, 15, 16, 50])
def test_the_lower_bound_knows_no_window(echo: int) -> None:
    config = EchoConfig(echo_step=echo)
    assert theory.taught(config) == (echo < 15)
    assert theory.floor(config) == 0.0, "the last 100 windows of an epoch have read what they must repeat"
    assert 0 < theory.epoch_floor(config) < 0.004
    assert theory.learned_below(config) == pytest.approx(0.0693, abs=1e-4)
    assert (theory.without_carried_state(config) > 0.69) == (echo >= 15)


def test_the_bound_is_of_the_steps_that_are_reported() -> None:
    """Of epochs with fewer than 100 windows, the last 100 steps have their starts among them."""
    config = EchoConfig(series_length=1000, batch_size=5, truncated_backprop_length=10, epochs=30)
    assert config.windows_per_epoch == 20
    assert theory.floor(config) == pytest.approx(theory.epoch_floor(config), rel=1e-12)
    one = config.model_copy(update={"epochs": 1})
    assert theory.floor(one) == pytest.approx(theory.epoch_floor(one), rel=1e-12)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_certain_bit_has_no_entropy(probability: float) -> None:
    assert theory.entropy(probability) == 0.0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ["0.6931", "4/10 = 0.4", "0.6730", "the last 4 bits", "9,990 steps", "**0.0002021**", "0.1346"]),
        ({"echo_step": 1}, ["The first step of a row", "1 step earlier", "the last 2 bits"]),
        (
            {"echo_step": 16},
            ["16 steps back", "only 14 steps", "window of 15", "reaches 0.6931", "**0.001078**", "Jaeger"],
        ),
        ({"batch_size": 1}, ["no row before", "**0**"]),
        (
            {"series_length": 100, "truncated_backprop_length": 7, "echo_step": 30},
            ["longer than a row of 20 steps", "14 steps", "2 windows of 7", "**0.6286**"],
        ),
        ({"series_length": 100, "truncated_backprop_length": 20}, ["1 window of 20"]),
        (
            {"stride": 13},
            [
                "0.6730",
                "first scored step is its step 3",
                "769 windows",
                "13 steps after",
                "its last 13 steps",
                "**6.732e-05**",
            ],
        ),
        (
            {"stride": 1},
            ["do not count", "its last step is scored", "reaches 0 at best", "at least 14 steps of its window"],
        ),
    ],
)
def test_explanation_has_the_current_numbers(settings: dict[str, int], words: list[str]) -> None:
    text = theory.explain(EchoConfig(**settings))
    assert [word for word in words if word not in text] == []


def test_explanation_names_the_spike_only_where_there_is_one() -> None:
    assert "spikes" in theory.explain(EchoConfig())
    assert "spikes" not in theory.explain(EchoConfig(batch_size=1))
    assert "spikes" in theory.explain(EchoConfig(echo_step=16))
