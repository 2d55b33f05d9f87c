"""What can be looked at inside a network of the gates demo (see lib.reading)."""

import numpy as np

from demos.gates.config import GatesConfig
from demos.gates.data import OTHER, corpus, held_out, language, read, tokens_of
from lib.reading import ReadingError, Readings, check

__all__ = ["held_out", "hint", "language", "typed", "window"]

HINTS = {
    "recall": "Type letters, such as abDcaBdc?: lower case, upper case where they are marked, and ? where it must answer.",
    "remember": "Type a sequence, such as wxByzw?yz: a symbol, noise from w to z, and ? where it must answer.",
    "brackets": "Type brackets, such as (()(())).",
    "text": "Type a sentence or two.",
    "echo": "Type bits, such as 0110100.",
    "binary_rule": "Type bits, such as 0110100.",
}


def hint(config: GatesConfig) -> str:
    """What can be typed."""
    return HINTS[config.task]


def window(config: GatesConfig) -> int:
    """How many steps the gradient goes back in training."""
    return config.window


def typed(config: GatesConfig, text: str) -> Readings:
    """A text that somebody typed, T tokens, B = 1. Raises ReadingError for one that this task cannot read."""
    alphabet = language(config).tokens
    if config.task != "text":
        text = "".join(text.split())
    if config.task == "text" and OTHER in alphabet:  # whatever it does not know is read as one token
        text = "".join(letter if letter in alphabet else OTHER for letter in text)
    check(text, alphabet)
    if config.task == "text":
        return read(config, tokens_of(text, corpus(config.text).alphabet)[:, None])
    readings = read(config, np.array([alphabet.index(letter) for letter in text], np.uint8)[:, None])
    if config.task == "brackets":
        _check_brackets(text, config)
    if not readings.scored.any():
        raise ReadingError(_NOTHING_ASKED[config.task])
    return readings


_NOTHING_ASKED = {
    "recall": "Nothing is asked in it: put a marked letter (upper case) first and ? after it, such as abDca?.",
    "remember": "Nothing is asked in it: put a symbol first and ? after it, such as wwAxyz?.",
    "brackets": "",
    "echo": "It is too short to repeat anything: type more bits than the echo step.",
    "binary_rule": "The rule decides nothing in it: type more bits.",
}


def _check_brackets(text: str, config: GatesConfig) -> None:
    """Raises ReadingError where a bracket closes what is not open, or too many are open."""
    kinds = config.bracket_types
    opening, closing = "([{"[:kinds], ")]}"[:kinds]
    opened: list[str] = []
    for place, letter in enumerate(text, 1):
        if letter in opening:
            opened.append(letter)
        elif not opened or opening.index(opened.pop()) != closing.index(letter):
            raise ReadingError(f"The {letter} at place {place} closes nothing that is open.")
        if len(opened) > config.max_depth:
            raise ReadingError(
                f"At place {place} more than {config.max_depth} brackets are open, the greatest depth of this task."
            )


def corpus_of(config: GatesConfig) -> tuple[np.ndarray, tuple[str, ...]]:
    """Where to search: a whole text [N], or the held-out sequences [T, B]; and what its tokens are called."""
    if config.task == "text":
        found = corpus(config.text)
        return found.tokens, found.alphabet
    return held_out(config).inputs, language(config).tokens


def place(config: GatesConfig, example: int, start: int, end: int) -> tuple[int, int]:
    """Where a span of a held-out example stands in what is searched."""
    readings = held_out(config)
    steps, count = readings.inputs.shape
    example %= count
    if config.task != "text":
        return example * steps + start, example * steps + end
    text = corpus(config.text)
    row = (len(text.tokens) - text.trained - 1) // count  # see data.held_out
    first = text.trained + example * row
    return min(first + start, len(text.tokens)), min(first + end, len(text.tokens))
