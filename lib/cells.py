"""Recurrent cells as pure functions, and their unrolling over a window.

Shapes, here and in all of `lib`: T steps, S seeds, B rows, I inputs, H units. Time comes first, `[T, S, B, ...]`, and the
seed axis S, which trains S independent networks at once, may be left out: a step works on `[S, B, ...]` and on `[B, ...]`.

There is one step for each cell, and everything that trains runs it: `unroll`, in both of its ways, and lib.short_lstm.

A cell's parameters are a dict: `input_weights` [S, I, G*H], `recurrent_weights` [S, H, G*H] and `bias` [S, G*H], with G
blocks of H columns, one for each gate, in the order that Keras uses. A cell with peepholes also has `peephole_weights`
[S, 3, H], a row each for i, f and o.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lib import ways
from lib.scopes import part
from lib.tf import tf

Params = Mapping[str, Any]
Tensors = Sequence[tf.Tensor]

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
    if len(inputs.shape) == 4:  # all steps in one product
        return tf.einsum("tsbi,sio->tsbo", inputs, weights)
    return tf.matmul(inputs, weights)


def drive(params: Params, inputs: tf.Tensor) -> tf.Tensor:
    """x W + b, what the inputs [..., B, I] say to a cell: [..., B, G*H]. It depends on no state, so it can be had beforehand."""
    return linear(inputs, params["input_weights"]) + params["bias"][..., None, :]


# The steps. `driven` [S, B, G*H] is x W + b, `recurrent` [S, H, G*H] is U; a step returns the new state and its gates. What it
# reads its state by comes in between, in the order of `Cell.weights`.


def rnn_step(driven: tf.Tensor, recurrent: tf.Tensor, state: HiddenState) -> tuple[HiddenState, Tensors]:
    """One step of the tanh RNN: h = tanh(x W + h U + b). Elman, "Finding structure in time" (1990).

    `driven` is x W + b and `state` has h, both [S, B, H]; `recurrent` is U [S, H, H]. Returns the new state; there are no gates.
    """
    return HiddenState(tf.tanh(driven + linear(state.hidden_state, recurrent))), ()


def lstm_step(driven: tf.Tensor, recurrent: tf.Tensor, state: LSTMState | None) -> tuple[LSTMState, Tensors]:
    """One step of the LSTM with a forget gate. Gers, Schmidhuber & Cummins (2000), section 2.

    i, f, o = sigmoid(x W + h U + b), g = tanh(x W + h U + b), each with its own columns (order i, f, g, o);
    c = f * c + i * g; h = o * tanh(c). `driven` is x W + b [S, B, 4H], `recurrent` is U [S, H, 4H], `state` has h and c
    [S, B, H], and is None where they are zero: then U need not be read. Returns the new state and i, f, g, o.
    """
    total = driven if state is None else driven + linear(state.hidden_state, recurrent)
    i, f, g, o = tf.split(total, 4, axis=-1)
    i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
    c = i * g if state is None else f * state.cell_state + i * g
    return LSTMState(o * tf.tanh(c), c), (i, f, g, o)


def lstm_peephole_step(
    driven: tf.Tensor, recurrent: tf.Tensor, peepholes: tf.Tensor, state: LSTMState
) -> tuple[LSTMState, Tensors]:
    """One step of the LSTM with peepholes. Gers & Schmidhuber, "Recurrent nets that time and count" (2000).

    As `lstm_step`, but each unit's gates also see its own cell state: p_i * c is added inside the sigmoid of i and p_f * c in
    that of f, with the c before the step, and p_o * c in that of o, with the new c. `peepholes` has p_i, p_f and p_o
    [S, 3, H]: one weight for each unit and gate, a diagonal matrix. `driven` is x W + b [S, B, 4H], `recurrent` is U
    [S, H, 4H]. Returns the new state and i, f, g, o.
    """
    c, (p_i, p_f, p_o) = state.cell_state, _rows_of(peepholes)
    i, f, g, o = tf.split(driven + linear(state.hidden_state, recurrent), 4, axis=-1)
    i, f, g = tf.sigmoid(i + p_i * c), tf.sigmoid(f + p_f * c), tf.tanh(g)
    c = f * c + i * g
    o = tf.sigmoid(o + p_o * c)
    return LSTMState(o * tf.tanh(c), c), (i, f, g, o)


def lstm_coupled_step(driven: tf.Tensor, recurrent: tf.Tensor, state: LSTMState) -> tuple[LSTMState, Tensors]:
    """One step of the LSTM with coupled input and forget gates (CIFG). Greff et al., "LSTM: A search space odyssey" (2017).

    f, o = sigmoid(x W + h U + b), g = tanh(x W + h U + b) (columns in the order f, g, o); i = 1 - f, so c = f * c + (1 - f) * g;
    h = o * tanh(c). The paper computes i and has f = 1 - i: the same functions, with other signs.
    `driven` is x W + b [S, B, 3H], `recurrent` is U [S, H, 3H]. Returns the new state and f, g, o.
    """
    f, g, o = tf.split(driven + linear(state.hidden_state, recurrent), 3, axis=-1)
    f, g, o = tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
    c = f * state.cell_state + (1.0 - f) * g
    return LSTMState(o * tf.tanh(c), c), (f, g, o)


def _rows_of(peepholes: tf.Tensor) -> Tensors:
    """p_i, p_f and p_o, each [S, 1, H], the same for every row of the batch."""
    return tf.unstack(peepholes[..., None, :], axis=-3)


def gru_step(driven: tf.Tensor, recurrent: tf.Tensor, state: HiddenState) -> tuple[HiddenState, Tensors]:
    """One step of the GRU. Cho et al., "Learning phrase representations" (2014), section 2.3.

    z, r = sigmoid(x W + h U + b); n = tanh(x W + (r * h) U + b) (columns in the order z, r, n); h = z * h + (1 - z) * n.
    z keeps, as in that paper and in Keras; in Chung et al. (2014) it writes: h = (1 - z) * h + z * n.
    `driven` is x W + b [S, B, 3H], `recurrent` is U [S, H, 3H], `state` has h [S, B, H]. Returns the new state and z, r, n.
    """
    h = state.hidden_state
    of_gates, of_candidate = _gru_blocks(recurrent)
    driven_gates, driven_candidate = _gru_blocks(driven)
    z, r = tf.split(tf.sigmoid(driven_gates + linear(h, of_gates)), 2, axis=-1)
    n = tf.tanh(driven_candidate + linear(r * h, of_candidate))
    return HiddenState(z * h + (1.0 - z) * n), (z, r, n)


# The same steps on the way back: from the state before and after, the gates and dL/d(state after) to dL/d(x W + b) and
# dL/d(state before). Where a window is written out, TensorFlow finds these by itself.


def rnn_backward(
    recurrent: tf.Tensor, before: Tensors, after: Tensors, gates: Tensors, d_after: Tensors
) -> tuple[tf.Tensor, Tensors]:
    """`rnn_step` on the way back: d(x W + b) = dh * (1 - h²), and dh before the step is that times Uᵀ. All [S, B, H]."""
    d_driven = d_after[0] * (1.0 - after[0] ** 2)
    return d_driven, (_back(d_driven, recurrent),)


def lstm_backward(
    recurrent: tf.Tensor, before: Tensors, after: Tensors, gates: Tensors, d_after: Tensors
) -> tuple[tf.Tensor, Tensors]:
    """`lstm_step` on the way back, by the chain rule: dc gets what h asks of it, each gate what c or h asks of it, and the c
    before the step gets dc * f. All [S, B, H], d(x W + b) [S, B, 4H].
    """
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


def lstm_peephole_backward(
    recurrent: tf.Tensor, peepholes: tf.Tensor, before: Tensors, after: Tensors, gates: Tensors, d_after: Tensors
) -> tuple[tf.Tensor, Tensors]:
    """`lstm_peephole_step` on the way back. What is asked of o is asked of the new c too, through its peephole, and what is
    asked of i and f of the c before. All [S, B, H], d(x W + b) [S, B, 4H]. This is the whole gradient: Gers & Schmidhuber
    (2000) truncate theirs and send nothing back through peepholes.
    """
    (i, f, g, o), (d_h, d_c), (p_i, p_f, p_o) = gates, d_after, _rows_of(peepholes)
    squashed = tf.tanh(after[1])
    d_o = d_h * squashed * o * (1.0 - o)
    d_c = d_c + d_h * o * (1.0 - squashed**2) + d_o * p_o
    d_i, d_f = d_c * g * i * (1.0 - i), d_c * before[1] * f * (1.0 - f)
    d_driven = tf.concat((d_i, d_f, d_c * i * (1.0 - g**2), d_o), axis=-1)
    return d_driven, (_back(d_driven, recurrent), d_c * f + d_i * p_i + d_f * p_f)


def lstm_coupled_backward(
    recurrent: tf.Tensor, before: Tensors, after: Tensors, gates: Tensors, d_after: Tensors
) -> tuple[tf.Tensor, Tensors]:
    """`lstm_coupled_step` on the way back: f is asked for what it keeps less what it shuts out. All [S, B, H], d(x W + b)
    [S, B, 3H].
    """
    (f, g, o), (d_h, d_c) = gates, d_after
    squashed = tf.tanh(after[1])
    d_c = d_c + d_h * o * (1.0 - squashed**2)
    d_gates = d_c * (before[1] - g) * f * (1.0 - f), d_c * (1.0 - f) * (1.0 - g**2), d_h * squashed * o * (1.0 - o)
    d_driven = tf.concat(d_gates, axis=-1)
    return d_driven, (_back(d_driven, recurrent), d_c * f)


def gru_backward(
    recurrent: tf.Tensor, before: Tensors, after: Tensors, gates: Tensors, d_after: Tensors
) -> tuple[tf.Tensor, Tensors]:
    """`gru_step` on the way back, by the chain rule: the h before gets dh * z directly, and the rest through n, r and z. All
    [S, B, H], d(x W + b) [S, B, 3H].
    """
    (z, r, n), h, d_h = gates, before[0], d_after[0]
    of_gates, of_candidate = _gru_blocks(recurrent)
    d_n = d_h * (1.0 - z) * (1.0 - n**2)
    d_reset = _back(d_n, of_candidate)  # of r * h
    d_gates = tf.concat([d_h * (h - n) * z * (1.0 - z), d_reset * h * r * (1.0 - r)], axis=-1)
    return tf.concat([d_gates, d_n], axis=-1), (d_h * z + d_reset * r + _back(d_gates, of_gates),)


# And over a whole window [T, S, B, ...]: from the states before and after each step, the gates and dL/d(x W + b) to the
# gradients of `Cell.weights`.


def recurrent_gradient(before: Tensors, after: Tensors, gates: Tensors, d_driven: tf.Tensor) -> Tensors:
    """dL/dU [S, H, G*H] of a cell whose every gate reads h."""
    return (_outer(before[0], d_driven),)


def peephole_gradients(before: Tensors, after: Tensors, gates: Tensors, d_driven: tf.Tensor) -> Tensors:
    """dL/dU [S, H, 4H], and dL/dp [S, 3, H] of the peepholes: i and f read the c before a step, o the one after it."""
    d_i, d_f, _, d_o = tf.split(d_driven, 4, axis=-1)
    pairs = ((d_i, before[1]), (d_f, before[1]), (d_o, after[1]))
    d_peepholes = tf.stack([tf.reduce_sum(d_gate * c, axis=[0, 2]) for d_gate, c in pairs], axis=-2)
    return *recurrent_gradient(before, after, gates, d_driven), d_peepholes


def gru_recurrent_gradient(before: Tensors, after: Tensors, gates: Tensors, d_driven: tf.Tensor) -> Tensors:
    """dL/dU [S, H, 3H] of a GRU: z and r read h, the candidate n reads r * h."""
    d_gates, d_candidate = _gru_blocks(d_driven)
    parts = (_outer(before[0], d_gates), _outer(gates[1] * before[0], d_candidate))
    return (tf.concat(parts, axis=-1),)


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
    """A kind of recurrent cell: its `step`, its `State`, how many `gates` (blocks of columns) its weights have, and the names of
    the `weights` by which a step reads its state.

    The rest is for a loop over a window (`unroll_in_a_loop`), which goes back by hand.
    """

    step: Callable[..., tuple[Any, Tensors]]
    State: Any
    gates: int
    kept_gates: int  # how many the loop keeps for the way back
    backward: Callable[..., tuple[tf.Tensor, Tensors]]
    gradients: Callable[[Tensors, Tensors, Tensors, tf.Tensor], Tensors] = recurrent_gradient  # of the `weights`
    weights: tuple[str, ...] = ("recurrent_weights",)

    def read_by(self, params: Params) -> list[Any]:
        """The weights by which a step reads its state."""
        return [params[name] for name in self.weights]


CELLS: dict[str, Cell] = {
    "rnn": Cell(rnn_step, HiddenState, 1, 0, rnn_backward),
    "lstm": Cell(lstm_step, LSTMState, 4, 4, lstm_backward),
    "lstm_peephole": Cell(
        lstm_peephole_step, LSTMState, 4, 4, lstm_peephole_backward, peephole_gradients,
        ("recurrent_weights", "peephole_weights"),
    ),
    "lstm_coupled": Cell(lstm_coupled_step, LSTMState, 3, 3, lstm_coupled_backward),
    "gru": Cell(gru_step, HiddenState, 3, 3, gru_backward, gru_recurrent_gradient),
}  # fmt: skip


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
    way = unroll_written_out if ways.written_out(inputs.shape[0], params["bias"].shape[-1]) else unroll_in_a_loop
    return way(name, params, state, inputs)


def unroll_written_out(name: str, params: Params, state: Any, inputs: tf.Tensor) -> tuple[Any, tf.Tensor]:
    """`unroll`, step after step in the graph; TensorFlow finds the way back."""
    cell, outputs = CELLS[name], []
    for number, step_inputs in enumerate(tf.unstack(inputs)):
        with part(f"step_{number}"):
            state, _ = cell.step(drive(params, step_inputs), *cell.read_by(params), state)
        outputs.append(state.hidden_state)
    return state, tf.stack(outputs)


def unroll_in_a_loop(name: str, params: Params, state: Any, inputs: tf.Tensor) -> tuple[Any, tf.Tensor]:
    """`unroll`, as a loop that holds only what depends on the step before; the inputs' share is computed at once."""
    states = through_time(name)(drive(params, inputs), *CELLS[name].read_by(params), *state)
    return type(state)(*(series[-1] for series in states)), states[0]


# Backpropagation through time


def through_time(name: str) -> Callable[..., tuple[tf.Tensor, ...]]:
    """A cell's loop over a window, differentiable: (driven [T, S, B, G*H], its `weights`, first state) to the states
    [T, S, B, H] after each step.

    Forwards it keeps the gates; backwards it goes from the last step to the first (Werbos 1990). The gradient of U is one
    product over all steps and rows, after the loop.
    """
    cell = CELLS[name]
    kept, read = len(cell.State._fields), len(cell.weights)

    @tf.custom_gradient
    def run(driven: tf.Tensor, *weights_and_first: tf.Tensor) -> Any:
        weights, first = weights_and_first[:read], weights_and_first[read:]
        steps = driven.shape[0]
        given = _rows(driven)

        def forwards(step: tf.Tensor, state: Any, series: Any) -> Any:
            state, gates = cell.step(given.read(step), *weights, state)
            return step + 1, state, [rows.write(step, row) for rows, row in zip(series, (*state, *gates), strict=True)]

        empty = [_rows(None, steps) for _ in range(kept + cell.kept_gates)]
        *_, found = tf.while_loop(lambda step, *_: step < steps, forwards, (0, cell.State(*first), empty))
        series = [_stacked(rows, [steps, *first[0].shape]) for rows in found]
        states, gates = series[:kept], series[kept:]
        before = [tf.concat([start[None], after[:-1]], 0) for start, after in zip(first, states, strict=True)]

        def gradient(*d_states: tf.Tensor) -> Any:
            rows = [_rows(array) for array in (*d_states, *before, *states, *gates)]

            def backwards(step: tf.Tensor, d_state: Any, d_driven: Any) -> Any:
                now = [row.read(step) for row in rows]
                here, now = now[:kept], now[kept:]
                d_after = [carried + own for carried, own in zip(d_state, here, strict=True)]
                d_row, d_before = cell.backward(*weights, now[:kept], now[kept : 2 * kept], now[2 * kept :], d_after)
                return step - 1, tuple(d_before), d_driven.write(step, d_row)

            nothing = tuple(tf.zeros_like(start) for start in first)
            start = (steps - 1, nothing, _rows(None, steps))
            _, d_first, found = tf.while_loop(lambda step, *_: step >= 0, backwards, start)
            d_driven = _stacked(found, driven.shape)
            return d_driven, *cell.gradients(before, states, gates, d_driven), *d_first

        return tuple(states), gradient

    return run


def _rows(array: tf.Tensor | None, steps: int | None = None) -> tf.TensorArray:
    if array is None:
        return tf.TensorArray(tf.float32, size=steps)
    return tf.TensorArray(tf.float32, size=array.shape[0]).unstack(array)


def _stacked(rows: tf.TensorArray, shape: Sequence[int]) -> tf.Tensor:
    return tf.ensure_shape(rows.stack(), shape)
