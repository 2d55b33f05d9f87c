"""What the perplexity page teaches: the coach, the guided experiments, and how it works."""

import math
from collections.abc import Mapping
from typing import Any

from demos.ptb import data, theory
from demos.ptb.config import PTBConfig
from demos.ptb.experiments import EXPERIMENTS
from lib import quotes, ways
from lib.lessons import Advice, Source

__all__ = ["EXPERIMENTS", "INTRODUCTION", "LABELS", "PICTURES", "advise", "equations", "sources"]

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
