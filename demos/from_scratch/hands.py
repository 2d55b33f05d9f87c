"""The same model in TensorFlow's hands: eager, as a graph of one sentence, and compiled by XLA for many sentences at once.

The gradient is TensorFlow's own. It must be cut as the tutorial cuts it, each guess's error `truncate` steps before the guess:
so each guess is computed anew from the state `truncate` + 1 steps before it, which counts as given. All guesses of a sentence
do that side by side.

Shapes: T words, padded ones included, H hidden units, C words in the vocabulary.
"""

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np

from demos.from_scratch.data import padded
from demos.from_scratch.engine import Pairs
from demos.from_scratch.model import Parameters
from lib.device import choose
from lib.prepared import aligned
from lib.scopes import part
from lib.tf import tf
from lib.training import CHUNKS, Arrays, Carry

BLOCK = 512  # sentences


def states_of(p: Parameters, drives: tf.Tensor) -> tf.Tensor:
    """The states [T, H] from U x_t [T, H], in a graph or eagerly."""

    def step(state: tf.Tensor, drive: tf.Tensor) -> tf.Tensor:
        return tf.tanh(drive + tf.linalg.matvec(p.W, state))

    if not tf.executing_eagerly():
        return tf.scan(step, drives, tf.zeros_like(p.W[0]))
    states = [tf.zeros_like(p.W[0])]
    for drive in tf.unstack(drives):
        states.append(step(states[-1], drive))
    return tf.stack(states[1:])


def truncated_states(p: Parameters, x: tf.Tensor, truncate: int) -> tf.Tensor:
    """The states [T, H]. A gradient goes from each to the `truncate` states before it, and no further."""
    drives = tf.transpose(tf.gather(p.U, x, axis=1))
    places = tf.range(tf.shape(x)[0])[:, None]

    def earlier(rows: tf.Tensor, steps: int) -> tf.Tensor:
        """Row t becomes that of t - steps, zeros where there is none."""
        return tf.pad(rows, [[steps, 0], [0, 0]])[: tf.shape(rows)[0]]

    state = earlier(tf.stop_gradient(states_of(p, drives)), truncate + 1)
    for lag in range(truncate, -1, -1):
        after = tf.tanh(earlier(drives, lag) + tf.matmul(state, p.W, transpose_b=True))
        state = tf.where(places >= lag, after, 0.0)
    return state


def sentence_loss(p: Parameters, x: tf.Tensor, y: tf.Tensor, scored: tf.Tensor, truncate: int) -> tf.Tensor:
    """The summed cross-entropy of a sentence, in nats. `scored` [T] is 1 at real words, 0 at padded ones."""
    with part("cell"):
        states = truncated_states(p, x, truncate)
    with part("output"):
        scores = tf.matmul(states, p.V, transpose_b=True)
    with part("loss"):
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(y, scores)
        return tf.reduce_sum(nats * scored)


def gradient(p: Parameters, x: Any, y: Any, truncate: int) -> tuple[Parameters, tf.Tensor]:
    """The gradient of a sentence's loss, and the loss."""
    with tf.GradientTape() as tape:
        tape.watch(p)
        loss = sentence_loss(p, x, y, tf.ones_like(y, p.W.dtype), truncate)
    return Parameters(*tape.gradient(loss, list(p))), loss


class StepHand:
    """One call for each sentence: step by step from Python, or as a `graph` that was traced once for sentences of any length."""

    def __init__(self, pairs: Pairs, truncate: int, like: Parameters, *, graph: bool) -> None:
        self._pairs, self._like = pairs, like
        self._truncate = min(truncate, max(len(x) for x, _ in pairs) - 1)
        self._step = self._learn
        if graph:
            weights = Parameters(*(tf.TensorSpec(array.shape, tf.float32) for array in like))
            words, number = tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.float32)
            signature = [weights, words, words, number]
            self._step = tf.function(self._learn, input_signature=signature, autograph=False)
        self.device = f"{choose(None).label}, TensorFlow {'graph' if graph else 'eager'}"

    def prepare(self) -> None:
        """Read a sentence: then a graph is traced."""
        self.learn(self._like, 0, 1, 0.0)

    def _learn(self, p: Parameters, x: tf.Tensor, y: tf.Tensor, rate: tf.Tensor) -> tuple[Parameters, tf.Tensor]:
        slopes, loss = gradient(p, x, y, self._truncate)
        return Parameters(*(weights - rate * slope for weights, slope in zip(p, slopes, strict=True))), loss

    def learn(self, p: Parameters, first: int, count: int, rate: float) -> tuple[Parameters, np.ndarray]:
        """See `demos.from_scratch.engine.Hand`."""
        tensors: Any = Parameters(*map(tf.constant, p))
        step_size, losses = tf.constant(rate, tf.float32), []
        for x, y in self._pairs[first : first + count]:
            tensors, loss = self._step(tensors, tf.constant(x), tf.constant(y), step_size)
            losses.append(loss)
        return Parameters(*(weights.numpy() for weights in tensors)), np.array([float(loss) for loss in losses])


class NoState(NamedTuple):
    """Each sentence begins with a state of zeros, so nothing is carried from one to the next; but a chunk wants an array."""

    nothing: np.ndarray


class ChunkTask:
    """The sentences as lib.training takes them: a window is a sentence, padded to the longest (see lib.training.Task).

    A block has BLOCK of them at most, however many there are: it is handed over whole at each call.
    """

    metrics: tuple[str, ...] = ("loss",)
    optimizer, seeds = "sgd", 1

    def __init__(self, pairs: Pairs, truncate: int, like: Parameters) -> None:
        self.config = None
        self._pairs, self._like = pairs, like
        self._length = max(len(x) for x, _ in pairs)
        self._truncate = min(truncate, self._length - 1)
        self.steps = self.steps_per_epoch = len(pairs)
        self.windows_per_block = min(BLOCK, len(pairs))

    @property
    def signature(self) -> Hashable:
        """What the compiled code depends on, besides the count of sentences."""
        return ("from-scratch", self._length, self._truncate, *(weights.shape for weights in self._like))

    def initial_params(self) -> dict[str, np.ndarray]:
        """The parameters with a seed axis of one."""
        return {name: weights[None] for name, weights in self._like._asdict().items()}

    def initial_state(self) -> NoState:
        """Nothing."""
        return NoState(np.zeros(1, np.float32))

    def block(self, index: int) -> Arrays:
        """Sentences as `demos.from_scratch.data.padded` has them, [N, T] each, and `carry` [N], all 0."""
        count = self.windows_per_block
        found = padded(self._pairs[index * count : (index + 1) * count], count, self._length)
        return found | {"carry": np.zeros(count, np.float32)}

    def loss(
        self, params: Any, state: Any, window: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, Any, dict[str, tf.Tensor]]:
        """The loss of one sentence, [1]."""
        p = Parameters(*(params[name][0] for name in Parameters._fields))
        loss = sentence_loss(p, window["x"], window["y"], window["scored"], self._truncate)[None]
        return loss, state, {"loss": loss}

    def observe(self, params: Any, state: Any, window: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Nothing: the pictures are computed in NumPy."""
        return {"x": window["x"]}


class ChunkHand:
    """Many sentences in one call of what XLA compiled (lib.training)."""

    def __init__(self, pairs: Pairs, truncate: int, like: Parameters) -> None:
        self._task, self._device = ChunkTask(pairs, truncate, like), choose(None)
        self._block: tuple[int, Arrays] | None = None
        self.device = f"{self._device.label}, TensorFlow XLA"

    def prepare(self) -> None:
        """Compile, or take from the cache."""
        self._chunk = CHUNKS.get(self._task, self._device)

    def learn(self, p: Parameters, first: int, count: int, rate: float) -> tuple[Parameters, np.ndarray]:
        """See `demos.from_scratch.engine.Hand`."""
        tree = {name: weights[None] for name, weights in p._asdict().items()}
        carry, losses = Carry(0, tree, {}, self._task.initial_state()), np.zeros(0, np.float32)
        live, size = {"learning_rate": rate, "clip_norm": 0.0}, self._task.windows_per_block
        while len(losses) < count:
            index, place = divmod(first + len(losses), size)
            some = min(count - len(losses), size - place)
            carry, metrics = self._chunk.train(carry, self._block_at(index), place, some, live)
            losses = np.concatenate([losses, metrics["loss"][:, 0]])
        return Parameters(*(carry.params[name][0] for name in Parameters._fields)), losses

    def _block_at(self, index: int) -> Arrays:
        if self._block is None or self._block[0] != index:
            self._block = index, {name: aligned(array) for name, array in self._task.block(index).items()}
        return self._block[1]
