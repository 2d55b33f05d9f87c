"""What there is to find out about a network's units, as charts of an `Inside`; and the table of all pictures of one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lib import style
from lib.cell_content import cell_content
from lib.gates_figure import gates_figure
from lib.gating import said, signed, words
from lib.inside import LEFT, RIGHT, Inside
from lib.style import Json
from lib.trace import NAMES


def units_figure(inside: Inside) -> Json:
    """For each thing that the task is about the unit that correlates best with it: |r|, and a sentence."""
    best = inside.best_units
    sentences = [f"unit {unit} {said(r, inside.held_out.factors[name].what)}, {signed(r)}" for name, unit, r in best]
    strengths = [round(abs(r), 3) for _, _, r in best]
    rows = list(range(len(best)))
    bars = style.bars(
        "strength of the correlation",
        style.LOSS,
        width=0.36,
        orientation="h",
        x=strengths,
        y=rows,
        customdata=[[str(unit)] for _, unit, _ in best],
        hoverinfo="all",
        hovertemplate=[f"{sentence}<extra></extra>" for sentence in sentences],
    )
    notes = [
        {
            "text": sentence,
            "x": 0,
            "xanchor": "left",
            "y": row - 0.24,
            "yanchor": "bottom",
            "showarrow": False,
            "font": style.HALO,
        }
        for row, sentence in zip(rows, sentences, strict=True)
    ]
    axes = {
        "xaxis": style.axis(
            "correlation |r| over the held-out sequences, 1 is perfect", range=[0, 1.02], fixedrange=True
        ),
        "yaxis": {"range": [len(best) - 0.4, -0.75], "visible": False, "fixedrange": True},
    }
    alt = f"At training step {inside.step}: {'; '.join(sentences[:4]) or 'no unit varies'}."
    height = 76 + 42 * max(1, len(best))
    return {
        "data": [bars],
        "layout": style.layout(alt=alt, height=height, revision="units", annotations=notes, **axes)
        | {"showlegend": False},
    }


def saturation_figure(inside: Inside) -> Json:
    """For each gate a dot per unit: the share of time it is nearly closed, across, and nearly open, up."""
    width = 1 / max(1, len(inside.saturation))
    data: list[Json] = []
    axes: Json = {}
    notes: list[Json] = []
    shapes: list[Json] = []
    for number, (gate, (left, right)) in enumerate(inside.saturation.items()):
        suffix = "" if number == 0 else str(number + 1)
        look = {
            "symbol": ["star" if unit == inside.view.unit else "circle" for unit in range(inside.units)],
            "size": [15 if unit == inside.view.unit else 8 for unit in range(inside.units)],
            "color": [style.CHOSEN if unit == inside.view.unit else style.LOSS for unit in range(inside.units)],
            "opacity": 0.8,
        }
        dots = style.markers(NAMES[gate], left, right, look) | {
            "xaxis": f"x{suffix}",
            "yaxis": f"y{suffix}",
            "customdata": [[str(unit)] for unit in range(inside.units)],
            "hoverinfo": "all",
            "hovertemplate": (
                "unit %{customdata[0]}<br>nearly closed %{x:.0%} of the time<br>nearly open %{y:.0%}<extra></extra>"
            ),
        }
        data.append(dots)
        inner = [number * width + 0.03, (number + 1) * width - 0.02]
        share = {"range": [-0.05, 1.05], "tickformat": ".0%", "tickvals": [0, 0.5, 1], "fixedrange": True}
        axes[f"xaxis{suffix}"] = style.axis(f"below {LEFT}", domain=inner, anchor=f"y{suffix}", **share)
        title = f"above {RIGHT}" if number == 0 else ""
        axes[f"yaxis{suffix}"] = style.axis(title, domain=[0, 0.9], anchor=f"x{suffix}", **share)
        notes.append(
            {"text": f"<b>{NAMES[gate]}</b>", "x": sum(inner) / 2, "xref": "paper", "y": 0.93, "yref": "paper",
             "yanchor": "bottom", "showarrow": False}
        )  # fmt: skip
        shapes.append(
            {"type": "line", "xref": f"x{suffix}", "yref": f"y{suffix}", "x0": 0, "y0": 1, "x1": 1, "y1": 0,
             "line": {"color": style.GHOST, "width": 1, "dash": "dot"}}
        )  # fmt: skip
    means = ", ".join(f"{NAMES[gate]} {right.mean():.0%}" for gate, (_, right) in inside.saturation.items())
    alt = f"Share of time that gates are nearly open, the mean of {inside.units} units at training step {inside.step}: {means}."
    layout = style.layout(alt=alt, height=340, revision="saturation", annotations=notes, shapes=shapes, **axes)
    return {"data": data, "layout": layout | {"showlegend": False}}


def reach_figure(inside: Inside) -> Json:
    """How much a loss depends on earlier states: the gradient's norm against the lag, on a log axis."""
    looks = {"h": ("along the hidden state h", "solid", "circle"), "c": ("along the cell state c", "dash", "diamond")}
    data = []
    for part, norms in inside.reach.items():
        name, dash, symbol = looks[part]
        shown = np.where(norms > 0, norms, np.nan)
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": list(range(len(norms))),
                "y": [None if not np.isfinite(value) else float(f"{value:.4g}") for value in shown],
                "line": {"color": style.LOSS if part == "c" else style.REFERENCE, "dash": dash, "width": 2},
                "marker": {"symbol": symbol, "size": 5},
                "hovertemplate": "%{x} steps back: %{y:.3g}<extra></extra>",
            }
        )
    shapes, notes = [], []
    clip = float(inside.config.clip_norm)
    if clip > 0:
        shapes.append(style.reference_line(clip, "rule", f"clip norm of the whole gradient: {clip:g}", "bottom right"))
    window = int(inside.demo.window(inside.config))
    longest = len(next(iter(inside.reach.values())))
    if window < longest:
        shapes.append(
            {"type": "line", "x0": window, "x1": window, "yref": "paper", "y0": 0, "y1": 1,
             "line": {"color": style.BOUNDARY, "width": 2}}
        )  # fmt: skip
        notes.append(
            {"text": "training is cut here", "x": window, "xanchor": "left", "yref": "paper", "y": 0.98, "showarrow": False,
             "font": style.HALO}
        )  # fmt: skip
    axes = {
        "xaxis": style.axis("lag: steps back from the loss", range=[-0.5, max(longest, 2) - 0.5], fixedrange=True),
        "yaxis": style.axis("norm of the gradient (nats)", type="log", exponentformat="power", nticks=6),
    }
    said = "; ".join(
        f"{looks[part][0]} {norms[0]:.2g} at lag 0 and {norms[-1]:.2g} at lag {len(norms) - 1}"
        for part, norms in inside.reach.items()
    )
    alt = f"The gradient's norm at training step {inside.step}: {said}."
    return {
        "data": data,
        "layout": style.layout(alt=alt, height=360, revision="reach", shapes=shapes, annotations=notes, **axes),
    }


def history_figure(steps: Sequence[int], shares: Mapping[str, np.ndarray]) -> Json:
    """How each gate's values were spread at each kept training step: `shares` maps gates to [K, bins], each row together 1."""
    data: list[Json] = []
    axes: Json = {}
    notes: list[Json] = []
    for number, (gate, values) in enumerate(shares.items()):
        suffix = "" if number == 0 else str(number + 1)
        count = len(shares)
        domain = [1 - (number + 0.86) / count, 1 - (number + 0.12) / count]
        bins = values.shape[1]
        data.append(
            {
                "type": "heatmap",
                "name": NAMES[gate],
                "z": style.packed(values.T),
                "x": list(range(len(steps))),
                "y": [round((bin_ + 0.5) / bins, 4) for bin_ in range(bins)],
                "customdata": [[int(step) for step in steps]] * bins,
                "colorscale": style.OPENING,
                "zmin": 0,
                "zmax": round(float(np.quantile(values, 0.98)) or 1.0, 4),
                "showscale": False,
                "yaxis": f"y{suffix}",
                "hovertemplate": "training step %{customdata:,}<br>near %{y:.2f}: %{z:.1%} of the time<extra></extra>",
            }
        )
        axes[f"yaxis{suffix}"] = style.axis(
            "", domain=domain, tickvals=[0, 0.5, 1], range=[0, 1], fixedrange=True, showgrid=False
        )
        notes.append(
            {"text": f"<b>{NAMES[gate]}</b>: 0 closed, 1 open", "x": 0, "xref": "paper", "xanchor": "left", "y": domain[1],
             "yref": "paper", "yanchor": "bottom", "showarrow": False}
        )  # fmt: skip
    ticks = list(range(0, len(steps), max(1, len(steps) // 8)))
    axes["xaxis"] = style.axis(
        "training step (early ones are kept more closely)", tickvals=ticks, ticktext=[f"{steps[at]:,}" for at in ticks],
        fixedrange=True, showgrid=False, anchor=f"y{len(shares)}" if len(shares) > 1 else "y",
    )  # fmt: skip
    alt = f"How the values of {', '.join(NAMES[gate] for gate in shares)} were spread at {len(steps)} training steps."
    layout = style.layout(alt=alt, height=120 + 150 * len(shares), revision="history", annotations=notes, **axes)
    return {"data": data, "layout": layout | {"showlegend": False}}


FIGURES: Mapping[str, Callable[[Inside], Mapping[str, Any]]] = {
    "gates": gates_figure,
    "cell": cell_content,
    "words": words,
    "units": units_figure,
    "saturation": saturation_figure,
    "reach": reach_figure,
}
