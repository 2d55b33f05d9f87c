"""Words as numbers from counting which words stand beside which: what an embedding may begin with.

Words with similar neighbours get similar numbers before anything is learned. Levy & Goldberg, "Neural word embedding as
implicit matrix factorization" (2014), section 4; the smoothed frequencies and the halved weight at two words' distance are
from Levy, Goldberg & Dagan, "Improving distributional similarity" (2015), section 3.
"""

import numpy as np

from lib.blas import one_thread
from lib.tf import tf

PLACES = {-1: 1.0, 1: 1.0, -2: 0.5, 2: 0.5}  # where a neighbour stands, and what it weighs
SPREAD = 0.17  # with which the language model learned fastest, of 0.06 to 0.25
SMOOTHED = 0.75  # the power of a neighbour's frequency
SPARE, ROUNDS = 40, 2  # of the randomized factorization


def counted_embedding(text: np.ndarray, words: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """The words of a text as numbers: int [N] to float32 [words, size], of the standard deviation SPREAD.

    No one of the numbers means more than another: they are turned at random.
    """
    with one_thread():
        found = _factors(_information(text, words), size, rng)
        turn, _ = np.linalg.qr(rng.standard_normal((size, size)).astype(np.float32))
        found = found @ turn[: found.shape[1]]
    return found * np.float32(SPREAD / max(float(found.std()), 1e-12))


def _information(text: np.ndarray, words: int) -> tf.SparseTensor:
    """How much more often than by chance each word has each neighbour: max(0, ln(p(w, c) / (p(w) p(c)))), weighted,
    [words, places * words]."""
    rows, columns, values = [], [], []
    for i, (place, weight) in enumerate(PLACES.items()):
        here, there = (text[:-place], text[place:]) if place > 0 else (text[-place:], text[:place])
        pairs, counts = np.unique(here.astype(np.int64) * words + there, return_counts=True)
        word, neighbour = np.divmod(pairs, words)
        smoothed = np.bincount(there, minlength=words) ** SMOOTHED
        of_word = np.bincount(here, minlength=words)[word]
        information = np.log(counts / of_word / (smoothed / max(smoothed.sum(), 1.0))[neighbour])
        kept = information > 0
        rows.append(word[kept])
        columns.append(i * words + neighbour[kept])
        values.append(weight * information[kept])
    indices = np.stack([np.concatenate(rows), np.concatenate(columns)], axis=1)
    table = tf.SparseTensor(indices, np.concatenate(values).astype(np.float32), (words, len(PLACES) * words))
    return tf.sparse.reorder(table)


def _factors(table: tf.SparseTensor, size: int, rng: np.random.Generator) -> np.ndarray:
    """U sqrt(S) of the table's first `size` singular vectors, or of all if there are fewer. Halko, Martinsson & Tropp, "Finding
    structure with randomness" (2011), algorithms 4.4 and 5.1."""

    def times(matrix: np.ndarray, *, transposed: bool = False) -> np.ndarray:
        product: np.ndarray = tf.sparse.sparse_dense_matmul(table, matrix, adjoint_a=transposed).numpy()
        return product

    columns = min(size + SPARE, *table.shape)
    seen = times(rng.standard_normal((table.shape[1], columns)).astype(np.float32))
    for _ in range(ROUNDS):
        seen = times(times(np.linalg.qr(seen)[0], transposed=True))
    basis, _ = np.linalg.qr(seen)
    turned, strength, _ = np.linalg.svd(times(basis, transposed=True).T, full_matrices=False)
    found: np.ndarray = (basis @ turned)[:, :size] * np.sqrt(strength[:size])
    return found
