"""The rule's bits against the rule, written out."""

import numpy as np
import pytest

from demos.binary_rule.config import BinaryRuleConfig
from demos.binary_rule.data import CONTEXTS, series, strip_length, strips
from demos.binary_rule.task import BinaryRuleTask
from lib.settings import SettingError, clamp, parse


@pytest.mark.parametrize("lags", [(1, 2), (2, 1), (3, 3), (1, 20)])
def test_equal_bits_force_their_opposite_and_others_a_fair_coin(lags: tuple[int, int]) -> None:
    bits, targets, contexts = series(100_000, lags, seed=3, epoch=2)
    coins = []
    for i in range(max(lags), len(bits)):
        first, second = bits[i - lags[0]], bits[i - lags[1]]
        assert CONTEXTS[contexts[i]] == f"{first}{second}"
        if first == second:
            assert targets[i] == 1 - first
        else:
            coins.append(targets[i])
    assert bits.mean() == pytest.approx(0.5, abs=0.01)
    if coins:
        assert len(coins) / len(bits) == pytest.approx(0.5, abs=0.01)
        assert np.mean(coins) == pytest.approx(0.5, abs=0.01)


def test_the_rule_holds_from_the_first_target_on() -> None:
    _, targets, contexts = series(50, (4, 6), seed=0, epoch=0)
    forced = np.isin(contexts, (0, 3))
    np.testing.assert_array_equal(targets[forced], (contexts[forced] == 0).astype(np.uint8))


def test_epochs_seeds_and_strips_differ_and_repeat() -> None:
    drawn = [series(64, (1, 2), seed, epoch)[0].tobytes() for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(drawn)) == 4
    assert drawn[0] == series(64, (1, 2), 0, 0)[0].tobytes()
    rows = strips((1, 2), 5, 0).inputs
    assert len({row.tobytes() for row in rows}) == len(rows)


@pytest.mark.parametrize("time_step", range(1, 21))
def test_a_strip_is_whole_windows(time_step: int) -> None:
    assert strip_length(time_step) % time_step == 0
    assert 30 <= strip_length(time_step) <= 48


@pytest.mark.parametrize("carried", [True, False])
def test_the_state_is_zero_where_the_setting_says_so(carried: bool) -> None:
    task = BinaryRuleTask(BinaryRuleConfig(carry_state=carried, series_length=1000, batch_size=10, time_step=5))
    carry = task.block(0)["carry"]
    assert task.steps_per_epoch == 20
    assert carry[0] == carry[20] == 0
    assert carry[1] == carry[19] == carry[21] == float(carried)


def test_a_series_without_a_window_is_refused_and_repaired() -> None:
    short = {"series_length": 1000, "batch_size": 1000, "time_step": 5}
    with pytest.raises(SettingError, match="choose a series_length of 5000"):
        parse(BinaryRuleConfig, short)
    config, notes = clamp(BinaryRuleConfig, short)
    assert config.series_length == 5000 and "so 5000 is used" in notes[0]
