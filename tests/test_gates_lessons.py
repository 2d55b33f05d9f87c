"""What the coach of the gates demo says in each situation, and how it works. tests/test_lessons.py trains the experiments."""

import math

import pytest

from demos.gates import data, lessons, theory
from demos.gates.config import TASKS, GatesConfig
from lib.cells import CELLS
from lib.settings import differences, replace

EARLY, LATE = 150, 1_000


def told(config: GatesConfig, step: int, loss: float):
    return lessons.advise(config, step, {"loss": {"mean_last_100": loss}})


@pytest.mark.parametrize(
    ("change", "step", "loss", "advice", "offered"),
    [
        ({}, EARLY, 5.0, "overshoots", {"learning_rate": 0.001}),
        ({"task": "echo"}, LATE, 1.0, "overshoots", {"learning_rate": 0.001}),
        ({"task": "echo", "echo_step": 40}, EARLY, 0.69, "window", {"truncated_backprop_length": 45}),
        ({"task": "echo", "echo_step": 50, "truncated_backprop_length": 2}, LATE, 0.69, "window", None),
        (
            {"task": "binary_rule", "first_lag": 4, "second_lag": 6, "truncated_backprop_length": 3},
            LATE,
            0.69,
            "window",
            {"truncated_backprop_length": 11},
        ),
        ({}, EARLY, 0.01, "learned-recall", {"marks": "joined"}),
        ({"marks": "joined"}, EARLY, 0.01, "learned-recall", None),
        ({"task": "remember"}, EARLY, 0.01, "learned-remember", {"delay": 60, "keep_bias": 5.0}),
        ({"task": "echo", "echo_step": 6, "truncated_backprop_length": 5}, LATE, 0.03, "learned-echo", None),  # carried
        ({"task": "brackets"}, LATE, 0.01, "learned-brackets", None),
        ({"task": "text", "hidden_units": 64}, LATE, 2.2, "learned-text", {"hidden_units": 128}),
        ({"task": "echo"}, LATE, 0.01, "learned-echo", None),
        ({"task": "binary_rule"}, LATE, 0.35, "learned-binary_rule", None),
        ({"cell": "rnn"}, LATE, 1.38, "gates", {"cell": "lstm", "keep_bias": 3.0}),
        (
            {"cell": "rnn", "keep_bias": 0.0},
            LATE,
            1.38,
            "gates",
            {"cell": "lstm", "keep_bias": 3.0},
        ),  # which has no gate to start
        ({"keep_bias": 0.0}, LATE, 1.38, "keep", {"keep_bias": 3.0}),
        ({"cell": "gru", "keep_bias": 2.5}, LATE, 1.38, "keep", {"keep_bias": 3.0}),
        ({"keep_bias": 3.0}, LATE, 1.38, "luck", {"seeds": 8}),
        ({"task": "text", "hidden_units": 64}, LATE, 2.6, "more-units", {"hidden_units": 128}),
        ({"task": "text", "hidden_units": 200}, LATE, 2.6, "more-units", {"hidden_units": 256}),
        ({}, LATE, 0.7, "longer", {"training_steps": 3_000}),
        ({"task": "brackets", "training_steps": 4_900}, LATE, 0.3, "longer", {"training_steps": 9_800}),
    ],
)
def test_the_coach_sees_what_happens(change: dict, step: int, loss: float, advice: str, offered: dict | None) -> None:
    config = GatesConfig(**change)
    found = told(config, step, loss)
    assert found is not None and found.id == advice
    assert offered is None or found.change == offered
    assert differences(config, replace(config, **found.change)), "it must change something"


@pytest.mark.parametrize(
    ("change", "step", "loss"),
    [
        ({}, 99, 1.38),
        ({}, lessons.STEPS_OF_PATIENCE - 1, 1.38),
        ({}, lessons.STEPS_OF_PATIENCE - 1, 0.7),
        ({"training_steps": 5_000}, LATE, 0.7),
    ],
)
def test_the_coach_is_silent_when_there_is_nothing_to_say_yet(change: dict, step: int, loss: float) -> None:
    assert told(GatesConfig(**change), step, loss) is None


@pytest.mark.parametrize("metrics", [{}, {"loss": {}}, {"loss": {"mean_last_100": None}}])
def test_the_coach_is_silent_without_a_loss(metrics: dict) -> None:
    assert lessons.advise(GatesConfig(), LATE, metrics) is None


@pytest.mark.parametrize("task", TASKS)
def test_what_counts_as_learned_begins_where_the_theory_says(task: str) -> None:
    config = GatesConfig(task=task)
    limit = theory.learned_below(config)
    below, above = told(config, LATE, limit - 1e-6), told(config, LATE, limit + 1e-6)
    assert below is not None and below.id == f"learned-{task}" and below.tone == "success"
    assert above is None or above.id != below.id


def test_following_the_window_advice_lets_the_window_teach_it() -> None:
    for lag in (10, 17, 50):
        config = GatesConfig(task="echo", echo_step=lag, truncated_backprop_length=10)
        found = told(config, LATE, 0.69)
        assert found is not None and theory.taught(replace(config, **found.change))


@pytest.mark.parametrize(
    ("bias", "delay", "left"), [(0.0, 1, "3%"), (2.5, 1, "67%"), (2.5, 100, "10^4"), (-2.0, 26, "10^28")]
)
def test_the_coach_tells_how_much_of_a_memory_is_left(bias: float, delay: int, left: str) -> None:
    found = told(GatesConfig(task="remember", keep_bias=bias, delay=delay), LATE, 1.38)
    assert found is not None and left in found.text
    exact = (1 / (1 + math.exp(-bias))) ** (4 + delay)
    shown = float(left[:-1]) / 100 if left.endswith("%") else 10.0 ** -int(left.removeprefix("10^"))
    assert shown == pytest.approx(exact, rel=1.2)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", TASKS)
def test_how_it_works_has_the_shapes_that_run(task: str, cell: str) -> None:
    config = GatesConfig(task=task, cell=cell, hidden_units=11, batch_size=13)
    spoken = data.language(config)
    text = lessons.equations(config)
    assert f"$x_t$ is [13 × {spoken.inputs}]" in text and f"$V$ is [11 × {len(spoken.answers)}]" in text
    assert ("softmax" in text) != spoken.independent and ("if it is marked" in text) == (spoken.encoding is not None)
    assert f"Back through the {config.window} steps" in text
    for source in lessons.sources(config):
        assert f"def {source.name.split('.')[-1]}(" in source.text()


def test_experiments_are_told_apart_by_their_address_and_are_not_alike() -> None:
    assert len({experiment.slug for experiment in lessons.EXPERIMENTS}) == len(lessons.EXPERIMENTS) >= 6
    assert len({experiment.outcome.label for experiment in lessons.EXPERIMENTS}) >= 6
    assert all(experiment.claims for experiment in lessons.EXPERIMENTS)
