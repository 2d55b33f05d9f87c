"""The Penn Treebank where it is not on this server: what to do about it, beside the setting that asks for it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.markdown import escaped
from demos.registry import Demo
from lib import corpora
from lib.settings import Setting

WHY = (
    "**The Penn Treebank is not here yet.** It is licensed, so it cannot come with Unrolled. "
    "Fetch it once, and everybody on this server can use it."
)
LOOK_SECONDS = 0.5
MILLION = 1_000_000


class _Cancelled(Exception):  # noqa: N818 (nothing is wrong)
    """Somebody does not want to wait."""


@dataclass
class _Fetch:
    """The one download of this process: bytes that are here, bytes that there will be, and what went wrong."""

    done: int = 0
    total: int | None = None
    error: str = ""
    under_way: bool = False
    cancelled: bool = False

    def begin(self) -> None:
        """Fetch it in a thread, unless that is under way."""
        with _LOCK:
            if self.under_way:
                return
            self.done, self.total, self.error, self.under_way, self.cancelled = 0, None, "", True, False
        threading.Thread(target=self._run, name="fetch-corpus", daemon=True).start()

    def cancel(self) -> None:
        """End it at the next piece."""
        self.cancelled = True

    def _run(self) -> None:
        try:
            corpora.fetch(self._progress)
        except corpora.CorpusError as error:
            self.error = str(error)
        except _Cancelled:
            pass
        finally:
            self.under_way = False

    def _progress(self, done: int, total: int | None) -> None:
        self.done, self.total = done, total
        if self.cancelled:
            raise _Cancelled


_LOCK = threading.Lock()
_FETCH = _Fetch()


def draw(demo: Demo, field: Setting, values: Mapping[str, Any]) -> None:
    """Below the setting `corpus`, where it asks for what is not here. A replay needs no corpus."""
    if field.name != "corpus" or values["corpus"] != "ptb" or corpora.is_here():
        return
    if demo.words is not None and values["model"] not in demo.words.REPLAYED:
        with st.container(border=True, key=f"{demo.slug}/corpus_panel"):
            _bring(demo.slug)


@st.fragment(run_every=LOOK_SECONDS)
def _watch(slug: str) -> None:
    """How far the download is. When it has ended, the page is drawn anew."""
    if corpora.is_here() or not _FETCH.under_way:
        st.rerun()
    done = _FETCH.done / MILLION
    if _FETCH.total:
        st.progress(min(1.0, _FETCH.done / _FETCH.total), f"{done:.1f} of {_FETCH.total / MILLION:.1f} MB")
    else:
        st.progress(0.0, f"{done:.1f} MB" if _FETCH.done else "Connecting…")
    st.button("Cancel", key=f"{slug}/corpus_cancel", icon=":material/close:", on_click=_FETCH.cancel)


def _bring(slug: str) -> None:
    st.markdown(WHY)
    if _FETCH.under_way:
        _watch(slug)
        return
    st.button(
        "Fetch it (35 MB)", key=f"{slug}/corpus_fetch", type="primary", icon=":material/download:", width="stretch",
        on_click=_FETCH.begin,
    )  # fmt: skip
    if _FETCH.error:
        st.error(_plain(_FETCH.error))
    given = f"{slug}/corpus_archive"
    st.file_uploader(
        "Or bring simple-examples.tgz",
        type=["tgz", "gz", "tar"],
        key=given,
        max_upload_size=60,
        on_change=_take,
        args=(given,),
    )
    if error := st.session_state.get(f"{given}/error"):
        st.error(_plain(error))


def _take(given: str) -> None:
    """Keep the corpus that is in an uploaded archive, or why it has none."""
    st.session_state.pop(f"{given}/error", None)
    file = st.session_state.get(given)
    if file is None:
        return
    try:
        corpora.take_archive(file)
    except corpora.CorpusError as error:
        st.session_state[f"{given}/error"] = str(error)


def _plain(message: str) -> str:
    """A message as Markdown that shows it as it is. A page cannot name a folder, so that is not offered."""
    message = message.replace("and upload it, or name a folder with its files, or use", "and upload it below, or use")
    return escaped(message)
