"""`/inside?run=…`: what goes on inside the network of any run, whichever demo it belongs to."""

import streamlit as st

from app import frames, inside_panel
from app.live import page_status
from app.service import jobs
from app.visitor import clock, visitor_id
from demos.registry import get
from lib.settings import replace

NOT_HERE = (
    "This run is not here. Its owner may have deleted it, or the link is incomplete: open it again from the runs page."
)


def show() -> None:
    """Draw the page for the run that the address names."""
    st.title(":material/frame_inspect: Look inside", anchor=False)
    job = jobs().get(st.query_params.get("run", ""))
    if job is None:
        st.warning(NOT_HERE, icon=":material/link_off:")
        st.page_link(st.session_state["pages"]["runs"], label="Your runs", icon=":material/stacked_line_chart:")
        return
    demo = get(job.slug)
    event = frames.event_of(job, demo)
    st.markdown(f"A run of **{demo.title}**, begun {clock(job.created)}. {demo.summary}")
    with st.container(border=True):
        page_status(job.id, event, frames.status(job, demo), key="inside/status")
    inside_panel.draw(demo.slug, job.id, replace(job.config, **job.live), visitor_id(), None)
