"""What a fragment says that a session does not know is not lost."""

from typing import Any, cast

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession

from app.unknown_fragments import let_all_of_the_page_run


@pytest.mark.parametrize(
    ("sent", "asked"),
    [
        (ClientState(fragment_id="known", query_string="a=1"), "known"),
        (ClientState(fragment_id="unknown", query_string="a=1"), ""),
        (ClientState(fragment_id="unknown", query_string="a=1", is_auto_rerun=True), "unknown"),  # nobody did anything
        (ClientState(query_string="a=1"), ""),
    ],
)
def test_only_what_a_session_does_not_know_runs_the_whole_page(
    sent: ClientState, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[ClientState] = []
    monkeypatch.setattr(AppSession, "has_fragment", lambda session, part: part == "known")
    monkeypatch.setattr(AppSession, "request_rerun", lambda session, state: found.append(state))
    let_all_of_the_page_run()
    AppSession.request_rerun(cast(Any, object()), sent)
    assert (found[0].fragment_id, found[0].query_string) == (asked, "a=1")


def test_a_run_that_no_page_asked_for_is_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[None] = []
    monkeypatch.setattr(AppSession, "request_rerun", lambda session, state: found.append(state))
    let_all_of_the_page_run()
    AppSession.request_rerun(cast(Any, object()), None)
    assert found == [None]
