"""Rooms: people who train networks on one server together for an hour, and what their host asks of them.

A room is opened by a host and joined with its code. It is kept in the store, so that it outlives the server. A run belongs to
the room that its visitor was in when it began.
"""

import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace as changed
from typing import Any

from lib.challenges import Challenge, Place, leaderboard, missing
from lib.limits import LimitError, Limits
from lib.records import MemberRecord, RoomRecord, RunRecord, SweepRecord
from lib.safe_store import SafeStore
from lib.settings import Config, recorded, settings_of
from lib.values import as_text, shown

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that is read as another
CODE_LETTERS = 6
LONGEST_NICKNAME = 24
MOST_MEMBERS = 300
MOST_PUSHES = 50
IDLE_SECONDS = 12 * 3600.0  # a room that nobody has changed, joined or trained in for so long is closed
REFRESH_SECONDS = 0.5  # after which what other servers changed is seen
RULES: dict[str, Any] = {"runs": 3, "steps": 0, "demos": [], "settings": {}}


class RoomError(LimitError):
    """What cannot be done in a room. Its text is one line with the remedy."""


class Rooms:
    """All rooms of the server. Every method may be called from any thread."""

    def __init__(
        self,
        store: SafeStore,
        config_of: Callable[[str], type[Config]],
        runs_in: Callable[[Sequence[tuple[str, float, float]]], list[RunRecord]] | None = None,
        title_of: Callable[[str], str] = str,
    ) -> None:
        """`runs_in` gives runs as they stand now (see `KnownJobs.runs_in`), and not as the store has them. `title_of` is what
        people know a demo by."""
        self._store, self._config_of, self._runs_in = store, config_of, runs_in or store.runs_in
        self._title_of = title_of
        self._lock = threading.RLock()
        self._seen: int | None = None  # the store's `changes` when it was read
        self._looked = time.monotonic()
        self._is_alone = False
        self._read()

    def _read(self) -> None:
        self._rooms = {room.id: room for room in self._store.kept(RoomRecord)}
        # Who is or was in a room.
        self._known = {member.id: member for member in reversed(self._store.kept(MemberRecord))}
        self._members = {member.visitor: member for member in self._known.values() if not member.gone}

    # Several servers may have the same rooms

    def _refresh(self, after: float = 0.0) -> None:
        """Read again what another server has changed, if the last look is `after` seconds ago."""
        if time.monotonic() - self._looked < after:
            return
        changes = self._store.changes()
        if changes is not None and changes != self._seen:
            before = self._rooms, self._known, self._members
            self._read()
            if self._store.trouble:  # it was not all there
                self._rooms, self._known, self._members = before
                changes = None
        self._seen, self._looked = changes, time.monotonic()

    @contextmanager
    def _up_to_date(self) -> Iterator[None]:
        """Whoever reads is told the truth of half a second ago."""
        with self._lock:
            self._refresh(after=REFRESH_SECONDS)
            yield

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Whoever changes something does so to what is true now, and no other server changes anything meanwhile."""
        with self._lock:
            if self._is_alone:
                yield
                return
            with self._store.alone():
                self._refresh()
                self._is_alone = True
                try:
                    yield
                finally:
                    self._is_alone = False

    # The host

    def open(self, title: str = "") -> RoomRecord:
        """A new room, with a code that no open room has."""
        with self._alone():
            taken = {room.code for room in self._rooms.values() if not room.closed}
            code = next(code for code in iter(_new_code, None) if code not in taken)
            room = RoomRecord(
                secrets.token_hex(9), secrets.token_hex(9), code, title.strip()[:80], time.time(),
                seed=secrets.randbelow(10_000), rules=dict(RULES),
            )  # fmt: skip
            return self._keep(room)

    def all(self) -> list[RoomRecord]:
        """The rooms that are open, and then those that are closed, the newest first."""
        with self._up_to_date():
            return sorted(self._rooms.values(), key=lambda room: (bool(room.closed), -room.created))

    def is_any_open(self) -> bool:
        """Whether there is a room that one could join."""
        with self._up_to_date():
            return any(not room.closed for room in self._rooms.values())

    def get(self, room_id: str) -> RoomRecord | None:
        """A room by its id, or by that of its wall."""
        with self._up_to_date():
            found = self._rooms.get(room_id)
            return found or next((room for room in self._rooms.values() if room.wall == room_id), None)

    def close(self, room_id: str) -> None:
        """Nobody can join any more, and its rules no longer hold. Its runs stay with those who trained them."""
        with self._alone():
            self.close_challenge(room_id)
            self._change(room_id, closed=time.time())

    def close_idle(self, now: float) -> None:
        """Close the rooms in which nothing has happened for half a day."""
        for room in [room for room in self.all() if self._is_idle(room, now)]:
            with self._alone():
                if self._is_idle(self._rooms[room.id], now):  # or else somebody has just come
                    self.close(room.id)

    def _is_idle(self, room: RoomRecord, now: float) -> bool:
        """Whether it is open, and nothing has happened in it for half a day."""
        moments = [room.created, *(m.created for m in self.members(room.id).values())]
        moments += [*(push["at"] for push in room.pushes), *(each["opened"] for each in room.challenges)]
        if room.closed or now - max(moments) <= IDLE_SECONDS:
            return False
        # As they were saved: a run as it stands now counts as changed just now.
        return all(now - run.updated > IDLE_SECONDS for run in self._store.runs_in(self._spans(room.id)))

    def set_rules(self, room_id: str, **rules: Any) -> None:
        """`runs` under way of one person and `steps` of one run (0: no limit), `demos` that are open (none: all), and
        `settings` that are open, by demo (a demo without any: all)."""
        with self._alone():
            room = self._rooms[room_id]
            unknown = set(rules) - set(RULES)
            if unknown:
                raise RoomError(f"{shown(unknown.pop())} is not a rule of a room: choose one of {', '.join(RULES)}.")
            self._change(room_id, rules=room.rules | rules)

    def show(self, room_id: str, run_id: str) -> None:
        """The run that the host shows to all; empty for none."""
        self._change(room_id, shown=run_id)

    def hold(self, room_id: str, ids: Sequence[str]) -> None:
        """Note the runs and sweeps that the host has paused."""
        with self._alone():
            self._change(room_id, held=sorted({*self._rooms[room_id].held, *ids}))

    def let_go(self, room_id: str, ids: Sequence[str]) -> None:
        """Forget that the host has paused these."""
        with self._alone():
            self._change(room_id, held=[each for each in self._rooms[room_id].held if each not in ids])

    def holder(self, visitor: str, run_id: str) -> str:
        """The room of this visitor whose host has paused a run; empty where nobody has, or it goes on since."""
        found = self.of(visitor)
        return found[0].id if found and run_id in found[0].held else ""

    def map(self, room_id: str, slug: str, x: str, y: str) -> None:
        """Which two settings of a demo the map of the class is drawn over."""
        names = settings_of(self._config_of(slug))
        for name in (x, y):
            if name not in names:
                raise RoomError(f"{shown(name)} is not a setting of {slug}: choose one of {', '.join(names)}.")
        if x == y:
            raise RoomError(f"Both axes of the map are {x}: choose another setting for one of them.")
        self._change(room_id, map={"slug": slug, "x": x, "y": y})

    def map_problem(self, room: RoomRecord) -> str:
        """Why this version of Unrolled cannot draw the map that another has chosen; empty where it can."""
        return missing(room.map["slug"], (room.map["x"], room.map["y"]), self._config_of)

    def challenge_problem(self, challenge: Challenge) -> str:
        """The same of a challenge."""
        return challenge.problem(self._config_of)

    def push(self, room_id: str, slug: str, config: Config) -> None:
        """Ask everyone to try this, with the room's seed, so that all get the same."""
        with self._alone():
            room = self._rooms[room_id]
            values = config.model_dump()
            pushed = type(config)(**(values | {"seed": room.seed} if "seed" in values else values))
            push = {"slug": slug, "config": pushed.model_dump(), "at": time.time()}
            self._change(room_id, pushes=[*room.pushes, push][-MOST_PUSHES:])

    def pose(self, room_id: str, challenge: Challenge) -> None:
        """Begin a challenge; the one before it ends."""
        with self._alone():
            self.close_challenge(room_id)
            room = self._rooms[room_id]
            self._change(room_id, challenges=[*room.challenges, challenge.as_json()])

    def close_challenge(self, room_id: str) -> None:
        """End the challenge that is open, if one is, and keep how it ended."""
        with self._alone():
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
        with self._alone():
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
        with self._alone():
            member = self._members.pop(visitor, None)
            if member is not None:
                self._keep_member(changed(member, gone=time.time()))

    def of(self, visitor: str) -> tuple[RoomRecord, MemberRecord] | None:
        """The open room that a visitor is in, and as whom."""
        with self._up_to_date():
            member = self._members.get(visitor)
            room = self._rooms.get(member.room) if member else None
            return (room, member) if member and room and not room.closed else None

    def closed_on(self, visitor: str) -> RoomRecord | None:
        """The room that a visitor was in when it was closed half a day ago or less, if they have entered no other since."""
        with self._up_to_date():
            member = self._members.get(visitor)
            room = self._rooms.get(member.room) if member else None
            return room if room and room.closed > time.time() - IDLE_SECONDS else None

    def members(self, room_id: str) -> dict[str, MemberRecord]:
        """Everyone who is in a room, by visitor, in the order in which they came."""
        with self._up_to_date():
            inside = [member for member in self._members.values() if member.room == room_id]
            return {member.visitor: member for member in sorted(inside, key=lambda member: member.created)}

    def nicknames(self, room_id: str) -> dict[str, str]:
        """What everyone who is or was in a room is called there, by visitor."""
        with self._up_to_date():
            return {member.visitor: member.nickname for member in self._known.values() if member.room == room_id}

    # What they train

    def runs(self, room_id: str) -> list[RunRecord]:
        """The runs that people began while they were in a room and it was open, the newest first, as they stand now."""
        return self._runs_in(self._spans(room_id))

    def sweeps(self, room_id: str) -> list[SweepRecord]:
        """The sweeps that people began there and that have not ended, the newest first."""
        spans, going = self._spans(room_id), self._store.unfinished_sweeps()
        return [s for s in going if any(who == s.visitor and begin <= s.created < end for who, begin, end in spans)]

    def _spans(self, room_id: str) -> list[tuple[str, float, float]]:
        """Who was in a room, and from when to when."""
        with self._up_to_date():
            end = self._rooms[room_id].closed or math.inf
            return [(m.visitor, m.created, min(end, m.gone or end)) for m in self._known.values() if m.room == room_id]

    def challenge(self, room_id: str) -> Challenge | None:
        """The latest challenge, open or closed."""
        with self._up_to_date():
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
        if refusal := self.refusal(visitor, slug):
            raise RoomError(refusal)
        steps = getattr(config, "steps", 0)
        if rules["steps"] and steps > rules["steps"]:
            most = f"{rules['steps']:,}"
            raise RoomError(
                f"This run has {steps:,} steps, and room {room.code} allows {most}: choose fewer epochs or less data."
            )
        for name, wanted in self.fixed(visitor, slug).items():
            if getattr(config, name) != wanted:
                fields = settings_of(type(config))
                opened = ", ".join(fields[each].label if each in fields else each for each in rules["settings"][slug])
                raise RoomError(
                    f"In room {room.code} the setting {fields[name].label} stays at {shown(as_text(wanted))}: change only "
                    f"{opened}."
                )
        return changed(limits, runs_under_way=min(rules["runs"], limits.runs_under_way or rules["runs"]))

    def refusal(self, visitor: str, slug: str) -> str:
        """Why nobody in this visitor's room can train a demo; empty where they can."""
        found = self.of(visitor)
        opened = found[0].rules["demos"] if found else []
        if not found or not opened or slug in opened:
            return ""
        titles = ", ".join(self._title_of(each) for each in opened)
        return f"In room {found[0].code} the demo {self._title_of(slug)} is not open: choose {titles}."

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
        challenge = self.challenge(room_id)  # which is up to date, and so are the rooms then
        room = self._rooms[room_id]
        said = (len(room.pushes) and room.pushes[-1]["at"], room.shown, room.rules, room.map, bool(room.closed))
        return f"{said}:{len(room.challenges)}:{challenge.closed if challenge else ''}"

    def _change(self, room_id: str, **values: Any) -> RoomRecord:
        with self._alone():
            return self._keep(changed(self._rooms[room_id], **values))

    def _keep(self, room: RoomRecord) -> RoomRecord:
        self._rooms[room.id] = room
        self._write(room)
        return room

    def _keep_member(self, member: MemberRecord) -> MemberRecord:
        self._known[member.id] = member
        self._write(member)
        return member

    def _write(self, record: RoomRecord | MemberRecord) -> None:
        self._store.keep(record)
        if self._seen is not None and not self._store.trouble:
            self._seen += 1  # or else everything would be read again for what is known here


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
            f"The nickname {shown(name)} cannot be used: begin with a letter or digit, and use only letters, digits, spaces and "
            "the signs . - _ '"
        )
    return name
