"""The echo demo's charts: the loss curve, the bars of the current batch, and the hidden state.

Pure functions from arrays to Plotly JSON (see lib.style). They draw nothing and read no clock.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from demos.echo import theory
from demos.echo.config import EchoConfig
from lib import style
from lib.settings import settings_of
from lib.style import Ghost, Json

Points = Mapping[str, Any]  # "step" and "value", arrays [n]

A_RESET = "The state is reset to zero."
A_SPIKE = (
    "The state is reset to zero, and the first targets<br>of a row belong to the row before, which<br>"
    "the network never sees: the loss spikes."
)

ROWS = 5  # of the batch that are drawn
ROW_PITCH = 1.95  # a row of bars is 1 high; above it are its crosses, its title and a gap
CROSS_AT, COLUMN_TOP, TITLE_AT = 1.16, 1.3, 1.32
HEIGHTS = {"input": 1.0, "target": 0.5, "prediction": 0.3}  # the tutorial's
WIDTHS = {"input": 0.9, "target": 0.62, "prediction": 0.34}  # nested, so that none hides another
HOVER_COLUMN = (
    "row %{customdata[0]}, position %{x}<br>reads %{customdata[1]}, must repeat %{customdata[2]}<br>"
    "says %{customdata[3]}: probability of a 1 is %{customdata[4]:.4~g}<br>%{customdata[5]}<extra></extra>"
)


def loss_figure(
    config: EchoConfig,
    *,
    ghosts: Sequence[Ghost] = (),
    smooth: str = "off",
    scale: str = "linear",
    series: Mapping[str, Points] | None = None,
) -> Json:
    """Loss against training step, with chance, the exact floor and up to five earlier runs.

    `ghosts` begins with the oldest run. `series` maps names of the metric stream to points; without it the
    curves are empty. `meta` of each trace says what it shows: {"series": name} or {"epochs": True}.
    Raises ValueError on an unknown `smooth` (off, 30, 300) or `scale` (linear, log).
    """
    points = (series or {}).get("loss")
    last = int(points["step"][-1]) if points is not None and len(points["step"]) else 0
    curves = style.loss_curves(config.seeds, smooth)
    for trace in curves:
        drawn = (series or {}).get(trace["meta"]["series"])
        if drawn is not None:
            trace |= {"x": style.numbers(drawn["step"]), "y": style.numbers(drawn["value"])}
    spikes = theory.floor_of_first_window(config) > theory.floor(config)
    marks = style.epoch_marks(range(0, last + 1, config.windows_per_epoch), A_SPIKE if spikes else A_RESET)
    earlier = style.ghost_curves(ghosts)
    return {
        "data": [*earlier, *curves, marks],
        "layout": _loss_layout(config, scale, len(earlier), points),
    }


def _loss_layout(config: EchoConfig, scale: str, ghosts: int, points: Points | None) -> Json:
    chance, floor = theory.chance(config), theory.floor(config)
    shapes = [style.reference_line(chance, "chance", f"chance: ln 2 = {chance:.3f}", "top right")]
    notes = []
    if floor > 0 or scale == "linear":
        # On a log scale single windows fall below the floor, which is a mean, but not at the left end.
        where = "bottom right" if scale == "linear" else "bottom left"
        shapes.append(style.reference_line(floor, "floor", f"exact floor: {floor:.3g}", where))
    else:
        notes.append(style.bottom_note("exact floor: 0, below any log scale"))
    axis, in_view = style.loss_axis(floor, scale)
    layout = style.layout(
        alt=_loss_alt(config, scale, points),
        height=380 + 24 * ghosts,  # a line of the legend each, on a phone
        revision="loss",
        xaxis=style.STEP_AXIS,
        yaxis=axis,
        yaxis2=style.EPOCH_AXIS,
        shapes=[*shapes, in_view],
        annotations=notes,
    )
    layout["meta"]["alt_template"] = _loss_alt(config, scale, {"step": ["{step}"], "value": ["{loss}"]})
    return layout


def _loss_alt(config: EchoConfig, scale: str, points: Points | None) -> str:
    """The chart in words. With points of text, such as "{loss}", it is a template."""
    what = "loss" if config.seeds == 1 else f"median loss of {config.seeds} seeds"
    reached = ""
    if points is not None and len(points["value"]):
        last = points["value"][-1]
        reached = f": {last if isinstance(last, str) else f'{last:.4g}'} at step {points['step'][-1]}"
    return (
        f"The {what} in nats against the training step, on a {scale} scale{reached}. "
        f"Chance is ln 2 = {theory.chance(config):.3f}, the exact floor {theory.floor(config):.3g}."
    )


def live_figures(config: EchoConfig, snapshot: Mapping[str, np.ndarray]) -> dict[str, Json]:
    """The pictures of one window, as `Engine.observe` gives it.

    `snapshot`: `inputs` and `targets` 0 or 1 and `probabilities` of a 1 [T, B], `hidden_state` [T, B, H], `step` [].
    """
    return {"batch": batch_figure(config, snapshot), "hidden_state": hidden_state_figure(config, snapshot)}


class Rows(NamedTuple):
    """The rows of a window that are drawn, each array [R, T]. An `unknowable` target lies before its row."""

    inputs: np.ndarray
    targets: np.ndarray
    probabilities: np.ndarray  # of a 1
    predictions: np.ndarray
    right: np.ndarray
    unknowable: np.ndarray


def rows_of(config: EchoConfig, snapshot: Mapping[str, np.ndarray]) -> Rows:
    """The first five rows of a snapshot. A probability that is not finite predicts 0 and is not right."""
    names = ("inputs", "targets", "probabilities")
    inputs, targets, probabilities = (np.asarray(snapshot[name])[:, :ROWS].T for name in names)
    predictions = probabilities > 0.5
    right = (predictions == targets) & np.isfinite(probabilities)
    window = int(snapshot["step"]) % config.windows_per_epoch
    position = window * config.truncated_backprop_length + np.arange(inputs.shape[1])
    unknowable = np.broadcast_to(position < config.echo_step, inputs.shape)
    return Rows(inputs == 1, targets == 1, probabilities, predictions, right, unknowable)


def batch_figure(config: EchoConfig, snapshot: Mapping[str, np.ndarray]) -> Json:
    """Rows of the window as nested bars: what was read, what was to be repeated, and what the network said.

    The rows share one pair of axes, each with a base of its own: a browser redraws that in 26 ms, and five plots
    in 41 (measured).
    """
    rows = rows_of(config, snapshot)
    count, window = rows.inputs.shape
    at = _places(count, window)
    data = [
        _columns(
            "cannot be known",
            at,
            rows.unknowable,
            style.GHOST,
            1.0,
            hatch=style.UNKNOWABLE_HATCH,
            legendrank=3,
        ),
        _columns(
            "wrong",
            at,
            ~rows.right,
            style.translucent(style.WRONG, 0.35),
            legendgroup="wrong",
            showlegend=False,
        ),
        _bits("input", at, rows.inputs, style.INPUT),
        _bits("target", at, rows.targets, style.TARGET, hatch=style.TARGET_HATCH),
        _bits("prediction", at, rows.predictions, style.PREDICTION, hatch=style.PREDICTION_HATCH),
        _probabilities(at, rows.probabilities),
        _crosses(at, ~rows.right),
        _hover_columns(at, rows),
    ]
    return {"data": data, "layout": _batch_layout(config, snapshot, rows)}


Places = tuple[np.ndarray, np.ndarray]  # x and the row's base of every column, each [R, T]


def _places(count: int, window: int) -> Places:
    x, base = np.arange(1, window + 1), _bases(count)[:, None]
    return np.broadcast_to(x, (count, window)), np.broadcast_to(base, (count, window))


def _bases(count: int) -> np.ndarray:
    """The height at which each row stands, the first on top."""
    return ROW_PITCH * np.arange(count - 1, -1, -1)


def _standing(trace: Json, at: Places, where: np.ndarray, height: float) -> Json:
    """Bars of one height where a mask [R, T] says so. Without any, one empty point keeps the legend's entry."""
    x, base = (numbers[where].tolist() or [None] for numbers in at)
    return trace | {"x": x, "y": [height] * len(x), "base": base}


def _columns(
    name: str, at: Places, where: np.ndarray, color: str, height: float = COLUMN_TOP, **look: Any
) -> Json:
    """Columns as wide as a step, by default as high as a row and its crosses."""
    return _standing(style.bars(name, color, width=1, **look), at, where, height)


def _bits(kind: str, at: Places, ones: np.ndarray, color: str, **look: Any) -> Json:
    """A bar for each 1."""
    return _standing(
        style.bars(kind, color, width=WIDTHS[kind], legendrank=1, **look), at, ones, HEIGHTS[kind]
    )


def _marker_size(window: int) -> int:
    """In pixels: on a phone a column of a window of 15 is 20 wide, of one of 50 six."""
    return 7 if window <= 20 else 5 if window <= 32 else 4


def _markers(name: str, x: np.ndarray, y: np.ndarray, marker: Json, rank: int) -> Json:
    """Markers that are not cut off at the chart's edge. Without any, one empty point keeps the legend's entry."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "legendrank": rank,
        "x": style.numbers(x) or [None],
        "y": style.numbers(y, 3) or [None],
        "marker": marker,
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def _probabilities(at: Places, probabilities: np.ndarray) -> Json:
    """A dot in each column at the height of the probability."""
    x, base = at
    size = {"size": _marker_size(x.shape[1])}
    return _markers("probability of a 1", x.ravel(), (base + probabilities).ravel(), style.DOT | size, 1)


def _crosses(at: Places, wrong: np.ndarray) -> Json:
    """A cross above each wrong column."""
    x, base = at
    cross = style.CROSS | {"size": _marker_size(x.shape[1]) + 2}
    return _markers("wrong", x[wrong], base[wrong] + CROSS_AT, cross, 2) | {"legendgroup": "wrong"}


def _hover_columns(at: Places, rows: Rows) -> Json:
    """Invisible columns in front, so that pointing anywhere at a column tells all about it."""
    number = np.broadcast_to(np.arange(1, len(rows.right) + 1)[:, None], rows.right.shape)
    bits = (
        array.ravel().astype(int).tolist() for array in (number, rows.inputs, rows.targets, rows.predictions)
    )
    verdict = np.where(rows.right, "right", "wrong").ravel().tolist()
    custom = [
        list(column)
        for column in zip(*bits, style.numbers(rows.probabilities.ravel(), 4), verdict, strict=True)
    ]
    return _columns("", at, np.ones_like(rows.right), style.TRANSPARENT) | {
        "customdata": custom,
        "hoverinfo": "all",
        "hovertemplate": HOVER_COLUMN,
        "showlegend": False,
    }


def _batch_layout(config: EchoConfig, snapshot: Mapping[str, np.ndarray], rows: Rows) -> Json:
    count, window = rows.right.shape
    bases, titles = _bases(count).tolist(), _row_titles(rows)
    ticks = [base + height for base in bases for height in (0, 0.5, 1)]
    place = {"xref": "paper", "x": 0, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
    return style.layout(
        alt=_batch_alt(config, int(snapshot["step"]), rows),
        height=90 + 96 * count,
        revision="batch",
        barmode="overlay",
        xaxis=_window_axis(window),
        yaxis=style.axis(
            "probability of a 1",
            range=[-0.06, ROW_PITCH * count - 0.1],
            fixedrange=True,
            tickvals=ticks,
            ticktext=["0", "", "1"] * count,
        ),
        annotations=[
            place | {"y": base + TITLE_AT, "text": text} for base, text in zip(bases, titles, strict=True)
        ],
    )


def _window_axis(window: int) -> Json:
    """Positions from 1 to the window's length, each labelled where there is room on a phone."""
    every = 1 if window <= 16 else 5
    ticks = [1, *range(every, window + 1, every)] if every > 1 else list(range(1, window + 1))
    return style.axis("position in the window", range=[0.4, window + 0.6], tickvals=ticks, showgrid=False)


def _row_titles(rows: Rows) -> list[str]:
    """Such as "row 1: 13 of 15 right, 3 cannot be known"."""
    window, unknowable = rows.right.shape[1], int(rows.unknowable[0].sum())
    more = f", {unknowable} cannot be known" if unknowable else ""
    return [
        f"row {i}: {right} of {window} right{more}"
        for i, right in enumerate(rows.right.sum(axis=1).tolist(), 1)
    ]


def _batch_alt(config: EchoConfig, step: int, rows: Rows) -> str:
    """The bars in words."""
    count, window = rows.right.shape
    epoch = step // config.windows_per_epoch + 1
    shown = "The only row" if count == 1 else f"{count} rows"
    unknowable = int(rows.unknowable[0].sum())
    more = f" The first {unknowable} targets of each row lie before the row and cannot be known."
    return (
        f"{shown} of the batch at step {step}, epoch {epoch}: input, target and prediction at {window} positions. "
        f"{rows.right.sum()} of {rows.right.size} predictions are right; {'; '.join(_row_titles(rows))}.{more if unknowable else ''}"
    )


def hidden_state_figure(config: EchoConfig, snapshot: Mapping[str, np.ndarray]) -> Json:
    """The activations of the first row, unit against position, from -1 to 1."""
    states = np.asarray(snapshot["hidden_state"])[:, 0].T  # [H, T]
    units, window = states.shape
    every = 1 if units <= 16 else 4 if units <= 32 else 8
    ticks = sorted({1, *range(every, units + 1, every)})
    heatmap = {
        "type": "heatmap",
        "x": list(range(1, window + 1)),
        "y": list(range(1, units + 1)),
        "z": style.numbers(states, 3),
        "zmin": -1,
        "zmax": 1,
        "colorscale": style.DIVERGING,
        "xgap": int(window <= 20),
        "ygap": int(units <= 16),
        "colorbar": style.COLOR_BAR | {"title": {"text": "activation", "side": "top"}},
        "hovertemplate": "unit %{y:d}, position %{x}<br>activation %{z:.3f}<extra></extra>",
    }
    rows = {"range": [units + 0.5, 0.5], "tickvals": ticks, "ticktext": [f"unit {unit}" for unit in ticks]}
    layout = style.layout(
        alt=_hidden_state_alt(config, int(snapshot["step"]), states),
        height=110 + round(units * min(32, max(9, 288 / units))),
        revision="hidden_state",
        xaxis=_window_axis(window),
        yaxis=style.axis("", showgrid=False, fixedrange=True, **rows),
    )
    return {"data": [heatmap], "layout": layout}


def _hidden_state_alt(config: EchoConfig, step: int, states: np.ndarray) -> str:
    """The heatmap in words, with the share of activations near the ends of the range."""
    units, window = states.shape
    cell = (settings_of(EchoConfig)["cell"].options or {})[config.cell]
    saturated = float(np.mean(np.abs(states) > 0.9)) if states.size else 0.0
    return (
        f"The hidden state of row 1 at step {step}: the activations, between -1 and 1, of {units} "
        f"unit{'s' if units > 1 else ''} of the {cell} at {window} positions. "
        f"{saturated:.0%} of them are beyond 0.9 or -0.9."
    )
