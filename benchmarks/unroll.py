"""Where the two ways to unroll a window in `lib.cells` cross: seconds to compile and µs per training step of each."""

import time
from functools import partial
from typing import Any

import numpy as np

from lib import cells, ways
from lib.tf import tf

# Cell, then T steps, S seeds, B rows, I inputs, H units.
SHAPES = (
    ("rnn", 15, 1, 5, 1, 4),
    ("rnn", 15, 64, 5, 1, 4),
    ("rnn", 50, 1, 5, 1, 16),
    ("rnn", 35, 1, 32, 9, 16),
    ("lstm", 15, 1, 5, 1, 4),
    ("lstm", 15, 1, 5, 1, 8),
    ("lstm", 50, 1, 5, 1, 4),
    ("lstm", 35, 1, 32, 9, 16),
    ("lstm", 50, 1, 32, 50, 64),
    ("lstm", 20, 1, 20, 200, 200),
    ("gru", 15, 1, 5, 1, 4),
    ("gru", 35, 1, 32, 9, 16),
)


def main() -> None:
    """Measure every shape both ways. A star marks the way that `unroll` takes."""
    print(f"{'cell':5}{'T':>4}{'S':>4}{'B':>5}{'I':>5}{'H':>5}   written out: s, µs        loop: s, µs")
    for cell, *shape in SHAPES:
        columns = cells.CELLS[cell].gates * shape[-1]
        written = ways.written_out(shape[0], columns)
        out, loop = (_measured(way, cell, *shape) for way in (cells.unroll_written_out, cells.unroll_in_a_loop))
        numbers = "".join(f"{number:{width}}" for number, width in zip(shape, (4, 4, 5, 5, 5), strict=True))
        print(
            f"{cell:5}{numbers} {out[0]:12.1f}{out[1]:9.0f}{'*' if written else ' '}"
            f"{loop[0]:12.1f}{loop[1]:9.0f}{' ' if written else '*'}",
            flush=True,
        )


def _measured(way: Any, cell: str, T: int, S: int, B: int, I: int, H: int) -> tuple[float, float]:  # noqa: E741, N803
    draw, width = np.random.default_rng(0), cells.CELLS[cell].gates * H
    start = {
        "input_weights": tf.constant(draw.normal(0, 0.2, (S, I, width)), tf.float32),
        "recurrent_weights": tf.constant(draw.normal(0, 0.2, (S, H, width)), tf.float32),
        "bias": tf.zeros((S, width)),
    }
    inputs = tf.constant(draw.normal(size=(T, S, B, I)), tf.float32)
    state = tf.nest.map_structure(tf.constant, cells.zero_state(cell, (S, B, H)))
    steps = max(3, int(2e4 / (T * max(1, S * B * H * (H + I) / 1e4))))

    def step(i: tf.Tensor, params: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(params)
            _, outputs = way(cell, params, state, inputs)
            loss = tf.reduce_mean(outputs**2)
        return i + 1, tf.nest.map_structure(lambda p, g: p - 1e-3 * g, params, tape.gradient(loss, params))

    loop = partial(tf.while_loop, lambda i, _: i < steps, step, (tf.constant(0), start))
    train = tf.function(lambda: loop()[1]["bias"], jit_compile=True, autograph=False)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        train().numpy()
        times.append(time.perf_counter() - started)
    return times[0] - min(times), 1e6 * min(times) / steps
