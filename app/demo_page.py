"""A demo's page, the same for every demo: settings, run bar, charts, coach, lessons.

The script runs again only when a person does something or when the job's state or the coach's advice changes; all that
moves while training runs is pushed to the charts by the stream (app/live.py).
"""

from functools import partial
from typing import Any

import streamlit as st

from app import (
    controls,
    frames,
    game_panel,
    inside_panel,
    lessons_panel,
    run_bar,
    runs_panel,
    scratch_panel,
    sweep_panel,
    words_panel,
)
from app.live import live_chart, live_story, page_status
from app.service import jobs, rooms
from app.visitor import clock, visitor_id
from demos.registry import Demo, get
from lib import style
from lib.curves import Curve
from lib.limits import LimitError
from lib.settings import Config, SettingError, clamp, live_values, needs_new_network, settings_of

SMOOTHINGS = {"off": "Off", "30": "30 steps", "300": "300 steps"}
WATCHING = "You are watching a run that somebody shared. Start trains one of your own, with the settings on the left."
HELD = "Your instructor has paused this run, and may let all go on together. *Resume* goes on at once."
IN_A_SWEEP = (
    "This run is part of a sweep that is under way. When it has ended you can rewind it, or start from its settings."
)
SILENT = "Here the coach says what it sees in the run: stuck, too fast, learned, and what would change it."
TABS = ["Try this", "How it works", "Sweep", "Your runs"]
SPLITTING = "Splitting the text into sentences and words. This is done once for each text."
SCALES = {"linear": "Linear", "log": "Logarithmic"}


def show(slug: str) -> None:
    """Draw the page of this demo."""
    demo, visitor = get(slug), visitor_id()
    job = run_bar.current_job(demo, visitor)
    controls.read_address(demo, _config_of(demo, job))
    st.title(f"{demo.icon} {demo.title}", anchor=False)
    st.markdown(demo.lessons.INTRODUCTION)
    controls.show_notes(demo)
    with st.sidebar:
        moved = partial(_live_moved, demo, job.id if job else "", visitor)
        config, error = controls.settings_panel(demo, rooms().fixed(visitor, slug), moved)
    if config is not None:
        controls.write_address(demo, config)
    _follow_live_settings(job, config, visitor)
    if demo.workshop and config is not None:
        with st.spinner(SPLITTING):
            demo.workshop.prepare(config)

    watching = job is not None and not run_bar.may_steer(job, visitor)
    event = frames.event_of(job, demo)
    with st.container(border=True):
        run_bar.draw(demo, job, config, visitor)
        status = frames.status(job, demo) if job else None
        labels = dict(getattr(demo.lessons, "LABELS", {}))
        if _is_replay(job) or _is_race(job):
            labels |= {"pace": None, "step_time": None}
        page_status(job.id if job else None, event, status, key=f"{slug}/status", labels=labels)
    if refusal := rooms().refusal(visitor, slug):
        st.warning(refusal, icon=":material/lock:")
    if watching:
        _watched(demo, job, visitor)
    elif job is not None and str(job.state) == "paused" and rooms().holder(visitor, job.id):
        st.info(HELD, icon=":material/pause:")
    if job is not None and job.error:
        _failure(job)
    _explain_settings(demo, job, config, error, watching)
    shown = _config_of(demo, job) or config or demo.config()
    _origin(job)
    loss, *others = demo.figures.CURVES
    earlier = runs_panel.earlier(demo, job, visitor)
    left, right = st.columns([5, 2])
    with left:
        _curve(demo, loss, shown, job, earlier, **_loss_choices(demo, loss))
    beside, others = [c for c in others if c.beside], [c for c in others if not c.beside]
    with right:
        lessons_panel.experiment_result(demo, job)
        _coach(demo, job, visitor)
        for curve in beside:
            st.subheader(curve.title, anchor=False)
            _curve(demo, curve, shown, job, earlier)
    for column, curve in zip(st.columns(len(others)) if others else (), others, strict=True):
        with column:
            st.subheader(curve.title, anchor=False)
            st.caption(curve.caption)
            _curve(demo, curve, shown, job, earlier)
    if demo.lessons.PICTURES:
        _pictures(demo, shown, job)
    elif demo.inside:
        inside_panel.draw(demo.slug, job.id if job else None, config, visitor, run_bar.speed())
    if demo.words:
        words_panel.draw(demo.slug, job.id if job else None)
    elif demo.workshop:
        scratch_panel.draw(demo.slug, job.id if job else None, config)
    if hasattr(demo.lessons, "GAME"):
        game_panel.draw(demo, shown, job)
    _tabs(demo, shown, job, visitor)


def _tabs(demo: Demo, shown: Config, job: Any, visitor: str) -> None:
    """Only the one that is open is drawn: with a room full of people, all four would be most of a page's work."""
    first, second, third, fourth = st.tabs(TABS, key=f"{demo.slug}/tabs", on_change="rerun")
    if first.open:
        with first:
            lessons_panel.experiments(demo, visitor)
    if second.open:
        with second:
            lessons_panel.how_it_works(demo, shown)
    if third.open:
        with third:
            sweep_panel.draw(demo, visitor)
    if fourth.open:
        with fourth:
            runs_panel.table(demo, job, visitor)
            runs_panel.from_the_command_line(demo)


def _watched(demo: Demo, job: Any, visitor: str) -> None:
    """That a run is somebody else's, or a sweep's, and how to have one like it."""
    if job.visitor == visitor:
        st.info(IN_A_SWEEP, icon=":material/visibility:")
        return
    st.info(WATCHING, icon=":material/visibility:")
    with st.container(horizontal=True):
        st.button(
            "Fork it", key=f"{demo.slug}/fork_watched", icon=":material/fork_right:", on_click=run_bar.fork_watched,
            args=(demo, job.id, visitor), disabled=not job.forkable,
            help="A run of your own that goes on from its weights as they are now.",
        )  # fmt: skip
        st.button(
            "Copy its settings", key=f"{demo.slug}/copy_watched", icon=":material/content_copy:",
            on_click=run_bar.copy_watched, args=(demo, job.id), help="Sets the controls on the left as it has them.",
        )  # fmt: skip


def _config_of(demo: Demo, job: Any) -> Config | None:
    """A job's config with its live settings as they are now."""
    if job is None:
        return None
    config = job.config if isinstance(job.config, dict) else job.config.model_dump()
    return clamp(demo.config, {name: str(value) for name, value in (config | job.live).items()})[0]


def _follow_live_settings(job: Any, config: Config | None, visitor: str) -> None:
    """Hand a moved live control on to the running job. A job that runs is moved only by what its owner changed."""
    if config is None or not run_bar.may_steer(job, visitor) or not job.active:
        return
    changed = {name: value for name, value in live_values(config).items() if job.live.get(name) != value}
    if changed:
        run_bar.or_say(jobs().set_live, job.id, **changed)


def _live_moved(demo: Demo, run_id: str, visitor: str, name: str) -> None:
    """A live control was moved: hand it on to the run. All else on the page stays as it is, unless it shows this setting."""
    job, (config, _) = jobs().get(run_id) if run_id else None, controls.settled(demo)
    shown = getattr(demo.figures, "SHOWN_LIVE", ())
    if config is None or job is None or not run_bar.may_steer(job, visitor) or not job.active or name in shown:
        st.rerun()
    try:
        jobs().set_live(run_id, **live_values(config))
    except LimitError:
        st.rerun()  # there it is tried again, and said why not
    controls.write_address(demo, config)


def _is_replay(job: Any) -> bool:
    """Whether a run was recorded elsewhere and is only played."""
    return job is not None and bool(getattr(job.config, "recorded", None))


def _is_race(job: Any) -> bool:
    """Whether several train in turn: then a step is a round, and each has a pace of its own."""
    return job is not None and getattr(job.config, "hands", "") == "race"


def _origin(job: Any) -> None:
    """What a forked run began with, or that a run is a replay."""
    if _is_replay(job):
        st.info(
            "This is a replay: a whole run that was recorded with this code. Its numbers and texts are as they were; nothing is "
            "trained now.",
            icon=":material/history:",
        )
    if job is not None and job.origin:
        parent, step = job.origin
        found = jobs().get(parent)
        whose = "an earlier run" if found is None else f"the run of {clock(found.created)}"
        st.caption(
            f":material/fork_right: Forked: it began with the weights of {whose}, as they were at step {step:,}."
        )


def _failure(job: Any) -> None:
    """What went wrong in this run. It is this run's alone: all others go on."""
    st.error(job.message, title="This run failed", icon=":material/error:")
    with st.expander("Details for a bug report"):
        st.code(job.error, language="text")


def _explain_settings(demo: Demo, job: Any, config: Config | None, error: SettingError | None, watching: bool) -> None:
    """What stands between the controls and the run: a bad combination, or settings that need a new network."""
    if error is not None and (demo.words or demo.workshop) and error.field in ("corpus", "story"):
        corpus = settings_of(demo.config)[error.field]
        name = (corpus.options or {}).get(str(error.value), corpus.label)
        text = f"**{name}** {error.problem}. On the left, under **{corpus.group}**: {error.remedy}."
        st.info(text, title=f"First the {corpus.label.lower()}", icon=":material/arrow_back:")
        return
    if error is not None:
        st.error(str(error), title="These settings do not go together", icon=":material/error:")
        return
    running = _config_of(demo, job)
    if config is None or running is None or watching:
        return
    fields = settings_of(demo.config)
    changes = [
        f"**{fields[name].label}** {_shown(fields[name], getattr(running, name))} → {_shown(fields[name], getattr(config, name))}"
        for name in needs_new_network(running, config)
        if fields[name].matters(config.model_dump()) or fields[name].matters(running.model_dump())
    ]
    if changes:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/restart_alt: A new network is needed for: {', '.join(changes)}.", width="stretch")
            st.button(
                "Start with these settings",
                key=f"{demo.slug}/restart",
                type="primary",
                on_click=run_bar.start,
                args=(demo, visitor_id()),
            )


def _shown(field: Any, value: Any) -> str:
    if field.options:
        return field.options[value]
    if field.text:
        return "your text" if value else "ours"
    return f"{value:,g}" if isinstance(value, float) else f"{value:,}"


def _coach(demo: Demo, job: Any, visitor: str) -> None:
    """The coach's sentence about the run that is shown, and the change that it offers."""
    config = _config_of(demo, job)
    advice = (
        demo.lessons.advise(config, job.step, job.stream.summary()) if job is not None and config is not None else None
    )
    if advice is None:
        st.info(SILENT, title="Coach", icon=":material/school:")
        return
    box = {"info": st.info, "warning": st.warning, "success": st.success}[advice.tone]
    box(advice.text, title="Coach", icon=":material/school:")
    if not advice.action:
        return
    st.button(
        advice.action,
        key=f"{demo.slug}/advice/{advice.id}",
        icon=":material/auto_fix_high:",
        width="stretch",
        on_click=run_bar.take_advice,
        args=(demo, visitor, advice.change),
        wrap=True,
    )


def _loss_choices(demo: Demo, curve: Curve) -> dict[str, str]:
    """The loss chart's heading, with the controls for its smoothing and its axis."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader(curve.title, anchor=False, width="stretch")
        smooth = "off"
        if getattr(demo.figures, "SMOOTHED", True):
            smooth = st.segmented_control(
                "Smoothing",
                list(SMOOTHINGS),
                format_func=SMOOTHINGS.__getitem__,
                default="off",
                key=f"{demo.slug}/smooth",
                required=True,
            )
        scale = st.segmented_control(
            f"{curve.title} axis",
            list(SCALES),
            format_func=SCALES.__getitem__,
            default=demo.figures.SCALE,
            key=f"{demo.slug}/scale",
            required=True,
        )
    return {"smooth": smooth or "off", "scale": scale or demo.figures.SCALE}


def _curve(demo: Demo, curve: Curve, shown: Config, job: Any, earlier: list[Any], **choices: str) -> None:
    """A metric against the step, with the earlier runs behind it."""
    ghosts = runs_panel.ghosts(demo, job, earlier, curve.metric) if curve.metric else []
    figure = curve.figure(shown, ghosts=ghosts, **choices)
    live_chart(
        curve.name, job.id if job else None, figure, key=f"{demo.slug}/{curve.name}", height=figure["layout"]["height"]
    )


def _pictures(demo: Demo, shown: Config, job: Any) -> None:
    snapshot = job.snapshot if job else None
    figures = demo.figures.live_figures(shown, snapshot) if snapshot else {}
    if not snapshot and hasattr(demo.figures, "waiting"):
        figures = demo.figures.waiting(shown)
    run_id = job.id if job else None
    for column, (name, title, caption) in zip(st.columns([3, 2]), demo.lessons.PICTURES, strict=True):
        with column:
            st.subheader(title, anchor=False)
            st.caption(caption)
            if name in getattr(demo.figures, "TEXTS", ()):
                live_story(name, run_id, figures[name], key=f"{demo.slug}/{name}")
                continue
            figure = figures.get(name) or style.waiting_figure()
            live_chart(name, run_id, figure, key=f"{demo.slug}/{name}", height=figure["layout"]["height"])
