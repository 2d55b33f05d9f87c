"""What the loss is to be compared with: chance, how frequent each word is, and the lower bound of learning by heart.

The sentences are read again in every epoch, so memory of the text is no limit. The state is zero before each sentence: of the
next word a network knows the words of the sentence so far. Where two sentences begin alike and go on differently, no network
that stays as it is can tell them apart: that gives the bound. (While it learns, a network is another one at each sentence, and
after a sentence much like the next one it may do better for a moment. So the bound is exact for a network that is measured, and
for a mean over training where sentences come in no such order.)
"""

import math
from collections import defaultdict
from collections.abc import Iterable
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
    return math.log(len(config.words.words))


def frequencies(config: FromScratchConfig) -> float:
    """The loss of the unigram model, in nats per word: the entropy of how often each word comes."""
    counts = np.bincount(np.concatenate([y for _, y in config.words.pairs]))
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
    return _bound(_text(config), tuple((config.steps - 1 - back) % count for back in range(last)), True)


def epoch_floor(config: FromScratchConfig) -> float:
    """The lower bound of the mean over an epoch, in nats per word: of all sentences, each word counted alike."""
    return _bound(_text(config), tuple(range(len(config.words.pairs))), False)


def _text(config: FromScratchConfig) -> tuple[str, str, int, int]:
    return config.corpus, config.text, config.sentences, config.vocabulary_size


@lru_cache(maxsize=256)
def _bound(text: tuple[str, str, int, int], chosen: tuple[int, ...], by_sentence: bool) -> float:
    pairs = [data.corpus(*text).pairs[number] for number in chosen]
    return conditional_entropy(pairs, [1 / len(x) if by_sentence else 1.0 for x, _ in pairs])


def conditional_entropy(pairs: Iterable[tuple[np.ndarray, np.ndarray]], weights: Iterable[float]) -> float:
    """H(next word | the words of the sentence so far) of sentences x, y whose every word has a weight, in nats per weight.

    The best probabilities are the shares n(prefix, word) / n(prefix), and the mean loss with them is
    Σ n(prefix, word) ln(n(prefix) / n(prefix, word)) / Σ n(prefix, word).
    """
    after: dict[tuple[int, int], int] = {}  # from a prefix and a word to the longer prefix
    counts: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for (x, y), weight in zip(pairs, weights, strict=True):
        prefix = 0
        for word, following in zip(x.tolist(), y.tolist(), strict=True):
            prefix = after.setdefault((prefix, word), len(after) + 1)
            counts[prefix][following] += weight
    totals = [np.array(list(each.values())) for each in counts.values()]
    nats = sum(float((each * np.log(each.sum() / each)).sum()) for each in totals)
    return nats / sum(float(each.sum()) for each in totals)


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
