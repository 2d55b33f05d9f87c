"""The pieces that every demo's lessons are made of."""

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lib.coverage import Coverage
from lib.history import Network, network_of
from lib.stream import MetricStream
from lib.trace import BLOCKS, PEEPHOLES


def plain(value: float) -> str:
    """A number with two significant digits and no exponent: 0.000025, 3.1."""
    return np.format_float_positional(float(f"{value:.2g}"), trim="-")


ROOT = Path(__file__).resolve().parent.parent


class Advice(NamedTuple):
    """What the coach says: `tone` is "info", "warning" or "success"; `change` maps settings to what would help.

    An `action` of "" offers nothing.
    """

    id: str
    tone: str
    text: str
    action: str
    change: dict[str, Any]


def too_much_unknown(
    coverage: Coverage | None, action: str = "", change: Mapping[str, Any] | None = None
) -> Advice | None:
    """The warning that the coach gives in place of praise where more than a tenth of a text is unknown; else None.

    `action` and `change` are what would help, if a setting can.
    """
    if coverage is None or not coverage.is_poor:
        return None
    where = "training text" if coverage.most == coverage.unknown else "validation text"
    text = (
        f"{coverage.most:.0%} of the {where} is unknown to the network, and an unknown token is easy to predict, because it "
        "stands for many words at once. So a low loss says little here."
    )
    return Advice("unknown", "warning", text, action, dict(change or {}))


class Results(NamedTuple):
    """What a run has come to, as claims read it; NumPy only, so that a page can check them.

    `config` has the live settings as they ended, `leaves` the weights (see `lib.training.Carry.weights`), `diary` a note for
    each time that the network was measured on other data.
    """

    config: Any
    stream: MetricStream
    leaves: Mapping[str, np.ndarray]
    diary: Sequence[Mapping[str, Any]] = ()

    @property
    def finals(self) -> np.ndarray:
        """Each seed's mean loss over the last 100 steps [S], infinite where it diverged."""
        return np.array([np.inf if loss is None else loss for loss in self.stream.final_by_seed()])

    @property
    def networks(self) -> list[Network]:
        """Each seed's network, of runs of one cell with a linear output (see lib.networks)."""
        found = (network_of(self.leaves, seed) for seed in range(len(self.finals)))
        return [network for network in found if network is not None]

    def last(self, metric: str) -> float:
        """The last value of a metric (the median over seeds), NaN where it was not measured."""
        value = self.stream.summary().get(metric, {}).get("last")
        return np.nan if value is None else value


class Finding(NamedTuple):
    """What a claim came to in one run: the number in words, and whether the claim came true."""

    value: str
    holds: bool


class Claim(NamedTuple):
    """A sentence that a run can prove or refute, and its check on what the run has come to."""

    text: str
    check: Callable[[Results], Finding]


class Measure(NamedTuple):
    """A number of a run that a prediction is about: what it is called, its unit, and how it is read.

    A `unit` of None says that the number only stands for one of the choices, as for a gate or a reason: it is not shown.
    """

    label: str
    unit: str | None
    of: Callable[[Results], float]


def _final_loss(results: Results) -> float:
    value = results.stream.summary().get("loss", {}).get("mean_last_100")
    return np.nan if value is None else value


FINAL_LOSS = Measure("The mean loss of the last 100 steps", "nats", _final_loss)


class Choice(NamedTuple):
    """A prediction that one can make: that the outcome lies in [low, high)."""

    label: str
    low: float
    high: float


class Experiment(NamedTuple):
    """A guided experiment: predict, run, compare. `answer` is the index of the choice that usually comes true.

    The `outcome` is what the prediction is graded by, for a run of several seeds the median. The `explanation` says no more
    than the `claims` check, and what is known of the field.
    """

    slug: str
    title: str
    question: str
    config: Any
    choices: tuple[Choice, ...]
    answer: int
    claims: tuple[Claim, ...]
    explanation: str
    outcome: Measure = FINAL_LOSS

    def choice_of(self, outcome: float) -> int | None:
        """The index of the choice that an outcome falls into; None where it was not measured."""
        found = (i for i, choice in enumerate(self.choices) if choice.low <= outcome < choice.high)
        return next(found, None)


class Round(NamedTuple):
    """One step of a game that a person plays against the network: bits, and probabilities of what is right.

    `probability` is the network's for a 1, None without a network; `certainty` how likely the best possible answer is
    right; `why` tells what decided the target.
    """

    bit: int
    target: int
    probability: float | None
    certainty: float
    why: str


class Game(NamedTuple):
    """A demo's task for the person. The demo's `rounds(config, snapshot, number)` gives each of so many `games`, and
    `looks_back(config)` how many steps of them one must see.
    """

    title: str
    introduction: str
    games: int


class Source(NamedTuple):
    """A piece of this project's own source: a function or method of a file, under a heading.

    It is part of the step that is trained, unless `makes` says what else of the run or the page it makes.
    """

    heading: str
    path: str
    name: str
    makes: str = ""

    def text(self) -> str:
        """The source as it stands in the file. Raises LookupError when there is no such function."""
        return _source(self.path, self.name)


@cache
def _source(path: str, name: str) -> str:
    """Read it from the file, because importing the module would import TensorFlow into the page."""
    code = (ROOT / path).read_text(encoding="utf-8")
    node: ast.AST = ast.parse(code)
    for part in name.split("."):
        found = [child for child in ast.iter_child_nodes(node) if getattr(child, "name", None) == part]
        if not found:
            raise LookupError(f"{path} has no {name}")
        node = found[0]
    return ast.get_source_segment(code, node, padded=True) or ""


_CELL_EQUATIONS = {
    "rnn": (r"h_t = \tanh(x_t W + h_{t-1} U + b)",),
    "lstm": (
        r"i, f, o = \sigma(x_t W + h_{t-1} U + b), \qquad g = \tanh(x_t W + h_{t-1} U + b)",
        r"c_t = f \odot c_{t-1} + i \odot g, \qquad h_t = o \odot \tanh(c_t)",
    ),
    "lstm_peephole": (
        r"i, f = \sigma(x_t W + h_{t-1} U + p \odot c_{t-1} + b), \qquad g = \tanh(x_t W + h_{t-1} U + b)",
        r"c_t = f \odot c_{t-1} + i \odot g, \qquad o = \sigma(x_t W + h_{t-1} U + p \odot c_t + b)",
        r"h_t = o \odot \tanh(c_t)",
    ),
    "lstm_coupled": (
        r"f, o = \sigma(x_t W + h_{t-1} U + b), \qquad g = \tanh(x_t W + h_{t-1} U + b)",
        r"c_t = f \odot c_{t-1} + (1 - f) \odot g, \qquad h_t = o \odot \tanh(c_t)",
    ),
    "gru": (
        r"z, r = \sigma(x_t W + h_{t-1} U + b), \qquad n = \tanh(x_t W + (r \odot h_{t-1}) U + b)",
        r"h_t = z \odot h_{t-1} + (1 - z) \odot n",
    ),
}
_OWN_WEIGHTS = {
    "rnn": "",
    "lstm": "; each of the four gates has its own $W$, $U$ and $b$",
    "lstm_peephole": "; each of $i$, $f$, $g$ and $o$ has its own $W$, $U$ and $b$, and $i$, $f$ and $o$ their own peepholes "
    "$p$, one number for each unit (Gers & Schmidhuber 2000)",
    "lstm_coupled": "; each of $f$, $g$ and $o$ has its own $W$, $U$ and $b$, and the input gate is $1 - f$",
    "gru": "; each of $z$, $r$ and $n$ has its own $W$, $U$ and $b$. Here $z$ **keeps** the old state, as in Cho et al. (2014) "
    "and in Keras; in Chung et al. (2014) and in Olah's “Understanding LSTM networks” $z$ and $1 - z$ change places",
}


def cell_equations(cell: str, units: int, rows: int, inputs: int = 1, read: str = "one bit") -> list[str]:
    """One step of a cell that reads `inputs` numbers for each row, as `read` says: equations and shapes, in Markdown."""
    shapes = (
        f"$x_t$ is [{rows} × {inputs}]: {read} for each of the {rows:,} rows; $h_t$ is [{rows} × {units}]; $W$ is "
        f"[{inputs} × {units}], $U$ is [{units} × {units}], $b$ is [{units}]"
    )
    lines = (f"$${line}$$" for line in _CELL_EQUATIONS[cell])
    return ["**One step of the cell**", *lines, f"{shapes}{_OWN_WEIGHTS[cell]}."]


def parameter_count(cell: str, units: int, inputs: int = 1) -> int:
    """How many numbers training changes in a network that reads `inputs` numbers a step and answers with two logits."""
    peepholes = len(PEEPHOLES) * units if cell == "lstm_peephole" else 0
    return len(BLOCKS[cell]) * (inputs * units + units * units + units) + peepholes + 2 * units + 2
