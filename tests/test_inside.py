"""What is computed of the inside of a network, against naive loops, NumPy's own functions and finite differences."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demos.binary_rule import inside as binary_rule
from demos.binary_rule.config import BinaryRuleConfig
from demos.echo import inside as echo
from demos.echo.config import EchoConfig
from demos.gates import inside as gates
from demos.gates.config import TASKS, GatesConfig
from lib.cells import CELLS
from lib.inside import SHOWN, Inside, View, correlation
from lib.reading import LONGEST, Language, Readings, score
from lib.trace import GATES, NOTHING, PARTS, Clamp, Freeze, Surgery, sigmoid, trace

SURGERIES = {
    "rnn": Surgery(frozen=(Freeze(2, 3),), removed=(1,)),
    "gru": Surgery((Clamp("z", 0.9, (0,)), Clamp("r", 0.0)), (Freeze(3, 5),), (1,)),
    "lstm": Surgery((Clamp("f", 1.0), Clamp("i", 0.25, (1, 2))), (Freeze(3, 5),), (1,)),
    "lstm_peephole": Surgery((Clamp("i", 1.0), Clamp("o", 0.25, (1, 2))), (Freeze(3, 5),), (1,)),
    "lstm_coupled": Surgery((Clamp("f", 1.0, (0,)), Clamp("o", 0.25, (1, 2))), (Freeze(3, 5),), (1,)),
}


def random_network(cell: str, inputs: int, units: int, outputs: int, seed: int = 0, kind: Any = np.float32) -> Any:
    """Weights of all parts, biases too, large enough that gates saturate now and then."""
    rng, width = np.random.default_rng(seed), CELLS[cell].gates * units

    def draw(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) * (1.5 / np.sqrt(shape[0]) if len(shape) == 2 else 0.5)).astype(kind)

    network = {
        "cell": {
            "input_weights": 2 * draw(inputs, width),
            "recurrent_weights": draw(units, width),
            "bias": draw(width),
        },
        "output": {"weights": 2 * draw(units, outputs), "bias": draw(outputs)},
    }
    if cell == "lstm_peephole":
        network["cell"]["peephole_weights"] = draw(3, units)
    return network


def looked_into(config: Any, view: View | None = None, seed: int = 0, demo: Any = gates) -> Inside:
    """A random network of this config's shapes, looked into."""
    language = demo.language(config)
    inputs = 1 if demo is echo else language.inputs
    units = getattr(config, "hidden_units", None) or config.state_size
    network = random_network(config.cell, inputs, units, len(language.answers), seed)
    return Inside(demo, config, network, 500, view or View())


def small(cell: str = "lstm", task: str = "remember", **changes: Any) -> GatesConfig:
    return GatesConfig(cell=cell, task=task, **({"hidden_units": 6, "delay": 8, "bracket_types": 3} | changes))


# The view


COUNTS = st.integers(-5, 10**6)
UNITS = st.lists(COUNTS, max_size=4).map(tuple)
CLAMPS = st.builds(Clamp, st.text(max_size=3), st.floats(0, 1), UNITS)
SURGERY = st.builds(
    Surgery,
    st.lists(CLAMPS, max_size=3).map(tuple),
    st.lists(st.builds(Freeze, COUNTS, COUNTS), max_size=3).map(tuple),
    UNITS,
)
VIEWS = st.builds(
    View,
    example=COUNTS,
    typed=st.text(max_size=LONGEST),
    unit=COUNTS,
    order=st.text(max_size=40),
    shown=st.sampled_from(SHOWN),
    surgery=SURGERY,
)


@given(view=VIEWS)
def test_a_view_survives_the_address(view: View) -> None:
    text = view.to_json()
    back = View.from_json(text)
    assert back == view and back.to_json() == text
    assert isinstance(back.surgery, Surgery) and all(isinstance(clamp, Clamp) for clamp in back.surgery.clamps)
    assert "\n" not in text and hash(back) == hash(view)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "5", '"view"', "[]", "{}", '{"surgery": [[], [], []]}', '{"surgery": null}',
        View().to_json().replace('[[],[],[]]', "[[],[]]"),
        View().to_json().replace('[[],[],[]]', '[[["f",1]],[],[]]'),
        View().to_json().replace('[[],[],[]]', '[[["f","x",[]]],[],[]]'),
        View().to_json().replace('[[],[],[]]', '[[["f",1,7]],[],[]]'),
        View().to_json().replace('[[],[],[]]', "[[],[3],[]]"),
        View().to_json().replace('[[],[],[]]', '[[],[],["a"]]'),
        View().to_json().replace('"unit":0', '"unit":null'),
        View().to_json().replace('"unit":0', '"unit":"x"'),
        View().to_json().replace('"unit":0', '"unit":NaN'),
        View().to_json().replace('"example":0', '"exumple":0'),
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (json's own messages are as good)
        View.from_json(text)


@given(
    text=st.text(max_size=40)
    | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(json.dumps)
)
def test_garbage_never_raises_anything_but_value_errors(text: str) -> None:
    try:
        View.from_json(text)
    except ValueError:
        return
    pytest.fail("it was read")


@pytest.mark.parametrize(
    "view",
    [
        View(typed="x" * (LONGEST + 1)),
        View(shown="all"),
        View(order="x" * 16_000),
        View(surgery=Surgery(clamps=(Clamp("f", 1.5),))),
        View(surgery=Surgery(clamps=(Clamp("f", 1.0),) * 17)),
    ],
)
def test_a_view_out_of_bounds_is_refused(view: View) -> None:
    with pytest.raises(ValueError, match="no view"):
        View.from_json(view.to_json())


# What is looked at


def test_a_view_chooses_the_sequence_and_keeps_the_unit_within_the_network() -> None:
    config = small()
    whole = gates.held_out(config)
    for example in (0, 63, 64, -1):
        found = looked_into(config, View(example=example)).reading
        np.testing.assert_array_equal(found.inputs[:, 0], whole.inputs[:, example % 64])
        np.testing.assert_array_equal(found.scored[:, 0], whole.scored[:, example % 64])
    typed = looked_into(config, View(example=3, typed="wxByz?"))
    assert "".join(typed.reading.labels(typed.language)) == "wxByz?"
    for unit, kept in ((-3, 0), (0, 0), (5, 5), (6, 5), (10**9, 5)):
        assert looked_into(config, View(unit=unit)).view.unit == kept


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", TASKS)
def test_the_trace_of_one_sequence_is_its_column_of_all(task: str, cell: str) -> None:
    inside = looked_into(small(cell, task), View(example=7))
    for part in (*PARTS[cell], "logits"):
        column = 7 % inside.held_out.inputs.shape[1]
        np.testing.assert_allclose(
            inside.untouched[part][:, 0], inside.held_out_trace[part][:, column], atol=1e-5, err_msg=part
        )
    assert inside.memory == ("c" if cell.startswith("lstm") else "h")


@pytest.mark.parametrize("shown", ["operated", "untouched", "difference"])
@pytest.mark.parametrize("cell", CELLS)
def test_what_is_drawn_of_an_operation_is_chosen(cell: str, shown: str) -> None:
    inside = looked_into(small(cell), View(shown=shown, surgery=SURGERIES[cell]))
    inputs = inside.reading.inputs
    plain, operated = (trace(cell, inside.network, inputs, surgery) for surgery in (NOTHING, SURGERIES[cell]))
    assert inside.operated
    for part in PARTS[cell]:
        assert (plain[part] != operated[part]).any(), part
        expected = {"operated": operated[part], "untouched": plain[part], "difference": operated[part] - plain[part]}
        np.testing.assert_array_equal(inside.drawn[part], expected[shown])
        np.testing.assert_array_equal(inside.untouched[part], plain[part])
        np.testing.assert_array_equal(inside.after[part], operated[part])


@pytest.mark.parametrize("shown", ["operated", "untouched", "difference"])
def test_without_an_operation_there_is_one_trace_to_draw(shown: str) -> None:
    inside = looked_into(small(), View(shown=shown))
    assert not inside.operated
    assert inside.drawn is inside.untouched is inside.after
    assert inside.scores[0] == inside.scores[1]


def test_an_operation_changes_the_score_of_all_held_out_sequences() -> None:
    inside = looked_into(small(), View(surgery=SURGERIES["lstm"]))
    for surgery, found in zip((NOTHING, SURGERIES["lstm"]), inside.scores, strict=True):
        logits = trace("lstm", inside.network, inside.held_out.inputs, surgery)["logits"]
        assert found == score(logits, inside.held_out, inside.language)
    assert inside.scores[0].loss != inside.scores[1].loss


@pytest.mark.parametrize("surgery", [Surgery((Clamp("z", 1.0),)), Surgery(removed=(6,)), Surgery(frozen=(Freeze(99),))])
def test_an_operation_on_what_is_not_there_is_refused(surgery: Surgery) -> None:
    with pytest.raises(ValueError, match="choose one"):
        _ = looked_into(small(), View(surgery=surgery)).after


# What units do


@settings(deadline=None)
@given(rows=st.integers(3, 60), seed=st.integers(0, 1000), missing=st.floats(0, 0.5))
def test_correlations_equal_numpys_where_there_is_something(rows: int, seed: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(rows, 4)) * [1, 1e-2, 100, 1] + [0, 5, -7, 1e3]
    factor = states[:, 0] * rng.normal() + rng.normal(size=rows)
    factor[rng.random(rows) < missing] = np.nan
    there = ~np.isnan(factor)
    if there.sum() < 3:
        factor, there = np.arange(rows) * 1.0, np.ones(rows, bool)
    want = [np.corrcoef(column[there], factor[there])[0, 1] for column in states.T]
    np.testing.assert_allclose(correlation(states, factor), want, atol=1e-6)


def test_what_does_not_vary_correlates_with_nothing() -> None:
    rng = np.random.default_rng(0)
    states, factor = rng.normal(size=(50, 3)), rng.normal(size=50)
    states[:, 1] = 0.75
    found = correlation(states, factor)
    assert found[1] == 0 and found[0] != 0 and found[2] != 0
    for constant in (np.full(50, 3.0), np.full(50, np.nan), np.where(np.arange(50) == 7, 2.0, np.nan)):
        assert correlation(states, constant).tolist() == [0, 0, 0]
    assert correlation(states.astype(np.float32), 2 * states[:, 0] + 1)[0] == pytest.approx(1)
    assert correlation(states, -states[:, 2])[2] == pytest.approx(-1)


@pytest.mark.parametrize("cell", CELLS)
def test_the_best_unit_of_each_factor_is_the_strongest_of_all(cell: str) -> None:
    inside = looked_into(small(cell, "brackets"))
    states = inside.held_out_trace[inside.memory].reshape(-1, 6)
    strengths = []
    for name, unit, r in inside.best_units:
        values = inside.held_out.factors[name].values.ravel()
        there = ~np.isnan(values)
        all_of_them = [np.corrcoef(states[there, u], values[there])[0, 1] for u in range(6)]
        assert r == pytest.approx(all_of_them[unit], abs=1e-5)
        assert abs(r) == pytest.approx(np.abs(all_of_them).max(), abs=1e-5)
        strengths.append(abs(r))
    assert len(strengths) == 6 and strengths == sorted(strengths, reverse=True)


def test_units_are_ordered_by_a_factor_or_by_number() -> None:
    inside = looked_into(small(task="brackets"), View(order="depth"))
    r = inside.correlations["depth"]
    assert r[inside.unit_order].tolist() == sorted(r.tolist(), reverse=True)
    assert sorted(inside.unit_order.tolist()) == list(range(6)) != inside.unit_order.tolist()
    for order in ("", "no such factor"):
        assert looked_into(small(task="brackets"), View(order=order)).unit_order.tolist() == list(range(6))


@pytest.mark.parametrize("surgery", [NOTHING, Surgery((Clamp("f", 0.95, (2,)), Clamp("o", 0.05)))])
def test_saturation_equals_counting(surgery: Surgery) -> None:
    inside = looked_into(small(), View(surgery=surgery))
    found = trace("lstm", inside.network, inside.held_out.inputs, surgery)
    assert list(inside.saturation) == ["i", "f", "o"]
    moved = 0
    for gate, (closed, opened) in inside.saturation.items():
        for unit in range(6):
            values = found[gate][:, :, unit].ravel().tolist()
            assert closed[unit] == pytest.approx(sum(value < 0.1 for value in values) / len(values))
            assert opened[unit] == pytest.approx(sum(value > 0.9 for value in values) / len(values))
            moved += 0 < closed[unit] < 1 or 0 < opened[unit] < 1
    assert moved >= 2
    assert looked_into(small("rnn")).saturation == {}


# The gradient's reach


def made_up_demo(readings: Readings, language: Language) -> Any:
    return SimpleNamespace(language=lambda _: language, held_out=lambda _: readings, typed=None)


def sequences(steps: int, rows: int, language: Language, lasts: list[int]) -> Readings:
    """Random ones, in which nothing is asked after these steps."""
    rng = np.random.default_rng(3)
    most = 2 ** len(language.answers) if language.independent else len(language.answers)
    scored = np.arange(steps)[:, None] <= np.array(lasts)
    shape = (steps, rows)
    return Readings(rng.integers(0, len(language.tokens), shape), rng.integers(0, most, shape), scored, {})


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_the_reach_is_the_slope_of_the_last_answers_loss(cell: str, independent: bool) -> None:
    """Each state nudged, and the rest of the sequence read again."""
    units, last = 4, 5
    language = Language(tuple("abc"), tuple("xyz"), independent)
    readings = sequences(8, 1, language, [last])
    network = random_network(cell, 3, units, 3, seed=4, kind=np.float64)
    inside = Inside(made_up_demo(readings, language), SimpleNamespace(cell=cell), network, 0, View())
    exact = trace(cell, network, readings.inputs)
    final = readings._replace(
        inputs=readings.inputs[last : last + 1],
        targets=readings.targets[last : last + 1],
        scored=readings.scored[last : last + 1],
    )
    assert set(inside.reach) == ({"h", "c"} if cell.startswith("lstm") else {"h"})
    for part, found in inside.reach.items():
        assert len(found) == last + 1
        for lag in range(last + 1):
            at, slopes = last - lag, []
            for unit in range(units):
                ends = []
                for nudge in (1e-6, -1e-6):
                    state = {name: exact[name][at].copy() for name in ("h", "c") if name in exact}
                    state[part][0, unit] += nudge
                    logits = state["h"] @ network["output"]["weights"] + network["output"]["bias"]
                    if lag:
                        rest = trace(cell, network, readings.inputs[at + 1 : last + 1], state=state)
                        logits = rest["logits"][-1]
                    ends.append(score(logits[None], final, language).loss)
                slopes.append((ends[0] - ends[1]) / 2e-6)
            assert found[lag] == pytest.approx(np.linalg.norm(slopes), rel=1e-4, abs=1e-9), f"{part}, lag {lag}"


def test_the_reach_is_the_median_of_sequences_as_far_as_the_shortest_goes() -> None:
    language = Language(tuple("abc"), tuple("xyz"))
    readings = sequences(9, 5, language, [8, 4, 6, 4, 8])
    network = random_network("lstm", 3, 4, 3)

    def reach(of: Readings) -> dict:
        return dict(Inside(made_up_demo(of, language), SimpleNamespace(cell="lstm"), network, 0, View()).reach)

    each = [reach(readings.one(row)) for row in range(5)]
    assert [len(one["h"]) for one in each] == [9, 5, 7, 5, 9]
    for part, found in reach(readings).items():
        np.testing.assert_allclose(found, np.median([one[part][:5] for one in each], axis=0), rtol=1e-5)


# One unit, step by step


@pytest.mark.parametrize(
    ("demo", "config_class"), [(gates, GatesConfig), (echo, EchoConfig), (binary_rule, BinaryRuleConfig)]
)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("surgery", [NOTHING, Surgery(removed=(1,)), Surgery(frozen=(Freeze(0, 9),))])
def test_the_sums_squashed_are_the_gates(demo: Any, config_class: Any, cell: str, surgery: Surgery) -> None:
    for unit in (2, 3):
        inside = looked_into(config_class(cell=cell), View(unit=unit, surgery=surgery), demo=demo)
        gates = {"lstm": "ifog", "lstm_peephole": "ifog", "lstm_coupled": "fog", "gru": "zrn", "rnn": "h"}[cell]
        assert set(inside.sums) == set(gates)
        peepholes = {gate for gate, parts in inside.sums.items() if "cell_state" in parts}
        assert peepholes == (set("ifo") if cell == "lstm_peephole" else set())
        for gate, parts in inside.sums.items():
            squash = sigmoid if gate in GATES[cell] else np.tanh
            total = sum(parts.values())
            np.testing.assert_allclose(squash(total), inside.after[gate][:, 0, unit], atol=1e-5, err_msg=gate)
            assert np.ptp(parts["input"]) > 0 and np.ptp(parts["state"]) > 0


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_before_a_step_is_that_after_the_last(cell: str) -> None:
    inside = looked_into(small(cell), View(surgery=SURGERIES[cell]))
    for part in ("h", "c") if cell.startswith("lstm") else ("h",):
        before, after = inside.before(part), inside.after[part][:, 0]
        assert before.shape == after.shape and not before[0].any()
        np.testing.assert_array_equal(before[1:], after[:-1])


def test_held_are_the_gates_of_the_unit_that_the_operation_holds() -> None:
    surgery = Surgery((Clamp("f", 1.0), Clamp("i", 0.25, (1, 2)), Clamp("i", 0.5, (2,))), removed=(0,))
    held = [looked_into(small(), View(unit=unit, surgery=surgery)).held() for unit in range(4)]
    assert held == [{"f": 1.0}, {"f": 1.0, "i": 0.25}, {"f": 1.0, "i": 0.5}, {"f": 1.0}]
    inside = looked_into(small(), View(unit=2, surgery=surgery))
    for gate, value in held[2].items():
        assert (inside.after[gate][:, 0, 2] == value).all()
    assert looked_into(small()).held() == {}
