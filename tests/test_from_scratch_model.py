"""The NumPy language model against the tutorial's own loops, TensorFlow's gradient, and what theory says."""

import math

import numpy as np
import pytest

from demos.from_scratch import model
from demos.from_scratch.model import Parameters
from lib.tf import tf


def network(words: int = 12, hidden: int = 5, seed: int = 0) -> Parameters:
    """A network with weights large enough that tanh bends."""
    random = np.random.default_rng(seed)
    shapes = {"U": (hidden, words), "V": (words, hidden), "W": (hidden, hidden)}
    return Parameters(**{name: random.normal(0, 0.7, shape) for name, shape in shapes.items()})


def sentence(words: int = 12, length: int = 7, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(seed).integers(0, words, length + 1)
    return numbers[:-1], numbers[1:]


def loops(p: Parameters, x: np.ndarray, y: np.ndarray, truncate: int) -> Parameters:
    """The same gradient word by word and step by step, as the definition says, with outer products."""
    T, H = len(x), len(p.W)
    s = np.zeros((T + 1, H))
    o = []
    for t in range(T):
        s[t] = np.tanh(p.U[:, x[t]] + p.W @ s[t - 1])
        e = np.exp(p.V @ s[t])
        o.append(e / e.sum())
    d_U, d_V, d_W = (np.zeros_like(weights) for weights in p)
    for t in range(T):
        delta_o = o[t] - np.eye(len(p.V))[y[t]]
        d_V += np.outer(delta_o, s[t])
        delta = (p.V.T @ delta_o) * (1 - s[t] ** 2)
        for k in range(t, max(-1, t - truncate - 1), -1):
            d_W += np.outer(delta, s[k - 1])
            d_U[:, x[k]] += delta
            delta = (p.W.T @ delta) * (1 - s[k - 1] ** 2)
    return Parameters(d_U, d_V, d_W)


def test_the_likeliest_word_at_each_place_is_that_of_the_definition() -> None:
    p, (x, _) = network(), sentence(length=9)
    state, wanted = np.zeros(5), []
    for word in x:
        state = np.tanh(p.U @ np.eye(12)[word] + p.W @ state)
        shares = [math.exp(float(row @ state)) for row in p.V]
        wanted.append(max(range(12), key=shares.__getitem__))
    assert model.predict(p, x).tolist() == wanted and len(set(wanted)) > 2


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("truncate", [0, 1, 4, 50])
def test_the_gradient_is_that_of_the_definition_at_every_truncation(length: int, truncate: int) -> None:
    p, (x, y) = network(), sentence(length=length)
    found, _ = model.backward(p, x, y, truncate)
    for mine, wanted in zip(found, loops(p, x, y, truncate), strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-10, atol=1e-13)


def test_the_whole_gradient_and_the_loss_are_tensorflows() -> None:
    p, (x, y) = network(), sentence()
    tensors = [tf.constant(weights) for weights in p]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        U, V, W = tensors
        state, total = tf.zeros([5, 1], tf.float64), tf.constant(0.0, tf.float64)
        for word, following in zip(x, y, strict=True):
            state = tf.tanh(U[:, word : word + 1] + W @ state)
            total -= tf.nn.log_softmax(V @ state, axis=0)[following, 0]
    gradient, loss = model.backward(p, x, y, truncate=len(x))
    assert loss == pytest.approx(float(total), rel=1e-12)
    assert loss == pytest.approx(model.loss(p, x, y), rel=1e-12)
    for mine, theirs in zip(gradient, tape.gradient(total, tensors), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("words", [100, 300, 1000, 3000, 8000])
def test_the_untrained_loss_is_that_of_knowing_nothing(words: int) -> None:
    p = model.initial_parameters(words, 100, np.random.default_rng(words))
    x, y = sentence(words, 200)
    assert model.loss(p, x, y) / len(x) == pytest.approx(math.log(words), rel=0.01)


def test_a_network_has_the_tutorials_number_of_weights_within_their_bounds() -> None:
    p = model.initial_parameters(8000, 100, np.random.default_rng(0))
    assert sum(weights.size for weights in p) == 1_610_000
    for weights, incoming in zip(p, (8000, 100, 100), strict=True):
        assert np.abs(weights).max() <= 1 / math.sqrt(incoming)
        assert weights.std() == pytest.approx(1 / math.sqrt(3 * incoming), rel=0.02)


def test_probabilities_sum_to_one_and_survive_large_scores() -> None:
    p, (x, _) = network(), sentence()
    _, log_probabilities = model.forward(p._replace(V=p.V * 1e4), x)
    np.testing.assert_allclose(np.exp(log_probabilities).sum(axis=1), 1, rtol=1e-9)
    assert np.isfinite(log_probabilities).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_learning_one_sentence_lowers_its_loss_and_keeps_the_type(kind: type) -> None:
    p, (x, y) = Parameters(*(weights.astype(kind) for weights in network())), sentence()
    first = model.learn(p, x, y, 4, 0.05)
    for _ in range(50):
        last = model.learn(p, x, y, 4, 0.05)
    assert last < 0.5 * first
    assert {weights.dtype for weights in p} == {np.dtype(kind)}


def test_an_empty_sentence_costs_nothing_and_teaches_nothing() -> None:
    nothing = np.zeros(0, np.int64)
    gradient, loss = model.backward(network(), nothing, nothing, 4)
    assert loss == 0
    assert not any(slope.any() for slope in gradient)


def test_the_rate_is_halved_only_when_the_loss_rises() -> None:
    assert model.halved(0.005, 5.0, None) == 0.005
    assert model.halved(0.005, 5.0, 5.0) == 0.005
    assert model.halved(0.005, 4.9, 5.0) == 0.005
    assert model.halved(0.005, 5.1, 5.0) == 0.0025
