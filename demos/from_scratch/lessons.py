"""What the page from scratch teaches: the coach, the guided experiments, and how it works."""

import math
from collections.abc import Mapping
from typing import Any

from demos.from_scratch import theory
from demos.from_scratch.config import RUNNERS, FromScratchConfig
from demos.from_scratch.data import MOST_SENTENCES
from demos.from_scratch.experiments import EXPERIMENTS
from lib import quotes
from lib.lessons import Advice, Source

__all__ = ["EXPERIMENTS", "INTRODUCTION", "LABELS", "PICTURES", "advise", "equations", "sources"]

INTRODUCTION = (
    "A language model of a hundred lines, without any library for learning: sentences become numbers, numbers become guesses, "
    "and guesses become better. **The code that you read here is the code that runs**, and you can check, break and race it."
)
LABELS = {
    "pace": "Sentences per second",
    "step_time": "Time per SGD step",
    "loss": "Loss (nats per word)",
}  # of the status strip
PICTURES = ()  # app/scratch_panel.py takes the model apart
BY_HEART, PATIENCE = 1.0, 300
CLEARLY = 0.95  # of the unigram model: on a hundred sentences alone it varies by 3 %


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
        text = (
            f"After {step:,} sentences the loss is {loss:.2f}, next to ln C = {chance:.2f}: the rate may be too small."
        )
        return Advice("slow", "info", text, "Use a learning rate of 0.005", {"learning_rate": 0.005})
    if loss > CLEARLY * frequent:
        text = f"The loss is {loss:.2f}. The unigram model, which knows only how frequent each word is, has {frequent:.2f}."
        rate = min(10.0, 2 * config.learning_rate)
        return Advice("frequencies", "info", text, f"Faster: a learning rate of {rate:g}", {"learning_rate": rate})
    if loss > BY_HEART:
        text = f"The loss is {loss:.2f}, below {frequent:.2f} of the unigram model: it uses what it reads. Let it write, below."
        return Advice(
            "context", "success", text, "Twice the sentences", {"sentences": min(MOST_SENTENCES, 2 * config.sentences)}
        )
    more = max(2_000, min(MOST_SENTENCES, 2 * config.sentences))
    text = (
        f"The loss is {loss:.2f}; the lower bound for these sentences, known by heart, is {theory.floor(config):.2f}. On "
        "others it may be far worse: see the experiment “Learned by heart”."
    )
    return Advice("by-heart", "success", text, f"More to learn: {more:,} sentences", {"sentences": more})


def _overshoots(config: FromScratchConfig, loss: float, chance: float) -> Advice:
    rate = max(config.learning_rate / 10, 1e-5)
    text = (
        f"The loss is {loss:.2f}, worse than chance, ln C = {chance:.2f}: each step probably moves the weights too far."
    )
    return Advice("overshoots", "warning", text, f"Use a learning rate of {rate:g}", {"learning_rate": rate})


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
            f"after each sentence, with $\\eta$ = {config.learning_rate:g}" + _halved(config),
        ]
    )


def _halved(config: FromScratchConfig) -> str:
    if not config.halving:
        return "."
    if config.check_every == 1:
        return ", halved after every epoch whose loss rose."
    return f", halved where the loss rose; it is checked every {config.check_every} epochs."


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
        found.append(Source("The halving rule, after each check of the loss", model, "halved"))
    return tuple(found)
