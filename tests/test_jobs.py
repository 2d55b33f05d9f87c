"""Background jobs with a real, small engine: races, pace, failures, restarts."""

import os
import pickle
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.clearing import Clearing
from lib.fleet import Link
from lib.job import ACTIVE, Job, State
from lib.jobs import Jobs
from lib.known_jobs import KEPT_IN_MEMORY, KnownJobs
from lib.records import RunRecord
from lib.remote_job import RemoteJob
from lib.remote_jobs import RemoteJobs
from lib.settings import SettingError
from lib.store import Store
from lib.stream import MetricStream
from lib.worker import Worker, answer
from lib.worker_process import LocalFleet, Setup, new_key
from tests.quadratic import Carry, Engine, QuadraticConfig, build, config_of


def make(folder: Path, workers: int = 1) -> Jobs:
    return Jobs(Store(folder), workers, build=build, config_of=config_of)


def fleet_of(folder: Path, begin: str = "") -> LocalFleet:
    """A process that trains; `begin` is what of tests/quadratic.py it calls first."""
    begin = begin and f"tests.quadratic.{begin}"
    quadratic = ("tests.quadratic.build", "tests.quadratic.config_of")
    return LocalFleet(Setup(new_key(), folder, *quadratic, Clearing(), workers=1, begin=begin))


def begin_workers(folder: Path) -> RemoteJobs:
    """Jobs in a process of their own."""
    return RemoteJobs(folder, fleet_of(folder), config_of=config_of)


BACKENDS: dict[str, Callable[[Path], KnownJobs]] = {"threads": make, "process": begin_workers}


@pytest.fixture(scope="module", params=list(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnownJobs]:
    """Every kind of jobs has to pass all tests that take `jobs`."""
    jobs = BACKENDS[request.param](tmp_path_factory.mktemp("home"))
    yield jobs
    jobs.shutdown()


@pytest.fixture
def jobs(backend: KnownJobs) -> Iterator[KnownJobs]:
    yield backend
    for record in backend.store.unfinished():
        backend.stop(record.id)
    wait(lambda: not backend.store.unfinished())


def wait(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


def start(jobs: KnownJobs, **settings) -> Job:
    options = {name: settings.pop(name) for name in ("paused", "speed") if name in settings}
    return jobs.start("quadratic", QuadraticConfig(**settings), "me", **options)


def alone(steps: int, **settings) -> np.ndarray:
    """The losses of an undisturbed run, straight from the engine."""
    config = QuadraticConfig(steps=max(steps, 1), **settings)
    engine, losses = Engine(config), [np.zeros(0, np.float32)]
    carry = engine.initial()
    while carry.step < steps:
        carry, metrics = engine.run(carry, 10, {"learning_rate": config.learning_rate})
        losses.append(metrics["loss"][:, 0])
    return np.concatenate(losses)


def assert_undisturbed(job: Job, steps: int) -> None:
    """Its curve is that of a run alone: of many steps the same points are left out."""
    expected = MetricStream()
    if steps:
        expected.record(0, {"loss": alone(steps)[:, None]})
    for points, those in zip(job.stream.curve("loss"), expected.curve("loss"), strict=True):
        np.testing.assert_array_equal(points, those)


def test_a_run_gives_the_engines_numbers(jobs: KnownJobs) -> None:
    job = start(jobs)
    wait(lambda: not job.active)
    assert (job.state, job.step, job.epoch, job.epochs, job.device) == (State.FINISHED, 200, 4, 4, "NumPy")
    assert_undisturbed(job, 200)
    assert job.snapshot is not None
    assert job.steps_per_second is not None
    assert job.time_left is None


@pytest.mark.parametrize("seed", range(2))
def test_no_race_of_commands_loses_or_repeats_a_step(jobs: KnownJobs, seed: int) -> None:
    steps = 3000
    job = start(jobs, steps=steps, nap=0.0001)
    rng = random.Random(seed)
    commands: list[Callable[[], None]] = [
        lambda: jobs.pause(job.id),
        lambda: jobs.resume(job.id),
        lambda: jobs.step(job.id),
        lambda: jobs.set_speed(job.id, rng.choice([None, None, 0, 50, 5000, "ramp"])),
        lambda: jobs.set_live(job.id, learning_rate=0.01),
        lambda: None if jobs.get(job.id) is job else pytest.fail("another job"),
    ]

    def disturb() -> None:
        for _ in range(60):
            rng.choice(commands)()
            time.sleep(rng.random() * 0.004)

    threads = [threading.Thread(target=disturb) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert job.state in (*ACTIVE, State.FINISHED), job.error
    jobs.set_speed(job.id, None)
    jobs.resume(job.id)
    wait(lambda: not job.active)
    assert job.state is State.FINISHED, job.error
    assert_undisturbed(job, steps)


@pytest.mark.parametrize("seed", range(2))
def test_stop_and_rewind_in_a_race_leave_whole_runs(jobs: KnownJobs, seed: int) -> None:
    rng, found = random.Random(seed), [start(jobs, steps=2000, nap=0.0002)]
    for _ in range(8):
        time.sleep(rng.random() * 0.02)
        threads = [threading.Thread(target=jobs.stop, args=(found[-1].id,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        rewound = jobs.rewind(found[-1].id)
        assert rewound is not None
        for thread in threads:
            thread.join()
        found.append(rewound)
        jobs.resume(rewound.id)
    wait(lambda: not found[-1].active)
    wait(lambda: not any(job.busy or job.waiting for job in found))
    assert [str(job.state) for job in found] == ["stopped"] * 8 + ["finished"]
    for job in found:
        assert_undisturbed(job, job.step)


def test_step_is_exactly_one_step(jobs: KnownJobs) -> None:
    job = start(jobs, paused=True)
    wait(lambda: job.state is State.PAUSED and job.snapshot is not None)
    for count in range(1, 6):
        jobs.step(job.id)
        wait(lambda count=count: job.step == count)
    time.sleep(0.1)
    assert (job.step, job.state) == (5, State.PAUSED)
    assert_undisturbed(job, 5)


def test_pause_holds_and_resume_goes_on(jobs: KnownJobs) -> None:
    job = start(jobs, steps=10**8)
    wait(lambda: job.step > 100)
    jobs.pause(job.id)
    wait(lambda: not job.busy, seconds=2)
    held = job.step
    time.sleep(0.15)
    assert (job.step, job.state) == (held, State.PAUSED)
    assert job.steps_per_second is not None
    jobs.resume(job.id)
    wait(lambda: job.step > held)


def test_a_pause_is_shown_when_it_is_written(tmp_path: Path) -> None:
    """Or else a process that is killed then would take back a step that somebody has seen it rest at."""
    jobs = make(tmp_path)
    job = start(jobs, steps=10**8)
    wait(lambda: job.step > 100)
    for number in range(20):
        if number % 2 == 0:  # or else it pauses by itself, after 50 steps
            jobs.pause(job.id)
        wait(lambda: job.state is State.PAUSED)
        stored = jobs.store.load(job.id)
        assert stored is not None and (stored.state, stored.step) == ("paused", job.step)
        assert int(jobs.store.arrays(job.id)["carry:step"]) == job.step
        jobs.resume(job.id, until=None if number % 2 else job.step + 50)
    jobs.shutdown()


def test_a_job_that_is_paced_does_what_is_due(jobs: KnownJobs) -> None:
    job = start(jobs, steps=10**8, speed=50)
    wait(lambda: job.step > 0)
    first, began = job.step, time.monotonic()
    time.sleep(1.5)
    rate = (job.step - first) / (time.monotonic() - began)
    assert 25 < rate < 75
    jobs.set_speed(job.id, 0)
    assert job.state is State.PAUSED
    wait(lambda: not job.busy)
    held = job.step
    jobs.step(job.id)
    wait(lambda: job.step == held + 1)


def test_a_ramp_starts_slowly_and_gets_faster(jobs: KnownJobs) -> None:
    job = start(jobs, steps=10**8, speed="ramp")
    wait(lambda: job.step > 0)
    began = job.step
    time.sleep(1)
    first = job.step - began
    time.sleep(1)
    assert 10 < first < 200
    assert job.step - began - first > 1.3 * first


def test_live_settings_take_effect_are_checked_and_recorded(jobs: KnownJobs) -> None:
    job = start(jobs, paused=True)
    wait(lambda: job.state is State.PAUSED)
    jobs.step(job.id)
    wait(lambda: job.step == 1)
    jobs.set_live(job.id, learning_rate=0.5)
    with pytest.raises(SettingError, match="learning_rate = -1"):
        jobs.set_live(job.id, learning_rate=-1)
    with pytest.raises(ValueError, match="seeds is not a live setting"):
        jobs.set_live(job.id, seeds=3)
    assert job.changes == []
    jobs.set_live(job.id, learning_rate=0.25)
    jobs.resume(job.id)
    wait(lambda: not job.active)
    assert job.changes == [[1, "learning_rate", 0.25]], "noted where it was first used"
    assert not np.array_equal(job.stream.curve("loss")[1], alone(200))
    jobs.set_live(job.id, learning_rate=0.1)
    assert job.live["learning_rate"] == 0.25, "a run that has ended does not change"


def test_the_noted_changes_replay_the_run(jobs: KnownJobs) -> None:
    """Trained again alone, with each value from its noted step on, the losses are the same bit for bit."""
    job = start(jobs, steps=3000, nap=0.0005)
    for rate in (0.02, 0.05, 0.03):
        here = job.step
        wait(lambda here=here: job.step > here + 200)
        jobs.set_live(job.id, learning_rate=rate)
    wait(lambda: len(job.changes) == 3)
    jobs.pause(job.id)
    wait(lambda: job.state is State.PAUSED and not job.busy)
    engine, live, losses = Engine(job.config), {"learning_rate": 0.01, "clip_norm": 0.0}, []
    carry = engine.initial()
    changes = {step: (name, value) for step, name, value in job.changes}
    while carry.step < job.step:
        name, value = changes.get(carry.step, ("clip_norm", 0.0))
        carry, metrics = engine.run(carry, 1, live | {name: value})
        live[name] = value
        losses.append(metrics["loss"][0, 0])
    np.testing.assert_array_equal(job.stream.curve("loss")[1], losses)


def test_divergence_keeps_the_last_finite_state(jobs: KnownJobs) -> None:
    job = start(jobs, steps=10_000, learning_rate=10.0)
    wait(lambda: not job.active)
    wait(lambda: not job.busy and not job.waiting)
    _, values = job.stream.curve("loss")
    assert job.state is State.DIVERGED
    assert job.message.startswith(f"Diverged at step {job.step}")
    assert len(values) == job.step > 10
    assert np.isfinite(values).all()
    weights = job.weights()
    assert weights is not None
    assert np.isfinite(weights["weights"]).all()
    assert int(weights["step"]) == job.step
    jobs.resume(job.id)
    assert job.state is State.DIVERGED


@pytest.mark.parametrize(
    ("fail_at", "text"), [(-2, "no such shapes"), (0, "the data is gone"), (120, "the data is gone")]
)
def test_a_failure_says_why_keeps_what_was_measured_and_harms_no_other(
    jobs: KnownJobs, fail_at: int, text: str
) -> None:
    other = start(jobs, steps=2000, nap=0.0002)
    job = start(jobs, fail_at=fail_at)
    wait(lambda: not job.active)
    assert (job.state, job.message) == (State.FAILED, f"RuntimeError: {text}")
    assert "Traceback" in job.error
    wait(lambda: not other.active)
    assert_undisturbed(other, 2000)
    if fail_at > 0:
        assert 0 < job.step <= fail_at
        assert_undisturbed(job, job.step)


def test_a_run_that_cannot_be_written_ends_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = make(tmp_path)
    save = jobs.store.save

    def full(record: RunRecord, arrays: object = None) -> None:
        if record.id == "first":
            raise OSError(28, "No space left on device")
        save(record, arrays)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs.store, "save", lambda record, arrays=None: None)
    first = jobs.start("quadratic", QuadraticConfig(steps=100), "me", run_id="first")
    monkeypatch.setattr(jobs.store, "save", full)
    wait(lambda: not first.active and not first.busy)
    second = jobs.start("quadratic", QuadraticConfig(steps=100), "me")
    wait(lambda: second.state is State.FINISHED)
    jobs.shutdown()


def test_a_run_held_at_its_end_is_finished(jobs: KnownJobs) -> None:
    job = jobs.start("quadratic", QuadraticConfig(steps=100), "me", paused=True)
    jobs.resume(job.id, until=100)
    wait(lambda: job.state is State.FINISHED)


def test_ten_jobs_share_one_worker_fairly(jobs: KnownJobs) -> None:
    found = [start(jobs, steps=10**8) for _ in range(10)]
    wait(lambda: all(job.step > 0 for job in found))
    before = [job.step for job in found]
    time.sleep(2)
    gained = [job.step - old for job, old in zip(found, before, strict=True)]
    assert min(gained) > 0
    assert max(gained) < 6 * min(gained)


def test_commands_to_a_run_that_has_ended_or_is_not_there_do_nothing(jobs: KnownJobs) -> None:
    job = start(jobs)
    wait(lambda: not job.active)
    wait(lambda: not job.busy and not job.waiting)
    before = (job.state, job.step, job.version)
    for run_id in (job.id, "nobody"):
        jobs.pause(run_id), jobs.resume(run_id), jobs.step(run_id), jobs.stop(run_id), jobs.set_speed(run_id, 3)
        jobs.set_live(run_id, learning_rate=1.0)
    assert (job.state, job.step, job.version) == before
    assert jobs.rewind("nobody") is None


def test_rewind_keeps_the_run_and_begins_the_same_one_anew(jobs: KnownJobs) -> None:
    job = start(jobs)
    wait(lambda: not job.active)
    again = jobs.rewind(job.id)
    assert again is not None
    wait(lambda: again.state is State.PAUSED)
    assert (again.step, job.step, job.state) == (0, 200, State.FINISHED)
    jobs.resume(again.id)
    wait(lambda: not again.active)
    np.testing.assert_array_equal(again.stream.curve("loss")[1], job.stream.curve("loss")[1])


@pytest.mark.parametrize("kind", BACKENDS)
def test_a_run_survives_a_restart_and_gives_the_same_numbers(tmp_path: Path, kind: str) -> None:
    first = BACKENDS[kind](tmp_path)
    job = start(first, steps=3000, nap=0.0002)
    wait(lambda: job.step > 500)
    first.shutdown()
    second = BACKENDS[kind](tmp_path)
    again = second.get(job.id)
    assert again is not None
    assert again.state is State.PAUSED
    assert job.step <= again.step < 3000
    assert again.message == f"The server was restarted at step {again.step:,}. Resume goes on from there."
    assert [record.id for record in second.runs_of("me", "quadratic", 5)] == [job.id]
    second.resume(job.id)
    wait(lambda: not again.active)
    assert_undisturbed(again, 3000)
    second.shutdown()


def test_no_turn_waits_while_a_run_is_read_and_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(tmp_path)
    run_id = start(first, paused=True).id
    first.shutdown()
    jobs, asked = make(tmp_path), set()

    def is_free() -> bool:
        free = jobs.changed.acquire(blocking=False)
        if free:
            jobs.changed.release()
        return free

    def watched(name: str) -> Callable[..., Any]:
        ask = getattr(jobs.store, name)

        def watch(*arguments: Any) -> Any:
            asked.add(name)
            with ThreadPoolExecutor(1) as another:
                assert another.submit(is_free).result(), name
            return ask(*arguments)

        return watch

    for name in ("load", "arrays", "take"):
        monkeypatch.setattr(jobs.store, name, watched(name))
    jobs.resume(run_id)
    job = jobs.get(run_id)
    assert job is not None and asked == {"load", "arrays", "take"}
    wait(lambda: not job.active)
    assert_undisturbed(job, 200)
    jobs.shutdown()


def copy(folder: Path, new: Path) -> None:
    """Copy a folder, from the beginning where a file has been renamed meanwhile."""
    while True:
        try:
            shutil.copytree(folder, new)
            return
        except shutil.Error:
            shutil.rmtree(new)


def test_after_a_crash_curve_and_state_agree(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("lib.trainer.SAVE_EVERY", 0.05)
    jobs = make(tmp_path / "one")
    job = start(jobs, steps=4000, nap=0.0002)
    wait(lambda: job.step > 800)
    copy(tmp_path / "one", tmp_path / "two")  # what a power cut leaves
    jobs.shutdown()
    after = make(tmp_path / "two")
    again = after.get(job.id)
    assert again is not None
    assert 0 < again.step <= job.step
    assert_undisturbed(again, again.step)
    after.resume(job.id)
    wait(lambda: not again.active)
    assert_undisturbed(again, 4000)
    after.shutdown()


def test_ended_jobs_are_dropped_from_memory_but_not_lost(jobs: KnownJobs) -> None:
    processes = len(jobs._followers) if isinstance(jobs, RemoteJobs) else 1  # each keeps some
    found = [start(jobs, steps=20).id for _ in range(KEPT_IN_MEMORY * processes + 10)]
    wait(lambda: all(record.state == "finished" for record in jobs.runs_of("me", "quadratic", len(found))))
    wait(lambda: len(jobs._jobs) <= KEPT_IN_MEMORY * processes + 1)
    first = jobs.get(found[0])
    assert first is not None
    assert first.engine is None
    assert_undisturbed(first, 20)
    other = next(run_id for run_id in found if run_id not in jobs._jobs)
    steps, values = jobs.curve(other, "loss")
    np.testing.assert_array_equal(steps, np.arange(20))
    np.testing.assert_array_equal(values, alone(20))
    assert other not in jobs._jobs, "its network was not read for that"
    assert len(jobs.curve(other, "accuracy")[0]) == len(jobs.curve("nobody", "loss")[0]) == 0


def test_shutdown_does_not_wait_for_the_end_of_runs(tmp_path: Path) -> None:
    jobs = make(tmp_path, workers=2)
    for _ in range(4):
        start(jobs, steps=10**8)
    time.sleep(0.3)
    began = time.monotonic()
    jobs.shutdown()
    assert time.monotonic() - began < 5


def test_shutdown_waits_for_no_long_step_and_no_compilation_and_keeps_what_went_before(tmp_path: Path) -> None:
    released, blocked = threading.Event(), threading.Event()

    class Long(Engine):
        def prepare(self) -> None:
            if self.config.seeds == 2:
                released.wait(120)

        def run(self, carry: Carry, steps: int, live: dict[str, float]) -> tuple[Carry, dict[str, np.ndarray]]:
            if carry.step >= 100:
                blocked.set()
                released.wait(120)
            return super().run(carry, min(steps, 10), live)

    jobs = make(tmp_path)
    jobs._build = lambda slug, config: Long(config)
    others = [start(jobs, steps=10**6, paused=True) for _ in range(48)]
    wait(lambda: all(job.state is State.PAUSED for job in others))
    job, compiles = start(jobs, steps=300), start(jobs, seeds=2)
    wait(lambda: blocked.is_set() and compiles.state is State.COMPILING)
    held = job.step
    write, before = jobs._trainer.save_quietly, set()

    def noted(each: Job) -> bool:
        before.update([] if jobs._trainer.gone else [each])
        return write(each)

    jobs._trainer.save_quietly = noted  # type: ignore[method-assign]
    began = time.monotonic()
    jobs.shutdown()
    assert time.monotonic() - began < 5
    assert before == set(others), "what rests is written before anything is waited for"
    released.set()  # too late: this is written nowhere
    wait(lambda: not any(thread.is_alive() for thread in jobs._threads))
    assert job.step == held > 0
    again = make(tmp_path)
    records = again.runs_of("me", None, 99)
    assert len(records) == 50 and {record.state for record in records} == {"paused"}
    left = again.get(job.id)
    assert left is not None
    assert left.message == f"The server was restarted at step {held}. Resume goes on from there."
    again.resume(job.id)
    wait(lambda: not left.active)
    assert_undisturbed(left, 300)
    again.shutdown()


def test_stop_ends_the_run_at_the_step_that_it_names(jobs: KnownJobs) -> None:
    for options in ({}, {"paused": True}, {"nap": 0.01}):
        job = start(jobs, steps=10**6, **options)
        wait(lambda job=job: job.state in (State.RUNNING, State.PAUSED))
        jobs.stop(job.id)
        wait(lambda job=job: not job.active)
        assert (job.state, job.message) == (State.STOPPED, f"Stopped at step {job.step:,}.")
        record = jobs.store.load(job.id)
        assert record is not None and (record.state, record.step) == ("stopped", job.step)
        assert_undisturbed(job, job.step)


def test_with_several_seeds_there_is_a_band(jobs: KnownJobs) -> None:
    job = start(jobs, seeds=8)
    wait(lambda: not job.active)
    low, middle, high = (job.stream.curve(name)[1] for name in ("loss_low", "loss", "loss_high"))
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert (low < high).any()


def test_a_worker_that_is_killed_costs_nothing_after_its_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: set[tuple[str, State]] = set()
    take = RemoteJob.take

    def noted(job: RemoteJob, news: Any) -> None:
        take(job, news)
        told.add((job.id, job.state))

    monkeypatch.setattr(RemoteJob, "take", noted)
    fleet = fleet_of(tmp_path, "write_often_and_take_slowly")
    jobs = RemoteJobs(tmp_path, fleet, config_of=config_of)
    found = [start(jobs, steps=1500, nap=0.001, speed=speed) for speed in (None, 1000.0, "ramp")]
    rests = start(jobs, paused=True)
    wait(lambda: all(job.step > 100 for job in found) and rests.state is State.PAUSED)
    (worker,) = fleet.links()
    os.kill(worker.pid, signal.SIGKILL)
    jobs.set_speed(found[0].id, None)  # whoever presses a button just now waits a moment
    late = start(jobs)
    wait(lambda: all(job.message.startswith("What trained it went away at step") for job in found))
    assert [job.pace.speed for job in found] == [None, 1000.0, "ramp"]
    wait(lambda: all(job.state is State.FINISHED for job in found))
    for job in found:
        assert_undisturbed(job, 1500)
        assert (job.id, State.PAUSED) not in told, "a page would offer to resume it"
    assert rests.state is State.PAUSED
    wait(lambda: late.state is State.FINISHED)
    jobs.resume(rests.id)
    wait(lambda: rests.state is State.FINISHED)
    jobs.shutdown()


def test_what_a_page_has_computed_comes_back_and_so_does_what_it_raises(jobs: KnownJobs) -> None:
    assert jobs.compute(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        jobs.compute(divmod, 7, 0)


class Direct:
    """The way to a worker of this process, with what it says it has."""

    def __init__(self, folder: Path, cores: float, gpus: float) -> None:
        self.name, self.cores, self.gpus = "here", cores, gpus
        self._worker = Worker(Jobs(folder, 1, build=build, config_of=config_of, alone=False))

    def call(self, name: str, *arguments: Any, **named: Any) -> Any:
        good, result = pickle.loads(answer(lambda: self._worker, name, arguments, named))
        if not good:
            raise result
        return result


class Directs:
    """A fleet of them."""

    outlives = False

    def __init__(self, links: list[Direct]) -> None:
        self._links = links

    def links(self) -> list[Link]:
        return list(self._links)

    def close(self) -> None:
        for link in self._links:
            link.call("shutdown")


def test_a_run_goes_where_there_is_what_it_asks_for_and_fewest_of_its_person(tmp_path: Path) -> None:
    links = [Direct(tmp_path, 1, 0), Direct(tmp_path, 3, 0), Direct(tmp_path, 8, 1)]
    owners = [link.call("owner") for link in links]
    jobs = RemoteJobs(tmp_path, Directs(links), config_of=config_of)
    mine = [owners.index(start(jobs, steps=10**6, paused=True).owner) for _ in range(4)]
    assert sorted(mine) == [0, 1, 1, 1], "by cores"
    assert owners.index(start(jobs, seeds=5, steps=10**6, paused=True).owner) == 2
    yours = jobs.start("quadratic", QuadraticConfig(steps=10**6), "you", paused=True)
    assert owners.index(yours.owner) in (0, 1)
    jobs.shutdown()


def test_with_a_full_disk_what_a_worker_has_in_memory_is_seen(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, "fill_the_disk")
    jobs = RemoteJobs(tmp_path, fleet, config_of=config_of)
    address = Path(fleet._worker._address)
    assert address.is_socket()
    found = [start(jobs, steps=20).id for _ in range(KEPT_IN_MEMORY + 5)]
    wait(lambda: "disk with the data folder is full" in jobs.trouble)
    wait(lambda: [record.state for record in jobs.runs_of("me", "quadratic", 50)] == ["finished"] * len(found))
    wait(lambda: len(jobs._jobs) <= KEPT_IN_MEMORY + 1)
    for run_id in found:
        job = jobs.get(run_id)
        assert job is not None and job.state is State.FINISHED
        assert_undisturbed(job, 20)
    assert {record.id for record in jobs.runs_of("me", "quadratic", 50)} == set(found)
    jobs.shutdown()
    assert not address.parent.exists()
