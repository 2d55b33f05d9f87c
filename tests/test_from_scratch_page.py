"""What the page from scratch shows: figures, lessons, the pieces of code, and its sections."""

import inspect
import math
import re
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from demos.from_scratch import checking, figures, lessons, model, probes, task, theory, workshop
from demos.from_scratch.config import FromScratchConfig
from demos.from_scratch.engine import initial, parameters_in
from demos.registry import get
from tests.figure_checks import check, set_colors
from tests.training import results

SMALL = FromScratchConfig(sentences=30, vocabulary_size=60, hidden_units=8, epochs=2)
RACE = SMALL.model_copy(update={"hands": "race"})


def test_every_figure_is_legal() -> None:
    found = [curve.figure(config) for curve in figures.CURVES for config in (SMALL, RACE)]
    found += [figures.loss_figure(SMALL, scale="log", smooth="30"), figures.frequency_figure(SMALL.words)]
    found += [figures.reach_figure(workshop.reaches(8, 10, 5.0, 1.0, 0), 5.0)]
    for config in (SMALL, RACE):
        engine = task.build(config)
        engine.prepare()
        carry = engine.initial()
        for _ in range(2):
            found += figures.live_figures(config, engine.observe(carry)).values()
            carry, _ = engine.run(carry, 30)
    for figure in found:
        check(figure)
        assert set_colors(figure) == []


def test_the_functions_shown_are_the_functions_executed() -> None:
    for piece in workshop.forward_pieces(SMALL):
        assert piece.function is getattr(model, piece.function.__name__)
        assert piece.source() == inspect.getsource(piece.function)
    assert checking.planted() is model.backward and checking.source() == inspect.getsource(model.backward)


def test_the_shapes_in_the_table_are_those_of_the_arrays() -> None:
    shapes = {row["name"]: row["shape"] for row in workshop.dimensions(SMALL)}
    for name, weights in initial(SMALL)._asdict().items():
        assert shapes[name] == " × ".join(f"{size:,}" for size in weights.shape)


def test_the_untrained_loss_stands_beside_chance() -> None:
    assert workshop.untrained_loss(FromScratchConfig()) == pytest.approx(theory.chance(FromScratchConfig()), rel=0.01)


def test_knowing_frequencies_is_the_best_that_ignores_the_sentence() -> None:
    targets = np.concatenate([y for _, y in SMALL.words.pairs])
    shares = np.bincount(targets, minlength=len(SMALL.words.words)) / len(targets)
    assert theory.frequencies(SMALL) == pytest.approx(-np.log(shares[targets]).mean())
    assert theory.frequencies(SMALL) < theory.chance(SMALL)


def test_the_check_on_the_page_passes_and_catches_every_bug() -> None:
    for config in (FromScratchConfig(), FromScratchConfig(corpus="grammar")):
        case = workshop.small(config, 0)
        whole = len(case.x) - 1
        assert len(set(case.x.tolist())) < len(case.x), "a word comes twice"
        assert all(row.passed for row in workshop.checked(config, 0, whole, None))
        assert not all(row.passed for row in workshop.checked(config, 0, whole - 1, None))
        for bug in checking.BUGS:
            assert not all(row.passed for row in workshop.checked(config, 0, whole, bug)), bug


def test_the_formula_on_the_page_is_the_one_that_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    step, limit = (10.0 ** int(power) for power in re.findall(r"10\^\{(-?\d+)\}", workshop.check_equations()))
    ones, moved = model.Parameters(*np.ones((3, 1, 1))), []
    monkeypatch.setattr(model, "loss", lambda p, x, y: moved.append(float(p.U[0, 0])) or float(p.U[0, 0] ** 3))
    slope = checking.numerical(ones, np.zeros(0), np.zeros(0)).U[0, 0]
    assert moved[:2] == [1 + step, 1 - step]
    assert slope == ((1 + step) ** 3 - (1 - step) ** 3) / (2 * step)
    for error, passes in ((0.9 * limit, True), (1.1 * limit, False)):
        other = ones._replace(U=ones.U * (1 + error) / (1 - error))
        row = checking.compared(other, ones)[0]
        assert row.relative_error == pytest.approx(error, rel=1e-6) and row.passed == passes


def test_what_is_predicted_is_shown_beside_the_target() -> None:
    corpus, p = SMALL.words, initial(SMALL)
    rows, (x, y) = workshop.predicted(corpus, p, 3), corpus.pairs[3]
    assert [row["given"] for row in rows] == corpus.text_of(x) and [row["target"] for row in rows] == corpus.text_of(y)
    for row, log_probabilities in zip(rows, model.forward(p, x)[1], strict=True):
        assert row["it predicts"] == corpus.words[int(np.argmax(log_probabilities))]
        assert row["p(predicted)"] == f"{math.exp(log_probabilities.max()):.3f}"
        assert (row["right"] == "✓") == (row["it predicts"] == row["target"])


def test_a_race_tells_the_time_of_a_step() -> None:
    seen = {"speeds": np.array([114.5, 0.0, 2500.0, 2.8]), "sentences": np.arange(4), "losses": np.full(4, np.nan)}
    texts = figures.race_figure(seen)["data"][0]["text"]
    shares = ("8.73 ms per step", "no step yet", "0.4 ms per step", "357 ms per step")
    assert all(share in text for share, text in zip(shares, texts, strict=True))


def test_the_numbers_in_the_texts_are_right() -> None:
    untrained = next(each for each in lessons.EXPERIMENTS if each.slug == "untrained")
    size = len(untrained.config.words.words)
    assert f"ln {size} = {math.log(size):.2f}" in untrained.explanation
    assert f"{size} words" in untrained.question


def test_the_bound_is_what_counting_prefixes_gives() -> None:
    pairs = SMALL.words.pairs
    for found, weights in (
        (theory.epoch_floor(SMALL), [1.0] * len(pairs)),
        (theory.floor(SMALL.model_copy(update={"epochs": 5})), None),  # of the last 100 sentences in training's order
    ):
        order = list(range(len(pairs))) if weights else [number % len(pairs) for number in range(50, 150)]
        share: dict[tuple[int, ...], dict[int, float]] = {}
        for number in order:
            x, y = pairs[number]
            for t in range(len(x)):
                after = share.setdefault(tuple(x[: t + 1].tolist()), {})
                after[int(y[t])] = after.get(int(y[t]), 0.0) + (1.0 if weights else 1 / len(x))
        nats = sum(-n * math.log(n / sum(after.values())) for after in share.values() for n in after.values())
        assert found == pytest.approx(nats / sum(n for after in share.values() for n in after.values()), rel=1e-9)
    assert theory.floor(RACE) == 0.0


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0.02, "hidden_units": 256},
        {"learning_rate": 0.05, "hidden_units": 30},
        {"learning_rate": 0.1, "hidden_units": 30, "halving": False},
        {"learning_rate": 0.05, "hidden_units": 30, "truncate": 60, "vocabulary_size": 20},
    ],
)
def test_no_run_ends_below_the_bound_however_long_it_learns_the_same_few_sentences(changes: dict[str, Any]) -> None:
    config = FromScratchConfig(sentences=10, epochs=100, **changes)
    found = results(get("from-scratch"), config)
    assert found.finals[0] > theory.floor(config)
    still = probes.guesses(parameters_in(found.leaves), config.words.pairs)
    assert still.loss > theory.epoch_floor(config)


def test_held_out_sentences_are_not_learned_from() -> None:
    config = FromScratchConfig()
    held, learned = theory.held_out(config), {tuple(x.tolist()) for x, _ in config.words.pairs}
    assert len(held) == 100 and sum(tuple(x.tolist()) in learned for x, _ in held) <= 1
    assert theory.held_out(FromScratchConfig(sentences=5_000)) == []


def test_other_words_before_the_last_change_nothing_where_there_is_no_state() -> None:
    p, pairs = initial(SMALL), SMALL.words.pairs
    assert probes.last_word_alone(p, pairs) != pytest.approx(probes.with_its_own(p, pairs), rel=1e-7)
    p = p._replace(W=np.zeros_like(p.W))
    assert probes.last_word_alone(p, pairs) == pytest.approx(probes.with_its_own(p, pairs), rel=1e-5)


PANEL = """
from app import scratch_panel
from demos.registry import get
scratch_panel.draw("from-scratch", None, get("from-scratch").config(sentences=30, vocabulary_size=60, hidden_units=8))
"""


@pytest.mark.parametrize("section", ["The text", "Forward", "Backward", "Vanishing", "Race", "Write"])
def test_every_section_is_drawn(section: str) -> None:
    page = AppTest.from_string(PANEL, default_timeout=60).run()
    page = page.get_by_key("from-scratch/section").select(section).run()
    assert not page.exception


def test_a_planted_bug_is_shown_and_caught() -> None:
    page = AppTest.from_string(PANEL, default_timeout=60).run()
    page = page.get_by_key("from-scratch/section").select("Backward").run()
    assert "The gradient is right" in page.success[0].value
    page = page.get_by_key("from-scratch/bug").select("slope").run()
    assert "error = d_scores @ p.V" in page.code[0].value
    assert "not the gradient" in page.error[0].value
    assert "it should be" in page.warning[0].value
