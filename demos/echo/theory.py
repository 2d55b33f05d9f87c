"""What loss the echo task allows: chance, and the exact floor.

The series has N fair bits in a row, and target i is bit i - echo_step, or 0 where there is no such bit.
Series and targets are reshaped to B = batch_size rows of L = N // B steps, of which whole windows of T =
truncated_backprop_length steps are used.

The network reads one row from its start, with a state of zero. So it can know its position p in the row and
the row's bits, but neither the other rows nor which row it reads. It learns to look back T - 1 steps at
most, because the gradient goes no further. Losses are in nats, averaged over rows and over the used
positions of a row.
"""

import math
from collections.abc import Iterable

from demos.echo.config import EchoConfig

LN_2 = math.log(2)


def chance(config: EchoConfig) -> float:
    """The loss of a network that has learned nothing and says 50 % everywhere: ln 2."""
    return LN_2


def floor(config: EchoConfig) -> float:
    """The lowest expected loss of an epoch, whatever the network."""
    return _mean_loss(config, used_positions(config))


def floor_of_first_window(config: EchoConfig) -> float:
    """The same for an epoch's first window, where the loss spikes."""
    return _mean_loss(config, config.truncated_backprop_length)


def memory_bits(config: EchoConfig) -> int:
    """The bits that the state must hold, to be compared with state_size: echo_step + 1.

    The output reads nothing but the state, so after step t the state must tell bit t - echo_step, which is
    due now, and all bits up to t, which are due later. Measured with a tanh RNN, echo_step 1 to 5, 16 seeds
    each, ten epochs: with echo_step units 1 seed of 80 learned the echo (loss below 0.05), with one unit
    more 55 did.
    """
    return config.echo_step + 1


def learnable(config: EchoConfig) -> bool:
    """Whether the echo has a gradient path: it must lie within the window."""
    return config.echo_step < config.truncated_backprop_length


def learned_below(config: EchoConfig) -> float:
    """The loss at or below which a network counts as having learned the echo: a tenth of the way from floor to chance."""
    return floor(config) + 0.1 * (chance(config) - floor(config)) if learnable(config) else -math.inf


BOUNDARY = "the echo lies within the window, and the state has a unit for each bit that it must hold"


def within_reach(config: EchoConfig) -> bool:
    """Whether the echo can be expected to be learned: what a sweep's boundary separates."""
    return learnable(config) and config.state_size >= memory_bits(config)


def used_positions(config: EchoConfig) -> int:
    """The steps of a row that are trained on in an epoch: what is left after the last whole window is not."""
    return config.windows_per_epoch * config.truncated_backprop_length


def floor_at(config: EchoConfig, position: int) -> float:
    """The lowest expected loss at one position of a row, from 0: the target's entropy given what is known."""
    if position >= config.echo_step:
        return 0.0 if learnable(config) else LN_2
    return entropy(_share_of_ones(config, position))


def entropy(probability: float) -> float:
    """The entropy of a bit that is 1 with this probability, in nats."""
    return sum(-p * math.log(p) for p in (probability, 1 - probability) if p > 0)


def _share_of_ones(config: EchoConfig, position: int) -> float:
    """How often the target is 1, over all rows, at a position whose target belongs to an earlier row.

    In row r it is the flat bit rL + p - echo_step, a fair coin, or 0 where that is below 0: in row 0, and
    in the next rows too when echo_step is longer than a row.
    """
    rows, row_length = config.batch_size, config.series_length // config.batch_size
    rows_of_zeros = min(rows, math.ceil((config.echo_step - position) / row_length))
    return (rows - rows_of_zeros) / (2 * rows)


def _mean_loss(config: EchoConfig, positions: int) -> float:
    """The mean of `floor_at` over the first positions of a row. From echo_step on it is the same."""
    unseen = min(config.echo_step, positions)
    losses: Iterable[float] = (floor_at(config, position) for position in range(unseen))
    return math.fsum([*losses, (positions - unseen) * floor_at(config, config.echo_step)]) / positions


def explain(config: EchoConfig) -> str:
    """The derivation of the floor in Markdown, with the current numbers."""
    used = used_positions(config)
    unseen = min(config.echo_step, used)
    first = "step" if unseen == 1 else _steps(unseen)
    parts = [
        f"**Chance.** The bits are fair coins: saying 50 % everywhere costs ln 2 = {LN_2:.4f} nats a step.",
        f"**The first {first} of a row.** {_before_row(config)}",
    ]
    if used > config.echo_step:
        parts.append(f"**After the first {first} of a row.** {_within_row(config)}")
    return "\n\n".join([*parts, f"**Together.** {_together(config)}"])


def _together(config: EchoConfig) -> str:
    windows, window = config.windows_per_epoch, config.truncated_backprop_length
    counted = "1 window" if windows == 1 else f"{windows:,} windows"
    least, first = floor(config), floor_of_first_window(config)
    text = (
        f"An epoch uses {_steps(used_positions(config))} of each row, in {counted} of {window}. "
        f"The mean loss over them is at least **{least:.4g}**: the exact floor."
    )
    if first > least:
        text += f" In an epoch's first window it is at least {first:.4g}: that is why the loss spikes there."
    return text


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count:,} steps"


def _within_row(config: EchoConfig) -> str:
    window, echo = config.truncated_backprop_length, config.echo_step
    if learnable(config):
        return (
            f"The network has read the bit that it must repeat, {_steps(echo)} earlier. "
            f"If its state holds the last {memory_bits(config)} bits, the loss is 0."
        )
    return (
        f"The bit to repeat is {_steps(echo)} back, but in a window of {window} the gradient reaches back "
        f"only {_steps(window - 1)}. Nothing tells the network to remember that bit, so the loss stays at "
        f"ln 2 = {LN_2:.4f}."
    )


def _before_row(config: EchoConfig) -> str:
    rows = config.batch_size
    if rows == 1:
        return "There is no row before, so the target is always 0 and the loss is 0."
    if config.echo_step > config.series_length // rows:
        return (
            f"Echo_step is longer than a row of {_steps(config.series_length // rows)}: the targets belong "
            "to earlier rows, which the network never sees, or are 0. On average this costs "
            f"{_mean_loss_before(config):.4g}."
        )
    ones = _share_of_ones(config, 0)
    return (
        "The targets belong to the row before, which the network never sees. In the first of the "
        f"{rows} rows they are 0, in the others fair coins, and the network does not know which row it "
        f"reads. So 1 has probability {rows - 1}/{2 * rows} = {ones:.4g}, which costs its entropy: "
        f"{entropy(ones):.4f} a step."
    )


def _mean_loss_before(config: EchoConfig) -> float:
    return _mean_loss(config, min(config.echo_step, used_positions(config)))
