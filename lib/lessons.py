"""The pieces that every demo's lessons are made of."""

import ast
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


def plain(value: float) -> str:
    """A number with two significant digits and no exponent: 0.000025, 3.1."""
    return np.format_float_positional(float(f"{value:.2g}"), trim="-")


ROOT = Path(__file__).resolve().parent.parent


class Advice(NamedTuple):
    """What the coach says: `tone` is "info", "warning" or "success"; `change` maps settings to what would help."""

    id: str
    tone: str
    text: str
    action: str
    change: dict[str, Any]


class Choice(NamedTuple):
    """A prediction that one can make: that the outcome lies in [low, high)."""

    label: str
    low: float
    high: float


class Experiment(NamedTuple):
    """A guided experiment: predict, run, compare. `answer` is the index of the choice that comes true.

    The outcome is the run's mean loss over its last 100 steps (the median over its seeds).
    """

    slug: str
    title: str
    question: str
    config: Any
    choices: tuple[Choice, ...]
    answer: int
    explanation: str

    def choice_of(self, outcome: float) -> int:
        """The index of the choice that an outcome falls into."""
        return next(i for i, choice in enumerate(self.choices) if choice.low <= outcome < choice.high)


class Source(NamedTuple):
    """A piece of this project's own source: a function or method of a file, under a heading."""

    heading: str
    path: str
    name: str

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
