"""A language model's words: a sentence and how surprised the network is by it, texts that it writes, its diary, its result.

A fragment: what a person does here draws this part of the page only. A network is read when somebody does something here,
and when an epoch ends, because then the page is drawn anew.
"""

import html
from typing import Any

import streamlit as st

from app import words_measured, words_samples, words_sentence, words_unsure
from app.markdown import escaped
from app.service import jobs
from app.words_networks import Which, is_held, latest
from app.words_sentence import key
from demos.registry import Demo, get
from lib.corpora import CorpusError
from lib.job import Job
from lib.texts import TextError

NOT_BEGUN = "As soon as the run has begun, you can read and write with its network."
NO_WEIGHTS = "Of this run there is no network here. Train one to read and write with it; the diary is there."
FIRST_EPOCHS = 12  # of the diary, unless all are wanted


# Besides the diary, the sections that there are; a demo has some of them.
DRAWN = {
    "sentence": words_sentence.draw,
    "samples": words_samples.draw,
    "unsure": words_unsure.draw,
    "measured": words_measured.draw,
}


@st.fragment
def draw(slug: str, run_id: str | None) -> None:
    """The panel for a run."""
    demo, job = get(slug), jobs().get(run_id) if run_id else None
    st.header("Words", anchor=False)
    if demo.words is None:
        return
    if job is None:
        st.info(demo.words.NOTHING_YET, icon=":material/menu_book:")
        return
    try:
        _result(demo.words, job)
        section = st.segmented_control(
            "Look at",
            list(demo.words.SECTIONS),
            default=next(iter(demo.words.SECTIONS)),
            format_func=demo.words.SECTIONS.__getitem__,
            key=key(demo, "section"),
            label_visibility="collapsed",
            required=True,
        )
        if section == "diary":
            _diary(demo, demo.words, job)
        elif (which := _network(demo, job, section)) is None:
            st.info(NO_WEIGHTS if job.step or job.diary else NOT_BEGUN, icon=":material/menu_book:")
        else:
            DRAWN[section](demo, demo.words, job, which)
    except (CorpusError, TextError, ValueError) as error:
        st.error(escaped(str(error)), icon=":material/error:")


def _network(demo: Demo, job: Job, section: str) -> Which | None:
    """The network that is looked at: that of now, which stays until an epoch or the run ends, or somebody asks for another
    or goes to another section."""
    asked = (job.id, str(job.state), len(job.diary), section)
    held, which = st.session_state.get(key(demo, "network"), (None, None))
    if held != asked or which is None or not (which.kept or is_held(which)):
        which = latest(job)
        st.session_state[key(demo, "network")] = (asked, which)
    if which is None:
        return None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"With the network {_when(job, which.step)}.", width="content")
        if job.active:
            st.button(
                "Take the network of now", key=key(demo, "again"), icon=":material/refresh:",
                on_click=st.session_state.pop, args=(key(demo, "network"), None),
                help="It learns on while you read. After every epoch this is done by itself.",
            )  # fmt: skip
    found: Which = which
    return found


def _when(job: Job, step: int) -> str:
    """When a network was so."""
    if step == 0:
        return "**before it has learned anything**"
    epochs, beyond = divmod(step, max(1, job.steps_per_epoch))
    if job.epochs == 1:
        return f"of step **{step:,}**"
    return f"of step **{step:,}**, {f'in epoch {epochs + 1}' if beyond else f'at the end of epoch {epochs}'}"


def _result(words: Any, job: Job) -> None:
    """What a run that has ended reached, and what that is worth."""
    test = next((note["test_perplexity"] for note in reversed(job.diary) if "test_perplexity" in note), None)
    if job.active or test is None:
        return
    result = words.result(job.config, test, changed=bool(job.changes))
    with st.container(border=True):
        with st.container(horizontal=True, gap="large"):
            st.metric("Test perplexity", f"{test:,.2f}", width="content")
            for name, value in result.others:
                st.metric(name, f"{value:,.2f}", width="content")
        st.markdown(result.meaning)
        if result.note:
            st.caption(result.note)


# The diary

DIARY_LOOK = """<style>
.unrolled-diary { container-type: inline-size; line-height: 1.5; }
.unrolled-diary .row { display: grid; grid-template-columns: 8rem repeat(var(--columns), 1fr); gap: 1.25rem; padding: 0.75rem 0;
  border-top: 1px solid color-mix(in srgb, currentColor 18%, transparent); }
.unrolled-diary .head { border: 0; font-size: 0.875rem; font-weight: 600; padding-bottom: 0.25rem; }
.unrolled-diary .epoch span, .unrolled-diary .at { display: block; font-size: 0.8125rem; opacity: 0.8; }
.unrolled-diary .at { display: none; }
.unrolled-diary .text { overflow-wrap: anywhere; }
.unrolled-diary b { font-weight: 600; }
@container (max-width: 40rem) {
  .unrolled-diary .row { grid-template-columns: 1fr; gap: 0.5rem; }
  .unrolled-diary .head { display: none; }
  .unrolled-diary .at { display: block; }
}
</style>"""


def _diary(demo: Demo, words: Any, job: Job) -> None:
    """What the network wrote at some steps, the newest first."""
    notes = [note for note in reversed(job.diary) if note.get("samples")]
    if not notes:
        st.info(words.NO_DIARY, icon=":material/edit_note:")
        return
    prompts = list(dict.fromkeys(sample["prompt"] for sample in notes[0]["samples"]))
    prompt = prompts[0]
    if len(prompts) > 1:
        chosen = st.segmented_control(
            "Beginning",
            prompts,
            default=prompts[-1],
            format_func=lambda each: escaped(each) or "none: a new sentence",
            key=f"{key(demo, 'diary_prompt')}/{len(prompts)}",
            required=True,
        )
        prompt = chosen if chosen in prompts else prompts[0]
    st.caption(
        "It goes on from the same beginning with the same random numbers each time. The newest text is on top, the columns are "
        "temperatures."
    )
    everything = len(notes) <= FIRST_EPOCHS or st.toggle(f"All {len(notes)} notes", key=key(demo, "diary_all"))
    st.html(DIARY_LOOK + _diary_rows(words, notes if everything else notes[:FIRST_EPOCHS], prompt))


def _diary_rows(words: Any, notes: list[dict[str, Any]], prompt: str) -> str:
    temperatures = list(dict.fromkeys(sample["temperature"] for sample in notes[0]["samples"]))
    head = "".join(f"<div>temperature {temperature:g}</div>" for temperature in temperatures)
    rows = [f'<div class="row head"><div></div>{head}</div>']
    for note in notes:
        texts = {sample["temperature"]: sample["text"] for sample in note["samples"] if sample["prompt"] == prompt}
        cells = "".join(
            f'<div class="text"><span class="at">temperature {temperature:g}</span>{_diary_text(words, prompt, text)}</div>'
            for temperature, text in texts.items()
        )
        when, measured = words.diary_heading(note)
        said = f'<div class="epoch"><b>{when}</b><span>{measured}</span></div>'
        rows.append(f'<div class="row">{said}{cells}</div>')
    return f'<div class="unrolled-diary" style="--columns: {len(temperatures)}">{"".join(rows)}</div>'


def _diary_text(words: Any, prompt: str, text: str) -> str:
    """A text in HTML, its beginning bold."""
    begun = len(prompt.split())
    parts = []
    for place, piece in enumerate(words.prose([*prompt.split(), *text.split()])):
        shown = html.escape("" if piece.end else piece.text)
        gap = "" if piece.glued or not place else " "
        parts.append(f"{gap}<b>{shown}</b>" if place < begun else f"{gap}{shown}")
        parts.append("<br>" if piece.end else "")
    return "".join(parts)
