"""What is said of a network's gates, against loops over a trace, and of networks that are made by hand."""

import json

import numpy as np
import pytest

from demos.gates import data, inside
from demos.gates.config import TASKS, GatesConfig
from lib.cells import CELLS
from lib.gating import gating, said, words
from lib.inside import Inside, View
from lib.reading import by_token
from lib.trace import Clamp, Surgery, trace
from tests.test_inside import looked_into, small


def text_of(look: Inside) -> str:
    lines = words(look)["lines"]
    return "\n".join("".join(part if isinstance(part, str) else part[0] for part in line) for line in lines)  # type: ignore[attr-defined]


def gated(joins: bool = True) -> Inside:
    """A network that stores letter k in unit k by its gates; or one whose gates are always open."""
    config = GatesConfig(hidden_units=4, training_steps=100)
    letters, mark, cue = range(4), 4, 5
    inputs, bias = np.zeros((6, 16), np.float32), np.zeros(16, np.float32)
    i, f, g, o = (slice(block * 4, block * 4 + 4) for block in range(4))
    inputs[mark, i], bias[i] = 20 * joins, -10 + 20 * (not joins)
    inputs[mark, f], bias[f] = -20, 10
    inputs[letters, g] = 20 * np.eye(4) - 10
    inputs[cue, o] = 0
    bias[o] = 10
    cell = {"input_weights": inputs, "recurrent_weights": np.zeros((4, 16), np.float32), "bias": bias}
    output = {"weights": 10 * np.eye(4, dtype=np.float32), "bias": np.zeros(4, np.float32)}
    return Inside(inside, config, {"cell": cell, "output": output}, 100, View())


def test_a_network_that_stores_by_its_gates_is_told_so() -> None:
    look = gated()
    found = gating(look)
    assert found is not None and found.carriers.tolist() == sorted(range(4), key=lambda unit: -found.share[unit])
    np.testing.assert_allclose(found.share, 1, atol=1e-3)
    assert found.opening == pytest.approx(1, abs=1e-3) and found.closing == pytest.approx(1, abs=1e-3)
    assert (found.drift < 0.01).all() and look.scores[0].accuracy == 1
    text = text_of(look)
    expected = (
        "100% of the answers",
        "carry the last marked letter",
        "1.00 higher at a mark (1.00) than at other letters",
        "So it lets in what must be kept",
        "1.00 lower at a mark that replaces another",
        "drifts by 0% of its size",
        "from 100% to ",
    )
    for part in expected:
        assert part in text, text


def test_a_network_whose_gates_are_always_open_is_told_that_nothing_is_carried() -> None:
    text = text_of(gated(joins=False))
    assert "No unit carries the last marked letter" in text and "So it lets in" not in text


def test_words_are_of_the_untouched_network() -> None:
    look = gated()
    operated = Inside(inside, look.config, look.network, 100, View(surgery=Surgery((Clamp("i", 0.0),))))
    assert words(operated)["lines"] == words(look)["lines"]
    assert "of the untouched network" in str(words(operated)["title"])


@pytest.mark.parametrize("task", ["recall", "remember"])
@pytest.mark.parametrize("cell", CELLS)
def test_what_is_measured_equals_loops(cell: str, task: str) -> None:
    look = looked_into(small(cell, task), seed=4)
    found, stored, scored = gating(look), look.held_out.stored, look.held_out.scored
    traced, memory = look.held_out_trace, look.held_out_trace[look.memory]
    assert found is not None and stored is not None
    gates = {"gru": ("z", "z"), "lstm_coupled": ("f", "f"), "rnn": None}.get(cell, ("i", "f"))
    for unit in range(6):
        kept: dict[int, list[float]] = {}
        levels: dict[str, list[float]] = {name: [] for name in ("in", "out", "new", "old")}
        changes, sizes = [], []
        for row in range(64):
            has, at = -1, 0
            for step in range(len(scored)):
                if scored[step, row] and step - 1 > at and has >= 0:
                    changes.append(abs(float(memory[step - 1, row, unit]) - float(memory[at, row, unit])))
                    sizes.append(abs(float(memory[at, row, unit])))
                writes, other = stored.written[step, row], stored.others[step, row]
                if gates:
                    opened, keeps = (float(traced[gate][step, row, unit]) for gate in gates)
                    levels["in" if writes else "out"] += [opened] if writes or other else []
                    if has >= 0:
                        levels["new" if writes else "old"] += [keeps] if writes or other else []
                if writes:
                    has, at = int(stored.values[step, row]), step
                if has >= 0:
                    kept.setdefault(has, []).append(float(memory[step, row, unit]))
        everything = np.concatenate(list(kept.values()))
        within = sum(((np.array(values) - np.mean(values)) ** 2).sum() for values in kept.values())
        assert found.share[unit] == pytest.approx(1 - within / ((everything - everything.mean()) ** 2).sum(), abs=1e-4)
        assert found.drift[unit] == pytest.approx(np.mean(changes) / np.mean(sizes), rel=1e-3)
        if gates:
            sign = -1 if cell in ("gru", "lstm_coupled") else 1
            assert found.opens[unit] == pytest.approx(sign * (np.mean(levels["in"]) - np.mean(levels["out"])), abs=1e-5)
        if gates and task == "recall":
            assert found.closes[unit] == pytest.approx(np.mean(levels["old"]) - np.mean(levels["new"]), abs=1e-5)
    assert np.isnan(found.opens).all() == (cell == "rnn")
    if task == "remember":
        assert np.isnan(found.closes).all()  # nothing is ever replaced


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", TASKS)
def test_there_are_words_for_every_task_and_cell(task: str, cell: str) -> None:
    look = looked_into(small(cell, task))
    text = text_of(look)
    json.dumps(words(look), allow_nan=False)
    assert f"{look.scores[0].accuracy:.0%} of the answers are right" in text and "nan" not in text
    assert (gating(look) is not None) == (task in ("recall", "remember"))
    if task == "brackets":
        name, unit, r = look.best_units[0]
        assert f"unit {unit} {said(r, look.held_out.factors[name].what)}" in text
        assert text.count(" on average over all units and steps") == {"lstm_coupled": 2, "gru": 2, "rnn": 0}.get(
            cell, 3
        )


def test_only_a_strong_correlation_tracks() -> None:
    assert said(0.9, "the depth") == said(-0.95, "the depth") == "tracks the depth"
    assert said(-0.89, "the depth") == "correlates with the depth"
    assert said(0.3, "the depth") == "correlates with the depth"
    assert said(-0.29, "the depth") == "hardly correlates with the depth"


@pytest.mark.parametrize("cell", CELLS)
def test_tokens_are_read_as_their_encoding(cell: str) -> None:
    config = small(cell, "recall")
    look = looked_into(config)
    spoken, tokens = data.language(config), look.held_out.inputs
    assert spoken.encoding is not None
    read = trace(cell, look.network, spoken.encoding[tokens])
    for part, values in trace(cell, by_token(look.network, spoken), tokens).items():
        np.testing.assert_allclose(values, read[part], atol=1e-5)
