"""Arrays by name, on disk or in memory: what is too large for a row of the store."""

import io
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np


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


def _save(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    np.savez(file, **dict(arrays))  # type: ignore[arg-type]  # NumPy's stub reads every keyword as allow_pickle
