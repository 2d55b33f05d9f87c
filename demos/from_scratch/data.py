"""From a text to pairs of shifted sentences of numbers, as in the tutorial: sentences and words by NLTK.

NLTK's sentence splitter needs no download here, because it is trained on the text itself (Kiss & Strunk, "Unsupervised
multilingual sentence boundary detection", 2006), and its word tokenizer is a list of rules.
"""

import csv
import io
import re
from collections import Counter
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from demos.ptb import grammar
from lib import texts
from lib.texts import TextError

UNKNOWN, START, END = "UNKNOWN_TOKEN", "SENTENCE_START", "SENTENCE_END"
LONGEST = (
    60  # words; longer sentences are left out, because every one costs as much as the longest where all are padded
)
FEWEST_SENTENCES = 10
HELD_OUT = 100  # sentences at most
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

    @cached_property
    def pairs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Each sentence as x and y, int32 [T]: y is x one word on."""
        unknown = self.numbers[UNKNOWN]
        coded = [[self.numbers.get(word, unknown) for word in sentence] for sentence in self.sentences]
        return [(np.array(numbers[:-1], np.int32), np.array(numbers[1:], np.int32)) for numbers in coded]

    def text_of(self, numbers: np.ndarray) -> list[str]:
        """The words of some numbers."""
        return [self.words[number] for number in numbers]


class Cut(NamedTuple):
    """Sentences as written, and the words of each."""

    written: list[str]
    sentences: list[list[str]]


def sentences_of(paragraphs: list[str]) -> list[str]:
    """The sentences of paragraphs, split by a Punkt model that is trained on just these."""
    from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer

    trainer = PunktTrainer()
    trainer.train("\n\n".join(paragraphs), finalize=True)
    splitter = PunktSentenceTokenizer(trainer.get_params())
    return [" ".join(sentence.split()) for paragraph in paragraphs for sentence in splitter.tokenize(paragraph)]


def words_of(sentence: str) -> list[str]:
    """The words of a sentence in lower case, as the rules of the Penn Treebank cut them: don't -> do n't."""
    from nltk.tokenize.destructive import NLTKWordTokenizer

    return NLTKWordTokenizer().tokenize(sentence.lower())


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


def paragraphs_of(name: str, text: str) -> list[str]:
    """What sentences are looked for in: comments, the fables' lines (titles left out), or what stands between empty lines."""
    if name == "csv":
        return comments(texts.load(text))
    if name == "text":
        return [part for part in re.split(r"\n\s*\n", texts.load(text)) if part.strip()]
    lines = [line.strip() for line in FABLES.read_text(encoding="utf-8").splitlines()]
    return [line.removeprefix("Moral: ") for line in lines if NO_TITLE.search(line)]


@lru_cache(maxsize=16)
def cut(name: str, text: str) -> Cut:
    """A corpus as sentences of words, the tokens of start and end around each. Raises TextError."""
    if name == "grammar":
        tokens = [list(sentence) for sentence in islice(grammar.split("train"), 5_000)]
        written = [" ".join(sentence) for sentence in tokens]
    else:
        written = sentences_of(paragraphs_of(name, text))
        tokens = [words_of(sentence) for sentence in written]
    kept = [i for i, words in enumerate(tokens) if 0 < len(words) <= LONGEST]
    if len(kept) < FEWEST_SENTENCES:
        raise TextError(
            f"The text has {len(kept):,} sentences of up to {LONGEST} words, and needs {FEWEST_SENTENCES} or more: "
            "bring a longer one, whose sentences end with . ! or ?"
        )
    return Cut([written[i] for i in kept], [[START, *tokens[i], END] for i in kept])


@lru_cache(maxsize=32)
def corpus(name: str, text: str, sentences: int, vocabulary: int) -> Corpus:
    """The first `sentences` sentences of a corpus, in at most `vocabulary` words. Raises TextError."""
    found = cut(name, text)
    return Corpus(found.written[:sentences], found.sentences[:sentences], vocabulary)


@lru_cache(maxsize=32)
def held_out(name: str, text: str, sentences: int, vocabulary: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The next sentences of the text, up to 100, which are not learned from, in the same words; none where there are no more."""
    found, known = cut(name, text), corpus(name, text, sentences, vocabulary)
    after = slice(sentences, sentences + HELD_OUT)
    rest = Corpus(found.written[after], found.sentences[after], vocabulary)
    rest.words, rest.numbers = known.words, known.numbers
    return rest.pairs


def missing(name: str, text: str) -> tuple[str, str] | None:
    """Why a corpus cannot be used, and the remedy; None when it can."""
    if name not in ("text", "csv"):
        return None
    if not (text and texts.is_kept(text)):
        return "has no text", "bring one, or take our fables"
    try:
        cut(name, text)
    except TextError as error:
        return "has a text that cannot be used", str(error)
    return None


def padded(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """All sentences as arrays [N, T] for compiled code, T being the longest's words: `x`, `y`, and `scored`, 1 at real words."""
    length = max(len(x) for x, _ in pairs)
    found = {name: np.zeros((len(pairs), length), np.int32) for name in ("x", "y")}
    scored = np.zeros((len(pairs), length), np.float32)
    for row, (x, y) in enumerate(pairs):
        found["x"][row, : len(x)], found["y"][row, : len(y)], scored[row, : len(x)] = x, y, 1
    return found | {"scored": scored}
