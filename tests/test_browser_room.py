"""A workshop in real browsers: a host, somebody on a phone, and somebody with a laptop."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import HOST_CODE, Server
from tests.test_browser import button, wait_for_state

expect.set_options(timeout=20_000)


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    yield context.new_page()
    context.close()


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")


def test_a_workshop_from_its_door_to_its_end(page: Page, phone: Page, server: Server) -> None:
    host = page
    host.goto(f"{server.url}/host")
    host.get_by_label("Host code", exact=True).fill(HOST_CODE)
    button(host, "Sign in").click()
    button(host, "Open a new room").click()
    link = host.locator("code", has_text="/room?code=").first
    expect(link).to_be_visible()
    expect(host.get_by_role("img", name=re.compile("QR code"))).to_be_visible()

    # somebody comes in by the link, and trains
    phone.goto(link.inner_text().strip())
    phone.get_by_label("Nickname", exact=True).fill("Ada")
    button(phone, "Join").click()
    expect(phone.locator(".unrolled-room")).to_contain_text("You are Ada. 1 person here")
    phone.goto(f"{server.url}/echo?epochs=1000")
    button(phone, "Start").click()
    wait_for_state(phone, "running")

    # the host sees it live
    card = host.locator(".unrolled-wall li")
    expect(card).to_contain_text("Ada")
    expect(card).to_have_attribute("data-state", "running")
    before = card.locator("polyline").get_attribute("points")
    expect(card.locator("polyline")).not_to_have_attribute("points", before or "")
    card.get_by_role("button", name="Show large").click()
    tab(host, "Large")
    expect(host.locator(".unrolled-chart").first).to_have_attribute("data-draws", re.compile(r"^\d{2,}$"))

    # what the host asks for appears without a reload, and one press takes it up
    tab(host, "Try this now")
    button(host, "Push to everyone").click()
    button(phone, "Try it").click()
    expect(phone).to_have_url(re.compile("/echo"))
    expect(phone.get_by_text("Try this now")).to_have_count(0)
    wait_for_state(phone, "running")

    # nothing is lost by a reload; the host's word holds
    tab(host, "Everyone's runs")
    expect(card).to_have_attribute("data-state", "running")
    phone.reload()
    expect(phone.locator(".unrolled-room")).to_contain_text("You are Ada.")
    expect(phone.get_by_text("Try this now")).to_have_count(0)
    button(host, "Pause all").click()
    wait_for_state(phone, "paused")
    button(host, "Resume all").click()
    wait_for_state(phone, "running")
    card.get_by_role("button", name="Stop").click()
    wait_for_state(phone, "stopped")

    button(host, "Close the room").click()
    button(host, "Close it for everyone").click()
    expect(host.get_by_text("This room is closed.")).to_be_visible()
    expect(phone.locator(".unrolled-room")).to_have_count(0)
