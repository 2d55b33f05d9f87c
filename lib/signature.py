"""Where else in a corpus the same units are on: the signature search of LSTMVis (Strobelt et al. 2018, section 4).

A unit is on where its state is above a threshold. The signature of a marked span is the set of units that are on all
through it and off just before and just after. A search reads one bit per unit and position. NumPy only, no TensorFlow.

Shapes: N positions of a corpus, H units, T steps, B sequences; k units of a signature, R rows or runs of positions.
"""

from itertools import compress, pairwise
from typing import Any, NamedTuple

import numpy as np

from lib.trace import PARTS, trace

# So many are read at once: more leave the cache, fewer call NumPy too often. 8 rows begin with a byte of their own.
ROWS, STEPS = 512, 10


class Index(NamedTuple):
    """Which units are on where in a corpus, or in equally long sequences, whose borders no match crosses."""

    bits: np.ndarray  # uint8 [H, ceil(N / 8)], packed along the positions
    length: int  # N
    sequence: int  # the length of one sequence: at its multiples are the borders

    def on(self, unit: int) -> np.ndarray:
        """Where this unit is on: 0 or 1, uint8 [N]."""
        return np.unpackbits(self.bits[unit], count=self.length)


class Match(NamedTuple):
    """A place in the corpus, half open, its score from 0 to 1, and the units that are not on all through it."""

    start: int
    end: int
    score: float
    missing: tuple[int, ...]


def build(
    cell: str, params: Any, tokens: np.ndarray, *, part: str, threshold: float, row: int = 1000, warm_up: int = 100
) -> Index:
    """Read a corpus and note where each unit's `part`, one of PARTS[cell], is above `threshold`.

    `tokens` int [N] is one text. It is cut into rows of `row` positions, read side by side, each but the first begun
    `warm_up` tokens early from a state of zeros. `tokens` int [T, B] is B sequences that each begin with zeros; step t of
    sequence b is position b * T + t. Raises ValueError for a part, a token or a number that cannot be.
    """
    _check(params, tokens, part, PARTS[cell], row, warm_up)
    if tokens.ndim == 2:
        rows, row, warm_up = tokens.T, len(tokens), 0
    else:
        row = min(row, len(tokens))
        padded = np.pad(tokens, (warm_up, -len(tokens) % row))
        rows = np.lib.stride_tricks.sliding_window_view(padded, warm_up + row)[::row]
    units = len(params["cell"]["recurrent_weights"])
    silent = {"weights": np.zeros((units, 0), np.float32), "bias": np.zeros(0, np.float32)}  # logits cost time
    network, packed = {"cell": params["cell"], "output": silent}, []
    for first in range(0, len(rows), ROWS):
        on = np.empty((units, len(rows[first : first + ROWS]), row), bool)
        _read(cell, network, rows[first : first + ROWS], part, threshold, on, alone=first == 0)
        packed.append(np.packbits(on.reshape(units, -1)[:, : tokens.size - first * row], axis=1))
    return Index(np.concatenate(packed, axis=1), tokens.size, len(tokens))


def _check(params: Any, tokens: np.ndarray, part: str, parts: tuple[str, ...], row: int, warm_up: int) -> None:
    if part not in parts:
        raise ValueError(f"part = {part!r} is not a part of this cell: choose one of {parts}.")
    if tokens.ndim not in (1, 2) or not tokens.size or not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(f"tokens are {tokens.dtype} {list(tokens.shape)}: give integers [N] or [T, B], at least one.")
    known = len(params["cell"]["input_weights"])
    if tokens.min() < 0 or tokens.max() >= known:
        raise ValueError(f"tokens go from {tokens.min()} to {tokens.max()}: the network reads 0 to {known - 1}.")
    if row < 1 or not 0 <= warm_up <= row:
        raise ValueError(f"row = {row}, warm_up = {warm_up}: choose a row of at least 1, a warm-up from 0 to the row.")


def _read(cell: str, params: Any, rows: np.ndarray, part: str, threshold: float, on: np.ndarray, alone: bool) -> None:
    """Fill `on` bool [H, R, T] from `rows` [R, warm-up + T]; `alone`: the first of them is the first of the corpus."""
    steps, warm_up = rows.shape[1], rows.shape[1] - on.shape[2]
    state: dict[str, np.ndarray] = {}
    for begin, end in pairwise([*range(0, warm_up, STEPS), *range(warm_up, steps, STEPS), steps]):
        if begin == warm_up and alone:
            for values in state.values():
                values[0] = 0.0
        found = trace(cell, params, rows[:, begin:end].T, state=state)
        state = {name: found[name][-1] for name in ("c", "h") if name in found}
        if begin >= warm_up:
            on[:, :, begin - warm_up : end - warm_up] = (found[part] > threshold).transpose(2, 1, 0)


def signature(states: np.ndarray, span: tuple[int, int], threshold: float) -> tuple[int, ...]:
    """The units of `states` [T, H], of one sequence, that are on all through `span` and off just outside of it.

    `span` is (start, end), half open; just outside are start - 1 and end, where the sequence has them. Raises ValueError
    for a span that is empty or not in the sequence.
    """
    start, end = span
    if not 0 <= start < end <= len(states):
        raise ValueError(f"span = {span} is not in the sequence: choose 0 <= start < end <= {len(states)}.")
    inside, before, after = (states[a:b] > threshold for a, b in (span, (max(start - 1, 0), start), (end, end + 1)))
    return tuple(np.flatnonzero(inside.all(axis=0) & ~before.any(axis=0) & ~after.any(axis=0)).tolist())


def search(
    index: Index, units: tuple[int, ...], length: int, *, limit: int = 20, exclude: tuple[int, int] | None = None
) -> list[Match]:
    """The places in a corpus with this signature, at most `limit`, best first; of equals, the earlier one first.

    A candidate is a maximal run of positions, within one sequence, at which all k units are on; for k of 3 or more also
    one at which at least k - 1 are on, if it holds none of the former. What overlaps `exclude`, the marked span
    (start, end), is left out. The score is (whole + (off + near) / 2) / (k + 1), where
    whole, 0 to k, is how many of the units are on all through the run;
    off, 0 to 1, is the share of units that are off just before and just after (of 2 k cases; beyond a border all are);
    near, 0 to 1, is the shorter of the run and `length`, divided by the longer.

    So one unit more all through counts for more than all the rest, and 1 is a perfect match. Raises ValueError when
    `units` is empty or names one that is not in the index, and for a `length` or `limit` below 1.
    """
    units = tuple(dict.fromkeys(units))
    if not units:
        raise ValueError("units is empty: no unit is on over just this span. Mark another, or change the threshold.")
    if not 0 <= min(units) <= max(units) < len(index.bits):
        raise ValueError(f"units = {units}: the index has units 0 to {len(index.bits) - 1}.")
    if length < 1 or limit < 1:
        raise ValueError(f"length = {length}, limit = {limit}: both must be at least 1.")
    k = len(units)
    count = sum((index.on(unit) for unit in units), np.zeros(index.length, np.min_scalar_type(k)))
    runs = _runs(count == k, index.sequence)
    missing = np.zeros((len(runs), k), bool)
    if k >= 3:
        loose = _runs(count >= k - 1, index.sequence)
        holders = np.searchsorted(loose[:, 0], runs[:, 0], side="right") - 1
        missing = np.concatenate([missing, np.delete(_missing(index, units, count, loose), holders, axis=0)])
        runs = np.concatenate([runs, np.delete(loose, holders, axis=0)])
    first, last = exclude or (0, 0)
    apart = (runs[:, 1] <= first) | (runs[:, 0] >= last)
    runs, missing = runs[apart], missing[apart]
    scores = _scores(runs, missing, count, length, index.sequence)
    best = np.argsort(-scores.round(12), kind="stable")[:limit]  # equals must be equal as floats too
    rows = zip(*(values[best].tolist() for values in (runs, scores, missing)), strict=True)
    return [Match(start, end, score, tuple(compress(units, gone))) for (start, end), score, gone in rows]


def _runs(on: np.ndarray, sequence: int) -> np.ndarray:
    """The maximal runs of `on` [N] within one sequence: (start, end), int [R, 2], in the order of positions."""
    before, after = np.zeros_like(on), np.zeros_like(on)
    before[1:], after[:-1] = on[:-1], on[1:]
    before[::sequence] = after[sequence - 1 :: sequence] = False
    return np.stack([np.flatnonzero(on & ~before), np.flatnonzero(on & ~after) + 1], axis=1)


def _missing(index: Index, units: tuple[int, ...], count: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Which units are off somewhere in each run of positions with at least k - 1 of them on: bool [R, k]."""
    missing = np.zeros((len(runs), len(units)), bool)
    for column, unit in enumerate(units):
        off = np.flatnonzero((count == len(units) - 1) > index.on(unit))
        missing[np.searchsorted(runs[:, 0], off, side="right") - 1, column] = True
    return missing


def _scores(runs: np.ndarray, missing: np.ndarray, count: np.ndarray, length: int, sequence: int) -> np.ndarray:
    """The scores [R] that `search` defines; `count` [N] is how many of the units are on at each position."""
    (start, end), k = runs.T, missing.shape[1]
    outside = np.where(start % sequence, count[start - 1], 0.0) + np.where(end % sequence, count[end % len(count)], 0.0)
    off = 1 - outside / (2 * k)
    near = np.minimum(end - start, length) / np.maximum(end - start, length)
    return (k - missing.sum(axis=1) + (off + near) / 2) / (k + 1)
