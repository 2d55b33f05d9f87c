"""Runs in a PostgreSQL database: one that goes away, addresses that are wrong, owners whose connection is lost, large arrays."""

import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos import kept
from lib import array_files, claims, safe_store, texts
from lib.jobs import Jobs
from lib.postgres import PostgresStore
from lib.safe_store import SafeStore
from lib.store import Store, data_folder
from lib.stores import open_store, store_place
from tests.postgres import Cluster
from tests.quadratic import Engine, QuadraticConfig
from tests.test_jobs import assert_undisturbed, start, wait
from tests.test_store import RECORD


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_store, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(claims, "LOOK_EVERY", 0.05)


@pytest.fixture
def address(cluster: Cluster, database: str) -> str:
    return cluster.address(database)


@pytest.fixture
def store(address: str):
    store = PostgresStore(address)
    yield store
    store.close()


def jobs_of(place: Path | str) -> Jobs:
    return Jobs(place, 1, build=lambda slug, config: Engine(config), config_of=lambda slug: QuadraticConfig)


# Which store


def test_the_environment_chooses_the_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    for nothing in ("", "  "):
        monkeypatch.setenv("UNROLLED_STORE", nothing)
        assert store_place() == data_folder() == tmp_path
    monkeypatch.setenv("UNROLLED_STORE", address)
    store = open_store(store_place())
    store.save(RECORD, {"x": np.ones(3)})
    assert isinstance(store, PostgresStore) and store.load("a") == RECORD
    store.close()
    assert list(tmp_path.iterdir()) == [], "nothing of it is in the folder"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mysql://me:secret@here/runs", "UNROLLED_STORE begins with mysql, and is no address of a PostgreSQL database"),
        ("/var/lib/runs", "UNROLLED_STORE begins with `/var/lib/runs`, and is no address of a PostgreSQL database"),
        ("postgresql://me:secret@here:port/runs", "UNROLLED_STORE begins with postgresql, and is no address"),
        ("postgresql://me:secret@127.0.0.1:1/runs", "The database runs on 127.0.0.1 cannot be reached"),
        (
            "postgresql://me:secret@no-such-host.invalid/runs",
            "The database runs on no-such-host.invalid cannot be reached",
        ),
    ],
)
def test_a_wrong_address_is_said_in_one_line_and_its_password_is_not(
    monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setenv("UNROLLED_STORE", address)
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        kept.jobs()
    store = SafeStore(address)
    for text in (str(refused.value), store.trouble):
        assert text.startswith(said) and "secret" not in text and "\n" not in text
        assert "correct UNROLLED_STORE" in text or "write it as in postgresql://user@host/database" in text
    store.save(RECORD)
    assert store.load("a") == RECORD, "runs go on in memory"
    store.close()


@pytest.mark.parametrize(
    ("user", "name", "said", "remedy"),
    [
        ("unrolled", "nowhere", "The database nowhere on 127.0.0.1 does not exist.", "make it with createdb"),
        ("nobody", "runs", "The database runs on 127.0.0.1 does not know this user.", "make it with createuser"),
        ("reader", "runs", "The database runs on 127.0.0.1 does not let this server write.", "give its user the right"),
        ("guest", "runs", "The database runs on 127.0.0.1 does not let this server write.", "give its user the right"),
    ],
)
def test_what_the_database_refuses_is_said_with_its_remedy(
    cluster: Cluster, database: str, user: str, name: str, said: str, remedy: str
) -> None:
    if user in ("reader", "guest"):
        cluster.execute(f"DROP ROLE IF EXISTS {user}; CREATE ROLE {user} LOGIN", database)
    if user == "reader":
        cluster.execute("GRANT USAGE ON SCHEMA public TO reader", database)
    store = SafeStore(cluster.address(name).replace("unrolled:", f"{user}:"))
    assert store.trouble.startswith(said) and remedy in store.trouble, store.trouble
    assert store.trouble.endswith("what was missed is then saved by itself.")
    store.close()


def test_a_database_that_lets_the_server_write_again_gets_all_of_it(cluster: Cluster, database: str) -> None:
    store = SafeStore(cluster.address(database))
    cluster.execute("ALTER TABLE runs RENAME TO hidden", database)
    store.save(RECORD)
    assert store.trouble and store.load("a") == RECORD
    wait(lambda: store.trouble == "")
    assert store._disk is not None and store._disk.load("a") == RECORD, "in a new table"
    store.close()


def test_without_psycopg_the_remedy_is_to_install_it(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    store = SafeStore(address)
    assert store.trouble.startswith("UNROLLED_STORE names a PostgreSQL database, and psycopg cannot be loaded")
    assert store.trouble.endswith("can install requirements-ray.txt and start it again.")
    store.close()


def test_the_database_of_a_later_version_is_not_touched(cluster: Cluster, database: str) -> None:
    cluster.execute("CREATE TABLE version (number integer)", database)
    cluster.execute("INSERT INTO version VALUES (2)", database)
    store = SafeStore(cluster.address(database))
    assert store.trouble.startswith(f"The database {database} on 127.0.0.1 belongs to a later version of Unrolled.")
    store.save(RECORD)
    store.close()
    assert cluster.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database) == [("version",)]


def test_servers_that_start_at_once_make_the_tables_once(address: str) -> None:
    stores: list[Store] = []
    threads = [threading.Thread(target=lambda: stores.append(PostgresStore(address))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stores[0].save(RECORD)
    assert [store.load("a") for store in stores] == [RECORD] * 4
    for store in stores:
        store.close()


def test_a_database_of_an_earlier_version_gets_the_new_columns(cluster: Cluster, database: str) -> None:
    first = PostgresStore(cluster.address(database))
    first.save(RECORD)
    first.close()
    for column in ("owner", "spark", "deleted"):
        cluster.execute(f"ALTER TABLE runs DROP COLUMN {column}", database)
    second = PostgresStore(cluster.address(database))
    assert second.load("a") == RECORD and second.runs_of("me", "echo", 9) == [RECORD]
    second.close()


# What is kept


def test_text_that_the_database_cannot_keep_harms_nothing(store: Store) -> None:
    store.save(replace(RECORD, message="a\0b", config={"text": "a\0b"}))
    store.rename("a", "my\0best")
    found = store.load("a")
    assert found == replace(RECORD, message="a\ufffdb", name="my\ufffdbest", config={"text": "a\0b"})
    assert store.load("a\0") is None and store.runs_of("me\0", None, 9) == []


def test_large_arrays_come_in_parts_and_are_there_as_a_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_files, "PART_BYTES", 10_000)
    for count in (30_000, 5, 12_000):  # of many parts, of one, and of several again
        numbers = np.arange(count)
        store.save(RECORD, {"x": numbers, "empty": np.zeros(0)})
        found = store.arrays("a")
        assert set(found) == {"x", "empty"}
        np.testing.assert_array_equal(found["x"], numbers)
    (size,) = store._files.sizes().values()
    assert 8 * 12_000 < size < 8 * 12_000 + 1000
    store.delete("a")
    assert store.arrays("a") == {} and store._files.sizes() == {}


def test_arrays_that_are_written_by_many_at_once_are_those_of_one(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_files, "PART_BYTES", 1000)
    stores = [PostgresStore(address) for _ in range(3)]

    def write(store: Store, number: int) -> None:
        for _ in range(10):
            store.save(RECORD, {"x": np.full(400 * number, number)})

    threads = [threading.Thread(target=write, args=(store, number)) for number, store in enumerate(stores, 1)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found = stores[0].arrays("a").get("x", np.full(400, 1))
        assert len(found) == 400 * found[0] and (found == found[0]).all()
    for store in stores:
        assert "x" in store.arrays("a")
        store.close()


def test_broken_rows_and_arrays_harm_no_other(cluster: Cluster, database: str, store: Store) -> None:
    for name in ("a", "b"):
        store.save(replace(RECORD, id=name), {"x": np.ones(3)})
    for broken in ("''", "'nonsense'", "substr(content, 1, 100)"):
        cluster.execute(f"UPDATE arrays SET content = {broken} WHERE name = 'a'", database)
        assert store.arrays("a") == {}
    cluster.execute("UPDATE runs SET config = '{' WHERE id = 'a'", database)
    assert [record.id for record in store.runs_of("me", "echo", 9)] == ["b"]
    assert store.arrays("b")["x"].tolist() == [1, 1, 1]


# A database that goes away


def test_training_goes_on_while_the_database_is_away_and_is_written_after(cluster: Cluster, address: str) -> None:
    jobs = jobs_of(address)
    before = start(jobs, steps=100)
    wait(lambda: not before.active)
    cluster.stop()
    try:
        job = start(jobs, steps=600, nap=0.0005)
        wait(lambda: not job.active)
        assert jobs.store.trouble.startswith(
            f"The database {address.rpartition('/')[2]} on 127.0.0.1 cannot be reached"
        )
        assert "start it, or correct UNROLLED_STORE" in jobs.store.trouble and "secret" not in jobs.store.trouble
        assert [record.id for record in jobs.runs_of("me", None, 9)] == [job.id]
        jobs.store.save_network(job.id, 7, {"bias": np.ones(2)})
    finally:
        cluster.start()
    wait(lambda: jobs.store.trouble == "")
    other = jobs_of(address)
    assert {record.id: record.state for record in other.runs_of("me", None, 9)} == {
        before.id: "finished", job.id: "finished",
    }  # fmt: skip
    again = other.get(job.id)
    assert again is not None and other.store.network_steps(job.id) == [7]
    assert_undisturbed(again, 600)
    for each in (other, jobs):
        each.shutdown()


def test_a_server_that_starts_before_its_database_uses_it_later(cluster: Cluster, address: str) -> None:
    cluster.stop()
    try:
        store = SafeStore(address)
        owner = store.claim()
        store.save(replace(RECORD, owner=owner))
        assert store.trouble and store.load("a") is not None
    finally:
        cluster.start()
    wait(lambda: store.trouble == "")
    other = PostgresStore(address)
    assert other.load("a") == replace(RECORD, owner=owner) and other.is_alive(owner)
    store.close()
    other.close()


def test_a_restart_between_two_questions_is_not_noticed(cluster: Cluster, address: str) -> None:
    store = SafeStore(address)
    store.save(RECORD)
    cluster.stop()
    cluster.start()
    assert store.load("a") == RECORD and store.trouble == ""
    store.close()


# Owners


def held_by(cluster: Cluster, database: str) -> list[Any]:
    query = "SELECT pid FROM pg_locks JOIN pg_database ON oid = database WHERE locktype = 'advisory' AND datname = "
    return [row[0] for row in cluster.execute(f"{query}'{database}'", database)]


def test_an_owner_whose_connection_is_lost_claims_its_name_again(cluster: Cluster, database: str, store: Store) -> None:
    other = PostgresStore(cluster.address(database))
    owner = store.claim()
    assert other.is_alive(owner)
    (session,) = held_by(cluster, database)
    cluster.execute(f"SELECT pg_terminate_backend({session})")
    assert other.is_alive(owner), "it has a few seconds to come back"
    wait(lambda: held_by(cluster, database) not in ([], [session]))
    assert other.is_alive(owner)
    other.close()


def test_an_owner_that_does_not_come_back_has_ended(
    cluster: Cluster, address: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "GRACE_SECONDS", 0.2)
    other = PostgresStore(address)
    owner = other.claim()
    assert store.is_alive(owner)
    other.close()
    wait(lambda: not store.is_alive(owner))
    assert not store.is_alive(owner)


def test_a_run_that_another_took_up_meanwhile_is_left_to_it(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_store, "RETRY_SECONDS", 3600.0)
    first = SafeStore(address)
    mine = first.claim()
    first.save(replace(RECORD, owner=mine, state="running"), {"x": np.zeros(1)})
    first._notice(ConnectionError("the network is down"))
    first.save(replace(RECORD, owner=mine, state="running", step=7), {"x": np.zeros(7)})
    first.save(replace(RECORD, id="b", owner=mine), {"x": np.zeros(7)})
    second = PostgresStore(address)
    theirs = second.claim()
    assert second.take("a", mine, theirs) and not second.take("a", mine, mine)
    second.save(replace(RECORD, owner=theirs, state="running", step=9), {"x": np.zeros(9)})
    assert first._mend()
    taken, left = second.load("a"), second.load("b")
    assert taken is not None and (taken.owner, taken.step, len(second.arrays("a")["x"])) == (theirs, 9, 9)
    assert left is not None and left.owner == mine, "what nobody took is written"
    second.close()
    first.close()


def test_a_text_that_one_machine_was_given_is_there_on_another(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster, database: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("UNROLLED_STORE", cluster.address(database))
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path / "one"))
    text_id = texts.keep("Once upon a time, é.")
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path / "two"))
    assert texts.is_kept(text_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "_share", lambda *_: pytest.fail("it came from there"))
        assert texts.load(text_id) == "Once upon a time, é."
    monkeypatch.delenv("UNROLLED_STORE")  # by now it is on this one too
    assert texts.load(text_id) == "Once upon a time, é."
    with pytest.raises(texts.TextError):
        texts.load("0" * 16)
    texts._store(cluster.address(database)).close()  # type: ignore[union-attr]
    texts._store.cache_clear()
