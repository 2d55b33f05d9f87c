"""The script that Streamlit runs: the frame around all pages."""

from functools import partial
from pathlib import Path

import streamlit as st

from app import demo_page, home_page, host_code, host_page, inside_page, room_page, room_strip, runs_page, service
from app.turns import turn
from app.visitor import visitor_id
from demos.registry import DEMOS

st.set_page_config(page_title="Unrolled", page_icon=str(Path(__file__).parent / "static" / "icon.png"), layout="wide")

home = st.Page(home_page.show, title="Home", icon=":material/home:", url_path="home", default=True)
runs = st.Page(runs_page.show, title="Runs", icon=":material/stacked_line_chart:", url_path="runs")
pages = {
    demo.slug: st.Page(partial(demo_page.show, demo.slug), title=demo.title, icon=demo.icon, url_path=demo.slug)
    for demo in DEMOS
}
inside = st.Page(
    inside_page.show, title="Look inside", icon=":material/frame_inspect:", url_path="inside", visibility="hidden"
)
visitor = visitor_id()
room = st.Page(
    room_page.show,
    title="Room",
    icon=":material/groups:",
    url_path="room",
    visibility="visible" if service.rooms().is_any_open() else "hidden",
)
configured = host_code.configured()
host = st.Page(
    host_page.show,
    title="Host",
    icon=":material/co_present:",
    url_path="host",
    visibility="visible" if configured and host_page.has_been_host(visitor) else "hidden",
)
st.session_state["pages"] = pages | {"runs": runs, "inside": inside, "room": room}  # for links from page to page
hosts = [host] if configured else []
page = st.navigation([home, *pages.values(), runs, inside, room, *hosts], position="top")
if trouble := service.trouble():
    st.warning(trouble, title="Runs are not being saved", icon=":material/warning:")
room_strip.draw(visitor, follows_all=page == room)
with turn():
    page.run()
