"""What the loss is to be compared with: chance, how frequent each word is, and the lower bound of learning by heart.

The sentences are read again in every epoch, so memory of the text is no limit. The state is zero before each sentence: of the
next word a network knows the words of the sentence so far. Where two sentences begin alike and go on differently, no network
that stays as it is can tell them apart: that gives the bound. (While it learns, a network is another one at each sentence, and
after a sentence much like the next one it may do better for a moment. So the bound is exact for a network that is measured, and
for a mean over training where sentences come in no such order.)
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from demos.from_scratch import data
from demos.from_scratch.config import FromScratchConfig
from lib.theory import Boundary

BOUNDARIES: tuple[Boundary, ...] = ()
BOUND = "of a network that stays as it is: while it learns, it can do better for a moment"
REPORTED = 100  # steps, a sentence each, that the reported loss is a mean of


def chance(config: FromScratchConfig) -> float:
    """ln C: the loss of giving each of the C words the same probability, in nats per word, and nearly that of an untrained
    network.
    """
    return _chance(_text(config))


@lru_cache(maxsize=256)  # the coach asks ten times a second, and a text of 80,000 sentences may have left memory
def _chance(text: tuple[str, str, int, int]) -> float:
    return math.log(len(data.corpus(*text).words))


def frequencies(config: FromScratchConfig) -> float:
    """The loss of the unigram model, in nats per word: the entropy of how often each word comes."""
    return _frequencies(_text(config))


@lru_cache(maxsize=256)
def _frequencies(text: tuple[str, str, int, int]) -> float:
    counts = np.bincount(np.concatenate([y for _, y in data.corpus(*text).pairs]))
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def frequencies_elsewhere(config: FromScratchConfig) -> float:
    """The loss of the unigram model on the sentences that are not learned from (each word counted once more)."""
    counts = 1.0 + np.bincount(np.concatenate([y for _, y in config.words.pairs]), minlength=len(config.words.words))
    words = np.concatenate([y for _, y in held_out(config)])
    return float(-np.log(counts / counts.sum())[words].mean())


def held_out(config: FromScratchConfig) -> list[tuple[np.ndarray, np.ndarray]]:
    """Sentences of the text that are not learned from, as pairs x and y."""
    return data.held_out(config.corpus, config.text, config.sentences, config.vocabulary_size)


def floor(config: FromScratchConfig) -> float:
    """The lower bound of the mean loss of the last 100 steps, in nats per word: of the sentences that these learn, each counted
    alike, as their mean is made. 0 for a race, whose steps are not sentences.
    """
    if config.hands == "race":
        return 0.0
    count = len(config.words.pairs)
    last = min(REPORTED, config.steps)
    return _last_bound(_text(config), tuple((config.steps - 1 - back) % count for back in range(last)))


def epoch_floor(config: FromScratchConfig) -> float:
    """The lower bound of the mean over an epoch, in nats per word: of all sentences, each word counted alike."""
    return _epoch_bound(_text(config))


def _text(config: FromScratchConfig) -> tuple[str, str, int, int]:
    return config.corpus, config.text, config.sentences, config.vocabulary_size


@lru_cache(maxsize=256)
def _epoch_bound(text: tuple[str, str, int, int]) -> float:
    pairs = data.corpus(*text).pairs
    return conditional_entropy(pairs, [1.0] * len(pairs))


@lru_cache(maxsize=256)
def _last_bound(text: tuple[str, str, int, int], chosen: tuple[int, ...]) -> float:
    pairs = [data.corpus(*text).pairs[number] for number in chosen]
    return conditional_entropy(pairs, [1 / len(x) for x, _ in pairs])


def conditional_entropy(pairs: Sequence[tuple[np.ndarray, np.ndarray]], weights: Sequence[float]) -> float:
    """H(next word | the words of the sentence so far) of sentences x, y whose every word has a weight, in nats per weight.

    The best probabilities are the shares n(prefix, word) / n(prefix), and the mean loss with them is
    Σ n(prefix, word) ln(n(prefix) / n(prefix, word)) / Σ n(prefix, word).
    """
    left, weight = list(pairs), np.asarray(weights, np.float64)
    prefixes = np.zeros(len(left), np.int64)  # of each sentence, a number for the words before place t
    nats = total = 0.0
    for t in range(max(len(x) for x, _ in pairs)):
        going = np.array([len(x) > t for x, _ in left])
        left, weight, prefixes = (
            [pair for pair, on in zip(left, going, strict=True) if on],
            weight[going],
            prefixes[going],
        )
        prefixes = _numbered(prefixes, np.array([x[t] for x, _ in left]))
        longer = _numbered(prefixes, np.array([y[t] for _, y in left]))
        of_both = np.bincount(longer, weight)
        first = np.zeros(len(of_both), np.int64)
        first[longer] = prefixes  # the prefix of each pair of a prefix and its next word
        of_prefix = np.bincount(prefixes, weight)[first]
        nats, total = nats + float((of_both * np.log(of_prefix / of_both)).sum()), total + float(of_both.sum())
    return nats / total


def _numbered(prefixes: np.ndarray, words: np.ndarray) -> np.ndarray:
    """A number from 0 on for each different pair of a prefix and a word."""
    _, found = np.unique(prefixes * (words.max() + 1) + words, return_inverse=True)
    return found


def learned_below(config: FromScratchConfig) -> float:
    """The loss at or below which a network has learned more than how frequent words are."""
    return max(frequencies(config), floor(config))


def explain(config: FromScratchConfig) -> str:
    """What the loss is to be compared with, in Markdown, with the current numbers."""
    size = len(config.words.words)
    lines = [
        f"**Chance.** Each of {size:,} words is as likely as any other: ln {size:,} = {chance(config):.3f} nats. An untrained "
        "network is near it: the weights are small, so all scores lie near 0, and softmax makes of them nearly 1 / C for each "
        "word. Another number at the start is a sign of a mistake.",
        f"**Unigram model.** How often each word comes, and nothing else: {frequencies(config):.3f} nats.",
        f"**Lower bound.** All sentences are read again in every epoch, so they can be learned by heart. But the state is zero "
        f"before each sentence, so where sentences begin alike and go on differently, no network can know which one this is: "
        f"{epoch_floor(config):.3f} nats on average over an epoch, most of it for the first words.",
    ]
    if config.hands != "race":
        lines.append(
            f"**The last 100 sentences.** A run's reported loss is their mean, each sentence counted alike, and has a bound of "
            "its "
            f"own: {floor(config):.3f} nats. Both are for a network that stays as it is. As it learns from each sentence, it may "
            "do better for a moment where the next one is much like the last."
        )
    lines.append(
        "**Other sentences.** By heart is not learned: what counts is the loss on sentences that it does not learn from, which "
        "the experiments measure. The perplexity page shows it for every run."
    )
    return "\n\n".join(lines)
