"""A hosted server in a real browser: its policy lets the pages do all that they do, and its log keeps what is typed out."""

import re
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from tests.conftest import HOST_CODE, HostedServer

TYPED = "my-secret-nickname"


def test_a_page_works_under_the_policy_and_what_was_typed_is_not_logged(
    page: Page, hosted: HostedServer, tmp_path: Path
) -> None:
    page.goto(f"{hosted.url}/echo?epochs=3&cell={TYPED}&text={TYPED}")
    expect(page.get_by_text(TYPED).first).to_be_visible(timeout=60_000)
    page.get_by_role("button", name=re.compile(r"(^|\s)Start(\s|$)")).click()
    expect(page.locator(".unrolled-status")).to_have_attribute("data-state", "finished", timeout=120_000)
    figures = httpx.get(f"{hosted.url}/metrics", auth=("", HOST_CODE)).text
    for line in (
        "unrolled_sessions 1.0",
        "unrolled_visitors 1.0",
        "unrolled_streams 1.0",
        "unrolled_steps_total 1998.0",
    ):
        assert line in figures.splitlines()
    page.emulate_media(color_scheme="dark")
    expect(page.locator(".stApp")).to_have_css("background-color", "rgb(18, 17, 24)", timeout=30_000)
    page.goto(f"{hosted.url}/runs")
    table = page.locator("[data-testid=stDataFrame]").first
    table.wait_for(timeout=30_000)
    table.click(position={"x": 16, "y": 52})
    page.wait_for_function("() => document.querySelector('[data-name=runs]')?.data?.length === 1", timeout=60_000)
    page.get_by_role("textbox", name="Name").fill(TYPED)
    page.keyboard.press("Enter")
    expect(page.locator("[data-name=runs]")).to_have_attribute("aria-label", re.compile(TYPED), timeout=30_000)
    for name, begins in {"Save as SVG": b"<svg", "Save as PNG": b"\x89PNG", "CSV": b"step,loss"}.items():
        with page.expect_download() as download:
            page.get_by_role("button", name=name, exact=True).click()
        download.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begins), name
    assert TYPED not in hosted.log.read_text()
