"""Traces against the network that trains, their equations at every step, operations, and the reach of the gradient."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.cells import CELLS, zero_state
from lib.networks import initial_network, logits_of
from lib.tf import tf
from lib.trace import GATES, PARTS, Clamp, Freeze, Surgery, gradient_reach, sigmoid, trace

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 4), st.integers(1, 5), st.integers(1, 9))  # T, B, I, H


def network(cell: str, inputs: int, units: int, seed: int = 0, scale: float = 1.5):
    params = initial_network(cell, inputs, units, 3, "glorot", seed)
    rng = np.random.default_rng(seed)
    params["cell"]["bias"] = rng.normal(size=params["cell"]["bias"].shape).astype(np.float32)
    params["cell"] = {name: scale * leaf for name, leaf in params["cell"].items()}
    return params


def random_inputs(shape: tuple[int, int, int], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("cell", CELLS)
@settings(deadline=None, max_examples=25)
@given(shape=SHAPES, seed=st.integers(0, 1000))
def test_a_trace_equals_the_network_that_trains(cell: str, shape: tuple, seed: int) -> None:
    steps, rows, width, units = shape
    params, inputs = network(cell, width, units, seed), random_inputs((steps, rows, width), seed)
    with_seed_axis = tf.nest.map_structure(lambda leaf: leaf[None], params)
    state = tf.nest.map_structure(tf.constant, zero_state(cell, (1, rows, units)))
    after, hidden, logits = logits_of(cell, with_seed_axis, state, tf.constant(inputs[:, None]))
    found = trace(cell, params, inputs)
    np.testing.assert_allclose(found["h"], hidden[:, 0], atol=1e-5)
    np.testing.assert_allclose(found["logits"], logits[:, 0], atol=1e-5)
    if cell.startswith("lstm"):
        np.testing.assert_allclose(found["c"][-1], after.cell_state[0], atol=1e-5)


def by_hand(kind: str, params, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """An LSTM in float64, one row and one unit at a time, gate by gate (i, f, g, o; f, g, o where they are coupled)."""
    cell = {name: leaf.astype(np.float64) for name, leaf in params["cell"].items()}
    units = len(cell["recurrent_weights"])
    peepholes = cell.get("peephole_weights", np.zeros((3, units)))
    steps, rows, _ = inputs.shape
    found = {part: np.zeros((steps, rows, units)) for part in PARTS[kind]}
    for row in range(rows):
        h, c = np.zeros(units), np.zeros(units)
        for t in range(steps):
            drive = inputs[t, row] @ cell["input_weights"] + h @ cell["recurrent_weights"] + cell["bias"]
            for u in range(units):
                *i, f, g, o = (drive[u + gate * units] for gate in range(len(drive) // units))
                values = {"f": 1 / (1 + np.exp(-f - peepholes[1, u] * c[u])), "g": np.tanh(g)}
                values["i"] = 1 / (1 + np.exp(-i[0] - peepholes[0, u] * c[u])) if i else 1 - values["f"]
                values["c"] = values["f"] * c[u] + values["i"] * values["g"]
                values["o"] = 1 / (1 + np.exp(-o - peepholes[2, u] * values["c"]))
                values["h"] = values["o"] * np.tanh(values["c"])
                for part in found:
                    found[part][t, row, u] = values[part]
            h, c = found["h"][t, row], found["c"][t, row]
    return found


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.startswith("lstm")])
@settings(deadline=None, max_examples=25)
@given(shape=SHAPES, seed=st.integers(0, 1000))
def test_every_gate_equals_an_lstm_by_hand_and_obeys_its_equations(cell: str, shape: tuple, seed: int) -> None:
    steps, rows, width, units = shape
    params, inputs = network(cell, width, units, seed), random_inputs((steps, rows, width), seed)
    found, expected = trace(cell, params, inputs), by_hand(cell, params, inputs)
    for part in PARTS[cell]:
        np.testing.assert_allclose(found[part], expected[part], atol=1e-5, err_msg=part)
    before = np.concatenate([np.zeros((1, rows, units), np.float32), found["c"][:-1]])
    written = found.get("i", 1 - found["f"]) * found["g"]
    np.testing.assert_allclose(found["c"], found["f"] * before + written, atol=1e-6)
    np.testing.assert_allclose(found["h"], found["o"] * np.tanh(found["c"]), atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_tokens_stand_for_one_hot_rows(cell: str) -> None:
    params, tokens = network(cell, 5, 4), np.random.default_rng(2).integers(0, 5, (7, 3))
    found, expected = trace(cell, params, tokens), trace(cell, params, np.eye(5, dtype=np.float32)[tokens])
    assert found.keys() == expected.keys()
    for part, values in expected.items():
        np.testing.assert_allclose(found[part], values, atol=1e-6, err_msg=part)
    assert trace(cell, params, tokens[:0])["h"].shape == (0, 3, 4)


@pytest.mark.parametrize("cell", CELLS)
def test_it_goes_on_from_a_state(cell: str) -> None:
    params, inputs = network(cell, 2, 5), random_inputs((9, 3, 2))
    whole, first = trace(cell, params, inputs), trace(cell, params, inputs[:4])
    state = {part: first[part][-1] for part in ("h", "c") if part in first}
    rest = trace(cell, params, inputs[4:], state=state)
    for part in PARTS[cell]:
        np.testing.assert_allclose(rest[part], whole[part][4:], atol=1e-6)


def test_a_clamped_gate_has_its_value_and_no_other_gate_is_touched_at_the_first_step() -> None:
    params, inputs = network("lstm", 2, 4), random_inputs((6, 2, 2))
    plain, held = trace("lstm", params, inputs), trace("lstm", params, inputs, Surgery((Clamp("f", 0.0),)))
    assert (held["f"] == 0).all()
    np.testing.assert_array_equal(held["i"][0], plain["i"][0])
    np.testing.assert_allclose(held["c"], held["i"] * held["g"], atol=1e-6)
    coupled = trace("lstm_coupled", network("lstm_coupled", 2, 4), inputs, Surgery((Clamp("f", 0.0),)))
    np.testing.assert_allclose(coupled["c"], coupled["g"], atol=1e-6)  # what holds f shut holds i = 1 - f open
    some = trace("lstm", params, inputs, Surgery((Clamp("o", 1.0, (1, 3)),)))["o"]
    assert (some[..., [1, 3]] == 1).all() and (some[0, :, [0, 2]] == plain["o"][0, :, [0, 2]]).all()


@pytest.mark.parametrize("cell", CELLS)
def test_a_frozen_unit_keeps_its_state_and_a_removed_one_is_silent(cell: str) -> None:
    params, inputs = network(cell, 2, 4), random_inputs((8, 2, 2))
    plain = trace(cell, params, inputs)
    frozen = trace(cell, params, inputs, Surgery(frozen=(Freeze(2, 3),)))
    np.testing.assert_array_equal(frozen["h"][:3], plain["h"][:3])
    assert (frozen["h"][3:, :, 2] == plain["h"][2, :, 2]).all()
    removed = trace(cell, params, inputs, Surgery(removed=(1,)))
    assert (removed["h"][..., 1] == 0).all()
    without = network(cell, 2, 4)
    without["cell"]["recurrent_weights"][1] = 0
    without["output"]["weights"][1] = 0
    np.testing.assert_allclose(removed["logits"], trace(cell, without, inputs)["logits"], atol=1e-5)


@pytest.mark.parametrize(
    ("surgery", "message"),
    [
        (Surgery((Clamp("z", 0.0),)), "gate = 'z' is not a gate"),
        (Surgery(removed=(4,)), "unit = 4 is not in the network: choose one from 0 to 3"),
        (Surgery(frozen=(Freeze(-1),)), "unit = -1"),
        (Surgery((Clamp("f", 0.0, (9,)),)), "unit = 9"),
    ],
)
def test_an_operation_on_what_is_not_there_is_refused(surgery: Surgery, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trace("lstm", network("lstm", 2, 4), random_inputs((3, 1, 2)), surgery)


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradients_reach_equals_finite_differences(cell: str) -> None:
    """h_t (and c_t) nudged at a step, the rest of the sequence read again from there in float64."""
    steps, units = 6, 4
    params = {
        part: {n: leaf.astype(np.float64) for n, leaf in leaves.items()}
        for part, leaves in network(cell, 2, units).items()
    }
    inputs = random_inputs((steps, 1, 2)).astype(np.float64)
    weight = np.random.default_rng(5).normal(size=(1, 3))
    exact = trace(cell, params, inputs)
    norms = gradient_reach(cell, params, exact, weight)
    assert set(norms) == ({"h", "c"} if cell.startswith("lstm") else {"h"})
    for t in range(steps):
        for part, found in norms.items():
            slopes = []
            for unit in range(units):
                ends = []
                for nudge in (1e-6, -1e-6):
                    state = {name: exact[name][t].copy() for name in ("h", "c") if name in exact}
                    state[part][0, unit] += nudge
                    if t + 1 < steps:
                        logits = trace(cell, params, inputs[t + 1 :], state=state)["logits"][-1]
                    else:
                        logits = state["h"] @ params["output"]["weights"] + params["output"]["bias"]
                    ends.append(float((logits * weight).sum()))
                slopes.append((ends[0] - ends[1]) / 2e-6)
            lag = steps - 1 - t
            assert found[t, 0] == pytest.approx(np.linalg.norm(slopes), rel=1e-5, abs=1e-9), f"{part}, lag {lag}"


def test_gates_are_parts() -> None:
    for cell, gates in GATES.items():
        assert set(gates) <= set(PARTS[cell])
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]
