"""What the perplexity page teaches: the coach, the guided experiments, and how it works."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from demos.ptb import data, grammar, probes, theory
from demos.ptb.config import PTBConfig
from lib import quotes, ways
from lib.lessons import Advice, Choice, Claim, Experiment, Finding, Measure, Results, Source
from lib.settings import parse
from lib.word_model import WordModel

INTRODUCTION = (
    "A language model reads a text and says at every place which word comes next, with a probability for each word it knows. "
    "**Perplexity** is how many equally likely words that comes to, on average: as many as there are words where it guesses, 1 "
    "where it is never surprised. "
    "Watch it fall, then see word by word where it comes from."
)

LABELS = {"pace": "Words per second", "loss": "Loss (nats per word)"}  # of the status strip
PICTURES = ()  # app/words_panel.py shows words and texts


def advise(config: PTBConfig, step: int, metrics: Mapping[str, Any]) -> Advice | None:
    """What the coach says of a run: `metrics` is a stream's summary, `config` has the live settings in it."""
    loss = metrics.get("loss", {}).get("mean_last_100")
    if config.recorded:
        return None
    if loss is None or not math.isfinite(loss) or step < 200:
        return None
    running = math.exp(min(loss, 50.0))
    words = data.vocabulary_size(config.corpus, config.text)
    if running > 1.5 * words and config.learning_rate > 1e-5:
        return _overshoots(config, running, words)
    valid = metrics.get("valid_perplexity", {})
    if valid.get("last") is not None:
        if _by_heart(running, valid):
            return _forgets(config, running, valid)
        if config.corpus == "grammar" and valid["last"] < 1.1 * math.exp(theory.floor(config)):
            return _learned(valid["last"], math.exp(theory.floor(config)))
    unigram, bigram = theory.counting(config.corpus, config.text)
    reached = valid.get("last") or running  # on text that it does not learn from, as soon as that is known
    if reached > unigram:
        return None
    if reached > bigram:
        text = f"Perplexity {reached:,.0f}: between the unigram model ({unigram:,.0f}) and the bigram model ({bigram:,.0f})."
        return Advice("frequencies", "info", text, "Twice the units", _wider(config))
    text = (
        f"Perplexity {reached:,.0f}, better than the bigram model ({bigram:,.0f}), which knows how often each word follows each "
        "other one."
    )
    return Advice("pairs", "success", text, "Twice the units", _wider(config))


def _wider(config: PTBConfig) -> dict[str, Any]:
    return {name: min(1500, 2 * getattr(config, name)) for name in ("hidden_units", "embedding_units")}


def _overshoots(config: PTBConfig, running: float, words: int) -> Advice:
    rate = max(config.learning_rate / 10, 1e-5)
    text = (
        f"Perplexity {running:,.0f}, worse than guessing among all {words:,} words. Each step probably moves the weights "
        "too far."
    )
    return Advice("overshoots", "warning", text, f"Use a learning rate of {rate:g}", {"learning_rate": rate})


def _by_heart(running: float, valid: Mapping[str, float]) -> bool:
    """Whether it gets better on what it learns from, and worse on what it does not."""
    return running < 0.6 * valid["last"] and valid["last"] > 1.02 * valid["best"]


def _forgets(config: PTBConfig, running: float, valid: Mapping[str, float]) -> Advice:
    text = (
        f"It learns the text by heart: {running:,.0f} on what it has read, {valid['last']:,.0f} on what it has not, and that "
        f"was {valid['best']:,.0f} before. Leaving numbers out at random (dropout) often helps against that (Zaremba and "
        "others 2014)."
    )
    more = min(0.9, round(config.dropout + 0.2, 2))
    return Advice("by-heart", "warning", text, f"Use dropout {more:g}", {"dropout": more})


def _learned(valid: float, floor: float) -> Advice:
    text = (
        f"Perplexity {valid:.1f} on sentences that it does not learn from. The lower bound is {floor:.1f}: it has found nearly "
        "all that can be known."
    )
    change = {"hidden_units": 16, "embedding_units": 16}
    return Advice("learned", "success", text, "How little is enough? 16 units", change)


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


COUNTED = (
    r"$E$ begins from counts: $\max\left(0, \ln\frac{p(w, c)}{p(w)\,p(c)}\right)$ says how much more often than by chance a word "
    "$w$ has the neighbour $c$, and each word gets the few numbers that come nearest to its row of this table."
)
DECAYED = (
    r"Each step also shrinks every weight a little, $w \leftarrow w - \eta\lambda w$, where $\eta$ is the learning rate and "
    r"$\lambda$ = {decay} millionths: what is not learned again fades (Krogh & Hertz 1992)."
)


def equations(config: PTBConfig) -> str:
    """The network's equations, with the current shapes, in Markdown."""
    words, rows = data.vocabulary_size(config.corpus, config.text), config.batch_size
    last = config.units[-1]
    output = f"[{last} × {words:,}]"
    if config.tied:
        output = "the embedding itself, transposed"
        if config.output_units != last:
            output += f", after a projection [{last} × {config.output_units}]"
    lines = [
        "**The next word**",
        r"$$x_t = E[w_t], \qquad h_t = \mathrm{LSTM}(x_t, h_{t-1}, c_{t-1}), \qquad p_t = \mathrm{softmax}(h_t V + b)$$",
        f"$E$ is [{words:,} × {config.embedding_units}], a row for each word; $h_t$ is [{rows} × {last}], one row for each of "
        f"the {rows} places of the text that are read side by side; {config.layers} LSTM "
        f"layer{'s' * (config.layers > 1)}; $V$ is {output}.",
        *([COUNTED] if config.counted_start else []),
        "**Perplexity**",
        r"$$\mathrm{PP} = \left(\prod_{t=1}^{N} \frac{1}{p_t(w_{t+1})}\right)^{1/N} = "
        r"\exp\left(-\frac{1}{N}\sum_{t=1}^{N} \ln p_t(w_{t+1})\right)$$",
        "The geometric mean of 1 / p over all words of a text: a fair die with that many faces would surprise you as much.",
        "**What is differentiated**",
        r"$$L = \frac{1}{B}\sum_{b=1}^{B}\sum_{t=1}^{T} -\ln p_{t,b}$$",
        f"summed over the {config.truncated_backprop_length} words of a window and averaged over the rows, as in the "
        "publication: with the mean over both, its learning rates would be too small.",
        *([DECAYED.format(decay=config.weight_decay)] if config.weight_decay else []),
    ]
    return "\n\n".join(lines)


def sources(config: PTBConfig) -> tuple[Source, ...]:
    """The code of the step that this config runs, in the order in which it is worth reading."""
    if config.recorded:
        told = "each step of this page, out of what another machine wrote down: nothing is trained here"
        return (Source("The replay", "lib/recorded.py", "Replay.run", makes=told),)
    layers = [quotes.cell("lstm", config.truncated_backprop_length, units) for units in config.units]
    sampled = ways.sampled_words(data.vocabulary_size(config.corpus, config.text), config.rare_words)
    loss = Source("The loss of a word", "lib/word_network.py", "_softmax_nats")
    if sampled:
        loss = Source("The loss of a word, against a sample of the others", "lib/word_network.py", "_sampled_nats")
    start = "the numbers that stand for words when training begins"
    return (
        *dict.fromkeys(source for layer in layers for source in layer),
        Source("The layers over a window", "lib/word_network.py", "read"),
        *([Source("Dropout", "lib/word_network.py", "_dropped")] if config.dropout or config.recurrent_dropout else []),
        loss,
        Source("What is differentiated", "demos/ptb/task.py", "PTBTask.loss"),
        Source("The learning rate's schedule", "lib/schedules.py", config.schedule),
        *quotes.training(config.optimizer, config.clip_norm),
        *(
            [Source("Words from their neighbours", "lib/neighbours.py", "_information", start)]
            if config.counted_start
            else []
        ),
    )
