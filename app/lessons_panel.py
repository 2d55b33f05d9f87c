"""The guided experiments (predict, run, compare) and "How it works"."""

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st

from app import controls, run_bar
from demos.registry import Demo
from lib.lessons import Experiment, Results, Source, plain
from lib.limits import LimitError
from lib.settings import Config, replace

TRUE, FALSE = ":green[:material/check_circle:]", ":red[:material/cancel:]"


def experiments(demo: Demo, visitor: str) -> None:
    """Choose an experiment, say what will happen, and run it."""
    st.markdown(
        "Each experiment asks you first what will happen. Then it runs, and shows whether you were right, and why."
    )
    table = {experiment.slug: experiment for experiment in demo.lessons.EXPERIMENTS}
    slug = st.pills(
        "Experiment",
        list(table),
        format_func=lambda slug: table[slug].title,
        key=f"{demo.slug}/experiment",
        persist_state="session",
        default=next(iter(table)),
        required=True,
        label_visibility="collapsed",
    )
    experiment = table[slug or next(iter(table))]
    with st.container(border=True):
        st.markdown(f"**{experiment.title}**  \n{experiment.question}")
        labels = [choice.label for choice in experiment.choices]
        guess = st.radio(
            "Your prediction",
            range(len(labels)),
            format_func=labels.__getitem__,
            index=None,
            key=f"{demo.slug}/guess/{experiment.slug}",
            persist_state="session",
        )
        st.button(
            "Run the experiment",
            type="primary",
            icon=":material/science:",
            disabled=guess is None,
            key=f"{demo.slug}/run_experiment",
            on_click=_run,
            args=(demo, visitor, experiment, guess),
            help="First choose what you think will happen." if guess is None else None,
        )


def _run(demo: Demo, visitor: str, experiment: Experiment, guess: int) -> None:
    controls.apply(demo, experiment.config.model_dump())
    job = run_bar.start(demo, visitor)
    if job is not None:
        st.session_state[f"{demo.slug}/asked"] = (experiment.slug, guess, job.id)


def experiment_result(demo: Demo, job: Any) -> None:
    """While an experiment's run is shown: what was predicted, and when it has ended, what came out and which claims came true."""
    asked = st.session_state.get(f"{demo.slug}/asked")
    if asked is None or job is None or asked[2] != job.id:
        return
    experiment = next(e for e in demo.lessons.EXPERIMENTS if e.slug == asked[0])
    title, predicted = f"Experiment: {experiment.title}", f"You predicted: *{experiment.choices[asked[1]].label}*."
    if job.active:
        st.info(f"{experiment.question}  \n{predicted}", title=title, icon=":material/science:")
        return
    found = _found(demo, job, experiment) if str(job.state) == "finished" else None
    if found is None:
        why = f"the run was {job.state} at step {job.step:,} of {job.steps:,}"
        if str(job.state) == "finished":
            why = "the run's weights cannot be read"
        text = f"{predicted} It cannot be compared, because {why}. Run the experiment again, under *Try this*."
        st.warning(text, title=title, icon=":material/science:")
        return
    reached, claims = found
    outcome = experiment.choice_of(reached)
    right = outcome == asked[1]
    measure, number = experiment.outcome, ""
    if measure.unit is not None:
        shown = f"{plain(reached)} {measure.unit}".rstrip() if math.isfinite(reached) else "not measured"
        number = f" {measure.label} was **{shown}**."
    parts = [f"{predicted}{number} {_verdict(experiment, asked[1], outcome)}", claims]
    (st.success if right else st.info)(
        "\n\n".join([*parts, experiment.explanation]), title=title, icon=":material/science:"
    )


def _verdict(experiment: Experiment, guess: int, outcome: int | None) -> str:
    """Whether the prediction came true, and whether the run came out as it usually does."""
    said = "You were right."
    if outcome != guess:
        said = "None of the predictions fits."
        if outcome is not None:
            said = f"It came out otherwise: *{experiment.choices[outcome].label}*."
    if outcome != experiment.answer:
        said += f" Usually it is *{experiment.choices[experiment.answer].label}*: below is what differs in this run."
    return said


def _found(demo: Demo, job: Any, experiment: Experiment) -> tuple[float, str] | None:
    """The outcome, and each claim with its number from this run and whether it came true, in Markdown; measured once.

    None where the run's weights are not there.
    """
    key, asked = f"{demo.slug}/findings", (experiment.slug, job.id)
    if st.session_state.get(key, (None, None))[0] != asked:
        leaves = _weights(job)
        if leaves is None:
            return None
        results = Results(replace(job.config, **job.live), job.stream, leaves, job.diary)
        findings = [claim.check(results) for claim in experiment.claims]
        st.session_state[key] = asked, (experiment.outcome.of(results), findings)
    reached, findings = st.session_state[key][1]
    lines = (
        f"{TRUE if finding.holds else FALSE} {claim.text} **{finding.value}**"
        for claim, finding in zip(experiment.claims, findings, strict=True)
    )
    return reached, "\n\n".join(lines)


def _weights(job: Any) -> Mapping[str, Any] | None:
    """What the run ended with; None where nobody has it, as when its training process has just gone."""
    try:
        weights: Mapping[str, Any] | None = job.weights()
    except LimitError:
        return None
    return weights


def how_it_works(demo: Demo, config: Config) -> None:
    """The equations with the current shapes, the floor's derivation, and the real source of the step."""
    left, right = st.columns(2)
    with left:
        st.subheader("The equations", anchor=False)
        st.markdown(demo.lessons.equations(config))
        st.subheader("How low the loss can go", anchor=False)
        st.markdown(demo.theory.explain(config))
    with right:
        st.subheader("The code that runs", anchor=False)
        sources = demo.lessons.sources(config)
        trained, others = [s for s in sources if not s.makes], [s for s in sources if s.makes]
        if trained:
            st.caption("Read from this server's own files: this is the step that is being trained.")
            _code(trained)
        if others:
            st.caption(
                "From the same files, but not part of a training step:" if trained else "From this server's own files:"
            )
            _code(others)


def _code(sources: list[Source]) -> None:
    for source in sources:
        makes = f"  \nIt makes {source.makes}." if source.makes else ""
        st.markdown(f"**{source.heading}** · `{source.path}`{makes}")
        st.code(source.text(), language="python", wrap_lines=True)
