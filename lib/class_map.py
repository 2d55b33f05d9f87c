"""The map of a class: everyone's runs of one demo as points over two settings, with the theory's boundaries over them."""

import html
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from lib import style
from lib.challenges import SCORE
from lib.records import UNFINISHED, RunRecord
from lib.settings import Config, Setting, recorded, settings_of
from lib.style import Json
from lib.sweep_figure import COLOR_BAR, LEGEND, LOSS_COLORS, MARGIN, axis_title, boundaries, edges, places_axis
from lib.values import Value, as_text

HEIGHT = 560
NOBODY = "somebody"  # who has no nickname
NEAR, FAR = 0.13, 0.42  # of a place: how far apart the runs at it are, and how far from its middle at most
CROWD, SMALLEST = 8, 0.55  # when there are more at a place their markers get smaller, down to this share
MOST_CELLS = 12  # of the boundary along an axis of numbers with a fraction: as many as can be told apart
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))

# Shape and fill say the same as the colours. Below an open marker lies a wider grey one, because the colours of little loss
# cannot be told from a light page, and those of much loss not from a dark one.
TRAINING, ENDED, DIVERGED, UNKNOWN = "still training (open)", "ended (filled)", "diverged", "no loss measured"
RING: Json = {"symbol": "circle-open", "color": style.GHOST, "line": {"width": 5.5}}
LOOKS: dict[str, Json] = {
    TRAINING: {"symbol": "circle-open", "size": 12, "line": {"width": 3}, "color": style.LOSS},
    ENDED: {"symbol": "circle", "size": 13, "line": {"color": style.GHOST, "width": 1.25}, "color": style.LOSS},
    DIVERGED: style.CROSS | {"size": 11},
    UNKNOWN: {"symbol": "circle-open-dot", "size": 11, "color": style.GHOST},
}
COLORED = (TRAINING, ENDED)  # by their loss
HOVER = "<br>".join(f"%{{customdata[{line}]}}" for line in range(4)) + "<extra></extra>"


class _Point(NamedTuple):
    """A run on the map: its settings as they were last, and the loss that it reached, with what that is."""

    run: RunRecord
    config: Any
    loss: float | None
    what: str


class _Axis(NamedTuple):
    """Where each value of a setting is drawn, how wide a place is, and the cells of the boundary: their values and edges.

    Of a logarithmic axis these are logarithms.
    """

    places: Mapping[Any, float]
    room: float
    cells: tuple[Value, ...]
    edges: Sequence[float]
    look: Json

    def drawn(self, place: float) -> float:
        """A place as Plotly takes it."""
        return 10**place if self.look.get("type") == "log" else place


class _Spot(NamedTuple):
    """Where a point is drawn, and how large: 1 is the usual size."""

    x: float
    y: float
    scale: float


def reached(run: RunRecord) -> tuple[float | None, str]:
    """The mean of a run's last 100 losses, or its last loss where there are fewer, and which of the two it is."""
    loss = run.summary.get("loss", {})
    if loss.get(SCORE) is not None:
        return loss[SCORE], "mean loss of the last 100 steps"
    return loss.get("last"), "last loss"


def class_map(
    demo_title: str,
    config_class: type[Config],
    base: Config,
    x: str,
    y: str,
    runs: Sequence[RunRecord],
    nicknames: Mapping[str, str],
    theory: ModuleType,
) -> Json:
    """The runs over the settings `x` and `y`. Beside these, the boundary has the settings of `base`.

    A run that another version of the demo wrote is left out. A point's hover text has all that is known of it, and its last
    custom value is the run's id. Nobody is known but by nickname.
    """
    points = _points(config_class, runs)
    if not points:
        return style.waiting_figure(HEIGHT, says=f"A run of {demo_title} appears here as soon as somebody starts one.")
    fields = settings_of(config_class)
    axes = [_axis(fields[name], {getattr(point.config, name) for point in points}) for name in (x, y)]
    inside = [_inside(base, x, axes[0].cells, y, axes[1].cells, each.inside) for each in theory.BOUNDARIES]
    drawn_edges = ([axis.drawn(edge) for edge in axis.edges] for axis in axes)
    return {
        "data": [
            *_traces(points, _spots(points, (x, y), axes), (fields[x], fields[y]), nicknames),
            *boundaries(theory.BOUNDARIES, inside, *drawn_edges),
        ],
        "layout": style.layout(
            alt=_alt(demo_title, (x, y), points, nicknames),
            height=HEIGHT,
            revision=f"class/{demo_title}/{x}/{y}",
            xaxis=axes[0].look,
            yaxis=axes[1].look,
            legend=LEGEND,
            margin=MARGIN,
            coloraxis=_color_axis(points, theory),
        ),
    }


def _points(config_class: type[Config], runs: Sequence[RunRecord]) -> list[_Point]:
    """The runs that can be drawn, the oldest first: so those that are there stay where they are when another comes."""
    found = []
    for run in sorted(runs, key=lambda run: (run.created, run.id)):
        config = recorded(config_class, run.config | run.live)
        if config is not None:
            found.append(_Point(run, config, *reached(run)))
    return found


# Where


def _axis(field: Setting, used: Collection[Any]) -> _Axis:
    """The axis of a setting. Numbers with a fraction stand where they are, all other values side by side."""
    values = _with_neighbours(field, used)
    if field.type is not float:
        ends = edges(len(values))
        look = places_axis(field, values, range=[ends[0], ends[-1]])
        return _Axis({value: place for place, value in enumerate(values)}, 1.0, tuple(values), ends, look)
    places = {value: math.log10(value) if field.scale == "log" else float(value) for value in values}
    first, last = places[values[0]], places[values[-1]]
    margin = (last - first) / 20
    cells = values[:: -(-len(values) // MOST_CELLS)]
    middles = [(places[left] + places[right]) / 2 for left, right in pairwise(cells)]
    ends = [first - margin, *middles, last + margin]
    look = style.axis(axis_title(field), type=field.scale, range=[ends[0], ends[-1]], tickformat="~g")
    if field.scale == "log":
        look["dtick"] = (
            1 if last - first > 1.5 else "D2"
        )  # of its own Plotly labels 2 and 5 as well, on a phone over each other
    return _Axis(places, (last - first) / 20, tuple(cells), ends, look)


def _with_neighbours(field: Setting, used: Collection[Any]) -> list[Any]:
    """The values that occur, in order, and the next ones on both sides, for the boundary may lie there."""
    if field.type is bool:
        return [False, True]
    if field.options:
        return list(field.options)
    ordered = sorted(used)
    if field.minimum is None or field.maximum is None:  # a text
        return ordered
    low, high = ordered[0], ordered[-1]
    if field.type is float and field.scale == "log":
        before, after = low / 3, high * 3
    else:
        step = field.type(field.step or (1 if field.type is int else (field.maximum - field.minimum) / 20))
        before, after = low - step, high + step
    return sorted({max(before, field.type(field.minimum)), *ordered, min(after, field.type(field.maximum))})


def _spots(points: Sequence[_Point], names: tuple[str, str], axes: Sequence[_Axis]) -> list[_Spot]:
    """Where each point is drawn. Those that would hide each other are set apart like the seeds of a sunflower (Vogel 1979)."""
    places = [
        [axis.places[getattr(point.config, name)] for axis, name in zip(axes, names, strict=True)] for point in points
    ]
    near = [tuple(round(place[i] / axes[i].room) for i in (0, 1)) for place in places]
    crowd, before, found = Counter(near), Counter[tuple[int, ...]](), []
    for place, key in zip(places, near, strict=True):
        radius = min(NEAR, FAR / math.sqrt(crowd[key])) * math.sqrt(before[key])
        turn = before[key] * GOLDEN_ANGLE
        x, y = place[0] + axes[0].room * radius * math.cos(turn), place[1] + axes[1].room * radius * math.sin(turn)
        scale = max(SMALLEST, min(1.0, math.sqrt(CROWD / crowd[key])))
        found.append(_Spot(axes[0].drawn(x), axes[1].drawn(y), scale))
        before[key] += 1
    return found


# What theory says


@lru_cache(maxsize=64)  # the map is drawn once a second, and its values seldom change
def _inside(
    base: Config, x: str, columns: tuple[Value, ...], y: str, rows: tuple[Value, ...], within: Callable[[Any], bool]
) -> np.ndarray:
    """Whether each combination lies within a boundary, 1 or 0, [rows, columns]; NaN where it cannot be said."""
    known = base.model_dump()
    cells = [[recorded(type(base), known | {x: column, y: row}) for column in columns] for row in rows]
    return np.array([[_known(within, config) for config in row] for row in cells], np.float64)


def _color_axis(points: Sequence[_Point], theory: ModuleType) -> Json:
    """From the lowest floor to the highest chance, as in the map of a sweep."""
    spans = [span for point in points if (span := _known(partial(_span, theory), point.config))]
    lowest, highest = min((low for low, _ in spans), default=None), max((high for _, high in spans), default=None)
    bar = COLOR_BAR | {"title": {"text": "reached loss (nats)", "side": "top"}, "tickformat": "~g"}
    return {"cmin": lowest, "cmax": highest, "colorscale": LOSS_COLORS, "colorbar": bar}


def _known(ask: Callable[[Config], Any], config: Config | None) -> Any:
    """What theory says of a config; None of one that is refused, or whose text or corpus is not on this server."""
    try:
        return ask(config) if config is not None else None
    except (ValueError, RuntimeError, OSError):
        return None


@lru_cache(maxsize=4096)
def _span(theory: ModuleType, config: Config) -> Any:
    return theory.floor(config), theory.chance(config)


# What is drawn and said


def _traces(
    points: Sequence[_Point], spots: Sequence[_Spot], fields: tuple[Setting, Setting], nicknames: Mapping[str, str]
) -> list[Json]:
    """For each look that occurs a trace, another for the legend, which knows no scale of colours, and the grey rings."""
    traces = []
    for name, look in LOOKS.items():
        chosen = [(point, spot) for point, spot in zip(points, spots, strict=True) if _look(point) == name]
        if not chosen:
            continue
        common = {"type": "scatter", "mode": "markers", "name": name, "legendgroup": name, "cliponaxis": False}
        traces.append({**common, "x": [None], "y": [None], "marker": look})
        common |= {"x": [spot.x for _, spot in chosen], "y": [spot.y for _, spot in chosen], "showlegend": False}
        sizes = {"size": [round(look["size"] * spot.scale, 1) for _, spot in chosen], "opacity": 1}
        if name == TRAINING:
            traces.append({**common, "marker": RING | sizes, "hoverinfo": "skip"})
        losses = {"color": [point.loss for point, _ in chosen], "coloraxis": "coloraxis"} if name in COLORED else {}
        custom = [_custom(point, fields, nicknames) for point, _ in chosen]
        traces.append({**common, "marker": look | sizes | losses, "customdata": custom, "hovertemplate": HOVER})
    return traces


def _look(point: _Point) -> str:
    if point.loss is None:
        return UNKNOWN
    if point.run.state in UNFINISHED:
        return TRAINING
    return DIVERGED if point.run.state == "diverged" else ENDED


def _custom(point: _Point, fields: tuple[Setting, Setting], nicknames: Mapping[str, str]) -> list[str]:
    """What a point's hover text says, and the run that a click opens."""
    run = point.run
    said = f"{point.what} {point.loss:.4g} nats" if point.loss is not None else UNKNOWN
    settings = ", ".join(field.phrase(getattr(point.config, field.name)) for field in fields)
    state = f"{run.state} at step {run.step:,} of {run.steps:,}"
    return [_nickname(run, nicknames), settings, said, state, run.id]


def _nickname(run: RunRecord, nicknames: Mapping[str, str]) -> str:
    """Who trained it. Plotly reads tags and entities in texts."""
    return html.escape(nicknames.get(run.visitor, NOBODY), quote=False)


def _alt(title: str, names: tuple[str, str], points: Sequence[_Point], nicknames: Mapping[str, str]) -> str:
    """The map in words."""
    people = len({point.run.visitor for point in points})
    text = (
        f"A map of {title}: {len(points)} run{'s' * (len(points) != 1)} of {people} {'person' if people == 1 else 'people'} "
        f"over {' and '.join(names)}, {sum(_look(point) == TRAINING for point in points)} still training."
    )
    known = [(point.loss, i) for i, point in enumerate(points) if point.loss is not None]
    if known:
        loss, i = min(known)
        settings = " and ".join(f"{name} {as_text(getattr(points[i].config, name))}" for name in names)
        text += f" The lowest loss is {loss:.3g} nats, of {_nickname(points[i].run, nicknames)} at {settings}."
    return text
