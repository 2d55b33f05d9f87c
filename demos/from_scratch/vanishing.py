"""How much of a gradient reaches each earlier step, for four cells that read the same sentence, untrained.

Bengio, Simard & Frasconi, "Learning long-term dependencies with gradient descent is difficult" (1994); Pascanu, Mikolov &
Bengio, "On the difficulty of training recurrent neural networks" (2013), section 2. All in NumPy, float64; three of the
cells are those of lib.trace, which the other demos look into. Untrained, an LSTM with peepholes reaches as far as one without,
within a twentieth (100 units, scale 1, biases of 0, 1 and 3), so its line would hide the other.
"""

from typing import Any

import numpy as np

from lib.trace import BLOCKS, gradient_reach, trace

CELLS = {"tanh": "tanh", "relu": "ReLU", "gru": "GRU", "lstm": "LSTM"}
_TRACED = {"tanh": "rnn", "gru": "gru", "lstm": "lstm"}


def network(cell: str, inputs: int, units: int, scale: float, keep_bias: float, seed: int) -> Any:
    """Weights drawn evenly from ±scale/√n, n being the numbers that come in, as `lib.trace` takes them.

    `keep_bias` is the bias of the LSTM's forget gate and of the GRU's update gate: those that keep the state.
    """
    random = np.random.default_rng(seed)  # the same numbers for all cells, as far as they have them
    blocks = BLOCKS[_TRACED.get(cell, "rnn")]

    def draw(incoming: int) -> np.ndarray:
        bound = scale / np.sqrt(incoming)
        return random.uniform(-bound, bound, (len(blocks), incoming, units)).transpose(1, 0, 2).reshape(incoming, -1)

    bias = np.repeat([keep_bias if block in ("f", "z") else 0.0 for block in blocks], units)
    weights = {"input_weights": draw(inputs), "recurrent_weights": draw(units), "bias": bias}
    return {"cell": weights, "output": {"weights": np.eye(units), "bias": np.zeros(units)}}


def relu_states(weights: Any, inputs: np.ndarray) -> np.ndarray:
    """h_t = max(0, x_t W + h_{t-1} U + b) of the inputs [T, I]: [T, H]."""
    driven = inputs @ weights["input_weights"] + weights["bias"]
    states = np.zeros((len(inputs) + 1, driven.shape[-1]))  # the last row stays zero: it is h_{-1}
    for t, drive in enumerate(driven):
        states[t] = np.maximum(0, drive + states[t - 1] @ weights["recurrent_weights"])
    return states[:-1]


def reach(cell: str, params: Any, inputs: np.ndarray, d_last: np.ndarray) -> np.ndarray:
    """The norm of dL/dh_t for every t [T], for a loss at the last step whose gradient there is `d_last` [H].

    Of an LSTM it is the norm for h_t and c_t together: both are handed on.
    """
    if cell == "relu":
        return _relu_reach(params["cell"], relu_states(params["cell"], inputs), d_last)
    traced = trace(_TRACED[cell], params, inputs[:, None])
    norms = gradient_reach(_TRACED[cell], params, traced, d_last[None])
    return np.sqrt(sum(norm[:, 0] ** 2 for norm in norms.values()))


def _relu_reach(weights: Any, states: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    norms = np.zeros(len(states))
    for t in reversed(range(len(states))):
        norms[t] = np.linalg.norm(gradient)
        gradient = (gradient * (states[t] > 0)) @ weights["recurrent_weights"].T
    return norms


def relative_reach(cell: str, steps: int, units: int, scale: float, keep_bias: float, seed: int) -> np.ndarray:
    """How much of the gradient at the last step reaches the step so many before it: [steps], 1 at first.

    The inputs are random numbers, as many as there are units, evenly from ±1, and so is the gradient at the end.
    """
    random = np.random.default_rng([seed, 1])
    inputs, d_last = random.uniform(-1, 1, (steps, units)), random.uniform(-1, 1, units)
    norms = reach(cell, network(cell, units, units, scale, keep_bias, seed), inputs, d_last)[::-1]
    return norms / norms[0]
