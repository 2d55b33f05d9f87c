"""Every demo's lessons: each experiment is trained, and what its text claims must come true."""

import ast
import textwrap
from functools import cache

import numpy as np
import pytest

from demos.registry import DEMOS, Demo
from lib.cells import CELLS
from lib.lessons import Experiment, Results
from lib.settings import Config, settings_of
from tests.training import results

EXPERIMENTS = [
    pytest.param(demo, experiment, id=f"{demo.slug}/{experiment.slug}")
    for demo in DEMOS
    for experiment in demo.lessons.EXPERIMENTS
]


@cache
def _run(demo: Demo, config: Config) -> Results:
    """Several experiments ask about the same run."""
    return results(demo, config)


@pytest.mark.parametrize(("demo", "experiment"), EXPERIMENTS)
def test_what_every_experiment_says_comes_true(demo: Demo, experiment: Experiment) -> None:
    found = _run(demo, experiment.config)
    outcome = experiment.outcome.of(found)
    assert experiment.choice_of(outcome) == experiment.answer, f"{experiment.outcome.label} was {outcome}"
    refuted = [(claim.text, finding.value) for claim in experiment.claims if not (finding := claim.check(found)).holds]
    assert not refuted


@pytest.mark.parametrize(("demo", "experiment"), EXPERIMENTS)
def test_every_outcome_has_exactly_one_choice(demo: Demo, experiment: Experiment) -> None:
    for outcome in np.concatenate([np.linspace(0, 2, 201), [1e9]]):
        assert len([choice for choice in experiment.choices if choice.low <= outcome < choice.high]) == 1


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.slug)
def test_what_how_it_works_shows_is_there(demo: Demo) -> None:
    cells = CELLS if "cell" in settings_of(demo.config) else (None,)
    for cell in cells:
        config = demo.config(cell=cell) if cell else demo.config()
        assert "$$" in demo.lessons.equations(config)
        for source in demo.lessons.sources(config):
            ast.parse(textwrap.dedent(source.text()))


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.slug)
def test_every_offer_of_the_coach_is_a_valid_config(demo: Demo) -> None:
    seen = set()
    for preset in demo.presets.values():
        for loss in (0.0001, 0.3, 0.35, 0.45, 0.56, 0.69, 5.0, 12.0):
            found = demo.lessons.advise(preset, preset.steps, {"loss": {"mean_last_100": loss}})
            if found:
                seen.add(found.id)
                demo.config(**(preset.model_dump() | found.change))
    assert len(seen) >= 3
    assert demo.lessons.advise(demo.config(), 50, {"loss": {"mean_last_100": 0.7}}) is None
    assert demo.lessons.advise(demo.config(), 5000, {}) is None
