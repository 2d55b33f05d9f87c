"""The model from scratch in a real browser: its sections, a planted bug, the race, and another visitor meanwhile."""

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


def test_another_visitors_page_answers_while_numpy_trains(page: Page, server: Server, browser: Browser) -> None:
    open_demo(page, server, "epochs=100&hidden_units=256&sentences=600")
    button(page, "Start").click()
    wait_for_state(page, "running")
    other = browser.new_context().new_page()
    other.goto(f"{server.url}/echo")
    other.get_by_text("And five steps?", exact=True).first.click(timeout=60_000)
    expect(other.get_by_text("the same four units").first).to_be_visible()
    other.context.close()
    expect(page.locator(".unrolled-status")).to_have_attribute("data-state", "running")
    button(page, "Stop").click()
