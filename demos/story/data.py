"""The stories as numbers of words, and the places of them that training visits, in the tutorial's order."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from lib import texts, vocabulary

DEFAULT = "echo"  # whose contexts of three words are not all followed by the same word
STORIES = {
    "echo": "The bear and the echo",
    "bell": "Belling the cat",
    "lantern": "The firefly and the moon",
    "wall": "Two snails and a wall",
    "own": "Your own text",
}
NUMBERINGS = {"occurrence": "First occurrence", "alphabetical": "Alphabetical"}  # of words of equal count
FABLES = Path(__file__).parent / "fables"
FEWEST_WORDS, MOST_WORDS = 20, 2_000  # of a person's own text: this network learns it by heart
VISITS = 2**32 + 6  # the stream of random numbers that restarts are drawn from


@dataclass(frozen=True, eq=False)
class Story:
    """A text as numbers, int32 [N], and `words`, what the numbers mean. The most frequent word is number 0."""

    words: tuple[str, ...]
    numbers: np.ndarray

    @cached_property
    def number_of(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words)}

    def contexts(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Every place that has `length` words before it: these words [P, length], and the word that stands there [P]."""
        views = np.lib.stride_tricks.sliding_window_view(self.numbers, length + 1)
        return views[:, :-1], views[:, -1]


@lru_cache(maxsize=32)
def story(name: str, text: str, numbering: str = "occurrence") -> Story:
    """A story by its name; `text` is the id of a person's own. Raises lib.texts.TextError."""
    if name == "own":
        return story_of(texts.load(text), numbering)
    return story_of((FABLES / f"{name}.txt").read_text(encoding="utf-8"), numbering)


def story_of(text: str, numbering: str = "occurrence") -> Story:
    """The words of a text and its marks, each a word of its own. Raises TextError where there are too few or too many.

    `numbering`, one of NUMBERINGS, says which of the words that are equally frequent comes first. In order of occurrence is what
    `collections.Counter.most_common` gives, with which the tutorial numbers its words.
    """
    tokens = vocabulary.tokens(text)
    if not FEWEST_WORDS <= len(tokens) <= MOST_WORDS:
        few = len(tokens) < FEWEST_WORDS
        remedy = "bring a longer one" if few else "the network learns it by heart, so bring a part of it"
        raise texts.TextError(
            f"The text has {len(tokens):,} word{'s' * (len(tokens) != 1)}, and must have {FEWEST_WORDS} to {MOST_WORDS:,}: "
            f"{remedy}."
        )
    counts = Counter(tokens)
    types = sorted(counts) if numbering == "alphabetical" else counts  # which sorting by count leaves in this order
    words = tuple(sorted(types, key=lambda word: -counts[word]))
    place = {word: number for number, word in enumerate(words)}
    numbers = np.array([place[word] for word in tokens], np.int32)
    numbers.setflags(write=False)
    return Story(words, numbers)


def missing(name: str, text: str) -> tuple[str, str] | None:
    """Why a story cannot be used now, and the remedy; None when it can."""
    if name != "own":
        return None
    if not (text and texts.is_kept(text)):
        return "has no text", "bring one, or take our fable"
    try:
        story(name, text)
    except texts.TextError as error:
        return "has a text that cannot be used", str(error)
    return None


def visited(places: int, length: int) -> np.ndarray:
    """How often training comes to each place, in relation, [places] (see `visits`).

    A pass that begins at s visits s, s + length + 1, and so on; of the starts 0 to length + 1, the last is on the first's way.
    """
    often = np.ones(places)
    often[length + 1 :: length + 1] = 2.0
    return often


def visits(words: int, length: int, seed: int, count: int) -> np.ndarray:
    """The places of the first `count` training examples, int64 [count]: where in the story's `words` each context begins.

    As in the tutorial: a place is `length` + 1 words after the one before, and where there a context and the word after it no
    longer fit, or at the start, one of the first `length` + 2 places is drawn (`random.randint(0, n_input + 1)`).
    """
    rng, most = np.random.default_rng([seed, VISITS]), words - length - 1
    found: list[np.ndarray] = []
    have = 0
    while have < count:
        start = min(int(rng.integers(0, length + 2)), most)
        found.append(np.arange(start, most + 1, length + 1))
        have += len(found[-1])
    return np.concatenate(found)[:count]
