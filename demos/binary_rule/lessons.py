"""What the binary-rule page teaches: the coach, the guided experiments, the person's own turn, and how it works."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from demos.binary_rule import theory
from demos.binary_rule.config import BinaryRuleConfig
from demos.binary_rule.data import GAMES, strips
from demos.binary_rule.figures import reason
from lib import quotes
from lib.lessons import Advice, Choice, Experiment, Game, Round, Source, cell_equations, parameter_count, plain

CLOSE = 0.01  # nats above the exact best that count as reached
STUCK = 0.68
OVERSHOOTS = 1.0
EPOCHS_OF_PATIENCE = 5

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
    best = theory.best(config)
    if loss > OVERSHOOTS:
        return _overshoots(config, loss)
    if not any(theory.reached(config)):
        return _out_of_reach(config)
    if loss < best.loss - CLOSE and config.carry_state and not all(theory.reached(config)):
        return _better_than_taught(config, loss, best.loss)
    if loss < best.loss + CLOSE:
        return _at_the_best(config, loss, best.loss)
    if step < EPOCHS_OF_PATIENCE * config.windows_per_epoch:
        return None
    if loss > STUCK:
        return _stuck(config, loss)
    return _half_way(config, loss, best.loss)


def _overshoots(config: BinaryRuleConfig, loss: float) -> Advice:
    rate = max(config.learning_rate / 10, 1e-5)
    return Advice(
        "overshoots",
        "warning",
        f"The loss is {plain(loss)}, worse than guessing (0.693). Each step moves the weights too far, so the network is sure "
        "of wrong answers.",
        f"Use a learning rate of {rate:g}",
        {"learning_rate": rate},
    )


def _out_of_reach(config: BinaryRuleConfig) -> Advice:
    text = (
        f"Both bits lie {min(config.lags)} or more steps back, and a window has {config.time_step}. The gradient is cut at "
        "the window's start, so no target is ever joined to the bits that decide it: the loss stays at 0.693."
    )
    offer, change = _teach(config)
    return Advice("window", "warning", text, f"Use {offer}", change)


def _teach(config: BinaryRuleConfig) -> tuple[str, dict[str, Any]]:
    """What would bring both bits within the window: a longer one, or nearer bits where it cannot be longer."""
    longest = max(config.lags)
    if longest < 20:
        return f"a window of {longest + 1} steps", {"time_step": longest + 1}
    return "bits 1 and 2 back", {"first_lag": 1, "second_lag": 2, "time_step": max(3, config.time_step)}


def _better_than_taught(config: BinaryRuleConfig, loss: float, best: float) -> Advice:
    offer, change = _teach(config)
    return Advice(
        "carried",
        "success",
        f"The loss is {plain(loss)}, less than {best:.3f}, the best with what a window of {config.time_step} teaches. The bit "
        f"{max(config.lags)} back has no gradient of its own, but the carried state still holds a trace of it, and the "
        "network has found that.",
        f"Teach it properly: {offer}",
        change,
    )


def _at_the_best(config: BinaryRuleConfig, loss: float, best: float) -> Advice:
    start = f"The loss is {loss:.3f}; the exact best in this setting is {best:.3f}. "
    if not all(theory.reached(config)):
        text = f"It uses one of the two bits; the other lies beyond the window of {config.time_step} steps."
        offer, change = _teach(config)
        return Advice("one-bit", "info", start + text, f"Use {offer}", change)
    if not config.carry_state:
        text = (
            "What is missing to the rule's own value are the first positions of each window: they start with no memory."
        )
        return Advice("carry", "info", start + text, "Carry the state between windows", {"carry_state": True})
    longest = max(config.lags)
    change = {"first_lag": longest, "second_lag": min(20, longest + 2)}
    if longest >= 18:
        return Advice("learned", "success", start + "It has found the rule.", "Try 8 seeds at once", {"seeds": 8})
    change |= {"time_step": max(config.time_step, longest + 4), "hidden_units": max(config.hidden_units, longest + 6)}
    change["time_step"] = min(20, change["time_step"])
    text = "It has found the rule: certain after 00 and 11, and undecided after 01 and 10, as it should be."
    harder = f"Make it harder: bits {change['first_lag']} and {change['second_lag']} back"
    return Advice("learned", "success", start + text, harder, change)


def _stuck(config: BinaryRuleConfig, loss: float) -> Advice:
    start = f"After {EPOCHS_OF_PATIENCE} epochs the loss is still {loss:.3f}, at chance (0.693). "
    if config.optimizer != "adam" or config.learning_rate < 0.005:
        text = "The weights hardly move, or not in a useful direction. Adam gives each weight a step size of its own."
        return Advice("slow", "info", start + text, "Use Adam at 0.02", {"optimizer": "adam", "learning_rate": 0.02})
    need = max(config.lags) + 1
    if config.hidden_units < need:
        return _more_units(config, start)
    text = "This start may be an unlucky one; several seeds at once tell luck from rule."
    return Advice("luck", "info", start + text, "Train 8 seeds at once", {"seeds": 8})


def _half_way(config: BinaryRuleConfig, loss: float, best: float) -> Advice | None:
    start = f"The loss is {loss:.3f}, still {loss - best:.3f} above the exact best. "
    if config.hidden_units <= max(config.lags):
        return _more_units(config, start)
    half = theory.best_knowing(config, (True, False)).loss
    if abs(loss - half) < 0.03 < half - best:
        text = f"One bit of the two alone would cost {half:.3f}: it seems to have found only that one so far."
        return Advice("half", "info", start + text, "Train 8 seeds at once", {"seeds": 8})
    return None


def _more_units(config: BinaryRuleConfig, start: str) -> Advice:
    need = max(config.lags) + 1
    units = min(64, 2 * need)
    has = f"{config.hidden_units} unit{'s' if config.hidden_units > 1 else ''}"
    text = f"The state must hold the last {need} bits, because each will be needed, and {has} of about one bit each are few."
    return Advice("units", "info", start + text, f"Use {units} hidden units", {"hidden_units": units})


LOSSES = (
    Choice("below 0.40: it finds the whole rule, or nearly", 0.0, 0.40),
    Choice("between 0.40 and 0.53: more than one bit's worth, less than the rule", 0.40, 0.53),
    Choice("between 0.53 and 0.65: what one bit of the two is worth", 0.53, 0.65),
    Choice("about 0.69: it learns nothing", 0.65, 0.75),
    Choice("above 0.75: worse than guessing", 0.75, float("inf")),
)
_RULE, _BETWEEN, _ONE_BIT, _CHANCE, _WORSE = range(5)

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        "the-rule",
        "Can it find the rule at all?",
        "The bits 1 and 2 back decide, six tanh units, a window of 5 steps, 8 networks from different seeds. Where will the "
        "median loss end after 20 epochs?",
        BinaryRuleConfig(seeds=8),
        LOSSES,
        _RULE,
        "At about 0.35, and all 8 networks: half of the targets are certain once the rule is known, and no network can know "
        "a coin. Loss that is left is not always a fault.",
    ),
    Experiment(
        "no-memory",
        "Forget at every window",
        "The same, but every window of 5 steps starts with an empty state. Where will the median loss end?",
        BinaryRuleConfig(seeds=8, carry_state=False),
        LOSSES,
        _BETWEEN,
        "At 0.46. The first target of each window has no bit to go by, the second only one, and the last three both: "
        "(0.693 + 0.562 + 3 · 0.347) / 5.",
    ),
    Experiment(
        "both-out-of-reach",
        "Both bits out of reach",
        "The bits 6 and 7 back decide, and a window has 5 steps. The state is carried on from window to window. Where will "
        "the median loss end?",
        BinaryRuleConfig(first_lag=6, second_lag=7, seeds=8),
        LOSSES,
        _CHANCE,
        "At chance. No window holds a target together with a bit that decides it, so no gradient points to them. The state "
        "could carry both bits, but nothing teaches it to.",
    ),
    Experiment(
        "one-out-of-reach",
        "One bit in reach, one just outside",
        "The bits 1 and 5 back decide, and a window has 5 steps: the gradient reaches back 4. Where will the median loss end?",
        BinaryRuleConfig(second_lag=5, seeds=8),
        LOSSES,
        _RULE,
        "Below what the window teaches (0.563)! Learning the nearer bit makes the state worth reading, and a trace of the "
        "further one rides along in it. A cut gradient does not forbid, it only does not teach.",
    ),
    Experiment(
        "without-the-ride",
        "The same, with nothing to ride on",
        "The bits 1 and 5 back again, but now each window starts with an empty state. Where will the median loss end?",
        BinaryRuleConfig(second_lag=5, carry_state=False, seeds=8),
        LOSSES,
        _ONE_BIT,
        "At 0.59: the nearer bit is used wherever it has been read (0.562), the first position of each window knows nothing "
        "(0.693), and the bit 5 back is out of the world.",
    ),
    Experiment(
        "two-units",
        "Two units for three bits",
        "The bits 1 and 2 back decide, and the network has two units. After each step it should know the last three bits. "
        "Where will the median loss end?",
        BinaryRuleConfig(hidden_units=2, seeds=8),
        LOSSES,
        _BETWEEN,
        "Near 0.40: two units pack three bits, but not cleanly. Its likelier answers are right as often as with six units "
        "(look at the accuracy), it is only less sure of them.",
    ),
    Experiment(
        "too-fast",
        "A learning rate of 10",
        "SGD with momentum and a learning rate of 10. Where will the median loss end after 20 epochs?",
        BinaryRuleConfig(optimizer="momentum", learning_rate=10.0, seeds=8),
        LOSSES,
        _WORSE,
        "Far above chance. Every step overshoots, and the network gets sure of wrong answers, which costs more than not "
        "knowing.",
    ),
)


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
            *cell_equations(config.cell, h, rows),
            "**Its answer**",
            r"$$p_t = \mathrm{softmax}(h_t V + c)$$",
            f"$V$ is [{h} × 2] and $c$ is [2]: one number for 0 and one for 1.",
            "**The loss**",
            rf"$$L = -\frac{{1}}{{{window} \cdot {rows}}} \sum_t \sum_r \ln p_{{t,r}}[y_{{t,r}}]$$",
            f"The mean over the window's {window} steps and the {rows:,} rows. Its gradient goes back to the window's start and "
            f"no further; {goes_on}.",
            f"In all, {parameter_count(config.cell, h):,} weights are learned.",
        ]
    )


def sources(config: BinaryRuleConfig) -> tuple[Source, ...]:
    """The code of the step that this config runs, in the order in which it is worth reading."""
    return (
        Source("The data", "demos/binary_rule/data.py", "series"),
        *quotes.cell(config.cell, config.time_step, config.hidden_units),
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
