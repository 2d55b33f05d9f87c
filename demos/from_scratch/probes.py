"""What a network has learned beside its loss, measured in NumPy with the functions of demos.from_scratch.model.

Shapes: N words of all sentences together, C words in the vocabulary, H hidden units.
"""

from typing import NamedTuple

import numpy as np

from demos.from_scratch import model
from demos.from_scratch.model import Parameters
from lib.blas import one_thread

Pairs = list[tuple[np.ndarray, np.ndarray]]


class Guesses(NamedTuple):
    """What it says at each word of some sentences: the `targets` [N], log p of all words [N, C], and the states [N, H]."""

    targets: np.ndarray
    log_probabilities: np.ndarray
    states: np.ndarray

    @property
    def loss(self) -> float:
        """The mean loss in nats per word."""
        return float(-self.log_probabilities[np.arange(len(self.targets)), self.targets].mean(dtype=np.float64))

    @property
    def best(self) -> np.ndarray:
        """The likeliest word at each place, [N]."""
        found: np.ndarray = self.log_probabilities.argmax(axis=-1)
        return found

    @property
    def sure(self) -> np.ndarray:
        """The probability of the likeliest word at each place, [N]."""
        found: np.ndarray = np.exp(self.log_probabilities.max(axis=-1))
        return found


def guesses(p: Parameters, pairs: Pairs) -> Guesses:
    """The network on some sentences, each from a state of zeros. Raises ValueError for none, or weights that are not finite."""
    if not pairs or not all(np.isfinite(weights).all() for weights in p):
        raise ValueError("there are no sentences to measure on, or the weights are not finite")
    with one_thread():
        read = [model.forward(p, x) for x, _ in pairs]
    states, logs = (np.concatenate(parts) for parts in zip(*read, strict=True))
    return Guesses(np.concatenate([y for _, y in pairs]), logs, states)


def last_word_alone(p: Parameters, pairs: Pairs) -> float:
    """The mean loss, in nats per word, where the words before the last are those of the next sentence, as many as there are.

    So the state is one as the network knows it, but tells nothing of this sentence.
    """
    with one_thread():
        read = [model.forward(p, x)[0] for x, _ in pairs]
    nats, count = 0.0, 0
    for (x, y), other in zip(pairs, [*read[1:], read[0]], strict=True):
        places = np.arange(1, min(len(x), len(other)))
        states = np.tanh(p.U[:, x[places]].T + other[places - 1] @ p.W.T)  # model.next_state, at all places
        log_probabilities = model.log_softmax(states @ p.V.T)
        nats, count = nats - float(log_probabilities[np.arange(len(places)), y[places]].sum()), count + len(places)
    return nats / count


def with_its_own(p: Parameters, pairs: Pairs) -> float:
    """The mean loss, in nats per word, at the places of `last_word_alone`, with the words as they are."""
    nats, count = 0.0, 0
    for (x, y), (other, _) in zip(pairs, [*pairs[1:], pairs[0]], strict=True):
        _, log_probabilities = model.forward(p, x)
        places = np.arange(1, min(len(x), len(other)))
        nats, count = nats - float(log_probabilities[places, y[places]].sum(dtype=np.float64)), count + len(places)
    return nats / count
