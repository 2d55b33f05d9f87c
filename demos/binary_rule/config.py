"""The settings of the binary-rule demo. The defaults are those of the tutorial 七步带你实现RNN循环神经网络小示例 (2018)."""

from typing import Self

from pydantic import model_validator

from lib import common_settings
from lib.lessons import parameter_count
from lib.settings import Config, SettingError, replace, setting
from lib.values import Value

BIT_INPUTS = {"one-hot": "one-hot, two numbers", "scalar": "scalar, 0 or 1"}


class BinaryRuleConfig(Config):
    """Which two bits decide the target, which network looks for them, trained how."""

    first_lag: int = common_settings.lag(1, "first")
    second_lag: int = common_settings.lag(2, "second")
    series_length: int = setting(
        500_000,
        group="Task",
        label="Series length",
        help="How many random bits one epoch has, shared out over the batch's rows.",
        unit="bits",
        minimum=1_000,
        maximum=1_000_000,
        step=1_000,
    )
    bit_input: str = setting(
        "one-hot",
        group="Network",
        label="Input encoding",
        help="What the network reads of a bit: two numbers, a 1 at the place of the bit's value and a 0 at the other, or the bit "
        "itself as one number.",
        options=BIT_INPUTS,
        absent="scalar",
    )
    cell: str = common_settings.cell("rnn")
    hidden_units: int = common_settings.units(6)
    time_step: int = setting(
        5,
        group="Training",
        label="Time step",
        help="Steps of a window, and of the gradient's way back: what lies beyond is not taught directly.",
        unit="steps",
        minimum=1,
        maximum=20,
    )
    carry_state: bool = setting(
        True,
        group="Training",
        label="Carry the state between windows",
        help="Whether a window starts with the state that the one before it ended with, or with zeros.",
    )
    batch_size: int = setting(
        250,
        group="Training",
        label="Batch size",
        help="How many rows are read side by side; what the tutorial calls batch_size, 2,000 bits, is the length of a row.",
        unit="rows",
        minimum=10,
        maximum=5_000,
        step=10,
    )
    epochs: int = setting(
        1,
        group="Training",
        label="Epochs",
        help="How many series, each of new random bits, are trained on one after the other.",
        unit="epochs",
        minimum=1,
        maximum=200,
    )
    trained: str = common_settings.trained()
    optimizer: str = common_settings.optimizer("adagrad")
    learning_rate: float = common_settings.learning_rate(0.1)
    clip_norm: float = common_settings.clip_norm(0.0)
    seeds: int = common_settings.seeds(16)
    seed: int = common_settings.seed()

    @property
    def lags(self) -> tuple[int, int]:
        """Both lags, as the rule takes them."""
        return self.first_lag, self.second_lag

    @property
    def inputs(self) -> int:
        """How many numbers the network reads for a bit."""
        return 2 if self.bit_input == "one-hot" else 1

    @property
    def windows_per_epoch(self) -> int:
        """Training steps in one epoch; what is left of a row after its last whole window is not used."""
        return self.series_length // self.batch_size // self.time_step

    @property
    def steps(self) -> int:
        """Training steps of the whole run."""
        return self.epochs * self.windows_per_epoch

    @property
    def shape(self) -> tuple[str | int, ...]:
        """What the compiled code depends on, besides seeds, optimizer and the windows of an epoch."""
        return self.bit_input, self.cell, self.hidden_units, self.time_step, self.batch_size, self.trained

    @property
    def products(self) -> int:
        """How many pairs of numbers one step multiplies for one seed, forwards."""
        return self.batch_size * self.time_step * parameter_count(self.cell, self.hidden_units, self.inputs)

    @model_validator(mode="after")
    def _one_window_at_least(self) -> Self:
        if self.windows_per_epoch < 1:
            problem, need = _too_short(self.batch_size, self.time_step)
            remedy = f"choose a series_length of {need} or more, fewer rows or a shorter window"
            raise SettingError("series_length", self.series_length, problem, remedy)
        return self

    @classmethod
    def repair(cls, values: dict[str, Value]) -> tuple[dict[str, Value], list[str]]:
        """The series is lengthened to one whole window, which is at most 5,000 rows of 20 steps."""
        rows, window, length = (int(values[name]) for name in ("batch_size", "time_step", "series_length"))
        if length >= rows * window:
            return values, []
        problem, need = _too_short(rows, window)
        return values | {"series_length": need}, [f"series_length = {length} {problem}, so {need} is used."]


def _too_short(rows: int, window: int) -> tuple[str, int]:
    return f"is less than one window of {window} steps for {rows} rows", rows * window


CONFIG = BinaryRuleConfig

# Eight times the tutorial's rows and twenty times its bits: the loss comes nearer to the bound, and harder rules are found.
ADAM = BinaryRuleConfig(bit_input="scalar", batch_size=2_000, optimizer="adam", learning_rate=0.02, epochs=20)

# What the page offers to sweep over, and what its sweeps start from.
SWEEP_BASE = replace(ADAM, epochs=10, seeds=4)
SWEEPS: dict[str, tuple[tuple[str, str], ...]] = {
    "Second lag × time step": (("second_lag", "2:8"), ("time_step", "2:8")),
    "Second lag × hidden units": (("second_lag", "2:4"), ("hidden_units", "1:6")),
    "Learning rate × optimizer": (("learning_rate", "0.0001:1"), ("optimizer", "adagrad, momentum, rmsprop, adam")),
}

PRESETS: dict[str, BinaryRuleConfig] = {
    "Tutorial": BinaryRuleConfig(),
    "Tutorial, bits out of reach": BinaryRuleConfig(first_lag=10, second_lag=11),
    "Adam, 2,000 rows": ADAM,
    "No state carried": BinaryRuleConfig(carry_state=False, epochs=5),
    "One bit out of reach": BinaryRuleConfig(second_lag=5, epochs=10),
    "Twice the same bit": BinaryRuleConfig(second_lag=1),
    "Further back": replace(ADAM, first_lag=3, second_lag=6, time_step=10, hidden_units=12),
    "Eight seeds": BinaryRuleConfig(seeds=8),
}
