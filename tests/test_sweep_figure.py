"""The map of a sweep: legal Plotly JSON, the cells' numbers, and the boundary where theory has it."""

import pytest

from demos.echo import theory
from demos.echo.config import SWEEP_BASE
from demos.registry import DEMOS, Demo
from lib.sweep import Result, plan
from lib.sweep_figure import boundaries_in_words, sweep_figures
from tests.figure_checks import check, set_colors

PLAN = plan(SWEEP_BASE, [("echo_step", "1:5"), ("state_size", "2, 4")])
IDS = [f"s-{i:03d}" for i in range(10)]
RESULTS = {
    0: Result("finished", (0.001, 0.5, 0.002)),
    6: Result("diverged", (None, None, 0.1)),
    9: Result("failed", ()),
}


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.slug)
@pytest.mark.parametrize("filled", [True, False])
def test_every_offered_map_is_legal(demo: Demo, filled: bool) -> None:
    for axes in demo.sweeps.values():
        made = plan(demo.sweep_base, axes)
        ids = [str(i) for i in range(len(made.cells))]
        for figure in sweep_figures(made, RESULTS if filled else {}, demo.theory, ids).values():
            check(figure)
            assert set_colors(figure) in ([], ["colorscale"])


def test_cells_have_their_medians_shares_and_runs() -> None:
    figures = sweep_figures(PLAN, RESULTS, theory, IDS)
    loss, share = figures["sweep_loss"]["data"][0], figures["sweep_share"]["data"][0]
    assert loss["z"][0][0] == 0.002 and share["z"][0][0] == pytest.approx(2 / 3)
    assert loss["z"][1][1] is None and share["z"][1][1] == 0
    assert loss["z"][1][4] is None and share["z"][1][4] is None
    assert [cell[-1] for cell in loss["customdata"][0]] == ["s-000", "", "", "", ""]
    assert "echo_step 2, state_size 4" in loss["customdata"][1][1][0]
    assert "no longer a number (diverged)" in loss["customdata"][1][1][1]


def test_the_boundary_runs_between_what_theory_allows_and_what_it_does_not() -> None:
    short = plan(
        SWEEP_BASE.model_copy(update={"truncated_backprop_length": 4}), [("echo_step", "1:5"), ("state_size", "2, 4")]
    )
    solid, dashed = sweep_figures(short, {}, theory, IDS)["sweep_loss"]["data"][1:]
    assert (solid["line"]["dash"], dashed["line"]["dash"]) == ("solid", "dash")
    assert set(dashed["x"]) == {2.5, None}, "the window reaches three steps back"
    line = solid
    edges = {tuple(zip(line["x"][i : i + 2], line["y"][i : i + 2], strict=True)) for i in range(0, len(line["x"]), 3)}
    # two units reach echo_step 1, four units 3
    assert edges == {
        ((0.5, -0.5), (0.5, 0.5)),
        ((2.5, 0.5), (2.5, 1.5)),
        ((0.5, 0.5), (1.5, 0.5)),
        ((1.5, 0.5), (2.5, 0.5)),
    }


def test_without_a_boundary_there_is_no_line() -> None:
    made = plan(SWEEP_BASE, [("optimizer", "adam, adagrad")])
    assert len(sweep_figures(made, {}, theory, ["a", "b"])["sweep_loss"]["data"]) == 1


def test_a_boundary_is_explained_where_there_is_one() -> None:
    said = {demo.slug: boundaries_in_words(demo.theory) for demo in DEMOS}
    assert said["echo"].startswith(" Solid amber, *a unit for each bit*") and "Dashed amber" in said["echo"]
    assert {slug for slug, words in said.items() if not words} == {"story", "ptb", "from-scratch"}
