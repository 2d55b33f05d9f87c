"""What is cleared away, and what never is."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.clearing import Clearing
from lib.job import State
from lib.jobs import Jobs
from lib.store import Store
from lib.stores import open_store
from tests.quadratic import Engine, QuadraticConfig
from tests.test_jobs import assert_undisturbed, wait
from tests.test_store import RECORD, SWEEP

DAY = 24 * 3600.0


@pytest.fixture
def store(place: Path | str) -> Iterator[Store]:
    store = open_store(place)
    yield store
    store.close()


def test_ended_runs_and_sweeps_go_after_their_days_and_unfinished_ones_never(store: Store) -> None:
    for name, state, days, sweep in (
        ("old", "finished", 31, ""), ("new", "finished", 29, ""), ("paused", "paused", 99, ""), ("running", "running", 99, ""),
        ("cell", "finished", 31, "gone"), ("done", "finished", 99, "on"),
    ):  # fmt: skip
        store.save(replace(RECORD, id=name, state=state, updated=(100 - days) * DAY, sweep=sweep), {"x": np.ones(1)})
    store.save_sweep(replace(SWEEP, id="gone", state="stopped", created=DAY))
    store.save_sweep(replace(SWEEP, id="on", state="paused", created=DAY))
    store.clear(100 * DAY, Clearing())
    assert len(store.runs_of("me", None, 9, cells=True)) == 6, "without days nothing goes"
    store.clear(100 * DAY, Clearing(days=30))
    left = {record.id for record in store.runs_of("me", None, 9, cells=True)}
    assert left == {"new", "paused", "running", "done"}
    assert store.arrays("old") == {} and store.arrays("new") != {}
    assert store.load_sweep("gone") is None and store.load_sweep("on") is not None


def test_kept_networks_are_counted_in_bytes_for_each_person(store: Store) -> None:
    for number, (person, state) in enumerate(
        [("me", "finished"), ("me", "paused"), ("me", "finished"), ("you", "finished")]
    ):
        store.save(
            replace(RECORD, id=str(number), visitor=person, state=state, created=float(number)), {"x": np.ones(1)}
        )
        for step in (1, 2):
            store.save_network(str(number), step, {"w": np.zeros(1000, np.uint8)})
    store.clear(9.0, Clearing(network_bytes=3000))
    assert [store.network_steps(str(number)) for number in range(4)] == [[], [1, 2], [1, 2], [1, 2]]
    assert store.arrays("0") and store.load("0") is not None, "the run itself stays"


def test_a_paused_run_that_nobody_looks_at_leaves_memory_and_goes_on_when_asked(tmp_path: Path) -> None:
    jobs = Jobs(
        tmp_path, 1, build=lambda slug, config: Engine(config), config_of=lambda slug: QuadraticConfig,
        clearing=Clearing(idle_seconds=3600.0),
    )  # fmt: skip
    paused, seen, running = (jobs.start("quadratic", QuadraticConfig(steps=3000, nap=0.001), "me") for _ in range(3))
    wait(lambda: all(job.step > 20 for job in (paused, seen, running)))
    jobs.pause(paused.id), jobs.pause(seen.id)
    wait(lambda: not any(job.busy or job.unsettled for job in (paused, seen)))
    for job in (paused, running):
        job.seen_at -= 3601
    jobs._rest_idle(time.monotonic())
    assert set(jobs._jobs) == {seen.id, running.id}
    again = jobs.get(paused.id)
    assert again is not None and again is not paused and (again.state, again.step) == (State.PAUSED, paused.step)
    jobs.stop(running.id), jobs.stop(seen.id)
    jobs.resume(again.id)
    wait(lambda: not again.active, 60)
    assert_undisturbed(again, 3000)
    jobs.shutdown()


def test_days_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNROLLED_HOSTED", raising=False)
    monkeypatch.delenv("UNROLLED_KEEP_DAYS", raising=False)
    assert Clearing.from_environment() == Clearing(None, None)
    monkeypatch.setenv("UNROLLED_HOSTED", "1")
    assert Clearing.from_environment() == Clearing(30, 120.0)
    monkeypatch.setenv("UNROLLED_KEEP_DAYS", "0")
    assert Clearing.from_environment() == Clearing(None, 120.0)
    monkeypatch.setenv("UNROLLED_KEEP_DAYS", "a week")
    with pytest.raises(ValueError, match="UNROLLED_KEEP_DAYS='a week' is not a whole number"):
        Clearing.from_environment()
