"""The pictures of what goes on inside a network, as functions of an `Inside` (see lib.style for the form of a figure)."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lib import style
from lib.inside import LEFT, RIGHT, Inside
from lib.reading import probabilities, right_answers
from lib.style import Json
from lib.trace import GATES, PARTS

NAMES = {
    "i": "input gate i",
    "f": "forget gate f",
    "o": "output gate o",
    "g": "candidate g",
    "c": "cell state c",
    "h": "hidden state h",
    "z": "update gate z",
    "r": "reset gate r",
    "n": "candidate n",
}
# From closed to open: lightness grows all the way (Nuñez, Anderton & Renslow 2018, "cividis").
OPENING: list[list[Any]] = [[0.0, "#00224E"], [0.25, "#414D6B"], [0.5, "#7C7B78"], [0.75, "#BBAF71"], [1.0, "#FEE838"]]
PROBABILITY: list[list[Any]] = [[0.0, "rgba(0,158,115,0)"], [1.0, "rgba(0,158,115,1)"]]
CHOSEN = "#C2408F"  # what the reader has chosen: a unit, a step
MOST_ANSWERS = 8  # rows of answers; of more the five likeliest are named
GUESSES = 5
GAP, TITLE = 10, 20  # pixels between panels, and of a panel's title
LEAST_COLUMN = 9  # pixels a token needs to be read; what is wider than the page is scrolled
MARGIN = {"l": 44, "r": 12, "t": 6, "b": 56}


# The gates, unit by unit and token by token


def gates_figure(inside: Inside) -> Json:
    """Heatmaps under each other, units down and tokens across: the answers, then every gate and state.

    `layout.meta.cursor` says that a click chooses a step (the column) and a unit (the row, by `meta.units`).
    """
    labels = inside.reading.labels(inside.language)
    parts = PARTS[inside.cell]
    answers = _answer_panels(inside)
    row_height = min(14.0, max(90.0, min(200.0, 12.0 * inside.units)) / inside.units)
    heights = [*(panel["height"] for panel in answers), *([row_height * inside.units] * len(parts))]
    height = int(sum(heights) + (GAP + TITLE) * len(heights) + MARGIN["t"] + MARGIN["b"])
    data, axes, notes = [], {}, []
    top = 0.0
    plot = height - MARGIN["t"] - MARGIN["b"]
    for number, panel_height in enumerate(heights):
        top += TITLE
        suffix = "" if number == 0 else str(number + 1)
        domain = [max(0.0, 1 - (top + panel_height) / plot), 1 - top / plot]
        axis = {"domain": domain, "anchor": "x", "fixedrange": True, "showgrid": False, "zeroline": False}
        axis["ticklabeloverflow"] = "allow"
        if number < len(answers):
            panel = answers[number]
            data += [trace | {"yaxis": f"y{suffix}"} for trace in panel["data"]]
            title = panel["title"]
            axes[f"yaxis{suffix}"] = axis | panel["axis"]
        else:
            part = parts[number - len(answers)]
            data.append(_part_heatmap(inside, part) | {"yaxis": f"y{suffix}"})
            title = _part_title(inside, part)
            axes[f"yaxis{suffix}"] = axis | _unit_axis(inside)
        place = {"xref": "paper", "x": 0, "xanchor": "left", "yref": "paper", "y": domain[1], "yanchor": "bottom"}
        notes.append({"text": title, "showarrow": False, "align": "left", **place})
        top += panel_height + GAP
    steps = len(labels)
    axes["xaxis"] = {
        "range": [0.5, steps + 0.5],
        "ticklabeloverflow": "allow",  # to measure a hundred labels takes Plotly a tenth of a second
        "tickvals": list(range(1, steps + 1)),
        "ticktext": [_shown(label) for label in labels],
        "tickangle": 0,
        "ticks": "",
        "anchor": f"y{len(heights)}" if len(heights) > 1 else "y",
        "title": {"text": "the tokens that it reads, one a step", "standoff": 4},
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
    }
    row = int(np.flatnonzero(inside.unit_order == inside.view.unit)[0])
    frames = [_frame(f"y{n + 1}" if n else "y", row - 0.5, row + 0.5, steps) for n in range(len(answers), len(heights))]
    said = "" if not inside.operated else f", {inside.view.shown}"
    meta = {
        "alt": (
            f"Heatmaps of {len(parts)} parts of {inside.units} units over {steps} tokens at training step {inside.step}{said}: "
            f"{', '.join(NAMES[part] for part in parts)}. Unit {inside.view.unit} is chosen."
        ),
        "cursor": True,
        "units": inside.unit_order.tolist(),
        "least_width": LEAST_COLUMN * steps + MARGIN["l"] + MARGIN["r"],
    }
    layout = style.layout(alt="", height=height, revision="gates", annotations=notes, shapes=frames, **axes)
    return {
        "data": data,
        "layout": layout | {"meta": meta, "showlegend": False, "margin": MARGIN, "hovermode": "closest"},
    }


def _shown(label: str) -> str:
    """A token as a mark that can be seen."""
    return {" ": "␣", "\n": "↵", "<": "&lt;", "&": "&amp;"}.get(label, label)


def _frame(axis: str, low: float, high: float, steps: int) -> Json:
    """A frame around the chosen unit's row."""
    return {
        "type": "rect", "xref": "x", "yref": axis, "x0": 0.5, "x1": steps + 0.5, "y0": low, "y1": high,
        "line": {"color": CHOSEN, "width": 1.5},
    }  # fmt: skip


def _part_title(inside: Inside, part: str) -> str:
    clamped = [clamp for clamp in inside.view.surgery.clamps if clamp.gate == part]
    held = "".join(
        f", held at {clamp.value:g}" + (f" for units {', '.join(map(str, clamp.units))}" if clamp.units else "")
        for clamp in clamped
    )
    scale = "0 closed, 1 open" if part in GATES[inside.cell] else "negative to positive"
    shown = " (difference)" if inside.operated and inside.view.shown == "difference" else ""
    return f"<b>{NAMES[part]}</b>{shown}: {scale}{held}"


def _unit_axis(inside: Inside) -> Json:
    units = inside.units
    every = max(1, units // 8)
    rows = list(range(0, units, every))
    return {
        "range": [units - 0.5, -0.5],
        "tickvals": rows,
        "ticktext": [str(inside.unit_order[row]) for row in rows],
        "ticks": "",
        "title": {"text": "unit", "standoff": 2},
    }


def _part_heatmap(inside: Inside, part: str) -> Json:
    """One part, units down in their order. The numbers travel as packed float32."""
    values = inside.drawn[part][:, 0].T[inside.unit_order]
    is_gate = part in GATES[inside.cell]
    difference = inside.operated and inside.view.shown == "difference"
    if is_gate and not difference:
        scale, low, high = OPENING, 0.0, 1.0
    else:
        most = max(1.0, float(np.abs(values).max(initial=0.0)))
        scale, low, high = style.DIVERGING, -most, most
    return {
        "type": "heatmap",
        "name": NAMES[part],
        "z": packed(values),
        "x": list(range(1, values.shape[1] + 1)),
        "y": list(range(values.shape[0])),  # numbers: on an axis of names Plotly draws heatmaps cell by cell
        "meta": {"units": True},
        "colorscale": scale,
        "zmin": low,
        "zmax": high,
        "showscale": False,
        "xaxis": "x",
        "hovertemplate": f"{NAMES[part]}<br>unit %{{customdata}}, step %{{x}}: %{{z:.4f}}<extra></extra>",
    }


def packed(values: np.ndarray) -> Json:
    """A matrix as Plotly reads it from bytes: a fifth of the size of a list of numbers."""
    array = np.ascontiguousarray(values, "<f4")
    rows, columns = array.shape
    return {"bdata": base64.b64encode(array.tobytes()).decode(), "dtype": "f4", "shape": f"{rows}, {columns}"}


# The answers


def _answer_panels(inside: Inside) -> list[Json]:
    """What the network reads and answers at each token; untouched, and with the operation where there is one."""
    if not inside.operated:
        return [_tokens(inside), _answers(inside, inside.untouched["logits"], "what it answers")]
    return [
        _tokens(inside),
        _answers(inside, inside.untouched["logits"], "what the untouched network answers"),
        _answers(inside, inside.after["logits"], "what it answers with the operation"),
    ]


def _tokens(inside: Inside) -> Json:
    """A line of the tokens, above everything else."""
    labels = [_shown(label) for label in inside.reading.labels(inside.language)]
    line = _probability_heatmap(np.zeros((1, len(labels)))) | {
        "name": "token",
        "text": [labels],
        "texttemplate": "%{text}",
        "textfont": {"size": 12, "color": style.INPUT},
        "hovertemplate": "step %{x} reads %{text}<extra></extra>",
    }
    axis = {"range": [0.5, -0.5], "tickvals": [], "ticks": ""}
    return {
        "data": [line],
        "axis": axis,
        "height": 16,
        "title": f"<b>what it reads</b>, after {inside.step:,} training steps",
    }


def _answers(inside: Inside, logits: np.ndarray, title: str) -> Json:
    few = len(inside.language.answers) <= MOST_ANSWERS
    return (_answers_by_name if few else _answers_by_rank)(inside, logits, title)


def _answers_by_name(inside: Inside, logits: np.ndarray, title: str) -> Json:
    """A row for each answer. A ring marks what is right."""
    language, reading = inside.language, inside.reading
    given = probabilities(logits, language)[:, 0]
    right = right_answers(reading, language)[:, 0]
    steps, answers = np.nonzero(right)
    names = [_shown(answer) for answer in language.answers]
    heat = _probability_heatmap(given.T) | {
        "hovertemplate": "step %{x}, answer %{customdata}: probability %{z:.4f}<extra></extra>",
        "customdata": [[name] * len(given) for name in names],
    }
    marks = _marks(steps, answers)
    axis = {"range": [len(names) - 0.5, -0.5], "tickvals": list(range(len(names))), "ticktext": names, "ticks": ""}
    return {"data": [heat, marks], "axis": axis, "height": 15 * len(names), "title": f"<b>{title}</b>: ○ is right"}


def _answers_by_rank(inside: Inside, logits: np.ndarray, title: str) -> Json:
    """The five likeliest answers at each token, the likeliest on top. A ring marks what is right."""
    language, reading = inside.language, inside.reading
    given = probabilities(logits, language)[:, 0]
    order = np.argsort(-given, axis=-1, kind="stable")[:, :GUESSES]
    values = np.take_along_axis(given, order, axis=-1)
    right = right_answers(reading, language)[:, 0]
    steps, ranks = np.nonzero(np.take_along_axis(right, order, axis=-1))
    names = [[_shown(language.answers[answer]) for answer in column] for column in order.T]
    heat = _probability_heatmap(values.T) | {
        "text": names,
        "texttemplate": "%{text}",
        "textfont": {"size": 10},
        "hovertemplate": "after step %{x} it expects %{text}: probability %{z:.4f}<extra></extra>",
    }
    axis = {
        "range": [GUESSES - 0.5, -0.5],
        "tickvals": [0, GUESSES - 1],
        "ticktext": ["1st", f"{GUESSES}th"],
        "ticks": "",
    }
    return {
        "data": [heat, _marks(steps, ranks)],
        "axis": axis,
        "height": 17 * GUESSES,
        "title": f"<b>{title}</b>: its {GUESSES} likeliest, ○ is right",
    }


def _probability_heatmap(values: np.ndarray) -> Json:
    return {
        "type": "heatmap", "name": "probability", "z": packed(values), "x": list(range(1, values.shape[1] + 1)),
        "y": list(range(values.shape[0])), "colorscale": PROBABILITY, "zmin": 0, "zmax": 1, "showscale": False, "xaxis": "x",
    }  # fmt: skip


def _marks(steps: np.ndarray, rows: np.ndarray) -> Json:
    look = {"symbol": "circle-open", "size": 9, "color": style.TARGET, "line": {"width": 2, "color": style.TARGET}}
    return style.markers("right", steps + 1, rows, look) | {"xaxis": "x"}


# One unit, step by step


def cell_content(inside: Inside) -> Json:
    """What the stepping view draws of the chosen unit (app/static/cell.js): all steps, so that it steps without the server."""
    unit, after = inside.view.unit, inside.after
    values = {part: style.numbers(after[part][:, 0, unit], 5) for part in PARTS[inside.cell]}
    for part in ("c", "h"):
        if part in after:
            values[f"{part}_before"] = style.numbers(inside.before(part)[:, unit], 5)
    sums = {
        gate: {
            "input": style.numbers(parts["input"], 5),
            "state": style.numbers(parts["state"], 5),
            "bias": parts["bias"],
        }
        for gate, parts in inside.sums.items()
    }
    return {
        "cell": inside.cell,
        "labels": [_plain(label) for label in inside.reading.labels(inside.language)],
        "unit": unit,
        "units": inside.units,
        "step_of_training": inside.step,
        "values": values,
        "sums": sums,
        "held": inside.held(),
        "explain": EXPLAINED[inside.cell],
    }


def _plain(label: str) -> str:
    return {" ": "␣", "\n": "↵"}.get(label, label)


_SHARED = {
    "x": "What is read at this step: one token. Its weights are added to the sum of every gate.",
    "h_before": "The hidden states of all units after the step before. They are heard by every gate.",
}
EXPLAINED: Mapping[str, Mapping[str, str]] = {
    "lstm": _SHARED
    | {
        "i": "The input gate: how much of the candidate is written into the memory. 0 writes nothing, 1 all of it.",
        "f": "The forget gate: how much of the memory is kept. 1 keeps everything, 0 drops everything.",
        "g": "The candidate: what could be written into the memory, from -1 to 1.",
        "o": "The output gate: how much of the memory the other units and the answer hear.",
        "c": "The cell state: the memory. What was kept of the old one, plus what was written.",
        "c_before": "The cell state after the step before: the memory that this step begins with.",
        "h": "The hidden state: the memory, squashed to between -1 and 1, as far as the output gate lets it out.",
    },
    "gru": _SHARED
    | {
        "z": "The update gate: how much of the old state is kept. 1 keeps everything, 0 replaces it by the candidate.",
        "r": "The reset gate: how much of the old states the candidate hears.",
        "n": "The candidate: the new state that is offered, from -1 to 1.",
        "h": "The hidden state: a mixture of the old one and the candidate, by the update gate.",
    },
    "rnn": _SHARED
    | {
        "h": "The hidden state: everything is written anew at each step, so whatever is to last must be computed again."
    },
}


# What units do


def units_figure(inside: Inside) -> Json:
    """For each thing that the task is about the unit that goes best with it: |r|, and a sentence."""
    best = inside.best_units
    sentences = [f"unit {unit} {inside.held_out.factors[name].says}, r = {_signed(r)}" for name, unit, r in best]
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


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def saturation_figure(inside: Inside) -> Json:
    """For each gate a dot per unit: the share of time it is nearly closed, across, and nearly open, up."""
    gates = list(inside.saturation)
    width = 1 / max(1, len(gates))
    data: list[Json] = []
    axes: Json = {}
    notes: list[Json] = []
    shapes: list[Json] = []
    for number, (gate, (left, right)) in enumerate(inside.saturation.items()):
        suffix = "" if number == 0 else str(number + 1)
        look = {
            "symbol": ["star" if unit == inside.view.unit else "circle" for unit in range(inside.units)],
            "size": [15 if unit == inside.view.unit else 8 for unit in range(inside.units)],
            "color": [CHOSEN if unit == inside.view.unit else style.LOSS for unit in range(inside.units)],
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
        "yaxis": style.axis("norm of the gradient", type="log", exponentformat="power", dtick=1, nticks=6),
    }
    axes["yaxis"].pop("dtick")
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
                "z": packed(values.T),
                "x": list(range(len(steps))),
                "y": [round((bin_ + 0.5) / bins, 4) for bin_ in range(bins)],
                "customdata": [[int(step) for step in steps]] * bins,
                "colorscale": OPENING,
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


FIGURES: Mapping[str, Callable[[Inside], Json]] = {
    "gates": gates_figure,
    "cell": cell_content,
    "units": units_figure,
    "saturation": saturation_figure,
    "reach": reach_figure,
}
