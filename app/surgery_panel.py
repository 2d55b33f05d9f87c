"""Operating on a network: gates held at a value, units frozen or removed; and what that does, beside the untouched one."""

from typing import Any

import streamlit as st

from demos.registry import Demo
from lib.inside import SHOWN, Inside
from lib.trace import GATES, NAMES, Clamp, Freeze, Surgery

AS_IT_IS, AT_0, AT_1 = "as it is", "held at 0", "held at 1"
HELD = {AT_0: 0.0, AT_1: 1.0}
# What is worth trying, by cell: the gate, where it is held, and what the button says.
EXAMPLES = {
    "lstm": ("f", AT_0, "Try it: forget everything (f = 0)"),
    "lstm_peephole": ("f", AT_0, "Try it: forget everything (f = 0)"),
    "lstm_coupled": ("f", AT_0, "Try it: keep nothing (f = 0, so i = 1)"),
    "gru": ("z", AT_0, "Try it: keep nothing (z = 0)"),
}


def _key(demo: Demo, name: str) -> str:
    return f"{demo.slug}/surgery/{name}/{st.session_state.get(f'{demo.slug}/surgery/round', 0)}"


def _values(demo: Demo) -> dict[str, Any]:
    """What the controls say, by their names."""
    kept: dict[str, Any] = st.session_state.setdefault(f"{demo.slug}/surgery", {})
    for name in list(kept):
        if (key := _key(demo, name)) in st.session_state:
            kept[name] = st.session_state[key]
    return kept


def chosen(demo: Demo, cell: str, units: int) -> Surgery:
    """The operation that the controls say, for a network of this kind and size."""
    values = _values(demo)

    def known(name: str) -> tuple[int, ...]:
        return tuple(unit for unit in values.get(name, ()) if unit < units)

    clamps = tuple(
        Clamp(gate, HELD[held], known(f"{gate} units"))
        for gate in GATES[cell]
        if (held := values.get(gate, AS_IT_IS)) in HELD
        and not (values.get(f"{gate} units") and not known(f"{gate} units"))  # none of the chosen units is here
    )
    frozen = tuple(Freeze(unit, int(values.get("from", 1)) - 1) for unit in known("frozen"))
    return Surgery(clamps, frozen, known("removed"))


def shown(demo: Demo) -> str:
    """Which network's gates are to be drawn, when there is an operation."""
    return str(st.session_state.get(f"{demo.slug}/surgery/shown", SHOWN[0]))


def draw(demo: Demo, inside: Inside) -> None:
    """The controls and the outcome."""
    operated = inside.operated
    with st.expander("Intervene", icon=":material/surgical:", expanded=operated, key=f"{demo.slug}/surgery/open"):
        st.caption(
            "Hold a gate open or shut, freeze a unit's state or remove it, and compare with the untouched network. Training "
            "does not notice: this is a copy."
        )
        _controls(demo, inside)
        if operated:
            _outcome(demo, inside)


def _controls(demo: Demo, inside: Inside) -> None:
    values, units = _values(demo), list(range(inside.units))
    gates = GATES[inside.cell]
    if inside.cell == "lstm_coupled":
        st.caption(
            "The input gate is 1 − f: where you hold f at 0, i is 1 and everything is written; where f is 1, nothing is."
        )
    for column, gate in zip(st.columns(max(1, len(gates))), gates, strict=False):
        with column:
            values.setdefault(gate, AS_IT_IS)
            st.segmented_control(
                NAMES[gate].capitalize(), [AS_IT_IS, *HELD], default=values[gate], key=_key(demo, gate), required=True,
                on_change=_remember, args=(demo,),
            )  # fmt: skip
            _units(demo, f"{gate} units", "of which units", "all", values, units)
    columns = st.columns(3)
    with columns[0]:
        _units(demo, "removed", "Remove units: nobody hears them", "none", values, units)
    with columns[1]:
        _units(demo, "frozen", "Freeze units: their state stays", "none", values, units)
    with columns[2]:
        values.setdefault("from", 1)
        st.number_input(
            "Frozen from step", 1, len(inside.reading.inputs), min(values["from"], len(inside.reading.inputs)),
            key=_key(demo, "from"), on_change=_remember, args=(demo,),
        )  # fmt: skip
    with st.container(horizontal=True):
        if inside.cell in EXAMPLES:
            gate, held, label = EXAMPLES[inside.cell]
            st.button(
                label,
                key=f"{demo.slug}/surgery/example",
                icon=":material/lightbulb:",
                on_click=_set,
                args=(demo, {gate: held, f"{gate} units": []}),
            )
        past = st.session_state.get(f"{demo.slug}/surgery/past", [])
        st.button(
            "Undo",
            key=f"{demo.slug}/surgery/undo",
            icon=":material/undo:",
            on_click=_undo,
            args=(demo,),
            disabled=not past,
        )
        st.button(
            "Undo all", key=f"{demo.slug}/surgery/clear", icon=":material/healing:", on_click=_set, args=(demo, None),
            disabled=not inside.operated,
        )  # fmt: skip


def _units(demo: Demo, name: str, label: str, empty: str, values: dict[str, Any], units: list[int]) -> None:
    values.setdefault(name, [])
    st.multiselect(
        label, units, [unit for unit in values[name] if unit in units], key=_key(demo, name), placeholder=empty,
        on_change=_remember, args=(demo,),
    )  # fmt: skip


def _remember(demo: Demo) -> None:
    """Note what the controls said before this change, for Undo."""
    before = dict(st.session_state[f"{demo.slug}/surgery"])
    past = st.session_state.setdefault(f"{demo.slug}/surgery/past", [])
    past.append(before)
    del past[:-50]


def _set(demo: Demo, changed: dict[str, Any] | None) -> None:
    """Set controls, or all to nothing. New keys, so that a browser's older values cannot win (see app/controls.py)."""
    _remember(demo)
    _put(demo, {} if changed is None else _values(demo) | changed)


def _undo(demo: Demo) -> None:
    past = st.session_state.get(f"{demo.slug}/surgery/past", [])
    if past:
        _put(demo, past.pop())


def _put(demo: Demo, values: dict[str, Any]) -> None:
    st.session_state[f"{demo.slug}/surgery"] = dict(values)
    st.session_state[f"{demo.slug}/surgery/round"] = st.session_state.get(f"{demo.slug}/surgery/round", 0) + 1


def _outcome(demo: Demo, inside: Inside) -> None:
    """What the operation does on the held-out sequences, and which network's gates are to be drawn."""
    before, after = inside.scores
    with st.container(horizontal=True, vertical_alignment="bottom"):
        worse, better = after.loss - before.loss, 100 * (after.accuracy - before.accuracy)
        st.metric(
            "Loss on unseen examples", f"{after.loss:.4g} nats", f"{worse:+.4g} nats", delta_color="inverse",
            help=f"Untouched it is {before.loss:.4g} nats.", width="content",
        )  # fmt: skip
        st.metric(
            "Accuracy", f"{after.accuracy:.1%}", f"{better:+.1f} points", help=f"Untouched it is {before.accuracy:.1%}.",
            width="content",
        )  # fmt: skip
        st.segmented_control(
            "Gates drawn below", SHOWN, default=SHOWN[0], format_func=str.capitalize, required=True,
            key=f"{demo.slug}/surgery/shown",
        )  # fmt: skip
