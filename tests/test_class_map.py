"""The map of a class: every run is seen at its settings, by nickname only, and the boundary is where theory has it."""

import json
import types
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from demos.echo import theory
from demos.echo.config import EchoConfig
from demos.registry import DEMOS, Demo
from lib.class_map import DIVERGED, ENDED, TRAINING, UNKNOWN, class_map
from lib.records import RunRecord
from lib.settings import Config, settings_of
from lib.style import Json
from lib.theory import Boundary
from tests.figure_checks import check, set_colors
from tests.run_records import run

NICKNAMES = {"visitor-1": "Ada", "visitor-2": "Bob"}


def drawn(runs: Sequence[RunRecord], x: str = "echo_step", y: str = "state_size", base: Config | None = None) -> Json:
    figure = class_map("Echo", EchoConfig, base or EchoConfig(), x, y, runs, NICKNAMES, theory)
    check(figure)
    return figure


def points(figure: Json) -> dict[str, dict[str, Any]]:
    """What is drawn of each run: its place, its kind, its colour and what a reader is told."""
    found = {}
    for trace in figure["data"]:
        for i, custom in enumerate(trace.get("customdata", ())):
            color = trace["marker"]["color"][i] if "coloraxis" in trace["marker"] else None
            found[custom[-1]] = {
                "x": trace["x"][i],
                "y": trace["y"][i],
                "kind": trace["name"],
                "color": color,
                "says": custom,
            }
    return found


def border(figure: Json) -> set[tuple[tuple[float, float], tuple[float, float]]]:
    """The boundary's pieces, as pairs of points."""
    lines = [trace for trace in figure["data"] if trace["mode"] == "lines"]
    return {
        tuple(zip(line["x"][i : i + 2], line["y"][i : i + 2], strict=True))
        for line in lines
        for i in range(0, len(line["x"]), 3)
    }  # type: ignore[misc]


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.slug)
def test_a_map_over_any_two_settings_is_legal(demo: Demo) -> None:
    runs = [run(str(i), config) for i, config in enumerate([demo.sweep_base, *demo.presets.values()])]
    for x, y in pairwise([*settings_of(demo.config), next(iter(settings_of(demo.config)))]):
        figure = class_map(demo.title, demo.config, demo.config(), x, y, runs, NICKNAMES, demo.theory)
        check(figure)
        assert set_colors(figure) == [] and len(points(figure)) == len(runs)


def test_a_run_is_drawn_by_what_it_reached_and_how_it_stands() -> None:
    figure = drawn(
        [
            run("done", EchoConfig(), 0.25),
            run("going", EchoConfig(echo_step=5), None, state="running", visitor="visitor-2"),
            run("lost", EchoConfig(state_size=8), 3.0, state="diverged"),
            run("waits", EchoConfig(state_size=9), state="queued", summary={}, step=0, visitor="visitor-3"),
        ]
    )
    found = points(figure)
    assert {name: point["kind"] for name, point in found.items()} == {
        "done": ENDED, "going": TRAINING, "lost": DIVERGED, "waits": UNKNOWN,
    }  # fmt: skip
    assert (found["done"]["color"], found["going"]["color"]) == (0.25, 0.9), "the mean, or else the last loss"
    assert found["done"]["says"] == [
        "Ada", "echo step 3 steps, state size 4 units", "mean loss of the last 100 steps 0.25 nats",
        "finished at step 1,200 of 2,000", "done",
    ]  # fmt: skip
    assert found["going"]["says"][:3] == ["Bob", "echo step 5 steps, state size 4 units", "last loss 0.9 nats"]
    assert found["waits"]["says"][0] == "somebody"
    assert "visitor" not in json.dumps(figure), "nobody is known but by nickname"
    assert "4 runs of 3 people over echo_step and state_size, 1 still training." in figure["layout"]["meta"]["alt"]
    assert "The lowest loss is 0.25 nats, of Ada at echo_step 3 and state_size 4" in figure["layout"]["meta"]["alt"]
    open_marker, filled = (next(t["marker"] for t in figure["data"] if t["name"] == kind) for kind in (TRAINING, ENDED))
    assert open_marker["symbol"].endswith("-open") and not filled["symbol"].endswith("-open")


def test_the_colours_go_from_the_lowest_floor_to_the_highest_chance() -> None:
    configs = [EchoConfig(echo_step=step) for step in (1, 9)]
    axis = drawn([run(str(i), config) for i, config in enumerate(configs)])["layout"]["coloraxis"]
    assert axis["cmin"] == min(map(theory.floor, configs)) and axis["cmax"] == theory.chance(configs[0])
    assert "nats" in axis["colorbar"]["title"]["text"]


def test_the_boundary_lies_between_the_values_that_occur_and_their_neighbours() -> None:
    figure = drawn([run("a", EchoConfig(echo_step=3, state_size=4))])
    x, y = figure["layout"]["xaxis"], figure["layout"]["yaxis"]
    assert (x["ticktext"], y["ticktext"]) == (["2", "3", "4"], ["3", "4", "5"])
    assert (points(figure)["a"]["x"], points(figure)["a"]["y"]) == (1, 1)
    # echo_step 2 needs three units, 3 four and 4 five
    assert border(figure) == {
        ((0.5, -0.5), (0.5, 0.5)), ((1.5, 0.5), (1.5, 1.5)),
        ((0.5, 0.5), (1.5, 0.5)), ((1.5, 1.5), (2.5, 1.5)),
    }  # fmt: skip


def test_the_boundary_has_the_other_settings_of_the_base() -> None:
    one = [run("a", EchoConfig(echo_step=3, state_size=4))]
    beyond = drawn(one, base=EchoConfig(truncated_backprop_length=3))
    here = border(drawn(one))
    assert border(beyond) - here == {((0.5, y - 0.5), (0.5, y + 0.5)) for y in range(3)} - here, (
        "the window's, beside it"
    )


def test_what_the_config_refuses_has_no_boundary_and_does_no_harm() -> None:
    # 100 bits are too few for 64 rows, whatever the window.
    base = EchoConfig(series_length=100, batch_size=1, echo_step=10, state_size=11)
    configs = [{"truncated_backprop_length": 10, "batch_size": 2}, {"truncated_backprop_length": 13, "batch_size": 1}]
    runs = [run(str(i), EchoConfig(**base.model_dump() | values)) for i, values in enumerate(configs)]
    runs.append(run("2", EchoConfig(series_length=50_000, batch_size=63)))
    figure = drawn(runs, "truncated_backprop_length", "batch_size", base)
    assert figure["layout"]["xaxis"]["ticktext"] == ["9", "10", "13", "15", "16"]
    assert figure["layout"]["yaxis"]["ticktext"] == ["1", "2", "63", "64"]
    assert border(figure) == {((1.5, -0.5), (1.5, 0.5)), ((1.5, 0.5), (1.5, 1.5))}


def test_runs_at_the_same_place_are_all_seen_and_stay_where_they_are() -> None:
    runs = [run(f"run-{i}", EchoConfig(), created=float(i)) for i in range(60)]

    def places(count: int) -> dict[str, tuple[float, float]]:
        return {name: (point["x"], point["y"]) for name, point in points(drawn(runs[:count][::-1])).items()}

    few, many = places(6), places(60)
    assert few.items() == places(7).items() - {("run-6", places(7)["run-6"])}, "a run that comes moves no other"
    spots = list(many.values())
    apart = min((a - c) ** 2 + (b - d) ** 2 for i, (a, b) in enumerate(spots) for c, d in spots[:i])
    assert apart**0.5 > 0.04 and all(0.5 < x < 1.5 and 0.5 < y < 1.5 for x, y in spots)
    sizes = [t["marker"]["size"][0] for n in (6, 60) for t in drawn(runs[:n])["data"] if "customdata" in t]
    assert sizes[0] > sizes[1] > 5


def test_numbers_with_a_fraction_stand_where_they_are_on_their_scale() -> None:
    runs = [
        run("fast", EchoConfig(learning_rate=1.0, clip_norm=0.0)),
        run("slow", EchoConfig(learning_rate=0.01, clip_norm=5.0)),
        run("moved", EchoConfig(), live={"learning_rate": 0.1, "clip_norm": 0.0}),
    ]
    figure = drawn(runs, "learning_rate", "clip_norm")
    x, y, found = figure["layout"]["xaxis"], figure["layout"]["yaxis"], points(figure)
    assert (x["type"], y["type"]) == ("log", "linear")
    assert [found[name]["x"] for name in ("fast", "slow", "moved")] == pytest.approx([1.0, 0.01, 0.1])
    assert x["range"][0] < -2 and x["range"][1] > 0 and y["range"][0] < 0 and y["range"][1] > 5
    assert border(figure) == set(), "neither decides what can be learned"


def test_a_boundary_beside_a_continuous_setting_goes_all_the_way() -> None:
    runs = [run(str(i), EchoConfig(learning_rate=0.001 * (i + 1))) for i in range(40)]
    figure = drawn(runs, "learning_rate", "state_size")
    pieces = border(figure)
    assert 0 < len(pieces) <= 12 and {y for piece in pieces for _, y in piece} == {0.5}
    ends = sorted(x for piece in pieces for x, _ in piece)
    assert [ends[0], ends[-1]] == pytest.approx([10 ** figure["layout"]["xaxis"]["range"][i] for i in (0, 1)])


def test_a_record_of_another_version_is_left_out() -> None:
    config = EchoConfig().model_dump()
    other = [{"echo_step": 3}, config | {"echo_step": 99}, config | {"echo_step": "3"}, config | {"new": 1}, {}]
    runs = [
        run("good", EchoConfig()),
        *(replace(run(f"bad{i}", EchoConfig()), config=bad) for i, bad in enumerate(other)),
    ]
    assert list(points(drawn(runs))) == ["good"]


def test_an_empty_class_sees_what_to_wait_for() -> None:
    for runs in ([], [replace(run("old", EchoConfig()), config={})]):
        figure = class_map("Echo", EchoConfig, EchoConfig(), "echo_step", "seed", runs, {}, theory)
        assert figure["data"] == []
        assert (
            figure["layout"]["annotations"][0]["text"] == "A run of Echo appears here as soon as somebody starts one."
        )


def test_runs_are_drawn_also_where_theory_knows_nothing() -> None:
    def missing(config: Config) -> float:
        raise ValueError("The text is not on this server: bring it again.")

    unknown = types.ModuleType("unknown")
    vars(unknown).update(floor=missing, chance=missing, BOUNDARIES=(Boundary("never", "never", "", missing),))
    one = [run("a", EchoConfig())]
    figure = class_map("Echo", EchoConfig, EchoConfig(), "echo_step", "state_size", one, NICKNAMES, unknown)
    check(figure)
    assert list(points(figure)) == ["a"] and border(figure) == set()


def test_a_nickname_is_no_markup() -> None:
    hostile = {"visitor-1": '<a href="https://example.com">Ada</a>'}
    one = [run("a", EchoConfig())]
    figure = class_map("Echo", EchoConfig, EchoConfig(), "echo_step", "state_size", one, hostile, theory)
    assert points(figure)["a"]["says"][0] == '&lt;a href="https://example.com"&gt;Ada&lt;/a&gt;'
