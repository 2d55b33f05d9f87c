"""The model from scratch in a real browser: its sections, a planted bug, the race, and another visitor meanwhile."""

import statistics
import time

from playwright.sync_api import Browser, Page, expect

from tests.conftest import Server
from tests.test_browser import button, wait_for_state


def section(page: Page, name: str) -> None:
    """Open a section of the workshop."""
    page.get_by_role("radio", name=name, exact=True).click()


def open_demo(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/from-scratch?{query}")
    button(page, "Start").wait_for(timeout=60_000)


def test_the_model_is_taken_apart_while_it_trains(page: Page, server: Server) -> None:
    open_demo(page, server, "sentences=100&epochs=4")
    button(page, "Start").click()
    expect(page.get_by_text("As numbers")).to_be_visible(timeout=60_000)
    section(page, "Forward")
    expect(page.get_by_text("Untrained loss")).to_be_visible(timeout=30_000)
    expect(page.locator("[data-name=sentence] .bars")).not_to_have_count(0, timeout=60_000)
    section(page, "Backward")
    expect(page.get_by_text("The gradient is right.")).to_be_visible(timeout=30_000)
    page.get_by_text("Forget the target", exact=True).click()
    expect(page.get_by_text("This is not the gradient of the loss.")).to_be_visible(timeout=30_000)
    section(page, "Vanishing")
    expect(page.locator("[data-name=reach] .scatterlayer .trace")).to_have_count(4, timeout=30_000)
    wait_for_state(page, "finished")
    section(page, "Write")
    expect(page.get_by_text("With the network of step 400.")).to_be_visible(timeout=30_000)


def test_a_race_is_run_and_drawn_live(page: Page, server: Server) -> None:
    open_demo(page, server, "sentences=50&hidden_units=8&vocabulary_size=60")
    section(page, "Race")
    button(page, "Start the race").click()
    bars = page.locator("[data-name=race] .bars .point")
    expect(bars).to_have_count(4, timeout=120_000)
    wait_for_state(page, "finished")
    expect(page.locator("[data-name=race]")).to_contain_text("a second")


def test_the_numpy_training_keeps_no_other_visitor_waiting(page: Page, server: Server, browser: Browser) -> None:
    open_demo(page, server, "epochs=100&hidden_units=256&sentences=600")
    button(page, "Start").click()
    wait_for_state(page, "running")
    other = browser.new_context().new_page()
    other.goto(f"{server.url}/echo")
    titles = ["And five steps?", "Then give it ten units", "A window of three steps", "One step more"] * 2
    questions = [
        "the same four units",
        "now with ten units",
        "after a window of 3 steps",
        "with a window of 4 steps",
    ] * 2
    waits = []
    for title, question in zip(titles, questions, strict=True):
        pill = other.get_by_text(title, exact=True).first
        pill.wait_for(timeout=60_000)
        pill.scroll_into_view_if_needed()
        asked = time.perf_counter()
        pill.click()
        other.get_by_text(question).first.wait_for(timeout=30_000)
        waits.append(time.perf_counter() - asked)
    other.context.close()
    button(page, "Stop").click()
    assert statistics.median(waits) < 0.5, waits
    print(f"another visitor's page action: {sorted(waits)}")
