"""What is looked up instead of built anew is the same."""

import pytest
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session
from streamlit.runtime.state import SessionState
from streamlit.runtime.state.safe_session_state import SafeSessionState

from app import lighter

SECTIONS = ((), ("theme.light",), ("theme.dark",), ("theme.sidebar",), ("theme.dark.sidebar",))


def test_the_values_of_a_session_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = SafeSessionState.filtered_state
    monkeypatch.setattr(SafeSessionState, "filtered_state", whole)  # so that it is put back
    state = SafeSessionState(SessionState(), lambda: None)
    state["echo_step"], state["name"] = 3, None
    before = state.filtered_state
    lighter.look_up_single_values()
    found = state.filtered_state
    assert type(found) is not type(before) and dict(found) == before == {"echo_step": 3, "name": None}
    assert "name" in found and "other" not in found and len(found) == 2 and str(found) == str(before)
    with pytest.raises(KeyError):
        found["other"]


def test_the_theme_is_the_same_and_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    populate, read = app_session._populate_theme_msg, []

    def noted(message: CustomThemeConfig, section: str = "theme") -> None:
        read.append(section)
        populate(message, section)

    def message() -> CustomThemeConfig:
        found = CustomThemeConfig()
        for section, part in zip(
            SECTIONS, (found, found.light, found.dark, found.sidebar, found.dark.sidebar), strict=True
        ):
            app_session._populate_theme_msg(part, *section)
        return found

    monkeypatch.setattr(app_session, "_populate_theme_msg", noted)
    before = message()
    lighter.read_the_theme_once()
    assert before.ByteSize() and message() == message() == before
    assert len(read) == 2 * len(SECTIONS)
