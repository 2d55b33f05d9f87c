"""A language model's words in a real browser: a sentence, its perplexity, texts and their branches, the diary, corpora."""

import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import Server
from tests.test_browser import button, wait_for_state

QUICK = "epochs=2&hidden_units=32&embedding_units=32&batch_size=128&learning_rate=0.02"
SIZE = 4_000_000


class _Archive(BaseHTTPRequestHandler):
    """Sends an archive slowly at first; asked a second time, it has none."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        if self.asked > 1:
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(SIZE))
        self.end_headers()
        try:
            for _ in range(400):
                self.wfile.write(bytes(10_000))
                time.sleep(0.1)
        except OSError:
            pass

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that fetches the corpus from here."""
    archive = ThreadingHTTPServer(("127.0.0.1", 0), _Archive)
    threading.Thread(target=archive.serve_forever, daemon=True).start()
    server = Server(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNROLLED_PTB_URL", f"http://127.0.0.1:{archive.server_address[1]}/simple-examples.tgz")
        server.start()
    yield server
    server.stop()
    archive.shutdown()
    archive.server_close()


@pytest.fixture(scope="module")
def run(browser: Browser, server: Server) -> str:
    """A run that has ended, which every test may look at. While it trains, the page shows what there is."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.goto(f"{server.url}/ptb?{QUICK}")
    expect(page.get_by_text("Then you can read sentences with the network")).to_be_visible(timeout=30_000)
    button(page, "Step").click()  # after a single one there are weights, and the diary is still empty
    expect(chip(page, "now", 0)).to_be_visible(timeout=60_000)
    section(page, "Its diary")
    expect(page.get_by_text("you can watch babble become language")).to_be_visible()
    button(page, "Resume").click()
    wait_for_state(page, "finished")
    expect(page.locator(".unrolled-diary")).to_contain_text("Epoch 2")
    run = page.evaluate("document.querySelector('.unrolled-chart').dataset.drawn")
    context.close()
    return str(run)


def look(page: Page, server: Server, run: str, name: str) -> None:
    page.goto(f"{server.url}/ptb?run={run}")
    section(page, name)


def section(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name).click()


def chip(page: Page, row: str, number: int) -> Locator:
    return page.locator(f"[data-name=chips-{row}] [data-number='{number}']")


def words(page: Page, column: int) -> list[str]:
    return page.locator(f"[data-name=text-{column}] [data-number]").all_inner_texts()


def test_a_click_on_a_word_shows_what_was_expected_in_its_place(page: Page, server: Server, run: str) -> None:
    look(page, server, run, "Word by word")
    guesses = page.locator("[data-name=guesses]")
    chip(page, "now", 0).click()
    expect(guesses).to_have_attribute(
        "aria-label", re.compile("this network at the start of the sentence: .* what came: ")
    )
    expect(chip(page, "now", 0)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-name=chips-now] .tip")).to_contain_text(
        re.compile(r"p = .* bits of surprise.*rank .* of 1,001")
    )
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(guesses).to_have_attribute("aria-label", re.compile("this network after "))
    chip(page, "earlier", 1).click()
    expect(guesses).to_have_attribute("aria-label", re.compile("the network after epoch 1"))
    chip(page, "unigram", 1).click()
    expect(guesses).to_have_attribute("aria-label", re.compile("the unigram model"))
    expect(chip(page, "now", 0)).to_have_attribute("aria-pressed", "false")


def test_a_typed_sentence_is_read_and_its_perplexity_worked_out(page: Page, server: Server, run: str) -> None:
    look(page, server, run, "Word by word")
    box = page.get_by_role("textbox", name="Or type your own")
    box.fill("the dogs zxqv sleep")
    box.press("Enter")
    expect(page.get_by_text("This word is not in its vocabulary: “zxqv”. It is left out.")).to_be_visible()
    expect(page.locator("[data-name=chips-now] .word")).to_have_text(["the", "dogs", "sleep", "■ end"])
    expect(box).to_have_value("the dogs zxqv sleep")
    bits = [float(text) for text in page.locator("[data-name=chips-now] .note").all_inner_texts()]
    said = page.get_by_text(re.compile("^This network: perplexity")).inner_text()
    perplexity = float(said.rsplit(" ", 1)[1].replace(",", ""))
    assert perplexity == pytest.approx(2 ** (sum(bits) / 4), rel=0.04)  # the bits on the chips are rounded
    expect(page.get_by_text(f"choose among {perplexity:.0f} equally likely")).to_be_visible()
    section(page, "Its diary")
    section(page, "Word by word")
    expect(box).to_have_value("the dogs zxqv sleep")
    box.fill("zxqv")
    box.press("Enter")
    expect(page.get_by_text("The network knows none of “zxqv”")).to_be_visible()


def test_a_text_takes_another_branch_and_goes_back(page: Page, server: Server, run: str) -> None:
    look(page, server, run, "What it writes")
    expect(page.locator("[data-name=text-1] [data-number]")).to_have_count(30)
    before = words(page, 1)
    page.locator("[data-name=text-1] [data-number='2']").click()
    expect(page.get_by_text("Word 3: it drew")).to_be_visible()
    bars = page.locator("[data-name=branches]")
    bars.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('[data-name=branches]')._fullLayout?.yaxis")
    other = bars.evaluate("node => node.layout.yaxis.ticktext.findIndex(name => !name.includes('→'))")
    place = bars.evaluate(
        "(node, i) => { const {xaxis, yaxis} = node._fullLayout; return [xaxis._offset + 4, yaxis._offset + yaxis.l2p(i)] }",
        other,
    )
    bars.click(position={"x": place[0], "y": place[1]})
    expect(page.get_by_text("Word 3: you took")).to_be_visible()
    after = words(page, 1)
    assert after[:2] == before[:2] and after[2] != before[2] and len(after) == 30
    page.get_by_role("button", name="Back to what it drew").click()
    expect(page.get_by_text("Word 3: it drew")).to_be_visible()
    assert words(page, 1) == before


def test_a_prompt_begins_every_text_and_unknown_words_are_named(page: Page, server: Server, run: str) -> None:
    look(page, server, run, "What it writes")
    box = page.get_by_role("textbox", name="Beginning")
    box.fill("the old dogs")
    box.press("Enter")
    for column in range(3):
        expect(page.locator(f"[data-name=text-{column}] .prompt")).to_have_text(["the", "old", "dogs"])
    box.fill("the zxqv")
    box.press("Enter")
    expect(page.get_by_text("The network does not know “zxqv”")).to_be_visible()
    expect(box).to_have_value("the zxqv")


def test_the_diary_and_the_result_stand_there_at_the_end(page: Page, server: Server, run: str) -> None:
    look(page, server, run, "Its diary")
    rows = page.locator(".unrolled-diary .row .epoch b")
    expect(rows).to_have_text(["Epoch 2", "Epoch 1", "Epoch 0.2", "Epoch 0.05"])
    page.get_by_role("radio", name="the dogs").click()
    expect(page.locator(".unrolled-diary .text b").first).to_have_text("the")
    expect(page.get_by_test_id("stMetric").filter(has_text="Lower bound")).to_contain_text("25.56")
    expect(page.get_by_text(re.compile(r"% above the lower bound"))).to_be_visible()


def test_the_treebank_is_explained_fetched_and_uploaded(page: Page, server: Server, tmp_path: Path) -> None:
    page.goto(f"{server.url}/ptb")
    page.get_by_role("combobox", name="Corpus").click()
    page.get_by_role("option", name="Penn Treebank").click()
    expect(page.get_by_text("First the corpus")).to_be_visible()
    expect(page.get_by_text("It is licensed")).to_be_visible()
    fetch = page.get_by_role("button", name="Fetch it (35 MB)")
    fetch.click()
    expect(page.get_by_text(re.compile(r"^0\.\d of 4\.0 MB"))).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(fetch).to_be_visible()
    fetch.click()
    expect(page.get_by_text("answered with 503")).to_be_visible()
    expect(page.get_by_text("name a folder")).to_have_count(0)
    file = tmp_path / "simple-examples.tgz"
    file.write_bytes(b"nothing at all")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("This is not a .tgz or .tar archive")).to_be_visible()
    expect(page.get_by_text("answered with 503")).to_be_visible()


def test_an_own_text_is_used_and_left_again(page: Page, server: Server, tmp_path: Path) -> None:
    page.goto(f"{server.url}/ptb")
    page.get_by_role("combobox", name="Corpus").click()
    page.get_by_role("option", name="Your own text").click()
    expect(page.get_by_text("has no text")).to_be_visible()
    page.get_by_role("button", name="Bring a text").click()
    file = tmp_path / "tale.txt"
    file.write_text("the cat sat on the mat and looked at the dog that slept. " * 60, encoding="utf-8")
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Use the file").click()
    expect(page).to_have_url(re.compile("corpus=text"))
    expect(button(page, "Start")).to_be_enabled()
    back = page.get_by_role("button", name="Back to our grammar")
    if not back.is_visible():
        page.get_by_role("button", name=re.compile("the cat sat")).click()
    back.click()
    expect(page).not_to_have_url(re.compile("corpus=text"))
    expect(page.get_by_role("combobox", name="Corpus")).to_have_value("Our grammar")


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, server: Server, run: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = context.new_page()
    for name, sign in (
        ("What it writes", "[data-name=branches]"),
        ("Its diary", ".unrolled-diary"),
        ("Word by word", "[data-name=guesses]"),
    ):
        look(page, server, run, name)
        expect(page.locator(sign)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    chip(page, "now", 1).tap()
    expect(chip(page, "now", 1)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    tip = page.locator("[data-name=chips-now] .tip")
    expect(tip).to_be_visible()  # still, though the row was drawn anew
    box = tip.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
    context.close()
