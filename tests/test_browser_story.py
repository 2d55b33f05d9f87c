"""The story generator in a real browser: the story as it is learned, what the network tells, its diary, own stories."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import Server
from tests.test_browser import button, wait_for_state

QUICK = "iterations=400&story=echo"


@pytest.fixture(scope="module")
def run(browser: Browser, server: Server) -> str:
    """A run that has ended, which every test may look at."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.goto(f"{server.url}/story?{QUICK}")
    expect(page.get_by_text("Press Start or Step to see which words it knows")).to_be_visible(timeout=30_000)
    button(page, "Start").click()
    wait_for_state(page, "finished")
    run = page.locator(".unrolled-chart").first
    expect(run).to_have_attribute("data-drawn", re.compile("."))
    found = str(run.get_attribute("data-drawn"))
    context.close()
    return found


def look(page: Page, server: Server, run: str, name: str = "") -> None:
    page.goto(f"{server.url}/story?run={run}")
    wait_for_state(page, "finished")  # what is pressed while the page is still being drawn may be lost
    if name:
        page.get_by_role("radio", name=name).click()
        expect(page.get_by_role("radio", name=name)).to_be_checked()


def story(page: Page) -> Locator:
    return page.locator(".unrolled-story")


def words(page: Page, column: int) -> list[str]:
    return page.locator(f"[data-name=text-{column}] [data-number]").all_inner_texts()


def test_the_story_turns_green_while_it_is_learned(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/story?iterations=5000")
    expect(story(page).locator(".text .word")).to_have_count(176, timeout=30_000)
    button(page, "Step").click()
    wait_for_state(page, "paused")
    expect(story(page).locator(".said")).to_contain_text("of 173 words")
    expect(story(page).locator(".text .look-2").first).to_be_visible()
    expect(story(page).locator(".now")).to_contain_text("It reads")
    expect(story(page).locator(".text .read")).to_have_count(3)
    expect(page.locator("[data-name=guess]")).to_have_attribute(
        "aria-label", re.compile("The five likeliest words after")
    )
    button(page, "Resume").click()
    expect(story(page).locator(".said")).to_contain_text("It knows 161 of 173 words (93.1%)", timeout=60_000)
    expect(story(page).locator(".said")).to_contain_text("At most 161 can be known")


def test_unknown_words_are_named_and_replaced_by_known_ones(page: Page, server: Server, run: str) -> None:
    look(page, server, run)
    box = page.get_by_role("textbox", name="Beginning")
    box.fill("the bere Walks roared")
    box.press("Enter")
    expect(page.get_by_text("The story does not have “bere”, “walks”")).to_be_visible()
    expect(box).to_have_value("the bere Walks roared")
    page.get_by_role("button", name="bear", exact=True).click()
    expect(box).to_have_value("the bear Walks roared")
    page.get_by_role("button", name="walked", exact=True).click()
    expect(box).to_have_value("the bear walked roared")
    for column in range(3):
        expect(page.locator(f"[data-name=text-{column}] .prompt")).to_have_text(["the", "bear", "walked", "roared"])
    box.fill("bear")
    box.press("Enter")
    expect(page.get_by_text("reads 3 words at a time, and here is 1")).to_be_visible()
    expect(box).to_have_value("bear")


def test_words_are_suggested_from_the_vocabulary(page: Page, server: Server, run: str) -> None:
    look(page, server, run)
    box = page.get_by_role("textbox", name="Beginning")
    box.fill("a young")
    box.press("Enter")
    expect(page.get_by_text("and here are 2")).to_be_visible()
    chooser = page.get_by_role("combobox", name="Add a word that it knows")
    chooser.click()
    page.keyboard.type("bea", delay=50)
    page.get_by_role("option", name="bear", exact=True).click()
    expect(box).to_have_value("a young bear")
    expect(page.locator("[data-name=text-0] .prompt")).to_have_text(["a", "young", "bear"])


def test_a_click_on_a_word_shows_what_else_was_likely(page: Page, server: Server, run: str) -> None:
    look(page, server, run)
    expect(page.locator("[data-name=text-1] [data-number]")).to_have_count(35)
    assert len(words(page, 0)) == 35
    page.locator("[data-name=text-1] [data-number='8']").click()
    expect(page.get_by_text("Word 6: it drew")).to_be_visible()
    expect(page.locator("[data-name=branches]")).to_have_attribute(
        "aria-label", re.compile("The ten likeliest words at word 6")
    )
    expect(page.locator("[data-name=text-0] .copied").first).to_be_visible()
    expect(page.locator("[data-name=original] .copied").first).to_be_visible()


def test_the_diary_and_the_ambiguous_contexts(page: Page, server: Server, run: str) -> None:
    look(page, server, run, "Its diary")
    rows = page.locator(".unrolled-diary .row .epoch")
    expect(rows.first).to_contain_text("Step 400")
    expect(rows.last).to_contain_text("Step 1")
    expect(rows.first).to_contain_text(re.compile(r"knows \d+\.\d% of the words"))
    page.get_by_role("radio", name="Ambiguous contexts").click()
    expect(page.get_by_text("161 of 173 places at most")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("said the voice from"))).to_be_visible()


def test_an_own_story_is_used_and_left_again(page: Page, server: Server, tmp_path: Path) -> None:
    page.goto(f"{server.url}/story")
    page.get_by_role("combobox", name="Story").click()
    page.get_by_role("option", name="Your own text").click()
    expect(page.get_by_text("First the story")).to_be_visible()
    page.get_by_role("button", name="Bring a story").click()
    file = tmp_path / "tale.txt"
    file.write_text("too short to be learned at all, is it not, as it seems to me", encoding="utf-8")
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Use the file").click()
    expect(page.get_by_text("and must have 20 to 2,000")).to_be_visible()
    page.get_by_role("textbox", name="Paste a text").fill(
        "The cat sat on the mat and the dog sat by the cat till they all went home to eat. "
    )
    page.get_by_role("button", name="Use the pasted text").click()
    expect(page).to_have_url(re.compile("story=own"))
    expect(button(page, "Start")).to_be_enabled()
    expect(story(page).locator(".text .word")).to_have_count(21)


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, server: Server, run: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = context.new_page()
    for name, sign in (("What it tells", "[data-name=branches]"), ("Its diary", ".unrolled-diary")):
        look(page, server, run, name)
        expect(page.locator(sign)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
