"""What the binary rule allows: chance, and the exact best loss and accuracy of every setting, by enumeration.

Target i is the opposite of bits i - a and i - b where they are equal, else a fair coin. What can be known of it depends
on which of the two bits the network can have learned to use at that position:

- A bit that lies `time_step` or more steps back is not taught: no window holds both it and its target, so no gradient
  joins them. (`carried_best` says what is possible for a network that knows it all the same, see there.)
- A bit before the state's last zero is not there: with the state carried that is before the row's start (a new epoch
  starts the rows anew), without it before the window's start.

One known bit is worth something too: the target is its opposite with probability 3/4. Losses are in nats.
"""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise, product
from typing import NamedTuple

from demos.binary_rule.config import BinaryRuleConfig

LN_2 = math.log(2)

Known = tuple[bool, bool]  # whether the first and the second of the rule's bits can be used


class Best(NamedTuple):
    """The lowest loss (nats) and the highest accuracy that one can have."""

    loss: float
    accuracy: float


def probability_of_one(first: int, second: int) -> float:
    """The rule: how likely the target is a 1 when these are its two bits."""
    return 0.5 if first != second else float(1 - first)


def entropy(probability: float) -> float:
    """The entropy of a bit that is 1 with this probability, in nats."""
    return sum(-p * math.log(p) for p in (probability, 1 - probability) if p > 0)


def contexts(config: BinaryRuleConfig) -> list[tuple[int, int]]:
    """The values that the rule's two bits take, all equally likely; with equal lags they are one bit, twice."""
    return [(a, b) for a, b in product((0, 1), repeat=2) if config.first_lag != config.second_lag or a == b]


def best_knowing(config: BinaryRuleConfig, known: Known) -> Best:
    """The best that one can do who knows these of the two bits: every context is counted once."""
    groups: dict[tuple[int | None, ...], list[float]] = {}
    for context in contexts(config):
        seen = tuple(bit if there else None for bit, there in zip(context, known, strict=True))
        groups.setdefault(seen, []).append(probability_of_one(*context))
    count = len(contexts(config))
    shares = [(len(group) / count, sum(group) / len(group)) for group in groups.values()]
    return Best(sum(w * entropy(p) for w, p in shares), sum(w * max(p, 1 - p) for w, p in shares))


def reached(config: BinaryRuleConfig) -> Known:
    """Which of the two bits a gradient joins to its target: those that lie within the window."""
    return config.first_lag < config.time_step, config.second_lag < config.time_step


def known_at(config: BinaryRuleConfig, position: int, usable: Known) -> Known:
    """Which of the usable bits have been read at a position of a row, from 0, since the state was zero."""
    read = position if config.carry_state else position % config.time_step
    first, second = usable
    return first and config.first_lag <= read, second and config.second_lag <= read


def spans(config: BinaryRuleConfig, positions: int, usable: Known) -> Iterator[tuple[int, Known]]:
    """How many of a row's first positions have which bits known: (count, known), in the order of position."""
    unit = positions if config.carry_state else config.time_step
    lags = [lag for lag, there in zip(config.lags, usable, strict=True) if there]
    for start, end in pairwise(sorted({0, unit, *(min(lag, unit) for lag in lags)})):
        yield (end - start) * (positions // unit), known_at(config, start, usable)


def used_positions(config: BinaryRuleConfig) -> int:
    """The steps of a row that are trained on in an epoch: what is left after the last whole window is not."""
    return config.windows_per_epoch * config.time_step


def best(config: BinaryRuleConfig) -> Best:
    """The best that one can do in this setting with what the gradient teaches, on average over an epoch."""
    return _mean(config, used_positions(config), reached(config))


def carried_best(config: BinaryRuleConfig) -> Best:
    """The best with all that the state could carry, taught or not: no network does better.

    It differs from `best` when the state is carried and a bit lies beyond the window. Measured at time_step 5, 8 seeds, 60
    epochs: with one bit beyond, what the state carries of it by chance is often found and used (lags 1 and 5: 0.36, 1 and
    6: 0.47, 1 and 8: 0.56); with both beyond there is nothing to begin with, and the loss stays at 0.69.
    """
    return _mean(config, used_positions(config), (True, True))


def floor(config: BinaryRuleConfig) -> float:
    """The lowest expected loss of an epoch."""
    return best(config).loss


def best_accuracy(config: BinaryRuleConfig) -> float:
    """The highest expected accuracy of an epoch."""
    return best(config).accuracy


def floor_of_first_window(config: BinaryRuleConfig) -> float:
    """The lowest expected loss of an epoch's first window."""
    return _mean(config, config.time_step, reached(config)).loss


def chance(config: BinaryRuleConfig) -> float:
    """The loss of a network that has learned nothing and says 50 % everywhere: ln 2."""
    return LN_2


def rule_known(config: BinaryRuleConfig) -> Best:
    """What the rule itself allows, with both bits at hand everywhere."""
    return best_knowing(config, (True, True))


def _mean(config: BinaryRuleConfig, positions: int, usable: Known) -> Best:
    parts = [(count, best_knowing(config, known)) for count, known in spans(config, positions, usable)]

    def mean(read: Callable[[Best], float]) -> float:
        return math.fsum(count * read(part) for count, part in parts) / positions

    return Best(mean(lambda part: part.loss), mean(lambda part: part.accuracy))


# For sweeps


def learned_below(config: BinaryRuleConfig) -> float:
    """The loss at or below which a network counts as having found the whole rule.

    It is a tenth of the way from the best with both bits, where these have been read, to chance.
    """
    goal = carried_best(config).loss
    return goal + 0.1 * (LN_2 - goal)


BOUNDARY = (
    "both bits lie within the window, and there is a unit for each bit back to the further one. What is learned beyond it "
    "has ridden along in the carried state"
)


def within_reach(config: BinaryRuleConfig) -> bool:
    """Whether the rule can be learned: the gradient reaches both bits, and the state has room for all bits since.

    After each step the state must tell the bits that are due now or later: the last max(lag) + 1. A tanh unit holds
    about one (measured on the echo, see demos.echo.theory).
    """
    return all(reached(config)) and config.hidden_units > max(config.lags)


# In words


def explain(config: BinaryRuleConfig) -> str:
    """The derivation of the exact best in Markdown, with the current numbers."""
    total = best(config)
    return "\n\n".join(
        [
            f"**Chance.** Saying 50 % everywhere is right half of the time and costs ln 2 = {LN_2:.4f} nats a step.",
            _the_rule(config),
            _one_bit(config),
            _reach(config),
            _table(config),
            f"**Together.** The exact best is a loss of **{total.loss:.4f}** and an accuracy of **{total.accuracy:.4f}**.",
            _beyond(config),
        ]
    )


def _the_rule(config: BinaryRuleConfig) -> str:
    known = rule_known(config)
    if config.first_lag == config.second_lag:
        return "**With the rule.** Both lags name the same bit, so the target is always its opposite: a loss of 0."
    return (
        "**With the rule.** In two contexts of four, 00 and 11, the target is certain and costs nothing. In the other two "
        f"it is a coin and costs ln 2. On average: ½ · ln 2 = {known.loss:.4f}, with an accuracy of ½ · 1 + ½ · ½ = "
        f"{known.accuracy:.2f}."
    )


def _one_bit(config: BinaryRuleConfig) -> str:
    if config.first_lag == config.second_lag:
        return ""
    one = best_knowing(config, (True, False))
    return (
        "**With one bit of the two.** The other is equal to it half of the time, so the target is its opposite with "
        f"probability ½ · 1 + ½ · ½ = ¾. Betting on that costs {one.loss:.4f}, and its accuracy is {one.accuracy:.2f} as "
        "well: accuracy alone cannot tell half of the rule from all of it, the loss can."
    )


def _reach(config: BinaryRuleConfig) -> str:
    window = config.time_step
    far = sorted({lag for lag in config.lags if lag >= window})
    if not far:
        text = f"Both bits lie within a window of {window} steps, so the gradient can join them to their target."
    else:
        which = "bit that lies " if len(far) == 1 else "bits that lie "
        back = " and ".join(map(str, far))
        text = (
            f"In a window of {_steps(window)} the gradient reaches back {_steps(window - 1)}. Nothing tells the network to "
            f"keep the {which}{back} back: it is as if {'it was' if len(far) == 1 else 'they were'} not there."
        )
    start = "row, at each new epoch" if config.carry_state else "window, because the state is not carried"
    return f"**Within reach.** {text} And the state is zero at the start of every {start}: what was before cannot be known."


def _beyond(config: BinaryRuleConfig) -> str:
    """What the state may carry that no gradient asked for."""
    total = carried_best(config)
    if not any(reached(config)) or total == best(config):
        return ""
    return (
        "**Better than taught.** The state is carried on, and while the network learns the nearer bit, traces of earlier "
        "ones ride along in it. It can find these and use them. So this run may go below the line, but never below "
        f"{total.loss:.4f}, where every bit since the row's start is known."
    )


def _table(config: BinaryRuleConfig) -> str:
    """How many positions know what, and what that costs."""
    carried = config.carry_state
    positions = used_positions(config) if carried else config.time_step
    rows = [f"| positions of a {'row' if carried else 'window'} | known bits | best loss (nats) | best accuracy |"]
    rows.append("| --- | --- | --- | --- |")
    start = 0
    for count, known in spans(config, positions, reached(config)):
        part, end = best_knowing(config, known), start + count
        where = f"{start + 1:,} to {end:,}" if count > 1 else f"{end:,}"
        rows.append(f"| {where} | {_bits(config, known)} | {part.loss:.4f} | {part.accuracy:.2f} |")
        start = end
    return "\n".join(rows)


def _bits(config: BinaryRuleConfig, known: Known) -> str:
    back = sorted({lag for lag, there in zip(config.lags, known, strict=True) if there})
    return f"{' and '.join(map(str, back))} back" if back else "none"


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count:,} steps"
