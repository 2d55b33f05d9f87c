"""Files of all kinds, brought to the pages that learn a text of one's own: each works or is explained, and the page goes on."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import service
from demos.registry import get
from lib.jobs import Jobs
from lib.store import Store
from lib.sweeps import Sweeps
from tests.test_pages import demo_page, wait_until

ANIMALS = ["mouse", "cat", "dog", "hen", "fox", "owl", "bear", "frog", "goat", "duck", "toad", "crow"]
STORY = "".join(f"The {animal} went to the old well. There it met a friend.\n" for animal in ANIMALS)
EMOJI = STORY.replace("friend", "friend 🐭👩‍👩‍👧")
HEBREW_WORDS = ["הבאר", "היער", "הנהר", "הבית", "השדה", "ההר", "העיר", "הגשר", "הכפר", "הגינה", "השוק", "האגם"]
HEBREW = "".join(f"העכבר הקטן הלך אל {place}! האם הוא ראה שם את {place}?\n" for place in HEBREW_WORDS)
CHOICES = {
    "story": ("story", "story", "own"),
    "text": ("from-scratch", "corpus", "text"),
    "csv": ("from-scratch", "corpus", "csv"),
}
COMMENTS = {"story": "{}", "text": "{}", "csv": "comment,votes\n{}"}
QUICK = {"story": {"iterations": "20"}, "text": {"epochs": "1"}, "csv": {"epochs": "1"}}


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Jobs]:
    """The server's jobs, and the texts, in a data folder of their own."""
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    made = Jobs(Store(tmp_path), build=lambda slug, config: get(slug).build(config), config_of=lambda s: get(s).config)
    sweeps = Sweeps(made, config_of=lambda slug: get(slug).config)
    monkeypatch.setattr(service, "_jobs", lambda: made)
    monkeypatch.setattr(service, "_sweeps", lambda: sweeps)
    yield made
    sweeps.shutdown()
    made.shutdown()


def brought(kind: str, content: bytes) -> AppTest:
    """The page after somebody uploaded this and pressed "Use the file"."""
    slug, corpus, choice = CHOICES[kind]
    page = demo_page(slug, **QUICK[kind])
    page = page.get_by_key(f"{slug}.{corpus}.{page.session_state[f'{slug}/round']}").set_value(choice).run()
    page = page.file_uploader[0].set_value(("mine.txt", content, "text/plain")).run()
    return page.button(key=f"{slug}/text/use_file").click().run()


def said(page: AppTest) -> str:
    """All errors and explanations on the page."""
    return " ".join(element.value for element in [*page.error, *page.info])


@pytest.mark.parametrize("kind", CHOICES)
@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("plain", STORY, "utf-8"),
        ("a mark at the start", STORY, "utf-8-sig"),
        ("UTF-16", STORY, "utf-16"),
        ("Windows line ends", STORY.replace("\n", "\r\n"), "utf-8"),
        ("emoji", EMOJI, "utf-8"),
        ("right to left", HEBREW, "utf-8"),
    ],
)
def test_a_file_that_can_be_learned_is_learned(jobs: Jobs, kind: str, name: str, text: str, encoding: str) -> None:
    page = brought(kind, COMMENTS[kind].format(text).encode(encoding))
    assert not page.exception and not page.error
    slug = CHOICES[kind][0]
    page = page.button(key=f"{slug}/Start").click().run()
    job = jobs.get(page.session_state[f"{slug}/run"])
    assert job is not None
    jobs.set_speed(job.id, None)
    wait_until(lambda: not job.active)
    assert (str(job.state), job.error) == ("finished", "")
    assert not page.run().exception


@pytest.mark.parametrize("kind", CHOICES)
@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty", b"", r"has 0 characters, and needs"),
        ("one word", b"mouse", r"has 5 characters, and needs"),
        ("five megabytes", b"The mouse ran to the well. " * 200_000, r"may have 1,000,000|CSV"),
        ("binary", bytes(range(256)) * 20, r"not UTF-8 text \(byte 129"),
        ("zero bytes", b"\0mouse" * 100, r"zero bytes"),
        ("Latin-1", ("Der Bär " * 100).encode("latin-1"), r"not UTF-8 text \(byte 6"),
        ("a line of a million characters", b"mouse " * 166_666, r"must have 20 to 2,000|sentences of up to 60 words|CSV"),
        ("a word of a million characters", b"m" * 1_000_000, r"must have 20 to 2,000|sentences of up to 60 words|CSV"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_learned_is_explained(jobs: Jobs, kind: str, name: str, content: bytes, why: str) -> None:
    page = brought(kind, content)
    assert not page.exception
    assert re.search(why, said(page)), said(page)
    slug = CHOICES[kind][0]
    assert page.button(key=f"{slug}/Start").disabled
    page = page.file_uploader[0].set_value(("mine.txt", COMMENTS[kind].format(STORY).encode(), "text/plain")).run()
    page = page.button(key=f"{slug}/text/use_file").click().run()
    assert not page.exception and not page.error
    assert not page.button(key=f"{slug}/Start").disabled
