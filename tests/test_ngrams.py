"""The baselines: Kneser–Ney against a slow computation with dictionaries, written from the paper."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.ngrams import Bigram, Unigram, perplexity

EOS = 1


def zipf(length: int, types: int, seed: int = 0) -> np.ndarray:
    """A stream whose words are as unevenly frequent as those of a language; the last type never occurs."""
    weights = 1 / np.arange(1, types)
    return np.random.default_rng(seed).choice(types - 1, length, p=weights / weights.sum()).astype(np.int32)


def slow_bigram(tokens: list[int], types: int) -> list[list[float]]:
    """P(w | v) as Chen & Goodman (1998) write it, formula by formula: rows v, columns w."""
    count = Counter(zip([EOS, *tokens], tokens, strict=False))
    of_count = Counter(count.values())
    n1 = of_count[1] or 1
    discount = n1 / (n1 + 2 * of_count[2])
    before, after, total = defaultdict(set), defaultdict(set), Counter[int]()
    for (v, w), times in count.items():
        before[w].add(v)
        after[v].add(w)
        total[v] += times
    different = {w: max(len(before[w]), 1) for w in range(types)}
    lower = {w: different[w] / sum(different.values()) for w in range(types)}
    rows = []
    for v in range(types):
        if not total[v]:
            rows.append([lower[w] for w in range(types)])
            continue
        spare = discount * len(after[v]) / total[v]
        rows.append([max(count[v, w] - discount, 0) / total[v] + spare * lower[w] for w in range(types)])
    return rows


STREAMS = [
    zipf(300, 12),
    zipf(2_000, 60, 1),
    zipf(50, 40, 2),
    np.array([0]),
    np.array([0, 0, 0, 0]),
    np.array([2, 1] * 9),
]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: f"{len(stream)} of {stream.max() + 2}")
def test_bigrams_are_what_the_paper_says(stream: np.ndarray) -> None:
    types = max(int(stream.max()) + 2, 3)
    model = Bigram.of(stream, types, EOS)
    every = np.arange(types)
    table = model.probability(every[:, None], every)
    np.testing.assert_allclose(table, slow_bigram(stream.tolist(), types), rtol=0, atol=1e-12)
    np.testing.assert_allclose(table.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert table.min() > 0


@settings(max_examples=60, deadline=None)
@given(stream=st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_any_stream_gives_probabilities(stream: list[int]) -> None:
    table = Bigram.of(np.array(stream), 7, EOS).probability(np.arange(7)[:, None], np.arange(7))
    np.testing.assert_allclose(table, slow_bigram(stream, 7), rtol=0, atol=1e-12)
    np.testing.assert_allclose(table.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert table.min() > 0 and table.max() <= 1


def test_bigrams_by_hand() -> None:
    # After <eos> = 1:  0 2 | 0 2 | 0 0: the pairs 10 02 21 10 02 21 10 00, so n1 = 1 (00), n2 = 2 (02, 21) and D = 1/5.
    model = Bigram.of(np.array([0, 2, 1, 0, 2, 1, 0, 0]), 4, EOS)
    assert model.discount == pytest.approx(0.2)
    # Types before: 0 after {1, 0}, 1 after {2}, 2 after {0}, and 3 counts as 1.
    assert model.continuation.tolist() == pytest.approx([0.4, 0.2, 0.2, 0.2])
    # 0 was followed by 2 twice and by 0 once: D N / c = 0.2 × 2 / 3.
    spare = 0.2 * 2 / 3
    by_hand = [0.8 / 3 + spare * 0.4, spare * 0.2, 1.8 / 3 + spare * 0.2, spare * 0.2]
    assert model.probability(0, np.arange(4)).tolist() == pytest.approx(by_hand)


def test_after_a_word_never_seen_what_counts_is_after_how_many_words() -> None:
    # 2 is as frequent as 0 but only ever follows itself and 0, as "Francisco" follows "San".
    stream = np.array([0, 1, 0, 3, 0, 4, 0, 2, 2, 2, 2, 1])
    model = Bigram.of(stream, 6, EOS)
    unseen = model.probability(5, np.arange(6))
    np.testing.assert_array_equal(unseen, model.continuation)
    assert np.bincount(stream)[0] == np.bincount(stream)[2] and unseen[0] > unseen[2]


def test_the_first_word_stands_after_eos() -> None:
    stream = zipf(500, 20)
    model = Bigram.of(stream, 20, EOS)
    np.testing.assert_array_equal(model.stream_probabilities(stream[:1]), model.probability(EOS, stream[:1]))
    table = slow_bigram(stream.tolist(), 20)
    other = zipf(80, 20, seed=9).tolist()
    expected = [table[v][w] for v, w in zip([EOS, *other], other, strict=False)]
    np.testing.assert_allclose(model.stream_probabilities(np.array(other)), expected, rtol=0, atol=1e-12)


def test_large_vocabularies_do_not_overflow() -> None:
    stream = np.array([49_999, 49_998] * 3 + [3], np.int32)  # 49,999² is beyond int32
    model = Bigram.of(stream, 50_000, EOS)
    assert model.probability(np.int32(49_999), np.int32(49_998)) > 0.1 > model.probability(49_998, 49_998)


# Unigrams


def test_unigrams_are_how_frequent_words_are() -> None:
    assert Unigram.of(np.array([0, 0, 1, 2]), 3).probabilities.tolist() == [0.5, 0.25, 0.25]


def test_a_word_that_never_occurs_counts_as_if_it_had_once() -> None:
    assert Unigram.of(np.array([0, 0, 1]), 3).probabilities.tolist() == [0.5, 0.25, 0.25]


def test_unigrams_sum_to_one() -> None:
    assert Unigram.of(zipf(1_000, 50), 50).probabilities.sum() == pytest.approx(1, abs=1e-12)


# Perplexity


@pytest.mark.parametrize("types", [1, 2, 10, 10_000])
def test_a_model_that_knows_nothing_is_as_good_as_choosing_among_all(types: int) -> None:
    assert perplexity(Unigram.of(np.arange(types), types), zipf(99, types + 1)) == pytest.approx(types)


def test_the_unigram_perplexity_of_its_own_stream_is_that_of_its_entropy() -> None:
    stream = zipf(5_000, 30)
    shares = [count / 5_000 for count in Counter(stream.tolist()).values()]
    entropy = -sum(share * math.log(share) for share in shares)
    assert perplexity(Unigram.of(stream, int(stream.max()) + 1), stream) == pytest.approx(math.exp(entropy))


def test_bigrams_know_what_unigrams_do_not() -> None:
    stream = np.arange(20_000) * 7 % 10  # after each word always the same one
    assert perplexity(Unigram.of(stream, 10), stream) == pytest.approx(10)
    assert perplexity(Bigram.of(stream, 10, EOS), stream) == pytest.approx(1, abs=0.01)


def test_what_a_model_holds_impossible_has_an_infinite_perplexity() -> None:
    assert perplexity(Unigram(np.array([1.0, 0.0])), np.array([0, 1])) == math.inf


# What is refused


@pytest.mark.parametrize("stream", [[-1, 0], [0, 3], [0.0, 1.0], [True]])
def test_numbers_of_no_word_are_refused(stream: list[float]) -> None:
    unigram, bigram = Unigram.of(np.array([0, 1, 2]), 3), Bigram.of(np.array([0, 1, 2]), 3, EOS)
    for act in (
        unigram.stream_probabilities,
        bigram.stream_probabilities,
        lambda tokens: Unigram.of(tokens, 3),
        lambda tokens: Bigram.of(tokens, 3, EOS),
        lambda tokens: bigram.probability(tokens, 0),
        lambda tokens: bigram.probability(0, tokens),
    ):
        with pytest.raises(ValueError, match="must be integers from 0 to 2"):
            act(np.array(stream))


def test_empty_streams_are_refused_or_empty() -> None:
    nothing = np.zeros(0, np.int32)
    bigram = Bigram.of(np.array([0, 1, 2]), 3, EOS)
    assert bigram.stream_probabilities(nothing).shape == (0,)
    with pytest.raises(ValueError, match="tokens is empty"):
        perplexity(bigram, nothing)
    with pytest.raises(ValueError, match="tokens is empty"):
        Bigram.of(nothing, 3, EOS)
