"""Looking inside a run's network: what it reads, when in its training, every gate, one cell step by step, and operations.

A fragment: what a person does here draws this part of the page only. While the run trains, the pictures are pushed to the
page for the view that the person has chosen (see app/routes.py).
"""

import dataclasses
from typing import Any

import streamlit as st

from app import frames, inside_sections, run_bar, surgery_panel
from app.inside_sections import key
from app.live import live_cell, live_chart, live_findings
from app.service import jobs
from demos.registry import Demo, get
from lib.cell_content import cell_content
from lib.common_settings import CELLS
from lib.gates_figure import gates_figure
from lib.gating import words
from lib.history import kept_count, kept_steps
from lib.inside import Inside, View
from lib.job import Job
from lib.pace import Speed
from lib.reading import LONGEST, ReadingError
from lib.settings import Config, SettingError, replace

NOW = -1  # on the time machine's slider
NOTHING_YET = "Press **Start** above. Then you see every gate of every unit here, live while the network learns."
NOT_BEGUN = "As soon as the run has begun, you see every gate of every unit here."


@st.fragment
def draw(slug: str, run_id: str | None, config: Config | None, visitor: str, speed: Speed) -> None:
    """The panel for a run. A fork of it trains with `config` at this speed."""
    demo, job = get(slug), jobs().get(run_id) if run_id else None
    if st.session_state.pop(key(demo, "forked"), False):
        st.switch_page(st.session_state["pages"][slug])  # which shows the new run
    st.header("Inside the network", anchor=False)
    network = job.network() if job is not None else None
    if job is None or network is None:
        st.info(NOTHING_YET if job is None else NOT_BEGUN, icon=":material/visibility:")
        return
    left, right = st.columns(2, gap="large")
    with left:
        example, text = _what_it_reads(demo, job.config)
    with right:
        at = _time_machine(demo, job, network[1], config, visitor, speed)
    state, units = st.session_state, len(network[1]["cell"]["recurrent_weights"])
    view = View(
        example,
        text,
        unit=state.get(key(demo, "unit"), 0),
        order=state.get(key(demo, "ordered"), ""),
        shown=surgery_panel.shown(demo),
        surgery=surgery_panel.chosen(demo, job.config.model_dump()["cell"], units),
    )
    inside = _inside(demo, job, view, at)
    if inside is None:
        return
    if (count := inside.config.model_dump().get("seeds", 1)) > 1:
        st.caption(f"Of the {count} networks of this run you look into the first.")
    live = at is None and job.active
    live_findings("words", job.id if live else None, dict(words(inside)), key=key(demo, "words"),
                  view=inside.view.to_json() if live else "")  # fmt: skip
    surgery_panel.draw(demo, inside)
    _pictures(demo, job, inside, live=live)
    inside_sections.draw(demo, job, inside, config, visitor, live=live)


def _what_it_reads(demo: Demo, config: Config) -> tuple[int, str]:
    """The number of a held-out sequence, or a text that the person typed."""
    assert demo.inside is not None
    st.markdown("**What it reads**")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = demo.inside.held_out(config).inputs.shape[1]
        example = st.number_input(
            "Unseen example", 1, max(1, count), key=key(demo, "example"), width=170,
            help=f"One of {count} sequences that it never trains on.",
        )  # fmt: skip
        text = st.text_input(
            "Or type your own",
            key=key(demo, "typed"),
            max_chars=LONGEST,
            placeholder=demo.inside.hint(config),
            help=f"{demo.inside.hint(config)} Empty shows the example.",
        )
    return min(int(example), count) - 1, text or ""


def _time_machine(demo: Demo, job: Job, network: Any, config: Config | None, visitor: str, speed: Speed) -> int | None:
    """The training step that is looked at, None for now; and a new run from there."""
    st.markdown("**When**")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kept = bool(job.active or job.history.steps())  # a sweep's cell keeps none
        steps = [*(kept_steps(job.steps, kept_count(network)) if kept else (0,)), NOW]
        chosen = st.select_slider(
            "Time machine", steps, NOW, format_func=lambda step: "now" if step == NOW else f"{step:,}",
            key=f"{key(demo, 'at')}/{job.id}", disabled=not kept,
            help="Back to an earlier training step: every picture below shows that moment.",
        )  # fmt: skip
        with st.popover("Fork", icon=":material/fork_right:", help="A new run from these weights"):
            st.markdown(
                "Start a **new run from these weights**, with the settings as they are set now: another learning rate, another "
                "delay. This run is kept, and paused if it still trains."
            )
            st.button("Fork from here", key=key(demo, "fork"), type="primary", on_click=_fork, disabled=config is None,
                      args=(demo, job, None if chosen == NOW else chosen, config, visitor, speed))  # fmt: skip
    if error := st.session_state.pop(key(demo, "fork_error"), None):
        st.error(error, icon=":material/error:")
    if chosen == NOW:
        return None
    found = job.history.at(chosen)
    if found is None or (found[0] < chosen and job.step < chosen):
        st.caption(f"The run is at step {job.step:,} so far: the pictures show the latest that is kept.")
    return int(chosen) if found is not None else None


def _fork(demo: Demo, job: Job, step: int | None, config: Config, visitor: str, speed: Speed) -> None:
    try:
        _same_shape(config, job.config)
        new = jobs().fork(job.id, step, replace(config, seeds=1), visitor, speed=speed)
    except (SettingError, ValueError) as error:
        st.session_state[key(demo, "fork_error")] = str(error)
        return
    if run_bar.may_steer(job, visitor):
        run_bar.or_say(jobs().pause, job.id)
    run_bar.show_new(demo, new)
    st.session_state[key(demo, "forked")] = True


def _same_shape(config: Config, trained: Config) -> None:
    """Raises SettingError where the settings make a network of another shape than the run's."""
    for name in ("cell", "hidden_units", "state_size"):
        wanted, has = getattr(config, name, None), getattr(trained, name, None)
        if wanted != has:
            raise SettingError(name, wanted, f"does not fit these weights, which have {has}", f"choose {has} to fork")


def _inside(demo: Demo, job: Job, view: View, at: int | None) -> Inside | None:
    """What is inside. A text that cannot be read is explained, and the example is shown instead."""
    found = frames.inside_of(job, demo, view, at)
    try:
        if found is not None:
            _ = found.reading
        return found
    except ReadingError as error:
        st.error(f"{error} Meanwhile you see the example.", icon=":material/keyboard:")
        return frames.inside_of(job, demo, dataclasses.replace(view, typed=""), at)


def _pictures(demo: Demo, job: Job, inside: Inside, *, live: bool) -> None:
    """The gates of all units, and one unit's cell."""
    view, run_id = (inside.view.to_json(), job.id) if live else ("", None)
    group = f"{demo.slug}/steps"
    figure = gates_figure(inside)
    st.subheader("Every gate, every unit, every step", anchor=False)
    st.caption(
        "Units down, tokens across. Click or tap a place: its **step** and its **unit** are what the cell below shows. "
        "Dark is closed, bright is open; states are purple below 0 and amber above."
    )
    live_chart(
        "gates", run_id, figure, key=key(demo, "gates"), height=figure["layout"]["height"], view=view, group=group,
        on_click=lambda unit: inside_sections.choose_unit(demo, unit),
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader(f"One cell, step by step: {CELLS[inside.cell]}", anchor=False, width="stretch")
        box = f"{key(demo, 'unit_box')}/{st.session_state.get(key(demo, 'unit_round'), 0)}/{inside.units}"
        st.number_input(
            "Unit", 0, inside.units - 1, inside.view.unit, key=box, width=130,
            on_change=lambda: inside_sections.choose_unit(demo, st.session_state[box], typed=True),
        )  # fmt: skip
    live_cell("cell", run_id, cell_content(inside), key=key(demo, "cell"), view=view, group=group)
