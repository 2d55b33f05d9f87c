"""Which scripts have no spaces between words, what a character is, and what ends a sentence."""

import pytest

from lib.scripts import graphemes, is_unspaced, sentences


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ("狐狸说：“真好听！”乌鸦很高兴。大家呢？", ["狐狸说：“真好听！”", "乌鸦很高兴。", "大家呢？"]),
        ("奶酪掉了下来！？好。", ["奶酪掉了下来！？", "好。"]),
        ('He said: "Go!" Then 3.5 km... Well.', ['He said: "Go!"', "Then 3.5 km...", "Well."]),
        ("هل تسمعني؟ نعم.", ["هل تسمعني؟", "نعم."]),
        ("मैं हूँ। तुम हो।", ["मैं हूँ।", "तुम हो।"]),
        ("ไปที่บ้าน แล้วกลับมา 3 คน", ["ไปที่บ้าน", "แล้วกลับมา 3 คน"]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_sentences_end_as_their_script_ends_them(block: str, found: list[str]) -> None:
    assert sentences(block) == found


def test_a_character_is_what_a_reader_calls_one() -> None:
    assert graphemes("ที่e\u0301👩‍👩‍👧\r\n") == ["ที่", "e\u0301", "👩‍👩‍👧", "\r\n"]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("狐", True), ("ー", True), ("ที่", True), ("한", False), ("a", False), ("。", False), ("", False)],
)
def test_some_scripts_put_no_spaces_between_words(text: str, is_one: bool) -> None:
    assert is_unspaced(text) is is_one
