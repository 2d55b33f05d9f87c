"""What the gates page teaches: the coach, the guided experiments, and how it works."""

import math
from collections.abc import Mapping
from typing import Any

from demos.gates import theory
from demos.gates.config import GatesConfig
from demos.gates.data import language
from demos.gates.experiments import EXPERIMENTS
from lib import quotes
from lib.lessons import Advice, Source, cell_equations, plain

__all__ = ["EXPERIMENTS", "INTRODUCTION", "PICTURES", "advise", "equations", "sources"]

STEPS_OF_PATIENCE = 400

INTRODUCTION = (
    "An LSTM has three gates in every unit. At each step they say how much is **written** into the unit's memory (input gate "
    "*i*), how much of it is **kept** (forget gate *f*) and how much the others **hear** of it (output gate *o*). What does "
    "training make of them? Here you train a network and look inside: every gate of every unit at every step, what the numbers "
    "say in words, and what breaks when you intervene."
)

PICTURES = ()  # app/inside_panel.py draws what goes on inside


def advise(config: GatesConfig, step: int, metrics: Mapping[str, Any]) -> Advice | None:
    """What the coach says of a run: `metrics` is a stream's summary, `config` has the live settings in it."""
    loss = metrics.get("loss", {}).get("mean_last_100")
    if loss is None or not math.isfinite(loss) or step < 100:
        return None
    chance = theory.chance(config)
    if loss > max(1.3 * chance, chance + 0.1) and config.learning_rate > 1e-5:
        return _overshoots(config, loss, chance)
    if loss <= theory.learned_below(config):
        return _learned(config, loss)
    if not theory.taught(config):
        return _out_of_reach(config)
    if step < STEPS_OF_PATIENCE:
        return None
    if loss > 0.9 * chance:
        return _stuck(config, loss, chance)
    return _half_way(config, loss)


def _overshoots(config: GatesConfig, loss: float, chance: float) -> Advice:
    rate = max(config.learning_rate / 10, 1e-5)
    text = f"The loss is {plain(loss)}, worse than guessing ({chance:.3f}). The steps are probably too long."
    return Advice("overshoots", "warning", text, f"Use a learning rate of {rate:g}", {"learning_rate": rate})


def _out_of_reach(config: GatesConfig) -> Advice:
    change: dict[str, Any]
    lag = theory.furthest_lag(config)
    text = (
        f"What the answer depends on lies up to {lag} steps back, and the gradient goes back {config.window - 1} at "
        "most: nothing "
        "teaches the network directly to keep it."
    )
    offer, change = f"Use a window of {lag + 5}", {"truncated_backprop_length": lag + 5}
    if config.trained == "readout":  # no window teaches a reservoir anything
        offer, change = f"{offer}, and train everything", change | {"trained": "everything"}
    return Advice("window", "warning", text, offer, change)


_COUNT = {"task": "brackets", "hidden_units": 16, "keep_bias": 3.0, "batch_size": 32, "bracket_types": 1}
_HARDER: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "recall": (
        "It recalls the last marked letter. What its gates do for that is told under “Inside the network”.",
        "Put the mark into the symbol",
        {"marks": "joined"},
    ),
    "remember": (
        "It keeps the symbol until the cue. How steadily, and by which gates, is told under “Inside the network”.",
        "Make it harder: 60 steps",
        {"delay": 60, "keep_bias": 5.0},
    ),
    "brackets": (
        "It knows what may come next. Does a single unit track the depth? See “What units do”.",
        "Make it harder: three kinds",
        {"bracket_types": 3, "hidden_units": 32, "training_steps": 4_000},
    ),
    "text": (
        "On the text that it trains on it beats a bigram model. See which units correlate with words, quotes and lines.",
        "Give it 128 units",
        {"hidden_units": 128},
    ),
    "echo": (
        "It repeats the bits. How well single units correlate with each of them is under “What units do”.",
        "Make it harder: 8 steps",
        {"echo_step": 8, "hidden_units": 24},
    ),
    "binary_rule": (
        "It has found the rule, or nearly. Where the rule's two bits differ the target is a coin, which no network can know.",
        "Now let it recall a marked letter",
        {"task": "recall"},
    ),
}


def _learned(config: GatesConfig, loss: float) -> Advice:
    text, action, change = _HARDER[config.task]
    if _is_so(config, change):
        action, change = "Now let it count brackets", _COUNT
        if config.task == "brackets":
            action, change = "Now let it read fables", {"task": "text", "hidden_units": 64, "training_steps": 3_000}
    return Advice(f"learned-{config.task}", "success", f"The loss is {plain(loss)}. {text}", action, change)


def _is_so(config: GatesConfig, change: Mapping[str, Any]) -> bool:
    """Whether the settings are as a change would make them, or beyond it."""
    pairs = ((getattr(config, name), value) for name, value in change.items())
    return all(now == value if isinstance(value, str) else now >= value for now, value in pairs)


def _stuck(config: GatesConfig, loss: float, chance: float) -> Advice:
    start = f"The loss is {loss:.3f}, at chance ({chance:.3f}). "
    if config.cell == "rnn":
        text = "A tanh RNN computes its whole state anew at each step. A gate that starts open hands it on."
        return Advice("gates", "info", start + text, "Use an LSTM that starts open", {"cell": "lstm", "keep_bias": 3.0})
    if config.keep_bias < 3:
        text = (
            f"As it starts, the gate that keeps the memory leaves {_kept(config)} of it after {config.window} steps, and as "
            "little of the gradient along it."
        )
        return Advice("keep", "info", start + text, "Start it open: gate bias 3", {"keep_bias": 3.0})
    if config.seeds >= 8:
        text = "The median of several starts has not found it yet: more steps may."
        more = min(50_000, 2 * config.training_steps)
        return Advice("longer", "info", start + text, f"Train for {more:,} steps", {"training_steps": more})
    text = "This start may be an unlucky one: several seeds show what is usual."
    return Advice("luck", "info", start + text, "Train 8 seeds at once", {"seeds": 8})


def _kept(config: GatesConfig) -> str:
    """How much of a memory is left over a window when the gate stays as it starts."""
    gate = 1 / (1 + math.exp(-config.keep_bias))
    left = gate**config.window
    return f"{left:.0%}" if left >= 0.005 else f"one part in 10^{round(-math.log10(left))}"


def _half_way(config: GatesConfig, loss: float) -> Advice | None:
    if config.task == "text" and config.hidden_units < 256:
        return Advice(
            "more-units", "info",
            f"The loss is {loss:.2f} nats a character. More units can hold more of what came before.",
            f"Use {min(256, 2 * config.hidden_units)} units", {"hidden_units": min(256, 2 * config.hidden_units)},
        )  # fmt: skip
    if config.training_steps < 5_000:
        more = 2 * config.training_steps
        text = f"The loss is {plain(loss)}: it knows part of the task, and may need more time."
        return Advice("longer", "info", text, f"Train for {more:,} steps", {"training_steps": more})
    return None


def equations(config: GatesConfig) -> str:
    """The network's equations with the current shapes, in Markdown with LaTeX."""
    spoken = language(config)
    outputs = len(spoken.answers)
    read = f"a 1 at the place of one of {spoken.inputs} tokens"
    if spoken.encoding is not None:
        read = f"a 1 at the place of one of {config.symbols} letters, and one more if it is marked; or a 1 for the cue,"
    last = r"\sigma" if spoken.independent else r"\mathrm{softmax}"
    each = "each of them may be right by itself" if spoken.independent else "together they make 1"
    return "\n\n".join(
        [
            *cell_equations(config.cell, config.hidden_units, config.batch_size, spoken.inputs, read),
            "**Its answer**",
            rf"$$p_t = {last}(h_t V + d)$$",
            f"$V$ is [{config.hidden_units} × {outputs}] and $d$ is [{outputs}]: a probability for each answer; {each}.",
            "**How far the gradient goes**",
            f"Back through the {config.window} steps of a window, and no further.",
        ]
    )


def sources(config: GatesConfig) -> tuple[Source, ...]:
    """The code of the step that this config runs, and of the pictures, in the order in which it is worth reading."""
    independent = language(config).independent
    return (
        *quotes.cell(config.cell, config.window, config.hidden_units, config.trained),
        Source("The loss", "demos/gates/task.py", "GatesTask.loss"),
        Source("An answer", "demos/gates/task.py", "GatesTask._of_each" if independent else "GatesTask._of_one"),
        quotes.cross_entropy(independent=independent),
        *quotes.training(config.optimizer, config.clip_norm),
        Source(
            "The same step in NumPy, where it can be operated on",
            "lib/trace.py",
            f"_{config.cell}",
            makes="the gates and states in the pictures, from the weights of the network that is trained",
        ),
        Source("How far the gradient reaches", "lib/trace.py", "gradient_reach", makes="the picture “Gradient reach”"),
    )
