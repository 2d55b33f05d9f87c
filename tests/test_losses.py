"""The loss against NumPy, at ordinary and at extreme logits."""

import numpy as np

from lib.losses import softmax_cross_entropy


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
