"""What the binary-rule page teaches: the coach, the guided experiments, the person's own turn, and how it works."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from demos.binary_rule import theory
from demos.binary_rule.config import BinaryRuleConfig
from demos.binary_rule.data import GAMES, strips
from demos.binary_rule.experiments import EXPERIMENTS
from demos.binary_rule.figures import reason
from lib import quotes
from lib.lessons import Advice, Game, Round, Source, cell_equations, parameter_count, plain

__all__ = ["EXPERIMENTS", "GAME", "INTRODUCTION", "PICTURES", "advise", "equations", "looks_back", "rounds", "sources"]

_START = {
    "rnn": r" At the start each matrix is uniform in $\pm\sqrt{6 / (\text{rows} + \text{columns})}$ (Glorot & Bengio 2010), and "
    "$b$ and $c$ are 0; the tutorial's code draws $W$ and $U$ as one such matrix.",
}
READS = {"one-hot": "a 1 at the place of the bit's value and a 0 at the other", "scalar": "one bit"}
CLOSE = 0.01  # nats above the lower bound that count as reached
STUCK = 0.68
OVERSHOOTS = 1.0
PATIENCE = 250  # steps, and an epoch at least, before a loss counts as too high, where the run is not shorter
LONG = 2_000  # steps after which more of the same is no longer offered

INTRODUCTION = (
    "The network reads fair random bits and must say, at each step, the next target. A hidden rule decides it: the "
    "**opposite** of two earlier bits where these are **equal**, and a fair coin where they are not. Nobody tells the "
    "network which two bits: it has to find out from examples."
)

PICTURES = (
    (
        "strip",
        "A sequence that it never trains on",
        "Filled is a 1, open a 0. Hatched columns are forced by the rule, the others are coins. Point at a column to see why.",
    ),
    (
        "belief",
        "What it believes now",
        "For each context, the values of the rule's two bits: the probability of a 1 that the network gives, and the truth.",
    ),
)


def advise(config: BinaryRuleConfig, step: int, metrics: Mapping[str, Any]) -> Advice | None:
    """What the coach says of a run: `metrics` is a stream's summary, `config` has the live settings in it."""
    loss = metrics.get("loss", {}).get("mean_last_100")
    if loss is None or step < 100:
        return None
    best, alone = theory.best(config).loss, theory.without_carried_state(config).loss
    if loss > OVERSHOOTS:
        return _overshoots(config, loss)
    if loss < best + CLOSE:
        return _at_the_best(config, loss, best)
    if not theory.taught(config) and loss < alone - max(CLOSE, 4 * theory.sampling_error(config)):
        return _better_than_taught(config, loss, alone)
    if not any(theory.within_window(config)):
        return _out_of_reach(config, loss)
    if step < min(config.steps, max(PATIENCE, config.windows_per_epoch)):
        return None
    if loss > STUCK:
        return _stuck(config, step, loss)
    return _half_way(config, step, loss, best)


def _overshoots(config: BinaryRuleConfig, loss: float) -> Advice:
    rate = max(config.learning_rate / 10, 1e-5)
    return Advice(
        "overshoots",
        "warning",
        f"The loss is {plain(loss)}, worse than guessing (0.693): the network is sure of wrong answers. Each step probably "
        "moves the weights too far.",
        f"Use a learning rate of {rate:g}",
        {"learning_rate": rate},
    )


def _out_of_reach(config: BinaryRuleConfig, loss: float) -> Advice:
    text = (
        f"Both bits lie {min(config.lags)} or more steps back, and a window has {config.time_step}. The gradient is cut at "
        f"the window's start, so nothing teaches the network directly to keep them. The loss is {loss:.3f} (chance is 0.693); "
        "traces of older bits in the carried state are all that there is to find."
    )
    offer, change = _teach(config)
    return Advice("window", "warning", text, f"Use {offer}", change)


def _teach(config: BinaryRuleConfig) -> tuple[str, dict[str, Any]]:
    """What would bring both bits within the window: a longer one, or nearer bits where it cannot be longer."""
    longest = max(config.lags)
    change: dict[str, Any] = {"time_step": longest + 1}
    offer = f"a window of {longest + 1} steps"
    if longest >= 20:
        offer, change = "bits 1 and 2 back", {"first_lag": 1, "second_lag": 2, "time_step": max(3, config.time_step)}
    if config.trained == "readout":  # no window teaches a reservoir anything
        offer, change = f"{offer}, and train everything", change | {"trained": "everything"}
    return offer, change


def _better_than_taught(config: BinaryRuleConfig, loss: float, alone: float) -> Advice:
    far = sorted({lag for lag in config.lags if lag >= config.time_step})
    bits = "bit" if len(far) == 1 else "bits"
    offer, change = _teach(config)
    return Advice(
        "carried",
        "success",
        f"The loss is {plain(loss)}, less than {alone:.3f}, the best with the bits of a window of {config.time_step} alone. "
        f"Nothing teaches the network directly to keep the {bits} {' and '.join(map(str, far))} back, but the carried state "
        "still holds traces, and it has found them.",
        f"Teach it directly: {offer}",
        change,
    )


def _at_the_best(config: BinaryRuleConfig, loss: float, best: float) -> Advice:
    start = f"The loss is {loss:.3f}; the lower bound in this setting is {best:.3f}. "
    if loss < best:
        error = plain(theory.sampling_error(config))
        start += (
            f"The bound is an expectation: a mean over 100 steps varies around it by {error} (standard deviation). "
        )
    if not config.carry_state and not theory.taught(config):
        text = f"Not both bits lie within a window of {config.time_step} steps, and the state is not carried beyond it."
        offer, change = _teach(config)
        return Advice("one-bit", "info", start + text, f"Use {offer}", change)
    if not config.carry_state:
        text = "The first positions of each window cost more than the rule: they start with no memory."
        return Advice("carry", "info", start + text, "Carry the state between windows", {"carry_state": True})
    longest, row = max(config.lags), theory.used_positions(config)
    if longest >= row:
        text = f"A row has {row} steps, too few for the network ever to have read both bits."
        longer = min(1_000_000, 1_000 * math.ceil(config.batch_size * 20 * (longest + 1) / 1_000))
        return Advice("row", "info", start + text, f"Use a series of {longer:,} bits", {"series_length": longer})
    change = {"first_lag": longest, "second_lag": min(20, longest + 2)}
    if longest >= 18:
        return Advice("learned", "success", start + "It has found the rule.", "Try 8 seeds at once", {"seeds": 8})
    change |= {"time_step": max(config.time_step, longest + 4), "hidden_units": max(config.hidden_units, longest + 6)}
    change["time_step"] = min(20, change["time_step"])
    text = "It has found the rule: sure after 00 and 11, and undecided after 01 and 10, as it should be."
    if config.first_lag == config.second_lag:
        text = "It has found the rule: the target is always the opposite of that bit."
    if not theory.taught(config):
        text += f" A window of {config.time_step} does not reach both bits: the carried state holds them all the same."
    harder = f"Make it harder: bits {change['first_lag']} and {change['second_lag']} back"
    return Advice("learned", "success", start + text, harder, change)


def _stuck(config: BinaryRuleConfig, step: int, loss: float) -> Advice:
    better = "no" if loss > theory.LN_2 - 4 * theory.sampling_error(config) else "hardly"
    start = f"After {step:,} steps the loss is {loss:.3f}, {better} better than chance (0.693). "
    if config.optimizer != "adam" or config.learning_rate < 0.005:
        text = "Adam gives each weight a step size of its own, by how large its gradients are (Kingma & Ba 2015)."
        return Advice("slow", "info", start + text, "Use Adam at 0.02", {"optimizer": "adam", "learning_rate": 0.02})
    need = max(config.lags) + 1
    if config.hidden_units < need:
        return _more_units(config, start)
    text = "It may be this random start: several networks at once show how many find the rule."
    return Advice("seeds", "info", start + text, "Train 8 seeds at once", {"seeds": 8})


def _half_way(config: BinaryRuleConfig, step: int, loss: float, best: float) -> Advice | None:
    start = f"The loss is {loss:.3f}, still {loss - best:.3f} above the lower bound. "
    if config.hidden_units <= max(config.lags):
        return _more_units(config, start)
    half = theory.best_knowing(config, (True, False)).loss
    if abs(loss - half) < 0.03 < half - best:
        text = f"Knowing one bit of the two costs {half:.3f}: it is as good as if it had found one so far."
        return Advice("half", "info", start + text, "Train 8 seeds at once", {"seeds": 8})
    if config.steps <= step < LONG:
        text = "The run has ended: more epochs may bring it there."
        epochs = min(200, 5 * config.epochs)
        return Advice("longer", "info", start + text, f"Train for {epochs} epochs", {"epochs": epochs})
    return None


def _more_units(config: BinaryRuleConfig, start: str) -> Advice:
    need = max(config.lags) + 1
    units = min(64, 2 * need)
    has = f"{config.hidden_units} unit{'s' * (config.hidden_units > 1)}"
    text = (
        f"The state must hold the last {need} bits, because each will be needed, in {has}. Tanh RNNs with fewer units than "
        "bits did not find the whole rule (measured, see the map under *Sweep*)."
    )
    return Advice("units", "info", start + text, f"Use {units} hidden units", {"hidden_units": units})


GAME = Game(
    "Your turn",
    "The same task for you: you see the inputs so far and say the target of the last one. Can you find the rule before the "
    "network does? Its answers are those of the run above, as it is now.",
    GAMES,
)


def looks_back(config: BinaryRuleConfig) -> int:
    """How many steps back a person must see to play."""
    return max(config.lags)


def rounds(config: BinaryRuleConfig, snapshot: Mapping[str, Any] | None, game: int) -> list[Round]:
    """One game: the sequence's inputs and targets, what the network says, and what knowing the rule is worth."""
    strip, row = strips(config.lags, config.time_step, config.seed), 1 + game % GAMES
    ones = np.asarray(snapshot["strip_probabilities"])[:, row] if snapshot else None
    found = []
    for position, (bit, target) in enumerate(zip(strip.inputs[row].tolist(), strip.targets[row].tolist(), strict=True)):
        one = theory.probability_of_one(*divmod(int(strip.contexts[row, position]), 2))
        seen = (config.first_lag <= position, config.second_lag <= position)
        certainty = max(one, 1 - one) if all(seen) else theory.best_knowing(config, seen).accuracy
        says = float(ones[position]) if ones is not None else None
        why = reason(config, strip, row, position).replace("<br>", " ")
        found.append(Round(bit, target, says, certainty, why))
    return found


def equations(config: BinaryRuleConfig) -> str:
    """The rule and the network's equations with the current shapes, in Markdown with LaTeX."""
    h, rows, window, (first, second) = config.hidden_units, config.batch_size, config.time_step, config.lags
    goes_on = (
        "the state itself is carried on to the next window, and set to zero at each new epoch"
        if config.carry_state
        else "the state is set to zero as well, at every window"
    )
    return "\n\n".join(
        [
            "**The rule**",
            rf"$$y_t = \begin{{cases}} 1 - x_{{t-{first}}} & \text{{if }} x_{{t-{first}}} = x_{{t-{second}}} \\ "
            r"\text{a fair coin} & \text{otherwise} \end{cases}$$",
            *cell_equations(config.cell, h, rows, config.inputs, READS[config.bit_input]),
            "**Its answer**",
            r"$$p_t = \mathrm{softmax}(h_t V + c)$$",
            f"$V$ is [{h} × 2] and $c$ is [2]: one number for 0 and one for 1.",
            "**The loss**",
            rf"$$L = -\frac{{1}}{{{window} \cdot {rows}}} \sum_t \sum_r \ln p_{{t,r}}[y_{{t,r}}]$$",
            f"The mean over the window's {window} steps and the {rows:,} rows. Its gradient goes back to the window's start and "
            f"no further; {goes_on}.",
            f"In all, {parameter_count(config.cell, h, config.inputs):,} weights are learned.{_START.get(config.cell, '')}",
        ]
    )


def sources(config: BinaryRuleConfig) -> tuple[Source, ...]:
    """The code of the step that this config runs, in the order in which it is worth reading."""
    return (
        Source("The data", "demos/binary_rule/data.py", "series"),
        *quotes.cell(config.cell, config.time_step, config.hidden_units, config.trained),
        Source("The loss and the beliefs", "demos/binary_rule/task.py", "BinaryRuleTask.loss"),
        quotes.cross_entropy(),
        *quotes.training(config.optimizer, config.clip_norm),
        Source(
            "The best that can be done knowing some bits",
            "demos/binary_rule/theory.py",
            "best_knowing",
            makes="the numbers under “How low the loss can go”, by counting all cases",
        ),
    )
