"""The LSTM language model: words in, the probabilities of the next word out.

Zaremba, Sutskever & Vinyals, "Recurrent neural network regularization" (2014), section 3. Its parameters, all with a seed
axis of one in front (lib.word_model reads the same tree without it):

    embedding                    [V, E]     a vector for each word of the vocabulary
    layers / layer_0, layer_1 …  input_weights [I, 4H], recurrent_weights [H, 4H], bias [4H] (see lib.cells)
    output                       weights [V, H] and bias [V]; tied to the embedding, the bias alone, and where H is not E
                                 a projection [H, E] of what the last layer says (Melis, Dyer & Blunsom 2018)

Shapes here: T steps, B rows, V words, E numbers of an embedding, I inputs, H units of a layer.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lib.cells import LSTMState, unroll
from lib.tf import tf


class Dropout(NamedTuple):
    """What is left out while training.

    `between` is the probability for each number that goes from the embedding to a layer, from layer to layer and to the
    output; `locked`, the same ones at all steps of a window (Gal & Ghahramani 2016). `recurrent` is the probability for each
    recurrent weight (Merity, Keskar & Socher 2017). `key` int32 [2] are the random numbers of this window.
    """

    between: float
    locked: bool
    recurrent: float
    key: tf.Tensor


def initial_word_network(
    rng: np.random.Generator, words: int, embedding: int, units: Sequence[int], *, tied: bool, scale: float, keep: float
) -> Any:
    """Parameters that training starts from, uniform in ±`scale`: `units` of each layer, `keep` the forget gates' bias."""

    def uniform(*shape: int) -> np.ndarray:
        return rng.uniform(-scale, scale, (1, *shape)).astype(np.float32)

    layers = {}
    for i, (inputs, width) in enumerate(zip([embedding, *units], units, strict=False)):
        bias = np.zeros((1, 4 * width), np.float32)
        bias[:, width : 2 * width] = keep
        layers[f"layer_{i}"] = {
            "input_weights": uniform(inputs, 4 * width),
            "recurrent_weights": uniform(width, 4 * width),
            "bias": bias,
        }
    output = {"bias": np.zeros((1, words), np.float32)}
    if not tied:
        output["weights"] = uniform(words, units[-1])
    elif units[-1] != embedding:
        output["projection"] = uniform(units[-1], embedding)
    return {"embedding": uniform(words, embedding), "layers": layers, "output": output}


def read(
    params: Any, states: Sequence[LSTMState], words: tf.Tensor, dropout: Dropout | None = None
) -> tuple[list[LSTMState], tf.Tensor]:
    """The layers over a window of words [T, B]: (each layer's state after it [1, B, H], the last one's outputs [T, B, H])."""
    outputs = tf.gather(params["embedding"][0], words)
    after = []
    for i, state in enumerate(states):
        layer = dict(params["layers"][f"layer_{i}"])
        if dropout is not None:
            outputs = _dropped(outputs, dropout.between, dropout, place=i, over_steps=dropout.locked)
            layer["recurrent_weights"] = _dropped(
                layer["recurrent_weights"], dropout.recurrent, dropout, place=100 + i, over_steps=False
            )
        state, series = unroll("lstm", layer, state, outputs[:, None])
        outputs = series[:, 0]
        after.append(state)
    if dropout is not None:
        outputs = _dropped(outputs, dropout.between, dropout, place=len(states), over_steps=dropout.locked)
    return after, outputs


def nats_of(params: Any, outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """-log p of each target word [T, B], in nats, from the last layer's outputs [T, B, H]."""
    weights = params["output"].get("weights", params["embedding"])[0]
    flat = tf.reshape(outputs, [-1, outputs.shape[-1]])
    if "projection" in params["output"]:
        flat = tf.matmul(flat, params["output"]["projection"][0])
    nats = _softmax_nats(flat, weights, params["output"]["bias"][0], tf.reshape(targets, [-1]))
    return tf.reshape(nats, targets.shape)


@tf.custom_gradient
def _softmax_nats(outputs: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor) -> Any:
    """-log softmax(outputs weightsᵀ + bias)[target]: [N, H], [V, H], [V] and int32 [N] to [N].

    Most of a language model's time passes here. The derivative by the logits is the probabilities, less one at the target:
    the exponentials are kept for the way back and never divided, and the ones are put in where they stand.
    """
    logits = tf.matmul(outputs, weights, transpose_b=True) + bias
    highest = tf.reduce_max(logits, axis=-1, keepdims=True)
    raised = tf.exp(logits - highest)
    total = tf.reduce_sum(raised, axis=-1, keepdims=True)
    target_weights = tf.gather(weights, targets)
    of_target = tf.reduce_sum(outputs * target_weights, axis=-1) + tf.gather(bias, targets)
    nats = (tf.math.log(total) + highest)[:, 0] - of_target

    def gradient(d_nats: tf.Tensor) -> Any:
        d, places = d_nats[:, None], targets[:, None]
        scale = d / total
        d_outputs = scale * tf.matmul(raised, weights) - d * target_weights
        d_weights = tf.matmul(raised, scale * outputs, transpose_a=True)
        d_bias = tf.matmul(raised, scale, transpose_a=True)[:, 0]
        d_weights = tf.tensor_scatter_nd_sub(d_weights, places, d * outputs)
        return d_outputs, d_weights, tf.tensor_scatter_nd_sub(d_bias, places, d_nats), None

    return nats, gradient


def _dropped(values: tf.Tensor, probability: float, dropout: Dropout, *, place: int, over_steps: bool) -> tf.Tensor:
    """The values with some at 0 and the others raised, so that the mean stays. `over_steps`: the same at every step."""
    if not probability:
        return values
    shape = [1, *values.shape[1:]] if over_steps else values.shape
    # XLA makes Philox's numbers, the default, a hundred times slower on a CPU.
    kept = tf.random.stateless_uniform(shape, dropout.key + tf.constant([0, place]), alg="threefry") >= probability
    return values * tf.cast(kept, tf.float32) / (1.0 - probability)
