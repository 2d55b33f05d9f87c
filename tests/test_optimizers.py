"""Each update rule against Keras's or TensorFlow 1's, clipping against NumPy."""

from functools import partial

import keras
import numpy as np
import pytest

from lib.optimizers import OPTIMIZERS, clip_by_global_norm, initial_slots, update
from lib.tf import tf

KERAS = {
    "sgd": keras.optimizers.SGD,
    "adagrad": partial(keras.optimizers.Adagrad, initial_accumulator_value=0.1, epsilon=1e-7),
    "momentum": partial(keras.optimizers.SGD, momentum=0.9),
    "rmsprop": partial(keras.optimizers.RMSprop, rho=0.9, epsilon=1e-7),
    "adam": partial(keras.optimizers.Adam, epsilon=1e-7),
}


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "rmsprop_tf1"])
def test_twenty_steps_equal_keras(name: str, weight_decay: float) -> None:
    rng = np.random.default_rng(3)
    params = {"a": rng.normal(size=(2, 3)).astype(np.float32), "b": {"c": rng.normal(size=4).astype(np.float32)}}
    slots = initial_slots(name, params)
    variables = [tf.Variable(leaf) for leaf in tf.nest.flatten(params)]
    theirs = KERAS[name](0.05, weight_decay=weight_decay or None)
    for step in range(1, 21):
        gradients = tf.nest.map_structure(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), params)
        params, slots = update(name, params, slots, gradients, 0.05, step, weight_decay)
        theirs.apply(tf.nest.flatten(gradients), variables)
        for ours, want in zip(tf.nest.flatten(params), variables, strict=True):
            np.testing.assert_allclose(ours, want, rtol=2e-5, atol=2e-6, err_msg=f"step {step}")


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6])
def test_twenty_steps_equal_tensorflow_1(size: float) -> None:
    rng = np.random.default_rng(6)
    params = {"a": rng.normal(size=(2, 3)).astype(np.float32)}
    slots, variable = initial_slots("rmsprop_tf1", params), tf.Variable(params["a"])
    theirs = tf.compat.v1.train.RMSPropOptimizer(0.05 / size)
    for step in range(1, 21):
        gradient = (size * rng.normal(size=(2, 3))).astype(np.float32)
        params, slots = update("rmsprop_tf1", params, slots, {"a": gradient}, 0.05 / size, step)
        theirs.apply_gradients([(gradient, variable)])
        np.testing.assert_allclose(params["a"], variable, rtol=2e-5, atol=2e-6, err_msg=f"step {step}")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_rule_goes_downhill(name: str) -> None:
    params, target = {"w": np.array([[3.0, -2.0]], np.float32)}, np.array([[1.0, 1.0]], np.float32)
    slots = initial_slots(name, params)
    start = float(np.sum((params["w"] - target) ** 2))
    for step in range(1, 101):
        params, slots = update(name, params, slots, {"w": 2 * (params["w"] - target)}, 0.05, step)
    assert float(np.sum((params["w"] - target) ** 2)) < 0.5 * start


def test_clipping_is_per_seed_and_over_all_leaves() -> None:
    rng = np.random.default_rng(4)
    gradients = {"a": rng.normal(size=(3, 2, 2)).astype(np.float32), "b": rng.normal(size=(3, 5)).astype(np.float32)}
    gradients["a"][1] *= 100.0
    gradients["a"][2] *= 0.01
    gradients["b"][2] *= 0.01
    clipped, norms = clip_by_global_norm(gradients, tf.constant(1.5))
    for seed in range(3):
        norm = np.sqrt(sum(np.sum(leaf[seed].astype(np.float64) ** 2) for leaf in gradients.values()))
        assert float(norms[seed]) == pytest.approx(norm, rel=1e-5), "the norm before"
        for name, leaf in gradients.items():
            np.testing.assert_allclose(clipped[name][seed], leaf[seed] * min(1.0, 1.5 / norm), rtol=1e-5)


@pytest.mark.parametrize("clip_norm", [0.0, 1e9])
def test_no_clipping_changes_nothing(clip_norm: float) -> None:
    gradients = {"a": np.array([[1.0, 2.0], [0.0, 0.0]], np.float32)}
    clipped, norms = clip_by_global_norm(gradients, tf.constant(clip_norm))
    np.testing.assert_array_equal(clipped["a"], gradients["a"])
    np.testing.assert_allclose(norms, [5**0.5, 0.0], rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("clip_norm", "weight_decay"), [(0.0, 0.0), (1.5, 0.0), (1.5, 0.3)])
def test_a_gradient_of_some_rows_does_what_the_whole_one_does(name: str, clip_norm: float, weight_decay: float) -> None:
    """Row 4 comes three times, and most rows not at all."""
    rng, places = np.random.default_rng(5), np.array([4, 1, 4, 6, 4], np.int32)
    rows = rng.normal(size=(5, 3)).astype(np.float32)
    whole = np.zeros((1, 8, 3), np.float32)
    np.add.at(whole[0], places, rows)
    params = {"a": rng.normal(size=(1, 8, 3)).astype(np.float32), "b": rng.normal(size=(1, 2)).astype(np.float32)}
    other = rng.normal(size=(1, 2)).astype(np.float32)
    found = []
    for gradient in (tf.IndexedSlices(tf.constant(rows), tf.constant(places), tf.constant([8, 3])), tf.constant(whole)):
        clipped, norm = clip_by_global_norm({"a": gradient, "b": tf.constant(other)}, tf.constant(clip_norm))
        slots = initial_slots(name, params)
        found.append((update(name, params, slots, clipped, 0.1, 1, weight_decay), norm))
    for ours, want in zip(tf.nest.flatten(found[0]), tf.nest.flatten(found[1]), strict=True):
        np.testing.assert_allclose(ours, want, rtol=1e-5, atol=1e-6)


def test_tensorflow_takes_the_norm_of_the_rows_where_ours_is_of_their_sum() -> None:
    """What demos.ptb.theory.CLIPPING says: a word that is read twice has two rows in the gradient of the embedding."""
    rows, twice = np.array([[3.0, 0.0], [0.0, 4.0], [3.0, 0.0]], np.float32), np.array([1, 2, 1], np.int32)
    gradient = tf.IndexedSlices(tf.constant(rows), tf.constant(twice), tf.constant([5, 2]))
    assert float(tf.linalg.global_norm([gradient])) == pytest.approx((9 + 16 + 9) ** 0.5)
    assert float(clip_by_global_norm([gradient], tf.constant(0.0))[1][0]) == pytest.approx((36 + 16) ** 0.5)
