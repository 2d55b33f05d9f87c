"""What a network reads and is asked, for looking inside it: sequences, right answers, and what they are about.

Every demo that one can look into has a module `inside` with `language(config)`, `held_out(config)`, `typed(config, text)`,
`hint(config)` (what can be typed) and `window(config)` (how far back the gradient goes in training).

Shapes: T steps, B sequences, I inputs, O answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lib.trace import sigmoid


class ReadingError(ValueError):
    """A text that somebody typed and a network cannot read. Its message says why, and what it can read."""


LONGEST = 200  # tokens of a typed text


def check(text: str, alphabet: Sequence[str]) -> None:
    """Raises ReadingError when a typed text is empty or too long, or has a letter that is not in the alphabet."""
    if not text:
        raise ReadingError("There is nothing to read: type at least one token.")
    if len(text) > LONGEST:
        raise ReadingError(
            f"It has {len(text):,} tokens, and the pictures have room for {LONGEST}: type a shorter one."
        )
    strange = next((letter for letter in text if letter not in alphabet), None)
    if strange is not None:
        known = " ".join(alphabet) if len(alphabet) <= 20 else "the characters that its text has"
        raise ReadingError(f"The network has never met {strange!r}: it reads {known}.")


class Language(NamedTuple):
    """What the tokens and the answers are called. With `independent` answers each is right or wrong by itself."""

    tokens: tuple[str, ...]
    answers: tuple[str, ...]
    independent: bool = False


class Factor(NamedTuple):
    """Something that a task is about, to be compared with what units do.

    `values` [T, B], NaN where it has none; `says` completes "unit 7 …", as in "counts the depth".
    """

    values: np.ndarray
    says: str


class Readings(NamedTuple):
    """Sequences, side by side."""

    inputs: np.ndarray  # tokens [T, B], or numbers [T, B, I]
    targets: (
        np.ndarray
    )  # [T, B]: the right answer's number; with independent answers, bit k is set where answer k is right
    scored: np.ndarray  # bool [T, B]: where an answer is asked for
    factors: Mapping[str, Factor]

    def one(self, index: int) -> "Readings":
        """One of the sequences, as B = 1."""
        pick = slice(index, index + 1)
        factors = {name: factor._replace(values=factor.values[:, pick]) for name, factor in self.factors.items()}
        return Readings(self.inputs[:, pick], self.targets[:, pick], self.scored[:, pick], factors)

    def labels(self, language: Language) -> list[str]:
        """What the tokens of the first sequence are called."""
        tokens = self.inputs[:, 0] if self.inputs.ndim == 2 else self.inputs[:, 0, 0]
        return [language.tokens[int(token)] for token in tokens]


def right_answers(readings: Readings, language: Language) -> np.ndarray:
    """Which answers are right, bool [T, B, O]; none where nothing is asked."""
    answers = np.arange(len(language.answers))
    targets = readings.targets[..., None]
    right = (targets >> answers & 1 == 1) if language.independent else targets == answers
    return right & readings.scored[..., None]


def probabilities(logits: np.ndarray, language: Language) -> np.ndarray:
    """What the network gives each answer, [T, B, O]: of independent ones each by itself, else together 1."""
    if language.independent:
        return sigmoid(logits)
    return np.exp(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))


class Score(NamedTuple):
    """How good the answers are: the mean loss in nats, and the share that is right."""

    loss: float
    accuracy: float


def score(logits: np.ndarray, readings: Readings, language: Language) -> Score:
    """The loss and accuracy of logits [T, B, O], as the training measures them."""
    right, said = right_answers(readings, language), np.asarray(logits, np.float64)
    if language.independent:
        # log(1 + e^x) - x where it is right
        losses = (np.logaddexp(0.0, said) - np.where(right, said, 0.0)).mean(axis=-1)
        good = ((said > 0) == right).all(axis=-1)
    else:
        losses = np.logaddexp.reduce(said, axis=-1) - np.where(right, said, 0.0).sum(axis=-1)
        good = np.take_along_axis(right, said.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    asked = readings.scored
    return Score(float(losses[asked].mean()), float(good[asked].mean()))


def loss_gradient(logits: np.ndarray, readings: Readings, language: Language) -> np.ndarray:
    """The gradient of each position's loss by its logits, [T, B, O]."""
    difference = probabilities(logits, language) - right_answers(readings, language)
    return difference / len(language.answers) if language.independent else difference


def visible(label: str) -> str:
    """A token, or a text, with marks for what one cannot see at its place."""
    return {" ": "␣"}.get(label, label).replace("\n", "↵")


def bit_factors(bits: np.ndarray, lags: Iterable[int]) -> dict[str, Factor]:
    """What sequences of bits [T, B] are about: the bits read so many steps back."""
    names = {0: "the bit read now", 1: "the bit 1 step back"}
    found = {}
    for lag in lags:
        name = names.get(lag, f"the bit {lag} steps back")
        values = np.full(bits.shape, np.nan)
        values[lag:] = bits[: max(0, len(bits) - lag)]
        found[name] = Factor(values, f"holds {name}")
    return found
