"""What the page from scratch teaches: the coach, the guided experiments, and how it works."""

import math
from collections.abc import Mapping
from typing import Any

from demos.from_scratch import theory
from demos.from_scratch.config import RUNNERS, FromScratchConfig
from lib import quotes
from lib.lessons import Advice, Choice, Experiment, Source

INTRODUCTION = (
    "A language model of a hundred lines, without any library for learning: sentences become numbers, numbers become guesses, "
    "and guesses become better. **The code that you read here is the code that runs**, and you can check, break and race it."
)
LABELS = {"pace": "Sentences per second", "loss": "Loss (nats a word)"}  # of the status strip
PICTURES = ()  # app/scratch_panel.py takes the model apart
BY_HEART, PATIENCE = 1.0, 300


def advise(config: FromScratchConfig, step: int, metrics: Mapping[str, Any]) -> Advice | None:
    """What the coach says of a run: `metrics` is a stream's summary, `config` has the live settings in it."""
    loss = metrics.get("loss", {}).get("mean_last_100")
    if loss is None or not math.isfinite(loss) or config.hands == "race" or step < 100:
        return None
    chance, frequent = theory.chance(config), theory.frequencies(config)
    if loss > 1.15 * chance and config.learning_rate > 1e-5:
        return _overshoots(config, loss, chance)
    if step < PATIENCE:
        return None
    if loss > 0.97 * chance and config.learning_rate < 0.005:
        text = f"After {step:,} sentences the loss is {loss:.2f}, next to ln C = {chance:.2f}: the weights hardly move."
        return Advice("slow", "info", text, "Use a learning rate of 0.005", {"learning_rate": 0.005})
    if loss > frequent:
        text = (
            f"The loss is {loss:.2f}. Next comes the first thing that there is to know, how frequent each word is: that alone "
            f"brings it to {frequent:.2f}."
        )
        rate = min(10.0, 2 * config.learning_rate)
        return Advice("frequencies", "info", text, f"Faster: a learning rate of {rate:g}", {"learning_rate": rate})
    if loss > BY_HEART:
        text = (
            f"The loss is {loss:.2f}, below the {frequent:.2f} of knowing frequencies: the state tells it something of the words "
            "before. Let it write, below."
        )
        return Advice(
            "context", "success", text, "Twice the sentences", {"sentences": min(5_000, 2 * config.sentences)}
        )
    text = f"The loss is {loss:.2f}: it knows most of these sentences by heart, and would be lost with others."
    return Advice("by-heart", "success", text, "More to learn: 2,000 sentences", {"sentences": 2_000})


def _overshoots(config: FromScratchConfig, loss: float, chance: float) -> Advice:
    rate = max(config.learning_rate / 10, 1e-5)
    text = f"The loss is {loss:.2f}, worse than ln C = {chance:.2f} of knowing nothing: each step moves the weights too far."
    return Advice("overshoots", "warning", text, f"Use a learning rate of {rate:g}", {"learning_rate": rate})


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
        (),
        "It is ln 500 = 6.21. The scores are all near 0, so each word gets about 1 / 500. Whoever sees another number at the "
        "start of such a training has a bug, before having waited for anything.",
    ),
    Experiment(
        "fast-halved",
        "Twenty times too fast",
        "A learning rate of 0.1 instead of 0.005, but it is halved after each epoch whose loss is higher than the one before. "
        "Where does the loss end?",
        FromScratchConfig(learning_rate=0.1),
        (
            Choice("below 6: it learns", 0, 6),
            Choice("6 to 8: about as good as knowing nothing", 6, 8),
            Choice("above 8: worse than knowing nothing", 8, math.inf),
        ),
        0,
        (),
        "The first epochs make it worse. Each such epoch halves the rate, until the steps fit: look at the chart of the learning "
        "rate. The time that it lost is not made up, though: with 0.005 from the start it ends far lower.",
    ),
    Experiment(
        "fast",
        "The same without halving",
        "A learning rate of 0.1 to the end. Where does the loss end?",
        FromScratchConfig(learning_rate=0.1, halving=False),
        (
            Choice("below 6: it learns", 0, 6),
            Choice("6 to 8: about as good as knowing nothing", 6, 8),
            Choice("above 8: worse than knowing nothing", 8, math.inf),
        ),
        2,
        (),
        "Each sentence throws the weights further than its gradient is true for. They grow, tanh saturates, and the network is "
        "sure of wrong words, which costs more than not knowing.",
    ),
    Experiment(
        "no-time",
        "No way back in time",
        "Truncation 0: the error of a guess changes the state of that step and goes back no further. With 4 steps the loss ends "
        "near 3.1. And now?",
        FromScratchConfig(truncate=0),
        (
            Choice("below 3: better", 0, 3),
            Choice("3 to 4: nearly as good", 3, 4),
            Choice("above 4: far worse", 4, math.inf),
        ),
        1,
        (),
        "The state still carries what was read, and the next word depends on the last one more than on all others. What the "
        "longer way back adds is little on sentences this short. It vanishes soon, too: see “Vanishing” below.",
    ),
    Experiment(
        "few-words",
        "A vocabulary of twenty words",
        "All but the 19 most frequent words become UNKNOWN_TOKEN. With 500 words the loss ends near 3.1. Now?",
        FromScratchConfig(vocabulary_size=20),
        (
            Choice("below 2 nats", 0, 2),
            Choice("between 2 and 4 nats", 2, 4),
            Choice("above 4 nats", 4, math.inf),
        ),
        0,
        (),
        "About half of all words are UNKNOWN_TOKEN now, and that is easy to guess. The loss is low because the task is easy: "
        "losses with different vocabularies cannot be compared.",
    ),
)


def equations(config: FromScratchConfig) -> str:
    """The model's equations with the current shapes, in Markdown with LaTeX."""
    h, c = config.hidden_units, len(config.words.words)
    return "\n\n".join(
        [
            "**The model**",
            r"$$s_t = \tanh(U x_t + W s_{t-1}), \qquad o_t = \mathrm{softmax}(V s_t)$$",
            f"$x_t$ is one of {c:,} words, $s_t$ is [{h}], $o_t$ is [{c:,}]; $U$ is [{h} × {c:,}], $V$ is [{c:,} × {h}], "
            f"$W$ is [{h} × {h}]. No biases. In all, 2 · {h} · {c:,} + {h}² = {2 * h * c + h * h:,} weights are learned.",
            "**The loss**",
            r"$$L = -\sum_t \ln o_t[y_t]$$",
            "Summed over a sentence where it is differentiated; the charts show the mean of its words.",
            "**Learning**",
            r"$$\theta \leftarrow \theta - \eta \frac{\partial L}{\partial \theta}$$",
            f"after each sentence, with $\\eta$ = {config.learning_rate:g}"
            + (", halved after every epoch whose loss rose." if config.halving else "."),
        ]
    )


def sources(config: FromScratchConfig) -> tuple[Source, ...]:
    """The code of a training step, in the order in which it is worth reading."""
    model, path = "demos/from_scratch/model.py", "demos/from_scratch/hands.py"
    runners = RUNNERS if config.hands == "race" else (config.hands,)
    found = []
    if "numpy" in runners:
        found += [
            Source("One step of the state", model, "next_state"),
            Source("A sentence, forwards", model, "forward"),
            Source("The gradient", model, "backward"),
            Source("One sentence is learned", model, "learn"),
        ]
    if runners != ("numpy",):
        found += [
            Source("The states", path, "states_of"),
            Source("The states, with a gradient that is cut", path, "truncated_states"),
            Source("The loss", path, "sentence_loss"),
        ]
    if {"eager", "graph"} & set(runners):
        found += [
            Source("The gradient, by TensorFlow", path, "gradient"),
            Source("One sentence, eagerly or as a graph", path, "StepHand._learn"),
        ]
    if "xla" in runners:
        found += [Source("One sentence of a chunk", path, "ChunkTask.loss"), *quotes.training("sgd", 0.0)]
    if config.halving:
        found.append(Source("The halving rule, after each epoch", model, "halved"))
    return tuple(found)
