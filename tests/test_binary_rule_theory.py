"""The bounds against brute force: every sequence of bits is written down, and the best predictor looked up."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest

from demos.binary_rule import theory
from demos.binary_rule.config import BinaryRuleConfig
from demos.binary_rule.data import series

PAIRS = list(itertools.product(range(1, 7), repeat=2))


def brute_force(lags: tuple[int, int], window: int, carried: bool, positions: range) -> tuple[float, float]:
    """The loss and accuracy of the best predictor over these positions of a row.

    For each position all sequences of the bits that could matter are written down. The predictor gets the list of those
    bits that it may use, and says how often the target was 1 after exactly that list.
    """
    losses, accuracies = [], []
    for position in positions:
        since = position if carried else position % window  # bits read since the state was zero, before this one
        usable = list(range(since + 1))
        span = sorted({*lags, *[lag for lag in usable if lag in lags]})
        counts: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for bits in itertools.product((0, 1), repeat=len(span)):
            at = dict(zip(span, bits, strict=True))
            for coin in (0, 1):
                one, other = at[lags[0]], at[lags[1]]
                target = 1 - one if one == other else coin
                counts[tuple(at[lag] for lag in span if lag in usable)][target] += 1
        total = sum(map(sum, counts.values()))
        losses.append(-sum(n / total * math.log(n / sum(pair)) for pair in counts.values() for n in pair if n))
        accuracies.append(sum(max(pair) for pair in counts.values()) / total)
    return math.fsum(losses) / len(positions), math.fsum(accuracies) / len(positions)


@pytest.mark.parametrize("carried", [True, False])
@pytest.mark.parametrize("window", range(1, 9))
@pytest.mark.parametrize("lags", PAIRS)
def test_the_bounds_equal_brute_force(lags: tuple[int, int], window: int, carried: bool) -> None:
    config = BinaryRuleConfig(
        first_lag=lags[0],
        second_lag=lags[1],
        time_step=window,
        carry_state=carried,
        series_length=1000,
        batch_size=20,
        epochs=2,
    )
    positions = theory.used_positions(config)
    assert positions == 50 // window * window
    assert theory.best(config) == pytest.approx(brute_force(lags, window, carried, range(positions)), abs=1e-12)
    first = brute_force(lags, window, carried, range(window))[0]
    assert theory.floor_of_first_window(config) == pytest.approx(first, abs=1e-12)
    alone = brute_force(lags, window, False, range(positions))
    assert theory.without_carried_state(config) == pytest.approx(alone, abs=1e-12)
    last = [step % config.windows_per_epoch for step in range(max(0, config.steps - 100), config.steps)]
    losses = [brute_force(lags, window, carried, range(w * window, (w + 1) * window))[0] for w in last]
    assert theory.floor(config) == pytest.approx(math.fsum(losses) / len(losses), abs=1e-12)


def test_the_lines_of_the_tutorial() -> None:
    config = BinaryRuleConfig()
    assert theory.chance(config) == pytest.approx(0.6931, abs=1e-4)
    assert theory.rule_known(config) == pytest.approx((0.3466, 0.75), abs=1e-4)
    one_bit = theory.best_knowing(config, (True, False))
    assert one_bit == pytest.approx((theory.entropy(0.25), 0.75))  # half the rule has the whole rule's accuracy


def test_without_the_state_the_first_positions_know_less() -> None:
    """Position 1 of 5 knows no bit, position 2 one, the others both: less than if position 2 knew none."""
    config = BinaryRuleConfig(carry_state=False)
    expected = (math.log(2) + theory.entropy(0.25) + 3 * math.log(2) / 2) / 5
    assert theory.floor(config) == pytest.approx(expected)
    assert theory.floor(config) < (2 * math.log(2) + 3 * math.log(2) / 2) / 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ["0.3466", "0.75", "1 and 2 back", "0.3469", "every row", "reaches 0.4590", "joins them"]),
        ({"carry_state": False}, ["every window", "0.4590", "| 3 to 5 |"]),
        ({"second_lag": 5}, ["**0.3472**", "the bit that lies 5 back", "1 and 5 back", "reaches 0.5885", "Jaeger"]),
        ({"first_lag": 6, "second_lag": 7}, ["bits that lie 6 and 7 back", "none", "**0.3477**", "reaches 0.6931"]),
        ({"second_lag": 1}, ["same bit", "a loss of 0"]),
    ],
)
def test_the_derivation_has_the_current_numbers(changes: dict, words: list[str]) -> None:
    text = theory.explain(BinaryRuleConfig(**changes))
    for word in words:
        assert word in text, text


def test_a_window_decides_what_is_taught_and_not_what_is_possible() -> None:
    for config in (BinaryRuleConfig(second_lag=5), BinaryRuleConfig(first_lag=6, second_lag=7)):
        longer = config.model_copy(update={"time_step": 10})
        assert theory.floor(config) == pytest.approx(theory.floor(longer), abs=1e-3)
        assert theory.without_carried_state(config).loss > theory.without_carried_state(longer).loss
        assert not theory.taught(config) and theory.taught(longer)
    reset = BinaryRuleConfig(carry_state=False, second_lag=5)
    assert theory.without_carried_state(reset) == theory.best(reset)


def test_the_sampling_error_is_how_much_the_best_networks_loss_spreads() -> None:
    config = BinaryRuleConfig(batch_size=10)
    contexts = series(1_000_000, config.lags, seed=5, epoch=0)[2]
    losses = math.log(2) * np.isin(contexts, (1, 2)).reshape(-1, 100 * config.batch_size * config.time_step)
    assert theory.sampling_error(config) == pytest.approx(losses.mean(axis=1).std(), rel=0.15)


def test_the_boundaries_of_maps() -> None:
    inside = {each.name: each.inside for each in theory.BOUNDARIES}
    assert inside["expected"](BinaryRuleConfig()) and inside["taught"](BinaryRuleConfig())
    assert inside["expected"](BinaryRuleConfig(second_lag=5)) and not inside["taught"](BinaryRuleConfig(second_lag=5))
    assert not inside["expected"](BinaryRuleConfig(hidden_units=2)) and inside["taught"](
        BinaryRuleConfig(hidden_units=2)
    )
