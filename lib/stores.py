"""Which store it is: a data folder, or a database that several servers share."""

import os
from pathlib import Path

from lib.postgres import PostgresStore, name_of
from lib.store import Store, data_folder


def store_place() -> Path | str:
    """The address in `UNROLLED_STORE`, or else the data folder."""
    return os.environ.get("UNROLLED_STORE", "").strip() or data_folder()


def open_store(place: Path | str) -> Store:
    """The store in this folder or at this address. Raises one of lib.faults.FAULTS where it cannot be opened."""
    return Store(place) if isinstance(place, Path) else PostgresStore(place)


def place_name(place: Path | str) -> str:
    """The place as people may see it."""
    return str(place) if isinstance(place, Path) else name_of(place)
