"""Every experiment is trained, and what its text claims must come true; the coach is asked at each of its cases."""

import numpy as np
import pytest

from demos.echo import lessons, theory
from demos.echo.config import EchoConfig
from demos.echo.task import build
from demos.registry import get
from lib.cells import CELLS
from lib.lessons import Source, parameter_count
from tests.training import trained

ECHO = get("echo")


@pytest.mark.parametrize(
    ("change", "steps", "advice"),
    [
        ({}, 3000, "learned"),
        ({"echo_step": 16}, 200, "window"),
        ({"optimizer": "momentum", "learning_rate": 3.0, "epochs": 3}, None, "overshoots"),
        ({"learning_rate": 0.001, "epochs": 3}, None, "slow"),
        ({"echo_step": 5, "state_size": 10, "epochs": 3}, None, "start"),
        ({"echo_step": 5, "epochs": 8}, None, "units"),
    ],
)
def test_the_coach_sees_what_happens(change: dict, steps: int | None, advice: str) -> None:
    config = EchoConfig(**change)
    found = lessons.advise(config, steps or config.steps, trained(ECHO, config, steps))
    assert found is not None and found.id == advice
    EchoConfig(**(config.model_dump() | found.change))  # what it offers is a valid setting


def test_the_cure_for_too_few_units_cures() -> None:
    config = EchoConfig(echo_step=5, epochs=8)
    found = lessons.advise(config, config.steps, trained(ECHO, config))
    assert found is not None
    assert trained(ECHO, EchoConfig(**(config.model_dump() | found.change)))["loss"]["mean_last_100"] < lessons.LEARNED


def test_the_coach_is_silent_at_the_start() -> None:
    assert lessons.advise(EchoConfig(), 50, {"loss": {"mean_last_100": 0.7}}) is None
    assert lessons.advise(EchoConfig(), 5000, {}) is None


@pytest.mark.parametrize("loss", [0.0001, 0.3, 0.69, 5.0])
@pytest.mark.parametrize(
    "change",
    [
        {"echo_step": 50, "truncated_backprop_length": 50},
        {"echo_step": 49},
        {"cell": "gru", "initial_weights": "glorot"},
        {"echo_step": 50, "truncated_backprop_length": 1},
        {"echo_step": 3, "truncated_backprop_length": 3, "trained": "readout"},
    ],
)
def test_every_offer_is_a_valid_config(loss: float, change: dict) -> None:
    config = EchoConfig(**change)
    found = lessons.advise(config, config.steps, {"loss": {"mean_last_100": loss}})
    if found:
        offered = EchoConfig(**(config.model_dump() | found.change))
        if found.id == "window":
            assert theory.taught(offered) and offered.trained == "everything"


@pytest.mark.parametrize("cell", CELLS)
def test_how_it_works_counts_and_quotes_what_runs(cell: str) -> None:
    config = EchoConfig(cell=cell, state_size=7)
    weights = build(config).initial().params
    count = sum(leaf[0].size for part in weights.values() for leaf in part.values())
    assert parameter_count(config.cell, config.state_size) == count
    assert f"{count:,} weights" in lessons.equations(config)
    for source in lessons.sources(config):
        assert f"def {source.name.split('.')[-1]}(" in source.text()


def test_how_it_works_explains_a_stride_where_there_is_one() -> None:
    text = lessons.equations(EchoConfig(stride=5))
    assert "last 5 of 15 steps" in text and "with h = 15 and h' = 5" in text and r"\frac{1}{5 \cdot 5}" in text
    assert "stride" not in lessons.equations(EchoConfig()) + lessons.equations(EchoConfig(stride=15))


def test_a_source_that_is_not_there_is_an_error() -> None:
    with pytest.raises(LookupError, match="no_such"):
        Source("x", "lib/cells.py", "no_such").text()


def test_the_floor_is_reached() -> None:
    """The bound is tight: a trained network's epoch comes within a few thousandths of it."""
    config = EchoConfig(initial_weights="glorot", state_size=8, epochs=40)
    engine = build(config)
    carry, losses = engine.initial(), []
    while carry.step < engine.steps:
        carry, metrics = engine.run(carry, engine.steps)
        losses.append(metrics["loss"])
    last_epoch = np.concatenate(losses)[-engine.steps_per_epoch :].mean()
    assert theory.epoch_floor(config) < last_epoch < theory.epoch_floor(config) + 0.003
