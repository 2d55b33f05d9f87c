"""The update rules, as pure functions, and clipping by the gradient's norm.

Keras's own optimizers cannot be called as pure functions on the TensorFlow backend, so these are ours, and a test holds
each of them against Keras's, but `rmsprop_tf1` against TF1's. The others are Keras's where TF1's differ, too: TF1's Adagrad
has no epsilon, its Adam 1e-8.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lib.tf import tf

EPSILON, EPSILON_TF1 = 1e-7, 1e-10
Slots = dict[str, Any]
Change = tuple[Any, Slots]  # what is subtracted from a parameter, and its new slots


class Optimizer(NamedTuple):
    """An update rule.

    `slots`: the name of each running quantity that the rule keeps for a parameter, and its value at the start.
    `rule(gradient, slots, learning_rate, step)` returns what is subtracted from the parameter, and the new slots;
    `step` counts from 1.
    """

    slots: Mapping[str, float]
    rule: Callable[[tf.Tensor, Slots, tf.Tensor, tf.Tensor], Change]


def sgd(gradient: tf.Tensor, slots: Slots, learning_rate: tf.Tensor, step: tf.Tensor) -> Change:
    """w -= rate * g. Robbins & Monro (1951)."""
    return learning_rate * gradient, {}


def adagrad(gradient: tf.Tensor, slots: Slots, learning_rate: tf.Tensor, step: tf.Tensor) -> Change:
    """a += g^2; w -= rate * g / sqrt(a). Duchi, Hazan & Singer (2011)."""
    accumulator = slots["accumulator"] + gradient**2
    return learning_rate * gradient * tf.math.rsqrt(accumulator + EPSILON), {"accumulator": accumulator}


def momentum(gradient: tf.Tensor, slots: Slots, learning_rate: tf.Tensor, step: tf.Tensor) -> Change:
    """v = 0.9 v + rate * g; w -= v. Polyak (1964)."""
    velocity = 0.9 * slots["velocity"] + learning_rate * gradient
    return velocity, {"velocity": velocity}


def rmsprop(gradient: tf.Tensor, slots: Slots, learning_rate: tf.Tensor, step: tf.Tensor) -> Change:
    """v = 0.9 v + 0.1 g^2; w -= rate * g / sqrt(v). Hinton, Neural networks for machine learning (2012), lecture 6e."""
    mean_square = 0.9 * slots["mean_square"] + 0.1 * gradient**2
    return learning_rate * gradient * tf.math.rsqrt(mean_square + EPSILON), {"mean_square": mean_square}


def rmsprop_tf1(gradient: tf.Tensor, slots: Slots, learning_rate: tf.Tensor, step: tf.Tensor) -> Change:
    """v = 0.9 v + 0.1 g^2 from v = 1; w -= rate * g / sqrt(v + 1e-10): tf.compat.v1.train.RMSPropOptimizer, no momentum.

    The first step is 1.05 rate * g or less; from v = 0 it is about rate * sqrt(10) for every |g| above 0.01. Of a gradient of
    some rows, TF1 changes these rows alone; here, v of the others shrinks.
    """
    mean_square = 0.9 * slots["mean_square"] + 0.1 * gradient**2
    return learning_rate * gradient * tf.math.rsqrt(mean_square + EPSILON_TF1), {"mean_square": mean_square}


def adam(gradient: tf.Tensor, slots: Slots, learning_rate: tf.Tensor, step: tf.Tensor) -> Change:
    """m = 0.9 m + 0.1 g; v = 0.999 v + 0.001 g^2; both corrected for their start at 0; w -= rate * m / sqrt(v).

    Kingma & Ba (2015), the order of operations at the end of section 2.
    """
    mean = 0.9 * slots["mean"] + 0.1 * gradient
    mean_square = 0.999 * slots["mean_square"] + 0.001 * gradient**2
    count = tf.cast(step, tf.float32)
    rate = learning_rate * tf.sqrt(1.0 - 0.999**count) / (1.0 - 0.9**count)
    return rate * mean / (tf.sqrt(mean_square) + EPSILON), {"mean": mean, "mean_square": mean_square}


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer({}, sgd),
    "adagrad": Optimizer({"accumulator": 0.1}, adagrad),
    "momentum": Optimizer({"velocity": 0.0}, momentum),
    "rmsprop": Optimizer({"mean_square": 0.0}, rmsprop),
    "rmsprop_tf1": Optimizer({"mean_square": 1.0}, rmsprop_tf1),
    "adam": Optimizer({"mean": 0.0, "mean_square": 0.0}, adam),
}


def initial_slots(name: str, params: Any) -> Slots:
    """The optimizer's slots at their start: for each slot a tree like `params` (a tree of NumPy arrays)."""
    return {
        slot: tf.nest.map_structure(lambda value, start=start: np.full_like(value, start), params)
        for slot, start in OPTIMIZERS[name].slots.items()
    }


def update(
    name: str,
    params: Any,
    slots: Slots,
    gradients: Any,
    learning_rate: tf.Tensor,
    step: tf.Tensor,
    weight_decay: float = 0.0,
) -> tuple[Any, Slots]:
    """One step of the optimizer: (new parameters, new slots). `step` counts from 1.

    With `weight_decay`, all parameters w also lose rate * weight_decay * w. Loshchilov & Hutter (2019), "Decoupled weight decay
    regularization"; for `sgd` it is the same as a penalty on the squared weights, Krogh & Hertz (1992).
    A gradient may be `tf.IndexedSlices`, of some rows of the one seed's parameter [1, N, …], a row perhaps several times: all
    others have the gradient 0.
    """
    rule = OPTIMIZERS[name].rule
    flat_slots = {slot: tf.nest.flatten(tree) for slot, tree in slots.items()}
    new_params: list[tf.Tensor] = []
    new_slots: dict[str, list[tf.Tensor]] = {slot: [] for slot in slots}
    for i, (value, gradient) in enumerate(zip(tf.nest.flatten(params), tf.nest.flatten(gradients), strict=True)):
        if isinstance(gradient, tf.IndexedSlices):
            if name == "sgd" and not weight_decay:
                change = learning_rate * gradient.values
                new_params.append(tf.tensor_scatter_nd_sub(value[0], gradient.indices[:, None], change)[None])
                continue
            gradient = tf.convert_to_tensor(gradient)[None]
        change, leaf_slots = rule(
            gradient, {slot: leaves[i] for slot, leaves in flat_slots.items()}, learning_rate, step
        )
        new_params.append((value * (1.0 - learning_rate * weight_decay) if weight_decay else value) - change)
        for slot, leaf in leaf_slots.items():
            new_slots[slot].append(leaf)

    def pack(leaves: list[tf.Tensor]) -> Any:
        return tf.nest.pack_sequence_as(params, leaves)

    return pack(new_params), {slot: pack(leaves) for slot, leaves in new_slots.items()}


def together(gradients: Any) -> Any:
    """The same gradients, none of which is there before all vectors among them are.

    Otherwise XLA, which might then update some weights while others' gradients still read them, copies all weights at every
    step. Clipping has the same effect. A bias's gradient needs all that is read on the way back to it.
    """
    flat = [tf.convert_to_tensor(leaf) for leaf in tf.nest.flatten(gradients)]
    firsts = tf.stack([leaf[0] for leaf in flat if leaf.shape.rank == 1])
    nothing = tf.matmul(firsts[None], 0.0 * firsts[:, None])[
        0, 0
    ]  # a product, which XLA computes once and not for each sum
    return tf.nest.pack_sequence_as(gradients, [leaf + nothing for leaf in flat])


def clip_by_global_norm(gradients: Any, clip_norm: tf.Tensor) -> tuple[Any, tf.Tensor]:
    """Scale each seed's gradient down to the norm `clip_norm` where it is longer; 0 leaves all as they are.

    Returns the gradients and their norms before, [S].

    Every leaf has the seed axis first, [S, ...]; the norm is taken over all leaves of one seed, because the seeds are
    separate networks. Pascanu, Mikolov & Bengio (2013), algorithm 1.
    """
    flat = tf.nest.flatten(gradients)
    leaves = [leaf if isinstance(leaf, tf.IndexedSlices) else tf.convert_to_tensor(leaf) for leaf in flat]
    norm = tf.sqrt(tf.add_n([_square(leaf) for leaf in leaves]))
    scale = tf.where((clip_norm > 0.0) & (norm > clip_norm), clip_norm / norm, 1.0)
    return tf.nest.pack_sequence_as(gradients, [_scaled(leaf, scale) for leaf in leaves]), norm


def _square(leaf: Any) -> tf.Tensor:
    """The squared norm of each seed's gradient, [S]."""
    if isinstance(leaf, tf.IndexedSlices):
        same = tf.cast(tf.equal(leaf.indices[:, None], leaf.indices[None]), tf.float32)
        return tf.reduce_sum(leaf.values * tf.matmul(same, leaf.values))[None]  # those of one row count by their sum
    return tf.reduce_sum(leaf**2, axis=list(range(1, leaf.shape.rank)))


def _scaled(leaf: Any, scale: tf.Tensor) -> Any:
    if isinstance(leaf, tf.IndexedSlices):
        return tf.IndexedSlices(leaf.values * scale, leaf.indices, leaf.dense_shape)
    return leaf * tf.reshape(scale, [-1] + [1] * (leaf.shape.rank - 1))
