"""Where runs and sweeps are kept: an SQLite table of each and one file for each run, in one data folder.

What fails here raises OSError or sqlite3.DatabaseError; lib.safe_store goes on in memory then.
"""

import json
import logging
import os
import secrets
import sqlite3
import threading
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, fields
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import filelock
import numpy as np
import platformdirs

from lib.array_files import ArrayFiles, ArraysInMemory
from lib.clearing import Clearing
from lib.records import HostRecord, MemberRecord, RoomRecord, RunRecord, SweepRecord

LOG = logging.getLogger(__name__)
KEPT_PER_VISITOR = 200
SWEEPS_PER_VISITOR = 20
UNDO_SECONDS = 24 * 3600.0  # a deleted run is kept as long, in case its owner wants it back
COMMAND_LINE = "command line"  # the visitor whose runs are those that are trained without a page
VERSION = 1  # of the data folder
LOCK_SECONDS = 1.0  # to wait for another process that writes
# NumPy reads an array's header with Python's own parser, which in Python 3.11 fails now and then in several threads at once
# (SystemError: AST constructor recursion depth mismatch).
_READING = threading.Lock()
UNFINISHED = ("queued", "compiling", "running", "paused")


def data_folder() -> Path:
    """The folder named by `UNROLLED_HOME`, by default one under the user's data directory."""
    return Path(os.environ.get("UNROLLED_HOME") or platformdirs.user_data_dir("unrolled"))


Kept = RoomRecord | MemberRecord | HostRecord
K = TypeVar("K", RoomRecord, MemberRecord, HostRecord)
_KEPT: dict[type, str] = {RoomRecord: "rooms", MemberRecord: "members", HostRecord: "hosts"}
Record = RunRecord | SweepRecord | Kept
_TABLES: dict[str, type] = {
    "runs": RunRecord,
    "sweeps": SweepRecord,
    "rooms": RoomRecord,
    "members": MemberRecord,
    "hosts": HostRecord,
}
_JSON = {"config", "live", "changes", "summary", "final_by_seed", "spark", "origin", "diary", "base", "axes"}
_JSON |= {"rules", "pushes", "held", "map", "challenges"}
_OWNERS = ("name", "deleted")
_ADDED = {
    "final_by_seed": "'[]'",
    "spark": "'[]'",
    "sweep": "''",
    "origin": "'[]'",
    "diary": "'[]'",
    "owner": "''",
    "name": "''",
    "deleted": "0",
}  # since the first version


class NewerFolderError(OSError):
    """The data folder belongs to a later version of Unrolled, and is left as it is."""


class Store:
    """Runs on disk. Every method may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._path = self.folder / "runs.sqlite"
        self._files: ArrayFiles | ArraysInMemory = ArrayFiles(self.folder / "runs")
        self._lock = threading.RLock()
        self._claim: filelock.BaseFileLock | None = None
        self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        """The database; one that is no database is put aside, not deleted, and a new one begun.

        Raises sqlite3.OperationalError where it is there but cannot be used now: locked, or on a full disk.
        """
        try:
            return self._connected()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            LOG.error("%s cannot be read (%s); it is kept as %s", self._path, error, _put_aside(self._path))
            return self._connected()

    def _connected(self) -> sqlite3.Connection:
        _check_version(self._path)
        self._files.folder.mkdir(parents=True, exist_ok=True)
        return _connect(self._path)

    def reopen(self) -> None:
        """Connect to the database again, after it or its disk has failed. Raises what that raises."""
        fresh = self._connected()
        with self._lock:
            self._database.close()
            self._database = fresh

    def be_patient(self, seconds: float) -> None:
        """How long a process that writes is waited for."""
        with self._lock:
            self._database.execute(f"PRAGMA busy_timeout={round(1000 * seconds)}")

    def close(self) -> None:
        """Close the database, and let go of what this process owns."""
        with self._lock:
            self._database.close()
            if self._claim is not None:
                self._claim.release()
                with suppress(OSError):
                    Path(self._claim.lock_file).unlink(missing_ok=True)

    # Several processes may share the folder: a server, and runs from the command line

    def claim(self, name: str = "") -> str:
        """A name for this process, under which it owns runs until it ends, however it ends."""
        name = name or secrets.token_hex(8)
        if self._claim is None:
            lock = self._process_lock(name)
            lock.acquire(blocking=False)
            self._claim = lock
        return name

    def is_alive(self, owner: str) -> bool:
        """Whether the process of this name still runs."""
        lock = self._process_lock(owner)
        if not owner or not Path(lock.lock_file).exists():
            return False
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            return True
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
        return False

    def take(self, run_id: str, owner: str, new: str) -> bool:
        """Hand on a run whose owner has ended; False where somebody was quicker."""
        with self._lock:
            query = "UPDATE runs SET owner = ? WHERE id = ? AND owner = ?"
            return self._database.execute(query, (new, run_id, owner)).rowcount == 1

    def owners(self) -> dict[str, str]:
        """Who owns each unfinished run."""
        with self._lock:
            return dict(self._database.execute(f"SELECT id, owner FROM runs WHERE state IN {UNFINISHED}").fetchall())

    def _process_lock(self, name: str) -> filelock.BaseFileLock:
        return filelock.FileLock(self.folder / f"process-{name}.lock", thread_local=False)

    def save(self, record: RunRecord, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """Write a run's record and, where given, its arrays (curves, checkpoint, last picture), each in one piece."""
        if arrays is not None:
            self._files.write(record.id, arrays)
        self._write("runs", record)

    def _write(self, table: str, record: Record) -> None:
        columns, values = _columns(type(record)), asdict(record)
        row = [json.dumps(values[name]) if name in _JSON else values[name] for name in columns]
        marks = ", ".join("?" for _ in columns)
        kept = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in _OWNERS)
        insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        self._change(f"{insert} ON CONFLICT (id) DO UPDATE SET {kept}", *row)

    def arrays(self, run_id: str) -> dict[str, np.ndarray]:
        """The run's arrays; empty when there are none or the file is broken."""
        try:
            with _READING, self._files.open(run_id) as file, np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            LOG.error("the file of run %s cannot be read: %s", run_id, error)
            return {}

    def publish(self, record: RunRecord, stream: Mapping[str, np.ndarray]) -> None:
        """Write how far a run is, and its curves, for other processes to show: often, and without its checkpoint."""
        self._files.write(f"{record.id}~", stream)
        self._write("runs", record)

    def published(self, run_id: str) -> dict[str, np.ndarray]:
        """The curves that were published last."""
        return self.arrays(f"{run_id}~")

    def save_network(self, run_id: str, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a run's network as it was at a step, beside its record."""
        self._files.write(f"{run_id}@{step}", arrays)

    def network(self, run_id: str, step: int) -> dict[str, np.ndarray]:
        """What `save_network` kept; empty when there is nothing."""
        return self.arrays(f"{run_id}@{step}")

    def network_steps(self, run_id: str) -> list[int]:
        """The steps whose networks are kept, in order."""
        return sorted(int(name.rpartition("@")[2]) for name in self._files.names(f"{run_id}@"))

    def load(self, run_id: str, *, deleted: bool = False) -> RunRecord | None:
        """One run's record; of one that was deleted only where that is asked for."""
        return next(iter(self._runs("id = ?" if deleted else "id = ? AND NOT deleted", (run_id,), 1)), None)

    def runs_of(self, visitor: str, slug: str | None, limit: int, *, cells: bool = False) -> list[RunRecord]:
        """The visitor's runs of a demo, or of all, the newest first; with `cells` those of sweeps as well."""
        where, values = "visitor = ? AND NOT deleted", [visitor]
        if slug is not None:
            where, values = f"{where} AND slug = ?", [*values, slug]
        return self._runs(where if cells else f"{where} AND sweep = ''", values, limit)

    def cells_of(self, sweep_id: str) -> dict[str, RunRecord]:
        """The runs of a sweep by their ids."""
        return {record.id: record for record in self._runs("sweep = ?", (sweep_id,), -1)}

    def unfinished(self) -> list[RunRecord]:
        """The runs that were going on, or paused, when their server ended."""
        return self._runs(f"state IN {UNFINISHED} AND NOT deleted", (), -1)

    def _runs(self, where: str, values: Sequence[Any], limit: int) -> list[RunRecord]:
        return self._select("runs", where, values, limit)

    def _select(self, table: str, where: str, values: Sequence[Any], limit: int) -> list[Any]:
        columns = ", ".join(_columns(_TABLES[table]))
        query = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY created DESC, rowid DESC LIMIT ?"
        with self._lock:
            rows = self._database.execute(query, (*values, limit)).fetchall()
        return [record for row in rows if (record := _record(_TABLES[table], row)) is not None]

    # What an owner does with runs

    def rename(self, run_id: str, name: str) -> None:
        """Give a run a name."""
        self._change("UPDATE runs SET name = ? WHERE id = ?", name, run_id)

    def put_away(self, run_id: str, when: float) -> None:
        """Delete a run so that it can be brought back for a day; `when` = 0 brings it back."""
        self._change("UPDATE runs SET deleted = ? WHERE id = ?", when, run_id)

    def purge(self, now: float) -> None:
        """Forget what was deleted more than a day before `now`."""
        for record in self._runs("deleted AND deleted < ?", (now - UNDO_SECONDS,), -1):
            self.delete(record.id)
        self._files.clear(now - UNDO_SECONDS)

    def clear(self, now: float, clearing: Clearing) -> None:
        """Delete what the rules say (lib.clearing)."""
        self.purge(now)
        if clearing.days is not None:
            before = now - 24 * 3600.0 * clearing.days
            for sweep in self._select("sweeps", f"state NOT IN {UNFINISHED} AND created < ?", (before,), -1):
                self.delete_sweep(sweep.id)
            going = f"(SELECT id FROM sweeps WHERE state IN {UNFINISHED})"
            for run in self._runs(f"state NOT IN {UNFINISHED} AND updated < ? AND sweep NOT IN {going}", (before,), -1):
                self.delete(run.id)
        self._clear_networks(clearing.network_bytes)

    def _clear_networks(self, most: int) -> None:
        """Delete networks of the oldest ended runs of those who keep more bytes of them than `most`."""
        sizes: dict[str, dict[str, int]] = {}
        for name, size in self._files.sizes().items():
            if "@" in name:
                sizes.setdefault(name.partition("@")[0], {})[name] = size
        taken: Counter[str] = Counter()
        for run in self._runs("1", (), -1) if sizes else ():
            taken[run.visitor] += sum(sizes.get(run.id, {}).values())
            if taken[run.visitor] > most and run.state not in UNFINISHED:
                for name in sizes.get(run.id, ()):
                    self._files.delete(name)

    def _change(self, statement: str, *values: Any) -> None:
        with self._lock:
            self._database.execute(statement, values)

    def prune(self, visitor: str, slug: str) -> None:
        """Delete what is older than the visitor's newest runs of a demo and has ended."""
        for record in self.runs_of(visitor, slug, -1)[KEPT_PER_VISITOR:]:
            if record.state not in UNFINISHED:
                self.delete(record.id)

    def delete(self, run_id: str) -> None:
        """Forget a run."""
        self._change("DELETE FROM runs WHERE id = ?", run_id)
        for name in (*self._files.names(f"{run_id}@"), run_id, f"{run_id}~"):
            self._files.delete(name)

    # Sweeps

    def save_sweep(self, record: SweepRecord) -> None:
        """Write a sweep's record."""
        self._write("sweeps", record)

    def load_sweep(self, sweep_id: str) -> SweepRecord | None:
        """One sweep's record."""
        return next(iter(self._select("sweeps", "id = ?", (sweep_id,), 1)), None)

    def sweeps_of(self, visitor: str, slug: str, limit: int) -> list[SweepRecord]:
        """The visitor's sweeps of a demo, the newest first."""
        return self._select("sweeps", "visitor = ? AND slug = ?", (visitor, slug), limit)

    def unfinished_sweeps(self) -> list[SweepRecord]:
        """The sweeps that were going on, or paused, when their server ended."""
        return self._select("sweeps", f"state IN {UNFINISHED}", (), -1)

    def prune_sweeps(self, visitor: str, slug: str) -> None:
        """Delete what is older than the visitor's newest sweeps of a demo and has ended, with its runs."""
        for record in self.sweeps_of(visitor, slug, -1)[SWEEPS_PER_VISITOR:]:
            if record.state not in UNFINISHED:
                self.delete_sweep(record.id)

    def delete_sweep(self, sweep_id: str) -> None:
        """Forget a sweep and its runs."""
        for run_id in self.cells_of(sweep_id):
            self.delete(run_id)
        self.drop_sweep(sweep_id)

    def drop_sweep(self, sweep_id: str) -> None:
        """Forget a sweep, and leave its runs."""
        self._change("DELETE FROM sweeps WHERE id = ?", sweep_id)

    # Rooms, and who is in them

    def keep(self, record: Kept) -> None:
        """Write the record of a room, a member or a host."""
        self._write(_KEPT[type(record)], record)

    def kept(self, kind: type[K], name: str | None = None) -> list[K]:
        """All records of a kind, or the one with this id; the newest first."""
        where, values = ("1", ()) if name is None else ("id = ?", (name,))
        return self._select(_KEPT[kind], where, values, -1)

    def drop_kept(self, name: str) -> None:
        """Forget the room, member or host with this id."""
        for table in _KEPT.values():
            self._change(f"DELETE FROM {table} WHERE id = ?", name)

    def runs_in(self, spans: Sequence[tuple[str, float, float]], limit: int = -1) -> list[RunRecord]:
        """The runs that visitors began in a span of time, (visitor, from, to), the newest first; no cells of sweeps."""
        if not spans:
            return []
        marks = ", ".join(["(?, ?, ?)"] * len(spans))
        began = (
            f"WITH spans (who, begins, ends) AS (VALUES {marks}) SELECT runs.rowid FROM spans JOIN runs "
            "ON visitor = who AND created >= begins AND created < ends"
        )
        # "+" keeps SQLite from going through everybody's runs by the sweep that they are not of.
        values = [value for span in spans for value in span]
        return self._runs(f"NOT deleted AND +sweep = '' AND rowid IN ({began})", values, limit)


class MemoryStore(Store):
    """The same in memory: it ends with the process."""

    def __init__(self) -> None:
        self.folder = Path()
        self._files = ArraysInMemory()
        self._lock = threading.RLock()
        self._claim = None
        self._database = _connect(":memory:")


def _put_aside(path: Path) -> str:
    """Rename a database, with what SQLite keeps beside it; the name that it has then. None is ever overwritten."""
    names = (path.with_suffix(f".broken{number or ''}") for number in count())
    aside = next(name for name in names if not name.exists())
    for end in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).replace(aside.with_name(aside.name + end))
    return aside.name


def _check_version(path: Path) -> None:
    """Raises NewerFolderError for a database of a later version, which is only read for this."""
    if not path.exists():
        return
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=LOCK_SECONDS)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise NewerFolderError(f"{path} has version {version}, this program writes version {VERSION}")


def _connect(path: Path | str) -> sqlite3.Connection:
    """The database at `path` with all tables and columns of this version."""
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=LOCK_SECONDS)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        for table, kind in _TABLES.items():
            columns = _columns(kind)
            database.execute(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns)}, PRIMARY KEY (id))")
            there = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
            for column in set(columns) - there:
                _add_column(database, table, column)
        database.execute("CREATE INDEX IF NOT EXISTS by_visitor ON runs (visitor, slug, created)")
        database.execute("CREATE INDEX IF NOT EXISTS by_sweep ON runs (sweep)")
        if database.execute("PRAGMA user_version").fetchone() != (VERSION,):
            database.execute(f"PRAGMA user_version={VERSION}")
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database


def _add_column(database: sqlite3.Connection, table: str, column: str) -> None:
    """Add a column to a table of an earlier version, unless another process is quicker."""
    try:
        database.execute(f"ALTER TABLE {table} ADD COLUMN {column} DEFAULT {_ADDED[column]}")
    except sqlite3.OperationalError as error:
        if "duplicate column" not in str(error):
            raise


def _columns(kind: type) -> tuple[str, ...]:
    return tuple(column.name for column in fields(kind))


def _record(kind: type, row: tuple[Any, ...]) -> Any:
    """A row as its record; None, and a line in the log, when it cannot be read."""
    values = {name: value for name, value in zip(_columns(kind), row, strict=True) if value is not None}
    try:
        return kind(**{name: json.loads(value) if name in _JSON else value for name, value in values.items()})
    except (TypeError, ValueError) as error:
        LOG.error("the record of %s cannot be read: %s", values.get("id"), error)
        return None
