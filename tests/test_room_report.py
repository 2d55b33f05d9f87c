"""A room's files: a table that is safe to open, and one page that shows everything without a network."""

import csv
import io
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from demos.echo import theory
from demos.echo.config import EchoConfig
from demos.registry import get
from lib.challenges import Challenge, Place
from lib.class_map import class_map
from lib.records import RoomRecord, RunRecord
from lib.room_report import as_csv, as_html
from lib.style import shortened
from tests.run_records import run

NICKNAMES = {"visitor-1": "Zoë", "visitor-2": "小明"}
EVIL = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "{{ 7 * 6 }}${7*6}</script><b>")
ROOM = RoomRecord("room", "wall", "K7QM2X", "Tuesday", created=100.0, seed=7)


def clock(moment: float) -> str:
    return f"second {moment:g}"


def curves(*runs: RunRecord) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {record.id: (np.arange(50), np.linspace(0.7, 0.1, 50, dtype=np.float32)) for record in runs}


def page_of(room: RoomRecord, runs: list[RunRecord], nicknames: dict[str, str] = NICKNAMES, **known: Any) -> str:
    return as_html(room, runs, curves(*runs), nicknames, get, clock, **known)


def text_of(document: str) -> str:
    """What a reader sees of it, without scripts and tags."""
    body = re.sub(r"<(script|style).*?</\1>", "", document, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


# The table


def test_a_row_has_who_what_and_how_well_as_plain_numbers() -> None:
    table = as_csv(
        [
            run("r2", EchoConfig(learning_rate=0.3), 0.25, live={"learning_rate": 0.05}, created=86_400.5, seconds=1.5),
            run("r1", get("gates").config(), None, slug="gates", visitor="visitor-2", name="mine, or yours"),
        ],
        NICKNAMES,
    )
    assert table.startswith("\ufeff"), "without it Excel reads another alphabet"
    first, second = csv.DictReader(io.StringIO(table.removeprefix("\ufeff"), newline=""))
    assert {name: first[name] for name in list(first)[:11]} == {
        "nickname": "Zoë", "run": "r2", "name": "", "demo": "echo", "state": "finished",
        "started": "1970-01-02T00:00:00+00:00", "training_seconds": "1.5", "steps": "1200",
        "loss_mean_last_100_nats": "0.25", "loss_last_nats": "0.9", "loss_best_nats": "0.1",
    }  # fmt: skip
    assert first["echo.learning_rate"] == "0.05", "live settings as they were last"
    assert first["echo.cell"] == "rnn" and first["gates.hidden_units"] == "" and second["echo.cell"] == ""
    assert (second["nickname"], second["name"], second["loss_mean_last_100_nats"]) == ("小明", "mine, or yours", "")
    assert {f"gates.{name}" for name in get("gates").config.model_fields} < set(second)


@pytest.mark.parametrize("typed", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=cmd|"/c calc"!A1'])
def test_no_cell_of_typed_text_is_a_formula(typed: str) -> None:
    (row,) = csv.DictReader(
        io.StringIO(as_csv([run("r", EchoConfig(), -0.5, name=typed)], {"visitor-1": typed}), newline="")
    )
    assert (row["name"], row["loss_mean_last_100_nats"]) == (f"'{typed}", "-0.5"), "numbers stay numbers"
    assert f"'{typed}" in row.values() and typed not in row.values()


def test_what_another_version_wrote_stays_in_the_table() -> None:
    old = replace(run("old", EchoConfig()), config={"echo_step": 3, "gone": True})
    assert "echo.gone" in as_csv([old], {}) and as_csv([old], {}).rstrip().endswith("3,true")
    assert as_csv([], {}).strip("\ufeff\r\n") == ""


# The page's words


def test_the_page_says_who_trained_what_and_what_all_have_in_common_once() -> None:
    runs = [
        run("a", EchoConfig(epochs=3, state_size=9), 0.3),
        run("b", EchoConfig(epochs=3, state_size=9, echo_step=5), 0.2, visitor="visitor-2", name="my best"),
        run("c", EchoConfig(epochs=3, state_size=9), None, summary={}, state="failed"),
        replace(run("d", EchoConfig()), config={"gone": 1}),
    ]
    said = text_of(page_of(ROOM, runs))
    assert "What the room K7QM2X trained with Unrolled, from second 100; it is still open" in said
    assert "people 2 runs 4 demo 1 challenges 0" in said and get("echo").summary in said
    assert "All of them have state size 9 units, epochs 3." in said
    order = [
        said.index(part) for part in ("my best: echo step 5 steps", "0.3 0.9 0.1 nothing else", "failed 1,200 – – –")
    ]
    assert order == sorted(order), "the lowest loss first, and those without one last"
    assert "settings of another version" in said


def test_each_demo_has_its_own_runs_the_first_to_be_trained_first() -> None:
    echo = run("a", EchoConfig(echo_step=5), created=300.0)
    gates = run("b", get("gates").config(), slug="gates", created=200.0, visitor="visitor-2")
    first, second = text_of(page_of(ROOM, [echo, gates])).split(get("echo").summary)
    assert "demos 2" in first and get("gates").title in first and "小明" in first and "Zoë" not in first
    assert "Zoë" in second and "小明" not in second and "settings of another version" not in first + second


def test_challenges_stand_as_they_ended_or_as_they_are_now() -> None:
    small, large = run("a", EchoConfig(state_size=3), 0.3, created=300.0), run("b", EchoConfig(state_size=9), 0.2)
    ended = Challenge("echo", [], opened=150.0, closed=200.0, places=[Place("Zoë", "gone", 0.123, 77)])
    going = Challenge("echo", [["state_size", "<=", 4]], opened=250.0)
    posed = replace(ROOM, challenges=[ended.as_json(), going.as_json()], closed=400.0)
    said = text_of(page_of(posed, [small, large]))
    assert "from second 100 to second 400" in said
    assert "From second 150 to second 200. What counts is the mean loss" in said and "1 Zoë 0.123 77" in said
    assert "The lowest loss on Echo, with state size at most 4 units From second 250; it is still open" in said
    assert "1 Zoë 0.3 1,200 state size 3 units" in said
    assert "No run has kept to it." in text_of(page_of(posed, [large]))


def test_what_the_host_asked_for_is_listed() -> None:
    push = {"slug": "echo", "config": EchoConfig(echo_step=8, seed=7).model_dump(), "at": 120.0}
    said = text_of(page_of(replace(ROOM, pushes=[push, push | {"config": {"gone": 1}}]), []))
    assert "second 120 Echo: echo step 8 steps, seed 7" in said and "Echo: settings of another version" in said
    assert "Nobody has trained anything yet." in said


def test_a_demo_or_setting_of_another_version_costs_nothing_else() -> None:
    runs = [run("a", EchoConfig(state_size=3), 0.3), replace(run("b", EchoConfig(), 0.2), slug="parity")]
    over = Challenge("parity", [["bits", "<=", 4]], opened=1.0, closed=2.0, places=[Place("Zoë", "b", 0.2, 77)])
    posed = Challenge("echo", [["gone", "<=", 4]], opened=3.0)
    push = {"slug": "parity", "config": {"bits": 1}, "at": 120.0}
    room = replace(ROOM, challenges=[over.as_json(), posed.as_json()], pushes=[push])
    said = text_of(page_of(room, runs))
    assert "parity: In this version of Unrolled parity has no setting bits." in said and "1 Zoë 0.2 77" in said
    assert "Echo: In this version of Unrolled echo has no setting gone." in said
    assert "This version of Unrolled does not have this demo." in said
    assert said.count("settings of another version") == 3 and "state size 3 units" in said


# The page in a browser


@pytest.fixture
def offline(page: Page) -> Iterator[Page]:
    """A page that opens files, and fails where it asks for anything else."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    page.context.set_offline(True)
    yield page
    assert {url.split(":")[0] for url in asked} == {"file"}


def until(page: Page, script: str, holds: Callable[[Any], bool]) -> None:
    """Wait for what a page says; Playwright's own way to wait evaluates text, which the report forbids."""
    deadline = time.monotonic() + 60
    while not holds(found := page.evaluate(script)):
        assert time.monotonic() < deadline, found
        page.wait_for_timeout(50)


def shown(page: Page, document: str, folder: Path) -> None:
    """Open a report, and wait until its charts are drawn."""
    path = folder / "report.html"
    path.write_text(document, encoding="utf-8")
    page.goto(path.as_uri())
    until(page, "[...document.querySelectorAll('.figure')].every(node => node.querySelector('.main-svg'))", bool)


def full_room() -> str:
    """A room with a map, and more runs than there are colours."""
    runs = [
        run(f"r{i}", EchoConfig(state_size=1 + i, echo_step=1 + i % 4), i / 20, created=float(i)) for i in range(12)
    ]
    figure = class_map("Echo", EchoConfig, EchoConfig(), "echo_step", "state_size", runs, NICKNAMES, theory)
    room = replace(ROOM, map={"slug": "echo", "x": "echo_step", "y": "state_size"})
    return page_of(room, runs, class_map=figure)


def test_the_page_draws_its_charts_without_a_network(offline: Page, tmp_path: Path) -> None:
    shown(offline, full_room(), tmp_path)
    assert offline.locator("#echo-loss .scatterlayer .trace").count() == 12
    legend = offline.locator("#echo-loss .legendtext").all_text_contents()
    assert legend[0] == "5 more" and legend[1] == "Zoë, 0 nats" and len(legend) == 8
    assert "a unit for each bit" in offline.locator("#echo-map .legendtext").all_text_contents()
    assert offline.locator("#echo-map .points path.point").count() == 12
    below, label = (offline.locator(f"#echo-map {part}").first.bounding_box() for part in (".xtitle", ".xtick text"))
    assert below and label and below["y"] > label["y"] + label["height"] + 3, "the axis's title stands below its labels"


def test_the_page_follows_the_readers_colours_and_width_and_is_light_on_paper(offline: Page, tmp_path: Path) -> None:
    shown(offline, full_room(), tmp_path)
    look = """() => {
        const title = document.querySelector("#echo-loss .xtitle"), chart = document.querySelector("#echo-loss .main-svg")
        return [getComputedStyle(title).fill, getComputedStyle(document.documentElement).backgroundColor, chart.clientWidth]
    }"""
    assert offline.evaluate(look) == ["rgb(28, 27, 34)", "rgb(255, 255, 255)", 1100]
    offline.emulate_media(color_scheme="dark")
    until(offline, look, lambda found: found[0] == "rgb(240, 239, 245)")
    offline.set_viewport_size({"width": 390, "height": 800})
    until(offline, look, lambda found: found[2] < 390)
    assert offline.evaluate("document.documentElement.scrollWidth") == 390, "tables scroll, the page does not"
    offline.evaluate(f"addEventListener('beforeprint', () => window.printed = ({look})())")
    offline.pdf(path=tmp_path / "report.pdf")
    assert offline.evaluate("window.printed") == ["rgb(28, 27, 34)", "rgb(255, 255, 255)", 680]
    until(offline, look, lambda found: found[0] == "rgb(240, 239, 245)")


def test_what_people_type_is_text_and_nothing_else(offline: Page, tmp_path: Path) -> None:
    nicknames = {f"visitor-{i}": evil for i, evil in enumerate(EVIL)}
    runs = [run(f"r{i}", EchoConfig(), i / 10, name=evil, visitor=f"visitor-{i}") for i, evil in enumerate(EVIL)]
    places = [Place(evil, f"r{i}", 0.1, 7) for i, evil in enumerate(EVIL)]
    posed = Challenge("echo", [], opened=150.0, closed=200.0, places=places)
    room = replace(ROOM, title="".join(EVIL), map={"slug": "echo"}, challenges=[posed.as_json()])
    figure = class_map("Echo", EchoConfig, EchoConfig(), "echo_step", "state_size", runs, nicknames, theory)
    shown(offline, page_of(room, runs, nicknames, class_map=figure), tmp_path)
    assert offline.locator("h1").text_content() == room.title and offline.title() == f"{room.title} – Unrolled"
    assert offline.locator("td.name").all_text_contents() == [*EVIL, *EVIL]
    assert offline.locator("td.wide").all_text_contents()[3:] == [f"{evil}: defaults" for evil in EVIL]
    legend = offline.locator("#echo-loss .legendtext").all_text_contents()
    assert legend == [shortened(f"{evil}, {i / 10:g} nats") for i, evil in enumerate(EVIL)]
    assert offline.locator("img, td b, h1 b").count() == 0 and offline.locator("script").count() == 3


def test_the_page_lets_no_script_run_but_its_own(browser: Browser, tmp_path: Path) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', full_room())
    assert policy is not None and policy[1].startswith("default-src 'none'")
    path = tmp_path / "report.html"
    path.write_text(full_room().replace("</body>", "<script>window.ran = true</script></body>"), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    page.locator(".figure .main-svg").first.wait_for()
    assert page.evaluate("window.ran") is None
    page.close()
