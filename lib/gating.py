"""What a network's gates do where something must be kept, measured on held-out sequences; and that in words.

Shapes: T steps, B sequences, H units.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lib.inside import LEFT, RIGHT, Inside, View
from lib.reading import Stored
from lib.trace import GATES, NAMES, Surgery, Trace

CARRIES = 0.5  # of the variance of a unit's memory that must lie between the values of what is kept
OPENS, CLOSES = 0.5, 0.4  # differences of a gate, from 0 to 1, that are called clear
LITTLE = 0.15  # and one that is called none
NAMED = 6  # units in a sentence
HARDLY = 0.3  # |r| below which it hardly does
TRACKS = 0.9  # |r| from which on a unit is said to track something; below it correlates with it
# The gate that lets something in, and the one that keeps: where they are the same, it writes where it is low.
WRITES = {"lstm": "i", "lstm_peephole": "i", "lstm_coupled": "f", "gru": "z", "rnn": ""}
KEEPS = {"lstm": "f", "lstm_peephole": "f", "lstm_coupled": "f", "gru": "z", "rnn": ""}


class Gating(NamedTuple):
    """How a network keeps one thing at a time; all [H], NaN where it cannot be measured.

    `share` is how much of the variance of a unit's memory lies between the values of what is kept, over all steps at which
    something is. `opens` is how much higher the input gate is where something is written than where other things are read,
    where one gate writes and keeps (a GRU's, coupled gates) how much lower that is. `closes` is how much lower the keeping gate
    is where something new is written, when something is kept already. `drift` is the mean change of the memory between the last
    writing and the step before the answer is asked for, as a share of its mean size at the writing, and `steps` (a number)
    how long that is on average.
    """

    share: np.ndarray
    opens: np.ndarray
    closes: np.ndarray
    drift: np.ndarray
    steps: float

    @property
    def carriers(self) -> np.ndarray:
        """The units that carry what is kept, those with the largest share first."""
        found = np.flatnonzero(self.share >= CARRIES)
        return found[np.argsort(-self.share[found], kind="stable")]

    @property
    def best(self) -> int | None:
        """Of the units that carry it, the one whose input gate tells what is written best from the rest."""
        carriers = self.carriers
        if not len(carriers):
            return None
        return int(carriers[np.argmax(np.nan_to_num(self.opens[carriers], nan=-np.inf))])

    @property
    def opening(self) -> float:
        """How much the input gate of the best unit opens, 0 where none carries anything."""
        return 0.0 if self.best is None else float(self.opens[self.best])

    @property
    def closing(self) -> float:
        """How much the forget gates of the units that carry it close, in the mean; 0 where none does."""
        return float(self.closes[self.carriers].mean()) if len(self.carriers) else 0.0


def measure(cell: str, traced: Trace, stored: Stored, scored: np.ndarray) -> Gating:
    """Measure it in the trace of sequences [T, B] of which it is known what must be kept."""
    memory = traced.get("c", traced["h"])
    there = stored.values >= 0
    before = np.concatenate([np.zeros_like(there[:1]), there[:-1]])
    nothing = np.full(memory.shape[-1], np.nan)
    opens = closes = nothing
    if writes := WRITES[cell]:
        sign = -1 if writes == KEEPS[cell] else 1
        opens = sign * (_mean(traced[writes], stored.written) - _mean(traced[writes], stored.others))
        keeps = traced[KEEPS[cell]]
        closes = _mean(keeps, stored.others & before) - _mean(keeps, stored.written & before)
    return Gating(_share(memory[there], stored.values[there]), opens, closes, *_drift(memory, stored, scored))


def _mean(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The mean over places [T, B] of [T, B, H]: [H], NaN where there are none."""
    return values[where].mean(axis=0) if where.any() else np.full(values.shape[-1], np.nan)


def _share(states: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The share of the variance of states [N, H] that lies between the groups by value [N]: the correlation ratio."""
    if not len(states):
        return np.zeros(states.shape[-1])
    states = states.astype(np.float64)
    mean = states.mean(axis=0)
    groups = [states[values == value] for value in np.unique(values)]
    between = sum(len(group) * (group.mean(axis=0) - mean) ** 2 for group in groups)
    total = ((states - mean) ** 2).sum(axis=0)
    return np.where(total > 1e-9 * len(states), between / np.maximum(total, 1e-300), 0.0)


def _drift(memory: np.ndarray, stored: Stored, scored: np.ndarray) -> tuple[np.ndarray, float]:
    """How much the memory changes from the last writing to the step before the question, [H]; and over how many steps."""
    steps = np.arange(len(scored))[:, None]
    written = np.maximum.accumulate(np.where(stored.written, steps, -1), axis=0)
    at, row = np.nonzero(scored[1:])  # a question at step at + 1
    since = written[at, row]
    kept = (since >= 0) & (at > since)
    if not kept.any():
        return np.full(memory.shape[-1], np.nan), 0.0
    at, row, since = at[kept], row[kept], since[kept]
    size = np.abs(memory[since, row]).mean(axis=0)
    change = np.abs(memory[at, row] - memory[since, row]).mean(axis=0)
    return change / np.maximum(size, 1e-9), float((at - since).mean())


def gating(inside: Inside) -> Gating | None:
    """How the network keeps what its task asks for, over the held-out sequences; None where the task is of another kind."""
    held_out = inside.held_out
    if held_out.stored is None:
        return None
    return measure(inside.cell, inside.held_out_trace, held_out.stored, held_out.scored)


# In words


def words(inside: Inside) -> Mapping[str, object]:
    """What is found, for app/static/findings.js: {"title": a text, "lines": [[text, …], …]}, bold where a text is in a list."""
    before, _ = inside.scores
    count = inside.held_out.inputs.shape[1]
    start = [f"On {count} held-out sequences ", [f"{_percent(before.accuracy)}"], " of the answers are right."]
    found = gating(inside)
    lines = [start, *(_of_keeping(inside, found) if found is not None else _of_units(inside))]
    whose = " of the untouched network" if inside.operated else ""
    return {"title": f"What the numbers say{whose}, after {inside.step:,} training steps", "lines": lines}


Line = list[str | list[str]]


def _of_keeping(inside: Inside, found: Gating) -> list[Line]:
    """Which units carry it, what their gates do, and how steady it is."""
    stored, best = inside.held_out.stored, found.best
    assert stored is not None
    what, where, others = stored.names
    memory = NAMES[inside.memory]
    if best is None:
        most = int(found.share.argmax())
        return [
            [f"No unit carries {what}: it explains at most ", [_percent(found.share[most])], " of the variance of a unit's "
             f"{memory} (unit {most}); from {CARRIES:.0%} on we say that the unit carries it."]
        ]  # fmt: skip
    several = len(found.carriers) > 1
    named = [f"{unit} ({_percent(found.share[unit])})" for unit in found.carriers.tolist()]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    units = ", ".join(named[:NAMED]) + more
    lines: list[Line] = [
        [[f"Unit{'s' if several else ''} {units}"], f" carr{'y' if several else 'ies'} {what}: in brackets is how much of the "
         f"variance of the unit's {memory} it explains, {CARRIES:.0%} or more."]
    ]  # fmt: skip
    if inside.cell == "rnn":
        lines.append(["A tanh RNN has no gates: each step computes the whole state anew."])
    else:
        lines += [_of_writing(inside, found, best, where, others), _of_forgetting(inside, found, where, others)]
    lines += [_of_drift(found, where), _of_ablation(inside, best)]
    return [line for line in lines if line]


def _of_writing(inside: Inside, found: Gating, best: int, where: str, others: str) -> Line:
    """The gate that lets something in: an LSTM's input gate, or one that also keeps, which writes where it is low."""
    stored, opens, keeps_too = inside.held_out.stored, found.opening, _one_gate(inside)
    assert stored is not None
    gate = inside.held_out_trace[WRITES[inside.cell]][..., best]
    levels = [float(gate[places].mean()) for places in (stored.written, stored.others)]
    verdict = "So it lets in what must be kept, and keeps out most of the rest."
    if opens < OPENS:
        verdict = "So it favours what must be kept a little." if opens >= LITTLE else "So it does not tell them apart."
        if opens <= -LITTLE:
            verdict = "So it does not keep the rest out."
    return [
        f"The {NAMES[WRITES[inside.cell]]} of unit {best}{', which writes where it is low,' if keeps_too else ''} is ",
        [f"{abs(levels[0] - levels[1]):.2f} {'higher' if levels[0] >= levels[1] else 'lower'}"],
        f" at {where} ({levels[0]:.2f}) than at {others} ({levels[1]:.2f}), the clearest of these units. {verdict}",
    ]


def _of_forgetting(inside: Inside, found: Gating, where: str, others: str) -> Line:
    """The gate that lets go of what was kept; where it is the one that writes, nothing more is to be said of it."""
    closes = found.closing
    if _one_gate(inside) or not np.isfinite(closes):  # or nothing new is ever written
        return []
    verdict = "So they let go of much of the old to make room for the new."
    if closes < CLOSES:
        verdict = (
            "So they let go of a little of the old." if closes >= LITTLE else "So they do not let go of the old there."
        )
    return [
        "In the mean of all units that carry it the forget gate f is ",
        [f"{abs(closes):.2f} {'lower' if closes >= 0 else 'higher'}"],
        f" at {where} that replaces another than at {others}. {verdict}",
    ]


def _one_gate(inside: Inside) -> bool:
    """Whether one gate both writes and keeps."""
    return WRITES[inside.cell] == KEEPS[inside.cell]


def _of_drift(found: Gating, where: str) -> Line:
    if not found.steps:
        return []
    drifts = found.drift[found.carriers]
    steadiest = int(found.carriers[drifts.argmin()])
    return [
        f"From {where} to the step before the cue ({found.steps:.1f} steps on average) what they store drifts by ",
        [_of_size(float(drifts.mean()))],
        f"; in unit {steadiest}, the steadiest, by {_of_size(float(drifts.min()))}.",
    ]


def _of_size(share: float) -> str:
    return f"{_percent(share)} of its size" if share < 2 else f"{share:.0f} times its size"


def _of_ablation(inside: Inside, best: int) -> Line:
    without = Inside(inside.demo, inside.config, inside.network, inside.step, View(surgery=Surgery(removed=(best,))))
    before, after = without.scores
    change = f"from {_percent(before.accuracy)} to {_percent(after.accuracy)}"
    return [f"Ablate unit {best} (output 0), and accuracy goes ", [change], "."]


def _of_units(inside: Inside) -> list[Line]:
    """What a unit goes along with best, and how open the gates are."""
    lines: list[Line] = []
    if inside.best_units:
        name, unit, r = inside.best_units[0]
        about = said(r, inside.held_out.factors[name].what)
        lines.append(["The strongest correlation: ", [f"unit {unit} {about}, {signed(r)}"], "."])
    for gate in GATES[inside.cell]:
        values = inside.held_out_trace[gate]
        lines.append(
            [f"The {NAMES[gate]} is ", [f"{values.mean():.2f}"], " on average over all units and steps: above "
             f"{RIGHT} in {_percent((values > RIGHT).mean())} of them, below {LEFT} in {_percent((values < LEFT).mean())}."]
        )  # fmt: skip
    return lines


def said(r: float, what: str) -> str:
    """What a correlation lets one say: "tracks the depth", "correlates with the depth", "hardly correlates with the depth"."""
    if abs(r) >= TRACKS:
        return f"tracks {what}"
    return f"{'hardly ' if abs(r) < HARDLY else ''}correlates with {what}"


def signed(r: float) -> str:
    """A correlation with its sign, as in r = −0.67."""
    return f"r = {r:+.2f}".replace("-", "−")


def _percent(share: float) -> str:
    return f"{share:.0%}"
