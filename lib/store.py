"""Where runs are kept: one SQLite table and one file for each run, in one data folder."""

import json
import logging
import os
import sqlite3
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

LOG = logging.getLogger(__name__)
KEPT_PER_VISITOR = 200
UNFINISHED = ("queued", "compiling", "running", "paused")


def data_folder() -> Path:
    """The folder named by `UNROLLED_HOME`, by default one under the user's data directory."""
    return Path(os.environ.get("UNROLLED_HOME") or platformdirs.user_data_dir("unrolled"))


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run. Times are seconds since 1970, `seconds` is training time."""

    id: str
    visitor: str
    slug: str
    config: dict[str, Any]
    live: dict[str, Any]
    changes: list[Any]
    state: str
    message: str
    step: int
    steps: int
    created: float
    updated: float
    seconds: float
    device: str
    summary: dict[str, Any]


_COLUMNS = tuple(field.name for field in fields(RunRecord))
_JSON = ("config", "live", "changes", "summary")


class Store:
    """Runs on disk. Every method may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        (self.folder / "runs").mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        """The database; one that cannot be read is put aside, not deleted, and a new one begun."""
        path = self.folder / "runs.sqlite"
        try:
            return self._connect(path)
        except sqlite3.DatabaseError as error:
            aside = path.with_suffix(".broken")
            LOG.error("%s cannot be read (%s); it is kept as %s", path, error, aside.name)
            path.replace(aside)
            return self._connect(path)

    def _connect(self, path: Path) -> sqlite3.Connection:
        database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute(f"CREATE TABLE IF NOT EXISTS runs ({', '.join(_COLUMNS)}, PRIMARY KEY (id))")
            database.execute("CREATE INDEX IF NOT EXISTS by_visitor ON runs (visitor, slug, created)")
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def save(self, record: RunRecord, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """Write a run's record and, where given, its arrays (curves, checkpoint, last picture), each in one piece."""
        values = asdict(record)
        row = [json.dumps(values[name]) if name in _JSON else values[name] for name in _COLUMNS]
        if arrays is not None:
            self._write_arrays(record.id, arrays)
        with self._lock:
            marks = ", ".join("?" for _ in _COLUMNS)
            self._database.execute(f"INSERT OR REPLACE INTO runs ({', '.join(_COLUMNS)}) VALUES ({marks})", row)

    def _file(self, run_id: str) -> Path:
        return self.folder / "runs" / f"{run_id}.npz"

    def _write_arrays(self, run_id: str, arrays: Mapping[str, np.ndarray]) -> None:
        path = self._file(run_id)
        fresh = path.with_suffix(f".{threading.get_ident()}.new")
        with fresh.open("wb") as file:
            np.savez(file, **dict(arrays))  # type: ignore[arg-type]  # NumPy's stub reads every keyword as allow_pickle
        fresh.replace(path)

    def arrays(self, run_id: str) -> dict[str, np.ndarray]:
        """The run's arrays; empty when there are none or the file is broken."""
        try:
            with self._file(run_id).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            LOG.error("the file of run %s cannot be read: %s", run_id, error)
            return {}

    def load(self, run_id: str) -> RunRecord | None:
        """One run's record."""
        return next(iter(self._select("id = ?", (run_id,), 1)), None)

    def runs_of(self, visitor: str, slug: str, limit: int) -> list[RunRecord]:
        """The visitor's runs of a demo, the newest first."""
        return self._select("visitor = ? AND slug = ?", (visitor, slug), limit)

    def unfinished(self) -> list[RunRecord]:
        """The runs that were going on, or paused, when their server ended."""
        return self._select(f"state IN {UNFINISHED}", (), -1)

    def _select(self, where: str, values: tuple[Any, ...], limit: int) -> list[RunRecord]:
        query = f"SELECT {', '.join(_COLUMNS)} FROM runs WHERE {where} ORDER BY created DESC, rowid DESC LIMIT ?"
        with self._lock:
            rows = self._database.execute(query, (*values, limit)).fetchall()
        return [record for row in rows if (record := _record(row)) is not None]

    def prune(self, visitor: str, slug: str) -> None:
        """Delete what is older than the visitor's newest runs of a demo and has ended."""
        for record in self._select("visitor = ? AND slug = ?", (visitor, slug), -1)[KEPT_PER_VISITOR:]:
            if record.state not in UNFINISHED:
                self.delete(record.id)

    def delete(self, run_id: str) -> None:
        """Forget a run."""
        with self._lock:
            self._database.execute("DELETE FROM runs WHERE id = ?", (run_id,))
        self._file(run_id).unlink(missing_ok=True)


def _record(row: tuple[Any, ...]) -> RunRecord | None:
    values = dict(zip(_COLUMNS, row, strict=True))
    try:
        return RunRecord(**{name: json.loads(value) if name in _JSON else value for name, value in values.items()})
    except (TypeError, ValueError) as error:
        LOG.error("the record of run %s cannot be read: %s", values.get("id"), error)
        return None
