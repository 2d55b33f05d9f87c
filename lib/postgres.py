"""Where several servers keep runs together: the same tables in a PostgreSQL database, the arrays too."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import sqlalchemy as sa

from lib.array_files import ARRAYS, ArrayTable
from lib.claims import SessionClaims
from lib.faults import AddressError
from lib.store import Store
from lib.tables import TABLES, VERSION, prepare
from lib.values import shown

# Unless the address says otherwise. A machine that has vanished is noticed within half a minute, here and at the database, which
# frees what its process owned. Locks are for moments: whoever waits longer for one waits for a process that hangs.
SETTINGS = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "connect_timeout": "5",
    "application_name": "unrolled",
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 "
    "-c tcp_user_timeout=20000 -c lock_timeout=5000",
}
CONNECTIONS = 5  # that a process has at most, besides those of its claim and for texts (lib.texts)
_VERSION = sa.Table("version", sa.MetaData(), sa.Column("number", sa.Integer))


class PostgresStore(Store):
    """Runs in a database, named as in `postgresql://user@host/database`. Every method may be called from any thread."""

    def __init__(self, address: str, connections: int = CONNECTIONS) -> None:
        self._url, self._connections = _url(address), connections
        self.name = name_of(address)
        self._lock = nullcontext()
        self._engine = self._connected()
        self._files, self._claims = ArrayTable(self._connect), SessionClaims(self._connect)

    def _connected(self) -> sa.Engine:
        engine = _engine(self._url, self._connections)
        try:
            with engine.execution_options(isolation_level="READ COMMITTED").begin() as database:  # all of it or nothing
                # Two servers that start at once would make the same tables.
                database.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended("prepare", 0))))
                _check_version(database, self.name)
                prepare(database, [*TABLES.values(), ARRAYS])
        except BaseException:
            engine.dispose()
            raise
        return engine

    def _execute(self, statement: sa.Executable, values: Mapping[str, Any] | None) -> Any:
        try:
            return super()._execute(statement, values)
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return super()._execute(statement, values)  # by a new connection: the database was restarted, say

    def be_patient(self, seconds: float) -> None:
        """Nobody waits for others' writing here."""


def name_of(address: str) -> str:
    """The database in words, without the password."""
    try:
        url = _url(address)
    except AddressError:
        return "The database"
    return f"The database {url.database or url.username} on {url.host or 'this machine'}"


def _url(address: str) -> sa.URL:
    try:
        url = sa.make_url(address)
    except (sa.exc.ArgumentError, ValueError):
        url = None
    if url is None or url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise AddressError(
            f"UNROLLED_STORE begins with {shown(address.partition(':')[0])}, and is no address of a PostgreSQL database",
            "write it as in postgresql://user@host/database",
        )
    return url.set(drivername="postgresql+psycopg").update_query_dict(SETTINGS | dict(url.query))


def _engine(url: sa.URL, connections: int) -> sa.Engine:
    try:
        return sa.create_engine(
            url, isolation_level="AUTOCOMMIT", pool_size=connections, max_overflow=0, hide_parameters=True
        )
    except ImportError as error:
        what = f"UNROLLED_STORE names a PostgreSQL database, and psycopg cannot be loaded ({error})"
        raise AddressError(what, "install requirements-ray.txt") from error


def _check_version(database: sa.Connection, name: str) -> None:
    """Raises AddressError for a database of a later version."""
    prepare(database, [_VERSION])
    version = database.execute(sa.select(_VERSION.c.number)).scalar()
    if version is None:
        database.execute(sa.insert(_VERSION).values(number=VERSION))
    elif version > VERSION:
        raise AddressError(
            f"{name} belongs to a later version of Unrolled", "start that version, or name another database"
        )
