"""The live chart and the status strip: components that are fed by the stream, not by the script.

The script says which figure and which run; app/static/live.js keeps one element, reads the run's stream and calls
`Plotly.react` on it, so zoom, hover and legend survive both the updates and the script's reruns.
"""

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.routes import address, plotly_address


def _component(name: str, view: str) -> Any:
    stub = f"""
const ready = import(new URL("{address("live.js")}", document.location.href).href)
export default function (component) {{
  let dropped = false
  ready.then(live => dropped || live.mount("{view}", component))
  return () => {{
    dropped = true
    ready.then(live => live.unmount(component.parentElement))
  }}
}}
"""
    html = f'<div class="unrolled-{view}"></div>'
    return st.components.v2.component(f"unrolled_{name}", html=html, js=stub, isolate_styles=False)


_CHART = _component("chart", "chart")
_STATUS = _component("status", "status")


def live_chart(name: str, run_id: str | None, figure: dict[str, Any], *, key: str, height: int) -> None:
    """A figure (plain Plotly JSON). Traces with `meta.series` or `meta.epochs` are filled from the run's stream, and a
    figure of this name in the stream replaces it."""
    _CHART(data={"name": name, "run": run_id, "figure": figure, "height": height, "plotly": plotly_address()}, key=key)


def live_status(run_id: str | None, event: str, *, key: str, on_event: Callable[[], None]) -> None:
    """The job's state, progress and pace. `on_event` is called, and the script runs again, when the stream's event is no
    longer the one that the page was drawn with."""
    _STATUS(data={"run": run_id, "event": event}, key=key, on_event_change=on_event)
