"""The binary rule's charts: loss, accuracy and beliefs against the step, the beliefs of now, and a strip of the sequence.

Pure functions from arrays to Plotly JSON (see lib.style). They draw nothing and read no clock.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from demos.binary_rule import theory
from demos.binary_rule.config import BinaryRuleConfig
from demos.binary_rule.data import CONTEXTS, Strips, strips
from lib import style
from lib.curves import Curve, Line, Points, metric_figure
from lib.style import Ghost, Json

Snapshot = Mapping[str, np.ndarray]  # what `Engine.observe` returns

LINES_APART = 0.03  # nats, that two lines need for a label each
A_NEW_EPOCH = "New random bits; the state is reset to zero."
BELIEF_DASHES = {"00": "solid", "01": "dash", "10": "dot", "11": "dashdot"}
TRUTHS = {0.0: "0", 0.5: "½", 1.0: "1"}

COLUMNS = 20  # of the strip in one line
LINE_PITCH = 2.75  # a line of the strip: the probabilities are 1 high, and above them stand targets and inputs
TARGET_AT, INPUT_AT, TOP = 1.32, 1.78, 2.05
HALF = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "line": {"color": style.GHOST, "width": 1, "dash": "dot"}}


def loss_figure(
    config: BinaryRuleConfig,
    *,
    ghosts: Sequence[Ghost] = (),
    smooth: str = "off",
    scale: str = "linear",
    series: Mapping[str, Points] | None = None,
) -> Json:
    """Loss against training step, with chance, what the rule costs, the lower bound, and the best without the carried state."""
    chance, rule, best = theory.chance(config), theory.rule_known(config).loss, theory.epoch_floor(config)
    alone = theory.without_carried_state(config).loss
    also = "" if alone < chance - LINES_APART else ", and the best without the carried state"
    lines = [
        Line(chance, "chance", f"chance{also}: {chance:.4f}", "top right"),
        Line(best, "floor", f"epoch-mean lower bound: {best:.4f}", "bottom right"),
    ]
    if not also and config.carry_state:
        lines.append(Line(alone, "taught", f"best without the carried state: {alone:.4f}", "top right"))
    if rule > 0 or scale == "linear":
        lines.append(Line(rule, "rule", f"the rule, with both bits known: {rule:.4f}", "bottom left"))
    lowest = min(rule, best)
    log_range = (max(lowest, 0.01) * 0.8, 1)
    return metric_figure(
        "loss",
        seeds=config.seeds,
        lines=[line for line in lines if line.value > 0 or scale == "linear"],
        y_axis=style.loss_axis(scale) | ({"dtick": "D1"} if scale == "log" else {}),
        in_view=log_range if scale == "log" else (lowest - 0.07, 0.76),
        epochs=(config.windows_per_epoch, A_NEW_EPOCH),
        ghosts=ghosts,
        smooth=smooth,
        series=series,
        about=f"in nats against the training step, on a {scale} scale",
        compared=(
            f"Chance is {chance:.4f}, the rule {rule:.4f}, the lower bound of an epoch's mean {best:.4f}, the best without the "
            f"carried state {alone:.4f}."
        ),
        epoch_mean=True,
    )


def accuracy_figure(
    config: BinaryRuleConfig,
    *,
    ghosts: Sequence[Ghost] = (),
    smooth: str = "off",
    scale: str = "linear",
    series: Mapping[str, Points] | None = None,
) -> Json:
    """The share of targets that the likelier answer hits, with chance, the rule's and the highest that is possible here."""
    rule, best = theory.rule_known(config).accuracy, theory.best_accuracy(config)
    lines = [
        Line(0.5, "chance", "chance: 0.5", "bottom right"),
        Line(rule, "rule", f"the rule, with both bits known: {rule:.4g}", "top left"),
        Line(best, "floor", f"epoch-mean upper bound: {best:.4f}", "top right"),
    ]
    return metric_figure(
        "accuracy",
        seeds=config.seeds,
        lines=lines,
        y_axis=style.axis("accuracy (share of targets that are right)", tickformat=".2f"),
        in_view=(0.42, max(rule, best) + 0.08),
        epochs=(config.windows_per_epoch, A_NEW_EPOCH),
        ghosts=ghosts,
        series=series,
        about="against the training step",
        compared=f"Chance is 0.5, the rule {rule:.4g}, the upper bound of an epoch's mean {best:.4f}.",
        hover="%{y:.4f}",
    )


def belief_figure(
    config: BinaryRuleConfig,
    *,
    ghosts: Sequence[Ghost] = (),
    smooth: str = "off",
    scale: str = "linear",
    series: Mapping[str, Points] | None = None,
) -> Json:
    """The mean probability of a 1 in each context against the training step, with the truth of each."""
    found = []
    for context in occurring(config):
        name = f"belief_{context}"
        line = {"color": style.PREDICTION, "width": 2, "dash": BELIEF_DASHES[context]}
        trace = style.curve(f"after {context}", line=line, meta={"series": name})
        trace["hovertemplate"] = f"step %{{x:,}}<br>after {context} it says %{{y:.3f}}<extra></extra>"
        if series and name in series:
            trace |= {"x": style.numbers(series[name]["step"]), "y": style.numbers(series[name]["value"])}
        found.append(trace)
    by_truth: dict[float, list[str]] = {}
    for context in occurring(config):
        by_truth.setdefault(truth_of(context), []).append(context)
    shapes = [
        _truth_line(value, f"truth after {' and '.join(contexts)}: {TRUTHS[value]}")
        for value, contexts in by_truth.items()
    ]
    alt = (
        f"The mean probability of a 1 that the network gives after each context, against the training step. "
        f"The truth is {', '.join(f'{TRUTHS[truth_of(c)]} after {c}' for c in occurring(config))}."
    )
    layout = style.layout(
        alt=alt,
        height=380,
        revision="belief",
        shapes=shapes,
        xaxis=style.STEP_AXIS,
        yaxis=style.axis("mean probability of a 1", range=[-0.12, 1.12], tickvals=[0, 0.25, 0.5, 0.75, 1]),
    )
    return {"data": found, "layout": layout}


def _truth_line(value: float, label: str) -> Json:
    shape = style.reference_line(value, "floor", label, "top right" if value > 0 else "bottom right")
    return shape | {"line": shape["line"] | {"color": style.TARGET}}


CURVES = (
    Curve("loss", "Loss", "loss", loss_figure),
    Curve(
        "accuracy",
        "Accuracy",
        "accuracy",
        accuracy_figure,
        "How often its likelier answer is right. Half of the rule has the same accuracy as all of it: only the loss tells.",
    ),
    Curve(
        "belief_history",
        "How the rule is discovered",
        "",
        belief_figure,
        "What it says after each context, the values of the rule's two bits, while it learns.",
    ),
)
SCALE = "linear"  # of the loss, unless a person chooses


def truth_of(context: str) -> float:
    """The probability of a 1 after a context such as "01"."""
    return theory.probability_of_one(int(context[0]), int(context[1]))


def occurring(config: BinaryRuleConfig) -> list[str]:
    """The contexts that there are, as texts."""
    return [f"{first}{second}" for first, second in theory.contexts(config)]


def live_figures(config: BinaryRuleConfig, snapshot: Snapshot) -> dict[str, Json]:
    """The pictures of one moment, by name. `snapshot` is what the task's `observe` returns."""
    return {"belief": belief_now(config, snapshot), "strip": strip_figure(config, snapshot)}


# What it believes now


def belief_now(config: BinaryRuleConfig, snapshot: Snapshot) -> Json:
    """For each context the probability of a 1 on all strips: the network's mean and middle 80 %, and the truth."""
    names = occurring(config)
    contexts = strips(config.lags, config.time_step, config.seed).contexts.T.ravel()
    ones = np.asarray(snapshot["strip_probabilities"]).ravel()
    groups = [ones[contexts == CONTEXTS.index(name)] for name in names]
    means = np.array([group.mean() if len(group) else np.nan for group in groups])
    low, high = (np.array([np.quantile(g, q) if len(g) else np.nan for g in groups]) for q in (0.1, 0.9))
    truths = [truth_of(name) for name in names]
    spread = {
        "type": "data",
        "symmetric": False,
        "array": style.numbers(np.maximum(high - means, 0), 4),
        "arrayminus": style.numbers(np.maximum(means - low, 0), 4),
        "color": style.GHOST,
        "thickness": 1.5,
        "width": 6,
    }
    custom = [
        [name, TRUTHS[truth], *style.numbers(np.array(part), 4)]
        for name, truth, *part in zip(names, truths, means, low, high, strict=True)
    ]
    hover = (
        "after %{customdata[0]} the truth is %{customdata[1]}<br>the network says %{customdata[2]:.3f} on average,<br>"
        "for the middle 80 % from %{customdata[3]:.3f} to %{customdata[4]:.3f}<extra></extra>"
    )
    bars = style.bars(
        "network: mean, and the middle 80 %",
        style.PREDICTION,
        width=0.6,
        hatch=style.PREDICTION_HATCH,
        x=[*range(len(names))],
        y=style.numbers(means, 4),
        error_y=spread,
        customdata=custom,
        hoverinfo="all",
        hovertemplate=hover,
    )
    tick = {"symbol": "line-ew", "size": 44, "line": {"color": style.TARGET, "width": 4}, "color": style.TARGET}
    marks = style.markers("truth", np.arange(len(names)), np.array(truths), tick)
    axes = {
        "xaxis": style.axis(
            f"context: the bits {config.first_lag} and {config.second_lag} back",
            tickvals=[*range(len(names))],
            ticktext=[f"{name} → {TRUTHS[truth]}" for name, truth in zip(names, truths, strict=True)],
            range=[-0.6, len(names) - 0.4],
            fixedrange=True,
            showgrid=False,
        ),
        "yaxis": style.axis("probability of a 1", range=[-0.04, 1.06], tickvals=[0, 0.5, 1], fixedrange=True),
    }
    said = ", ".join(
        f"after {name} {mean:.2f} (truth {TRUTHS[truth]})"
        for name, mean, truth in zip(names, means, truths, strict=True)
    )
    alt = f"The probability of a 1 that the network gives at step {int(snapshot['step'])}: {said}."
    return {"data": [bars, marks], "layout": style.layout(alt=alt, height=340, revision="belief", **axes)}


# The strip


def strip_figure(config: BinaryRuleConfig, snapshot: Snapshot) -> Json:
    """A sequence that is never trained on, in lines of 20: inputs, targets, and the network's probability of a 1."""
    strip = strips(config.lags, config.time_step, config.seed)
    ones = np.asarray(snapshot["strip_probabilities"])[:, 0]
    count = len(ones)
    at = np.arange(count)
    x, line = at % COLUMNS + 1, at // COLUMNS
    base = LINE_PITCH * (line.max() - line).astype(float)
    forced = np.isin(strip.contexts[0], (0, 3))
    likely = np.where(np.isfinite(ones), ones, 0.5)
    data = [
        _columns(x[forced], base[forced], "forced by the rule", hatch=style.FORCED_HATCH),
        style.bars(
            "network: probability of a 1",
            style.PREDICTION,
            width=0.7,
            hatch=style.PREDICTION_HATCH,
            x=x.tolist(),
            y=style.numbers(likely, 4),
            base=base.tolist(),
        ),
        *_bits("input", strip.inputs[0], x, base + INPUT_AT, "square", style.INPUT),
        *_bits("target", strip.targets[0], x, base + TARGET_AT, "diamond", style.TARGET),
        _columns(x, base, "", **_strip_hover(config, strip, ones)),
    ]
    lines = sorted(set(base.tolist()))
    ticks = {
        "tickvals": [start + place for start in lines for place in (0, 0.5, 1, TARGET_AT, INPUT_AT)],
        "ticktext": ["0", "½", "1", "target", "input"] * len(lines),
    }
    axes = {
        "xaxis": style.axis(
            f"position ({COLUMNS} in a line)", range=[0.4, min(COLUMNS, count) + 0.6], tickvals=[1, 5, 10, 15, 20],
            showgrid=False, fixedrange=True,
        ),
        "yaxis": style.axis("", range=[-0.1, LINE_PITCH * len(lines) - 0.5], fixedrange=True, showgrid=False, **ticks),
    }  # fmt: skip
    halves = [HALF | {"y0": start + 0.5, "y1": start + 0.5} for start in lines]
    return {
        "data": data,
        "layout": style.layout(
            alt=_strip_alt(snapshot, strip, ones, forced),
            height=120 + 125 * len(lines),
            revision="strip",
            barmode="overlay",
            shapes=halves,
            **axes,
        ),
    }


def _columns(x: np.ndarray, base: np.ndarray, name: str, **look: Any) -> Json:
    """Whole columns of the strip, from the probability's foot to above the input."""
    return style.bars(
        name, style.TRANSPARENT, width=1, x=x.tolist() or [None], y=[TOP] * max(1, len(x)), base=base.tolist() or [None],
        showlegend=bool(name), **look,
    )  # fmt: skip


def _bits(name: str, bits: np.ndarray, x: np.ndarray, y: np.ndarray, symbol: str, color: str) -> list[Json]:
    """A filled marker for each 1 and an open one for each 0."""
    size, line = style.marker_size(COLUMNS) + 4, {"color": color, "width": 1.5}
    one, zero = bits == 1, bits == 0
    filled = {"symbol": symbol, "size": size, "color": color, "line": line}
    opened = {"symbol": f"{symbol}-open", "size": size, "color": color, "line": line}
    return [
        style.markers(f"{name} 1", x[one], y[one], filled),
        style.markers(f"{name} 0", x[zero], y[zero], opened),
    ]


def _strip_hover(config: BinaryRuleConfig, strip: Strips, ones: np.ndarray) -> Json:
    """What each column says: what is read, which two bits decide the target, and what the network says."""
    said = [reason(config, strip, 0, i) for i in range(len(ones))]
    shown = style.numbers(ones, 3)
    custom = [[i + 1, int(strip.inputs[0, i]), int(strip.targets[0, i]), said[i], shown[i]] for i in range(len(ones))]
    return {
        "customdata": custom,
        "hoverinfo": "all",
        "hovertemplate": (
            "position %{customdata[0]}: reads %{customdata[1]}, target %{customdata[2]}<br>%{customdata[3]}<br>"
            "network: probability of a 1 is %{customdata[4]}<extra></extra>"
        ),
    }


def reason(config: BinaryRuleConfig, strip: Strips, row: int, position: int) -> str:
    """Which two bits decide a target, and how, in two short lines."""
    first, second = (int(bit) for bit in CONTEXTS[strip.contexts[row, position]])
    places = []
    for lag, bit in zip(config.lags, (first, second), strict=True):
        stands = f"at position {position + 1 - lag}" if position >= lag else "before the strip"
        places.append(f"{bit} ({lag} back, {stands})")
    if config.first_lag == config.second_lag:
        return f"decided by {places[0]}:<br>it is the opposite"
    how = "equal, so it is their opposite" if first == second else "not equal, so it is a coin"
    return f"decided by {places[0]}<br>and {places[1]}:<br>{how}"


def _strip_alt(snapshot: Snapshot, strip: Strips, ones: np.ndarray, forced: np.ndarray) -> str:
    right = (ones > 0.5) == (strip.targets[0] == 1)
    return (
        f"{len(ones)} positions of a sequence at step {int(snapshot['step'])}: input, target and the network's probability "
        f"of a 1. {forced.sum()} targets are forced by the rule; of these the network has {(right & forced).sum()} right, "
        f"of the {(~forced).sum()} coins {(right & ~forced).sum()}."
    )
