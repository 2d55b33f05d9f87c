"""What is looked up instead of built anew is the same."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from streamlit import config
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


def test_options_are_the_same_and_looked_up_without_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    locked = config.get_option
    monkeypatch.setattr(config, "get_option", locked)  # so that it is put back
    lighter.look_up_options_at_once()
    assert config.get_option is not locked
    with config._config_lock, ThreadPoolExecutor(1) as others:  # which would wait for good
        found = others.submit(lambda: {name: config.get_option(name) for name in config.get_config_options()})
        values = found.result(timeout=10)
    assert values == {name: locked(name) for name in config.get_config_options()}
    monkeypatch.setitem(config.get_config_options(), "server.port", config.ConfigOption("server.port", default_val=1))
    assert config.get_option("server.port") == 1, "as it is now"
    with pytest.raises(RuntimeError, match="not defined"):
        config.get_option("server.no-such-option")
