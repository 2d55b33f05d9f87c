"""Runs over each other: one line each, told apart by colour and dash."""

import numpy as np
import pytest

from lib import style
from lib.runs_figure import MOST, Overlay, runs_figure
from tests.figure_checks import check, set_colors


def overlays(count: int, points: int = 50) -> list[Overlay]:
    return [Overlay(f"run {i}", np.arange(points), np.linspace(0.7, 0.1 + i / 100, points)) for i in range(count)]


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("count", [1, 3, MOST])
def test_each_run_is_a_line_with_a_look_of_its_own(count: int, scale: str) -> None:
    figure = runs_figure(overlays(count), scale)
    check(figure)
    assert set_colors(figure) == []
    assert [trace["name"] for trace in figure["data"]] == [f"run {i}" for i in range(count)]
    assert len({(t["line"]["color"], t["line"]["dash"]) for t in figure["data"]}) == count


def test_no_more_lines_than_can_be_told_apart() -> None:
    assert len(runs_figure(overlays(12), "log")["data"]) == MOST


def test_a_long_curve_is_thinned_and_an_empty_one_does_no_harm() -> None:
    (trace,) = runs_figure(overlays(1, 5000), "log")["data"]
    assert len(trace["x"]) <= 600
    check(runs_figure([Overlay("empty, 0 steps", np.zeros(0), np.zeros(0))], "linear"))


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="scale = 'cubic'"):
        runs_figure(overlays(1), "cubic")


def test_runs_that_are_too_many_to_tell_apart_are_grey_behind_the_others() -> None:
    figure = runs_figure(overlays(3), "log", overlays(9))
    check(figure)
    named = [trace["name"] for trace in figure["data"] if trace.get("showlegend", True)]
    assert named == ["9 more", "run 0", "run 1", "run 2"]
    behind = figure["data"][:9]
    assert {trace["line"]["color"] for trace in behind} == {style.GHOST}
    assert [trace["hovertemplate"].partition("<br>")[0] for trace in behind] == [f"run {i}" for i in range(9)]
    assert figure["layout"]["meta"]["alt"].startswith("The losses in nats of 3 runs")


def test_a_name_is_no_markup() -> None:
    link = Overlay("<a href='x'>run</a>", np.arange(5), np.linspace(1, 0.1, 5))
    figure = runs_figure([link], "log", [link])
    assert figure["data"][1]["name"] == "&lt;a href='x'&gt;run&lt;/a&gt;"
    assert figure["data"][0]["hovertemplate"].startswith("&lt;a href='x'&gt;run&lt;/a&gt;<br>")
