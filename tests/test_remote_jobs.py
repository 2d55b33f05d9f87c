"""Mirrors of runs that other processes train: several workers, and workers that go away, here all in this process."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lib.claims import FileClaims
from lib.job import Job, State
from lib.known_jobs import KEPT_IN_MEMORY
from lib.remote_jobs import RemoteJobs
from lib.store import Store
from lib.worker import Worker, WorkerGoneError
from tests.quadratic import QuadraticConfig, config_of
from tests.test_jobs import Direct, Directs, assert_undisturbed, make, start, wait


@pytest.fixture(autouse=True)
def quick_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.followers.BUSY_SECONDS", 0.02)
    monkeypatch.setattr("lib.followers.IDLE_SECONDS", 0.02)


class Away(Direct):
    """A worker that can be out of reach for some questions."""

    unreachable: tuple[str, ...] = ()

    def call(self, name: str, *arguments: Any, **named: Any) -> Any:
        if name in self.unreachable:
            raise WorkerGoneError("out of reach")
        return super().call(name, *arguments, **named)


def of_workers(folder: Path, count: int = 1) -> tuple[RemoteJobs, list[Away]]:
    links = [Away(folder, 1, 0) for _ in range(count)]
    return RemoteJobs(folder, Directs(list(links)), config_of=config_of), links


def ask(jobs: RemoteJobs) -> None:
    """Hear all that there is by now."""
    for follower in jobs._followers:
        follower.ask()


def left_behind(folder: Path) -> Job:
    """A run that a process has left in its middle."""
    before = make(folder)
    job = start(before, steps=250, nap=0.001)
    wait(lambda: job.step > 20)
    before.pause(job.id)
    before.shutdown()
    return job


def test_a_worker_with_an_old_copy_of_a_run_does_not_speak_for_the_one_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.shared_jobs.FOLLOW_EVERY", 0.02)
    left = left_behind(tmp_path)
    jobs, (one, two) = of_workers(tmp_path, 2)
    job = jobs.get(left.id)
    assert job is not None and job.state is State.PAUSED
    copy = one._worker.jobs.in_memory()[job.id]  # the first one has opened it
    start(jobs, steps=10**6, paused=True)  # now that has more to do
    jobs.resume(job.id)
    owner = two.call("owner")
    wait(lambda: copy.elsewhere and copy.step > left.step)
    for _ in range(3):
        version = copy.version
        wait(lambda version=version: copy.version > version)
        ask(jobs)
        assert (job.owner, job.elsewhere) == (owner, False) and jobs._counts(job)
    one._worker.jobs._jobs.pop(job.id)
    ask(jobs)
    assert jobs.get(job.id) is job
    wait(lambda: job.state is State.FINISHED)
    assert_undisturbed(job, 250)
    jobs.shutdown()


def test_a_worker_that_takes_a_run_up_tells_all_of_it(tmp_path: Path) -> None:
    left = left_behind(tmp_path)
    jobs, _ = of_workers(tmp_path)
    job = jobs.get(left.id)
    assert job is not None
    job.stream._series.clear()  # as if another worker had told of it meanwhile, and what this one said was not heard
    jobs.resume(job.id)
    wait(lambda: job.state is State.FINISHED)
    assert_undisturbed(job, 250)
    jobs.shutdown()


def test_a_server_whose_folder_cannot_be_used_trains_in_memory_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.safe_store.RETRY_SECONDS", 0.05)
    folder = tmp_path / "data"
    folder.write_text("this is no folder")
    jobs, _ = of_workers(folder)
    job = start(jobs)
    wait(lambda: job.state is State.FINISHED)
    assert "kept in memory only" in jobs.trouble and [record.id for record in jobs.runs_of("me", None, 9)] == [job.id]
    folder.unlink()
    wait(lambda: not jobs.store.trouble and jobs.store.load(job.id) is not None)
    jobs.shutdown()


def test_a_worker_that_cannot_claim_its_name_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(claims: FileClaims, name: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(FileClaims, "claim", full)
        link = Away(tmp_path, 1, 0)
    jobs = RemoteJobs(tmp_path, Directs([link]), config_of=config_of)
    job = start(jobs)
    wait(lambda: job.state is State.FINISHED)
    jobs.shutdown()


def test_a_run_that_no_worker_takes_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.followers.PATIENCE_SECONDS", 0.0)
    jobs, (link,) = of_workers(tmp_path)
    old = start(jobs, paused=True)
    link.unreachable = ("command", "begin")
    with pytest.raises(WorkerGoneError):
        jobs.start("quadratic", QuadraticConfig(), "me", instead_of=old.id)
    with pytest.raises(WorkerGoneError):
        start(jobs)
    assert list(jobs._under_way()) == [old.id]
    link.unreachable = ()
    jobs.shutdown()


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RemoteJobs, list[bool]]]:
    """Jobs of a worker whose disk, and only its own, is full while the list is not empty."""
    monkeypatch.setattr("lib.safe_store.RETRY_SECONDS", 0.05)
    jobs, (link,) = of_workers(tmp_path)
    disk, save = link._worker.jobs.store._disk, Store.save
    is_full: list[bool] = []

    def save_(store: Store, *values: Any) -> None:
        if is_full and store is disk:
            raise OSError(28, "No space left on device")
        save(store, *values)

    monkeypatch.setattr(Store, "save", save_)
    yield jobs, is_full
    jobs.shutdown()


def test_what_is_renamed_and_deleted_while_a_workers_disk_is_full_stays_so(full: tuple[RemoteJobs, list[bool]]) -> None:
    jobs, is_full = full
    before = start(jobs, steps=10**6, nap=0.0001)
    wait(lambda: before.step > 0)
    is_full.append(True)
    spans = [("me", 0.0, math.inf)]
    kept, deleted = start(jobs), start(jobs)
    wait(lambda: kept.state is deleted.state is State.FINISHED)
    jobs.rename(kept.id, "my best")
    jobs.delete(deleted.id), jobs.delete(before.id)
    for runs in (jobs.runs_of("me", None, 9), jobs.runs_in(spans)):
        assert [(run.id, run.name) for run in runs] == [(kept.id, "my best")]
    is_full.clear()
    wait(lambda: not jobs.trouble)
    assert [(run.id, run.name) for run in jobs.store.runs_of("me", None, 9)] == [(kept.id, "my best")]
    assert [run.id for run in jobs.runs_in(spans)] == [kept.id]


@pytest.mark.parametrize("count", [1, 2 * KEPT_IN_MEMORY])
def test_the_end_of_a_run_is_heard_however_many_have_ended(tmp_path: Path, count: int) -> None:
    jobs, (link,) = of_workers(tmp_path)
    going = [start(jobs, steps=10**6, nap=0.001) for _ in range(count)]
    for _ in range(KEPT_IN_MEMORY + 1):
        later = start(jobs, steps=1)
        wait(lambda later=later: later.state is State.FINISHED)
    for job in going:
        link._worker.jobs.stop(job.id)  # as one that comes to its end: nobody who is here asks just then
    wait(lambda: all(job.state is State.STOPPED for job in going))
    wait(lambda: len(link._worker.jobs.in_memory()) <= KEPT_IN_MEMORY)
    jobs.shutdown()


def test_every_server_hears_that_a_run_was_deleted_and_brought_back(tmp_path: Path) -> None:
    jobs, (link,) = of_workers(tmp_path)
    other = RemoteJobs(tmp_path, Directs([link]), config_of=config_of)
    job = start(jobs)
    wait(lambda: job.state is State.FINISHED and other.get(job.id) is not None)
    jobs.delete(job.id)
    wait(lambda: other.get(job.id) is None)
    jobs.restore(job.id)
    wait(lambda: other.get(job.id) is not None)
    assert link._worker.jobs.get(job.id) is not None
    jobs.shutdown()


def test_a_worker_that_is_away_just_now_is_left_out_of_the_report(tmp_path: Path) -> None:
    jobs, (one, two) = of_workers(tmp_path, 2)
    start(jobs, paused=True), start(jobs, paused=True)
    assert sum(jobs.report().states.values()) == 2
    one.unreachable = ("report", "alive")
    assert sum(jobs.report().states.values()) == 1 and jobs.alive()
    two.unreachable = ("alive",)
    assert not jobs.alive()
    jobs.shutdown()


def test_only_a_run_that_rests_is_taken_up(tmp_path: Path) -> None:
    left = left_behind(tmp_path)
    jobs, (link,) = of_workers(tmp_path)
    ended, going = start(jobs, steps=1), start(jobs, steps=10**8)
    wait(lambda: ended.state is State.FINISHED and going.step > 0)
    for run_id, says in ((ended.id, "has ended"), (going.id, "is being trained"), ("nobody", "is not in")):
        with pytest.raises(ValueError, match=says):
            jobs.take_up(run_id)
    assert going.state is State.RUNNING
    job = jobs.take_up(left.id)
    assert (job.owner, job.state) == (link.call("owner"), State.PAUSED)
    jobs.shutdown()


def test_what_pages_compute_goes_to_the_worker_with_least_to_do_and_to_those_that_come_later(tmp_path: Path) -> None:
    links = [Away(tmp_path, 1, 0), Away(tmp_path, 1, 0)]
    fleet = Directs([links[0]])
    jobs = RemoteJobs(tmp_path, fleet, config_of=config_of)
    found: list[str] = []
    jobs.compute_everywhere(found.append, "ready")
    fleet._links.append(links[1])
    jobs._followers.gather()
    wait(lambda: found == ["ready", "ready"])
    start(jobs, steps=10**6, paused=True)
    links[0].unreachable = ("compute",)  # which has a run
    assert jobs.compute(divmod, 7, 2) == (3, 1)
    jobs.shutdown()


def test_an_ended_run_is_read_once_and_by_nobody_with_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = make(tmp_path)
    job = start(before)
    wait(lambda: job.state is State.FINISHED)
    before.shutdown()
    jobs, _ = of_workers(tmp_path)
    read: list[str] = []
    arrays, load = jobs.store.arrays, jobs.store.load

    def free(run_id: str) -> None:
        with ThreadPoolExecutor(1) as other:  # a thread of its own, as the lock may be taken twice by one
            other.submit(jobs.changed.acquire, timeout=1).result()
            other.submit(jobs.changed.release).result()
        read.append(run_id)

    monkeypatch.setattr(jobs.store, "arrays", lambda run_id: (free(run_id), arrays(run_id))[1])
    monkeypatch.setattr(jobs.store, "load", lambda run_id: (free(run_id), load(run_id))[1])
    again = jobs.get(job.id)
    assert again is not None and jobs.get(job.id) is again and len(read) == 2
    jobs.shutdown()


def test_of_a_run_that_nobody_watches_there_is_news_now_and_then_and_of_its_state_at_once(tmp_path: Path) -> None:
    jobs = make(tmp_path)
    worker, job = Worker(jobs), start(jobs, steps=10**6, nap=0.001)

    def told(watched: bool) -> bool:
        step = job.step
        wait(lambda: job.step > step)
        return bool(worker.news("reader", [job.id] if watched else [])[0])

    assert told(False) and not told(False)
    assert told(True) and not told(False)
    jobs.pause(job.id)
    news, _, _ = worker.news("reader", [])
    assert [each.values["state"] for each in news] == [State.PAUSED]
    jobs.shutdown()
