"""What loss the echo task allows: chance, the lower bound, and what is possible without the carried state.

The series has N fair bits in a row, and target i is bit i - echo_step, or 0 where there is no such bit.
Series and targets are reshaped to B = batch_size rows of L = N // B steps, of which whole windows of T =
truncated_backprop_length steps are used. Each begins A = advance steps after the one before, and its last A steps are scored:
with A = T all, otherwise all but the first T - A of a row. Either way each scored target counts once.

The network reads one row from its start, with a state of zero, which is carried from window to window. So it can know its
position p in the row and the row's bits, however short the window is, but neither the other rows nor which row it reads. A
window decides only what the gradient teaches directly: a bit and its echo that lie in the same one. Losses are in nats,
averaged over rows and over the scored positions of a row.
"""

import math
from collections.abc import Iterable

from demos.echo.config import EchoConfig
from lib.stream import RECENT
from lib.theory import Boundary

LN_2 = math.log(2)


def chance(config: EchoConfig) -> float:
    """The loss of a network that has learned nothing and says 50 % everywhere: ln 2."""
    return LN_2


def floor(config: EchoConfig) -> float:
    """The lowest expected mean loss of a whole run's last 100 steps, whatever the network: a bound of information."""
    last = range(max(0, config.steps - RECENT), config.steps)
    losses: Iterable[float] = (_window_bound(config, step % config.windows_per_epoch) for step in last)
    return math.fsum(losses) / len(last)


def epoch_floor(config: EchoConfig) -> float:
    """The lowest expected mean loss of an epoch."""
    return _mean_loss(config, range(config.overlap, used_positions(config)))


def floor_of_first_window(config: EchoConfig) -> float:
    """The lowest expected loss of an epoch's first window, where the loss spikes."""
    return _window_bound(config, 0)


def without_carried_state(config: EchoConfig) -> float:
    """The lowest expected mean loss of an epoch for whoever knows the current window's bits alone: what a window teaches."""
    windows, stride = config.windows_per_epoch, config.advance

    def ones(place: int) -> float:
        """How often the target is 1 at a place of a window, over all windows: half, but for a row's first positions."""
        before_row = range(place, min(config.echo_step, place + windows * stride), stride)
        unlike = sum(_share_of_ones(config, position) - 0.5 for position in before_row)
        return 0.5 + unlike / windows

    unseen = range(config.overlap, min(config.echo_step, config.truncated_backprop_length))
    return math.fsum(entropy(ones(place)) for place in unseen) / stride


def memory_bits(config: EchoConfig) -> int:
    """The bits that the state must hold, to be compared with state_size: echo_step + 1.

    The output reads nothing but the state, so after step t the state must tell bit t - echo_step, which is due now, and all
    bits up to t, which are due later. That a unit holds one of them is no law: a real number can carry more than a bit. It is
    what was measured for this training (see `expected`).
    """
    return config.echo_step + 1


def taught(config: EchoConfig) -> bool:
    """Whether any window holds a bit together with its echo at a scored step, so that a gradient joins the two."""
    return config.echo_step < config.truncated_backprop_length


def learned_below(config: EchoConfig) -> float:
    """The loss at or below which a network counts as having learned the echo: a tenth of the way from floor to chance."""
    return floor(config) + 0.1 * (chance(config) - floor(config))


def expected(config: EchoConfig) -> bool:
    """Whether the echo is expected to be learned: there is a unit for each bit that the state must hold.

    Measured for the tanh RNN, echo_step 1 to 5, 16 seeds each, ten epochs (python -m demos sweep echo --axis echo_step=1:5
    --axis state_size=1:6 --seeds 16 --set epochs=10 --set initial_weights=uniform, then glorot). With fewer units than echo_step
    0 of 160 networks learned it from either start, with as many 1 and 10 of 80, with one more 55 and 80 of 80.
    """
    return config.state_size >= memory_bits(config)


BOUNDARIES = (
    Boundary(
        "expected",
        "a unit for each bit",
        "on the inner side the echo is expected to be learned. Not a theorem, but measured for tanh RNNs trained as here, 80 "
        "networks each: with one unit more than the echo step 55 learned it from the tutorial's start and 80 from weights around "
        "zero, with as many units as the echo step 1 and 10.",
        expected,
    ),
    Boundary(
        "taught",
        "the window reaches the echo",
        "on the inner side a window holds a bit together with its echo. Beyond it nothing teaches the network to keep the bit, "
        "yet the carried state of a larger network may still hold it.",
        taught,
        dashed=True,
    ),
)


def used_positions(config: EchoConfig) -> int:
    """The steps of a row that are read in an epoch: what is left after the last whole window is not."""
    return config.overlap + config.windows_per_epoch * config.advance


def floor_at(config: EchoConfig, position: int) -> float:
    """The lowest expected loss at one position of a row, from 0: the target's entropy given what is known."""
    if position >= config.echo_step:
        return 0.0
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


def _mean_loss(config: EchoConfig, positions: range) -> float:
    """The mean of `floor_at` over positions of a row. From echo_step on it is 0."""
    unseen = range(positions.start, min(positions.stop, config.echo_step))
    return math.fsum(floor_at(config, position) for position in unseen) / len(positions)


def _window_bound(config: EchoConfig, index: int) -> float:
    """The lowest expected loss of an epoch's window, from 0."""
    first = config.overlap + index * config.advance
    return _mean_loss(config, range(first, first + config.advance))


def explain(config: EchoConfig) -> str:
    """The derivation of both lines in Markdown, with the current numbers."""
    used, unseen = used_positions(config), len(_before_the_row(config))
    first = "step" if unseen == 1 else _steps(unseen)
    parts = [
        f"**Chance.** The bits are fair coins: saying 50 % everywhere costs ln 2 = {LN_2:.4f} nats a step.",
        f"**The first {first} of a row.** {_before_row(config)}",
    ]
    if used > config.echo_step:
        parts.append(
            f"**After the first {first} of a row.** The network has read the bit that it must repeat, {_steps(config.echo_step)} "
            f"earlier, and its state is carried on. If it holds the last {memory_bits(config)} bits, the loss is 0."
        )
    return "\n\n".join([*parts, f"**Together.** {_together(config)}", f"**What a window teaches.** {_taught(config)}"])


def _before_the_row(config: EchoConfig) -> range:
    """The positions of a row whose targets belong to the row before."""
    return range(min(config.echo_step, used_positions(config)))


def _together(config: EchoConfig) -> str:
    windows, window, read = config.windows_per_epoch, config.truncated_backprop_length, used_positions(config)
    counted = "1 window" if windows == 1 else f"{windows:,} windows"
    least, first = epoch_floor(config), floor_of_first_window(config)
    text = f"An epoch uses {_steps(read)} of each row, in {counted} of {window}. "
    if config.overlap:
        scored = "step is" if config.advance == 1 else f"{config.advance} steps are"
        text += (
            f"Each begins {_steps(config.advance)} after the one before, and only its last {scored} scored: all but the row's "
            f"first {config.overlap}, once each. "
        )
    text += (
        f"The mean loss over them is at least **{least:.4g}**: the epoch-mean lower bound. On average no network beats it, "
        "whatever its size and its window."
    )
    if first > least:
        text += f" In an epoch's first window it is at least {first:.4g}: that is why the loss spikes there."
    return text


def _taught(config: EchoConfig) -> str:
    window, echo, overlap = config.truncated_backprop_length, config.echo_step, config.overlap
    alone = without_carried_state(config)
    start = f"Whoever knows the bits of the current window alone reaches {alone:.4g} at best, on average: "
    if config.trained == "readout":
        return (
            f"{start}the dashed line. But here only the output is trained: no window teaches the recurrent weights to keep a "
            "bit, and the output reads what random ones happen to keep (an echo-state network, Jaeger 2001)."
        )
    if echo <= overlap:
        return (
            f"{start}every scored step has at least {_steps(overlap)} of its window before it, the bit that it repeats among "
            f"them. So each target teaches the network to keep a bit for {_steps(echo)}."
        )
    if taught(config):
        return (
            f"{start}the first {_steps(echo)} of a window repeat bits of the one before it. The dashed line says so. Pairs that "
            f"lie within a window teach the network to keep a bit for {_steps(echo)}, and what it has learned there works across "
            "windows too, because the state is carried."
        )
    return (
        f"{start}chance. The bit to repeat is {_steps(echo)} back, but in a window of {window} the gradient reaches back only "
        f"{_steps(window - 1)}, so nothing teaches the network directly to keep that bit. It may be there all the same: the "
        "state of a large random network holds traces of older bits, and the trained output can read them out (an echo-state "
        "network, Jaeger 2001)."
    )


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count:,} steps"


def _before_row(config: EchoConfig) -> str:
    rows, unscored = config.batch_size, config.overlap
    if unscored >= len(_before_the_row(config)):
        return f"The targets belong to the row before, which the network never sees. They do not count: {_unscored(config)}."
    if rows == 1:
        return "There is no row before, so the target is always 0 and the loss is 0."
    if config.echo_step > config.series_length // rows:
        return (
            f"Echo_step is longer than a row of {_steps(config.series_length // rows)}: the targets belong "
            "to earlier rows, which the network never sees, or are 0. On average this costs "
            f"{_mean_loss(config, _before_the_row(config)[unscored:]):.4g}."
        )
    ones = _share_of_ones(config, 0)
    text = (
        "The targets belong to the row before, which the network never sees. In the first of the "
        f"{rows} rows they are 0, in the others fair coins, and the network does not know which row it "
        f"reads. So 1 has probability {rows - 1}/{2 * rows} = {ones:.4g}, which costs its entropy: "
        f"{entropy(ones):.4f} a step."
    )
    return f"{text} But {_unscored(config)}." if unscored else text


def _unscored(config: EchoConfig) -> str:
    return f"a row's first scored step is its step {config.overlap + 1}"
