"""The run bar: which run the page shows, and the buttons that steer it.

Every button acts in its callback, before the script runs again, so that the page is drawn once and right.
"""

import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app import controls
from app.frames import WAITING
from app.service import jobs, rooms
from demos.registry import Demo
from lib.limits import LimitError
from lib.pace import Speed
from lib.settings import Config, SettingError, parse, replace, settings_of, to_query

# Steps a second; None is as fast as it goes, 0 is one step at a time.
SPEEDS: dict[str, Speed] = {
    "one step at a time": 0,
    "1 step/s": 1,
    "5 steps/s": 5,
    "20 steps/s": 20,
    "100 steps/s": 100,
    "500 steps/s": 500,
    "5,000 steps/s": 5000,
    "slow, then faster": "ramp",
    "as fast as it goes": None,
}
DEFAULT_SPEED = "slow, then faster"


def current_job(demo: Demo, visitor: str) -> Any:
    """The run that the page shows: one that was shared (`?run=`), this session's, or this visitor's latest."""
    shared = st.query_params.get("run")
    if shared:
        job = jobs().get(shared)
        if job is not None and job.slug == demo.slug:
            return job
        st.warning("This run is not here any more. Its owner may have deleted it, or the link is incomplete.")
    run_id = st.session_state.get(_run_key(demo))
    if run_id is None:
        latest = jobs().runs_of(visitor, demo.slug, 1)
        run_id = st.session_state[_run_key(demo)] = latest[0].id if latest else None
    return jobs().get(run_id) if run_id else None


def may_steer(job: Any, visitor: str) -> bool:
    """Whether this visitor may pause, stop or change a run: it is theirs, and not a cell of a sweep that is under way."""
    return job is not None and job.visitor == visitor and not (job.sweep and job.active)


def _run_key(demo: Demo) -> str:
    return f"{demo.slug}/run"


def show_run(demo: Demo, run_id: str) -> None:
    """Have the demo's page show this run from now on."""
    st.session_state[_run_key(demo)] = run_id
    if "run" in st.query_params:
        del st.query_params["run"]


def show_new(demo: Demo, job: Any) -> None:
    """Show a run that has just begun. Where a newer click ends the callback here, the run ends too: no page would show it."""
    try:
        show_run(demo, job.id)
    except BaseException:
        jobs().stop(job.id)
        raise


def open_run(demo: Demo, run_id: str) -> None:
    """Show a run of this visitor, with the controls set as it is."""
    job = jobs().get(run_id)
    if job is None:
        st.toast("This run is not here any more.", icon=":material/error:")
        return
    show_run(demo, run_id)
    controls.apply(demo, job.config.model_dump() | job.live)


def copy_watched(demo: Demo, run_id: str) -> None:
    """Set the controls as somebody else's run has them."""
    job = jobs().get(run_id)
    if job is not None:
        controls.apply(demo, job.config.model_dump() | job.live)


def fork_watched(demo: Demo, run_id: str, visitor: str) -> None:
    """A run of one's own that goes on from the weights of somebody else's, with its settings."""
    job = jobs().get(run_id)
    if job is None:
        return
    try:
        config = replace(job.config, **(job.live | ({"seeds": 1} if hasattr(job.config, "seeds") else {})))
        new = jobs().fork(run_id, None, config, visitor, speed=speed())
    except ValueError as error:
        st.toast(str(error), icon=":material/error:")
        return
    controls.apply(demo, config.model_dump())
    show_new(demo, new)


def _settings_now(demo: Demo) -> Config:
    """The controls' values as a config. Raises SettingError."""
    return parse(demo.config, controls.values(demo))


def _speed_key() -> str:
    """The key of the speed control: a new one puts it back to its default (see app/controls.py)."""
    return f"speed.{st.session_state.setdefault('speed_round', 0)}"


def speed() -> Speed:
    """The pace that the speed control says."""
    return SPEEDS[st.session_state.get(_speed_key(), DEFAULT_SPEED)]


def start(demo: Demo, visitor: str, *, paused: bool = False) -> Any:
    """Start a run with the controls' settings, or say why not. The run before it is stopped, and kept."""
    try:
        return begin(demo, visitor, paused=paused)
    except (SettingError, LimitError) as error:
        st.toast(str(error), icon=":material/error:")
        return None


def begin(demo: Demo, visitor: str, *, paused: bool = False) -> Any:
    """Start a run with the controls' settings. Raises SettingError and LimitError."""
    before, pace = st.session_state.get(_run_key(demo)), speed()
    replaced = before if before and may_steer(jobs().get(before), visitor) else ""
    config = _settings_now(demo)
    # From here to `show_new` nothing of the session is read: there, a newer click may end this callback.
    job = jobs().start(demo.slug, config, visitor, paused=paused, speed=pace, instead_of=replaced)
    show_new(demo, job)
    return job


def new_seed(demo: Demo, visitor: str) -> None:
    """Start a run with the same settings and a new random seed."""
    controls.apply(demo, {"seed": secrets.randbelow(10_000)})
    start(demo, visitor)


def step(demo: Demo, visitor: str, run_id: str | None) -> None:
    """One step of a paused run; without one, the first step of a new run."""
    if run_id is None:
        job = start(demo, visitor, paused=True)
        run_id = job.id if job else None
    if run_id is not None:
        or_say(jobs().step, run_id)


def resume(visitor: str, run_id: str) -> None:
    """Go on. Where the pace was one step at a time, it becomes the usual one."""
    if speed() == 0:
        st.session_state["speed_round"] += 1
    or_say(_go_on, run_id)
    if room := rooms().holder(visitor, run_id):
        rooms().let_go(room, [run_id])  # when it is paused again, that was not the host


def _go_on(run_id: str) -> None:
    jobs().set_speed(run_id, speed())
    jobs().resume(run_id)


def rewind(demo: Demo, run_id: str) -> None:
    """Go back to the start: the same initial weights and data. What was trained stays as a run of its own."""
    job = or_say(jobs().rewind, run_id)
    if job is not None:
        show_new(demo, job)


def or_say(act: Callable[..., Any], run_id: str, *arguments: Any, **named: Any) -> Any:
    """Do it; where the server's limits forbid it, or nobody is there to do it, say so."""
    try:
        return act(run_id, *arguments, **named)
    except LimitError as error:
        st.toast(str(error), icon=":material/error:")


def take_advice(demo: Demo, visitor: str, change: dict[str, Any]) -> None:
    """Do what the coach offers: set the controls, and start anew where that needs a new network."""
    controls.apply(demo, change)
    fields = settings_of(demo.config)
    run_id = st.session_state.get(_run_key(demo))
    job = jobs().get(run_id) if run_id else None
    if job is not None and job.active and may_steer(job, visitor) and all(fields[name].live for name in change):
        or_say(jobs().set_live, job.id, **change)
    else:
        start(demo, visitor)


def _set_speed(run_id: str | None) -> None:
    if run_id is not None:
        or_say(jobs().set_speed, run_id, speed())


def draw(demo: Demo, job: Any, config: Config | None, visitor: str) -> None:
    """The buttons and the speed control."""
    mine = may_steer(job, visitor)
    state = str(job.state) if mine else ""
    moving, paused = state in (*WAITING, "running"), state == "paused"
    run_id = job.id if mine else None
    with st.container(horizontal=True, vertical_alignment="bottom", key=f"{demo.slug}/run_bar"):
        _button(
            demo,
            "Start",
            ":material/play_arrow:",
            start,
            (demo, visitor),
            enabled=config is not None,
            type="primary",
            help="Start a new run with the settings on the left.",
        )
        _button(
            demo,
            "Pause",
            ":material/pause:",
            or_say,
            (jobs().pause, run_id),
            enabled=moving,
            shortcut="Space" if moving else None,
            help="Hold the run after the current step.",
        )
        _button(
            demo,
            "Resume",
            ":material/resume:",
            resume,
            (visitor, run_id),
            enabled=paused,
            shortcut="Space" if paused else None,
            help="Go on where it was paused.",
        )
        _button(
            demo,
            "Step",
            ":material/skip_next:",
            step,
            (demo, visitor, run_id if paused else None),
            enabled=paused or (not moving and config is not None),
            help="Train exactly one step.",
        )
        _button(
            demo,
            "Stop",
            ":material/stop:",
            or_say,
            (jobs().stop, run_id),
            enabled=moving or paused,
            help="End the run. It is kept, but does not go on.",
        )
        _button(
            demo,
            "Rewind",
            ":material/replay:",
            rewind,
            (demo, run_id),
            enabled=mine,
            help="Back to step 0, with the same initial weights and the same data. Resume plays it.",
        )
        _button(
            demo,
            "New seed",
            ":material/casino:",
            new_seed,
            (demo, visitor),
            enabled=config is not None,
            help="Start again from other random weights and other random data.",
        )
        st.select_slider(
            "Speed",
            list(SPEEDS),
            DEFAULT_SPEED,
            key=_speed_key(),
            on_change=_set_speed,
            args=(run_id,),
            width=280,
            persist_state="session",
            help="Training is too fast to watch: this paces it. "
            "*Slow, then faster* begins with 40 steps a second and doubles every second.",
        )

        _share(demo, job, config)


def _share(demo: Demo, job: Any, config: Config | None) -> None:
    """Links to hand out: to this run, to watch it, and to the settings as they are when it is opened, to start from."""
    page = (st.context.url or f"/{demo.slug}").partition("?")[0]
    links = st.popover("Share", icon=":material/share:", key=f"{demo.slug}/share", on_change="rerun")
    if not links.open:
        return
    with links:
        if job is not None:
            st.markdown("**This run**, live, for others to watch:")
            st.code(f"{page}?run={job.id}", language=None, wrap_lines=True)
        if config is not None:
            st.markdown("**These settings**, for others to start from:")
            query = urlencode(to_query(config))
            st.code(f"{page}?{query}" if query else page, language=None, wrap_lines=True)


def _button(demo: Demo, label: str, icon: str, act: Any, args: tuple, *, enabled: bool, **settings: Any) -> None:
    st.button(label, key=f"{demo.slug}/{label}", icon=icon, on_click=act, args=args, disabled=not enabled, **settings)
