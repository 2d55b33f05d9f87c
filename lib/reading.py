"""What a network reads and is asked, for looking inside it: sequences, right answers, and what they are about.

Every demo that one can look into has a module `inside` with `language(config)`, `held_out(config)`, `typed(config, text)`,
`hint(config)` (what can be typed) and `window(config)` (how far back the gradient goes in training).

Shapes: T steps, B sequences, I inputs, O answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lib.history import Network
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
    """What the tokens and the answers are called. With `independent` answers each is right or wrong by itself.

    `encoding` [tokens, I] has what the network reads for each token; without one a token is a 1 at its own place. `marked`
    are the numbers of tokens that pictures set off from the others, and `note` says how they are written.
    """

    tokens: tuple[str, ...]
    answers: tuple[str, ...]
    independent: bool = False
    encoding: np.ndarray | None = None
    marked: frozenset[int] = frozenset()
    note: str = ""

    @property
    def inputs(self) -> int:
        """How many numbers the network reads at a step, I."""
        return len(self.tokens) if self.encoding is None else self.encoding.shape[1]


def by_token(network: Network, language: Language) -> Network:
    """The network as it reads tokens: its input weights have a row for each of them, the sum of what its inputs add."""
    if language.encoding is None:
        return network
    cell = dict(network["cell"])
    cell["input_weights"] = language.encoding @ cell["input_weights"]
    return {**network, "cell": cell}


class Factor(NamedTuple):
    """Something that a task is about, to be compared with what units do.

    `values` [T, B], NaN where it has none; `what` completes "unit 7 tracks …", as in "the depth".
    """

    values: np.ndarray
    what: str


class Stored(NamedTuple):
    """What a network must keep at each step, where a task asks for one thing at a time; all [T, B]."""

    values: np.ndarray  # its number after the step, -1 as long as there is nothing
    written: np.ndarray  # bool: it is read here
    others: np.ndarray  # bool: something else is read, which must not disturb it
    names: tuple[str, str, str]  # of what is stored, of where it is read, and of what else is read


class Readings(NamedTuple):
    """Sequences, side by side."""

    inputs: np.ndarray  # tokens [T, B], or numbers [T, B, I]
    targets: (
        np.ndarray
    )  # [T, B]: the right answer's number; with independent answers, bit k is set where answer k is right
    scored: np.ndarray  # bool [T, B]: where an answer is asked for
    factors: Mapping[str, Factor]
    stored: Stored | None = None

    def one(self, index: int) -> "Readings":
        """One of the sequences, as B = 1."""
        pick = slice(index, index + 1)
        factors = {name: factor._replace(values=factor.values[:, pick]) for name, factor in self.factors.items()}
        return Readings(self.inputs[:, pick], self.targets[:, pick], self.scored[:, pick], factors)

    @property
    def tokens(self) -> np.ndarray:
        """The tokens of the first sequence [T]; of numbers that are read, the first of each step."""
        return self.inputs[:, 0] if self.inputs.ndim == 2 else self.inputs[:, 0, 0]

    def labels(self, language: Language) -> list[str]:
        """What the tokens of the first sequence are called."""
        return [language.tokens[int(token)] for token in self.tokens]


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
        found[name] = Factor(values, name)
    return found
