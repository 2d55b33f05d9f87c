"""Sentences that the model writes, word by word, as in the tutorial."""

from typing import NamedTuple

import numpy as np

from demos.from_scratch.data import END, START, UNKNOWN
from demos.from_scratch.model import Parameters, log_softmax, next_state

LONGEST = 60  # words: a network that has not learned how sentences end may never end one
MOST_DRAWN = 40  # sentences for each one that is wanted


class Written(NamedTuple):
    """Sentences, each a list of words, and how many others were dropped: too short, or without an end."""

    sentences: list[list[str]]
    too_short: int
    endless: int


def draw_word(scores: np.ndarray, temperature: float, unknown: int, random: np.random.Generator) -> int:
    """One of C words from softmax(scores / temperature), but never the unknown one.

    The tutorial draws again until another word comes. Leaving the unknown word out gives the others the same chances.
    """
    scores = scores.astype(np.float64) / temperature
    scores[unknown] = -np.inf
    return int(random.choice(len(scores), p=np.exp(log_softmax(scores))))


def write_sentence(
    p: Parameters, numbers: dict[str, int], temperature: float, random: np.random.Generator
) -> list[int] | None:
    """The words' numbers from SENTENCE_START to SENTENCE_END, without these; None where it does not end."""
    word, state = numbers[START], np.zeros(len(p.W), p.W.dtype)
    written: list[int] = []
    while len(written) < LONGEST:
        state = next_state(p, word, state)
        word = draw_word(p.V @ state, temperature, numbers[UNKNOWN], random)
        if word == numbers[END]:
            return written
        written.append(word)
    return None


def write(p: Parameters, words: tuple[str, ...], count: int, shortest: int, temperature: float, seed: int) -> Written:
    """`count` sentences of `shortest` words or more, or fewer where the network writes hardly any such."""
    numbers = {word: number for number, word in enumerate(words)}
    random = np.random.default_rng(seed)
    kept: list[list[str]] = []
    too_short = endless = 0
    for _ in range(MOST_DRAWN * count):
        sentence = write_sentence(p, numbers, temperature, random)
        if sentence is None:
            endless += 1
        elif len(sentence) < shortest:
            too_short += 1
        else:
            kept.append([words[number] for number in sentence])
        if len(kept) == count:
            break
    return Written(kept, too_short, endless)
