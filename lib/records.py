"""What the store keeps of a run, a sweep, a room, its people and its hosts: plain values, a row each."""

from dataclasses import dataclass, field
from typing import Any

UNFINISHED = ("queued", "compiling", "running", "paused")  # the states of runs and sweeps that can go on


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run. Times are seconds since 1970, `seconds` is training time.

    `owner` is the process that trains it (see `Store.claim`), or empty. `sweep` is the id of the sweep that it is a cell of, or
    empty. `origin` of a fork is the id of the run, and the step, whose weights it began with. `name` and
    `deleted` (when, or 0) are its visitor's: saving a run leaves them as they are.
    """

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
    final_by_seed: list[float | None] = field(default_factory=list)
    spark: list[float] = field(default_factory=list)  # a few losses, evenly along the run
    sweep: str = ""
    origin: list[Any] = field(default_factory=list)
    diary: list[Any] = field(default_factory=list)  # what was noted each time that the network was measured
    owner: str = ""
    name: str = ""
    deleted: float = 0.0


@dataclass(frozen=True)
class SweepRecord:
    """What is known of a sweep: `axes` are pairs of a setting's name and its values. `seconds` is how long it ran.

    `owner` is the process that begins its cells (see `Store.claim`), or empty.
    """

    id: str
    visitor: str
    slug: str
    base: dict[str, Any]
    axes: list[Any]
    state: str
    message: str
    created: float
    seconds: float
    owner: str = ""


@dataclass(frozen=True)
class RoomRecord:
    """What is known of a room (see lib.rooms): `wall` is a second, secret id, for its host's view of everyone's runs."""

    id: str
    wall: str
    code: str
    title: str
    created: float
    closed: float = 0.0
    seed: int = 0
    rules: dict[str, Any] = field(default_factory=dict)
    pushes: list[Any] = field(default_factory=list)
    shown: str = ""
    held: list[str] = field(default_factory=list)
    map: dict[str, str] = field(default_factory=dict)
    challenges: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class MemberRecord:
    """Who is in a room: `created` is when they came, `gone` when they left, or 0."""

    id: str
    room: str
    visitor: str
    nickname: str
    created: float
    gone: float = 0.0


@dataclass(frozen=True)
class HostRecord:
    """A visitor who gave the host code, and what proves it (see app.host_code)."""

    id: str
    proof: str
    created: float
