"""The curves of the language model's page. Its words and texts are drawn by lib.words_figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from demos.ptb import grammar, theory
from demos.ptb.config import PTBConfig
from lib import style
from lib.curves import Curve, Line, Points, metric_figure
from lib.style import Ghost, Json

NEW_EPOCH = "The text is read from its start again, and the state is zero."
HELD_OUT: dict[str, tuple[str, str, str, str]] = {
    "valid_perplexity": ("validation text", "#C2408F", "diamond", "dash"),
    "test_perplexity": ("test text", "#4A7F8C", "star", "solid"),
}


def perplexity_figure(
    config: PTBConfig,
    *,
    ghosts: Sequence[Ghost] = (),
    smooth: str = "off",
    scale: str = "log",
    series: Mapping[str, Points] | None = None,
) -> Json:
    """The perplexity of the text that is learned, running through each epoch, and of the texts that are not."""
    lines = _lines(config)
    figure = metric_figure(
        "perplexity",
        name="training text, since the epoch began",
        seeds=1,
        lines=lines,
        y_axis=_axis(scale),
        in_view=_in_view([line.value for line in lines], scale),
        epochs=(config.windows_per_epoch, NEW_EPOCH),
        ghosts=ghosts,
        series=series,
        about=f"of the training text, since its epoch began, against the training step, on a {scale} scale",
        compared="; ".join(line.label for line in lines) + ".",
        hover="%{y:,.1f}",
        height=440,
    )
    figure["data"][-1:-1] = [_measured(name, series) for name in HELD_OUT]
    return figure


def _measured(name: str, series: Mapping[str, Points] | None) -> Json:
    """The points of a text that is not learned from: one after each epoch."""
    label, color, symbol, dash = HELD_OUT[name]
    points: Mapping[str, Any] = (series or {}).get(name, {"step": [], "value": []})
    return style.curve(
        label,
        mode="lines+markers",
        x=style.numbers(points["step"]),
        y=style.numbers(points["value"]),
        line={"color": color, "width": 2, "dash": dash},
        marker={"symbol": symbol, "size": 12 if symbol == "star" else 9, "color": color},
        hovertemplate=f"step %{{x:,}}<br>{label}: perplexity %{{y:,.2f}}<extra></extra>",
        meta={"series": name},
    )


def _lines(config: PTBConfig) -> list[Line]:
    """What the perplexity is to be compared with: bounds, models that count, and published results, which are none."""
    unigram, bigram = theory.counting(config.corpus, config.text)
    words = np.exp(theory.chance(config))
    lines = [
        Line(float(words), "chance", f"chance: {words:,.0f}", "top right"),
        Line(unigram, "rule", f"unigram model: {unigram:,.0f}", "top right"),
        Line(bigram, "rule", f"bigram model: {bigram:,.0f}", "top right"),
    ]
    if config.corpus == "grammar":
        lines.append(
            Line(grammar.floor(), "floor", f"lower bound on unseen text: {grammar.floor():.2f}", "bottom right")
        )
    elif config.corpus == "ptb":
        ends = ("top right", "top left", "bottom left")
        lines += [
            Line(published.test, "rule", f"{name}, published test: {published.test:g}", end)
            for (name, published), end in zip(theory.PUBLISHED.items(), ends, strict=True)
        ]
    return lines


def _in_view(values: list[float], scale: str) -> tuple[float, float]:
    """The lines, and room for the name below the lowest."""
    return (0.6 * min(values), max(values)) if scale == "log" else (min(values) - 40, 500)


def _axis(scale: str) -> Json:
    """The axis of perplexity. On a linear one the first steps must not flatten the rest."""
    title = "perplexity"
    if scale == "log":
        return style.axis(title, uirevision=scale, type="log", tickformat="~s", dtick="D2")
    return style.axis(title, uirevision=scale, autorangeoptions={"clipmax": 500}, tickformat=",")


def rate_figure(config: PTBConfig, *, ghosts: Sequence[Ghost] = (), series: Mapping[str, Points] | None = None) -> Json:
    """The learning rate that the schedule gives each step."""
    return metric_figure(
        "learning_rate",
        name="learning rate",
        seeds=1,
        lines=[],
        y_axis=style.axis("learning rate", rangemode="tozero", tickformat="~g"),
        in_view=(0, config.learning_rate),
        epochs=(config.windows_per_epoch, NEW_EPOCH),
        ghosts=ghosts,
        series=series,
        about="against the training step",
        compared=f"The setting is {config.learning_rate:g}.",
        height=240,
    )


def norm_figure(config: PTBConfig, *, ghosts: Sequence[Ghost] = (), series: Mapping[str, Points] | None = None) -> Json:
    """The length of the gradient, before it is rescaled."""
    cut = (
        [Line(config.clip_norm, "rule", f"rescaled above: {config.clip_norm:g}", "top right")]
        if config.clip_norm
        else []
    )
    return metric_figure(
        "gradient_norm",
        name="gradient norm",
        seeds=1,
        lines=cut,
        y_axis=style.axis("gradient norm", rangemode="tozero"),
        in_view=(0, 1.3 * max(config.clip_norm, 1.0)),
        epochs=(config.windows_per_epoch, NEW_EPOCH),
        ghosts=ghosts,
        series=series,
        about="against the training step",
        compared="A longer gradient is rescaled to the line." if cut else "It is not rescaled.",
        height=240,
    )


CURVES = (
    Curve(
        "perplexity",
        "Perplexity",
        "perplexity",
        perplexity_figure,
        "The training text is read again in every epoch, so its perplexity can fall by memorising too: what counts is the "
        "validation text, which is not learned from.",
    ),
    Curve(
        "learning_rate",
        "Learning rate",
        "",
        rate_figure,
        "How far a step moves the weights, times the gradient; the schedule changes it over the run.",
    ),
    Curve(
        "gradient_norm",
        "Gradient norm",
        "",
        norm_figure,
        "How steep the loss is: the length of the gradient over all weights, before it is rescaled.",
    ),
)
SHOWN_LIVE = ("learning_rate", "clip_norm")  # live settings that the charts show
SCALE = "log"  # of the perplexity, unless a person chooses
SMOOTHED = False  # it is a mean already


def live_figures(config: PTBConfig, snapshot: Mapping[str, np.ndarray]) -> dict[str, Json]:
    """None of a fixed kind: see app/words_panel.py."""
    return {}
