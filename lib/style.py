"""How all charts look: colours, dashes, hatches, and the parts that they share.

A figure is Plotly JSON of plain Python values: {"data": [...], "layout": {...}}. The colours of text, grid
and background are not set here: the page's theme does that, light or dark. So each line's colour has a
contrast of 3 to 1 or more on both, and none is ever the only cue: a dash, a hatch, a width or a shape says
the same.
"""

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from tsdownsample import MinMaxLTTBDownsampler

Json = dict[str, Any]

# What the bits are, in every demo (the palette of Okabe & Ito, 2008).
INPUT = "#0072B2"  # blue
TARGET = "#D55E00"  # red: a vermilion that the colour-blind can tell from the green
PREDICTION = "#009E73"  # green

LOSS = "#7B61C9"  # purple: a measured curve
REFERENCE = "#A66F00"  # brown: a computed line
BOUNDARY = "#E6A100"  # amber: the edges of what is expected and of what a window teaches, on a map
GHOST = "#808080"  # an earlier run, and what does not count
WRONG = "#C2408F"  # magenta

DASHES = {"chance": "longdash", "rule": "dashdot", "floor": "dot", "taught": "dash"}
GHOST_LOOKS = (("dash", 0.9), ("dot", 0.8), ("dashdot", 0.65), ("longdash", 0.55), ("longdashdot", 0.45))
MOST_POINTS = 600  # of a curve that does not grow: more cannot be told apart on a screen
TRANSPARENT = "rgba(0,0,0,0)"

# The second cue of bars, beside their colour. The input's are solid.
TARGET_HATCH: Json = {"shape": "/", "fgcolor": TARGET, "bgcolor": "#FBD3B4", "solidity": 0.45}
PREDICTION_HATCH: Json = {"shape": "-", "fgcolor": "#FFFFFF", "bgcolor": PREDICTION, "solidity": 0.25}
FORCED_HATCH: Json = {"shape": "/", "fgcolor": TARGET, "bgcolor": TRANSPARENT, "solidity": 0.12}
UNKNOWABLE_HATCH: Json = {"shape": "\\", "fgcolor": GHOST, "bgcolor": TRANSPARENT, "solidity": 0.18}

# From -1 over 0 to 1. The ends differ in lightness as well as in hue, and neither is a colour of the bits.
DIVERGING: list[list[Any]] = [
    [0.0, "#3B1A6E"],
    [0.25, "#8F73B8"],
    [0.5, "#F1EEF2"],
    [0.75, "#EBCB6B"],
    [1.0, "#C08A00"],
]

# A gate, from closed to open: lightness grows all the way (Nuñez, Anderton & Renslow 2018, "cividis").
OPENING: list[list[Any]] = [[0.0, "#00224E"], [0.25, "#414D6B"], [0.5, "#7C7B78"], [0.75, "#BBAF71"], [1.0, "#FEE838"]]
CHOSEN = WRONG  # what the reader has chosen: a unit, a step

# Markers that stand out on any bar and on any background.
DOT: Json = {"symbol": "circle", "color": "#FFFFFF", "line": {"color": "#202020", "width": 1.25}}
CROSS: Json = {"symbol": "x", "color": WRONG, "line": {"color": "#FFFFFF", "width": 1}}

# A colour bar along the top, where it takes no width from a phone.
COLOR_BAR: Json = {
    "orientation": "h",
    "x": 0.5,
    "y": 1.02,
    "yanchor": "bottom",
    "thickness": 10,
    "tickvals": [-1, -0.5, 0, 0.5, 1],
}

FONT_SIZE = 12
LEGEND_WIDTH = 44  # characters
# A halo in the page's background keeps a text legible on a curve. The page's CSS resolves the variable.
BACKGROUND = "var(--st-background-color, transparent)"
HALO = {"size": FONT_SIZE, "shadow": ", ".join(f"0 0 {blur}px {BACKGROUND}" for blur in (1, 2, 3, 4))}

# Of runs that are drawn over each other: none is a colour of the bits, and each has a dash too.
RUNS = (
    ("#7B61C9", "solid"), ("#B0781E", "dash"), ("#C2408F", "dot"), ("#4A7F8C", "dashdot"), ("#8C564B", "longdash"),
    ("#6E7F2E", "longdashdot"), ("#A06CD5", "dash"), ("#808080", "solid"),
)  # fmt: skip

SMOOTHINGS = {"off": "raw", "30": "smoothed over 30 steps", "300": "smoothed over 300 steps"}
LOSS_AXES: dict[str, Json] = {
    # A few high steps must not flatten the rest.
    "linear": {"type": "linear", "autorangeoptions": {"clipmax": 1.4}},
    "log": {"type": "log", "tickformat": "~g", "dtick": 1},
}
EPOCH_AXIS: Json = {"overlaying": "y", "range": [0, 1], "fixedrange": True, "visible": False}


class Ghost(NamedTuple):
    """An earlier run's curve: `step` and `value` are arrays [n], and `name` is what the legend says."""

    name: str
    step: Sequence[int] | np.ndarray
    value: Sequence[float] | np.ndarray


def translucent(color: str, opacity: float) -> str:
    """A colour "#RRGGBB" as rgba()."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def numbers(values: Any, digits: int | None = None) -> list[Any]:
    """An array as nested lists that JSON can hold: rounded, and None for what is not finite."""
    array: Any = np.asarray(values)
    if array.dtype.kind == "f":
        array = array if digits is None else np.round(array.astype(np.float64), digits)
        finite = np.isfinite(array)
        array = array if finite.all() else np.where(finite, array.astype(object), None)
    lists: list[Any] = array.tolist()
    return lists


def axis(title: str, **settings: Any) -> Json:
    """An axis with its title. The margin grows with the labels."""
    return {"title": {"text": title, "standoff": 8}, "automargin": True, "zeroline": False, **settings}


STEP_AXIS = axis("training step", tickformat=",", autorangeoptions={"include": [0, 20], "clipmin": 0})


def layout(*, alt: str, height: int, revision: str, **settings: Any) -> Json:
    """The layout of a chart: `alt` is its text alternative, `height` in pixels.

    While `revision` stays the same, an update keeps what the reader did: zoom, hover and legend.
    """
    return {
        "height": height,
        "margin": {"l": 48, "r": 12, "t": 8, "b": 40},
        "font": {"size": FONT_SIZE},
        "hovermode": "closest",
        "hoverlabel": {"namelength": -1},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "maxheight": 400,
        },
        "showlegend": True,
        "uirevision": revision,
        "meta": {"alt": alt},
        **settings,
    }


def curve(name: str, **settings: Any) -> Json:
    """A line against the training step, whose hover text has 4 significant digits."""
    look = {"type": "scatter", "mode": "lines", "hovertemplate": "step %{x:,}<br>%{y:.4g}"}
    return {"name": name, **look, "x": [], "y": [], **settings}


def metric_curves(metric: str, seeds: int, smooth: str, hover: str = "%{y:.4g}") -> list[Json]:
    """The band of many seeds, the metric, and the smoothed loss, behind which the loss itself is faint.

    All are empty, and `meta` of each names its series in the metric stream. Only the loss is smoothed. Raises ValueError
    on another `smooth`.
    """
    if smooth not in SMOOTHINGS:
        raise ValueError(f"smooth = {smooth!r} is not known: choose one of {', '.join(SMOOTHINGS)}.")
    name = metric if seeds == 1 else f"median {metric} of {seeds} seeds"
    smoothed = smooth != "off" and metric == "loss"
    width, opacity = (1, 0.4) if smoothed else (1.75, 1.0)
    said = {"hovertemplate": f"step %{{x:,}}<br>{metric} {hover}"}
    curves = [curve(name, line={"color": LOSS, "width": width}, opacity=opacity, meta={"series": metric}, **said)]
    if seeds > 1:
        curves = [*_band(metric, f"middle 80 % of {seeds} seeds", hover), *curves]
    if smoothed:
        line = {"color": LOSS, "width": 2.5}
        curves.append(curve(SMOOTHINGS[smooth], line=line, meta={"series": f"loss_smooth_{smooth}"}, **said))
    return curves


def epoch_mean_curve(series: str, seeds: int) -> Json:
    """The mean of the loss since the epoch began: where the epoch ends it is the epoch's mean."""
    name = "mean since the epoch began" if seeds == 1 else "mean since the epoch began (median)"
    line = {"color": LOSS, "width": 2.25, "dash": "5px,2px"}
    said = "step %{x:,}<br>mean loss since the epoch began %{y:.4g}"
    return curve(name, line=line, meta={"series": series}, hovertemplate=said)


def _band(metric: str, name: str, hover: str) -> list[Json]:
    """The area between the 10th and the 90th percentile, as two curves that the legend switches together."""
    edge = {"line": {"width": 0, "color": LOSS}, "legendgroup": "band"}
    area = {"fill": "tonexty", "fillcolor": translucent(LOSS, 0.22)}
    low = curve(name, **edge, showlegend=False, meta={"series": f"{metric}_low"})
    high = curve(name, **edge, **area, meta={"series": f"{metric}_high"})
    for percentile, side in ((10, low), (90, high)):
        side["hovertemplate"] = f"step %{{x:,}}<br>{percentile} % of seeds below {hover}<extra></extra>"
    return [low, high]


def loss_axis(scale: str) -> Json:
    """The y axis of a loss in nats. Raises ValueError on another `scale`."""
    if scale not in LOSS_AXES:
        raise ValueError(f"scale = {scale!r} is not known: choose one of {', '.join(LOSS_AXES)}.")
    return axis("loss (nats)", uirevision=scale, **LOSS_AXES[scale])


def shortened(name: str) -> str:
    """A name that fits into one line of a legend on a phone."""
    return name if len(name) <= LEGEND_WIDTH else name[: LEGEND_WIDTH - 1].rstrip(" ,") + "…"


def thinned(steps: Any, values: Any) -> tuple[np.ndarray, np.ndarray]:
    """At most 600 of a curve's points, those that keep its shape."""
    steps, values = np.asarray(steps), np.asarray(values, np.float64)
    if len(steps) > MOST_POINTS:
        kept = MinMaxLTTBDownsampler().downsample(steps, values, n_out=MOST_POINTS)
        steps, values = steps[kept], values[kept]
    return steps, values


def ghost_curves(ghosts: Sequence[Ghost]) -> list[Json]:
    """The last five of some runs, the oldest first, as grey lines: the newest first and strongest."""
    curves = []
    for ghost, (dash, opacity) in zip(reversed(ghosts), GHOST_LOOKS, strict=False):
        steps, values = thinned(ghost.step, ghost.value)
        line = {"color": GHOST, "width": 1.5, "dash": dash}
        curves.append(curve(shortened(ghost.name), x=numbers(steps), y=numbers(values), line=line, opacity=opacity))
    return curves


def reference_line(value: float, kind: str, label: str, where: str) -> Json:
    """A horizontal line across the chart.

    `where` its label is: "top" (above) or "bottom" (below) it, and at its "left" or "right" end.
    """
    side, end = where.split()
    left, position = (0.012, "start") if end == "left" else (0, "end")  # not touching the axis's numbers
    anchor = "bottom" if side == "top" else "top"
    text = {"text": label, "padding": 5, "font": HALO, "yanchor": anchor, "textposition": position}
    line = {"color": REFERENCE, "width": 1.5, "dash": DASHES[kind]}
    ends = {"xref": "paper", "x0": left, "x1": 1, "y0": value, "y1": value}
    return {"type": "line", **ends, "line": line, "label": text}


def upright_line(x: float) -> Json:
    """A dotted line from bottom to top."""
    line = {"color": GHOST, "width": 1.5, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def in_view(lowest: float, highest: float) -> Json:
    """An invisible line between two heights, which an automatic range then always shows.

    The axis's own option for it, autorangeoptions.include, ignores the lower end of a log axis (Plotly.js
    4.1).
    """
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 0, "y0": lowest, "y1": highest, "opacity": 0}


def bottom_note(text: str) -> Json:
    """A text at the left end of the bottom edge, where a loss that falls is not yet."""
    place = {"xref": "paper", "x": 0.01, "xanchor": "left", "yref": "paper", "y": 0.05, "yanchor": "bottom"}
    return {"text": text, "showarrow": False, "font": HALO, **place}


def epoch_marks(starts: Sequence[int], why: str) -> Json:
    """Small ticks on the bottom edge, on a second axis from 0 to 1. `why` tells what happens there."""
    tick = {"symbol": "line-ns", "size": 8, "color": GHOST, "line": {"width": 1.5, "color": GHOST}}
    hover = f"step %{{x:,}}: a new epoch<br>{why}<extra></extra>"
    points = {"x": list(starts), "y": [0.015] * len(starts), "yaxis": "y2", "meta": {"epochs": True}}
    look = {"type": "scatter", "mode": "markers", "marker": tick, "hovertemplate": hover}
    return {"name": "new epoch", **look, **points}


def bars(name: str, color: str, *, width: float, hatch: Json | None = None, **settings: Any) -> Json:
    """Bars of one kind, `width` steps wide. A hatch tells them apart without colour."""
    marker: Json = {"color": color, "line": {"width": 0}}
    if hatch:
        marker["pattern"] = {"fgcolor": color, "fillmode": "replace", "size": 6, **hatch}
    return {"type": "bar", "name": name, "width": width, "marker": marker, "hoverinfo": "skip", **settings}


def waiting_figure(height: int = 320, *, says: str = "Press Start or Step to see it.") -> Json:
    """What stands in a picture's place before there is anything to show."""
    text = {
        "text": says,
        "x": 0.5,
        "y": 0.5,
        "xref": "paper",
        "yref": "paper",
        "showarrow": False,
    }
    hidden = {"visible": False, "fixedrange": True}
    alt = "Empty until a run has begun."
    return {
        "data": [],
        "layout": layout(alt=alt, height=height, revision="waiting", annotations=[text], xaxis=hidden, yaxis=hidden),
    }


def markers(name: str, x: np.ndarray, y: np.ndarray, marker: Json, **settings: Any) -> Json:
    """Markers that the chart's edge does not cut off. Without any, an empty point keeps the legend entry."""
    places = {"x": numbers(x) or [None], "y": numbers(y, 3) or [None]}
    look = {"marker": marker, "cliponaxis": False, "hoverinfo": "skip"}
    return {"type": "scatter", "mode": "markers", "name": name, **places, **look, **settings}


def marker_size(window: int) -> int:
    """In pixels: on a phone a column of a window of 15 steps is 20 wide, of one of 50 six."""
    return 7 if window <= 20 else 5 if window <= 32 else 4


def position_axis(window: int, *, scored_from: int = 1) -> Json:
    """Positions in a window from 1, each labelled where there is room on a phone, and from which on they are scored."""
    ticks = list(range(1, window + 1)) if window <= 16 else [1, *range(5, window + 1, 5)]
    scored = f" (scored from {scored_from} on)" if scored_from > 1 else ""
    return axis(f"position in the window{scored}", range=[0.4, window + 0.6], tickvals=ticks, showgrid=False)


def packed(values: np.ndarray) -> Json:
    """A matrix as Plotly reads it from bytes: a fifth of the size of a list of numbers."""
    array = np.ascontiguousarray(values, "<f4")
    rows, columns = array.shape
    return {"bdata": base64.b64encode(array.tobytes()).decode(), "dtype": "f4", "shape": f"{rows}, {columns}"}
