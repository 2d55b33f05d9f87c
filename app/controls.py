"""Controls made from a config's fields, and the settings in the web address.

The settings of a page are one dict in `st.session_state`, and stand in the address wherever they are not the defaults.
Streamlit's own `bind="query-params"` is not used, because it drops a bad value without a word: here every value is
validated and clamped, and the page says what was changed.

When the program sets controls (a preset, the coach, an experiment), they get new keys. Under the old ones a browser that
has not heard of it yet would send the old values back with its next message, and they would win.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from app import corpus_panel, own_text
from app.markdown import escaped
from demos.registry import Demo
from lib.settings import Config, Setting, SettingError, clamp, parse, settings_of, to_query

SLIDER_STEPS = 100  # a range with more whole numbers than this is typed, not slid
CATCH_UP_SECONDS = 3.0
FIXED = "Your instructor has set this for the room."
MANTISSAS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)


def values(demo: Demo) -> dict[str, Any]:
    """The settings of this page in this session, as they are now: what the controls say, also within a callback."""
    kept = st.session_state.get(f"{demo.slug}/settings", {})
    return {name: st.session_state.get(key_of(demo, name), value) for name, value in kept.items()}


def apply(demo: Demo, changed: Mapping[str, Any]) -> None:
    """Set controls to these values. Call it before the controls are drawn: at a run's start or in a callback."""
    _keep(demo, values(demo) | dict(changed))
    st.session_state[f"{demo.slug}/round"] = st.session_state.get(f"{demo.slug}/round", 0) + 1
    st.session_state[f"{demo.slug}/starts"] = {}


def _keep(demo: Demo, now: Mapping[str, Any]) -> None:
    """Streamlit forgets the values of controls that are not drawn, for example while another page is open."""
    st.session_state[f"{demo.slug}/settings"] = dict(now)


def key_of(demo: Demo, field: str) -> str:
    """The key of a setting's control."""
    return f"{demo.slug}.{field}.{st.session_state.get(f'{demo.slug}/round', 0)}"


def read_address(demo: Demo, start: Config | None = None) -> None:
    """Take the settings from the web address when it is new to this session: at the first run, or edited by hand.

    What was clamped is kept as notes for the page. Without any setting in the address, `start` gives the values.
    """
    fields = settings_of(demo.config)
    address = {name: value for name, value in st.query_params.to_dict().items() if name in fields}
    if _is_ours(demo, address):
        return
    config, notes = clamp(demo.config, address)
    if not address and start is not None:
        config = start
    apply(demo, config.model_dump())
    st.session_state[f"{demo.slug}/notes"] = notes
    st.session_state[f"{demo.slug}/addresses"] = (address, address, time.monotonic())


def _is_ours(demo: Demo, address: Mapping[str, str]) -> bool:
    """Whether the page wrote this address itself: just now, or just before, and the browser has not yet caught up."""
    if f"{demo.slug}/addresses" not in st.session_state:
        return False
    now, before, changed_at = st.session_state[f"{demo.slug}/addresses"]
    return address == now or (address == before and time.monotonic() - changed_at < CATCH_UP_SECONDS)


def write_address(demo: Demo, config: Config) -> None:
    """Put the settings into the web address, the defaults left out."""
    wanted = to_query(config)
    for name in settings_of(demo.config):
        if name not in wanted and name in st.query_params:
            del st.query_params[name]
    st.query_params.update(wanted)
    now, _, _ = st.session_state[f"{demo.slug}/addresses"]
    if wanted != now:
        st.session_state[f"{demo.slug}/addresses"] = (wanted, now, time.monotonic())


def show_notes(demo: Demo) -> None:
    """Say what the address asked for and did not get."""
    notes = st.session_state.get(f"{demo.slug}/notes")
    if not notes:
        return
    st.warning(
        "\n".join(f"- {escaped(note)}" for note in notes), title="The address was changed", icon=":material/link:"
    )
    st.button("Understood", key=f"{demo.slug}/notes_read", on_click=st.session_state.pop, args=(f"{demo.slug}/notes",))


def settings_panel(
    demo: Demo, fixed: Mapping[str, Any], on_live_change: Callable[[str], None]
) -> tuple[Config | None, SettingError | None]:
    """Draw all controls; returns the config, or None and the error when the values do not go together.

    What is `fixed` has this value, and its control cannot be moved. When a live control is moved, only that is drawn again, after
    `on_live_change` with the setting's name, which may ask for more.
    """
    now = values(demo)
    if any(now[name] != value for name, value in fixed.items()):
        apply(demo, fixed)
        now = values(demo)
    _preset_menu(demo)
    groups: dict[str, list[Setting]] = {}
    for field in settings_of(demo.config).values():
        groups.setdefault(field.group, []).append(field)
    for group, fields in groups.items():
        with st.expander(group, expanded=True):
            for field in fields:
                # What does not matter here keeps its value for when it does.
                if field.matters(now):
                    draw = _live_control if field.live else _control
                    draw(demo, field, now, on_live_change, fixed=field.name in fixed)
    return settled(demo)


def settled(demo: Demo) -> tuple[Config | None, SettingError | None]:
    """The config that the controls say, or None and the error; what they say is kept."""
    now = values(demo)
    _keep(demo, now)
    try:
        return parse(demo.config, now), None
    except SettingError as error:
        return None, error


def _preset_menu(demo: Demo) -> None:
    """Named settings. The menu says what they are, and choosing one sets every control."""

    def choose() -> None:
        name = st.session_state.get(f"{demo.slug}/preset")
        if name:
            apply(demo, demo.presets[name].model_dump())
            st.session_state[f"{demo.slug}/preset"] = None

    st.selectbox(
        "Presets",
        list(demo.presets),
        index=None,
        key=f"{demo.slug}/preset",
        on_change=choose,
        placeholder="Choose settings by name",
        help="Sets every control below.",
    )


def _start_value(demo: Demo, field: Setting, now: Mapping[str, Any]) -> Any:
    """What a control begins with, the same at every run as long as it is drawn.

    It is not put into the session's state: from there it is sent only once, and is lost when that run is overtaken by
    another, as happens while a page is opened on a busy machine.
    """
    starts, key = st.session_state.setdefault(f"{demo.slug}/starts", {}), key_of(demo, field.name)
    if key not in st.session_state or field.name not in starts:
        starts[field.name] = now[field.name]
    return starts[field.name]


def _control(
    demo: Demo, field: Setting, now: Mapping[str, Any], on_live_change: Callable[[str], None], *, fixed: bool
) -> None:
    label = field.label if not field.unit or field.unit in field.label.lower() else f"{field.label} ({field.unit})"
    value = _start_value(demo, field, now)
    look: dict[str, Any] = {
        "key": key_of(demo, field.name),
        "help": FIXED if fixed else field.help + (" Takes effect at once." if field.live else ""),
        "disabled": fixed,
    }
    if field.sets:
        look["on_change"] = partial(_set_others, demo, field)
    elif field.live:
        look |= {"on_change": on_live_change, "args": (field.name,)}
    low, high, step = (field.type(bound or 0) for bound in (field.minimum, field.maximum, field.step or 1))
    if field.text:
        if not fixed:
            own_text.control(demo, field, {**now, field.name: value}, apply)
    elif field.options:
        options = field.options
        place = list(options).index(value)
        st.selectbox(label, list(options), place, format_func=options.__getitem__, **look)
    elif field.scale == "log":
        grid = log_grid(field, value, now[field.name])
        st.select_slider(label, grid, value, format_func=lambda stop: f"{stop:g}", **look)
    elif field.type is bool:
        st.toggle(label, value, **look)
    elif field.type is float or _slidable(field):
        st.slider(label, low, high, value, step, **look)
    else:
        st.number_input(label, low, high, value, step, **look)
    corpus_panel.draw(demo, field, now)


_live_control = st.fragment(_control)


def typed(label: str, value: str = "", *, key: str, **look: Any) -> str:
    """A text field that keeps what was typed also while it is not drawn.

    Streamlit's `persist_state` sends that to the browser once, when the field comes back, and it is lost for good when that run
    is overtaken by another. Here it is what the field begins with, at every run.
    """
    last, starts = st.session_state.setdefault("typed", ({}, {}))
    if key not in st.session_state or key not in starts:
        starts[key] = last.get(key, value)
    text: str = st.text_input(label, starts[key], key=key, **look)
    last[key] = text
    return text


def _set_others(demo: Demo, field: Setting) -> None:
    """Set what an option sets beside itself."""
    chosen = st.session_state[key_of(demo, field.name)]
    apply(demo, {field.name: chosen, **(field.sets or {}).get(chosen, {})})


def _slidable(field: Setting) -> bool:
    return ((field.maximum or 0) - (field.minimum or 0)) / (field.step or 1) <= SLIDER_STEPS


def log_grid(field: Setting, *values: float) -> list[float]:
    """The stops of a logarithmic slider, 1, 1.5, 2, 3, 5, 7, 10 …, and the values that it has had."""
    low, high = float(field.minimum or 1e-6), float(field.maximum or 1.0)
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    stops = {float(f"{mantissa:g}e{decade}") for decade in decades for mantissa in MANTISSAS}
    return sorted({stop for stop in stops if low <= stop <= high} | {low, high, *map(float, values)})
