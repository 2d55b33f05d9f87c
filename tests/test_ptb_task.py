"""The language model's training against Keras and NumPy: windows, loss, gradient, updates, dropout, schedule, measuring."""

import math
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest

from demos.ptb import data, task
from demos.ptb.config import PTBConfig
from demos.ptb.models import SETS
from demos.ptb.task import PTBTask
from lib import schedules, word_network
from lib.evaluation import Evaluation
from lib.settings import parse
from lib.tf import tf
from lib.training import Carry, Engine
from lib.vocabulary import Corpus
from lib.word_model import WordModel, flat, read
from lib.word_network import Dropout

WORDS = 23  # <eos> is number 1
PLAIN = {"optimizer": "sgd", "learning_rate": 1.0, "schedule": "steps"}
LENGTHS = {"train": 700, "valid": 90, "test": 70}


def little_corpus(words: int = WORDS, lengths: dict[str, int] | None = None) -> Corpus:
    """Random words, one more frequent the smaller its number."""
    rng = np.random.default_rng(1)
    frequency = 1 / (np.arange(words) + 3)
    drawn = {
        name: rng.choice(words, count, p=frequency / frequency.sum()).astype(np.int32)
        for name, count in (lengths or LENGTHS).items()
    }
    return Corpus(("a", "<eos>", *(f"w{i}" for i in range(2, words))), **drawn)


@pytest.fixture(autouse=True)
def as_wide_networks_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small ones are unrolled as the published ones: in a loop, which compiles sooner too."""
    monkeypatch.setattr("lib.ways.MOST_WRITTEN_OUT", 0)


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """A corpus in the place of the grammar's."""
    return use(monkeypatch, little_corpus())


def use(monkeypatch: pytest.MonkeyPatch, corpus: Corpus) -> Corpus:
    monkeypatch.setattr(data, "corpus", lambda name, text: corpus)
    return corpus


def small(**changes: Any) -> PTBConfig:
    """A small network. Tests that share its sizes share its compiled code."""
    sizes = {"hidden_units": 6, "embedding_units": 5, "batch_size": 4, "truncated_backprop_length": 7, "epochs": 3}
    return PTBConfig(**(sizes | {"layers": 1, "tied": False, "initial_scale": 0.4} | PLAIN | changes))


def engine_for(**changes: Any) -> Engine:
    return Engine(PTBTask(small(**changes)))


def train(engine: Engine, steps: int, live: dict[str, float] | None = None) -> tuple[Carry, dict[str, np.ndarray]]:
    """The first steps, in the engine's own pieces."""
    carry, found = engine.initial(), []
    while carry.step < steps:
        carry, metrics = engine.run(carry, steps - carry.step, live)
        found.append(metrics)
    return carry, {name: np.concatenate([part[name][:, 0] for part in found]) for name in found[0]}


def network_of(carry: Carry) -> Any:
    """The parameters without their seed axis, as lib.word_model has them."""
    return tf.nest.map_structure(lambda leaf: np.asarray(leaf)[0], carry.params)


# Windows


@pytest.mark.parametrize(
    ("length", "rows", "window"), [(100, 1, 7), (100, 4, 7), (101, 3, 5), (64, 8, 7), (929, 20, 35)]
)
def test_training_windows_read_row_after_row_and_ask_for_the_next_word(length: int, rows: int, window: int) -> None:
    words = np.random.default_rng(0).integers(0, 9, length)
    inputs, targets = data.training_windows(words, rows, window)
    count = (length // rows - 1) // window or 1  # as ptb_word_lm's epoch_size
    assert inputs.shape == targets.shape == (count, window, rows)
    text = np.resize(words, max(length, rows * (window + 1)))
    each = len(text) // rows
    for row in range(rows):
        own = text[row * each :]
        np.testing.assert_array_equal(inputs[:, :, row].ravel(), own[: count * window])
        np.testing.assert_array_equal(targets[:, :, row].ravel(), own[1 : count * window + 1])


def test_a_text_too_short_for_a_window_is_repeated() -> None:
    inputs, targets = data.training_windows(np.arange(5), 3, 4)
    np.testing.assert_array_equal(inputs[0].T, [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]])
    np.testing.assert_array_equal(targets[0].T, [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]])


@pytest.mark.parametrize("rows", [1, 3, 20])
@pytest.mark.parametrize(("length", "window"), [(20, 64), (90, 7), (91, 7), (105, 7), (389, 35), (400, 1)])
def test_held_out_windows_score_every_word_once_and_in_order(rows: int, length: int, window: int) -> None:
    words = np.arange(10, 10 + length, dtype=np.int32)
    found = data.held_out_windows(words, rows, window)
    assert {name: array.dtype for name, array in found.items()} == {
        "inputs": np.int32, "targets": np.int32, "scored": np.float32,
    }  # fmt: skip
    assert {array.shape[1:] for array in found.values()} == {(window, rows)}
    each = -(-length // rows)
    scored = []
    for row in range(rows):  # in the order in which the state is carried
        inputs, targets, counted = (found[name][:, :, row].ravel() for name in ("inputs", "targets", "scored"))
        own = words[row * each : (row + 1) * each]
        assert counted.sum() == len(own) and counted[: len(own)].all()
        np.testing.assert_array_equal(targets[: len(own)], own)
        before = words[row * each - 1 : row * each] if row else words[-1:]  # the text follows an <eos>, its last word
        np.testing.assert_array_equal(inputs[: len(own)], np.concatenate([before, own])[:-1][: len(own)])
        scored += targets[counted > 0].tolist()
    assert scored == words.tolist()


@pytest.mark.usefixtures("corpus")
def test_a_block_has_the_windows_the_schedule_and_a_key_for_each_step() -> None:
    config = small(epochs=12, seed=9, flat_epochs=2, decay=0.5, schedule="steps")
    found = PTBTask(config)
    assert found.steps == 12 * found.steps_per_epoch == config.steps and found.windows_per_block == 256
    blocks = [found.block(index) for index in range(2)]
    joined = {name: np.concatenate([block[name] for block in blocks])[: found.steps] for name in blocks[0]}
    whole = data.training_windows(data.corpus("", "").train, 4, 7)
    for name, windows in zip(("inputs", "targets"), whole, strict=True):
        np.testing.assert_array_equal(joined[name], np.concatenate([windows] * 12))
    starts = np.arange(found.steps) % found.steps_per_epoch == 0
    np.testing.assert_array_equal(joined["carry"], ~starts)
    np.testing.assert_allclose(joined["rate"][starts], [1, 1, *(0.5**k for k in range(1, 11))])
    assert len(np.unique(joined["key"], axis=0)) == found.steps
    assert {name: array.dtype.name for name, array in joined.items()} == {
        "inputs": "int32", "targets": "int32", "carry": "float32", "rate": "float32", "dropout": "float32", "key": "int32",
        "turn": "int32",
    }  # fmt: skip


@pytest.mark.usefixtures("corpus")
def test_a_shifted_epoch_reads_the_same_text_from_another_place() -> None:
    plain, shifted = (PTBTask(small(epochs=12, shifted=value)) for value in (False, True))
    count = plain.steps_per_epoch
    inputs = [np.concatenate([found.block(index)["inputs"] for index in range(2)]) for found in (plain, shifted)]
    np.testing.assert_array_equal(inputs[0][:count], inputs[1][:count])
    texts = [windows[count : 2 * count].transpose(2, 0, 1).ravel() for windows in inputs]
    assert (texts[0] != texts[1]).any()
    corpus = plain.corpus.train
    first = texts[1][: 3 * 7]
    starts = [start for start in range(len(corpus)) if (np.roll(corpus, -start)[: len(first)] == first).all()]
    assert starts and (inputs[1][count : 2 * count] != inputs[1][2 * count : 3 * count]).any()
    again = PTBTask(small(epochs=12, shifted=True))
    np.testing.assert_array_equal(again.block(1)["inputs"], shifted.block(1)["inputs"])


# One step, and the next, against Keras


class InKeras:
    """The same network of Keras's layers, its state carried by hand: embedding, LSTMs, and a dense layer of logits."""

    def __init__(self, network: Any, rows: int) -> None:
        size, width = network["embedding"].shape
        self.tied = "weights" not in network["output"]
        self.embedding = keras.layers.Embedding(size, width)
        self.embedding.build()
        self.embedding.set_weights([network["embedding"]])
        self.layers = []
        for i in range(len(network["layers"])):
            weights = network["layers"][f"layer_{i}"]
            layer = keras.layers.LSTM(weights["recurrent_weights"].shape[0], return_sequences=True, return_state=True)
            layer.build((rows, None, width))
            layer.set_weights([weights[name] for name in ("input_weights", "recurrent_weights", "bias")])
            self.layers.append(layer)
            width = layer.units
        self.projection = None
        if "projection" in network["output"]:
            self.projection = keras.layers.Dense(network["embedding"].shape[1], use_bias=False)
            self.projection.build((rows, None, width))
            self.projection.set_weights([network["output"]["projection"]])
            width = self.projection.units
        self.output = keras.layers.Dense(size)
        self.output.build((rows, None, width))
        matrix = network["embedding"] if self.tied else network["output"]["weights"]
        self.output.set_weights([matrix.T, network["output"]["bias"]])
        self.forget(rows)

    def forget(self, rows: int) -> None:
        self.states = [[tf.zeros([rows, layer.units])] * 2 for layer in self.layers]

    @property
    def variables(self) -> list[Any]:
        """In the order in which our tree is flattened."""
        of_layers = [[layer.weights[2], layer.weights[0], layer.weights[1]] for layer in self.layers]
        table = self.embedding.weights[0]
        last = [] if self.tied else [self.output.weights[0]]
        last += self.projection.weights if self.projection else []
        return [table, *(weight for layer in of_layers for weight in layer), self.output.weights[1], *last]

    def loss(self, inputs: np.ndarray, targets: np.ndarray) -> tf.Tensor:
        """Summed over the steps, averaged over the rows, of a window [T, B]; the state is carried on."""
        outputs = self.embedding(inputs.T)
        for i, layer in enumerate(self.layers):
            outputs, *self.states[i] = layer(outputs, initial_state=self.states[i])
        if self.projection:
            outputs = self.projection(outputs)
        if self.tied:
            logits = tf.einsum("bth,vh->btv", outputs, self.embedding.weights[0].value) + self.output.weights[1].value
        else:
            logits = self.output(outputs)
        each = keras.losses.sparse_categorical_crossentropy(targets.T, logits, from_logits=True)
        return tf.reduce_mean(tf.reduce_sum(each, axis=1))


def our_shape(gradients: list[Any], untied: bool) -> list[np.ndarray]:
    """Keras's gradients as ours: a dense one of the embedding, and the output's weights [V, H]."""
    found = [np.asarray(tf.convert_to_tensor(gradient)) for gradient in gradients]
    return [*found[:-1], found[-1].T] if untied else found


def assert_trains_as_keras(engine: Engine, steps: int, *, rtol: float = 1e-4) -> None:
    """Loss, gradient norm and weights of each step, with the optimizer and the clip norm of the config."""
    config, block = engine.config, engine.task.block(0)
    carry = engine.initial()
    theirs = InKeras(network_of(carry), config.batch_size)
    rules = {"sgd": keras.optimizers.SGD, "adam": partial(keras.optimizers.Adam, epsilon=1e-7)}
    optimizer = rules[config.optimizer](weight_decay=config.weight_decay * 1e-6 or None)
    for step in range(steps):
        inputs, targets = block["inputs"][step], block["targets"][step]
        if step % engine.steps_per_epoch == 0:
            theirs.forget(config.batch_size)
        with tf.GradientTape() as tape:
            total = theirs.loss(inputs, targets)
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(total, theirs.variables)]
        norm = float(tf.linalg.global_norm(gradients))
        scale = min(1.0, config.clip_norm / norm) if config.clip_norm else 1.0
        optimizer.learning_rate = config.learning_rate * float(block["rate"][step])
        optimizer.apply([gradient * scale for gradient in gradients], theirs.variables)
        carry, metrics = engine.run(carry, 1)
        words = config.truncated_backprop_length
        assert metrics["loss"][0, 0] == pytest.approx(float(total) / words, rel=rtol), f"step {step}"
        assert metrics["gradient_norm"][0, 0] == pytest.approx(norm, rel=20 * rtol), f"step {step}"
        ours = tf.nest.flatten(carry.params)
        values = our_shape(theirs.variables, "weights" in carry.params["output"])
        for mine, their in zip(ours, values, strict=True):
            some = (slice(None, None, 1 + mine.size // 100_000),)  # of rows
            np.testing.assert_allclose(mine[0][some], their[some], rtol=20 * rtol, atol=2e-5, err_msg=f"step {step}")


LITTLE = {"hidden_units": 6, "embedding_units": 6, "truncated_backprop_length": 7, "dropout": 0.0}
SHRUNKEN: dict[str, dict[str, Any]] = {
    "small": SETS["small"] | LITTLE,
    "medium": SETS["medium"] | LITTLE,
    "large": SETS["large"] | LITTLE,
    "modern": SETS["modern"] | LITTLE | {"embedding_units": 5, "recurrent_dropout": 0.0},
    "one tied layer": {"tied": True, "optimizer": "adam", "clip_norm": 0.5, "hidden_units": 5},
    "one tied layer, projected": {"tied": True, "hidden_units": 9, "layers": 1},
    "three layers": {"layers": 3, "clip_norm": 0.0, "keep_bias": 2.0},
}


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize("name", SHRUNKEN)
def test_it_trains_step_by_step_as_the_same_network_in_keras(name: str) -> None:
    engine = engine_for(**(SHRUNKEN[name] | {"batch_size": 4, "epochs": 3, "initial_scale": 0.4}))
    assert_trains_as_keras(engine, 4)


@pytest.mark.parametrize("name", ["medium", "large"])
def test_the_published_sizes_train_as_in_keras(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the vocabulary, the batch and the window in full size, without dropout."""
    use(monkeypatch, little_corpus(200))
    shrunk = {"batch_size": 2, "truncated_backprop_length": 3, "dropout": 0.0}
    engine = Engine(PTBTask(PTBConfig(model=name, **(SETS[name] | shrunk))))
    units = {"medium": 650, "large": 1500}[name]
    assert engine.initial().params["layers"]["layer_1"]["recurrent_weights"].shape == (1, units, 4 * units)
    assert_trains_as_keras(engine, 2)


@pytest.mark.usefixtures("corpus")
def test_an_embedding_begins_from_neighbours_and_all_else_as_ever() -> None:
    counted, plain = (PTBTask(small(counted_start=value)).initial_params() for value in (True, False))
    assert counted["embedding"].shape == plain["embedding"].shape and counted["embedding"].dtype == np.float32
    assert abs(counted["embedding"] - plain["embedding"]).max() > 0.1
    np.testing.assert_array_equal(counted["output"]["bias"], plain["output"]["bias"])
    tf.nest.map_structure(np.testing.assert_array_equal, counted["layers"], plain["layers"])


@pytest.mark.usefixtures("corpus")
def test_weights_of_a_tied_network_are_the_embedding_and_keep_biases_are_where_they_are_set() -> None:
    params = engine_for(tied=True, keep_bias=2.5, layers=2).initial().params
    assert set(params["output"]) == {"bias"}
    assert engine_for(tied=True).initial().params["output"]["projection"].shape == (1, 6, 5)
    assert set(engine_for(tied=True, hidden_units=5).initial().params["output"]) == {"bias"}
    assert params["layers"]["layer_0"]["input_weights"].shape == (1, 5, 24)
    assert params["layers"]["layer_1"]["recurrent_weights"].shape == (1, 5, 20)
    np.testing.assert_array_equal(params["layers"]["layer_1"]["bias"][0], [0.0] * 5 + [2.5] * 5 + [0.0] * 10)
    for leaf in (params["embedding"], params["layers"]["layer_0"]["recurrent_weights"]):
        assert np.abs(leaf).max() <= 0.4 and np.abs(leaf).max() > 0.3 and abs(leaf.mean()) < 0.1


@pytest.mark.usefixtures("corpus")
def test_the_gradient_is_that_of_the_sum_over_steps_and_the_mean_over_rows() -> None:
    """By finite differences of NumPy's perplexity: the loss of one window from the zero state, in double precision."""
    engine = engine_for()
    carry, block = engine.initial(), engine.task.block(0)
    after, metrics = engine.run(carry, 1, {"learning_rate": 1.0, "clip_norm": 0.0})
    moved = {name: array - flat(network_of(after))[name] for name, array in flat(network_of(carry)).items()}

    def loss_with(name: str, index: tuple[int, ...], change: float) -> float:
        arrays = {part: array.astype(np.float64) for part, array in flat(network_of(carry)).items()}
        arrays[name][index] += change
        return window_loss(arrays, block["inputs"][0], block["targets"][0])

    assert metrics["loss"][0, 0] == pytest.approx(loss_with("output/bias", (0,), 0.0) / 7, rel=1e-5)
    rate = engine.task.block(0)["rate"][0]
    for name, index in {
        "embedding": (block["inputs"][0, 0, 0], 2), "layers/layer_0/input_weights": (1, 3),
        "layers/layer_0/recurrent_weights": (2, 7), "layers/layer_0/bias": (9,), "output/weights": (3, 1), "output/bias": (2,),
    }.items():  # fmt: skip
        slope = (loss_with(name, index, 1e-5) - loss_with(name, index, -1e-5)) / 2e-5
        assert moved[name][index] / rate == pytest.approx(slope, rel=2e-3, abs=2e-5), name


def window_loss(arrays: dict[str, np.ndarray], inputs: np.ndarray, targets: np.ndarray) -> float:
    """A window's cross-entropy from the zero state, summed over steps and averaged over rows, in plain NumPy."""

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    units, total = len(arrays["layers/layer_0/recurrent_weights"]), 0.0
    h = c = np.zeros((inputs.shape[1], units))
    for words, wanted in zip(inputs, targets, strict=True):
        driven = arrays["embedding"][words] @ arrays["layers/layer_0/input_weights"] + arrays["layers/layer_0/bias"]
        i, f, g, o = np.split(driven + h @ arrays["layers/layer_0/recurrent_weights"], 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        logits = h @ arrays["output/weights"].T + arrays["output/bias"]
        total += np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(wanted)), wanted])
    return total


# Some words for all


SIZE, EVERY = 23, 4


def nats(first: int, frequent: int, every: int = EVERY, *, exactly: bool = False, tied: bool = False) -> Any:
    """-log p of some targets in a vocabulary of 23 words, and its gradients."""
    rng = np.random.default_rng(3)
    params = {
        "embedding": rng.normal(size=(1, SIZE, 5)).astype(np.float32),
        "output": {"bias": rng.normal(size=(1, SIZE)).astype(np.float32)},
    }
    if tied:
        params["output"]["projection"] = rng.normal(size=(1, 5, 5)).astype(np.float32)
    else:
        params["output"]["weights"] = rng.normal(size=(1, SIZE, 5)).astype(np.float32)
    tensors = tf.nest.map_structure(tf.constant, params)
    outputs = tf.constant(rng.normal(size=(7, 3, 5)).astype(np.float32))
    targets = tf.constant(rng.permutation(21).reshape(7, 3).astype(np.int32))
    with tf.GradientTape() as tape:
        tape.watch((tensors, outputs))
        if exactly:
            found = word_network.nats_of(tensors, outputs, targets)
        else:
            found = word_network.sampled_nats_of(tensors, outputs, targets, every, tf.constant(first), frequent)
        total = tf.reduce_sum(found * tf.constant(rng.normal(size=(7, 3)).astype(np.float32)))
    return found.numpy(), [
        gradient.numpy() for gradient in tape.gradient(total, [outputs, *tf.nest.flatten(tensors["output"])])
    ]


@pytest.mark.parametrize("frequent", [0, 3, 8])
def test_the_sampled_sum_is_right_on_average(frequent: int) -> None:
    exact = nats(0, 0, exactly=True)[0]
    sampled = np.stack([nats(first, frequent)[0] for first in range(EVERY)])
    np.testing.assert_allclose(np.exp(sampled.astype(np.float64)).mean(axis=0), np.exp(exact), rtol=1e-5)
    assert (sampled.std(axis=0) > 0).all()
    np.testing.assert_array_equal(nats(5, frequent)[0], sampled[1])


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("frequent", "every"), [(23, 4), (3, 1), (21, 4)])
def test_with_all_words_sampling_is_exact(frequent: int, every: int, tied: bool) -> None:
    sampled, exact = nats(2, frequent, every, tied=tied), nats(0, 0, exactly=True, tied=tied)
    for ours, want in zip(tf.nest.flatten(sampled), tf.nest.flatten(exact), strict=True):
        np.testing.assert_array_equal(ours, want)


@pytest.mark.parametrize("first", range(EVERY))
def test_the_gradient_of_the_sampled_sum_is_that_of_its_definition(first: int) -> None:
    """Against TensorFlow's own derivative of the sum written out."""
    rng = np.random.default_rng(4)
    outputs, weights, bias = (
        tf.constant(rng.normal(size=shape).astype(np.float32)) for shape in ((6, 5), (SIZE, 5), (SIZE,))
    )
    targets = tf.constant([0, 2, 3, 9, 14, 22])
    sample = word_network._Sample(5, EVERY, tf.constant(first))
    counts = np.where(np.arange(SIZE) < 3, 1.0, 0.0)
    counts[3 + first :: EVERY] = EVERY
    times = np.where(np.arange(SIZE) == targets.numpy()[:, None], 1.0, counts).astype(np.float32)
    found = []
    for ours in (True, False):
        with tf.GradientTape() as tape:
            tape.watch([outputs, weights, bias])
            if ours:
                each = word_network._sampled_nats(outputs, weights, bias, targets, sample)
            else:
                logits = tf.matmul(outputs, weights, transpose_b=True) + bias
                own = tf.gather(logits, targets, batch_dims=1)
                each = tf.math.log(tf.reduce_sum(times * tf.exp(logits - own[:, None]), axis=-1))
            total = tf.reduce_sum(each * tf.constant([1.0, 2.0, -1.0, 0.5, 3.0, 1.5]))
        found.append([each, *tape.gradient(total, [outputs, weights, bias])])
    for ours, want in zip(*found, strict=True):
        np.testing.assert_allclose(ours, want, rtol=1e-4, atol=1e-5)


# The state and the running perplexity


def test_the_state_is_carried_through_an_epoch_and_zero_at_its_start(corpus: Corpus) -> None:
    """With a learning rate of 0 the losses are those of reading each row's text in one go, again in each epoch."""
    engine = engine_for()
    carry, metrics = train(engine, engine.steps, {"learning_rate": 0.0, "clip_norm": 0.0})
    model, count = WordModel(network_of(carry)), engine.steps_per_epoch
    inputs, targets = data.training_windows(corpus.train, 4, 7)
    state, hidden = model.hidden_states(model.zero_state(4), inputs.reshape(-1, 4))
    nats = -np.take_along_axis(log_softmax(model.logits(hidden)), targets.reshape(-1, 4)[..., None], -1)[..., 0]
    wanted = nats.reshape(count, -1).mean(axis=1)
    np.testing.assert_allclose(metrics["loss"], np.tile(wanted, 3), rtol=1e-4)
    running = np.exp(np.cumsum(wanted) / np.arange(1, count + 1))
    np.testing.assert_allclose(metrics["perplexity"], np.tile(running, 3), rtol=1e-4)
    np.testing.assert_allclose(carry.state[0][-1].hidden_state[0], state[-1].hidden_state, atol=1e-5)
    assert carry.state[1][0, 1] == count, "how many windows the epoch's mean is of"


def log_softmax(logits: np.ndarray) -> np.ndarray:
    wide = logits.astype(np.float64)
    return wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True))


@pytest.mark.usefixtures("corpus")
def test_the_perplexity_while_training_is_of_the_mean_since_the_epoch_began() -> None:
    engine = engine_for()
    _, metrics = train(engine, engine.steps)
    losses = metrics["loss"].astype(np.float64).reshape(3, -1)
    wanted = np.exp(np.cumsum(losses, axis=1) / np.arange(1, losses.shape[1] + 1)).ravel()
    np.testing.assert_allclose(metrics["perplexity"], wanted, rtol=1e-4)
    assert wanted[-1] < 0.9 * wanted[0], "it learned"


# Schedules


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ("small", [1, 1, 1, 1, 0.5, 0.25, 0.125, 0.0625]),
        ("medium", [1, 1, 1, 1, 1, 1, 0.8, 0.64, 0.512]),
        ("large", [*[1] * 14, 1 / 1.15, 1 / 1.15**2]),
    ],
)
def test_the_published_rates_are_flat_and_then_fall_by_epochs(model: str, wanted: list[float]) -> None:
    config, steps = PTBConfig(**SETS[model]), np.arange(len(wanted) * 10)
    found = schedules.rate(config, steps, 10, 10 * config.epochs)
    np.testing.assert_allclose(found, np.repeat(wanted, 10), rtol=1e-12)


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing() -> None:
    config = PTBConfig(schedule="one_cycle")
    found = schedules.rate(config, np.arange(1000), 50, 1000)
    peak = round(1000 * config.rising)
    assert found[0] == pytest.approx(0.04) and found[-1] < 2e-3
    assert found.argmax() == peak and found[peak] == pytest.approx(1.0)
    assert (np.diff(found[: peak + 1]) > 0).all() and (np.diff(found[peak:]) < 0).all()
    assert found[500 + peak // 2] == pytest.approx(0.5), "the middle of the way down"
    assert schedules.rate(config, np.array([1000, 1255]), 50, 1000).tolist() == [0.0, 0.0], "what fills the last block"


@pytest.mark.usefixtures("corpus")
def test_a_step_is_trained_with_the_rate_of_the_schedule_times_the_live_one() -> None:
    engine = engine_for(schedule="one_cycle")
    live = {"learning_rate": 0.3, "clip_norm": 0.0}
    _, metrics = train(engine, engine.steps, live)
    np.testing.assert_allclose(metrics["learning_rate"], 0.3 * engine.task.block(0)["rate"][: engine.steps], rtol=1e-6)
    before, _ = train(engine, 3, live)
    after, found = engine.run(before, 1, live)
    moved = [np.asarray(a - b) for a, b in zip(*map(tf.nest.flatten, (before.params, after.params)), strict=True)]
    length = math.sqrt(sum(float((leaf.astype(np.float64) ** 2).sum()) for leaf in moved))
    assert length == pytest.approx(found["gradient_norm"][0, 0] * found["learning_rate"][0, 0], rel=1e-3)


# Dropout


def dropped(
    values: np.ndarray, *, probability: float = 0.25, key: tuple[int, int] = (1, 2), **options: Any
) -> np.ndarray:
    """`word_network._dropped`, compiled, as its random numbers need it."""
    place, over_steps = options.get("place", 0), options.get("over_steps", False)

    @tf.function(jit_compile=True)
    def compiled(values: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        dropout = Dropout(probability, over_steps, 0.0, tf.constant(options.get("share", 1.0)), key)
        return word_network._dropped(values, probability, dropout, place=place, over_steps=over_steps)

    return compiled(tf.constant(values), tf.constant(key)).numpy()


ONES = np.ones((20, 30, 50), np.float32)


def test_dropout_keeps_the_mean_and_leaves_out_its_share() -> None:
    found = dropped(ONES)
    np.testing.assert_allclose(np.unique(found), [0, 4 / 3], rtol=1e-6)
    assert (found == 0).mean() == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / ONES.size))
    assert found.mean() == pytest.approx(1.0, abs=0.02)
    assert len({step.tobytes() for step in found}) == 20, "other ones at every step"


def test_a_share_of_dropout_leaves_out_so_much_less() -> None:
    np.testing.assert_array_equal(dropped(ONES, share=0.0), ONES)
    assert (dropped(ONES, share=0.5) == 0).mean() == pytest.approx(0.125, abs=0.01)
    assert dropped(ONES, share=0.5).mean() == pytest.approx(1.0, abs=0.02)


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize("growth", [0.0, 0.5, 1.0])
def test_dropout_grows_over_its_part_of_the_run(growth: float) -> None:
    found = PTBTask(small(epochs=12, dropout_growth=growth))
    share = np.concatenate([found.block(index)["dropout"] for index in range(2)])[: found.steps]
    grown = round(growth * found.steps)
    assert (np.diff(share[:grown]) > 0).all() and (share[grown:] == 1).all()
    assert share[0] == (pytest.approx(0, abs=0.02) if growth else 1)


def test_the_same_key_gives_the_same_numbers_and_another_key_or_place_others() -> None:
    found = dropped(ONES)
    np.testing.assert_array_equal(found, dropped(ONES))
    for other in (dropped(ONES, key=(1, 3)), dropped(ONES, key=(2, 2)), dropped(ONES, place=1)):
        assert ((found == 0) & (other == 0)).mean() == pytest.approx(0.0625, abs=0.01), "independent of each other"


def test_locked_dropout_leaves_out_the_same_numbers_at_every_step_but_not_in_every_row() -> None:
    found = dropped(ONES, over_steps=True)
    np.testing.assert_array_equal(found, np.broadcast_to(found[:1], found.shape))
    assert len({row.tobytes() for row in found[0]}) == 30
    assert (found[0] == 0).mean() == pytest.approx(0.25, abs=0.05)


@pytest.mark.usefixtures("corpus")
def test_dropout_is_drawn_anew_for_each_step_and_is_the_same_again() -> None:
    """With no learning, the same window in two epochs has other losses, and each again the same."""
    changes = {"dropout": 0.5}
    rate = {"learning_rate": 0.0, "clip_norm": 0.0}
    _, once = train(engine_for(**changes), 60, rate)
    _, again = train(engine_for(**changes), 60, rate)
    np.testing.assert_array_equal(once["loss"], again["loss"])
    count = engine_for(**changes).steps_per_epoch
    assert (once["loss"][:count] != once["loss"][count : 2 * count]).all()
    _, other = train(engine_for(**changes, seed=1), 60, rate)
    assert (other["loss"] != once["loss"]).any()


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize(
    "changes", [{"dropout": 0.5}, {"dropout": 0.3, "locked_dropout": True, "recurrent_dropout": 0.6}]
)
def test_dropout_changes_training_but_not_measuring(changes: dict[str, Any]) -> None:
    plain, engine = engine_for(), engine_for(**changes)
    rate = {"learning_rate": 0.0, "clip_norm": 0.0}
    assert (train(plain, 4, rate)[1]["loss"] != train(engine, 4, rate)[1]["loss"]).all()
    carry = plain.initial()._replace(step=plain.steps_per_epoch)
    assert measured(plain, carry) == measured(engine, carry)


@pytest.mark.usefixtures("corpus")
def test_recurrent_dropout_has_one_mask_for_a_window_and_leaves_biases_and_inputs_alone() -> None:
    config = small(recurrent_dropout=0.5)
    found = PTBTask(config)
    params, states = found.initial_params(), found.initial_state()[0]

    @tf.function(jit_compile=True)
    def gradients(key: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            window = tf.constant(found.block(0)["inputs"][0])
            _, outputs = word_network.read(tensors, states, window, Dropout(0.0, False, 0.5, tf.constant(1.0), key))
            total = tf.reduce_sum(outputs**2)
        return tape.gradient(total, tensors["layers"]["layer_0"])

    tensors = tf.nest.map_structure(tf.constant, params)
    first, second = (gradients(tf.constant(key)) for key in ([0, 0], [0, 1000]))
    for found_ones in (first, second):
        assert (found_ones["recurrent_weights"].numpy() == 0).mean() == pytest.approx(0.5, abs=0.15)
        assert (found_ones["input_weights"].numpy() != 0).all() and (found_ones["bias"].numpy() != 0).all()
    assert ((first["recurrent_weights"].numpy() == 0) != (second["recurrent_weights"].numpy() == 0)).any()


# Measuring


def measured(engine: Engine, carry: Carry) -> dict[str, float]:
    found: dict[str, float] = {}
    while not found:
        carry, found = engine.evaluate(carry)
    return found


@pytest.mark.parametrize(("layers", "tied"), [(1, False), (2, True)])
def test_measuring_equals_reading_the_whole_stream_in_numpy(corpus: Corpus, layers: int, tied: bool) -> None:
    engine = engine_for(layers=layers, tied=tied)
    carry, _ = train(engine, engine.steps)
    found = measured(engine, carry)
    model, first = WordModel(network_of(carry)), corpus.valid
    assert found["test_perplexity"] == pytest.approx(
        read(model, corpus.test, int(corpus.test[-1])).perplexity, rel=1e-4
    )
    rows, each = 20, -(-len(first) // 20)
    nats = [
        read(model, first[row * each : (row + 1) * each], int(first[row * each - 1])).log_probability
        for row in range(rows)
        if row * each < len(first)
    ]
    joined = np.concatenate(nats)
    assert len(joined) == len(first)
    assert found["valid_perplexity"] == pytest.approx(math.exp(-joined.mean()), rel=1e-4)


@pytest.mark.usefixtures("corpus")
def test_the_outcome_of_measuring_does_not_depend_on_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "TEST_WINDOW", 3)
    engine = engine_for()
    carry, _ = train(engine, engine.steps)
    outcomes = []
    for sizes in ([100], [1] * 100, [4, 1, 7, 2, 100]):
        evaluation = Evaluation(engine.task.evaluations, "test", carry.params, engine._device)
        found, pieces = None, iter(sizes)
        while found is None:
            evaluation._size = next(pieces)
            found = evaluation.piece(1.0)
        outcomes.append(found)
    assert len(set(outcomes)) == 1


@pytest.mark.usefixtures("corpus")
def test_what_is_kept_is_the_network_and_texts_by_it() -> None:
    engine = engine_for()
    carry, _ = train(engine, engine.steps)
    kept = engine.keep(carry)
    assert kept.note["epoch"] == 3
    assert {sample["temperature"] for sample in kept.note["samples"]} == set(task.DIARY_TEMPERATURES)
    assert all(len(sample["text"].split()) == task.DIARY_WORDS for sample in kept.note["samples"])
    assert kept.note == engine.keep(carry).note
    network = flat(network_of(carry))
    assert set(kept.network) == set(network)
    for name, array in kept.network.items():
        assert array.dtype == np.float16
        np.testing.assert_allclose(array, network[name], rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("corpus")
def test_of_a_long_run_a_few_networks_are_kept_the_last_among_them() -> None:
    engine = engine_for(epochs=60, tied=True)
    carry = engine.initial()
    kept = [epoch for epoch in range(1, 61) if engine.task._keep(carry.params, epoch * engine.steps_per_epoch).network]
    assert 4 <= len(kept) <= task.MOST_NETWORKS and kept[-1] == 60 and kept[0] == 1


# The table of models

PUBLISHED = """
init scale | 0.1 | 0.05 | 0.04
layers | 2 | 2 | 2
units | 200 | 650 | 1500
steps | 20 | 35 | 35
batch | 20 | 20 | 20
keep probability | 1.0 | 0.5 | 0.35
gradient norm clip | 5 | 5 | 10
learning rate | 1.0 | 1.0 | 1.0
flat epochs | 4 | 6 | 14
decay | 0.5 | 0.8 | 0.8695652173913044
epochs | 13 | 39 | 55
"""  # Zaremba, Sutskever & Vinyals (2014), section 4.1, and ptb_word_lm
FIELDS = {
    "init scale": "initial_scale", "layers": "layers", "units": "hidden_units", "steps": "truncated_backprop_length",
    "batch": "batch_size", "gradient norm clip": "clip_norm", "learning rate": "learning_rate",
    "flat epochs": "flat_epochs", "decay": "decay", "epochs": "epochs",
}  # fmt: skip


@pytest.mark.parametrize(("column", "name"), list(enumerate(["small", "medium", "large"])))
def test_the_models_are_those_of_the_publication(column: int, name: str) -> None:
    config = parse(PTBConfig, {"model": name})
    for line in PUBLISHED.strip().splitlines():
        label, *values = line.split(" | ")
        wanted = float(values[column])
        if label == "keep probability":
            assert 1 - config.dropout == pytest.approx(wanted)
        else:
            assert getattr(config, FIELDS[label]) == pytest.approx(wanted), label
    assert (config.optimizer, config.schedule, config.keep_bias) == ("sgd", "steps", 0.0)
    assert config.embedding_units == config.hidden_units
    assert not (config.tied or config.locked_dropout or config.recurrent_dropout)


def test_an_epoch_of_the_penn_treebank_has_as_many_windows_as_the_publications() -> None:
    values = PTBConfig().model_dump() | SETS["small"] | {"model": "small", "corpus": "ptb"}
    config = PTBConfig.model_construct(**values)
    assert config.windows_per_epoch == 2323
    assert PTBConfig.model_construct(**(values | SETS["large"])).windows_per_epoch == 1327
