"""The home page: what Unrolled is, and a card for each demo. It loads nothing heavy."""

import streamlit as st

from demos.registry import DEMOS


def show() -> None:
    """Draw the page."""
    st.title("Unrolled")
    st.markdown(
        "Watch recurrent neural networks learn, live, and change them while they do. Each demo trains a real network on "
        "this server, and shows in pictures what it knows, what it remembers, and why it sometimes fails."
    )
    with st.grid("auto", min_column_width=320):
        for demo in DEMOS:
            with st.container(border=True, key=f"card_{demo.slug}"):
                st.subheader(f"{demo.icon} {demo.title}", anchor=False)
                st.markdown(demo.summary)
                st.markdown(f"**You will see:** {demo.see}")
                st.caption(f":material/schedule: about {demo.minutes} minutes")
                # A link button would load all of the page again, in another tab.
                if st.button(f"Open {demo.title}", type="primary", icon=":material/play_arrow:"):
                    st.switch_page(st.session_state["pages"][demo.slug])
