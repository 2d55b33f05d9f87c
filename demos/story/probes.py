"""What a network knows of its story, measured in NumPy on all places that have a context.

Shapes: P places, V words, N words told.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from demos.story import data, reading, theory, words
from demos.story.config import StoryConfig
from lib.word_model import WordModel

TOLD = 400  # words: more than twice any of our stories


class Known(NamedTuple):
    """What a network says at each place: the contexts [P, length], the words there [P], all probabilities float64 [P, V]."""

    contexts: np.ndarray
    targets: np.ndarray
    probabilities: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Where the likeliest word is the one that stands there, bool [P]."""
        found: np.ndarray = self.probabilities.argmax(axis=-1) == self.targets
        return found

    @property
    def best(self) -> np.ndarray:
        """The probability of the likeliest word, [P]."""
        found: np.ndarray = self.probabilities.max(axis=-1)
        return found


def reader_of(leaves: Mapping[str, np.ndarray], config: StoryConfig) -> reading.Reader:
    """The network of a run. Raises LookupError where its weights are not there, ValueError where they are not finite."""
    network = words.network_of(leaves, config)
    if network is None:
        raise LookupError("the run has no weights")
    return reading.Reader.of(WordModel(network))


def known(reader: reading.Reader, config: StoryConfig) -> Known:
    """The network at every place of its story."""
    contexts, targets = config.numbered.contexts(config.n_input)
    return Known(contexts, targets, reading.probabilities(reader.logits(contexts), 1.0))


def from_counts(found: Known, config: StoryConfig) -> np.ndarray:
    """How far the probabilities lie from the shares with which words follow, at each place with an ambiguous context.

    It is the total variation, half the sum of the differences: 0 where they are the same, 1 where they have nothing in common.
    Each place counts as often as training comes there.
    """
    often = data.visited(len(found.targets), config.n_input)
    distances = []
    for each in theory.of(config).ambiguous:
        here = (found.contexts == each.context).all(axis=-1)
        shares = np.bincount(found.targets[here], often[here], found.probabilities.shape[-1]) / often[here].sum()
        distances.append(0.5 * np.abs(found.probabilities[here][0] - shares).sum())
    return np.array(distances)


class Told(NamedTuple):
    """What a network tells at temperature 0 after the story's first words, int [N], and what becomes of it.

    `leaves` is the first place at which it is not the story, `circle` after how many words it comes again without end (0: not
    within what was told), `follows` whether each word follows the words before it somewhere in the story [N].
    """

    words: np.ndarray
    leaves: int
    circle: int
    follows: np.ndarray


def told(reader: reading.Reader, config: StoryConfig) -> Told:
    """Tell the story from its first words, always the likeliest word next."""
    story, n = config.numbered, config.n_input
    first = story.numbers[:n].tolist()
    (sample,) = reading.tell(reader, first, n, np.full(TOLD, 0.5), [0.0])
    said, rest = sample.words, story.numbers[n:]
    other = np.flatnonzero(said[: len(rest)] != rest[:TOLD])
    views = np.lib.stride_tricks.sliding_window_view(np.array([*first, *said]), n + 1).tolist()
    runs = {tuple(run) for run in np.lib.stride_tricks.sliding_window_view(story.numbers, n + 1).tolist()}
    contexts = [tuple(view[:n]) for view in views]
    again = (back for back in range(1, TOLD) if contexts[-1 - back] == contexts[-1])
    follows = np.array([tuple(view) in runs for view in views])
    return Told(said, int(other[0]) if len(other) else len(rest), next(again, 0), follows)


def nearness(reader: reading.Reader, config: StoryConfig) -> float:
    """How near neighbours in the list of words are: the distance between what the network makes of two contexts whose last words
    are neighbours in the vocabulary, as a share of that of any two last words. 1 where neighbours mean nothing.

    What it makes of a context are its logits, [V].
    """
    story, found = config.numbered, []
    size = len(story.words)
    for context in story.contexts(config.n_input)[0][:: max(1, len(story.numbers) // 12)]:
        contexts = np.repeat(context[None], size, axis=0)
        contexts[:, -1] = np.arange(size)
        logits = reader.logits(contexts)
        apart = np.linalg.norm(logits[:, None] - logits[None], axis=-1)
        found.append(np.diagonal(apart, 1).mean() / apart[np.triu_indices(size, 1)].mean())
    return float(np.mean(found))
