"""What a person waits for who looks inside: an operation, a step, a unit, an earlier moment; 64 units, 100 steps.

In a real browser against a real server, from the action to the redrawn picture.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.conftest import BROWSER_ARGUMENTS, Server
from tests.install_browser import system_browser

TIMES = 8
GATES = 'document.querySelector("[data-name=gates]")'


def main() -> None:
    """Train a network on the fables, then act on its pictures."""
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_browser(), args=BROWSER_ARGUMENTS)
        page = browser.new_context(viewport={"width": 1400, "height": 2300}, bypass_csp=True).new_page()
        server = Server(Path(home))
        server.start()
        try:
            _look(page, server.url)
        finally:
            browser.close()
            server.stop()


def _look(page: Page, url: str) -> None:
    page.goto(f"{url}/gates?task=text&hidden_units=64&training_steps=300")
    page.get_by_role("button", name="Start").first.wait_for(timeout=60_000)
    time.sleep(15)  # TensorFlow is imported and the defaults are compiled meanwhile
    page.get_by_role("button", name="Start").first.click()
    page.locator(".unrolled-status[data-state=finished]").first.wait_for(timeout=120_000)
    page.locator("[data-name=gates]").scroll_into_view_if_needed()
    page.wait_for_function(f"{GATES}._fullLayout?.xaxis")
    page.locator("summary", has_text="Operate on it").click()
    time.sleep(2)

    forget = page.get_by_role("radiogroup", name="Forget gate f")
    _time(page, "an operation", [forget.get_by_text(held).click for held in ("held at 0", "held at 1") * (TIMES // 2)])
    forget.get_by_text("as it is").click()
    time.sleep(1)
    example = page.get_by_role("spinbutton", name="Unseen example")
    _time(page, "another example", [lambda i=i: _type(example, i) for i in range(2, 2 + TIMES)])  # type: ignore[misc]
    unit = page.get_by_role("spinbutton", name="Unit", exact=True)
    _time(page, "another unit", [lambda i=i: _type(unit, i) for i in range(3, 3 + TIMES)])  # type: ignore[misc]
    slider = page.get_by_role("slider", name="Time machine")
    slider.focus()
    page.keyboard.press("ArrowLeft")  # the last step, which is what "now" shows
    time.sleep(1)
    _time(page, "an earlier moment", [lambda: page.keyboard.press("ArrowLeft")] * TIMES)
    page.locator(".unrolled-cell").focus()
    moved = "document.querySelector('[data-name=gates]').layout.shapes.at(-1).x0"
    _time(page, "the cursor", [lambda: page.keyboard.press("ArrowRight")] * TIMES, moved)


def _type(box: object, number: int) -> None:
    box.fill(str(number))  # type: ignore[attr-defined]
    box.press("Enter")  # type: ignore[attr-defined]


def _time(page: Page, name: str, actions: list[Callable[[], object]], watched: str = f"{GATES}.dataset.draws") -> None:
    """Each action's time until what is watched has changed."""
    times = []
    for act in actions:
        before = page.evaluate(watched)
        started = time.perf_counter()
        act()
        page.wait_for_function(f"before => {watched} !== before", arg=before, polling=10)
        times.append(time.perf_counter() - started)
        time.sleep(0.7)
    print(f"{name:18} median {statistics.median(times):.2f} s, longest {max(times):.2f} s", flush=True)
