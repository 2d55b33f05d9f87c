"""The perplexity page's guided experiments. Claims are checked on what the run measured and on its network."""

import math
from collections.abc import Callable

from demos.ptb import grammar, probes, theory
from demos.ptb.config import PTBConfig
from lib.lessons import Choice, Claim, Experiment, Finding, Measure, Results
from lib.settings import parse
from lib.word_model import WordModel


def _read(check: Callable[[WordModel, Results], Finding]) -> Callable[[Results], Finding]:
    """A check on a run's network, which may have no weights, or ones that are not finite."""

    def on(results: Results) -> Finding:
        try:
            return check(probes.model_of(results.leaves, results.config), results)
        except (LookupError, ValueError) as error:
            return Finding(f"not measured: {error}", False)

    return on


def _number(read: Callable[[WordModel], float]) -> Callable[[Results], float]:
    """A number of a run's network, NaN where there is none to read."""

    def of(results: Results) -> float:
        try:
            return read(probes.model_of(results.leaves, results.config))
        except (LookupError, ValueError):
            return math.nan

    return of


def _not_below(results: Results) -> Finding:
    """Whether the validation perplexity is not below the grammar's own by more than three standard errors."""
    valid, own = results.last("valid_perplexity"), grammar.own("valid")
    return Finding(
        f"{valid:.1f}; the grammar itself has {own.perplexity:.1f} ± {own.error:.1f}",
        valid > own.perplexity - 3 * own.error,
    )


def _beats_pairs(results: Results) -> Finding:
    """Whether the test perplexity is well below the bigram model's."""
    test, pairs = results.last("test_perplexity"), theory.counting("grammar", "", "test").bigram
    return Finding(f"{test:.1f} against {pairs:.1f}", test < 0.9 * pairs)


def _worse_than_frequencies(results: Results) -> Finding:
    valid, words = results.last("valid_perplexity"), theory.counting("grammar", "").unigram
    return Finding(f"{valid:,.0f} against {words:,.0f}", valid > 1.3 * words)


def _uses(near: int, least: float, most: float = math.inf) -> Callable[[Results], Finding]:
    """Whether only the last `near` words as they are cost it so many times the perplexity."""

    @_read
    def check(model: WordModel, results: Results) -> Finding:
        whole, short = probes.perplexity(model), probes.perplexity(model, near)
        return Finding(f"{short:,.0f} instead of {whole:,.0f}", least < short / whole < most)

    return check


@_read
def _both_numbers(model: WordModel, results: Results) -> Finding:
    right, many = probes.agreement(model), probes.subjects().many
    one, several = right[~many].mean(), right[many].mean()
    return Finding(f"{one:.0%} and {several:.0%}", bool(min(one, several) > 0.85))


@_read
def _not_the_subject(model: WordModel, results: Results) -> Finding:
    share = probes.agreement(model).mean()
    return Finding(f"{share:.0%}", bool(share < 0.75))


@_read
def _colder(model: WordModel, results: Results) -> Finding:
    cold, warm = (probes.grammatical(probes.written(model, WRITTEN, each)) for each in (0.5, 1.0))
    return Finding(f"{cold:.0%}, at temperature 1 {warm:.0%}", cold > warm + 0.1)


@_read
def _words_fit(model: WordModel, results: Results) -> Finding:
    share = probes.possible(probes.written(model, WRITTEN, 1.0))
    return Finding(f"{share:.1%}", share > 0.8)


WRITTEN = 100  # sentences
_DEFAULT = PTBConfig(epochs=1)
_BOUND = grammar.floor()
_UNIGRAM, _BIGRAM = 303.2, 63.0  # of the validation text (theory.counting)
VALIDATION = Measure("The perplexity of the validation text", "", lambda results: results.last("valid_perplexity"))
TEST = Measure("The perplexity of the test text", "", lambda results: results.last("test_perplexity"))

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        "floor",
        "As good as possible",
        f"The grammar draws its words at random. No model can have a perplexity below {_BOUND:.1f} on sentences that it has not "
        "read, but for sampling error. How near does a network come that reads the training text once?",
        _DEFAULT,
        (
            Choice(f"below {_BOUND:.1f}", 0, _BOUND),
            Choice(f"near it: {_BOUND:.1f} to 38", _BOUND, 38),
            Choice(f"nearer to the bigram model, {_BIGRAM:.0f}: above 38", 38, math.inf),
        ),
        1,
        (
            Claim("It is not below the bound by more than sampling error.", _not_below),
            Claim("It beats the bigram model on the test text.", _beats_pairs),
            Claim("With only the last two words as they are, and others before them, its perplexity is", _uses(2, 1.5)),
        ),
        "The loss that a perfect model would have is the entropy of the grammar, exactly known from its rules. What lies above "
        "it is what the network has not learned yet. It is graded on text that it does not learn from: what it has read several "
        "times it may know by heart.",
        VALIDATION,
    ),
    Experiment(
        "agreement",
        "Which noun does the verb follow?",
        "“The dogs near the house …”: *sleep* or *sleeps*? The noun next to the verb is not its subject. A network of the "
        "default "
        f"size reads the text once. In how many of {probes.SUBJECTS} such sentences does it take the right form to be likelier?",
        _DEFAULT,
        (
            Choice("in few: the verb follows the nearest noun, below 40 %", 0, 40),
            Choice("in about half: 40 to 60 %", 40, 60),
            Choice("in most: above 60 %", 60, math.inf),
        ),
        2,
        (
            Claim("It is right for subjects that are one and for subjects that are many:", _both_numbers),
            Claim(
                "With only the last four words as they are, and others before them, its perplexity is", _uses(4, 1.2)
            ),
        ),
        "Both forms of all verbs are summed up, so this is about the number alone. The number of the subject comes four words "
        "before the verb, another noun between them, so it must be kept in the state. Gulordava and others (2018) "
        "found that LSTM language models of four languages learn such agreement.",
        Measure(
            "The share of verbs that agree with their subject",
            "%",
            _number(lambda model: 100 * float(probes.agreement(model).mean())),
        ),
    ),
    Experiment(
        "sentences",
        "Perplexity and sentences",
        "It comes near the lowest possible perplexity. Is it then nearly right about every word? It writes "
        f"{WRITTEN} sentences at temperature 1. How many of them could the grammar have made?",
        _DEFAULT,
        (
            Choice("below 50 %", 0, 50),
            Choice("50 to 80 %", 50, 80),
            Choice("above 80 %", 80, math.inf),
        ),
        0,
        (
            Claim("Most of its words are ones that the grammar allows after those before:", _words_fit),
            Claim("At temperature 0.5 more of its sentences are grammatical:", _colder),
        ),
        "One word that cannot stand there spoils a sentence, and a sentence has a dozen chances to go wrong: with 90 % for each "
        "word, 12 words in a row are right in 0.9¹² = 28 % of cases. A low temperature takes "
        "probability away from unlikely words (on the unreliable tail: Holtzman and others 2020). Perplexity alone says "
        "little of whole sentences.",
        Measure(
            "The share of grammatical sentences",
            "%",
            _number(lambda model: 100 * probes.grammatical(probes.written(model, WRITTEN, 1.0))),
        ),
    ),
    Experiment(
        "one-word",
        "A window of two words",
        f"The gradient never goes back further than two words. The bigram model, which knows one word, has {_BIGRAM:.0f}. "
        "Where does this network end, with half the units, on text that it does not learn from?",
        parse(
            PTBConfig,
            {
                "hidden_units": 64,
                "embedding_units": 64,
                "truncated_backprop_length": 2,
                "batch_size": 128,
                "epochs": 1,
            },
        ),
        (
            Choice(f"at the bigram model: above {0.9 * _BIGRAM:.0f}", 0.9 * _BIGRAM, math.inf),
            Choice(f"better: 35 to {0.9 * _BIGRAM:.0f}", 35, 0.9 * _BIGRAM),
            Choice("as good as with a window of 20: below 35", 0, 35),
        ),
        1,
        (
            Claim("It beats the bigram model on the test text.", _beats_pairs),
            Claim("It uses more than two words: with others before the last two, its perplexity is", _uses(2, 1.1)),
            Claim("After “the dogs near the house” it does not reliably take the verb's right form:", _not_the_subject),
        ),
        "The window cuts the gradient, not the state. Nothing teaches this network directly to keep a word longer than two "
        "steps, "
        "but traces of earlier words are in the state all the same (as in an echo-state network, Jaeger 2001), and it has "
        "learned to use them. What it would have to keep on purpose, the number of a subject, it does not reliably keep.",
        TEST,
    ),
    Experiment(
        "too-fast",
        "Too large a step",
        "The learning rate is 3, six hundred times that of “Tiny”; 32 units. What is the perplexity in the "
        "end, on text that it does not learn from?",
        parse(
            PTBConfig,
            {"hidden_units": 32, "embedding_units": 32, "batch_size": 100, "learning_rate": 3.0, "epochs": 1},
        ),
        (
            Choice(f"it learns faster: below {_BIGRAM:.0f}, the bigram model's", 0, _BIGRAM),
            Choice(
                f"it learns what is frequent: up to {1.2 * _UNIGRAM:.0f}, the unigram model's and a bit",
                _BIGRAM,
                1.2 * _UNIGRAM,
            ),
            Choice("worse than the frequencies of words", 1.2 * _UNIGRAM, math.inf),
        ),
        2,
        (
            Claim("It is worse than the unigram model.", _worse_than_frequencies),
            Claim(
                "What it read before the last two words is of no use to it: with other words there, its perplexity is",
                _uses(2, 0.7, 1.1),
            ),
        ),
        "A gradient tells how the loss changes for small steps. Steps this large go far beyond where that is so, and what one "
        "batch has taught the next one may undo.",
        VALIDATION,
    ),
)
