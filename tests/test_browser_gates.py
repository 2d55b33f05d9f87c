"""Looking inside a network in a real browser: gates, cursor, stepping, surgery, time machine, fork, search, own text."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import Server
from tests.test_browser import BACKGROUNDS, button, wait_for_state

CELL = ".unrolled-cell"


def train(page: Page, server: Server, query: str = "training_steps=300") -> None:
    """Open the page, train at full speed to the end, and wait for the gates and for what is said of them."""
    page.goto(f"{server.url}/gates?{query}")
    expect(button(page, "Start")).to_be_enabled(timeout=30_000)
    expect(page.get_by_text("Press Start above")).to_be_visible()
    button(page, "Start").click()
    wait_for_state(page, "finished")
    expect(page.locator("[data-name=gates]")).to_have_attribute("aria-label", re.compile("training step 300"))
    expect(page.locator(CELL)).to_have_attribute("data-step", "0")
    expect(page.locator(".unrolled-findings")).to_contain_text("after 300 training steps")


@pytest.fixture(scope="module")
def run(browser: Browser, server: Server) -> str:
    """A run that has ended, which every test may look at."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    train(page, server)
    found = page.evaluate("document.querySelector('.unrolled-chart').dataset.drawn")
    context.close()
    return str(found)


def look(page: Page, server: Server, run: str) -> None:
    page.goto(f"{server.url}/gates?run={run}")
    expect(page.locator(CELL)).to_have_attribute("data-step", "0", timeout=30_000)


def still(part: Locator) -> Locator:
    """When it moves no more: what was opened slides down, and charts above it find their size."""
    before = None
    while (now := part.bounding_box()) != before:
        before = now
        part.page.wait_for_timeout(300)
    return part


def section(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name).click()


def drawn(page: Page, name: str) -> Locator:
    """A chart, scrolled to and drawn: what nobody sees is not."""
    chart = page.locator(f"[data-name={name}]")
    chart.scroll_into_view_if_needed()
    page.wait_for_function("name => document.querySelector(`[data-name=${name}]`)._fullLayout?.xaxis", arg=name)
    return chart


def click_place(page: Page, step: int, panel: float) -> None:
    """Click on a step's column of the gates, at a share of the picture's height."""
    gates = drawn(page, "gates")
    box = gates.evaluate("node => { const {_offset, _length} = node._fullLayout.xaxis; return [_offset, _length] }")
    steps = gates.evaluate("node => node._fullLayout.xaxis.range[1] - 0.5")
    height = gates.bounding_box()["height"]  # type: ignore[index]
    gates.click(position={"x": box[0] + box[1] * (step - 0.5) / steps, "y": height * panel})


def test_a_click_chooses_step_and_unit_and_the_arrows_step_on(page: Page, server: Server, run: str) -> None:
    look(page, server, run)
    click_place(page, 5, 0.25)
    expect(page.locator(CELL)).to_have_attribute("data-step", "4")
    expect(page.locator(f"{CELL} .which")).not_to_contain_text("unit 0,")
    lines = page.locator("[data-name=gates]").evaluate("node => node.layout.shapes.at(-1).x0")
    assert lines == 4.5
    page.locator(CELL).focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(CELL)).to_have_attribute("data-step", "5")
    page.wait_for_function("() => document.querySelector('[data-name=gates]').layout.shapes.at(-1).x0 === 5.5")
    page.keyboard.press("Home")
    expect(page.locator(CELL)).to_have_attribute("data-step", "0")
    page.get_by_role("button", name="Play").click()
    expect(page.locator(CELL)).to_have_attribute("data-step", "2", timeout=15_000)


def test_surgery_shows_the_loss_beside_the_untouched_networks_and_is_undone(
    page: Page, server: Server, run: str
) -> None:
    look(page, server, run)
    page.locator("summary", has_text="Intervene").click()
    still(page.get_by_role("button", name="Try it: forget everything")).click()
    loss = page.get_by_test_id("stMetric").filter(has_text="Loss on unseen examples")
    expect(loss).to_contain_text(re.compile(r"[1-9]\.?\d* nats"))
    gates = page.locator("[data-name=gates]")
    expect(gates).to_have_attribute("aria-label", re.compile("operated"))
    expect(page.locator(CELL)).to_contain_text("0.00")
    page.get_by_role("radio", name="Difference").click()
    expect(gates).to_have_attribute("aria-label", re.compile("difference"))
    button(page, "Undo").click()
    expect(loss).to_have_count(0)
    expect(gates).not_to_have_attribute("aria-label", re.compile("operated|difference"))


def fork(page: Page) -> None:
    inner = page.get_by_role("button", name="Fork from here")
    page.keyboard.press("Escape")  # it may be open still, or just closing
    expect(inner).to_be_hidden()
    outer = page.get_by_role("button", name="Fork", exact=True)
    expect(outer).to_have_count(1)  # two, while the page is drawn anew
    outer.click()
    inner.click()


def test_the_time_machine_goes_back_and_a_fork_begins_there(page: Page, server: Server) -> None:
    train(page, server)
    slider = page.get_by_role("slider", name="Time machine")
    slider.focus()
    page.keyboard.press("Home")
    gates = page.locator("[data-name=gates]")
    expect(gates).to_have_attribute("aria-label", re.compile("at training step 0:"))
    findings = page.locator(".unrolled-findings")
    expect(findings).to_contain_text("after 0 training steps")
    expect(findings).to_contain_text("No unit carries the last marked letter")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(gates).to_have_attribute("aria-label", re.compile("at training step 3:"))
    units = page.get_by_role("spinbutton", name="Hidden units")
    units.fill("20")
    units.press("Enter")
    expect(page.get_by_text("A new network is needed")).to_be_visible()
    fork(page)
    expect(page.get_by_text("hidden_units = 20 does not fit these weights, which have 6")).to_be_visible()
    units.fill("6")
    units.press("Enter")
    expect(page.get_by_text("A new network is needed")).to_have_count(0)
    fork(page)
    expect(page.get_by_text("as they were at step 3")).to_be_visible()
    wait_for_state(page, "finished")


def test_every_section_draws_its_picture(page: Page, server: Server, run: str) -> None:
    look(page, server, run)
    expect(page.locator("[data-name=units]")).to_have_attribute("aria-label", re.compile(r"unit \d+ .* r = "))
    for name, picture in (("Saturation", "saturation"), ("Over training", "history"), ("Gradient reach", "reach")):
        section(page, name)
        expect(page.locator(f"[data-name={picture}]")).to_have_attribute("aria-label", re.compile("training"))
    section(page, "Why LSTMs")
    page.get_by_role("button", name="Train them").click()
    expect(page.get_by_text("Another seed may turn the order round")).to_be_visible(timeout=60_000)
    expect(page.locator("[data-name=reach]")).to_have_count(3)


def test_a_click_on_a_finding_looks_at_its_unit(page: Page, server: Server, run: str) -> None:
    look(page, server, run)
    units = drawn(page, "units")
    alt = units.get_attribute("aria-label") or ""
    best = re.search(r"unit (\d+)", alt).group(1)  # type: ignore[union-attr]
    place = units.evaluate(
        "node => { const {xaxis, yaxis} = node._fullLayout; return [xaxis._offset + 9, yaxis._offset + yaxis.l2p(0)] }"
    )
    units.click(position={"x": place[0], "y": place[1]})
    expect(page.locator(f"{CELL} .which")).to_contain_text(f"unit {best},")


def test_what_is_typed_is_read_and_what_cannot_be_is_explained(page: Page, server: Server) -> None:
    train(page, server, "task=brackets&training_steps=300")
    box = page.get_by_role("textbox", name="Or type your own")
    box.fill("(()(()))")
    box.press("Enter")
    tokens = page.locator(f"{CELL} .tokens button")
    expect(tokens).to_have_count(8)
    box.fill("(()))")
    box.press("Enter")
    expect(page.get_by_text("closes nothing that is open")).to_be_visible()
    expect(box).to_have_value("(()))")
    expect(tokens).not_to_have_count(8)  # the example again


def test_own_text_is_trained_on_and_searched(page: Page, server: Server, tmp_path: Path) -> None:
    query = "task=text&training_steps=300&hidden_units=16&truncated_backprop_length=10"
    page.goto(f"{server.url}/gates?{query}")
    page.get_by_role("button", name=re.compile("our forty fables")).click()
    page.get_by_role("textbox", name="Paste a text").fill("too short")
    page.get_by_role("textbox", name="Paste a text").press("Control+Enter")
    page.get_by_role("button", name="Use the pasted text").click()
    expect(page.get_by_text("has 9 characters, and needs 200")).to_be_visible()
    expect(page.get_by_role("textbox", name="Paste a text")).to_have_value("too short")
    file = tmp_path / "rhyme.txt"
    file.write_text("round and round the ragged rock the ragged rascal ran. " * 40, encoding="utf-8")
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Use the file").click()
    expect(page.get_by_role("button", name=re.compile("round and round"))).to_be_visible()
    page.keyboard.press("Escape")
    button(page, "Start").click()
    wait_for_state(page, "finished")
    section(page, "Search")
    expect(page.get_by_text(re.compile("^Marked:"))).to_be_visible()


def test_a_run_of_another_demo_is_looked_into_from_the_runs(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/echo?cell=lstm&epochs=1&truncated_backprop_length=5")
    expect(button(page, "Start")).to_be_enabled(timeout=30_000)
    button(page, "Start").click()
    wait_for_state(page, "finished")
    run = page.evaluate("document.querySelector('.unrolled-chart').dataset.drawn")
    page.goto(f"{server.url}/inside?run={run}")
    expect(page.locator("[data-name=gates]")).to_have_attribute("aria-label", re.compile("forget gate f"))
    expect(page.locator(f"{CELL} .tokens button")).to_have_count(60)
    page.goto(f"{server.url}/inside?run=nonsense")
    expect(page.get_by_text("This run is not here")).to_be_visible()


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, server: Server, run: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = context.new_page()
    look(page, server, run)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        expect(page.locator(".stApp")).to_have_css("background-color", BACKGROUNDS[scheme])
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        wide = page.evaluate(
            """() => [...document.querySelectorAll("[data-testid=stMain] :not(input)")].filter(node => {
             const box = node.getBoundingClientRect()
             return box.width > 0 && box.right > 391 && !node.closest(".unrolled-figure, .tokens, [data-testid=stTabs], svg")
           }).map(node => node.outerHTML.slice(0, 200)).slice(0, 5)"""
        )
        assert wide == []
    context.close()
