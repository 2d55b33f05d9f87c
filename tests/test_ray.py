"""Jobs on a Ray cluster of two nodes on loopback: what every backend must do, and what only a cluster can."""

import inspect
import os
import pickle
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from lib import ray_workers
from lib.clearing import Clearing
from lib.job import Job, State
from lib.ray_workers import RayFleet
from lib.remote_jobs import RemoteJobs
from lib.sweep import plan
from lib.sweeps import Sweeps
from lib.worker_process import Setup
from tests import test_jobs
from tests.quadratic import QuadraticConfig, config_of
from tests.test_jobs import assert_undisturbed, jobs, start, wait

__all__ = ["backend", "jobs"]

# The same tests as of threads and of a process. Pace and turns are a worker's own, and are the same in a process.
WORKERS_OWN = {
    "test_a_job_that_is_paced_does_what_is_due",
    "test_a_ramp_starts_slowly_and_gets_faster",
    "test_ten_jobs_share_one_worker_fairly",
}
SHARED = {
    name: test
    for name, test in vars(test_jobs).items()
    if name.startswith("test_") and "jobs" in inspect.signature(test).parameters
}
assert set(SHARED) >= WORKERS_OWN
globals().update({name: test for name, test in SHARED.items() if name not in WORKERS_OWN})


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head that trains nothing, and two nodes of a core each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder that all share."""
    return tmp_path_factory.mktemp("home")


def connect(cluster: Cluster, home: Path) -> RemoteJobs:
    """A web server's jobs on the cluster."""
    setup = Setup(
        b"", home, "tests.quadratic.build", "tests.quadratic.config_of", Clearing(),
        begin="tests.quadratic.write_often",
    )  # fmt: skip
    return RemoteJobs(home, RayFleet(setup, cluster.address), config_of=config_of)


@pytest.fixture(scope="module")
def backend(cluster: Cluster, home: Path) -> Iterator[RemoteJobs]:
    """The jobs of one web server."""
    jobs = connect(cluster, home)
    yield jobs
    jobs.shutdown()


def owners(found: list[Job]) -> set[str]:
    return {job.owner for job in found}


def test_runs_are_spread_by_person(jobs: RemoteJobs) -> None:
    mine = [start(jobs, steps=10**8) for _ in range(2)]
    others = [jobs.start("quadratic", QuadraticConfig(steps=10**8), "you") for _ in range(2)]
    assert len(owners(mine)) == len(owners(others)) == 2


def test_a_web_server_that_restarts_finds_what_went_on_without_it(home: Path, jobs: RemoteJobs) -> None:
    going, rests = start(jobs, steps=10**8, nap=0.001), start(jobs, paused=True)
    wait(lambda: going.step > 0 and rests.state is State.PAUSED)
    again = RemoteJobs(home, jobs._fleet, config_of=config_of)
    found, resting = again.get(going.id), again.get(rests.id)
    assert found is not None and resting is not None
    assert (found.state, resting.state) == (State.RUNNING, State.PAUSED)
    step = found.step
    wait(lambda: found.step > step)
    again.pause(found.id)
    wait(lambda: going.state is State.PAUSED)  # the first server is told too
    again.leave()


def test_a_sweep_fans_out_and_goes_on_with_another_server(home: Path, jobs: RemoteJobs) -> None:
    first = Sweeps(jobs, config_of=config_of)
    axes = [("learning_rate", "0.01, 0.02, 0.03, 0.04, 0.05, 0.06")]
    sweep = first.start("quadratic", plan(QuadraticConfig(steps=150, nap=0.002), axes), "me")
    wait(lambda: len(sweep.under_way) == 4)
    assert len(owners(list(sweep.under_way.values()))) == 2
    first.shutdown()
    again = RemoteJobs(home, jobs._fleet, config_of=config_of)
    jobs.store._disk._claims.close()  # as the end of its process does
    second = Sweeps(again, config_of=config_of)
    found = second.get(sweep.id)
    assert found is not None and found.state is State.RUNNING
    wait(lambda: found.state is State.FINISHED, seconds=60)
    assert [result.state for result in found.results.values()] == ["finished"] * 6
    second.shutdown()
    again.leave()


def test_twenty_runs_outlive_a_node_and_no_curve_has_a_gap(cluster: Cluster, jobs: RemoteJobs) -> None:
    found = [start(jobs, steps=500, nap=0.001) for _ in range(20)]
    wait(lambda: all(job.step > 20 for job in found), seconds=60)
    assert len(owners(found)) == 2
    node = cluster.list_all_nodes()[-1]
    (raylet,) = node.all_processes["raylet"]
    os.kill(raylet.process.pid, signal.SIGKILL)
    wait(lambda: len(owners(found)) == 1, seconds=60)
    moved = [job for job in found if job.message]
    assert moved and all(job.message.startswith("What trained it went away at step") for job in moved)
    wait(lambda: all(job.state is State.FINISHED for job in found), seconds=120)
    for job in found:
        assert_undisturbed(job, 500)


def test_why_a_worker_cannot_begin_reaches_the_one_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_workers, "_end_with", int)
    worker = ray_workers.RayWorker(Setup(b"", Path(), "nothing.there", "tests.quadratic.config_of", Clearing()))
    good, error = pickle.loads(worker.call("owner", (), {}))
    assert not good and str(error) == "nothing.there is not a function."


def test_a_cluster_is_told_no_secret_and_no_folder_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST_CODE", "STORE", "HOME", "DEVICE"):
        monkeypatch.setenv(f"UNROLLED_{name}", "x")
    ours = [name for name in ray_workers._variables("postgresql://database/unrolled") if name.startswith("UNROLLED_")]
    assert "UNROLLED_DEVICE" in ours and not {"UNROLLED_HOST_CODE", "UNROLLED_STORE", "UNROLLED_HOME"} & set(ours)
    assert ray_workers._variables(Path("data"))["UNROLLED_HOME"] == "x"
