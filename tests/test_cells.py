"""Cells against NumPy, against Keras's layers with the same weights, and against finite differences."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from demos.registry import get
from lib.cells import (
    CELLS,
    NARROW,
    drive,
    linear,
    lstm_step,
    unroll,
    unroll_in_a_loop,
    unroll_written_out,
    zero_state,
)
from lib.networks import initial_network
from lib.tf import tf

T, S, B, INPUTS, H = 7, 3, 2, 4, 5


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def numpy_unroll(name: str, params: dict, state: list, inputs: np.ndarray) -> tuple[list, np.ndarray]:
    """The equations of the papers, one seed, in float64: inputs [T, B, I]."""
    w, u, b = (params[key].astype(np.float64) for key in ("input_weights", "recurrent_weights", "bias"))
    outputs = []
    h, c = state[0], state[-1]
    n = h.shape[-1]
    for x in inputs:
        if name == "rnn":
            h = np.tanh(x @ w + h @ u + b)
        elif name == "lstm":
            i, f, g, o = np.split(x @ w + h @ u + b, 4, axis=-1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        elif name == "lstm_peephole":
            p_i, p_f, p_o = (np.diag(p) for p in params["peephole_weights"].astype(np.float64))
            i, f, g, o = np.split(x @ w + h @ u + b, 4, axis=-1)
            c = sigmoid(f + c @ p_f) * c + sigmoid(i + c @ p_i) * np.tanh(g)
            h = sigmoid(o + c @ p_o) * np.tanh(c)
        elif name == "lstm_coupled":
            f, g, o = np.split(x @ w + h @ u + b, 3, axis=-1)
            c = sigmoid(f) * c + sigmoid(-f) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            z = sigmoid(x @ w[:, :n] + h @ u[:, :n] + b[:n])
            r = sigmoid(x @ w[:, n : 2 * n] + h @ u[:, n : 2 * n] + b[n : 2 * n])
            new = np.tanh(x @ w[:, 2 * n :] + (r * h) @ u[:, 2 * n :] + b[2 * n :])
            h = z * h + (1 - z) * new
        outputs.append(h)
    return ([h, c] if name.startswith("lstm") else [h]), np.stack(outputs)


def random_case(name: str, units: int = H, seeds: int = S, steps: int = T, inputs: int = INPUTS):
    rng = np.random.default_rng(units * 100 + steps)
    gates = CELLS[name].gates
    params = {
        "input_weights": rng.normal(0, 0.5, (seeds, inputs, gates * units)).astype(np.float32),
        "recurrent_weights": rng.normal(0, 0.5, (seeds, units, gates * units)).astype(np.float32),
        "bias": rng.normal(0, 0.5, (seeds, gates * units)).astype(np.float32),
    }
    if name == "lstm_peephole":
        params["peephole_weights"] = rng.normal(0, 0.5, (seeds, 3, units)).astype(np.float32)
    State = CELLS[name].State
    state = State(*(rng.normal(0, 0.5, (seeds, B, units)).astype(np.float32) for _ in State._fields))
    return params, state, rng.normal(size=(steps, seeds, B, inputs)).astype(np.float32)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("units", [1, 5, 40])  # 40 units take the matmul way
@pytest.mark.parametrize("steps", [1, 7])
def test_unroll_equals_numpy(name: str, units: int, steps: int) -> None:
    params, state, inputs = random_case(name, units, steps=steps)
    after, outputs = unroll(name, params, state, inputs)
    for seed in range(S):
        one = {key: value[seed] for key, value in params.items()}
        want_state, want = numpy_unroll(name, one, [part[seed] for part in state], inputs[:, seed])
        np.testing.assert_allclose(outputs[:, seed], want, atol=2e-5)
        for got, expected in zip(after, want_state, strict=True):
            np.testing.assert_allclose(got[seed], expected, atol=2e-5)


@pytest.mark.parametrize("name", CELLS)
def test_the_seed_axis_may_be_left_out(name: str) -> None:
    params, state, inputs = random_case(name, seeds=2)
    _, outputs = unroll(name, params, state, inputs)
    one = {key: value[1] for key, value in params.items()}
    _, alone = unroll(name, one, type(state)(*(part[1] for part in state)), inputs[:, 1])
    np.testing.assert_allclose(outputs[:, 1], alone, atol=1e-6)


def keras_layer(name: str, units: int, params: dict) -> keras.layers.Layer:
    kind = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[name]
    layer = kind(units, return_sequences=True, **({"reset_after": False} if name == "gru" else {}))
    layer.build((None, None, INPUTS))
    layer.set_weights([params["input_weights"], params["recurrent_weights"], params["bias"]])
    return layer


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_values_and_gradients_equal_keras(name: str) -> None:
    params, state, inputs = random_case(name, seeds=1)
    ours = {key: tf.Variable(value[0]) for key, value in params.items()}
    start = type(state)(*(part[0] for part in state))
    x = tf.constant(inputs[:, 0])
    target = np.random.default_rng(0).normal(size=(T, B, H)).astype(np.float32)
    with tf.GradientTape() as tape:
        _, outputs = unroll(name, ours, start, x)
        loss = tf.reduce_sum((outputs - target) ** 2)
    gradients = tape.gradient(loss, ours)

    layer = keras_layer(name, H, {key: value[0] for key, value in params.items()})
    with tf.GradientTape() as tape:
        keras_outputs = layer(tf.transpose(x, [1, 0, 2]), initial_state=[tf.constant(part) for part in start])
        keras_loss = tf.reduce_sum((tf.transpose(keras_outputs, [1, 0, 2]) - target) ** 2)
    keras_gradients = tape.gradient(keras_loss, layer.trainable_variables)

    np.testing.assert_allclose(outputs, tf.transpose(keras_outputs, [1, 0, 2]), atol=1e-5)
    for key, theirs in zip(("input_weights", "recurrent_weights", "bias"), keras_gradients, strict=True):
        np.testing.assert_allclose(gradients[key], theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("way", [unroll_written_out, unroll_in_a_loop])
@pytest.mark.parametrize("name", CELLS)
def test_gradients_equal_finite_differences(name: str, way: Callable) -> None:
    """Of every weight, of the first state and of the inputs, for what is pulled at every output and the last state."""
    params, state, inputs = random_case(name, units=3, seeds=1, steps=4)
    rng = np.random.default_rng(0)
    pulls = [rng.normal(size=(4, B, 3)), *(rng.normal(size=(B, 3)) for _ in state)]
    given = {**params, **state._asdict(), "inputs": inputs}

    def loss(values: dict) -> float:
        first = [values[part][0].astype(np.float64) for part in state._fields]
        one = {key: values[key][0] for key in params}
        after, outputs = numpy_unroll(name, one, first, values["inputs"][:, 0].astype(np.float64))
        return sum(float(np.sum(pull * part)) for pull, part in zip(pulls, (outputs, *after), strict=True))

    with tf.GradientTape() as tape:
        tensors = {key: tf.constant(value) for key, value in given.items()}
        tape.watch(tensors)
        start = type(state)(*(tensors[part] for part in state._fields))
        after, outputs = way(name, {key: tensors[key] for key in params}, start, tensors["inputs"])
        found = (outputs[:, 0], *(part[0] for part in after))
        total = sum(tf.reduce_sum(pull * part) for pull, part in zip(pulls, found, strict=True))
    gradients = tape.gradient(total, tensors)
    assert float(total) == pytest.approx(loss(given), rel=1e-5)
    for key, value in given.items():
        exact, want = value.astype(np.float64), np.zeros(value.shape)
        for index in np.ndindex(value.shape):
            ends = []
            for nudge in (1e-5, -1e-5):
                moved = exact.copy()
                moved[index] += nudge
                ends.append(loss(given | {key: moved}))
            want[index] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(gradients[key], want, rtol=1e-3, atol=1e-5 * np.abs(want).max(), err_msg=key)


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (32, 32), (33, 32), (64, 3)])
def test_linear_is_a_matrix_product_on_both_sides_of_the_threshold(inputs: int, outputs: int) -> None:
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(T, S, B, inputs)), rng.normal(size=(S, inputs, outputs))
    np.testing.assert_allclose(linear(tf.constant(x), tf.constant(w)), x @ w, atol=1e-12)
    assert NARROW == 32 * 32


def test_zero_state_has_the_fields_of_its_cell() -> None:
    assert zero_state("lstm", (S, B, H))._fields == ("hidden_state", "cell_state")
    assert all(part.shape == (S, B, H) and not part.any() for part in zero_state("lstm", (S, B, H)))


def test_non_finite_inputs_are_not_hidden() -> None:
    params, state, inputs = random_case("rnn")
    inputs[2, 0, 0, 0] = np.nan
    _, outputs = unroll("rnn", params, state, inputs)
    assert np.isfinite(outputs[:2]).all()
    assert np.isnan(outputs[2:, 0, 0]).all()
    assert np.isfinite(outputs[:, 1]).all(), "one seed's numbers reached another's"


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("units", [1, 5, 40])
@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("compiled", [False, True])
def test_the_loop_has_the_gradients_of_the_steps_written_out(name: str, units: int, steps: int, compiled: bool) -> None:
    params, state, inputs = random_case(name, units, steps=steps)
    rng = np.random.default_rng(0)
    pulls = [rng.normal(size=(steps, S, B, units)), *(rng.normal(size=(S, B, units)) for _ in state)]

    def gradients(way, params, state, inputs):
        with tf.GradientTape() as tape:
            tape.watch((params, state, inputs))
            after, outputs = way(name, params, state, inputs)
            pulled = zip(pulls, (outputs, *after), strict=True)  # by every output and by the state that is carried on
            loss = sum(tf.reduce_sum(tf.constant(pull, tf.float32) * part) for pull, part in pulled)
        return tape.gradient(loss, (params, state, inputs))

    arguments = tf.nest.map_structure(tf.constant, (params, state, inputs))
    one, other = (
        tf.function(lambda *given, way=way: gradients(way, *given), jit_compile=compiled)(*arguments)
        for way in (unroll_written_out, unroll_in_a_loop)
    )
    for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


def test_from_a_state_of_zeros_an_lstm_need_not_read_its_recurrent_weights() -> None:
    params, state, inputs = random_case("lstm", steps=1)
    driven, recurrent = drive(params, inputs[0]), params["recurrent_weights"]
    expected = lstm_step(driven, recurrent, type(state)(*(np.zeros_like(part) for part in state)))
    found = lstm_step(driven, np.full_like(recurrent, np.nan), None)
    for mine, theirs in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_an_lstm_with_peepholes_begins_as_the_lstm_of_its_seed_with_peepholes_as_keras_draws_them() -> None:
    plain, found = (initial_network(cell, 2, 300, 2, "glorot", 5) for cell in ("lstm", "lstm_peephole"))
    peepholes = found["cell"].pop("peephole_weights")
    tf.nest.map_structure(np.testing.assert_array_equal, plain, found)
    limit = np.abs(keras.initializers.GlorotUniform(seed=0)((300,))).max()  # of 300 numbers the greatest
    assert peepholes.shape == (3, 300) and np.abs(peepholes).max() == pytest.approx(limit, rel=0.02)
    assert len(np.unique(peepholes)) == 900


SHORT = {  # settings, and what the mean loss of the last steps must come below: chance is 0.69, 0.69 and 1.39
    "echo": ({"echo_step": 1, "series_length": 2000, "epochs": 8, "truncated_backprop_length": 5, "initial_weights": "glorot",
              "optimizer": "adam", "learning_rate": 0.05}, 0.05),
    "binary-rule": ({"series_length": 2000, "epochs": 6, "batch_size": 20, "optimizer": "adam", "learning_rate": 0.05}, 0.55),
    "gates": ({"task": "remember", "delay": 4, "training_steps": 200, "batch_size": 16, "learning_rate": 0.05}, 0.2),
}  # fmt: skip


@pytest.mark.parametrize("slug", SHORT)
@pytest.mark.parametrize("cell", ["lstm_peephole", "lstm_coupled"])
def test_the_variants_learn_in_every_demo(cell: str, slug: str) -> None:
    settings, limit = SHORT[slug]
    engine = get(slug).build(get(slug).config(cell=cell, seeds=3, **settings))
    carry, found = engine.initial(), []
    while carry.step < engine.steps:
        carry, metrics = engine.run(carry, engine.steps - carry.step)
        found.append(metrics["loss"])
    assert np.median(np.concatenate(found)[-40:].mean(axis=0)) < limit
