"""The sweep: choose two settings, train at every combination of their values, and watch the map fill in."""

import csv
import io
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from app import controls, frames, run_bar
from app.live import live_chart, page_status
from app.service import sweeps
from app.visitor import clock
from demos.registry import Demo
from lib.limits import LimitError
from lib.settings import Config, SettingError, parse, replace, settings_of
from lib.sweep import Plan, SweepError, estimate, in_words, plan, rows_of
from lib.sweep_figure import boundaries_in_words
from lib.sweeps import Sweep

NONE = "(none)"
SUGGESTED, AS_SET = "As this map suggests", "As in the controls on the left"
MEASURES = {"sweep_loss": "Median final loss", "sweep_share": "Share of seeds that learned"}
LABELS = {"epoch": None, "loss": None, "pace": None, "step": "Cells"}

LENGTHS = ("epochs", "training_steps", "iterations")  # what a demo calls how long a run trains


def draw(demo: Demo, visitor: str) -> None:
    """The form for a new sweep, and the map of the latest or chosen one."""
    several = ", several networks at each," if "seeds" in settings_of(demo.config) else ""
    st.markdown(
        f"One run shows what happened once. A sweep trains the demo at **every combination of two settings**{several} and draws "
        "a map: where is learning possible, and where does theory say that it is?"
    )
    with st.container(border=True):
        _form(demo, visitor)
    sweep = _shown(demo, visitor)
    if sweep is not None:
        _map(demo, sweep)


def _key(demo: Demo, name: str) -> str:
    return f"{demo.slug}/sweep/{name}"


def _form(demo: Demo, visitor: str) -> None:
    offer = st.selectbox(
        "Map",
        list(demo.sweeps),
        key=_key(demo, "map"),
        help="Fills in the axes, which you can change.",
        persist_state="session",
    )
    axes = [_axis(demo, offer, at) for at in (0, 1)]
    left, middle, right = st.columns([1, 1, 2])
    base: Any = demo.sweep_base
    fields = settings_of(demo.config)
    for column, name in zip((left, middle), _sizes(demo), strict=False):
        field = fields[name]
        column.number_input(
            "Networks in each cell" if name == "seeds" else field.label,
            int(field.minimum or 1),
            int(field.maximum or 1),
            getattr(base, name),
            key=_key(demo, name),
            persist_state="session",
        )
    right.segmented_control(
        "All other settings",
        [SUGGESTED, AS_SET],
        default=SUGGESTED,
        key=_key(demo, "base"),
        required=True,
        persist_state="session",
    )
    made, problem = _planned(demo, [axis for axis in axes if axis[0] != NONE])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Start the sweep",
            type="primary",
            icon=":material/grid_on:",
            disabled=made is None,
            key=_key(demo, "start"),
            on_click=_start,
            args=(demo, visitor, made),
        )
        if made is not None:
            st.markdown(_size(made), width="stretch")
    if problem:
        st.error(problem, icon=":material/error:")


def _sizes(demo: Demo) -> list[str]:
    """The settings that say how much a sweep trains."""
    return [name for name in ("seeds", _length(demo)) if name in settings_of(demo.config)]


def _length(demo: Demo) -> str:
    """The setting that says how long a run trains."""
    return next(name for name in LENGTHS if name in settings_of(demo.config))


def _said(base: Mapping[str, Any]) -> str:
    """How long the runs of a sweep train."""
    name = next(name for name in LENGTHS if name in base)
    return f"{base[name]:,} {name.replace('_', ' ')}"


def _axis(demo: Demo, offer: str, at: int) -> tuple[str, str]:
    """The controls of an axis: its setting and the values as a text. Each offered map has controls of its own.

    What they begin with is their `value`: one that is put into the session's state can be lost on its way to a browser that
    is still drawing the page.
    """
    fields = settings_of(demo.config)
    names = [name for name in fields if name not in ("seeds", "seed")] + [NONE] * at
    name, values = demo.sweeps[offer][at]
    left, right = st.columns([2, 3])
    chosen = left.selectbox(
        ("Across", "Upwards")[at],
        names,
        names.index(name),
        format_func=lambda name: NONE if name == NONE else fields[name].label,
        key=_key(demo, f"{offer}/name_{at}"),
        persist_state="session",
    )
    with right:
        text = controls.typed(
            "Values",
            values,
            key=_key(demo, f"{offer}/values_{at}"),
            help="Such as 1:12, or 1:12:2 by twos, or 2, 4, 8, 16. With a logarithmic slider 0.001:1 goes by factors of 10.",
            disabled=chosen == NONE,
        )
    return chosen, text


def _planned(demo: Demo, axes: list[tuple[str, str]]) -> tuple[Plan | None, str]:
    """What the form says as a plan, or None and what is wrong with it."""
    state = st.session_state
    try:
        base: Config = demo.sweep_base
        if state.get(_key(demo, "base")) == AS_SET:
            base = parse(demo.config, controls.values(demo))
        own = {name: state.get(_key(demo, name), getattr(base, name)) for name in _sizes(demo)}
        return plan(replace(base, **own), axes), ""
    except (SettingError, SweepError) as error:
        return None, str(error)


def _size(made: Plan) -> str:
    """How much a sweep is, and about how long it takes."""
    cells, seeds = made.columns * made.rows, getattr(made.base, "seeds", 1)
    return (
        f"{cells} cells × {seeds} networks = **{cells * seeds:,} runs**, {in_words(estimate(made))} on a free machine."
    )


def _start(demo: Demo, visitor: str, made: Plan) -> None:
    try:
        st.session_state[_key(demo, "shown")] = sweeps().start(demo.slug, made, visitor).id
    except LimitError as error:
        st.toast(str(error), icon=":material/error:")


def _shown(demo: Demo, visitor: str) -> Sweep | None:
    """The sweep to show: the one that was chosen or begun here, or else the visitor's latest."""
    records = sweeps().latest(visitor, demo.slug)
    if not records:
        return None
    ids = [record.id for record in records]
    if st.session_state.get(_key(demo, "shown")) not in ids:
        st.session_state[_key(demo, "shown")] = ids[0]
    if len(ids) > 1:
        names = {record.id: f"{clock(record.created)} · {_name(demo, record)}" for record in records}
        st.selectbox("Sweep", ids, format_func=names.__getitem__, key=_key(demo, "shown"), persist_state="session")
    return sweeps().get(st.session_state[_key(demo, "shown")])


def _name(demo: Demo, record: Any) -> str:
    fields = settings_of(demo.config)
    axes = " × ".join(fields[name].label.lower() if name in fields else name for name, _ in record.axes)
    cells = 1
    for _, values in record.axes:
        cells *= len(values)
    return f"{axes}: {cells} cells, {_said(record.base)}"


def _map(demo: Demo, sweep: Sweep) -> None:
    """The map that fills in, with the sweep's state and what can be done with it."""
    event = str(sweep.state)  # before anything is drawn, so that a change meanwhile is noticed
    with st.container(border=True):
        _buttons(demo, sweep)
        page_status(
            sweep.id,
            event,
            frames.sweep_status(sweep),
            labels=LABELS,
            key=_key(demo, "status"),
        )
    measure = st.segmented_control(
        "Show",
        list(MEASURES),
        format_func=MEASURES.__getitem__,
        default="sweep_loss",
        key=_key(demo, "measure"),
        required=True,
    )
    name = measure or "sweep_loss"
    figure = frames.sweep_maps(sweep, demo)[name]
    live_chart(
        name,
        sweep.id,
        figure,
        key=_key(demo, name),
        height=figure["layout"]["height"],
        on_click=lambda run_id: run_bar.open_run(demo, run_id),
        leads=True,
        save=f"unrolled-{demo.slug}-sweep",
    )
    st.caption(
        f"Each cell is the result of {getattr(sweep.plan.base, 'seeds', 1)} networks; click on one to open its run above. The "
        f"loss is the mean of the last 100 steps.{boundaries_in_words(demo.theory)}"
    )


def _buttons(demo: Demo, sweep: Sweep) -> None:
    state = str(sweep.state)
    with st.container(horizontal=True):
        for label, icon, act, enabled in (
            ("Pause", ":material/pause:", sweeps().pause, state == "running"),
            ("Resume", ":material/resume:", sweeps().resume, state == "paused"),
            ("Stop", ":material/stop:", sweeps().stop, state in ("running", "paused")),
        ):
            st.button(
                label,
                key=_key(demo, label),
                icon=icon,
                on_click=run_bar.or_say,
                args=(act, sweep.id),
                disabled=not enabled,
            )
        for kind, make in (("CSV", as_csv), ("JSON", as_json)):
            st.download_button(
                kind,
                partial(make, demo, sweep),
                f"unrolled-{demo.slug}-sweep.{kind.lower()}",
                key=_key(demo, kind),
                icon=":material/download:",
                on_click="ignore",
                help=f"All cells so far, as {kind}.",
            )


def as_csv(demo: Demo, sweep: Sweep) -> str:
    """The cells as a table: one row for each, its settings first."""
    rows = rows_of(sweep.plan, dict(sweep.results), demo.theory)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(row | {"final_loss_by_seed": " ".join(map(str, row["final_loss_by_seed"]))})
    return text.getvalue()


def as_json(demo: Demo, sweep: Sweep) -> str:
    """The sweep with its settings and cells."""
    content = {
        "demo": demo.slug,
        "config": sweep.plan.base.model_dump(),
        "axes": {axis.name: list(axis.values) for axis in sweep.plan.axes},
        "status": str(sweep.state),
        "seconds": sweep.seconds,
        "cells": rows_of(sweep.plan, dict(sweep.results), demo.theory),
    }
    return json.dumps(frames.plain(content), indent=1, allow_nan=False)
