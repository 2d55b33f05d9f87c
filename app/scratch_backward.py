"""The gradient of the model from scratch: its code, with a bug planted or not, its check, and how far back it reaches."""

from typing import Any

import pandas as pd
import streamlit as st

from app.live import live_chart
from app.markdown import escaped
from demos.from_scratch import checking
from demos.registry import Demo

VANISHING_STEPS = 30


def backward(demo: Demo, job: Any, config: Any) -> None:
    """The equations beside the function, and the check of its gradient."""
    workshop: Any = demo.workshop
    case = workshop.small(config, config.seed)
    bug = st.pills(
        "Plant a bug",
        list(checking.BUGS),
        format_func=lambda name: checking.BUGS[name].title,
        key=f"{demo.slug}/bug",
        help="It is put into the function that you see and that is checked here. Training goes on with the right one.",
    )
    left, right = st.columns([2, 3])
    with left:
        st.subheader("Back through time", anchor=False)
        st.markdown(workshop.backward_equations(config))
        whole = len(case.x) - 1
        truncate = st.slider(
            "Truncation (steps back)", 0, whole, whole, key=f"{demo.slug}/check_truncate/{whole}",
            help="How far back the error of each guess goes. Less than all is faster, but no longer the gradient.",
        )  # fmt: skip
    with right:
        st.subheader("The code that runs", anchor=False)
        if bug:
            st.warning(_told(bug), icon=":material/bug_report:")
        st.code(checking.source(bug), language="python", wrap_lines=True, line_numbers=True)
    st.subheader("The gradient check", anchor=False)
    st.markdown(workshop.check_equations())
    _check(workshop.checked(config, config.seed, int(truncate), bug), case, int(truncate))


def _told(bug: str) -> str:
    """Where the bug is, and why it is one."""
    right, wrong = checking.source().splitlines(), checking.source(bug).splitlines()
    line = next(number for number, pair in enumerate(zip(right, wrong, strict=True), 1) if pair[0] != pair[1])
    return f"Line {line}: it should be `{right[line - 1].strip()}`. {escaped(checking.BUGS[bug].why)}"


def _check(rows: list[checking.Row], case: Any, truncate: int) -> None:
    units, words = case.p.U.shape
    st.caption(
        f"On a small network ({words} words, {units} units, float64) and the sentence “{escaped(' '.join(case.words))}”. Each of "
        f"its {sum(row.size for row in rows)} weights θ is moved by ±h and the loss measured: the centred difference n, beside "
        "our gradient a. The lengths ‖·‖ are over all weights of a parameter. The tutorial checks each weight by itself, with "
        "h = 0.001 and a limit of 0.01."
    )
    table = [
        {
            "parameter": row.name,
            "weights": row.size,
            "where they differ most": f"{row.name}[{row.place[0]}, {row.place[1]}]",
            "our gradient": f"{row.analytic:.8f}",
            "centred difference": f"{row.difference:.8f}",
            "relative error": f"{row.relative_error:.1e}",
            "result": "✓ passed" if row.passed else "✗ failed",
        }
        for row in rows
    ]
    st.dataframe(pd.DataFrame(table), hide_index=True, alt="The gradient check of each parameter")
    if all(row.passed for row in rows):
        st.success("The gradient is right.", icon=":material/check_circle:")
        return
    short = truncate < len(case.x) - 1
    why = " Truncated as it is, it is not meant to be: see the slider." if short else ""
    st.error(f"This is not the gradient of the loss.{why}", icon=":material/error:")


def vanishing(demo: Demo, job: Any, config: Any) -> None:
    """How much of a gradient reaches each earlier step, for four cells."""
    workshop: Any = demo.workshop
    st.markdown(
        "A loss at the last step, and how long its gradient still is at each step before, as a share of what it was at the end. "
        "On each step back it is multiplied by the recurrent weights and by a slope: many small factors leave nothing, many "
        "large ones explode. Gates that are open let it pass."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scale = st.slider(
            "Initial scale", 0.25, 5.0, 1.0, 0.25, key=f"{demo.slug}/scale_of_weights", width=300,
            help="Weights begin evenly within ± this / √n. The tutorial's is 1.",
        )  # fmt: skip
        bias = st.slider(
            "Forget-gate bias", 0.0, 5.0, 1.0, 0.5, key=f"{demo.slug}/keep_bias", width=300,
            help="The starting bias of the LSTM's forget gate and of the GRU's update gate z, which keeps as in Cho (2014), "
            "not as in Chung (2014): 3 keeps 95 % a step.",
        )  # fmt: skip
    found = workshop.reaches(config.hidden_units, VANISHING_STEPS, float(scale), float(bias), config.seed)
    figure = demo.figures.reach_figure(found, float(scale))
    live_chart("reach", None, figure, key=f"{demo.slug}/reach", height=figure["layout"]["height"])
    st.caption(
        f"Untrained cells with {config.hidden_units} units that read random numbers. The tutorial's truncation after "
        f"{config.truncate} steps loses what lies right of {config.truncate}. Below 10⁻¹² and above 10⁶ nothing is drawn. "
        "Bengio, Simard and Frasconi (1994); Pascanu, Mikolov and Bengio (2013)."
    )
