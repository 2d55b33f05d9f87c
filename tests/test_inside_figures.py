"""The pictures of a network's inside: legal Plotly JSON, whose numbers are those of the trace."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from demos.binary_rule import inside as binary_rule
from demos.binary_rule.config import BinaryRuleConfig
from demos.echo import inside as echo
from demos.echo.config import EchoConfig
from demos.gates.config import TASKS
from lib import texts
from lib.cell_content import EXPLAINED, cell_content
from lib.cells import CELLS
from lib.gates_figure import GUESSES, gates_figure
from lib.gating import words
from lib.inside import Inside, View
from lib.inside_figures import FIGURES, history_figure, reach_figure, saturation_figure, units_figure
from lib.reading import LONGEST, probabilities, right_answers
from lib.style import CHOSEN, packed
from lib.trace import GATES, NAMES, NOTHING, PARTS, Clamp, Freeze, Surgery
from tests.figure_checks import check, set_colors
from tests.test_inside import SURGERIES, looked_into, small

CHARTS = {name: figure for name, figure in FIGURES.items() if name not in ("cell", "words")}
TYPED = {"recall": "aB?c", "remember": "A?wx", "brackets": "()(([", "text": "A fox", "echo": "01", "binary_rule": "01"}


def unpacked(z: Any) -> np.ndarray:
    """What Plotly reads from packed numbers."""
    assert z["dtype"] == "f4"
    shape = [int(size) for size in z["shape"].split(",")]
    return np.frombuffer(base64.b64decode(z["bdata"]), "<f4").reshape(shape)


def heatmaps(figure: dict) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for drawn in figure["data"]:
        if drawn["type"] == "heatmap":
            found.setdefault(drawn["name"], []).append(drawn)
    return found


def check_all(inside: Inside) -> None:
    for name, build in CHARTS.items():
        figure = build(inside)
        check(figure)
        assert set_colors(figure) == [], name
    for content in (cell_content(inside), dict(words(inside))):
        assert json.loads(json.dumps(content, allow_nan=False)) == content


# Every size, cell, task and operation


@pytest.mark.parametrize("operated", [False, True])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", TASKS)
def test_all_pictures_are_legal(task: str, cell: str, operated: bool) -> None:
    surgery, shown = (SURGERIES[cell], "difference") if operated else (NOTHING, "operated")
    check_all(looked_into(small(cell, task), View(unit=3, shown=shown, surgery=surgery)))


@pytest.mark.parametrize("operated", [False, True])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("demo", "config_class"), [(echo, EchoConfig), (binary_rule, BinaryRuleConfig)])
def test_all_pictures_of_the_other_demos_are_legal(demo: Any, config_class: Any, cell: str, operated: bool) -> None:
    surgery = SURGERIES[cell]._replace(frozen=(Freeze(0, 5),)) if operated else NOTHING
    check_all(looked_into(config_class(cell=cell), View(unit=1, surgery=surgery), demo=demo))


@pytest.mark.parametrize("units", [4, 5, 64, 256])
@pytest.mark.parametrize("order", ["", "depth"])
def test_few_and_many_units_are_drawn(units: int, order: str) -> None:
    inside = looked_into(small(task="brackets", hidden_units=units), View(unit=units - 1, order=order))
    check_all(inside)
    figure = gates_figure(inside)
    assert figure["layout"]["height"] < 2_000
    for part in PARTS["lstm"]:
        (drawn,) = heatmaps(figure)[NAMES[part]]
        assert unpacked(drawn["z"]).shape == (units, inside.reading.inputs.shape[0])


@pytest.mark.parametrize("task", TASKS)
def test_short_and_long_sequences_are_drawn(task: str) -> None:
    short = TYPED[task]
    config = small(task=task, echo_step=1, first_lag=1, second_lag=1)
    long = (short * LONGEST)[:LONGEST] if task != "brackets" else "()" * (LONGEST // 2)
    one = {"brackets": "(", "text": "A", "remember": "A?", "recall": "A?"}.get(task, short)
    for text in (one, short, long):
        inside = looked_into(config, View(typed=text))
        check_all(inside)
        figure = gates_figure(inside)
        axis = figure["layout"]["xaxis"]
        assert axis["tickvals"] == list(range(1, len(text) + 1)) and len(axis["ticktext"]) == len(text)
        assert axis["range"] == [0.5, len(text) + 0.5]
        assert figure["layout"]["meta"]["least_width"] > 9 * len(text)


def test_marks_and_spaces_of_a_text_can_be_seen(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    config = small(task="text", text=texts.keep("<b> &\n" * 50), hidden_units=4)
    inside = looked_into(config, View(typed="<b> &\n"))
    check_all(inside)
    assert gates_figure(inside)["layout"]["xaxis"]["ticktext"] == ["&lt;", "b", "&gt;", "␣", "&amp;", "↵"]
    assert cell_content(inside)["labels"] == ["<", "b", ">", "␣", "&", "↵"]


def test_marked_letters_are_set_off() -> None:
    inside = looked_into(small(task="recall"), View(typed="aBc?"))
    figure = gates_figure(inside)
    assert figure["layout"]["xaxis"]["ticktext"] == ["a", "<b>B</b>", "c", "?"]
    (tokens,) = heatmaps(figure)["token"]
    assert (unpacked(tokens["z"])[0] > 0).tolist() == [False, True, False, False]
    assert any("upper case is marked" in note["text"] for note in figure["layout"]["annotations"])
    assert cell_content(inside)["marked"] == [False, True, False, False]


def test_a_text_of_one_letter_has_pictures_too(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    check_all(looked_into(small(task="text", text=texts.keep("a" * 250))))


@pytest.mark.parametrize("cell", CELLS)
def test_a_network_of_zeros_has_pictures_too(cell: str) -> None:
    inside = looked_into(small(cell))
    for leaves in inside.network.values():
        for leaf in leaves.values():
            leaf[...] = 0
    check_all(inside)
    assert inside.best_units == []
    assert "no unit varies" in units_figure(inside)["layout"]["meta"]["alt"]


# The gates


@pytest.mark.parametrize("shown", ["operated", "untouched", "difference"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_heatmaps_hold_the_traces_numbers(cell: str, shown: str) -> None:
    view = View(unit=4, order="steps since the symbol", shown=shown, surgery=SURGERIES[cell])
    inside = looked_into(small(cell), view)
    figure = gates_figure(inside)
    order = inside.unit_order
    for part in PARTS[cell]:
        (drawn,) = heatmaps(figure)[NAMES[part]]
        values = unpacked(drawn["z"])
        np.testing.assert_array_equal(values, inside.drawn[part][:, 0, :].T[order])
        assert drawn["y"] == list(range(len(order)))
        assert drawn["x"] == list(range(1, values.shape[1] + 1))
        assert drawn["zmin"] <= values.min() and values.max() <= drawn["zmax"]
        if part in GATES[cell] and shown != "difference":
            assert (drawn["zmin"], drawn["zmax"]) == (0, 1)
        else:
            assert drawn["zmin"] == -drawn["zmax"] <= -1
    assert figure["layout"]["meta"]["units"] == order.tolist() != sorted(order.tolist())
    assert figure["layout"]["meta"]["cursor"] is True
    assert shown in figure["layout"]["meta"]["alt"] and "Unit 4 is chosen" in figure["layout"]["meta"]["alt"]


@pytest.mark.parametrize("operated", [False, True])
def test_a_frame_stands_around_the_chosen_unit_in_every_part(operated: bool) -> None:
    surgery = SURGERIES["lstm"] if operated else NOTHING
    inside = looked_into(small(), View(unit=4, order="the cue", surgery=surgery))
    figure = gates_figure(inside)
    row = inside.unit_order.tolist().index(4)
    axes = {drawn["yaxis"] for name, (drawn, *_) in heatmaps(figure).items() if name in NAMES.values()}
    frames = figure["layout"]["shapes"]
    assert {frame["yref"] for frame in frames} == axes and len(frames) == 6
    for frame in frames:
        assert (frame["y0"], frame["y1"]) == (row - 0.5, row + 0.5)
        assert frame["line"]["color"] == CHOSEN


def test_panels_do_not_overlap_and_fill_the_height() -> None:
    for units in (4, 16, 256):
        layout = gates_figure(looked_into(small(hidden_units=units), View(surgery=SURGERIES["lstm"])))["layout"]
        domains = [axis["domain"] for name, axis in layout.items() if name.startswith("yaxis")]
        assert len(domains) == 9  # the tokens, two networks' answers and six parts
        for above, below in zip(domains, [*domains[1:], [None, 0.0]], strict=True):
            assert 1 >= above[1] > above[0] >= below[1]
        assert domains[-1][0] < 0.05


@pytest.mark.parametrize("task", ["remember", "brackets"])
def test_few_answers_are_drawn_by_name(task: str) -> None:
    inside = looked_into(small(task=task), View(example=2, surgery=SURGERIES["lstm"]))
    figure = gates_figure(inside)
    drawn = heatmaps(figure)["probability"]
    for trace, panel in zip((inside.untouched, inside.after), drawn, strict=True):
        given = probabilities(trace["logits"], inside.language)[:, 0]
        np.testing.assert_allclose(unpacked(panel["z"]), given.T, atol=1e-6)
        assert [row[0] for row in panel["customdata"]] == list(inside.language.answers)
    right = right_answers(inside.reading, inside.language)[:, 0]
    for marks in (part for part in figure["data"] if part["name"] == "right"):
        assert {*zip(marks["x"], marks["y"], strict=True)} == {(t + 1, a) for t, a in np.argwhere(right).tolist()}


def test_of_many_answers_the_likeliest_are_named() -> None:
    inside = looked_into(small(task="text"), View(typed="The fox"))
    figure = gates_figure(inside)
    (panel,) = heatmaps(figure)["probability"]
    given = probabilities(inside.untouched["logits"], inside.language)[:, 0]
    expected_marks = set()
    for step, row in enumerate(given):
        ranked = sorted(range(len(row)), key=lambda answer: -row[answer])[:GUESSES]
        names = [{" ": "␣", "\n": "↵"}.get(letter, letter) for letter in (inside.language.answers[a] for a in ranked)]
        assert [column[step] for column in panel["text"]] == names
        np.testing.assert_allclose(unpacked(panel["z"])[:, step], row[ranked], atol=1e-6)
        after = int(inside.reading.targets[step, 0])
        if step < 6 and after in ranked:
            expected_marks.add((step + 1, ranked.index(after)))
    marks = figure["data"][2]
    found = {(x, y) for x, y in zip(marks["x"], marks["y"], strict=False) if x is not None}
    assert found == expected_marks


def test_a_gate_that_is_held_says_so() -> None:
    surgery = Surgery((Clamp("f", 0.25), Clamp("o", 1.0, (1, 3))))
    titles = [
        note["text"] for note in gates_figure(looked_into(small(), View(surgery=surgery)))["layout"]["annotations"]
    ]
    said = {part: next(title for title in titles if NAMES[part] in title) for part in PARTS["lstm"]}
    assert said["f"].endswith("held at 0.25")
    assert said["o"].endswith("held at 1 for units 1, 3")
    assert not any("held" in said[part] for part in "igch")


def test_packing_keeps_the_rows() -> None:
    values = np.arange(6.0).reshape(2, 3).T
    np.testing.assert_array_equal(unpacked(packed(values)), values)


# One unit


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", TASKS)
def test_the_numbers_of_a_unit_obey_its_equations(task: str, cell: str) -> None:
    content = cell_content(looked_into(small(cell, task), View(unit=2)))
    v = {name: np.array(values) for name, values in content["values"].items()}
    for name in v:
        if name.endswith("_before"):
            np.testing.assert_array_equal(v[name], [0, *v[name.removesuffix("_before")][:-1]])
    sums = {gate: sum(map(np.array, part.values())) for gate, part in content["sums"].items()}
    for gate, total in sums.items():
        squashed = 1 / (1 + np.exp(-total)) if gate in GATES[cell] else np.tanh(total)
        np.testing.assert_allclose(v[gate], squashed, atol=5e-5, err_msg=gate)
    if cell.startswith("lstm"):
        written = v.get("i", 1 - v["f"]) * v["g"]
        np.testing.assert_allclose(v["c"], v["f"] * v["c_before"] + written, atol=1e-4)
        np.testing.assert_allclose(v["h"], v["o"] * np.tanh(v["c"]), atol=5e-5)
    if cell == "gru":
        np.testing.assert_allclose(v["h"], v["z"] * v["h_before"] + (1 - v["z"]) * v["n"], atol=5e-5)
    parts = {*PARTS[cell], "h_before", *(("c_before",) if cell.startswith("lstm") else ())}
    made = {"x", *(("i",) if cell == "lstm_coupled" else ())}  # the page makes i of f
    assert set(v) == parts and parts | made == set(content["explain"]) == set(EXPLAINED[cell])


def test_a_units_content_names_what_is_held_and_what_is_read() -> None:
    inside = looked_into(small(), View(unit=1, typed="wAxy?", surgery=SURGERIES["lstm"]))
    content = cell_content(inside)
    assert content["labels"] == list("wAxy?")
    assert content["held"] == {"f": 1.0, "i": 0.25}
    assert set(content["values"]["f"]) == {1.0} and set(content["values"]["i"]) == {0.25}
    assert (content["unit"], content["units"], content["step_of_training"], content["cell"]) == (1, 6, 500, "lstm")
    assert set(content["values"]["h"]) == {0.0}  # it is removed


# What units do


def test_a_bar_and_a_sentence_for_each_factors_best_unit() -> None:
    inside = looked_into(small(task="brackets"))
    figure = units_figure(inside)
    (bars,) = figure["data"]
    assert len(bars["x"]) == len(inside.best_units) == 6
    for (name, unit, r), length, label, note in zip(
        inside.best_units, bars["x"], bars["customdata"], figure["layout"]["annotations"], strict=True
    ):
        assert length == pytest.approx(abs(r), abs=1e-3) and label == [str(unit)]
        sign = "−" if r < 0 else "+"
        does = "tracks" if abs(r) >= 0.9 else "correlates with" if abs(r) >= 0.3 else "hardly correlates with"
        assert note["text"] == f"unit {unit} {does} {inside.held_out.factors[name].what}, r = {sign}{abs(r):.2f}"


def test_a_dot_for_each_unit_of_each_gate() -> None:
    inside = looked_into(small(), View(unit=3))
    figure = saturation_figure(inside)
    assert [dots["name"] for dots in figure["data"]] == [NAMES[gate] for gate in "ifo"]
    for dots, (closed, opened) in zip(figure["data"], inside.saturation.values(), strict=True):
        np.testing.assert_allclose(dots["x"], closed, atol=1e-3)
        np.testing.assert_allclose(dots["y"], opened, atol=1e-3)
        assert [symbol == "star" for symbol in dots["marker"]["symbol"]] == [unit == 3 for unit in range(6)]
        assert f"{dots['name']} {opened.mean():.0%}" in figure["layout"]["meta"]["alt"]


@pytest.mark.parametrize("cell", CELLS)
def test_a_line_for_each_state_that_the_gradient_reaches(cell: str) -> None:
    inside = looked_into(small(cell, "echo", truncated_backprop_length=10))
    figure = reach_figure(inside)
    assert len(figure["data"]) == (2 if cell.startswith("lstm") else 1)
    for line, norms in zip(figure["data"], inside.reach.values(), strict=True):
        assert line["x"] == list(range(100))
        drawn = [np.nan if y is None else y for y in line["y"]]
        np.testing.assert_allclose(drawn, np.where(norms > 0, norms, np.nan), rtol=1e-3)
    cuts = [shape for shape in figure["layout"]["shapes"] if shape.get("yref") == "paper"]
    assert [cut["x0"] for cut in cuts] == [10]
    (clip,) = (shape for shape in figure["layout"]["shapes"] if "label" in shape)
    assert clip["y0"] == 1.0 and "clip norm of the whole gradient: 1" in clip["label"]["text"]


def test_where_nothing_is_cut_or_clipped_no_line_says_so() -> None:
    layout = reach_figure(looked_into(small(delay=20, clip_norm=0.0)))["layout"]
    assert layout["shapes"] == layout["annotations"] == []


@pytest.mark.parametrize("kept", [1, 2, 37])
@pytest.mark.parametrize("cell", [cell for cell in CELLS if GATES[cell]])
def test_the_history_of_gates_is_legal_and_holds_its_shares(cell: str, kept: int) -> None:
    rng = np.random.default_rng(0)
    steps = [0, *(int(2.0**at) if at < 20 else 10**6 + at for at in range(kept - 1))]
    shares = {gate: rng.dirichlet(np.ones(20), kept) for gate in GATES[cell]}
    figure = history_figure(steps, shares)
    check(figure)
    assert set_colors(figure) == []
    for gate, values in shares.items():
        (drawn,) = heatmaps(figure)[NAMES[gate]]
        np.testing.assert_allclose(unpacked(drawn["z"]), values.T, atol=1e-6)
        assert drawn["y"][0] == 0.025 and drawn["y"][-1] == 0.975 and drawn["x"] == list(range(kept))
        assert drawn["customdata"] == [steps] * 20
    axis = figure["layout"]["xaxis"]
    assert axis["ticktext"] == [f"{steps[at]:,}" for at in axis["tickvals"]] and len(axis["tickvals"]) <= 12
