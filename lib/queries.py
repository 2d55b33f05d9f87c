"""What a store is asked often, put into words once. All of it is for SQLite and PostgreSQL alike."""

from typing import Any

import sqlalchemy as sa

from lib.records import UNFINISHED, HostRecord, MemberRecord, RoomRecord, RunRecord, SweepRecord
from lib.tables import TABLES, newest

Kept = RoomRecord | MemberRecord | HostRecord
KEPT: tuple[type[Any], ...] = (RoomRecord, MemberRecord, HostRecord)
ALL = 2**62  # rows: SQLite and PostgreSQL have no number in common that is none

RUNS, SWEEPS = TABLES[RunRecord].c, TABLES[SweepRecord].c
NAMED = {kind: newest(kind, table.c.id == sa.bindparam("id")) for kind, table in TABLES.items()}
EVERY = {kind: newest(kind) for kind in KEPT}
_SHOWN, _NO_CELL, _OF = RUNS.deleted == 0, RUNS.sweep == "", RUNS.visitor == sa.bindparam("visitor")
LISTS = {
    (one_demo, cells): newest(
        RunRecord, _OF, _SHOWN, *[RUNS.slug == sa.bindparam("slug")] * one_demo, *[_NO_CELL] * (not cells)
    )
    for one_demo in (False, True)
    for cells in (False, True)
}
BEYOND = (
    sa.select(RUNS.id, RUNS.state)
    .where(_OF, RUNS.slug == sa.bindparam("slug"), _SHOWN, _NO_CELL)
    .order_by(RUNS.created.desc(), RUNS.id.desc())
    .offset(sa.bindparam("kept", type_=sa.BigInteger))
)
GOING = newest(RunRecord, RUNS.state.in_(UNFINISHED), _SHOWN)
SWEEPS_OF = newest(SweepRecord, SWEEPS.visitor == sa.bindparam("visitor"), SWEEPS.slug == sa.bindparam("slug"))
GOING_SWEEPS = newest(SweepRecord, SWEEPS.state.in_(UNFINISHED))
CELLS = newest(RunRecord, RUNS.sweep == sa.bindparam("sweep"))
CHANGED = RUNS.id, RUNS.updated, RUNS.owner, RUNS.name  # what is another one whenever a run's record is
BEGUN = (
    sa.select(*CHANGED, RUNS.visitor, RUNS.created)
    .where(
        RUNS.visitor.in_(sa.bindparam("visitors", expanding=True)),
        RUNS.created >= sa.bindparam("begins"),
        RUNS.created < sa.bindparam("ends"),
        _SHOWN,
        # Or else SQLite would go through everybody's runs by the sweep that they are not of.
        RUNS.sweep.concat("") == "",
    )
    .order_by(RUNS.created.desc(), RUNS.id.desc())
)
THESE = newest(RunRecord, RUNS.id.in_(sa.bindparam("ids", expanding=True)))
OWNERS = sa.select(RUNS.id, RUNS.owner).where(RUNS.state.in_(UNFINISHED))
_WRITTEN = [sa.select(sa.func.sum(TABLES[kind].c.written)).scalar_subquery() for kind in (RoomRecord, MemberRecord)]
CHANGES = sa.select(*[sa.cast(sa.func.coalesce(written, 0), sa.BigInteger) for written in _WRITTEN])
