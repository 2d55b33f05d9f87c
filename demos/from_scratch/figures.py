"""The charts of the page from scratch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from demos.from_scratch import theory
from demos.from_scratch.config import HANDS, RUNNERS, FromScratchConfig
from demos.from_scratch.data import Corpus
from demos.from_scratch.vanishing import CELLS
from lib import style
from lib.curves import Curve, Line, Points, metric_figure
from lib.style import Ghost, Json

NEW_EPOCH = "The sentences are read from the first one again."
HAND_LOOKS = {"numpy": (style.TARGET, "solid"), "eager": (style.INPUT, "dash"), "graph": (style.LOSS, "dashdot")}
HAND_LOOKS |= {"xla": (style.PREDICTION, "dot")}
CELL_LOOKS = {"tanh": (style.INPUT, "solid"), "relu": (style.TARGET, "dash"), "gru": (style.LOSS, "dashdot")}
CELL_LOOKS |= {"lstm": (style.PREDICTION, "dot")}
LOWEST, HIGHEST = 1e-12, 1e6  # of a gradient that is drawn


def loss_figure(
    config: FromScratchConfig,
    *,
    ghosts: Sequence[Ghost] = (),
    smooth: str = "off",
    scale: str = "linear",
    series: Mapping[str, Points] | None = None,
) -> Json:
    """Each sentence's loss before it is learned, the mean since the epoch began, and what both are to be compared with."""
    chance, frequent, bound = theory.chance(config), theory.frequencies(config), theory.epoch_floor(config)
    lines = [
        Line(chance, "chance", f"chance: ln {len(config.words.words):,} = {chance:.2f}", "top right"),
        Line(frequent, "rule", f"unigram model: {frequent:.2f}", "bottom left"),
    ]
    race = config.hands == "race"
    if not race:  # whose losses are means of a few sentences
        lines.append(Line(bound, "floor", f"epoch-mean lower bound: {bound:.2f}", "bottom right"))
    figure = metric_figure(
        "loss",
        seeds=1,
        lines=lines,
        y_axis=_loss_axis(scale, chance),
        in_view=(0.5 * frequent if race else 0.8 * bound, 1.1 * chance),
        epochs=(config.windows_per_epoch, NEW_EPOCH),
        ghosts=() if race else ghosts,  # whose steps are sentences, not rounds
        smooth=smooth,
        series=series,
        about=f"in nats per word, against the training step, on a {scale} scale",
        compared=f"Chance is {chance:.3f}, the unigram model {frequent:.3f}, the lower bound of an epoch's mean {bound:.3f}.",
        epoch_mean=True,
    )
    if race:
        kept = [trace for trace in figure["data"] if not trace.get("meta", {}).get("series")]
        figure["layout"]["xaxis"] = style.STEP_AXIS | {"title": {"text": "round of the race", "standoff": 8}}
        figure["data"] = [*(_hand_curve(name, series) for name in RUNNERS), *kept]
    return figure


def _loss_axis(scale: str, chance: float) -> Json:
    """The axis of a loss in nats a word. A run that goes astray must not flatten the rest."""
    if scale == "log":
        return style.axis("loss (nats per word)", uirevision=scale, type="log", tickformat="~g", dtick="D2")
    return style.axis("loss (nats per word)", uirevision=scale, autorangeoptions={"clipmin": 0, "clipmax": 2 * chance})


def _of_series(name: str, label: str, color: str, dash: str, series: Mapping[str, Points] | None) -> Json:
    points: Mapping[str, Any] = (series or {}).get(name, {"step": [], "value": []})
    places = {"x": style.numbers(points["step"]), "y": style.numbers(points["value"])}
    return style.curve(label, **places, line={"color": color, "width": 2.5, "dash": dash}, meta={"series": name})


def _hand_curve(name: str, series: Mapping[str, Points] | None) -> Json:
    return _of_series(f"loss_{name}", HANDS[name], *HAND_LOOKS[name], series)


def rate_figure(
    config: FromScratchConfig, *, ghosts: Sequence[Ghost] = (), series: Mapping[str, Points] | None = None
) -> Json:
    """The learning rate, halved where the loss rose."""
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


CURVES = (
    Curve(
        "loss",
        "Loss",
        "loss",
        loss_figure,
        "The lower bound is of the mean over an epoch, so compare the other curve with it: single sentences may cost less.",
    ),
    Curve(
        "learning_rate",
        "Learning rate",
        "",
        rate_figure,
        "It is halved where the loss of an epoch is higher than that of the epoch checked before.",
    ),
)
SHOWN_LIVE = ("learning_rate",)  # live settings that the charts show
SCALE = "linear"


def live_figures(config: FromScratchConfig, snapshot: Mapping[str, np.ndarray]) -> dict[str, Json]:
    """The bars of a race, or the sentence that comes next."""
    if config.hands == "race":
        return {"race": race_figure(snapshot)}
    return {"sentence": sentence_figure(config.words, snapshot)}


def race_figure(snapshot: Mapping[str, np.ndarray]) -> Json:
    """The bars of sentences per second, with the time per step and the loss that each hand has reached."""
    speeds, losses = np.asarray(snapshot["speeds"]), np.asarray(snapshot["losses"])
    learned = np.asarray(snapshot["sentences"]).tolist()
    names = [HANDS[name] for name in RUNNERS]
    texts = [
        f"{speed:,.0f} a second<br>{_per_step(speed)}<br>{count:,} learned"
        + (f" · loss {loss:.2f}" if np.isfinite(loss) else "")
        for speed, count, loss in zip(speeds, learned, losses, strict=True)
    ]
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": names,
        "x": style.numbers(speeds, 1),
        "text": texts,
        "textposition": "auto",
        "marker": {"color": [HAND_LOOKS[name][0] for name in RUNNERS]},
        "hovertemplate": "%{y}<br>%{text}<extra></extra>",
        "cliponaxis": False,
    }
    each = (f"{name}: {text.replace('<br>', ', ')}" for name, text in zip(names, texts, strict=True))
    alt = f"Sentences per second of each hand: {'; '.join(each)}."
    axes = {
        "xaxis": style.axis("sentences per second", rangemode="tozero", tickformat=","),
        "yaxis": style.axis("", autorange="reversed", fixedrange=True),
    }
    return {"data": [bars], "layout": style.layout(alt=alt, height=340, revision="race", showlegend=False, **axes)}


def _per_step(speed: float) -> str:
    """How long one SGD step takes, that is one sentence: three digits of milliseconds."""
    return f"{float(f'{1e3 / speed:.3g}'):g} ms per step" if speed else "no step yet"


def sentence_figure(corpus: Corpus, snapshot: Mapping[str, np.ndarray]) -> Json:
    """What each word of the sentence that comes next costs the network, in nats."""
    words, nats = corpus.text_of(snapshot["y"]), np.asarray(snapshot["nats"])
    places = list(range(1, len(words) + 1))
    bars = {
        "type": "bar",
        "x": places,
        "y": style.numbers(nats, 3),
        "marker": {"color": style.LOSS},
        "customdata": words,
        "hovertemplate": "%{customdata}<br>%{y:.2f} nats<extra></extra>",
    }
    chance = float(np.log(len(corpus.words)))
    alt = (
        f"What each of the {len(words)} words of the next sentence costs at step {int(snapshot['step']):,}, on average "
        f"{nats.mean():.2f} nats."
    )
    ticks = {"tickvals": places, "ticktext": [_short(word) for word in words], "tickangle": -60}
    axes = {
        "xaxis": style.axis("", **ticks, fixedrange=True, showgrid=False),
        "yaxis": style.axis("nats", rangemode="tozero"),
    }
    shapes = [
        style.reference_line(chance, "chance", f"chance: {chance:.2f}", "top right"),
        style.in_view(0, 1.2 * chance),
    ]
    layout = style.layout(alt=alt, height=300, revision="sentence", showlegend=False, shapes=shapes, **axes)
    return {"data": [bars], "layout": layout}


def _short(word: str) -> str:
    return {"SENTENCE_END": "END", "UNKNOWN_TOKEN": "UNKNOWN"}.get(word, word if len(word) <= 12 else word[:11] + "…")


def frequency_figure(corpus: Corpus) -> Json:
    """How often each word comes, by its rank, and where the vocabulary ends."""
    counts = np.array([count for _, count in corpus.counts])
    ranks, values = style.thinned(np.arange(1, len(counts) + 1), counts)
    names = [corpus.counts[rank - 1][0] for rank in ranks.tolist()]
    inside = min(len(corpus.words) - 1, len(counts))
    curve = {
        "type": "scatter",
        "mode": "lines",
        "name": "words",
        "x": style.numbers(ranks),
        "y": style.numbers(values),
        "customdata": names,
        "line": {"color": style.INPUT, "width": 2},
        "hovertemplate": "word %{x:,}: %{customdata}<br>%{y:,.0f} times<extra></extra>",
    }
    cut = {"type": "line", "x0": inside, "x1": inside, "yref": "paper", "y0": 0, "y1": 1}
    cut |= {"line": {"color": style.REFERENCE, "width": 1.5, "dash": "dash"}}
    where = {"x": float(np.log10(inside)), "xanchor": "right", "yref": "paper", "y": 1, "yanchor": "top"}
    note = {"text": f"known: {inside:,} words", "showarrow": False, "font": style.HALO, **where}
    alt = (
        f"How often each of {len(counts):,} words comes, by rank, on logarithmic axes. Known are the {inside:,} most frequent: "
        f"{corpus.known:.1%} of the text."
    )
    axes = {
        "xaxis": style.axis("rank of the word", type="log", tickformat="~s", dtick=1),
        "yaxis": style.axis("times in the text", type="log", tickformat="~s", dtick=1),
    }
    layout = style.layout(
        alt=alt, height=300, revision="frequency", showlegend=False, shapes=[cut], annotations=[note], **axes
    )
    return {"data": [curve], "layout": layout}


def reach_figure(reaches: Mapping[str, np.ndarray], scale: float) -> Json:
    """How much of the gradient reaches the step so many before, for each cell: arrays [steps], 1 at first."""
    curves = []
    for cell, values in reaches.items():
        color, dash = CELL_LOOKS[cell]
        drawn = np.where(values > LOWEST, np.minimum(values, HIGHEST), np.nan)
        curves.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": CELLS[cell],
                "x": list(range(len(values))),
                "y": style.numbers(drawn),
                "line": {"color": color, "width": 2.5, "dash": dash},
                "hovertemplate": f"{CELLS[cell]}<br>%{{x}} steps back: %{{y:.2g}}<extra></extra>",
            }
        )
    ends = "; ".join(f"{CELLS[cell]} {values[-1]:.1e}" for cell, values in reaches.items())
    steps = len(next(iter(reaches.values()))) - 1
    alt = f"The share of the gradient that reaches {steps} steps back, at an initial scale of {scale:g}: {ends}."
    shapes = [style.reference_line(1.0, "rule", "all of it", "top right"), style.in_view(1e-6, 10)]
    axes = {
        "xaxis": style.axis("steps back", rangemode="tozero"),
        "yaxis": style.axis("share of the gradient", type="log", exponentformat="power", dtick=3),
    }
    return {"data": curves, "layout": style.layout(alt=alt, height=380, revision="reach", shapes=shapes, **axes)}
