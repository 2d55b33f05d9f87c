"""From a text to pairs of shifted sentences of numbers, as in the tutorial (see demos.from_scratch.cutting)."""

import csv
import io
import re
import threading
from collections import Counter, OrderedDict
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from demos.from_scratch import cutting
from demos.from_scratch.cutting import END, LONGEST, START, Cut, Cutting
from demos.ptb import grammar
from lib import texts
from lib.texts import TextError

UNKNOWN = "UNKNOWN_TOKEN"
FEWEST_SENTENCES = 10
HELD_OUT = 100  # sentences at most
MOST_SENTENCES = 80_000  # that are learned: the tutorial's 15,000 comments have 79,170
LONGEST_CSV = 16_000_000  # characters: the tutorial's comments have some ten million
REMEMBERED = 400_000  # sentences of the corpora in memory together: about 200 MB
FABLES = Path(__file__).parent.parent / "gates" / "fables.txt"
NO_TITLE = re.compile(r"[.!?]['\"”’]?$")


class Corpus:
    """Sentences as words, START and END around each, and as numbers: the most frequent word is 0, the last is UNKNOWN.

    `size` limits the vocabulary: the `size` - 1 most frequent words, and UNKNOWN, which stands for all others.
    """

    def __init__(self, written: list[str], sentences: list[list[str]], size: int) -> None:
        self.written = written  # as they stand in the text
        self.sentences = sentences
        self.counts = Counter(word for sentence in sentences for word in sentence).most_common()
        self.words = (*(word for word, _ in self.counts[: size - 1]), UNKNOWN)
        self.numbers = {word: number for number, word in enumerate(self.words)}

    @property
    def known(self) -> float:
        """The share of the text's words that are in the vocabulary."""
        inside = sum(count for _, count in self.counts[: len(self.words) - 1])
        return inside / sum(count for _, count in self.counts)

    @property
    def outside(self) -> list[tuple[str, int]]:
        """The words that UNKNOWN stands for, and how often each comes."""
        return self.counts[len(self.words) - 1 :]

    @cached_property
    def pairs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Each sentence as x and y, int32 [T]: y is x one word on."""
        unknown = self.numbers[UNKNOWN]
        coded = [[self.numbers.get(word, unknown) for word in sentence] for sentence in self.sentences]
        return [(np.array(numbers[:-1], np.int32), np.array(numbers[1:], np.int32)) for numbers in coded]

    def text_of(self, numbers: np.ndarray) -> list[str]:
        """The words of some numbers."""
        return [self.words[number] for number in numbers]


def comments(text: str) -> list[str]:
    """The first column of a CSV file, without its head line. Raises TextError where there is none."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text), skipinitialspace=True) if row and row[0].strip()]
    except csv.Error as error:
        raise TextError(
            f"The text is not a CSV file ({error}): bring one with a comment in its first column."
        ) from None
    if len(rows) < 2:
        raise TextError("The CSV file has no line after its head line: bring one with a comment in its first column.")
    return [row[0] for row in rows[1:]]


def longest(name: str) -> int:
    """The most characters that a text may have which is learned as this corpus."""
    return LONGEST_CSV if name == "csv" else texts.LONGEST


def paragraphs_of(name: str, text: str) -> list[str]:
    """What sentences are looked for in: comments, the fables' lines (titles left out), or what stands between empty lines."""
    if name == "csv":
        return comments(texts.load(text, longest(name)))
    if name == "text":
        return [part for part in re.split(r"\n\s*\n", texts.load(text)) if part.strip()]
    lines = [line.strip() for line in FABLES.read_text(encoding="utf-8").splitlines()]
    return [line.removeprefix("Moral: ") for line in lines if NO_TITLE.search(line)]


_opening, _remembering = threading.Lock(), threading.Lock()


@lru_cache(maxsize=cutting.IN_MEMORY)
def _cutting(name: str, text: str) -> Cutting:
    return Cutting(lambda: paragraphs_of(name, text), text, name)


def cut(name: str, text: str, count: int) -> Cut:
    """The first `count` sentences of a corpus, or all, from START to END each. Raises TextError where there are few."""
    if name == "grammar":
        tokens = list(islice((words for words in grammar.split("train") if len(words) <= LONGEST), count))
        return Cut([" ".join(words) for words in tokens], [[START, *words, END] for words in tokens])
    with _opening:  # or else two who ask at once would both cut it
        cutting_of_it = _cutting(name, text)
    found = cutting_of_it.first(count)
    if len(found.written) < FEWEST_SENTENCES:
        raise TextError(
            f"The text has {len(found.written):,} sentences of up to {LONGEST} words, and needs {FEWEST_SENTENCES} or more: "
            "bring a longer one, whose sentences end with . ! or ?"
        )
    return found


_remembered: OrderedDict[tuple[str, str, int, int], Corpus] = OrderedDict()  # those used last are last


def corpus(name: str, text: str, sentences: int, vocabulary: int) -> Corpus:
    """The first `sentences` sentences of a corpus, in at most `vocabulary` words. Raises TextError."""
    key = (name, text, sentences, vocabulary)
    with _remembering:
        if key in _remembered:
            _remembered.move_to_end(key)
            return _remembered[key]
    made = Corpus(*cut(name, text, sentences), vocabulary)
    with _remembering:
        made = _remembered.setdefault(key, made)
        while len(_remembered) > 1 and sum(len(each.written) for each in _remembered.values()) > REMEMBERED:
            _remembered.popitem(last=False)
    return made


@lru_cache(maxsize=32)
def held_out(name: str, text: str, sentences: int, vocabulary: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The next sentences of the text, up to 100, which are not learned from, in the same words; none where there are no more."""
    found, known = cut(name, text, sentences + HELD_OUT), corpus(name, text, sentences, vocabulary)
    rest = Corpus(found.written[sentences:], found.sentences[sentences:], vocabulary)
    rest.words, rest.numbers = known.words, known.numbers
    return rest.pairs


def missing(name: str, text: str) -> tuple[str, str] | None:
    """Why a corpus cannot be used, and the remedy; None when it can."""
    if name not in ("text", "csv"):
        return None
    if not (text and texts.is_kept(text)):
        return "has no text", "bring one, or take our fables"
    try:
        _check(name, text)
    except TextError as error:
        return "has a text that cannot be used", str(error)
    return None


@lru_cache(maxsize=1024)
def _check(name: str, text: str) -> None:
    """Raises TextError for a kept text that cannot be used. One that can is not cut again for it."""
    cut(name, text, FEWEST_SENTENCES)


def padded(pairs: list[tuple[np.ndarray, np.ndarray]], rows: int, length: int) -> dict[str, np.ndarray]:
    """Sentences as arrays [rows, length] for compiled code: `x`, `y`, and `scored`, 1 at real words. Rows may be left over."""
    found = {name: np.zeros((rows, length), np.int32) for name in ("x", "y")}
    scored = np.zeros((rows, length), np.float32)
    for row, (x, y) in enumerate(pairs):
        found["x"][row, : len(x)], found["y"][row, : len(y)], scored[row, : len(x)] = x, y, 1
    return found | {"scored": scored}
