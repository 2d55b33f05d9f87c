"""The binary rule's charts: legal Plotly JSON, that says what the arrays say."""

import numpy as np
import pytest

from demos.binary_rule import figures, theory
from demos.binary_rule.config import PRESETS, BinaryRuleConfig
from demos.binary_rule.data import STRIP, strips
from lib.style import Ghost
from tests.figure_checks import check, set_colors


def snapshot(config: BinaryRuleConfig, ones: np.ndarray | None = None) -> dict[str, np.ndarray]:
    shape = strips(config.lags, config.time_step, config.seed).inputs.T.shape
    ones = np.random.default_rng(0).random(shape) if ones is None else np.broadcast_to(ones, shape)
    return {"strip_probabilities": ones.astype(np.float32), "step": np.int64(7)}


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("preset", PRESETS)
def test_all_charts_are_legal(preset: str, scale: str) -> None:
    config = PRESETS[preset]
    points = {"step": np.arange(5), "value": np.linspace(0.7, 0.4, 5, dtype=np.float32)}
    names = ("loss", "accuracy", "belief_00", "belief_11")
    ghosts = [Ghost("an earlier run", np.arange(3), np.full(3, 0.5))]
    built = [
        curve.figure(config, ghosts=ghosts, smooth="30", scale=scale, series=dict.fromkeys(names, points))
        for curve in figures.CURVES
    ]
    for figure in [*built, *figures.live_figures(config, snapshot(config)).values()]:
        check(figure)
        assert set_colors(figure) == []


def lines(figure: dict) -> dict[str, float]:
    return {shape["label"]["text"]: shape["y0"] for shape in figure["layout"]["shapes"] if "label" in shape}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_lines_stand_at_the_exact_values(preset: str) -> None:
    config = PRESETS[preset]
    loss, accuracy = lines(figures.loss_figure(config)), lines(figures.accuracy_figure(config))
    assert loss[next(text for text in loss if text.startswith("chance"))] == pytest.approx(np.log(2))
    assert {round(v, 9) for v in loss.values()} >= {round(theory.epoch_floor(config), 9)}
    assert {round(v, 9) for v in accuracy.values()} >= {0.5, round(theory.best_accuracy(config), 9)}
    for label, value in (loss | accuracy).items():
        assert float(label.rpartition(": ")[2]) == pytest.approx(value, abs=1e-4)


def test_only_a_bound_of_information_is_called_a_bound() -> None:
    for window in (5, 9):
        found = lines(figures.loss_figure(BinaryRuleConfig(second_lag=5, time_step=window)))
        assert sum("bound" in text for text in found) == 1
    assert "epoch-mean lower bound: 0.3472" in lines(figures.loss_figure(BinaryRuleConfig(second_lag=5)))
    assert "best without the carried state: 0.5885" in lines(figures.loss_figure(BinaryRuleConfig(second_lag=5)))
    beyond = lines(figures.loss_figure(BinaryRuleConfig(first_lag=6, second_lag=7)))
    assert "chance, and the best without the carried state: 0.6931" in beyond
    reset = lines(figures.loss_figure(BinaryRuleConfig(carry_state=False)))
    assert not any("without" in text for text in reset), "that is the bound itself"


def test_the_belief_is_the_mean_of_each_context() -> None:
    config = BinaryRuleConfig()
    contexts = strips(config.lags, config.time_step, config.seed).contexts.T
    bars, truth = figures.belief_now(config, snapshot(config, 0.2 * contexts))["data"]
    assert bars["y"] == pytest.approx([0.0, 0.2, 0.4, 0.6])
    assert truth["y"] == [1.0, 0.5, 0.5, 0.0]


def test_the_strip_shows_each_bit_and_says_what_decides_it() -> None:
    config = BinaryRuleConfig()
    strip = strips(config.lags, config.time_step, config.seed)
    figure = figures.strip_figure(config, snapshot(config))
    by_name = {trace["name"]: trace for trace in figure["data"]}
    for name, bits in (("input", strip.inputs[0]), ("target", strip.targets[0])):
        assert len(by_name[f"{name} 1"]["x"]) == bits.sum()
        assert len(by_name[f"{name} 0"]["x"]) == STRIP - bits.sum()
    assert len(by_name["forced by the rule"]["x"]) == np.isin(strip.contexts[0], (0, 3)).sum()
    hover = by_name[""]["customdata"]
    assert len(hover) == STRIP
    for i in range(2, STRIP):
        first, second = strip.inputs[0, i - 1], strip.inputs[0, i - 2]
        assert hover[i][:3] == [i + 1, strip.inputs[0, i], strip.targets[0, i]]
        assert f"{first} (1 back, at position {i})" in hover[i][3]
        assert ("opposite" in hover[i][3]) == (first == second)
    assert "before the strip" in hover[0][3]


def test_the_same_bit_twice_has_two_contexts() -> None:
    config = BinaryRuleConfig(second_lag=1)
    assert figures.occurring(config) == ["00", "11"]
    assert len(figures.belief_figure(config)["data"]) == 2


def test_a_probability_that_is_not_finite_harms_no_picture() -> None:
    config = BinaryRuleConfig()
    for figure in figures.live_figures(config, snapshot(config, np.array(np.nan))).values():
        check(figure)
