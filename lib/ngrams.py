"""What can be said of the next word without a network: from how frequent it is, and from the word before it.

The bigram model is smoothed by interpolated Kneser–Ney (Kneser & Ney, "Improved backing-off for m-gram language modeling",
ICASSP 1995; Chen & Goodman, "An empirical study of smoothing techniques for language modeling", TR-10-98, Harvard 1998, section
2.7 and 4.1.6) with one discount, estimated as by Ney, Essen & Kneser ("On structuring probabilistic dependences in stochastic
language modelling", 1994).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike


class LanguageModel(Protocol):
    """What gives each token of a stream a probability."""

    def stream_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """The probability of each token [N] after those before it."""


def perplexity(model: LanguageModel, tokens: np.ndarray) -> float:
    """exp(-mean log P(token | those before)): among how many words the model is, on average, as good as choosing evenly."""
    if not len(tokens):
        raise ValueError("tokens is empty: a perplexity needs one token or more")
    with np.errstate(divide="ignore"):  # a model may hold a token impossible, and the perplexity is infinite
        return float(np.exp(-np.log(model.stream_probabilities(tokens)).mean()))


@dataclass(frozen=True, eq=False)
class Unigram:
    """P(w) = c(w) / N, where a word that never occurs counts as if it had once: `probabilities` [V]."""

    probabilities: np.ndarray

    @classmethod
    def of(cls, tokens: np.ndarray, types: int) -> "Unigram":
        """The model of a stream [N] of a vocabulary of so many types."""
        counts = np.maximum(np.bincount(_checked(tokens, types), minlength=types), 1)
        return cls(counts / counts.sum())

    def stream_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """The probability of each token [N]."""
        return self.probabilities[_checked(tokens, len(self.probabilities))]


@dataclass(frozen=True, eq=False)
class Bigram:
    """P(w | v) = max(c(v w) - D, 0) / c(v •) + D N(v •) / c(v •) P(w),  where P(w) = N(• w) / N(• •).

    c counts occurrences and N different bigrams; D = n1 / (n1 + 2 n2), where n1 and n2 are how many bigrams occur once and twice.
    After a word that never occurred, P(w | v) = P(w): what counts there is not how often w is, but after how many words.
    """

    discount: float
    continuation: np.ndarray  # P(w) [V]
    backoff: np.ndarray  # D N(v •) / c(v •) [V]
    _histories: np.ndarray  # c(v •) [V], 1 where it is 0
    _pairs: np.ndarray  # v V + w of every bigram, ascending
    _counts: np.ndarray  # c(v w) of every bigram
    eos: int

    @classmethod
    def of(cls, tokens: np.ndarray, types: int, eos: int) -> "Bigram":
        """The model of a stream [N] of a vocabulary of so many types; its first token stands after `eos`.

        A word that never occurs counts as if it had after one word, and n1 as 1 where it is 0: else the model would hold things
        impossible.
        """
        tokens = _checked(tokens, types)
        if not len(tokens):
            raise ValueError("tokens is empty: a bigram model needs one token or more")
        pairs, counts = np.unique(_after(tokens, eos) * types + tokens, return_counts=True)
        once, twice = max(int((counts == 1).sum()), 1), int((counts == 2).sum())
        discount = once / (once + 2 * twice)
        previous, word = np.divmod(pairs, types)
        predecessors = np.maximum(np.bincount(word, minlength=types), 1)
        occurrences = np.bincount(previous, weights=counts, minlength=types)
        successors = np.bincount(previous, minlength=types)
        histories = np.maximum(occurrences, 1.0)
        backoff = np.where(occurrences > 0, discount * successors / histories, 1.0)
        return cls(discount, predecessors / predecessors.sum(), backoff, histories, pairs, counts, eos)

    def probability(self, previous: ArrayLike, word: ArrayLike) -> np.ndarray:
        """P(word | previous) of numbers of words, of any shapes that broadcast: with `np.arange(V)`, of all words at once."""
        types = len(self.continuation)
        previous, word = _checked(previous, types), _checked(word, types)
        pair = previous * types + word
        place = np.minimum(np.searchsorted(self._pairs, pair), len(self._pairs) - 1)
        count = np.where(self._pairs[place] == pair, self._counts[place], 0)
        seen = np.maximum(count - self.discount, 0.0) / self._histories[previous]
        return seen + self.backoff[previous] * self.continuation[word]

    def stream_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """The probability of each token [N] after the one before it, of the first after `eos`."""
        tokens = _checked(tokens, len(self.continuation))
        return self.probability(_after(tokens, self.eos), tokens)


def _after(tokens: np.ndarray, eos: int) -> np.ndarray:
    """The token before each [N]."""
    return np.concatenate(([eos], tokens[:-1])).astype(np.int64)


def _checked(tokens: ArrayLike, types: int) -> np.ndarray:
    """Numbers of words as int64, whose products of two do not overflow. Raises ValueError for those of no word."""
    numbers = np.asarray(tokens)
    if numbers.size and not (numbers.dtype.kind in "iu" and numbers.min() >= 0 and numbers.max() < types):
        raise ValueError(
            f"tokens from {numbers.min()} to {numbers.max()} ({numbers.dtype}): they must be integers from 0 to {types - 1}"
        )
    return numbers.astype(np.int64)
