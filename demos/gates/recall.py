"""The task "recall": letters, some of them marked, and at a cue the last marked one is asked for.

Tokens are the K letters, the K marked ones, and the cue. With the mark apart the network reads a token by an `encoding`: a
letter's place and an input for the mark, so that a marked letter's row of weights is the sum of both. A sum cannot let one
letter in and keep another out; a gate, which multiplies, can. With the mark joined each token has a place of its own.

Shapes: T steps, B sequences, K letters.
"""

import numpy as np

from demos.gates.config import CUE, SYMBOLS, GatesConfig
from lib.reading import Factor, Language, Readings, Stored

SHARE = 0.2  # of letters that are marked, besides the one that always is
NO_FACTORS: dict[str, Factor] = {}


def language(config: GatesConfig) -> Language:
    """Lower case for a letter, upper case for a marked one."""
    letters = SYMBOLS[: config.symbols]
    tokens = (*letters.lower(), *letters, CUE)
    marked = frozenset(range(config.symbols, 2 * config.symbols))
    encoding = None if config.marks == "joined" else _apart(config.symbols)
    return Language(tokens, tuple(letters), encoding=encoding, marked=marked, note="upper case is marked")


def _apart(count: int) -> np.ndarray:
    """A place for each letter, one for the mark and one for the cue: float32 [2 K + 1, K + 2]."""
    encoding = np.zeros((2 * count + 1, count + 2), np.float32)
    letters = np.arange(count)
    encoding[letters, letters] = encoding[count + letters, letters] = 1
    encoding[count + letters, count] = 1
    encoding[2 * count, count + 1] = 1
    return encoding


def sequences(config: GatesConfig, draw: np.random.Generator, count: int) -> Readings:
    """Letters, with the cue anywhere in the second half, and at least one marked letter before it. [T, count]."""
    steps, letters, rows = config.longest, config.symbols, np.arange(count)
    cue = draw.integers(steps // 2, steps, count)
    marked = draw.random((steps, count)) < SHARE
    marked[(draw.random(count) * cue).astype(int), rows] = True
    inputs = draw.integers(0, letters, (steps, count), np.uint8) + (letters * marked).astype(np.uint8)
    inputs[cue, rows] = 2 * letters
    return Readings(inputs, *asked(inputs, letters), NO_FACTORS)


def asked(inputs: np.ndarray, letters: int) -> tuple[np.ndarray, np.ndarray]:
    """At each place the last marked letter so far, and whether it is asked for there."""
    values = last_marked(inputs, letters)
    return np.maximum(values, 0).astype(np.uint8), (inputs == 2 * letters) & (values >= 0)


def last_marked(inputs: np.ndarray, letters: int) -> np.ndarray:
    """After each token the number of the last marked letter, -1 where there was none. [T, B]."""
    marked = _is_marked(inputs, letters)
    at = np.maximum.accumulate(np.where(marked, np.arange(len(inputs))[:, None], -1), axis=0)
    found = np.take_along_axis(inputs.astype(np.int64), np.maximum(at, 0), axis=0) - letters
    return np.where(at >= 0, found, -1)


def _is_marked(inputs: np.ndarray, letters: int) -> np.ndarray:
    return (inputs >= letters) & (inputs < 2 * letters)


def stored(inputs: np.ndarray, config: GatesConfig) -> Stored:
    """What must be kept: the last marked letter."""
    letters = config.symbols
    names = ("the last marked letter", "a mark", "other letters")
    return Stored(last_marked(inputs, letters), _is_marked(inputs, letters), inputs < letters, names)


def factors(inputs: np.ndarray, config: GatesConfig) -> dict[str, Factor]:
    """The last marked letter, the letter that is read, the mark, the cue, and the steps since the mark."""
    letters, steps = config.symbols, np.arange(len(inputs))[:, None]
    last, marked, is_cue = last_marked(inputs, letters), _is_marked(inputs, letters), inputs == 2 * letters
    at = np.maximum.accumulate(np.where(marked, steps, -1), axis=0)
    found = {
        f"the last marked letter is {SYMBOLS[k]}": Factor(
            np.where(last >= 0, last == k, np.nan), f"whether the last marked letter is {SYMBOLS[k]}"
        )
        for k in range(letters)
    }
    found |= {
        f"{SYMBOLS[k].lower()} is read": Factor(
            np.where(is_cue, np.nan, inputs % letters == k), f"whether {SYMBOLS[k].lower()} is read, marked or not"
        )
        for k in range(letters)
    }
    return found | {
        "a mark is read": Factor(marked.astype(float), "whether the letter that is read is marked"),
        "the cue": Factor(is_cue.astype(float), "the cue"),
        "steps since the mark": Factor(np.where(at >= 0, steps - at, np.nan), "the steps since the last mark"),
    }
