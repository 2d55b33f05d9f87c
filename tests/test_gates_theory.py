"""What the gates demo's losses are compared with, against counting by hand, and the curves that show it."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from demos.gates import data, figures, theory
from demos.gates.config import ALONE, PRESETS, TASKS, GatesConfig
from demos.gates.task import GatesTask
from lib import texts
from lib.reading import score
from lib.style import Ghost
from tests.figure_checks import check, set_colors


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("change", [{}, {"symbols": 7, "bracket_types": 3}])
def test_chance_is_the_loss_of_a_network_without_an_opinion(task: str, change: dict) -> None:
    config = GatesConfig(task=task, **change)
    readings, language = data.held_out(config), data.language(config)
    silent = np.zeros((*readings.targets.shape, len(language.answers)))
    assert theory.chance(config) == pytest.approx(score(silent, readings, language).loss)


@pytest.mark.parametrize(
    ("change", "least", "window", "taught"),
    [
        ({}, 0.0, None, True),
        ({"task": "brackets", "bracket_types": 3}, 0.0, None, True),
        ({"task": "text"}, 0.0, None, True),
        ({"task": "echo", "echo_step": 3, "truncated_backprop_length": 10}, 0.0, 0.3 * math.log(2), True),
        ({"task": "echo", "echo_step": 39}, 0.0, 39 / 40 * math.log(2), True),
        ({"task": "echo", "echo_step": 40}, 0.0, math.log(2), False),  # the carried state may hold the bit all the same
        # ln 2 / 2 with both bits known; with one it is its opposite in three of four.
        ({"task": "binary_rule"}, 0.346574, (0.693147 + 0.562335 + 38 * 0.346574) / 40, True),
        (
            {"task": "binary_rule", "first_lag": 9, "second_lag": 9, "truncated_backprop_length": 10},
            0.0, 0.9 * math.log(2), True,
        ),
        (
            {"task": "binary_rule", "second_lag": 10, "truncated_backprop_length": 10},
            0.346574, (0.693147 + 9 * 0.562335) / 10, False,
        ),
        (
            {"task": "binary_rule", "first_lag": 12, "second_lag": 10, "truncated_backprop_length": 10},
            0.346574, math.log(2), False,
        ),
    ],
)  # fmt: skip
def test_the_bound_is_of_information_and_the_window_has_a_line_of_its_own(
    change: dict, least: float, window: float | None, taught: bool
) -> None:
    config = GatesConfig(**change)
    assert theory.floor(config) == pytest.approx(least, abs=1e-5)
    found = theory.without_carried_state(config)
    assert found is None if window is None else found == pytest.approx(window, abs=1e-5)
    (boundary,) = theory.BOUNDARIES
    assert boundary.dashed and boundary.inside(config) == taught
    if config.task != "text":
        assert theory.learned_below(config) == pytest.approx(least + 0.1 * (theory.chance(config) - least), abs=1e-5)


def test_a_rule_whose_bits_are_known_costs_its_coins() -> None:
    """Of half of the targets the coin costs ln 2, and the others nothing."""
    config = GatesConfig(task="binary_rule")
    readings = data.held_out(config)
    first, second = (np.roll(readings.inputs, lag, axis=0) for lag in (1, 2))
    logits = np.where(first == second, 30.0 * (1.0 - 2.0 * first), 0.0)  # of a 1
    found = score(np.stack([np.zeros_like(logits), logits], axis=-1), readings, data.language(config))
    assert found.loss == pytest.approx(theory.floor(config), abs=0.01)


def test_the_lines_of_a_text_equal_counting(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    text = "the cat sat on the mat; the rat sat on the cat. " * 9
    text_id = texts.keep(text)
    trained = text[: len(text) * 9 // 10]
    pairs = Counter(pairwise(trained))
    after, before = Counter(trained[1:]), Counter(trained[:-1])
    total = len(trained) - 1
    single = -sum(n / total * math.log(n / total) for n in after.values())
    pair = -sum(n / total * math.log(n / before[a]) for (a, _), n in pairs.items())
    assert theory.text_lines(text_id) == pytest.approx((single, pair))
    config = GatesConfig(task="text", text=text_id)
    assert theory.learned_below(config) == pytest.approx(pair)
    assert 0 < pair < single < theory.chance(config) == math.log(len(set(text)))


def test_the_fables_are_worth_learning() -> None:
    single, pair = theory.text_lines("")
    assert pair < 0.85 * single < 0.8 * theory.chance(GatesConfig(task="text"))


@pytest.mark.parametrize("name", PRESETS)
def test_the_state_begins_anew_where_the_curves_mark_it(name: str) -> None:
    config = PRESETS[name]
    trained, epoch = GatesTask(config), theory.steps_per_epoch(config)
    assert epoch == trained.steps_per_epoch
    carry = np.concatenate([trained.block(index)["carry"] for index in (0, 1)])[: config.steps]
    if config.task not in ALONE:
        assert np.flatnonzero(carry == 0).tolist() == list(range(0, len(carry), epoch))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ["1.386", "marked letter", "4 letters", "25%"]),
        ({"task": "remember", "symbols": 8, "delay": 77}, ["2.079", "77 steps", "8 symbols", "12%"]),
        ({"task": "brackets", "bracket_types": 3}, ["0.693", "6 tokens"]),
        ({"task": "echo"}, ["0.693", "3 steps earlier", "loss of 0", "at least 0.05199"]),
        ({"task": "echo", "echo_step": 50}, ["50 steps earlier", "goes back 39 at most", "nothing teaches", "Jaeger"]),
        ({"task": "binary_rule"}, ["ln 2", "0.3466"]),
        ({"task": "binary_rule", "truncated_backprop_length": 2}, ["0.3466", "at least 0.6277", "goes back 1 at most"]),
    ],
)
def test_the_explanation_has_the_current_numbers(change: dict, words: list[str]) -> None:
    text = theory.explain(GatesConfig(**change))
    for word in words:
        assert word in text, text


def test_the_explanation_of_a_text_has_its_numbers() -> None:
    text = theory.explain(GatesConfig(task="text"))
    for number in (math.log(len(data.corpus("").alphabet)), *theory.text_lines("")):
        assert f"{number:.3f}" in text
    assert f"{len(data.corpus('').alphabet)} characters" in text


# The curves


def lines(figure: dict) -> dict[str, float]:
    return {shape["label"]["text"]: shape["y0"] for shape in figure["layout"]["shapes"] if "label" in shape}


@pytest.mark.parametrize("seeds", [1, 8])
@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("name", PRESETS)
def test_all_curves_are_legal(name: str, scale: str, seeds: int) -> None:
    config = PRESETS[name].model_copy(update={"seeds": seeds})
    points = {"step": np.arange(900), "value": np.linspace(1.4, 0.1, 900, dtype=np.float32)}
    ghosts = [Ghost("an earlier run", np.arange(3), np.full(3, 0.5))]
    series = dict.fromkeys(("loss", "loss_low", "accuracy", "loss_smooth_30"), points)
    for curve in figures.CURVES:
        arguments = {"ghosts": ghosts, "series": series}
        if curve.name == "loss":
            arguments |= {"smooth": "30", "scale": scale}
        figure = curve.figure(config, **arguments)
        check(figure)
        assert set_colors(figure) == []
        assert "0.1 at step 899" in figure["layout"]["meta"]["alt"]
        marks = figure["data"][-1]["x"]
        assert marks == list(range(0, 900, theory.steps_per_epoch(config)))


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("name", PRESETS)
def test_the_lines_stand_at_what_the_theory_says(name: str, scale: str) -> None:
    config = PRESETS[name]
    figure = figures.loss_figure(config, scale=scale)
    found, least, window = lines(figure), theory.floor(config), theory.without_carried_state(config)
    assert found[f"chance: {theory.chance(config):.3f}"] == theory.chance(config)
    if window is not None:
        assert found.pop(f"without the carried state: {window:.3f}") == window
    for label, value in found.items():
        assert float(label.rpartition(": ")[2]) == pytest.approx(value, abs=0.006)
    if config.task == "text":
        assert sorted(found.values()) == sorted([theory.chance(config), *theory.text_lines("")])
    elif least > 0 or scale == "linear":
        assert least in found.values()
    else:
        assert len(found) == 1 and "below any log scale" in figure["layout"]["annotations"][0]["text"]
    assert all(value > 0 or scale == "linear" for value in found.values())


def test_where_the_window_teaches_nothing_its_line_is_chance() -> None:
    found = lines(figures.loss_figure(GatesConfig(task="echo", echo_step=40)))
    assert found == {
        "chance, without the carried state too: 0.693": theory.chance(GatesConfig(task="echo")),
        "lower bound: 0": 0,
    }


def test_only_coins_keep_a_network_from_being_always_right() -> None:
    for task in TASKS:
        assert bool(lines(figures.accuracy_figure(GatesConfig(task=task)))) == (task != "binary_rule")
