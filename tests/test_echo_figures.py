"""The echo's charts: legal Plotly JSON, that says what the arrays say, in numbers that JSON can hold."""

import json
import math
import re
import time
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from demos.echo import figures, theory
from demos.echo.config import EchoConfig
from lib import style
from lib.style import Ghost
from tests.figure_checks import check, set_colors

TINY = EchoConfig(series_length=300, epochs=10)  # rows of 60 bits: 4 windows an epoch
BACKGROUNDS = ("#FFFFFF", "#0E1117")  # Streamlit's light and dark


def snapshot(config: EchoConfig, *, step: int = 1, right: float = 0.7, seed: int = 0) -> dict[str, np.ndarray]:
    """Random bits, and predictions of which about this share are right."""
    rng = np.random.default_rng(seed)
    shape = (config.truncated_backprop_length, config.batch_size)
    targets = rng.integers(0, 2, shape, dtype=np.uint8)
    says_one = (targets == 1) == (rng.random(shape) < right)
    probabilities = np.where(says_one, 0.5 + rng.random(shape) / 2.01 + 0.001, 0.499 * rng.random(shape))
    return {
        "inputs": rng.integers(0, 2, shape, dtype=np.uint8),
        "targets": targets,
        "probabilities": probabilities.astype(np.float32),
        "hidden_state": rng.uniform(-1, 1, (*shape, config.state_size)).astype(np.float32),
        "step": np.int64(step),
    }


def points(values: Any, *, first: int = 0) -> dict[str, np.ndarray]:
    """A series as the metric stream gives it."""
    value = np.asarray(values, np.float32)
    return {"step": np.arange(first, first + len(value), dtype=np.int32), "value": value}


def all_series(steps: int = 30) -> dict[str, dict[str, np.ndarray]]:
    names = ("loss", "loss_low", "loss_high", "loss_smooth_30", "loss_smooth_300", "epoch_loss")
    return {name: points(np.linspace(0.7, 0.01, steps) + i / 100) for i, name in enumerate(names)}


def by_name(figure: dict[str, Any], name: str, kind: str = "") -> dict[str, Any]:
    """The one trace of this name, and of this type where there are two."""
    (trace,) = [t for t in figure["data"] if t["name"] == name and t["type"].startswith(kind)]
    return trace


# The loss curve


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("smooth", ["off", "30", "300"])
@pytest.mark.parametrize("seeds", [1, 16])
@pytest.mark.parametrize("filled", [True, False])
def test_loss_figure_is_legal(scale: str, smooth: str, seeds: int, filled: bool) -> None:
    config = TINY.model_copy(update={"seeds": seeds})
    ghosts = [Ghost(f"run {i}: state_size {i}", np.arange(9), np.full(9, 0.5)) for i in range(7)]
    figure = figures.loss_figure(
        config, ghosts=ghosts, smooth=smooth, scale=scale, series=all_series() if filled else None
    )
    check(figure)
    assert set_colors(figure) == []
    assert figure["layout"]["yaxis"]["type"] == scale
    assert figure["layout"]["xaxis"]["title"]["text"] == "training step"
    assert figure["layout"]["yaxis"]["title"]["text"] == "loss (nats)"


def series_of(figure: dict[str, Any]) -> list[str]:
    return [t["meta"]["series"] for t in figure["data"] if "series" in t.get("meta", {})]


@pytest.mark.parametrize(
    ("seeds", "smooth", "expected"),
    [
        (1, "off", ["loss", "epoch_loss"]),
        (1, "30", ["loss", "loss_smooth_30", "epoch_loss"]),
        (4, "300", ["loss_low", "loss_high", "loss", "loss_smooth_300", "epoch_loss"]),
    ],
)
def test_each_curve_names_its_series_and_takes_its_points(seeds: int, smooth: str, expected: list[str]) -> None:
    config, series = TINY.model_copy(update={"seeds": seeds}), all_series()
    empty = figures.loss_figure(config, smooth=smooth)
    figure = figures.loss_figure(config, smooth=smooth, series=series)
    assert series_of(empty) == series_of(figure) == expected
    assert all(t["x"] == [] for t in empty["data"] if "series" in t["meta"])
    for trace in figure["data"]:
        if "series" in trace["meta"]:
            wanted = series[trace["meta"]["series"]]
            assert trace["x"] == wanted["step"].tolist()
            assert trace["y"] == wanted["value"].tolist()


def test_many_seeds_have_a_band_and_a_median() -> None:
    figure = figures.loss_figure(TINY.model_copy(update={"seeds": 16}), series=all_series())
    low, high = (t for t in figure["data"] if t["name"] == "middle 80 % of 16 seeds")
    assert "fill" not in low
    assert high["fill"] == "tonexty"
    assert (low["showlegend"], low["legendgroup"]) == (False, high["legendgroup"])
    assert by_name(figure, "median loss of 16 seeds")["meta"] == {"series": "loss"}


def test_smoothing_draws_the_raw_curve_faint() -> None:
    raw = by_name(figures.loss_figure(TINY), "loss")
    faint = by_name(figures.loss_figure(TINY, smooth="30"), "loss")
    smooth = by_name(figures.loss_figure(TINY, smooth="30"), "smoothed over 30 steps")
    assert raw["opacity"] == 1
    assert faint["opacity"] < 0.5
    assert faint["line"]["width"] < smooth["line"]["width"]


def labels(figure: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The labelled lines across the chart."""
    return {s["label"]["text"]: s for s in figure["layout"]["shapes"] if "label" in s}


def test_chance_and_floor_are_labelled_and_told_apart_by_dashes() -> None:
    lines = labels(figures.loss_figure(EchoConfig()))
    names = ("chance: ln 2 = 0.693", "best without the carried state: 0.139", "epoch-mean lower bound: 0.000202")
    assert set(lines) == set(names)
    chance, taught, floor = (lines[name] for name in names)
    assert chance["y0"] == chance["y1"] == math.log(2)
    assert floor["y0"] == floor["y1"] == theory.epoch_floor(EchoConfig())
    assert taught["y0"] == taught["y1"] == theory.without_carried_state(EchoConfig())
    assert len({line["line"]["dash"] for line in (chance, taught, floor)}) == 3


@pytest.mark.parametrize("echo_step", [3, 16])
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_labels_are_on_opposite_sides_so_that_they_never_overlap(echo_step: int, scale: str) -> None:
    """Chance is the highest: its label stands on its line, and the others hang from their own. Two that are close share one."""
    lines = labels(figures.loss_figure(EchoConfig(echo_step=echo_step), scale=scale))
    sides = {text.split(":")[0]: line["label"]["yanchor"] for text, line in lines.items()}
    named = "chance, and the best without the carried state" if echo_step == 16 else "chance"
    assert sides.pop(named) == "bottom" and set(sides.values()) == {"top"}
    assert len(sides) == (1 if echo_step == 16 else 2)


def test_a_floor_of_zero_is_said_but_not_drawn_on_a_log_axis() -> None:
    config = EchoConfig(batch_size=1)
    assert "epoch-mean lower bound: 0" in labels(figures.loss_figure(config))
    figure = figures.loss_figure(config, scale="log")
    assert list(labels(figure)) == ["chance: ln 2 = 0.693", "best without the carried state: 0.139"]
    assert [note["text"] for note in figure["layout"]["annotations"]] == [
        "epoch-mean lower bound: 0, below any log scale"
    ]
    assert all(shape["y0"] > 0 and shape["y1"] > 0 for shape in figure["layout"]["shapes"])


@pytest.mark.parametrize("config", [EchoConfig(), EchoConfig(echo_step=16), EchoConfig(batch_size=1)])
def test_the_range_that_is_always_in_view_has_both_lines_in_it(config: EchoConfig) -> None:
    for scale in ("linear", "log"):
        shapes = figures.loss_figure(config, scale=scale)["layout"]["shapes"]
        (frame,) = [shape for shape in shapes if shape.get("opacity") == 0]
        drawn = [shape["y0"] for shape in shapes if "label" in shape]
        assert all(frame["y0"] < y < frame["y1"] for y in drawn)
        assert scale == "linear" or 0 < frame["y0"] <= 0.01


def test_epochs_are_marked_on_a_hidden_axis_and_say_why_the_loss_spikes() -> None:
    figure = figures.loss_figure(TINY, series=all_series(9))
    (marks,) = [t for t in figure["data"] if t.get("meta", {}).get("epochs")]
    assert marks["x"] == [0, 4, 8]
    assert len(marks["y"]) == 3
    assert marks["yaxis"] == "y2"
    hidden = figure["layout"]["yaxis2"]
    assert (hidden["overlaying"], hidden["range"], hidden["visible"]) == ("y", [0, 1], False)
    assert "reset to zero" in marks["hovertemplate"]
    assert "row before" in marks["hovertemplate"]


@pytest.mark.parametrize("config", [EchoConfig(batch_size=1)])
def test_epoch_marks_speak_of_no_spike_where_there_is_none(config: EchoConfig) -> None:
    marks = by_name(figures.loss_figure(config), "new epoch")
    assert "reset to zero" in marks["hovertemplate"]
    assert "spike" not in marks["hovertemplate"]


def test_ghosts_are_the_last_five_runs_behind_the_curve_the_newest_strongest() -> None:
    ghosts = [Ghost(f"run {i}", range(3), [0.7, 0.5, i / 10]) for i in range(7)]
    traces = figures.loss_figure(TINY, ghosts=ghosts)["data"]
    assert [t["name"] for t in traces] == [
        *(f"run {i}" for i in (6, 5, 4, 3, 2)),
        "loss",
        "mean since the epoch began",
        "new epoch",
    ]
    drawn = traces[:5]
    assert {t["line"]["color"] for t in drawn} == {style.GHOST}
    assert len({t["line"]["dash"] for t in drawn}) == 5
    opacities = [t["opacity"] for t in drawn]
    assert opacities == sorted(opacities, reverse=True)
    assert len(set(opacities)) == 5
    assert drawn[0]["y"] == [0.7, 0.5, 0.6]


def test_a_long_ghost_is_thinned_but_keeps_its_ends_and_peaks() -> None:
    value = np.full(5000, 0.1)
    value[[1234, 4321]] = 0.9, 0.001
    (trace, *_) = figures.loss_figure(TINY, ghosts=[Ghost("run", np.arange(5000), value)])["data"]
    assert len(trace["x"]) <= style.MOST_POINTS
    assert {0, 1234, 4321, 4999} <= set(trace["x"])


def test_a_long_name_is_cut_to_a_line_of_a_phone() -> None:
    name = "run 4: cell lstm, echo_step 8, learning_rate 0.01, optimizer adam"
    (trace, *_) = figures.loss_figure(TINY, ghosts=[Ghost(name, [0], [0.5])])["data"]
    assert trace["name"] == "run 4: cell lstm, echo_step 8, learning_rat…"


def test_values_that_are_not_finite_become_null() -> None:
    series = {"loss": points([0.5, math.nan, math.inf, 0.25])}
    figure = figures.loss_figure(TINY, series=series)
    check(figure)
    assert by_name(figure, "loss")["y"] == [0.5, None, None, 0.25]


def test_loss_alt_says_where_the_curve_is_and_has_a_template_for_live_values() -> None:
    figure = figures.loss_figure(EchoConfig(), scale="log", series={"loss": points([0.7, 0.01234567], first=41)})
    meta = figure["layout"]["meta"]
    assert meta["alt"] == (
        "The loss in nats against the training step, on a log scale: 0.01235 at step 42. "
        "Chance is ln 2 = 0.693, the best without the carried state 0.139, the lower bound of an epoch's mean 0.000202."
    )
    assert meta["alt_template"].replace("{loss}", "0.01235").replace("{step}", "42") == meta["alt"]
    assert "at step" not in figures.loss_figure(EchoConfig())["layout"]["meta"]["alt"]


def test_series_without_points_are_as_good_as_none() -> None:
    figure = figures.loss_figure(TINY, series={"loss": points([])})
    check(figure)
    assert by_name(figure, "new epoch")["x"] == [0]


@pytest.mark.parametrize("settings", [{"smooth": "31"}, {"scale": "sqrt"}])
def test_an_unknown_choice_is_refused_with_the_choices(settings: dict[str, Any]) -> None:
    (name, value), *_ = settings.items()
    with pytest.raises(ValueError, match=rf"{name} = '{value}' .*choose one of \w+, "):
        figures.loss_figure(TINY, **settings)


def test_zoom_survives_an_update_but_not_a_change_of_scale() -> None:
    """Plotly keeps what the reader did while uirevision is the same."""
    linear, log = (figures.loss_figure(TINY, scale=scale)["layout"] for scale in ("linear", "log"))
    assert linear["uirevision"] == log["uirevision"]
    assert linear["yaxis"]["uirevision"] != log["yaxis"]["uirevision"]


# The batch

SHAPES = [
    EchoConfig(),
    EchoConfig(batch_size=1),
    EchoConfig(batch_size=3, truncated_backprop_length=1),
    EchoConfig(batch_size=64, truncated_backprop_length=50, state_size=64, cell="lstm"),
    EchoConfig(state_size=1, cell="gru"),
    EchoConfig(state_size=20, truncated_backprop_length=25),
]


@pytest.mark.parametrize("config", SHAPES)
def test_live_figures_are_legal(config: EchoConfig) -> None:
    drawn = figures.live_figures(config, snapshot(config))
    assert list(drawn) == ["batch", "hidden_state"]
    for figure in drawn.values():
        check(figure)
        assert set_colors(figure) == []


@pytest.mark.parametrize("config", SHAPES)
def test_bars_stand_where_the_bits_are_one(config: EchoConfig) -> None:
    shot = snapshot(config)
    figure = figures.batch_figure(config, shot)
    rows = min(5, config.batch_size)
    ones = {"input": shot["inputs"] == 1, "target": shot["targets"] == 1}
    ones["prediction"] = shot["probabilities"] > 0.5
    for name, height in (("input", 1.0), ("target", 0.5), ("prediction", 0.3)):
        trace = by_name(figure, name)
        expected = {
            (step + 1, row) for step, row in np.argwhere(ones[name][:, :rows]).tolist()
        }  # from 1, and from the top
        found = {
            (x, rows - 1 - round(base / figures.ROW_PITCH))
            for x, base in zip(trace["x"], trace["base"], strict=True)
            if x is not None
        }
        assert found == expected
        assert set(trace["y"]) == {height}


def test_bits_are_told_apart_by_colour_and_by_width_height_and_hatch() -> None:
    figure = figures.batch_figure(EchoConfig(), snapshot(EchoConfig()))
    bars = [by_name(figure, name) for name in ("input", "target", "prediction")]
    assert [bar["marker"]["color"] for bar in bars] == ["#0072B2", "#D55E00", "#009E73"]
    widths, heights = [bar["width"] for bar in bars], [bar["y"][0] for bar in bars]
    assert widths == sorted(widths, reverse=True)
    assert heights == sorted(heights, reverse=True)
    assert len({bar["marker"].get("pattern", {}).get("shape", "") for bar in bars}) == 3
    assert figure["layout"]["barmode"] == "overlay"


def test_wrong_columns_are_tinted_and_crossed_and_counted() -> None:
    config, shot = EchoConfig(), snapshot(EchoConfig(), right=0.5)
    figure = figures.batch_figure(config, shot)
    right = (shot["probabilities"] > 0.5) == shot["targets"]
    wrong = int((~right).sum())
    tint, crosses = by_name(figure, "wrong", "bar"), by_name(figure, "wrong", "scatter")
    assert 0 < wrong < right.size
    assert len(tint["x"]) == len(crosses["x"]) == wrong
    assert tint["x"] == crosses["x"]
    titles = [note["text"] for note in figure["layout"]["annotations"]]
    assert titles == [f"row {row + 1}: {right[:, row].sum()} of 15 right" for row in range(5)]
    assert f"{right.sum()} of 75 predictions are right" in figure["layout"]["meta"]["alt"]


def test_the_legend_stays_the_same_when_nothing_is_wrong() -> None:
    config = EchoConfig()
    all_right, some = (figures.batch_figure(config, snapshot(config, right=share)) for share in (1.0, 0.5))

    def legend(figure: dict[str, Any]) -> list[str]:
        shown = [t for t in figure["data"] if t.get("showlegend", True) and len(t["x"]) > 0]
        return [t["name"] for t in sorted(shown, key=lambda t: t["legendrank"])]

    assert by_name(all_right, "wrong", "scatter")["x"] == [None]
    assert legend(all_right) == legend(some)
    assert legend(some) == ["input", "target", "prediction", "probability of a 1", "wrong", "cannot be known"]


def test_probabilities_are_dots_at_their_height_in_the_row() -> None:
    config, shot = EchoConfig(), snapshot(EchoConfig())
    trace = by_name(figures.batch_figure(config, shot), "probability of a 1")
    height = np.array(trace["y"]).reshape(5, 15) - figures.ROW_PITCH * np.arange(4, -1, -1)[:, None]
    np.testing.assert_allclose(height, shot["probabilities"].T, atol=0.001)
    assert trace["x"] == [*range(1, 16)] * 5


@pytest.mark.parametrize(
    ("echo_step", "step", "positions"),
    [
        (3, 0, [1, 2, 3]),  # the first window of an epoch
        (3, 4, [1, 2, 3]),  # the first of the next, 4 windows later
        (3, 1, []),
        (20, 0, [*range(1, 16)]),
        (20, 1, [1, 2, 3, 4, 5]),  # an echo longer than a window
        (20, 2, []),
    ],
)
def test_targets_that_cannot_be_known_are_hatched(echo_step: int, step: int, positions: list[int]) -> None:
    config = TINY.model_copy(update={"echo_step": echo_step})
    figure = figures.batch_figure(config, snapshot(config, step=step))
    trace = by_name(figure, "cannot be known")
    assert trace["x"] == (positions * 5 or [None])
    assert trace["marker"]["pattern"]["shape"]
    title = figure["layout"]["annotations"][0]["text"]
    knowable = 15 - len(positions)
    assert re.fullmatch(rf"row 1: \d+ of {knowable} {'knowable ' if positions else ''}right", title)
    wrong = set(by_name(figure, "wrong", "scatter")["x"])
    assert knowable or wrong == {None}, "what cannot be known is never marked wrong"


@pytest.mark.parametrize("stride", [0, 2])
def test_what_cannot_be_known_is_what_the_floor_counts(stride: int) -> None:
    """The hatch and the theory agree: a floor above 0 is where the hatch is."""
    config = TINY.model_copy(update={"stride": stride})
    for step in range(4):
        shot = snapshot(config, step=step)
        unknowable = figures.columns_of(config, shot).unknowable[:15]
        floors = [theory.floor_at(config, step * (stride or 15) + position) > 0 for position in range(15)]
        assert unknowable.tolist() == floors


def test_of_overlapping_windows_the_picture_says_which_steps_are_scored() -> None:
    config = EchoConfig(stride=5)
    layout = figures.batch_figure(config, snapshot(config))["layout"]
    assert [shape["x0"] for shape in layout["shapes"]] == [10.5]
    assert "scored from 11 on" in layout["xaxis"]["title"]["text"]
    assert "The last 5 of 15 steps are scored." in layout["meta"]["alt"]
    plain = figures.batch_figure(EchoConfig(), snapshot(EchoConfig()))["layout"]
    assert plain["shapes"] == [] and "scored" not in plain["xaxis"]["title"]["text"] + plain["meta"]["alt"]


def test_where_every_scored_echo_is_within_its_window_the_two_bounds_share_a_line() -> None:
    config = EchoConfig(stride=5)
    lines = labels(figures.loss_figure(config))
    assert set(lines) == {"chance: ln 2 = 0.693", "epoch-mean lower bound, and the best without the carried state: 0"}
    (note,) = [n["text"] for n in figures.loss_figure(config, scale="log")["layout"]["annotations"]]
    assert note == "epoch-mean lower bound, and the best without the carried state: 0, below any log scale"


def test_pointing_at_a_column_tells_all_about_it() -> None:
    config, shot = EchoConfig(), snapshot(EchoConfig())
    hover = figures.batch_figure(config, shot)["data"][-1]
    assert hover["hoverinfo"] == "all"
    row, position = 3, 7
    at = (row - 1) * 15 + position - 1
    said = shot["probabilities"][position - 1, row - 1]
    bits = [int(shot[name][position - 1, row - 1]) for name in ("inputs", "targets")]
    verdict = "right" if bits[1] == (said > 0.5) else "wrong"
    assert hover["x"][at] == position
    assert hover["customdata"][at] == [row, *bits, int(said > 0.5), pytest.approx(said, abs=1e-4), verdict]


def test_a_probability_that_is_not_finite_is_wrong_and_null() -> None:
    config, shot = EchoConfig(), snapshot(EchoConfig(), right=1.0)
    shot["probabilities"][:, :] = np.nan
    shot["hidden_state"][2, 0, 1] = np.inf
    drawn = figures.live_figures(config, shot)
    for figure in drawn.values():
        check(figure)
    assert "0 of 75 predictions are right" in drawn["batch"]["layout"]["meta"]["alt"]
    assert by_name(drawn["batch"], "probability of a 1")["y"] == [None] * 75
    assert drawn["hidden_state"]["data"][0]["z"][1][2] is None


# The hidden state


@pytest.mark.parametrize("config", SHAPES)
def test_hidden_state_is_unit_against_position_of_the_first_row(config: EchoConfig) -> None:
    shot = snapshot(config)
    figure = figures.hidden_state_figure(config, shot)
    (trace,) = figure["data"]
    np.testing.assert_allclose(np.array(trace["z"]), shot["hidden_state"][:, 0].T, atol=0.001)
    assert (trace["zmin"], trace["zmax"]) == (-1, 1)
    assert trace["colorbar"]["title"]["text"] == "activation"
    names = figure["layout"]["yaxis"]["ticktext"]
    assert names[0] == "unit 1"
    assert names[-1] == f"unit {config.state_size}"
    assert str(config.state_size) in figure["layout"]["meta"]["alt"]


def test_unit_names_are_thinned_before_they_overlap() -> None:
    """A name of 12 pixels needs a line of about 15."""
    for units in range(1, 65):
        config = EchoConfig(state_size=units)
        layout = figures.hidden_state_figure(config, snapshot(config))["layout"]
        pitch = (layout["height"] - 110) / units
        gaps = np.diff(layout["yaxis"]["tickvals"])
        assert len(gaps) == 0 or gaps.min() * pitch >= 15


# Cost and colours


def test_live_figures_are_fast_and_small() -> None:
    config = EchoConfig()
    shot = snapshot(config, right=0.5, step=0)
    seconds = []
    for _ in range(50):
        began = time.perf_counter()
        drawn = figures.live_figures(config, shot)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.002
    assert len(json.dumps(drawn["batch"])) < 20_000


def luminance(color: str) -> float:
    """Relative luminance (WCAG 2)."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("name", ["INPUT", "TARGET", "PREDICTION", "LOSS", "REFERENCE", "GHOST", "WRONG"])
def test_colours_stand_out_on_light_and_dark(name: str, background: str) -> None:
    assert contrast(getattr(style, name), background) >= 3


def test_the_scale_of_the_hidden_state_runs_from_dark_over_light_to_middling() -> None:
    """So its two ends can be told apart by lightness alone."""
    low, *_, high = [luminance(color) for _, color in style.DIVERGING]
    middle = luminance(style.DIVERGING[2][1])
    assert low + 0.2 < high < middle - 0.2


def test_a_picture_has_a_place_holder_before_there_is_a_run() -> None:
    figure = style.waiting_figure()
    go.Figure(figure)
    assert figure["layout"]["height"] > 0
    assert figure["layout"]["meta"]["alt"]
