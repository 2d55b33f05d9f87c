"""A sweep's seconds, the same work one run at a time, and what somebody else waits for meanwhile.

The sweep is `echo_step` 1 to 12 by `state_size` 2, 4, 8, 16, eight seeds in each cell, three epochs of the tutorial's
series: 384 runs. Every way begins with nothing compiled.
"""

import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.latency import _seconds, _start
from benchmarks.speed import one
from demos.headless import SweepRun, sweep
from demos.registry import get
from lib.settings import replace
from lib.sweep import estimate, plan
from lib.training import CHUNKS
from tests.conftest import BROWSER_ARGUMENTS, Server
from tests.install_browser import system_browser

AXES = [("echo_step", "1:12"), ("state_size", "2, 4, 8, 16")]


def main() -> None:
    """The three measurements."""
    demo = get("echo")
    whole = plan(demo.sweep_base, AXES)
    print(f"estimate on the page: {estimate(whole):.0f} s")
    together = _timed(whole.cells, demo)
    print(f"48 cells of 8 seeds, all seeds of a cell at once: {together:.1f} s")
    singles = [replace(c, seeds=1, seed=seed) for c in whole.cells for seed in range(8)]
    print(f"the same 384 runs with our engine, one at a time: {_timed(singles, demo):.1f} s")
    each = one("tutorial")["microseconds"]
    print(f"the tutorial's loop: {each:.0f} µs a step, so {384 * 1998 * each / 1e6:.0f} s for 384 runs (extrapolated)")
    _meanwhile()


def _timed(cells: list, demo: object) -> float:
    """Seconds to train these configs one after the other, compilation included."""
    CHUNKS._places.clear()

    class Cells:
        def __init__(self) -> None:
            self.cells = cells

    started = time.perf_counter()
    sweep(SweepRun(demo, Cells()), progress=lambda done: None, stopped=lambda: False)  # type: ignore[arg-type]
    return time.perf_counter() - started


def _meanwhile() -> None:
    """Start to the first point of a fresh echo run, in a browser, while another visitor's sweep is under way."""
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_browser(), args=BROWSER_ARGUMENTS)
        server = Server(Path(home))
        server.start()
        try:
            for slug in ("echo", "binary-rule"):
                _beside(browser, server.url, slug)
        finally:
            browser.close()
            server.stop()


def _beside(browser: Browser, url: str, slug: str) -> None:
    instructor, attendee = (
        browser.new_context(viewport={"width": 1400, "height": 2300}, bypass_csp=True).new_page() for _ in range(2)
    )
    instructor.goto(f"{url}/{slug}")
    instructor.get_by_role("tab", name="Sweep").click(timeout=60_000)
    attendee.goto(f"{url}/echo")
    attendee.get_by_role("button", name="Start").first.wait_for(timeout=60_000)
    time.sleep(12)  # TensorFlow is imported and the defaults are compiled meanwhile
    started = time.perf_counter()
    instructor.get_by_role("button", name="Start the sweep").click()
    instructor.locator(".unrolled-status[data-state=running]").last.wait_for(timeout=60_000)
    times = []
    while instructor.locator(".unrolled-status").last.get_attribute("data-state") == "running" and len(times) < 12:
        times.append(_start(attendee))
        time.sleep(0.5)
    print(f"beside a sweep of {slug}, Start to the first point, {len(times)} times: {_seconds(times)}")
    instructor.locator(".unrolled-status[data-state=finished]").last.wait_for(timeout=300_000)
    print(f"  that sweep, with these runs beside it: {time.perf_counter() - started:.1f} s")
