"""The time machine and forks: what is kept is what was trained, in bounded memory, and what begins with it goes on from there."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos.echo.config import EchoConfig
from demos.echo.task import build
from lib.cells import CELLS
from lib.history import (
    FEWEST_NETWORKS,
    MOST_BYTES,
    MOST_NETWORKS,
    Arrays,
    History,
    Network,
    kept_count,
    kept_steps,
    leaves_of,
    network_of,
)
from lib.job import Job, State
from lib.jobs import Jobs
from lib.optimizers import OPTIMIZERS
from lib.settings import SettingError
from lib.store import Store
from lib.trace import trace
from tests import test_jobs
from tests.quadratic import QuadraticConfig
from tests.test_jobs import wait

SMALL = {"series_length": 300, "epochs": 30, "batch_size": 4, "truncated_backprop_length": 3}
BIG = {"series_length": 240_000, "epochs": 1000}  # an hour and more


def network(units: int = 3, value: float = 0.0) -> Network:
    cell = {"input_weights": (1, units), "recurrent_weights": (units, units), "bias": (units,)}
    output = {"weights": (units, 2), "bias": (2,)}
    return {
        part: {name: np.full(shape, value, np.float32) for name, shape in shapes.items()}
        for part, shapes in (("cell", cell), ("output", output))
    }


def assert_same(one: Network, other: Network) -> None:
    assert one.keys() == other.keys() == {"cell", "output"}
    for part, arrays in one.items():
        assert arrays.keys() == other[part].keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, other[part][name], err_msg=f"{part}.{name}")


# The steps


@pytest.mark.parametrize("count", [3, 8, 9, 63, 64])
@pytest.mark.parametrize("steps", [0, 1, 2, 7, 8, 63, 64, 65, 100, 999, 66_600, 10**6, 10**9])
def test_kept_steps_have_both_ends_and_are_no_more_than_allowed(steps: int, count: int) -> None:
    kept = kept_steps(steps, count)
    assert list(kept) == sorted(set(kept))
    assert (kept[0], kept[-1]) == (0, steps)
    assert min(steps + 1, count * 2 // 3) <= len(kept) <= count
    assert all(type(step) is int for step in kept)


@pytest.mark.parametrize("steps", [100, 999, 5000, 66_600, 10**6])
def test_early_steps_lie_densely_and_late_ones_have_no_long_gap(steps: int) -> None:
    kept = kept_steps(steps, 64)
    assert kept[:4] == (0, 1, 2, 3)
    for before, after in pairwise(kept[1:]):
        assert after - before <= max(1, 0.55 * before), "an early change falls between two"
        assert after - before <= steps / 20, "a late change falls between two"


@pytest.mark.parametrize("units", [1, 4, 64, 200, 300, 700])
def test_memory_is_bounded(units: int) -> None:
    kept = network(units)
    size = sum(array.nbytes for part in kept.values() for array in part.values())
    count = kept_count(kept)
    assert FEWEST_NETWORKS <= count <= MOST_NETWORKS
    assert count * size <= MOST_BYTES
    assert count == MOST_NETWORKS or (count + 1) * size > MOST_BYTES


# The networks


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_carry_has_its_network_of_each_seed(cell: str, optimizer: str) -> None:
    carry = build(EchoConfig(**(SMALL | {"cell": cell, "optimizer": optimizer, "seeds": 3, "state_size": 5}))).initial()
    for leaves in (carry.weights(), carry.to_arrays()):
        for seed in range(3):
            found = network_of(leaves, seed)
            assert found is not None
            assert_same(found, {part: {k: v[seed] for k, v in arrays.items()} for part, arrays in carry.params.items()})
    first = network_of(carry.weights())
    assert first is not None
    again = network_of(leaves_of(first))
    assert again is not None
    assert_same(first, again)


def test_a_network_of_another_form_is_none() -> None:
    rng, two_layers = np.random.default_rng(0), [(4,), (1, 4), (4, 4), (4,), (4, 4), (4, 4), (2,), (4, 2)]
    forms: list[list[tuple[int, ...]]] = [[], [(4,)], two_layers, [(4,), (1, 4), (4, 4), (3,), (4, 2)], [(4,)] * 5]
    for form in forms:
        leaves = {f"leaf_{i:03d}": rng.random((1, *shape)) for i, shape in enumerate(form)}
        assert network_of({"step": np.array(3), **leaves}) is None, form


def test_readers_cannot_change_what_is_kept() -> None:
    history = History((0, 5))
    found = network_of(leaves_of(network()))
    assert found is not None
    history.add(0, found)
    at = history.at(0)
    assert at is not None
    with pytest.raises(ValueError, match="read-only"):
        at[1]["cell"]["bias"][0] = 1.0
    at[1]["cell"]["bias"] = np.ones(3, np.float32)
    kept = history.at(0)
    assert kept is not None
    assert_same(kept[1], network())


def test_the_latest_at_or_before_a_step_and_the_next_one_due() -> None:
    history = History((0, 4, 9))
    assert history.at(100) is None
    assert history.steps() == ()
    for step in (4, 0):
        history.add(step, network(value=step))
    assert history.steps() == (0, 4)
    assert [found[0] if (found := history.at(step)) else None for step in (-1, 0, 3, 4, 8, 100)] == [
        None,
        0,
        0,
        4,
        4,
        4,
    ]
    assert [history.next_after(step) for step in (-1, 0, 3, 4, 9, 50)] == [0, 4, 4, 9, None, None]
    assert History().next_after(0) is None


@pytest.mark.parametrize("steps", [(), (0,), (0, 1, 7)])
def test_a_history_survives_the_store(tmp_path: Path, steps: tuple[int, ...]) -> None:
    history = History((0, 1, 7, 9)) if steps else History()
    for step in steps:
        history.add(step, network(value=step))
    np.savez(tmp_path / "run.npz", **history.to_arrays())
    with np.load(tmp_path / "run.npz", allow_pickle=False) as arrays:
        again = History.from_arrays(dict(arrays))
    assert (again.steps(), again.planned) == (history.steps(), history.planned)
    for step in steps:
        mine, theirs = history.at(step), again.at(step)
        assert mine is not None and theirs is not None
        assert_same(mine[1], theirs[1])


def test_many_readers_and_one_writer() -> None:
    history, faults = History(tuple(range(300))), []
    history.add(0, network(value=0))

    def read() -> None:
        while len(history.steps()) < 300:
            found = history.at(10**6)
            if found is None or any((array != found[0]).any() for p in found[1].values() for array in p.values()):
                faults.append(found)
            history.to_arrays()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for step in range(1, 300):
        history.add(step, network(value=step))
    for thread in threads:
        thread.join()
    assert faults == []


# Runs that keep them. One engine is real; the other, in NumPy, can be made to go wrong.


class QuadraticCarry(test_jobs.Carry):
    """The carry of tests.test_jobs as a network: each weight is the seed's one number."""

    def to_arrays(self) -> dict[str, np.ndarray]:
        shapes = [(1,), (1, 1), (1, 1), (2,), (1, 2)]
        leaves = [np.stack([np.full(shape, value) for value in self.values]) for shape in shapes]
        return super().to_arrays() | {f"leaf_{i:03d}": leaf for i, leaf in enumerate(leaves)}


class QuadraticEngine(test_jobs.Engine):
    def initial(self, start: Arrays | None = None) -> QuadraticCarry:
        step, values = super().initial()
        return QuadraticCarry(step, values if start is None else start["leaf_000"][0])

    def carry_from(self, arrays: dict[str, np.ndarray]) -> QuadraticCarry:
        return QuadraticCarry(*super().carry_from(arrays))

    def run(self, carry: Any, steps: int, live: dict[str, float]) -> tuple[Any, dict[str, np.ndarray]]:
        carry, metrics = super().run(carry, steps, live)
        return QuadraticCarry(*carry), metrics


BUILDERS: dict[str, tuple[Callable[[Any], Any], type]] = {
    "echo": (build, EchoConfig),
    "quadratic": (QuadraticEngine, QuadraticConfig),
}


def make(folder: Path) -> Jobs:
    return Jobs(
        Store(folder), 1, build=lambda slug, config: BUILDERS[slug][0](config), config_of=lambda slug: BUILDERS[slug][1]
    )


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    jobs = make(tmp_path / "jobs")
    yield jobs
    jobs.shutdown()


def echo(jobs: Jobs, **settings: Any) -> Job:
    options = {name: settings.pop(name) for name in ("paused", "speed", "sweep") if name in settings}
    return jobs.start("echo", EchoConfig(**(SMALL | settings)), "me", **options)


def quadratic(jobs: Jobs, **settings: Any) -> Job:
    options = {name: settings.pop(name) for name in ("paused", "speed", "sweep") if name in settings}
    return jobs.start("quadratic", QuadraticConfig(**settings), "me", **options)


def ended(job: Job) -> Job:
    wait(lambda: not (job.active or job.busy or job.waiting))
    return job


def kept(job: Job, step: int | None = None) -> Network:
    found = job.network(step)
    assert found is not None
    assert step is None or found[0] == step
    return found[1]


def trained(config: EchoConfig, step: int, start: Network | None = None) -> tuple[Network, np.ndarray]:
    """The network at a step, and the losses up to there, straight from the engine in calls as long as they can be."""
    engine = build(config)
    carry, losses = engine.initial(leaves_of(start) if start else None), [np.zeros((0, config.seeds), np.float32)]
    while carry.step < step:
        carry, metrics = engine.run(carry, step - carry.step)
        losses.append(metrics["loss"])
    found = network_of(carry.weights())
    assert found is not None
    return found, np.concatenate(losses)


@pytest.mark.parametrize("seeds", [1, 3])
def test_what_is_kept_at_a_step_is_the_network_of_a_run_that_stops_there(jobs: Jobs, seeds: int) -> None:
    job = ended(echo(jobs, seeds=seeds))
    assert job.state is State.FINISHED
    assert job.history.steps() == kept_steps(750, 64)
    for step in (*job.history.steps()[::4], 750):
        assert_same(kept(job, step), trained(job.config, step)[0])
    assert_same(kept(job), kept(job, 750))
    losses = np.median(trained(job.config, 750)[1], axis=1)
    np.testing.assert_array_equal(job.stream.curve("loss")[1], losses)


def test_speed_chunks_and_pauses_change_neither_steps_nor_networks(jobs: Jobs, monkeypatch) -> None:
    first = ended(echo(jobs))
    paced = ended(echo(jobs, speed=1500))
    monkeypatch.setattr("lib.pace.CHUNK_SECONDS", 0.0)
    monkeypatch.setattr("lib.pace.SHORTEST_CHUNK_SECONDS", 0.0)
    short = ended(echo(jobs))
    monkeypatch.undo()
    stepped = echo(jobs, paused=True)
    wait(lambda: stepped.state is State.PAUSED)
    for count in range(1, 12):
        jobs.step(stepped.id)
        wait(lambda count=count: stepped.step == count)
    jobs.resume(stepped.id)
    for job in (paced, short, ended(stepped)):
        assert job.history.steps() == first.history.steps()
        for step in first.history.steps():
            assert_same(kept(job, step), kept(first, step))
        np.testing.assert_array_equal(job.stream.curve("loss")[1], first.stream.curve("loss")[1])


def test_a_step_between_two_that_are_kept_has_the_one_before(jobs: Jobs) -> None:
    job = ended(echo(jobs))
    steps = job.history.steps()
    assert steps[-2] + 1 < steps[-1]
    found = job.network(steps[-1] - 1)
    assert found is not None
    assert found[0] == steps[-2]


def test_the_start_is_there_before_the_first_step_and_the_end_of_a_stopped_run(jobs: Jobs) -> None:
    job = echo(jobs, **BIG, paused=True)
    assert job.network(0) is None or job.state is State.PAUSED
    wait(lambda: job.state is State.PAUSED)
    assert_same(kept(job, 0), trained(job.config, 0)[0])
    assert_same(kept(job), kept(job, 0))
    jobs.resume(job.id)
    wait(lambda: job.step > 2000)
    jobs.stop(job.id)
    ended(job)
    assert job.step not in kept_steps(job.steps, 64)
    assert job.history.steps()[-1] == job.step
    assert len(job.history.steps()) <= 64
    assert_same(kept(job, job.step), kept(job))


def test_the_network_of_now_can_be_read_at_any_time(jobs: Jobs) -> None:
    job = echo(jobs, **BIG)
    wait(lambda: job.step > 0)
    faults: list[BaseException] = []
    reading = threading.Event()

    def read() -> None:
        before = 0
        try:
            while not reading.is_set():
                found = job.network()
                assert found is not None and found[0] >= before
                before = found[0]
                past = job.network(before)
                assert past is not None and past[0] <= before
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    jobs.stop(job.id)
    ended(job)
    reading.set()
    for thread in threads:
        thread.join()
    assert faults == []


def test_divergence_leaves_only_good_networks(jobs: Jobs) -> None:
    job = ended(quadratic(jobs, steps=10_000, learning_rate=10.0))
    assert job.state is State.DIVERGED
    assert job.history.steps()[-1] == job.step > 10
    for step in job.history.steps():
        assert np.isfinite(kept(job, step)["cell"]["bias"]).all()


def test_cells_of_a_sweep_keep_none(jobs: Jobs) -> None:
    job = ended(echo(jobs, sweep="a sweep"))
    assert job.history.steps() == ()
    assert job.network(750) is None
    assert_same(kept(job), trained(job.config, 750)[0])
    assert not any(name.startswith("history:") for name in job.arrays())


def test_a_network_of_another_form_trains_and_keeps_none(tmp_path: Path) -> None:
    jobs = test_jobs.make(tmp_path)
    job = ended(test_jobs.start(jobs))
    assert (job.state, job.history.steps(), job.network(), job.network(5)) == (State.FINISHED, (), None, None)
    with pytest.raises(ValueError, match="has no weights at step 5"):
        jobs.fork(job.id, 5, job.config, "me")
    jobs.shutdown()


def test_a_restart_keeps_the_history_and_it_goes_on_as_planned(tmp_path: Path) -> None:
    first = make(tmp_path)
    job = echo(first, speed=1000)
    wait(lambda: job.step > 300)
    first.shutdown()
    second = make(tmp_path)
    again = second.get(job.id)
    assert again is not None
    assert again.history.steps() == job.history.steps()
    assert_same(kept(again), kept(job))
    second.resume(job.id)
    ended(again)
    assert again.history.steps() == kept_steps(750, 64)
    for step in again.history.steps():
        assert_same(kept(again, step), trained(again.config, step)[0])
    second.shutdown()
    third = make(tmp_path)
    last = third.get(job.id)
    assert last is not None
    assert last.history.steps() == kept_steps(750, 64)
    assert_same(kept(last), kept(again, 750))
    third.shutdown()


def test_a_run_of_an_earlier_version_goes_on_and_keeps_from_there(tmp_path: Path) -> None:
    first = make(tmp_path)
    job = echo(first, speed=1000)
    wait(lambda: job.step > 100)
    first.shutdown()
    old = {name: array for name, array in job.arrays().items() if not name.startswith("history:")}
    store = Store(tmp_path)
    store.save(replace(job.record(), origin=[]), old)
    store.close()
    second = make(tmp_path)
    again = second.get(job.id)
    assert again is not None
    assert (again.history.steps(), again.origin, again.start) == ((), None, None)
    assert again.network(5) is None
    second.resume(job.id)
    ended(again)
    assert again.history.steps() == (job.step, *(step for step in kept_steps(750, 64) if step > job.step))
    assert_same(kept(again), trained(again.config, 750)[0])
    second.shutdown()


# Forks


def first_loss(config: EchoConfig, start: Network) -> float:
    """The cross-entropy of a network on the run's first window, in NumPy."""
    block = build(config).task.block(0)
    inputs, targets = block["inputs"][0, :, 0], block["targets"][0, :, 0]
    logits = trace(config.cell, start, inputs[..., None].astype(np.float32))["logits"].astype(np.float64)
    right = np.take_along_axis(logits, targets[..., None].astype(int), axis=-1)[..., 0]
    return float((np.log(np.exp(logits).sum(axis=-1)) - right).mean())


@pytest.mark.parametrize("cell", CELLS)
def test_a_fork_begins_with_the_network_of_that_step(jobs: Jobs, cell: str) -> None:
    parent = ended(echo(jobs, cell=cell, initial_weights="glorot", seeds=2))
    config = EchoConfig(**(SMALL | {"cell": cell, "initial_weights": "glorot", "seed": 7, "learning_rate": 0.1}))
    at = parent.history.steps()[-2]
    fork = ended(jobs.fork(parent.id, at + 1, config, "you"))
    assert (fork.state, fork.visitor, fork.slug, fork.origin) == (State.FINISHED, "you", "echo", (parent.id, at))
    assert_same(kept(fork, 0), kept(parent, at))
    losses = fork.stream.curve("loss")[1]
    assert losses[0] == pytest.approx(first_loss(config, kept(parent, at)), abs=1e-5)
    np.testing.assert_array_equal(losses, trained(config, 750, kept(parent, at))[1][:, 0])
    assert np.abs(losses - parent.stream.curve("loss")[1]).max() > 0


def test_a_fork_at_step_0_with_the_same_settings_is_the_same_run(jobs: Jobs) -> None:
    parent = ended(echo(jobs))
    fork = ended(jobs.fork(parent.id, 0, parent.config, "me"))
    np.testing.assert_array_equal(fork.stream.curve("loss")[1], parent.stream.curve("loss")[1])
    assert_same(kept(fork), kept(parent))


def test_a_run_under_way_is_forked_as_it_is_now_and_goes_on(jobs: Jobs) -> None:
    parent = echo(jobs, **BIG)
    wait(lambda: parent.step > 1000)
    fork = jobs.fork(parent.id, None, parent.config, "me", paused=True)
    wait(lambda: fork.state is State.PAUSED)
    assert fork.origin is not None
    assert fork.origin[1] > 1000
    assert (fork.step, parent.state) == (0, State.RUNNING)
    assert_same(kept(fork), trained(parent.config, fork.origin[1])[0])


def test_several_networks_cannot_begin_with_one(jobs: Jobs) -> None:
    parent = ended(echo(jobs, seeds=2))
    with pytest.raises(SettingError, match=r"^seeds = 2 is more than the one network .*: choose 1\.$"):
        jobs.fork(parent.id, 0, parent.config, "me")
    with pytest.raises(ValueError, match="`no body` has no weights at step 1,000"):
        jobs.fork("no body", 1000, EchoConfig(), "me")


@pytest.mark.parametrize("changes", [{"state_size": 5}, {"cell": "gru"}])
def test_a_network_that_does_not_fit_fails_and_says_why(jobs: Jobs, changes: dict[str, Any]) -> None:
    parent = ended(echo(jobs))
    fork = ended(jobs.fork(parent.id, 0, EchoConfig(**(SMALL | changes)), "me"))
    assert fork.state is State.FAILED
    assert fork.message.startswith("ValueError: The network that this run begins with has the shapes [(1, 4), ")
    assert "these settings make" in fork.message


def test_rewinding_a_fork_begins_it_once_more(jobs: Jobs) -> None:
    parent = ended(echo(jobs))
    fork = ended(jobs.fork(parent.id, 400, EchoConfig(**(SMALL | {"learning_rate": 0.05})), "me"))
    again = jobs.rewind(fork.id)
    assert again is not None and fork.origin is not None
    assert again.origin == fork.origin
    assert fork.origin[1] in parent.history.steps()
    jobs.resume(again.id)
    np.testing.assert_array_equal(ended(again).stream.curve("loss")[1], fork.stream.curve("loss")[1])


def test_a_fork_survives_a_power_cut_before_its_first_step(tmp_path: Path) -> None:
    first = make(tmp_path / "one")
    parent = ended(echo(first))
    fork = first.fork(parent.id, 750, EchoConfig(**(SMALL | {"seed": 3})), "me", paused=True)
    # A file that is being written has no meaning before it is renamed, and may be gone while it is copied.
    shutil.copytree(tmp_path / "one", tmp_path / "two", ignore=shutil.ignore_patterns("*.new"))
    first.resume(fork.id)
    ended(fork)
    first.shutdown()
    second = make(tmp_path / "two")
    again = second.get(fork.id)
    assert again is not None
    assert (again.origin, again.step) == ((parent.id, 750), 0)
    second.resume(fork.id)
    np.testing.assert_array_equal(ended(again).stream.curve("loss")[1], fork.stream.curve("loss")[1])
    second.shutdown()
    third = make(tmp_path / "two")
    last = third.get(fork.id)
    assert last is not None and last.start is not None
    np.testing.assert_equal(last.start, leaves_of(kept(parent, 750)))
    rewound = third.rewind(fork.id)
    assert rewound is not None
    assert rewound.origin == (parent.id, 750)
    third.shutdown()


def test_a_fork_whose_start_is_lost_does_not_begin_with_other_weights(tmp_path: Path) -> None:
    first = make(tmp_path)
    parent = ended(quadratic(first))
    fork = first.fork(parent.id, 100, QuadraticConfig(), "me", paused=True)
    wait(lambda: fork.state is State.PAUSED and not fork.busy)
    first.shutdown()
    (tmp_path / "runs" / f"{fork.id}.npz").unlink()
    second = make(tmp_path)
    again = second.get(fork.id)
    assert again is not None
    second.resume(fork.id)
    ended(again)
    assert (again.state, again.origin) == (State.FAILED, fork.origin)
    assert again.message == "ValueError: The weights that this run begins with are lost: fork once more."
    second.shutdown()
