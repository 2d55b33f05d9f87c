"""The coach of the perplexity page, and the numbers in its texts."""

import math
from typing import Any

import pytest

from demos.ptb import lessons, theory
from demos.ptb.config import PTBConfig
from lib.settings import parse, replace

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
    floor, one_word, _ = lessons.EXPERIMENTS
    assert f"{FLOOR:.1f}, a loss of {theory.floor(PTBConfig()):.2f} nats" in floor.question
    assert f"a perplexity of {BIGRAM:.0f}, a loss of {math.log(BIGRAM):.2f}" in one_word.question
    assert f"{theory.floor(PTBConfig()):.2f}" in floor.choices[0].label
    for experiment in lessons.EXPERIMENTS:
        for choice in experiment.choices:
            for bound in (choice.low, choice.high):
                assert bound in (0, math.inf) or f"{bound:g}" in choice.label
