"""The binary rule's task: what is trained, on what, and what is looked at."""

from collections.abc import Hashable
from typing import Any

import numpy as np

from demos.binary_rule.config import BinaryRuleConfig
from demos.binary_rule.data import CONTEXTS, series, strips
from lib.batches import windows
from lib.cells import zero_state
from lib.losses import softmax_cross_entropy
from lib.networks import initial_network, logits_of, stacked
from lib.tf import tf
from lib.training import Arrays, Engine

# A block holds about this many bits: enough for some chunks of training, few enough that a room full of runs keeps its memory.
BITS_PER_BLOCK = 500_000


class BinaryRuleTask:
    """Find the rule that two earlier bits decide a target by (see `lib.training.Task`).

    Metrics: the loss, the accuracy of the likelier answer, and for each context, the rule's two bits in the order of the
    lags, the mean probability that the network gives a 1 in it.
    """

    metrics: tuple[str, ...] = ("loss", "accuracy", *(f"belief_{context}" for context in CONTEXTS))

    def __init__(self, config: BinaryRuleConfig) -> None:
        self.config = config
        self.seeds = config.seeds
        self.steps = config.steps
        self.steps_per_epoch = config.windows_per_epoch
        self.optimizer = config.optimizer
        self._epochs_per_block = max(1, BITS_PER_BLOCK // (config.seeds * config.series_length))
        self.windows_per_block = self._epochs_per_block * config.windows_per_epoch

    @property
    def signature(self) -> Hashable:
        return ("binary_rule", *self.config.shape)

    def initial_params(self) -> Any:
        """Draw one network for each seed (see lib.networks), with weights around zero.

        The tutorial's code draws the weights of bit and state as one matrix, we draw them apart: `python -m benchmarks rule`
        finds medians of 0.3511 and 0.3506 nats for the two ways.
        """
        c = self.config
        seeds = range(c.seed, c.seed + c.seeds)
        return stacked(initial_network(c.cell, c.inputs, c.hidden_units, 2, "glorot", seed) for seed in seeds)

    def initial_state(self) -> Any:
        c = self.config
        return zero_state(c.cell, (c.seeds, c.batch_size, c.hidden_units))

    def block(self, index: int) -> Arrays:
        """Windows of bits: `inputs`, `targets` and `contexts` (0 to 3) uint8 [N, T, S, B], and what `observe` needs.

        `carry` float32 [N] is 0 at each epoch's start, and everywhere when the state is not carried.
        """
        c = self.config
        shape = (self.windows_per_block, c.time_step, c.seeds, c.batch_size)
        block = {name: np.zeros(shape, np.uint8) for name in ("inputs", "targets", "contexts")}
        first = index * self._epochs_per_block
        last = min(first + self._epochs_per_block, c.epochs + 1)  # one more than is trained on, for the last picture
        for epoch in range(first, last):
            place = slice((epoch - first) * self.steps_per_epoch, (epoch - first + 1) * self.steps_per_epoch)
            made = [series(c.series_length, c.lags, seed, epoch) for seed in range(c.seed, c.seed + c.seeds)]
            for name, flat in zip(block, zip(*made, strict=True), strict=True):
                block[name][place] = windows(np.stack(flat), c.batch_size, c.time_step)
        carry = np.full(self.windows_per_block, float(c.carry_state), np.float32)
        carry[:: self.steps_per_epoch] = 0.0
        strip = strips(c.lags, c.time_step, c.seed).inputs.T
        return block | {
            "carry": carry,
            "strip": np.broadcast_to(strip, (self.windows_per_block, *strip.shape)),
            "strip_carry": np.full(self.windows_per_block, float(c.carry_state), np.float32),
        }

    def _logits(self, params: Any, state: Any, inputs: tf.Tensor) -> tuple[Any, tf.Tensor]:
        """(state, logits [T, S, B, 2]) of a window of bits [T, S, B]."""
        if self.config.bit_input == "one-hot":
            read = tf.one_hot(tf.cast(inputs, tf.int32), 2)
        else:
            read = tf.cast(inputs, tf.float32)[..., None]
        state, _, logits = logits_of(self.config.cell, params, state, read, self.config.trained)
        return state, logits

    def loss(
        self, params: Any, state: Any, window: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, Any, dict[str, tf.Tensor]]:
        """Softmax cross-entropy, averaged over steps and rows: [S]."""
        state, logits = self._logits(params, state, window["inputs"])
        labels = tf.cast(window["targets"], tf.int32)
        loss = tf.reduce_mean(softmax_cross_entropy(logits, labels), axis=[0, 2])
        margin = tf.stop_gradient(logits[..., 1] - logits[..., 0])
        right = tf.cast(tf.equal(margin > 0, tf.equal(labels, 1)), tf.float32)
        metrics = {"loss": loss, "accuracy": tf.reduce_mean(right, axis=[0, 2])}
        ones = tf.sigmoid(margin)
        for context, name in enumerate(CONTEXTS):
            where = tf.cast(tf.equal(window["contexts"], context), tf.float32)
            metrics[f"belief_{name}"] = tf.reduce_sum(ones * where, [0, 2]) / tf.reduce_sum(where, [0, 2])
        return loss, state, metrics

    def observe(self, params: Any, state: Any, window: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What the first seed's network says along the strips: `strip_probabilities` of a 1 [L, R]."""
        first = tf.nest.map_structure(lambda leaf: leaf[:1], params)
        return {"strip_probabilities": self._read(first, window["strip"], window["strip_carry"])}

    def _read(self, params: Any, strip: tf.Tensor, carry: tf.Tensor) -> tf.Tensor:
        """The probabilities of a 1 [L, R] along sequences [L, R], window by window from a state of zeros."""
        c, found = self.config, []
        state = tf.nest.map_structure(tf.constant, zero_state(c.cell, (1, strip.shape[1], c.hidden_units)))
        for start in range(0, strip.shape[0], c.time_step):
            state, logits = self._logits(params, state, strip[start : start + c.time_step, None])
            state = tf.nest.map_structure(lambda leaf: leaf * carry, state)
            found.append(tf.nn.softmax(logits)[:, 0, :, 1])
        return tf.concat(found, axis=0)


def build(config: BinaryRuleConfig) -> Engine:
    """The engine that trains this config."""
    return Engine(BinaryRuleTask(config))
