"""What the story page teaches: the coach, the guided experiments, and how it works."""

import math
from collections.abc import Mapping
from typing import Any

from demos.story import theory
from demos.story.config import StoryConfig
from demos.story.experiments import EXPERIMENTS
from lib import quotes
from lib.lessons import Advice, Source, plain

__all__ = ["EXPERIMENTS", "INTRODUCTION", "LABELS", "PICTURES", "advise", "equations", "sources"]

INTRODUCTION = (
    "Three words in, the next word out. The network reads a few words of a fable, says which one comes next, and is corrected, "
    "until it knows the fable by heart, as far as three words can tell. What it says can be fed back to it: then it tells a "
    "story by itself. Watch which words it knows, and let it write while it learns."
)
LABELS = {"pace": "Iterations per second", "epoch": None}  # of the status strip
PICTURES = (
    ("story", "The story, as it knows it", "Each word, by whether the network now says it after the words before it."),
    ("guess", "Its five best guesses", "After the context that it learns from next."),
)
STEPS_OF_PATIENCE = 500


def advise(config: StoryConfig, step: int, metrics: Mapping[str, Any]) -> Advice | None:
    """What the coach says of a run: `metrics` is a stream's summary, `config` has the live settings in it."""
    loss = metrics.get("loss", {}).get("mean_last_100")
    if loss is None or not math.isfinite(loss) or step < 100:
        return None
    chance = theory.chance(config)
    if loss > 2.2 * chance and step > STEPS_OF_PATIENCE and config.learning_rate > 1e-5:
        rate = max(config.learning_rate / 10, 1e-5)
        text = f"The loss is {plain(loss)}, far worse than chance ({chance:.2f}). Each step probably moves the weights too far."
        return Advice("overshoots", "warning", text, f"Use a learning rate of {rate:g}", {"learning_rate": rate})
    if loss <= theory.learned_below(config):
        return _learned(config, loss)
    if step < STEPS_OF_PATIENCE:
        return None
    if config.word_input == "index":
        text = (
            f"The loss is {plain(loss)}. It reads each word as its number, so neighbours in the vocabulary are nearly the same "
            "input, whatever they mean. An embedding gives each word numbers of its own."
        )
        return Advice("embedding", "info", text, "Read words by an embedding", {"word_input": "embedding"})
    if config.batch_size < 16:
        text = f"The loss is {plain(loss)}. Each step learns from {config.batch_size} of the places: a noisy gradient."
        return Advice("batch", "info", text, "Learn from 32 places at a time", {"batch_size": 32})
    more = min(100_000, 2 * config.iterations)
    text = f"The loss is {plain(loss)}: the lower bound is {plain(theory.floor(config))}. More time may help."
    return Advice("longer", "info", text, f"Train for {more:,} iterations", {"iterations": more})


def _learned(config: StoryConfig, loss: float) -> Advice:
    best, bound = theory.of(config), theory.floor(config)
    text = f"The loss is {plain(loss)}, the lower bound {plain(bound)}: it knows nearly all that {_words(config)} can tell. "
    text += f"{noise} " if (noise := theory.of_noise(config, loss)) else ""
    if best.ambiguous and config.n_input < 8:
        text += f"At most {best.accuracy:.1%} of the words can be known so: see “Ambiguous contexts”."
        longer = {"n_input": config.n_input + 1}
        return Advice("ceiling", "success", text, f"Let it see {config.n_input + 1} words", longer)
    text += "How few units are enough?"
    return Advice("learned", "success", text, "Half the units", {"hidden_units": max(4, config.hidden_units // 2)})


def _words(config: StoryConfig) -> str:
    return "one word" if config.n_input == 1 else f"{config.n_input} words"


_AS_IN_TF1 = (
    "**The optimizer**",
    r"$$v \leftarrow 0.9\,v + 0.1\,g^2, \qquad w \leftarrow w - \eta\,\frac{g}{\sqrt{v + 10^{-10}}}$$",
    "As in the tutorial's TensorFlow 1: $v$ starts at 1, the LSTM's forget-gate bias too, its weights are drawn by Glorot's "
    "uniform rule, the output's weights and biases from the standard normal distribution. The random numbers are our own.",
)


def equations(config: StoryConfig) -> str:
    """The network's equations with the current shapes, in Markdown with LaTeX."""
    words, rows, h = len(config.numbered.words), config.batch_size, config.hidden_units
    read = (
        rf"$x_t = E[w_t]$, a row of $E$, which is [{words} × {config.embedding_units}] and is learned"
        if config.word_input == "embedding"
        else rf"$x_t = w_t$, the word's number from 0 to {words - 1}, as a single number"
    )
    layers = f"{config.layers} LSTM layer{'s' * (config.layers > 1)}"
    return "\n\n".join(
        [
            "**What it reads**",
            f"The last {config.n_input} words; for each {read}. Its state is zero before the first of them.",
            f"**{layers}**",
            r"$$i, f, o = \sigma(x_t W + h_{t-1} U + b), \qquad g = \tanh(x_t W + h_{t-1} U + b)$$",
            r"$$c_t = f \odot c_{t-1} + i \odot g, \qquad h_t = o \odot \tanh(c_t)$$",
            f"$h_t$ is [{rows} × {h}]: a row for each of the {rows} places of the story that one iteration learns from.",
            "**What it says**",
            rf"$$p = \mathrm{{softmax}}(h_{{{config.n_input}}} V + d)$$",
            f"$V$ is [{h} × {words}]: a probability for each word of the story. The likeliest one is its guess.",
            "**What is differentiated**",
            r"$$L = -\frac{1}{B}\sum_{b=1}^{B} \ln p_b[\text{next word}_b]$$",
            f"Places are visited as in the tutorial: each {config.n_input + 1} words after the one before, and at the story's "
            f"end again from one of the first {config.n_input + 2}.",
            *(_AS_IN_TF1 if config.optimizer == "rmsprop_tf1" else ()),
        ]
    )


def sources(config: StoryConfig) -> tuple[Source, ...]:
    """The code of the step that this config runs, in the order in which it is worth reading."""
    return (
        Source("Where it learns next", "demos/story/data.py", "visits"),
        Source("One step of the LSTM", "lib/cells.py", "lstm_step"),
        Source("The same step on its way back", "lib/cells.py", "lstm_backward"),
        Source("A layer over a few words", "lib/short_lstm.py", "read"),
        Source("Its steps, there and back (backpropagation through time)", "lib/short_lstm.py", "through_time"),
        Source("What is differentiated", "demos/story/task.py", "StoryTask.loss"),
        quotes.cross_entropy(),
        *quotes.training(config.optimizer, config.clip_norm),
    )
