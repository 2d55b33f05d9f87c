"""Texts that people bring: every kind of file, what is refused and why, and that none is kept outside of its folder."""

import hashlib
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demos.gates.config import GatesConfig
from lib import texts
from lib.settings import TEXT_ID, SettingError, clamp, parse, settings_of
from lib.texts import LONGEST, TextError, cleaned, decoded, keep, load

STORY = "Der Fuchs – ein Märchen.\nÀ bientôt! 猫は寝た。 🦊 مرحبا"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    return tmp_path


# Files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_files_are_read_with_or_without_a_mark(encoding: str) -> None:
    assert decoded(STORY.encode(encoding)) == STORY
    assert cleaned(decoded(STORY.encode(encoding))) == STORY


def test_utf_16_is_read_in_either_order() -> None:
    assert decoded(b"\xff\xfe" + STORY.encode("utf-16-le")) == STORY
    assert decoded(b"\xfe\xff" + STORY.encode("utf-16-be")) == STORY


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"\x89PNG\r\n\x1a\n", "byte 1 "),
        (b"caf\xe9 au lait", "byte 4 "),
        (b"x" * 1_233 + b"\xff", "byte 1,234 "),
        ("abc".encode("utf-16")[:-1], "byte 7 "),
        (b"abc\xe2\x82", "byte 4 "),
        (b"\xed\xa0\x80", "byte 1 "),  # half of a pair
    ],
)
def test_what_is_not_text_is_refused_with_its_place(content: bytes, place: str) -> None:
    with pytest.raises(TextError, match="save it as UTF-8 plain text") as caught:
        decoded(content)
    assert place in str(caught.value)


@given(content=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        text = cleaned(decoded(content))
    except TextError:
        return
    assert text and text.encode().decode() == text


# Cleaning


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("a\r\n\r\nb", "a\n\nb"),
        ("\ufeffa", "a"),
        ("a\tb", "a b"),
        (" \n\t a b \n", "a b"),
        ("e\u0301 A\u030a", "é Å"),
        ("bell\x07 esc\x1b[0m del\x7f next\x85", "bell esc[0m del next"),
        ("lone \ud800 half", "lone  half"),
        ("not \uffff \U000e0fff given", "not   given"),
        ("🦊👩‍👩‍👧 🇨🇭", "🦊👩‍👩‍👧 🇨🇭"),  # joined by characters without a width
        ("שלום \u200fمرحبا\u200e", "שלום \u200fمرحبا\u200e"),
        ("word", "word"),
    ],
)
def test_a_text_is_cleaned(given: str, kept: str) -> None:
    assert cleaned(given) == kept


@pytest.mark.parametrize(
    ("given", "shortest", "message"),
    [
        ("", 1, "has 0 characters, and needs 1 or more"),
        ("\ufeff \r\n\t", 1, "has 0 characters"),
        ("\x01\x02", 1, "has 0 characters"),
        ("word", 200, "has 4 characters, and needs 200 or more: bring a longer one"),
        ("a" * 199 + "   ", 200, "has 199 characters"),
        ("a\0b", 1, "zero bytes"),
        ("abc".encode("utf-32").decode("utf-16"), 1, "zero bytes"),
        ("a" * (LONGEST + 1), 1, "has 1,000,001 characters, and may have 1,000,000: bring a part"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused(given: str, shortest: int, message: str) -> None:
    with pytest.raises(TextError, match=message):
        cleaned(given, shortest)


def test_a_million_characters_are_enough() -> None:
    assert cleaned("é" * LONGEST) == "é" * LONGEST
    assert len(cleaned("a" * LONGEST + " \n" * 9)) == LONGEST  # what is left out does not count
    assert cleaned("a" * 200, 200) == "a" * 200


@given(text=st.text(st.characters(exclude_characters="\0"), max_size=60))
def test_a_cleaned_text_has_nothing_left_to_clean(text: str) -> None:
    try:
        kept = cleaned(text)
    except TextError:
        return
    assert kept == kept.strip()
    assert all(letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cs", "Cn") for letter in kept)
    kept.encode()


# Keeping


def test_a_kept_text_is_found_under_its_contents_hash(home: Path) -> None:
    text_id = keep(STORY)
    assert text_id == hashlib.sha256(STORY.encode()).hexdigest()[:16]
    assert load(text_id) == STORY
    assert [path.name for path in (home / "texts").iterdir()] == [f"{text_id}.txt"]


def test_the_same_text_is_kept_once_and_another_beside_it(home: Path) -> None:
    first = keep(STORY)
    path = home / "texts" / f"{first}.txt"
    before = path.stat()
    assert keep(STORY) == first and path.stat() == before
    second = keep(STORY + ".")
    assert second != first and (load(first), load(second)) == (STORY, STORY + ".")
    assert len(list((home / "texts").iterdir())) == 2


def test_line_ends_and_all_characters_survive(home: Path) -> None:
    text = "a\nb\r\nc\u2028d\x0b" + "".join(map(chr, range(0x20, 0x2000)))
    assert load(keep(text)) == text


def test_a_text_that_is_not_there_is_named(home: Path) -> None:
    with pytest.raises(TextError, match="The text 0123456789abcdef is not on this server: bring it again"):
        load("0123456789abcdef")


def test_a_long_text_of_one_demo_is_refused_by_the_others(home: Path) -> None:
    text_id = keep("word " * 200_001)
    assert load(text_id, 2 * LONGEST) and texts.opening(text_id) == (("word " * 12), 1_000_005)
    with pytest.raises(SettingError, match="1,000,005 characters, and may have 1,000,000: bring a part of it"):
        parse(GatesConfig, {"text": text_id})
    config, notes = clamp(GatesConfig, {"text": text_id})
    assert config.text == "" and "is too long" in notes[0]
    with pytest.raises(TextError, match="may have 1,000,000: bring a part of it"):
        load(text_id)


# Ids from an address

ESCAPES = [
    "../../etc/passwd", "..", "/etc/passwd", "a" * 15, "a" * 17, "A" * 16, "0123456789abcde/", "0123456789abcdef\n",
    "0123456789abcde\0", " " + "a" * 15, "٠" * 16, "..%2f..%2fsecret0", "0x0123456789abcd", "g" * 16,
]  # fmt: skip


@pytest.mark.parametrize("escape", ESCAPES)
def test_an_id_that_could_lead_elsewhere_is_refused_everywhere(escape: str) -> None:
    field = settings_of(GatesConfig)["text"]
    assert not TEXT_ID.fullmatch(escape)
    with pytest.raises(SettingError, match="is not the id of a text"):
        field.accept(escape)
    with pytest.raises(ValueError, match="is not the id of a text"):
        GatesConfig(text=escape)
    config, notes = clamp(GatesConfig, {"text": escape})
    assert config.text == "" and "is not the id of a text" in notes[0]


@given(raw=st.text(max_size=20) | st.text("0123456789abcdef./\\", min_size=14, max_size=18) | st.integers() | st.none())
def test_whatever_is_accepted_stays_in_the_folder(raw: object) -> None:
    config, _ = clamp(GatesConfig, {"text": raw})
    path = texts._path(config.text)
    assert path.parent == texts.data_folder() / "texts" and path.name == f"{config.text}.txt"
    assert config.text == "" or (config.text == raw and set(config.text) <= set("0123456789abcdef"))


def test_a_kept_texts_id_is_accepted(home: Path) -> None:
    text_id = keep(STORY)
    assert settings_of(GatesConfig)["text"].accept(text_id) == text_id
    assert settings_of(GatesConfig)["text"].accept("") == ""
