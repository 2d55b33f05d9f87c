"""The model from scratch, taken apart section by section: each function as it runs, beside its equation and its shapes.

A fragment: what a person does here draws this part of the page only. Nothing here trains, but for the button of the race.
"""

import inspect
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from app import controls, run_bar
from app.live import live_chart
from app.markdown import escaped
from app.scratch_backward import backward, vanishing
from app.service import jobs
from app.visitor import visitor_id
from demos.from_scratch import engine, writing
from demos.registry import Demo, get
from lib import style

NO_NETWORK = "Press **Start** above, and it writes with the network of the moment, also while that learns."

UNKNOWNS = {"again": "Drawn again", "replaced": "Replaced"}


@st.fragment
def draw(slug: str, run_id: str | None, config: Any) -> None:
    """The panel for a run, with the settings on the left; None where these do not go together."""
    demo, job = get(slug), jobs().get(run_id) if run_id else None
    st.header("The workshop", anchor=False)
    config = config or (job.config if job is not None else None)
    if config is None:
        return
    sections: dict[str, Callable[[Demo, Any, Any], None]] = {
        "The text": _text,
        "Forward": _forward,
        "Backward": backward,
        "Vanishing": vanishing,
        "Race": _race,
        "Write": _write,
    }
    chosen = st.segmented_control(
        "Look at",
        list(sections),
        default="The text",
        key=f"{slug}/section",
        label_visibility="collapsed",
        required=True,
    )
    sections[chosen or "The text"](demo, job, config)


def _text(demo: Demo, job: Any, config: Any) -> None:
    """From a text to numbers: the words' frequencies, where the vocabulary ends, and the way of one sentence."""
    corpus = config.words
    left, right = st.columns(2)
    with left:
        st.subheader("Which words are known", anchor=False)
        st.markdown(
            f"{len(corpus.pairs):,} sentences have {len(corpus.counts):,} different words. The vocabulary has "
            f"{len(corpus.words):,}: the most frequent, and `UNKNOWN_TOKEN` for all others. "
            f"That leaves **{corpus.known:.1%}** of the text as it is; {1 - corpus.known:.1%} of its words are unknown."
        )
        figure = demo.figures.frequency_figure(corpus)
        live_chart("frequency", None, figure, key=f"{demo.slug}/frequency", height=figure["layout"]["height"])
    with right:
        st.subheader("The way of one sentence", anchor=False)
        size = len(corpus.pairs)
        number = st.number_input(
            "Sentence", 1, size, min(2, size), key=f"{demo.slug}/sentence/{size}", help="Which of the sentences."
        )
        _path(demo.workshop.path_of(corpus, int(number) - 1))  # type: ignore[union-attr]


def _path(path: Any) -> None:
    st.markdown(f"**As written.** {escaped(path.written)}")
    st.markdown(f"**As tokens** (NLTK), with start and end. {_words(path.tokens)}")
    unknown = sum(a != b for a, b in zip(path.tokens, path.known, strict=True))
    st.markdown(f"**As known words**, {unknown} of them unknown. {_words(path.known)}")
    st.markdown("**As numbers**, shifted by one: at each place x is read and y must be guessed.")
    rows = {"x": path.x, "y": path.y, "x is": path.known[:-1], "y is": path.known[1:]}
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, height=240, alt="Each place of the sentence: x, y and their words"
    )


def _words(words: list[str]) -> str:
    return " · ".join(escaped(word) for word in words)


def _forward(demo: Demo, job: Any, config: Any) -> None:
    """The dimensions, the untrained loss beside ln C, the functions, and what the next sentence costs."""
    workshop: Any = demo.workshop
    left, right = st.columns(2)
    with left:
        st.subheader("Dimensions", anchor=False)
        st.dataframe(
            pd.DataFrame(workshop.dimensions(config)), hide_index=True, alt="The shape of each part of the model"
        )
        untrained, chance = workshop.untrained_loss(config), demo.theory.chance(config)
        with st.container(horizontal=True, gap="large"):
            st.metric("Untrained loss", f"{untrained:.4f}", width="content")
            st.metric(f"ln {len(config.words.words):,}", f"{chance:.4f}", width="content")
            st.metric("Apart by", f"{abs(untrained / chance - 1):.2%}", width="content")
        st.caption(
            "Small weights give scores near 0, and these give each of the C words a probability near 1 / C, which costs "
            "-ln(1 / C) = ln C. Should the two not agree, something is wrong before training begins."
        )
    with right:
        st.subheader("The sentence that comes next", anchor=False)
        st.caption("What each of its words costs the network that trains now.")
        race = job is not None and job.config.hands == "race"
        shown = job if not race else None
        figure = _live_figure(demo, shown, "sentence")
        live_chart("sentence", shown.id if shown else None, figure, key=f"{demo.slug}/sentence_chart", height=300)
    st.subheader("The code that runs", anchor=False)
    for piece in workshop.forward_pieces(config):
        _piece(piece)

    st.subheader("What it predicts", anchor=False)
    _predictions(demo, job, config)


def _predictions(demo: Demo, job: Any, config: Any) -> None:
    """The likeliest word at each place of a sentence, beside the function that says so."""
    workshop: Any = demo.workshop
    weights = jobs().weights(job) if job is not None else None
    of = job.config if weights is not None else config
    parameters = engine.initial(config) if weights is None else engine.parameters_in(weights)
    _piece(workshop.prediction(of))
    size = len(of.words.pairs)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = st.number_input(
            "Sentence", 1, size, min(2, size), key=f"{demo.slug}/predicted/{size}", width=150,
            help="Which of the sentences that are learned.",
        )  # fmt: skip
        st.button("Use the latest weights", key=f"{demo.slug}/predict", icon=":material/refresh:")
    rows = workshop.predicted(of.words, parameters, int(number) - 1)
    which = f"With the weights of step {int(weights['step']):,}" if weights is not None else "With untrained weights"
    st.caption(
        f"{which} the likeliest word is the right one at {sum(row['right'] != '' for row in rows)} of {len(rows)} places. At "
        "each place the network has read the given word and those before it."
    )
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, alt="Each place of the sentence: given, target and predicted word"
    )


def _piece(piece: Any) -> None:
    """A function beside its equation and its shapes."""
    left, right = st.columns([2, 3])
    with left:
        st.markdown(f"**{piece.title}**\n\n$${piece.equation}$$\n\n{piece.shapes}")
    with right:
        st.code(piece.source(), language="python", wrap_lines=True)


def _live_figure(demo: Demo, job: Any, name: str) -> dict[str, Any]:
    snapshot = job.snapshot if job is not None else None
    figures = demo.figures.live_figures(job.config, snapshot) if snapshot else {}
    found: dict[str, Any] = figures.get(name) or style.waiting_figure(300, says="Press Start the race to see it.")
    return found


def _race(demo: Demo, job: Any, config: Any) -> None:
    """The bars of the race, and what each of the four is."""
    race = job is not None and job.config.hands == "race"
    st.markdown(
        "The same network, from the same start, on the same sentences: in NumPy as you read it here; in TensorFlow, one "
        "operation at a time (eager); as a graph that is called for each sentence; and compiled by XLA, many sentences in one "
        "call. In each round all four train for the same time. They learn the same, to rounding: the fastest gets furthest."
    )
    if st.button(
        "Start the race",
        key=f"{demo.slug}/start_race",
        type="primary",
        icon=":material/sports_score:",
        help="A run of its own, with the settings on the left and “Computed by” set to a race.",
    ):
        controls.apply(demo, {"hands": "race"})
        run_bar.start(demo, visitor_id())
        st.rerun()  # the whole page, not the fragment alone
    figure = _live_figure(demo, job if race else None, "race")
    height = figure["layout"]["height"]
    live_chart("race", job.id if race else None, figure, key=f"{demo.slug}/race", height=height)
    st.caption(
        "Who wins depends on the size: each call into TensorFlow has a price of its own, however few numbers it computes with, "
        "and compiled code has fixed shapes, so there every sentence costs as much as the longest. Try 10 and 256 hidden units. "
        "Other runs on this server take their share of all four. A step is one sentence: on its author's laptop, the tutorial "
        "recorded about 350 ms per step in NumPy and 70 ms in Theano, with 8,000 words and 100 hidden units."
    )


def _write(demo: Demo, job: Any, config: Any) -> None:
    """Sentences drawn from the network of the run."""
    weights = jobs().weights(job) if job is not None else None
    if weights is None:
        st.info(NO_NETWORK, icon=":material/edit_note:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        temperature = st.slider(
            "Temperature", 0.1, 2.0, 1.0, 0.05, key=f"{demo.slug}/temperature", width=260, persist_state="session",
            help="Higher ones sample unlikely words more often.",
        )  # fmt: skip
        unknown = st.segmented_control(
            "UNKNOWN_TOKEN", list(UNKNOWNS), format_func=UNKNOWNS.__getitem__, default="again", key=f"{demo.slug}/unknown",
            required=True, help="What becomes of it where it is drawn. The tutorial draws again.",
        )  # fmt: skip
        shortest = st.number_input("Shortest (words)", 1, 20, 6, key=f"{demo.slug}/shortest", width=150)
        seed = st.number_input("Seed", 0, 9_999, 0, key=f"{demo.slug}/write_seed", width=120)
        st.button(
            "Write again", key=f"{demo.slug}/write", icon=":material/refresh:", help="With the network as it is now."
        )
    corpus = job.config.words
    replacing = writing.replacing(corpus) if unknown == "replaced" else None
    how = int(shortest), float(temperature), int(seed), replacing
    found = writing.write(engine.parameters_in(weights), corpus.words, 8, *how)
    st.caption(
        f"With the network of step {int(weights['step']):,}. Dropped: {found.too_short:,} shorter ones and {found.endless:,} "
        f"that did not end. {_unknown(corpus, unknown)}"
    )
    for sentence in found.sentences:
        shown = (escaped(word) if word in corpus.numbers else f"*{escaped(word)}*" for word in sentence)
        st.markdown(f"- {' '.join(shown)}")
    if not found.sentences:
        st.info(
            "It wrote no sentence of this length: train longer, or allow shorter ones.", icon=":material/edit_note:"
        )
    with st.expander("The code that writes"):
        for function in demo.workshop.writing_pieces():  # type: ignore[union-attr]
            _source(function)


def _unknown(corpus: Any, how: str) -> str:
    """What becomes of the unknown word."""
    count = len(corpus.outside)
    if how == "again":
        return "`UNKNOWN_TOKEN` is drawn again."
    if not count:
        return "The vocabulary has all words of the text, so there is nothing to replace `UNKNOWN_TOKEN` by: it is drawn again."
    return (
        f"`UNKNOWN_TOKEN` is replaced by one of the {count:,} words of the text that it stands for, each as often as it comes "
        "in the text: these are in italics. The network chose none of them."
    )


def _source(function: Callable[..., Any]) -> None:
    st.code(inspect.getsource(function), language="python", wrap_lines=True)
