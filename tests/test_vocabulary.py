"""Words as numbers: which types a corpus has, how a person's text is cut, and how a typed sentence is read."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import corpora
from lib.corpora import CorpusError, Splits
from lib.texts import TextError
from lib.vocabulary import EOS, UNK, Corpus, encode, from_sentences, own_text, ptb, sentences, tokens


def cut(text: str) -> list[list[str]]:
    """Sentences, one on each line, words set apart by spaces."""
    return [line.split() for line in text.split("/")]


def read(corpus: Corpus, stream: np.ndarray) -> str:
    """A stream as words."""
    return " ".join(corpus.words[number] for number in stream)


# Sentences to numbers


def test_words_stand_by_frequency_and_then_by_letter() -> None:
    corpus = from_sentences(cut("b a b c/b c d"), cut("a"), cut("d c"))
    assert corpus.words == ("b", "<eos>", "c", "a", "d")  # 3, 2, 2, 1, 1
    assert corpus.train.tolist() == [0, 3, 0, 2, 1, 0, 2, 4, 1]
    assert corpus.valid.tolist() == [3, 1] and corpus.test.tolist() == [4, 2, 1]
    assert {stream.dtype for stream in (corpus.train, corpus.valid, corpus.test)} == {np.dtype(np.int32)}
    assert corpus.numbers == {"b": 0, "<eos>": 1, "c": 2, "a": 3, "d": 4}


def test_the_other_parts_add_no_types() -> None:
    corpus = from_sentences(cut("a b a"), cut("a z"), cut("y b"))
    assert corpus.words == ("a", "<eos>", "b", "<unk>")
    assert read(corpus, corpus.valid) == "a <unk> <eos>" and read(corpus, corpus.test) == "<unk> b <eos>"


def test_a_corpus_without_unknown_words_has_no_type_for_them() -> None:
    assert UNK not in from_sentences(cut("a b"), cut("a"), cut("b"), most=3).words


def test_the_rarest_beyond_the_limit_are_unknown() -> None:
    corpus = from_sentences(cut("a a a b b c c d"), cut("c d"), cut("a"), most=4)
    assert corpus.words == ("<unk>", "a", "b", "<eos>")  # c and d became unknown: as many as a
    assert read(corpus, corpus.train) == "a a a b b <unk> <unk> <unk> <eos>"
    assert read(corpus, corpus.valid) == "<unk> <unk> <eos>"


def test_words_too_rare_are_unknown() -> None:
    corpus = from_sentences(cut("a a b c/a"), cut("b"), cut("a"), rarest=2)
    assert corpus.words == ("a", "<eos>", "<unk>") and read(corpus, corpus.train) == "a a <unk> <unk> <eos> a <eos>"


def test_unknown_words_of_the_corpus_itself_are_the_same_type() -> None:
    corpus = from_sentences(cut("a <unk> b b"), cut("z"), cut("a"))
    assert Counter(corpus.words)[UNK] == 1 and read(corpus, corpus.valid) == "<unk> <eos>"


@pytest.mark.parametrize("most", [3, 4, 5, 6, 7, 50])
def test_the_limit_holds_with_every_kind_of_unknown_word(most: int) -> None:
    for train in ("a b c d", "a b c <unk>", "a b a b"):
        for valid in ("a", "z"):
            corpus = from_sentences(cut(train), cut(valid), cut("a"), most)
            assert len(corpus.words) <= most and EOS in corpus.words
            assert min(stream.min() for stream in (corpus.train, corpus.valid, corpus.test)) >= 0


def test_a_limit_with_no_room_for_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="most = 2"):
        from_sentences([], [], [], most=2)


def test_no_sentences_are_an_empty_stream() -> None:
    corpus = from_sentences([], [], [])
    assert corpus.words == (EOS,) and len(corpus.train) == len(corpus.test) == 0


def test_streams_cannot_be_changed() -> None:
    corpus = from_sentences(cut("a"), cut("a"), cut("a"))
    with pytest.raises(ValueError, match="read-only"):
        corpus.train[0] = 1


# A person's text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The fox, the FOX!", "the fox , the fox !"),
        ("Fox's don’t o'clock dogs' 'tis", "fox's don't o'clock dogs ' ' tis"),
        ("3 1,000 1,000.5 0.5% 3rd 1980s .5 5.", "3 1,000 1,000.5 0.5 % 3rd 1980s . 5 5 ."),
        ("well-known -- yes --- a—b", "well - known -- yes --- a — b"),
        ("wait... what?! …", "wait ... what ? ! …"),
        ("_very_ good_night", "very good night"),
        ("«Ça va?» “Oui”", "« ça va ? » “ oui ”"),
        ("Übergröße ΣΊΣΥΦΟΣ İl", "übergröße σίσυφος i̇l"),
        ("हिन्दी में", "हिन्दी में"),
        ("🦊 a&b (c) [d] $5", "🦊 a & b ( c ) [ d ] $ 5"),
        (" \n\t ", ""),
    ],
)
def test_texts_are_cut_into_words(text: str, words: str) -> None:
    assert tokens(text) == words.split()


@given(text=st.text(max_size=40))
def test_nothing_but_spaces_and_underscores_is_lost_and_words_stay_words(text: str) -> None:
    assert "".join(tokens(text)) == "".join(text.replace("’", "'").replace("_", "").lower().split())
    for word in tokens(text):
        assert tokens(word) == [word]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ('"Go!" he said. (So.) No', ['"Go!"', "he said.", "(So.)", "No"]),
        ("Wait... what?! Yes… no", ["Wait...", "what?!", "Yes…", "no"]),
        ("It cost 3.50 at a.b.c today", ["It cost 3.50 at a.b.c today"]),
        ("one line\nanother\n  a third  ", ["one line", "another", "a third"]),
        ("a wrapped\nline. Next\none\n\n\nA new\nparagraph", ["a wrapped line.", "Next one", "A new paragraph"]),
        ("\n".join(["line"] * 30 + [""] + ["line"] * 30), ["line"] * 60),  # one empty line makes no paragraphs
        ("Mr. Fox", ["Mr.", "Fox"]),
        ("", []),
        (" \n \n", []),
    ],
)
def test_texts_are_cut_into_sentences(text: str, found: list[str]) -> None:
    assert sentences(text) == found


SHORT = " ".join(f"Fox number {number} sees a hen and eats it." for number in range(40))


def test_a_text_is_parted_in_order() -> None:
    corpus = own_text(SHORT)
    counts = [list(stream).count(corpus.numbers[EOS]) for stream in (corpus.train, corpus.valid, corpus.test)]
    assert counts == [32, 4, 4]
    assert read(corpus, corpus.train).startswith("fox number 0 sees a hen and eats it . <eos> fox number 1 ")
    assert read(corpus, corpus.test).startswith("fox number <unk> sees")


def test_a_short_text_keeps_the_words_that_occur_once() -> None:
    corpus = own_text(SHORT)
    assert "31" in corpus.words and corpus.numbers[UNK] == len(corpus.words) - 1
    assert corpus.numbers[UNK] not in corpus.train


def long_text() -> str:
    """4,000 words, of which many occur once."""
    chance = random.Random(1)
    return "\n".join(" ".join(f"w{int(chance.paretovariate(0.5))}" for _ in range(9)) + " ." for _ in range(400))


def test_in_a_longer_text_the_words_that_occur_once_teach_what_unknown_means() -> None:
    corpus = own_text(long_text())
    before = Counter(word for line in long_text().splitlines()[:320] for word in line.split())
    singles = [word for word, count in before.items() if count == 1]
    assert len(singles) > 100 and not set(singles) & set(corpus.words)
    assert np.count_nonzero(corpus.train == corpus.numbers[UNK]) == len(singles)
    assert set(corpus.words) == {word for word, count in before.items() if count > 1} | {EOS, UNK}
    counts = np.bincount(corpus.train, minlength=len(corpus.words))
    assert counts.min() > 0 and (np.diff(counts) <= 0).all()


def test_a_vocabulary_limit_holds_for_own_texts() -> None:
    assert len(own_text(long_text(), most=20).words) == 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 0 words, and needs 200 or more: bring a longer one"),
        ("word " * 199, "has 199 words"),
        ("word " * 200, "has 1 sentences, and needs 10 or more"),
        ("\n".join(["word " * 30] * 9), "has 9 sentences"),
    ],
)
def test_a_text_that_is_too_short_is_refused(text: str, said: str) -> None:
    with pytest.raises(TextError, match=said):
        own_text(text)


def test_the_shortest_text_has_something_in_every_part() -> None:
    corpus = own_text("\n".join(["word " * 20] * 10))
    assert [len(stream) for stream in (corpus.train, corpus.valid, corpus.test)] == [168, 21, 21]


# Typed sentences


@pytest.fixture
def treebank() -> Corpus:
    """A corpus that is written as the Penn Treebank is."""
    line = "mr. <unk> of the u.s. does n't sell N % of at&t 's 10-year bonds for $ N in the mid-1980s it 's"
    return from_sentences([line.split()], [["the"]], [["the"]])


@pytest.mark.parametrize(
    ("sentence", "read_as", "unknown"),
    [
        ("The bonds", "the bonds", []),
        ("Mr. Fox of the U.S., doesn't sell!", "mr. <unk> of the u.s. does n't sell", ["fox"]),
        ("It’s AT&T's, for $1,000.50", "it 's at&t 's for $ N", []),
        ("5% in the (mid-1980s) 10-year", "N % in the mid-1980s 10-year", []),
        ("N <unk> 7 n", "N <unk> N <unk>", ["n"]),
        ("foxes and foxes' hens", "<unk> <unk> <unk> <unk>", ["foxes", "and", "hens"]),
        ("cat's can't 3rd", "<unk> 's <unk> n't <unk>", ["cat", "ca", "3rd"]),
        ("the <eos> the", "the <eos> the", []),
        ("", "", []),
        ("—?!", "", []),
    ],
)
def test_typed_sentences_are_written_as_the_treebank_is(
    treebank: Corpus, sentence: str, read_as: str, unknown: list[str]
) -> None:
    encoded = encode(treebank, sentence)
    assert " ".join(treebank.words[number] for number in encoded.ids) == read_as
    assert encoded.unknown == unknown


def test_typed_sentences_are_cut_as_ones_own_text_is() -> None:
    text = "Don't wait... the fox's 3.5 hens -- all well-known -- sleep. " * 30
    corpus = own_text(text)
    encoded = encode(corpus, text)
    assert encoded.unknown == []
    assert [corpus.words[number] for number in encoded.ids] == tokens(text)


def test_a_word_that_the_corpus_has_is_not_split() -> None:
    corpus = from_sentences(cut("don't do n't o'clock's 's"), cut("do"), cut("do"))
    assert [corpus.words[number] for number in encode(corpus, "DON'T o'clock's").ids] == ["don't", "o'clock's"]


def test_without_a_type_for_unknown_words_they_are_left_out() -> None:
    corpus = from_sentences(cut("a b"), cut("a"), cut("b"))
    assert encode(corpus, "a z b 7") == ([corpus.numbers["a"], corpus.numbers["b"]], ["a", "b"], ["z", "7"])


def test_a_long_word_is_read_quickly(treebank: Corpus) -> None:
    assert encode(treebank, "a-" * 5_000).unknown == ["a"]


# The Penn Treebank


def test_the_treebank_is_read_from_where_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    with pytest.raises(CorpusError, match="not on this machine"):
        ptb()
    monkeypatch.setattr(corpora, "load", lambda: Splits(" the fox \n a <unk> \n", " the <unk> \n", " a fox \n"))
    corpus = ptb()
    assert read(corpus, corpus.train) == "the fox <eos> a <unk> <eos>" and corpus.words[0] == EOS
    assert ptb() is corpus
