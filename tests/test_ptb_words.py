"""What the perplexity page shows of a network's words: networks, sentences, texts, results."""

from pathlib import Path

import numpy as np
import pytest

from demos.ptb import data, theory, words
from demos.ptb.config import PTBConfig
from demos.ptb.models import REPLAYED, SETS
from lib import texts, word_model, word_network
from lib.settings import SettingError, parse, settings_of
from lib.tf import tf
from lib.vocabulary import EOS, UNK, Corpus, from_sentences
from lib.word_model import WordModel

SMALL = {"hidden_units": 6, "embedding_units": 5}


def network(config: PTBConfig, size: int = 9) -> dict:
    tree = word_network.initial_word_network(
        np.random.default_rng(0), size, config.embedding_units, config.units, tied=config.tied, scale=0.5, keep=1.0
    )
    return tree


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_the_leaves_are_the_network_that_tensorflow_flattened(tied: bool, layers: int) -> None:
    config = PTBConfig(**SMALL, tied=tied, layers=layers)
    tree = network(config)
    leaves = {f"leaf_{i:03d}": leaf for i, leaf in enumerate(tf.nest.flatten(tree))} | {"step": np.array(7)}
    found = words.network_of(leaves, config)
    assert found is not None
    expected = word_model.flat(tf.nest.map_structure(lambda leaf: leaf[0], tree))
    flat = word_model.flat(found)
    assert set(flat) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(flat[name], array)
    WordModel(found)


def test_a_recorded_run_has_no_network() -> None:
    assert words.network_of({"step": np.array(3), "evaluated": np.array(0)}, PTBConfig()) is None


# Sentences


def test_an_unseen_sentence_is_of_the_test_text_and_ends() -> None:
    corpus, sentence = data.corpus("grammar", ""), words.of_test("grammar", "", 1)
    np.testing.assert_array_equal(sentence.ids, corpus.test[: len(sentence.ids)])
    assert corpus.words[sentence.ids[-1]] == EOS
    assert sentence.labels[-1] == (words.END, "")
    assert len(words.test_sentences("grammar", "")) == 2_000
    assert words.of_test("grammar", "", 10**9).ids == words.of_test("grammar", "", 2_000).ids


def test_what_is_typed_is_read_and_what_is_unknown_is_named() -> None:
    sentence = words.typed("grammar", "", "The dogs Xylophone sleep!")
    assert [label for label, _ in sentence.labels] == ["the", "dogs", "sleep", words.END]
    assert (sentence.unknown, sentence.left_out) == (("xylophone",), True)
    with pytest.raises(words.WordsError, match="none of “qqq”"):
        words.typed("grammar", "", "qqq")
    with pytest.raises(words.WordsError, match="no word in it"):
        words.typed("grammar", "", "!!!")


def test_every_unknown_word_keeps_its_label(own: Corpus) -> None:
    sentence = words.typed("text", "", "foo-foo a foo")
    assert sentence.labels == (("foo", UNK), ("foo", UNK), ("a", ""), ("foo", UNK), (words.END, ""))
    assert sentence.unknown == ("foo",)


def test_a_long_unseen_sentence_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    text_id = texts.keep("a cat sat. " * 100 + "and so on " * 5_000)
    assert max(map(len, words.test_sentences("text", text_id))) == words.LONGEST_READ
    assert len(words.of_test("text", text_id, 10**9).ids) == words.LONGEST_READ + 1


@pytest.mark.parametrize(("count", "model"), [(60, "tiny"), (700, "modern"), (40_000, "small-recorded")])
def test_a_text_is_read_often_enough_to_learn_from_it(
    count: int, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    text_id = texts.keep("The cat sat on the mat. " * count)
    now = {name: field.default for name, field in settings_of(PTBConfig).items()} | {"model": model} | SETS[model]
    config = PTBConfig(**now | words.with_text(text_id, now))
    assert (config.corpus, config.text) == ("text", text_id)
    assert config.steps >= words.FEWEST_STEPS or config.epochs == 100
    assert config.model == ("tiny" if model in REPLAYED else model)
    assert config.batch_size <= SETS[model]["batch_size"]


def test_a_text_that_is_too_short_is_refused_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    text_id = texts.keep("The cat sat on the mat. " * 12)
    with pytest.raises(texts.TextError, match="needs 200 or more"):
        words.with_text(text_id, {"model": "tiny"})
    with pytest.raises(SettingError, match="needs 200 or more"):
        parse(PTBConfig, {"corpus": "text", "text": text_id})


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """A corpus with an unknown word, in the place of the grammar."""
    few = from_sentences(
        [["a", "cat", "sleeps"], ["a", "dog", "sleeps"]] * 3, [["a", "cat"]], [["a", "bird", "sleeps"]], most=6
    )
    monkeypatch.setattr(data, "corpus", lambda name, text: few)
    assert UNK in few.numbers
    return few


def test_an_unknown_word_keeps_its_name_on_its_chip(own: Corpus) -> None:
    sentence = words.typed("few", "", "a emu sleeps")
    assert sentence.labels == (("a", ""), ("emu", UNK), ("sleeps", ""), (words.END, ""))
    assert (sentence.unknown, sentence.left_out) == (("emu",), False)
    assert own.words[sentence.ids[1]] == UNK


def test_frequencies_are_probabilities() -> None:
    assert words.frequencies("grammar", "").sum() == pytest.approx(1)


# Texts


def test_a_prompt_with_unknown_words_is_refused_by_their_names() -> None:
    assert words.prompt_ids("grammar", "", "") == ()
    with pytest.raises(words.WordsError, match=r"“blob”, “glob”"):
        words.prompt_ids("grammar", "", "the blob glob")


def drawn(corpus: Corpus, taken: tuple[int, ...] = (), **settings: object) -> list[int]:
    tree = network(PTBConfig(**SMALL), len(corpus.words))
    model = WordModel(tf.nest.map_structure(lambda leaf: leaf[0] * 3, tree))
    how = {"temperatures": (1.0,), "seed": 3, "words": 20, "top_k": 0, "unknown": False} | settings
    found: list[int] = words.drawn(model, corpus, [corpus.numbers["a"]], taken, **how)[0].words.tolist()  # type: ignore[arg-type]
    return found


def test_a_branch_goes_on_with_the_random_numbers_that_are_left(own: Corpus) -> None:
    whole = drawn(own)
    assert len(whole) == 20
    for place in (1, 7, 19):
        assert drawn(own, tuple(whole[:place])) == whole[place:]


def test_the_unknown_word_is_drawn_only_where_it_may_be(own: Corpus) -> None:
    unknown = own.numbers[UNK]
    assert all(unknown not in drawn(own, seed=seed, words=60) for seed in range(5))
    assert any(unknown in drawn(own, seed=seed, words=60, unknown=True, temperatures=(2.0,)) for seed in range(5))


def test_more_words_to_draw_from_than_there_are_is_all_of_them(own: Corpus) -> None:
    assert drawn(own, top_k=10_000) == drawn(own)


def test_prose_reads_well() -> None:
    said = ["it", "does", "n't", "work", ",", "he", "said", EOS, "(", "she", "laughs", ")", ".", EOS]
    text = "".join(
        ("" if piece.glued or not i else " ") + piece.text + "\n" * piece.end
        for i, piece in enumerate(words.prose(said))
    )
    assert text == "it doesn't work, he said ¶\n(she laughs). ¶\n"
    assert words.prose([]) == []


# Results


def test_a_result_on_the_grammar_is_beside_its_floor() -> None:
    result = words.result(PTBConfig(), 30.0)
    assert result.others[0][1] == pytest.approx(25.563, abs=0.001)
    assert result.meaning.startswith("17.4 % above the lower bound")
    assert words.result(PTBConfig(), 25.5).meaning.startswith("0.2 % below the lower bound of endless text")


def test_a_result_on_the_treebank_is_beside_the_publications(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "missing", lambda name, text: None)
    small = parse(PTBConfig, {"corpus": "ptb", "model": "small"})
    assert theory.as_published(small) == "small"
    result = words.result(small, 114.75)
    assert result.others == (("Small, published", 115.91),)
    assert "exactly the settings of **small**" in result.meaning and "1.0 % below" in result.meaning
    monkeypatch.setattr(theory, "counting", lambda name, text: theory.Counting(700.0, 150.0))
    assert theory.CLIPPING in result.note and theory.CLIPPING in theory.explain(small)
    assert "not the same settings" in words.result(small, 114.75, changed=True).meaning
    other = words.result(parse(PTBConfig, {"corpus": "ptb", "model": "small", "epochs": "12"}), 120.0)
    assert [value for _, value in other.others] == [115.91, 82.07, 78.29]
    assert "not the same settings" in other.meaning


def test_a_result_on_an_own_text_is_beside_counting(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    text_id = texts.keep("the cat sat on the mat and looked at the dog that slept. " * 60)
    config = PTBConfig(corpus="text", text=text_id)
    unigram, bigram = theory.counting("text", text_id, "test")
    assert bigram < unigram
    meanings = [words.result(config, test).meaning for test in (bigram - 0.01, (bigram + unigram) / 2, unigram + 1)]
    assert len(set(meanings)) == 3
    assert "beats the bigram model" in meanings[0]
