"""How far the norm that TensorFlow 1 clips by is from ours, in the first steps of the published small model.

ptb_word_lm clips by `tf.clip_by_global_norm`, which takes the embedding's gradient as the rows that a window has read: a word
that comes twice counts as two rows. Ours counts their sum, the gradient itself (lib.optimizers). It needs the Penn Treebank.
"""

from typing import Any

import numpy as np

from demos.ptb.config import PTBConfig
from demos.ptb.task import PTBTask
from lib.cells import zero_state
from lib.optimizers import clip_by_global_norm, update
from lib.settings import parse
from lib.tf import tf

STEPS, PARTS = 250, (10, 100, 250)
CONFIG: PTBConfig = parse(PTBConfig, {"model": "small", "corpus": "ptb"})


def main() -> None:
    """Train, and compare both norms of the same gradients at every step."""
    task = PTBTask(CONFIG)
    windows, params = task.block(0), task.initial_params()
    states = [zero_state("lstm", (1, CONFIG.batch_size, units)) for units in CONFIG.units]
    step, norms = tf.function(_step), []
    for number in range(STEPS):
        window = {name: tf.constant(array[number]) for name, array in windows.items()}
        params, states, ours, theirs = step(task, params, states, window)
        norms.append((float(ours), float(theirs)))
    ours, theirs = np.array(norms).T
    apart = np.abs(theirs / ours - 1)
    for first, end in zip((0, *PARTS), PARTS, strict=False):
        here = slice(first, end)
        clipped = apart[here][ours[here] > CONFIG.clip_norm].max(initial=0)
        print(
            f"steps {first + 1} to {end}: apart by {np.median(apart[here]):.2%} (median), {apart[here].max():.3%} (most), "
            f"{clipped:.3%} (most where the gradient was clipped)"
        )


def _step(task: PTBTask, params: Any, states: Any, window: dict[str, tf.Tensor]) -> tuple[Any, ...]:
    """One step of our training: parameters and states after it, and the two norms of its gradient."""
    params = tf.nest.map_structure(tf.convert_to_tensor, params)
    with tf.GradientTape() as tape:
        tape.watch(params)
        loss, (states, _), _ = task.loss(params, (states, tf.zeros([1, 2])), window)
    gradients = tape.gradient(loss, params)
    clipped, ours = clip_by_global_norm(gradients, tf.constant(CONFIG.clip_norm))
    params, _ = update("sgd", params, {}, clipped, tf.constant(CONFIG.learning_rate), tf.constant(1))
    return params, states, ours[0], tf.linalg.global_norm(tf.nest.flatten(gradients))


if __name__ == "__main__":
    main()
