"""The instructor's page, behind the host code: rooms, everyone's runs, and what everyone is asked to do."""

import io
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import segno
import streamlit as st

from app import controls, frames, host_code, room_frames, room_page, room_strip
from app.live import component, live_chart, page_status, strict
from app.markdown import escaped
from app.service import jobs, rooms, sweeps
from app.visitor import visitor_address, visitor_clock, visitor_id
from demos.registry import DEMOS, Demo, get
from lib import room_report
from lib.challenges import OPERATORS, Challenge
from lib.curves import Curve
from lib.limits import LimitError
from lib.records import HostRecord, RoomRecord
from lib.rooms import RoomError
from lib.settings import Config, Setting, SettingError, parse, settings_of
from lib.values import as_text

_WALL = component("wall")
TABS = ["Everyone's runs", "Large", "Try this now", "Class map", "Challenge", "Limits", "Export"]
MOST_CONDITIONS = 3
LATELY, LATELY_SECONDS = "host/lately", 10.0
NOTHING = "(none)"
KEPT: Any = {"persist_state": "session"}  # what is chosen and typed, also while another tab is open
EVERYTHING = "as it is set on its page in this tab"


def show() -> None:
    """Draw the page."""
    visitor = visitor_id()
    if not is_host(visitor):
        _sign_in(visitor)
        return
    if asked := st.session_state.pop("room/run", None):
        st.switch_page(st.session_state["pages"][asked[0]], query_params={"run": asked[1]})
    room = _chosen_room()
    if room is not None:
        _door(room)
        _tabs(room)
    st.button("Sign out", icon=":material/logout:", on_click=_sign_out, args=(visitor,))


def _tabs(room: RoomRecord) -> None:
    """Only the one that is open is drawn. What was chosen and typed in the others is kept with the session."""
    draws = (_wall, _large, _push, _map, _challenge, _limits, _export)
    for tab, draw in zip(st.tabs(TABS, key="host/tabs", on_change="rerun"), draws, strict=True):
        if tab.open:
            with tab, st.container(width=640 if draw is _limits else "stretch"):
                draw(room)


def is_host(visitor: str) -> bool:
    """Whether this visitor has given the host code that holds now."""
    return any(host_code.proven(visitor, record.proof) for record in jobs().store.kept(HostRecord, visitor))


def has_been_host(visitor: str) -> bool:
    """The same for this session, at most some seconds old: only for the link to this page, which every script run draws."""
    asked, known = st.session_state.get(LATELY, (0.0, False))
    if not asked or time.monotonic() - asked > LATELY_SECONDS:
        asked, known = st.session_state[LATELY] = time.monotonic(), is_host(visitor)
    return known


def _sign_in(visitor: str) -> None:
    st.title(":material/co_present: Host", anchor=False)
    st.markdown("Open a room for a workshop, see everyone's runs, and give everyone something to try.")
    with st.form("host/code", width=420):
        given = st.text_input("Host code", type="password", help="Whoever started this server has set it.")
        if st.form_submit_button("Sign in", type="primary", icon=":material/key:"):
            try:
                was_host = bool(jobs().store.kept(HostRecord, visitor))
                right = host_code.correct(given, visitor if was_host else visitor_address(), is_known=was_host)
            except host_code.TooManyAttempts as error:
                st.error(str(error), icon=":material/error:")
                return
            if not right:
                st.error("This is not the host code: ask whoever started this server for it.", icon=":material/error:")
                return
            jobs().store.keep(HostRecord(visitor, host_code.proof(visitor), time.time()))
            st.session_state.pop(LATELY, None)
            st.rerun()


def _sign_out(visitor: str) -> None:
    jobs().store.keep(HostRecord(visitor, "", time.time()))
    st.session_state.pop(LATELY, None)


# The room and its door


def _chosen_room() -> RoomRecord | None:
    st.title(":material/co_present: Host", anchor=False)
    known = rooms().all()
    ids = [room.id for room in known]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if ids:
            chosen = st.session_state.get("host/room")
            st.selectbox(
                "Room", ids, index=ids.index(chosen) if chosen in ids else 0, format_func=_room_name, width=320,
                key="host/room",
            )  # fmt: skip
        st.text_input(
            "Title of a new room", key="host/title", max_chars=80, placeholder="such as Tuesday, group 2", width=320
        )
        st.button("Open a new room", type="secondary" if ids else "primary", icon=":material/add:", on_click=_open_room)
    if not ids:
        st.info("Open a room, and give its code to everyone.", icon=":material/groups:")
        return None
    return rooms().get(st.session_state["host/room"])


def _open_room() -> None:
    room = rooms().open(st.session_state["host/title"])
    st.session_state["host/room"], st.session_state["host/title"] = room.id, ""


def _room_name(room_id: str) -> str:
    room = rooms().get(room_id)
    if room is None:
        return "a room that is gone"
    return f"{room.title or 'Room'} ({room.code}{', closed' if room.closed else ''})"


def _door(room: RoomRecord) -> None:
    """How to get in: the code, the link and a picture of it."""
    if room.closed:
        st.info("This room is closed. Its runs and results can still be exported below.", icon=":material/lock:")
        return
    link = f"{(st.context.url or '').partition('/host')[0]}/room?code={room.code}"
    picture = io.BytesIO()
    segno.make(link, error="m", micro=False).save(picture, kind="png", scale=8, border=3)
    with st.container(border=True):
        left, right = st.columns([1, 4], vertical_alignment="center")
        left.image(picture.getvalue(), width=190, alt=f"A QR code of the link to room {room.code}")
        with right:
            st.markdown("Join with this code, or let your phone's camera read the picture.")
            st.title(f":violet[{' '.join(room.code)}]", anchor=False)
            st.code(link, language=None, wrap_lines=True)
            with st.container(horizontal=True):
                st.button("Pause all", icon=":material/pause:", on_click=_pause_all, args=(room,))
                st.button("Resume all", icon=":material/resume:", on_click=_resume_all, args=(room,))
                with st.popover("Close the room", icon=":material/lock:"):
                    st.markdown("Everyone leaves it, and it cannot be opened again. Runs go on and can be exported.")
                    st.button("Close it for everyone", type="primary", on_click=rooms().close, args=(room.id,))


def _pause_all(room: RoomRecord) -> None:
    """What is paused now, "Resume all" lets go on: not what its owner had paused before."""
    going = [run.id for run in rooms().runs(room.id) if run.state in (*frames.WAITING, "running")]
    swept = [sweep.id for sweep in rooms().sweeps(room.id) if sweep.state == "running"]
    rooms().hold(room.id, [*going, *swept])
    _say(_each(going, jobs().pause) | _each(swept, sweeps().pause), "{} could not be paused:")


def _resume_all(room: RoomRecord) -> None:
    """What may not go on now stays held, to be resumed later."""
    held = (rooms().get(room.id) or room).held
    refused = _each(held, jobs().resume, sweeps().resume)
    rooms().let_go(room.id, [each for each in held if each not in refused])
    stay = f"{{}} of {len(held)} stay paused, to be tried again with *Resume all*. Their owners would be told:"
    _say(refused, stay)


def _each(ids: list[str], *acts: Callable[[str], None]) -> dict[str, str]:
    """Do it to each: an id is of a run or of a sweep, and what concerns the other does nothing. Why it was refused, by id."""
    refused: dict[str, str] = {}
    for each in ids:
        try:
            for act in acts:
                act(each)
        except LimitError as error:
            refused[each] = str(error)
    return refused


def _say(refused: dict[str, str], words: str) -> None:
    """Each reason once, after the words with the count of those that it is for."""
    for reason, count in Counter(refused.values()).items():
        st.toast(f"{words.format(count)} {reason}", icon=":material/error:", duration="long")


# What everyone does


def _wall(room: RoomRecord) -> None:
    def acted() -> None:
        if is_host(visitor_id()):  # or else this tab was left open after the code was changed
            _act(room, st.session_state["host/wall"].get("act") or "")

    st.caption(
        "The latest run of each, its loss from 0 up, and the sweeps that are under way. *Show large* puts a run under *Large*, "
        "and on the room's page for everyone to watch."
    )
    _WALL(data=strict({"run": room.wall}), key="host/wall", on_act_change=acted)


def _act(room: RoomRecord, wish: str) -> None:
    """What a button on the wall wishes: what, and for which run or sweep."""
    what, _, run_id = wish.partition(" ")
    if what == "stop":
        _say(_each([run_id], partial(jobs().stop, by="your instructor"), sweeps().stop), "{} could not be stopped:")
    elif what == "show":
        rooms().show(room.id, run_id)
        st.toast("This run is under *Large* now, and on the room's page for everyone to watch.", icon=":material/cast:")


def _large(room: RoomRecord) -> None:
    """One run for the projector, and for all who are in the room to watch."""
    own = jobs().runs_of(visitor_id(), None, 1)
    with st.container(horizontal=True):
        if own:
            st.button("Show my latest run", icon=":material/cast:", on_click=rooms().show, args=(room.id, own[0].id))
        if room.shown:
            st.button("Show none", icon=":material/cancel_presentation:", on_click=rooms().show, args=(room.id, ""))
    job = jobs().get(room.shown) if room.shown else None
    if job is None:
        st.info("Choose *Show large* on a run of the wall, or show one of yours.", icon=":material/cast:")
        return
    demo = get(job.slug)
    name = rooms().nicknames(room.id).get(job.visitor, "yours")
    st.subheader(f"{demo.title} · {escaped(name)}", anchor=False)
    page_status(job.id, frames.event_of(job, demo), frames.status(job, demo), key="host/large/status")
    curve: Curve = demo.figures.CURVES[0]
    figure = curve.figure(_config_of(demo, job), ghosts=[], smooth="off", scale=demo.figures.SCALE)
    live_chart(curve.name, job.id, figure, key="host/large", height=figure["layout"]["height"])
    st.button("Open it", icon=":material/open_in_new:", on_click=room_page.ask_to_watch, args=(job.slug, job.id))


def _config_of(demo: Demo, job: Any) -> Config:
    return demo.config(**(job.config.model_dump() | job.live))


def _demo(key: str) -> Demo:
    table = {demo.slug: demo for demo in DEMOS}
    slug = st.selectbox("Demo", list(table), format_func=lambda slug: table[slug].title, key=key, width=320, **KEPT)
    return table[slug or DEMOS[0].slug]


def _push(room: RoomRecord) -> None:
    """Give everyone the same settings and the same seed."""
    st.caption("Everyone sees it above their page, and gets the same settings and random numbers with one press.")
    demo = _demo("host/push/demo")
    source = st.selectbox("Settings", [EVERYTHING, *demo.presets], key=f"host/push/{demo.slug}", width=420, **KEPT)
    try:
        config = demo.presets.get(source or "") or parse(demo.config, controls.values(demo))
    except SettingError as error:
        st.error(str(error), title="These settings do not go together", icon=":material/error:")
        return
    st.markdown(f"Everyone gets {room_strip.in_words(demo.slug, config)}.")
    st.button(
        "Push to everyone", type="primary", icon=":material/campaign:", on_click=_push_now,
        args=(room, demo.slug, config), disabled=bool(room.closed),
    )  # fmt: skip
    if room.pushes:
        last = room.pushes[-1]
        if (asked := rooms().asked(last)) is not None:
            st.caption(f"Pushed last: {room_strip.in_words(last['slug'], asked)}.")


def _push_now(room: RoomRecord, slug: str, config: Config) -> None:
    rooms().push(room.id, slug, config)
    st.toast("Everyone in the room sees it now.", icon=":material/check:")


def _names(demo: Demo) -> dict[str, Setting]:
    return {name: field for name, field in settings_of(demo.config).items() if not field.text}


def _map(room: RoomRecord) -> None:
    demo = _demo("host/map/demo")
    fields = _names(demo)
    usual = [axis for axis, _ in next(iter(demo.sweeps.values()), ())] if demo.sweeps else []
    first, second = [*usual, *fields][:2] if len(usual) < 2 else usual[:2]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        labels = {name: field.label for name, field in fields.items()}
        x = st.selectbox(
            "Across",
            list(fields),
            list(fields).index(first),
            format_func=labels.__getitem__,
            key=f"host/map/x/{demo.slug}",
            width=240,
            **KEPT,
        )
        y = st.selectbox(
            "Upwards",
            list(fields),
            list(fields).index(second),
            format_func=labels.__getitem__,
            key=f"host/map/y/{demo.slug}",
            width=240,
            **KEPT,
        )
        st.button(
            "Draw the map",
            type="primary",
            icon=":material/scatter_plot:",
            on_click=_draw_map,
            args=(room, demo.slug, x, y),
        )
    if room.map:
        st.caption(
            "Everyone's runs over two settings. A click on a dot opens the run. Everyone in the room sees it too."
        )
        room_page.class_map(room)


def _draw_map(room: RoomRecord, slug: str, x: str, y: str) -> None:
    try:
        rooms().map(room.id, slug, x, y)
    except RoomError as error:
        st.toast(str(error), icon=":material/error:")


def _challenge(room: RoomRecord) -> None:
    """Pose one, see how it stands, close it."""
    demo = _demo("host/challenge/demo")
    fields = _names(demo)
    asked = [_condition(demo, i, column) for i, column in enumerate(st.columns(MOST_CONDITIONS))]
    try:
        conditions = [[name, sign, fields[name].accept(value)] for name, sign, value in filter(None, asked)]
    except SettingError as error:
        st.error(str(error), icon=":material/error:")
        return
    challenge = Challenge(demo.slug, conditions, opened=time.time())
    st.markdown(f"**{challenge.text(demo.title, demo.config)}.**")
    now = rooms().challenge(room.id)
    with st.container(horizontal=True):
        st.button(
            "Pose it",
            type="primary",
            icon=":material/emoji_events:",
            on_click=rooms().pose,
            args=(room.id, challenge),
            disabled=bool(room.closed),
        )
        if now is not None and not now.closed:
            st.button("Close the challenge", icon=":material/flag:", on_click=rooms().close_challenge, args=(room.id,))
    if now is not None:
        room_page.challenge(room, "")


def _condition(demo: Demo, i: int, column: Any) -> tuple[str, str, str] | None:
    """A setting, an operator and a value, as they were chosen and typed."""
    fields, key = _names(demo), f"host/challenge/{demo.slug}/{i}"
    labels = {NOTHING: "no condition"} | {name: field.label for name, field in fields.items()}
    with column, st.container(border=True):
        name = (
            st.selectbox(f"Condition {i + 1}", list(labels), format_func=labels.__getitem__, key=key, **KEPT) or NOTHING
        )
        if name == NOTHING:
            return None
        words = {sign: said for sign, (said, _) in OPERATORS.items()}
        sign = st.selectbox("must be", list(words), format_func=words.__getitem__, key=f"{key}/sign", **KEPT)
        label = f"Value: {fields[name].limits}"
        value = controls.typed(label, as_text(fields[name].default), key=f"{key}/{name}", max_chars=40)
        return name, sign or "<=", value


def _limits(room: RoomRecord) -> None:
    """What people in the room may do."""
    rules = room.rules
    key = f"host/limits/{room.id}/{hash(str(rules))}"  # of other rules, that another host may have set, they begin anew
    runs = st.number_input(
        "Runs of one person at the same time",
        1,
        20,
        rules["runs"],
        help="Paused ones count.",
        key=f"{key}/runs",
        **KEPT,
    )
    steps = st.number_input("Steps of one run (0: no limit)", 0, 10_000_000, rules["steps"], key=f"{key}/steps", **KEPT)
    table = {demo.slug: demo.title for demo in DEMOS}
    demos = _several("Demos that people may train", table, rules["demos"], f"{key}/demos")
    st.markdown("**Settings that people may change.** The others stay as in your last push, or at their defaults.")
    opened: dict[str, list[str]] = {}
    for demo in DEMOS:
        labels = {name: field.label for name, field in _names(demo).items()}
        chosen = _several(demo.title, labels, rules["settings"].get(demo.slug, []), f"{key}/{demo.slug}")
        opened |= {demo.slug: chosen} if chosen else {}
    usual = {demo.title: _steps(room, demo) for demo in DEMOS if not demos or demo.slug in demos} if steps else {}
    if have := ", ".join(f"{title} {count:,}" for title, count in usual.items() if count > steps):
        st.warning(
            f"As you pushed them last, or with the defaults, these runs have more than {steps:,} steps, and nobody can start "
            f"them so: {have}. Push shorter ones, or allow more steps.",
            icon=":material/warning:",
        )
    if st.button("Set these limits", type="primary"):
        rooms().set_rules(room.id, runs=runs, steps=steps, demos=demos, settings=opened)
        st.toast("The limits hold from now on, for runs that begin.", icon=":material/check:")


def _steps(room: RoomRecord, demo: Demo) -> int:
    """How many steps a run has with the settings that people begin with; 0 where its text or corpus is not on this server."""
    try:
        return int(getattr(rooms().base(room, demo.slug), "steps", 0))
    except (ValueError, RuntimeError, OSError):
        return 0


def _several(label: str, table: dict[str, str], before: list[str], key: str) -> list[str]:
    """A choice of several, at first of those `before` that this version has; none is no limit."""
    there = [each for each in before if each in table]
    return st.multiselect(
        label, list(table), there, format_func=table.__getitem__, key=key, placeholder="All", **KEPT
    )  # fmt: skip


def _export(room: RoomRecord) -> None:
    """The room as files, made when they are asked for."""
    st.caption(
        "All runs of the room by nickname, with their settings and results, losses in nats. The page needs no network, and "
        "prints well."
    )
    with st.container(horizontal=True):
        st.download_button(
            "Table (CSV)",
            partial(_as_csv, room),
            f"unrolled-{room.code}.csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "Report (one HTML page)", partial(_as_html, room, visitor_clock()), f"unrolled-{room.code}.html",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def _as_csv(room: RoomRecord) -> str:
    return room_report.as_csv(rooms().runs(room.id), rooms().nicknames(room.id))


def _as_html(room: RoomRecord, clock: Callable[[float], str]) -> str:
    runs, nicknames = rooms().runs(room.id), rooms().nicknames(room.id)
    curves = {run.id: jobs().curve(run.id, room_report.SERIES) for run in runs}
    drawn = room_frames.map_of(room, runs, nicknames) if room.map and not rooms().map_problem(room) else None
    return room_report.as_html(room, runs, curves, nicknames, get, clock, drawn)
