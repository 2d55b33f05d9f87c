"""The losses against NumPy, at ordinary and at extreme logits."""

import numpy as np

from lib.losses import sigmoid_cross_entropy, softmax_cross_entropy


def test_equals_numpy() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4, 3, 5)), rng.integers(0, 5, (4, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    want = -np.log(np.take_along_axis(probabilities, labels[..., None], -1)[..., 0])
    np.testing.assert_allclose(softmax_cross_entropy(logits.astype(np.float32), labels), want, rtol=1e-5)


def test_stays_finite_where_a_plain_softmax_overflows() -> None:
    logits = np.array([[1000.0, -1000.0]], np.float32)
    np.testing.assert_allclose(softmax_cross_entropy(logits, np.array([0])), [0.0])
    np.testing.assert_allclose(softmax_cross_entropy(logits, np.array([1])), [2000.0])


def test_independent_answers_equal_numpy() -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(4, 3, 5)), rng.integers(0, 2, (4, 3, 5))
    yes = 1 / (1 + np.exp(-logits))
    want = -np.log(np.where(labels == 1, yes, 1 - yes))
    found = sigmoid_cross_entropy(logits.astype(np.float32), labels.astype(np.float32))
    assert found.shape == (4, 3, 5)
    np.testing.assert_allclose(found, want, rtol=1e-5)


def test_independent_answers_stay_finite_where_an_exponential_overflows() -> None:
    logits = np.array([1000.0, -1000.0, 0.0], np.float32)
    np.testing.assert_allclose(
        sigmoid_cross_entropy(logits, np.ones(3, np.float32)), [0.0, 1000.0, np.log(2)], rtol=1e-6
    )
    np.testing.assert_allclose(
        sigmoid_cross_entropy(logits, np.zeros(3, np.float32)), [1000.0, 0.0, np.log(2)], rtol=1e-6
    )
