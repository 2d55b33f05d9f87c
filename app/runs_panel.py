"""The visitor's last runs: ghosts behind the loss curve, and a table of what differs."""

from typing import Any

import pandas as pd
import streamlit as st

from app.service import jobs
from app.visitor import clock
from demos.registry import Demo
from lib.records import RunRecord
from lib.settings import settings_of, to_query
from lib.store import COMMAND_LINE
from lib.style import Ghost

KEPT = 5


def earlier(demo: Demo, job: Any, visitor: str) -> list[Any]:
    """The last five runs besides the one that is shown, the oldest first, those without a step left out."""
    records = jobs().runs_of(visitor, demo.slug, 3 * KEPT)
    others = [record for record in records if record.step > 0 and (job is None or record.id != job.id)]
    return others[:KEPT][::-1]


def _settings(record: Any) -> dict[str, Any]:
    config = record.config if isinstance(record.config, dict) else record.config.model_dump()
    return config | record.live


def _label(demo: Demo, record: Any, job: Any) -> str:
    """What sets an earlier run apart from the one that is shown."""
    fields = settings_of(demo.config)
    now = _settings(job) if job else {}
    differing = [
        name
        for name, value in _settings(record).items()
        if name in fields and value != now.get(name, fields[name].default)
    ]
    if not differing:
        return "same settings"
    shown = [f"{name} {_settings(record)[name]}" for name in differing[:2]]
    return ", ".join(shown) + (" …" if len(differing) > 2 else "")


def ghosts(demo: Demo, job: Any, records: list[Any], metric: str) -> list[Ghost]:
    """The curves of a metric of `earlier` runs."""
    found = []
    for record in records:
        steps, values = jobs().curve(record.id, metric)
        if len(steps):
            found.append(Ghost(_label(demo, record, job), steps, values))
    return found


def table(demo: Demo, job: Any, visitor: str) -> None:
    """The run that is shown and the last five before it: only the settings that differ, best and last loss."""
    records = [*earlier(demo, job, visitor)[::-1]]
    if job is not None and job.step > 0:
        records.insert(0, job)
    if not records:
        st.caption("Here your runs will be listed, with the settings in which they differ.")
        return
    settings = [_settings(record) for record in records]
    differing = [name for name in settings_of(demo.config) if len({str(row.get(name)) for row in settings}) > 1]
    fields = settings_of(demo.config)
    rows = []
    for record, row in zip(records, settings, strict=True):
        summary = record.stream.summary() if record is job else record.summary
        loss = summary.get("loss", {})
        rows.append(
            {
                "run": "shown above" if record is job else clock(record.created),
                "state": str(record.state),
                "steps": record.step,
            }
            | {fields[name].label: str(row.get(name)) for name in differing}
            | {
                "best loss (nats)": loss.get("best"),
                "last loss (nats)": loss.get("last"),
                "mean of last 100 (nats)": loss.get("mean_last_100"),
            }
        )
    number = st.column_config.NumberColumn(format="%.4g")
    if "pages" in st.session_state:
        text = "All your runs, to compare, name and export"
        st.page_link(st.session_state["pages"]["runs"], label=text, icon=":material/stacked_line_chart:")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        alt="Your last runs, with the settings in which they differ",
        column_config={name: number for name in rows[0] if name.endswith("(nats)")},
    )


def from_the_command_line(demo: Demo) -> None:
    """The runs that were started on this machine without a page, to watch: where a demo has such."""
    records = jobs().runs_of(COMMAND_LINE, demo.slug, KEPT) if demo.kept else []
    if not records:
        return
    st.markdown("**From the command line.** These runs were started on the server itself; you can watch them.")
    for record in records:
        settings = _differences(demo, record)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"{clock(record.created)} · {settings or 'defaults'} · {record.state}, step {record.step:,} of {record.steps:,}",
                width="stretch",
            )
            st.button(
                "Watch",
                icon=":material/visibility:",
                key=f"{demo.slug}/watch/{record.id}",
                on_click=_watch,
                args=(record.id,),
            )


def _differences(demo: Demo, record: RunRecord) -> str:
    """A run's settings that are not the defaults, as far as they are settings still."""
    try:
        return ", ".join(f"{name} {value}" for name, value in to_query(demo.config(**record.config)).items())
    except ValueError:
        return "settings that this version or this machine cannot use"


def _watch(run_id: str) -> None:
    st.query_params["run"] = run_id
