"""The story generator's task: a few words in, the next word out."""

from collections.abc import Hashable
from functools import cached_property
from typing import Any

import numpy as np

from demos.story import data, reading
from demos.story.config import StoryConfig
from lib import short_lstm
from lib.evaluation import Evaluations, HeldOut, Kept
from lib.history import kept_steps
from lib.initializers import glorot
from lib.losses import softmax_cross_entropy
from lib.networks import NO_EPOCH
from lib.scopes import part
from lib.tf import tf
from lib.training import Arrays, Engine
from lib.word_model import flat

MOST_WINDOWS = 2_000  # of a block
AVERAGED = 1_000  # iterations that the accuracy is a mean of
LISTED = 5  # of the likeliest words
MEASURED_ROWS = 64
NOTES = 12  # of the diary


class StoryTask:
    """Read `n_input` words from a state of zeros and say the next one (see `lib.training.Task`)."""

    metrics: tuple[str, ...] = ("loss", "accuracy")
    seeds, alone = 1, True

    def __init__(self, config: StoryConfig) -> None:
        self.config = config
        self.story = config.numbered
        self.steps = self.steps_per_epoch = config.steps
        self.windows_per_block = min(MOST_WINDOWS, self.steps)
        self.optimizer = config.optimizer
        self.clips = config.clip_norm > 0
        self._noted = set(kept_steps(self.steps, NOTES)) - {0}
        self.evaluations = Evaluations(self._evaluated_at, self._held_out, self._measure, self.signature, self._keep)

    @property
    def signature(self) -> Hashable:
        return ("story", *self.config.shape, self.clips)

    def initial_params(self) -> Any:
        """As in the tutorial: the cells' weights by Glorot, their forget gates' bias 1, the output's normally distributed."""
        c, words = self.config, len(self.story.words)
        rng = np.random.default_rng([c.seed, NO_EPOCH])
        layers = {}
        for i in range(c.layers):
            inputs, width = (c.hidden_units if i else c.input_units), 4 * c.hidden_units
            kernel = glorot(rng, (inputs + c.hidden_units, width))  # of both, as TensorFlow's BasicLSTMCell has it
            bias = np.zeros(width, np.float32)
            bias[c.hidden_units : 2 * c.hidden_units] = 1.0
            layers[f"layer_{i}"] = {
                "input_weights": kernel[:inputs],
                "recurrent_weights": kernel[inputs:],
                "bias": bias,
            }
        output = {
            "weights": rng.standard_normal((words, c.hidden_units)).astype(np.float32),
            "bias": rng.standard_normal(words).astype(np.float32),
        }
        network = {"layers": layers, "output": output}
        if c.word_input == "embedding":
            network["embedding"] = rng.standard_normal((words, c.input_units)).astype(np.float32)
        return tf.nest.map_structure(lambda leaf: leaf[None], network)

    def initial_state(self) -> Any:
        """Nothing that the network carries on: how many iterations were done, and the last 1,000 shares of right words."""
        return np.zeros((1, 1), np.float32), np.zeros((1, AVERAGED), np.float32)

    @cached_property
    def _places(self) -> np.ndarray:
        c = self.config
        count = (self.steps + self.windows_per_block) * c.batch_size
        return data.visits(len(self.story.numbers), c.n_input, c.seed, count)

    def block(self, index: int) -> Arrays:
        """Places of the story: `places` int32 [N, B], where each context begins; `carry` [N], all 1."""
        c = self.config
        size = self.windows_per_block * c.batch_size
        places = self._places[index * size : (index + 1) * size]
        return {
            "places": places.reshape(self.windows_per_block, c.batch_size).astype(np.int32),
            "carry": np.ones(self.windows_per_block, np.float32),
        }

    def _logits(self, params: Any, contexts: tf.Tensor) -> tf.Tensor:
        """Of the next word [B, V], after contexts [B, n_input]."""
        c = self.config
        words = tf.transpose(contexts)
        learned = c.word_input == "embedding"
        outputs = tf.gather(params["embedding"], words) if learned else tf.cast(words, tf.float32)[..., None]
        for i in range(c.layers):
            with part(f"layer_{i}"):
                outputs = short_lstm.read(params["layers"][f"layer_{i}"], outputs)
        with part("output"):
            return tf.matmul(outputs[-1], params["output"]["weights"], transpose_b=True) + params["output"]["bias"]

    def _examples(self, places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The contexts that begin at places [B], [B, n_input], and the word after each, [B]."""
        n = self.config.n_input
        words = tf.gather(tf.constant(self.story.numbers), places[:, None] + tf.range(n + 1))
        return words[:, :n], words[:, n]

    def loss(
        self, params: Any, state: Any, window: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, Any, dict[str, tf.Tensor]]:
        """Cross-entropy, averaged over the rows: [S]. `accuracy` is the mean share of rows whose likeliest word is right, over
        the last 1,000 iterations, as the tutorial prints it."""
        contexts, targets = self._examples(window["places"])
        logits = self._logits(params, contexts)
        loss = tf.reduce_mean(softmax_cross_entropy(logits, targets))[None]
        right = tf.equal(tf.argmax(logits, -1, output_type=tf.int32), targets)
        done, shares = state
        place = tf.cast(done[0], tf.int32) % AVERAGED
        shares = tf.tensor_scatter_nd_update(
            shares[0], place[:, None], tf.reduce_mean(tf.cast(right, tf.float32))[None]
        )
        accuracy = tf.reduce_sum(shares) / tf.minimum(done[0] + 1.0, AVERAGED)
        return loss, (done + 1.0, shares[None]), {"loss": loss, "accuracy": accuracy}

    def observe(self, params: Any, state: Any, window: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """For every place of the story that has a context, [P], the likeliest word, `guess`, and the `probability` of what stands
        there; `place` [], where the context begins that is learned next, and its five `best` words."""
        places = len(self.story.numbers) - self.config.n_input
        contexts, targets = self._examples(tf.range(places))
        probabilities = tf.nn.softmax(self._logits(params, contexts))
        place = window["places"][0]
        best_probability, best = tf.math.top_k(probabilities[place], LISTED)
        return {
            "place": place,
            "guess": tf.argmax(probabilities, -1, output_type=tf.int32),
            "probability": tf.gather(probabilities, targets, batch_dims=1),
            "best": best,
            "best_probability": best_probability,
        }

    # The diary

    def _evaluated_at(self, step: int) -> tuple[str, ...]:
        return ("story",) if step in self._noted else ()

    def _held_out(self, name: str) -> HeldOut:
        """The whole story, which it learns from: how well it knows all of it."""
        count = len(self.story.numbers) - self.config.n_input
        windows = -(-count // MEASURED_ROWS)
        places = np.arange(windows * MEASURED_ROWS).reshape(windows, MEASURED_ROWS)
        scored = (places < count).astype(np.float32)
        return HeldOut(
            {"places": np.minimum(places, count - 1).astype(np.int32), "scored": scored}, np.zeros(1, np.float32)
        )

    def _measure(self, params: Any, state: Any, window: dict[str, tf.Tensor]) -> tuple[Any, tf.Tensor, tf.Tensor]:
        contexts, targets = self._examples(window["places"])
        params = tf.nest.map_structure(lambda leaf: tf.squeeze(leaf, 0), params)
        nats = softmax_cross_entropy(self._logits(params, contexts), targets)
        return state, tf.reduce_sum(nats * window["scored"]), tf.reduce_sum(window["scored"])

    def _keep(self, params: Any, step: int) -> Kept:
        """How much of the story it knows, and what it tells after the story's first words: nothing of the weights."""
        network = tf.nest.map_structure(lambda leaf: leaf[0], params)
        reader = reading.Reader(flat(network), len(self.story.words))
        return Kept(reading.note(reader, self.story, self.config.n_input, self.config.seed), {})


def build(config: StoryConfig) -> Engine:
    """The engine that trains this config."""
    return Engine(StoryTask(config))
