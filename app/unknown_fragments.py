"""A message from a part of a page that the session does not know yet lets all of the page run.

After a restart of the server an open page comes back with a new session. Until its script has run once there, Streamlit (1.67)
knows none of its fragments, and drops what they say: a slider that was moved in that second had no effect (`make chaos`), and a
status strip that told of another state of its run was not heard.
"""

from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession


def let_all_of_the_page_run() -> None:
    """Call it before the server starts. It does nothing where Streamlit looks otherwise."""
    request, knows = getattr(AppSession, "request_rerun", None), getattr(AppSession, "has_fragment", None)
    if request is None or knows is None:
        return

    def request_rerun(session: AppSession, client_state: ClientState | None) -> None:
        part = client_state.fragment_id if client_state else ""
        if client_state and part and not client_state.is_auto_rerun and not knows(session, part):
            client_state.fragment_id = ""
        request(session, client_state)

    AppSession.request_rerun = request_rerun  # type: ignore[method-assign, assignment]
