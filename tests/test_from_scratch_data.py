"""From text to numbers by NLTK, without a download."""

import re
from pathlib import Path

import numpy as np
import pytest

from demos.from_scratch import cutting, data
from demos.from_scratch.data import END, START, UNKNOWN
from demos.ptb import grammar
from lib import texts
from lib.texts import TextError

STORY = (
    "Dr. Bell met Dr. Fox at noon. They didn't talk. Dr. Bell went home! "
    "Why did Dr. Fox wait for Dr. Bell? Nobody knows. It was late.\n\n"
) * 3


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    data._cutting.cache_clear()
    data._remembered.clear()


def kept(text: str) -> str:
    return texts.keep(texts.cleaned(text))


def kept_csv(text: str) -> str:
    return texts.keep(texts.cleaned(text, longest=data.longest("csv")))


def test_sentences_are_split_by_a_model_of_the_text_itself() -> None:
    found = cutting.sentences_of(STORY, cutting.splitter([STORY]))
    assert found[:3] == ["Dr. Bell met Dr. Fox at noon.", "They didn't talk.", "Dr. Bell went home!"]
    assert len(found) == 18


def test_words_are_in_lower_case_and_marks_are_words() -> None:
    assert cutting.words_of("They didn't talk, he said.") == ["they", "did", "n't", "talk", ",", "he", "said", "."]


def test_a_sentence_from_text_to_shifted_numbers() -> None:
    corpus = data.corpus("text", kept(STORY), 100, 1000)
    assert corpus.written[1] == "They didn't talk."
    assert corpus.sentences[1] == [START, "they", "did", "n't", "talk", ".", END]
    x, y = corpus.pairs[1]
    assert corpus.text_of(x) == corpus.sentences[1][:-1]
    assert corpus.text_of(y) == corpus.sentences[1][1:]
    np.testing.assert_array_equal(x[1:], y[:-1])


def test_the_vocabulary_has_the_most_frequent_words_and_unknown() -> None:
    whole = data.corpus("fables", "", 10_000, 100_000)
    small = data.corpus("fables", "", 10_000, 100)
    assert len(small.words) == 100 and small.words[-1] == UNKNOWN
    assert small.words[:-1] == whole.words[:99]
    counts = [count for _, count in small.counts]
    assert counts == sorted(counts, reverse=True)
    shown = sum(number != 99 for x, y in small.pairs for number in (*x, y[-1]))
    assert small.known == pytest.approx(shown / sum(counts))
    assert whole.known == 1


@pytest.mark.parametrize("name", ["fables", "grammar"])
def test_our_corpora_are_whole(name: str) -> None:
    corpus = data.corpus(name, "", 300, 500)
    assert len(corpus.pairs) == 300
    assert all(sentence[0] == START and sentence[-1] == END for sentence in corpus.sentences)
    assert START in corpus.numbers and END in corpus.numbers


def test_the_fables_have_no_titles_and_no_morals_label() -> None:
    written = data.corpus("fables", "", 10_000, 500).written
    assert written[0].startswith("All winter the grey cat")
    assert not any("Moral:" in sentence for sentence in written)


def test_comments_are_the_first_column_after_the_head_line() -> None:
    text = 'body,score\n"One, two. Three!",5\n"Four\nfive?",6\n,7\nSix.,8\n'
    assert data.comments(text) == ["One, two. Three!", "Four\nfive?", "Six."]
    lines = ["body,score", *(f'"{line.replace(chr(34), chr(34) * 2)}",1' for line in data.paragraphs_of("fables", ""))]
    corpus = data.corpus("csv", kept("\n".join(lines)), 100, 50)
    assert corpus.written == data.corpus("fables", "", 100, 50).written


def test_a_large_file_is_cut_as_far_as_it_is_needed_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "TRAINED_ON", 10_000)
    monkeypatch.setattr(cutting, "AT_LEAST", 20)
    sentences = [" ".join(words).capitalize() + "!" for words in grammar.sentences(200, 5)]
    comments = [" ".join(sentences[i % 190 : i % 190 + 9]) for i in range(2_800)]
    text = kept_csv("body\n" + "\n".join(f'"{comment}"' for comment in comments))
    assert texts.opening(text)[1] > texts.LONGEST
    assert data.missing("csv", text) is None
    few = data.corpus("csv", text, 100, 50)
    assert few.written == [sentence.strip() for comment in comments for sentence in re.findall("[^!]+!", comment)][:100]
    assert 100 <= len((texts.beside(text, "csv.cut") or "").splitlines()) < 200
    more = data.corpus("csv", text, 300, 50)
    assert (more.written[:100], more.sentences[:100]) == (few.written, few.sentences)
    data._cutting.cache_clear()  # as in another process, which finds what was cut
    data._remembered.clear()
    monkeypatch.setattr(cutting, "splitter", None)
    again = data.corpus("csv", text, 300, 50)
    assert (again.written, again.sentences, again.words) == (more.written, more.sentences, more.words)
    reason = (data.missing("text", text) or ("", ""))[1]  # elsewhere a text may have a million
    assert "may have 1,000,000" in reason and "bring a part of it" in reason
    with pytest.raises(TextError, match="may have 1,000,000"):
        texts.load(text)


def test_corpora_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "REMEMBERED", 250)
    first = data.corpus("fables", "", 100, 50)
    assert data.corpus("fables", "", 100, 60) is not first
    assert data.corpus("fables", "", 100, 50) is first
    data.corpus("fables", "", 100, 70)  # one too many: what was used longest ago goes
    assert data.corpus("fables", "", 100, 50) is first
    assert [key[3] for key in data._remembered] == [70, 50]


@pytest.mark.parametrize("text", ["", "body\n", 'a"b,"c'])
def test_a_file_without_comments_is_explained(text: str) -> None:
    with pytest.raises(TextError, match="CSV"):
        data.comments(text)


def test_what_is_missing_is_said() -> None:
    assert data.missing("fables", "") is None
    assert data.missing("text", "") == ("has no text", "bring one, or take our fables")
    assert "needs 10 or more" in (data.missing("text", kept("One sentence. Two sentences.")) or ("", ""))[1]


def test_padding_keeps_every_word() -> None:
    pairs = data.corpus("fables", "", 50, 500).pairs
    block = data.padded(pairs, 60, 61)
    for row, (x, y) in enumerate(pairs):
        real = block["scored"][row] == 1
        np.testing.assert_array_equal(block["x"][row][real], x)
        np.testing.assert_array_equal(block["y"][row][real], y)
    assert not block["scored"][len(pairs) :].any()
