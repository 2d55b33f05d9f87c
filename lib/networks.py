"""A recurrent network with a linear output: one cell, unrolled over a window, and logits at every step.

Its parameters are `cell` (see lib.cells) and `output`: `weights` [S, H, O] and `bias` [S, O].
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lib.cells import CELLS, linear, unroll
from lib.initializers import WEIGHTS
from lib.scopes import part
from lib.tf import tf

NO_EPOCH = 2**32  # the stream of random numbers for weights: no epoch's data come from it


def initial_network(cell: str, inputs: int, units: int, outputs: int, weights: str, seed: int) -> Any:
    """The parameters that one seed starts from, without a seed axis. `weights` names one of lib.initializers.WEIGHTS.

    Peepholes are drawn in the way of the other weights, as in TensorFlow 2's tf.keras.experimental.PeepholeLSTMCell, and
    last: the rest is what the LSTM of this seed has.
    """
    rng = np.random.default_rng([seed, NO_EPOCH])
    draw, width = WEIGHTS[weights], CELLS[cell].gates * units
    network = {
        "cell": {
            "input_weights": draw(rng, (inputs, width)),
            "recurrent_weights": draw(rng, (units, width)),
            "bias": np.zeros(width, np.float32),
        },
        "output": {"weights": draw(rng, (units, outputs)), "bias": np.zeros(outputs, np.float32)},
    }
    if "peephole_weights" in CELLS[cell].weights:
        network["cell"]["peephole_weights"] = np.stack([draw(rng, (units,)) for _ in range(3)])
    return network


def stacked(networks: Iterable[Any]) -> Any:
    """Networks of one shape as one, with the seed axis first."""
    return tf.nest.map_structure(lambda *leaves: np.stack(leaves), *networks)


def logits_of(
    cell: str, params: Any, state: Any, inputs: tf.Tensor, trained: str = "everything"
) -> tuple[Any, tf.Tensor, tf.Tensor]:
    """A window of inputs [T, S, B, I]: (state after it, hidden states [T, S, B, H], logits [T, S, B, O]).

    Where only the "readout" is `trained`, no gradient reaches the cell: an echo-state network (Jaeger 2001, section 2).
    """
    weights = params["cell"]
    if trained == "readout":
        weights = tf.nest.map_structure(tf.stop_gradient, weights)
    with part("cell"):
        state, hidden_states = unroll(cell, weights, state, inputs)
    with part("output"):
        logits = linear(hidden_states, params["output"]["weights"]) + params["output"]["bias"][:, None, :]
    return state, hidden_states, logits
