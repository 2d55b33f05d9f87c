"""What the story page teaches: the coach, the guided experiments, and how it works."""

import math
from collections.abc import Mapping
from typing import Any

from demos.story import data, theory
from demos.story.config import StoryConfig
from lib import quotes
from lib.lessons import Advice, Choice, Experiment, Source, plain

INTRODUCTION = (
    "Three words in, the next word out, until it tells the story by heart. The network reads a few words of a fable, says which "
    "one comes next, and is corrected; what it says is then fed back to it, and it tells the story by itself. "
    "Watch which words it knows, and let it write while it learns."
)
LABELS = {"pace": "Iterations per second", "epoch": None}  # of the status strip
PICTURES = (
    ("story", "The story, as it knows it", "Each word, by whether the network now says it after the words before."),
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
        text = (
            f"The loss is {plain(loss)}, far worse than guessing ({chance:.2f}). Each step moves the weights too far."
        )
        return Advice("overshoots", "warning", text, f"Use a learning rate of {rate:g}", {"learning_rate": rate})
    if loss <= theory.learned_below(config):
        return _learned(config, loss)
    if step < STEPS_OF_PATIENCE:
        return None
    if config.word_input == "index":
        text = (
            f"The loss is {plain(loss)}. It reads each word as its number, so neighbours in the vocabulary look alike though "
            "they mean nothing to each other. A vector for each word takes that away."
        )
        return Advice("embedding", "info", text, "Read words by an embedding", {"word_input": "embedding"})
    if config.batch_size < 16:
        text = f"The loss is {plain(loss)}. It learns from {config.batch_size} of the places at a time, so each step is chance."
        return Advice("batch", "info", text, "Learn from 32 places at a time", {"batch_size": 32})
    more = min(100_000, 2 * config.iterations)
    text = f"The loss is {plain(loss)}: it knows part of the story, and may need more time."
    return Advice("longer", "info", text, f"Train for {more:,} iterations", {"iterations": more})


def _learned(config: StoryConfig, loss: float) -> Advice:
    best = theory.of(config)
    text = f"The loss is {plain(loss)}: it knows the story by heart. "
    if best.ambiguous and config.n_input < 8:
        text += (
            f"Seeing {config.n_input} words, nobody is right more than {best.accuracy:.1%} of the time: see “Where nobody can be "
            "right”."
        )
        longer = {"n_input": config.n_input + 1}
        return Advice("ceiling", "success", text, f"Let it see {config.n_input + 1} words", longer)
    text += "How few units are enough?"
    return Advice("learned", "success", text, "Half the units", {"hidden_units": max(4, config.hidden_units // 2)})


_BEST_OF_ONE = theory.ceiling("bell", "", 1, visited=True).loss

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        "one-word",
        "One word is not enough",
        "The network sees a single word and must say the next. After “the” come many words, so nobody can always be right: "
        f"the best possible loss is {_BEST_OF_ONE:.2f} nats. Where does it end?",
        StoryConfig(n_input=1, iterations=2_000),
        (
            Choice("below that: it remembers what came before", 0, _BEST_OF_ONE - 0.15),
            Choice("about there", _BEST_OF_ONE - 0.15, _BEST_OF_ONE + 0.25),
            Choice("far above it", _BEST_OF_ONE + 0.25, math.inf),
        ),
        1,
        (),
        "It has learned how often each word follows each other, which is all that can be known from one word: its state starts "
        "from zero for every context. Which words are never sure you see under “Where nobody can be right”.",
    ),
    Experiment(
        "by-number",
        "Words as numbers",
        "The same network as in “Better”, but each word is read as its number in the vocabulary, as in the tutorial: 1,000 "
        "iterations. With an embedding the loss is below 0.001 by then.",
        StoryConfig(word_input="index", iterations=1_000),
        (
            Choice("as good: below 0.01", 0, 0.01),
            Choice("behind: 0.01 to 0.1", 0.01, 0.1),
            Choice("far behind: above 0.1", 0.1, math.inf),
        ),
        2,
        (),
        "Words 40 and 41 have nothing in common but their place in a list, yet as numbers they are nearly the same. The network "
        "must first learn to tell them apart; an embedding gives each word numbers of its own, so it need not.",
    ),
    Experiment(
        "by-heart",
        "How small can it be?",
        "Eight units instead of 64, for all of the story. Can it learn it by heart in 1,000 iterations?",
        StoryConfig(hidden_units=8, iterations=1_000),
        (
            Choice("yes: a loss below 0.1", 0, 0.1),
            Choice("nearly: 0.1 to 1", 0.1, 1.0),
            Choice("no: above 1", 1.0, math.inf),
        ),
        1,
        (),
        "Eight numbers must tell two hundred contexts apart. It knows most of the story, but not all: with more units the "
        "contexts lie further from each other.",
    ),
    Experiment(
        "too-fast",
        "Too large a step",
        "Adam with a learning rate of 1, two hundred times that of “Better”. What happens?",
        StoryConfig(learning_rate=1.0, iterations=500),
        (
            Choice("it learns faster: below 0.5", 0, 0.5),
            Choice("it learns which words are frequent: 0.5 to 5", 0.5, 5.0),
            Choice("worse than knowing nothing: above 5", 5.0, math.inf),
        ),
        2,
        (),
        "Each step throws the weights further than the gradient can tell. The network is sure of wrong words, and that costs "
        "more than knowing nothing.",
    ),
)


def equations(config: StoryConfig) -> str:
    """The network's equations with the current shapes, in Markdown with LaTeX."""
    words, rows, h = len(data.story(config.story, config.text).words), config.batch_size, config.hidden_units
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
