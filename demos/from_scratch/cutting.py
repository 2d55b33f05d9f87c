"""A text cut into sentences and these into words, as in the tutorial: both by NLTK.

NLTK's sentence splitter needs no download here, because it is trained on the text itself (Kiss & Strunk, "Unsupervised
multilingual sentence boundary detection", 2006), and its word tokenizer is a list of rules.

Fifteen thousand comments are cut in some 20 seconds. So a text is cut from its start only as far as somebody needs it, and what
is cut is kept on the disk, for the other processes of this machine and for the next start.
"""

import sys
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from typing import Any, NamedTuple

from lib import texts

START, END = "SENTENCE_START", "SENTENCE_END"
LONGEST = 60  # words; longer sentences are left out, because each costs as much as the longest where all are padded
TRAINED_ON = (
    1_000_000  # characters of a text that the splitter is trained on: 2 s and 20 MB, of ten million 23 s and 500 MB
)
AT_LEAST = 1_000  # sentences that are cut where more are needed
IN_MEMORY = 4  # texts; one of 80,000 sentences has about 50 MB
VERSION = f"cut 1, {LONGEST} words, {TRAINED_ON} characters, NLTK {version('nltk')}"  # what is kept depends on


class Cut(NamedTuple):
    """Sentences as written, and the words of each from START to END."""

    written: list[str]
    sentences: list[list[str]]


class Cutting:
    """The sentences of a text, cut as far as somebody has needed them. `paragraphs` gives what they are looked for in."""

    def __init__(self, paragraphs: Callable[[], list[str]], text_id: str = "", kind: str = "") -> None:
        """With a kept text's `text_id`, what was cut before is on the disk; `kind` tells apart what it was cut as."""
        self._paragraphs, self._text_id, self._kind = paragraphs, text_id, f"{kind}.cut"
        self._unread = bool(text_id)
        self._cut, self._done = Cut([], []), 0  # paragraphs; -1 when all are
        self._left: list[str] | None = None  # all paragraphs, once they are needed
        self._splitter: Any = None
        self._lock = threading.Lock()

    def first(self, count: int) -> Cut:
        """The first `count` sentences of up to LONGEST words, or all where there are fewer. Raises TextError."""
        with self._lock:
            if self._unread:
                self._read()
            if len(self._cut.written) < count and self._done >= 0:
                self._go_on(max(count, len(self._cut.written) + AT_LEAST))
            return Cut(self._cut.written[:count], self._cut.sentences[:count])

    def _go_on(self, count: int) -> None:
        """Cut paragraphs until there are `count` sentences."""
        if self._left is None:
            self._left = self._paragraphs()
            self._splitter = splitter(self._left)
        while self._done < len(self._left) and len(self._cut.written) < count:
            for sentence in sentences_of(self._left[self._done], self._splitter):
                self._add(sentence, words_of(sentence))
            self._done += 1
            time.sleep(0)  # another thread that waits for the interpreter, such as a visitor's page, gets it now
        if self._done == len(self._left):
            self._done, self._left, self._splitter = -1, None, None
        if self._text_id:
            lines = [f"{written}\t{' '.join(words[1:-1])}" for written, words in zip(*self._cut, strict=True)]
            texts.keep_beside(self._text_id, self._kind, "\n".join([f"{VERSION}\t{self._done}", *lines]))

    def _add(self, written: str, words: list[str]) -> None:
        if 0 < len(words) <= LONGEST:
            self._cut.written.append(written)
            self._cut.sentences.append([START, *map(sys.intern, words), END])  # a word that comes again takes no room

    def _read(self) -> None:
        """Take what was cut before, if this version of the code has cut it."""
        self._unread = False
        head, *lines = (texts.beside(self._text_id, self._kind) or "").split("\n")
        cut_by, _, done = head.partition("\t")
        if cut_by == VERSION:
            self._done = int(done)
            for line in lines:
                written, _, words = line.partition("\t")
                self._add(written, words.split(" "))


def splitter(paragraphs: list[str]) -> Any:
    """A Punkt model that is trained on just these, or on as many of the first as have TRAINED_ON characters."""
    from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer

    trainer = PunktTrainer()
    trainer.train("\n\n".join(paragraphs)[:TRAINED_ON], finalize=True)
    return PunktSentenceTokenizer(trainer.get_params())


def sentences_of(paragraph: str, model: Any) -> list[str]:
    """The sentences of a paragraph, split by a Punkt model, with single spaces between their words."""
    return [" ".join(sentence.split()) for sentence in model.tokenize(paragraph)]


def words_of(sentence: str) -> list[str]:
    """The words of a sentence in lower case, as the rules of the Penn Treebank cut them: don't -> do n't."""
    return _word_tokenizer().tokenize(sentence.lower())


@lru_cache(maxsize=1)
def _word_tokenizer() -> Any:
    from nltk.tokenize.destructive import NLTKWordTokenizer

    return NLTKWordTokenizer()
