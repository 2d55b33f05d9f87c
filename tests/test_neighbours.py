"""Words as numbers from counting their neighbours."""

from itertools import pairwise

import numpy as np
import pytest

from lib import neighbours
from lib.neighbours import counted_embedding
from lib.tf import tf

# Words 0 to 9 stand before 10, 20 to 29 before 11; which of the ten is drawn at random.
RANDOM = np.random.default_rng(5)
PAIRS = [[(RANDOM.integers(10), 10), (20 + RANDOM.integers(10), 11)][RANDOM.integers(2)] for _ in range(20_000)]
TEXT = np.array(PAIRS, np.int32).ravel()


def made(size: int = 8, words: int = 30, text: np.ndarray = TEXT) -> np.ndarray:
    return counted_embedding(text, words, size, np.random.default_rng(0))


def test_words_with_the_same_neighbours_are_alike_and_others_are_not() -> None:
    found = made()
    unit = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
    alike = unit @ unit.T
    first, second = np.arange(10), np.arange(20, 30)
    assert alike[np.ix_(first, first)].min() > 0.6
    assert alike[np.ix_(second, second)].min() > 0.6
    assert alike[np.ix_(first, second)].max() < 0.5


@pytest.mark.parametrize(("size", "words"), [(8, 30), (200, 30), (3, 30), (1, 30), (64, 40)])
def test_it_has_any_size_and_always_the_same_spread(size: int, words: int) -> None:
    found = made(size, words)
    assert found.shape == (words, size) and found.dtype == np.float32
    assert found.std() == pytest.approx(neighbours.SPREAD, rel=1e-3)


def test_a_word_that_never_comes_is_at_zero() -> None:
    np.testing.assert_allclose(made()[12:20], 0, atol=1e-12)


@pytest.mark.parametrize("text", [np.zeros(50, np.int32), np.array([0, 1], np.int32), np.zeros(1, np.int32)])
def test_a_text_that_tells_nothing_gives_numbers_all_the_same(text: np.ndarray) -> None:
    assert np.isfinite(made(4, 2, text)).all()


def test_it_is_the_same_to_the_last_bit() -> None:
    np.testing.assert_array_equal(made(), made())


def test_the_table_is_the_positive_information_counted_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "PLACES", {1: 1.0})
    text = [0, 1, 0, 2, 0, 1, 2, 0, 1, 1]
    wanted = np.zeros((3, 3))
    pairs = list(pairwise(text))
    smooth = [sum(b == c for _, b in pairs) ** 0.75 for c in range(3)]
    for word in range(3):
        own = sum(a == word for a, _ in pairs)
        for other in range(3):
            if count := pairs.count((word, other)):
                wanted[word, other] = max(0.0, np.log(count / own / (smooth[other] / sum(smooth))))
    np.testing.assert_allclose(
        tf.sparse.to_dense(neighbours._information(np.array(text), 3)), wanted, rtol=1e-5, atol=1e-6
    )


def test_the_factors_are_the_tables_singular_vectors() -> None:
    table = np.random.default_rng(1).standard_normal((60, 50)).astype(np.float32) ** 3
    left, strength, _ = np.linalg.svd(table, full_matrices=False)
    found = neighbours._factors(tf.sparse.from_dense(table), 20, np.random.default_rng(2))
    wanted = left[:, :20] * np.sqrt(strength[:20])
    np.testing.assert_allclose(found @ found.T, wanted @ wanted.T, atol=1e-3)
