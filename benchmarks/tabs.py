"""Many real browser tabs on one server: `make tabs`. Exits with 1 when the charts of one of them stand still.

Each tab is a visitor of its own, on /echo, with a run that is long enough. All are in one Chromium, which takes far more of
the machine than the server does: in a workshop each attendee brings a computer for that.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import BROWSER_ARGUMENTS, HostedServer
from tests.install_browser import system_browser

LOOK_SECONDS = 5.0
LEAST_UPDATES = 1.0  # a second, of each tab
DRAWS = "Number(document.querySelector('.unrolled-chart').dataset.draws ?? 0)"
RUNNING = ".unrolled-status[data-state=running]"


def main() -> None:
    """Run it and print each tab's updates a second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabs", description=__doc__)
    parser.add_argument("--tabs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        server = HostedServer(Path(home))
        server.start()
        browser = playwright.chromium.launch(executable_path=system_browser(), args=BROWSER_ARGUMENTS)
        try:
            said: list[str] = []
            pages = [_open(browser, server.url, said) for _ in range(options.tabs)]
            for page in pages:  # when all are open, or the first runs would be over before the last begin
                page.get_by_role("button", name="Start").first.click()
            for page in pages:
                page.locator(RUNNING).wait_for(timeout=120_000)
            counts = _watch(pages, options.seconds)
        finally:
            browser.close()
            server.stop()
    sys.exit(_report(counts, said))


def _open(browser: Browser, url: str, said: list[str]) -> Page:
    """A tab of a new visitor, ready to start a run."""
    page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{url}/echo?epochs=1000")
    page.get_by_role("button", name="Start").first.wait_for(timeout=120_000)
    return page


def _watch(pages: Sequence[Page], seconds: float) -> list[list[tuple[float, int]]]:
    """For each tab, moments and how often its loss chart had been drawn by then."""
    found: list[list[tuple[float, int]]] = [[] for _ in pages]
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(found[0]) < 2:
        for marks, page in zip(found, pages, strict=True):
            draws = page.evaluate(DRAWS)
            marks.append((time.monotonic(), int(draws)))
        time.sleep(max(0.0, min(LOOK_SECONDS, end - time.monotonic())))
    return found


def _report(counts: Sequence[Sequence[tuple[float, int]]], said: Sequence[str]) -> bool:
    """Print it; whether something is wrong."""
    rates = [(marks[-1][1] - marks[0][1]) / (marks[-1][0] - marks[0][0]) for marks in counts]
    slow = [number for number, rate in enumerate(rates) if rate < LEAST_UPDATES]
    stood = [number for number, marks in enumerate(counts) if len({draws for _, draws in marks}) < len(marks)]
    print(
        f"{len(rates)} tabs, updates/s of a tab's loss chart: min {min(rates):.2f}, median {statistics.median(rates):.2f}"
    )
    print(f"load average of the machine {os.getloadavg()[0]:.1f}")
    for number in slow:
        print(f"tab {number}: {rates[number]:.2f} updates/s, the target is {LEAST_UPDATES:g}")
    for number in stood:
        print(f"tab {number}: for {LOOK_SECONDS:g} s or longer nothing was drawn")
    for text in said:
        print(f"a page's script failed: {text}")
    return bool(slow or stood or said)


if __name__ == "__main__":
    main()
