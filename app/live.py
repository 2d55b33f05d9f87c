"""The live chart and the status strip: components that are fed by the stream, not by the script.

The script says which figure, which run, and what the page was drawn with. The modules in app/static keep one element for
each, read the run's stream and call `Plotly.react` on it, so zoom, hover and legend survive both the updates and the
script's reruns.
"""

from collections.abc import Callable
from typing import Any

import streamlit as st

from app import frames
from app.routes import STATIC, address, plotly_address

SAVE_HEIGHT = 44  # of the line with its buttons


def component(view: str) -> Any:
    """The component that app/static/VIEW.html and .css look like, and whose script live.js calls VIEW."""
    html, css = ((STATIC / f"{view}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css"))
    # Streamlit imports the stub from a blob, which has no address that "/api" could be relative to. All stubs import the
    # same address, so the page has one live.js, and one stream for each run.
    stub = f"""
const live = await import(new URL("{address("live.js")}", document.location.href).href)
export default component => live.{view}(component)
"""
    # Not isolated: Plotly's styles are in the page's head, and would not reach into a shadow root.
    return st.components.v2.component(f"unrolled_{view}", html=html, css=css, js=stub, isolate_styles=False)


_CHART = component("chart")
_STATUS = component("status")
_CELL = component("cell")
_STORY = component("story")
_FINDINGS = component("findings")


def live_chart(
    name: str,
    run_id: str | None,
    figure: dict[str, Any],
    *,
    key: str,
    height: int,
    on_click: Callable[[str], None] | None = None,
    leads: bool = False,
    save: str = "",
    view: str = "",
    group: str = "",
) -> None:
    """A figure (plain Plotly JSON), `height` pixels high from the first moment on.

    Traces with `meta.series` or `meta.epochs` are filled from the run's stream, and a figure of this name in the stream
    replaces it. The text alternative is `layout.meta.alt`; once there is a loss, `layout.meta.alt_template` with "{step}"
    and the metrics' names, such as "{loss}", filled in. `on_click` is told the last custom value of a heatmap's cell or a
    point that was clicked on, unless it is empty; `leads` says that this leads to another picture, at the page's top. With
    `save`, the name of a file, there are buttons that save it as SVG and PNG. With `view` (lib.inside.View.to_json) it gets
    that view's pictures. Pictures of one `group` share a cursor over the steps of a sequence.
    """
    data = {"name": name, "run": run_id, "figure": figure, "height": height, "plotly": plotly_address()}
    data |= {"view": view, "group": group, "leads": leads}

    def clicked() -> None:
        chosen = st.session_state[key].get("click")
        if chosen and on_click is not None:
            on_click(chosen)

    _CHART(
        data=strict(data | {"clicks": on_click is not None, "save": save}),
        key=key,
        height=height + (SAVE_HEIGHT if save else 0),
        on_click_change=clicked,
    )


def live_status(
    run_id: str | None,
    event: str,
    status: dict[str, Any] | None,
    *,
    key: str,
    labels: dict[str, str | None] | None = None,
    on_event: Callable[[], None] = lambda: None,
) -> None:
    """The state, progress and pace of a run or a sweep, at first as `status` says (see app/frames.py).

    The fragment that this is in runs again, after `on_event`, when the stream's event is no longer the one that it was drawn
    with: `event`, which must be taken before anything is drawn. `labels` renames figures of the strip, or hides them (None).
    """
    data = {"run": run_id, "event": event, "status": status, "labels": labels or {}}
    _STATUS(data=strict(data), key=key, on_event_change=on_event)


@st.fragment
def page_status(*args: Any, **settings: Any) -> None:
    """`live_status` for a page: at an event, all of its script runs again.

    As a fragment's, its messages wait for the script that is under way. Any other message would end that, and with it the
    callback of a button that was pressed a moment before.
    """
    live_status(*args, **settings, on_event=st.rerun)


def live_cell(
    name: str, run_id: str | None, content: dict[str, Any], *, key: str, view: str = "", group: str = ""
) -> None:
    """A unit's cell, step by step: `content` is what `lib.inside_figures.cell_content` makes. See `live_chart`."""
    data = {"name": name, "run": run_id, "content": content, "view": view, "group": group}
    _CELL(data=strict(data), key=key)


def live_findings(name: str, run_id: str | None, content: dict[str, Any], *, key: str, view: str) -> None:
    """What the numbers say in sentences: `content` is what `lib.gating.words` makes. See `live_chart`."""
    _FINDINGS(data=strict({"name": name, "run": run_id, "content": content, "view": view}), key=key)


def live_story(name: str, run_id: str | None, content: dict[str, Any], *, key: str) -> None:
    """A text whose words are coloured: `content` is what demos.story.figures.story_text makes. See `live_chart`."""
    _STORY(data=strict({"name": name, "run": run_id, "content": content}), key=key)


def strict(data: dict[str, Any]) -> dict[str, Any]:
    """Data that arrives: Streamlit would send NaN, which is no JSON, or the repr of all if it has a NumPy value in it."""
    found: dict[str, Any] = frames.plain(data)
    return found
