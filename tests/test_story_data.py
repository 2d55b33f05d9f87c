"""The stories, the places that training visits, against the tutorial's own loop, and texts that people bring along."""

import itertools
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from demos.story import data, words
from demos.story.config import StoryConfig
from lib import texts
from lib.settings import SettingError, clamp, parse

OURS = [name for name in data.STORIES if name != "own"]
TALE = "The cat sat on the mat, and the dog sat by the cat. Then they all went home to eat and sleep."


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))


def bring(content: bytes) -> data.Story:
    """What the page does with an uploaded file."""
    kept = texts.keep(texts.cleaned(texts.decoded(content), words.SHORTEST))
    found = StoryConfig(**words.with_text(kept, {}))
    return data.story(found.story, found.text)


def test_the_fable_is_as_long_as_the_tutorial_s() -> None:
    story = data.story("bell", "")
    assert 180 <= len(story.numbers) <= 220
    assert 105 <= len(story.words) <= 119


@pytest.mark.parametrize("name", OURS)
def test_numbers_stand_for_words_the_most_frequent_first(name: str) -> None:
    story = data.story(name, "")
    counts = np.bincount(story.numbers)
    assert (np.diff(counts) <= 0).all() and counts.min() == 1
    assert len(set(story.words)) == len(story.words) == len(counts)
    text = (data.FABLES / f"{name}.txt").read_text(encoding="utf-8").lower()
    assert "".join(story.words[number] for number in story.numbers) == "".join(text.split())


@pytest.mark.parametrize("name", OURS)
def test_equally_frequent_words_are_numbered_as_the_setting_says(name: str) -> None:
    story = data.story(name, "")
    counts = Counter(story.words[number] for number in story.numbers)
    assert list(story.words) == [word for word, _ in counts.most_common()], "as the tutorial numbers them"
    other = data.story(name, "", "alphabetical")
    assert list(other.words) == sorted(counts, key=lambda word: (-counts[word], word))
    assert [other.words[number] for number in other.numbers] == [story.words[number] for number in story.numbers]


def test_contexts_stand_before_their_words() -> None:
    story = data.story("bell", "")
    contexts, targets = story.contexts(3)
    assert len(contexts) == len(story.numbers) - 3
    for place in (0, 7, len(targets) - 1):
        assert contexts[place].tolist() == story.numbers[place : place + 3].tolist()
        assert targets[place] == story.numbers[place + 3]


def of_the_tutorial(words: int, length: int, count: int, seed: int) -> list[int]:
    """The loop of rnn_words.py, as it stands there."""
    draw = random.Random(seed)
    offset, end_offset, found = draw.randint(0, length + 1), length + 1, []
    for _ in range(count):
        if offset > words - end_offset:
            offset = draw.randint(0, length + 1)
        found.append(offset)
        offset += length + 1
    return found


@pytest.mark.parametrize(("words", "length"), [(198, 3), (60, 1), (40, 8)])
def test_training_visits_what_the_tutorial_visits(words: int, length: int) -> None:
    places = data.visits(words, length, seed=0, count=20_000).tolist()
    theirs = of_the_tutorial(words, length, 20_000, seed=0)
    for visited in (places, theirs):
        for before, after in itertools.pairwise(visited):
            assert after == before + length + 1 or (after <= length + 1 and before + length + 1 > words - length - 1)
    mine, other = (np.bincount(each, minlength=words - length) / len(each) for each in (places, theirs))
    np.testing.assert_allclose(mine, other, atol=0.2 / (words - length))


@pytest.mark.parametrize("length", [1, 3, 8])
def test_how_often_training_comes_to_each_place(length: int) -> None:
    counts = Counter(data.visits(100, length, seed=1, count=200_000).tolist())
    found = np.array([counts[place] for place in range(100 - length)], float)
    expected = data.visited(100 - length, length)
    np.testing.assert_allclose(found / found.mean(), expected / expected.mean(), rtol=0.1)


def test_a_seed_gives_the_same_places() -> None:
    assert (data.visits(200, 3, 5, 999) == data.visits(200, 3, 5, 999)).all()
    assert (data.visits(200, 3, 5, 999) != data.visits(200, 3, 6, 999)).any()


@pytest.mark.parametrize(
    "content",
    [
        TALE.encode(),
        TALE.replace(". ", ".\r\n").encode(),
        b"\xef\xbb\xbf" + TALE.encode(),
        TALE.encode("utf-16"),
    ],
    ids=["plain", "CRLF", "BOM", "UTF-16"],
)
def test_a_text_is_the_same_however_it_is_written(content: bytes) -> None:
    found, plain = bring(content), data.story_of(TALE)
    assert found.words == plain.words
    assert found.numbers.tolist() == plain.numbers.tolist()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("😀 the cat 😀 sat on the mat 😀 and 👍 so on, and on, and on, and on, and on.", "😀"),
        ("היה היה פעם חתול אשר ישב על הגג, והעכברים פחדו ממנו מאוד. יום אחד אמר עכבר צעיר: נתלה פעמון על צווארו.", "חתול"),
        ("Ein Märchen über Mäuse: die Katze schlich so leise, daß niemand sie hörte, und so ging es alle Tage.", "märchen"),
    ],
    ids=["emoji", "right to left", "umlauts"],
)  # fmt: skip
def test_other_signs_and_scripts_work(text: str, word: str) -> None:
    assert word in bring(text.encode()).words


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 characters"),
        (b"   \n\r\n ", "has 0 characters"),
        (b"cat", "has 3 characters"),
        (b"a" * 1_000_000, "has 1 word, and must have 20 to 2,000: bring a longer one"),
        (b"the cat sat on the mat " * 217_392, "may have 1,000,000: bring a part of it"),
        (b"the cat sat on the mat " * 40_000, "learns it by heart, so bring a part of it"),
        (bytes(range(256)) * 10, "is not UTF-8 text"),
        (b"the cat\0" * 50, "zero bytes"),
        ("Märchen über Mäuse und Käse. ".encode("latin-1") * 9, "save it as UTF-8"),
    ],
    ids=["empty", "blank", "one word", "a line of a million", "5 MB", "many words", "binary", "zeros", "Latin-1"],
)
def test_what_cannot_be_used_is_explained(content: bytes, message: str) -> None:
    with pytest.raises(texts.TextError, match=message):
        bring(content)


def test_a_story_that_is_not_here_is_an_error_with_a_remedy() -> None:
    with pytest.raises(SettingError, match="bring one, or take our fable"):
        parse(StoryConfig, {"story": "own"})
    with pytest.raises(SettingError, match="bring one"):
        parse(StoryConfig, {"story": "own", "text": "0123456789abcdef"})
    repaired, notes = clamp(StoryConfig, {"story": "own"})
    assert repaired.story == data.DEFAULT and "our fable is used" in notes[0]
