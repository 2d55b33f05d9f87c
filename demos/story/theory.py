"""What the story generator's accuracy and loss are to be compared with: chance, the text's own bounds, the tutorial.

The story is learned by heart and there is no other text to measure on. That makes the bound exact all the same: the network
reads `length` words from a state of zeros, so it says the same after the same words wherever they stand, and no memory of the
text tells it which of two followers comes. It is a bound of the mean over all places, as often as training visits them; the
last 100 steps are a sample of these, and `sampling_error` is how far the sample may lie from the mean.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from demos.story import data
from demos.story.config import StoryConfig
from lib.theory import Boundary

# Atienza, "LSTM by example using TensorFlow" (2017), on a text of 112 different words: average accuracy over 1,000 iterations.
PUBLISHED = {1: 0.906, 2: 0.952}
BOUNDARIES: tuple[Boundary, ...] = ()
BOUND = "of the mean over all places, of which the last 100 steps are a sample"
STRETCHES, STREAM = 100, 2**32 + 9  # of steps whose means are compared; a stream of random numbers of its own
AVERAGED = 10  # times 100 steps: what the accuracy is a mean of
LEARNED = 0.02  # of the way from the bound to chance


class Ambiguous(NamedTuple):
    """A context that is followed by different words."""

    context: tuple[int, ...]
    followers: tuple[tuple[int, int], ...]  # a word and how often it does, the most frequent first


class Ceiling(NamedTuple):
    """The best that a network can do that reads `length` words: the share of right answers, and the mean loss in nats."""

    accuracy: float
    loss: float
    ambiguous: tuple[Ambiguous, ...]


@lru_cache(maxsize=256)
def ceiling(name: str, text: str, length: int, visited: bool = False, numbering: str = "occurrence") -> Ceiling:
    """Over all places of a story that have a context, each counted once; or, if `visited`, as often as training comes there.

    Only which numbers `ambiguous` has for its words depends on the `numbering`.
    After a context that is followed by the words w, n_w times each, the best answer is the most frequent of them, and the best
    probabilities are n_w / sum(n); so accuracy = sum(max n_w) / P and loss = -sum(n_w ln(n_w / sum(n))) / P.
    """
    found = _followers(name, text, length, numbering)
    places = len(data.story(name, text).numbers) - length
    often = data.visited(places, length) if visited else np.ones(places)
    counts = [np.array([often[places].sum() for places in after.values()]) for after in found.values()]
    nats = -sum(float((n * np.log(n / n.sum())).sum()) for n in counts)
    ambiguous = tuple(Ambiguous(context, _sorted(after)) for context, after in found.items() if len(after) > 1)
    right = sum(float(n.max()) for n in counts)
    return Ceiling(right / float(often.sum()), max(0.0, nats / float(often.sum())), ambiguous)


def _followers(
    name: str, text: str, length: int, numbering: str = "occurrence"
) -> dict[tuple[int, ...], dict[int, list[int]]]:
    """Of each context the words that follow it, and at which places each does."""
    found: dict[tuple[int, ...], dict[int, list[int]]] = {}
    contexts, targets = data.story(name, text, numbering).contexts(length)
    for place, (context, word) in enumerate(zip(contexts.tolist(), targets.tolist(), strict=True)):
        found.setdefault(tuple(context), {}).setdefault(word, []).append(place)
    return found


class Sampling(NamedTuple):
    """Standard errors: by how much the means of what training visits last vary, for a network that is as good as can be."""

    accuracy: float  # of 1,000 steps
    loss: float  # of 100 steps, nats


@lru_cache(maxsize=256)
def _sampling(name: str, text: str, length: int, batch_size: int) -> Sampling:
    words = len(data.story(name, text).numbers)
    often = data.visited(words - length, length)
    nats, right = np.zeros(words - length), np.zeros(words - length)
    for after in _followers(name, text, length).values():
        counts = {word: often[places].sum() for word, places in after.items()}
        best = max(counts, key=lambda word: counts[word])
        for word, places in after.items():
            nats[places] = -math.log(counts[word] / sum(counts.values()))
            right[places] = word == best
    stretch = 100 * batch_size
    seen = data.visits(words, length, STREAM, STRETCHES * stretch).reshape(STRETCHES, stretch)
    accuracy, loss = (float(each[seen].mean(axis=1).std(ddof=1)) for each in (right, nats))
    return Sampling(accuracy / math.sqrt(AVERAGED), loss)


def sampling_error(config: StoryConfig) -> Sampling:
    """How far a sample of the places lies from the mean over all, measured on stretches of training's own order of visits."""
    return _sampling(config.story, config.text, config.n_input, config.batch_size)


def of_noise(config: StoryConfig, loss: float) -> str:
    """Where a loss is below the bound, by how many standard errors of what was visited; else ""."""
    below, error = floor(config) - loss, sampling_error(config).loss
    if below <= 0 or not error:
        return ""
    size = f"{below:.2g} below the bound, {below / error:.1f} times the standard error {error:.2g} of such a sample"
    return f"That is {size}: the last 100 steps visited {100 * config.batch_size:,} places, the bound is of the mean over all."


def _sorted(after: dict[int, list[int]]) -> tuple[tuple[int, int], ...]:
    """Words with how often each stands there, the most frequent first."""
    return tuple(sorted(((word, len(places)) for word, places in after.items()), key=lambda each: -each[1]))


def of(config: StoryConfig) -> Ceiling:
    """The ceiling of a config's story and context length, every place counted once."""
    return ceiling(config.story, config.text, config.n_input, numbering=config.numbering)


def of_training(config: StoryConfig) -> Ceiling:
    """Every place counted as often as training comes there: what accuracy and loss are to be compared with."""
    return ceiling(config.story, config.text, config.n_input, visited=True, numbering=config.numbering)


def chance(config: StoryConfig) -> float:
    """The loss of giving every word the same probability, in nats."""
    return math.log(len(config.numbered.words))


def floor(config: StoryConfig) -> float:
    """The lower bound of the mean loss, in nats: of any network that reads these words from a state of zeros.

    The last 100 steps of a run lie around their mean by `sampling_error`.
    """
    return of_training(config).loss


def learned_below(config: StoryConfig) -> float:
    """The loss at or below which a network counts as knowing the story: nearly all that its contexts can tell."""
    return floor(config) + LEARNED * (chance(config) - floor(config))


def explain(config: StoryConfig) -> str:
    """The bounds in Markdown, with the current numbers."""
    best, trained, story = of(config), of_training(config), config.numbered
    places, error = len(story.numbers) - config.n_input, sampling_error(config)
    lines = [
        f"**Chance.** {len(story.words):,} different words, each as likely as any other: a loss of ln {len(story.words):,} = "
        f"{chance(config):.2f} nats.",
        f"**The lower bound.** {places:,} words have a context of {config.n_input}. {len(best.ambiguous):,} contexts are "
        "followed by "
        f"different words. The network's state is zero before each context, so after the same words it always says the same: at "
        f"most {best.accuracy:.2%} of the words are right, and the mean loss is {best.loss:.3f} nats or more. The text is read "
        "over and over, so the bound holds for what is learned by heart; a new text would be another matter.",
        f"**In training.** Every pass begins at one of the first {config.n_input + 2} places, so every {config.n_input + 1}th "
        f"place is visited twice as often as the others. Counted so, the highest accuracy is {trained.accuracy:.2%} and the "
        f"lower bound {trained.loss:.3f} nats: the lines in the charts.",
        f"**Sampling.** These are means over all places. The last 100 steps visit {100 * config.batch_size:,} of them, which "
        "makes "
        f"even the best possible loss vary by {error.loss:.2g} (one standard error); over the last 1,000 steps, the accuracy "
        f"varies by {error.accuracy:.2%}. A run that ends beyond a line by up to three times as much shows nothing else.",
    ]
    if config.n_input == 3:
        lines.append(
            f"**The tutorial.** {PUBLISHED[1]:.1%} with one layer and {PUBLISHED[2]:.1%} with two, on another text of 112 words."
        )
    return "\n\n".join(lines)
