"""What the story generator's accuracy and loss are to be compared with: chance, the text's own ceiling, the tutorial."""

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


class Ambiguous(NamedTuple):
    """A context that is followed by different words."""

    context: tuple[int, ...]
    followers: tuple[tuple[int, int], ...]  # a word and how often it does, the most frequent first


class Ceiling(NamedTuple):
    """The best that anybody can do who sees `length` words: the share of right answers, and the mean loss in nats."""

    accuracy: float
    loss: float
    ambiguous: tuple[Ambiguous, ...]


@lru_cache(maxsize=256)
def ceiling(name: str, text: str, length: int, visited: bool = False) -> Ceiling:
    """Over all places of a story that have a context, each counted once; or, if `visited`, as often as training comes there.

    After a context that is followed by the words w, n_w times each, the best answer is the most frequent of them, and the best
    probabilities are n_w / sum(n); so accuracy = sum(max n_w) / P and loss = -sum(n_w ln(n_w / sum(n))) / P.
    """
    found: dict[tuple[int, ...], dict[int, list[int]]] = {}
    contexts, targets = data.story(name, text).contexts(length)
    for place, (context, word) in enumerate(zip(contexts.tolist(), targets.tolist(), strict=True)):
        found.setdefault(tuple(context), {}).setdefault(word, []).append(place)
    often = data.visited(len(targets), length) if visited else np.ones(len(targets))
    counts = [np.array([often[places].sum() for places in after.values()]) for after in found.values()]
    nats = -sum(float((n * np.log(n / n.sum())).sum()) for n in counts)
    ambiguous = tuple(Ambiguous(context, _sorted(after)) for context, after in found.items() if len(after) > 1)
    right = sum(float(n.max()) for n in counts)
    return Ceiling(right / float(often.sum()), max(0.0, nats / float(often.sum())), ambiguous)


def _sorted(after: dict[int, list[int]]) -> tuple[tuple[int, int], ...]:
    """Words with how often each stands there, the most frequent first."""
    return tuple(sorted(((word, len(places)) for word, places in after.items()), key=lambda each: -each[1]))


def of(config: StoryConfig) -> Ceiling:
    """The ceiling of a config's story and context length, every place counted once."""
    return ceiling(config.story, config.text, config.n_input)


def of_training(config: StoryConfig) -> Ceiling:
    """The same with every place counted as often as training comes there: what accuracy and loss are to be compared with."""
    return ceiling(config.story, config.text, config.n_input, visited=True)


def chance(config: StoryConfig) -> float:
    """The loss of giving every word the same probability, in nats."""
    return math.log(len(data.story(config.story, config.text).words))


def floor(config: StoryConfig) -> float:
    """The mean loss that nobody can go below, in nats."""
    return of_training(config).loss


def learned_below(config: StoryConfig) -> float:
    """The loss at or below which a network counts as knowing the story by heart."""
    return floor(config) + 0.05 * (chance(config) - floor(config))


def explain(config: StoryConfig) -> str:
    """The ceiling in Markdown, with the current numbers."""
    best, trained, story = of(config), of_training(config), data.story(config.story, config.text)
    places = len(story.numbers) - config.n_input
    lines = [
        f"**Chance.** {len(story.words):,} different words, each as likely as any other: a loss of ln {len(story.words):,} = "
        f"{chance(config):.2f} nats.",
        f"**The ceiling.** {places:,} words have a context of {config.n_input}. {len(best.ambiguous):,} contexts are followed by "
        f"different words, so whoever sees no more is right at most {best.accuracy:.2%} of the time, with a loss of "
        f"{best.loss:.3f} nats or more.",
        f"**In training.** Every pass begins at one of the first {config.n_input + 2} places, so every {config.n_input + 1}th "
        f"place is visited twice as often as the others. Counted so, the ceiling is {trained.accuracy:.2%} and the best loss "
        f"{trained.loss:.3f} nats: the lines in the charts.",
    ]
    if config.n_input == 3:
        lines.append(
            f"**The tutorial.** {PUBLISHED[1]:.1%} with one layer and {PUBLISHED[2]:.1%} with two, on another text of 112 words."
        )
    return "\n\n".join(lines)
