"""The corpora that a language model is trained on, as numbers of words, and how they become windows."""

from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from demos.ptb import grammar
from lib import corpora, texts, vocabulary
from lib.vocabulary import Corpus

Part = Literal["train", "valid", "test"]
# Known beforehand, so that a page need not read the corpus to say how long a run is.
PTB_TRAINING_WORDS, PTB_VOCABULARY = 929_589, 10_000
VALID_ROWS, TEST_WINDOW = 20, 64
RECORDINGS = Path(__file__).parent / "recorded"


def corpus(name: str, text: str) -> Corpus:
    """A corpus by its name; `text` is the id of a person's own. Raises lib.corpora.CorpusError, lib.texts.TextError."""
    if name == "ptb":
        return vocabulary.ptb()
    return _grammar() if name == "grammar" else _own(text)


@cache
def _grammar() -> Corpus:
    return vocabulary.from_sentences(grammar.split("train"), grammar.split("valid"), grammar.split("test"))


@lru_cache(maxsize=32)
def _own(text: str) -> Corpus:
    return vocabulary.own_text(texts.load(text))


def missing(name: str, text: str) -> tuple[str, str] | None:
    """Why a corpus cannot be used now, and the remedy; None when it can."""
    if name == "ptb" and not corpora.is_here():
        return "is not on this server", "fetch it or bring its archive, or take our grammar"
    if name == "text" and not (text and texts.is_kept(text)):
        return "has no text", "bring one, or take our grammar"
    if name == "text":
        try:
            corpus(name, text)
        except texts.TextError as error:
            return "has a text that cannot be used", str(error)
    return None


def words_of_training(name: str, text: str) -> int:
    """How many words a corpus has to train on, `<eos>` included."""
    return PTB_TRAINING_WORDS if name == "ptb" else len(corpus(name, text).train)


def vocabulary_size(name: str, text: str) -> int:
    """How many different words a corpus has."""
    return PTB_VOCABULARY if name == "ptb" else len(corpus(name, text).words)


def training_windows(words: np.ndarray, rows: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    """A text as windows [W, T, B] and the word that comes next at each place. A short one is repeated until it fills one."""
    least = rows * (window + 1)
    words = np.resize(words, max(least, len(words)))
    series = words[: len(words) // rows * rows].reshape(rows, -1)
    count = (series.shape[1] - 1) // window
    cut = [series[:, shift : shift + count * window] for shift in (0, 1)]
    inputs, targets = (np.ascontiguousarray(part.reshape(rows, count, window).transpose(1, 2, 0)) for part in cut)
    return inputs, targets


def held_out_windows(words: np.ndarray, rows: int, window: int) -> dict[str, np.ndarray]:
    """A text to be measured on, as windows of `inputs`, `targets` int32 and `scored` float32 [W, T, rows].

    Every word is read: the text follows an `<eos>`, and what does not fill the last window is not scored.
    """
    length = -(-len(words) // rows)
    count = -(-length // window)
    padded = np.full(rows * length, words[-1], np.int32)
    padded[: len(words)] = words
    scored = (np.arange(rows * length) < len(words)).astype(np.float32)
    before = np.concatenate([words[-1:], padded[:-1]])

    def cut(flat: np.ndarray) -> np.ndarray:
        filled = np.zeros((rows, count * window), flat.dtype)
        filled[:, :length] = flat.reshape(rows, length)
        return np.ascontiguousarray(filled.reshape(rows, count, window).transpose(1, 2, 0))

    return {"inputs": cut(before), "targets": cut(padded), "scored": cut(scored)}


PROMPTS = {"grammar": ((), ("the", "dogs"), ("either",)), "ptb": ((), ("the", "company"), ("in", "new", "york"))}


def prompts(name: str, corpus: Corpus) -> list[tuple[str, ...]]:
    """The beginnings that a network continues after every epoch; of a person's text, how its sentences begin."""
    own = [corpus.words[number] for number in corpus.train[:3]]
    found = PROMPTS.get(name, ((), tuple(own[:1]), tuple(own)))
    return [prompt for prompt in found if all(word in corpus.numbers for word in prompt)]
