"""What a language model's perplexity is to be compared with: chance, models that count, the publication, and one bound.

The bound is our grammar's entropy: no model does better on sentences that it has not read, but for the chance in which sentences
these are (`own`). The training text is finite and read again in every epoch, so the training loss can go below it by memorising.
Of other texts no bound is known; neither published results nor models that count are bounds.
"""

import json
import math
from functools import lru_cache
from typing import Literal, NamedTuple

from demos.ptb import data, grammar
from demos.ptb.config import PTBConfig
from demos.ptb.models import SETS
from lib.ngrams import Bigram, Unigram, perplexity
from lib.settings import settings_of
from lib.theory import Boundary
from lib.vocabulary import EOS


class Published(NamedTuple):
    """The perplexities that a publication reached."""

    train: float
    valid: float
    test: float


# What TensorFlow's ptb_word_lm says of its three configurations, those of Zaremba, Sutskever & Vinyals (2014). Table 1 of the
# paper has 120.7, 86.2 and 82.2 on the validation text, and 114.5, 82.7 and 78.4 on the test text.
PUBLISHED: dict[str, Published] = {
    "small": Published(37.99, 121.39, 115.91),
    "medium": Published(48.45, 86.16, 82.07),
    "large": Published(37.87, 82.62, 78.29),
}
LATER = {"AWD-LSTM (Merity and others, 2017)": 57.3, "Mogrifier LSTM (Melis and others, 2019)": 50.1}
# Measured by `python -m benchmarks clipping`, seed 0.
CLIPPING = (
    "One difference: where a window has a word several times, TensorFlow's code clips by the norm of that word's gradients one "
    "by one, ours by that of their sum. With the small model the two norms were at most 0.014 % apart in the first 10 steps, "
    "and 6.7 % in the first 250."
)
BOUNDARIES: tuple[Boundary, ...] = ()
BOUND = "of text that is not learned from: by learning by heart, the training loss can go below it"


def chance(config: PTBConfig) -> float:
    """The loss of giving every word the same probability, in nats per word."""
    return math.log(data.vocabulary_size(config.corpus, config.text))


def floor(config: PTBConfig) -> float:
    """The lower bound of the loss on text that is not learned from, in nats per word: the grammar's entropy; else 0."""
    return grammar.entropy_per_word() if config.corpus == "grammar" else 0.0


def learned_below(config: PTBConfig) -> float:
    """The loss at or below which a network has learned more than pairs of words."""
    return math.log(counting(config.corpus, config.text).bigram)


class Counting(NamedTuple):
    """The perplexities of knowing how frequent each word is, and how frequent it is after each word."""

    unigram: float
    bigram: float


def counting(name: str, text: str, part: Literal["valid", "test"] = "valid") -> Counting:
    """Unigram and bigram (interpolated Kneser-Ney) perplexities on a part of the corpus.

    Where the Penn Treebank is not on this machine, those on its validation text are those of the recorded run.
    """
    if name == "ptb" and part == "valid" and data.missing(name, text):
        told = json.loads((data.RECORDINGS / "small.json").read_text(encoding="utf-8"))["summary"]
        return Counting(told["unigram"], told["bigram"])
    return _counted(name, text, part)


@lru_cache(maxsize=64)
def _counted(name: str, text: str, part: str) -> Counting:
    corpus = data.corpus(name, text)
    size = len(corpus.words)
    models = Unigram.of(corpus.train, size), Bigram.of(corpus.train, size, corpus.numbers[EOS])
    return Counting(*(perplexity(model, getattr(corpus, part)) for model in models))


def as_published(config: PTBConfig) -> str | None:
    """The published model whose settings these are, on the corpus that it was published for; else None."""
    fields = [name for name in settings_of(PTBConfig) if name in SETS["small"]]
    for name in PUBLISHED:
        if config.corpus == "ptb" and all(getattr(config, field) == SETS[name][field] for field in fields):
            return name
    return None


def explain(config: PTBConfig) -> str:
    """What the perplexity is to be compared with, in Markdown, with the current numbers."""
    size = data.vocabulary_size(config.corpus, config.text)
    unigram, bigram = counting(config.corpus, config.text)
    lines = [
        f"**Chance.** {size:,} words, each as likely as any other: perplexity {size:,}.",
        f"**Unigram model.** How often each word occurs: {unigram:,.1f} on the validation text.",
        f"**Bigram model.** How often each word follows each other one: {bigram:,.1f} on the validation text (interpolated "
        "Kneser–Ney smoothing).",
    ]
    if config.corpus == "grammar":
        own = grammar.own("valid")
        lines.append(
            f"**Lower bound.** The grammar draws its words at random, so even a model that knows its rules is surprised: "
            "perplexity "
            f"{grammar.floor():.2f}, from the entropy of the rules. This holds on sentences that are not learned from. On "
            "these very "
            f"validation sentences the grammar's own perplexity is {own.perplexity:.2f}, within {own.error:.2f} (one standard "
            "error) "
            "of the bound. The training text is finite and read again in every epoch: there, a large network can go lower by "
            "memorising, so compare the validation curve."
        )
    else:
        lines.append("**Lower bound.** None is known for this text.")
    if config.corpus == "ptb":
        lines += [
            f"**{name.capitalize()}**, as published: training {p.train}, validation {p.valid}, test {p.test}."
            for name, p in PUBLISHED.items()
        ]
        lines.append(CLIPPING)
    return "\n\n".join(lines)
