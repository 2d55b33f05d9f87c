"""Runs over each other: one line each, told apart by colour and dash."""

import numpy as np
import pytest

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
