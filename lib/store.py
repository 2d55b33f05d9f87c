"""Where runs and sweeps are kept: an SQLite table of each and one file for each run, in one data folder.

Several servers share a PostgreSQL database instead (lib.postgres). What fails here raises OSError or one of SQLAlchemy's errors;
lib.safe_store goes on in memory then.
"""

import logging
import os
import secrets
import threading
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import platformdirs
import sqlalchemy as sa

from lib import queries, sqlite
from lib.array_files import ArrayFiles, ArraysInMemory, ArrayTable
from lib.claims import FileClaims, SessionClaims
from lib.clearing import Clearing
from lib.queries import KEPT, RUNS, SWEEPS, Kept
from lib.records import UNFINISHED, HostRecord, MemberRecord, RoomRecord, RunRecord, SweepRecord
from lib.tables import TABLES, record_of, row_of, upsert

LOG = logging.getLogger(__name__)
KEPT_PER_VISITOR = 200
SWEEPS_PER_VISITOR = 20
UNDO_SECONDS = 24 * 3600.0  # a deleted run is kept as long, in case its owner wants it back
COMMAND_LINE = "command line"  # the visitor whose runs are those that are trained without a page
# NumPy reads an array's header with Python's own parser, which in Python 3.11 fails now and then in several threads at once
# (SystemError: AST constructor recursion depth mismatch).
_READING = threading.Lock()
MOST_DECODED = 5000  # records of runs that stay in memory for rooms, which ask for all of theirs every second


def data_folder() -> Path:
    """The folder named by `UNROLLED_HOME`, by default one under the user's data directory."""
    return Path(os.environ.get("UNROLLED_HOME") or platformdirs.user_data_dir("unrolled"))


K = TypeVar("K", RoomRecord, MemberRecord, HostRecord)


class Store:
    """Runs on disk. Every method may be called from any thread."""

    _files: ArrayFiles | ArraysInMemory | ArrayTable
    _claims: FileClaims | SessionClaims
    _decoded: Mapping[tuple[Any, ...], RunRecord] = MappingProxyType({})  # by `queries.CHANGED`

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.name = str(folder)
        self._path = self.folder / "runs.sqlite"
        self._files, self._claims = ArrayFiles(self.folder / "runs"), FileClaims(self.folder)
        self._lock: AbstractContextManager[Any] = threading.RLock()
        self._engine = self._open()

    def _open(self) -> sa.Engine:
        """The database; one that is no database is put aside, not deleted, and a new one begun.

        Raises sqlalchemy.exc.OperationalError where it is there but cannot be used now: locked, or on a full disk.
        """
        try:
            return self._connected()
        except sa.exc.OperationalError:
            raise
        except sa.exc.DatabaseError as error:
            LOG.error("%s cannot be read (%s); it is kept as %s", self._path, error.orig, sqlite.put_aside(self._path))
            return self._connected()

    def _connected(self) -> sa.Engine:
        sqlite.check_version(self._path)
        (self.folder / "runs").mkdir(parents=True, exist_ok=True)
        return sqlite.connect(str(self._path))

    def reopen(self) -> None:
        """Connect to the database again, after it or its disk has failed. Raises what that raises."""
        fresh = self._connected()
        with self._lock:
            before, self._engine = self._engine, fresh
            before.dispose()

    def be_patient(self, seconds: float) -> None:
        """How long a process that writes is waited for."""
        with self._lock, self._connect() as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={round(1000 * seconds)}")

    def close(self) -> None:
        """Close the database, and let go of what this process owns."""
        with self._lock:
            self._claims.close()
            self._engine.dispose()

    def _connect(self) -> sa.Connection:
        return self._engine.connect()

    def _execute(self, statement: sa.Executable, values: Mapping[str, Any] | None) -> Any:
        """The rows that were found, or how many were changed."""
        with self._lock, self._connect() as connection:
            result = connection.execute(statement, values)
            return result.all() if result.returns_rows else result.rowcount

    def _rows(self, statement: sa.Executable, **values: Any) -> Sequence[Any]:
        rows: Sequence[Any] = self._execute(statement, values)
        return rows

    def _change(self, statement: sa.Executable, values: Mapping[str, Any] | None = None) -> int:
        return int(self._execute(statement, values))

    # Several processes may share the folder: a server, and runs from the command line

    def claim(self, name: str = "") -> str:
        """A name for this process, under which it owns runs until it ends, however it ends."""
        name = name or secrets.token_hex(8)
        self._claims.claim(name)
        return name

    def is_alive(self, owner: str) -> bool:
        """Whether the process of this name still runs."""
        return bool(owner) and self._claims.is_alive(owner)

    def take(self, run_id: str, owner: str, new: str) -> bool:
        """Hand on a run whose owner has ended; False where somebody was quicker."""
        mine = RUNS.id == run_id, RUNS.owner == owner
        return self._change(sa.update(TABLES[RunRecord]).where(*mine).values(owner=new)) == 1

    def owners(self) -> dict[str, str]:
        """Who owns each unfinished run."""
        return dict(self._rows(queries.OWNERS))

    def alone(self) -> AbstractContextManager[None]:
        """While this is entered, no other process can enter it."""
        return self._claims.alone()

    def save(self, record: RunRecord, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """Write a run's record and, where given, its arrays (curves, checkpoint, last picture), each in one piece."""
        if arrays is not None:
            self._files.write(record.id, arrays)
        self._write(record)

    def _write(self, record: RunRecord | SweepRecord | Kept) -> None:
        kind: type = type(record)
        self._change(upsert(kind, self._engine.dialect.name), row_of(record))

    def arrays(self, run_id: str, *names: str) -> dict[str, np.ndarray]:
        """The run's arrays, or those with these names; empty when there are none or the file is broken."""
        try:
            with self._files.open(run_id) as file, _READING, np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in names or arrays.files if name in arrays}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            LOG.error("the file of run %s cannot be read: %s", run_id, error)
            return {}

    def publish(self, record: RunRecord, stream: Mapping[str, np.ndarray]) -> None:
        """Write how far a run is, and its curves, for other processes to show: often, and without its checkpoint."""
        self._files.write(f"{record.id}~", stream)
        self._write(record)

    def unpublish(self, run_id: str) -> None:
        """Forget them."""
        self._files.delete(f"{run_id}~")

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

    def keep_text(self, text_id: str, content: bytes) -> None:
        """Keep a text that somebody brought, for the other machines that use this store."""
        self._files.write(f"text-{text_id}", {"content": np.frombuffer(content, np.uint8)})

    def text(self, text_id: str) -> bytes | None:
        """A text that `keep_text` kept."""
        kept = self.arrays(f"text-{text_id}")
        return kept["content"].tobytes() if kept else None

    def load(self, run_id: str, *, deleted: bool = False) -> RunRecord | None:
        """One run's record; of one that was deleted only where that is asked for."""
        run: RunRecord | None = self._one(RunRecord, run_id)
        return run if run is not None and (deleted or not run.deleted) else None

    def runs_of(self, visitor: str, slug: str | None, limit: int, *, cells: bool = False) -> list[RunRecord]:
        """The visitor's runs of a demo, or of all, the newest first; with `cells` those of sweeps as well."""
        return self._records(RunRecord, queries.LISTS[slug is not None, cells], limit, visitor=visitor, slug=slug)

    def cells_of(self, sweep_id: str) -> dict[str, RunRecord]:
        """The runs of a sweep by their ids."""
        return {record.id: record for record in self._records(RunRecord, queries.CELLS, sweep=sweep_id)}

    def unfinished(self) -> list[RunRecord]:
        """The runs that were going on, or paused, when their server ended."""
        return self._records(RunRecord, queries.GOING)

    def _one(self, kind: type, name: str) -> Any:
        return next(iter(self._records(kind, queries.NAMED[kind], 1, id=name)), None)

    def _records(self, kind: type, query: sa.Select[Any], limit: int = -1, **values: Any) -> list[Any]:
        rows = self._rows(query, most=limit if limit >= 0 else queries.ALL, **values)
        return [record for row in rows if (record := record_of(kind, row)) is not None]

    # What an owner does with runs

    def rename(self, run_id: str, name: str) -> None:
        """Give a run a name."""
        self._change(sa.update(TABLES[RunRecord]).where(RUNS.id == run_id).values(name=name))

    def put_away(self, run_id: str, when: float) -> None:
        """Delete a run so that it can be brought back for a day; `when` = 0 brings it back."""
        self._change(sa.update(TABLES[RunRecord]).where(RUNS.id == run_id).values(deleted=when))

    def purge(self, now: float) -> None:
        """Forget what was deleted more than a day before `now`."""
        self._delete_where(RUNS.deleted != 0, RUNS.deleted < now - UNDO_SECONDS)
        self._files.clear(now - UNDO_SECONDS)

    def clear(self, now: float, clearing: Clearing) -> None:
        """Delete what the rules say (lib.clearing)."""
        self.purge(now)
        if clearing.days is not None:
            before = now - 24 * 3600.0 * clearing.days
            old = sa.select(SWEEPS.id).where(SWEEPS.state.not_in(UNFINISHED), SWEEPS.created < before)
            for (sweep_id,) in self._rows(old):
                self.delete_sweep(sweep_id)
            going = sa.select(SWEEPS.id).where(SWEEPS.state.in_(UNFINISHED))
            self._delete_where(RUNS.state.not_in(UNFINISHED), RUNS.updated < before, RUNS.sweep.not_in(going))
        self._clear_networks(clearing.network_bytes)

    def _delete_where(self, *where: sa.ColumnElement[bool]) -> None:
        for (run_id,) in self._rows(sa.select(RUNS.id).where(*where)):
            self.delete(run_id)

    def _clear_networks(self, most: int) -> None:
        """Delete networks of the oldest ended runs of those who keep more bytes of them than `most`."""
        sizes: dict[str, dict[str, int]] = {}
        for name, size in self._files.sizes().items():
            if "@" in name:
                sizes.setdefault(name.partition("@")[0], {})[name] = size
        taken: Counter[str] = Counter()
        runs = sa.select(RUNS.id, RUNS.visitor, RUNS.state).order_by(RUNS.created.desc(), RUNS.id.desc())
        for run_id, visitor, state in self._rows(runs) if sizes else ():
            taken[visitor] += sum(sizes.get(run_id, {}).values())
            if taken[visitor] > most and state not in UNFINISHED:
                for name in sizes.get(run_id, ()):
                    self._files.delete(name)

    def prune(self, visitor: str, slug: str) -> None:
        """Delete what is older than the visitor's newest runs of a demo and has ended."""
        for run_id, state in self._rows(queries.BEYOND, visitor=visitor, slug=slug, kept=KEPT_PER_VISITOR):
            if state not in UNFINISHED:
                self.delete(run_id)

    def delete(self, run_id: str) -> None:
        """Forget a run."""
        self._change(sa.delete(TABLES[RunRecord]).where(RUNS.id == run_id))
        for name in (*self._files.names(f"{run_id}@"), run_id, f"{run_id}~"):
            self._files.delete(name)

    # Sweeps

    def save_sweep(self, record: SweepRecord) -> None:
        """Write a sweep's record."""
        self._write(record)

    def load_sweep(self, sweep_id: str) -> SweepRecord | None:
        """One sweep's record."""
        sweep: SweepRecord | None = self._one(SweepRecord, sweep_id)
        return sweep

    def take_sweep(self, sweep_id: str, owner: str, new: str) -> bool:
        """Hand on a sweep; False where somebody was quicker."""
        mine = SWEEPS.id == sweep_id, SWEEPS.owner == owner
        return self._change(sa.update(TABLES[SweepRecord]).where(*mine).values(owner=new)) == 1

    def sweeps_of(self, visitor: str, slug: str, limit: int) -> list[SweepRecord]:
        """The visitor's sweeps of a demo, the newest first."""
        return self._records(SweepRecord, queries.SWEEPS_OF, limit, visitor=visitor, slug=slug)

    def unfinished_sweeps(self) -> list[SweepRecord]:
        """The sweeps that were going on, or paused, when their server ended."""
        return self._records(SweepRecord, queries.GOING_SWEEPS)

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
        self._change(sa.delete(TABLES[SweepRecord]).where(SWEEPS.id == sweep_id))

    # Rooms, and who is in them

    def keep(self, record: Kept) -> None:
        """Write the record of a room, a member or a host."""
        self._write(record)

    def kept(self, kind: type[K], name: str | None = None) -> list[K]:
        """All records of a kind, or the one with this id; the newest first."""
        return (
            self._records(kind, queries.EVERY[kind])
            if name is None
            else self._records(kind, queries.NAMED[kind], id=name)
        )

    def changes(self) -> int | None:
        """A number that is another one whenever the record of a room or a member was kept, by whichever process."""
        return sum(self._rows(queries.CHANGES)[0])

    def drop_kept(self, name: str) -> None:
        """Forget the room, member or host with this id."""
        for kind in KEPT:
            self._change(sa.delete(TABLES[kind]).where(TABLES[kind].c.id == name))

    def runs_in(self, spans: Sequence[tuple[str, float, float]], limit: int = -1) -> list[RunRecord]:
        """The runs that visitors began in a span of time, (visitor, from, to), the newest first; no cells of sweeps."""
        stays: dict[str, list[tuple[float, float]]] = {}
        for visitor, begins, ends in spans:
            stays.setdefault(visitor, []).append((begins, ends))
        if not stays:
            return []
        first, last = min(begins for _, begins, _ in spans), max(ends for _, _, ends in spans)
        rows = self._rows(queries.BEGUN, visitors=list(stays), begins=first, ends=last)
        inside = (row for row in rows if any(begins <= row.created < ends for begins, ends in stays[row.visitor]))
        wanted = [tuple(row[: len(queries.CHANGED)]) for row in inside][: limit if limit >= 0 else None]
        fresh = [each[0] for each in wanted if each not in self._decoded]
        read = {record.id: record for record in self._records(RunRecord, queries.THESE, ids=fresh)} if fresh else {}
        both = {each: self._decoded.get(each) or read.get(each[0]) for each in wanted}
        found = {each: record for each, record in both.items() if record is not None}
        others = [each for each in self._decoded.items() if each[0] not in found]
        self._decoded = dict([*others, *found.items()][-MOST_DECODED:])
        return list(found.values())


class MemoryStore(Store):
    """The same in memory: it ends with the process."""

    def __init__(self) -> None:
        self.folder, self.name = Path(), "memory"
        self._files, self._claims = ArraysInMemory(), FileClaims(self.folder)
        self._lock = threading.RLock()
        self._engine = sqlite.connect(":memory:")
