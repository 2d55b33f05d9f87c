"""The echo task: what is trained, on what, and what is looked at."""

from collections.abc import Hashable
from typing import Any

import numpy as np

from demos.echo.config import EchoConfig
from demos.echo.data import series
from demos.echo.theory import used_positions
from lib.batches import windows
from lib.cells import zero_state
from lib.losses import softmax_cross_entropy
from lib.networks import initial_network, logits_of, stacked
from lib.tf import tf
from lib.training import Arrays, Engine, nth

# A block holds about this many bits: enough for some chunks of training, few enough that a room full of runs keeps its memory.
BITS_PER_BLOCK = 500_000


class EchoTask:
    """Repeat the input `echo_step` steps later (see `lib.training.Task`)."""

    metrics: tuple[str, ...] = ("loss",)
    shows_carried_state = True

    def __init__(self, config: EchoConfig) -> None:
        self.config = config
        self.seeds = config.seeds
        self.steps = config.steps
        self.steps_per_epoch = config.windows_per_epoch
        self.optimizer = config.optimizer
        self._epochs_per_block = max(1, BITS_PER_BLOCK // (config.seeds * config.series_length))
        self.windows_per_block = self._epochs_per_block * config.windows_per_epoch

    @property
    def signature(self) -> Hashable:
        return ("echo", *self.config.shape)

    def initial_params(self) -> Any:
        """One network for each seed (see lib.networks)."""
        c = self.config
        seeds = range(c.seed, c.seed + c.seeds)
        return stacked(initial_network(c.cell, 1, c.state_size, 2, c.initial_weights, seed) for seed in seeds)

    def initial_state(self) -> Any:
        c = self.config
        return zero_state(c.cell, (c.seeds, c.batch_size, c.state_size))

    def block(self, index: int) -> Arrays:
        """Windows of bits: `inputs` and `targets` uint8 [N, T, S, B], `carry` float32 [N], 0 at each epoch's start.

        Where windows overlap, these would hold each bit several times: then the bits are there once, [steps, S, B] (see `cut`).
        """
        c, used = self.config, used_positions(self.config)
        shape = (self._epochs_per_block * used, c.seeds, c.batch_size)
        block: Arrays = {name: np.zeros(shape, np.uint8) for name in ("inputs", "targets")}
        first = index * self._epochs_per_block
        last = min(first + self._epochs_per_block, c.epochs + 1)  # one more than is trained on, for the last picture
        for epoch in range(first, last):
            place = slice((epoch - first) * used, (epoch - first + 1) * used)
            pairs = [series(c.series_length, c.echo_step, seed, epoch) for seed in range(c.seed, c.seed + c.seeds)]
            for name, flat in zip(("inputs", "targets"), zip(*pairs, strict=True), strict=True):
                block[name][place] = windows(np.stack(flat), c.batch_size, 1)[:used, 0]
        if not c.overlap:
            window = (self.windows_per_block, c.truncated_backprop_length)
            block = {name: bits.reshape(*window, c.seeds, c.batch_size) for name, bits in block.items()}
        carry = np.ones(self.windows_per_block, np.float32)
        carry[:: self.steps_per_epoch] = 0.0
        return block | {"carry": carry}

    def cut(self, data: dict[str, tf.Tensor], index: tf.Tensor) -> dict[str, tf.Tensor]:
        """Take window `index` out of a block."""
        c = self.config
        if not c.overlap:
            return nth(data, index)
        first = index // self.steps_per_epoch * used_positions(c) + index % self.steps_per_epoch * c.advance
        steps = first + tf.range(c.truncated_backprop_length)  # gathered: XLA compiles a slice anew for each place
        bits = {name: tf.gather(data[name], steps) for name in ("inputs", "targets")}
        return bits | {"carry": tf.gather(data["carry"], index)}

    def _logits(self, params: Any, state: Any, inputs: tf.Tensor) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """(state, hidden states [T, S, B, H], logits [T, S, B, 2]) of a window of bits [T, S, B].

        The state is the one that the next window begins with: where that overlaps this one, it has read only what lies before it.
        """
        c, bits = self.config, tf.cast(inputs, tf.float32)[..., None]
        if not c.overlap:
            return logits_of(c.cell, params, state, bits, c.trained)
        before, *read = logits_of(c.cell, params, state, bits[: c.advance], c.trained)
        _, *rest = logits_of(c.cell, params, before, bits[c.advance :], c.trained)
        hidden_states, logits = (tf.concat(pair, 0) for pair in zip(read, rest, strict=True))
        return before, hidden_states, logits

    def loss(
        self, params: Any, state: Any, window: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, Any, dict[str, tf.Tensor]]:
        """Softmax cross-entropy, averaged over the scored steps, the last `advance` ones, and over rows: [S].

        So every target is scored once, and its error goes back at least T - `advance` steps: as BPTT(h; h') with h = T and
        h' = `advance`, but that the steps which windows share are read anew. Williams & Peng, "An efficient gradient-based
        algorithm for on-line training of recurrent network trajectories" (1990).
        """
        state, _, logits = self._logits(params, state, window["inputs"])
        losses = softmax_cross_entropy(logits, tf.cast(window["targets"], tf.int32))
        loss = tf.reduce_mean(losses[self.config.overlap :], axis=[0, 2])
        return loss, state, {"loss": loss}

    def observe(self, params: Any, state: Any, window: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The first seed's window: `inputs`, `targets`, `probabilities` of a 1 [T, B] and `hidden_state` [T, B, H]."""
        _, hidden_states, logits = self._logits(params, state, window["inputs"])
        return {
            "inputs": window["inputs"][:, 0],
            "targets": window["targets"][:, 0],
            "probabilities": tf.nn.softmax(logits)[:, 0, :, 1],
            "hidden_state": hidden_states[:, 0],
        }


def build(config: EchoConfig) -> Engine:
    """The engine that trains this config."""
    return Engine(EchoTask(config))
