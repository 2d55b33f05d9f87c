"""A sentence, word by word: how surprised the network is, how its perplexity comes about, and what it had expected."""

from typing import Any, NamedTuple

import numpy as np
import streamlit as st

from app import controls
from app.chips import chips
from app.live import live_chart
from app.markdown import escaped
from app.service import jobs
from app.words_networks import Which, reading
from demos.registry import Demo
from lib import style, words_figure
from lib.job import Job
from lib.vocabulary import EOS, UNK
from lib.word_model import Reading, under_unigram, worked_out


class _Row(NamedTuple):
    """A way to read the sentence: what it is called above its chips, and in the middle of a sentence."""

    name: str
    whose: str
    reading: Reading


def key(demo: Demo, name: str) -> str:
    return f"{demo.slug}/words/{name}"


def corpus_of(job: Job) -> tuple[Any, ...]:
    """What a run of a language model reads, as its demo's words take it: a corpus's name, the id of the person's own text, …"""
    config: Any = job.config
    found: tuple[Any, ...] = config.reads
    return found


def draw(demo: Demo, words: Any, job: Job, which: Which) -> None:
    """The section for a network; `words` is the demo's module."""
    sentence = _what_it_reads(demo, words, job)
    if sentence is None:
        return
    name, text = corpus_of(job)
    corpus = words.corpus(name, text)
    first = corpus.numbers[EOS]
    rows = {"now": _Row("This network", "this network", reading(which, sentence.ids, first))}
    legend = st.container()
    strips = [st.container()]
    if (earlier := _earlier(demo, job, which)) is not None:
        epoch = earlier.step // max(1, job.steps_per_epoch)
        whose = f"network after epoch {epoch}"
        rows["earlier"] = _Row(f"The {whose}", f"the {whose}", reading(earlier, sentence.ids, first))
        strips.append(st.container())
    unigram = under_unigram(words.frequencies(name, text), sentence.ids)
    rows["unigram"] = _Row("Unigram model: how frequent each word is", "the unigram model", unigram)
    strips.append(st.container())
    row, place = _chosen(demo, job, sentence, rows)
    with legend:
        _legend(demo)
    for strip, (way, each) in zip(strips, rows.items(), strict=True):
        with strip:
            _chips(demo, job, way, each, sentence, len(corpus.words), place if way == row else None)
    _worked_out(rows["now"].reading)
    _guesses(demo, sentence, place, rows[row], corpus.words)


def _what_it_reads(demo: Demo, words: Any, job: Job) -> Any:
    """An unseen sentence by its number, or one that the person typed; None where that cannot be read, which is said."""
    name, text = corpus_of(job)
    count = len(words.test_sentences(name, text))
    left, right = st.columns([1, 4])
    with left:
        number = st.number_input(
            "Unseen sentence", 1, max(1, count), key=f"{key(demo, 'number')}/{count}", persist_state="session",
            help=f"One of the {count:,} sentences of the test text, which it never learns from.",
        )  # fmt: skip
    with right:
        typed = controls.typed(
            "Or type your own",
            key=key(demo, "typed"),
            max_chars=words.LONGEST_TYPED,
            placeholder="Any sentence. Empty shows the unseen one.",
        )
    if not typed.strip():
        return words.of_test(name, text, int(number))
    try:
        sentence = words.typed(name, text, typed)
    except words.WordsError as error:
        st.error(escaped(str(error)), icon=":material/keyboard:")
        return None
    if sentence.unknown:
        several = len(sentence.unknown) > 1
        which = f"{'These words are' if several else 'This word is'} not in its vocabulary: {words.quoted(sentence.unknown)}."
        it = "They are" if several else "It is"
        done = "left out." if sentence.left_out else f"read as {UNK}, the word for all that are unknown."
        st.warning(escaped(f"{which} {it} {done}"), icon=":material/help:")
    return sentence


def _earlier(demo: Demo, job: Job, which: Which) -> Which | None:
    """A network of an earlier epoch."""
    per_epoch = max(1, job.steps_per_epoch)
    steps = [step for step in jobs().store.network_steps(job.id) if step < which.step]
    if not steps:
        return None
    chosen = st.segmented_control(
        "Compare with the network after epoch",
        steps,
        default=steps[0],
        format_func=lambda step: f"{step // per_epoch:,}",
        key=f"{key(demo, 'earlier')}/{job.id}",
        persist_state="session",
        required=True,
    )
    return Which(job.slug, job.id, int(chosen if chosen in steps else steps[0]), True)


def _chosen(demo: Demo, job: Job, sentence: Any, rows: dict[str, _Row]) -> tuple[str, int]:
    """The row and the place that was clicked on; at first the word that surprised the network most."""
    of, row, place = st.session_state.get(key(demo, "place"), (None, "now", 0))
    if of == (job.id, sentence.ids) and row in rows:
        return row, place
    return "now", int(np.argmax(rows["now"].reading.surprise_bits))


def _legend(demo: Demo) -> None:
    st.markdown(
        "How surprised is it by each word? **Surprise** is $-\\log_2 p$ bits, where $p$ is the probability that the word had "
        "before it was read. Click a word to see what was expected in its place."
    )
    chips("legend", words_figure.legend_chips(), "What the shades mean", key=key(demo, "legend"), mode="legend")


def _chips(demo: Demo, job: Job, name: str, row: _Row, sentence: Any, size: int, chosen: int | None) -> None:
    """The sentence as chips, with its perplexity."""
    perplexity = words_figure.perplexity_text(row.reading.perplexity)
    st.markdown(f"{row.name}: perplexity **{perplexity}**")

    def choose(place: int) -> None:
        st.session_state[key(demo, "place")] = ((job.id, sentence.ids), name, place)

    chips(
        f"chips-{name}", words_figure.chips(sentence.labels, row.reading, size), f"{row.name}: perplexity {perplexity}",
        key=key(demo, f"chips/{name}"), chosen=chosen, on_click=choose,
    )  # fmt: skip


def _worked_out(of: Reading) -> None:
    """Perplexity, computed before one's eyes."""
    working = worked_out(of)
    st.subheader("How perplexity comes from it", anchor=False)
    st.markdown(
        f"##### As if at every word it had to choose among {words_figure.choices_text(working.perplexity)} equally likely ones."
    )
    count = working.length
    steps = (
        (f"**1.** Multiply all {count} probabilities.", words_figure.product_latex(working)),
        (f"**2.** Take the {_ordinal(count)} root: a typical probability.", words_figure.root_latex(working)),
        ("**3.** Turn it over: the **perplexity**.", words_figure.inverse_latex(working)),
    )
    for column, (what, how) in zip(st.columns(3, border=True), steps, strict=True):
        with column:
            st.markdown(what)
            st.latex(how)
    st.markdown(
        f"The bits on the chips say the same: their mean is {working.mean_bits:.2f}, and ${words_figure.power_latex(working)}$."
    )


def _ordinal(count: int) -> str:
    if count == 2:
        return "square"
    ending = "th" if count % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count}{ending}"


def _guesses(demo: Demo, sentence: Any, place: int, row: _Row, names: tuple[str, ...]) -> None:
    """The ten best guesses at a place, and the word that was there."""

    def called(number: int) -> str:
        return "■ end" if names[number] == EOS else names[number]

    shown = [called(number) for number in sentence.ids]
    before = " ".join(shown[max(0, place - 5) : place])
    where = f"after “{'… ' * (place > 5)}{before}”" if place else "at the start of the sentence"
    came, best = shown[place], row.reading.best[place].tolist()
    st.subheader("What was expected instead", anchor=False)
    st.markdown(f"The ten best guesses of {row.whose} {escaped(where)}. What came was **{escaped(came)}**.")
    marked = words_figure.Marked(
        came, float(row.reading.probability[place]), int(row.reading.rank[place]), "✓", "what came"
    )
    figure = words_figure.guesses_figure(
        [called(number) for number in best], row.reading.best_probability[place].tolist(), marked,
        color=style.TARGET, hatch=style.TARGET_HATCH, about=f"The ten best guesses of {row.whose} {where}",
    )  # fmt: skip
    live_chart("guesses", None, figure, key=key(demo, "guesses"), height=figure["layout"]["height"])
