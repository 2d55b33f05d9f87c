"""The settings of the gates demo: which task a network learns, and which network."""

from typing import Any, Self

from pydantic import model_validator

from lib import common_settings, texts
from lib.settings import Config, SettingError, setting
from lib.trace import BLOCKS
from lib.values import Value

TASKS = {
    "recall": "Recall a marked letter",
    "remember": "Remember",
    "brackets": "Brackets",
    "text": "Text",
    "echo": "Echo",
    "binary_rule": "Binary rule",
}
MARKS = {"apart": "an input of its own", "joined": "a part of the symbol"}
ALONE = ("recall", "remember", "brackets")  # each window of these is a sequence by itself, read from a state of zeros
LEAD = 4  # the steps of a sequence in which the symbol to remember can stand
NOISE = ("w", "x", "y", "z")
SYMBOLS = "ABCDEFGH"
CUE = "?"
WINDOWS = 200  # of a block of data made by the program


def _of(*tasks: str) -> tuple[str, tuple[str, ...]]:
    return "task", tasks


class GatesConfig(Config):
    """A task worth looking at, and the network that learns it."""

    task: str = setting(
        "recall",
        group="Task",
        label="Task",
        help="What the network has to learn.",
        options=TASKS,
    )
    symbols: int = setting(
        4,
        group="Task",
        label="Symbols",
        help="How many different letters there are to remember.",
        unit="symbols",
        minimum=2,
        maximum=8,
        only=_of("recall", "remember"),
    )
    longest: int = setting(
        30,
        group="Task",
        label="Sequence length",
        help="How many steps are read, with the cue anywhere in the second half of them.",
        unit="steps",
        minimum=6,
        maximum=120,
        absent=30,
        only=_of("recall"),
    )
    marks: str = setting(
        "apart",
        group="Task",
        label="The mark is",
        help="Beside the letter, so that something must join the two, or in it: a marked letter is then another symbol.",
        options=MARKS,
        absent="apart",
        only=_of("recall"),
    )
    delay: int = setting(
        30,
        group="Task",
        label="Delay",
        help="How many steps after the symbol the recall cue comes; between them is noise.",
        unit="steps",
        minimum=1,
        maximum=120,
        only=_of("remember"),
    )
    bracket_types: int = setting(
        1,
        group="Task",
        label="Kinds of brackets",
        help="With one kind counting is enough; with more, the network must also know which was opened last.",
        unit="kinds",
        minimum=1,
        maximum=3,
        only=_of("brackets"),
    )
    max_depth: int = setting(
        8,
        group="Task",
        label="Greatest depth",
        help="How many brackets can be open at once; at this depth no further one may be opened.",
        unit="brackets",
        minimum=1,
        maximum=16,
        only=_of("brackets"),
    )
    text: str = setting(
        "",
        group="Task",
        label="Text",
        help="Our forty fables, or a text of your own.",
        text=True,
        only=_of("text"),
    )
    echo_step: int = setting(
        3,
        group="Task",
        label="Echo step",
        help="How many steps later the network must repeat each bit.",
        unit="steps",
        minimum=1,
        maximum=50,
        only=_of("echo"),
    )
    first_lag: int = common_settings.lag(1, "first", _of("binary_rule"))
    second_lag: int = common_settings.lag(2, "second", _of("binary_rule"))
    cell: str = common_settings.cell("lstm")
    hidden_units: int = common_settings.units(6, minimum=4, maximum=256)
    keep_bias: float = setting(
        1.0,
        group="Network",
        label="Forget-gate bias",
        help="The starting bias of an LSTM's forget gate, or of a GRU's update gate z, which keeps as in Cho (2014) and not as "
        "in Chung (2014): 3 keeps 95 % a step.",
        minimum=-2,
        maximum=8,
        step=0.5,
        only=("cell", tuple(cell for cell in common_settings.CELLS if cell != "rnn")),
    )
    truncated_backprop_length: int = setting(
        40,
        group="Training",
        label="Window",
        help="How many steps the gradient goes back through (truncated backpropagation).",
        unit="steps",
        minimum=2,
        maximum=100,
        only=_of("brackets", "text", "echo", "binary_rule"),
    )
    batch_size: int = setting(
        64,
        group="Training",
        label="Batch size",
        help="How many sequences are read side by side.",
        unit="rows",
        minimum=1,
        maximum=256,
    )
    training_steps: int = setting(
        1_500,
        group="Training",
        label="Training steps",
        help="How many batches the network learns from.",
        unit="steps",
        minimum=100,
        maximum=50_000,
        step=100,
    )
    trained: str = common_settings.trained()
    optimizer: str = common_settings.optimizer("adam")
    learning_rate: float = common_settings.learning_rate(0.01)
    clip_norm: float = common_settings.clip_norm(1.0)
    seeds: int = common_settings.seeds(10)
    seed: int = common_settings.seed()

    @model_validator(mode="after")
    def _text_is_here(self) -> Self:
        if self.text and not texts.is_kept(self.text):
            raise SettingError("text", self.text, "is not on this server", "bring the text again, or take our fables")
        if self.text and (length := texts.opening(self.text)[1]) > texts.LONGEST:
            problem = f"is a text of {length:,} characters, and may have {texts.LONGEST:,}"
            raise SettingError("text", self.text, problem, "bring a part of it, or take our fables")
        return self

    @classmethod
    def repair(cls, values: dict[str, Value]) -> tuple[dict[str, Value], list[str]]:
        """A text that is not here, or too long, is replaced by our fables."""
        why = "is too long" if texts.is_kept(str(values["text"])) else "is not on this server"
        return values | {"text": ""}, [f"text = {values['text']} {why}, so our fables are used."]

    @property
    def learns_from(self) -> str:
        if self.task != "text":
            return ""
        return "Your own text" if self.text else "Our forty fables"

    @property
    def steps(self) -> int:
        """Training steps of the whole run."""
        return self.training_steps

    @property
    def window(self) -> int:
        """The steps of one training window, which the gradient goes back through."""
        lengths = {"recall": self.longest, "remember": LEAD + self.delay}
        return lengths.get(self.task, self.truncated_backprop_length)

    @property
    def windows_per_epoch(self) -> int:
        """The training steps after which the state starts from zero again: all, where each window is a sequence by itself."""
        if self.task in ALONE:
            return self.training_steps
        return min(WINDOWS, self.training_steps)

    @property
    def shape(self) -> tuple[str | int, ...]:
        """What the compiled code depends on, besides seeds, optimizer and the windows of a block."""
        return (
            self.task,
            self.text,
            self.symbols,
            self.marks,
            self.bracket_types,
            self.cell,
            self.hidden_units,
            self.window,
            self.batch_size,
            self.trained,
        )

    @property
    def products(self) -> int:
        """How many pairs of numbers one step multiplies for one seed, forwards, roughly."""
        return self.batch_size * self.window * len(BLOCKS[self.cell]) * self.hidden_units * (self.hidden_units + 8)


CONFIG = GatesConfig

# What "remember" and the tasks that came after it are trained with, here and in the experiments.
WIDE: dict[str, Any] = {"hidden_units": 16, "keep_bias": 3.0, "batch_size": 32}

# What the page offers to sweep over, and what its sweeps start from.
SWEEP_BASE = GatesConfig(task="remember", training_steps=500, seeds=4, **WIDE)
SWEEPS: dict[str, tuple[tuple[str, str], ...]] = {
    "Delay × cell": (("delay", "10,20,40,80"), ("cell", ", ".join(common_settings.CELLS))),
    "Delay × forget-gate bias": (("delay", "10,20,40,80"), ("keep_bias", "0, 1, 3, 5")),
    "Learning rate × optimizer": (("learning_rate", "0.0001:1"), ("optimizer", "adagrad, momentum, rmsprop, adam")),
}

PRESETS: dict[str, GatesConfig] = {
    "Recall": GatesConfig(),
    "Recall, the mark in the symbol": GatesConfig(marks="joined"),
    "Remember": GatesConfig(task="remember", **WIDE),
    "Remember for 100 steps": GatesConfig(task="remember", delay=100, **WIDE | {"keep_bias": 5.0}),
    "Remember, half open": GatesConfig(task="remember", **WIDE | {"keep_bias": 0.0}),
    "Brackets": GatesConfig(task="brackets", **WIDE),
    "Three kinds of brackets": GatesConfig(
        task="brackets", bracket_types=3, training_steps=4_000, **WIDE | {"hidden_units": 32}
    ),
    "Fables": GatesConfig(
        task="text", hidden_units=64, keep_bias=1.0, batch_size=32, training_steps=3_000, truncated_backprop_length=50
    ),
    "Echo": GatesConfig(task="echo", **WIDE),
    "Binary rule": GatesConfig(task="binary_rule", **WIDE | {"hidden_units": 8}),
}
