"""The map of a sweep: a heatmap of its cells, filled in as they end, with the theory's boundaries over it."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from lib import style
from lib.settings import Setting, settings_of
from lib.style import Json
from lib.sweep import Plan, Result
from lib.theory import Boundary
from lib.values import Value, as_text

MOST_TEXTS = 12  # columns up to which each cell has its number in it, also on a phone
MOST_LABELS = 20  # along an axis

# At the chart's top. Beside the plot it would have Plotly put the axis's title onto its labels.
COLOR_BAR = style.COLOR_BAR | {
    "y": 0.985,
    "yanchor": "top",
    "yref": "container",
    "ypad": 0,
    "tickvals": None,
    "nticks": 6,
}
# Below the axis, as on a phone.
LEGEND: Json = {
    "orientation": "h",
    "x": 0,
    "xanchor": "left",
    "xref": "container",
    "y": 0,
    "yanchor": "bottom",
    "yref": "container",
}
MARGIN: Json = {"l": 48, "r": 12, "t": 64, "b": 84}

# From little loss, pale, to much: the purple of the loss curve.
LOSS_COLORS: list[list[Any]] = [
    [0.0, "#F3EFFC"],
    [0.25, "#CFC2EE"],
    [0.5, "#A893DE"],
    [0.75, "#7B61C9"],
    [1.0, "#3C2A7A"],
]
SHARE_COLORS: list[list[Any]] = [
    [0.0, "#3C2A7A"],
    [0.25, "#7B61C9"],
    [0.5, "#A893DE"],
    [0.75, "#CFC2EE"],
    [1.0, "#F3EFFC"],
]


def sweep_figures(plan: Plan, results: Mapping[int, Result], theory: Any, cell_ids: list[str]) -> dict[str, Json]:
    """The map of median final losses and that of the share of seeds that learned, by name.

    `theory` is a demo's module. A cell's hover text has all that is known of it, and its last custom value is the id of
    its run, or empty while that has not ended.
    """
    cells: list[Any] = plan.cells
    thresholds = [theory.learned_below(config) for config in cells]
    inside = [
        np.array([each.inside(config) for config in cells]).reshape(plan.rows, plan.columns)
        for each in theory.BOUNDARIES
    ]
    lowest, highest = min(theory.floor(config) for config in cells), max(theory.chance(config) for config in cells)
    learned = [results[i].learned(thresholds[i]) if i in results else 0 for i in range(len(cells))]
    custom = [_custom(plan, results.get(i), i, learned[i], cell_ids[i]) for i in range(len(cells))]
    losses = [results[i].median if i in results else None for i in range(len(cells))]
    shares = [
        learned[i] / len(results[i].final_by_seed) if i in results and results[i].final_by_seed else None
        for i in range(len(cells))
    ]
    border = boundaries(theory.BOUNDARIES, inside, edges(plan.columns), edges(plan.rows))
    maps = {
        "sweep_loss": _map(plan, losses, custom, "median final loss (nats)", (lowest, highest), LOSS_COLORS, "~g"),
        "sweep_share": _map(plan, shares, custom, "share of seeds that learned", (0.0, 1.0), SHARE_COLORS, ".0%"),
    }
    alt = _alt(plan, results, theory.BOUNDARIES, inside, losses)
    return {
        name: {"data": [heatmap, *border], "layout": _layout(plan, name, f"{alt} Shown is the {what}.")}
        for (name, heatmap), what in zip(
            maps.items(), ("median final loss", "share of seeds that learned"), strict=True
        )
    }


def _custom(plan: Plan, result: Result | None, index: int, learned: int, cell_id: str) -> list[Any]:
    """What a cell's hover text says, and the run that a click opens."""
    settings = ", ".join(f"{name} {as_text(value)}" for name, value in plan.changes(index).items())
    if result is None:
        return [settings, "not trained yet", "", ""]
    seeds = len(result.final_by_seed)
    if not seeds:
        return [settings, f"no step was trained ({result.state})", "click to open this run", cell_id]
    median = (
        f"median final loss {result.median:.4g} nats" if result.median is not None else "the loss is no longer a number"
    )
    ended = "" if result.state == "finished" else f" ({result.state})"
    return [settings, f"{median}{ended}", f"{learned} of {seeds} seeds learned<br>click to open this run", cell_id]


def _map(
    plan: Plan, values: list[Any], custom: list[Any], title: str, span: tuple[float, float], colors: Any, tick: str
) -> Json:
    """The cells. x and y are places from 0, which the axes label with the settings' values."""
    shape = (plan.rows, plan.columns)
    grid = np.array([np.nan if value is None else value for value in values], np.float64).reshape(shape)
    texts = {"texttemplate": "%{z:.2f}" if tick == "~g" else "%{z:.0%}"} if plan.columns <= MOST_TEXTS else {}
    bar = COLOR_BAR | {"title": {"text": title, "side": "top"}, "tickformat": tick}
    return {
        "type": "heatmap",
        "x": [*range(plan.columns)],
        "y": [*range(plan.rows)],
        "z": style.numbers(grid),
        "customdata": [custom[r * plan.columns : (r + 1) * plan.columns] for r in range(plan.rows)],
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]}<br>%{customdata[2]}<extra></extra>",
        "hoverongaps": True,
        "zmin": span[0],
        "zmax": span[1],
        "colorscale": colors,
        "colorbar": bar,
        "xgap": 1,
        "ygap": 1,
        **texts,
    }


def boundaries(
    found: Sequence[Boundary], inside: Sequence[np.ndarray], x_edges: Sequence[float], y_edges: Sequence[float]
) -> list[Json]:
    """A broken line for each boundary, between the cells that lie within it and the others; nothing where there are none.

    Each `inside` [rows, columns] is 1, 0, or NaN where there is nothing to say; `x_edges` [columns + 1] and `y_edges` [rows + 1]
    are where the cells begin and end.
    """
    return [
        trace
        for each, here in zip(found, inside, strict=True)
        if (trace := _boundary(each, here.astype(np.float64), x_edges, y_edges)) is not None
    ]


def _boundary(found: Boundary, inside: np.ndarray, x_edges: Sequence[float], y_edges: Sequence[float]) -> Json | None:
    x: list[float | None] = []
    y: list[float | None] = []
    for r, c in np.argwhere(inside[:, :-1] + inside[:, 1:] == 1):  # two neighbours differ where their sum is 1
        x, y = [*x, x_edges[c + 1], x_edges[c + 1], None], [*y, y_edges[r], y_edges[r + 1], None]
    for r, c in np.argwhere(inside[:-1] + inside[1:] == 1):
        x, y = [*x, x_edges[c], x_edges[c + 1], None], [*y, y_edges[r + 1], y_edges[r + 1], None]
    if not x:
        return None
    line = {"color": style.BOUNDARY, "width": 3 if found.dashed else 4, "dash": "dash" if found.dashed else "solid"}
    look = {"line": line, "hoverinfo": "skip", "showlegend": True}
    return {
        "type": "scatter",
        "mode": "lines",
        "name": found.label,
        "x": x,
        "y": y,
        "meta": {"says": found.says},
        **look,
    }


def boundaries_in_words(theory: ModuleType) -> str:
    """What these lines mean, as sentences after another; nothing where there are none."""
    return "".join(
        f" {'Dashed' if each.dashed else 'Solid'} amber, *{each.label}*: {each.says}" for each in theory.BOUNDARIES
    )


def edges(count: int) -> list[float]:
    """Where places from 0 begin and end."""
    return [place - 0.5 for place in range(count + 1)]


def places_axis(field: Setting, values: Sequence[Value], **settings: Any) -> Json:
    """An axis of places from 0 that has a setting's values as labels, as many as there is room for."""
    shown = range(0, len(values), -(-len(values) // MOST_LABELS))
    ticks = {"tickvals": [*shown], "ticktext": [field.brief(values[place]) for place in shown]}
    return style.axis(axis_title(field), showgrid=False, **ticks, **settings)


def axis_title(field: Setting) -> str:
    """A setting and its unit."""
    return f"{field.label.lower()}{f' ({field.unit})' if field.unit else ''}"


def _layout(plan: Plan, name: str, alt: str) -> Json:
    fields = settings_of(type(plan.base))

    def axis(at: int) -> Json:
        if at >= len(plan.axes):
            return style.axis("", visible=False, fixedrange=True)
        return places_axis(fields[plan.axes[at].name], plan.axes[at].values, fixedrange=True)

    height = 230 + max(34, min(64, 420 // plan.rows)) * plan.rows
    return style.layout(
        alt=alt, height=height, revision=name, xaxis=axis(0), yaxis=axis(1), legend=LEGEND, margin=MARGIN
    )


def _alt(
    plan: Plan,
    results: Mapping[int, Result],
    found: Sequence[Boundary],
    inside: Sequence[np.ndarray],
    losses: list[float | None],
) -> str:
    """The map in words."""
    known = [(loss, i) for i, loss in enumerate(losses) if loss is not None]
    names = " by ".join(axis.name for axis in plan.axes)
    counted = "".join(f", {int(here.sum())} lie where {each.label}" for each, here in zip(found, inside, strict=True))
    text = f"A map of {len(losses)} cells, {names}; {len(results)} have ended{counted}."
    if known:
        best, at = min(known)
        cell = ", ".join(f"{name} {as_text(value)}" for name, value in plan.changes(at).items())
        text += f" The lowest median loss is {best:.3g} nats, at {cell}."
    return text
