"""The echo demo's charts: the loss curve, the bars of the current batch, and the hidden state.

Pure functions from arrays to Plotly JSON (see lib.style). They draw nothing and read no clock.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from demos.echo import theory
from demos.echo.config import EchoConfig
from lib import style
from lib.curves import Curve, Line, Points, metric_figure
from lib.settings import settings_of
from lib.style import Ghost, Json

Snapshot = Mapping[str, np.ndarray]  # what `Engine.observe` returns

A_RESET = "The state is reset to zero."
A_SPIKE = (
    "The state is reset to zero, and the first targets<br>of a row belong to the row before, which<br>"
    "the network never sees: the loss spikes."
)

ALONE = "best without the carried state"
LINES_APART = 0.06  # nats, that two lines need for a label each
ROWS = 5  # of the batch that are drawn
ROW_PITCH = 1.95  # a row of bars is 1 high; above it are its crosses, its title and a gap
CROSS_AT, COLUMN_TOP, TITLE_AT = 1.16, 1.3, 1.32
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
    """Loss against training step, with chance, the lower bound, what is possible without the carried state, and up to five
    earlier runs (see `metric_figure`).

    Raises ValueError on an unknown `smooth` (off, 30, 300) or `scale` (linear, log).
    """
    chance, floor, taught = theory.chance(config), theory.epoch_floor(config), theory.without_carried_state(config)
    apart, notes = 0 < taught < chance - LINES_APART, []
    also = f", and the {ALONE}" if taught >= chance - LINES_APART else ""
    bound = f"epoch-mean lower bound{'' if taught else f', and the {ALONE}'}"
    lines = [Line(chance, "chance", f"chance{also}: ln 2 = {chance:.3f}", "top right")]
    if apart:
        lines.append(Line(taught, "taught", f"{ALONE}: {taught:.3f}", "bottom right"))
    in_view = (-0.17, 0.8)
    if scale == "log":
        in_view = (min(floor / 10, 0.01) if floor > 0 else 1e-4, 3)
    if floor > 0 or scale == "linear":
        # On a log scale single windows fall below it, which is of a mean, but not at the left end.
        where = "bottom right" if scale == "linear" else "bottom left"
        lines.append(Line(floor, "floor", f"{bound}: {floor:.3g}", where))
    else:
        notes.append(style.bottom_note(f"{bound}: 0, below any log scale"))
    spikes = theory.floor_of_first_window(config) > floor
    return metric_figure(
        "loss",
        seeds=config.seeds,
        lines=lines,
        y_axis=style.loss_axis(scale),
        in_view=in_view,
        epochs=(config.windows_per_epoch, A_SPIKE if spikes else A_RESET),
        ghosts=ghosts,
        smooth=smooth,
        series=series,
        notes=notes,
        about=f"in nats against the training step, on a {scale} scale",
        compared=(
            f"Chance is ln 2 = {chance:.3f}, the best without the carried state {taught:.3f}, the lower bound of an epoch's "
            f"mean {floor:.3g}."
        ),
        epoch_mean=True,
    )


CURVES = (Curve("loss", "Loss", "loss", loss_figure),)
SCALE = "log"  # of the loss, unless a person chooses


def live_figures(config: EchoConfig, snapshot: Snapshot) -> dict[str, Json]:
    """The pictures of one window, by name.

    `snapshot` has `inputs` and `targets` (0 or 1) and `probabilities` (of a 1), all [T, B], `hidden_state`
    [T, B, H] and `step` [].
    """
    return {"batch": batch_figure(config, snapshot), "hidden_state": hidden_state_figure(config, snapshot)}


class Columns(NamedTuple):
    """Every position of the rows that are drawn, row by row: arrays [R * T] of R rows of T steps."""

    x: np.ndarray  # from 1
    base: np.ndarray  # the height at which the row stands, the first on top
    row: np.ndarray  # from 1
    inputs: np.ndarray
    targets: np.ndarray
    probabilities: np.ndarray  # of a 1
    predictions: np.ndarray
    right: np.ndarray
    unknowable: np.ndarray  # the target lies before the row: a prediction is neither right nor wrong

    @property
    def wrong(self) -> np.ndarray:
        """Where the target can be known and the prediction is another."""
        return ~self.right & ~self.unknowable


def columns_of(config: EchoConfig, snapshot: Snapshot) -> Columns:
    """The first five rows of a snapshot. A probability that is not finite predicts 0 and is not right."""
    names = ("inputs", "targets", "probabilities")
    inputs, targets, probabilities = (np.asarray(snapshot[name])[:, :ROWS].T.ravel() for name in names)
    window, rows = len(snapshot["inputs"]), min(ROWS, np.shape(snapshot["inputs"])[1])
    row, x = np.repeat(np.arange(1, rows + 1), window), np.tile(np.arange(1, window + 1), rows)
    window_of_epoch = int(
        snapshot.get("window", int(snapshot["step"]) % config.windows_per_epoch)
    )  # older ones lack it
    begins = window_of_epoch * config.advance
    predictions = probabilities > 0.5
    right = (predictions == targets) & np.isfinite(probabilities)
    base, unknowable = ROW_PITCH * (rows - row), begins + x - 1 < config.echo_step
    return Columns(x, base, row, inputs == 1, targets == 1, probabilities, predictions, right, unknowable)


def batch_figure(config: EchoConfig, snapshot: Snapshot) -> Json:
    """Rows of the window as nested bars: what was read, what was to be repeated, and what the network said.

    The rows share one pair of axes, each with a base of its own: a browser redraws that in 26 ms, and five
    plots in 41 (measured).
    """
    columns = columns_of(config, snapshot)
    data = [
        *_column_bars(columns),
        *_bit_bars(columns),
        *_column_markers(columns),
        _bars(columns, columns.row > 0, "", style.TRANSPARENT, COLUMN_TOP, 1, **_hover(columns)),
    ]
    return {"data": data, "layout": _batch_layout(config, int(snapshot["step"]), columns)}


def _bars(columns: Columns, where: np.ndarray, name: str, color: str, height: float, width: float, **look: Any) -> Json:
    """Bars where the mask says so. Without any, one empty point keeps the legend's entry."""
    x, base = (array[where].tolist() or [None] for array in (columns.x, columns.base))
    return style.bars(name, color, width=width, x=x, y=[height] * len(x), base=base, **look)


def _column_bars(columns: Columns) -> list[Json]:
    """What is behind the bits: a hatch where a target cannot be known, a tint where a prediction is wrong."""
    hatched = {"hatch": style.UNKNOWABLE_HATCH, "legendrank": 3}
    tint, hidden = style.translucent(style.WRONG, 0.35), {"legendgroup": "wrong", "showlegend": False}
    return [
        _bars(columns, columns.unknowable, "cannot be known", style.GHOST, 1, 1, **hatched),
        _bars(columns, columns.wrong, "wrong", tint, COLUMN_TOP, 1, **hidden),
    ]


def _bit_bars(columns: Columns) -> list[Json]:
    """A bar for each 1. The heights are the tutorial's; the widths are nested, so that none hides another."""
    solid, hatched = {"legendrank": 1}, {"legendrank": 1, "hatch": style.TARGET_HATCH}
    striped = {"legendrank": 1, "hatch": style.PREDICTION_HATCH}
    return [
        _bars(columns, columns.inputs, "input", style.INPUT, 1, 0.9, **solid),
        _bars(columns, columns.targets, "target", style.TARGET, 0.5, 0.62, **hatched),
        _bars(columns, columns.predictions, "prediction", style.PREDICTION, 0.3, 0.34, **striped),
    ]


def _column_markers(columns: Columns) -> list[Json]:
    """A dot at the height of the probability, and a cross above each wrong column."""
    x, base, size = columns.x, columns.base, style.marker_size(int(columns.x[-1]))
    dot, cross = style.DOT | {"size": size}, style.CROSS | {"size": size + 2}
    grouped = {"legendrank": 2, "legendgroup": "wrong"}
    return [
        style.markers("probability of a 1", x, base + columns.probabilities, dot, legendrank=1),
        style.markers("wrong", x[columns.wrong], base[columns.wrong] + CROSS_AT, cross, **grouped),
    ]


def _hover(columns: Columns) -> Json:
    """What invisible columns in front of all else say when one points at them."""
    numbers = (columns.row, columns.inputs, columns.targets, columns.predictions)
    verdicts = np.where(columns.unknowable, "cannot be known", np.where(columns.right, "right", "wrong")).tolist()
    probabilities = style.numbers(columns.probabilities, 4)
    custom = zip(*(array.astype(int).tolist() for array in numbers), probabilities, verdicts, strict=True)
    return {
        "customdata": [*map(list, custom)],
        "hoverinfo": "all",
        "hovertemplate": HOVER_COLUMN,
        "showlegend": False,
    }


def _batch_layout(config: EchoConfig, step: int, columns: Columns) -> Json:
    window, rows = int(columns.x[-1]), int(columns.row[-1])
    bases, titles = columns.base[::window].tolist(), _row_titles(columns, config.overlap)
    place = {"xref": "paper", "x": 0, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
    notes = [place | {"y": base + TITLE_AT, "text": text} for base, text in zip(bases, titles, strict=True)]
    ticks = {
        "tickvals": [base + at for base in bases for at in (0, 0.5, 1)],
        "ticktext": ["0", "", "1"] * rows,
    }
    axes: Json = {
        "xaxis": style.position_axis(window, scored_from=config.overlap + 1),
        "yaxis": style.axis("probability of a 1", range=[-0.06, ROW_PITCH * rows - 0.1], fixedrange=True, **ticks),
    }
    alt, lines = _batch_alt(step, columns, titles), []
    if config.overlap:
        alt += f" The last {config.advance} of {window} steps are scored."
        lines.append(style.upright_line(config.overlap + 0.5))
    look = axes | {"barmode": "overlay", "annotations": notes, "shapes": lines}
    return style.layout(alt=alt, height=90 + 96 * rows, revision="batch", **look)


def _row_titles(columns: Columns, unscored: int) -> list[str]:
    """Such as "row 1: 15 of 15 right", or "row 1: 12 of 12 knowable right" where some targets cannot be known.

    The first `unscored` steps of each row do not count.
    """
    window = int(columns.x[-1])
    known, right = ((~columns.unknowable).reshape(-1, window), columns.right.reshape(-1, window))
    known, right = known[:, unscored:], right[:, unscored:]
    knowable = int(known[0].sum())
    what = "right" if knowable == window - unscored else "knowable right"
    if unscored:
        what = what.replace("right", "scored right")
    rights = (right & known).sum(axis=1).tolist()
    return [f"row {row}: {right} of {knowable} {what}" for row, right in enumerate(rights, 1)]


def _batch_alt(step: int, columns: Columns, titles: list[str]) -> str:
    """The bars in words."""
    rows, right, asked = int(columns.row[-1]), columns.right[~columns.unknowable], int((~columns.unknowable).sum())
    return (
        f"{rows} row{'s' if rows > 1 else ''} of the batch at step {step}, with input, target and prediction "
        f"as bars. {right.sum()} of {asked} predictions are right; {'; '.join(titles)}."
    )


def hidden_state_figure(config: EchoConfig, snapshot: Snapshot) -> Json:
    """The activations of the first row, unit against position, from -1 to 1."""
    states = np.asarray(snapshot["hidden_state"])[:, 0].T  # [H, T]
    units, window = states.shape
    every = 1 if units <= 16 else 4 if units <= 32 else 8
    ticks = sorted({1, *range(every, units + 1, every)})
    names = {"tickvals": ticks, "ticktext": [f"unit {unit}" for unit in ticks], "range": [units + 0.5, 0.5]}
    axes = {
        "xaxis": style.position_axis(window),
        "yaxis": style.axis("", showgrid=False, fixedrange=True, **names),
    }
    alt, height = (
        _hidden_state_alt(config, int(snapshot["step"]), states),
        110 + round(units * min(32, max(9, 288 / units))),
    )
    return {
        "data": [_heatmap(states)],
        "layout": style.layout(alt=alt, height=height, revision="hidden_state", **axes),
    }


def _heatmap(states: np.ndarray) -> Json:
    """The cells of activations [H, T]. Few cells have gaps between them."""
    units, window = states.shape
    cells = {"x": [*range(1, window + 1)], "y": [*range(1, units + 1)], "z": style.numbers(states, 3)}
    bar = style.COLOR_BAR | {"title": {"text": "activation", "side": "top"}}
    gaps = {"xgap": int(window <= 20), "ygap": int(units <= 16)}
    hover = "unit %{y:d}, position %{x}<br>activation %{z:.3f}<extra></extra>"
    look = {"zmin": -1, "zmax": 1, "colorscale": style.DIVERGING, "colorbar": bar, "hovertemplate": hover}
    return {"type": "heatmap", **cells, **look, **gaps}


def _hidden_state_alt(config: EchoConfig, step: int, states: np.ndarray) -> str:
    """The heatmap in words, with the share of activations near the ends of the range."""
    units, window = states.shape
    cell = (settings_of(EchoConfig)["cell"].options or {})[config.cell]
    return (
        f"The hidden state of row 1 at step {step}: the activations, between -1 and 1, of {units} "
        f"unit{'s' if units > 1 else ''} of the {cell} at {window} positions. "
        f"{np.mean(np.abs(states) > 0.9):.0%} of them are beyond 0.9 or -0.9."
    )
