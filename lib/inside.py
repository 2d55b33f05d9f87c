"""Looking inside a network: what one person has chosen to see of it, and all that the pictures need, computed when asked for.

Weights and NumPy only. Shapes: T steps, B sequences, H units, O answers.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from lib.reading import LONGEST, Language, Readings, Score, by_token, loss_gradient, score
from lib.trace import BLOCKS, GATES, NOTHING, PARTS, PEEPHOLES, Clamp, Freeze, Surgery, Trace, gradient_reach, trace

LEFT, RIGHT = 0.1, 0.9  # a gate is saturated below the one and above the other (Karpathy et al. 2015, section 4.2)
SHOWN = ("operated", "untouched", "difference")  # which network's gates are drawn when there is an operation
LONGEST_VIEW, MOST_CLAMPS = 16_000, 16
BINS, SEQUENCES = 25, 16  # of a gate's spread
LEAST_SPREAD = 1e-6  # of a unit or a factor that can be correlated with anything


@dataclass(frozen=True)
class View:
    """What is looked at: a held-out sequence by its number or a `typed` one, a unit, an order of the units, an operation."""

    example: int = 0
    typed: str = ""
    unit: int = 0
    order: str = ""  # the name of a factor by which the units are ordered, "" by their numbers
    shown: str = "operated"  # one of SHOWN
    surgery: Surgery = NOTHING

    def to_json(self) -> str:
        """The view as a text for an address."""
        return json.dumps(asdict(self) | {"surgery": [list(part) for part in self.surgery]}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "View":
        """The view that `to_json` wrote. Raises ValueError for anything else."""
        if len(text) > LONGEST_VIEW:
            raise ValueError(f"This is no view: it has {len(text)} characters, and may have {LONGEST_VIEW}.")
        try:
            values = json.loads(text)
            clamps, frozen, removed = values.pop("surgery")
            surgery = Surgery(
                tuple(Clamp(str(gate), float(value), tuple(map(int, units))) for gate, value, units in clamps),
                tuple(Freeze(int(unit), int(step)) for unit, step in frozen),
                tuple(map(int, removed)),
            )
            kinds = {"example": int, "typed": str, "unit": int, "order": str, "shown": str}
            view = cls(**{name: kind(values[name]) for name, kind in kinds.items()}, surgery=surgery)
            within = len(surgery.clamps) <= MOST_CLAMPS and all(0 <= clamp.value <= 1 for clamp in surgery.clamps)
            if not within or len(view.typed) > LONGEST or view.shown not in SHOWN:
                raise ValueError("This is no view: a part of it is out of bounds.")
            return view
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"This is no view: {error}") from None


class Inside:
    """One network under one view. Everything is computed at its first use and kept.

    `demo` is a module with `language`, `held_out` and `typed` (see lib.reading), `network` one seed's weights (see
    lib.networks) and `step` the training step that they are of. Raises ReadingError for a text that cannot be read, and
    ValueError for a unit or an operation that the network does not have.
    """

    def __init__(self, demo: ModuleType, config: Any, network: Any, step: int, view: View) -> None:
        self.demo, self.config, self.network, self.step, self.view = demo, config, network, step, view
        self.cell: str = config.cell
        self.units = len(network["cell"]["recurrent_weights"])
        if not 0 <= view.unit < self.units:
            self.view = replace(view, unit=min(max(view.unit, 0), self.units - 1))
        self.language: Language = demo.language(config)
        self.by_token = by_token(network, self.language)

    @property
    def memory(self) -> str:
        """The part that is a unit's memory."""
        return "c" if "c" in PARTS[self.cell] else "h"

    @property
    def operated(self) -> bool:
        """Whether there is an operation."""
        return self.view.surgery != NOTHING

    @cached_property
    def reading(self) -> Readings:
        """The sequence that is looked at, B = 1."""
        if self.view.typed:
            found: Readings = self.demo.typed(self.config, self.view.typed)
            return found
        return self.held_out.one(self.view.example % self.held_out.inputs.shape[1])

    @cached_property
    def held_out(self) -> Readings:
        """Sequences that were never trained on."""
        found: Readings = self.demo.held_out(self.config)
        return found

    def _trace(self, readings: Readings, surgery: Surgery) -> Trace:
        return trace(self.cell, self.by_token, readings.inputs, surgery)

    @cached_property
    def untouched(self) -> Trace:
        """The sequence's trace."""
        return self._trace(self.reading, NOTHING)

    @cached_property
    def after(self) -> Trace:
        """The sequence's trace with the operation."""
        return self._trace(self.reading, self.view.surgery) if self.operated else self.untouched

    @cached_property
    def held_out_trace(self) -> Trace:
        """All held-out sequences' trace."""
        return self._trace(self.held_out, NOTHING)

    @cached_property
    def held_out_after(self) -> Trace:
        """The same with the operation."""
        return self._trace(self.held_out, self.view.surgery) if self.operated else self.held_out_trace

    @property
    def drawn(self) -> Trace:
        """What the gates' picture shows of the sequence."""
        if not self.operated or self.view.shown == "untouched":
            return self.untouched
        if self.view.shown == "difference":
            return {part: self.after[part] - values for part, values in self.untouched.items()}
        return self.after

    @cached_property
    def scores(self) -> tuple[Score, Score]:
        """On the held-out sequences: untouched, and with the operation."""
        both = (self.held_out_trace, self.held_out_after)
        before, after = (score(found["logits"], self.held_out, self.language) for found in both)
        return before, after

    @cached_property
    def correlations(self) -> Mapping[str, np.ndarray]:
        """For each factor how each unit's memory correlates with it over the held-out sequences, Pearson's r [H]."""
        states = self.held_out_trace[self.memory].reshape(-1, self.units)
        return {name: correlation(states, factor.values.ravel()) for name, factor in self.held_out.factors.items()}

    @cached_property
    def best_units(self) -> list[tuple[str, int, float]]:
        """(factor, unit, r) of the unit that goes best with each factor, the strongest first."""
        found = [
            (name, int(np.abs(r).argmax()), float(r[np.abs(r).argmax()]))
            for name, r in self.correlations.items()
            if r.any()
        ]
        return sorted(found, key=lambda item: -abs(item[2]))

    @cached_property
    def unit_order(self) -> np.ndarray:
        """The units as they are drawn, the first on top [H]."""
        if self.view.order in self.held_out.factors:  # the correlations need a reading of all held-out sequences
            return np.argsort(-self.correlations[self.view.order], kind="stable")
        return np.arange(self.units)

    @cached_property
    def saturation(self) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
        """For each gate and unit the share of time that it is nearly closed and nearly open, [H] each.

        Over the held-out sequences. Karpathy, Johnson & Fei-Fei (2015), section 4.2.
        """
        gates = {gate: self.held_out_after[gate].reshape(-1, self.units) for gate in GATES[self.cell]}
        return {gate: ((values < LEFT).mean(axis=0), (values > RIGHT).mean(axis=0)) for gate, values in gates.items()}

    @cached_property
    def spread(self) -> Mapping[str, np.ndarray]:
        """For each gate the share of its values in each of 25 bins from 0 to 1, over all units and a few held-out sequences."""
        few = trace(self.cell, self.by_token, self.held_out.inputs[:, :SEQUENCES])
        counts = {gate: np.histogram(few[gate], bins=BINS, range=(0.0, 1.0))[0] for gate in GATES[self.cell]}
        return {gate: count / count.sum() for gate, count in counts.items()}

    @cached_property
    def reach(self) -> Mapping[str, np.ndarray]:
        """The median, over held-out sequences, of the norm of dL/dh (and dL/dc) against the lag, from 0.

        L is the loss at the last place of each sequence where an answer is asked for.
        """
        lasts = len(self.held_out.scored) - 1 - self.held_out.scored[::-1].argmax(axis=0)
        d_logits = loss_gradient(self.held_out_trace["logits"], self.held_out, self.language)
        shortest = int(lasts.min()) + 1
        found: dict[str, list[np.ndarray]] = {}
        for last in np.unique(lasts):
            rows = np.flatnonzero(lasts == last)
            traced = {part: values[: last + 1, rows] for part, values in self.held_out_trace.items()}
            for part, norms in gradient_reach(self.cell, self.network, traced, d_logits[last, rows]).items():
                found.setdefault(part, []).append(norms[::-1][:shortest])
        return {part: np.median(np.concatenate(norms, axis=1), axis=1) for part, norms in found.items()}

    @cached_property
    def sums(self) -> Mapping[str, Mapping[str, Any]]:
        """What squashes are taken of, for the unit: {"i": {"input": [T], "state": [T], "bias": b}, …}.

        A gate with a peephole has a fourth summand, "cell_state" [T].
        """
        weights, h, unit = self.by_token["cell"], self.before("h"), self.view.unit
        inputs = self.reading.inputs[:, 0]
        w, u, b = (weights[name] for name in ("input_weights", "recurrent_weights", "bias"))
        found = {}
        for block, gate in enumerate(BLOCKS[self.cell]):
            column = block * self.units + unit
            driven = w[inputs, column] if inputs.ndim == 1 else inputs @ w[:, column]
            heard = self.after["r"][:, 0] * h if gate == "n" else h
            found[gate] = {"input": driven, "state": heard @ u[:, column], "bias": float(b[column])}
        if "peephole_weights" in weights:
            for gate, peepholes in zip(PEEPHOLES, weights["peephole_weights"], strict=True):
                found[gate]["cell_state"] = peepholes[unit] * self._seen_through_peephole(gate)
        return found

    def _seen_through_peephole(self, gate: str) -> np.ndarray:
        """The unit's cell state as the gate reads it [T]: i and f that before the step, o the new one, frozen or not."""
        before = self.before("c")[:, self.view.unit]
        if gate != "o":
            return before
        i, f, g = (self.after[part][:, 0, self.view.unit] for part in ("i", "f", "g"))
        return f * before + i * g

    def before(self, part: str) -> np.ndarray:
        """A state before each step of the sequence, with the operation, [T, H]."""
        after = self.after[part][:, 0]
        return np.concatenate([np.zeros_like(after[:1]), after[:-1]])

    def held(self) -> dict[str, float]:
        """The gates of the unit that the operation holds, and at which value."""
        return {
            clamp.gate: clamp.value
            for clamp in self.view.surgery.clamps
            if not clamp.units or self.view.unit in clamp.units
        }


def correlation(states: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Pearson's r of each column of `states` [N, H] with `factor` [N], where that is not NaN; 0 where one does not vary."""
    there = np.isfinite(factor)
    states, factor = states[there].astype(np.float64), factor[there].astype(np.float64)
    if not len(factor):
        return np.zeros(states.shape[1])
    varies = (states.std(axis=0) > LEAST_SPREAD) & (factor.std() > LEAST_SPREAD)
    found = np.zeros(states.shape[1])
    if varies.any():
        found[varies] = np.corrcoef(states[:, varies], factor, rowvar=False)[-1, :-1]
    return found
