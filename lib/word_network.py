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
from lib.scopes import part
from lib.tf import tf
from lib.ways import FREQUENT, sampled_words

MOST_NATS = 75.0  # as far as the sum of 100,000 exponentials is no infinity


class Dropout(NamedTuple):
    """What is left out while training.

    `between` is the probability for each number that goes from the embedding to a layer, from layer to layer and to the
    output; `locked`, the same ones at all steps of a window (Gal & Ghahramani 2016). `recurrent` is the probability for each
    recurrent weight (Merity, Keskar & Socher 2017). `share` float32 [] multiplies both: it may grow over a run (Morerio et al.,
    "Curriculum dropout", 2017). `key` int32 [2] are the random numbers of this window.
    """

    between: float
    locked: bool
    recurrent: float
    share: tf.Tensor
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
    look_up = _looked_up if "weights" in params["output"] else _looked_up_densely
    with part("embedding"):
        outputs = look_up(params["embedding"], words)
    after = []
    for i, state in enumerate(states):
        with part(f"layer_{i}"):
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


@tf.custom_gradient
def _looked_up(embedding: tf.Tensor, words: tf.Tensor) -> Any:
    """The rows [T, B, E] of [1, V, E]. The gradient, too, is of these rows only (see lib.optimizers): a window reads few."""

    def gradient(d_outputs: tf.Tensor) -> Any:
        rows = tf.reshape(d_outputs, [-1, d_outputs.shape[-1]])
        return tf.IndexedSlices(rows, tf.reshape(words, [-1]), tf.constant(embedding.shape.as_list()[1:])), None

    return tf.gather(embedding[0], words), gradient


def _looked_up_densely(embedding: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
    """The same where the output's gradient is of all rows anyway."""
    return tf.gather(embedding[0], words)


def nats_of(params: Any, outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """-log p of each target word [T, B], in nats, from the last layer's outputs [T, B, H]."""
    weights = params["output"].get("weights", params["embedding"])[0]
    with part("output"):
        flat = _projected(params, tf.reshape(outputs, [-1, outputs.shape[-1]]))
        nats = _softmax_nats(flat, weights, params["output"]["bias"][0], tf.reshape(targets, [-1]))
        return tf.reshape(nats, targets.shape)


def _projected(params: Any, outputs: tf.Tensor) -> tf.Tensor:
    projection = params["output"].get("projection")
    return outputs if projection is None else tf.matmul(outputs, projection[0])


@tf.custom_gradient
def _softmax_nats(outputs: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor) -> Any:
    """-log softmax(outputs weightsᵀ + bias)[target]: [N, H], [V, H], [V] and int32 [N] to [N]. A word that is less likely than
    another by over 75 nats counts as if by 75.

    Most of a language model's time passes here. The logits are taken relative to the target's, so that no pass over them looks
    for the highest. The derivative by them is the probabilities, less one at the target: the exponentials are kept for the way
    back and never divided, and the ones are put in where they stand.
    """
    target_weights = tf.gather(weights, targets)
    of_target = tf.reduce_sum(outputs * target_weights, axis=-1) + tf.gather(bias, targets)
    logits = tf.matmul(outputs, weights, transpose_b=True) + (bias - of_target[:, None])
    raised = tf.exp(tf.minimum(logits, MOST_NATS))
    total = tf.reduce_sum(raised, axis=-1, keepdims=True)
    nats = tf.math.log(total)[:, 0]

    def gradient(d_nats: tf.Tensor) -> Any:
        d, places = d_nats[:, None], targets[:, None]
        scale = d / total
        d_outputs = scale * tf.matmul(raised, weights) - d * target_weights
        d_weights = tf.matmul(raised, scale * outputs, transpose_a=True)
        d_bias = tf.matmul(raised, scale, transpose_a=True)[:, 0]
        d_weights = tf.tensor_scatter_nd_sub(d_weights, places, d * outputs)
        return d_outputs, d_weights, tf.tensor_scatter_nd_sub(d_bias, places, d_nats), None

    return nats, gradient


def sampled_nats_of(
    params: Any, outputs: tf.Tensor, targets: tf.Tensor, every: int, first: tf.Tensor, frequent: int = FREQUENT
) -> tf.Tensor:
    """`nats_of`, nearly, for less work: of the rare words only one in `every` is compared with, from the `first` (modulo
    `every`) on, and counts `every` times.

    Rare are those beyond the `frequent` first; words stand in the order of their frequency. The sum of all exponentials is
    right on average over `first`, and each target's own is always in it. Bengio & Senécal, "Adaptive importance sampling to
    accelerate training of a neural probabilistic language model" (2008), draw the words at random.
    """
    weights, bias = params["output"].get("weights", params["embedding"])[0], params["output"]["bias"][0]
    count = sampled_words(weights.shape[0], every, frequent)
    if not count:
        return nats_of(params, outputs, targets)
    with part("output"):
        flat = _projected(params, tf.reshape(outputs, [-1, outputs.shape[-1]]))
        sample = _Sample(count, every, first % every)
        return tf.reshape(_sampled_nats(flat, weights, bias, tf.reshape(targets, [-1]), sample), targets.shape)


class _Sample(NamedTuple):
    """The first words of a vocabulary, and of the last `taken * every` words one in `every`, beginning at `first`."""

    taken: int
    every: int
    first: tf.Tensor

    def of(self, rows: tf.Tensor) -> tf.Tensor:
        """What is sampled of an array [V, …]."""
        frequent = rows.shape[0] - self.taken * self.every
        rare = tf.reshape(rows[frequent:], [self.taken, self.every, *rows.shape[1:]])
        return tf.concat([rows[:frequent], tf.gather(rare, self.first, axis=1)], axis=0)

    def back(self, sampled: tf.Tensor) -> tf.Tensor:
        """The array [V, …] that has these at the sampled places, and 0 at the others."""
        frequent = sampled.shape[0] - self.taken
        here = tf.one_hot(self.first, self.every)
        here = tf.reshape(here, [1, self.every, *([1] * (sampled.shape.rank - 1))])
        rare = tf.reshape(sampled[frequent:, None] * here, [self.taken * self.every, *sampled.shape[1:]])
        return tf.concat([sampled[:frequent], rare], axis=0)


def _sampled_nats(outputs: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor, sample: _Sample) -> Any:
    """As `_softmax_nats`, over a sample of the words."""
    numbers = sample.of(tf.range(weights.shape[0]))
    times = tf.math.log(
        tf.where(tf.range(numbers.shape[0]) < numbers.shape[0] - sample.taken, 1.0, float(sample.every))
    )

    @tf.custom_gradient
    def run(outputs: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor) -> Any:
        target_weights, rows = tf.gather(weights, targets), sample.of(weights)
        of_target = tf.reduce_sum(outputs * target_weights, axis=-1) + tf.gather(bias, targets)
        logits = tf.matmul(outputs, rows, transpose_b=True) + (sample.of(bias) + times - of_target[:, None])
        others = tf.exp(tf.minimum(logits, MOST_NATS))
        others = tf.where(tf.equal(numbers, targets[:, None]), 0.0, others)
        total = 1.0 + tf.reduce_sum(others, axis=-1, keepdims=True)

        def gradient(d_nats: tf.Tensor) -> Any:
            scale, places = d_nats[:, None] / total, targets[:, None]
            d_target = scale - d_nats[:, None]
            d_outputs = scale * tf.matmul(others, rows) + d_target * target_weights
            d_weights = sample.back(tf.matmul(others, scale * outputs, transpose_a=True))
            d_bias = sample.back(tf.matmul(others, scale, transpose_a=True)[:, 0])
            d_weights = tf.tensor_scatter_nd_add(d_weights, places, d_target * outputs)
            return d_outputs, d_weights, tf.tensor_scatter_nd_add(d_bias, places, d_target[:, 0])

        return tf.math.log(total)[:, 0], gradient

    return run(outputs, weights, bias)


def _dropped(values: tf.Tensor, probability: float, dropout: Dropout, *, place: int, over_steps: bool) -> tf.Tensor:
    """The values with some at 0 and the others raised, so that the mean stays. `over_steps`: the same at every step."""
    if not probability:
        return values
    probability = probability * dropout.share
    shape = [1, *values.shape[1:]] if over_steps else values.shape
    # XLA makes Philox's numbers, the default, a hundred times slower on a CPU.
    kept = tf.random.stateless_uniform(shape, dropout.key + tf.constant([0, place]), alg="threefry") >= probability
    return values * tf.cast(kept, tf.float32) / (1.0 - probability)
