"""Plans of sweeps: axes as texts, what is refused and why, results, and the estimate."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demos.binary_rule import theory as rule_theory
from demos.binary_rule.config import BinaryRuleConfig
from demos.echo import theory
from demos.echo.config import EchoConfig
from demos.registry import DEMOS, Demo
from lib.settings import SettingError
from lib.sweep import (
    MOST_CELLS,
    Axis,
    Plan,
    Result,
    SweepError,
    estimate,
    in_words,
    parse_axis,
    plan,
    rows_of,
)


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("echo_step", "1:5", (1, 2, 3, 4, 5)),
        ("echo_step", "1:12:4", (1, 5, 9)),
        ("echo_step", "3", (3,)),
        ("state_size", "2, 4,8 ,16", (2, 4, 8, 16)),
        ("state_size", "1:3, 8, 2", (1, 2, 3, 8)),
        ("learning_rate", "0.001:1", (0.001, 0.01, 0.1, 1.0)),
        ("learning_rate", "0.01:0.3:3", (0.01, 0.03, 0.09, 0.27)),
        ("clip_norm", "0:0.3", (0.0, 0.1, 0.2, 0.3)),
        ("optimizer", "adam, Adagrad", ("adam", "adagrad")),
    ],
)
def test_an_axis_is_read_from_its_text(name: str, text: str, values: tuple) -> None:
    axis = parse_axis(EchoConfig, name, text)
    assert axis == Axis(name, values)
    assert parse_axis(EchoConfig, name, axis.text()) == axis


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("echo_step", "0:5", ["echo_step = 0", "below 1"]),
        ("echo_step", "1:99", ["echo_step = 51", "above 50"]),
        ("echo_step", "5:1", ["not a range upwards", "low:high"]),
        ("echo_step", "1:5:0", ["not a range upwards"]),
        ("echo_step", "1:x", ["not a range"]),
        ("echo_step", "1:2:3:4", ["not a range"]),
        ("echo_step", "", ["echo_step", "whole number"]),
        ("echo_step", "1,,2", ["echo_step"]),
        ("clip_norm", "0:10:0.0001", ["more than"]),
        ("optimizer", "adam:adagrad", ["not a list", "adagrad"]),
        ("optimizer", "lion", ["lion", "not one of the options"]),
        ("echo_stop", "1", ["echo_stop", "did you mean echo_step?"]),
        ("seeds", "1:3", ["seeds cannot be an axis"]),
    ],
)
def test_a_bad_axis_is_one_line_with_the_remedy(name: str, text: str, words: list[str]) -> None:
    with pytest.raises((SettingError, SweepError)) as caught:
        parse_axis(EchoConfig, name, text)
    assert len(str(caught.value).splitlines()) == 1
    for word in words:
        assert word in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_an_axis_or_a_setting_error(text: str) -> None:
    for name in ("echo_step", "learning_rate", "optimizer"):
        with contextlib.suppress(SettingError):
            assert parse_axis(EchoConfig, name, text).values


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ([], "one or two axes, not 0"),
        ([("echo_step", "1")] * 3, "one or two axes, not 3"),
        ([("echo_step", "1"), ("echo_step", "2")], "Both axes are echo_step"),
        ([("echo_step", "1:50"), ("state_size", "1:9")], f"450 cells: choose fewer values, for at most {MOST_CELLS}"),
        ([("series_length", "100"), ("batch_size", "5, 64")], "The cell with series_length 100, batch_size 64"),
    ],
)
def test_a_bad_plan_is_refused(axes: list, words: str) -> None:
    with pytest.raises(SweepError, match=words):
        plan(EchoConfig(), axes)


def test_the_cells_are_all_combinations_row_by_row() -> None:
    made = plan(EchoConfig(epochs=3), [("echo_step", "1:3"), ("state_size", "2, 4")])
    assert (made.columns, made.rows) == (3, 2)
    assert [(c.echo_step, c.state_size) for c in made.cells] == [(1, 2), (2, 2), (3, 2), (1, 4), (2, 4), (3, 4)]
    assert all(c.epochs == 3 for c in made.cells)
    assert made.changes(4) == {"echo_step": 2, "state_size": 4}
    single = plan(EchoConfig(), [("echo_step", "1:3")])
    assert (single.columns, single.rows, single.changes(2)) == (3, 1, {"echo_step": 3})


def test_the_median_counts_a_diverged_seed_as_the_worst() -> None:
    assert Result("finished", (0.1, 0.3, None)).median == 0.3
    assert Result("finished", (0.1, None, None)).median is None
    assert Result("finished", (0.1, 0.2)).median == pytest.approx(0.15)
    assert Result("waiting", ()).median is None
    assert Result("finished", (0.1, 0.2, None)).learned(0.1) == 1


def test_learned_is_near_the_bound_whatever_the_window() -> None:
    for echo_step in (3, 20):
        assert theory.learned_below(EchoConfig(echo_step=echo_step)) == pytest.approx(0.0693, abs=1e-4)
    one_bit = BinaryRuleConfig(second_lag=5)
    alone = rule_theory.without_carried_state(one_bit).loss
    assert rule_theory.learned_below(one_bit) < alone, "half of the rule is not the rule"
    assert rule_theory.learned_below(BinaryRuleConfig()) == pytest.approx(0.3812, abs=1e-4)


def test_a_run_that_diverged_has_learned_nothing() -> None:
    result = Result("diverged", (0.01, 0.02))
    assert result.median is None and result.learned(0.1) == 0


def test_the_rows_say_what_is_known_of_every_cell() -> None:
    made = plan(EchoConfig(), [("echo_step", "3, 20")])
    first, second = rows_of(made, {0: Result("finished", (0.001, 0.7))}, theory)
    assert first["echo_step"] == 3 and first["median_final_loss"] == pytest.approx(0.3505)
    assert (first["seeds_learned"], first["seeds"], first["expected"], first["taught"]) == (1, 2, True, True)
    assert (second["state"], second["median_final_loss"], second["expected"], second["taught"]) == (
        "waiting", None, False, False,
    )  # fmt: skip


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.slug)
def test_what_a_demo_offers_can_be_swept(demo: Demo) -> None:
    assert any(title.startswith("Learning rate × ") for title in demo.sweeps)
    for axes in demo.sweeps.values():
        made = plan(demo.sweep_base, axes)
        assert 4 <= len(made.cells) <= 100
        assert 5 < estimate(made) < 600
    base: object = demo.sweep_base
    assert getattr(base, "seeds", 2) > 1  # of a demo that trains several at once


def test_times_in_words() -> None:
    assert in_words(1) == "about 5 seconds"
    assert in_words(58) == "about 60 seconds"
    assert in_words(200) == "about 3 minutes"
    assert in_words(9000) == "about 2.5 hours"


def test_a_plan_survives_its_record() -> None:
    made = plan(EchoConfig(epochs=3), [("optimizer", "adam, adagrad"), ("learning_rate", "0.01, 0.1")])
    axes = [[axis.name, list(axis.values)] for axis in made.axes]
    assert Plan(EchoConfig(**made.base.model_dump()), tuple(Axis(n, tuple(v)) for n, v in axes)) == made
