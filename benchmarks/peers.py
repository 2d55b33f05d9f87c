"""One training loop for each way to train the echo network, all on the same data, with the same settings.

`python -m benchmarks.peers NAME` measures one of them in its own process and prints one JSON line: the median of several
repeats in µs per step, and the loss at the end, so that one sees that it learns.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("UNROLLED_DEVICE", "cpu")

from demos.echo.config import EchoConfig
from demos.echo.data import series
from lib.batches import windows

CONFIG = EchoConfig()
T, B, H = CONFIG.truncated_backprop_length, CONFIG.batch_size, CONFIG.state_size
RATE, ACCUMULATOR = 0.3, 0.1
Result = tuple[float, float]  # µs per step, mean loss of the last 100 steps


def epoch(number: int) -> tuple[np.ndarray, np.ndarray]:
    """The windows of one epoch: inputs float32 and targets int32, [666, T, B]."""
    pair = series(CONFIG.series_length, CONFIG.echo_step, 0, number)
    inputs, targets = (windows(flat[None], B, T)[:, :, 0] for flat in pair)
    return np.ascontiguousarray(inputs, np.float32), np.ascontiguousarray(targets, np.int32)


def initial_weights() -> dict[str, np.ndarray]:
    """The tutorial's: uniform in [0, 1), no bias."""
    rng = np.random.default_rng(3)
    uniform = {"w_x": (1, H), "w_h": (H, H), "w_o": (H, 2)}
    weights = {name: rng.random(shape).astype(np.float32) for name, shape in uniform.items()}
    return weights | {"b": np.zeros(H, np.float32), "b_o": np.zeros(2, np.float32)}


def measure(train_epoch: Callable[[int], np.ndarray], repeats: int) -> Result:
    """Time whole epochs after one that warms up; `train_epoch` returns the losses of its steps."""
    train_epoch(0)
    times, losses = [], np.zeros(0)
    for number in range(1, repeats + 1):
        started = time.perf_counter()
        losses = np.asarray(train_epoch(number))
        times.append((time.perf_counter() - started) / len(losses))
    return statistics.median(times) * 1e6, float(losses[-100:].mean())


def tutorial() -> Result:
    """Hallström's tutorial: a TF1 graph, unrolled in Python, and one `session.run` for each batch."""
    import tensorflow.compat.v1 as tf

    tf.disable_eager_execution()
    inputs, labels = tf.placeholder(tf.float32, [B, T]), tf.placeholder(tf.int32, [B, T])
    start = tf.placeholder(tf.float32, [B, H])
    weights = initial_weights()
    stacked = tf.Variable(np.concatenate([weights["w_x"], weights["w_h"]]))
    bias, output, output_bias = (tf.Variable(weights[name]) for name in ("b", "w_o", "b_o"))
    state, states = start, []
    for step_inputs in tf.unstack(inputs, axis=1):
        joined = tf.concat([tf.reshape(step_inputs, [B, 1]), state], 1)
        state = tf.tanh(tf.matmul(joined, stacked) + bias)
        states.append(state)
    logits = [tf.matmul(one, output) + output_bias for one in states]
    predictions = [tf.nn.softmax(one) for one in logits]
    pairs = zip(logits, tf.unstack(labels, axis=1), strict=True)
    losses = [tf.nn.sparse_softmax_cross_entropy_with_logits(logits=one, labels=label) for one, label in pairs]
    loss = tf.reduce_mean(losses)
    train = tf.train.AdagradOptimizer(RATE).minimize(loss)
    session = tf.Session()
    session.run(tf.global_variables_initializer())

    def train_epoch(number: int) -> np.ndarray:
        x, y = epoch(number)
        carried, found = np.zeros((B, H), np.float32), []
        for batch_x, batch_y in zip(x.transpose(0, 2, 1), y.transpose(0, 2, 1), strict=True):
            feed = {inputs: batch_x, labels: batch_y, start: carried}
            batch_loss, _, carried, _ = session.run([loss, train, state, predictions], feed)
            found.append(batch_loss)
        return np.array(found)

    return measure(train_epoch, 5)


def keras() -> Result:
    """Keras, `train_on_batch` with a stateful SimpleRNN."""
    from keras import Sequential, layers, losses, optimizers

    rnn = layers.SimpleRNN(H, return_sequences=True, stateful=True)
    model = Sequential([layers.Input(batch_shape=(B, T, 1)), rnn, layers.Dense(2)])
    weights = initial_weights()
    model.set_weights([weights[name] for name in ("w_x", "w_h", "b", "w_o", "b_o")])
    model.compile(
        optimizers.Adagrad(RATE, initial_accumulator_value=ACCUMULATOR),
        losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def train_epoch(number: int) -> np.ndarray:
        x, y = epoch(number)
        rnn.reset_states()
        found, total = [], 0.0
        model.reset_metrics()
        batches = zip(x.transpose(0, 2, 1)[..., None], y.transpose(0, 2, 1), strict=True)
        for count, (batch_x, batch_y) in enumerate(batches, 1):
            mean = float(model.train_on_batch(batch_x, batch_y))  # the mean since the metrics were reset
            found.append(mean * count - total)
            total = mean * count
        return np.array(found)

    return measure(train_epoch, 3)


def pytorch() -> Result:
    """PyTorch, eager, with its own nn.RNN and Adagrad."""
    import torch

    torch.set_num_threads(1)  # faster than two threads at this size
    rnn, head = torch.nn.RNN(1, H), torch.nn.Linear(H, 2)
    weights = initial_weights()
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(torch.tensor(weights["w_x"].T))
        rnn.weight_hh_l0.copy_(torch.tensor(weights["w_h"].T))
        head.weight.copy_(torch.tensor(weights["w_o"].T))
        for bias in (rnn.bias_ih_l0, rnn.bias_hh_l0, head.bias):
            bias.zero_()
    parameters = [*rnn.parameters(), *head.parameters()]
    optimizer = torch.optim.Adagrad(parameters, RATE, initial_accumulator_value=ACCUMULATOR)

    def train_epoch(number: int) -> np.ndarray:
        x, y = (torch.from_numpy(part) for part in epoch(number))
        state, found = torch.zeros(1, B, H), []
        for batch_x, batch_y in zip(x.unsqueeze(-1), y.long(), strict=True):
            outputs, state = rnn(batch_x, state.detach())
            loss = torch.nn.functional.cross_entropy(head(outputs).reshape(-1, 2), batch_y.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return np.array(found)

    return measure(train_epoch, 5)


def _jax(unroll: int) -> Result:
    import jax
    import jax.numpy as jnp

    weights = jax.tree.map(jnp.asarray, initial_weights())
    slots = jax.tree.map(lambda w: jnp.full_like(w, ACCUMULATOR), weights)

    def loss_of(w, state, x, y):  # noqa: ANN001
        def step(h, bits):  # noqa: ANN001
            h = jnp.tanh(bits[:, None] * w["w_x"][0] + h @ w["w_h"] + w["b"])
            return h, h

        state, states = jax.lax.scan(step, state, x, unroll=unroll)
        log_p = jax.nn.log_softmax(states @ w["w_o"] + w["b_o"])
        return -jnp.take_along_axis(log_p, y[..., None], -1).mean(), state

    def train(carry, batch):  # noqa: ANN001
        w, a, state = carry
        (loss, state), g = jax.value_and_grad(loss_of, has_aux=True)(w, state, *batch)
        a = jax.tree.map(lambda a, g: a + g * g, a, g)
        w = jax.tree.map(lambda w, a, g: w - RATE * g * jax.lax.rsqrt(a + 1e-7), w, a, g)
        return (w, a, state), loss

    run = jax.jit(lambda carry, data: jax.lax.scan(train, carry, data))
    kept = [weights, slots]

    def train_epoch(number: int) -> np.ndarray:
        (kept[0], kept[1], _), losses = run((kept[0], kept[1], jnp.zeros((B, H))), epoch(number))
        return np.asarray(losses)

    return measure(train_epoch, 40)


def jax_scan() -> Result:
    """JAX: `jit(lax.scan)` over an epoch's batches, and a scan over the window's steps inside."""
    return _jax(1)


def jax_unrolled() -> Result:
    """The same with the window's steps written out."""
    return _jax(T)


def _ours(seeds: int) -> Result:
    from demos.registry import get

    engine = get("echo").build(EchoConfig(seeds=seeds, epochs=1000))
    engine.prepare()
    carry, rate, times, last = engine.initial(), 1000.0, [], np.zeros(1)
    stop = time.perf_counter() + 4.0
    while time.perf_counter() < stop and carry.step < engine.steps:
        before, started = carry.step, time.perf_counter()
        carry, metrics = engine.run(carry, max(1, int(0.1 * rate)), {})  # as lib.jobs: a chunk of about 100 ms
        seconds = time.perf_counter() - started
        rate = (carry.step - before) / seconds
        times.append((seconds, carry.step - before))
        last = metrics["loss"]
    warm = times[len(times) // 5 :]
    per_step = sum(seconds for seconds, _ in warm) / sum(steps for _, steps in warm)
    return per_step * 1e6, float(np.median(last[-100:].mean(axis=0)))


def ours() -> Result:
    """Ours, one seed: the whole of `Engine.run`, making the data included."""
    return _ours(1)


def ours_64() -> Result:
    """Ours, 64 seeds at once."""
    return _ours(64)


PEERS: dict[str, tuple[str, Callable[[], Result]]] = {
    "tutorial": ("the tutorial's way: TF1, session.run per batch", tutorial),
    "keras": ("Keras train_on_batch", keras),
    "pytorch": ("PyTorch eager", pytorch),
    "jax": ("JAX jit(lax.scan)", jax_scan),
    "jax_unrolled": ("JAX jit(lax.scan), window unrolled", jax_unrolled),
    "ours": ("ours, 1 seed", ours),
    "ours_64": ("ours, 64 seeds at once", ours_64),
}


if __name__ == "__main__":
    try:
        microseconds, loss = PEERS[sys.argv[1]][1]()
        print(json.dumps({"microseconds": microseconds, "loss": loss}))
    except ModuleNotFoundError as missing:
        print(json.dumps({"missing": missing.name}))
