"""The gates demo's curves. What goes on inside is drawn by lib.inside_figures."""

from collections.abc import Mapping, Sequence

import numpy as np

from demos.gates import theory
from demos.gates.config import GatesConfig
from lib import style
from lib.curves import Curve, Line, Points, metric_figure
from lib.style import Ghost, Json

NEW_EPOCH = {
    "text": "The text begins anew, and the state is zero.",
    "echo": "New bits, and the state is zero.",
    "binary_rule": "New bits, and the state is zero.",
}


def loss_figure(
    config: GatesConfig,
    *,
    ghosts: Sequence[Ghost] = (),
    smooth: str = "off",
    scale: str = "linear",
    series: Mapping[str, Points] | None = None,
) -> Json:
    """Loss against training step, with what it is to be compared with (see `metric_figure`)."""
    chance, floor = theory.chance(config), theory.floor(config)
    lines = [Line(chance, "chance", f"chance: {chance:.3f}", "top right")]
    notes = []
    if config.task == "text":
        single, pair = theory.text_lines(config.text)
        lines += [
            Line(single, "rule", f"unigram model: {single:.2f}", "top right"),
            Line(pair, "rule", f"bigram model: {pair:.2f}", "top right"),
        ]
    elif floor > 0 or scale == "linear":
        where = "bottom right" if scale == "linear" else "bottom left"
        lines.append(Line(floor, "floor", f"lower bound: {floor:.3g}", where))
    else:
        notes.append(style.bottom_note("lower bound: 0, below any log scale"))
    if least := theory.without_carried_state(config):
        if least < 0.99 * chance:
            lines.append(Line(least, "taught", f"without the carried state: {least:.3f}", "top left"))
        else:  # the two are one line
            lines[0] = Line(chance, "chance", f"chance, without the carried state too: {chance:.3f}", "top right")
    lowest = -0.18 * chance if scale == "linear" else 1e-3
    return metric_figure(
        "loss",
        seeds=config.seeds,
        lines=lines,
        y_axis=_loss_axis(scale, chance),
        in_view=(lowest, 1.25 * chance),
        epochs=_epochs(config),
        ghosts=ghosts,
        smooth=smooth,
        series=series,
        notes=notes,
        about=f"in nats against the training step, on a {scale} scale",
        compared=f"Chance is {chance:.3f}.",
    )


def accuracy_figure(
    config: GatesConfig, *, ghosts: Sequence[Ghost] = (), series: Mapping[str, Points] | None = None
) -> Json:
    """The accuracy, the share of right answers, against the training step."""
    return metric_figure(
        "accuracy",
        seeds=config.seeds,
        lines=[Line(1.0, "floor", "100 %", "top right")] if config.task != "binary_rule" else [],
        y_axis=style.axis("accuracy", tickformat=".0%", rangemode="normal"),
        in_view=(0, 1.12),
        epochs=_epochs(config),
        ghosts=ghosts,
        series=series,
        about="is the share of right answers against the training step",
        compared="1 is the most.",
        hover="%{y:.1%}",
        height=260,
    )


def _loss_axis(scale: str, chance: float) -> Json:
    """A few high steps must not flatten the rest."""
    axis = style.loss_axis(scale)
    return axis | {"autorangeoptions": {"clipmax": 2 * chance}} if scale == "linear" else axis


def _epochs(config: GatesConfig) -> tuple[int, str]:
    return theory.steps_per_epoch(config), NEW_EPOCH.get(config.task, "")


CURVES = (
    Curve("loss", "Loss", "loss", loss_figure),
    Curve(
        "accuracy",
        "Accuracy",
        "accuracy",
        accuracy_figure,
        beside=True,
    ),
)
SCALE = "linear"  # of the loss, unless a person chooses


def live_figures(config: GatesConfig, snapshot: Mapping[str, np.ndarray]) -> dict[str, Json]:
    """None of a fixed kind: see app/inside_panel.py."""
    return {}
