"""No run of any setting ends below its lower bound by more than sampling error: networks that are large, small, hardly trained,
trained long, with every optimizer, reservoirs, and windows that teach nothing.

In the demos of random bits all data are fresh, so training losses are compared. Where a text is read more than once, memorising
beats its entropy: see tests/test_ptb_grammar.py and tests/test_from_scratch_theory.py.
"""

import math

import pytest

from demos.binary_rule import theory as rule_theory
from demos.binary_rule.config import ADAM, BinaryRuleConfig
from demos.echo import theory as echo_theory
from demos.echo.config import EchoConfig
from demos.gates import theory as gates_theory
from demos.gates.config import GatesConfig
from demos.registry import get
from lib.settings import replace
from tests.training import results

PAST = {"truncated_backprop_length": 3, "initial_weights": "glorot", "optimizer": "adam", "epochs": 2}
ECHOES = {
    "past the window, small": {**PAST, "learning_rate": 0.01},
    "past the window, large": {**PAST, "learning_rate": 0.0003, "state_size": 64, "seeds": 2},
    "past the window, a reservoir": {**PAST, "learning_rate": 0.01, "state_size": 64, "seeds": 4, "trained": "readout"},
    "long": {"epochs": 60, "state_size": 8, "initial_weights": "glorot", "seeds": 2},
    "short rows": {"series_length": 1_000, "batch_size": 20, "echo_step": 5, "truncated_backprop_length": 5, "epochs": 300,
                   "state_size": 8, "initial_weights": "glorot", "seeds": 4},
    "an echo from before the row": {"series_length": 200, "batch_size": 10, "echo_step": 30, "truncated_backprop_length": 10,
                                    "epochs": 300, "optimizer": "rmsprop", "learning_rate": 0.01, "seeds": 4},
    "one row": {"batch_size": 1, "series_length": 5_000, "epochs": 20, "optimizer": "momentum", "learning_rate": 0.05},
    "gates": {"cell": "gru", "truncated_backprop_length": 4, "echo_step": 6, "state_size": 32, "initial_weights": "glorot",
              "optimizer": "adam", "learning_rate": 0.003, "epochs": 2},
    "overlapping windows": {"series_length": 300, "batch_size": 10, "echo_step": 12, "truncated_backprop_length": 10, "stride": 2,
                            "epochs": 300, "state_size": 16, "initial_weights": "glorot", "seeds": 4},
    "worse than guessing": {"optimizer": "sgd", "learning_rate": 10.0, "epochs": 2, "seeds": 4},
}  # fmt: skip
RULES = {
    "the tutorial, longer": {**BinaryRuleConfig().model_dump(), "epochs": 2, "seeds": 4},
    "the rule": {"epochs": 6, "seeds": 2},
    "past the window, large": {"first_lag": 5, "second_lag": 6, "hidden_units": 64, "batch_size": 200,
                               "learning_rate": 0.0005, "epochs": 2, "seeds": 2},
    "a reservoir": {"first_lag": 3, "second_lag": 4, "time_step": 3, "hidden_units": 64, "batch_size": 500, "epochs": 2,
                    "seeds": 2, "trained": "readout"},
    "reset": {"carry_state": False, "second_lag": 3, "hidden_units": 8, "epochs": 5, "seeds": 2},
    "one bit twice": {"second_lag": 1, "epochs": 3, "optimizer": "rmsprop"},
    "short rows": {"series_length": 20_000, "batch_size": 2_000, "epochs": 200, "hidden_units": 12, "seeds": 2},
}  # fmt: skip


GATES = {
    "echo past the window, a reservoir": {"task": "echo", "echo_step": 4, "truncated_backprop_length": 4},
    "rule past the window, a reservoir": {"task": "binary_rule", "first_lag": 3, "second_lag": 4,
                                          "truncated_backprop_length": 3},
}  # fmt: skip


@pytest.mark.parametrize("settings", ECHOES.values(), ids=ECHOES)
def test_no_echo_ends_below_its_bound(settings: dict) -> None:
    config = EchoConfig(**settings)
    found, rows, used = results(get("echo"), config), config.batch_size, echo_theory.used_positions(config)
    # Only what lies before a row is a coin (its cost is spread by at most 0.35 nats), everything else is certain.
    coins, scored = rows * max(0, min(config.echo_step, used) - config.overlap), used - config.overlap
    spread = 0.35 * math.sqrt(coins) / (rows * scored)
    assert found.last("epoch_loss") > echo_theory.epoch_floor(config) - 5 * spread
    windows = min(100, config.steps)
    epochs = max(1.0, windows / config.windows_per_epoch)
    last = 0.35 * math.sqrt(coins * epochs) / (rows * windows * config.advance)
    assert found.finals.min() >= echo_theory.floor(config) - 5 * last


@pytest.mark.parametrize("settings", RULES.values(), ids=RULES)
def test_no_rule_ends_below_its_bound(settings: dict) -> None:
    config = replace(ADAM, **settings)
    found = results(get("binary-rule"), config)
    places = config.batch_size * config.time_step
    # Whether a coin decides is itself a coin, between 0 and ln 2 nats.
    spread = [0.35 / math.sqrt(places * steps) for steps in (config.windows_per_epoch, min(100, config.steps))]
    assert found.last("epoch_loss") > rule_theory.epoch_floor(config) - 5 * spread[0]
    assert found.finals.min() > rule_theory.floor(config) - 5 * spread[1]


@pytest.mark.parametrize("settings", GATES.values(), ids=GATES)
def test_no_network_of_the_gates_ends_below_its_bound(settings: dict) -> None:
    config = GatesConfig(
        **settings, cell="rnn", hidden_units=64, trained="readout", seeds=2, training_steps=1_500, batch_size=64
    )
    finals = results(get("gates"), config).finals
    spread = 0.35 / math.sqrt(100 * config.batch_size * config.window)
    assert finals.min() > gates_theory.floor(config) - 5 * spread
    taught_alone = gates_theory.without_carried_state(config)
    assert taught_alone is not None and finals.max() < taught_alone - 0.1, "which is no bound"


def test_what_a_window_teaches_is_no_bound() -> None:
    """The line that was once called a floor: networks end far below it."""
    config = EchoConfig(**ECHOES["past the window, a reservoir"])
    assert results(get("echo"), config).finals.max() < 0.1 < 0.69 < echo_theory.without_carried_state(config)
