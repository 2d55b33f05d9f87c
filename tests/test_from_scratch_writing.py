"""Sentences that the model writes."""

import numpy as np
import pytest

from demos.from_scratch import model, writing
from demos.from_scratch.data import END, START, UNKNOWN, Corpus
from demos.from_scratch.model import Parameters

WORDS = ("the", START, END, "fox", "sat", UNKNOWN)


def network(seed: int = 0) -> Parameters:
    return model.initial_parameters(len(WORDS), 4, np.random.default_rng(seed))


def test_no_unknown_word_and_no_short_sentence_is_written() -> None:
    found = writing.write(network(), WORDS, 20, shortest=4, temperature=1.0, seed=0)
    assert len(found.sentences) == 20 and found.too_short > 0
    assert min(map(len, found.sentences)) >= 4
    assert all(UNKNOWN not in sentence and END not in sentence for sentence in found.sentences)


def test_the_same_seed_writes_the_same() -> None:
    first, again, other = (writing.write(network(), WORDS, 5, 2, 1.0, seed) for seed in (3, 3, 4))
    assert first == again != other


def test_leaving_the_unknown_word_out_is_drawing_it_again() -> None:
    scores, random = np.array([0.3, -0.5, 1.0, 0.1]), np.random.default_rng(0)
    drawn = np.bincount([writing.draw_word(scores, 1.0, 2, random) for _ in range(20_000)], minlength=4) / 20_000
    again = np.exp(scores) * (np.arange(4) != 2)
    np.testing.assert_allclose(drawn, again / again.sum(), atol=0.015)


def softmax(scores: np.ndarray) -> np.ndarray:
    return np.exp(scores) / np.exp(scores).sum()


def test_unknown_is_replaced_by_a_word_that_it_stands_for_and_read_on_from() -> None:
    corpus = Corpus([""] * 4, [["the"] * 9, ["owl"] * 3 + ["elk"], [START] * 8, [END] * 8], 4)
    assert corpus.words == ("the", START, END, UNKNOWN) and corpus.outside == [("owl", 3), ("elk", 1)]
    p = model.initial_parameters(4, 3, np.random.default_rng(18))
    p = Parameters(*(3 * weights for weights in p))
    random, replacing = np.random.default_rng(0), writing.replacing(corpus)
    drawn = [writing.write_sentence(p, corpus.words, 1.0, random, replacing) for _ in range(2_000)]
    firsts = [(sentence or ["", ""])[:2] if sentence != [] else [END] for sentence in drawn]
    start = np.tanh(p.U[:, 1])
    unknown = [first for first in firsts if first[0] in ("owl", "elk")]
    assert len(unknown) / len(firsts) == pytest.approx(softmax(p.V @ start)[3], abs=0.03)
    assert sum(first[0] == "owl" for first in unknown) / len(unknown) == pytest.approx(0.75, abs=0.04)
    after = softmax(p.V @ np.tanh(p.U[:, 3] + p.W @ start))  # from UNKNOWN, whatever word stands there
    assert sum(first[1:] == ["the"] for first in unknown) / len(unknown) == pytest.approx(after[0], abs=0.05)
    assert all(UNKNOWN not in sentence for sentence in drawn if sentence)


def test_where_all_words_are_known_there_is_nothing_to_replace_unknown_by() -> None:
    assert writing.replacing(Corpus([""], [[START, "the", END]], 100)) is None


@pytest.mark.parametrize("temperature", [0.05, 0.1])
def test_a_low_temperature_takes_the_likeliest(temperature: float) -> None:
    drawn = {writing.draw_word(np.array([0.0, 2.0, 5.0]), temperature, 2, np.random.default_rng(i)) for i in range(50)}
    assert drawn == {1}


def test_a_network_that_never_ends_a_sentence_writes_none_and_comes_to_an_end() -> None:
    p = network()
    p.V[WORDS.index(END)] = 0.0
    p.V[0], p.U[:], p.W[:] = 1e4, 1.0, 0.0  # "the", for ever
    found = writing.write(p, WORDS, 1, 1, 1.0, 0)
    assert (found.sentences, found.endless) == ([], writing.MOST_DRAWN)
    assert writing.write(p, WORDS, 100, 1, 1.0, 0).endless == -(-writing.MOST_WORDS // writing.LONGEST)
