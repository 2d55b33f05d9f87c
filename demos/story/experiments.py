"""The story page's guided experiments. Claims are checked on what the run measured and on its network."""

import math
from collections.abc import Callable

import numpy as np

from demos.story import data, probes, reading, theory
from demos.story.config import StoryConfig
from lib.lessons import Choice, Claim, Experiment, Finding, Measure, Results

_BEST_OF_ONE = theory.ceiling(data.DEFAULT, "", 1, visited=True).loss
_OF_THREE = theory.ceiling(data.DEFAULT, "", 3)
_PLACES = len(data.story(data.DEFAULT, "").numbers) - 3
_MOST = round(_OF_THREE.accuracy * _PLACES)


def _read(check: Callable[[reading.Reader, StoryConfig], Finding]) -> Callable[[Results], Finding]:
    """A check on a run's network, which may have no weights, or ones that are not finite."""

    def on(results: Results) -> Finding:
        try:
            return check(probes.reader_of(results.leaves, results.config), results.config)
        except (LookupError, ValueError) as error:
            return Finding(f"not measured: {error}", False)

    return on


def _number(read: Callable[[reading.Reader, StoryConfig], float]) -> Callable[[Results], float]:
    """A number of a run's network, NaN where there is none to read."""

    def of(results: Results) -> float:
        try:
            return read(probes.reader_of(results.leaves, results.config), results.config)
        except (LookupError, ValueError):
            return math.nan

    return of


def _not_below(results: Results) -> Finding:
    """Whether the loss is not below the bound by more than three standard errors."""
    loss, bound = float(np.median(results.finals)), theory.floor(results.config)
    error = theory.sampling_error(results.config).loss
    return Finding(f"{loss:.3f}, bound {bound:.3f} ± {error:.3f}", loss > bound - 3 * error)


@_read
def _as_counted(reader: reading.Reader, config: StoryConfig) -> Finding:
    apart = probes.from_counts(probes.known(reader, config), config)
    return Finding(f"{apart.mean():.2f} apart on average, of 1 at most", bool(apart.mean() < 0.2))


@_read
def _sure_elsewhere(reader: reading.Reader, config: StoryConfig) -> Finding:
    found = probes.known(reader, config)
    ambiguous = np.array([each.context for each in theory.of(config).ambiguous])
    clear = ~(found.contexts[:, None] == ambiguous[None]).all(axis=-1).any(axis=-1)
    own = found.probabilities[np.arange(len(found.targets)), found.targets][clear].mean()
    return Finding(f"{own:.3f} on average", bool(own > 0.95))


def _voice(reader: reading.Reader, config: StoryConfig) -> float:
    """The probability of "voice" after: " said the."""
    story = config.numbered
    try:
        context = [story.number_of[word] for word in ('"', "said", "the")]
        return float(reading.probabilities(reader.logits(np.array([context])), 1.0)[0, story.number_of["voice"]])
    except KeyError:
        return math.nan


def _end(reader: reading.Reader, config: StoryConfig) -> float:
    """0 where it tells the whole story, 1 where it goes in a circle, 2 where words come that do not follow there."""
    told = probes.told(reader, config)
    if told.leaves >= len(config.numbered.numbers) - config.n_input:
        return 0.0
    return 1.0 if told.circle and told.follows[-told.circle :].all() else 2.0


@_read
def _follows(reader: reading.Reader, config: StoryConfig) -> Finding:
    told = probes.told(reader, config)
    return Finding(f"{told.follows.mean():.0%} of {len(told.words)} words", bool(told.follows.mean() > 0.97))


@_read
def _leaves(reader: reading.Reader, config: StoryConfig) -> Finding:
    told, story = probes.told(reader, config), config.numbered
    context = tuple(story.numbers[told.leaves : told.leaves + config.n_input].tolist())
    said = " ".join(story.words[number] for number in context)
    return Finding(f"after “{said}”", context in {each.context for each in theory.of(config).ambiguous})


@_read
def _circle(reader: reading.Reader, config: StoryConfig) -> Finding:
    circle = probes.told(reader, config).circle
    return Finding(f"every {circle} words" if circle else "not within 400 words", circle > 0)


@_read
def _neighbours(reader: reading.Reader, config: StoryConfig) -> Finding:
    near = probes.nearness(reader, config)
    return Finding(f"{near:.2f} times as far apart", near < 0.5)


@_read
def _unsure_though_right(reader: reading.Reader, config: StoryConfig) -> Finding:
    found = probes.known(reader, config)
    best = found.best[found.right].mean()
    return Finding(f"{best:.2f} on average", bool(best < 0.9))


@_read
def _sure_though_wrong(reader: reading.Reader, config: StoryConfig) -> Finding:
    found = probes.known(reader, config)
    best = found.best[~found.right].mean()
    return Finding(f"{best:.2f} on average", bool(best > 0.8))


@_read
def _knows_some(reader: reading.Reader, config: StoryConfig) -> Finding:
    right = probes.known(reader, config).right.mean()
    return Finding(f"{right:.0%} of the words", bool(right > 0.35))


def _above_bound(results: Results) -> Finding:
    ratio = float(np.median(results.finals)) / theory.floor(results.config)
    return Finding(f"{ratio:.1f} times", ratio > 1.7)


_WORDS_KNOWN = Measure(
    "The share of words that it knows", "%",
    _number(lambda reader, config: 100 * float(probes.known(reader, config).right.mean())),
)  # fmt: skip

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        "one-word",
        "One word is not enough",
        "The network sees a single word and must say the next. After “the” come many words, so not all can be predicted: "
        f"the lower bound of the mean loss is {_BEST_OF_ONE:.2f} nats. Where does it end?",
        StoryConfig(n_input=1, iterations=1_000),
        (
            Choice("below that: it remembers what came before", 0, _BEST_OF_ONE - 0.15),
            Choice("about there", _BEST_OF_ONE - 0.15, _BEST_OF_ONE + 0.25),
            Choice("far above it", _BEST_OF_ONE + 0.25, math.inf),
        ),
        1,
        (
            Claim("It does not end below the bound by more than sampling error.", _not_below),
            Claim(
                "After words that different words follow, its probabilities are near the shares with which they do.",
                _as_counted,
            ),
        ),
        "Its state is set to zero before every context, so one word is all that it has. The likeliest way to answer is then with "
        "the shares with which words follow, and it comes near them. “Ambiguous contexts” lists them.",
    ),
    Experiment(
        "doubt",
        "Three voices",
        'In the fable, `" said the` is followed by “voice” twice and by “bear” once. The network has learned all of it by heart. '
        "How likely does it take “voice” to be there?",
        StoryConfig(),
        (
            Choice("it has decided: above 85 %", 0.85, math.inf),
            Choice("about two in three", 0.55, 0.85),
            Choice("it cannot tell: 55 % or less", 0, 0.55),
        ),
        1,
        (
            Claim(
                "In all ambiguous contexts, its probabilities are near the shares with which words follow.", _as_counted
            ),
            Claim("Where only one word can follow, it gives that word nearly all of the probability.", _sure_elsewhere),
        ),
        "The loss -ln p is lowest on average where p is the share with which a word follows (Shannon 1948; Cover & Thomas 2006, "
        "theorem 2.6.3), so to learn by heart here is to learn shares. It is sure where one can be, and not where one cannot.",
        Measure("The probability of “voice”", "", _number(_voice)),
    ),
    Experiment(
        "circle",
        "Always the likeliest word",
        f"Now it tells the story, from its first three words, always with the likeliest word. It can know {_MOST} of the fable's "
        f"{_PLACES} words. What do you hear?",
        StoryConfig(),
        (
            Choice("the whole fable, with a wrong word here and there", 0, 0.5),
            Choice("a piece of the fable, again and again", 0.5, 1.5),
            Choice("more and more words that do not follow there", 1.5, math.inf),
        ),
        1,
        (
            Claim("It leaves the fable at an ambiguous context:", _leaves),
            Claim("Each word that it says follows its three words somewhere in the fable:", _follows),
            Claim("From some word on, the same words come again and again:", _circle),
        ),
        "It reads three words and has no other memory, so as soon as three words come again, all that follows comes again. At a "
        "context that occurs twice it takes the same way both times, so it cannot tell a fable that goes on differently. Let it "
        "tell at temperature 0.5 or 1: there it draws.",
        Measure("What it tells", None, _number(_end)),
    ),
    Experiment(
        "by-number",
        "Words as numbers",
        "The network of “Better”, but each word is read as its number in the vocabulary, as in the tutorial: 1,000 iterations. "
        f"The lower bound is {theory.floor(StoryConfig()):.2f} nats. Where does the loss end?",
        StoryConfig(word_input="index", iterations=1_000),
        (
            Choice("near it: below 0.15", 0, 0.15),
            Choice("0.15 to 0.22", 0.15, 0.22),
            Choice("far above: more than twice the bound", 0.22, math.inf),
        ),
        2,
        (
            Claim(
                "Contexts whose last words are neighbours in the vocabulary get answers that are nearer to each other than "
                "those of any two last words:",
                _neighbours,
            ),
        ),
        "A word's number says how frequent it is and nothing of what it means. As an input, 40 and 41 are nearly the same, and "
        "after so short a training the network still answers them alike. An embedding gives each word numbers of its own.",
    ),
    Experiment(
        "by-heart",
        "How small can it be?",
        f"Eight units instead of 64, and 1,000 iterations. With three words before it, {_MOST} of {_PLACES} words can be known: "
        f"{_OF_THREE.accuracy:.0%}. How many does it know?",
        StoryConfig(hidden_units=8, iterations=1_000),
        (
            Choice("less than half", 0, 50),
            Choice("50 to 80 %", 50, 80),
            Choice("more than 80 %", 80, math.inf),
        ),
        2,
        (
            Claim("Its loss is still far above the lower bound:", _above_bound),
            Claim("Where it is right, it gives the right word a probability of", _unsure_though_right),
        ),
        "A word counts as known when it is the likeliest, however likely it is; the loss asks for probabilities near 1. So it "
        "can know most words while its loss is still far above the bound.",
        _WORDS_KNOWN,
    ),
    Experiment(
        "too-fast",
        "Too large a step",
        f"Adam with a learning rate of 1, two hundred times that of “Better”. Chance is {theory.chance(StoryConfig()):.1f} nats. "
        "Where does the loss end?",
        StoryConfig(learning_rate=1.0, iterations=300),
        (
            Choice("it learns faster: below 0.5", 0, 0.5),
            Choice("it learns which words are frequent: 0.5 to 4.2", 0.5, 4.2),
            Choice("worse than chance: above 4.2", 4.2, math.inf),
        ),
        2,
        (
            Claim("Where it is wrong, it is sure of the wrong word, with a probability of", _sure_though_wrong),
            Claim("And yet its likeliest word is the right one far more often than by guessing:", _knows_some),
        ),
        "The loss is -ln p of the right word. To be sure and wrong costs far more than the ln 66 of guessing, so a mean loss "
        "above chance does not mean that nothing was learned.",
    ),
)
