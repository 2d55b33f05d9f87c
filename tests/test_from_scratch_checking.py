"""The gradient check passes on the gradient, and fails for every planted bug, on random networks."""

import ast
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demos.from_scratch import checking, model
from demos.from_scratch.checking import BUGS, check, planted
from demos.from_scratch.model import Parameters

Case = tuple[Parameters, np.ndarray, np.ndarray]
# Where a cut loses something: in a long sentence, or where tanh is saturated, so little comes back from the first word that
# without it the gradient is right to 1e-6 all the same.
NOT_VANISHED = {"shortest": 3, "longest": 5, "scales": (1.0, 2.0)}


@st.composite
def cases(draw: st.DrawFn, shortest: int = 1, longest: int = 8, scales: tuple[float, ...] = (1.0, 2.0, 4.0)) -> Case:
    """A small network, by the tutorial's rule or with larger weights, and a sentence in which the first word comes twice."""
    words, hidden = draw(st.integers(3, 12)), draw(st.integers(2, 6))
    length = draw(st.integers(shortest, longest))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from(scales))
    p = Parameters(*(scale * weights for weights in model.initial_parameters(words, hidden, random)))
    numbers = random.integers(0, words, length + 1)
    if length > 1:
        numbers[1] = numbers[0]
    return p, numbers[:-1], numbers[1:]


@settings(deadline=None, max_examples=150)
@given(cases())
def test_the_gradient_passes_for_every_parameter(case: Case) -> None:
    p, x, y = case
    for row in check(p, x, y, truncate=len(x)):
        assert row.passed, row


@pytest.mark.parametrize("bug", BUGS)
@settings(deadline=None, max_examples=60)
@given(case=cases(**NOT_VANISHED))
def test_every_planted_bug_is_caught(bug: str, case: Case) -> None:
    p, x, y = case
    rows = check(p, x, y, len(x) - 1, planted(bug))
    assert not all(row.passed for row in rows)


@settings(deadline=None, max_examples=60)
@given(cases(**NOT_VANISHED))
def test_a_truncated_gradient_is_not_the_gradient(case: Case) -> None:
    p, x, y = case
    rows = {row.name: row for row in check(p, x, y, truncate=len(x) - 2)}
    assert rows["V"].passed
    assert not (rows["U"].passed and rows["W"].passed)


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_changes_one_piece_of_the_source_that_runs(bug: str) -> None:
    right, wrong = checking.source().splitlines(), checking.source(bug).splitlines()
    assert sum(a != b for a, b in zip(right, wrong, strict=True)) == 1
    ast.parse(textwrap.dedent(checking.source(bug)))
    assert BUGS[bug].why.endswith(".")


def test_without_a_bug_the_function_is_the_models() -> None:
    assert planted() is model.backward


def test_the_check_leaves_the_weights_as_they_were() -> None:
    p = model.initial_parameters(6, 3, np.random.default_rng(0))
    before = [weights.copy() for weights in p]
    check(p, np.array([1, 2]), np.array([2, 3]), 4)
    for weights, old in zip(p, before, strict=True):
        np.testing.assert_array_equal(weights, old)


def test_a_gradient_that_is_not_a_number_fails() -> None:
    p = model.initial_parameters(6, 3, np.random.default_rng(0))
    broken = p._replace(U=p.U * np.nan)
    assert [row.passed for row in checking.compared(broken, p)] == [False, True, True]


def test_a_gradient_of_nothing_passes() -> None:
    nothing = Parameters(*(np.zeros((2, 2)) for _ in range(3)))
    assert all(row.passed for row in checking.compared(nothing, nothing))
