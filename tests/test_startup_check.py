"""The check at start-up: what Streamlit does to Keras. The settings are in test_server.py."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.runtime.scriptrunner import script_runner

from app import startup_check
from lib import keras_guard


class Keras:
    """A stand-in that counts names as Keras does, and forgets them when its session is cleared."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.backend = SimpleNamespace(get_uid=self.get_uid, clear_session=self.names.clear)

    def get_uid(self, name: str) -> int:
        self.names[name] = self.names.get(name, 0) + 1
        return self.names[name]


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch) -> Any:
    loaded = Keras()
    monkeypatch.setitem(sys.modules, "keras", loaded)
    return loaded


def test_an_unguarded_keras_is_refused(keras: Any) -> None:
    with pytest.raises(startup_check.UnsafeSettingsError, match="keras_guard") as caught:
        startup_check.check_keras()
    assert "requirements.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_guarded_keras_passes_again_and_again(keras: Any) -> None:
    keras_guard.guard(keras)
    for _ in range(3):
        startup_check.check_keras()


def test_before_keras_is_loaded_a_stand_in_is_tried_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    startup_check.check_keras()
    assert "keras" not in sys.modules


def test_a_streamlit_that_reaches_keras_in_another_way_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    clear = "import sys; sys.modules['keras'].backend.clear_session()"
    monkeypatch.setattr(script_runner, "_clean_problem_modules", lambda: exec(clear, {"__name__": "elsewhere"}))
    with pytest.raises(startup_check.UnsafeSettingsError):
        startup_check.check_keras()
    assert "keras" not in sys.modules


def test_a_streamlit_that_cannot_be_asked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(script_runner, "_clean_problem_modules")
    with pytest.raises(startup_check.UnsafeSettingsError):
        startup_check.check_keras()
