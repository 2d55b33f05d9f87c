"""Arrays by name, on disk, in a database or in memory: what is too large for a row of the store."""

import io
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

PART_BYTES = 4 * 1024**2  # of a file in a row of a database, which holds all of a row in memory several times over


class ArrayFiles:
    """Arrays by name, each in a file NAME.npz that is there as a whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"

    def write(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        fresh = self.folder / f"{name}.{threading.get_ident()}.new"
        try:
            with fresh.open("wb") as file:
                _save(file, arrays)
            fresh.replace(self._path(name))
        except OSError:
            with suppress(OSError):  # half a file would only fill a full disk
                fresh.unlink(missing_ok=True)
            raise

    def open(self, name: str) -> BinaryIO:
        return self._path(name).open("rb")

    def names(self, start: str) -> list[str]:
        return [path.stem for path in self.folder.glob(f"{start}*.npz")]

    def sizes(self) -> dict[str, int]:
        with os.scandir(self.folder) as entries:
            return {
                entry.name.removesuffix(".npz"): entry.stat().st_size
                for entry in entries
                if entry.name.endswith(".npz")
            }

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def clear(self, before: float) -> None:
        """Delete what a process that was killed left half written."""
        for left in self.folder.glob("*.new"):
            with suppress(FileNotFoundError):
                if left.stat().st_mtime < before:
                    left.unlink()


class ArraysInMemory:
    """The same in memory."""

    folder = Path()

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def write(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        file = io.BytesIO()
        _save(file, arrays)
        self._kept[name] = file.getvalue()

    def open(self, name: str) -> BinaryIO:
        if name not in self._kept:
            raise FileNotFoundError(name)
        return io.BytesIO(self._kept[name])

    def names(self, start: str) -> list[str]:
        return [name for name in list(self._kept) if name.startswith(start)]

    def sizes(self) -> dict[str, int]:
        return {name: len(content) for name, content in self._kept.items()}

    def delete(self, name: str) -> None:
        self._kept.pop(name, None)

    def clear(self, before: float) -> None:
        """Nothing is ever half written."""


ARRAYS = sa.Table(
    "arrays",
    sa.MetaData(),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("content", sa.LargeBinary),
)
# Numbers hardly become smaller, and the database would try.
sa.event.listen(ARRAYS, "after_create", sa.DDL("ALTER TABLE arrays ALTER COLUMN content SET STORAGE EXTERNAL"))
_NAME = ARRAYS.c.name == sa.bindparam("wanted")
_PARTS = sa.select(ARRAYS.c.content).where(_NAME).order_by(ARRAYS.c.part)
_FRESH = insert(ARRAYS)
_WRITE = _FRESH.on_conflict_do_update(index_elements=["name", "part"], set_={"content": _FRESH.excluded.content})
_DELETE = sa.delete(ARRAYS).where(_NAME, ARRAYS.c.part >= sa.bindparam("first"))
_SIZE = sa.func.sum(sa.func.octet_length(ARRAYS.c.content))
_SIZES = sa.select(ARRAYS.c.name, sa.cast(_SIZE, sa.BigInteger).label("size")).group_by(ARRAYS.c.name)


class ArrayTable:
    """The same in a table of PostgreSQL, for servers without a folder that all of them reach."""

    def __init__(self, connect: Callable[[], sa.Connection]) -> None:
        self._connect = connect

    def write(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        file = io.BytesIO()
        _save(file, arrays)
        content = file.getbuffer()
        starts = range(0, len(content), PART_BYTES)
        parts = [
            {"name": name, "part": part, "content": content[start : start + PART_BYTES]}
            for part, start in enumerate(starts)
        ]
        with self._connect() as connection:
            connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():  # all of it or nothing
                for each in parts:
                    connection.execute(_WRITE, each)
                connection.execute(_DELETE, {"wanted": name, "first": len(parts)})

    def open(self, name: str) -> BinaryIO:
        with self._connect() as connection:
            parts = connection.execute(_PARTS, {"wanted": name}).scalars().all()
        if not parts:
            raise FileNotFoundError(name)
        return io.BytesIO(b"".join(parts))

    def names(self, start: str) -> list[str]:
        query = sa.select(ARRAYS.c.name).where(ARRAYS.c.part == 0, ARRAYS.c.name.startswith(start, autoescape=True))
        with self._connect() as connection:
            return list(connection.execute(query).scalars())

    def sizes(self) -> dict[str, int]:
        with self._connect() as connection:
            return {row.name: row.size for row in connection.execute(_SIZES)}

    def delete(self, name: str) -> None:
        with self._connect() as connection:
            connection.execute(_DELETE, {"wanted": name, "first": 0})

    def clear(self, before: float) -> None:
        """Nothing is ever half written."""


def _save(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    np.savez(file, **dict(arrays))  # type: ignore[arg-type]  # NumPy's stub reads every keyword as allow_pickle
