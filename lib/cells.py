"""Recurrent cells as pure functions, and their unrolling over a window.

Shapes, here and in all of `lib`: T steps, S seeds, B rows, I inputs, H units. Time comes first, `[T, S, B, ...]`, and the
seed axis S, which trains S independent networks at once, may be left out: a step works on `[S, B, I]` and on `[B, I]`.

A cell's parameters are a dict: `input_weights` [S, I, G*H], `recurrent_weights` [S, H, G*H] and `bias` [S, G*H], with G
blocks of H columns, one for each gate, in the order that Keras uses.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lib.tf import tf

Params = Mapping[str, Any]

# Up to this many weights a product written as multiply and sum, which XLA fuses into the step's one kernel, is faster
# than a matmul call (python -m benchmarks width measures where the two cross).
NARROW = 32 * 32
FEW = 2**16  # and only up to this many products: with thousands of rows, matmul wins again
# Up to so many steps times columns of weights a window is written out (python -m benchmarks unroll).
MOST_WRITTEN_OUT = 300


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
    if len(inputs.shape) == 4:  # all steps in one product
        return tf.einsum("tsbi,sio->tsbo", inputs, weights)
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


# The same steps for a loop: `driven` is x W + b, `recurrent` is U. Forwards they return the gates beside the state;
# backwards they take the state before and after the step, the gates and the gradient of the state after, and return the
# gradients of `driven` and of the state before.

Tensors = Sequence[tf.Tensor]


def _rnn_forward(driven: tf.Tensor, recurrent: tf.Tensor, state: Tensors) -> tuple[Tensors, Tensors]:
    return (tf.tanh(driven + linear(state[0], recurrent)),), ()


def _rnn_backward(
    recurrent: tf.Tensor, before: Tensors, after: Tensors, gates: Tensors, d_after: Tensors
) -> tuple[tf.Tensor, Tensors]:
    d_driven = d_after[0] * (1.0 - after[0] ** 2)
    return d_driven, (_back(d_driven, recurrent),)


def _lstm_forward(driven: tf.Tensor, recurrent: tf.Tensor, state: Tensors) -> tuple[Tensors, Tensors]:
    h, c = state
    i, f, g, o = tf.split(driven + linear(h, recurrent), 4, axis=-1)
    i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
    c = f * c + i * g
    return (o * tf.tanh(c), c), (i, f, g, o)


def _lstm_backward(
    recurrent: tf.Tensor, before: Tensors, after: Tensors, gates: Tensors, d_after: Tensors
) -> tuple[tf.Tensor, Tensors]:
    (i, f, g, o), (d_h, d_c) = gates, d_after
    squashed = tf.tanh(after[1])
    d_c = d_c + d_h * o * (1.0 - squashed**2)
    d_gates = (
        d_c * g * i * (1.0 - i),
        d_c * before[1] * f * (1.0 - f),
        d_c * i * (1.0 - g**2),
        d_h * squashed * o * (1.0 - o),
    )
    d_driven = tf.concat(d_gates, axis=-1)
    return d_driven, (_back(d_driven, recurrent), d_c * f)


def _gru_forward(driven: tf.Tensor, recurrent: tf.Tensor, state: Tensors) -> tuple[Tensors, Tensors]:
    (h,) = state
    gates, candidate = _gru_blocks(recurrent)
    driven_gates, driven_candidate = _gru_blocks(driven)
    z, r = tf.split(tf.sigmoid(driven_gates + linear(h, gates)), 2, axis=-1)
    n = tf.tanh(driven_candidate + linear(r * h, candidate))
    return (z * h + (1.0 - z) * n,), (z, r, n)


def _gru_backward(
    recurrent: tf.Tensor, before: Tensors, after: Tensors, gates: Tensors, d_after: Tensors
) -> tuple[tf.Tensor, Tensors]:
    (z, r, n), h, d_h = gates, before[0], d_after[0]
    of_gates, of_candidate = _gru_blocks(recurrent)
    d_n = d_h * (1.0 - z) * (1.0 - n**2)
    d_reset = _back(d_n, of_candidate)  # of r * h
    d_gates = tf.concat([d_h * (h - n) * z * (1.0 - z), d_reset * h * r * (1.0 - r)], axis=-1)
    return tf.concat([d_gates, d_n], axis=-1), (d_h * z + d_reset * r + _back(d_gates, of_gates),)


def _gru_recurrent_gradient(h_before: tf.Tensor, gates: Tensors, d_driven: tf.Tensor) -> tf.Tensor:
    d_gates, d_candidate = _gru_blocks(d_driven)
    parts = (_outer(h_before, d_gates), _outer(gates[1] * h_before, d_candidate))
    return tf.concat(parts, axis=-1)


def _gru_blocks(array: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The columns of z and r, and those of n."""
    units = array.shape[-1] // 3
    return array[..., : 2 * units], array[..., 2 * units :]


def _back(d_outputs: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The gradient of a linear layer's inputs."""
    return tf.matmul(d_outputs, weights, transpose_b=True)


def _outer(inputs: tf.Tensor, d_outputs: tf.Tensor) -> tf.Tensor:
    """The gradient of a linear layer's weights, over all steps and rows: [T, S, B, I] and [T, S, B, O] to [S, I, O]."""
    return tf.einsum("tsbi,tsbo->sio", inputs, d_outputs)


class Cell(NamedTuple):
    """A kind of recurrent cell: its `step`, its `State` and how many `gates` (blocks of columns) its weights have.

    The rest is the same step for a loop over a window (`unroll_in_a_loop`), forwards and backwards.
    """

    step: Callable[[Params, Any, tf.Tensor], tuple[Any, tf.Tensor]]
    State: Any
    gates: int
    kept_gates: int  # how many the loop keeps for the way back
    forward: Callable[..., tuple[Tensors, Tensors]]
    backward: Callable[..., tuple[tf.Tensor, Tensors]]
    recurrent_gradient: Callable[[tf.Tensor, Tensors, tf.Tensor], tf.Tensor] = lambda h, _, d_driven: _outer(
        h, d_driven
    )


CELLS: dict[str, Cell] = {
    "rnn": Cell(rnn_step, HiddenState, 1, 0, _rnn_forward, _rnn_backward),
    "lstm": Cell(lstm_step, LSTMState, 4, 4, _lstm_forward, _lstm_backward),
    "gru": Cell(gru_step, HiddenState, 3, 3, _gru_forward, _gru_backward, _gru_recurrent_gradient),
}


def zero_state(name: str, shape: tuple[int, ...]) -> Any:
    """A state of zeros; `shape` is [S, B, H]."""
    State = CELLS[name].State
    return State(*(np.zeros(shape, np.float32) for _ in State._fields))


def unroll(name: str, params: Params, state: Any, inputs: tf.Tensor) -> tuple[Any, tf.Tensor]:
    """Run a cell over a window: `inputs` [T, S, B, I] to (state after the window, outputs [T, S, B, H]).

    A few narrow steps are written out one after the other, and XLA fuses across them. More are looped over, forwards and
    backwards: that compiles ten times faster, and wide gated cells run up to ten times faster too (python -m benchmarks
    unroll). T must be known and at least 1.
    """
    if inputs.shape[0] * params["bias"].shape[-1] <= MOST_WRITTEN_OUT:
        return unroll_written_out(name, params, state, inputs)
    return unroll_in_a_loop(name, params, state, inputs)


def unroll_written_out(name: str, params: Params, state: Any, inputs: tf.Tensor) -> tuple[Any, tf.Tensor]:
    """`unroll`, step after step in the graph."""
    step = CELLS[name].step
    outputs = []
    for step_inputs in tf.unstack(inputs):
        state, output = step(params, state, step_inputs)
        outputs.append(output)
    return state, tf.stack(outputs)


def unroll_in_a_loop(name: str, params: Params, state: Any, inputs: tf.Tensor) -> tuple[Any, tf.Tensor]:
    """`unroll`, as a loop that holds only what depends on the step before; the inputs' share is computed at once."""
    driven = linear(inputs, params["input_weights"]) + params["bias"][:, None, :]
    states = _recurrence(name)(driven, params["recurrent_weights"], *state)
    return type(state)(*(series[-1] for series in states)), states[0]


# Backpropagation through time


def _recurrence(name: str) -> Callable[..., tuple[tf.Tensor, ...]]:
    """A cell's loop over a window, differentiable: (driven [T, S, B, G*H], U [S, H, G*H], first state) to the states
    [T, S, B, H] after each step.

    Forwards it keeps the gates; backwards it goes from the last step to the first (Werbos 1990). The gradient of U is one
    product over all steps and rows, after the loop.
    """
    cell = CELLS[name]
    kept = len(cell.State._fields)

    @tf.custom_gradient
    def run(driven: tf.Tensor, recurrent: tf.Tensor, *first: tf.Tensor) -> Any:
        steps = driven.shape[0]
        given = _rows(driven)

        def forwards(step: tf.Tensor, state: Any, series: Any) -> Any:
            state, gates = cell.forward(given.read(step), recurrent, state)
            return step + 1, state, [rows.write(step, row) for rows, row in zip(series, (*state, *gates), strict=True)]

        empty = [_rows(None, steps) for _ in range(kept + cell.kept_gates)]
        *_, found = tf.while_loop(lambda step, *_: step < steps, forwards, (0, tuple(first), empty))
        series = [_stacked(rows, [steps, *first[0].shape]) for rows in found]
        states, gates = series[:kept], series[kept:]
        before = [tf.concat([start[None], after[:-1]], 0) for start, after in zip(first, states, strict=True)]

        def gradient(*d_states: tf.Tensor) -> Any:
            rows = [_rows(array) for array in (*d_states, *before, *states, *gates)]

            def backwards(step: tf.Tensor, d_state: Any, d_driven: Any) -> Any:
                now = [row.read(step) for row in rows]
                here, now = now[:kept], now[kept:]
                d_after = [carried + own for carried, own in zip(d_state, here, strict=True)]
                d_row, d_before = cell.backward(recurrent, now[:kept], now[kept : 2 * kept], now[2 * kept :], d_after)
                return step - 1, tuple(d_before), d_driven.write(step, d_row)

            nothing = tuple(tf.zeros_like(start) for start in first)
            start = (steps - 1, nothing, _rows(None, steps))
            _, d_first, found = tf.while_loop(lambda step, *_: step >= 0, backwards, start)
            d_driven = _stacked(found, driven.shape)
            return d_driven, cell.recurrent_gradient(before[0], gates, d_driven), *d_first

        return tuple(states), gradient

    return run


def _rows(array: tf.Tensor | None, steps: int | None = None) -> tf.TensorArray:
    if array is None:
        return tf.TensorArray(tf.float32, size=steps)
    return tf.TensorArray(tf.float32, size=array.shape[0]).unstack(array)


def _stacked(rows: tf.TensorArray, shape: Sequence[int]) -> tf.Tensor:
    return tf.ensure_shape(rows.stack(), shape)
