"""The tables of the store: one for each kind of record, with a column for each of its fields, in SQLite and PostgreSQL alike."""

import json
import logging
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from lib.records import HostRecord, MemberRecord, RoomRecord, RunRecord, SweepRecord

LOG = logging.getLogger(__name__)
VERSION = 1  # of all tables together
# Saving a record leaves these as they are: the visitor's words, and whose a sweep is.
_KEPT_BACK: dict[type, tuple[str, ...]] = {RunRecord: ("name", "deleted"), SweepRecord: ("owner",)}


class Words(sa.types.TypeDecorator[str]):
    """A text. PostgreSQL cannot keep the character 0, which an address or a pasted title may bring."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return value.replace("\0", "\ufffd") if value else value


_PLAIN: dict[Any, type[sa.types.TypeEngine[Any]]] = {
    str: Words,
    int: sa.BigInteger,
    float: sa.Double,
}  # all else is JSON


def _column(field: Field[Any]) -> sa.Column[Any]:
    """A field that has a default is one that tables of an earlier version may lack."""
    value = field.default if field.default_factory is MISSING else field.default_factory()
    default = None if value is MISSING else sa.text(repr(value if field.type in (int, float) else str(value)))
    return sa.Column(
        field.name, _PLAIN.get(field.type, sa.Text), primary_key=field.name == "id", server_default=default
    )


def _table(name: str, kind: type, *more: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(name, sa.MetaData(), *map(_column, fields(kind)), *more)


def _written() -> sa.Column[int]:
    """How often a row was written: what tells other servers that one has changed."""
    return sa.Column("written", sa.BigInteger, server_default=sa.text("1"))


TABLES: dict[type, sa.Table] = {
    RunRecord: _table(
        "runs",
        RunRecord,
        sa.Index("by_visitor", "visitor", "slug", "created"),
        sa.Index("by_sweep", "sweep"),
        sa.Index("by_state", "state"),
    ),
    SweepRecord: _table("sweeps", SweepRecord),
    RoomRecord: _table("rooms", RoomRecord, _written()),
    MemberRecord: _table("members", MemberRecord, _written()),
    HostRecord: _table("hosts", HostRecord),
}
_COLUMNS = {kind: [field.name for field in fields(kind)] for kind in TABLES}
_JSON = {kind: [i for i, field in enumerate(fields(kind)) if field.type not in _PLAIN] for kind in TABLES}


# Tables as they are in a database


def prepare(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    """Make the tables, columns and indexes of this version that the database lacks."""
    there = sa.inspect(connection)
    for table in tables:
        if not there.has_table(table.name):
            connection.execute(CreateTable(table, if_not_exists=True))
            table.dispatch.after_create(table, connection)
        else:
            columns = {column["name"] for column in there.get_columns(table.name)}
            for column in [column for column in table.columns if column.name not in columns]:
                add_column(connection, column)
        indexes = {index["name"] for index in there.get_indexes(table.name)} if table.indexes else set()
        for index in [index for index in table.indexes if index.name not in indexes]:
            connection.execute(CreateIndex(index, if_not_exists=True))


def add_column(connection: sa.Connection, column: sa.Column[Any]) -> None:
    """Add a column to a table of an earlier version, unless another process is quicker."""
    definition = CreateColumn(column).compile(dialect=connection.dialect)
    try:
        connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {definition}")
    except sa.exc.OperationalError as error:
        if "duplicate column" not in str(error):
            raise


# Records as rows


@cache
def upsert(kind: Any, dialect: str) -> sa.Executable:
    """Write a record over the one with its id, if there is one."""
    table = TABLES[kind]
    insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect](table)
    kept = {name: insert.excluded[name] for name in _COLUMNS[kind] if name not in ("id", *_KEPT_BACK.get(kind, ()))}
    if "written" in table.columns:
        kept["written"] = table.c.written + 1
    statement: sa.Executable = insert.on_conflict_do_update(index_elements=["id"], set_=kept)
    return statement


def newest(kind: type, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """The rows of these records, the newest first, `most` of them."""
    table = TABLES[kind]
    columns = [table.c[name] for name in _COLUMNS[kind]]
    order = table.c.created.desc(), table.c.id.desc()
    return sa.select(*columns).where(*where).order_by(*order).limit(sa.bindparam("most", type_=sa.BigInteger))


def row_of(record: Any) -> dict[str, Any]:
    """A record as its row."""
    values = {name: getattr(record, name) for name in _COLUMNS[type(record)]}
    for index in _JSON[type(record)]:
        name = _COLUMNS[type(record)][index]
        values[name] = json.dumps(values[name])
    return values


def record_of(kind: type, row: sa.Row[Any]) -> Any:
    """A row as its record; None, and a line in the log, when it cannot be read. What is NULL has its default."""
    values, places = list(row), _JSON[kind]
    try:
        if places:  # all of them in one call, which takes half the time
            decoded = json.loads("[" + ",".join(["null" if row[i] is None else row[i] for i in places]) + "]")
            for index, value in zip(places, decoded, strict=True):
                values[index] = value
        return kind(**{name: value for name, value in zip(_COLUMNS[kind], values, strict=True) if value is not None})
    except (TypeError, ValueError) as error:
        LOG.error("the record of %s cannot be read: %s", row[0], error)
        return None
