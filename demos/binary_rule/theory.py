"""What the binary rule allows: chance, the lower bound, and what is possible without the carried state, by enumeration.

Target i is the opposite of bits i - a and i - b where they are equal, else a fair coin. What can be known of it depends on
which of the two bits were read since the state was zero: where it is carried that is since the row's start (a new epoch
starts the rows anew), else since the window's start. The window does not matter to it otherwise: it only decides which bits
a gradient joins to their target.

One known bit is worth something too: the target is its opposite with probability 3/4. Losses are in nats.
"""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise, product
from typing import NamedTuple

from demos.binary_rule.config import BinaryRuleConfig
from lib.stream import RECENT
from lib.theory import Boundary

LN_2 = math.log(2)

Known = tuple[bool, bool]  # whether the first and the second of the rule's bits were read


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


def within_window(config: BinaryRuleConfig) -> Known:
    """Which of the two bits a gradient joins to its target: those that lie within the window."""
    return config.first_lag < config.time_step, config.second_lag < config.time_step


def known_at(config: BinaryRuleConfig, position: int) -> Known:
    """Which of the two bits have been read at a position of a row, from 0, since the state was zero."""
    read = position if config.carry_state else position % config.time_step
    return config.first_lag <= read, config.second_lag <= read


def spans(config: BinaryRuleConfig, start: int, end: int) -> Iterator[tuple[int, Known]]:
    """How many of a row's positions from `start` to `end` have which bits known: (count, known), in the order of position.

    Both are whole windows. Where the state is not carried all windows are alike, and each span is of all of them.
    """
    windows = 1
    if not config.carry_state:
        windows, start, end = (end - start) // config.time_step, 0, config.time_step
    turns = (lag for lag in config.lags if start < lag < end)
    for first, last in pairwise(sorted({start, end, *turns})):
        yield (last - first) * windows, known_at(config, first)


def used_positions(config: BinaryRuleConfig) -> int:
    """The steps of a row that are trained on in an epoch: what is left after the last whole window is not."""
    return config.windows_per_epoch * config.time_step


def best(config: BinaryRuleConfig) -> Best:
    """The best that any network can do in this setting, on average over an epoch: bounds of information."""
    return _mean(config, 0, used_positions(config))


def without_carried_state(config: BinaryRuleConfig) -> Best:
    """The best for whoever knows the current window's bits alone: what a window teaches."""
    return best(config.model_copy(update={"carry_state": False}))


def floor(config: BinaryRuleConfig) -> float:
    """The lowest expected mean loss of a whole run's last 100 steps."""
    last = range(max(0, config.steps - RECENT), config.steps)
    window = config.time_step
    places = (step % config.windows_per_epoch * window for step in last)
    return math.fsum(_mean(config, place, place + window).loss for place in places) / len(last)


def sampling_error(config: BinaryRuleConfig) -> float:
    """The standard deviation of the best network's mean loss over 100 steps, in nats: ½ · ln 2 / √N for N targets.

    Half of the targets cost ln 2, where a coin decides, and half nothing. Where fewer bits are known it is smaller.
    """
    return 0.5 * LN_2 / math.sqrt(RECENT * config.time_step * config.batch_size)


def epoch_floor(config: BinaryRuleConfig) -> float:
    """The lowest expected mean loss of an epoch."""
    return best(config).loss


def best_accuracy(config: BinaryRuleConfig) -> float:
    """The highest expected accuracy of an epoch."""
    return best(config).accuracy


def floor_of_first_window(config: BinaryRuleConfig) -> float:
    """The lowest expected loss of an epoch's first window."""
    return _mean(config, 0, config.time_step).loss


def chance(config: BinaryRuleConfig) -> float:
    """The loss of a network that has learned nothing and says 50 % everywhere: ln 2."""
    return LN_2


def rule_known(config: BinaryRuleConfig) -> Best:
    """What the rule itself allows, with both bits at hand everywhere."""
    return best_knowing(config, (True, True))


def _mean(config: BinaryRuleConfig, start: int, end: int) -> Best:
    parts = [(count, best_knowing(config, known)) for count, known in spans(config, start, end)]

    def mean(read: Callable[[Best], float]) -> float:
        return math.fsum(count * read(part) for count, part in parts) / (end - start)

    return Best(mean(lambda part: part.loss), mean(lambda part: part.accuracy))


# For sweeps


def learned_below(config: BinaryRuleConfig) -> float:
    """The loss at or below which a network counts as having found the rule: a tenth of the way from floor to chance."""
    return floor(config) + 0.1 * (LN_2 - floor(config))


def taught(config: BinaryRuleConfig) -> bool:
    """Whether the window reaches both bits, so that a gradient joins them to their target."""
    return all(within_window(config))


def expected(config: BinaryRuleConfig) -> bool:
    """Whether the rule is expected to be found: there is a unit for each bit that is due now or later, the last max(lag) + 1.

    Measured for the tanh RNN, first lag 1, second lag 2 to 5, 8 seeds each, ten epochs (python -m demos sweep binary-rule --axis
    second_lag=2:5 --axis hidden_units=2:7 --seeds 8). With as many units as the second lag, or fewer, 0 of 80 networks found the
    rule, with one more 29 of 32.
    """
    return config.hidden_units > max(config.lags)


BOUNDARIES = (
    Boundary(
        "expected",
        "a unit for each bit",
        "on the inner side the rule is expected to be found. Not a theorem, but measured for tanh RNNs trained with Adam for ten "
        "epochs: with as many units as the further lag, or fewer, none of 80 networks found it, with one more 29 of 32.",
        expected,
    ),
    Boundary(
        "taught",
        "the window reaches both bits",
        "on the inner side a gradient joins both bits to their target. Beyond it nothing teaches the network to keep them, yet "
        "the carried state may still hold them.",
        taught,
        dashed=True,
    ),
)


# In words


def explain(config: BinaryRuleConfig) -> str:
    """The derivation of the lines in Markdown, with the current numbers."""
    total = best(config)
    return "\n\n".join(
        [
            f"**Chance.** Saying 50 % everywhere is right half of the time and costs ln 2 = {LN_2:.4f} nats a step.",
            _the_rule(config),
            _one_bit(config),
            _since_zero(config),
            _table(config),
            f"**Together.** The mean loss of an epoch is at least **{total.loss:.4f}**, the epoch-mean lower bound, and its "
            f"accuracy at most **{total.accuracy:.4f}**. On average no network beats them, whatever its size and "
            "its window.",
            _what_a_window_teaches(config),
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


def _since_zero(config: BinaryRuleConfig) -> str:
    start = "row, at each new epoch" if config.carry_state else "window, because the state is not carried"
    return (
        f"**What was read.** The state is zero at the start of every {start}: what was before cannot be known. Every bit since "
        "then has been read, and the state may hold it."
    )


def _what_a_window_teaches(config: BinaryRuleConfig) -> str:
    if not config.carry_state:
        return ""
    window, alone = config.time_step, without_carried_state(config).loss
    text = (
        f"**What a window teaches.** Whoever knows the bits of the current window of {_steps(window)} alone reaches "
        f"{alone:.4f} at best: the dashed line, the best without the carried state."
    )
    if config.trained == "readout":
        return (
            f"{text} But here only the output is trained: no window teaches the recurrent weights to keep a bit, and the output "
            "reads what random ones happen to keep (an echo-state network, Jaeger 2001)."
        )
    far = sorted({lag for lag in config.lags if lag >= window})
    if not far:
        return f"{text} Both bits lie within a window, so the gradient joins them to their target."
    which = "bit that lies" if len(far) == 1 else "bits that lie"
    return (
        f"{text} The gradient reaches back {_steps(window - 1)}, so nothing teaches the network directly to keep the {which} "
        f"{' and '.join(map(str, far))} back. The carried state may hold them all the same: the state of a large "
        "random network has traces of older bits (an echo-state network, Jaeger 2001), and the trained output can read them out."
    )


def _table(config: BinaryRuleConfig) -> str:
    """How many positions know what, and what that costs."""
    carried = config.carry_state
    positions = used_positions(config) if carried else config.time_step
    rows = [f"| positions of a {'row' if carried else 'window'} | known bits | best loss (nats) | best accuracy |"]
    rows.append("| --- | --- | --- | --- |")
    start = 0
    for count, known in spans(config, 0, positions):
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
