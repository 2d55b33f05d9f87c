"""Charts of a metric against the training step, the same for every demo: curves, computed lines, epochs, earlier runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from lib import style
from lib.stream import EPOCH_MEAN
from lib.style import Ghost, Json

Points = Mapping[str, Any]  # "step" and "value", arrays [n]


class Line(NamedTuple):
    """A computed value to compare with: a labelled line across the chart (see `style.reference_line`)."""

    value: float
    kind: str
    label: str
    where: str


class Curve(NamedTuple):
    """A chart of a demo's page. `figure(config, ghosts=…, smooth=…, scale=…)` builds it.

    `metric` is the series of earlier runs that are drawn behind it, or "" for none. One `beside` stands at the side of the
    first, the others below.
    """

    name: str
    title: str
    metric: str
    figure: Callable[..., Json]
    caption: str = ""
    beside: bool = False


def metric_figure(
    metric: str,
    *,
    seeds: int,
    lines: Sequence[Line],
    y_axis: Json,
    in_view: tuple[float, float],
    epochs: tuple[int, str],
    about: str,
    compared: str,
    ghosts: Sequence[Ghost] = (),
    smooth: str = "off",
    series: Mapping[str, Points] | None = None,
    notes: Sequence[Json] = (),
    hover: str = "%{y:.4g}",
    height: int = 380,
    name: str = "",
    epoch_mean: bool = False,
) -> Json:
    """A metric against the training step, with its lines, a mark at each new epoch and up to five earlier runs.

    `in_view` is a range of y that an automatic axis always shows. `epochs` is the steps of one and what happens at its
    start. `ghosts` begins with the oldest run. `series` maps names of the metric stream to points; without it the curves
    are empty. `meta` of each trace says what it shows: {"series": name} or {"epochs": True}. `about` and `compared` make
    the text alternative: what is drawn, and what it is to be compared with. `name` is what the metric's curve is called, where
    that is not the metric's own name. With `epoch_mean` the mean since the epoch began is drawn too, which is what a line of an
    epoch's mean is to be compared with.
    """
    curves = style.metric_curves(metric, seeds, smooth, hover)
    if epoch_mean:
        curves.append(style.epoch_mean_curve(EPOCH_MEAN, seeds))
    for trace in curves:
        if name and trace["meta"]["series"] == metric:
            trace["name"] = name
        drawn = (series or {}).get(trace["meta"]["series"])
        if drawn is not None:
            trace |= {"x": style.numbers(drawn["step"]), "y": style.numbers(drawn["value"])}
    points = (series or {}).get(metric)
    last = int(points["step"][-1]) if points is not None and len(points["step"]) else 0
    marks = style.epoch_marks(range(0, last + 1, epochs[0]), epochs[1])
    earlier = style.ghost_curves(ghosts)
    what = metric if seeds == 1 else f"median {metric} of {seeds} seeds"

    def alt(reached: str) -> str:
        return f"The {what} {about}{reached}. {compared}"

    reached = f": {points['value'][-1]:.4g} at step {last}" if points is not None and len(points["value"]) else ""
    shapes = [style.in_view(*in_view), *(style.reference_line(*line) for line in lines)]
    layout = style.layout(
        alt=alt(reached),
        height=height + 24 * len(earlier),  # on a phone each has a line of the legend
        revision=metric,
        shapes=shapes,
        annotations=list(notes),
        xaxis=style.STEP_AXIS,
        yaxis=y_axis,
        yaxis2=style.EPOCH_AXIS,
    )
    layout["meta"]["alt_template"] = alt(f": {{{metric}}} at step {{step}}")
    return {"data": [*earlier, *curves, marks], "layout": layout}
