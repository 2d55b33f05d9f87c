"""Words in a row, as chips or as a text, that can be pointed at and clicked on (app/static/chips.js)."""

from collections.abc import Callable
from typing import Any, Literal

import streamlit as st

from app.live import component
from lib.words_figure import SURPRISE

Mode = Literal["chips", "legend", "prose"]


_CHIPS = component("chips")


def chips(
    name: str,
    tokens: list[dict[str, Any]],
    label: str,
    *,
    key: str,
    mode: Mode = "chips",
    chosen: int | None = None,
    on_click: Callable[[int], None] | None = None,
) -> None:
    """Tokens, as `lib.words_figure` makes them: `label` says what they are, `on_click` is told the number of a clicked one.

    In a text ("prose") a token has a `text`, what its `tip` says, its `look` (prompt, taken, end), whether it is `glued` to
    the word before it, whether the line `end`s behind it, and whether it is `fixed`: not to be clicked on.
    """

    def clicked() -> None:
        number = st.session_state[key].get("click")
        if number is not None and on_click is not None:
            on_click(int(number))

    data = {"name": name, "tokens": tokens, "label": label, "mode": mode, "chosen": chosen, "color": SURPRISE}
    _CHIPS(data=data | {"clicks": on_click is not None}, key=key, on_click_change=clicked)
