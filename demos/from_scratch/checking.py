"""Is the gradient right? Each weight is moved a little either way, and the loss is measured: the centred difference.

    dL/dw ≈ (L(w + h) - L(w - h)) / 2h

Its own error is of the order h² (what the curve bends) and ε L / h (what the numbers are rounded by, ε = 2e-16 in float64).
At h = 1e-5 both lie below 1e-9 where gradients are of the order of 1, so a right gradient agrees to 1e-6 and far better.
Half as many digits are left in float32: there this check can find no more than a coarse bug.
"""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from demos.from_scratch import model
from demos.from_scratch.model import Parameters

STEP = 1e-5
TOLERANCE = 1e-6

Backward = Callable[[Parameters, np.ndarray, np.ndarray, int], tuple[Parameters, float]]


class Row(NamedTuple):
    """The check of one parameter: over all of its numbers, and at the one where the two gradients differ most."""

    name: str
    size: int
    place: tuple[int, int]
    analytic: float
    difference: float
    relative_error: float

    @property
    def passed(self) -> bool:
        """Whether they agree. What is not a number does not."""
        return self.relative_error < TOLERANCE


class Bug(NamedTuple):
    """A mistake that people make in `model.backward`: what stands in the place of a piece of its source."""

    title: str
    right: str
    wrong: str
    why: str


BUGS: dict[str, Bug] = {
    "slope": Bug(
        "Forget the slope of tanh",
        "error = (d_scores @ p.V) * (1 - states**2)",
        "error = d_scores @ p.V",
        "The error of a state must be multiplied by the slope of tanh there, 1 - s².",
    ),
    "later-slope": Bug(
        "Forget the slope of tanh further back",
        "error = (error[1:] @ p.W) * (1 - states[:-lag] ** 2)",
        "error = error[1:] @ p.W",
        "Each step back goes through a tanh as well. V has nothing to do with it, so V passes.",
    ),
    "target": Bug(
        "Forget the target",
        "d_scores[np.arange(T), y] -= 1",
        "pass",
        "The gradient of softmax and cross-entropy is o - y: without y it pushes all words down, the right one too.",
    ),
    "truncation": Bug(
        "Cut one step too early",
        "min(truncate, T - 1) + 1)",
        "min(truncate, T - 1))",
        "One step further back was asked for. Only what the first word did for the last guess is lost, and yet it shows.",
    ),
    "transposed": Bug(
        "Go back through W instead of its transpose",
        "(error[1:] @ p.W)",
        "(error[1:] @ p.W.T)",
        "The shapes are right, because W is square, and so nothing complains.",
    ),
    "state": Bug(
        "Take the wrong state",
        "total[1:].T @ states[:-1]",
        "total[1:].T @ states[1:]",
        "W is multiplied by the state before, not by the state that comes of it.",
    ),
    "repeated": Bug(
        "Count a repeated word once",
        "np.add.at(d_U.T, x, total)",
        "d_U.T[x] += total",
        "With +=, NumPy keeps only the last of the rows that go to the same place: wrong where a word occurs twice.",
    ),
}


def source(bug: str | None = None) -> str:
    """The source of `model.backward`, with a bug in it. Raises LookupError where the piece to replace is not there once."""
    text = inspect.getsource(model.backward)
    if bug is None:
        return text
    if text.count(BUGS[bug].right) != 1:
        raise LookupError(f"the bug {bug} replaces {BUGS[bug].right!r}, which model.backward must have once")
    return text.replace(BUGS[bug].right, BUGS[bug].wrong)


def planted(bug: str | None = None) -> Backward:
    """`model.backward`, or the function that `source` shows with this bug, made from that very text."""
    if bug is None:
        return model.backward
    names = dict(vars(model))
    exec(compile(source(bug), f"<model.backward with the bug {bug}>", "exec"), names)
    backward: Backward = names["backward"]
    return backward


def numerical(p: Parameters, x: np.ndarray, y: np.ndarray, step: float = STEP) -> Parameters:
    """The gradient by centred differences, two losses for each number of each parameter."""
    slopes = []
    for weights in p:
        slope = np.zeros_like(weights)
        for place in np.ndindex(weights.shape):
            kept = weights[place]
            weights[place] = kept + step
            above = model.loss(p, x, y)
            weights[place] = kept - step
            below = model.loss(p, x, y)
            weights[place] = kept
            slope[place] = (above - below) / (2 * step)
        slopes.append(slope)
    return Parameters(*slopes)


def check(p: Parameters, x: np.ndarray, y: np.ndarray, truncate: int, backward: Backward = model.backward) -> list[Row]:
    """A row for each parameter. `p` is float64 [as in model], and is what it was afterwards.

    The relative error is |a - n| / (|a| + |n|), each the length over all numbers of the parameter: of a single number next to
    zero, rounding alone would make it large.
    """
    gradient, _ = backward(p, x, y, truncate)
    return compared(gradient, numerical(p, x, y))


def compared(analytic: Parameters, numeric: Parameters) -> list[Row]:
    """The rows of two gradients."""
    rows = []
    for name, mine, theirs in zip(Parameters._fields, analytic, numeric, strict=True):
        i, j = np.unravel_index(np.argmax(np.abs(mine - theirs)), mine.shape)
        lengths = np.linalg.norm(mine) + np.linalg.norm(theirs)
        error = np.linalg.norm(mine - theirs) / lengths if lengths else 0.0
        values = float(mine[i, j]), float(theirs[i, j]), float(error)
        rows.append(Row(name, mine.size, (int(i), int(j)), *values))
    return rows
