"""Above every page of someone in a room: the room, and what its host asks everyone to try."""

from typing import Any

import streamlit as st

from app import controls, run_bar
from app.live import component, strict
from app.markdown import escaped
from app.service import jobs, rooms
from demos.registry import get
from lib.limits import LimitError
from lib.records import RoomRecord
from lib.settings import Config, SettingError, settings_of, to_query

_ROOM = component("room")
_BOARD = component("board")
LATEST = 10  # runs of a person, among which one is looked for that took up what the host asked


def draw(visitor: str, *, follows_all: bool) -> None:
    """The strip, if this visitor is in a room, above a page that `follows_all` that the host does, or only its rules."""
    if slug := st.session_state.pop("room/open", ""):
        st.switch_page(st.session_state["pages"][slug])
    if refused := st.session_state.pop("room/refused", ""):
        st.toast(refused, icon=":material/error:")
    found = rooms().of(visitor)
    if found is not None:
        room, member = found
        _strip(visitor, room, member.nickname, follows_all, _followed(room, follows_all))


@st.fragment
def _strip(visitor: str, room: RoomRecord, nickname: str, follows_all: bool, drawn: str) -> None:
    """Which room this is, who is in it and what its host asks, live.

    After each word of the host this runs again, and all of the page's script only where the word concerns the page: with a room
    full of people each such run is seconds of work.
    """
    room = rooms().get(room.id) or room
    if "room/open" in st.session_state or _followed(room, follows_all) != drawn:
        st.rerun()
    with st.container(border=True, key="room/strip"):
        with st.container(horizontal=True, vertical_alignment="center"):
            data = {"run": room.id, "event": rooms().event(room.id), "code": room.code, "nickname": nickname}
            _ROOM(data=strict(data), key="room/live", on_event_change=lambda: None, width="stretch")
            st.page_link(st.session_state["pages"]["room"], label="The room", icon=":material/groups:")
        if not follows_all and (now := _going_on(room)):
            st.caption(f"In the room now: {now}.")
        _asked(room, visitor)


def _going_on(room: RoomRecord) -> str:
    """What is to be seen on the room's own page."""
    challenge = rooms().challenge(room.id)
    shown = ["a run that your instructor shows"] if room.shown else []
    return " and ".join(shown + (["a challenge"] if challenge and not challenge.closed else []))


def _followed(room: RoomRecord, follows_all: bool) -> str:
    """What all of a page must follow: its limits and fixed settings, and on the room's own page every word of the host."""
    return rooms().event(room.id) if follows_all else f"{room.rules}:{bool(room.closed)}"


def live_board(room: RoomRecord, nickname: str) -> None:
    """The leaderboard of the room's challenge, with one's own line marked."""
    _BOARD(data=strict({"run": room.id, "nickname": nickname}), key="room/board")


def in_words(slug: str, config: Config) -> str:
    """A config as Markdown: what is not the default."""
    fields = settings_of(type(config))
    parts = []
    for name, value in to_query(config).items():
        options = fields[name].options
        shown = "of the instructor's own" if fields[name].text else options[value] if options else value
        if name != "seed":
            parts.append(f"{fields[name].label.lower()} {escaped(str(shown))}")
    return f"**{get(slug).title}**, " + (", ".join(parts) or "with the defaults")


def _asked(room: RoomRecord, visitor: str) -> None:
    """What the host wants everyone to try now, until one has taken it up, or put it aside in this session."""
    if not room.pushes or st.session_state.get("room/answered") == room.pushes[-1]["at"]:
        return
    push = room.pushes[-1]
    config = rooms().asked(push)
    if config is None:
        return
    if st.session_state.get("room/looked") != push["at"]:  # once: what is begun here is known without asking the store
        st.session_state["room/looked"] = push["at"]
        if _has_tried(push, config, visitor):
            _answer(push)
            return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/campaign: **Try this now:** {in_words(push['slug'], config)}.", width="stretch")
        st.button("Try it", type="primary", key="room/try", on_click=_try, args=(push, config, visitor))
        st.button("Not now", key="room/later", on_click=_answer, args=(push,))


def _has_tried(push: dict[str, Any], config: Config, visitor: str) -> bool:
    """Whether this visitor has begun such a run since, perhaps before a reload."""
    latest = jobs().runs_of(visitor, push["slug"], LATEST)
    return any(run.created >= push["at"] and run.config == config.model_dump() for run in latest)


def _answer(push: dict[str, Any]) -> None:
    st.session_state["room/answered"] = push["at"]


def _try(push: dict[str, Any], config: Config, visitor: str) -> None:
    """Set the demo's controls to it, start, and go there."""
    demo = get(push["slug"])
    controls.apply(demo, config.model_dump())
    st.session_state["room/open"] = ""  # the page's controls are others now
    try:
        run_bar.begin(demo, visitor)
    except (SettingError, LimitError) as error:
        st.session_state["room/refused"] = str(error)  # said here it might be gone when the whole script runs again
        return
    _answer(push)
    st.session_state["room/open"] = demo.slug
