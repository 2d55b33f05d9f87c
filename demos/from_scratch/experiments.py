"""The from-scratch page's guided experiments. Claims are checked on what the run measured and on its network."""

import math
from collections.abc import Callable

import numpy as np

from demos.from_scratch import probes, theory
from demos.from_scratch.config import FromScratchConfig
from demos.from_scratch.data import END, UNKNOWN
from demos.from_scratch.engine import parameters_in
from demos.from_scratch.model import Parameters
from lib.lessons import Choice, Claim, Experiment, Finding, Measure, Results


def _number(read: Callable[[Parameters, FromScratchConfig], float]) -> Callable[[Results], float]:
    """A number of a run's network, NaN where there is none to read."""

    def of(results: Results) -> float:
        try:
            return read(parameters_in(results.leaves), results.config)
        except (LookupError, ValueError):
            return math.nan

    return of


def _read(check: Callable[[Parameters, FromScratchConfig], Finding]) -> Callable[[Results], Finding]:
    """A check on a run's network, which may not be there, or not finite."""

    def on(results: Results) -> Finding:
        try:
            return check(parameters_in(results.leaves), results.config)
        except (LookupError, ValueError) as error:
            return Finding(f"not measured: {error}", False)

    return on


def _elsewhere(p: Parameters, config: FromScratchConfig) -> float:
    """The loss on the sentences that are not learned from."""
    return probes.guesses(p, theory.held_out(config)).loss


HELD_OUT = Measure("The loss on sentences that it does not learn from", "nats per word", _number(_elsewhere))


def _halvings(results: Results) -> float:
    """How often the learning rate was halved."""
    _, rates = results.stream.curve("learning_rate")
    return float(np.round(np.log2(rates[0] / rates[-1])))


def _better_than_at_first(results: Results) -> Finding:
    """Whether the last epoch's mean loss is below the first's."""
    steps, losses = results.stream.curve("epoch_loss")
    per_epoch = results.config.windows_per_epoch
    first, last = losses[np.searchsorted(steps, per_epoch - 1)], losses[-1]
    return Finding(f"{last:.1f} after {first:.1f}", bool(last < 0.8 * first))


@_read
def _same_elsewhere(p: Parameters, config: FromScratchConfig) -> Finding:
    loss, chance = _elsewhere(p, config), theory.chance(config)
    return Finding(f"{loss:.3f}", abs(loss / chance - 1) < 0.01)


@_read
def _mostly_ends(p: Parameters, config: FromScratchConfig) -> Finding:
    y = np.concatenate([y for _, y in config.words.pairs])
    the, end = (int((y == config.words.numbers[word]).sum()) for word in ("the", END))
    return Finding(f"“the” {the} times, the end {end} times", the > end)


@_read
def _unsure(p: Parameters, config: FromScratchConfig) -> Finding:
    sure = probes.guesses(p, theory.held_out(config)).sure.mean()
    return Finding(f"{sure:.2f} on average", bool(sure < 0.35))


@_read
def _likelier_there(p: Parameters, config: FromScratchConfig) -> Finding:
    found, end = probes.guesses(p, theory.held_out(config)), config.words.numbers[END]
    given, there = np.exp(found.log_probabilities[:, end]), found.targets == end
    here, elsewhere = given[there].mean(), given[~there].mean()
    return Finding(f"{here:.2f} against {elsewhere:.2f}", bool(here > 1.5 * elsewhere))


@_read
def _saturated(p: Parameters, config: FromScratchConfig) -> Finding:
    share = (np.abs(probes.guesses(p, theory.held_out(config)).states) > 0.99).mean()
    return Finding(f"{share:.0%} of them", bool(share > 0.75))


@_read
def _sure_though_wrong(p: Parameters, config: FromScratchConfig) -> Finding:
    found = probes.guesses(p, theory.held_out(config))
    sure = found.sure[found.best != found.targets].mean()
    return Finding(f"{sure:.2f} on average", bool(sure > 0.5))


@_read
def _state_helps(p: Parameters, config: FromScratchConfig) -> Finding:
    pairs = theory.held_out(config)
    alone, own = probes.last_word_alone(p, pairs), probes.with_its_own(p, pairs)
    return Finding(f"{alone:.2f} instead of {own:.2f} nats", alone > own + 0.1)


@_read
def _unknown(p: Parameters, config: FromScratchConfig) -> Finding:
    y = np.concatenate([y for _, y in config.words.pairs])
    share = (y == config.words.numbers[UNKNOWN]).mean()
    return Finding(f"{share:.0%}", bool(0.4 < share < 0.6))


@_read
def _worse_than_frequencies(p: Parameters, config: FromScratchConfig) -> Finding:
    loss, frequent = _elsewhere(p, config), theory.frequencies_elsewhere(config)
    return Finding(f"{loss:.2f} against {frequent:.2f} nats", loss > frequent)


def _better_than_frequencies(results: Results) -> Finding:
    loss, frequent = float(results.finals[0]), theory.frequencies(results.config)
    return Finding(f"{loss:.2f} against {frequent:.2f} nats", loss < 0.75 * frequent)


def _learned_by_heart(results: Results) -> Finding:
    loss, bound = float(results.finals[0]), theory.floor(results.config)
    return Finding(f"{loss:.2f} nats; the lower bound is {bound:.2f}", bound < loss < 2.0)


def _end_first(p: Parameters, config: FromScratchConfig) -> float:
    """0 where "the" is the likeliest word at most places, 1 where the end is, 2 where no word is."""
    best = probes.guesses(p, theory.held_out(config)).best
    shares = [(best == config.words.numbers[word]).mean() for word in ("the", END)]
    return next((float(i) for i, share in enumerate(shares) if share > 0.5), 2.0)


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        "untrained",
        "Before anything is learned",
        "500 words, weights that are small and random, and a learning rate so small that nothing is learned. What is the loss?",
        FromScratchConfig(learning_rate=1e-5, epochs=1),
        (
            Choice("below 6.1 nats", 0, 6.1),
            Choice("between 6.1 and 6.3 nats", 6.1, 6.3),
            Choice("above 6.3 nats", 6.3, math.inf),
        ),
        1,
        (
            Claim(
                "On sentences that it does not read in training the loss is within 1 % of ln 500 too:", _same_elsewhere
            ),
        ),
        "It is ln 500 = 6.21. The scores are all near 0, so each word gets about 1 / 500. Another number at the start of such a "
        "training is a sign of a bug, and costs no waiting to see.",
    ),
    Experiment(
        "first-words",
        "What does it learn first?",
        "After one epoch, it reads sentences that it has not learned from. Which word does it take to be the likeliest next one, "
        "at more than half of all places?",
        FromScratchConfig(epochs=1),
        (
            Choice("“the”, the most frequent word", -0.5, 0.5),
            Choice("the end of the sentence", 0.5, 1.5),
            Choice("no single one: it depends on the words before", 1.5, math.inf),
        ),
        1,
        (
            Claim("And yet “the” is more frequent in the text:", _mostly_ends),
            Claim("It is not sure: the likeliest word has a probability of", _unsure),
            Claim("Where a sentence does end, it gives the end a higher probability than elsewhere:", _likelier_there),
        ),
        "Every sentence has exactly one end, so the end is one of the most frequent words, and one epoch is enough to find that. "
        "It has also begun to use what it reads: the end is likelier where it does come.",
        Measure("Its usual guess", None, _number(_end_first)),
    ),
    Experiment(
        "fast-halved",
        "Twenty times too fast",
        "A learning rate of 0.1 instead of 0.005, but it is halved after each epoch whose loss is higher than the one before. "
        "How often is it halved in twelve epochs?",
        FromScratchConfig(learning_rate=0.1, epochs=12),
        (
            Choice("never: the loss only falls", 0, 0.5),
            Choice("one to five times", 0.5, 5.5),
            Choice("six times or more", 5.5, math.inf),
        ),
        1,
        (Claim("The last epoch's mean loss is well below the first's:", _better_than_at_first),),
        "The rule lowers the rate after each epoch whose loss rose, and leaves it while the loss falls. That can still be too "
        "large a rate to end well: look at the charts, and compare a run with 0.005 from the start.",
        Measure("The number of halvings", "", _halvings),
    ),
    Experiment(
        "fast",
        "Too fast, without halving",
        f"A learning rate of 0.1 to the end. Chance is {math.log(500):.1f} nats. Where does the loss end, on sentences that it "
        "does not learn from?",
        FromScratchConfig(learning_rate=0.1, halving=False, epochs=5),
        (
            Choice("below 6: it learns", 0, 6),
            Choice("6 to 8: about chance", 6, 8),
            Choice("above 8: worse than chance", 8, math.inf),
        ),
        2,
        (
            Claim("Of the states' numbers, most are beyond ±0.99, where tanh is flat:", _saturated),
            Claim("Where it is wrong, it gives the wrong word a probability of", _sure_though_wrong),
        ),
        "To be sure of a wrong word costs more than to guess. And where tanh is flat its slope 1 - s² is nearly 0, so hardly any "
        "gradient comes through to mend it.",
        HELD_OUT,
    ),
    Experiment(
        "no-time",
        "No way back in time",
        "A window of 0: the error of a guess changes the state of that step and goes back no further. With 4 steps back, ten "
        "epochs end near 3.6 nats on sentences that are not learned from. And now?",
        FromScratchConfig(truncate=0, epochs=10),
        (
            Choice("below 3.3: better", 0, 3.3),
            Choice("3.3 to 4: nearly the same", 3.3, 4),
            Choice("above 4: it knows one word only", 4, math.inf),
        ),
        1,
        (
            Claim(
                "It uses more than the last word: with the words before it from another sentence, the loss is",
                _state_helps,
            ),
        ),
        "The state is carried from word to word whether or not a gradient goes back. Nothing teaches this network directly "
        "what to "
        "keep for later, but traces of earlier words are there (as in an echo-state network, Jaeger 2001), and each step learns "
        "to use those that it finds.",
        HELD_OUT,
    ),
    Experiment(
        "few-words",
        "A vocabulary of twenty words",
        "All but the 19 most frequent words become UNKNOWN_TOKEN. With 500 words, ten epochs end near 3.6 nats on sentences that "
        "are not learned from. Now?",
        FromScratchConfig(vocabulary_size=20, epochs=10),
        (
            Choice("below 2 nats", 0, 2),
            Choice("between 2 and 4 nats", 2, 4),
            Choice("above 4 nats", 4, math.inf),
        ),
        0,
        (
            Claim("About half of the words to be guessed are UNKNOWN_TOKEN:", _unknown),
            Claim("The training loss is well below that of the unigram model:", _better_than_frequencies),
        ),
        "The unigram model has less than 2 nats here, against 4.8 with 500 words: half of the words are one and the same "
        "token. Losses with different vocabularies cannot be compared.",
        HELD_OUT,
    ),
    Experiment(
        "by-heart",
        "Learned by heart",
        "A hundred sentences, read forty times at a learning rate of 0.02. The training loss falls below 2 nats. What is the "
        "loss on other sentences of the same text?",
        FromScratchConfig(sentences=100, learning_rate=0.02, epochs=40),
        (
            Choice("as low: below 3", 0, 3),
            Choice("higher, but it has learned: 3 to 5", 3, 5),
            Choice("above 5", 5, math.inf),
        ),
        2,
        (
            Claim("The training loss is below 2 nats, and not below its bound:", _learned_by_heart),
            Claim("On other sentences it is worse than the unigram model:", _worse_than_frequencies),
        ),
        "A network with more weights than the text has words can know a text and little of the language. A training loss does "
        "not show the difference, so a model is judged by text that it does not learn from.",
        HELD_OUT,
    ),
)
