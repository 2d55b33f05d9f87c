"""A trained word-level LSTM language model, read in NumPy: how surprised it is by a text. lib.word_sampling draws texts.

The networks are those of Zaremba, Sutskever & Vinyals, "Recurrent neural network regularization" (2014), section 3, without
the dropout, which is for training only. It needs weights only, no TensorFlow: a page reads a sentence in milliseconds.

Shapes: T words read, B rows, V words in the vocabulary, E numbers of an embedding, H units of a layer.
A network is a tree of arrays, float16 or float32, without a seed axis; all is computed in float32:

    {"embedding": [V, E],
     "layers": {"layer_0": {"input_weights": [E, 4H], "recurrent_weights": [H, 4H], "bias": [4H]}, "layer_1": …},
     "output": {"weights": [V, H], "bias": [V]}}

A layer's columns are in the order i, f, g, o, as in `lib.cells.lstm_step`; a later layer's inputs are the hidden states of
the one below. An output without "weights" is tied: its weights are the embedding (Press & Wolf 2017), and where H is not E,
"projection" [H, E] comes before them.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from lib.trace import sigmoid

Network = Mapping[str, Any]

BEST = 10  # so many of the likeliest words are listed at each place, fewer where the vocabulary has fewer
_WEIGHTS = ("input_weights", "recurrent_weights", "bias")


class LayerState(NamedTuple):
    """The state of a layer: `hidden_state` and `cell_state`, both [B, H]."""

    hidden_state: np.ndarray
    cell_state: np.ndarray


State = tuple[LayerState, ...]  # of all layers, from the one that reads the embedding


class _Layer(NamedTuple):
    input_weights: np.ndarray
    recurrent_weights: np.ndarray
    bias: np.ndarray


class WordModel:
    """A network to read with. It changes nothing of the network, and the network's arrays must not change under it.

        model = WordModel(network)
        state, log_probabilities = model.step(model.zero_state(1), np.array([eos]))

    Raises ValueError for a network of another form than the one above, and for one with weights that are not finite.
    """

    def __init__(self, network: Network) -> None:
        arrays = flat(network)
        _check_network(arrays)
        arrays = {name: _readable(array) for name, array in arrays.items()}
        self._embedding = arrays["embedding"]
        self._layers = tuple(
            _Layer(*(arrays[f"layers/layer_{i}/{name}"] for name in _WEIGHTS)) for i in range(_layer_count(arrays))
        )
        self._output_weights = arrays.get("output/weights", self._embedding).T
        self._projection = arrays.get("output/projection")
        self._output_bias = arrays["output/bias"]

    @property
    def vocabulary_size(self) -> int:
        """V, how many words there are: 0 to V - 1."""
        return len(self._embedding)

    def zero_state(self, rows: int) -> State:
        """The state, of zeros, from which a text begins."""
        zeros = [np.zeros((rows, len(layer.recurrent_weights)), np.float32) for layer in self._layers]
        return tuple(LayerState(zero, zero) for zero in zeros)

    def step(self, state: State, words: ArrayLike) -> tuple[State, np.ndarray]:
        """Read a word in every row: `words` [B] to the new state and log p of the next word, in nats, [B, V] float32.

        Raises ValueError for words outside the vocabulary, and when there are more or fewer of them than the state has rows.
        """
        ids = word_numbers("words", words, self.vocabulary_size)
        if len(ids) != len(state[0].hidden_state):
            raise ValueError(
                f"words has {len(ids)} words, and the state {len(state[0].hidden_state)} rows: give one word for each row."
            )
        state, hidden = self.hidden_states(state, ids[None])
        return state, log_softmax(self.logits(hidden[0]))

    def hidden_states(self, state: State, words: np.ndarray) -> tuple[State, np.ndarray]:
        """Read valid `words` [T, B], any T: the state after them, and the last layer's hidden states, [T, B, H]."""
        after, outputs = [], self._embedding[words]
        for layer, before in zip(self._layers, state, strict=True):
            layer_state, outputs = _read_layer(layer, before, outputs)
            after.append(layer_state)
        return tuple(after), outputs

    def logits(self, hidden_states: np.ndarray) -> np.ndarray:
        """What the output makes of the last layer's hidden states: h W.T + b, [B, H] to [B, V]."""
        projected = hidden_states if self._projection is None else hidden_states @ self._projection
        logits = projected @ self._output_weights
        logits += self._output_bias
        return logits


def _read_layer(layer: _Layer, state: LayerState, inputs: np.ndarray) -> tuple[LayerState, np.ndarray]:
    """One LSTM layer over `inputs` [T, B, I], as `lib.cells.lstm_step`: the state after it, hidden states [T, B, H]."""
    h, c = state
    driven = inputs @ layer.input_weights + layer.bias  # of all steps at once
    units = h.shape[-1]
    hidden = np.empty((*inputs.shape[:2], units), np.float32)
    for step, drive in enumerate(driven):
        gates = drive + h @ layer.recurrent_weights
        i, f = np.split(sigmoid(gates[:, : 2 * units]), 2, axis=-1)
        g, o = np.tanh(gates[:, 2 * units : 3 * units]), sigmoid(gates[:, 3 * units :])
        c = f * c + i * g
        h = o * np.tanh(c)
        hidden[step] = h
    return LayerState(h, c), hidden


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """x - log(sum(exp(x))) along the last axis, [..., V], for large x of either sign too."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


# Reading


class Reading(NamedTuple):
    """How likely each word of a text was where it stands, and what else was likely there.

    The ten `best` stand in order, the likeliest first; words that are equally likely, in the order of their numbers.
    """

    words: np.ndarray  # int [T]
    log_probability: np.ndarray  # float64 [T], nats: of the word, given all before it
    rank: np.ndarray  # int [T]: the word's place among all words there, 1 for the model's best guess
    best: np.ndarray  # int [T, 10]: the likeliest words there
    best_probability: np.ndarray  # [T, 10]

    @property
    def probability(self) -> np.ndarray:
        """The probability of each word, [T]."""
        return np.exp(self.log_probability)

    @property
    def surprise_bits(self) -> np.ndarray:
        """-log2 p of each word, [T], in bits: 1 for what has a chance of one in two (Shannon 1948, section 6)."""
        return 0.0 - self.log_probability / math.log(2)  # and not -0.0 for a certain word

    @property
    def perplexity(self) -> float:
        """exp(-mean(log p)): the model is as surprised as if it chose among so many equally likely words each time."""
        with np.errstate(over="ignore"):
            return float(np.exp(-self.log_probability.mean()))

    @property
    def product(self) -> float:
        """log10 of the product of all probabilities, that is, of the text's own: the product itself could underflow."""
        return float(self.log_probability.sum() / math.log(10))


def read(model: WordModel, words: ArrayLike, first: int) -> Reading:
    """Read a text [T] that begins after the word `first` (the end of another sentence) from a state of zeros.

    Raises ValueError for a text without words, and for words outside the vocabulary.
    """
    ids = _text(words, model.vocabulary_size)
    before = np.concatenate([word_numbers("first", [first], model.vocabulary_size), ids[:-1]])
    _, hidden = model.hidden_states(model.zero_state(1), before[:, None])
    return _reading(ids, log_softmax(model.logits(hidden[:, 0])))


def under_unigram(probabilities: ArrayLike, words: ArrayLike) -> Reading:
    """The same of a model that knows only how frequent each word is, `probabilities` [V]: the same at every place.

    A word of probability 0 makes the perplexity infinite. Raises ValueError for a text without words, for words outside
    the vocabulary, and for probabilities that are none.
    """
    known = np.asarray(probabilities, np.float64)
    if known.ndim != 1 or not known.size:
        raise ValueError(
            f"probabilities has shape {known.shape}: it must be (V,), one for each word of the vocabulary."
        )
    if not (known >= 0).all() or not abs(known.sum() - 1) < 1e-3:
        raise ValueError(
            f"probabilities has values from {known.min()} to {known.max()} that sum to {known.sum()}: they must be 0 or more "
            "and sum to 1, so divide the words' counts by their sum."
        )
    ids = _text(words, len(known))
    with np.errstate(divide="ignore"):
        logs = np.log(known / known.sum())
    return _reading(ids, np.broadcast_to(logs, (len(ids), len(logs))))


def _reading(words: np.ndarray, log_probabilities: np.ndarray) -> Reading:
    """Words [T] under the distributions at their places, [T, V]."""
    own = np.take_along_axis(log_probabilities, words[:, None], axis=-1)
    lower_numbers = np.arange(log_probabilities.shape[-1]) < words[:, None]
    ahead = (log_probabilities > own) | ((log_probabilities == own) & lower_numbers)
    best = best_places(log_probabilities, BEST)
    best_probability = np.exp(np.take_along_axis(log_probabilities, best, axis=-1))
    return Reading(words, own[:, 0].astype(np.float64), 1 + ahead.sum(axis=-1), best, best_probability)


def best_places(scores: np.ndarray, count: int) -> np.ndarray:
    """The numbers of the `count` highest of each row of [B, V], in order: the highest first, of equals the lowest number."""
    size = scores.shape[-1]
    count = min(count, size)
    found = np.empty((len(scores), count), np.int64)
    for row, into in zip(scores, found, strict=True):
        least = np.partition(row, size - count)[size - count]
        high = np.flatnonzero(row >= least)  # more than `count` where some are as high as the least of them
        into[:] = high[np.argsort(-row[high], kind="stable")[:count]]
    return found


class Working(NamedTuple):
    """Perplexity step by step: p_1 · … · p_T = product; its T-th root is the mean p, and one divided by that the perplexity.

    The product is `mantissa` · 10^`exponent` with 1 <= mantissa < 10, so that it can be shown where it underflows; it is
    0 · 10^0 when a word had probability 0.
    """

    probabilities: tuple[float, ...]
    mantissa: float
    exponent: int
    length: int  # T
    geometric_mean: float
    perplexity: float
    mean_bits: float  # the mean surprise: perplexity = 2^mean_bits


def worked_out(reading: Reading) -> Working:
    """The numbers with which a page shows how a text's perplexity is computed."""
    log10 = reading.product
    exponent = math.floor(log10) if math.isfinite(log10) else 0
    return Working(
        probabilities=tuple(reading.probability.tolist()),
        mantissa=10.0 ** (log10 - exponent),
        exponent=exponent,
        length=len(reading.words),
        geometric_mean=float(np.exp(reading.log_probability.mean())),
        perplexity=reading.perplexity,
        mean_bits=float(reading.surprise_bits.mean()),
    )


# Keeping


def flat(network: Network, dtype: DTypeLike | None = None) -> dict[str, np.ndarray]:
    """A network as arrays by name, such as "layers/layer_0/bias", as an npz file keeps them; in this dtype, if given.

    Raises ValueError when a weight is too large for the dtype.
    """
    found = {}
    for name, leaf in _leaves(network):
        array = np.asarray(leaf)
        with np.errstate(over="ignore"):
            found[name] = array if dtype is None else array.astype(dtype)
        if dtype is not None and (np.isinf(found[name]) & ~np.isinf(array)).any():
            raise ValueError(
                f"{name} has weights up to {np.abs(array).max()}, too large for dtype {np.dtype(dtype)}: keep it as float32."
            )
    return found


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, branch in tree.items():
        if isinstance(branch, Mapping):
            yield from _leaves(branch, f"{above}{name}/")
        else:
            yield above + name, branch


def unflat(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The network of which `flat` made these arrays, in the dtype that they have."""
    network: dict[str, Any] = {}
    for name, array in arrays.items():
        *path, last = name.split("/")
        branch = network
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = array
    return network


# Checks


def _readable(array: np.ndarray) -> np.ndarray:
    """The array in float32, read-only."""
    view = np.asarray(array, np.float32).view()
    view.setflags(write=False)
    return view


def _layer_count(arrays: Mapping[str, np.ndarray]) -> int:
    return len({name.split("/")[1] for name in arrays if name.startswith("layers/")})


def _check_network(arrays: Mapping[str, np.ndarray]) -> None:
    """Raises ValueError unless the arrays of a network are all there, fit each other, and are finite."""
    layers = _layer_count(arrays)
    if not layers:
        raise ValueError('layers is empty: a network has at least one layer, called "layer_0".')
    vocabulary, width = _check_shape(arrays, "embedding", (None, None))
    for name in (f"layers/layer_{i}" for i in range(layers)):
        units, _ = _check_shape(arrays, f"{name}/recurrent_weights", (None, None))
        _check_shape(arrays, f"{name}/recurrent_weights", (units, 4 * units))
        _check_shape(arrays, f"{name}/input_weights", (width, 4 * units))
        _check_shape(arrays, f"{name}/bias", (4 * units,))
        width = units
    _check_shape(arrays, "output/bias", (vocabulary,))
    embedding = arrays["embedding"].shape[1]
    if "output/weights" in arrays:
        _check_shape(arrays, "output/weights", (vocabulary, width))
    elif "output/projection" in arrays:
        _check_shape(arrays, "output/projection", (width, embedding))
    elif width != embedding:
        raise ValueError(
            f"output has no weights, and the last layer has {width} units, an embedding {embedding} numbers: give "
            "output/projection, or output/weights."
        )
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(
                f"{name} has weights that are not finite, as after training that diverged: read another network."
            )


def _check_shape(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """The shape of an array of a network, at least 1 everywhere; None stands for any size."""
    if name not in arrays:
        raise ValueError(f"{name} is missing from the network: it has {', '.join(arrays)}.")
    found = arrays[name].shape
    if len(found) != len(shape) or any(
        size < 1 or size != (due or size) for size, due in zip(found, shape, strict=True)
    ):
        wanted = ", ".join("any" if due is None else str(due) for due in shape)
        comma = "," if len(shape) == 1 else ""
        raise ValueError(f"{name} has shape {found}: with the network's other arrays it must be ({wanted}{comma}).")
    return found


def word_numbers(name: str, words: ArrayLike, size: int) -> np.ndarray:
    """Numbers of words as int [T], which may be none."""
    ids = np.asarray(words)
    if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
        raise ValueError(
            f"{name} has shape {ids.shape} and dtype {ids.dtype}: it must be the numbers of words, whole numbers in a row."
        )
    outside = ids[(ids < 0) | (ids >= size)]
    if len(outside):
        raise ValueError(f"{name} = {outside[0]} is not in the vocabulary: choose words from 0 to {size - 1}.")
    return ids.astype(np.int64)


def _text(words: ArrayLike, size: int) -> np.ndarray:
    ids = word_numbers("words", words, size)
    if not len(ids):
        raise ValueError("words is empty: give a text of at least one word.")
    return ids
