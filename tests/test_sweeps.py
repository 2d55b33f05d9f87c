"""Background sweeps with the small engine of the jobs' tests: states, fairness, restarts."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.job import State
from lib.jobs import Jobs
from lib.known_jobs import KnownJobs
from lib.sweep import Plan, plan
from lib.sweeps import Sweep, Sweeps
from lib.worker import WorkerGoneError
from tests.quadratic import QuadraticConfig
from tests.test_jobs import alone, make, wait


class Process:
    """Jobs and sweeps in one data folder, as a server has them."""

    def __init__(self, folder: Path) -> None:
        self.jobs: Jobs = make(folder)
        self.sweeps = Sweeps(self.jobs, config_of=lambda slug: QuadraticConfig)

    def end(self) -> None:
        self.sweeps.shutdown()
        self.jobs.shutdown()

    def start(self, made: Plan) -> Sweep:
        return self.sweeps.start("quadratic", made, "me")


@pytest.fixture
def process(tmp_path: Path):
    process = Process(tmp_path)
    yield process
    process.end()


def small(axes: str = "0.01, 0.02, 0.03", **base) -> Plan:
    return plan(QuadraticConfig(**({"steps": 120, "seeds": 3} | base)), [("learning_rate", axes)])


def ended(sweep: Sweep) -> Callable[[], bool]:
    return lambda: sweep.state is State.FINISHED


def test_every_cell_is_trained_and_its_run_can_be_opened(process: Process) -> None:
    sweep = process.start(small())
    wait(ended(sweep))
    assert set(sweep.results) == {0, 1, 2}
    for index, config in enumerate(sweep.cells):
        job = process.jobs.get(sweep.cell_id(index))
        assert job is not None and job.state is State.FINISHED and job.config == config
        losses = alone(120, seeds=3, learning_rate=config.learning_rate)
        finals = sweep.results[index].final_by_seed
        assert len(finals) == 3 and finals[0] == pytest.approx(float(np.mean(losses[-100:])), rel=0.9)
    assert process.jobs.runs_of("me", "quadratic", 9) == []
    assert len(process.jobs.runs_of("me", "quadratic", 9, cells=True)) == 3


def test_a_cell_that_fails_or_diverges_is_a_result_too(process: Process) -> None:
    sweep = process.start(plan(QuadraticConfig(steps=60), [("fail_at", "-1, 30, -2"), ("learning_rate", "0.01, 1e9")]))
    wait(ended(sweep))
    states = [sweep.results[i].state for i in range(6)]
    assert states[:3] == ["finished", "failed", "failed"]
    assert states[3] == "diverged"


def test_pause_holds_it_and_resume_goes_on(process: Process) -> None:
    sweep = process.start(small(nap=0.002, steps=200))
    wait(lambda: len(sweep.results) == 1)
    process.sweeps.pause(sweep.id)
    assert sweep.state is State.PAUSED
    wait(lambda: all(job.state is State.PAUSED and not job.busy for job in sweep.under_way.values()))
    steps = {i: job.step for i, job in sweep.under_way.items()}
    seconds = sweep.seconds
    process.jobs.get("nobody")
    assert {i: job.step for i, job in sweep.under_way.items()} == steps
    process.sweeps.resume(sweep.id)
    wait(ended(sweep))
    assert sweep.seconds > seconds
    assert {result.state for result in sweep.results.values()} == {"finished"}


def test_stop_keeps_what_there_is(process: Process) -> None:
    sweep = process.start(small(nap=0.005, steps=500))
    wait(lambda: any(job.step > 0 for job in sweep.under_way.values()))
    process.sweeps.stop(sweep.id)
    wait(lambda: not sweep.under_way)
    assert sweep.state is State.STOPPED
    assert {result.state for result in sweep.results.values()} == {"stopped"}
    assert any(result.final_by_seed for result in sweep.results.values())
    assert len(sweep.results) <= KnownJobs.cells_at_once
    process.sweeps.resume(sweep.id)
    assert sweep.state is State.STOPPED


def test_after_a_restart_it_waits_and_then_finishes_what_is_missing(tmp_path: Path) -> None:
    first = Process(tmp_path)
    sweep = first.start(small("0.01, 0.02, 0.03, 0.04", nap=0.002, steps=150))
    wait(lambda: len(sweep.results) >= 1 and any(job.step > 0 for job in sweep.under_way.values()))
    done = dict(sweep.results)
    first.end()
    second = Process(tmp_path)
    again = second.sweeps.get(sweep.id)
    assert again is not None and again.state is State.PAUSED
    assert "restarted" in again.message
    assert again.plan == sweep.plan
    assert {i: again.results[i] for i in done} == done
    second.sweeps.resume(again.id)
    wait(ended(again))
    whole = Process(tmp_path / "other")
    undisturbed = whole.start(small("0.01, 0.02, 0.03, 0.04", steps=150))
    wait(ended(undisturbed))
    for index in range(4):
        assert again.results[index].final_by_seed == pytest.approx(undisturbed.results[index].final_by_seed, rel=1e-5)
    second.end(), whole.end()


def test_at_most_two_cells_are_under_way_of_all_sweeps_together(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, begun, beside = process.jobs.start, [], []

    def counted(*args: Any, **kwargs: Any) -> Any:
        beside.append(sum(job.active for job in begun))
        begun.append(begin(*args, **kwargs))
        return begun[-1]

    monkeypatch.setattr(process.jobs, "start", counted)
    sweeps = [process.start(small(nap=0.001, steps=60)) for _ in range(3)]
    for sweep in sweeps:
        wait(ended(sweep))
    assert len(begun) == sum(len(sweep.cells) for sweep in sweeps)
    assert 1 <= max(beside) <= KnownJobs.cells_at_once - 1


def test_a_run_beside_a_sweep_has_its_turns(process: Process) -> None:
    sweep = process.start(small(nap=0.01, steps=2000))
    wait(lambda: any(job.step > 0 for job in sweep.under_way.values()))
    job = process.jobs.start("quadratic", QuadraticConfig(steps=50), "you")
    wait(lambda: job.state is State.FINISHED, seconds=5)
    assert sweep.state is State.RUNNING
    process.sweeps.stop(sweep.id)


def test_the_latest_are_listed_and_an_unknown_one_is_none(process: Process) -> None:
    ids = [process.start(small(steps=3)).id for _ in range(2)]
    assert [record.id for record in process.sweeps.latest("me", "quadratic")] == ids[::-1]
    assert process.sweeps.latest("you", "quadratic") == []
    assert process.sweeps.get("nobody") is None
    process.sweeps.pause("nobody")


def test_a_sweep_whose_last_cells_end_while_it_is_paused_finishes_when_it_goes_on(process: Process) -> None:
    sweep = process.start(small(nap=0.002, steps=60))
    wait(lambda: len(sweep.results) + len(sweep.under_way) == 3)
    sweep.state = State.PAUSED  # its cells run on to their end, as those in their last chunk do
    wait(lambda: len(sweep.results) == 3)
    assert sweep.state is State.PAUSED
    process.sweeps.resume(sweep.id)
    wait(ended(sweep))


def test_the_sweeps_of_all_visitors_have_their_turns(process: Process) -> None:
    made = small(",".join(f"0.{n:03d}" for n in range(10, 22)), steps=3, nap=0.005)
    sweeps = [process.sweeps.start("quadratic", made, visitor) for visitor in ("a", "a", "b", "c")]
    wait(lambda: any(ended(sweep)() for sweep in sweeps))
    assert all(len(sweep.results) >= 4 for sweep in sweeps[2:]), [len(sweep.results) for sweep in sweeps]


def test_what_goes_wrong_with_one_sweep_ends_no_other(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    real = process.jobs.start

    def start(slug: str, config: QuadraticConfig, visitor: str, **options):
        if visitor == "unlucky":
            raise OSError("disk full")
        return real(slug, config, visitor, **options)

    monkeypatch.setattr(process.jobs, "start", start)
    unlucky = process.sweeps.start("quadratic", small(), "unlucky")
    other = process.start(small())
    wait(ended(other))
    assert unlucky.state is State.FAILED
    assert unlucky.message == "OSError: disk full"
    saved = process.jobs.store.load_sweep(unlucky.id)
    assert saved is not None and saved.state == "failed"


def test_a_worker_that_is_away_holds_up_no_page_and_ends_no_sweep(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, asked, answers = (threading.Event() for _ in range(3))

    def perhaps_away(command: Callable[..., Any]) -> Callable[..., Any]:
        def tell(*args: Any, **options: Any) -> Any:
            if away.is_set():
                asked.set()
                assert answers.wait(10)
                raise WorkerGoneError("No training process can be reached just now.")
            return command(*args, **options)

        return tell

    for name in ("start", "pause", "resume"):
        monkeypatch.setattr(process.jobs, name, perhaps_away(getattr(process.jobs, name)))
    away.set()
    sweep = process.start(small("0.01, 0.02", nap=0.001, steps=300))
    assert asked.wait(10)
    for held, command in ((True, process.sweeps.pause), (False, process.sweeps.resume)):
        command(sweep.id)
        assert process.sweeps.get(sweep.id) is sweep and (sweep.state is State.PAUSED) == held
    away.clear(), answers.set()
    wait(lambda: any(job.step > 0 for job in sweep.under_way.values()))
    away.set(), asked.clear(), answers.clear()
    process.sweeps.pause(sweep.id)
    assert asked.wait(10) and sweep.state is State.PAUSED
    away.clear(), answers.set()
    wait(lambda: all(job.state is State.PAUSED and not job.busy for job in sweep.under_way.values()))
    process.sweeps.resume(sweep.id)
    wait(ended(sweep))
    assert {result.state for result in sweep.results.values()} == {"finished"}


def test_stop_after_a_restart_keeps_what_the_cells_under_way_have_learned(tmp_path: Path) -> None:
    first = Process(tmp_path)
    sweep = first.start(small(nap=0.002, steps=2000))
    wait(lambda: any(job.step > 0 for job in sweep.under_way.values()))
    first.end()
    second = Process(tmp_path)
    again = second.sweeps.get(sweep.id)
    assert again is not None and again.under_way
    second.sweeps.stop(sweep.id)
    wait(lambda: not again.under_way)
    assert {result.state for result in again.results.values()} == {"stopped"}
    assert any(result.final_by_seed for result in again.results.values())
    wait(lambda: second.jobs.store.unfinished() == [])
    second.end()


def test_two_servers_see_a_sweep_and_only_one_begins_its_cells(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path)
    sweep = first.start(small("0.01, 0.02, 0.03, 0.04", nap=0.002, steps=600))
    seen = second.sweeps.get(sweep.id)
    assert seen is not None and seen.owner == first.jobs.owner
    wait(lambda: len(seen.results) >= 1)
    assert seen.state is State.RUNNING and second.jobs.sweeps == {}
    second.sweeps.pause(seen.id)  # its visitor is on this server now
    wait(lambda: sweep.state is State.PAUSED)
    assert sweep.owner == seen.owner == second.jobs.owner and first.jobs.sweeps == {}
    second.end()
    wait(lambda: "restarted" in sweep.message and sweep.owner == first.jobs.owner)
    first.sweeps.resume(sweep.id)
    wait(ended(sweep))
    assert [result.state for _, result in sorted(sweep.results.items())] == ["finished"] * 4
    first.end()
