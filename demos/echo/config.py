"""The settings of the echo demo. The defaults are those of Hallström's TensorFlow RNN tutorial (2016)."""

from typing import Self

from pydantic import model_validator

from lib import common_settings
from lib.lessons import parameter_count
from lib.settings import Config, SettingError, setting
from lib.values import Value


class EchoConfig(Config):
    """What is echoed, by which network, trained how."""

    echo_step: int = setting(
        3,
        group="Task",
        label="Echo step",
        help="How many steps later the network must repeat each bit that it reads.",
        unit="steps",
        minimum=1,
        maximum=50,
    )
    series_length: int = setting(
        50_000,
        group="Task",
        label="Series length",
        help="How many random bits one epoch has, shared out over the batch's rows.",
        unit="bits",
        minimum=100,
        maximum=1_000_000,
        step=100,
    )
    cell: str = common_settings.cell("rnn")
    state_size: int = common_settings.units(4, "State size")
    initial_weights: str = setting(
        "uniform",
        group="Network",
        label="Initial weights",
        help="The random weights that training starts from: all positive as in the tutorial, or on both sides of zero.",
        options={"uniform": "from 0 to 1 (tutorial)", "glorot": "around zero (Glorot)"},
    )
    truncated_backprop_length: int = setting(
        15,
        group="Training",
        label="Truncated backprop length",
        help="Steps of a window, and of the gradient's way back: what lies beyond is not taught directly.",
        unit="steps",
        minimum=1,
        maximum=50,
    )
    stride: int = setting(
        0,
        group="Training",
        label="Stride",
        help="Steps between the starts of two windows, 0 for no overlap; of each window the last `stride` steps are scored.",
        unit="steps",
        minimum=0,
        maximum=50,
        absent=0,
    )
    batch_size: int = setting(
        5,
        group="Training",
        label="Batch size",
        help="How many rows of the series are read side by side, each with its own memory.",
        unit="rows",
        minimum=1,
        maximum=64,
    )
    epochs: int = setting(
        100,
        group="Training",
        label="Epochs",
        help="How many series, each of new random bits, are trained on one after the other.",
        unit="epochs",
        minimum=1,
        maximum=1000,
    )
    trained: str = common_settings.trained()
    optimizer: str = common_settings.optimizer("adagrad")
    learning_rate: float = common_settings.learning_rate(0.3)
    clip_norm: float = common_settings.clip_norm(0.0)
    seeds: int = common_settings.seeds(64)
    seed: int = common_settings.seed()

    @property
    def advance(self) -> int:
        """Steps from one window's start to the next one's; as many of a window's last steps are scored."""
        return self.stride or self.truncated_backprop_length

    @property
    def overlap(self) -> int:
        """Steps that a window has in common with the one before."""
        return self.truncated_backprop_length - self.advance

    @property
    def parts(self) -> tuple[int, ...]:
        """The steps of a window up to the next one's start and, where there are any, those from there on."""
        return (self.advance, self.overlap) if self.overlap else (self.advance,)

    @property
    def windows_per_epoch(self) -> int:
        """Training steps in one epoch; what is left of a row after its last whole window is not used."""
        row = self.series_length // self.batch_size
        return max(0, (row - self.overlap) // self.advance)

    @property
    def steps(self) -> int:
        """Training steps of the whole run."""
        return self.epochs * self.windows_per_epoch

    @property
    def shape(self) -> tuple[str | int, ...]:
        """What the compiled code depends on, besides seeds, optimizer and the windows of an epoch."""
        window = self.truncated_backprop_length, self.advance
        return self.cell, self.state_size, *window, self.batch_size, self.trained

    @property
    def products(self) -> int:
        """How many pairs of numbers one step multiplies for one seed, forwards."""
        return self.batch_size * self.truncated_backprop_length * parameter_count(self.cell, self.state_size)

    @model_validator(mode="after")
    def _no_bit_is_skipped(self) -> Self:
        if self.stride > self.truncated_backprop_length:
            problem = f"is more than the window of {self.truncated_backprop_length} steps, so bits would be skipped"
            remedy = f"choose {self.truncated_backprop_length} or less, or a longer window (truncated_backprop_length)"
            raise SettingError("stride", self.stride, problem, remedy)
        return self

    @model_validator(mode="after")
    def _one_window_at_least(self) -> Self:
        if self.windows_per_epoch < 1:
            rows, window = self.batch_size, self.truncated_backprop_length
            need = rows * window
            problem = f"is less than one window of {window} steps for {rows} rows"
            remedy = f"choose a series_length of {need} or more, fewer rows or a shorter window"
            raise SettingError("series_length", self.series_length, problem, remedy)
        return self

    @classmethod
    def repair(cls, values: dict[str, Value]) -> tuple[dict[str, Value], list[str]]:
        """The stride is shortened to the window, and the series lengthened to one whole window: at most 64 rows of 50 steps."""
        names = ("batch_size", "truncated_backprop_length", "series_length", "stride")
        rows, window, length, stride = (int(values[name]) for name in names)
        repaired, notes, need = dict(values), [], rows * window
        if stride > window:
            repaired["stride"] = window
            notes.append(f"stride = {stride} is more than the window of {window} steps, so {window} is used.")
        if length < need:
            repaired["series_length"] = need
            problem = f"is less than one window of {window} steps for {rows} rows"
            notes.append(f"series_length = {length} {problem}, so {need} is used.")
        return repaired, notes


CONFIG = EchoConfig

# What the page offers to sweep over, and what its sweeps start from.
# With weights around zero, because with the tutorial's large networks start out saturated and the map would show only that.
SWEEP_BASE = EchoConfig(epochs=3, seeds=8, initial_weights="glorot")
SWEEPS: dict[str, tuple[tuple[str, str], ...]] = {
    "Echo step × state size": (("echo_step", "1:12"), ("state_size", "2, 4, 8, 16")),
    "Echo step × window": (("echo_step", "1:10"), ("truncated_backprop_length", "2, 4, 6, 8, 10, 12")),
    "Learning rate × optimizer": (("learning_rate", "0.001:10"), ("optimizer", "adagrad, momentum, rmsprop, adam")),
}

PRESETS: dict[str, EchoConfig] = {
    "Tutorial": EchoConfig(),
    "One step back": EchoConfig(echo_step=1, epochs=20),
    "Too few units": EchoConfig(echo_step=5, epochs=20),
    "Room to remember": EchoConfig(echo_step=5, state_size=10, initial_weights="glorot", epochs=20),
    "Long memory": EchoConfig(
        echo_step=10,
        truncated_backprop_length=20,
        cell="gru",
        state_size=16,
        initial_weights="glorot",
        optimizer="adam",
        learning_rate=0.01,
        epochs=20,
    ),
    "Past the window": EchoConfig(echo_step=16, epochs=20),
    "Sixteen seeds": EchoConfig(seeds=16, epochs=20),
}
