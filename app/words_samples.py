"""What the network writes: the same beginning at three temperatures, and other branches of each text."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import streamlit as st

from app.chips import chips
from app.live import live_chart
from app.markdown import escaped
from app.words_networks import Texts, Which, drawn
from app.words_sentence import corpus_of, key
from demos.registry import Demo
from lib import style, words_figure
from lib.job import Job
from lib.vocabulary import EOS, UNK
from lib.word_sampling import Sample

TAKEN_HATCH: style.Json = {"shape": "/", "fgcolor": style.CHOSEN, "bgcolor": "#F5D6E8", "solidity": 0.45}


class _Branch(NamedTuple):
    """A text's words up to its last branch, and where somebody took another word than the one that was drawn."""

    taken: tuple[int, ...] = ()
    places: tuple[int, ...] = ()


class _Written(NamedTuple):
    """A text, which is a column's: its words after the prompt, and how it was drawn."""

    number: int
    how: Texts
    temperature: float
    branch: _Branch
    words: tuple[int, ...]
    sample: Sample | None  # of the words after the branch


def draw(demo: Demo, words: Any, job: Job, which: Which) -> None:
    """The section for a network; `words` is the demo's module."""
    how = _settings(demo, words, job)
    if how is None:
        return
    names = words.corpus(*corpus_of(job)).words
    st.caption(words.HINT)
    columns, temperatures = st.columns(3, border=True), []
    for number, (column, start) in enumerate(zip(columns, words.TEMPERATURES, strict=True)):
        with column:
            slider = key(demo, f"temperature/{number}")
            chosen = st.slider("Temperature", 0.0, 2.0, start, 0.05, key=slider, persist_state="session")
            temperatures.append(float(chosen))
    written = _write(demo, job, which, how, tuple(temperatures))
    number, place = _chosen(demo, how)
    for column, text in zip(columns, written, strict=True):
        with column:
            _show(demo, words, job, text, names, place if text.number == number else None)
    if original := words.original(*corpus_of(job), [text.words for text in written]):
        st.subheader("The original", anchor=False)
        chips("original", original, "The original", key=key(demo, "original"), mode="prose")
    text = written[number]
    _alternatives(demo, job, which, text, min(place, len(text.words) - 1), names)


def _settings(demo: Demo, words: Any, job: Job) -> Texts | None:
    """What is drawn, but for the temperature; None where the prompt cannot be read, which is said."""
    reads = corpus_of(job)
    corpus = words.corpus(*reads)
    prompt = st.text_input(
        "Beginning",
        key=key(demo, "prompt"),
        persist_state="session",
        max_chars=words.LONGEST_TYPED,
        placeholder=words.EMPTY_PROMPT,
    )
    if words.SUGGESTS:
        _add_word(demo, corpus.words)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = st.number_input(
            "Words", 1, words.LONGEST_TEXT, words.USUAL_TEXT, key=key(demo, "count"), width=130, persist_state="session"
        )
        top_k = st.number_input(
            "Top k", 0, len(corpus.words), 0, key=f"{key(demo, 'top_k')}/{len(corpus.words)}", width=140, persist_state="session",
            help="Draw from so many of the likeliest words only. 0 stands for all.",
        )  # fmt: skip
        seed = st.number_input(
            "Seed", 0, 9_999, 0, key=key(demo, "seed"), width=130, persist_state="session",
            help="The same number gives the same random numbers.",
        )  # fmt: skip
        unknown = UNK in corpus.numbers and st.toggle(
            escaped(f"May say {UNK}"), key=key(demo, "unknown"), persist_state="session",
            help="The word that stands for all unknown ones.",
        )  # fmt: skip
    try:
        ids = words.prompt_ids(*reads, prompt or "")
    except words.WordsError as error:
        st.error(escaped(str(error)), icon=":material/keyboard:")
        _offer_known(demo, error.near)
        return None
    return Texts(ids, (), int(seed), int(count), int(top_k), bool(unknown))


def _add_word(demo: Demo, names: tuple[str, ...]) -> None:
    """A list of all words, which is searched while one types; the chosen one is put behind the beginning."""
    chosen, prompt = key(demo, "add_word"), key(demo, "prompt")

    def add() -> None:
        if word := st.session_state.get(chosen):
            st.session_state[prompt] = f"{st.session_state.get(prompt) or ''} {word}".strip()
            st.session_state[chosen] = None

    st.selectbox(
        "Add a word that it knows", sorted(names), None, key=chosen, on_change=add, placeholder="Type to search"
    )


def _offer_known(demo: Demo, near: Mapping[str, tuple[str, ...]]) -> None:
    """Buttons that put a known word in the place of an unknown one; all else that was typed stays."""
    prompt = key(demo, "prompt")

    def take(word: str, known: str) -> None:
        typed = st.session_state.get(prompt) or ""
        st.session_state[prompt] = re.sub(
            rf"(?<!\w){re.escape(word)}(?!\w)", lambda _: known, typed, flags=re.IGNORECASE
        )

    for word, offered in near.items():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"Instead of “{escaped(word)}”:", width="content")
            for known in offered:
                label = escaped(known)
                st.button(label, key=key(demo, f"near/{word}/{known}"), on_click=take, args=(word, known))


def _write(demo: Demo, job: Job, which: Which, how: Texts, temperatures: tuple[float, ...]) -> list[_Written]:
    """The texts. A branch is forgotten when what it is drawn with changes."""
    corpus, written = corpus_of(job), []
    for number, temperature in enumerate(temperatures):
        of, branch = st.session_state.get(key(demo, f"branch/{number}"), (None, _Branch()))
        branch = branch if of == (job.id, how, temperature) else _Branch()
        # Those without a branch are drawn together.
        together = (temperature,) if branch.taken else temperatures
        samples = drawn(which, corpus, how._replace(taken=branch.taken), together)
        sample = samples[together.index(temperature)] if samples is not None else None
        rest = tuple(sample.words.tolist()) if sample is not None else ()
        written.append(_Written(number, how, temperature, branch, (*branch.taken, *rest), sample))
    return written


def _chosen(demo: Demo, how: Texts) -> tuple[int, int]:
    """The column and the place that was clicked on, at first the middle one's first word."""
    of, number, place = st.session_state.get(key(demo, "sampled"), (None, 1, 0))
    return (number, place) if of == how else (1, 0)


def _show(demo: Demo, words: Any, job: Job, text: _Written, names: tuple[str, ...], chosen: int | None) -> None:
    """A text to be read, and to be clicked on."""
    begun = len(text.how.prompt)
    numbers = (*text.how.prompt, *text.words)
    pieces, copied = words.prose([names[word] for word in numbers]), words.copied(*corpus_of(job), numbers)
    tokens = [
        {"text": piece.text, "glued": piece.glued, "end": piece.end, **_said(text, place - begun, piece.end)}
        for place, piece in enumerate(pieces)
    ]
    for token, is_copied in zip(tokens, copied, strict=True):
        token["look"] += " copied" * is_copied

    def choose(clicked: int) -> None:
        st.session_state[key(demo, "sampled")] = (text.how, text.number, clicked - begun)

    chips(
        f"text-{text.number}", tokens, f"Text at temperature {text.temperature:g}", key=key(demo, f"text/{text.number}"),
        mode="prose", chosen=None if chosen is None else chosen + begun, on_click=choose,
    )  # fmt: skip
    if any(copied):
        st.caption(f"{sum(copied)} of {len(copied)} words stand so in the text that it learned from.")
    if text.branch.places:
        st.button(
            "Back to what it drew", key=key(demo, f"unbranch/{text.number}"), icon=":material/undo:",
            on_click=st.session_state.pop, args=(key(demo, f"branch/{text.number}"), None),
        )  # fmt: skip


def _said(text: _Written, place: int, end: bool) -> dict[str, Any]:
    """How a word looks, and what its tip says; the prompt's words have places below 0."""
    if place < 0:
        return {"look": "prompt", "fixed": True, "tip": []}
    if place in text.branch.places:
        return {"look": "taken", "tip": ["the branch that you took"]}
    looks = {"look": "end" if end else ""}
    known = place - len(text.branch.taken)
    if text.sample is None or known < 0:
        return looks | {"tip": []}
    return looks | {"tip": [f"p = {words_figure.probability_text(float(text.sample.probability[known]))}"]}


def _alternatives(demo: Demo, job: Job, which: Which, text: _Written, place: int, names: tuple[str, ...]) -> None:
    """The ten likeliest words at a place of a text. A click on one of them takes that branch."""

    def called(word: int) -> str:
        return "¶ new line" if names[word] == EOS else names[word]

    taken, sample = text.branch.taken, text.sample
    if place < len(taken):
        taken = taken[:place]
        samples = drawn(which, corpus_of(job), text.how._replace(taken=taken), (text.temperature,))
        sample = samples[0] if samples is not None else None
    if sample is None:
        return
    at, word = place - len(taken), text.words[place]
    best, probabilities = sample.best[at].tolist(), sample.best_probability[at].tolist()
    if word in best:
        probability = probabilities[best.index(word)]
    else:
        probability = float(sample.probability[at]) if sample.words[at] == word else 0.0
    own = place in text.branch.places
    st.subheader(f"What else it could have said, at temperature {text.temperature:g}", anchor=False)
    st.markdown(
        f"Word {place + 1}: {'you took' if own else 'it drew'} **{escaped(called(word))}**. "
        "Click another bar, and the text goes on from there with the random numbers that are left."
    )
    marked = words_figure.Marked(called(word), probability, None, "→", "what you took" if own else "what it drew")
    figure = words_figure.guesses_figure(
        [called(each) for each in best], probabilities, marked, color=style.CHOSEN, hatch=TAKEN_HATCH,
        about=f"The ten likeliest words at word {place + 1}", numbers=[str(each) for each in best],
    )  # fmt: skip

    def branch(other: str) -> None:
        places = (*(earlier for earlier in text.branch.places if earlier < place), place)
        of, now = (job.id, text.how, text.temperature), _Branch((*text.words[:place], int(other)), places)
        st.session_state[key(demo, f"branch/{text.number}")] = (of, now)

    live_chart("branches", None, figure, key=key(demo, "branches"), height=figure["layout"]["height"], on_click=branch)
