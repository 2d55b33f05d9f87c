"""What goes on inside a cell: every gate and state at every step, in NumPy, with or without an operation on it.

A trace needs weights only, no TensorFlow: a page computes it in milliseconds for whatever a person types. Tests hold it
against the network that trains.

Shapes: T steps, B rows, I inputs, H units. `params` is one seed's network (see lib.networks), without a seed axis.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

# What a trace has of each cell, in the order in which it is worth looking at. All are [T, B, H].
PARTS: dict[str, tuple[str, ...]] = {
    "lstm": ("i", "f", "o", "g", "c", "h"),
    "lstm_peephole": ("i", "f", "o", "g", "c", "h"),
    "lstm_coupled": ("f", "o", "g", "c", "h"),  # i is 1 - f
    "gru": ("z", "r", "n", "h"),
    "rnn": ("h",),
}
# Those that are gates, between 0 and 1: the parts that can be clamped.
GATES: dict[str, tuple[str, ...]] = {
    "lstm": ("i", "f", "o"),
    "lstm_peephole": ("i", "f", "o"),
    "lstm_coupled": ("f", "o"),
    "gru": ("z", "r"),
    "rnn": (),
}

NAMES = {
    "i": "input gate i",
    "f": "forget gate f",
    "o": "output gate o",
    "g": "candidate g",
    "c": "cell state c",
    "h": "hidden state h",
    "z": "update gate z",
    "r": "reset gate r",
    "n": "candidate n",
}
# The order of the columns of a cell's weights (lib.cells): what each block of them makes.
BLOCKS: dict[str, tuple[str, ...]] = {
    "lstm": ("i", "f", "g", "o"),
    "lstm_peephole": ("i", "f", "g", "o"),
    "lstm_coupled": ("f", "g", "o"),
    "gru": ("z", "r", "n"),
    "rnn": ("h",),
}
PEEPHOLES = ("i", "f", "o")  # the rows of `peephole_weights`: the gate that each is added to

Trace = dict[str, np.ndarray]


class Clamp(NamedTuple):
    """A gate held at a value, from 0 to 1, for these units, or for all when `units` is empty."""

    gate: str
    value: float
    units: tuple[int, ...] = ()


class Freeze(NamedTuple):
    """A unit that keeps, from a step on, the state that it had before this step."""

    unit: int
    step: int = 0


class Surgery(NamedTuple):
    """An operation on a network. A removed unit's hidden state is 0: nobody hears of it any more."""

    clamps: tuple[Clamp, ...] = ()
    frozen: tuple[Freeze, ...] = ()
    removed: tuple[int, ...] = ()


NOTHING = Surgery()


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), for large numbers of either sign too."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def trace(
    cell: str,
    params: Any,
    inputs: np.ndarray,
    surgery: Surgery = NOTHING,
    state: Mapping[str, np.ndarray] | None = None,
) -> Trace:
    """Read `inputs` [T, B, I] from a state of zeros, or from `state`: {"h": [B, H]}, for an LSTM "c" too.

    Inputs may also be integer tokens [T, B], which stand for one-hot rows: each looks up its row of the input weights.
    Returns the cell's PARTS, each [T, B, H], and `logits` [T, B, O]. Raises ValueError when an operation names a gate or
    a unit that the cell does not have.
    """
    weights = params["cell"]
    units = weights["recurrent_weights"].shape[0]
    _check(cell, units, surgery)
    steps, rows = inputs.shape[:2]
    matrix = weights["input_weights"]
    driven = (matrix[inputs] if inputs.ndim == 2 else inputs @ matrix) + weights["bias"]  # of all steps at once
    found = {part: np.zeros((steps, rows, units), driven.dtype) for part in PARTS[cell]}
    before = {part: np.zeros((rows, units), driven.dtype) for part in _STATES[cell]} | dict(state or {})
    for step in range(steps):
        now = _STEPS[cell](weights, before, driven[step], surgery)
        _hold(now, before, step, surgery)
        for part in PARTS[cell]:
            found[part][step] = now[part]
        before = {part: now[part] for part in _STATES[cell]}
    output = params["output"]
    return found | {"logits": found["h"] @ output["weights"] + output["bias"]}


def _check(cell: str, units: int, surgery: Surgery) -> None:
    for clamp in surgery.clamps:
        if clamp.gate not in GATES[cell]:
            raise ValueError(
                f"gate = {clamp.gate!r} is not a gate of this cell: choose one of {GATES[cell] or 'none'}."
            )
        if not 0 <= clamp.value <= 1:
            raise ValueError(f"value = {clamp.value} is not what a gate can have: choose one from 0 to 1.")
    named = [*surgery.removed, *(freeze.unit for freeze in surgery.frozen)]
    for unit in [*named, *(unit for clamp in surgery.clamps for unit in clamp.units)]:
        if not 0 <= unit < units:
            raise ValueError(f"unit = {unit} is not in the network: choose one from 0 to {units - 1}.")


def _hold(now: Trace, before: Mapping[str, np.ndarray], step: int, surgery: Surgery) -> None:
    """Put frozen and removed units to what they must be after a step."""
    for freeze in surgery.frozen:
        if step >= freeze.step:
            for part, values in before.items():
                now[part][:, freeze.unit] = values[:, freeze.unit]
    for unit in surgery.removed:
        now["h"][:, unit] = 0.0


def _clamped(gate: str, values: np.ndarray, surgery: Surgery) -> np.ndarray:
    for clamp in surgery.clamps:
        if clamp.gate == gate:
            values = values.copy()
            values[:, list(clamp.units) or slice(None)] = clamp.value
    return values


def _rnn(weights: Any, before: Mapping[str, np.ndarray], driven: np.ndarray, surgery: Surgery) -> Trace:
    """h = tanh(x W + h U + b), as `lib.cells.rnn_step`."""
    return {"h": np.tanh(driven + before["h"] @ weights["recurrent_weights"])}


def _lstm(weights: Any, before: Mapping[str, np.ndarray], driven: np.ndarray, surgery: Surgery) -> Trace:
    """c = f * c + i * g, h = o * tanh(c), as `lib.cells.lstm_step`."""
    i, f, g, o = np.split(driven + before["h"] @ weights["recurrent_weights"], 4, axis=-1)
    i, f, o = (_clamped(name, sigmoid(gate), surgery) for name, gate in (("i", i), ("f", f), ("o", o)))
    g = np.tanh(g)
    c = f * before["c"] + i * g
    return {"i": i, "f": f, "o": o, "g": g, "c": c, "h": o * np.tanh(c)}


def _lstm_peephole(weights: Any, before: Mapping[str, np.ndarray], driven: np.ndarray, surgery: Surgery) -> Trace:
    """As an LSTM, but i and f see p * c of the step before and o sees p * c of this one, as `lib.cells.lstm_peephole_step`."""
    p_i, p_f, p_o = weights["peephole_weights"]
    i, f, g, o = np.split(driven + before["h"] @ weights["recurrent_weights"], 4, axis=-1)
    i = _clamped("i", sigmoid(i + p_i * before["c"]), surgery)
    f = _clamped("f", sigmoid(f + p_f * before["c"]), surgery)
    g = np.tanh(g)
    c = f * before["c"] + i * g
    o = _clamped("o", sigmoid(o + p_o * c), surgery)
    return {"i": i, "f": f, "o": o, "g": g, "c": c, "h": o * np.tanh(c)}


def _lstm_coupled(weights: Any, before: Mapping[str, np.ndarray], driven: np.ndarray, surgery: Surgery) -> Trace:
    """c = f * c + (1 - f) * g, h = o * tanh(c), as `lib.cells.lstm_coupled_step`. To hold f is to hold i = 1 - f."""
    f, g, o = np.split(driven + before["h"] @ weights["recurrent_weights"], 3, axis=-1)
    f, o = (_clamped(name, sigmoid(gate), surgery) for name, gate in (("f", f), ("o", o)))
    g = np.tanh(g)
    c = f * before["c"] + (1.0 - f) * g
    return {"f": f, "o": o, "g": g, "c": c, "h": o * np.tanh(c)}


def _gru(weights: Any, before: Mapping[str, np.ndarray], driven: np.ndarray, surgery: Surgery) -> Trace:
    """h = z * h + (1 - z) * n, as `lib.cells.gru_step`."""
    h, recurrent = before["h"], weights["recurrent_weights"]
    units = h.shape[-1]
    z, r = np.split(driven[:, : 2 * units] + h @ recurrent[:, : 2 * units], 2, axis=-1)
    z, r = (_clamped(name, sigmoid(gate), surgery) for name, gate in (("z", z), ("r", r)))
    n = np.tanh(driven[:, 2 * units :] + (r * h) @ recurrent[:, 2 * units :])
    return {"z": z, "r": r, "n": n, "h": z * h + (1.0 - z) * n}


_STEPS = {
    "rnn": _rnn,
    "lstm": _lstm,
    "lstm_peephole": _lstm_peephole,
    "lstm_coupled": _lstm_coupled,
    "gru": _gru,
}
_STATES: dict[str, tuple[str, ...]] = {cell: ("c", "h") if "c" in parts else ("h",) for cell, parts in PARTS.items()}


# How far the gradient reaches


def gradient_reach(cell: str, params: Any, traced: Trace, d_logits: np.ndarray) -> Trace:
    """The norms of dL/dh_t, and for an LSTM of dL/dc_t, for a loss L at the last step: how much an earlier state still counts.

    Returns {"h": [T, B]} and "c"; the last row is lag 0, the first lag T - 1. `traced` is a trace without surgery, `d_logits`
    [B, O] the gradient of L at its last logits (see `lib.reading.loss_gradient`). What an LSTM's step hands on is h_t and
    c_t: each norm is of the derivative along one with the other held. Pascanu, Mikolov & Bengio (2013), section 2.
    """
    weights = params["cell"]
    d_h = d_logits @ params["output"]["weights"].T
    d_c = np.zeros_like(d_h)
    norms = {part: np.zeros(traced["h"].shape[:2]) for part in _STATES[cell]}
    for step in reversed(range(len(traced["h"]))):
        for part, gradient in (("h", d_h), ("c", d_c)):
            if part in norms:
                norms[part][step] = np.linalg.norm(gradient, axis=-1)
        if step:
            d_h, d_c = _BACK[cell](weights, traced, step, d_h, d_c)
    return norms


def _rnn_back(weights: Any, t: Trace, step: int, d_h: np.ndarray, d_c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (d_h * (1 - t["h"][step] ** 2)) @ weights["recurrent_weights"].T, d_c


def _lstm_back(weights: Any, t: Trace, step: int, d_h: np.ndarray, d_c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    i, f, o, g, c = (t[part][step] for part in ("i", "f", "o", "g", "c"))
    squashed = np.tanh(c)
    d_c = d_c + d_h * o * (1 - squashed**2)
    gates = (
        d_c * g * i * (1 - i),
        d_c * t["c"][step - 1] * f * (1 - f),
        d_c * i * (1 - g**2),
        d_h * squashed * o * (1 - o),
    )
    return np.concatenate(gates, axis=-1) @ weights["recurrent_weights"].T, d_c * f


def _lstm_peephole_back(
    weights: Any, t: Trace, step: int, d_h: np.ndarray, d_c: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    i, f, o, g, c = (t[part][step] for part in ("i", "f", "o", "g", "c"))
    p_i, p_f, p_o = weights["peephole_weights"]
    squashed = np.tanh(c)
    d_o = d_h * squashed * o * (1 - o)
    d_c = d_c + d_h * o * (1 - squashed**2) + d_o * p_o
    d_i, d_f = d_c * g * i * (1 - i), d_c * t["c"][step - 1] * f * (1 - f)
    gates = np.concatenate([d_i, d_f, d_c * i * (1 - g**2), d_o], axis=-1)
    return gates @ weights["recurrent_weights"].T, d_c * f + d_i * p_i + d_f * p_f


def _lstm_coupled_back(
    weights: Any, t: Trace, step: int, d_h: np.ndarray, d_c: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    f, o, g, c = (t[part][step] for part in ("f", "o", "g", "c"))
    squashed = np.tanh(c)
    d_c = d_c + d_h * o * (1 - squashed**2)
    gates = (
        d_c * (t["c"][step - 1] - g) * f * (1 - f),
        d_c * (1 - f) * (1 - g**2),
        d_h * squashed * o * (1 - o),
    )
    return np.concatenate(gates, axis=-1) @ weights["recurrent_weights"].T, d_c * f


def _gru_back(weights: Any, t: Trace, step: int, d_h: np.ndarray, d_c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    h, (z, r, n) = t["h"][step - 1], (t[part][step] for part in ("z", "r", "n"))
    units = h.shape[-1]
    recurrent = weights["recurrent_weights"]
    d_n = d_h * (1 - z) * (1 - n**2)
    d_reset = d_n @ recurrent[:, 2 * units :].T  # at r * h
    gates = np.concatenate([d_h * (h - n) * z * (1 - z), d_reset * h * r * (1 - r)], axis=-1)
    return d_h * z + d_reset * r + gates @ recurrent[:, : 2 * units].T, d_c


_BACK = {
    "rnn": _rnn_back,
    "lstm": _lstm_back,
    "lstm_peephole": _lstm_peephole_back,
    "lstm_coupled": _lstm_coupled_back,
    "gru": _gru_back,
}
