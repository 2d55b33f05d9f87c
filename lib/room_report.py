"""What a room has come to, as files: a table of its runs, and one page that needs no network and no server."""

import base64
import csv
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jinja2
import numpy as np

from lib.challenges import Challenge, leaderboard
from lib.class_map import NOBODY, reached
from lib.records import RoomRecord, RunRecord
from lib.runs_figure import MOST, Overlay, runs_figure
from lib.settings import Config, differences, recorded, settings_of
from lib.style import Json
from lib.values import Value, as_text

SERIES = "loss_smooth_30"  # what its charts show of a run: unsmoothed, many curves hide each other
LOSSES = ("mean_last_100", "last", "best")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet takes for a formula, or for the way to one
HERE = Path(__file__).parent

Curve = tuple[np.ndarray, np.ndarray]  # steps [n] and losses [n]


class Demo(Protocol):
    """What the report says of a demo (see demos.registry)."""

    @property
    def title(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def config(self) -> type[Config]: ...


class _Gone(NamedTuple):
    """A demo of another version of Unrolled: of its runs all is known but what their settings mean."""

    title: str
    summary: str = "This version of Unrolled does not have this demo."
    config: type[Config] = Config


# The table


def as_csv(runs: Sequence[RunRecord], nicknames: Mapping[str, str]) -> str:
    """A row for each run: who, what, the losses, and all settings as they were last, in columns DEMO.SETTING.

    It begins with a byte order mark: without one Excel reads names such as Zoë as another alphabet's.
    """
    rows = [_csv_row(run, nicknames) for run in runs]
    columns = dict.fromkeys(name for row in rows for name in row)
    file = io.StringIO()
    writer = csv.DictWriter(file, columns)
    writer.writeheader()
    writer.writerows(rows)
    return "\ufeff" + file.getvalue()


def _csv_row(run: RunRecord, nicknames: Mapping[str, str]) -> dict[str, Any]:
    loss = run.summary.get("loss", {})
    row = {
        "nickname": nicknames.get(run.visitor, ""),
        "run": run.id,
        "name": run.name,
        "demo": run.slug,
        "state": run.state,
        "started": datetime.fromtimestamp(run.created, UTC).isoformat(timespec="seconds"),
        "training_seconds": round(run.seconds, 3),
        "steps": run.step,
        **{f"loss_{name}_nats": loss.get(name) for name in LOSSES},
        **{f"{run.slug}.{name}": value for name, value in (run.config | run.live).items()},
    }
    return {name: _cell(value) for name, value in row.items()}


def _cell(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula; a number stays one."""
    if isinstance(value, bool):
        return as_text(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


# The page


def as_html(
    room: RoomRecord,
    runs: Sequence[RunRecord],
    curves: Mapping[str, Curve],
    nicknames: Mapping[str, str],
    demo_of: Callable[[str], Demo],
    clock: Callable[[float], str],
    class_map: Json | None = None,
) -> str:
    """One page with everything in it: what was trained, by whom, and what the host asked.

    `curves` are the SERIES of runs by id, `nicknames` those of everybody who was in the room, `clock` says when a moment was,
    and `class_map` is the map that the room has now (see lib.class_map).
    """
    demo_of = partial(_demo, demo_of)
    slugs = list(dict.fromkeys(run.slug for run in sorted(runs, key=lambda run: run.created)))
    sections = [_section(demo_of(slug), slug, runs, curves, nicknames) for slug in slugs]
    for section in sections:
        if class_map is not None and section["slug"] == room.map.get("slug"):
            section["figures"]["map"] = class_map
    script = (HERE / "room_report.js").read_text(encoding="utf-8")
    plotly = files("plotly").joinpath("package_data/plotly.min.js").read_text(encoding="utf-8")
    return _template().render(
        room=room,
        people=len(nicknames),
        runs=len(runs),
        clock=clock,
        sections=sections,
        figures={f"{s['slug']}-{name}": figure for s in sections for name, figure in s["figures"].items()},
        challenges=[_challenge(values, runs, nicknames, demo_of) for values in room.challenges],
        pushes=[_push(push, demo_of) for push in room.pushes],
        script=script,
        plotly=plotly,
        allowed=" ".join(map(_source, (plotly, script))),
    )


def _demo(demo_of: Callable[[str], Demo], slug: str) -> Demo:
    try:
        return demo_of(slug)
    except LookupError:
        return _Gone(slug)


def _template() -> jinja2.Template:
    """All that it is given is escaped, but for the two scripts."""
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["loss"] = lambda value: "–" if value is None else f"{value:.4g}"
    return environment.get_template("room_report.html")


def _source(script: str) -> str:
    """A script as the page's security policy names it, which lets no other run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _section(
    demo: Demo, slug: str, runs: Sequence[RunRecord], curves: Mapping[str, Curve], nicknames: Mapping[str, str]
) -> dict[str, Any]:
    """What was trained of a demo, the lowest loss first."""
    chosen = sorted((run for run in runs if run.slug == slug), key=_order)
    shared = _shared(chosen, demo.config)
    rows = [_row(run, demo.config, shared, nicknames) for run in chosen]
    drawn = [Overlay(_label(run, nicknames), *curves[run.id]) for run in chosen if len(curves.get(run.id, ((), ()))[0])]
    colored = MOST if len(drawn) <= MOST else MOST - 1  # the last colour is that of the others
    figures = {"loss": runs_figure(drawn[:colored], "log", drawn[colored:])} if drawn else {}
    common = ", ".join(_in_words(demo.config, shared))
    return {
        "slug": slug, "title": demo.title, "summary": demo.summary, "common": common, "rows": rows, "figures": figures,
    }  # fmt: skip


def _order(run: RunRecord) -> tuple[bool, float]:
    loss, _ = reached(run)
    return loss is None, loss or 0.0


def _label(run: RunRecord, nicknames: Mapping[str, str]) -> str:
    """A curve's name."""
    loss, _ = reached(run)
    nickname = nicknames.get(run.visitor, NOBODY)
    return nickname if loss is None else f"{nickname}, {loss:.4g} nats"


def _row(
    run: RunRecord, config_class: type[Config], shared: Mapping[str, Value], nicknames: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "nickname": nicknames.get(run.visitor, NOBODY),
        "name": run.name,
        "settings": _settings(config_class, run.config | run.live, shared),
        "state": run.state,
        "step": run.step,
        "losses": [run.summary.get("loss", {}).get(name) for name in LOSSES],
    }


# Settings in words


def _changed(config_class: type[Config], values: Mapping[str, Any]) -> dict[str, Value] | None:
    """What is not as in the demo's defaults; None where another version of it wrote the values."""
    config = recorded(config_class, values)
    return None if config is None else {name: new for name, (_, new) in differences(config_class(), config).items()}


def _shared(runs: Sequence[RunRecord], config_class: type[Config]) -> dict[str, Value]:
    """What all runs have that is not the default: it is said once."""
    known = [_changed(config_class, run.config | run.live) for run in runs]
    first, *others = [changed for changed in known if changed is not None] or [{}]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _settings(config_class: type[Config], values: Mapping[str, Any], shared: Mapping[str, Value] | None = None) -> str:
    """What is not as in the demo's defaults, in words, but for what all runs share."""
    changed = _changed(config_class, values)
    if changed is None:
        return "settings of another version"
    own = {name: value for name, value in changed.items() if name not in (shared or {})}
    return ", ".join(_in_words(config_class, own)) or ("nothing else" if shared else "defaults")


def _in_words(config_class: type[Config], values: Mapping[str, Value]) -> list[str]:
    fields = settings_of(config_class)
    return [fields[name].phrase(value) for name, value in values.items()]


# What the host asked


def _challenge(
    values: Mapping[str, Any],
    runs: Sequence[RunRecord],
    nicknames: Mapping[str, str],
    demo_of: Callable[[str], Demo],
) -> dict[str, Any]:
    """A challenge in words, with who is or was nearest to it."""
    challenge, known = Challenge.from_json(values), {run.id: run for run in runs}
    demo, places = demo_of(challenge.slug), challenge.places

    def config_of(slug: str) -> type[Config]:
        return demo_of(slug).config

    if not challenge.closed:
        places = leaderboard(challenge, runs, nicknames, config_of)
    problem = challenge.problem(config_of)
    return {
        "text": f"{demo.title}: {problem}" if problem else challenge.text(demo.title, demo.config),
        "opened": challenge.opened,
        "closed": challenge.closed,
        "places": [
            (place, _settings(demo.config, run.config | run.live) if (run := known.get(place.run)) else "")
            for place in places
        ],
    }


def _push(push: Mapping[str, Any], demo_of: Callable[[str], Demo]) -> dict[str, Any]:
    demo = demo_of(push["slug"])
    return {"at": push["at"], "title": demo.title, "settings": _settings(demo.config, push["config"])}
