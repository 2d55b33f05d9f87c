"""The pages of a room by AppTest: the host's behind its code, and that of those who join."""

import json
import time
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import host_code, host_page, room_frames, service
from demos.echo.config import EchoConfig
from demos.registry import get
from lib.jobs import Jobs
from lib.limits import LimitError
from lib.records import HostRecord
from lib.rooms import Rooms
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
    return service.rooms()


def page(script: str, visitor: str, **query: str) -> AppTest:
    made = AppTest.from_string(script, default_timeout=60)
    made.session_state["visitor"] = visitor
    made.query_params.update(query)
    return made.run()


def button(page: AppTest, label: str) -> Any:
    return next(each for each in page.button if each.label == label)


def signed_in(rooms: Rooms) -> AppTest:
    service.jobs().store.keep(HostRecord("the host", host_code.proof("the host"), time.time()))
    return page(HOST, "the host")


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
    assert "has a sign that is none of letters" in shown.error[0].value
    assert [each.value for each in shown.text_input] == [room.code, "<b>Ada"], "nothing typed is lost"
    shown.text_input[1].input("Ada")
    button(shown, "Join").click().run()
    assert not shown.exception and list(rooms.members(room.id)) == ["ada"]
    assert "Leave the room" in [each.label for each in shown.button]
    button(shown, "Leave the room").click().run()
    assert rooms.of("ada") is None


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
        room_frames._made("nobody")


def frame(key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(room_frames._made(key))
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


def test_a_host_pushes_settings_and_poses_a_challenge(rooms: Rooms) -> None:
    room = rooms.open()
    host = signed_in(rooms)
    button(host, "Push to everyone").click().run()
    now = rooms.get(room.id)
    assert now is not None and now.pushes[-1]["config"]["seed"] == room.seed
    host.selectbox(key="host/challenge/echo/0").select("state_size").run()
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


def test_limits_are_kept_and_hold(rooms: Rooms) -> None:
    room = rooms.open()
    host = signed_in(rooms)
    host.number_input[1].set_value(1000)
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
        for part in ("push", "map", "challenge"):
            host.selectbox(key=f"host/{part}/demo").select(slug)
        host.run()
        assert not host.exception and not host.error, slug
        button(host, "Push to everyone").click().run()
        button(host, "Draw the map").click().run()
        button(host, "Pose it").click().run()
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
