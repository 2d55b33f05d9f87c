"""Limits on what is trained at a time: who is refused, what is said, and that nothing is stopped for nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.job import Job, State
from lib.jobs import Jobs
from lib.limits import LimitError, Limits
from lib.sweep import plan
from lib.sweeps import Sweeps
from tests.quadratic import Engine, QuadraticConfig
from tests.test_jobs import wait

TWO = "You have 2 runs under way, as many as this server allows one person: stop one of them first."


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    made = limited(tmp_path)
    yield made
    made.shutdown()


def limited(folder: Path) -> Jobs:
    limits = Limits(runs_under_way=2, waiting=3, steps=10**6)
    return Jobs(
        folder, 1, build=lambda slug, config: Engine(config), config_of=lambda slug: QuadraticConfig, limits=limits
    )


def start(jobs: Jobs, person: str = "me", steps: int = 10**6, **options) -> Job:
    return jobs.start("quadratic", QuadraticConfig(steps=steps), person, **options)


def test_one_too_many_is_refused_and_said_and_an_ended_one_makes_room(jobs: Jobs) -> None:
    first, second = start(jobs), start(jobs, paused=True)
    for refused in (lambda: start(jobs), lambda: start(jobs, instead_of="nobody")):
        with pytest.raises(LimitError) as caught:
            refused()
        assert str(caught.value) == TWO
    assert len(jobs.runs_of("me", None, 9)) == 2 and first.active and second.active
    theirs = start(jobs, "you")
    with pytest.raises(LimitError, match="This server has 3 runs under way, as many as it takes"):
        start(jobs, "somebody")
    jobs.stop(theirs.id)
    jobs.stop(first.id)
    start(jobs)


def test_a_run_that_stands_for_another_is_not_refused_because_of_it(jobs: Jobs) -> None:
    start(jobs)
    old = start(jobs)
    new = start(jobs, instead_of=old.id)
    assert (old.state, new.active) == (State.STOPPED, True)
    again = jobs.rewind(new.id)
    assert again is not None and again.active and new.state is State.STOPPED


def test_a_run_that_is_refused_stops_nothing(jobs: Jobs) -> None:
    running = start(jobs)
    with pytest.raises(LimitError, match="This run would have 1,000,001 steps, and this server allows 1,000,000"):
        start(jobs, steps=10**6 + 1, instead_of=running.id)
    start(jobs, "you"), start(jobs, "you")
    with pytest.raises(LimitError):
        start(jobs, "he", instead_of="nobody")
    assert running.active


def test_a_person_may_have_limits_of_their_own(jobs: Jobs) -> None:
    jobs.permit = lambda visitor, slug, config: Limits(runs_under_way=1 if visitor == "me" else None)
    first = start(jobs)
    with pytest.raises(LimitError, match="You have 1 run under way"):
        start(jobs)
    for _ in range(4):
        start(jobs, "you")
    assert jobs.rewind(first.id) is not None, "it stands for itself"


def test_a_sweep_counts_as_one_however_many_cells_it_trains(jobs: Jobs) -> None:
    sweeps = Sweeps(jobs, config_of=lambda slug: QuadraticConfig)
    four = plan(QuadraticConfig(steps=10**6), [("learning_rate", "0.01, 0.02, 0.03, 0.04")])
    sweep = sweeps.start("quadratic", four, "me")
    wait(lambda: len(sweep.under_way) == 2)
    run = start(jobs)
    with pytest.raises(LimitError) as caught:
        start(jobs)
    assert str(caught.value) == TWO
    with pytest.raises(LimitError):
        sweeps.start("quadratic", four, "me")
    sweeps.pause(sweep.id)
    with pytest.raises(LimitError):
        start(jobs)
    sweeps.stop(sweep.id)
    wait(lambda: not sweep.under_way)
    start(jobs)
    assert run.active
    sweeps.shutdown()


def test_what_a_server_before_left_counts_when_it_goes_on(tmp_path: Path) -> None:
    first = limited(tmp_path)
    left = start(first)
    first.shutdown()
    second = limited(tmp_path)
    start(second), start(second)
    for go_on in (second.resume, second.step):
        with pytest.raises(LimitError) as caught:
            go_on(left.id)
        assert str(caught.value) == TWO
    found = second.get(left.id)
    assert found is not None and found.state is State.PAUSED and found.target is State.PAUSED
    second.shutdown()


def test_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UNROLLED_HOSTED", "UNROLLED_RUNS_PER_PERSON", "UNROLLED_MOST_RUNS", "UNROLLED_MOST_STEPS"):
        monkeypatch.delenv(name, raising=False)
    assert Limits.from_environment() == Limits()
    monkeypatch.setenv("UNROLLED_HOSTED", "1")
    assert Limits.from_environment() == Limits(5, 400, None)
    monkeypatch.setenv("UNROLLED_RUNS_PER_PERSON", "0")
    monkeypatch.setenv("UNROLLED_MOST_STEPS", "100000")
    assert Limits.from_environment() == Limits(None, 400, 100_000)
    monkeypatch.setenv("UNROLLED_MOST_RUNS", "many")
    with pytest.raises(
        ValueError, match="UNROLLED_MOST_RUNS='many' is not a whole number: give one, or 0 for no limit"
    ):
        Limits.from_environment()
