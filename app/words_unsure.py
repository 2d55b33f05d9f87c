"""The contexts after which no network can always be right, because different words follow them."""

from typing import Any

import streamlit as st

from app.markdown import escaped
from app.words_networks import Which, model_of
from demos.registry import Demo
from lib.job import Job

MOST = 40


def draw(demo: Demo, words: Any, job: Job, which: Which) -> None:
    """The section for a network; `words` is the demo's module."""
    found = words.unsure(job.config, model_of(which))
    st.markdown(words.about_unsure(job.config))
    if not found:
        return
    rows = ["| after | comes | the network says |", "| --- | --- | --- |"]
    for each in found[:MOST]:
        comes = " · ".join(f"{_cell(word)}{f' ({count} times)' * (count > 1)}" for word, count in each.followers)
        rows.append(f"| {_cell(each.context)} | {comes} | {_cell(each.guess)} |")
    st.markdown("\n".join(rows))
    if len(found) > MOST:
        st.caption(f"And {len(found) - MOST:,} more.")


def _cell(text: str) -> str:
    return escaped(text).replace("|", "\\|")
