"""The compiled chunk: the same numbers as Keras, whatever the chunks' lengths, live settings, seeds and the cache."""

import gc
import weakref

import keras
import numpy as np
import pytest

from demos.echo.config import EchoConfig
from demos.echo.task import EchoTask
from lib.cells import CELLS
from lib.device import choose
from lib.history import parameters_of
from lib.optimizers import OPTIMIZERS
from lib.prepared import ALIGNMENT, aligned
from lib.tf import tf
from lib.training import Engine, _ChunkCache

SMALL = {"series_length": 300, "epochs": 3, "batch_size": 4, "truncated_backprop_length": 3}


def engine_for(**changes) -> Engine:
    return Engine(EchoTask(EchoConfig(**(SMALL | changes))))


def train(engine: Engine, lengths: list[int], live: dict | None = None) -> tuple:
    carry, losses = engine.initial(), []
    for length in lengths:
        carry, metrics = engine.run(carry, length, live)
        losses.append(metrics["loss"])
    return carry, np.concatenate(losses)


def assert_same_carry(one, other) -> None:
    for mine, theirs in zip(one.to_arrays().items(), other.to_arrays().items(), strict=True):
        assert mine[0] == theirs[0]
        np.testing.assert_array_equal(mine[1], theirs[1])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_chunk_lengths_do_not_change_a_bit(cell: str, optimizer: str) -> None:
    engine = engine_for(cell=cell, optimizer=optimizer, learning_rate=0.05)
    carry, losses = train(engine, [60])
    again, pieces = train(engine, [1, 0, 7, 24, 1, 27])
    np.testing.assert_array_equal(losses, pieces)
    assert_same_carry(carry, again)


def test_equals_a_keras_model_trained_the_same_way() -> None:
    """An independent tanh RNN with state carried by hand, Keras's Adagrad and Keras's loss, over an epoch's end."""
    engine = engine_for(learning_rate=0.1)
    _, losses = train(engine, [60])
    assert np.isfinite(losses).all()

    weights = engine.initial().params
    rnn = keras.layers.SimpleRNN(4, return_sequences=True, return_state=True)
    dense = keras.layers.Dense(2)
    rnn.build((4, 3, 1)), dense.build((4, 3, 4))
    rnn.set_weights([weights["cell"][name][0] for name in ("input_weights", "recurrent_weights", "bias")])
    dense.set_weights([weights["output"]["weights"][0], weights["output"]["bias"][0]])
    variables = rnn.trainable_variables + dense.trainable_variables
    optimizer = keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.1, epsilon=1e-7)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    block = engine.task.block(0)
    state = tf.zeros([4, 4])
    for step in range(60):
        inputs = tf.transpose(tf.cast(block["inputs"][step, :, 0], tf.float32))[..., None]
        if step % engine.steps_per_epoch == 0:
            state = tf.zeros([4, 4])
        with tf.GradientTape() as tape:
            hidden, state = rnn(inputs, initial_state=state)
            loss = loss_of(block["targets"][step, :, 0].T, dense(hidden))
        optimizer.apply(tape.gradient(loss, variables), variables)
        assert losses[step, 0] == pytest.approx(float(loss), abs=2e-4), f"step {step}"


def test_a_member_of_a_group_of_seeds_equals_the_single_run() -> None:
    _, group = train(engine_for(seeds=3, seed=5), [75])
    for i in range(3):
        _, alone = train(engine_for(seed=5 + i), [75])
        np.testing.assert_allclose(group[:, i], alone[:, 0], rtol=1e-3, atol=1e-4)


def test_live_learning_rate_takes_effect_without_a_new_compilation() -> None:
    engine = engine_for()
    carry, _ = engine.run(engine.initial(), 10, {"learning_rate": 0.0})
    for before, after in zip(tf.nest.flatten(engine.initial().params), tf.nest.flatten(carry.params), strict=True):
        np.testing.assert_array_equal(before, after)
    moved, _ = engine.run(carry, 10, {"learning_rate": 0.5})
    assert np.abs(moved.params["output"]["weights"] - carry.params["output"]["weights"]).max() > 0.01


def test_clip_norm_bounds_a_step_of_plain_momentum() -> None:
    engine = engine_for(optimizer="momentum", learning_rate=1.0, clip_norm=0.001)
    carry, _ = engine.run(engine.initial(), 1)
    change = [a - b for a, b in zip(*map(tf.nest.flatten, (carry.params, engine.initial().params)), strict=True)]
    assert np.sqrt(sum(np.sum(leaf**2) for leaf in change)) == pytest.approx(0.001, rel=1e-3)


def test_run_never_goes_beyond_the_end() -> None:
    engine = engine_for()
    carry, losses = train(engine, [50, 50])
    assert carry.step == engine.steps == 75
    assert losses.shape == (75, 1)
    assert engine.run(carry, 10)[1]["loss"].shape == (0, 1)
    assert engine.observe(carry)["probabilities"].shape == (3, 4), "the last picture needs one more window"


def test_a_carry_survives_a_checkpoint_bit_for_bit() -> None:
    engine = engine_for(cell="lstm", optimizer="adam")
    carry, _ = engine.run(engine.initial(), 20)
    restored = engine.carry_from(carry.to_arrays())
    assert restored.step == 20
    np.testing.assert_array_equal(engine.run(carry, 30)[1]["loss"], engine.run(restored, 30)[1]["loss"])


def test_a_checkpoint_of_another_network_is_refused() -> None:
    carry = engine_for(state_size=3).initial()
    with pytest.raises(ValueError, match="another network"):
        engine_for(state_size=4).carry_from(carry.to_arrays())


def test_a_start_replaces_the_weights_and_nothing_else() -> None:
    engine = engine_for(optimizer="adam", seed=1)
    trained, _ = engine.run(engine.initial(), 20)
    start = parameters_of(trained.weights())
    begun, plain = engine.initial(start), engine.initial()
    np.testing.assert_equal(begun.weights() | {"step": 20}, trained.weights())
    np.testing.assert_equal((begun.step, begun.slots), (0, plain.slots))
    np.testing.assert_equal(begun.to_arrays().keys(), plain.to_arrays().keys())
    np.testing.assert_equal(tf.nest.flatten(begun.state), tf.nest.flatten(plain.state))
    assert np.isfinite(engine.run(begun, 5)[1]["loss"]).all()


@pytest.mark.parametrize("changes", [{"state_size": 3}, {"cell": "lstm"}, {"seeds": 2}])
def test_a_start_of_other_shapes_is_refused(changes: dict) -> None:
    start = parameters_of(engine_for().initial().weights())
    with pytest.raises(ValueError, match=r"begins with has the shapes .*, these settings make .*: choose the cell"):
        engine_for(**changes).initial(start)


def test_the_picture_shows_the_loss_that_training_reports_next() -> None:
    engine = engine_for(cell="gru")
    carry, _ = engine.run(engine.initial(), 30)
    seen = engine.observe(carry)
    right = np.where(seen["targets"] == 1, seen["probabilities"], 1.0 - seen["probabilities"])
    assert engine.run(carry, 1)[1]["loss"][0, 0] == pytest.approx(-np.log(right).mean(), abs=1e-5)
    assert seen["hidden_state"].shape == (3, 4, 4)


def test_the_last_picture_is_of_the_middle_of_an_epoch_and_moves_no_weight() -> None:
    """After the last step no batch comes: at the start of the next epoch nothing could be known."""
    learns = {"echo_step": 1, "state_size": 12, "initial_weights": "glorot", "optimizer": "adam", "learning_rate": 0.02}
    engine = engine_for(**learns, epochs=40)
    carry, _ = train(engine, [engine.steps])
    before = {name: array.copy() for name, array in carry.to_arrays().items()}
    seen = engine.observe(carry)
    assert (int(seen["step"]), int(seen["window"])) == (engine.steps, engine.steps_per_epoch // 2)
    np.testing.assert_array_equal(seen["targets"] == 1, seen["probabilities"] > 0.5)
    for name, array in carry.to_arrays().items():
        np.testing.assert_array_equal(array, before[name])
    first, _ = engine.run(engine.initial(), engine.steps_per_epoch)
    assert int(engine.observe(first)["window"]) == 0, "before the last step it is the batch that comes next"


def test_of_a_reservoir_only_the_readout_is_trained() -> None:
    engine = engine_for(trained="readout", optimizer="adam", learning_rate=0.02, cell="lstm", seeds=2)
    start, (end, losses) = engine.initial().params, train(engine, [60])
    for name, weights in start["cell"].items():
        np.testing.assert_array_equal(end.params["cell"][name], weights)
    assert (end.params["output"]["weights"] != start["output"]["weights"]).all()
    assert not np.allclose(
        losses, train(engine_for(optimizer="adam", learning_rate=0.02, cell="lstm", seeds=2), [60])[1]
    )


def test_same_shapes_share_a_compiled_chunk_and_the_cache_is_bounded_and_frees() -> None:
    cache, device = _ChunkCache(capacity=2), choose("cpu")
    first = cache.get(EchoTask(EchoConfig(**SMALL)), device)
    shared = EchoConfig(**(SMALL | {"seed": 9, "learning_rate": 1.0, "epochs": 50}))
    assert cache.get(EchoTask(shared), device) is first
    forgotten = weakref.ref(first)
    del first
    for state_size in (5, 6):
        cache.get(EchoTask(EchoConfig(**(SMALL | {"state_size": state_size}))), device)
    gc.collect()
    assert len(cache) == 2
    assert forgotten() is None, "what fell out of the cache was not freed"


def test_an_exploding_run_shows_non_finite_losses() -> None:
    engine = engine_for(optimizer="momentum", learning_rate=10.0)
    _, losses = train(engine, [75], {"learning_rate": 3e38})
    assert not np.isfinite(losses).all()


@pytest.mark.parametrize("start", [0, 1, 16, 63])
def test_a_block_lies_where_it_need_not_be_copied(start: int) -> None:
    raw = np.arange(40 + start, dtype=np.uint8)[start:].reshape(4, 10)
    found = aligned(raw)
    assert found.ctypes.data % ALIGNMENT == 0
    np.testing.assert_array_equal(found, raw)
    assert aligned(found) is found
    empty = aligned(np.zeros((0, 3), np.float32))
    assert empty.shape == (0, 3)
