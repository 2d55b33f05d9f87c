"""A run's perplexity measured in several ways, switch by switch: why two perplexities cannot be compared."""

import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import streamlit as st

from app.words_networks import Which, model_of
from app.words_sentence import corpus_of, key
from demos.ptb import data, measuring
from demos.ptb.config import PTBConfig
from demos.ptb.measuring import PARTS, How, Part, Surprises
from demos.registry import Demo
from lib.blas import one_thread
from lib.job import Job
from lib.vocabulary import EOS, UNK, Corpus

NOT_ENDED = "When the run has ended, you can measure its perplexity here in several ways, and see which number comes out of each."
WHY = (
    "**Why two perplexities cannot be compared.** A perplexity is e to the power of the mean surprise, in nats (1 nat is 1.44 "
    "bits), at some places of a text. The switches change which places count, what the network knows there, and how many words "
    "it chooses among; the network stays as it is. So a perplexity is comparable only with one that was measured the same way, "
    "on the same text, cut into the same words, with the same vocabulary."
)
WINDOW_IDLE = "While the state is carried on, the window makes no difference: what came before one is known in it."
NO_UNKNOWN = "No word of this text is unknown to the network: choose a smaller vocabulary, and some are."
WINDOWS = {size: str(size) for size in measuring.WINDOWS}
_READING = threading.Lock()  # one text at a time, whoever waits for it


def draw(demo: Demo, words: Any, job: Job, which: Which) -> None:
    """The section for a network; `words` is the demo's module."""
    if job.active:
        st.info(NOT_ENDED, icon=":material/straighten:")
        return
    config: Any = job.config
    corpus = words.corpus(*corpus_of(job))
    st.markdown("One network and one text, measured in several ways: each switch begins at the standard.")
    numbers = st.container(horizontal=True, gap="medium")
    part, how = _switches(demo, config, corpus)
    carried = _surprises(which, config, part, 0)
    reset = None if how.carried else _surprises(which, config, part, how.window)
    read, whole = len(carried.words), len(getattr(corpus, part))
    with numbers:
        _numbers(corpus, carried, reset, how)
    if read < whole:
        st.caption(f"Only the first {read:,} of {whole:,} words: all would take this network too long.")
    _explained(corpus, carried, reset, how)
    st.markdown(WHY)


def _switches(demo: Demo, config: PTBConfig, corpus: Corpus) -> tuple[Part, How]:
    """Which text is measured, and how."""
    counts = {True: "Counted", False: "Not counted"}
    states = {True: "Carried on", False: "Zero at each window"}
    sizes = {0: f"All {len(corpus.words):,}"} | {size: f"{size:,}" for size in measuring.vocabularies(corpus)}
    with st.container(horizontal=True, gap="medium"):
        part: Part = _switch(
            demo,
            "part",
            "Text",
            PARTS,
            f"The network learns from neither. It reads the validation text in {data.VALID_ROWS} rows, as the run did.",
        )
        ends = _switch(demo, "ends", "Ends of sentences", counts, f"Whether `{EOS}`, after each sentence, counts.")
        carried = _switch(demo, "state", "State", states, "Whether the network still knows what came before a window.")
        about = "After how many words the state is zero again, where it is not carried on."
        window = _switch(demo, "window", "Window (words)", WINDOWS, about, default=How().window, disabled=carried)
        about = f"The most frequent words count as themselves, all others as one `{UNK}`."
        size = _switch(demo, "words", "Vocabulary (words)", sizes, about)
        some = measuring.has_unknown(corpus, measuring.text(config, corpus, part), size)
        about = f"Whether `{UNK}`, which stands for all words beyond the vocabulary, counts."
        unknown = _switch(demo, "unknown", "Unknown words", counts, about, disabled=not some)
    notes = [WINDOW_IDLE] * carried + [NO_UNKNOWN] * (not some)
    if notes:
        st.caption(" ".join(notes))
    return part, How(carried, window, ends, size, unknown or not some)


def _switch(
    demo: Demo,
    name: str,
    label: str,
    options: Mapping[Any, str],
    about: str,
    *,
    default: Any = None,
    disabled: bool = False,
) -> Any:
    """A control that begins at its `default`, or else at the first option: the standard."""
    return st.segmented_control(
        label, list(options), default=next(iter(options)) if default is None else default, format_func=options.__getitem__,
        required=True, key=f"{key(demo, 'measured')}/{name}/{len(options)}", help=about, disabled=disabled, width="content",
        persist_state="session",
    )  # fmt: skip


def _surprises(which: Which, config: PTBConfig, part: Part, window: int) -> Surprises:
    """Each word's surprise. One text is read at a time, and whoever wanted the same need not read it again."""
    with st.spinner("Reading the text…"), _READING:
        return _read(which, config, part, window)


@lru_cache(maxsize=16)
def _read(which: Which, config: PTBConfig, part: Part, window: int) -> Surprises:
    corpus = data.corpus(*config.reads)
    with one_thread():
        return measuring.surprises(model_of(which), corpus, measuring.text(config, corpus, part), part, window)


def _numbers(corpus: Corpus, carried: Surprises, reset: Surprises | None, how: How) -> None:
    """The perplexity beside the standard one."""
    standard = measuring.perplexity(corpus, carried, How())
    measured = measuring.perplexity(corpus, reset or carried, how)
    change = f"{100 * (measured / standard - 1):+.1f} %" if measured != standard else None
    st.metric("Standard perplexity", f"{standard:,.2f}", width="content")
    st.metric("Measured as below", f"{measured:,.2f}", change, delta_color="off", width="content")


def _explained(corpus: Corpus, carried: Surprises, reset: Surprises | None, how: How) -> None:
    """What each switch does alone."""
    lines = [
        f"- **{effect.name}**: {effect.by:,.2f} instead of {effect.without:,.2f}, **{effect.direction}**. {effect.why}"
        for effect in measuring.effects(corpus, carried, reset, how)
    ]
    if lines:
        st.markdown("Each switch, beside the number without it:\n\n" + "\n".join(lines))
    else:
        st.markdown("This is the standard: the state is carried on, and every word counts.")
