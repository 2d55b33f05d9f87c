"""The SQLite database of a data folder: opening it, its version, and putting aside what is no database."""

from contextlib import suppress
from itertools import count
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import NullPool, StaticPool

from lib.tables import TABLES, VERSION, prepare

LOCK_SECONDS = 1.0  # to wait for another process that writes


class NewerFolderError(OSError):
    """The data folder belongs to a later version of Unrolled, and is left as it is."""


def put_aside(path: Path) -> str:
    """Rename a database, with what SQLite keeps beside it; the name that it has then. None is ever overwritten."""
    names = (path.with_suffix(f".broken{number or ''}") for number in count())
    aside = next(name for name in names if not name.exists())
    for end in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).replace(aside.with_name(aside.name + end))
    return aside.name


def check_version(path: Path) -> None:
    """Raises NewerFolderError for a database of a later version, which is only read for this."""
    if not path.exists():
        return
    url = sa.URL.create("sqlite", database=path.resolve().as_uri(), query={"mode": "ro", "uri": "true"})
    with sa.create_engine(url, poolclass=NullPool, connect_args={"timeout": LOCK_SECONDS}).connect() as database:
        version = database.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version > VERSION:
        raise NewerFolderError(f"{path} has version {version}, this program writes version {VERSION}")


def connect(path: str) -> sa.Engine:
    """The database at `path` with all tables and columns of this version, and one connection to it."""
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=path),
        poolclass=StaticPool,
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": LOCK_SECONDS},
    )
    try:
        with engine.connect() as database:
            database.exec_driver_sql("PRAGMA journal_mode=WAL")
            database.exec_driver_sql("PRAGMA synchronous=NORMAL")
            prepare(database, TABLES.values())
            if database.exec_driver_sql("PRAGMA user_version").scalar_one() != VERSION:
                database.exec_driver_sql(f"PRAGMA user_version={VERSION}")
    except sa.exc.SQLAlchemyError:
        engine.dispose()
        raise
    return engine
