"""What the gates page teaches: the coach, the guided experiments, and how it works."""

import math
from collections.abc import Mapping
from typing import Any

from demos.gates import theory
from demos.gates.config import GatesConfig
from demos.gates.data import language
from lib import quotes
from lib.lessons import Advice, Choice, Experiment, Source, cell_equations, plain

STEPS_OF_PATIENCE = 400

INTRODUCTION = (
    "An LSTM decides at every step what to **write** into its memory (input gate *i*), what to **keep** (forget gate *f*) and "
    "what to **say** (output gate *o*). Here you train one and look inside: every gate of every unit at every step, with the "
    "real numbers. Then operate on it and see what breaks."
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
    if not theory.within_reach(config):
        return _out_of_reach(config)
    if loss <= theory.learned_below(config):
        return _learned(config, loss)
    if step < STEPS_OF_PATIENCE:
        return None
    if loss > 0.9 * chance:
        return _stuck(config, loss, chance)
    return _half_way(config, loss)


def _overshoots(config: GatesConfig, loss: float, chance: float) -> Advice:
    rate = max(config.learning_rate / 10, 1e-5)
    text = f"The loss is {plain(loss)}, worse than guessing ({chance:.3f}). Each step moves the weights too far."
    return Advice("overshoots", "warning", text, f"Use a learning rate of {rate:g}", {"learning_rate": rate})


def _out_of_reach(config: GatesConfig) -> Advice:
    lag = config.echo_step if config.task == "echo" else max(config.first_lag, config.second_lag)
    text = (
        f"What decides the answer lies {lag} steps back, and the gradient goes back {config.window} steps only: nothing joins "
        "the two, so the loss stays at chance."
    )
    return Advice("window", "warning", text, f"Use a window of {lag + 5}", {"truncated_backprop_length": lag + 5})


_HARDER: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "remember": (
        "It remembers. Look at the forget gate: units that hold the symbol keep it near 1 until the cue.",
        "Make it harder: 60 steps",
        {"delay": 60, "keep_bias": 5.0},
    ),
    "brackets": (
        "It knows what may come next. One unit has learned to count the depth: see “What units do”.",
        "Make it harder: three kinds",
        {"bracket_types": 3, "hidden_units": 32, "training_steps": 4_000},
    ),
    "text": (
        "It expects characters better than pairs of them would. See which units follow words, quotes and lines.",
        "Give it 128 units",
        {"hidden_units": 128},
    ),
    "echo": (
        "It repeats the bits. Its units hold the last ones, each a different one.",
        "Make it harder: 8 steps",
        {"echo_step": 8, "hidden_units": 24},
    ),
    "binary_rule": (
        "It has found the rule, and no network can know the coins.",
        "Now let it remember",
        {"task": "remember", "hidden_units": 16},
    ),
}


def _learned(config: GatesConfig, loss: float) -> Advice:
    text, action, change = _HARDER[config.task]
    if all(getattr(config, name) >= value for name, value in change.items() if not isinstance(value, str)):
        action, change = "Now let it count brackets", {"task": "brackets", "hidden_units": 16, "bracket_types": 1}
        if config.task == "brackets":
            action, change = "Now let it read fables", {"task": "text", "hidden_units": 64, "training_steps": 3_000}
    return Advice(f"learned-{config.task}", "success", f"The loss is {plain(loss)}. {text}", action, change)


def _stuck(config: GatesConfig, loss: float, chance: float) -> Advice:
    start = f"The loss is {loss:.3f}, at chance ({chance:.3f}). "
    if config.cell == "rnn":
        text = "A tanh RNN writes its whole state anew at each step, and what it read fades. Gates can keep it."
        return Advice("gates", "info", start + text, "Use an LSTM", {"cell": "lstm"})
    if config.keep_bias < 3:
        kept = _kept(config)
        text = f"The gate that keeps the memory starts so that {kept} is left after {config.window} steps: nothing to learn from."
        return Advice("keep", "info", start + text, "Start it open: keep bias 3", {"keep_bias": 3.0})
    if config.seeds >= 8:
        text = "Even the median of several starts has not found it: more steps may."
        more = min(50_000, 2 * config.training_steps)
        return Advice("longer", "info", start + text, f"Train for {more:,} steps", {"training_steps": more})
    text = "This start may be an unlucky one; several seeds at once tell luck from rule."
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
            f"The loss is {loss:.2f} nats a character, and still falling. More units can hold more of what came before.",
            f"Use {min(256, 2 * config.hidden_units)} units", {"hidden_units": min(256, 2 * config.hidden_units)},
        )  # fmt: skip
    if config.training_steps < 5_000:
        more = 2 * config.training_steps
        text = f"The loss is {plain(loss)}: it knows part of the task, and may need more time."
        return Advice("longer", "info", text, f"Train for {more:,} steps", {"training_steps": more})
    return None


def _choices(chance: float, learned: float = 0.1) -> tuple[Choice, ...]:
    return (
        Choice(f"below {learned:g}: it has found how", 0.0, learned),
        Choice(f"between {learned:g} and {0.9 * chance:.2f}: part of it", learned, 0.9 * chance),
        Choice(f"about {chance:.2f}, as by guessing, or worse", 0.9 * chance, float("inf")),
    )


_FOUND, _PART, _CHANCE = range(3)
_FOUR_SYMBOLS, _COIN = _choices(1.386), _choices(0.693)

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        "keep-it",
        "Keep one thing for thirty steps",
        "One of four symbols, thirty steps of noise, then the cue. 8 LSTMs of 16 units, whose forget gates start nearly open "
        "(keep bias 3). Where will the median loss end?",
        GatesConfig(seeds=8, training_steps=600),
        _FOUR_SYMBOLS,
        _FOUND,
        (),
        "Near 0, and within a few dozen steps. Look at the gates: where the symbol is kept, f stays near 1 and c is a straight "
        "line through the noise.",
    ),
    Experiment(
        "half-open",
        "A gate that starts half open",
        "The same, but the forget gates start half open: keep bias 0, so half of the memory is lost at every step. Where will "
        "the median loss end?",
        GatesConfig(seeds=8, keep_bias=0.0, training_steps=600),
        _FOUR_SYMBOLS,
        _CHANCE,
        (),
        "At chance. After thirty halvings a billionth is left of the symbol, and as little of the gradient: nothing tells the "
        "gate to open. What a network can learn depends on what it can already pass on.",
    ),
    Experiment(
        "no-gates",
        "No gates at all",
        "The same task with a delay of 60 for 8 tanh RNNs of 16 units. Where will the median loss end?",
        GatesConfig(cell="rnn", delay=60, seeds=8),
        _FOUR_SYMBOLS,
        _CHANCE,
        (),
        "At chance for most, though a lucky start may make it: the state passes through 60 matrix products, and only where "
        "these neither shrink nor grow it does anything arrive. Compare the gradient's reach.",
    ),
    Experiment(
        "gru",
        "Fewer gates, further back",
        "A delay of 100 for 4 GRUs of 16 units, whose update gate both keeps and writes. Keep bias 5. Where will the median "
        "loss end?",
        GatesConfig(cell="gru", delay=100, keep_bias=5.0, seeds=4, training_steps=800),
        _FOUR_SYMBOLS,
        _FOUND,
        (),
        "Near 0. One gate is enough to keep a memory: when z is 1, the state is handed on untouched.",
    ),
    Experiment(
        "counting",
        "Counting without numbers",
        "Nested brackets, at most eight open. 4 LSTMs of 16 units must say which brackets may come next. Where will the median "
        "loss end?",
        GatesConfig(task="brackets", seeds=4),
        _COIN,
        _FOUND,
        (),
        "Near 0. To know when nothing is open and when eight are, something must count: see “What units do”, where one unit's "
        "cell state follows the depth.",
    ),
    Experiment(
        "cut-off",
        "Beyond the cut",
        "An echo of 20 steps, but the gradient goes back through 10. Where will the median loss of 4 LSTMs end?",
        GatesConfig(task="echo", echo_step=20, truncated_backprop_length=10, seeds=4),
        _COIN,
        _CHANCE,
        (),
        "At chance: an LSTM keeps what it is taught to keep, and no gradient ever joined a bit to its echo.",
    ),
)


def equations(config: GatesConfig) -> str:
    """The network's equations with the current shapes, in Markdown with LaTeX."""
    tokens, answers, independent = language(config)
    inputs, outputs = len(tokens), len(answers)
    last = r"\sigma" if independent else r"\mathrm{softmax}"
    each = "each of them may be right by itself" if independent else "together they make 1"
    return "\n\n".join(
        [
            *cell_equations(config.cell, config.hidden_units, config.batch_size, inputs),
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
        *quotes.cell(config.cell, config.window, config.hidden_units),
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
