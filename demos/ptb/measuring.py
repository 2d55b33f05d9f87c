"""A network's perplexity, measured in other ways than the standard one: why two perplexities cannot be compared.

The standard is that of TensorFlow's ptb_word_lm: the state is carried through the text, and every word counts, `<eos>` and
`<unk>` among them. All is computed from each word's -log p under the same weights, in nats, in NumPy.

Shapes: N words of a text, V of the vocabulary, K smaller vocabularies to choose from, T places of a window, B rows.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from demos.ptb import data
from demos.ptb.config import PTBConfig
from lib.vocabulary import EOS, UNK, Corpus
from lib.word_model import WordModel, log_softmax

Part = Literal["test", "valid"]
PARTS: dict[str, str] = {"test": "Test", "valid": "Validation"}
WINDOWS = (5, 10, 20, 35, 70)  # words, to choose from
SMALLER = (5_000, 1_000, 300, 100)  # vocabularies to choose from besides the network's own
ROWS_AT_ONCE, PLACES_AT_ONCE = 256, 256  # windows that are read side by side; places whose probabilities are in memory
MOST_PRODUCTS = 1e11  # of two numbers, while a text is read: seconds
ROW_COST = 4  # so many times longer takes a product where a single row is read: the weights are fetched for every word
SAME = 1e-5  # a relative difference that is rounding


class How(NamedTuple):
    """A way to measure, by default the standard one.

    Without `carried`, the state is zero at the start of each `window` of words. Only the `words` most frequent ones count as
    themselves, all others as one `<unk>`; 0 stands for the network's own vocabulary.
    """

    carried: bool = True
    window: int = 20
    ends: bool = True  # whether <eos> counts
    words: int = 0
    unknown: bool = True  # whether <unk> counts


class Surprises(NamedTuple):
    """A text under a network: `words` [N], the `place` of each in its window [N], and -log p in nats: `nats` [N] of the word,
    `rare_nats` [K, N] of any of those that are `<unk>` in a smaller vocabulary."""

    words: np.ndarray
    place: np.ndarray
    nats: np.ndarray
    rare_nats: np.ndarray


class Effect(NamedTuple):
    """What a switch does: the perplexity `without` it and `by` it alone, and why it is so, which these numbers prove."""

    name: str
    without: float
    by: float
    why: str

    @property
    def direction(self) -> str:
        """How `by` compares with `without`."""
        if abs(self.by / self.without - 1) < SAME:
            return "the same"
        return "higher" if self.by > self.without else "lower"


def vocabularies(corpus: Corpus) -> tuple[int, ...]:
    """The sizes of smaller vocabularies to choose from, [K]."""
    return tuple(size for size in SMALLER if 2 * size <= len(corpus.words))


def text(config: PTBConfig, corpus: Corpus, part: Part) -> np.ndarray:
    """The words of a part [N]: all of them, or as many of its first sentences as are read in seconds."""
    words: np.ndarray = getattr(corpus, part)
    inputs = (config.embedding_units, *config.units)
    recurrent = sum(4 * (i + h) * h for i, h in zip(inputs, config.units, strict=False))
    cost = recurrent * (ROW_COST if _rows(part) == 1 else 1) + config.output_units * len(corpus.words)
    most = int(MOST_PRODUCTS / cost)
    if len(words) <= most:
        return words
    ends = np.flatnonzero(words == corpus.numbers[EOS]) + 1
    return words[: ends[max(0, int(np.searchsorted(ends, most, "right")) - 1)]]


def _rows(part: Part) -> int:
    """Of how many rows the run reads a part, which the standard is measured with."""
    return data.VALID_ROWS if part == "valid" else 1


def surprises(model: WordModel, corpus: Corpus, words: np.ndarray, part: Part, window: int) -> Surprises:
    """Read words [N] of a part; the state is zero at each `window` of so many words, and carried on where that is 0."""
    rows = min(_rows(part), len(words))
    masks = np.reshape([_is_rare(corpus, size) for size in vocabularies(corpus)], (-1, len(corpus.words))).T
    found = Surprises(words, np.empty(len(words), int), np.empty(len(words)), np.empty((masks.shape[1], len(words))))
    state = model.zero_state(rows)
    for before, at in _pieces(words, rows, window):
        state, hidden = model.hidden_states(model.zero_state(at.shape[1]) if window else state, before)
        scored = at < len(words)
        here = at[scored]
        found.place[here] = np.nonzero(scored)[0]
        found.nats[here], found.rare_nats[:, here] = _nats(model, hidden[scored], words[here], masks.astype(np.float32))
    return found


def _pieces(words: np.ndarray, rows: int, window: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The words that are read, and the place in the text of the word after each, N or more where there is none, [T, B] each.

    One window comes after the other, or, where each begins from zeros, as many side by side as there may be.
    """
    size = window or data.TEST_WINDOW
    inputs = data.held_out_windows(words, rows, size)["inputs"]  # [W, T, rows]
    scored = data.held_out_windows(np.arange(len(words)), rows, size)
    at = np.where(scored["scored"] > 0, scored["targets"], len(words))
    if not window:
        yield from zip(inputs, at, strict=True)
        return
    beside = [array.transpose(1, 0, 2).reshape(window, -1) for array in (inputs, at)]
    for first in range(0, beside[0].shape[1], ROWS_AT_ONCE):
        yield beside[0][:, first : first + ROWS_AT_ONCE], beside[1][:, first : first + ROWS_AT_ONCE]


def _nats(
    model: WordModel, hidden: np.ndarray, targets: np.ndarray, masks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """-log p of targets [n] after hidden states [n, H], and of all words in each of the masks [V, K] together: [n], [K, n]."""
    own, rare = [], []
    for first in range(0, len(targets), PLACES_AT_ONCE):
        here = slice(first, first + PLACES_AT_ONCE)
        logs = log_softmax(model.logits(hidden[here]))
        own.append(-np.take_along_axis(logs, targets[here, None], axis=-1)[:, 0].astype(np.float64))
        with np.errstate(divide="ignore"):
            rare.append(-np.log((np.exp(logs) @ masks).T.astype(np.float64)))
    return np.concatenate(own), np.concatenate(rare, axis=-1)


def _is_rare(corpus: Corpus, size: int) -> np.ndarray:
    """Which words [V] are `<unk>` where the `size` most frequent ones count as themselves; 0: all of them do."""
    numbers = np.arange(len(corpus.words))
    rare = (numbers >= (size or len(numbers))) & (numbers != corpus.numbers[EOS])
    return rare | (numbers == corpus.numbers.get(UNK, -1))


def has_unknown(corpus: Corpus, words: np.ndarray, size: int) -> bool:
    """Whether one of the `words` [N] is `<unk>` in a vocabulary of this size; 0 is the network's own."""
    return bool(_is_rare(corpus, size)[words].any())


def counted(corpus: Corpus, found: Surprises, how: How) -> np.ndarray:
    """The nats of the words that count, [n]. `found` was read with the state as `how` says."""
    rare = _is_rare(corpus, how.words)[found.words]
    nats = found.nats
    if how.words:
        together = found.rare_nats[vocabularies(corpus).index(how.words)]
        nats = np.where(rare, np.minimum(together, nats), nats)  # a sum of tiny probabilities may round to nothing
    return nats[(how.ends | (found.words != corpus.numbers[EOS])) & (how.unknown | ~rare)]


def perplexity(corpus: Corpus, found: Surprises, how: How) -> float:
    """e to the mean of the nats that count."""
    return float(np.exp(counted(corpus, found, how).mean()))


def effects(corpus: Corpus, carried: Surprises, reset: Surprises | None, how: How) -> list[Effect]:
    """What each switch does alone that is not as in the standard. `reset` was read from zeros at each window."""
    standard = How()
    without = perplexity(corpus, carried, standard)
    found = []
    if not how.carried and reset is not None:
        name, by = f"State zero at each window of {how.window} words", perplexity(corpus, reset, standard)
        found.append(Effect(name, without, by, _of_windows(carried, reset)))
    if not how.ends:
        by = perplexity(corpus, carried, standard._replace(ends=False))
        ends = carried.nats[carried.words == corpus.numbers[EOS]]
        found.append(Effect("Ends of sentences not counted", without, by, _of_leaving_out(EOS, ends, carried.nats)))
    smaller = standard._replace(words=how.words)
    if how.words:
        rare = _is_rare(corpus, how.words)
        why = (
            f"The other {np.count_nonzero(rare):,} words count as one, `{UNK}`, whose probability is the sum of theirs: never "
            f"less than that of the word that came, at {100 * rare[carried.words].mean():.0f} % of the places."
        )
        found.append(Effect(f"A vocabulary of {how.words:,} words", without, perplexity(corpus, carried, smaller), why))
    if not how.unknown and has_unknown(corpus, carried.words, how.words):
        every = counted(corpus, carried, smaller)
        unknown = every[_is_rare(corpus, how.words)[carried.words]]
        by = perplexity(corpus, carried, smaller._replace(unknown=False))
        name = "Unknown words not counted" + f" beside a vocabulary of {how.words:,}" * bool(how.words)
        found.append(Effect(name, float(np.exp(every.mean())), by, _of_leaving_out(UNK, unknown, every)))
    return found


def _of_windows(carried: Surprises, reset: Surprises) -> str:
    """What the first words of windows cost, and the last ones."""
    size = reset.place.max() + 1
    first, last = ([each.nats[reset.place == place].mean() for each in (reset, carried)] for place in (0, size - 1))
    costs = f"{last[0]:.2f} instead of {last[1]:.2f}"
    if costs == f"{last[1]:.2f} instead of {last[0]:.2f}":
        costs = f"{last[0]:.2f} either way"
    return (
        f"The first word of a window is predicted from a single word: {first[0]:.2f} nats on average instead of "
        f"{first[1]:.2f}. The last one is predicted from {size}: {costs}."
    )


def _of_leaving_out(name: str, nats: np.ndarray, every: np.ndarray) -> str:
    """Why the mean of `every` word moves when those with these nats are left out."""
    mean, all_mean = nats.mean(), every.mean()
    easier = "less" if mean < all_mean else "more"
    moves = "raises" if mean < all_mean else "lowers"
    return (
        f"`{name}` costs {mean:.2f} nats on average, {easier} than the {all_mean:.2f} of all words: leaving it out {moves} the "
        f"mean. It is {100 * len(nats) / len(every):.0f} % of the text."
    )
