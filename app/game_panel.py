"""A demo's task for the person: predict the targets one by one, beside the network and what the rule is worth."""

from typing import Any

import streamlit as st

from app.service import jobs
from demos.registry import Demo
from lib.lessons import Round
from lib.settings import Config

SHOWN = 12  # positions: what fits on a phone, unless the task looks further back


@st.fragment
def draw(demo: Demo, config: Config, job: Any) -> None:
    """The game, played in place: an answer runs only this part of the page again."""
    game, run_id = demo.lessons.GAME, job.id if job else None
    number = st.session_state.setdefault(f"{demo.slug}/game", 0)
    task = (number, run_id, config.model_dump_json())  # a new rule or run is a new game
    key = f"{demo.slug}/answers"
    if st.session_state.get(key, (None,))[0] != task:
        st.session_state[key] = (task, [])
    answers: list[int] = st.session_state[key][1]
    snapshot = current.snapshot if run_id and (current := jobs().get(run_id)) else None
    rounds: list[Round] = demo.lessons.rounds(config, snapshot, number)

    st.subheader(game.title, anchor=False)
    st.caption(game.introduction)
    with st.container(border=True):
        left, right = st.columns([3, 2])
        with left:
            _sequence(rounds, answers, max(SHOWN, demo.lessons.looks_back(config) + 1))
            _question(demo, rounds, answers, game.games)
        with right:
            _scores(rounds, answers)


def _sequence(rounds: list[Round], answers: list[int], shown: int) -> None:
    """The last positions: inputs, the targets that are told, and one's answers."""
    end = min(len(answers) + 1, len(rounds))
    places = range(max(0, end - shown), end)
    told = [str(rounds[i].target) if i < len(answers) else "**?**" for i in places]
    said = [_mark(answers[i], rounds[i].target) if i < len(answers) else "" for i in places]
    rows = [
        ["position", *(str(i + 1) for i in places)],
        ["---"] * (len(places) + 1),
        [":blue[input]", *(f":blue[{rounds[i].bit}]" for i in places)],
        [":red[target]", *told],
        ["you", *said],
    ]
    st.markdown("\n".join(f"| {' | '.join(row)} |" for row in rows))


def _mark(answer: int, target: int) -> str:
    return f"{answer} ✓" if answer == target else f"{answer} ✗"


def _question(demo: Demo, rounds: list[Round], answers: list[int], games: int) -> None:
    if answers:
        last = rounds[len(answers) - 1]
        right = "Right" if answers[-1] == last.target else "Wrong"
        network = "" if last.probability is None else f" The network's probability of a 1 was {last.probability:.2f}."
        with st.expander(f"{right}: the target was {last.target}. Why?"):
            st.markdown(f"The target of position {len(answers)} is {last.why}.{network}")
    if len(answers) < len(rounds):
        st.markdown(f"The target of position {len(answers) + 1} is …")
    else:
        st.markdown("That was the last one.")
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(answers) < len(rounds):
            for bit in (0, 1):
                st.button(str(bit), key=f"{demo.slug}/say_{bit}", on_click=answers.append, args=(bit,), width=64)
        st.button(
            "New sequence",
            key=f"{demo.slug}/new_game",
            icon=":material/replay:",
            on_click=_next,
            args=(demo, games),
            help="Begin again with other random bits and the same rule.",
        )


def _next(demo: Demo, games: int) -> None:
    st.session_state[f"{demo.slug}/game"] = (st.session_state[f"{demo.slug}/game"] + 1) % games


def _scores(rounds: list[Round], answers: list[int]) -> None:
    """How many were right so far: the person, the network, and on average who knows the rule."""
    done = rounds[: len(answers)]
    count = len(done)
    mine = sum(answer == r.target for answer, r in zip(answers, done, strict=True))
    network = sum((r.probability > 0.5) == r.target for r in done if r.probability is not None)
    known = all(r.probability is not None for r in rounds)
    scores = (
        ("You", f"{mine} of {count}", "Your right answers so far."),
        (
            "Network",
            f"{network} of {count}" if known else "–",
            "The run's right answers, or a dash before a run has begun.",
        ),
        (
            "Knowing the rule",
            f"{sum(r.certainty for r in done):g} of {count}",
            "On average: coins are right half of the time.",
        ),
    )
    with st.container(horizontal=True):
        for label, value, help_text in scores:
            st.metric(label, value, help=help_text, width="content")
