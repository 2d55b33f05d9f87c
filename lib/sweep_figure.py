"""The map of a sweep: a heatmap of its cells, filled in as they end, with the theory's boundary over it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lib import style
from lib.settings import settings_of
from lib.style import Json
from lib.sweep import Plan, Result
from lib.values import as_text

MOST_TEXTS = 12  # columns up to which each cell has its number in it, also on a phone

# Below the axis, as on a phone; the colour bar is above.
LEGEND: Json = {
    "orientation": "h",
    "x": 0,
    "xanchor": "left",
    "xref": "container",
    "y": 0,
    "yanchor": "bottom",
    "yref": "container",
}
MARGIN: Json = {"l": 48, "r": 12, "t": 8, "b": 84}

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
    inside = np.array([theory.within_reach(config) for config in cells]).reshape(plan.rows, plan.columns)
    lowest, highest = min(theory.floor(config) for config in cells), max(theory.chance(config) for config in cells)
    learned = [results[i].learned(thresholds[i]) if i in results else 0 for i in range(len(cells))]
    custom = [_custom(plan, results.get(i), i, learned[i], cell_ids[i]) for i in range(len(cells))]
    losses = [results[i].median if i in results else None for i in range(len(cells))]
    shares = [
        learned[i] / len(results[i].final_by_seed) if i in results and results[i].final_by_seed else None
        for i in range(len(cells))
    ]
    boundary = _boundary(inside, theory.BOUNDARY)
    maps = {
        "sweep_loss": _map(plan, losses, custom, "median final loss (nats)", (lowest, highest), LOSS_COLORS, "~g"),
        "sweep_share": _map(plan, shares, custom, "share of seeds that learned", (0.0, 1.0), SHARE_COLORS, ".0%"),
    }
    alt = _alt(plan, results, inside, losses)
    return {
        name: {"data": [heatmap, *boundary], "layout": _layout(plan, name, f"{alt} Shown is the {what}.")}
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
    bar = style.COLOR_BAR | {"title": {"text": title, "side": "top"}, "tickformat": tick, "tickvals": None, "nticks": 6}
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


def _boundary(inside: np.ndarray, meaning: str) -> list[Json]:
    """The edges between cells within theory's reach and those beyond, as one broken line; nothing where there is none."""
    x: list[float | None] = []
    y: list[float | None] = []
    rows, columns = inside.shape
    for r in range(rows):
        for c in range(columns):
            if c + 1 < columns and inside[r, c] != inside[r, c + 1]:
                x, y = [*x, c + 0.5, c + 0.5, None], [*y, r - 0.5, r + 0.5, None]
            if r + 1 < rows and inside[r, c] != inside[r + 1, c]:
                x, y = [*x, c - 0.5, c + 0.5, None], [*y, r + 0.5, r + 0.5, None]
    if not x:
        return []
    look = {"line": {"color": style.BOUNDARY, "width": 4}, "hoverinfo": "skip", "showlegend": True}
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "the theory's boundary",
            "x": x,
            "y": y,
            "meta": {"says": meaning},
            **look,
        }
    ]


def _layout(plan: Plan, name: str, alt: str) -> Json:
    fields = settings_of(type(plan.base))

    def axis(at: int) -> Json:
        if at >= len(plan.axes):
            return style.axis("", visible=False, fixedrange=True)
        values, field = plan.axes[at].values, fields[plan.axes[at].name]
        unit = f" ({field.unit})" if field.unit else ""
        ticks = {"tickvals": [*range(len(values))], "ticktext": [_short(field, value) for value in values]}
        return style.axis(f"{field.label.lower()}{unit}", showgrid=False, fixedrange=True, **ticks)

    height = 230 + max(34, min(64, 420 // plan.rows)) * plan.rows
    return style.layout(
        alt=alt, height=height, revision=name, xaxis=axis(0), yaxis=axis(1), legend=LEGEND, margin=MARGIN
    )


def _short(field: Any, value: Any) -> str:
    if field.options:
        return str(field.options[value])
    return f"{value:g}" if isinstance(value, float) else as_text(value)


def _alt(plan: Plan, results: Mapping[int, Result], inside: np.ndarray, losses: list[float | None]) -> str:
    """The map in words."""
    known = [(loss, i) for i, loss in enumerate(losses) if loss is not None]
    names = " by ".join(axis.name for axis in plan.axes)
    text = f"A map of {len(losses)} cells, {names}; {len(results)} have ended, {int(inside.sum())} lie within the theory's reach."
    if known:
        best, at = min(known)
        cell = ", ".join(f"{name} {as_text(value)}" for name, value in plan.changes(at).items())
        text += f" The lowest median loss is {best:.3g} nats, at {cell}."
    return text
