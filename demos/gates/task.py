"""The gates demo's task: one recurrent network for six kinds of sequences."""

from collections.abc import Hashable
from typing import Any

import numpy as np

from demos.gates.config import ALONE, GatesConfig
from demos.gates.data import block, language, windows_per_block
from lib.cells import zero_state
from lib.gating import KEEPS
from lib.losses import sigmoid_cross_entropy, softmax_cross_entropy
from lib.networks import initial_network, logits_of, stacked
from lib.tf import tf
from lib.trace import BLOCKS
from lib.training import Arrays, Engine


class GatesTask:
    """Answer at every place of a sequence where an answer is asked for (see `lib.training.Task`)."""

    metrics: tuple[str, ...] = ("loss", "accuracy")

    def __init__(self, config: GatesConfig) -> None:
        self.config = config
        self.language = language(config)
        self.seeds = config.seeds
        self.steps = config.steps
        self.windows_per_block = windows_per_block(config)
        self.steps_per_epoch = config.steps if config.task in ALONE else self.windows_per_block
        self.optimizer = config.optimizer

    @property
    def signature(self) -> Hashable:
        c, spoken = self.config, self.language
        read = len(spoken.tokens), spoken.inputs, spoken.encoding is not None
        asked = len(spoken.answers), spoken.independent
        return ("gates", c.cell, c.hidden_units, c.window, c.batch_size, c.trained, *read, *asked)

    def initial_params(self) -> Any:
        """One network for each seed (see lib.networks), the gate that keeps the memory with a bias of its own."""
        return stacked(self._network(seed) for seed in range(self.config.seed, self.config.seed + self.seeds))

    def _network(self, seed: int) -> Any:
        c, spoken = self.config, self.language
        network = initial_network(c.cell, spoken.inputs, c.hidden_units, len(spoken.answers), "glorot", seed)
        if keeps := KEEPS[c.cell]:
            first = BLOCKS[c.cell].index(keeps) * c.hidden_units
            network["cell"]["bias"][first : first + c.hidden_units] = c.keep_bias
        return network

    def initial_state(self) -> Any:
        c = self.config
        return zero_state(c.cell, (c.seeds, c.batch_size, c.hidden_units))

    def block(self, index: int) -> Arrays:
        """Windows of tokens: `inputs`, `targets` and `scored` uint8 [N, T, S, B], `carry` float32 [N]."""
        made = [block(self.config, seed, index) for seed in range(self.config.seed, self.config.seed + self.seeds)]
        parts = {
            name: np.stack([getattr(one, name) for one in made], axis=2) for name in ("inputs", "targets", "scored")
        }
        return {name: part.astype(np.uint8) for name, part in parts.items()} | {"carry": made[0].carry}

    def loss(
        self, params: Any, state: Any, window: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, Any, dict[str, tf.Tensor]]:
        """Cross-entropy, averaged over where an answer is asked for: [S]. Of independent answers it is each one's mean."""
        state, _, logits = logits_of(self.config.cell, params, state, self._read(window["inputs"]), self.config.trained)
        losses, right = (self._of_each if self.language.independent else self._of_one)(logits, window["targets"])
        asked = tf.cast(window["scored"], tf.float32)
        count = tf.maximum(tf.reduce_sum(asked, [0, 2]), 1.0)
        loss = tf.reduce_sum(losses * asked, [0, 2]) / count
        return loss, state, {"loss": loss, "accuracy": tf.reduce_sum(right * asked, [0, 2]) / count}

    def _read(self, tokens: tf.Tensor) -> tf.Tensor:
        """What the network reads for tokens uint8 [T, S, B]: [T, S, B, I]."""
        places = tf.one_hot(tf.cast(tokens, tf.int32), len(self.language.tokens))
        return places if self.language.encoding is None else tf.tensordot(places, self.language.encoding, 1)

    def _of_one(self, logits: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Losses and whether the likeliest answer is right, [T, S, B], where one answer is right."""
        labels = tf.cast(targets, tf.int32)
        right = tf.equal(tf.argmax(logits, -1, output_type=tf.int32), labels)
        return softmax_cross_entropy(logits, labels), tf.cast(right, tf.float32)

    def _of_each(self, logits: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The same where each answer is right or wrong by itself, and all must be said rightly."""
        bits = tf.bitwise.right_shift(tf.cast(targets, tf.int32)[..., None], tf.range(len(self.language.answers)))
        labels = tf.cast(bits % 2, tf.float32)
        right = tf.reduce_all(tf.equal(logits > 0, labels > 0), axis=-1)
        return tf.reduce_mean(sigmoid_cross_entropy(logits, labels), axis=-1), tf.cast(right, tf.float32)

    def observe(self, params: Any, state: Any, window: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Nothing: the pictures are made of the weights (see lib.inside)."""
        return {}


def build(config: GatesConfig) -> Engine:
    """The engine that trains this config."""
    return Engine(GatesTask(config))
