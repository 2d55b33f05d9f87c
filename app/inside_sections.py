"""What there is to find out about a network's units: what they do, saturation, the gradient's reach, search, and other cells."""

import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import streamlit as st

from app import frames
from app.live import live_chart, live_status
from app.service import jobs
from demos.registry import Demo, get
from lib import signature
from lib.common_settings import CELLS
from lib.gating import TRACKS
from lib.inside import Inside, View
from lib.inside_figures import history_figure, reach_figure, saturation_figure, units_figure
from lib.job import Job
from lib.lessons import plain
from lib.limits import LimitError
from lib.reading import visible
from lib.settings import Config, SettingError, replace
from lib.trace import GATES, NAMES

SECTIONS = {
    "units": "What units do",
    "saturation": "Saturation",
    "history": "Over training",
    "reach": "Gradient reach",
    "search": "Search",
    "cells": "Why LSTMs",
}
BY_NUMBER = "their number"
SEARCHED = 20  # matches that are listed
CONTEXT = 24  # tokens to either side of a match
SIDE_BY_SIDE = 3  # runs, each with a stream: a browser allows six to a server, and the page has two of its own
COMPARED = ["rnn", "lstm", "gru"]  # at first
_BUILDING = threading.Lock()  # two at a time would fight for the cores (python -m benchmarks search)


def key(demo: Demo, name: str) -> str:
    return f"{demo.slug}/inside/{name}"


def choose_unit(demo: Demo, unit: str, *, typed: bool = False) -> None:
    """Look at this unit from now on. The field that says which gets a new key, unless it was `typed` there."""
    st.session_state[key(demo, "unit")] = int(unit)
    if not typed:
        st.session_state[key(demo, "unit_round")] = st.session_state.get(key(demo, "unit_round"), 0) + 1


def draw(demo: Demo, job: Job, inside: Inside, config: Config | None, visitor: str, *, live: bool) -> None:
    """The section that is chosen. The others cost nothing."""
    choice = st.segmented_control(
        "Find out more",
        list(SECTIONS),
        default="units",
        format_func=SECTIONS.__getitem__,
        key=key(demo, "section"),
        required=True,
    )
    run_id, view = (job.id, inside.view.to_json()) if live else (None, "")
    if choice == "units":
        _what_units_do(demo, inside, run_id, view)
    elif choice == "saturation":
        _saturation(demo, inside, run_id, view)
    elif choice == "history":
        _over_training(demo, job, inside)
    elif choice == "reach":
        _reach(demo, inside, run_id, view)
    elif choice == "search":
        _search(demo, job, inside)
    else:
        _why(demo, job, config, visitor)


def _chart(
    demo: Demo, name: str, figure: dict[str, Any], run_id: str | None, view: str, *, clicks: bool = False
) -> None:
    live_chart(
        name, run_id, figure, key=key(demo, name), height=figure["layout"]["height"], view=view,
        on_click=(lambda unit: choose_unit(demo, unit)) if clicks else None,
    )  # fmt: skip


def _what_units_do(demo: Demo, inside: Inside, run_id: str | None, view: str) -> None:
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.caption(
            f"For each thing that the task is about, the unit whose {NAMES[inside.memory]} correlates best with it, over the "
            "unseen examples. Correlation r: 1 follows it exactly, −1 exactly the other way round, 0 not along a line at all. "
            f"From |r| = {TRACKS} on we say that the unit *tracks* it. Click a bar to look at the unit."
        )
        _chart(demo, "units", units_figure(inside), run_id, view, clicks=True)
    with right:
        orders = [BY_NUMBER, *inside.held_out.factors]
        chosen, box = inside.view.order, key(demo, "order")
        st.selectbox(
            "Order the units in the heatmaps by", orders, orders.index(chosen) if chosen in orders else 0, key=box,
            on_change=lambda: _order(demo, st.session_state[box]),
            help="How each unit correlates with it: the most positive on top, the most negative at the bottom.",
        )  # fmt: skip
        st.caption(
            "A correlation says that a unit goes along with something, not that the network uses it. To find out, remove the "
            "unit (*Intervene*) and see what breaks."
        )


def _order(demo: Demo, chosen: str) -> None:
    """Keep the order while another section is shown."""
    st.session_state[key(demo, "ordered")] = "" if chosen == BY_NUMBER else chosen


def _saturation(demo: Demo, inside: Inside, run_id: str | None, view: str) -> None:
    if not inside.saturation:
        st.info("A tanh RNN has no gates.", icon=":material/block:")
        return
    st.caption(
        "A dot for each unit: how much of the time its gate is nearly shut (below 0.1, across) and nearly open (above 0.9, up). "
        "On the dotted line it is always one or the other. A unit whose forget gate is at the top keeps nearly all of its memory "
        "at nearly every step, also where nothing is to be kept: a gate may just be where its bias started. "
        "Click a dot to look at the unit; the star is the chosen one."
    )
    _chart(demo, "saturation", saturation_figure(inside), run_id, view, clicks=True)
    st.caption("After Karpathy, Johnson and Fei-Fei (2015), section 4.2.")


def _over_training(demo: Demo, job: Job, inside: Inside) -> None:
    if not GATES[inside.cell]:
        st.info("A tanh RNN has no gates.", icon=":material/block:")
        return
    steps = job.history.steps()
    if not steps:
        st.info("No earlier networks of this run were kept.", icon=":material/history_toggle_off:")
        return
    shares = [_shares(job.id, step) for step in steps]
    st.caption(
        "How the gates' values are spread, over all units and unseen examples, at each kept training step: bright is many. "
        + ("It is drawn anew when you do something here." if job.active else "")
    )
    figure = history_figure(steps, {gate: np.stack([share[gate] for share in shares]) for gate in GATES[inside.cell]})
    _chart(demo, "history", figure, None, "")


@lru_cache(maxsize=4096)
def _shares(run_id: str, step: int) -> Mapping[str, np.ndarray]:
    """How the gates' values were spread at a kept step of a run, which never changes."""
    job = jobs().get(run_id)
    assert job is not None
    demo = get(job.slug)
    inside = frames.inside_of(job, demo, View(), step)
    assert inside is not None
    return inside.spread


def _reach(demo: Demo, inside: Inside, run_id: str | None, view: str) -> None:
    st.caption(
        "How much the loss at the last answer would change with the state so many steps before: the norm of its gradient, the "
        "median of the unseen examples, on a log axis. Training can only use what arrives. When the answers are already right, "
        "the loss is flat and all of it is small: what counts is the slope."
    )
    _chart(demo, "reach", reach_figure(inside), run_id, view)


# Search


def _search(demo: Demo, job: Job, inside: Inside) -> None:
    module = demo.inside
    if module is None or not hasattr(module, "corpus_of"):
        st.info("There is no corpus to search in this demo.", icon=":material/search_off:")
        return
    labels = inside.reading.labels(inside.language)
    steps = len(labels)
    if steps < 2:
        st.info("A span needs two steps or more: let it read a longer sequence.", icon=":material/straighten:")
        return
    st.caption(
        "Mark a span of the sequence above. Its **signature** is the set of units that are on (above the threshold) all through "
        "it and off just before and after. Then every other place with the same signature is found, best first."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        middle = (max(1, steps // 3), min(steps, max(1, steps // 3) + 4))
        first, last = st.slider(
            "Span, from step to step", 1, steps, middle, key=f"{key(demo, 'span')}/{steps}", width=420
        )
        threshold = st.slider("Threshold", 0.0, 1.0, 0.3, 0.05, key=key(demo, "threshold"), width=260)
    states = inside.untouched[inside.memory][:, 0]
    units = signature.signature(states, (first - 1, last), threshold)
    marked = "".join(labels[first - 1 : last])
    st.markdown(
        f"Marked: {_code(marked)}. Signature: " + (", ".join(f"unit {unit}" for unit in units) or "no unit") + "."
    )
    if not units:
        st.info(
            "No unit is on through the whole span and off around it: move the span or the threshold.",
            icon=":material/tune:",
        )
        return
    tokens, names = module.corpus_of(inside.config)
    index = _index(job.id, inside.step, inside.memory, threshold, tokens, inside.by_token, inside.cell)
    own = None if inside.view.typed else module.place(inside.config, inside.view.example, first - 1, last)
    found = signature.search(index, units, last - first + 1, limit=SEARCHED, exclude=own)
    rows = [_row(match, tokens, names) for match in found]
    if not rows:
        st.info("Nowhere else are these units on together.", icon=":material/search_off:")
        return
    st.dataframe(
        rows, hide_index=True, alt="The places with the same signature, best first",
        column_config={"Score": st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=1, width="small")},
    )  # fmt: skip
    st.caption(f"The best {len(rows)} of {tokens.size:,} places searched. After LSTMVis (Strobelt et al. 2018).")


def _index(
    run_id: str, step: int, part: str, threshold: float, tokens: np.ndarray, network: Any, cell: str
) -> signature.Index:
    """The index of a corpus; the latest few are kept."""
    wanted = (run_id, step, part, threshold)
    if (found := _INDICES.get(wanted)) is not None:
        return found
    with _BUILDING, st.spinner("Reading the whole corpus…"):
        if wanted not in _INDICES:
            while len(_INDICES) >= 4:
                _INDICES.pop(next(iter(_INDICES)))
            _INDICES[wanted] = signature.build(cell, network, tokens, part=part, threshold=threshold)
        return _INDICES[wanted]


_INDICES: dict[tuple, signature.Index] = {}


def _row(match: signature.Match, tokens: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    flat, length = tokens.T.ravel(), len(tokens) if tokens.ndim == 2 else tokens.size
    border = match.start // length * length
    before = flat[max(border, match.start - CONTEXT) : match.start]
    after = flat[match.end : min(border + length, match.end + CONTEXT)]

    def said(part: np.ndarray) -> str:
        return visible("".join(names[token] for token in part))

    missing = ", ".join(map(str, match.missing))
    return {
        "Before": said(before),
        "Match": said(flat[match.start : match.end]),
        "After": said(after),
        "Score": round(match.score, 3),
        "Off": missing,
    }


def _code(text: str) -> str:
    quoted = visible(text).replace("`", "'")
    return f"`{quoted}`"


# The same task, other cells


def _why(demo: Demo, job: Job, config: Config | None, visitor: str) -> None:
    st.caption(
        "The same task, seed and size for several kinds of cells: which learns it, and how far does each one's gradient reach? "
        "*Peepholes* let a unit's gates see its cell state (Gers and Schmidhuber 2000). With *coupled gates* a unit writes as "
        "much as it forgets: i = 1 − f. Greff et al. (2017, *LSTM: A search space odyssey*) compared an LSTM that has peepholes "
        "with eight variants of it on three tasks. They report that none was significantly better, that coupled gates or no "
        "peepholes save weights at no significant loss, and that the forget gate and the output activation matter most."
    )
    ids: dict[str, str] = st.session_state.setdefault(key(demo, "compared_ids"), {})
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    cells = left.multiselect(
        f"Cells side by side, {SIDE_BY_SIDE} at most", list(CELLS), st.session_state.get(key(demo, "compared"), COMPARED),
        format_func=CELLS.__getitem__, key=key(demo, "cells"), max_selections=SIDE_BY_SIDE,
    )  # fmt: skip
    right.button(
        "Train them", key=key(demo, "compare"), type="primary", icon=":material/compare_arrows:", disabled=not cells,
        on_click=_start_compared, args=(demo, config or job.config, visitor, cells),
    )  # fmt: skip
    for column, cell in zip(st.columns(SIDE_BY_SIDE), cells, strict=False):
        with column:
            st.markdown(f"**{CELLS[cell]}**")
            run = jobs().get(ids.get(cell, ""))
            if run is None:
                st.caption("not trained yet")
            else:
                _compared_run(demo, run, cell)
    _compared_table(demo, ids)


def _compared_run(demo: Demo, run: Job, cell: str) -> None:
    """One cell's run: where it is, its curves, and how far its gradient reaches."""
    live_status(
        run.id, frames.event_of(run, demo), frames.status(run, demo), key=key(demo, f"{cell}/status"),
        labels=dict.fromkeys(("epoch", "pace", "left", "device")),
    )  # fmt: skip
    shown = replace(run.config, **run.live)
    for curve in demo.figures.CURVES[:2]:
        figure = curve.figure(shown)
        live_chart(curve.name, run.id, figure, key=key(demo, f"{cell}/{curve.name}"), height=figure["layout"]["height"])
    inside = frames.inside_of(run, demo, View())
    if inside is not None:
        st.markdown("How far its gradient reaches:")
        # Drawn when the page is: a stream for each would be more than a browser allows.
        live_chart("reach", None, reach_figure(inside), key=key(demo, f"{cell}/reach"), height=360)


def _compared_table(demo: Demo, ids: Mapping[str, str]) -> None:
    """What each cell that was trained here has come to."""
    rows = []
    for cell, name in CELLS.items():
        run = jobs().get(ids.get(cell, ""))
        inside = frames.inside_of(run, demo, View()) if run is not None else None
        if run is None or inside is None or run.active:
            continue
        loss = run.stream.summary().get("loss", {}).get("mean_last_100")
        rows.append({
            "Cell": name,
            "Weights": _weights(inside),
            "Loss, mean of the last 100 steps (nats)": "–" if loss is None else plain(loss),
            "Accuracy on unseen examples": f"{inside.scores[0].accuracy:.1%}",
        })  # fmt: skip
    if rows:
        st.dataframe(rows, hide_index=True, alt="What each cell has come to")
        st.caption("Another seed may turn the order round.")


def _weights(inside: Inside) -> int:
    return sum(array.size for part in inside.network.values() for array in part.values())


def _start_compared(demo: Demo, config: Config, visitor: str, cells: Sequence[str]) -> None:
    st.session_state[key(demo, "compared")] = list(cells)
    found: dict[str, str] = st.session_state[key(demo, "compared_ids")]  # this session's own
    before, base = dict(found), config.model_dump() | {"cell": ""}
    if st.session_state.get(key(demo, "compared_base")) != base:  # of other settings: not to be compared with these
        found.clear()
    st.session_state[key(demo, "compared_base")] = base
    try:
        configs = {cell: replace(config, cell=cell) for cell in cells}
    except SettingError as error:
        st.toast(str(error), icon=":material/error:")
        return
    try:
        for cell, one in configs.items():
            found[cell] = jobs().start(demo.slug, one, visitor, instead_of=before.get(cell, "")).id
    except LimitError as error:
        st.toast(str(error), icon=":material/error:")
