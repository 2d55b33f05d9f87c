"""The gates' picture: what a network reads and answers, and every gate and state of every unit, as heatmaps under each other."""

import html
from typing import Any

import numpy as np

from lib import style
from lib.inside import Inside
from lib.reading import probabilities, right_answers, visible
from lib.style import Json
from lib.trace import GATES, NAMES, PARTS

PROBABILITY: list[list[Any]] = [[0.0, "rgba(0,158,115,0)"], [1.0, "rgba(0,158,115,1)"]]
MARKING: list[list[Any]] = [[0.0, "rgba(192,138,0,0)"], [1.0, "rgba(192,138,0,1)"]]  # behind a marked token
MARKED = 0.3
MOST_ANSWERS = 8  # rows of answers; of more the five likeliest are named
GUESSES = 5
GAP, TITLE = 10, 20  # pixels between panels, and of a panel's title
LEAST_COLUMN = 9  # pixels a token needs to be read; what is wider than the page is scrolled
MARGIN = {"l": 44, "r": 12, "t": 6, "b": 56}


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
        "ticktext": _written(inside),
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
    """A token as a chart takes it, which reads HTML."""
    return html.escape(visible(label), quote=False)


def _written(inside: Inside) -> list[str]:
    """The tokens that are read, the marked ones in bold."""
    found = []
    for token, label in zip(inside.reading.tokens, inside.reading.labels(inside.language), strict=True):
        found.append(f"<b>{_shown(label)}</b>" if int(token) in inside.language.marked else _shown(label))
    return found


def _frame(axis: str, low: float, high: float, steps: int) -> Json:
    """A frame around the chosen unit's row."""
    return {
        "type": "rect", "xref": "x", "yref": axis, "x0": 0.5, "x1": steps + 0.5, "y0": low, "y1": high,
        "line": {"color": style.CHOSEN, "width": 1.5},
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
        scale, low, high = style.OPENING, 0.0, 1.0
    else:
        most = max(1.0, float(np.abs(values).max(initial=0.0)))
        scale, low, high = style.DIVERGING, -most, most
    return {
        "type": "heatmap",
        "name": NAMES[part],
        "z": style.packed(values),
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
    is_marked = [int(token) in inside.language.marked for token in inside.reading.tokens]
    line = _probability_heatmap(MARKED * np.array([is_marked])) | {
        "name": "token",
        "colorscale": MARKING,
        "text": [_written(inside)],
        "texttemplate": "%{text}",
        "textfont": {"size": 12, "color": style.INPUT},
        "hovertemplate": "step %{x} reads %{text}<extra></extra>",
    }
    axis = {"range": [0.5, -0.5], "tickvals": [], "ticks": ""}
    note = f" ({inside.language.note})" if inside.language.note else ""
    return {
        "data": [line],
        "axis": axis,
        "height": 16,
        "title": f"<b>what it reads</b>{note}, after {inside.step:,} training steps",
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
        "type": "heatmap", "name": "probability", "z": style.packed(values), "x": list(range(1, values.shape[1] + 1)),
        "y": list(range(values.shape[0])), "colorscale": PROBABILITY, "zmin": 0, "zmax": 1, "showscale": False, "xaxis": "x",
    }  # fmt: skip


def _marks(steps: np.ndarray, rows: np.ndarray) -> Json:
    look = {"symbol": "circle-open", "size": 9, "color": style.TARGET, "line": {"width": 2, "color": style.TARGET}}
    return style.markers("right", steps + 1, rows, look) | {"xaxis": "x"}
