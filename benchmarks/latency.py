"""What a person waits for, in a real browser against a real server."""

import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import BROWSER_ARGUMENTS, Server
from tests.install_browser import system_browser

# Experiments of the echo page, and what their questions say.
ACTIONS = [
    ("And five steps?", "the same four units"),
    ("Then give it ten units", "now with ten units"),
    ("A window of three steps", "after a window of 3 steps"),
    ("One step more", "with a window of 4 steps"),
]


def main() -> None:
    """Start of the server, Start to the first point, Pause, and updates a second."""
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_browser(), args=BROWSER_ARGUMENTS)
        page = browser.new_context(viewport={"width": 1400, "height": 2300}, bypass_csp=True).new_page()
        server = Server(Path(home))
        started = time.perf_counter()
        server.start()
        page.goto(server.url)
        page.get_by_role("button", name="Open Echo").wait_for(timeout=60_000)
        print(f"server started to home page usable: {time.perf_counter() - started:.2f} s")
        try:
            _echo(page, server.url)
            _beside_numpy(browser, server.url)
        finally:
            browser.close()
            server.stop()


def _echo(page: Page, url: str) -> None:
    page.goto(f"{url}/echo?epochs=1000")
    page.get_by_role("button", name="Start").first.wait_for(timeout=60_000)
    time.sleep(8)  # TensorFlow is imported and the defaults are compiled meanwhile
    known = [_start(page) for _ in range(5)]
    print(f"Start to the first point, shapes compiled before: {_seconds(known)}")
    _updates(page)
    pauses = [_pause(page) for _ in range(5)]
    print(f"Pause to the last step: {_seconds(pauses)}")
    fresh = []
    for units in (5, 6, 7):
        page.goto(f"{url}/echo?epochs=1000&state_size={units}")
        page.get_by_role("button", name="Start").first.wait_for(timeout=60_000)
        time.sleep(2)
        fresh.append(_start(page))
    print(f"Start to the first point, shapes not compiled before: {_seconds(fresh)}")


def _seconds(times: list[float]) -> str:
    return f"median {statistics.median(times):.2f} s, longest {max(times):.2f} s"


def _start(page: Page) -> float:
    before = page.evaluate("document.querySelector('.unrolled-chart').dataset.drawn ?? ''")
    started = time.perf_counter()
    page.get_by_role("button", name="Start").first.click()
    page.wait_for_function(
        """before => {
          const chart = document.querySelector(".unrolled-chart")
          const trace = chart?.data?.find(trace => trace.meta?.series === "loss")
          return trace?.x?.length > 0 && chart.dataset.drawn !== before
        }""",
        arg=before,
        polling=10,
    )
    return time.perf_counter() - started


def _pause(page: Page) -> float:
    """From the click until the step no longer changes, as the page shows it."""
    page.get_by_role("button", name="Pause").first.click(trial=True)
    started = time.perf_counter()
    page.get_by_role("button", name="Pause").first.click()
    page.wait_for_function("document.querySelector('.unrolled-status').dataset.state === 'paused'", polling=10)
    passed = time.perf_counter() - started
    resume = page.get_by_role("button", name="Resume").first
    resume.click()
    page.wait_for_function("document.querySelector('.unrolled-status').dataset.state === 'running'", polling=10)
    return passed


def _updates(page: Page) -> None:
    count = "Number(document.querySelector('.unrolled-chart').dataset.draws)"
    before, started = page.evaluate(count), time.perf_counter()
    time.sleep(5)
    rate = (page.evaluate(count) - before) / (time.perf_counter() - started)
    print(f"updates of the loss chart while it runs: {rate:.1f} a second")


def _beside_numpy(browser: Browser, url: str) -> None:
    """From a click on an experiment to its question, which needs the whole page's script, for one visitor alone and beside
    another's NumPy training."""
    trainer, visitor = (
        browser.new_context(viewport={"width": 1400, "height": 2300}, bypass_csp=True).new_page() for _ in range(2)
    )
    visitor.goto(f"{url}/echo")
    print(f"a page action, nobody else there: {_seconds(_actions(visitor))}")
    trainer.goto(f"{url}/from-scratch?epochs=100&hidden_units=256&sentences=600")
    trainer.get_by_role("button", name="Start").first.click(timeout=60_000)
    trainer.locator(".unrolled-status[data-state=running]").wait_for(timeout=60_000)
    print(f"a page action, NumPy training beside it: {_seconds(_actions(visitor))}")


def _actions(page: Page) -> list[float]:
    found = []
    for title, question in ACTIONS * 3:
        pill = page.get_by_text(title, exact=True).first
        pill.wait_for(timeout=60_000)
        pill.scroll_into_view_if_needed()
        time.sleep(0.5)
        started = time.perf_counter()
        pill.click()
        page.get_by_text(question).first.wait_for(timeout=30_000)
        found.append(time.perf_counter() - started)
    return found
