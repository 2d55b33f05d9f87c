"""What the task measures, against NumPy, and the figures that the issue asks for."""

import math

import numpy as np
import pytest

from demos.binary_rule import inside, lessons, theory
from demos.binary_rule.config import ADAM, BIT_INPUTS, BinaryRuleConfig
from demos.binary_rule.data import strips
from demos.binary_rule.task import build
from demos.registry import get
from lib.lessons import parameter_count
from lib.linear_probe import recalled
from lib.networks import initial_network
from lib.settings import recorded
from lib.trace import trace
from lib.training import Engine
from tests.training import trained

SMALL = {"series_length": 2000, "batch_size": 20, "epochs": 2}
BINARY_RULE = get("binary-rule")


def read(weights: dict, bits: np.ndarray, reset_every: int) -> np.ndarray:
    """An independent tanh RNN in float64: the probability of a 1 after each of the bits [L]."""
    state, found = np.zeros(len(weights["output"]["weights"])), []
    for i, bit in enumerate(bits):
        if i % reset_every == 0:
            state = np.zeros_like(state)
        cell = weights["cell"]
        matrix = cell["input_weights"]
        driven = bit * matrix[0] if len(matrix) == 1 else (1 - bit) * matrix[0] + bit * matrix[1]
        state = np.tanh(driven + state @ cell["recurrent_weights"] + cell["bias"])
        zero, one = state @ weights["output"]["weights"] + weights["output"]["bias"]
        found.append(1 / (1 + np.exp(zero - one)))
    return np.array(found)


def first_seed(engine: Engine, carry) -> dict:
    return {
        part: {name: leaf[0].astype(np.float64) for name, leaf in leaves.items()}
        for part, leaves in carry.params.items()
    }


@pytest.mark.parametrize(("carried", "bit_input"), [(True, "one-hot"), (False, "scalar")])
def test_the_strips_are_read_as_in_training(carried: bool, bit_input: str) -> None:
    config = BinaryRuleConfig(**SMALL, carry_state=carried, bit_input=bit_input, time_step=4, seeds=2)
    engine = build(config)
    carry, _ = engine.run(engine.initial(), 20)
    said = engine.observe(carry)["strip_probabilities"]
    bits = strips(config.lags, 4, config.seed).inputs
    for row in (0, 3):
        expected = read(first_seed(engine, carry), bits[row], 10**9 if carried else 4)
        np.testing.assert_allclose(said[:, row], expected, atol=1e-5)


@pytest.mark.parametrize("bit_input", BIT_INPUTS)
def test_accuracy_and_beliefs_equal_numpy(bit_input: str) -> None:
    config = BinaryRuleConfig(**SMALL, bit_input=bit_input, carry_state=False)
    engine = build(config)
    carry, _ = engine.run(engine.initial(), 30)
    block, weights = engine.task.block(0), first_seed(engine, carry)
    _, metrics = engine.run(carry, 1)
    inputs, targets, contexts = (block[name][30, :, 0].T for name in ("inputs", "targets", "contexts"))  # [B, T]
    ones = np.stack([read(weights, row, 5) for row in inputs])
    assert metrics["accuracy"][0, 0] == pytest.approx(((ones > 0.5) == targets).mean())
    right = np.where(targets == 1, ones, 1 - ones)
    assert metrics["loss"][0, 0] == pytest.approx(-np.log(right).mean(), abs=1e-5)
    for context, name in enumerate(("00", "01", "10", "11")):
        assert metrics[f"belief_{name}"][0, 0] == pytest.approx(ones[contexts == context].mean(), abs=1e-5)


def test_in_the_tutorials_setting_seeds_0_to_9_end_near_the_bound_but_at_most_one() -> None:
    engine = build(BinaryRuleConfig(seeds=10))
    carry, metrics = engine.run(engine.initial(), 400)
    assert carry.step == engine.steps == len(metrics["loss"]) == 400
    loss, accuracy = (metrics[name][-100:].mean(axis=0) for name in ("loss", "accuracy"))
    assert (np.abs(loss - math.log(2) / 2) < 0.01).sum() >= 9, loss
    assert (np.abs(accuracy - 0.75) < 0.01).sum() >= 9, accuracy


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bit_input", BIT_INPUTS)
def test_how_it_works_counts_the_weights_that_run(bit_input: str, cell: str) -> None:
    config = BinaryRuleConfig(**SMALL, bit_input=bit_input, cell=cell)
    weights = build(config).initial().params
    count = sum(leaf[0].size for part in weights.values() for leaf in part.values())
    assert parameter_count(cell, config.hidden_units, config.inputs) == count
    told = lessons.equations(config)
    assert f"{count:,} weights" in told and f"$x_t$ is [20 × {config.inputs}]" in told


def test_a_bit_read_one_hot_or_as_a_number_is_the_same_bit() -> None:
    """A number that is 0 or 1 times a row of weights is what a row of zeros and that row give a bit one-hot."""
    one_hot, scalar = (initial_network("rnn", inputs, 6, 2, "glorot", seed=3) for inputs in (2, 1))
    one_hot["cell"]["input_weights"][0] = 0
    scalar["cell"]["input_weights"] = one_hot["cell"]["input_weights"][1:]
    scalar["cell"]["recurrent_weights"] = one_hot["cell"]["recurrent_weights"]
    states = []
    for network, bit_input in ((one_hot, "one-hot"), (scalar, "scalar")):
        found = inside.held_out(BinaryRuleConfig(bit_input=bit_input))
        states.append(trace("rnn", network, found.inputs)["h"])
    np.testing.assert_allclose(*states, atol=1e-6)
    assert recalled("rnn", one_hot, 3) == recalled("rnn", scalar, 3)


def test_runs_from_before_a_bit_could_be_read_one_hot_still_open() -> None:
    values = ADAM.model_dump()
    del values["bit_input"]
    assert recorded(BinaryRuleConfig, values) == ADAM and ADAM.bit_input == "scalar"


def test_a_large_gated_network_compiles() -> None:
    """TensorFlow's memory optimizer once put operations into this graph that XLA refuses."""
    engine = build(BinaryRuleConfig(cell="gru", hidden_units=16, time_step=12, seeds=2))
    _, metrics = engine.run(engine.initial(), 2)
    assert np.isfinite(metrics["loss"]).all()


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({}, "learned"),
        ({"carry_state": False}, "carry"),
        ({"cell": "lstm"}, "longer"),
        ({"first_lag": 10, "second_lag": 11, "seed": 1}, "window"),
        ({"second_lag": 5}, "carried"),
        ({"second_lag": 5, "carry_state": False}, "one-bit"),
        ({"hidden_units": 2}, "units"),
        ({"optimizer": "momentum", "learning_rate": 10.0}, "overshoots"),
        ({"learning_rate": 1e-5}, "slow"),
    ],
)
def test_the_coach_sees_what_happens(change: dict, advice: str) -> None:
    config = BinaryRuleConfig(**change)
    found = lessons.advise(config, config.steps, trained(BINARY_RULE, config))
    assert found is not None and found.id == advice
    BinaryRuleConfig(**(config.model_dump() | found.change))


def test_the_coach_takes_no_sampling_error_for_traces_in_the_state() -> None:
    few = BinaryRuleConfig(batch_size=10, time_step=1)  # 100 steps have 1,000 targets
    found = lessons.advise(few, 1_000, {"loss": {"mean_last_100": 0.675}})
    assert found is not None and found.id == "window"
    many = BinaryRuleConfig(time_step=1)
    found = lessons.advise(many, 1_000, {"loss": {"mean_last_100": 0.675}})
    assert found is not None and found.id == "carried"


def test_a_loss_below_the_bound_is_explained() -> None:
    config = BinaryRuleConfig()
    below, above = (lessons.advise(config, 400, {"loss": {"mean_last_100": loss}}) for loss in (0.3456, 0.3476))
    assert below is not None and above is not None
    assert "by 0.00098" in below.text and "standard deviation" not in above.text


def test_the_coach_claims_no_rule_where_no_row_holds_both_bits() -> None:
    config = BinaryRuleConfig(series_length=1_000, batch_size=200, first_lag=5, second_lag=6, epochs=200)
    found = lessons.advise(config, config.steps, {"loss": {"mean_last_100": 0.6935}})
    assert found is not None and found.id == "row" and "found the rule" not in found.text
    longer = BinaryRuleConfig(**(config.model_dump() | found.change))
    assert theory.best(longer).loss < 0.5


def test_a_game_tells_the_rule_and_what_it_is_worth() -> None:
    config = BinaryRuleConfig()
    rounds = lessons.rounds(config, None, 0)
    assert all(r.probability is None for r in rounds)
    for i, r in enumerate(rounds[2:], start=2):
        equal = rounds[i - 1].bit == rounds[i - 2].bit
        assert r.certainty == (1.0 if equal else 0.5)
        if equal:
            assert r.target == 1 - rounds[i - 1].bit
    assert rounds != lessons.rounds(config, None, 1)
    assert rounds == lessons.rounds(config, None, lessons.GAME.games)
