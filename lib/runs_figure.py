"""The curves of several runs over each other."""

import html
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lib import style
from lib.style import Json

MOST = 8  # curves that can be told apart


class Overlay(NamedTuple):
    """One run's loss: its name in the legend, and arrays [n]."""

    name: str
    step: Sequence[int] | np.ndarray
    loss: Sequence[float] | np.ndarray


def runs_figure(runs: Sequence[Overlay], scale: str, others: Sequence[Overlay] = ()) -> Json:
    """The losses of up to eight runs against the training step, each with a colour and a dash of its own.

    Those of `others` are thin and grey behind them, with their names in the hover text. Raises ValueError on an unknown
    `scale` (linear, log).
    """
    curves = _behind(others)
    for run, (color, dash) in zip(runs, style.RUNS, strict=False):
        steps, losses = style.thinned(run.step, run.loss)
        line = {"color": color, "width": 2, "dash": dash}
        trace = style.curve(_legible(run.name), x=style.numbers(steps), y=style.numbers(losses, 8), line=line)
        trace["hovertemplate"] = "step %{x:,}<br>loss %{y:.4g}"
        curves.append(trace)
    lasts = ", ".join(f"{run.name} ends at {run.loss[-1]:.4g}" for run in runs[:MOST] if len(run.loss))
    alt = f"The losses in nats of {len(runs[:MOST])} runs against the training step, on a {scale} scale: {lasts or 'none'}."
    layout = style.layout(
        alt=alt[:380].rstrip(".") + ".",
        height=400 + 22 * len(runs[:MOST]),
        revision="runs",
        xaxis=style.STEP_AXIS,
        yaxis={name: value for name, value in style.loss_axis(scale).items() if name != "dtick"},  # 2 and 5 as well
    )
    return {"data": curves, "layout": layout}


def _behind(others: Sequence[Overlay]) -> list[Json]:
    """Runs that are too many to tell apart: one entry of the legend for all."""
    curves = []
    for i, run in enumerate(others):
        steps, losses = style.thinned(run.step, run.loss)
        points = {"x": style.numbers(steps), "y": style.numbers(losses, 8)}
        look = {"line": {"color": style.GHOST, "width": 0.8}, "opacity": 0.5}
        trace = style.curve(f"{len(others)} more", **points, **look, legendgroup="others", showlegend=i == 0)
        trace["hovertemplate"] = f"{_legible(run.name)}<br>step %{{x:,}}<br>loss %{{y:.4g}}<extra></extra>"
        curves.append(trace)
    return curves


def _legible(name: str) -> str:
    """A name as the chart shows it. Plotly reads tags and entities."""
    return html.escape(style.shortened(name), quote=False)
