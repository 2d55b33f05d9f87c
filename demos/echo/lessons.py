"""What the echo page teaches: the coach, the guided experiments, and how it works."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from demos.echo import theory
from demos.echo.config import EchoConfig
from demos.echo.experiments import EXPERIMENTS
from lib import quotes
from lib.lessons import Advice, Source, cell_equations, parameter_count, plain

__all__ = ["EXPERIMENTS", "INTRODUCTION", "PICTURES", "advise", "equations", "sources"]

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
        "Current batch: input, target, prediction",
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
    if loss < LEARNED:
        return _learned(config, loss)
    if not theory.taught(config):
        return _beyond_the_window(config, loss)
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
        f"The loss is {plain(loss)}, worse than guessing (0.693): the network is sure of wrong answers. Each step probably "
        "moves the weights too far, past the minimum and up the other side.",
        f"Use a learning rate of {rate:g}",
        {"learning_rate": rate},
    )


def _beyond_the_window(config: EchoConfig, loss: float) -> Advice:
    window = config.truncated_backprop_length
    text = (
        f"The echo comes {config.echo_step} steps later, but a window has only {window}. The gradient is cut at the window's "
        f"start, so nothing teaches the network directly to keep a bit that long. The loss is {plain(loss)} (chance is 0.693); "
        "what it can know of that bit are traces of older bits in the carried state. A larger network with weights around zero, "
        "which learns slowly, may hold more of them."
    )
    echo = min(45, config.echo_step)
    change: dict[str, Any] = {"truncated_backprop_length": echo + 5}
    offer = f"Use a window of {echo + 5} steps"
    if echo < config.echo_step:
        offer, change = f"{offer}, and echo after {echo}", change | {"echo_step": echo}
    if config.trained == "readout":  # no window teaches a reservoir anything
        offer, change = f"{offer}, and train everything", change | {"trained": "everything"}
    return Advice("window", "warning", text, offer, change)


def _learned(config: EchoConfig, loss: float) -> Advice:
    harder = min(50, config.echo_step + 1)
    change: dict[str, Any] = {"echo_step": harder}
    if harder >= config.truncated_backprop_length:
        change["truncated_backprop_length"] = min(50, harder + 5)
    untaught = ""
    if not theory.taught(config):
        untaught = (
            f" No window of {config.truncated_backprop_length} holds a bit with its echo: the network reads it out of the "
            "carried state, which nothing taught it directly to keep."
        )
    return Advice(
        "learned",
        "success",
        f"Learned: the loss is {plain(loss)}, where chance costs 0.693. The state of {config.state_size} "
        f"unit{'s' * (config.state_size > 1)} tells the bit that is due, so it carries the last {theory.memory_bits(config)} "
        f"bits.{untaught}",
        f"Make it harder: echo after {harder} steps",
        change,
    )


def _stuck(config: EchoConfig, loss: float) -> Advice:
    start = f"After {EPOCHS_OF_PATIENCE} epochs the loss is still {loss:.3f}, at chance (0.693). "
    if config.optimizer in ("adagrad", "momentum") and config.learning_rate < 0.02:
        return Advice(
            "slow",
            "info",
            start + "With so small a learning rate it may only be slow.",
            "Use a learning rate of 0.3",
            {"learning_rate": 0.3},
        )
    if config.initial_weights == "uniform":
        text = (
            "The initial weights are all positive, so the units push the same way and many may saturate: there tanh is flat, and "
            "little gradient comes through. Weights around zero keep the sums small."
        )
        return Advice("start", "info", start + text, "Start with weights around zero", {"initial_weights": "glorot"})
    if config.state_size < theory.memory_bits(config):
        return _too_few_units(config, loss)
    if config.cell == "rnn":
        text = "A tanh unit is computed anew at every step; a gated cell can keep what it holds."
        return Advice("gates", "info", start + text, "Use an LSTM", {"cell": "lstm"})
    text = "It may be this random start: several networks at once show how many learn it."
    return Advice("seeds", "info", start + text, "Train 8 seeds at once", {"seeds": 8})


def _too_few_units(config: EchoConfig, loss: float) -> Advice:
    need = theory.memory_bits(config)
    units = min(64, 2 * need)
    return Advice(
        "units",
        "info",
        f"The loss is {loss:.2f}. The state must hold {need} bits, the one that is due and those that are due later, and has "
        f"{config.state_size} unit{'s' * (config.state_size > 1)}. A unit could hold more than one bit, but tanh "
        "RNNs that learned the echo nearly always had a unit for each (measured, see the map under *Sweep*).",
        f"Use {units} units, with weights around zero",
        {"state_size": units, "initial_weights": "glorot"},
    )


def equations(config: EchoConfig) -> str:
    """The network's equations with the current shapes, in Markdown with LaTeX."""
    h, rows, window, advance = config.state_size, config.batch_size, config.truncated_backprop_length, config.advance
    steps = f"the window's last {advance} of {window}" if config.overlap else f"the window's {window}"
    return "\n\n".join(
        [
            *cell_equations(config.cell, h, rows),
            "**Its answer**",
            r"$$p_t = \mathrm{softmax}(h_t V + c)$$",
            f"$V$ is [{h} × 2] and $c$ is [2]: one number for 0 and one for 1.",
            "**The loss**",
            rf"$$L = -\frac{{1}}{{{advance} \cdot {rows}}} \sum_t \sum_r \ln p_{{t,r}}[\text{{target}}_{{t,r}}]$$",
            f"The mean over {steps} steps and the {rows} rows. Its gradient goes back to the window's start and no further; the "
            "state itself is carried on to the next window, and set to zero at each new epoch.",
            *([_overlapping(config)] if config.overlap else []),
            f"In all, {parameter_count(config.cell, h):,} weights are learned.",
        ]
    )


def _overlapping(config: EchoConfig) -> str:
    """What a stride shorter than the window does."""
    ahead, overlap = (f"{count} step{'s' * (count > 1)}" for count in (config.advance, config.overlap))
    return (
        f"**The stride**\n\nThe next window begins {ahead} after this one, with the state that this one had there, so the state "
        f"has read each bit once. The {overlap} that the two have in common are read again, with new weights, and not scored: "
        f"they lead up to those that are, so each error goes back at least {overlap}. It follows BPTT(h; h') of "
        f"Williams & Peng (1990), here with h = {config.truncated_backprop_length} and h' = {config.advance}."
    )


def sources(config: EchoConfig) -> tuple[Source, ...]:
    """The code of the step that this config runs, in the order in which it is worth reading."""
    read_by = (quotes.cell(config.cell, steps, config.state_size, config.trained) for steps in config.parts)
    return (
        Source("The data", "demos/echo/data.py", "series"),
        *dict.fromkeys(chain.from_iterable(read_by)),
        Source("The loss", "demos/echo/task.py", "EchoTask.loss"),
        quotes.cross_entropy(),
        *quotes.training(config.optimizer, config.clip_norm),
    )
