"""The written-out LSTM against the one of lib.cells, which has tests of its own against NumPy and Keras: values and gradients."""

import numpy as np
import pytest

from lib import short_lstm
from lib.cells import unroll, zero_state
from lib.optimizers import together
from lib.tf import tf


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("rows", [1, 3, 20])
def test_it_reads_as_the_cell_does_from_zeros(steps: int, rows: int) -> None:
    inputs, units = 4, 6
    params = {
        "input_weights": numbers(inputs, 4 * units),
        "recurrent_weights": numbers(units, 4 * units),
        "bias": numbers(4 * units),
    }
    x, weigh = numbers(steps, rows, inputs), numbers(steps, rows, units, seed=1)

    def gradients(read: object) -> tuple[np.ndarray, list[np.ndarray]]:
        given = {name: tf.constant(value) for name, value in params.items()} | {"x": tf.constant(x)}
        with tf.GradientTape() as tape:
            tape.watch(given)
            hidden = read(given)  # type: ignore[operator]
            total = tf.reduce_sum(hidden * weigh)
        found = tape.gradient(total, given, unconnected_gradients="zero")
        return hidden.numpy(), [found[name].numpy() for name in sorted(found)]

    def by_cell(given: dict[str, tf.Tensor]) -> tf.Tensor:
        state = tf.nest.map_structure(tf.constant, zero_state("lstm", (1, rows, units)))
        layer = {name: value[None] for name, value in given.items() if name != "x"}
        return unroll("lstm", layer, state, given["x"][:, None])[1][:, 0]

    hidden, found = gradients(lambda given: short_lstm.read(given, given["x"]))
    expected_hidden, expected = gradients(by_cell)
    np.testing.assert_allclose(hidden, expected_hidden, rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


def test_together_changes_no_gradient() -> None:
    gradients = {"bias": numbers(3), "weights": numbers(2, 3), "other": numbers(4)}
    after = together({name: tf.constant(value) for name, value in gradients.items()})
    for name, value in gradients.items():
        np.testing.assert_array_equal(after[name].numpy(), value)


def test_after_a_gradient_that_is_no_number_none_is() -> None:
    after = together({"bias": tf.constant([np.nan, 1.0]), "weights": tf.constant([[1.0]])})
    assert np.isnan(after["weights"].numpy()).all()
