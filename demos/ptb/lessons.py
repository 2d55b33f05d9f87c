"""What the perplexity page teaches: the coach, the guided experiments, and how it works."""

import math
from collections.abc import Mapping
from typing import Any

from demos.ptb import data, theory
from demos.ptb.config import PTBConfig
from lib import quotes, ways
from lib.lessons import Advice, Choice, Experiment, Source
from lib.settings import parse

INTRODUCTION = (
    "A language model reads a text and says at every place which word comes next, with a probability for each word it knows. "
    "**Perplexity** is how many equally likely words it hesitates between, on average: as many as there are words when it knows "
    "nothing, 1 when it is never surprised. "
    "Watch it fall, then see word by word where it comes from."
)

LABELS = {"pace": "Words per second", "loss": "Loss (nats a word)"}  # of the status strip
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
        text = (
            f"Perplexity {reached:,.0f}: better than counting words, not yet as good as counting pairs ({bigram:,.0f})."
        )
        return Advice("frequencies", "info", text, "Twice the units", _wider(config))
    text = (
        f"Perplexity {reached:,.0f}: it beats counting pairs of words ({bigram:,.0f}), so it remembers more than the last "
        "word."
    )
    return Advice("pairs", "success", text, "Twice the units", _wider(config))


def _wider(config: PTBConfig) -> dict[str, Any]:
    return {name: min(1500, 2 * getattr(config, name)) for name in ("hidden_units", "embedding_units")}


def _overshoots(config: PTBConfig, running: float, words: int) -> Advice:
    rate = max(config.learning_rate / 10, 1e-5)
    text = f"Perplexity {running:,.0f}, worse than guessing among all {words:,} words. Each step moves the weights too far."
    return Advice("overshoots", "warning", text, f"Use a learning rate of {rate:g}", {"learning_rate": rate})


def _by_heart(running: float, valid: Mapping[str, float]) -> bool:
    """Whether it gets better on what it learns from, and worse on what it does not."""
    return running < 0.6 * valid["last"] and valid["last"] > 1.02 * valid["best"]


def _forgets(config: PTBConfig, running: float, valid: Mapping[str, float]) -> Advice:
    text = (
        f"It learns the text by heart: {running:,.0f} on what it has read, {valid['last']:,.0f} on what it has not, and that "
        f"was {valid['best']:,.0f} before. Leaving numbers out at random (dropout) makes it learn what is general."
    )
    more = min(0.9, round(config.dropout + 0.2, 2))
    return Advice("by-heart", "warning", text, f"Use dropout {more:g}", {"dropout": more})


def _learned(valid: float, floor: float) -> Advice:
    text = (
        f"Perplexity {valid:.1f} on sentences that it has never read, and nobody can do better than {floor:.1f}: it has found "
        "the grammar."
    )
    change = {"hidden_units": 16, "embedding_units": 16}
    return Advice("learned", "success", text, "How little is enough? 16 units", change)


def _grammar(**settings: Any) -> PTBConfig:
    return parse(PTBConfig, {"epochs": 2} | settings)


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        "floor",
        "As good as possible",
        "The grammar draws its words at random, and the best possible perplexity is 25.6, a loss of 3.24 nats. "
        "How near does a network come that reads the text twice?",
        _grammar(),
        (
            Choice("below 3.24: better than possible", 0, 3.24),
            Choice("near it: 3.24 to 3.45", 3.24, 3.45),
            Choice("not near: above 3.45", 3.45, math.inf),
        ),
        1,
        (),
        "It has found nearly all of the rules: which kind of word may stand where, which noun a verb agrees with. What is left "
        "is mostly the grammar's own chance, and no model of any size can know it.",
    ),
    Experiment(
        "one-word",
        "A memory of one word",
        "The window is two words: the gradient never goes further back. Counting pairs of words gives a perplexity of 63, "
        "a loss of 4.14. Where does this network end?",
        _grammar(truncated_backprop_length=2, batch_size=128, epochs=1),
        (
            Choice("at pairs of words: above 4.1", 4.1, math.inf),
            Choice("better: 3.7 to 4.1", 3.7, 4.1),
            Choice("near the floor of 3.24: below 3.7", 0, 3.7),
        ),
        2,
        (),
        "The gradient is cut after two words, but the state is carried on. What happens to be kept in it can still be used, and "
        "most of the grammar's rules reach back a few words only, so it does far better than pairs of words.",
    ),
    Experiment(
        "too-fast",
        "Too large a step",
        "The learning rate is 1, two hundred times the usual one for this optimizer. What happens?",
        _grammar(learning_rate=1.0, epochs=1),
        (
            Choice("it learns faster: below 3.5", 0, 3.5),
            Choice("it learns what is frequent: 3.5 to 6", 3.5, 6.0),
            Choice("worse than frequencies: above 6", 6.0, math.inf),
        ),
        2,
        (),
        "Each step throws the weights further than where the gradient points is still true. The loss jumps, and stays high.",
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
        "The geometric mean of 1 / p over all words of a text: a fair die with so many faces would surprise you as much.",
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
