"""Rooms: who gets in, what the host asks and forbids, whose runs count, and that all of it outlives the server."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demos.echo.config import EchoConfig
from demos.registry import get
from lib.challenges import Challenge
from lib.limits import Limits
from lib.records import RunRecord
from lib.rooms import CODE_LETTERS, IDLE_SECONDS, LETTERS, MOST_MEMBERS, RoomError, Rooms
from lib.safe_store import SafeStore
from lib.settings import replace as with_settings
from tests.postgres import Cluster
from tests.test_jobs import wait


def config_of(slug: str) -> Any:
    return get(slug).config


@pytest.fixture
def store(place: Path | str) -> Iterator[SafeStore]:
    store = SafeStore(place)
    yield store
    store.close()


@pytest.fixture
def rooms(store: SafeStore) -> Rooms:
    return Rooms(store, config_of)


def run(store: SafeStore, visitor: str, name: str = "run", *, loss: float | None = 0.5, **known: Any) -> RunRecord:
    config = EchoConfig()
    values: dict[str, Any] = {
        "id": name, "visitor": visitor, "slug": "echo", "config": config.model_dump(), "live": {}, "changes": [],
        "state": "finished", "message": "", "step": 100, "steps": 100, "created": time.time(), "updated": time.time(),
        "seconds": 1.0, "device": "CPU", "summary": {"loss": {"last": 0.1, "best": 0.1, "mean_last_100": loss}},
    }  # fmt: skip
    record = RunRecord(**values | known)
    store.save(record)
    return record


# Who gets in


def test_a_room_is_joined_with_its_code_in_any_spelling_of_it(rooms: Rooms) -> None:
    room = rooms.open("Tuesday")
    assert len(room.code) == CODE_LETTERS and set(room.code) <= set(LETTERS)
    assert rooms.join(f" {room.code[:3].lower()} {room.code[3:]}", "ada", "Ada L.") == room
    found = rooms.of("ada")
    assert found is not None and (found[0], found[1].nickname) == (room, "Ada L.")
    assert rooms.of("bob") is None


@pytest.mark.parametrize("code", ["", "ABCDEF", "abcdefg", "%", "' OR 1=1", "💣" * 1000])
def test_a_code_that_no_open_room_has_is_refused(rooms: Rooms, code: str) -> None:
    rooms.close(rooms.open().id)
    with pytest.raises(RoomError, match="There is no open room with the code"):
        rooms.join(code, "ada", "Ada")


def test_a_closed_room_lets_nobody_in_and_keeps_nobody(rooms: Rooms) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    rooms.close(room.id)
    assert rooms.of("ada") is None
    with pytest.raises(RoomError, match="no open room"):
        rooms.join(room.code, "bob", "Bob")


@pytest.mark.parametrize(
    ("nickname", "message"),
    [
        ("", "A nickname is needed"),
        (" \n ", "A nickname is needed"),
        ("x" * 25, "has 25 letters: choose one of at most 24"),
        ("<script>", "cannot be used: begin with a letter"),
        ("=1+1", "cannot be used: begin with a letter"),
        ("-Ada", "cannot be used: begin with a letter"),
        ("Ada[link](x)", "cannot be used: begin with a letter"),
        ("Ada\u202e", "cannot be used: begin with a letter"),
    ],
)
def test_a_nickname_that_cannot_be_shown_to_all_is_refused(rooms: Rooms, nickname: str, message: str) -> None:
    room = rooms.open()
    with pytest.raises(RoomError, match=message):
        rooms.join(room.code, "ada", nickname)
    assert rooms.of("ada") is None


@pytest.mark.parametrize("nickname", ["Ada", "Ada  Lovelace", "Şükrü", "小明", "O'Neill-2", "7"])
def test_people_are_called_what_they_are_called(rooms: Rooms, nickname: str) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", nickname)
    assert rooms.members(room.id)["ada"].nickname == " ".join(nickname.split())


def test_nobody_takes_the_nickname_of_another_but_all_may_change_their_own(rooms: Rooms) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    with pytest.raises(RoomError, match="Somebody in this room is called ADA"):
        rooms.join(room.code, "eve", "ADA")
    rooms.join(room.code, "ada", "Countess")
    rooms.join(room.code, "eve", "ada")
    assert rooms.nicknames(room.id) == {"ada": "Countess", "eve": "ada"}


def test_a_full_room_lets_nobody_in_but_those_who_are_in_it(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_MEMBERS >= 100
    monkeypatch.setattr("lib.rooms.MOST_MEMBERS", 2)
    room = rooms.open()
    rooms.join(room.code, "a", "A"), rooms.join(room.code, "b", "B")
    with pytest.raises(RoomError, match="This room is full, with 2 people"):
        rooms.join(room.code, "c", "C")
    rooms.join(room.code, "a", "AA")
    rooms.leave("b")
    rooms.join(room.code, "c", "C")


def test_what_somebody_trains_outside_stays_outside_though_they_come_back(rooms: Rooms, store: SafeStore) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    run(store, "ada", "first stay")
    rooms.leave("ada")
    time.sleep(0.01)
    run(store, "ada", "outside")
    time.sleep(0.01)
    rooms.join(room.code, "ada", "Ada again")
    run(store, "ada", "second stay")
    assert {record.id for record in rooms.runs(room.id)} == {"first stay", "second stay"}
    assert rooms.nicknames(room.id) == {"ada": "Ada again"}


def test_a_room_that_thousands_have_been_in_is_read_as_ever(rooms: Rooms, store: SafeStore) -> None:
    run(store, "ada", "hers")
    spans = [(f"visitor {i}", 0.0, 1.0) for i in range(3000)] + [("ada", 0.0, float("inf"))]
    assert [record.id for record in store.runs_in(spans)] == ["hers"] and not store.trouble


def test_a_push_that_cannot_be_used_any_more_asks_for_nothing(rooms: Rooms, store: SafeStore) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    for push in ({"slug": "echo", "config": {"gone": 1}}, {"slug": "no such demo", "config": {}}):
        store.keep(
            replace(room, pushes=[push | {"at": 1.0}], rules=room.rules | {"settings": {"echo": ["state_size"]}})
        )
        again = Rooms(store, config_of)
        assert again.asked(push) is None and again.fixed("ada", "echo")["echo_step"] == 3


def test_who_joins_another_room_leaves_the_first(rooms: Rooms) -> None:
    first, second = rooms.open(), rooms.open()
    assert first.code != second.code and first.wall not in (first.id, second.wall)
    rooms.join(first.code, "ada", "Ada")
    rooms.join(second.code, "ada", "Ada")
    found = rooms.of("ada")
    assert found is not None and found[0] == second
    assert list(rooms.members(first.id)) == [] and rooms.nicknames(first.id) == {"ada": "Ada"}


# What outlives the server


def test_a_room_and_all_in_it_outlive_the_server(rooms: Rooms, store: SafeStore) -> None:
    room = rooms.open("Tuesday")
    rooms.join(room.code, "ada", "Ada"), rooms.join(room.code, "bob", "Bob")
    rooms.leave("bob")
    rooms.set_rules(room.id, runs=2)
    rooms.push(room.id, "echo", EchoConfig(echo_step=5))
    rooms.pose(room.id, Challenge("echo", [["echo_step", "=", 5]], opened=time.time()))
    again = Rooms(store, config_of)
    assert again.all() == rooms.all() and again.get(room.wall) == again.get(room.id)
    assert list(again.members(room.id)) == ["ada"] and again.event(room.id) == rooms.event(room.id)
    found = again.of("ada")
    assert found is not None and found[0].rules["runs"] == 2


def test_an_idle_room_is_closed_and_one_in_which_something_happened_is_not(rooms: Rooms, store: SafeStore) -> None:
    idle, busy = rooms.open(), rooms.open()
    later = time.time() + IDLE_SECONDS + 60
    rooms.join(busy.code, "ada", "Ada")
    run(store, "ada", updated=later - 100)
    run(store, "ada", "begun later, and over", created=time.time() + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "_alone", lambda: pytest.fail("nobody waits where none is idle"))
        rooms.close_idle(time.time())
    rooms.close_idle(later)
    assert [bool(found.closed) for found in (rooms.get(idle.id), rooms.get(busy.id)) if found] == [True, False]


# What the host asks and forbids


def test_everyone_gets_the_same_config_with_the_rooms_seed(rooms: Rooms) -> None:
    room = rooms.open()
    before = rooms.event(room.id)
    rooms.push(room.id, "echo", EchoConfig(echo_step=7, seed=99))
    now = rooms.get(room.id)
    assert now is not None
    assert EchoConfig(**now.pushes[-1]["config"]) == with_settings(EchoConfig(echo_step=7), seed=room.seed)
    assert rooms.event(room.id) != before


def test_what_a_room_forbids_cannot_be_begun_in_it(rooms: Rooms) -> None:
    room, config = rooms.open(), EchoConfig()
    server = Limits(runs_under_way=5, waiting=9)

    def permit(config: EchoConfig) -> Limits:
        return rooms.permit("ada", "echo", config, server)

    assert permit(config) == server, "outside of a room the server's hold"
    rooms.join(room.code, "ada", "Ada")
    assert permit(config) == Limits(runs_under_way=3, waiting=9)
    rooms.set_rules(room.id, demos=["gates"], runs=7)
    with pytest.raises(RoomError, match=f"In room {room.code} the demo echo is not open: choose gates"):
        permit(config)
    rooms.set_rules(room.id, demos=[], steps=config.steps - 1)
    with pytest.raises(RoomError, match=f"This run has {config.steps:,} steps, and room {room.code} allows"):
        permit(config)
    rooms.set_rules(room.id, steps=config.steps, settings={"echo": ["state_size"]})
    assert permit(EchoConfig(state_size=9)) == server, "the lower of both"
    with pytest.raises(RoomError, match="the setting Echo step stays at 3: change only State size"):
        permit(EchoConfig(echo_step=9))
    rooms.push(room.id, "echo", EchoConfig(echo_step=9, seed=room.seed))
    permit(EchoConfig(echo_step=9, seed=room.seed))
    rooms.close(room.id)
    assert permit(config) == server
    with pytest.raises(RoomError, match="is not a rule of a room"):
        rooms.set_rules(room.id, nonsense=1)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [("echo_step", "nothing", "not a setting of echo"), ("echo_step", "echo_step", "Both axes of the map")],
)
def test_a_map_over_what_is_no_pair_of_settings_is_refused(rooms: Rooms, x: str, y: str, message: str) -> None:
    room = rooms.open()
    with pytest.raises(RoomError, match=message):
        rooms.map(room.id, "echo", x, y)


# Whose runs count


def test_a_rooms_runs_are_those_that_people_began_while_they_were_in_it(rooms: Rooms, store: SafeStore) -> None:
    room = rooms.open()
    now = time.time()
    rooms.join(room.code, "ada", "Ada"), rooms.join(room.code, "bob", "Bob")
    run(store, "ada", "before", created=now - 60)
    run(store, "ada", "in it"), run(store, "bob", "bobs"), run(store, "eve", "elsewhere")
    run(store, "ada", "a cell", sweep="sweep")
    rooms.leave("bob")
    run(store, "bob", "after", created=time.time() + 1)
    assert {record.id for record in rooms.runs(room.id)} == {"in it", "bobs"}
    rooms.close(room.id)
    run(store, "ada", "too late", created=time.time() + 1)
    assert {record.id for record in rooms.runs(room.id)} == {"in it", "bobs"}


def test_the_best_run_of_each_that_keeps_to_the_conditions_counts(rooms: Rooms, store: SafeStore) -> None:
    room = rooms.open()
    for name in ("ada", "bob", "cyd", "dan"):
        rooms.join(room.code, name, name.title())
    run(store, "ada", "too early", loss=0.001, created=time.time() - 1)
    rooms.pose(room.id, Challenge("echo", [["state_size", "<=", 8], ["echo_step", "=", 3]], opened=time.time()))
    small, config = EchoConfig(state_size=8), EchoConfig(state_size=9)
    assert small.echo_step == 3
    run(store, "ada", "a1", loss=0.4, config=small.model_dump())
    run(store, "ada", "a2", loss=0.2, config=small.model_dump())
    run(store, "bob", "b1", loss=0.1, config=small.model_dump())
    run(store, "bob", "too large", loss=0.01, config=config.model_dump())
    run(store, "cyd", "too short", loss=None, config=small.model_dump())
    run(store, "cyd", "forked", loss=0.01, config=small.model_dump(), origin=["a2", 50])
    run(store, "dan", "other demo", loss=0.01, slug="gates", config={})
    assert [(p.nickname, p.run) for p in rooms.board(room.id)] == [("Bob", "b1"), ("Ada", "a2")]
    rooms.close_challenge(room.id)
    run(store, "cyd", "too late", loss=0.001, config=small.model_dump())
    assert [(p.nickname, p.loss) for p in rooms.board(room.id)] == [("Bob", 0.1), ("Ada", 0.2)]
    challenge = rooms.challenge(room.id)
    assert challenge is not None and challenge.closed
    says = "The lowest loss on Echo, with state size at most 8 units, echo step exactly 3 steps"
    assert challenge.text("Echo", EchoConfig) == says


def test_a_live_setting_that_left_the_conditions_for_a_while_does_not_count(rooms: Rooms, store: SafeStore) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    rooms.pose(room.id, Challenge("echo", [["learning_rate", "<=", 0.5]], opened=time.time()))
    run(store, "ada", "cheated", changes=[[10, "learning_rate", 0.9], [20, "learning_rate", 0.3]])
    assert rooms.board(room.id) == []
    run(store, "ada", "honest", changes=[[10, "learning_rate", 0.1]])
    assert [place.run for place in rooms.board(room.id)] == ["honest"]


def test_a_challenge_ends_with_the_runs_as_they_are_then_not_as_they_were_saved(store: SafeStore) -> None:
    def now(spans: Any) -> list[RunRecord]:
        found = store.runs_in(spans)
        return [replace(record, summary={"loss": {"mean_last_100": 0.01}}, updated=time.time()) for record in found]

    rooms = Rooms(store, config_of, now)
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    rooms.pose(room.id, Challenge("echo", [], opened=time.time()))
    run(store, "ada", "hers", loss=0.9)
    assert [place.loss for place in rooms.board(room.id)] == [0.01]
    rooms.close_challenge(room.id)
    assert [place.loss for place in rooms.board(room.id)] == [0.01]
    rooms.close_idle(time.time() + IDLE_SECONDS + 60)
    assert not rooms.is_any_open(), "a run that only lies in memory keeps no room open"


def test_a_new_challenge_ends_the_one_before(rooms: Rooms, store: SafeStore) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    assert rooms.challenge(room.id) is None and rooms.board(room.id) == []
    rooms.pose(room.id, Challenge("echo", [], opened=time.time()))
    run(store, "ada", "first")
    rooms.pose(room.id, Challenge("echo", [], opened=time.time() + 1))
    now = rooms.get(room.id)
    assert now is not None and [bool(c["closed"]) for c in now.challenges] == [True, False]
    assert [place["run"] for place in now.challenges[0]["places"]] == ["first"] and rooms.board(room.id) == []


@pytest.mark.parametrize(
    ("slug", "conditions", "says"),
    [
        ("parity", [], "has no demo parity"),
        ("echo", [["bits", "<=", 8]], "echo has no setting bits"),
        ("echo", [["state_size", "<=", "tiny"]], "state_size = tiny cannot be read"),
        ("echo", [["cell", "=", "elman"]], "cell = elman is not one of the options"),
    ],
)
def test_a_challenge_of_another_version_says_what_is_missing_and_ends(
    rooms: Rooms, store: SafeStore, slug: str, conditions: Any, says: str
) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    run(store, "ada", "hers")
    rooms.pose(room.id, Challenge(slug, conditions, opened=0.0))
    challenge = rooms.challenge(room.id)
    assert challenge is not None and says in rooms.challenge_problem(challenge)
    assert rooms.board(room.id) == []
    rooms.close_challenge(room.id)
    assert not rooms.challenge_problem(Challenge("echo", [["state_size", "<=", 8], ["cell", "=", "rnn"]], opened=0.0))


def test_a_record_of_another_version_does_not_break_the_board(rooms: Rooms, store: SafeStore) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    rooms.pose(room.id, Challenge("echo", [["state_size", "<=", 8]], opened=0.0))
    old = run(store, "ada", "old")
    store.save(replace(old, config={"no": "such setting"}))
    assert rooms.board(room.id) == []


# Several servers


@pytest.fixture
def servers(place: Path | str) -> Iterator[list[Rooms]]:
    """The rooms of two servers with one store."""
    stores = [SafeStore(place) for _ in range(2)]
    yield [Rooms(store, config_of) for store in stores]
    for store in stores:
        store.close()


def test_a_room_of_one_server_is_joined_on_another(servers: list[Rooms]) -> None:
    first, second = servers
    room = first.open("Tuesday")
    second.join(room.code, "ada", "Ada")
    with pytest.raises(RoomError, match="Somebody in this room is called"):
        first.join(room.code, "bob", "ada")
    first.join(room.code, "bob", "Bob")
    wait(lambda: list(second.members(room.id)) == ["ada", "bob"])
    first.set_rules(room.id, runs=7)
    second.map(room.id, "echo", "echo_step", "state_size")
    second.leave("ada")
    for rooms in servers:
        wait(lambda rooms=rooms: list(rooms.members(room.id)) == ["bob"])
        found = rooms.get(room.id)
        assert found is not None and found.rules["runs"] == 7 and found.map["x"] == "echo_step"
    second.close(room.id)
    with pytest.raises(RoomError, match="There is no open room"):
        first.join(room.code, "eve", "Eve")


def test_what_a_server_has_changed_itself_it_does_not_read_again(servers: list[Rooms]) -> None:
    first, second = servers
    room = first.open()
    first.of("nobody")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first, "_read", lambda: pytest.fail("it knows what it has written"))
        for name in ("ada", "bob", "eve"):
            first.join(room.code, name, name)
        first.join(room.code, "eve", "Eva"), first.leave("bob"), first.show(room.id, "a run")
    second.join(room.code, "dan", "Dan")
    first.set_rules(room.id, runs=2)
    assert {m.nickname for m in first.members(room.id).values()} == {"ada", "Eva", "Dan"}


def test_two_servers_never_give_out_the_same_code(servers: list[Rooms], monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter(["AAAAAA", "AAAAAA", "BBBBBB"])
    monkeypatch.setattr("lib.rooms._new_code", lambda: next(codes))
    assert [rooms.open().code for rooms in servers] == ["AAAAAA", "BBBBBB"]


def test_nothing_is_lost_that_servers_change_at_once(servers: list[Rooms]) -> None:
    room = servers[0].open()

    def push(rooms: Rooms, first: int) -> None:
        for number in range(first, first + 10):
            rooms.push(room.id, "echo", EchoConfig(echo_step=number))

    threads = [threading.Thread(target=push, args=(rooms, 1 + 10 * i)) for i, rooms in enumerate(servers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rooms in servers:
        wait(lambda rooms=rooms: len(rooms.all()[0].pushes) == 20)
        assert {push["config"]["echo_step"] for push in rooms.all()[0].pushes} == set(range(1, 21))


def test_rooms_stay_known_while_the_database_is_away(
    cluster: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.safe_store.RETRY_SECONDS", 0.05)
    monkeypatch.setattr("lib.rooms.REFRESH_SECONDS", 0.0)
    store, other = (SafeStore(cluster.address(database)) for _ in range(2))
    rooms = Rooms(store, config_of)
    room = rooms.open("Tuesday")
    cluster.stop()
    try:
        rooms.join(room.code, "ada", "Ada")
        assert store.trouble and rooms.get(room.id) == room and list(rooms.members(room.id)) == ["ada"]
    finally:
        cluster.start()
    wait(lambda: store.trouble == "")
    assert list(rooms.members(room.id)) == ["ada"]
    assert list(Rooms(other, config_of).members(room.id)) == ["ada"]
    store.close()
    other.close()
