"""The story generator's network read in NumPy: the next word after a few others, and whole stories word by word.

Shapes: B contexts of `length` words, V words, N words told.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from demos.story.data import Story
from lib.word_model import BEST, WordModel, best_places, unflat
from lib.word_sampling import Sample

STREAM = 2**32 + 7  # of random numbers, besides the seed
DIARY_WORDS, DIARY_TEMPERATURES = 32, (0.0, 0.7, 1.0)
COLDEST = 1e-3  # a lower temperature is the same as 0


class Reader:
    """A network to read with: every context from a state of zeros.

    `arrays` are its weights by name (see `lib.word_model.flat`), without a seed axis. Where a word is read as its number, the
    number stands in for an embedding.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], words: int) -> None:
        embedding = arrays.get("embedding", np.arange(words, dtype=np.float32)[:, None])
        self._model = WordModel(unflat({**arrays, "embedding": embedding}))

    @classmethod
    def of(cls, model: WordModel) -> "Reader":
        """A reader with a model that is there already."""
        reader = cls.__new__(cls)
        reader._model = model
        return reader

    def logits(self, contexts: np.ndarray) -> np.ndarray:
        """Of the next word, [B, V], after contexts [B, length]."""
        _, hidden = self._model.hidden_states(self._model.zero_state(len(contexts)), np.asarray(contexts).T)
        return self._model.logits(hidden[-1])


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / temperature), [B, V] float64; of temperature 0 all of it is the likeliest word's, the first of equals."""
    if temperature < COLDEST:
        return np.eye(logits.shape[-1])[logits.argmax(axis=-1)]
    scaled = logits.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def tell(
    reader: Reader,
    context: Sequence[int],
    length: int,
    random: np.ndarray,
    temperatures: Sequence[float],
    top_k: int = 0,
) -> tuple[Sample, ...]:
    """Go on after a context, whose last `length` words are read, for as many words as `random` [N] has numbers, 0 <= u < 1.

    It does so at each temperature, in one batch. A word is the first, in the order of the vocabulary, up to which the
    probabilities sum to more than u. The ten `best` are the likeliest words, whatever the temperature.
    """
    told = [list(context) for _ in temperatures]
    found: list[list[tuple[Any, ...]]] = [[] for _ in temperatures]
    for u in random:
        logits = reader.logits(np.array([words[-length:] for words in told]))
        best = best_places(logits, BEST)
        if top_k:
            for row, kept in zip(logits, best_places(logits, top_k), strict=True):
                row[np.setdiff1d(np.arange(len(row)), kept)] = -np.inf
        for i, temperature in enumerate(temperatures):
            p = probabilities(logits[[i]], temperature)[0]
            word = min(int(np.count_nonzero(np.cumsum(p) <= u)), int(np.flatnonzero(p)[-1]))
            told[i].append(word)
            found[i].append((word, p[word], best[i], p[best[i]]))
    return tuple(_sample(text) for text in found)


def _sample(text: Sequence[tuple[Any, ...]]) -> Sample:
    words, probability, best, best_probability = zip(*text, strict=True) if text else ((), (), (), ())
    return Sample(np.array(words, np.int64), np.array(probability), np.array(best), np.array(best_probability))


def guesses(reader: Reader, story: Story, length: int) -> np.ndarray:
    """The likeliest word after every context of the story, [P]."""
    return reader.logits(story.contexts(length)[0]).argmax(axis=-1)


def verbatim(words: Sequence[int] | np.ndarray, other: np.ndarray, shortest: int) -> np.ndarray:
    """Which words of a text [N] stand in a run of `shortest` or more that another text has word for word: bool [N]."""
    found = np.zeros(len(words), bool)
    if min(len(words), len(other)) < shortest:
        return found
    runs = {tuple(run) for run in np.lib.stride_tricks.sliding_window_view(other, shortest).tolist()}
    for i in range(len(words) - shortest + 1):
        if tuple(words[i : i + shortest]) in runs:
            found[i : i + shortest] = True
    return found


def note(reader: Reader, story: Story, length: int, seed: int) -> dict[str, Any]:
    """What the diary keeps of a network: the share of the story that it knows, and what it tells after the first words."""
    known = float((guesses(reader, story, length) == story.contexts(length)[1]).mean())
    random = np.random.default_rng([seed, STREAM]).random(DIARY_WORDS)
    first = story.numbers[:length].tolist()
    prompt = " ".join(story.words[number] for number in first)
    told = tell(reader, first, length, random, DIARY_TEMPERATURES)
    samples = [
        {"prompt": prompt, "temperature": each, "text": " ".join(story.words[number] for number in sample.words)}
        for each, sample in zip(DIARY_TEMPERATURES, told, strict=True)
    ]
    return {"known": round(known, 4), "samples": samples}
