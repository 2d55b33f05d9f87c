"""All runs of this visitor: find, compare, rename, delete and export them."""

from collections.abc import Sequence
from functools import partial
from types import ModuleType
from typing import Any

import pandas as pd
import streamlit as st

from app import run_bar
from app.demo_page import SCALES, SMOOTHINGS
from app.frames import plain
from app.live import live_chart
from app.service import jobs
from app.visitor import clock, visitor_id
from demos.registry import DEMOS, Demo, build, get
from lib import export
from lib.job import Job
from lib.records import RunRecord
from lib.runs_figure import MOST, Overlay, runs_figure
from lib.settings import Config, differences, settings_of
from lib.values import as_text

LISTED = 500
GONE = "This version has no such demo, or no such settings any more."


def show() -> None:
    """Draw the page."""
    visitor = visitor_id()
    st.title(":material/stacked_line_chart: Runs", anchor=False)
    st.markdown(
        "Every run that you have made in this browser, the newest first. Choose some to compare, name or export them."
    )
    _undo()
    records = jobs().runs_of(visitor, None, LISTED, cells=bool(st.session_state.get("runs/cells")))
    if not records and not st.session_state.get("runs/cells"):
        st.info("No runs yet. Start one on a demo's page, and it will be listed here.", icon=":material/info:")
        return
    found = _filtered(records)
    chosen = _table(found)
    if not chosen:
        st.caption("Tick runs on the left of the table to compare their curves, or to rename, delete and export them.")
        return
    _actions(chosen)
    _comparison(chosen)
    _exports(chosen)


def label(record: RunRecord) -> str:
    """A run's name, or what sets it apart from its demo's defaults."""
    if record.name:
        return record.name
    changed = _changed(record)
    return f"{_title(record.slug)}: {changed or 'defaults'}"


def _title(slug: str) -> str:
    return next((demo.title for demo in DEMOS if demo.slug == slug), slug)


def _config(record: RunRecord) -> Config | None:
    """The run's settings with its live ones as they were last; None when they are no longer valid."""
    try:
        return get(record.slug).config(**(record.config | record.live))
    except (ValueError, LookupError):
        return None


def _changed(record: RunRecord) -> str:
    config = _config(record)
    if config is None:
        return "settings of an earlier version"
    changed = differences(type(config)(), config)
    return ", ".join(f"{name} {as_text(value)}" for name, (_, value) in changed.items())


# Filters and the table


def _filtered(records: list[RunRecord]) -> list[RunRecord]:
    """Those that the filters let through."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        slugs = st.pills(
            "Demo", list(dict.fromkeys(r.slug for r in records)), format_func=_title, selection_mode="multi"
        )
        states = st.pills("State", list(dict.fromkeys(r.state for r in records)), selection_mode="multi")
        words = st.text_input("Search", placeholder="a name or a setting, such as seeds 16", width=300).lower()
        st.toggle("Also the cells of sweeps", key="runs/cells")
    return [
        record
        for record in records
        if (not slugs or record.slug in slugs)
        and (not states or record.state in states)
        and (not words or words in f"{label(record)} {_changed(record)}".lower())
    ]


def _table(records: list[RunRecord]) -> list[RunRecord]:
    """The table; returns the runs that are ticked."""
    rows = [
        {
            "Run": label(record),
            "Demo": _title(record.slug),
            "Started": clock(record.created),
            "State": record.state,
            "Steps": record.step,
            "Last loss": record.summary.get("loss", {}).get("last"),
            "Best loss": record.summary.get("loss", {}).get("best"),
            "Mean of last 100": record.summary.get("loss", {}).get("mean_last_100"),
            "Loss": record.spark,
        }
        for record in records
    ]
    if not rows:
        st.info("No run matches these filters.", icon=":material/filter_alt_off:")
        return []
    loss = st.column_config.NumberColumn(format="%.4g", help="nats")
    state = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key=_table_key(records),
        on_select="rerun",
        selection_mode="multi-row",
        alt="Your runs, one in each row, with their results and a small curve of the loss",
        column_config={
            "Run": st.column_config.TextColumn(width="medium"),
            "Steps": st.column_config.NumberColumn(format="localized"),
            "Last loss": loss,
            "Best loss": loss,
            "Mean of last 100": loss,
            "Loss": st.column_config.LineChartColumn(help="The loss against the step", width="medium"),
        },
    )
    return [records[i] for i in state["selection"]["rows"] if i < len(records)]


def _table_key(records: Sequence[RunRecord]) -> str:
    """Rows are ticked by their places: another list of runs must begin with nothing ticked."""
    return f"runs/table/{hash(tuple(record.id for record in records))}"


# Rename and delete


def _actions(chosen: list[RunRecord]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(chosen) == 1:
            (record,) = chosen
            key = f"runs/name/{record.id}"
            st.text_input(
                "Name", record.name, key=key, max_chars=80, placeholder=label(record), on_change=_rename, args=(record.id, key),
                width=420,
            )  # fmt: skip
            readable = _config(record) is not None
            st.button(
                "Open", icon=":material/open_in_new:", on_click=_ask_to_open, args=(record,), disabled=not readable,
                help=None if readable else GONE,
            )  # fmt: skip
            if readable and get(record.slug).inside is not None:
                st.button(
                    "Look inside", icon=":material/frame_inspect:", on_click=_ask_to_look, args=(record,),
                    help="Every gate and state of its network",
                )  # fmt: skip
        many = "this run" if len(chosen) == 1 else f"these {len(chosen)} runs"
        st.button(
            f"Delete {many}", icon=":material/delete:", on_click=_delete, args=([record.id for record in chosen],)
        )
    if looked_into := st.session_state.pop("runs/look", None):
        st.switch_page(st.session_state["pages"]["inside"], query_params={"run": looked_into})
    if asked := st.session_state.pop("runs/open", None):
        slug, run_id = asked
        run_bar.open_run(get(slug), run_id)
        st.switch_page(st.session_state["pages"][slug])


def _ask_to_look(record: RunRecord) -> None:
    st.session_state["runs/look"] = record.id


def _ask_to_open(record: RunRecord) -> None:
    st.session_state["runs/open"] = (record.slug, record.id)


def _rename(run_id: str, key: str) -> None:
    jobs().rename(run_id, st.session_state[key].strip())


def _delete(run_ids: list[str]) -> None:
    for run_id in run_ids:
        run_bar.or_say(jobs().delete, run_id)
    st.session_state["runs/deleted"] = run_ids


def _restore(run_ids: list[str]) -> None:
    for run_id in run_ids:
        run_bar.or_say(jobs().restore, run_id)
    del st.session_state["runs/deleted"]


def _undo() -> None:
    """Offer to bring back what was deleted last."""
    deleted = st.session_state.get("runs/deleted")
    if not deleted:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        count = "1 run was" if len(deleted) == 1 else f"{len(deleted)} runs were"
        st.markdown(f":material/delete: {count} deleted.", width="stretch")
        st.button("Undo", icon=":material/undo:", on_click=_restore, args=(deleted,))
        st.button("Dismiss", on_click=st.session_state.pop, args=("runs/deleted",))


# Compare


def _comparison(chosen: list[RunRecord]) -> None:
    """The curves over each other, and what differs."""
    st.subheader("Compared" if len(chosen) > 1 else "The curve", anchor=False)
    if len(chosen) > MOST:
        st.caption(f"The chart has the first {MOST} of the {len(chosen)} runs.")
    with st.container(horizontal=True):
        smooth = st.segmented_control(
            "Smoothing",
            list(SMOOTHINGS),
            format_func=SMOOTHINGS.__getitem__,
            default="30",
            key="runs/smooth",
            required=True,
        )
        scale = st.segmented_control(
            "Loss axis", list(SCALES), format_func=SCALES.__getitem__, default="log", key="runs/scale", required=True
        )
    series = "loss" if smooth in (None, "off") else f"loss_smooth_{smooth}"
    drawn = chosen[:MOST]
    overlays = [Overlay(name, *jobs().curve(r.id, series)) for name, r in zip(_names(drawn), drawn, strict=True)]
    figure = runs_figure(overlays, scale or "log")
    live_chart("runs", None, figure, key="runs/chart", height=figure["layout"]["height"], save="unrolled-runs")
    st.dataframe(
        pd.DataFrame(_differing(chosen)),
        hide_index=True,
        alt="The chosen runs, with the settings in which they differ and their results",
        column_config={
            name: st.column_config.NumberColumn(format="%.4g")
            for name in ("best (nats)", "last (nats)", "mean of last 100 (nats)")
        },
    )


def _names(chosen: list[RunRecord]) -> list[str]:
    """A name for each, with its time where two are alike."""
    names = [label(record) for record in chosen]
    return [
        f"{name} ({clock(record.created)})" if names.count(name) > 1 else name
        for name, record in zip(names, chosen, strict=True)
    ]


def _differing(chosen: list[RunRecord]) -> list[dict[str, Any]]:
    """A row for each run: the settings that are not the same in all, and its results."""
    settings = [record.config | record.live for record in chosen]
    names = list(dict.fromkeys(name for row in settings for name in row))
    differing = [name for name in names if len({str(row.get(name)) for row in settings}) > 1]
    demos = [demo for demo in DEMOS if demo.slug in {record.slug for record in chosen}]
    fields = {name: field.label for demo in demos for name, field in settings_of(demo.config).items()}
    labels = {name: fields.get(name, name) for name in differing}
    rows = []
    for name, record, row in zip(_names(chosen), chosen, settings, strict=True):
        loss = record.summary.get("loss", {})
        results = {"best": loss.get("best"), "last": loss.get("last"), "mean of last 100": loss.get("mean_last_100")}
        own = {labels[setting]: as_text(row[setting]) if setting in row else "–" for setting in differing}
        rows.append({"run": name} | own | {f"{result} (nats)": value for result, value in results.items()})
    return rows


# Export


def _exports(chosen: list[RunRecord]) -> None:
    """One run's files."""
    st.subheader("Export", anchor=False)
    names = dict(zip([record.id for record in chosen], _names(chosen), strict=True))
    run_id = next(iter(names))
    if len(chosen) > 1:
        run_id = st.selectbox("Run", list(names), format_func=names.__getitem__) or run_id
    record = next(record for record in chosen if record.id == run_id)
    job = jobs().get(run_id)
    if job is None:
        st.caption(f"This run's files cannot be read any more. {GONE}")
        return
    demo = get(record.slug)
    files: list[tuple[str, str, Any, str]] = [
        ("CSV", f"{_file(record)}.csv", partial(export.as_csv, job), "Every measured series, one row for each step."),
        (
            "JSON",
            f"{_file(record)}.json",
            partial(_as_json, demo, job, record.name),
            "Settings, seed, metrics and versions.",
        ),
        (
            "TensorBoard",
            f"events.out.tfevents.{int(record.created)}.{_file(record)}",
            partial(_as_tensorboard, job),
            "An event file with the series and, but for a replay, the graph of a training step as TensorFlow computes it. Put it "
            "into a folder of its own, then: pip install tensorboard, tensorboard --logdir FOLDER.",
        ),
    ]
    if demo.keras_script is not None:
        what = "A Python file of its own, in plain Keras, that trains the same network on the same data."
        script = partial(_as_script, demo.keras_script, job)
        files.append(("Keras script", f"{_file(record).replace('-', '_')}.py", script, what))
    with st.container(horizontal=True):
        for kind, name, make, what in files:
            st.download_button(
                kind, make, name, key=f"runs/export/{kind}", icon=":material/download:", on_click="ignore", help=what
            )
    st.caption("The figure itself is saved as SVG or PNG below the chart, with its legend and axes.")


def _file(record: RunRecord) -> str:
    return f"unrolled-{record.slug}-{record.id}"


def _as_json(demo: Demo, job: Job, name: str) -> str:
    return export.as_json(job, name, demo.theory)


def _as_tensorboard(job: Job) -> bytes:
    return jobs().compute(
        export.as_tensorboard, export.series_of(job), job.created, partial(build, job.slug, job.config)
    )


def _as_script(module: ModuleType, job: Job) -> str:
    return str(module.script(job.config, plain(job.changes), job.step))
