"""What the loss is to be compared with: knowing nothing, and knowing how frequent each word is."""

import math

import numpy as np

from demos.from_scratch.config import FromScratchConfig
from lib.theory import Boundary

BOUNDARIES: tuple[Boundary, ...] = ()


def chance(config: FromScratchConfig) -> float:
    """ln C: the loss of giving each of the C words the same probability, in nats a word. An untrained network does so."""
    return math.log(len(config.words.words))


def frequencies(config: FromScratchConfig) -> float:
    """The loss of knowing how often each word comes and nothing else, in nats a word: the entropy of these frequencies."""
    counts = np.bincount(np.concatenate([y for _, y in config.words.pairs]))
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def floor(config: FromScratchConfig) -> float:
    """A loss that nobody can go below. It is that of sentences that are known by heart: at worst 0."""
    return 0.0


def learned_below(config: FromScratchConfig) -> float:
    """The loss at or below which a network has learned more than how frequent words are."""
    return frequencies(config)


def explain(config: FromScratchConfig) -> str:
    """What the loss is to be compared with, in Markdown, with the current numbers."""
    size = len(config.words.words)
    return "\n\n".join(
        [
            f"**Knowing nothing.** Each of {size:,} words is as likely as any other: ln {size:,} = {chance(config):.3f} nats. "
            "So it must be before training: the weights are small, so all scores lie near 0, and softmax makes of them nearly "
            "1 / C for each word. Another number at the start is a sure sign of a mistake.",
            f"**Frequencies.** How often each word comes, and nothing else: {frequencies(config):.3f} nats.",
            "**By heart.** All sentences are read again in every epoch, so a large network can learn them by heart, down to 0. "
            "The perplexity page measures on text that is not learned from.",
        ]
    )
