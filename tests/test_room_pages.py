"""The pages of a room by AppTest: the host's behind its code, and that of those who join."""

import asyncio
import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import host_code, host_page, room_frames, room_strip, service
from demos.echo.config import EchoConfig
from demos.registry import DEMOS, get
from lib.challenges import Challenge
from lib.jobs import Jobs
from lib.limits import LimitError
from lib.records import HostRecord
from lib.rooms import Rooms
from lib.sweep import plan
from tests.test_pages import jobs, wait_until  # noqa: F401 (a fixture)

CODE = "correct-horse"
HOST = """
from app import host_page
host_page.show()
"""
ROOM = """
import streamlit as st
from app import room_page, room_strip
st.session_state.setdefault("pages", {})
room_page.show()
"""


@pytest.fixture
def rooms(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> Rooms:  # noqa: F811
    monkeypatch.setenv("UNROLLED_HOST_CODE", CODE)
    monkeypatch.setattr(host_code, "_WRONG", type(host_code._WRONG)())
    monkeypatch.setattr(host_code, "_HOSTS", set())
    monkeypatch.setattr(host_page, "visitor_address", lambda: "192.0.2.1")
    return service.rooms()


def page(script: str, visitor: str, **query: str) -> AppTest:
    made = AppTest.from_string(script, default_timeout=60)
    made.session_state["visitor"] = visitor
    made.query_params.update(query)
    return made.run()


def button(page: AppTest, label: str) -> Any:
    return next(each for each in page.button if each.label == label)


def open_tab(page: AppTest, name: str) -> AppTest:
    page.session_state["host/tabs"] = name
    return page.run()


def signed_in(rooms: Rooms) -> AppTest:
    service.jobs().store.keep(HostRecord("the host", host_code.proof("the host"), time.time()))
    return page(HOST, "the host")


def test_who_is_host_is_not_asked_of_the_store_at_every_script_run(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(host_page, "is_host", lambda visitor: not asked.append(visitor))
    look = "import streamlit as st\nfrom app import host_page\nst.text(host_page.has_been_host('the host'))"
    shown = page(look, "the host").run()
    assert (shown.text[0].value, asked) == ("True", ["the host"])
    monkeypatch.setattr(host_page, "LATELY_SECONDS", -1.0)
    shown.run()
    assert len(asked) == 2


def test_the_hosts_page_opens_with_the_code_alone_and_stays_open(rooms: Rooms) -> None:
    shown = page(HOST, "the host")
    assert [each.label for each in shown.button] == ["Sign in"] and not shown.tabs
    shown.text_input[0].input("wrong code")
    button(shown, "Sign in").click().run()
    assert shown.error[0].value.startswith("This is not the host code") and not shown.tabs
    shown.text_input[0].input(CODE)
    button(shown, "Sign in").click().run()
    assert "Open a new room" in [each.label for each in shown.button] and not shown.exception
    again = page(HOST, "the host")
    assert "Open a new room" in [each.label for each in again.button], "after a reload"
    other = page(HOST, "somebody")
    assert [each.label for each in other.button] == ["Sign in"], "of this visitor alone"


def test_a_new_code_signs_the_old_hosts_out(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    signed_in(rooms)
    assert host_page.is_host("the host")
    monkeypatch.setenv("UNROLLED_HOST_CODE", "another-horse")
    assert not host_page.is_host("the host")
    monkeypatch.delenv("UNROLLED_HOST_CODE")
    assert not host_page.is_host("the host")


def test_codes_are_not_tried_forever(rooms: Rooms) -> None:
    shown = page(HOST, "the host")
    for _ in range(host_code.MOST_WRONG):
        shown.text_input[0].input("wrong code")
        button(shown, "Sign in").click().run()
    shown.text_input[0].input(CODE)
    button(shown, "Sign in").click().run()
    assert "Too many wrong codes were tried: wait" in shown.error[0].value and not host_page.is_host("the host")


def test_a_host_comes_in_again_while_strangers_try_codes(rooms: Rooms) -> None:
    host, new = signed_in(rooms), page(HOST, "another host")
    button(host, "Sign out").click().run()
    for number in range(host_code.MOST_WRONG_TOGETHER):
        assert not host_code.correct("wrong code", f"198.51.100.{number}")
    for shown in (host, new):
        shown.text_input[0].input(CODE)
        button(shown, "Sign in").click().run()
    assert host_page.is_host("the host") and not host_page.is_host("another host")
    assert "Too many wrong codes were tried: wait" in new.error[0].value


def test_a_host_opens_a_room_and_somebody_joins_it(rooms: Rooms) -> None:
    host = signed_in(rooms)
    host.text_input(key="host/title").input("Tuesday").run()
    button(host, "Open a new room").click().run()
    assert not host.exception and len(host.tabs) == 7
    (room,) = rooms.all()
    assert room.title == "Tuesday" and any(" ".join(room.code) in title.value for title in host.title)
    shown = page(ROOM, "ada", code=room.code)
    assert shown.text_input[0].value == room.code
    shown.text_input[1].input("<b>Ada")
    button(shown, "Join").click().run()
    assert "cannot be used: begin with a letter" in shown.error[0].value
    assert [each.value for each in shown.text_input] == [room.code, "<b>Ada"], "nothing typed is lost"
    shown.text_input[1].input("Ada")
    button(shown, "Join").click().run()
    assert not shown.exception and list(rooms.members(room.id)) == ["ada"]
    assert [each.label for each in shown.button] == [*(demo.title for demo in DEMOS), "Leave the room"], "nothing yet"
    button(shown, "Echo").click().run()
    assert shown.session_state["room/open"] == "echo"
    rooms.set_rules(room.id, demos=["gates"])
    assert [each.label for each in shown.run().button] == ["Inside the LSTM", "Leave the room"]
    button(shown, "Leave the room").click().run()
    assert rooms.of("ada") is None


def test_whose_room_is_closed_is_told_so(rooms: Rooms) -> None:
    room = rooms.open("Tuesday *2*")
    rooms.join(room.code, "ada", "Ada"), rooms.join(room.code, "bob", "Bob")
    rooms.leave("bob")
    host = signed_in(rooms)
    assert "cannot be opened again" in " ".join(each.value for each in host.markdown)
    button(host, "Close it for everyone").click().run()
    assert rooms.of("ada") is None and not host.exception
    (said,) = page(ROOM, "ada").info
    assert said.value.startswith(f"Room Tuesday \\*2\\* ({room.code}) is closed.")
    assert not page(ROOM, "bob").info and not page(ROOM, "ada", code="K7MPQ2").info
    rooms.join(rooms.open().code, "ada", "Ada")
    rooms.leave("ada")
    assert not page(ROOM, "ada").info, "that is long ago"


def started(visitor: str, **settings: Any) -> Any:
    small = EchoConfig(series_length=600, epochs=2, **settings)
    return service.jobs().start("echo", small, visitor)


def test_the_wall_has_everyones_latest_run_and_no_one_elses(rooms: Rooms) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada"), rooms.join(room.code, "bob", "Bob")
    before, latest = started("ada"), started("ada")
    stranger = started("eve")
    wait_until(lambda: not (before.active or latest.active or stranger.active))
    found = frame(room.wall)
    assert [(card["nickname"], card["id"], card["state"]) for card in found["wall"]] == [("Ada", latest.id, "finished")]
    assert found["people"] == 2 and 0 <= found["machine"]["processor"] <= 100 * 64
    plain = frame(room.id)
    assert "wall" not in plain and "machine" not in plain
    with pytest.raises(KeyError):
        room_frames.frame("nobody")
    assert room_frames.ready(room.id) == ""
    text = room_frames.frame(room.id)
    assert room_frames.ready(room.id) == text and "wall" in room_frames.ready(room.wall)


def test_how_busy_the_processor_is_does_not_depend_on_the_thread_that_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([(10.0, 100.0), (40.0, 140.0), (40.0, 140.0), (41.0, 144.0)])
    monkeypatch.setattr(room_frames, "_processor_seconds", lambda: next(seconds))
    processor = room_frames._Processor()
    found: list[float] = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: found.append(processor.percent()))
        thread.start()
        thread.join()
    assert found == [75.0, 75.0, 25.0], "asked again at once, it says the same"


def test_a_processor_works_no_longer_than_there_is_time() -> None:
    busy, total = room_frames._processor_seconds()
    assert 0 < busy < total


def frame(key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(room_frames._made(key)[key])
    return found


def test_a_host_pauses_all_and_lets_go_on_only_what_they_paused(rooms: Rooms) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada"), rooms.join(room.code, "bob", "Bob")
    server, long = service.jobs(), EchoConfig(epochs=100)
    moving, held = server.start("echo", long, "ada"), server.start("echo", long, "bob")
    server.pause(held.id)
    wait_until(lambda: str(moving.state) == "running" and str(held.state) == "paused")
    host = signed_in(rooms)
    button(host, "Pause all").click().run()
    assert str(moving.state) == str(held.state) == "paused"
    again = page(HOST, "the host")  # after a reload
    button(again, "Resume all").click().run()
    assert (str(moving.state), str(held.state)) == ("running", "paused")
    server.stop(moving.id), server.stop(held.id)


ECHO = "from app import demo_page\ndemo_page.show('echo')"


def test_whose_run_the_host_has_paused_or_stopped_is_told_so(rooms: Rooms) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    server = service.jobs()
    run = server.start("echo", EchoConfig(epochs=100), "ada")
    wait_until(lambda: str(run.state) == "running")

    def told(shown: AppTest) -> bool:
        return any("Your instructor has paused this run" in each.value for each in shown.info)

    ada = page(ECHO, "ada")
    assert not told(ada)
    host = signed_in(rooms)
    button(host, "Pause all").click().run()
    assert told(ada.run()) and not told(page(ECHO, "eve"))
    button(ada, "Resume").click().run()
    assert str(run.state) == "running" and not told(ada)
    button(ada, "Pause").click().run()
    assert str(run.state) == "paused" and not told(ada), "that was Ada"
    button(host, "Resume all").click().run()
    assert str(run.state) == "paused" and rooms_held(rooms, room.id) == []
    host_page._act(room, f"stop {run.id}")
    assert run.message == f"Stopped by your instructor at step {run.step:,}."


def test_a_demo_that_the_host_has_not_opened_says_so(rooms: Rooms) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    assert not page(ECHO, "ada").warning
    rooms.set_rules(room.id, demos=["gates", "ptb"])
    said = f"In room {room.code} the demo Echo is not open: choose Inside the LSTM, Perplexity."
    assert [each.value for each in page(ECHO, "ada").warning] == [said] and not page(ECHO, "eve").warning
    with pytest.raises(LimitError, match=said):
        service.jobs().start("echo", EchoConfig(), "ada")


def test_what_may_not_go_on_stays_held_and_the_host_is_told(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    room, server = rooms.open(), service.jobs()
    rooms.join(room.code, "ada", "Ada")
    one, other = (server.start("echo", EchoConfig(epochs=100), "ada") for _ in range(2))
    host = signed_in(rooms)
    button(host, "Pause all").click().run()
    real, full = server.resume, "This server has 2 runs under way, as many as it takes: try again when some have ended."

    def resume(run_id: str) -> None:
        if run_id == other.id:
            raise LimitError(full)
        real(run_id)

    monkeypatch.setattr(server, "resume", resume)
    button(host, "Resume all").click().run()
    assert (str(one.target), str(other.target)) == ("running", "paused")
    assert host.toast[0].value == (
        f"1 of 2 stay paused, to be tried again with *Resume all*. Their owners would be told: {full}"
    )
    monkeypatch.undo()
    real(other.id), server.pause(other.id)
    assert rooms_held(rooms, room.id) == [other.id]
    server.stop(one.id), server.stop(other.id)


def test_a_run_that_cannot_be_paused_keeps_no_other_from_it(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    room, server = rooms.open(), service.jobs()
    rooms.join(room.code, "ada", "Ada")
    runs = [server.start("echo", EchoConfig(epochs=100), "ada") for _ in range(2)]
    first, second = (run.id for run in rooms.runs(room.id))
    real, away = server.pause, "No training process can be reached just now: try again in a moment."

    def pause(run_id: str) -> None:
        if run_id == first:
            raise LimitError(away)
        real(run_id)

    monkeypatch.setattr(server, "pause", pause)
    host = signed_in(rooms)
    button(host, "Pause all").click().run()
    assert {run.id: str(run.target) for run in runs} == {first: "running", second: "paused"}
    assert not host.exception and host.toast[0].value == f"1 could not be paused: {away}"
    for run in runs:
        server.stop(run.id)


def rooms_held(rooms: Rooms, room_id: str) -> list[str]:
    room = rooms.get(room_id)
    assert room is not None
    return room.held


def test_a_sweep_is_held_with_all_others_and_can_be_stopped_from_the_wall(rooms: Rooms) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    made = plan(EchoConfig(epochs=100), [("echo_step", "1, 2, 3"), ("state_size", "2, 4")])
    theirs, stranger = (service.sweeps().start("echo", made, visitor) for visitor in ("ada", "eve"))
    host = signed_in(rooms)
    button(host, "Pause all").click().run()
    assert (str(theirs.state), str(stranger.state)) == ("paused", "running")
    (card,) = frame(room.wall)["wall"]
    assert (card["nickname"], card["demo"], card["state"], card["steps"]) == ("Ada", "Sweep of Echo", "paused", 6)
    button(host, "Resume all").click().run()
    assert str(theirs.state) == "running" and rooms_held(rooms, room.id) == [] and not host.exception
    host_page._act(room, f"stop {theirs.id}")
    assert str(theirs.state) == "stopped" and frame(room.wall)["wall"] == []
    service.sweeps().stop(stranger.id)


def test_nothing_typed_is_lost_while_another_tab_is_open(rooms: Rooms) -> None:
    rooms.open()
    host = open_tab(signed_in(rooms), "Challenge")
    host.selectbox(key="host/challenge/echo/0").select("state_size").run()
    host.text_input(key="host/challenge/echo/0/state_size").input("eight").run()
    open_tab(host, "Limits").number_input[1].set_value(1000).run()
    host.multiselect[1].select("cell").run()
    assert [each.label for each in host.number_input][1] == "Steps of one run (0: no limit)"
    open_tab(host, "Class map").selectbox(key="host/map/demo").select("gates").run()
    assert not host.number_input and not host.multiselect and not host.text_input[1:], "only the open tab is drawn"
    open_tab(host, "Challenge")
    assert host.text_input(key="host/challenge/echo/0/state_size").value == "eight"
    open_tab(host, "Limits")
    assert (host.number_input[1].value, host.multiselect[1].value) == (1000, ["cell"])
    assert open_tab(host, "Class map").selectbox(key="host/map/demo").value == "gates" and not host.exception


@pytest.mark.parametrize(
    ("chart", "challenge", "says"),
    [
        ({"slug": "parity", "x": "a", "y": "b"}, Challenge("parity", [], opened=1.0), "has no demo parity"),
        (
            {"slug": "echo", "x": "bits", "y": "state_size"},
            Challenge("echo", [["bits", "<=", 8]], opened=1.0),
            "echo has no setting bits",
        ),
    ],
)
def test_what_another_version_has_posed_and_drawn_is_explained(
    rooms: Rooms, chart: dict[str, str], challenge: Challenge, says: str
) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    run = started("ada")
    rules = room.rules | {"demos": ["parity"], "settings": {"echo": ["bits"], "parity": ["bits"]}}
    push = {"slug": "parity", "config": {}, "at": time.time()}
    rooms._change(room.id, map=chart, challenges=[challenge.as_json()], rules=rules, pushes=[push])
    service.jobs().store.save(replace(run.record(), id="of another version", slug="parity"))
    host = signed_in(rooms)
    for tab in host_page.TABS:
        open_tab(host, tab)
        assert not host.exception, tab
        assert [says in each.value for each in host.warning] == [True] * (tab in ("Class map", "Challenge")), tab
    shown = page(ROOM, "ada")
    assert not shown.exception and [says in each.value for each in shown.warning] == [True, True]
    assert frame(room.wall)["figures"] == {} and frame(room.id)["board"] == []
    report = host_page._as_html(rooms.get(room.id) or room, str)
    assert "does not have this demo" in report and "parity" in host_page._as_csv(room)
    service.jobs().stop(run.id)


def test_a_room_is_closed_by_time_and_no_lock_is_held_when_a_run_is_permitted(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, server, permit = rooms.open(), service.jobs(), service.jobs().permit
    rooms.join(room.code, "ada", "Ada")

    def asked(visitor: str, slug: str, config: Any) -> Any:
        """While a room waits for the jobs, the jobs must not wait for the room."""
        other = threading.Thread(target=rooms.runs, args=(room.id,))
        other.start()
        other.join(timeout=30)
        assert not other.is_alive()
        return permit(visitor, slug, config)

    monkeypatch.setattr(server, "permit", asked)
    run = started("ada")
    wait_until(lambda: not run.active)

    async def closes() -> None:
        closing = asyncio.create_task(service.close_idle_rooms())
        await asyncio.to_thread(wait_until, lambda: not rooms.is_any_open())
        closing.cancel()

    monkeypatch.setattr("lib.rooms.IDLE_SECONDS", 0.0)
    monkeypatch.setattr(service, "CLOSE_EVERY", 0.01)
    asyncio.run(closes())


def test_a_host_pushes_settings_and_poses_a_challenge(rooms: Rooms) -> None:
    room = rooms.open()
    host = open_tab(signed_in(rooms), "Try this now")
    button(host, "Push to everyone").click().run()
    now = rooms.get(room.id)
    assert now is not None and now.pushes[-1]["config"]["seed"] == room.seed
    assert host.toast[0].value == "Everyone in the room sees it now.", "a second push of the same changes nothing else"
    open_tab(host, "Challenge")
    assert "Challenge" not in [each.value for each in host.subheader], "none is posed, and the host is not told to wait"
    host.selectbox(key="host/challenge/echo/0").select("state_size").run()
    assert host.text_input(key="host/challenge/echo/0/state_size").label == "Value: a whole number from 1 to 64 (units)"
    host.text_input(key="host/challenge/echo/0/state_size").input("8").run()
    button(host, "Pose it").click().run()
    challenge = rooms.challenge(room.id)
    assert challenge is not None and challenge.conditions == [["state_size", "<=", 8]]
    host.text_input(key="host/challenge/echo/0/state_size").input("eight").run()
    assert "state_size = eight cannot be read as a whole number" in host.error[0].value
    assert not host.exception
    shown = page(ROOM, "ada", code=room.code)
    assert "Join" in [each.label for each in shown.button]
    rooms.join(room.code, "ada", "Ada")
    shown = shown.run()
    assert "The lowest loss on Echo, with state size at most 8 units" in " ".join(m.value for m in shown.markdown)


STRIP = "from app import room_strip\nroom_strip.draw('ada', follows_all=False)"


@pytest.fixture
def strip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the strip only what the host asks: AppTest knows neither its stream nor the app's pages."""
    monkeypatch.setattr(room_strip, "_strip", lambda visitor, room, *_: room_strip._asked(room, visitor))


def test_what_was_asked_is_not_asked_again_of_who_has_tried_it(rooms: Rooms, strip: None) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    asked = EchoConfig(series_length=600, epochs=2)
    earlier = service.jobs().start("echo", asked.model_copy(update={"seed": room.seed}), "ada")
    rooms.push(room.id, "echo", asked)
    shown = page(STRIP, "ada")
    assert [each.label for each in shown.button] == ["Try it", "Not now"], "a run from before is no answer"
    button(shown, "Not now").click().run()
    assert not shown.button and [each.label for each in page(STRIP, "ada").button] == ["Try it", "Not now"]
    other = service.jobs().start("echo", asked.model_copy(update={"seed": room.seed + 1}), "ada")
    assert page(STRIP, "ada").button, "nor is one with another seed"
    taken = service.jobs().start("echo", asked.model_copy(update={"seed": room.seed}), "ada")
    assert not page(STRIP, "ada").button, "after a reload"
    wait_until(lambda: not (earlier.active or other.active or taken.active))


def test_who_may_not_try_what_is_asked_is_told_why(rooms: Rooms, strip: None) -> None:
    room = rooms.open()
    rooms.join(room.code, "ada", "Ada")
    rooms.push(room.id, "echo", EchoConfig())
    rooms.set_rules(room.id, steps=1000)
    shown = page(STRIP, "ada")
    button(shown, "Try it").click().run()
    assert f"room {room.code} allows 1,000" in shown.toast[0].value and not shown.exception
    assert [each.label for each in shown.button] == ["Try it", "Not now"] and not service.jobs().runs_of("ada", None, 1)


def test_limits_are_kept_and_hold(rooms: Rooms) -> None:
    room = rooms.open()
    host = open_tab(signed_in(rooms), "Limits")
    assert not host.warning
    host.number_input[1].set_value(1000).run()
    assert "these runs have more than 1,000 steps" in host.warning[0].value and "Echo 66,600" in host.warning[0].value
    rooms.push(room.id, "echo", EchoConfig(series_length=600, epochs=2))
    assert "Echo" not in host.run().warning[0].value, "as it was pushed"
    assert not host.multiselect[0].select("echo").run().warning, "nothing else may be trained"
    host.multiselect[0].unselect("echo").run()
    button(host, "Set these limits").click().run()
    now = rooms.get(room.id)
    assert now is not None and now.rules["steps"] == 1000 and not host.exception
    rooms.join(room.code, "ada", "Ada")
    started("ada")
    with pytest.raises(LimitError, match=f"room {room.code} allows 1,000"):
        service.jobs().start("echo", EchoConfig(), "ada")


def test_other_demos_can_be_pushed_mapped_and_made_a_challenge_of(rooms: Rooms) -> None:
    room = rooms.open()
    host = signed_in(rooms)
    for slug in ("binary-rule", "ptb"):
        for part, tab, does in (
            ("push", "Try this now", "Push to everyone"),
            ("map", "Class map", "Draw the map"),
            ("challenge", "Challenge", "Pose it"),
        ):
            open_tab(host, tab).selectbox(key=f"host/{part}/demo").select(slug).run()
            assert not host.exception and not host.error, slug
            button(host, does).click().run()
        open_tab(host, "Class map")
        explained = any("Solid amber" in each.value for each in host.caption)
        assert explained == (slug == "binary-rule"), "where one is known"
        now = rooms.get(room.id)
        assert now is not None and (now.pushes[-1]["slug"], now.map["slug"], now.challenges[-1]["slug"]) == (slug,) * 3
        assert get(slug).config(**now.pushes[-1]["config"])


@pytest.mark.parametrize("slug", ["echo", "story"])
def test_who_watches_a_shared_run_forks_it_or_copies_its_settings(rooms: Rooms, slug: str) -> None:
    server = service.jobs()
    config = get(slug).config(**{"echo": {"series_length": 600, "epochs": 2}, "story": {"iterations": 300}}[slug])
    theirs = server.start(slug, config, "somebody")
    wait_until(lambda: not theirs.active)
    shown = AppTest.from_string(f"from app import demo_page\ndemo_page.show({slug!r})", default_timeout=60)
    shown.session_state["visitor"] = "ada"
    shown.query_params["run"] = theirs.id
    shown.run()
    assert not any(button(shown, label).disabled for label in ("Fork it", "Copy its settings"))
    assert all(button(shown, label).disabled for label in ("Pause", "Stop", "Rewind")), "it is not theirs to steer"
    button(shown, "Copy its settings").click().run()
    assert shown.session_state[f"{slug}/settings"] == config.model_dump()
    button(shown, "Fork it").click().run()
    assert not shown.exception and "run" not in shown.query_params
    mine = server.get(shown.session_state[f"{slug}/run"])
    assert mine is not None and (mine.visitor, mine.origin) == ("ada", (theirs.id, theirs.step))
    server.set_speed(mine.id, None)
    wait_until(lambda: not mine.active)
    assert str(mine.state) == "finished", mine.message
    first, before = (job.stream.curve("loss")[1][:20].mean() for job in (mine, theirs))
    assert first < before, "it goes on from what was learned"


def test_nobody_steers_anothers_run_not_even_with_messages_that_no_browser_would_send(rooms: Rooms) -> None:
    server = service.jobs()
    theirs = server.start("echo", EchoConfig(epochs=1000), "somebody", paused=True)
    wait_until(lambda: str(theirs.state) == "paused")
    shown = AppTest.from_string("from app import demo_page\ndemo_page.show('echo')", default_timeout=60)
    shown.session_state["visitor"] = "eve"
    shown.query_params["run"] = theirs.id
    shown.run()
    for label in ("Resume", "Step", "Stop", "Rewind", "Pause"):
        found = button(shown, label)
        found.proto.disabled = found.disabled = False
        found.click().run()
        shown.query_params["run"] = theirs.id
        assert not shown.exception
    rate = f"echo.learning_rate.{shown.session_state['echo/round']}"
    shown.select_slider(key=rate).set_value(1.0).run()
    shown.select_slider(key=f"speed.{shown.session_state['speed_round']}").set_value("as fast as it goes").run()
    assert (str(theirs.state), theirs.step, theirs.live["learning_rate"]) == ("paused", 0, EchoConfig().learning_rate)
    assert theirs.pace.speed is None and not theirs.deleted
    for run in server.runs_of("eve", "echo", 9):
        server.stop(run.id)
