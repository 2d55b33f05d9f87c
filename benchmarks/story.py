"""Iterations per second of the story generator with the tutorial's settings, the tutorial's way and ours, and what they reach.

`python -m benchmarks.story NAME LAYERS` measures one of them in its own process and prints one JSON line. The tutorial's way is
that of Atienza's rnn_words: a TF1 graph with the steps written out, and one `session.run` for each iteration. Whole runs, which
take minutes, come with `STORY_RUNS=1`.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("UNROLLED_DEVICE", "cpu")

from demos.story import data, theory
from demos.story.config import StoryConfig
from lib.settings import parse

ROUNDS, REPEATS, EACH, WARM_UP = (
    3,
    5,
    100,
    30,
)  # processes of each; in one: timed repeats, iterations of each and before them
TARGET = 3.0  # times the tutorial's iterations per second
PRESETS = {1: "tutorial-1", 2: "tutorial-2"}


def main() -> None:
    """Both ways in turn, several times over; then whole runs."""
    print(f"load {os.getloadavg()[0]:.1f} before")
    found: dict[tuple[str, int], list[float]] = {(way, layers): [] for layers in PRESETS for way in WAYS}
    for _ in range(ROUNDS):
        for (way, layers), rates in found.items():
            rates.append(_one(way, layers)["rate"])
    for layers in PRESETS:
        rates = {way: statistics.median(found[way, layers]) for way in WAYS}
        ratio = rates["ours"] / rates["tutorial"]
        said = ", ".join(f"{way} {rate:,.0f}" for way, rate in rates.items())
        print(f"{layers} × 512 units, iterations per second: {said}; {ratio:.1f} times (target {TARGET:g})")
    better = _one("better", 1)
    reached = f"{better['accuracy']:.1%} of the words known, of {better['ceiling']:.1%}"
    print(f"better: {reached}, in {better['seconds']:.1f} s (target 20)")
    for layers in PRESETS if os.environ.get("STORY_RUNS") else ():
        run = _one("run", layers)
        print(
            f"{layers} layer{'s' * (layers > 1)}, 50,000 iterations: {run['last']:.1%} right over the last 1,000, at most "
            f"{run['best']:.1%} (published {theory.PUBLISHED[layers]:.1%}), in {run['seconds']:.0f} s"
        )


def _one(way: str, layers: int) -> dict[str, float]:
    """One measurement, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.story", way, str(layers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise SystemExit(f"{way} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(lines[-1])
    return found


def _measured(train: Callable[[int], None]) -> dict[str, float]:
    """Iterations per second, the median of some repeats."""
    train(WARM_UP)
    rates = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        train(EACH)
        rates.append(EACH / (time.perf_counter() - started))
    return {"rate": statistics.median(rates)}


def _config(layers: int) -> StoryConfig:
    return parse(StoryConfig, {"model": PRESETS[layers], "story": "bell"})


def tutorial(layers: int) -> dict[str, float]:
    """The tutorial's way, with `BasicLSTMCell` and `static_rnn`, which TensorFlow no longer has, written out."""
    import tensorflow.compat.v1 as tf

    tf.disable_eager_execution()
    config, story = _config(layers), data.story("bell", "")
    n, size, units = config.n_input, len(story.words), config.hidden_units
    x, y = tf.placeholder(tf.float32, [None, n, 1]), tf.placeholder(tf.float32, [None, size])
    outputs = tf.split(tf.reshape(x, [-1, n]), n, 1)
    for layer in range(layers):
        outputs = _basic_lstm(tf, outputs, units if layer else 1, units, tf.shape(x)[0])
    weights, biases = tf.Variable(tf.random_normal([units, size])), tf.Variable(tf.random_normal([size]))
    pred = tf.matmul(outputs[-1], weights) + biases
    cost = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(logits=pred, labels=y))
    optimizer = tf.train.RMSPropOptimizer(learning_rate=config.learning_rate).minimize(cost)
    accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(pred, 1), tf.argmax(y, 1)), tf.float32))
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    places = iter(data.visits(len(story.numbers), n, config.seed, config.iterations).tolist())

    def train(steps: int) -> None:
        for _ in range(steps):
            place = next(places)
            keys = np.reshape(np.array([[number] for number in story.numbers[place : place + n]], float), [-1, n, 1])
            one_hot = np.zeros([size], dtype=float)
            one_hot[story.numbers[place + n]] = 1.0
            session.run([optimizer, accuracy, cost, pred], feed_dict={x: keys, y: np.reshape(one_hot, [1, -1])})

    return _measured(train)


def _basic_lstm(tf: Any, inputs: list[Any], width: int, units: int, rows: Any) -> list[Any]:
    limit = np.sqrt(6 / (width + units + 4 * units))
    kernel = tf.Variable(tf.random_uniform([width + units, 4 * units], -limit, limit))
    bias, outputs = tf.Variable(tf.zeros([4 * units])), []
    h = c = tf.zeros([rows, units])
    for each in inputs:
        i, j, f, o = tf.split(tf.matmul(tf.concat([each, h], 1), kernel) + bias, 4, 1)
        c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
        h = tf.tanh(c) * tf.sigmoid(o)
        outputs.append(h)
    return outputs


def _engine(config: StoryConfig) -> Any:
    from demos.registry import get

    return get("story").build(config)


def ours(layers: int) -> dict[str, float]:
    """The whole of `Engine.run`, in chunks of 50 iterations."""
    engine = _engine(_config(layers))
    carry = engine.initial()

    def train(steps: int) -> None:
        nonlocal carry
        end = carry.step + steps
        while carry.step < end:
            carry, _ = engine.run(carry, min(50, end - carry.step))

    return _measured(train)


def run(layers: int) -> dict[str, float]:
    """A whole run: the accuracy over the last 1,000 iterations at its end, and the most that it was."""
    engine = _engine(_config(layers))
    carry, found, started = engine.initial(), [], time.perf_counter()
    while carry.step < engine.steps:
        carry, metrics = engine.run(carry, 200)
        found.append(metrics["accuracy"][:, 0])
    accuracy = np.concatenate(found)
    seconds = time.perf_counter() - started
    return {"last": float(accuracy[-1]), "best": float(accuracy[1_000:].max()), "seconds": seconds}


def better(layers: int) -> dict[str, float]:
    """The preset “Better”, compiling included: the share of the story's words that it knows at the end."""
    config, started = StoryConfig(story="bell"), time.perf_counter()
    engine = _engine(config)
    carry = engine.initial()
    while carry.step < engine.steps:
        carry, _ = engine.run(carry, 500)
    seconds = time.perf_counter() - started
    known = engine.observe(carry)["guess"] == data.story("bell", "").contexts(config.n_input)[1]
    return {"accuracy": float(known.mean()), "ceiling": theory.of(config).accuracy, "seconds": seconds}


WAYS = {"tutorial": tutorial, "ours": ours}
ALL = WAYS | {"run": run, "better": better}

if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(ALL[sys.argv[1]](int(sys.argv[2]))))
    else:
        main()
