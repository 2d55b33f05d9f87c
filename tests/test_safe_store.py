"""Runs on a disk that fails: nothing stops, nothing is lost that was shown as ended, and what was missed is written later."""

import errno
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib import safe_store
from lib.job import State
from lib.jobs import Jobs
from lib.records import HostRecord, RoomRecord
from lib.rooms import Rooms
from lib.store import Store
from lib.sweep import plan
from lib.sweeps import Sweeps
from tests.conftest import ROOT
from tests.quadratic import Engine, QuadraticConfig
from tests.test_jobs import assert_undisturbed, make, start, wait
from tests.test_store import RECORD, SWEEP


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_store, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr("lib.sqlite.LOCK_SECONDS", 0.2)
    monkeypatch.setattr(safe_store, "LOCK_SECONDS", 0.2)


class Disk:
    """A disk on which everything that is written fails, while `error` says how. Reading still works."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        self.refused = 0
        disk, connect, opened = self, sqlite3.connect, Path.open

        class Cursor(sqlite3.Cursor):
            def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
                if statement.lstrip().startswith(("INSERT", "UPDATE", "DELETE", "CREATE TABLE")):
                    disk.check(self.connection)
                return super().execute(statement, *values)

        class Connection(sqlite3.Connection):
            def cursor(self, factory: Any = Cursor) -> Any:
                return super().cursor(factory)

        def open_(path: Path, mode: str = "r", *rest: Any, **settings: Any) -> Any:
            if "w" in mode and path.suffix == ".new" and isinstance(self.error, OSError):
                self.check(None)
            return opened(path, mode, *rest, **settings)

        patch.setattr("sqlite3.dbapi2.connect", lambda *args, **all_: connect(*args, factory=Connection, **all_))
        patch.setattr(Path, "open", open_)

    def check(self, database: sqlite3.Connection | None) -> None:
        memory = database is not None and database.execute("PRAGMA database_list").fetchone()[2] == ""
        if self.error is not None and not memory:
            self.refused += 1
            raise self.error


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


FAULTS = [
    (OSError(errno.ENOSPC, "No space left on device"), "The disk with the data folder is full."),
    (sqlite3.OperationalError("database or disk is full"), "The disk with the data folder is full."),
    (OSError(errno.EROFS, "Read-only file system"), "The data folder cannot be written to."),
    (sqlite3.OperationalError("attempt to write a readonly database"), "The data folder cannot be written to."),
    (sqlite3.OperationalError("database is locked"), "Another program holds the data folder's database."),
    (sqlite3.OperationalError("disk I/O error"), "The data folder cannot be used (disk I/O error)."),
    (sqlite3.DatabaseError("database disk image is malformed"), "The data folder cannot be used (database disk image"),
]


@pytest.mark.parametrize(("error", "said"), FAULTS, ids=[str(error) for error, _ in FAULTS])
def test_training_goes_on_in_memory_and_is_written_when_the_disk_is_well(
    disk: Disk, tmp_path: Path, error: Exception, said: str
) -> None:
    jobs = make(tmp_path)
    before = start(jobs, steps=100)
    wait(lambda: not before.active)
    disk.error = error
    job = start(jobs, steps=600, nap=0.0005)
    wait(lambda: job.step > 50)
    assert jobs.store.trouble.startswith(said)
    assert "kept in memory only and are lost when the server ends" in jobs.store.trouble

    jobs.pause(job.id)
    wait(lambda: job.state is State.PAUSED and not job.busy)
    fork = jobs.fork(job.id, None, QuadraticConfig(steps=100), "you") if job.network() else start(jobs, steps=50)
    again = jobs.rewind(job.id)
    assert again is not None and job.state is State.STOPPED and job.message == f"Stopped at step {job.step:,}."
    jobs.resume(again.id)
    wait(lambda: not again.active and not fork.active)
    assert_undisturbed(again, 600)
    jobs.store.rename(before.id, "my best")
    jobs.delete(fork.id)

    listed = {record.id: record for record in jobs.runs_of("me", None, 9)}
    assert set(listed) == {before.id, job.id, again.id}
    assert (listed[again.id].state, listed[before.id].name) == ("finished", "my best")
    jobs._jobs.clear()
    again = jobs.get(again.id)  # as a link opens it that was forgotten in the meantime
    assert again is not None and again.state is State.FINISHED
    assert_undisturbed(again, 600)
    assert jobs.store.trouble and disk.refused > 0

    disk.error = None
    wait(lambda: jobs.store.trouble == "")
    assert jobs.store._unsaved == {}
    jobs.shutdown()
    store = Store(tmp_path)
    assert {record.id: record.state for record in store.runs_of("me", None, 9)} == {
        before.id: "finished", job.id: "stopped", again.id: "finished",
    }  # fmt: skip
    assert (store.load(before.id) or RECORD).name == "my best"
    assert len(store.arrays(again.id)["stream:loss/value"]) == 600
    store.close()


def test_a_run_that_changes_while_it_is_written_back_is_written_again(disk: Disk, tmp_path: Path) -> None:
    store = safe_store.SafeStore(Store(tmp_path))
    disk.error = OSError(errno.ENOSPC, "No space left on device")
    store.save(RECORD, {"x": np.zeros(1)})
    stale = store._unsaved["a"]
    store.save(replace(RECORD, step=11), {"x": np.ones(1)})
    disk.error = None
    store._write_back("a", stale)
    found = store.load("a")
    assert "a" in store._unsaved and found is not None and found.step == 11
    wait(lambda: not store.trouble)
    assert found == store.load("a") and store.arrays("a")["x"].tolist() == [1]
    store.close()


def test_sweeps_and_kept_networks_survive_it_too(disk: Disk, tmp_path: Path) -> None:
    jobs = make(tmp_path)
    sweeps = Sweeps(jobs, config_of=lambda slug: QuadraticConfig)
    disk.error = OSError(errno.ENOSPC, "No space left on device")
    sweep = sweeps.start("quadratic", plan(QuadraticConfig(steps=50), [("learning_rate", "0.01, 0.02")]), "me")
    jobs.store.save_network("a", 7, {"bias": np.ones(2)})
    wait(lambda: sweep.state is State.FINISHED)
    assert [record.id for record in sweeps.latest("me", "quadratic")] == [sweep.id]
    assert len(jobs.store.cells_of(sweep.id)) == 2 and jobs.store.network_steps("a") == [7]
    disk.error = None
    wait(lambda: jobs.store.trouble == "")
    assert jobs.store.network("a", 7)["bias"].tolist() == [1, 1]
    sweeps.shutdown()
    jobs.shutdown()
    store = Store(tmp_path)
    assert (store.load_sweep(sweep.id) or SWEEP).state == "finished" and len(store.cells_of(sweep.id)) == 2
    assert store.network_steps("a") == [7]
    store.close()


def test_rooms_and_the_runs_in_them_survive_it_too(disk: Disk, tmp_path: Path) -> None:
    store = safe_store.SafeStore(Store(tmp_path))
    rooms = Rooms(store, lambda slug: QuadraticConfig)
    room, created = rooms.open("Monday"), time.time()
    rooms.join(room.code, "me", "Ada")
    store.save(replace(RECORD, id="before", visitor="me", created=time.time()))
    disk.error = OSError(errno.ENOSPC, "No space left on device")
    store.save(replace(RECORD, id="early", visitor="me", created=created - 60))
    store.save(replace(RECORD, id="meanwhile", visitor="me", created=time.time()))
    rooms.join(room.code, "you", "Bob")
    rooms.set_rules(room.id, runs=7)
    store.keep(HostRecord("me", "proof", 1.0))
    assert store.trouble and [run.id for run in rooms.runs(room.id)] == ["meanwhile", "before"]
    disk.error = None
    wait(lambda: not store.trouble)
    again = Rooms(store, lambda slug: QuadraticConfig)
    assert [run.id for run in again.runs(room.id)] == ["meanwhile", "before"]
    assert list(again.members(room.id)) == ["me", "you"] and again.all()[0].rules["runs"] == 7
    assert [host.proof for host in store.kept(HostRecord, "me")] == ["proof"]
    assert store._memory.kept(RoomRecord) == []
    store.close()


def test_another_programs_lock_stalls_nobody(tmp_path: Path) -> None:
    jobs = make(tmp_path)
    job = start(jobs, steps=10**8)
    wait(lambda: job.step > 100)
    with closing(sqlite3.connect(tmp_path / "runs.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        late = start(jobs, steps=100)
        wait(lambda: late.state is State.FINISHED)
        assert jobs.store.trouble.startswith("Another program holds the data folder's database.")
        here = job.step
        wait(lambda: job.step > here)
    wait(lambda: jobs.store.trouble == "")
    assert jobs.store._disk is not None and jobs.store._disk.load(late.id) is not None
    jobs.shutdown()


def folder_of(path: Path) -> Jobs:
    return Jobs(path, 1, build=lambda slug, config: Engine(config), config_of=lambda slug: QuadraticConfig)


def test_a_folder_that_cannot_be_opened_at_first_is_used_later(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("this is no folder")
    jobs = folder_of(tmp_path / "data")
    assert "Runs go on, but they are kept in memory only" in jobs.store.trouble
    job = start(jobs)
    wait(lambda: not job.active)
    assert [record.id for record in jobs.runs_of("me", None, 9)] == [job.id]
    (tmp_path / "data").unlink()
    wait(lambda: jobs.store.trouble == "")
    paused = start(jobs, steps=10**6)
    jobs.shutdown()
    again = folder_of(tmp_path / "data")
    assert {record.state for record in again.runs_of("me", None, 9)} == {"finished", "paused"}
    assert (again.get(paused.id) or job).state is State.PAUSED
    again.shutdown()


def test_the_folder_of_a_later_version_is_not_touched(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "runs.sqlite")) as database:
        database.execute("PRAGMA user_version=2")
        database.execute("PRAGMA journal_mode=DELETE")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    jobs = folder_of(tmp_path)
    assert jobs.store.trouble.startswith("The data folder belongs to a later version of Unrolled.")
    job = start(jobs)
    wait(lambda: not job.active)
    jobs.shutdown()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_folder_that_is_deleted_is_made_again(tmp_path: Path) -> None:
    jobs = make(tmp_path / "data")
    shutil.rmtree(tmp_path / "data")
    job = start(jobs)
    wait(lambda: not job.active)
    wait(lambda: jobs.store.trouble == "" and (tmp_path / "data" / "runs" / f"{job.id}.npz").exists())
    jobs.shutdown()
    store = Store(tmp_path / "data")
    assert (store.load(job.id) or RECORD).state == "finished"
    store.close()


FILLED = """
import resource, sys, time
from pathlib import Path
from tests.test_jobs import make, start, wait
jobs = make(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
job = start(jobs, steps=2000)
wait(lambda: not job.active)
print(job.state, bool(jobs.store.trouble), len(list(Path(sys.argv[1], "runs").glob("*.new"))), flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
wait(lambda: not jobs.store.trouble)
jobs.shutdown()
print(job.id)
"""


def test_files_that_cannot_grow_are_a_full_disk(tmp_path: Path) -> None:
    done = run_script(FILLED, tmp_path)
    assert done.returncode == 0, done.stderr
    first, run_id = done.stdout.split("\n")[:2]
    assert first == "finished True 0", done.stderr
    store = Store(tmp_path)
    assert (store.load(run_id) or RECORD).state == "finished" and store.arrays(run_id)
    store.close()


def run_script(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)


# Killed at any write: for each n a process of its own ends, without a word, in its n-th write

KILLED = """
import json, os, sqlite3, sys, threading
from pathlib import Path
import lib.trainer
from lib.store import Store
from tests.test_jobs import make, start, wait

lib.trainer.SAVE_EVERY = 0.0
folder, last = Path(sys.argv[1]), 0


def scenario(home, dies_at):
    writes, lock, said = [0], threading.Lock(), os.open(home.with_suffix(".said"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write():
        with lock:
            writes[0] += 1
            if writes[0] == dies_at:
                os._exit(9)

    class Cursor(sqlite3.Cursor):
        def execute(self, statement, *values):
            if not statement.lstrip().startswith(("SELECT", "PRAGMA")):
                write()
            return super().execute(statement, *values)

    class Connection(sqlite3.Connection):
        def cursor(self, factory=Cursor):
            return super().cursor(factory)

    connect, replace, opened = sqlite3.connect, Path.replace, Path.open
    sqlite3.dbapi2.connect = lambda *args, **settings: connect(*args, factory=Connection, **settings)

    def replace_(path, to):
        write()
        replace(path, to)
        write()

    def open_(path, mode="r", *rest):
        file = opened(path, mode, *rest)
        if mode == "wb":
            file.write(b"PK")
            write()
            file.seek(0)
        return file

    Path.replace, Path.open = replace_, open_
    jobs = make(home)

    def show(job):
        os.write(said, (json.dumps([job.id, str(job.state), job.step, job.message]) + "\\n").encode())

    finishes, stopped = start(jobs, steps=150, nap=0.0002), start(jobs, steps=10**7)
    wait(lambda: not finishes.active and stopped.step > 0)
    show(finishes)
    jobs.stop(stopped.id)
    wait(lambda: not stopped.active)
    show(stopped)
    diverges = start(jobs, steps=10_000, learning_rate=10.0)
    wait(lambda: not diverges.active)
    show(diverges)
    os._exit(0 if dies_at > writes[0] else 1)


dies_at = 0
while True:
    dies_at += STRIDE
    child = os.fork()
    if not child:
        try:
            scenario(folder / f"at-{dies_at}", dies_at)
        finally:
            os._exit(3)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 9:
        print(dies_at, code)
        sys.exit(code)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The data folders that were left by processes killed at their 1st, 4th, 7th, … write."""
    folder = tmp_path_factory.mktemp("killed")
    done = run_script(KILLED.replace("STRIDE", "3"), folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: int(path.name.split("-")[1]))


def test_what_was_shown_as_ended_is_there_after_a_kill_at_any_write(killed: list[Path]) -> None:
    assert len(killed) > 8
    shown = 0
    for home in killed:
        jobs = make(home)
        assert jobs.store.trouble == ""
        said = home.with_suffix(".said")
        for run_id, state, step, message in map(json.loads, said.read_text().splitlines() if said.exists() else ()):
            job = jobs.get(run_id)
            assert job is not None and (str(job.state), job.step, job.message) == (state, step, message), home
            if state != "diverged":
                assert_undisturbed(job, step)
            shown += 1
        jobs.shutdown()
    assert shown > 6


def test_what_had_not_ended_goes_on_after_a_kill_at_any_write(killed: list[Path]) -> None:
    resumed = 0
    for home in killed:
        jobs = make(home)
        for record in jobs.runs_of("me", None, 9):
            job = jobs.get(record.id)
            assert job is not None and job.state in (State.PAUSED, State.FINISHED, State.STOPPED, State.DIVERGED), home
            if job.state is State.PAUSED and job.steps == 150:
                jobs.resume(job.id)
                wait(lambda job=job: not job.active)
                assert job.state is State.FINISHED, job.error
                assert_undisturbed(job, 150)
                resumed += 1
        jobs.shutdown()
    assert resumed > 2


def test_a_run_whose_record_was_not_written_any_more_has_ended_all_the_same(tmp_path: Path) -> None:
    jobs = make(tmp_path)
    job = start(jobs)
    wait(lambda: not job.active)
    jobs.store.save(replace(job.record(), state="running", step=37))
    jobs.shutdown()
    again = make(tmp_path)
    found = again.get(job.id)
    assert found is not None and (found.state, found.step, found.message) == (State.FINISHED, 200, "")
    assert [record.state for record in again.runs_of("me", None, 9)] == ["finished"]
    again.shutdown()
