"""The run store: round trips, order, broken files, many threads."""

import json
import math
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy

from lib import claims
from lib import store as store_module
from lib.records import HostRecord, MemberRecord, RoomRecord, RunRecord, SweepRecord
from lib.store import Store, data_folder
from lib.stores import open_store
from lib.tables import TABLES, add_column
from tests.test_jobs import wait

RECORD = RunRecord(
    id="a", visitor="me", slug="echo", config={"state_size": 4}, live={"learning_rate": 0.3}, changes=[[5, "clip_norm", 1.0]],
    state="finished", message="", step=10, steps=10, created=1.0, updated=2.0, seconds=0.5, device="CPU",
    summary={"loss": {"last": 0.1, "best": 0.1, "mean_last_100": None}},
)  # fmt: skip


@pytest.fixture
def store(place: Path | str):
    store = open_store(place)
    yield store
    store.close()


@pytest.fixture
def folder_store(tmp_path: Path):
    store = Store(tmp_path)
    yield store
    store.close()


def test_what_is_saved_is_found_after_a_restart(place: Path | str) -> None:
    arrays = {"stream:loss/value": np.arange(3, dtype=np.float32), "carry:step": np.array(10)}
    first = open_store(place)
    first.save(RECORD, arrays)
    first.close()
    second = open_store(place)
    assert second.load("a") == RECORD
    second.save(replace(RECORD, id="b", origin=["a", 7]))
    assert second.load("b") == replace(RECORD, id="b", origin=["a", 7])
    found = second.arrays("a")
    assert set(found) == set(arrays)
    np.testing.assert_array_equal(found["stream:loss/value"], arrays["stream:loss/value"])
    assert second.arrays("a", "carry:step", "carry:none") == {"carry:step": 10}
    second.close()


def test_newest_first_and_only_ones_own(store: Store) -> None:
    for number in range(5):
        store.save(replace(RECORD, id=str(number), created=float(number)))
    store.save(replace(RECORD, id="other", visitor="you", created=9.0))
    store.save(replace(RECORD, id="elsewhere", slug="ptb", created=9.0))
    assert [record.id for record in store.runs_of("me", "echo", 3)] == ["4", "3", "2"]
    assert store.load("nobody") is None
    assert store.arrays("nobody") == {}


def test_old_runs_are_forgotten_but_never_an_unfinished_one(store: Store, monkeypatch) -> None:
    monkeypatch.setattr(store_module, "KEPT_PER_VISITOR", 2)
    for number in range(5):
        state = "paused" if number == 0 else "finished"
        store.save(replace(RECORD, id=str(number), created=float(number), state=state), {"x": np.zeros(1)})
    store.prune("me", "echo")
    assert [record.id for record in store.runs_of("me", "echo", 9)] == ["4", "3", "0"]
    assert store.arrays("1") == {}
    assert [record.id for record in store.unfinished()] == ["0"]


def test_a_broken_file_of_one_run_harms_no_other(folder_store: Store, tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder_store.save(replace(RECORD, id=name), {"x": np.ones(3)})
    whole = (tmp_path / "runs" / "a.npz").read_bytes()
    for broken in (b"", b"nonsense", whole[: len(whole) // 2]):
        (tmp_path / "runs" / "a.npz").write_bytes(broken)
        assert folder_store.arrays("a") == {}
    assert folder_store.arrays("b")["x"].tolist() == [1, 1, 1]


def test_a_broken_row_is_left_out(folder_store: Store, tmp_path: Path) -> None:
    folder_store.save(RECORD)
    folder_store.save(replace(RECORD, id="b"))
    with closing(sqlite3.connect(tmp_path / "runs.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE runs SET config = '{' WHERE id = 'a'")
    assert [record.id for record in folder_store.runs_of("me", "echo", 9)] == ["b"]


def test_a_database_that_is_locked_is_not_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path).close()
    other = sqlite3.connect(tmp_path / "runs.sqlite", isolation_level=None)
    other.execute("PRAGMA journal_mode=DELETE")
    other.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr("lib.sqlite.LOCK_SECONDS", 0.1)
    with pytest.raises(sqlalchemy.exc.OperationalError, match="locked"):
        Store(tmp_path)
    other.close()
    assert not (tmp_path / "runs.broken").exists()


def test_two_processes_may_add_the_same_column(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'old.sqlite'}", poolclass=sqlalchemy.NullPool)
    with engine.connect() as database:
        database.exec_driver_sql("CREATE TABLE runs (id)")
        for _ in range(2):
            add_column(database, TABLES[RunRecord].c.owner)
        assert [column["name"] for column in sqlalchemy.inspect(database).get_columns("runs")] == ["id", "owner"]


def test_what_a_killed_process_left_half_written_is_cleared(tmp_path: Path) -> None:
    runs = Store(tmp_path)
    old, fresh = (tmp_path / "runs" / f"{name}.1.new" for name in ("old", "fresh"))
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (1.0, 1.0))
    runs.purge(time.time())
    assert not old.exists() and fresh.exists()


def test_a_broken_database_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "runs.sqlite").write_bytes(b"this is no database, but somebody may want to look at it " * 50)
    store = Store(tmp_path)
    store.save(RECORD)
    assert store.load("a") == RECORD
    assert (tmp_path / "runs.broken").read_bytes().startswith(b"this is no database")
    store.close()
    (tmp_path / "runs.sqlite").write_bytes(b"neither is this one" * 50)
    Store(tmp_path).close()
    assert (tmp_path / "runs.broken").read_bytes().startswith(b"this is no database"), "it is not overwritten"
    assert (tmp_path / "runs.broken1").read_bytes().startswith(b"neither is this one")


def test_many_threads(store: Store) -> None:
    def work(name: str) -> None:
        for number in range(20):
            store.save(replace(RECORD, id=f"{name}{number}", created=float(number)), {"x": np.full(5, number)})
            assert store.arrays(f"{name}{number}")["x"][0] == number

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.runs_of("me", "echo", 1000)) == 80


def test_the_data_folder_can_be_named(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path / "runs here"))
    assert data_folder() == tmp_path / "runs here"
    monkeypatch.delenv("UNROLLED_HOME")
    assert "unrolled" in str(data_folder())


def test_a_database_of_an_earlier_version_gets_the_new_columns(tmp_path: Path) -> None:
    old = [column.name for column in TABLES[RunRecord].columns if column.server_default is None]
    with closing(sqlite3.connect(tmp_path / "runs.sqlite")) as database:
        database.execute(f"CREATE TABLE runs ({', '.join(old)}, PRIMARY KEY (id))")
        values = [getattr(RECORD, name) for name in old]
        row = [json.dumps(value) if isinstance(value, dict | list) else value for value in values]
        database.execute(f"INSERT INTO runs VALUES ({', '.join('?' for _ in old)})", row)
        database.commit()
    store = Store(tmp_path)
    assert store.load("a") == RECORD
    assert [record.id for record in store.runs_of("me", "echo", 9)] == ["a"]
    store.close()


def test_saving_a_run_leaves_its_name_and_its_deletion(store: Store) -> None:
    store.save(RECORD)
    store.rename("a", "my best")
    store.save(replace(RECORD, step=11))
    assert store.load("a") == replace(RECORD, step=11, name="my best")
    store.put_away("a", 5.0)
    store.save(replace(RECORD, step=12))
    assert store.load("a") is None
    assert store.runs_of("me", "echo", 9) == []
    store.put_away("a", 0.0)
    assert store.runs_of("me", None, 9) == [replace(RECORD, step=12, name="my best")]


def test_what_was_deleted_is_forgotten_after_a_day(store: Store) -> None:
    store.save(RECORD, {"x": np.zeros(1)})
    store.put_away("a", 1000.0)
    store.purge(1000.0 + store_module.UNDO_SECONDS - 1)
    store.put_away("a", 0.0)
    assert store.load("a") is not None
    store.put_away("a", 1000.0)
    store.purge(1000.0 + store_module.UNDO_SECONDS + 1)
    store.put_away("a", 0.0)
    assert store.load("a") is None
    assert store.arrays("a") == {}


ROOM = RoomRecord("r", "wall", "ABCDEF", "Monday", 1.0, rules={"runs": 3}, held=["a"])
SWEEP = SweepRecord("s", "me", "echo", {"epochs": 3}, [["echo_step", [1, 2]]], "running", "", 1.0, 0.5)


def test_a_sweep_and_its_cells_are_kept_and_forgotten_together(store: Store) -> None:
    store.save_sweep(SWEEP)
    for number in range(3):
        store.save(replace(RECORD, id=f"s-{number}", sweep="s"), {"x": np.zeros(1)})
    store.save(RECORD)
    assert store.load_sweep("s") == SWEEP
    assert store.unfinished_sweeps() == [SWEEP]
    assert set(store.cells_of("s")) == {"s-0", "s-1", "s-2"}
    assert [record.id for record in store.runs_of("me", "echo", 9)] == ["a"]
    assert len(store.runs_of("me", "echo", 9, cells=True)) == 4
    store.delete_sweep("s")
    assert store.load_sweep("s") is None and store.cells_of("s") == {}
    assert store.arrays("s-0") == {}
    assert store.load("a") == RECORD


def test_old_sweeps_are_forgotten(store: Store, monkeypatch) -> None:
    monkeypatch.setattr(store_module, "SWEEPS_PER_VISITOR", 1)
    for number, state in enumerate(("finished", "paused", "finished")):
        store.save_sweep(replace(SWEEP, id=str(number), created=float(number), state=state))
    store.prune_sweeps("me", "echo")
    assert [sweep.id for sweep in store.sweeps_of("me", "echo", 9)] == ["2", "1"]


# Networks that are kept beside a run, and several processes on one folder


def test_networks_are_kept_by_their_steps_and_go_with_their_run(store: Store) -> None:
    for name in ("a", "ab"):
        store.save(replace(RECORD, id=name), {"x": np.ones(3)})
    for step in (500, 7, 1000):
        store.save_network("a", step, {"layers/layer_0/bias": np.full(2, step, np.float16)})
    store.save_network("ab", 3, {"bias": np.ones(1)})
    store.publish(RECORD, {"loss/value": np.ones(4, np.float32)})
    assert store.network_steps("a") == [7, 500, 1000]
    found = store.network("a", 500)
    assert set(found) == {"layers/layer_0/bias"} and found["layers/layer_0/bias"].dtype == np.float16
    assert found["layers/layer_0/bias"].tolist() == [500, 500]
    assert store.network("a", 8) == {} and store.network_steps("nobody") == []
    assert set(store.published("a")) == {"loss/value"} and store.arrays("a")["x"].tolist() == [1, 1, 1]
    store.unpublish("a")
    assert store.published("a") == {}
    store.publish(RECORD, {"loss/value": np.ones(4, np.float32)})
    store.delete("a")
    assert sorted(store._files.sizes()) == ["ab", "ab@3"]
    assert store.network_steps("a") == [] and store.published("a") == {}
    assert store.network_steps("ab") == [3]


def test_a_damaged_network_or_stream_is_none(folder_store: Store, tmp_path: Path) -> None:
    folder_store.save_network("a", 7, {"bias": np.ones(100)})
    folder_store.publish(RECORD, {"x": np.ones(100)})
    for name in ("a@7", "a~"):
        whole = (tmp_path / "runs" / f"{name}.npz").read_bytes()
        for broken in (b"", b"nonsense", whole[: len(whole) // 2]):
            (tmp_path / "runs" / f"{name}.npz").write_bytes(broken)
            assert folder_store.network("a", 7) == {} if "@" in name else folder_store.published("a") == {}


def test_what_was_noted_of_a_run_is_kept(store: Store) -> None:
    diary = [{"step": 10, "valid_perplexity": 91.5, "samples": [{"text": "the fox", "temperature": 0.7}]}]
    store.save(replace(RECORD, diary=diary, owner="somebody"))
    assert store.load("a") == replace(RECORD, diary=diary, owner="somebody")


def test_an_owner_lives_until_its_store_is_closed(place: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "GRACE_SECONDS", 0.0)
    first, second = open_store(place), open_store(place)
    mine, theirs = first.claim(), second.claim()
    assert mine != theirs
    for store in (first, second):
        assert store.is_alive(mine) and store.is_alive(theirs)
        assert not store.is_alive("nobody") and not store.is_alive("")
    second.close()
    assert first.is_alive(mine)
    wait(lambda: not first.is_alive(theirs))
    first.close()
    assert not isinstance(place, Path) or not list(place.glob("process-*"))


def test_an_owner_that_was_killed_is_found_out_and_its_lock_goes(
    place: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "GRACE_SECONDS", 0.0)
    script = f"""
from pathlib import PosixPath
from lib.stores import open_store
store = open_store({place!r})
print(store.claim(), flush=True)
input()
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    owner, store = process.stdout.readline().strip(), open_store(place)
    assert store.is_alive(owner)
    process.kill()
    process.communicate()
    wait(lambda: not store.is_alive(owner))
    assert not isinstance(place, Path) or not list(place.glob("process-*"))
    store.close()


def test_only_one_process_is_alone(place: Path | str) -> None:
    """Two stores, as of two servers, read a number and write the next one, many times at once."""
    stores, number = [open_store(place) for _ in range(2)], [0]

    def count_up(store: Store) -> None:
        for _ in range(30):
            with store.alone():
                before = number[0]
                time.sleep(0.001)
                number[0] = before + 1

    threads = [threading.Thread(target=count_up, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert number == [60]
    for store in stores:
        store.close()


def test_what_changes_in_rooms_is_noticed(store: Store) -> None:
    numbers = [store.changes()]
    for record in (
        ROOM,
        MemberRecord("m", "r", "me", "Ada", 1.0),
        replace(ROOM, title="Tuesday"),
        replace(ROOM, title=""),
    ):
        store.keep(record)
        numbers.append(store.changes())
    assert len(set(numbers)) == 5
    store.keep(HostRecord("h", "proof", 1.0))
    store.save(RECORD)
    assert store.changes() == numbers[-1]
    assert store.kept(RoomRecord) == [replace(ROOM, title="")] and store.kept(HostRecord, "nobody") == []


def test_the_runs_of_a_room_are_those_of_its_peoples_stays(store: Store) -> None:
    for created in range(10):
        for visitor in ("me", "you", "else"):
            store.save(replace(RECORD, id=f"{visitor}{created}", visitor=visitor, created=float(created)))
    store.save(replace(RECORD, id="cell", visitor="me", created=3.0, sweep="s"))
    store.save(replace(RECORD, id="gone", visitor="me", created=3.0))
    store.put_away("gone", 5.0)
    spans = [("me", 2.0, 4.0), ("me", 7.0, math.inf), ("me", 8.0, math.inf), ("you", 3.5, 5.0)]
    names = ["me9", "me8", "me7", "you4", "me3", "me2"]
    assert [run.id for run in store.runs_in(spans)] == names
    assert [run.id for run in store.runs_in(spans, 2)] == names[:2]
    store.save(replace(RECORD, id="me8", visitor="me", created=8.0, state="stopped", updated=9.0))
    store.rename("you4", "mine"), store.put_away("me3", 5.0)
    now = {run.id: run for run in store.runs_in(spans)}
    assert list(now) == [name for name in names if name != "me3"]
    assert (now["me8"].state, now["you4"].name) == ("stopped", "mine") and now["me9"] is store.runs_in(spans)[0]
    assert store.runs_in([]) == [] and store.runs_in([("nobody", 0.0, math.inf)]) == []


def test_a_run_is_taken_by_one_only(store: Store) -> None:
    for number, state in enumerate(("running", "paused", "finished")):
        store.save(replace(RECORD, id=str(number), owner="gone", state=state))
    assert store.owners() == {"0": "gone", "1": "gone"}
    assert [store.take("0", "gone", new) for new in ("first", "second")] == [True, False]
    assert not store.take("nobody", "gone", "first")
    assert store.owners() == {"0": "first", "1": "gone"}
