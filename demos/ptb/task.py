"""The language model's task: say which word comes next."""

from collections.abc import Hashable
from typing import Any

import numpy as np

from demos.ptb import data
from demos.ptb.config import PTBConfig
from lib import schedules, word_network
from lib.cells import LSTMState, zero_state
from lib.evaluation import Evaluations, HeldOut, Kept
from lib.history import kept_steps
from lib.neighbours import counted_embedding
from lib.networks import NO_EPOCH
from lib.recorded import Recording, Replay
from lib.tf import tf
from lib.training import Arrays, Engine
from lib.vocabulary import EOS, UNK
from lib.word_model import WordModel, flat
from lib.word_network import Dropout
from lib.word_sampling import samples

MOST_WINDOWS = 256  # of a block
MOST_NETWORKS = 8  # of a run, kept to be looked at later
STARTS = 2**32 + 3  # a stream of random numbers of its own
EARLY = (20, 5)  # the parts of the first epoch after which it is measured too: in a whole one, babble is soon language
DIARY_WORDS, DIARY_TEMPERATURES, DIARY = (
    30,
    (0.3, 0.7, 1.0),
    2**32 + 2,
)  # the last: a stream of random numbers of its own


class PTBTask:
    """Read a corpus word by word and give the next one's probability (see `lib.training.Task`).

    The state is that of each layer and the sums that the epoch's perplexity is made of; an epoch begins with all at zero.
    """

    metrics: tuple[str, ...] = ("loss", "perplexity", "gradient_norm", "learning_rate")
    seeds = 1

    def __init__(self, config: PTBConfig) -> None:
        self.config = config
        self.corpus = data.corpus(config.corpus, config.text)
        self.steps, self.steps_per_epoch = config.steps, config.windows_per_epoch
        self.windows_per_block = min(MOST_WINDOWS, self.steps)
        self.optimizer, self.weight_decay = config.optimizer, config.weight_decay * 1e-6
        self._counted: np.ndarray | None = None  # the embedding that training starts from: seconds of counting
        self._cut: tuple[int, np.ndarray] | None = None  # the epoch whose windows were cut last, and these
        self._early = [self.steps_per_epoch // part for part in EARLY if self.steps_per_epoch >= 5 * part]
        self.evaluations = Evaluations(self._evaluated_at, self._held_out, self._measure, self.signature, self._keep)

    @property
    def signature(self) -> Hashable:
        c = self.config
        dropout = (c.dropout, c.locked_dropout, c.recurrent_dropout)
        shape = (c.truncated_backprop_length, c.batch_size, len(self.corpus.words), c.embedding_units, c.units, c.tied)
        return ("ptb", *shape, *dropout, c.rare_words, c.weight_decay)

    def initial_params(self) -> Any:
        """One network (see lib.word_network)."""
        c, words = self.config, len(self.corpus.words)
        rng = np.random.default_rng([c.seed, NO_EPOCH])
        network = word_network.initial_word_network(
            rng, words, c.embedding_units, c.units, tied=c.tied, scale=c.initial_scale, keep=c.keep_bias
        )
        if c.counted_start:
            if self._counted is None:
                self._counted = counted_embedding(self.corpus.train, words, c.embedding_units, rng)
            network["embedding"] = self._counted[None]
        return network

    def initial_state(self) -> Any:
        return self._states(self.config.batch_size), np.zeros((1, 2), np.float32)

    def _states(self, rows: int) -> list[LSTMState]:
        return [zero_state("lstm", (1, rows, units)) for units in self.config.units]

    # Training

    def _windows(self, epoch: int) -> np.ndarray:
        """The inputs and targets of an epoch, [2, W, T, B]; where it is `shifted`, another place of the text is its start."""
        c, words = self.config, self.corpus.train
        epoch = epoch if c.shifted else 0
        if self._cut is None or self._cut[0] != epoch:
            start = np.random.default_rng([c.seed, STARTS, epoch]).integers(len(words)) if epoch else 0
            windows = data.training_windows(np.roll(words, -start), c.batch_size, c.truncated_backprop_length)
            self._cut = epoch, np.stack(windows)
        return self._cut[1]

    def block(self, index: int) -> Arrays:
        """Windows of words: `inputs`, `targets` int32 [N, T, B]; `carry`, `rate`, `dropout` float32 [N]; `turn`, `key` int32
        [N] and [N, 2]."""
        first = index * self.windows_per_block
        steps = np.arange(first, first + self.windows_per_block)
        epochs, places = np.divmod(steps, self.steps_per_epoch)
        cut = [self._windows(epoch)[:, places[epochs == epoch]] for epoch in np.unique(epochs).tolist()]
        inputs, targets = np.concatenate(cut, axis=1)
        seed = np.full_like(steps, self.config.seed)
        return {
            "inputs": inputs,
            "targets": targets,
            "carry": (places > 0).astype(np.float32),
            "rate": schedules.rate(self.config, steps, self.steps_per_epoch, self.steps).astype(np.float32),
            "dropout": np.minimum(1.0, (steps + 1) / (self.config.dropout_growth * self.steps + 1)).astype(np.float32),
            "key": np.stack([seed, steps * 1_000], axis=1).astype(np.int32),
            "turn": steps.astype(np.int32),
        }

    def loss(
        self, params: Any, state: Any, window: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, Any, dict[str, tf.Tensor]]:
        """Cross-entropy, summed over the steps of the window and averaged over its rows, as the published rates want it.

        The metric `loss` is the mean per word; `perplexity` is e to the power of its mean since the epoch began.
        """
        c = self.config
        states, sums = state
        dropout = Dropout(c.dropout, c.locked_dropout, c.recurrent_dropout, window["dropout"], window["key"])
        states, outputs = word_network.read(params, states, window["inputs"], dropout)
        nats = word_network.sampled_nats_of(params, outputs, window["targets"], c.rare_words, window["turn"])
        mean = tf.reduce_mean(nats)
        sums = sums + tf.stop_gradient(tf.stack([mean, 1.0]))
        metrics = {"loss": mean[None], "perplexity": tf.exp(sums[:, 0] / sums[:, 1])}
        return (mean * c.truncated_backprop_length)[None], (states, sums), metrics

    def observe(self, params: Any, state: Any, window: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Nothing: the pictures are made of the weights (see lib.word_model)."""
        return {}

    # Measuring

    def _evaluated_at(self, step: int) -> tuple[str, ...]:
        """The validation text after each epoch and twice in the first, the test text after the last."""
        if step == 0 or (step % self.steps_per_epoch and step not in self._early):
            return ()
        return ("valid", "test") if step == self.steps else ("valid",)

    def _held_out(self, name: str) -> HeldOut:
        """The validation text in 20 rows, as in the publication's code; the test text as one stream."""
        words = self.corpus.valid if name == "valid" else self.corpus.test
        rows, window = (data.VALID_ROWS, 35) if name == "valid" else (1, data.TEST_WINDOW)
        rows = min(rows, len(words))
        return HeldOut(data.held_out_windows(words, rows, window), self._states(rows))

    def _measure(self, params: Any, state: Any, window: dict[str, tf.Tensor]) -> tuple[Any, tf.Tensor, tf.Tensor]:
        state, outputs = word_network.read(params, state, window["inputs"])
        nats = word_network.nats_of(params, outputs, window["targets"])
        return state, tf.reduce_sum(nats * window["scored"]), tf.reduce_sum(window["scored"])

    def _keep(self, params: Any, step: int) -> Kept:
        """The same prompts continued from the same random numbers as ever; and a few epochs' networks, in half precision."""
        network = tf.nest.map_structure(lambda leaf: leaf[0], params)
        prompts = data.prompts(self.config.corpus, self.corpus)
        random = np.random.default_rng([self.config.seed, DIARY]).random((len(prompts), DIARY_WORDS))
        numbers = self.corpus.numbers
        drawn = samples(
            WordModel(network), [[numbers[word] for word in prompt] for prompt in prompts], random, DIARY_TEMPERATURES,
            first=numbers[EOS], forbid=[numbers[UNK]] if UNK in numbers else [],
        )  # fmt: skip
        words = np.array(self.corpus.words, object)[drawn.words]
        texts = [
            {"prompt": " ".join(prompt), "temperature": temperature, "text": " ".join(words[i, j])}
            for i, prompt in enumerate(prompts)
            for j, temperature in enumerate(DIARY_TEMPERATURES)
        ]
        epochs, beyond = divmod(step, self.steps_per_epoch)
        kept = not beyond and epochs in kept_steps(self.config.epochs, MOST_NETWORKS)
        note = {"epoch": round(step / self.steps_per_epoch, 2), "samples": texts}
        return Kept(note, flat(network, np.float16) if kept else {})


def build(config: PTBConfig) -> Engine | Replay:
    """The engine that trains this config, or replays what was recorded."""
    return replay(config.recorded) if config.recorded else Engine(PTBTask(config))


def replay(name: str) -> Replay:
    """A recorded run: the losses and gradient norms as they were, and what follows from them."""
    recording = Recording.load(data.RECORDINGS / name)
    config = PTBConfig(**recording.config | {"model": f"{name}-recorded"})
    loss, epoch = recording.metrics["loss"], config.windows_per_epoch
    by_epoch = loss.reshape(-1, epoch).astype(np.float64)
    running = np.exp(np.cumsum(by_epoch, axis=1) / np.arange(1, epoch + 1)).ravel()
    rates = config.learning_rate * schedules.rate(config, np.arange(len(loss)), epoch, len(loss))
    series = recording.metrics | {"perplexity": running, "learning_rate": rates}
    return Replay(config, recording, {n: v.astype(np.float32)[:, None] for n, v in series.items()}, epoch)
