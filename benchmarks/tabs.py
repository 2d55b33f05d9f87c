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
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import BROWSER_ARGUMENTS, HostedServer
from tests.install_browser import system_browser

LOOK_SECONDS = 5.0
LEAST_UPDATES = 1.0  # a second, of each tab
RUNNING = ".unrolled-status[data-state=running]"
# What a tab had to draw with: the messages of streams that came, and how long it waited for a frame of the screen.
WATCH = """
  window.watched = { messages: 0, frame: 0 }
  const ask = window.requestAnimationFrame.bind(window)
  window.requestAnimationFrame = then => {
    const asked = performance.now()
    return ask(now => { watched.frame = Math.max(watched.frame, performance.now() - asked); then(now) })
  }
  window.EventSource = class extends EventSource {
    constructor(...all) { super(...all); this.addEventListener("message", () => watched.messages++) }
  }
"""
LOOK = """() => {
  const found = [Number(document.querySelector(".unrolled-chart").dataset.draws ?? 0), watched.messages, watched.frame]
  watched.frame = 0
  return found
}"""


class Look(NamedTuple):
    """What was seen of a tab: when, how often its loss chart had been drawn and how many messages had come by then, and the
    longest wait for a frame since the look before, in seconds."""

    at: float
    draws: int
    messages: int
    frame: float


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
    page.add_init_script(WATCH)
    page.goto(f"{url}/echo?epochs=1000")
    page.get_by_role("button", name="Start").first.wait_for(timeout=120_000)
    return page


def _watch(pages: Sequence[Page], seconds: float) -> list[list[Look]]:
    """What was seen of each tab, every LOOK_SECONDS."""
    found: list[list[Look]] = [[] for _ in pages]
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(found[0]) < 2:
        for looks, page in zip(found, pages, strict=True):
            draws, messages, frame = page.evaluate(LOOK)
            looks.append(Look(time.monotonic(), int(draws), int(messages), frame / 1000))
        time.sleep(max(0.0, min(LOOK_SECONDS, end - time.monotonic())))
    return found


def _report(found: Sequence[Sequence[Look]], said: Sequence[str]) -> bool:
    """Print it; whether something is wrong."""
    rates = [(looks[-1].draws - looks[0].draws) / (looks[-1].at - looks[0].at) for looks in found]
    slow = [number for number, rate in enumerate(rates) if rate < LEAST_UPDATES]
    print(
        f"{len(rates)} tabs, updates/s of a tab's loss chart: min {min(rates):.2f}, median {statistics.median(rates):.2f}"
    )
    print(f"load average of the machine {os.getloadavg()[0]:.1f}")
    for number in slow:
        print(f"tab {number}: {rates[number]:.2f} updates/s, the target is {LEAST_UPDATES:g}")
    still = 0
    for number, looks in enumerate(found):
        for before, after in pairwise(looks):
            if before.draws == after.draws:
                still += 1
                came, frame = after.messages - before.messages, after.frame
                print(
                    f"tab {number}: nothing was drawn from {before.at - looks[0].at:.0f} to {after.at - looks[0].at:.0f} s; ",
                    end="",
                )
                print(f"{came} messages came, and the longest wait for a frame was {frame:.1f} s")
    for text in said:
        print(f"a page's script failed: {text}")
    return bool(slow or still or said)


if __name__ == "__main__":
    main()
