"""An LSTM that reads a few steps from a state of zeros, one network: the steps written out, for wide layers and few rows.

Where a layer has a million weights and a window three steps of one row, nearly all of the time of a training step is the way
of the weights through memory. So products of few rows are done row by row, which XLA does without a copy of the weights, and
gradients of weights are sums of outer products, which it fuses into the optimizer's update (python -m benchmarks story).

Shapes: T steps, B rows, I inputs, H units. No seed axis.
"""

from typing import Any

from lib.cells import Params, lstm_backward, lstm_step
from lib.tf import tf

FEW_ROWS = 8


def read(params: Params, inputs: tf.Tensor) -> tf.Tensor:
    """The hidden states after each step: `inputs` [T, B, I] to [T, B, H]. Equals `lib.cells.unroll` from a state of zeros.

    `params` are `input_weights` [I, 4H], `recurrent_weights` [H, 4H] and `bias` [4H].
    """
    steps, rows, size = inputs.shape
    driven = product(tf.reshape(inputs, [-1, size]), params["input_weights"]) + params["bias"]
    return through_time(tf.reshape(driven, [steps, rows, -1]), params["recurrent_weights"])


@tf.custom_gradient
def product(rows: tf.Tensor, weights: tf.Tensor) -> Any:
    """`rows @ weights`: [N, I] by [I, O] to [N, O]."""

    def gradient(d_outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return _by_row(d_outputs, weights, transpose_b=True), _outer(rows, d_outputs)

    return _by_row(rows, weights), gradient


def _by_row(rows: tf.Tensor, weights: tf.Tensor, *, transpose_b: bool = False) -> tf.Tensor:
    if rows.shape[0] > FEW_ROWS:
        return tf.matmul(rows, weights, transpose_b=transpose_b)
    each = [tf.matmul(rows[n : n + 1], weights, transpose_b=transpose_b) for n in range(rows.shape[0])]
    return tf.concat(each, axis=0)


def _outer(inputs: tf.Tensor, d_outputs: tf.Tensor) -> tf.Tensor:
    """The gradient of weights, over all rows: [N, I] and [N, O] to [I, O]."""
    if inputs.shape[0] > FEW_ROWS:
        return tf.matmul(inputs, d_outputs, transpose_a=True)
    return tf.add_n([inputs[n][:, None] * d_outputs[n][None] for n in range(inputs.shape[0])])


@tf.custom_gradient
def through_time(driven: tf.Tensor, recurrent: tf.Tensor) -> Any:
    """`driven` (x W + b) [T, B, 4H] and U [H, 4H] to the hidden states [T, B, H], from a state of zeros; and back."""
    state, states, gates = None, [], []  # a state of zeros: the first step need not read U
    for each in tf.unstack(driven):
        state, now = lstm_step(each, recurrent, state)
        states.append(state)
        gates.append(now)
    nothing = [tf.zeros_like(part) for part in states[0]]

    def gradient(d_hidden: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        d_driven: list[tf.Tensor] = []
        d_state: Any = nothing
        for step in reversed(range(len(states))):
            before = states[step - 1] if step else nothing
            d_after = (d_state[0] + d_hidden[step], d_state[1])
            each, d_state = lstm_backward(recurrent, before, states[step], gates[step], d_after)
            d_driven.insert(0, each)
        if len(states) == 1:  # U was not used
            return tf.stack(d_driven), tf.zeros_like(recurrent)
        hidden = tf.concat([hidden for hidden, _ in states[:-1]], axis=0)
        return tf.stack(d_driven), _outer(hidden, tf.concat(d_driven[1:], axis=0))

    return tf.stack([hidden for hidden, _ in states]), gradient
