"""Sentences that the model writes, word by word, as in the tutorial."""

from typing import NamedTuple

import numpy as np

from demos.from_scratch.data import END, START, UNKNOWN, Corpus
from demos.from_scratch.model import Parameters, log_softmax, next_state
from lib.blas import one_thread

LONGEST = 60  # words: a network that has not learned how sentences end may never end one
MOST_DRAWN = 40  # sentences for each one that is wanted
MOST_WORDS = 4_000  # and words for all: with 8,000 to choose from that takes a second


class Written(NamedTuple):
    """Sentences, each a list of words, and how many others were dropped: too short, or without an end."""

    sentences: list[list[str]]
    too_short: int
    endless: int


class Replacing(NamedTuple):
    """The words that UNKNOWN stands for, and how often each of them comes in the text."""

    words: list[str]
    counts: np.ndarray

    def draw(self, random: np.random.Generator) -> str:
        """One of them, each as often as it comes in the text."""
        return self.words[int(random.choice(len(self.words), p=self.counts / self.counts.sum()))]


def replacing(corpus: Corpus) -> Replacing | None:
    """What UNKNOWN may be replaced by; None where the vocabulary has all words of the text."""
    if not corpus.outside:
        return None
    words, counts = zip(*corpus.outside, strict=True)
    return Replacing(list(words), np.array(counts))


def draw_word(scores: np.ndarray, temperature: float, banned: int | None, random: np.random.Generator) -> int:
    """One of C words from softmax(scores / temperature), but never the `banned` one.

    The tutorial draws again until another word comes. Leaving one word out gives the others the same chances.
    """
    scores = scores.astype(np.float64) / temperature
    if banned is not None:
        scores[banned] = -np.inf
    return int(random.choice(len(scores), p=np.exp(log_softmax(scores))))


def write_sentence(
    p: Parameters,
    words: tuple[str, ...],
    temperature: float,
    random: np.random.Generator,
    unknown: Replacing | None = None,
) -> list[str] | None:
    """The words from SENTENCE_START to SENTENCE_END, without these; None where it does not end.

    UNKNOWN_TOKEN is drawn again, or replaced by a word that it stands for: the network reads on from UNKNOWN_TOKEN.
    """
    word, state = words.index(START), np.zeros(len(p.W), p.W.dtype)
    banned = words.index(UNKNOWN) if unknown is None else None
    written: list[str] = []
    while len(written) < LONGEST:
        state = next_state(p, word, state)
        word = draw_word(p.V @ state, temperature, banned, random)
        if words[word] == END:
            return written
        written.append(words[word] if unknown is None or words[word] != UNKNOWN else unknown.draw(random))
    return None


def write(
    p: Parameters,
    words: tuple[str, ...],
    count: int,
    shortest: int,
    temperature: float,
    seed: int,
    unknown: Replacing | None = None,
) -> Written:
    """`count` sentences of `shortest` words or more, or fewer where the network writes hardly any such.

    UNKNOWN_TOKEN is drawn again, or replaced by what `unknown` draws.
    """
    random = np.random.default_rng(seed)
    kept: list[list[str]] = []
    too_short = endless = drawn = 0
    for _ in range(MOST_DRAWN * count):
        with one_thread():
            sentence = write_sentence(p, words, temperature, random, unknown)
        if sentence is None:
            endless += 1
        elif len(sentence) < shortest:
            too_short += 1
        else:
            kept.append(sentence)
        drawn += LONGEST if sentence is None else len(sentence)
        if len(kept) == count or drawn >= MOST_WORDS:
            break
    return Written(kept, too_short, endless)
