"""Pictures of every page, wide and narrow, light and dark: `make screenshots` writes them to screenshots/.

`python -m tests.screenshots docs` writes the README's pictures.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, FloatRect, Locator, Page, sync_playwright

from demos.registry import DEMOS
from tests.conftest import BROWSER_ARGUMENTS, ROOT, Server
from tests.install_browser import system_browser

SIZES = {"wide": (1400, 2300), "phone": (390, 4200)}


def open_page(browser: Browser, url: str, size: tuple[int, int], scheme: str) -> Page:
    """A page in a context of its own."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        is_mobile=width < 500,
        has_touch=width < 500,
    )
    page = context.new_page()
    page.goto(url)
    page.locator("h1").first.wait_for(timeout=60_000)
    return page


def train(page: Page) -> None:
    """Press Start and wait until the run has ended."""
    page.get_by_role("button", name="Start").first.click()
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(1, 1)
    page.locator(".unrolled-status[data-state=finished]").wait_for(timeout=120_000)
    page.wait_for_timeout(1500)


def all_pages(browser: Browser, url: str) -> None:
    """Home, and each demo before and after a run."""
    folder = ROOT / "screenshots"
    folder.mkdir(exist_ok=True)
    for name, size in SIZES.items():
        for scheme in ("light", "dark"):
            page = open_page(browser, url, size, scheme)
            page.wait_for_timeout(500)
            page.screenshot(path=folder / f"home-{name}-{scheme}.png")
            for demo in DEMOS:
                page = open_page(browser, f"{url}/{demo.slug}", size, scheme)
                page.wait_for_timeout(1500)
                page.screenshot(path=folder / f"{demo.slug}-start-{name}-{scheme}.png")
                train(page)
                page.screenshot(path=folder / f"{demo.slug}-end-{name}-{scheme}.png")
            page.goto(f"{url}/echo")
            sweep(page)
            page.screenshot(path=folder / f"sweep-{name}-{scheme}.png")
            page.goto(f"{url}/runs")
            page.locator("[data-testid=stDataFrame]").first.wait_for(timeout=60_000)
            page.wait_for_timeout(1500)
            page.screenshot(path=folder / f"runs-{name}-{scheme}.png")
    print(f"Written to {folder.relative_to(ROOT)}/")


def sweep(page: Page) -> None:
    """Sweep what the page offers first, and wait until the map is full."""
    page.get_by_role("tab", name="Sweep").click()
    page.get_by_role("button", name="Start the sweep").click()
    status = page.locator(".unrolled-status").nth(1)
    status.and_(page.locator("[data-state=finished]")).wait_for(timeout=300_000)
    page.locator("[data-name=sweep_loss]").scroll_into_view_if_needed()
    page.mouse.move(1, 1)
    page.wait_for_timeout(1500)


def readme_pictures(browser: Browser, url: str, folder: Path) -> None:
    """The echo page after a short run of 16 seeds, and its map."""
    page = open_page(browser, f"{url}/echo?seeds=16&epochs=4", (1400, 1360), "light")
    train(page)
    page.screenshot(path=folder / "echo.png")
    sweep(page)
    page.locator("[data-name=sweep_loss]").screenshot(path=folder / "sweep.png")
    page = open_page(
        browser, f"{url}/gates?task=brackets&hidden_units=16&keep_bias=3&batch_size=32", (1400, 3900), "light"
    )
    train(page)
    page.locator(".unrolled-cell").focus()
    for _ in range(11):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(1000)
    top = page.locator("[data-name=gates]").bounding_box()["y"]  # type: ignore[index]
    cell = page.locator(".unrolled-cell").bounding_box()
    bottom = cell["y"] + cell["height"]  # type: ignore[index]
    page.screenshot(path=folder / "gates.png", clip={"x": 330, "y": top, "width": 1040, "height": bottom - top})

    page = open_page(browser, f"{url}/story?iterations=60", (1400, 2300), "light")
    train(page)
    page.screenshot(
        path=folder / "story.png", clip=_around(page.locator(".unrolled-story"), page.locator("[data-name=guess]"))
    )
    page = open_page(browser, f"{url}/from-scratch?sentences=100&epochs=1", (1400, 3400), "light")
    train(page)
    page.get_by_role("radio", name="Backward", exact=True).click()
    page.get_by_text("Forget the target", exact=True).click()
    caught = page.get_by_text("This is not the gradient of the loss.")
    caught.wait_for(timeout=60_000)
    page.wait_for_timeout(1000)
    left, right = (page.get_by_role("heading", name=name) for name in ("Back through time", "The code that runs"))
    page.screenshot(path=folder / "from-scratch.png", clip=_around(left, right, caught))


def _around(*parts: Locator) -> FloatRect:
    """The place of these parts of a page, all together, and a margin."""
    boxes = [box for part in parts if (box := part.bounding_box())]
    left, top = (min(box[side] for box in boxes) - 16 for side in ("x", "y"))
    right, bottom = (
        max(box[side] + box[length] for box in boxes) + 16 for side, length in (("x", "width"), ("y", "height"))
    )
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def main() -> None:
    """Start a server and a browser, and take the pictures."""
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        server = Server(Path(home))
        server.start()
        browser = playwright.chromium.launch(executable_path=system_browser(), args=BROWSER_ARGUMENTS)
        try:
            if len(sys.argv) > 1:
                readme_pictures(browser, server.url, Path(sys.argv[1]))
            else:
                all_pages(browser, server.url)
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
