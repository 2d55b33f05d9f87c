"""What the echo page teaches: the coach, the guided experiments, and how it works."""

from collections.abc import Mapping
from typing import Any

from demos.echo import theory
from demos.echo.config import EchoConfig
from lib import quotes
from lib.lessons import Advice, Choice, Experiment, Source, cell_equations, parameter_count, plain

LEARNED = 0.01
STUCK = 0.65
OVERSHOOTS = 1.5
EPOCHS_OF_PATIENCE = 2

INTRODUCTION = (
    "The network reads random bits, one a step, and must repeat each of them some steps later: **Echo step** says how many. "
    "It can only do that by remembering, so its loss shows whether it has learned to remember."
)

PICTURES = (
    (
        "batch",
        "The batch that comes next",
        "Each column is one step: what the network reads, what it must repeat, what it says, and how sure it is of a 1.",
    ),
    (
        "hidden_state",
        "The hidden state",
        "Row 1 of the batch: one line for each unit, one column for each step. This is all that the network remembers.",
    ),
)


def advise(config: EchoConfig, step: int, metrics: Mapping[str, Any]) -> Advice | None:
    """What the coach says of a run: `metrics` is a stream's summary, `config` has the live settings in it."""
    loss = metrics.get("loss", {}).get("mean_last_100")
    if loss is None or step < 100:
        return None
    patient = step >= EPOCHS_OF_PATIENCE * config.windows_per_epoch
    if loss > OVERSHOOTS:
        return _overshoots(config, loss)
    if not theory.learnable(config):
        return _beyond_the_window(config)
    if loss < LEARNED:
        return _learned(config, loss)
    if patient and loss > STUCK:
        return _stuck(config, loss)
    if patient and loss > 0.05 and config.state_size < theory.memory_bits(config):
        return _too_few_units(config, loss)
    return None


def _overshoots(config: EchoConfig, loss: float) -> Advice:
    rate = max(config.learning_rate / 10, 1e-5)
    return Advice(
        "overshoots",
        "warning",
        f"The loss is {plain(loss)}, worse than guessing (0.693). Each step moves the weights too far, past the minimum and "
        "up the other side, so the network is sure of wrong answers.",
        f"Use a learning rate of {rate:g}",
        {"learning_rate": rate},
    )


def _beyond_the_window(config: EchoConfig) -> Advice:
    window = config.truncated_backprop_length
    text = (
        f"The echo comes {config.echo_step} steps later, but a training window has only {window}. The gradient is cut at "
        "the window's start, so nothing tells the network to keep a bit that long: the loss stays at chance, however "
        "many units there are."
    )
    if config.echo_step + 5 <= 50:
        return Advice(
            "window",
            "warning",
            text,
            f"Use a window of {config.echo_step + 5} steps",
            {"truncated_backprop_length": config.echo_step + 5},
        )
    return Advice("window", "warning", text, f"Echo after {window - 1} steps", {"echo_step": max(1, window - 1)})


def _learned(config: EchoConfig, loss: float) -> Advice:
    harder = config.echo_step + 1
    change: dict[str, Any] = {"echo_step": harder}
    if harder >= config.truncated_backprop_length:
        change["truncated_backprop_length"] = min(50, harder + 5)
    return Advice(
        "learned",
        "success",
        f"Learned: the loss is {plain(loss)}, where knowing nothing costs 0.693. The state of {config.state_size} units now "
        f"carries the last {theory.memory_bits(config)} bits; the spikes that are left are the starts of epochs.",
        f"Make it harder: echo after {harder} steps",
        change,
    )


def _stuck(config: EchoConfig, loss: float) -> Advice:
    start = f"After {EPOCHS_OF_PATIENCE} epochs the loss is still {loss:.3f}, at chance (0.693). "
    if config.optimizer in ("adagrad", "momentum") and config.learning_rate < 0.02:
        return Advice(
            "slow",
            "info",
            start + "With so small a learning rate the weights hardly move.",
            "Use a learning rate of 0.3",
            {"learning_rate": 0.3},
        )
    if config.initial_weights == "uniform":
        text = (
            "The initial weights are all positive, so all units start out alike, saturated and pushing the same way, and "
            "from some such starts there is no way down. Weights around zero begin with units that differ."
        )
        return Advice("start", "info", start + text, "Start with weights around zero", {"initial_weights": "glorot"})
    if config.state_size < theory.memory_bits(config):
        return _too_few_units(config, loss)
    if config.cell == "rnn":
        text = "A plain tanh unit overwrites itself at every step; a gated cell can decide to keep what it holds."
        return Advice("gates", "info", start + text, "Use an LSTM", {"cell": "lstm"})
    text = "This start may be an unlucky one; several seeds at once tell luck from rule."
    return Advice("luck", "info", start + text, "Train 8 seeds at once", {"seeds": 8})


def _too_few_units(config: EchoConfig, loss: float) -> Advice:
    need = theory.memory_bits(config)
    units = min(64, 2 * need)
    return Advice(
        "units",
        "info",
        f"The loss stays near {loss:.2f}: the state must hold {need} bits, the one that is due and those that are due "
        f"later, and {config.state_size} tanh unit{'s hold' if config.state_size > 1 else ' holds'} about one bit each. "
        "So the network repeats what it can and guesses the rest.",
        f"Use {units} units, with weights around zero",
        {"state_size": units, "initial_weights": "glorot"},
    )


LOSSES = (
    Choice("below 0.05: it learns the echo", 0.0, 0.05),
    Choice("between 0.05 and 0.65: it learns a part", 0.05, 0.65),
    Choice("about 0.69: it learns nothing", 0.65, 0.75),
    Choice("above 0.75: worse than guessing", 0.75, float("inf")),
)
_LEARNS, _PARTLY, _CHANCE, _WORSE = range(4)

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        "three-bits",
        "Can four units remember three steps?",
        "Four tanh units, an echo after 3 steps, 16 networks from different seeds. Where will the median loss end after "
        "10 epochs?",
        EchoConfig(seeds=16, epochs=10),
        LOSSES,
        _LEARNS,
        "Most of the 16 networks learn it within two epochs: each unit passes its bit on to the next, like a bucket brigade "
        "of four. Look at the band: one or two networks never leave 0.69, so one run alone may mislead you.",
    ),
    Experiment(
        "five-bits",
        "And five steps?",
        "The same four units, but an echo after 5 steps. The state would have to hold six bits. Where will the median "
        "loss end after 20 epochs?",
        EchoConfig(echo_step=5, seeds=16, epochs=20),
        LOSSES,
        _PARTLY,
        "It ends near 0.38, about half way between chance and zero: four units cannot carry six bits, but they carry "
        "some of it, so a part of the answers is better than a guess.",
    ),
    Experiment(
        "more-units",
        "Then give it ten units",
        "An echo after 5 steps again, now with ten units: more than enough for six bits. The weights start out between 0 "
        "and 1, as in the tutorial. Where will the median loss end?",
        EchoConfig(echo_step=5, state_size=10, seeds=16, epochs=20),
        LOSSES,
        _CHANCE,
        "More units made it worse! With ten positive weights each, every unit adds up so much that it saturates: its tanh "
        "is flat, and no gradient comes through. Capacity does not help where learning cannot start.",
    ),
    Experiment(
        "better-start",
        "The same ten units, a better start",
        "Only the initial weights change: around zero instead of between 0 and 1. Where will the median loss end?",
        EchoConfig(echo_step=5, state_size=10, initial_weights="glorot", seeds=16, epochs=20),
        LOSSES,
        _LEARNS,
        "Now it learns within the first epoch. Weights on both sides of zero keep the sums small, so that tanh works where "
        "it is steep and the gradient gets through.",
    ),
    Experiment(
        "window-too-short",
        "A window of three steps",
        "Four units, an echo after 3 steps, but the gradient is cut after a window of 3 steps. The state itself is carried "
        "on from window to window. Where will the median loss end?",
        EchoConfig(truncated_backprop_length=3, seeds=16, epochs=10),
        LOSSES,
        _CHANCE,
        "The bit and its echo never lie in the same window of three, so no gradient ever connects them. The network could "
        "remember, but nothing teaches it to.",
    ),
    Experiment(
        "window-long-enough",
        "One step more",
        "The same with a window of 4 steps: now one step in every window sees both a bit and its echo. Where will the "
        "median loss end?",
        EchoConfig(truncated_backprop_length=4, seeds=16, epochs=10),
        LOSSES,
        _LEARNS,
        "One connected pair in each window is enough: the weights are the same at every step, so what is learned there "
        "works everywhere.",
    ),
    Experiment(
        "too-fast",
        "A learning rate of 3",
        "The tutorial's task with SGD with momentum and a learning rate of 3. Where will the median loss end after 10 "
        "epochs?",
        EchoConfig(optimizer="momentum", learning_rate=3.0, seeds=16, epochs=10),
        LOSSES,
        _WORSE,
        "Far above chance. Every step overshoots, the weights grow, and the network gets sure of wrong answers, which "
        "costs more than not knowing. Clipping or a smaller rate brings it back.",
    ),
    Experiment(
        "too-slow",
        "A learning rate of 0.001",
        "Adagrad as in the tutorial, but with a learning rate of 0.001 instead of 0.3. Where will the median loss end after "
        "10 epochs?",
        EchoConfig(learning_rate=0.001, seeds=16, epochs=10),
        LOSSES,
        _CHANCE,
        "It has not left chance yet. Adagrad divides by all the gradients so far, so its steps only get smaller, and a "
        "small rate never catches up.",
    ),
)


def equations(config: EchoConfig) -> str:
    """The network's equations with the current shapes, in Markdown with LaTeX."""
    h, rows = config.state_size, config.batch_size
    return "\n\n".join(
        [
            *cell_equations(config.cell, h, rows),
            "**Its answer**",
            r"$$p_t = \mathrm{softmax}(h_t V + c)$$",
            f"$V$ is [{h} × 2] and $c$ is [2]: one number for 0 and one for 1.",
            "**The loss**",
            rf"$$L = -\frac{{1}}{{{config.truncated_backprop_length} \cdot {rows}}} \sum_t \sum_r \ln p_{{t,r}}"
            r"[\text{target}_{t,r}]$$",
            f"The mean over the window's {config.truncated_backprop_length} steps and the {rows} rows. Its gradient goes back to "
            "the window's start and no further; the state itself is carried on to the next window, and set to zero at each "
            "new epoch.",
            f"In all, {parameter_count(config.cell, h):,} weights are learned.",
        ]
    )


def sources(config: EchoConfig) -> tuple[Source, ...]:
    """The code of the step that this config runs, in the order in which it is worth reading."""
    return (
        Source("The data", "demos/echo/data.py", "series"),
        *quotes.cell(config.cell, config.truncated_backprop_length, config.state_size),
        Source("The loss", "demos/echo/task.py", "EchoTask.loss"),
        quotes.cross_entropy(),
        *quotes.training(config.optimizer, config.clip_norm),
    )
