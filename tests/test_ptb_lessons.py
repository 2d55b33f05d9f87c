"""The coach of the perplexity page, and the numbers in its texts."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from demos.ptb import data, grammar, lessons, probes, theory
from demos.ptb.config import PTBConfig
from lib.settings import parse, replace
from lib.word_model import WordModel

UNIGRAM, BIGRAM = theory.counting("grammar", "")
FLOOR = math.exp(theory.floor(PTBConfig()))


def advice(
    running: float, valid: list[float] | None = None, *, step: int = 500, config: PTBConfig | None = None
) -> Any:
    """What it says at a running perplexity, and these of the validation text so far."""
    metrics: dict[str, Any] = {"loss": {"mean_last_100": math.log(running)}}
    if valid:
        metrics["valid_perplexity"] = {"last": valid[-1], "best": min(valid)}
    return lessons.advise(config or PTBConfig(), step, metrics)


@pytest.mark.parametrize(
    ("running", "valid", "expected"),
    [
        (2_000.0, None, "overshoots"),
        (900.0, None, None),
        ((UNIGRAM + BIGRAM) / 2, None, "frequencies"),
        (BIGRAM - 5, None, "pairs"),
        (BIGRAM - 5, [BIGRAM + 20], "frequencies"),
        (30.0, [40.0], "pairs"),
        (20.0, [50.0, 60.0], "by-heart"),
        (27.0, [FLOOR * 1.09], "learned"),
        (27.0, [FLOOR * 1.11], "pairs"),
    ],
)
def test_the_coach_says_what_it_sees(running: float, valid: list[float] | None, expected: str | None) -> None:
    found = advice(running, valid)
    assert (found.id if found else None) == expected
    if found:
        changed = replace(PTBConfig(), **found.change)
        assert changed != PTBConfig(), "what it offers changes something"


def test_the_coach_waits_until_there_is_something_to_say() -> None:
    assert advice(2_000.0, step=100) is None
    assert lessons.advise(PTBConfig(), 500, {}) is None
    assert advice(float("inf")) is None


def test_the_coach_says_nothing_of_a_replay() -> None:
    assert advice(90.0, config=parse(PTBConfig, {"model": "small-recorded"})) is None


def test_the_numbers_in_the_experiments_texts_are_right() -> None:
    texts = {
        each.slug: f"{each.question} {' '.join(choice.label for choice in each.choices)}"
        for each in lessons.EXPERIMENTS
    }
    assert f"below {FLOOR:.1f}" in texts["floor"] and f"{BIGRAM:.0f}" in texts["floor"]
    assert f"has {BIGRAM:.0f}" in texts["one-word"] and f"{1.2 * UNIGRAM:.0f}" in texts["too-fast"]


def test_agreement_and_what_is_written_are_measured_as_the_grammar_has_it() -> None:
    asked, corpus = probes.subjects(), data.corpus("grammar", "")
    one, many = probes.verb_forms()
    for number in range(0, probes.SUBJECTS, 40):
        text = [corpus.words[word] for word in asked.words[1:, number]]
        following = {corpus.numbers[word] for word in grammar.next_words(text)}
        right, wrong = (many, one) if asked.many[number] else (one, many)
        assert set(right.tolist()) <= following and not following & set(wrong.tolist()), text
    true = grammar.sentences(20, seed=5)
    assert probes.grammatical(true) == probes.possible(true) == 1
    broken = [["the", "dogs", "near", "the", "house", "sleeps"]]  # its sixth word cannot stand there
    assert probes.grammatical(broken) == 0 and probes.possible(broken) == 5 / 6


def test_only_the_last_words_are_kept_as_they_are() -> None:
    words, units = len(data.corpus("grammar", "").words), 4
    some = np.random.default_rng(0)
    layer = {
        "input_weights": some.normal(size=(units, 4 * units)), "recurrent_weights": np.zeros((units, 4 * units)),
        "bias": np.repeat([0.0, -50.0, 0.0, 0.0], units),
    }  # fmt: skip
    network = {
        "embedding": some.normal(size=(words, units)), "layers": {"layer_0": layer}, "output": {"bias": np.zeros(words)},
    }  # fmt: skip
    forgetful = WordModel(network)
    assert probes.perplexity(forgetful, 1, 300) == pytest.approx(probes.perplexity(forgetful, None, 300), rel=1e-3)


def test_what_the_grammar_itself_gets_lies_around_the_bound() -> None:
    for part in ("valid", "test", "train"):
        own = grammar.own(part)
        assert abs(own.perplexity - FLOOR) < 3 * own.error
    text = grammar.split("test")[:200]
    nats = -sum(grammar.log_probability(words) for words in text)
    found = list(itertools.islice(grammar._derivations(*grammar.SPLITS["test"]), 200))
    assert nats == pytest.approx(-sum(total for _, total in found))
