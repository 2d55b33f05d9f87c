"""How often the story generator is right, the tutorial's way and ours: whole runs of 50,000 iterations, several seeds of each.

The tutorial is Atienza's "LSTM by example using TensorFlow" (rnn_words, 2017) with one layer. `tutorial` is written from its
description alone, with TensorFlow's plain operations and TF1's own optimizer: nothing of `lib` or `demos` is in it but the
fable, which has about as many words as the tutorial's text. Ours is the preset "Tutorial, one layer"; two more rows say what
its numbering and its optimizer are worth.
"""

import os
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("UNROLLED_DEVICE", "cpu")

import numpy as np

TEXT = Path(__file__).resolve().parent.parent / "demos" / "story" / "fables" / "bell.txt"
SEEDS = (0, 1, 2)
ITERATIONS, COUNTED = 50_000, 10_000  # the accuracy is of the last ones
N_INPUT, UNITS, LEARNING_RATE = 3, 512, 0.001
WITHIN = 0.02  # the target: how far apart the two medians may be


def main() -> None:
    """Train all of them and compare the medians."""
    numbers = numbered(re.findall(r"[a-z]+|[^\sa-z]", TEXT.read_text(encoding="utf-8").lower()))
    size = f"{len(numbers)} words, {max(numbers) + 1} different ones"
    print(
        f"{TEXT.name}: {size}; accuracy of the last {COUNTED:,} of {ITERATIONS:,} iterations, seeds {SEEDS}", flush=True
    )
    theirs = _row("the tutorial's description", partial(tutorial, numbers))
    mine = _row("ours, the preset", ours)
    print(f"medians {abs(mine - theirs):.4f} apart (target {WITHIN:g})", flush=True)
    _row("ours, words of equal count numbered alphabetically", partial(ours, numbering="alphabetical"))
    _row("ours, Keras's RMSProp", partial(ours, optimizer="rmsprop"))


def _row(name: str, run: Callable[[int], float]) -> float:
    """The accuracies of all seeds, each trained in a process of its own, printed; their median."""
    started = time.perf_counter()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        found = list(pool.map(run, SEEDS))
    median = statistics.median(found)
    said = " ".join(f"{accuracy:.4f}" for accuracy in found)
    print(f"{name}: {said}, median {median:.4f} ({time.perf_counter() - started:.0f} s)", flush=True)
    return median


def numbered(words: list[str]) -> list[int]:
    """The tutorial's dictionary: `most_common` leaves words of equal count in the order in which they first occur."""
    place = {word: number for number, (word, _count) in enumerate(Counter(words).most_common())}
    return [place[word] for word in words]


def places(words: int, seed: int) -> np.ndarray:
    """Where each iteration's context begins, int32 [ITERATIONS]: n_input + 1 further on, and from a random start at the end."""
    draw, end = random.Random(seed), N_INPUT + 1
    offset, found = draw.randint(0, N_INPUT + 1), []
    for _ in range(ITERATIONS):
        if offset > words - end:
            offset = draw.randint(0, N_INPUT + 1)
        found.append(offset)
        offset += N_INPUT + 1
    return np.array(found, np.int32)


def tutorial(numbers: list[int], seed: int) -> float:
    """The accuracy of one run: BasicLSTMCell written out, on the words' numbers as floats, with TF1's RMSProp, batch 1."""
    import tensorflow as tf

    rng, size = np.random.default_rng(seed), max(numbers) + 1
    limit = (6 / (1 + UNITS + 4 * UNITS)) ** 0.5  # Glorot & Bengio's uniform start, TF1's for a variable without one
    starts = (
        rng.uniform(-limit, limit, (1 + UNITS, 4 * UNITS)),
        np.zeros(4 * UNITS),
        rng.standard_normal((UNITS, size)),
        rng.standard_normal(size),
    )
    variables = [tf.Variable(start.astype(np.float32)) for start in starts]
    optimizer = tf.compat.v1.train.RMSPropOptimizer(LEARNING_RATE)
    text = tf.constant(numbers, tf.int32)

    def logits(words: Any) -> Any:
        kernel, bias, weights, biases = variables
        h = c = tf.zeros([1, UNITS])
        for word in tf.unstack(tf.cast(words, tf.float32)):
            i, j, f, o = tf.split(tf.concat([tf.reshape(word, [1, 1]), h], 1) @ kernel + bias, 4, 1)
            c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
            h = tf.tanh(c) * tf.sigmoid(o)
        return h @ weights + biases

    @tf.function(jit_compile=True)
    def train(offsets: Any) -> Any:
        right = tf.zeros(tf.shape(offsets))
        for step in tf.range(tf.size(offsets)):
            words = tf.gather(text, offsets[step] + tf.range(N_INPUT + 1))
            with tf.GradientTape() as tape:
                said = logits(words[:N_INPUT])
                loss = tf.nn.softmax_cross_entropy_with_logits(tf.one_hot(words[N_INPUT:], size), said)
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            hit = tf.cast(tf.argmax(said[0], output_type=tf.int32) == words[N_INPUT], tf.float32)
            right = tf.tensor_scatter_nd_update(right, [[step]], [hit])
        return right

    right = [train(part).numpy() for part in np.split(places(len(numbers), seed), ITERATIONS // 1_000)]
    return float(np.concatenate(right)[-COUNTED:].mean())


def ours(seed: int, **changes: Any) -> float:
    """The same of our engine: its accuracy is the mean over the last 1,000 iterations."""
    from demos.registry import get
    from demos.story.config import StoryConfig
    from lib.settings import parse

    engine = get("story").build(parse(StoryConfig, {"model": "tutorial-1", "story": "bell", "seed": seed} | changes))
    carry, found = engine.initial(), []
    while carry.step < ITERATIONS:
        carry, metrics = engine.run(carry, 1_000)
        found.append(metrics["accuracy"][:, 0])
    return float(np.concatenate(found)[999::1_000][-COUNTED // 1_000 :].mean())


if __name__ == "__main__":
    main()
