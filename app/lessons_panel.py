"""The guided experiments (predict, run, compare) and "How it works"."""

from typing import Any

import streamlit as st

from app import controls, run_bar
from demos.registry import Demo
from lib.lessons import Experiment, Source, plain
from lib.settings import Config


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
            "Your prediction of the loss",
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
    """While an experiment's run is shown: what was predicted, and when it has ended, what came out."""
    asked = st.session_state.get(f"{demo.slug}/asked")
    if asked is None or job is None or asked[2] != job.id:
        return
    experiment = next(e for e in demo.lessons.EXPERIMENTS if e.slug == asked[0])
    predicted = f"You predicted: *{experiment.choices[asked[1]].label}*."
    loss = job.stream.summary().get("loss", {}).get("mean_last_100")
    if str(job.state) != "finished" or loss is None:
        st.info(
            f"{experiment.question}  \n{predicted}", title=f"Experiment: {experiment.title}", icon=":material/science:"
        )
        return
    outcome = experiment.choice_of(loss)
    right = outcome == asked[1]
    verdict = "You were right." if right else f"It came out otherwise: *{experiment.choices[outcome].label}*."
    explanation = (
        experiment.explanation
        if outcome == experiment.answer
        else ("This run came out differently from what this experiment usually shows; try it again with a new seed.")
    )
    box = st.success if right else st.info
    box(
        f"{predicted} The loss ended at **{plain(loss)} nats** (mean of the last 100 steps). {verdict}\n\n{explanation}",
        title=f"Experiment: {experiment.title}",
        icon=":material/science:",
    )


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
