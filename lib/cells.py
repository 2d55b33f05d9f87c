"""Recurrent cells as pure functions, and their unrolling over a window.

Shapes, here and in all of `lib`: T steps, S seeds, B rows, I inputs, H units. Time comes first, `[T, S, B, ...]`, and the
seed axis S, which trains S independent networks at once, may be left out: a step works on `[S, B, I]` and on `[B, I]`.

A cell's parameters are a dict: `input_weights` [S, I, G*H], `recurrent_weights` [S, H, G*H] and `bias` [S, G*H], with G
blocks of H columns, one for each gate, in the order that Keras uses.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lib.tf import tf

Params = Mapping[str, Any]

# Up to this many weights a product written as multiply and sum, which XLA fuses into the step's one kernel, is faster
# than a matmul call (python -m benchmarks width measures where the two cross).
NARROW = 32 * 32
FEW = 2**16  # and only up to this many products: with thousands of rows, matmul wins again


class HiddenState(NamedTuple):
    """The state of a tanh RNN and of a GRU: `hidden_state` [S, B, H]."""

    hidden_state: Any


class LSTMState(NamedTuple):
    """The state of an LSTM: `hidden_state` and `cell_state`, both [S, B, H]."""

    hidden_state: Any
    cell_state: Any


def linear(inputs: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """`inputs @ weights`, [..., B, I] by [..., I, O] to [..., B, O], written the way that is fast at this width."""
    size = weights.shape[-2] * weights.shape[-1]
    if size <= NARROW and size * inputs.shape[-2] <= FEW:
        return tf.reduce_sum(inputs[..., :, None] * weights[..., None, :, :], axis=-2)
    return tf.matmul(inputs, weights)


def _affine(params: Params, inputs: tf.Tensor, hidden_state: tf.Tensor) -> tf.Tensor:
    """x W + h U + b, [S, B, O]."""
    return (
        linear(inputs, params["input_weights"])
        + linear(hidden_state, params["recurrent_weights"])
        + params["bias"][..., None, :]
    )


def rnn_step(params: Params, state: HiddenState, inputs: tf.Tensor) -> tuple[HiddenState, tf.Tensor]:
    """One step of the tanh RNN: h = tanh(x W + h U + b). Elman, "Finding structure in time" (1990).

    `inputs` [S, B, I]; returns the new state and the output, which is the hidden state [S, B, H].
    """
    hidden_state = tf.tanh(_affine(params, inputs, state.hidden_state))
    return HiddenState(hidden_state), hidden_state


def lstm_step(params: Params, state: LSTMState, inputs: tf.Tensor) -> tuple[LSTMState, tf.Tensor]:
    """One step of the LSTM with a forget gate. Gers, Schmidhuber & Cummins (2000), section 2.

    i, f, o = sigmoid(x W + h U + b), g = tanh(x W + h U + b), each with its own columns (order i, f, g, o);
    c = f * c + i * g; h = o * tanh(c). `inputs` [S, B, I]; returns the new state and the output h [S, B, H].
    """
    i, f, g, o = tf.split(_affine(params, inputs, state.hidden_state), 4, axis=-1)
    cell_state = tf.sigmoid(f) * state.cell_state + tf.sigmoid(i) * tf.tanh(g)
    hidden_state = tf.sigmoid(o) * tf.tanh(cell_state)
    return LSTMState(hidden_state, cell_state), hidden_state


def gru_step(params: Params, state: HiddenState, inputs: tf.Tensor) -> tuple[HiddenState, tf.Tensor]:
    """One step of the GRU. Cho et al., "Learning phrase representations" (2014), section 2.3.

    z, r = sigmoid(x W + h U + b); n = tanh(x W + (r * h) U + b) (columns in the order z, r, n); h = z * h + (1 - z) * n.
    `inputs` [S, B, I]; returns the new state and the output h [S, B, H].
    """
    h = state.hidden_state
    units = h.shape[-1]
    gates = {name: value[..., : 2 * units] for name, value in params.items()}
    candidate = {name: value[..., 2 * units :] for name, value in params.items()}
    z, r = tf.split(tf.sigmoid(_affine(gates, inputs, h)), 2, axis=-1)
    n = tf.tanh(_affine(candidate, inputs, r * h))
    hidden_state = z * h + (1.0 - z) * n
    return HiddenState(hidden_state), hidden_state


class Cell(NamedTuple):
    """A kind of recurrent cell: its `step`, its `State` and how many `gates` (blocks of columns) its weights have."""

    step: Callable[[Params, Any, tf.Tensor], tuple[Any, tf.Tensor]]
    State: Any
    gates: int


CELLS: dict[str, Cell] = {
    "rnn": Cell(rnn_step, HiddenState, 1),
    "lstm": Cell(lstm_step, LSTMState, 4),
    "gru": Cell(gru_step, HiddenState, 3),
}


def zero_state(name: str, shape: tuple[int, ...]) -> Any:
    """A state of zeros; `shape` is [S, B, H]."""
    State = CELLS[name].State
    return State(*(np.zeros(shape, np.float32) for _ in State._fields))


def unroll(name: str, params: Params, state: Any, inputs: tf.Tensor) -> tuple[Any, tf.Tensor]:
    """Run a cell over a window: `inputs` [T, S, B, I] to (state after the window, outputs [T, S, B, H]).

    The steps are written out one after the other, not looped over: XLA then fuses across steps. T must be known and
    at least 1.
    """
    step = CELLS[name].step
    outputs = []
    for step_inputs in tf.unstack(inputs):
        state, output = step(params, state, step_inputs)
        outputs.append(output)
    return state, tf.stack(outputs)
