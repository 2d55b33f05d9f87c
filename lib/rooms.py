"""Rooms: people who train networks on one server together for an hour, and what their host asks of them.

A room is opened by a host and joined with its code. It is kept in the store, so that it outlives the server. A run belongs to
the room that its visitor was in when it began.
"""

import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace as changed
from typing import Any

from lib.challenges import Challenge, Place, leaderboard
from lib.limits import LimitError, Limits
from lib.records import MemberRecord, RoomRecord, RunRecord
from lib.safe_store import SafeStore
from lib.settings import Config, recorded, settings_of
from lib.values import as_text, shown

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that is read as another
CODE_LETTERS = 6
LONGEST_NICKNAME = 24
MOST_MEMBERS = 300
MOST_PUSHES = 50
IDLE_SECONDS = 12 * 3600.0  # a room that nobody has changed, joined or trained in for so long is closed
RULES: dict[str, Any] = {"runs": 3, "steps": 0, "demos": [], "settings": {}}


class RoomError(LimitError):
    """What cannot be done in a room. Its text is one line with the remedy."""


class Rooms:
    """All rooms of the server. Every method may be called from any thread."""

    def __init__(self, store: SafeStore, config_of: Callable[[str], type[Config]]) -> None:
        self._store, self._config_of = store, config_of
        self._lock = threading.RLock()
        self._rooms = {room.id: room for room in store.kept(RoomRecord)}
        self._known = {member.id: member for member in reversed(store.kept(MemberRecord))}  # who is or was in a room
        self._members = {member.visitor: member for member in self._known.values() if not member.gone}

    # The host

    def open(self, title: str = "") -> RoomRecord:
        """A new room, with a code that no open room has."""
        with self._lock:
            self.close_idle(time.time())
            taken = {room.code for room in self._rooms.values() if not room.closed}
            code = next(code for code in iter(_new_code, None) if code not in taken)
            room = RoomRecord(
                secrets.token_hex(9), secrets.token_hex(9), code, title.strip()[:80], time.time(),
                seed=secrets.randbelow(10_000), rules=dict(RULES),
            )  # fmt: skip
            return self._keep(room)

    def all(self) -> list[RoomRecord]:
        """The rooms that are open, and then those that are closed, the newest first."""
        with self._lock:
            return sorted(self._rooms.values(), key=lambda room: (bool(room.closed), -room.created))

    def is_any_open(self) -> bool:
        """Whether there is a room that one could join."""
        with self._lock:
            return any(not room.closed for room in self._rooms.values())

    def get(self, room_id: str) -> RoomRecord | None:
        """A room by its id, or by that of its wall."""
        with self._lock:
            found = self._rooms.get(room_id)
            return found or next((room for room in self._rooms.values() if room.wall == room_id), None)

    def close(self, room_id: str) -> None:
        """Nobody can join any more, and its rules no longer hold. Its runs stay with those who trained them."""
        with self._lock:
            self.close_challenge(room_id)
            self._change(room_id, closed=time.time())

    def close_idle(self, now: float) -> None:
        """Close the rooms in which nothing has happened for half a day."""
        with self._lock:
            for room in [room for room in self._rooms.values() if not room.closed]:
                moments = [room.created, *(m.created for m in self.members(room.id).values())]
                moments += [*(push["at"] for push in room.pushes), *(run.updated for run in self.runs(room.id, 1))]
                if now - max(moments) > IDLE_SECONDS:
                    self.close(room.id)

    def set_rules(self, room_id: str, **rules: Any) -> None:
        """`runs` under way of one person and `steps` of one run (0: no limit), `demos` that are open (none: all), and
        `settings` that are open, by demo (a demo without any: all)."""
        with self._lock:
            room = self._rooms[room_id]
            unknown = set(rules) - set(RULES)
            if unknown:
                raise RoomError(f"{shown(unknown.pop())} is not a rule of a room: choose one of {', '.join(RULES)}.")
            self._change(room_id, rules=room.rules | rules)

    def show(self, room_id: str, run_id: str) -> None:
        """The run that the host shows to all; empty for none."""
        self._change(room_id, shown=run_id)

    def hold(self, room_id: str, run_ids: Sequence[str]) -> list[str]:
        """Note the runs that the host has paused; returns those that were noted before. With none, all are let go."""
        with self._lock:
            before = self._rooms[room_id].held
            self._change(room_id, held=sorted({*before, *run_ids}) if run_ids else [])
            return before

    def map(self, room_id: str, slug: str, x: str, y: str) -> None:
        """Which two settings of a demo the map of the class is drawn over."""
        names = settings_of(self._config_of(slug))
        for name in (x, y):
            if name not in names:
                raise RoomError(f"{shown(name)} is not a setting of {slug}: choose one of {', '.join(names)}.")
        if x == y:
            raise RoomError(f"Both axes of the map are {x}: choose another setting for one of them.")
        self._change(room_id, map={"slug": slug, "x": x, "y": y})

    def push(self, room_id: str, slug: str, config: Config) -> None:
        """Ask everyone to try this, with the room's seed, so that all get the same."""
        with self._lock:
            room = self._rooms[room_id]
            values = config.model_dump()
            pushed = type(config)(**(values | {"seed": room.seed} if "seed" in values else values))
            push = {"slug": slug, "config": pushed.model_dump(), "at": time.time()}
            self._change(room_id, pushes=[*room.pushes, push][-MOST_PUSHES:])

    def pose(self, room_id: str, challenge: Challenge) -> None:
        """Begin a challenge; the one before it ends."""
        with self._lock:
            self.close_challenge(room_id)
            room = self._rooms[room_id]
            self._change(room_id, challenges=[*room.challenges, challenge.as_json()])

    def close_challenge(self, room_id: str) -> None:
        """End the challenge that is open, if one is, and keep how it ended."""
        with self._lock:
            challenge = self.challenge(room_id)
            if challenge is not None and not challenge.closed:
                room, places = self._rooms[room_id], self.board(room_id)
                ended = challenge.ended(time.time(), places)
                self._change(room_id, challenges=[*room.challenges[:-1], ended.as_json()])

    # Who is in it

    def join(self, code: str, visitor: str, nickname: str) -> RoomRecord:
        """Enter a room, or change one's nickname in it. A room that one was in before is left. Raises RoomError."""
        wanted = "".join(code.split()).upper()
        name = _checked_nickname(nickname)
        with self._lock:
            room = next((r for r in self._rooms.values() if r.code == wanted and not r.closed), None)
            if room is None:
                raise RoomError(f"There is no open room with the code {shown(code)}: ask your instructor for it.")
            members = self.members(room.id)
            others = [m.nickname.casefold() for m in members.values() if m.visitor != visitor]
            if name.casefold() in others:
                raise RoomError(f"Somebody in this room is called {shown(name)}: choose another nickname.")
            if visitor not in members and len(members) >= MOST_MEMBERS:
                raise RoomError(f"This room is full, with {MOST_MEMBERS} people: ask your instructor to open another.")
            if visitor in members:
                self._members[visitor] = self._keep_member(changed(members[visitor], nickname=name))
                return room
            self.leave(visitor)
            # Who comes back gets a record of their own: what they trained outside stays outside.
            stay = MemberRecord(secrets.token_hex(9), room.id, visitor, name, time.time())
            self._members[visitor] = self._keep_member(stay)
            return room

    def leave(self, visitor: str) -> None:
        """Go out of one's room. One's runs go on."""
        with self._lock:
            member = self._members.pop(visitor, None)
            if member is not None:
                self._keep_member(changed(member, gone=time.time()))

    def of(self, visitor: str) -> tuple[RoomRecord, MemberRecord] | None:
        """The open room that a visitor is in, and as whom."""
        with self._lock:
            member = self._members.get(visitor)
            room = self._rooms.get(member.room) if member else None
            return (room, member) if member and room and not room.closed else None

    def members(self, room_id: str) -> dict[str, MemberRecord]:
        """Everyone who is in a room, by visitor, in the order in which they came."""
        with self._lock:
            inside = [member for member in self._members.values() if member.room == room_id]
            return {member.visitor: member for member in sorted(inside, key=lambda member: member.created)}

    def nicknames(self, room_id: str) -> dict[str, str]:
        """What everyone who is or was in a room is called there, by visitor."""
        with self._lock:
            return {member.visitor: member.nickname for member in self._known.values() if member.room == room_id}

    # What they train

    def runs(self, room_id: str, limit: int = -1) -> list[RunRecord]:
        """The runs that people began while they were in a room and it was open, the newest first, as they were saved last."""
        with self._lock:
            end = self._rooms[room_id].closed or math.inf
            spans = [(m.visitor, m.created, min(end, m.gone or end)) for m in self._known.values() if m.room == room_id]
        return self._store.runs_in(spans, limit)

    def challenge(self, room_id: str) -> Challenge | None:
        """The latest challenge, open or closed."""
        with self._lock:
            posed = self._rooms[room_id].challenges
            return Challenge.from_json(posed[-1]) if posed else None

    def board(self, room_id: str, runs: list[RunRecord] | None = None) -> list[Place]:
        """How the latest challenge stands, or ended."""
        challenge = self.challenge(room_id)
        if challenge is None or challenge.closed:
            return challenge.places if challenge else []
        return leaderboard(
            challenge, self.runs(room_id) if runs is None else runs, self.nicknames(room_id), self._config_of
        )

    def permit(self, visitor: str, slug: str, config: Config, limits: Limits) -> Limits:
        """The limits for a run of a visitor: the server's, and in a room its own. Raises RoomError where that forbids the run."""
        found = self.of(visitor)
        if found is None:
            return limits
        room, rules = found[0], found[0].rules
        if rules["demos"] and slug not in rules["demos"]:
            raise RoomError(f"In room {room.code} the demo {slug} is not open: choose {', '.join(rules['demos'])}.")
        steps = getattr(config, "steps", 0)
        if rules["steps"] and steps > rules["steps"]:
            most = f"{rules['steps']:,}"
            raise RoomError(
                f"This run has {steps:,} steps, and room {room.code} allows {most}: choose fewer epochs or less data."
            )
        for name, wanted in self.fixed(visitor, slug).items():
            if getattr(config, name) != wanted:
                label, opened = settings_of(type(config))[name].label, ", ".join(rules["settings"][slug])
                raise RoomError(
                    f"In room {room.code} the setting {label} stays at {shown(as_text(wanted))}: change only {opened}."
                )
        return changed(limits, runs_under_way=min(rules["runs"], limits.runs_under_way or rules["runs"]))

    def base(self, room: RoomRecord, slug: str) -> Config:
        """What settings that are not open have: the host's last push for this demo, or the defaults."""
        pushes = [push for push in room.pushes if push["slug"] == slug]
        return (self.asked(pushes[-1]) if pushes else None) or self._config_of(slug)()

    def asked(self, push: Mapping[str, Any]) -> Config | None:
        """The config of a push; None where this server or this version cannot use it any more."""
        try:
            return recorded(self._config_of(push["slug"]), push["config"])
        except LookupError:
            return None

    def fixed(self, visitor: str, slug: str) -> dict[str, Any]:
        """The settings of a demo that this visitor's room does not open, and what they are."""
        found = self.of(visitor)
        opened = found[0].rules["settings"].get(slug) if found else None
        if not found or not opened:
            return {}
        return {name: value for name, value in self.base(found[0], slug).model_dump().items() if name not in opened}

    def event(self, room_id: str) -> str:
        """What the page of someone in the room must follow: it is another one after each word of the host."""
        room = self._rooms[room_id]
        challenge = self.challenge(room_id)
        said = (len(room.pushes) and room.pushes[-1]["at"], room.shown, room.rules, room.map, bool(room.closed))
        return f"{said}:{len(room.challenges)}:{challenge.closed if challenge else ''}"

    def _change(self, room_id: str, **values: Any) -> RoomRecord:
        with self._lock:
            return self._keep(changed(self._rooms[room_id], **values))

    def _keep(self, room: RoomRecord) -> RoomRecord:
        self._rooms[room.id] = room
        self._store.keep(room)
        return room

    def _keep_member(self, member: MemberRecord) -> MemberRecord:
        self._known[member.id] = member
        self._store.keep(member)
        return member


def _new_code() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(CODE_LETTERS))


def _checked_nickname(nickname: str) -> str:
    """The nickname as it is shown. Raises RoomError."""
    name = " ".join(nickname.split())
    if not name:
        raise RoomError("A nickname is needed: choose one, such as your first name.")
    if len(name) > LONGEST_NICKNAME:
        raise RoomError(f"This nickname has {len(name)} letters: choose one of at most {LONGEST_NICKNAME}.")
    # It is shown to all, and stands in tables that a spreadsheet opens.
    if not name[0].isalnum() or not all(letter.isalnum() or letter in " .-_'" for letter in name):
        raise RoomError(
            f"The nickname {shown(name)} has a sign that is none of letters, digits, spaces, . - _ and ': leave it out."
        )
    return name
