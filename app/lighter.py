"""Leaves out work that Streamlit (1.67) does again and again, and that fifty people on two cores feel (`make load`).

Each number input, select box and text input builds a dictionary of all values of the session to look up one: a twelfth of the
time of a page's script. And each run of a script reads the theme from the configuration anew, six sections of two hundred
options: as much. Every element that is drawn, and every button, looks up an option behind one lock of the whole server: scripts
that run side by side then hand it to each other all the time (`python -m benchmarks.options`).
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from streamlit import config
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session
from streamlit.runtime.state.safe_session_state import SafeSessionState


class _Values(Mapping[str, Any]):
    """The values of a session by their keys, each looked up when it is asked for. It is no `dict`, and no copy."""

    def __init__(self, state: SafeSessionState, all_of_them: Callable[[SafeSessionState], dict[str, Any]]) -> None:
        self._state, self._all = state, all_of_them

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key in self._state

    def __getitem__(self, key: str) -> Any:
        return self._state[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all(self._state))

    def __len__(self) -> int:
        return len(self._all(self._state))

    def __repr__(self) -> str:
        return repr(self._all(self._state))


def look_up_single_values() -> None:
    """Call it before the server starts. It does nothing where Streamlit looks otherwise."""
    whole = getattr(SafeSessionState, "filtered_state", None)
    if isinstance(whole, property) and whole.fget is not None:
        all_of_them = whole.fget
        SafeSessionState.filtered_state = property(lambda state: _Values(state, all_of_them))  # type: ignore[assignment]


def read_the_theme_once() -> None:
    """Call it before the server starts, also after a change of the theme. It does nothing where Streamlit looks otherwise."""
    populate = getattr(app_session, "_populate_theme_msg", None)
    if populate is None:
        return

    @cache
    def theme(*section: str) -> CustomThemeConfig:
        found = CustomThemeConfig()
        populate(found, *section)
        return found

    def merge(message: CustomThemeConfig, *section: str) -> None:
        if theme(*section).ByteSize():
            message.MergeFrom(theme(*section))

    app_session._populate_theme_msg = merge  # type: ignore[assignment]


def look_up_options_at_once() -> None:
    """Call it before the server starts: it has read its configuration, and looking something up there needs no lock."""
    locked = config.get_option

    def get_option(key: str) -> Any:
        option = config.get_config_options().get(key)
        return locked(key) if option is None else option.value

    config.get_option = get_option
