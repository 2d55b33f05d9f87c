"""The gradient that reaches earlier steps, against finite differences and what theory says of it."""

import numpy as np
import pytest

from demos.from_scratch import vanishing
from demos.from_scratch.vanishing import CELLS, network, reach, relative_reach
from lib.trace import trace

T, H = 6, 4


def last_state(cell: str, params, inputs: np.ndarray, state) -> np.ndarray:
    """The last hidden state [H] of the inputs [T, I], read from a state."""
    if cell == "relu":
        weights, h = params["cell"], state["h"][0]
        for x in inputs:
            h = np.maximum(0, x @ weights["input_weights"] + weights["bias"] + h @ weights["recurrent_weights"])
        return h
    return trace(vanishing._TRACED[cell], params, inputs[:, None], state=state)["h"][-1, 0]


@pytest.mark.parametrize("cell", CELLS)
def test_the_norms_are_those_of_finite_differences(cell: str) -> None:
    params = network(cell, 3, H, 2.0, 1.0, seed=3)
    random = np.random.default_rng(0)
    inputs, d_last = random.uniform(-1, 1, (T, 3)), random.normal(size=H)
    norms = reach(cell, params, inputs, d_last)
    states = vanishing.relu_states(params["cell"], inputs)[:, None] if cell == "relu" else None
    traced = {"h": states} if cell == "relu" else trace(vanishing._TRACED[cell], params, inputs[:, None])
    for t in range(T - 1):
        state = {part: traced[part][t].copy() for part in ("h", "c") if part in traced}
        squares = 0.0
        for values in state.values():
            for unit in range(H):
                losses = []
                for move in (1e-6, -2e-6):
                    values[0, unit] += move
                    losses.append(last_state(cell, params, inputs[t + 1 :], state) @ d_last)
                values[0, unit] += 1e-6
                squares += ((losses[0] - losses[1]) / 2e-6) ** 2
        assert norms[t] == pytest.approx(np.sqrt(squares), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_one_step_keeps_all_of_it(cell: str) -> None:
    np.testing.assert_array_equal(relative_reach(cell, 1, 5, 1.0, 1.0, 0), [1.0])


def test_small_weights_let_it_vanish_and_large_ones_let_it_explode() -> None:
    assert relative_reach("tanh", 30, 100, 1.0, 0.0, 0)[-1] < 1e-5
    assert relative_reach("relu", 30, 100, 1.0, 0.0, 0)[-1] < 1e-5
    assert relative_reach("relu", 30, 100, 4.0, 0.0, 0)[-1] > 1e3


def test_gates_that_begin_open_keep_it() -> None:
    plain = relative_reach("tanh", 30, 100, 1.0, 0.0, 0)[-1]
    for cell in ("gru", "lstm"):
        half, open_ = (relative_reach(cell, 30, 100, 1.0, bias, 0)[-1] for bias in (0.0, 3.0))
        assert open_ > 0.1
        assert open_ > 1e3 * half
        assert half > plain


def test_all_cells_begin_with_the_same_numbers() -> None:
    first = [network(cell, 3, H, 1.0, 0.0, 5)["cell"]["input_weights"][0, 0] for cell in CELLS]
    assert len(set(first)) == 1
