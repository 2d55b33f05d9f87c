"""Scores against plain NumPy, their gradients against finite differences, and what can be typed in each demo."""

import math

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
from lib.reading import (
    LONGEST,
    Factor,
    Language,
    ReadingError,
    Readings,
    bit_factors,
    check,
    loss_gradient,
    probabilities,
    right_answers,
    score,
)

ONE = Language(tuple("abcd"), tuple("abc"))
EACH = Language(tuple("abcd"), tuple("abc"), independent=True)
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(0, 1000))  # T, B, seed
BITS = {echo: EchoConfig, binary_rule: BinaryRuleConfig}


def made_up(language: Language, steps: int, rows: int, seed: int, scale: float = 3.0) -> tuple[np.ndarray, Readings]:
    """Logits, and answers of which at least one is asked for."""
    rng = np.random.default_rng(seed)
    shape, answers = (steps, rows), len(language.answers)
    targets = rng.integers(0, 2**answers if language.independent else answers, shape).astype(np.uint8)
    scored = rng.random(shape) < 0.6
    scored[rng.integers(steps), rng.integers(rows)] = True
    logits = scale * rng.normal(size=(*shape, answers))
    return logits, Readings(np.zeros(shape, np.uint8), targets, scored, {})


def losses_of(logits: np.ndarray, target: int, independent: bool) -> tuple[float, bool]:
    """One position's loss and whether its answer is right, with exponentials written out."""
    if not independent:
        shares = np.exp(logits) / np.exp(logits).sum()
        return -math.log(shares[target]), int(shares.argmax()) == target
    chances = 1 / (1 + np.exp(-logits))
    right = [bool(target >> bit & 1) for bit in range(len(logits))]
    losses = [-math.log(p if yes else 1 - p) for p, yes in zip(chances, right, strict=True)]
    return sum(losses) / len(losses), all((p > 0.5) == yes for p, yes in zip(chances, right, strict=True))


@pytest.mark.parametrize("language", [ONE, EACH], ids=["one", "each"])
@settings(deadline=None)
@given(shape=SHAPES)
def test_a_score_equals_exponentials_written_out(language: Language, shape: tuple[int, int, int]) -> None:
    logits, readings = made_up(language, *shape)
    each = [
        losses_of(logits[place], int(readings.targets[place]), language.independent)
        for place in zip(*np.nonzero(readings.scored), strict=True)
    ]
    found = score(logits, readings, language)
    assert found.loss == pytest.approx(np.mean([loss for loss, _ in each]))
    assert found.accuracy == pytest.approx(np.mean([right for _, right in each]))


@pytest.mark.parametrize(
    ("language", "target", "loss"), [(ONE, 2, 2_000.0), (EACH, 0b101, (math.log(2) + 1_000.0) / 3)]
)
def test_a_score_stays_finite_at_extreme_logits(language: Language, target: int, loss: float) -> None:
    logits = np.array([[[1000.0, 0.0, -1000.0], [0.0, 0.0, 0.0]]], np.float32)
    readings = Readings(np.zeros((1, 2), np.uint8), np.full((1, 2), target), np.array([[True, False]]), {})
    found = score(logits, readings, language)
    assert found.loss == pytest.approx(loss)
    assert found.accuracy == 0
    assert np.isfinite(probabilities(logits, language)).all()


@pytest.mark.parametrize("language", [ONE, EACH], ids=["one", "each"])
@settings(deadline=None, max_examples=30)
@given(shape=SHAPES)
def test_the_gradient_equals_finite_differences(language: Language, shape: tuple[int, int, int]) -> None:
    logits, readings = made_up(language, *shape, scale=1.0)
    found = loss_gradient(logits, readings, language)
    asked = readings.scored.sum()
    for place in zip(*np.nonzero(readings.scored), strict=True):
        for answer in range(3):
            ends = []
            for nudge in (1e-5, -1e-5):
                moved = logits.copy()
                moved[*place, answer] += nudge
                ends.append(score(moved, readings, language).loss * asked)
            assert found[*place, answer] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-7)


@settings(deadline=None)
@given(shape=SHAPES)
def test_probabilities_are_together_1_or_each_by_itself(shape: tuple[int, int, int]) -> None:
    logits, _ = made_up(ONE, *shape)
    np.testing.assert_allclose(probabilities(logits, ONE).sum(axis=-1), 1)
    np.testing.assert_allclose(probabilities(logits, ONE), probabilities(logits + 50, ONE))
    np.testing.assert_allclose(probabilities(logits, EACH), 1 / (1 + np.exp(-logits)), rtol=1e-9)


def test_right_answers_are_none_where_nothing_is_asked() -> None:
    readings = Readings(np.zeros((1, 3)), np.array([[2, 0, 2]]), np.array([[True, True, False]]), {})
    assert right_answers(readings, ONE)[0].astype(int).tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]
    readings = readings._replace(targets=np.array([[0b101, 0, 0b111]]))
    assert right_answers(readings, EACH)[0].astype(int).tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_one_of_several_sequences_is_taken_with_all_that_belongs_to_it() -> None:
    grid = np.arange(12).reshape(4, 3)
    whole = Readings(grid % 4, grid % 3, grid % 2 == 0, {"x": Factor(grid * 1.0, "x")})
    for index in range(3):
        one = whole.one(index)
        for part, full in zip(one[:3], whole[:3], strict=True):
            np.testing.assert_array_equal(part, full[:, index : index + 1])
        assert one.factors["x"].values[:, 0].tolist() == [index, 3 + index, 6 + index, 9 + index]
        assert one.factors["x"].what == "x"
        assert one.labels(ONE) == ["abcd"[token] for token in one.inputs[:, 0]]


def test_the_bits_before_are_missing_at_the_start() -> None:
    bits = np.array([[1, 0], [0, 0], [1, 1]])
    found = bit_factors(bits, (0, 1, 5))
    assert list(found) == ["the bit read now", "the bit 1 step back", "the bit 5 steps back"]
    now, back, far = (factor.values for factor in found.values())
    np.testing.assert_array_equal(now, bits)
    np.testing.assert_array_equal(back, [[np.nan] * 2, [1, 0], [0, 0]])
    assert np.isnan(far).all() and bits.dtype.kind == "i"


# What can be typed


def test_check_says_what_is_wrong() -> None:
    check("ab" * (LONGEST // 2), "ab")
    for text, message in (
        ("", "nothing to read: type at least one token"),
        ("a" * (LONGEST + 1), f"has 201 tokens, .* room for {LONGEST}: type a shorter one"),
        ("abxc", "never met 'x': it reads a b c"),
    ):
        with pytest.raises(ReadingError, match=message):
            check(text, "abc")
    with pytest.raises(ReadingError, match="never met '\\\\n': it reads the characters that its text has"):
        check("\n", [chr(number) for number in range(65, 90)])


@pytest.mark.parametrize(
    ("change", "text", "message"),
    [
        ({}, "", "nothing to read"),
        ({}, " \t", "nothing to read"),
        ({}, "aBc?" * 51, "204 tokens"),
        ({}, "aEx?", "never met 'E': it reads a b c d A B C D \\?"),
        ({}, "abc?", "Nothing is asked in it: put a marked letter"),
        ({}, "ab?C", "Nothing is asked"),
        ({"task": "remember"}, "wAx?" * 51, "204 tokens"),
        ({"task": "remember"}, "wEx?", "never met 'E': it reads A B C D w x y z ?"),
        ({"task": "remember", "symbols": 2}, "wCx?", "never met 'C'"),
        ({"task": "remember"}, "wwwx", "Nothing is asked in it: put a symbol first and"),
        ({"task": "remember"}, "Awww", "Nothing is asked"),
        ({"task": "remember"}, "ww?A", "Nothing is asked"),
        ({"task": "brackets"}, "()[", r"never met '\[': it reads \( \)"),
        ({"task": "brackets"}, ")", r"The \) at place 1 closes nothing"),
        ({"task": "brackets"}, "(())())", r"The \) at place 7 closes nothing"),
        ({"task": "brackets", "bracket_types": 2}, "([)]", r"The \) at place 3 closes nothing"),
        ({"task": "brackets", "max_depth": 3}, "()((((", "At place 6 more than 3 brackets are open"),
        ({"task": "text"}, "", "nothing to read"),
        ({"task": "text"}, "a" * 201, "201 tokens"),
        ({"task": "text"}, "a fox é", "never met 'é': it reads the characters that its text has"),
        ({"task": "echo"}, "012", "never met '2': it reads 0 1"),
        ({"task": "echo", "echo_step": 5}, "01101", "too short to repeat anything"),
        ({"task": "binary_rule"}, "0101010", "The rule decides nothing in it"),
        ({"task": "binary_rule", "second_lag": 20}, "0" * 20, "The rule decides nothing in it"),
    ],
)
def test_what_the_gates_cannot_read_is_named(change: dict, text: str, message: str) -> None:
    with pytest.raises(ReadingError, match=message):
        gates.typed(GatesConfig(**change), text)


def test_what_cannot_be_read_as_bits_is_named() -> None:
    for demo, config in BITS.items():
        for text, message in (("", "nothing to read"), ("01a", "never met 'a'"), ("01" * 101, "202 tokens")):
            with pytest.raises(ReadingError, match=message):
                demo.typed(config(), text)
    with pytest.raises(ReadingError, match="type more than 3 bits"):
        echo.typed(EchoConfig(), "011")
    with pytest.raises(ReadingError, match="decides nothing"):
        binary_rule.typed(BinaryRuleConfig(), "0101010")


def asked(readings: Readings, language: Language) -> dict[int, str]:
    """At which step, from 0, which answers are right."""
    right = right_answers(readings, language)[:, 0]
    return {
        step: "".join(np.array(language.answers)[right[step]])
        for step in np.flatnonzero(readings.scored[:, 0]).tolist()
    }


@pytest.mark.parametrize(
    ("change", "text", "expected"),
    [
        ({}, "abBcDa?c?", {6: "D", 8: "D"}),
        ({"marks": "joined"}, "? A?b?C ?B", {2: "A", 4: "A", 6: "C"}),
        ({"task": "remember"}, "wxByzw?yz", {6: "B"}),
        ({"task": "remember"}, "? A?w?C ?B", {2: "A", 4: "A", 6: "C"}),  # spaces are left out
        ({"task": "brackets"}, "(())", {0: "()", 1: "()", 2: "()", 3: "("}),
        ({"task": "brackets", "max_depth": 2}, "((", {0: "()", 1: ")"}),
        ({"task": "brackets", "bracket_types": 3}, "({", {0: "([{)", 1: "([{}"}),
        ({"task": "text"}, "a fox", {0: " ", 1: "f", 2: "o", 3: "x"}),
        ({"task": "text"}, "a", {}),
        ({"task": "echo"}, "01 101", {3: "0", 4: "1"}),
        ({"task": "binary_rule"}, "001101", {2: "1", 4: "0"}),
    ],
)
def test_what_is_typed_is_asked_for_what_is_right(change: dict, text: str, expected: dict[int, str]) -> None:
    config = GatesConfig(**change)
    found = gates.typed(config, text)
    assert asked(found, gates.language(config)) == expected
    assert "".join(found.labels(gates.language(config))) == (text if config.task == "text" else text.replace(" ", ""))


def test_typed_bits_are_asked_for_what_is_right() -> None:
    assert asked(echo.typed(EchoConfig(), "01 101"), echo.language(EchoConfig())) == {3: "0", 4: "1"}
    rule = BinaryRuleConfig()
    assert asked(binary_rule.typed(rule, "001101"), binary_rule.language(rule)) == {2: "1", 4: "0"}


@pytest.mark.parametrize("task", TASKS)
def test_the_hint_shows_what_can_be_typed(task: str) -> None:
    config = GatesConfig(task=task)
    hint = gates.hint(config)
    example = "a sentence or two" if task == "text" else hint.partition("such as ")[2].rstrip(".").partition(":")[0]
    assert gates.typed(config, example).scored.any()
    assert gates.window(config) == config.window


@pytest.mark.parametrize("demo", BITS, ids=lambda demo: demo.__name__.split(".")[1])
def test_the_hint_shows_bits_that_can_be_typed(demo) -> None:
    config = BITS[demo]()
    example = demo.hint(config).partition("such as ")[2].rstrip(".")
    assert demo.typed(config, example).scored.any()


@pytest.mark.parametrize("demo", BITS, ids=lambda demo: demo.__name__.split(".")[1])
def test_held_out_bits_are_asked_by_the_rule_and_differ_between_seeds(demo) -> None:
    config = BITS[demo]()
    found = demo.held_out(config)
    if demo is echo:
        assert found.inputs.shape == (60, 64, 1) and found.inputs.dtype == np.float32
    else:
        assert found.inputs.shape == (60, 64) and found.inputs.dtype == np.uint8, "tokens, which stand for one-hot rows"
    assert (demo.held_out(config).inputs == found.inputs).all()
    assert (demo.held_out(config.model_copy(update={"seed": 1})).inputs != found.inputs).any()
    for row in (0, 63):
        typed = demo.typed(config, "".join(found.one(row).labels(demo.language(config))))
        both = typed.scored[:, 0] & found.scored[:, row]
        assert both.sum() > 15
        np.testing.assert_array_equal(typed.targets[both, 0], found.targets[both, row])
        if demo is echo:
            np.testing.assert_array_equal(typed.scored[:, 0], found.scored[:, row])


def test_windows_are_those_of_training() -> None:
    assert echo.window(EchoConfig(truncated_backprop_length=9)) == 9
    assert binary_rule.window(BinaryRuleConfig(time_step=7)) == 7
    assert gates.window(GatesConfig(task="remember", delay=50)) == 54
    assert gates.window(GatesConfig(longest=50)) == 50
    assert gates.window(GatesConfig(task="echo", delay=50)) == 40


# Where to search


@pytest.mark.parametrize("task", TASKS)
def test_a_span_of_an_example_stands_where_place_says(task: str) -> None:
    config = GatesConfig(task=task)
    whole, (tokens, names) = gates.held_out(config), gates.corpus_of(config)
    flat = tokens.T.ravel()  # step t of sequence b at b * T + t
    assert names == gates.language(config).tokens
    for example in (0, 3, 1_000_001):
        column = whole.inputs[:, example % whole.inputs.shape[1]]
        for start, end in ((0, 5), (17, 30)):
            first, last = gates.place(config, example, start, end)
            np.testing.assert_array_equal(flat[first:last], column[start:end])
            assert last - first == end - start


def test_a_text_that_is_not_there_is_said_to_be_missing(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    with pytest.raises(ValueError, match="text = 0123456789abcdef is not on this server"):
        GatesConfig(task="text", text="0123456789abcdef")
