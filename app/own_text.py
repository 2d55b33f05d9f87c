"""A control for a text of the person's own, pasted or from a file. What cannot be used is explained, and stays as typed."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import streamlit as st

from demos.registry import Demo
from lib import texts
from lib.settings import Setting

SHORTEST = 200  # characters


def control(
    demo: Demo, field: Setting, now: Mapping[str, Any], apply: Callable[[Demo, Mapping[str, Any]], None]
) -> None:
    """Say which text it is, and offer another, which `apply` sets as the setting's value: a kept text's id, "" for our own.

    `now` are all settings as they are.
    """
    text_id, back, back_to = now[field.name], "Back to our fables", {field.name: ""}
    corpora = demo.words or demo.workshop  # where a text is one of several corpora
    if corpora:
        back, back_to = corpora.BACK, corpora.BACK_TO

    shortest = getattr(demo.words, "SHORTEST", SHORTEST)
    longest = demo.workshop.longest(now) if demo.workshop else texts.LONGEST

    def use(text: str, longest: int = texts.LONGEST) -> None:
        kept = texts.keep(texts.cleaned(text, shortest, longest))
        apply(demo, corpora.with_text(kept, now) if corpora else {field.name: kept})

    key = f"{demo.slug}/{field.name}"
    with st.popover(_label(demo, text_id), icon=":material/article:", width="stretch", help=field.help):
        st.text_area("Paste a text", key=f"{key}/pasted", height=180, placeholder=f"{shortest} characters or more")
        st.button(
            "Use the pasted text", key=f"{key}/use", type="primary", on_click=_try, args=(key, use, f"{key}/pasted")
        )
        megabytes = max(5, 3 * longest // 1_000_000)  # a letter takes 1 to 3 bytes in nearly all scripts
        file = st.file_uploader("Or a file", type=["txt", "md", "csv"], key=f"{key}/file", max_upload_size=megabytes)
        use_file = partial(use, longest=longest)
        st.button(
            "Use the file",
            key=f"{key}/use_file",
            on_click=_try,
            args=(key, use_file, f"{key}/file"),
            disabled=file is None,
        )
        if text_id:
            st.button(back, key=f"{key}/ours", icon=":material/undo:", on_click=apply, args=(demo, back_to))
        if error := st.session_state.get(f"{key}/error"):
            st.error(error, icon=":material/error:")


def _try(key: str, use: Callable[[str], None], source: str) -> None:
    """Use what the control with this key has, a text or an uploaded file, or keep why not."""
    st.session_state.pop(f"{key}/error", None)
    given = st.session_state.get(source) or ""
    try:
        use(given if isinstance(given, str) else texts.decoded(given.getvalue()))
    except texts.TextError as error:
        st.session_state[f"{key}/error"] = str(error)


def _label(demo: Demo, text_id: str) -> str:
    if not text_id:
        corpora = demo.words or demo.workshop
        return str(corpora.NO_TEXT) if corpora else "Text: our forty fables"
    try:
        start, length = texts.opening(text_id)
    except texts.TextError:
        return "Text: not on this server"
    start = " ".join(start.split())
    safe = "".join(letter if letter.isalnum() or letter in " .,;!?'" else " " for letter in start)
    return f"Text: {safe[:24]}… ({length:,} characters)"
