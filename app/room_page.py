"""The page of someone in a room: how to get in, what the host shows and asks, and what the class has found."""

import streamlit as st

from app import room_frames, room_strip
from app.live import live_chart
from app.markdown import escaped
from app.run_bar import open_run
from app.service import jobs, rooms
from app.visitor import clock, visitor_id
from demos.registry import DEMOS, get
from lib.job import ACTIVE
from lib.lessons import plain
from lib.records import MemberRecord, RoomRecord, RunRecord
from lib.rooms import LONGEST_NICKNAME, RoomError
from lib.sweep_figure import boundaries_in_words

SEEN = (
    "What you train here is seen by your instructor and the others in the room, under your nickname, with its settings."
)
CHALLENGE = (
    "Your best run counts: the lowest mean loss over its last 100 steps, of those begun since the challenge was posed."
)


def show() -> None:
    """Draw the page."""
    visitor = visitor_id()
    if asked := st.session_state.pop("room/run", None):
        slug, run_id = asked
        st.switch_page(st.session_state["pages"][slug], query_params={"run": run_id})
    found = rooms().of(visitor)
    if found is None:
        _join(visitor)
    else:
        _inside(visitor, *found)


def _join(visitor: str) -> None:
    st.title(":material/groups: Join a room", anchor=False)
    if "code" not in st.query_params and (closed := rooms().closed_on(visitor)) is not None:
        name = f"{escaped(closed.title)} ({closed.code})" if closed.title else closed.code
        st.info(f"Room {name} is closed. What you trained there stays yours, under *Runs*.", icon=":material/lock:")
    st.markdown("Your instructor has a code for you, or a picture that your phone's camera can read.")
    with st.form("room/join", width=420):
        code = st.text_input("Code", st.query_params.get("code", ""), max_chars=12, placeholder="such as K7MPQ2")
        nickname = st.text_input(
            "Nickname", max_chars=LONGEST_NICKNAME, help="How the others in the room see you. Your runs carry it."
        )
        if st.form_submit_button("Join", type="primary", icon=":material/login:"):
            try:
                rooms().join(code, visitor, nickname)
            except RoomError as error:
                st.error(str(error), icon=":material/error:")
            else:
                st.query_params.clear()
                st.rerun()


def _inside(visitor: str, room: RoomRecord, member: MemberRecord) -> None:
    st.title(f":material/groups: {escaped(room.title) or 'The room'}", anchor=False)
    st.markdown(
        "What you train while you are here is seen by your instructor and the others, under your nickname, with its settings."
    )
    _shown(room)
    left, right = st.columns([3, 2])
    with left:
        _map(room)
    with right:
        challenge(room, member.nickname)
    _own_runs(room, visitor)
    st.button("Leave the room", icon=":material/logout:", on_click=rooms().leave, args=(visitor,))


def _shown(room: RoomRecord) -> None:
    """The run on the projector."""
    job = jobs().get(room.shown) if room.shown else None
    if job is None:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/cast: Your instructor shows a run of **{get(job.slug).title}**.", width="stretch")
        st.button("Watch it", type="primary", on_click=ask_to_watch, args=(job.slug, job.id))


def ask_to_watch(slug: str, run_id: str) -> None:
    """Go to a run's page, to watch it."""
    st.session_state["room/run"] = (slug, run_id)


def _map(room: RoomRecord) -> None:
    st.subheader("The class map", anchor=False)
    if not room.map:
        st.caption("Here everyone's runs will be drawn over two settings, once your instructor has chosen these.")
        return
    st.caption("Everyone's runs over two settings: each dot is a run, its colour the loss that it has reached.")
    class_map(room)


def class_map(room: RoomRecord) -> None:
    """Everyone's runs over two settings, live. A click on one opens it."""
    if problem := rooms().map_problem(room):
        st.warning(problem, title="The map cannot be drawn", icon=":material/warning:")
        return
    figure = room_frames.map_of(room, rooms().runs(room.id), rooms().nicknames(room.id))

    def opened(run_id: str) -> None:
        ask_to_watch(room.map["slug"], run_id)

    live_chart(
        "class_map", room.id, figure, key="room/map", height=figure["layout"]["height"], on_click=opened,
        save="unrolled-class-map",
    )  # fmt: skip
    if meaning := boundaries_in_words(get(room.map["slug"]).theory):
        st.caption(meaning)


def challenge(room: RoomRecord, nickname: str) -> None:
    """The challenge in words, and how it stands."""
    st.subheader("Challenge", anchor=False)
    posed = rooms().challenge(room.id)
    if posed is None:
        st.caption("Here a challenge will appear when your instructor poses one.")
        return
    if problem := rooms().challenge_problem(posed):
        st.warning(problem, title="The challenge cannot be shown", icon=":material/warning:")
    else:
        demo = get(posed.slug)
        st.markdown(f"**{posed.text(demo.title, demo.config)}.** {'It is over.' if posed.closed else CHALLENGE}")
    if posed.closed or not problem:
        room_strip.live_board(room, nickname)


def _own_runs(room: RoomRecord, visitor: str) -> None:
    st.subheader("Your runs in this room", anchor=False)
    known = {demo.slug for demo in DEMOS}  # a run may be of a demo that another version had
    own = [run for run in rooms().runs(room.id) if run.visitor == visitor and run.slug in known][:5]
    if not own:
        st.caption("None yet: open a demo, and press Start.")
        _demos(room)
    for run in own:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{clock(run.created)} · {get(run.slug).title} · {_how_far(run)}", width="stretch")
            st.button("Open", key=f"room/own/{run.id}", on_click=_ask_to_open, args=(run.slug, run.id))


def _how_far(run: RunRecord) -> str:
    """How a run ended, or that it has not: this page does not follow it."""
    if run.state in ACTIVE:
        return "under way"
    loss = run.summary.get("loss", {}).get("last")
    return f"{run.state} at step {run.step:,}" + (f", loss {plain(loss)} nats" if loss is not None else "")


def _demos(room: RoomRecord) -> None:
    """The way to the demos that are open: on a phone the menu is folded away."""
    allowed = room.rules["demos"]
    with st.container(horizontal=True):
        for demo in DEMOS:
            if not allowed or demo.slug in allowed:
                st.button(demo.title, key=f"room/demo/{demo.slug}", icon=demo.icon, on_click=_go_to, args=(demo.slug,))


def _go_to(slug: str) -> None:
    st.session_state["room/open"] = slug


def _ask_to_open(slug: str, run_id: str) -> None:
    open_run(get(slug), run_id)
    _go_to(slug)
