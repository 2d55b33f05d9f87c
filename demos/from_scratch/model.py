"""A recurrent language model in NumPy: Denny Britz, "Recurrent neural networks tutorial", part 2 (WildML, 2015).

    s_t = tanh(U x_t + W s_{t-1}),        o_t = softmax(V s_t),        L = -Σ_t ln o_t[y_t]

The page shows these functions as they stand here, and these are the ones that it runs: they are written to be read.

Shapes: T words of a sentence, H hidden units, C words in the vocabulary. A word x_t is a number, which stands for a
vector with a one at this place: U x_t is the column U[:, x_t]. The arrays' type, float32 or float64, is the parameters'.
"""

from typing import NamedTuple

import numpy as np


class Parameters(NamedTuple):
    """All that is learned, no biases: 2 H C + H² numbers. Gradients have the same form."""

    U: np.ndarray  # [H, C], from a word to the state
    V: np.ndarray  # [C, H], from the state to the scores of the next word
    W: np.ndarray  # [H, H], from state to state


def initial_parameters(vocabulary: int, hidden: int, random: np.random.Generator) -> Parameters:
    """Weights drawn evenly from ±1/√n, n being the numbers that come in: so a sum of n products stays small."""
    words, units = 1 / np.sqrt(vocabulary), 1 / np.sqrt(hidden)
    return Parameters(
        U=random.uniform(-words, words, (hidden, vocabulary)),
        V=random.uniform(-units, units, (vocabulary, hidden)),
        W=random.uniform(-units, units, (hidden, hidden)),
    )


def next_state(p: Parameters, word: int, state: np.ndarray) -> np.ndarray:
    """s_t [H] from the word x_t and the state s_{t-1} [H]."""
    return np.tanh(p.U[:, word] + p.W @ state)


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """ln softmax of the last axis. The highest score is taken off first, so that no exp overflows."""
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def forward(p: Parameters, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read the words x [T]: the states [T, H], and the logarithm of each word's probability to come next [T, C]."""
    states = np.zeros((len(x) + 1, len(p.W)), p.W.dtype)  # the last row stays zero: it is s_{-1}
    for t, word in enumerate(x):
        states[t] = next_state(p, word, states[t - 1])
    states = states[:-1]
    return states, log_softmax(states @ p.V.T)


def loss(p: Parameters, x: np.ndarray, y: np.ndarray) -> float:
    """The cross-entropy of the words y [T] that do come, summed over the sentence, in nats."""
    _, log_probabilities = forward(p, x)
    return float(-log_probabilities[np.arange(len(y)), y].sum())


def predict(p: Parameters, x: np.ndarray) -> np.ndarray:
    """The likeliest next word at each place of the words x [T]: argmax of o_t, [T]."""
    _, log_probabilities = forward(p, x)
    return log_probabilities.argmax(axis=-1)


def backward(p: Parameters, x: np.ndarray, y: np.ndarray, truncate: int) -> tuple[Parameters, float]:
    """The gradient of the loss, and the loss: backpropagation through time.

    The error of each output o_t goes back to the states s_t, s_{t-1}, …, s_{t-truncate}, and no further.
    """
    T = len(x)
    states, log_probabilities = forward(p, x)
    d_scores = np.exp(log_probabilities)  # [T, C]
    d_scores[np.arange(T), y] -= 1
    error = (d_scores @ p.V) * (1 - states**2)  # [T, H]: row t is what output t asks of s_t
    total = error.copy()
    for lag in range(1, min(truncate, T - 1) + 1):
        error = (error[1:] @ p.W) * (1 - states[:-lag] ** 2)  # row t: what output t + lag asks of s_t
        total[:-lag] += error
    d_U = np.zeros_like(p.U)
    np.add.at(d_U.T, x, total)  # a word that occurs twice gets both
    d_V = d_scores.T @ states
    d_W = total[1:].T @ states[:-1]
    return Parameters(d_U, d_V, d_W), float(-log_probabilities[np.arange(T), y].sum())


def learn(p: Parameters, x: np.ndarray, y: np.ndarray, truncate: int, rate: float) -> float:
    """One step of stochastic gradient descent on one sentence, in place: the loss before it."""
    gradient, before = backward(p, x, y, truncate)
    for weights, slope in zip(p, gradient, strict=True):
        weights -= rate * slope
    return before


def halved(rate: float, loss_now: float, loss_before: float | None) -> float:
    """The learning rate after a check of the loss: half of it where the loss has risen since the check before."""
    return rate / 2 if loss_before is not None and loss_now > loss_before else rate
