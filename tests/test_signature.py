"""The signature search against a slow one over random bits, planted places, borders, and an index against one long reading."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import signature as under_test
from lib.signature import Index, Match, build, search, signature
from lib.trace import BLOCKS, PARTS, trace


def index_of(on: np.ndarray, sequence: int | None = None) -> Index:
    """An index of bits [H, N]."""
    return Index(np.packbits(on, axis=1), on.shape[1], sequence or on.shape[1])


def slowly(on: np.ndarray, sequence: int, units: tuple[int, ...], length: int, exclude: tuple | None) -> list[Match]:
    """The same search, position by position and with exact scores, from the words of its docstring."""
    k, size = len(units), on.shape[1]
    count = [sum(int(on[u, p]) for u in units) for p in range(size)]

    def runs(least: int) -> list[tuple[int, int]]:
        found, start = [], None
        for p in range(size + 1):
            if start is not None and (p % sequence == 0 or count[p] < least):
                found.append((start, p))
                start = None
            if p < size and start is None and count[p] >= least:
                start = p
        return found

    full = runs(k)
    loose = runs(k - 1) if k >= 3 else []
    places = full + [(a, b) for a, b in loose if not any(a <= c < b for c, _ in full)]
    matches = []
    for a, b in places:
        if exclude and a < exclude[1] and exclude[0] < b:
            continue
        missing = tuple(u for u in units if not all(on[u, p] for p in range(a, b)))
        sides = ([a - 1] if a % sequence else []) + ([b] if b % sequence else [])
        off = 1 - Fraction(sum(count[p] for p in sides), 2 * k)
        near = Fraction(min(b - a, length), max(b - a, length))
        matches.append(Match(a, b, (k - len(missing) + (off + near) / 2) / (k + 1), missing))
    return sorted(matches, key=lambda match: (-match.score, match.start))


@st.composite
def corpora(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Bits [H, N], from rare to frequent, and the length of one sequence."""
    sequence, sequences, units = draw(st.integers(1, 30)), draw(st.integers(1, 4)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    share = draw(st.sampled_from([0.1, 0.5, 0.8, 0.95]))
    return rng.random((units, sequences * sequence)) < share, sequence


@settings(deadline=None, max_examples=500)
@given(corpus=corpora(), data=st.data())
def test_it_finds_what_a_slow_search_finds_in_the_same_order(corpus: tuple, data: st.DataObject) -> None:
    on, sequence = corpus
    unit = st.integers(0, len(on) - 1)
    units = tuple(data.draw(st.lists(unit, min_size=1, max_size=len(on), unique=True)))
    length, limit = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 60))
    ends = sorted(data.draw(st.lists(st.integers(0, on.shape[1]), min_size=2, max_size=2, unique=True)))
    exclude = data.draw(st.sampled_from([None, tuple(ends)]))
    found = search(index_of(on, sequence), units, length, limit=limit, exclude=exclude)
    expected = slowly(on, sequence, units, length, exclude)[:limit]
    assert [match._replace(score=0) for match in found] == [match._replace(score=0) for match in expected]
    assert [match.score for match in found] == pytest.approx([float(match.score) for match in expected])
    assert all(0 <= match.score <= 1 for match in found)


def planted(units: int = 12, size: int = 5000) -> np.ndarray:
    """Bits [H, N] with a tenth on at random, but for units 2, 5 and 7, which are off."""
    on = np.random.default_rng(3).random((units, size)) < 0.1
    on[[2, 5, 7]] = False
    return on


def test_planted_signatures_come_first() -> None:
    on = planted()
    for start, end in ((40, 46), (700, 706), (4994, 5000)):
        on[np.ix_([2, 5, 7], range(start, end))] = True
    on[np.ix_([2, 5, 7], range(2000, 2004))] = True  # shorter
    on[np.ix_([2, 5, 7], range(3000, 3006))] = True
    on[2, 2999] = True  # on a step early
    on[np.ix_([2, 7], range(100, 106))] = True  # one is missing
    units = signature(on.T, (40, 46), 0.5)
    assert {2, 5, 7} <= set(units)
    found = search(index_of(on), (2, 5, 7), 6, exclude=(40, 46))
    assert [match[:2] for match in found] == [(700, 706), (4994, 5000), (3000, 3006), (2000, 2004), (100, 106)]
    assert [match.score for match in found[:3]] == pytest.approx([1, 1, (3 + (5 / 6 + 1) / 2) / 4])
    assert [match.missing for match in found] == [(), (), (), (), (5,)]
    assert search(index_of(on), (2, 5, 7), 6, limit=2) == [Match(40, 46, 1.0, ()), found[0]]


def test_all_units_count_for_more_than_borders_and_length_together() -> None:
    on = np.zeros((3, 40), bool)
    on[:2, 5:9] = True  # of the right length, but one is missing
    on[0, 20:30] = on[1, 20:31] = on[2, 19:21] = True  # all three for one step, the others still on before and after
    found = search(index_of(on), (0, 1, 2), 4)
    assert [(match.start, match.missing) for match in found] == [(20, ()), (5, (2,))]


def test_a_pair_or_one_unit_must_be_on_whole() -> None:
    on = np.zeros((2, 9), bool)
    on[0, 2:5] = True
    assert search(index_of(on), (0, 1), 3) == []
    assert search(index_of(on), (0,), 3) == [Match(2, 5, 1.0, ())]


def test_a_unit_named_twice_counts_once() -> None:
    on = np.random.default_rng(9).random((3, 200)) < 0.7
    assert search(index_of(on), (0, 1, 2, 1), 4) == search(index_of(on), (0, 1, 2), 4)


@pytest.mark.parametrize("mirrored", [False, True])
def test_of_equals_the_earlier_comes_first_though_they_differ_in_floating_point(mirrored: bool) -> None:
    on = np.zeros((3, 40), bool)
    on[:, 5:7] = on[0, 4] = True  # off 5 / 6, near 2 / 3
    on[:, 20:26] = True  # off 1, near 1 / 2
    starts = [match.start for match in search(index_of(on[:, ::-1] if mirrored else on), (0, 1, 2), 3)]
    assert starts == ([14, 33] if mirrored else [5, 20])


def test_a_match_ends_at_a_border() -> None:
    on = np.zeros((1, 12), bool)
    on[0, 2:7] = True
    assert search(index_of(on, 4), (0,), 3) == [Match(4, 7, 1.0, ()), Match(2, 4, (1 + (1 + 2 / 3) / 2) / 2, ())]
    assert [match[:2] for match in search(index_of(on, 12), (0,), 3)] == [(2, 7)]
    everywhere = search(index_of(np.ones((1, 12), bool), 3), (0,), 3)
    assert everywhere == [Match(start, start + 3, 1.0, ()) for start in (0, 3, 6, 9)]


@pytest.mark.parametrize(("exclude", "left"), [((2, 4), [8]), ((4, 8), [2, 8]), ((0, 12), []), ((9, 10), [2])])
def test_what_overlaps_the_marked_span_is_left_out(exclude: tuple[int, int], left: list[int]) -> None:
    on = np.zeros((1, 12), bool)
    on[0, 2:4] = on[0, 8:10] = True
    assert [match.start for match in search(index_of(on), (0,), 2, exclude=exclude)] == left


def test_a_signature_is_on_through_the_span_and_off_just_outside() -> None:
    states = np.full((6, 5), 0.1)
    states[2:4, :4] = 0.9
    states[1, 1] = states[4, 2] = states[0, 0] = 0.9
    states[3, 3] = 0.5  # at the threshold is not above it
    assert signature(states, (2, 4), 0.5) == (0,)
    assert signature(states, (2, 3), 0.5) == (3,)
    assert signature(np.ones((3, 2)), (0, 3), 0.5) == (0, 1)  # nothing is outside
    assert signature(np.ones((3, 2)), (0, 2), 0.5) == ()


@pytest.mark.parametrize("span", [(2, 2), (3, 2), (-1, 2), (0, 4)])
def test_a_span_that_is_not_there_is_refused(span: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="is not in the sequence: choose 0 <= start < end <= 3"):
        signature(np.zeros((3, 2)), span, 0.5)


def forgetful(cell: str = "lstm", tokens: int = 5, units: int = 6):
    """A network whose state is soon all of its last tokens' making."""
    rng, width = np.random.default_rng(8), len(BLOCKS[cell]) * units
    weights = {"input_weights": (tokens, width), "recurrent_weights": (units, width), "bias": (width,)}
    if cell == "lstm_peephole":
        weights["peephole_weights"] = (3, units)
    leaves = {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in weights.items()}
    leaves["input_weights"] *= 3
    return {"cell": leaves, "output": {"weights": np.zeros((units, 2)), "bias": np.zeros(2)}}


def expected_bits(cell: str, params, tokens: np.ndarray, part: str) -> np.ndarray:
    """From one long reading: bits [H, N]."""
    states = trace(cell, params, tokens if tokens.ndim == 2 else tokens[:, None])[part]
    return (states > 0.1).transpose(2, 1, 0).reshape(states.shape[2], -1)


def bits_of(index: Index) -> np.ndarray:
    return np.stack([index.on(unit) for unit in range(len(index.bits))])


@pytest.mark.parametrize(("cell", "part"), [(cell, part) for cell in PARTS for part in "ch" if part in PARTS[cell]])
@pytest.mark.parametrize(("size", "row", "warm_up"), [(1, 50, 50), (49, 50, 50), (1203, 100, 60), (1203, 67, 67)])
def test_rows_agree_with_one_long_reading(
    cell: str, part: str, size: int, row: int, warm_up: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "ROWS", 8)  # more than one group of rows
    params, tokens = forgetful(cell), np.random.default_rng(4).integers(0, 5, size)
    index = build(cell, params, tokens, part=part, threshold=0.1, row=row, warm_up=warm_up)
    expected = expected_bits(cell, params, tokens, part)
    assert (index.length, index.sequence, index.bits.shape) == (size, size, (6, math.ceil(size / 8)))
    np.testing.assert_array_equal(bits_of(index), expected)
    if size > 1:
        assert 0.05 < expected.mean() < 0.95


def test_a_state_at_the_threshold_is_off() -> None:
    params, tokens = forgetful(), np.random.default_rng(4).integers(0, 5, 40)
    states = trace("lstm", params, tokens[:, None])["c"][:, 0]
    index = build("lstm", params, tokens, part="c", threshold=states[17, 2])
    np.testing.assert_array_equal(index.on(2), states[:, 2] > states[17, 2])


def test_without_a_warm_up_rows_begin_with_zeros() -> None:
    params, tokens = forgetful(), np.random.default_rng(4).integers(0, 5, 1200)
    index = build("lstm", params, tokens, part="c", threshold=0.1, row=100, warm_up=0)
    np.testing.assert_array_equal(bits_of(index), expected_bits("lstm", params, tokens.reshape(12, 100).T, "c"))
    assert (bits_of(index) != expected_bits("lstm", params, tokens, "c")).any()


@pytest.mark.parametrize("shape", [(1, 1), (13, 1), (13, 30), (1, 9), (40, 16)])
def test_sequences_each_begin_with_zeros_and_are_numbered_one_after_the_other(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "ROWS", 8)
    params, tokens = forgetful(), np.random.default_rng(5).integers(0, 5, shape)
    index = build("lstm", params, tokens, part="h", threshold=0.1)
    assert (index.length, index.sequence) == (tokens.size, shape[0])
    np.testing.assert_array_equal(bits_of(index), expected_bits("lstm", params, tokens, "h"))


def test_a_marked_span_is_found_again_wherever_its_text_is() -> None:
    rng, params = np.random.default_rng(6), forgetful()
    word = rng.integers(0, 5, 60)
    tokens = rng.integers(0, 5, 3000)
    for at in (310, 1490, 2777):
        tokens[at : at + 60] = word
    states = trace("lstm", params, tokens[:, None])["c"][:, 0]
    index = build("lstm", params, tokens, part="c", threshold=0.1, row=500)
    on = bits_of(index)
    spans = [(a, b) for a in range(345, 360) for b in range(a + 2, 366) if signature(states, (a, b), 0.1)]
    assert spans
    for start, end in spans:
        units = signature(states, (start, end), 0.1)
        assert all(on[u, start:end].all() for u in units)
        found = search(index, units, end - start, limit=3000, exclude=(start, end))
        perfect = {match[:2] for match in found if match.score == 1.0}
        assert {(start + 1180, end + 1180), (start + 2467, end + 2467)} <= perfect


@pytest.mark.parametrize(
    ("units", "length", "limit", "message"),
    [
        ((), 3, 5, "units is empty: no unit is on over just this span"),
        ((0, 2), 3, 5, r"units = \(0, 2\): the index has units 0 to 1"),
        ((-1,), 3, 5, "the index has units 0 to 1"),
        ((0,), 0, 5, "length = 0, limit = 5: both must be at least 1"),
        ((0,), 3, 0, "limit = 0"),
    ],
)
def test_a_search_that_cannot_be_is_refused(units: tuple, length: int, limit: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(index_of(np.ones((2, 9), bool)), units, length, limit=limit)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"part": "z"}, "part = 'z' is not a part of this cell: choose one of .*'c', 'h'"),
        ({"tokens": np.zeros(0, int)}, r"tokens are int64 \[0\]: give integers \[N\] or \[T, B\], at least one"),
        ({"tokens": np.zeros(4)}, r"tokens are float64 \[4\]"),
        ({"tokens": np.zeros((2, 2, 2), int)}, r"tokens are int64 \[2, 2, 2\]"),
        ({"tokens": np.array([0, 5])}, "tokens go from 0 to 5: the network reads 0 to 4"),
        ({"tokens": np.array([-1, 2])}, "tokens go from -1 to 2"),
        ({"row": 50}, "row = 50, warm_up = 100: choose a row of at least 1, a warm-up from 0 to the row"),
        ({"row": 0, "warm_up": 0}, "row = 0"),
        ({"warm_up": -1}, "warm_up = -1"),
    ],
)
def test_an_index_that_cannot_be_is_refused(change: dict, message: str) -> None:
    arguments = {"tokens": np.array([0, 1]), "part": "c", "threshold": 0.1} | change
    with pytest.raises(ValueError, match=message):
        build("lstm", forgetful(), arguments.pop("tokens"), **arguments)
