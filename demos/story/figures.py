"""The story generator's charts, and the story itself, coloured by what the network knows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from demos.story import theory
from demos.story.config import StoryConfig
from lib import style
from lib.curves import Curve, Line, Points, metric_figure
from lib.style import Ghost, Json
from lib.words_figure import Marked, guesses_figure

NO_EPOCHS = "The run begins."


def loss_figure(
    config: StoryConfig,
    *,
    ghosts: Sequence[Ghost] = (),
    smooth: str = "off",
    scale: str = "log",
    series: Mapping[str, Points] | None = None,
) -> Json:
    """Loss against iteration, with chance and the lower bound that the text sets (see `metric_figure`)."""
    chance, floor = theory.chance(config), theory.floor(config)
    lines, notes = [Line(chance, "chance", f"chance: {chance:.2f}", "top right")], []
    if floor > 0 or scale == "linear":
        end = "bottom right" if scale == "linear" else "bottom left"
        lines.append(Line(floor, "floor", f"lower bound of the mean: {floor:.3g}", end))
    else:
        notes.append(style.bottom_note("lower bound: 0, below any log scale"))
    axis = style.loss_axis(scale)
    return metric_figure(
        "loss",
        seeds=1,
        lines=lines,
        y_axis=axis | {"autorangeoptions": {"clipmax": 2 * chance}} if scale == "linear" else axis,
        in_view=(-0.1 * chance if scale == "linear" else 1e-3, 1.25 * chance),
        epochs=(config.steps, NO_EPOCHS),
        ghosts=ghosts,
        smooth=smooth,
        series=series,
        notes=notes,
        about=f"in nats against the iteration, on a {scale} scale",
        compared=f"Chance is {chance:.2f}, the lower bound of the mean {floor:.3g}.",
    )


def accuracy_figure(
    config: StoryConfig, *, ghosts: Sequence[Ghost] = (), series: Mapping[str, Points] | None = None
) -> Json:
    """The share of right words over the last 1,000 iterations, the most that the text allows and what the tutorial reached."""
    best, error = theory.of_training(config).accuracy, theory.sampling_error(config).accuracy
    lines = [
        Line(
            best,
            "floor",
            f"most possible: {best:.1%} (± {error:.1%})" if error else f"most possible: {best:.1%}",
            "top right",
        )
    ]
    if config.n_input == 3:
        names = {1: "tutorial, one layer", 2: "tutorial, two layers"}
        ends = {1: "bottom right", 2: "top left"}
        lines += [Line(p, "rule", f"{names[n]}: {p:.1%}", ends[n]) for n, p in theory.PUBLISHED.items()]
    return metric_figure(
        "accuracy",
        seeds=1,
        lines=lines,
        y_axis=style.axis("right words, last 1,000", tickformat=".0%", rangemode="normal"),
        in_view=(0, 1.12),
        epochs=(config.steps, NO_EPOCHS),
        ghosts=ghosts,
        series=series,
        about="is the share of right words over the last 1,000 iterations, against the iteration",
        compared="; ".join(line.label for line in lines) + ".",
        hover="%{y:.1%}",
        height=300,
    )


CURVES = (
    Curve(
        "loss",
        "Loss",
        "loss",
        loss_figure,
        "The bound is of the mean over all places. One iteration visits a few of them, so single points lie below it too, and "
        "the last hundred by a little: “How low the loss can go” says by how much.",
    ),
    Curve(
        "accuracy",
        "Accuracy",
        "accuracy",
        accuracy_figure,
        "The share of right words over the last 1,000 iterations, as the tutorial prints it, and the most that the text allows, "
        "every place counted as often as training comes there; ± is the standard error of 1,000 iterations.",
    ),
)
SCALE = "log"  # of the loss, unless a person chooses
TEXTS = ("story",)  # of the pictures, those that are texts (see app/static/story.js)

# What is to be said of a word of the story; the texts stand in the legend.
GIVEN, KNOWN, WRONG, UNKNOWABLE = range(4)
LOOKS = ("no context", "the network says it", "it says another word", "it says the other word that can follow")


def live_figures(config: StoryConfig, snapshot: Mapping[str, np.ndarray]) -> dict[str, Json]:
    """The story as the network knows it, and its five best words at the place that comes next in training."""
    return {"story": story_text(config, snapshot), "guess": guess_figure(config, snapshot)}


def waiting(config: StoryConfig) -> dict[str, Json]:
    """What stands there before a run has begun."""
    return {"story": story_text(config, None)}


def known(config: StoryConfig, guesses: np.ndarray) -> np.ndarray:
    """What is to be said of each word of the story, [N]: `guesses` [P] are the network's best after each context."""
    story = config.numbered
    contexts, targets = story.contexts(config.n_input)
    after = {each.context: {word for word, _ in each.followers} for each in theory.of(config).ambiguous}
    looks = np.where(guesses == targets, KNOWN, WRONG)
    for place in np.flatnonzero(looks == WRONG):
        if guesses[place] in after.get(tuple(contexts[place].tolist()), ()):
            looks[place] = UNKNOWABLE
    return np.concatenate([np.full(config.n_input, GIVEN), looks])


def story_text(config: StoryConfig, snapshot: Mapping[str, np.ndarray] | None) -> Json:
    """The words of the story, how each looks, and the context that is read now: content of app/static/story.js."""
    story = config.numbered
    words = [story.words[number] for number in story.numbers]
    content: Json = {"words": words, "looks": [GIVEN] * len(words), "legend": list(LOOKS), "tips": {}}
    if snapshot is None:
        return content | {"said": "Press Start or Step to see which words it knows.", "reads": [], "place": -1}
    guesses, place, n = np.asarray(snapshot["guess"]), int(snapshot["place"]), config.n_input
    looks = known(config, guesses)
    right = int((looks == KNOWN).sum())
    most = round(theory.of(config).accuracy * len(guesses))
    said = f"It knows {right:,} of {len(guesses):,} words ({right / len(guesses):.1%}). At most {most:,} can be known."
    content["tips"] = {str(n + i): story.words[guesses[i]] for i in np.flatnonzero(looks[n:] != KNOWN).tolist()}
    guess, target = story.words[guesses[place]], words[place + n]
    return content | {
        "looks": looks.tolist(), "said": said, "place": place, "reads": words[place : place + n], "guess": guess,
        "target": target, "right": guess == target,
    }  # fmt: skip


def guess_figure(config: StoryConfig, snapshot: Mapping[str, np.ndarray]) -> Json:
    """The five likeliest words after the context that is read now, as bars, and the one that comes next."""
    story, place = config.numbered, int(snapshot["place"])
    context = [story.words[number] for number in story.numbers[place : place + config.n_input]]
    target = story.words[int(story.numbers[place + config.n_input])]
    marked = Marked(target, float(snapshot["probability"][place]), None, "✓", "true next word")
    best: Any = np.asarray(snapshot["best"])
    figure = guesses_figure(
        [story.words[number] for number in best],
        style.numbers(snapshot["best_probability"]),
        marked,
        color=style.TARGET,
        hatch=style.TARGET_HATCH,
        about=f"The five likeliest words after “{' '.join(context)}” at step {int(snapshot['step'])}",
    )
    figure["layout"]["height"] = 260  # with five bars or six
    return figure
