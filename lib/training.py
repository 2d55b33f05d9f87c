"""Training in compiled chunks.

A training step is a pure function of parameters, optimizer slots, carried state, data and live settings. A chunk is as
many such steps as one wants, in one `tf.while_loop` that XLA compiles to machine code: on small networks nearly all of
the time of a step-by-step loop is the way from Python to the machine and back.

Parameters are arguments of the chunk, so one compiled chunk serves every run with the same shapes. Each lives in a
`tf.compat.v1.Session` of its own. That looks old-fashioned, but it is the one way to get memory back: what
`tf.function(jit_compile=True)` compiles eagerly stays until the process ends (20 MB for each new shape), and a session
that is dropped takes its compiled code along. `python -m benchmarks memory` measures it.
"""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from lib import optimizers
from lib.blas import one_thread
from lib.compiled import Compiled
from lib.device import Device, choose, session_config
from lib.evaluation import Evaluation, Evaluations, Kept
from lib.prepared import aligned, prepared
from lib.scopes import part
from lib.settings import FED
from lib.tf import tf

Arrays = dict[str, np.ndarray]
PIECE_SECONDS = 0.1  # of an evaluation


class Task(Protocol):
    """What a demo says about its training. `lib` knows nothing else of a demo.

    A window is what one step is trained on. `signature` must be equal for two tasks only if the same compiled code
    serves both: it names everything that `loss` and `observe` depend on besides their arguments. A task may have
    `evaluations` (lib.evaluation.Evaluations): what is measured besides. One with `alone` True trains a single network, and
    `loss` and `observe` get its parameters without the seed axis; with `clips` False too it never cuts its gradient and does not
    measure its norm. Both save wide networks a way through memory, and the signature must tell them apart, as it must those
    with another `weight_decay` (see lib.optimizers). Where pictures depend on the state that a window begins with, the task
    has `shows_carried_state` True (see `Engine.observe`); its last block then holds one whole epoch more than is trained on.
    One whose windows overlap has `cut(data, index)`, which takes a window out of a block that holds their steps once.
    """

    config: Any
    seeds: int
    steps: int
    steps_per_epoch: int
    windows_per_block: int
    optimizer: str
    metrics: tuple[
        str, ...
    ]  # what is measured at each step, "loss" among it; "gradient_norm" and "learning_rate" come from here

    @property
    def signature(self) -> Hashable: ...

    def initial_params(self) -> Any:
        """A tree (dicts) of float32 arrays, the seed axis first."""

    def initial_state(self) -> Any:
        """The state of zeros, a named tuple of arrays [S, B, H]."""

    def block(self, index: int) -> Arrays:
        """The windows `index * windows_per_block` and on: arrays [N, ...]. `carry` [N] is 0 where the state is reset.

        With `rate` [N], the schedule, each step's learning rate is so many times the setting.
        """

    def loss(
        self, params: Any, state: Any, window: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, Any, dict[str, tf.Tensor]]:
        """The loss that is differentiated, [S], the state after the window, and each of `metrics` that it knows, [S]."""

    def observe(self, params: Any, state: Any, window: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What the pictures show of one window."""


class Carry(NamedTuple):
    """All that training goes on from: the count of `step`s done, parameters, optimizer slots and carried state.

    `evaluated` is the step at which it was last measured on held-out data.
    """

    step: int
    params: Any
    slots: Any
    state: Any
    evaluated: int = 0

    def to_arrays(self) -> Arrays:
        """The same as a flat dict of arrays, for a checkpoint."""
        counts = {"evaluated": np.array(self.evaluated), "parameters": np.array(len(tf.nest.flatten(self.params)))}
        return _flat(self.step, (self.params, self.slots, self.state)) | counts

    def weights(self) -> Arrays:
        """The step and the parameters alone: what is kept of a run that has ended. Slots and state can be many times more."""
        return _flat(self.step, self.params)


def _flat(step: int, tree: Any) -> Arrays:
    leaves = {f"leaf_{i:03d}": np.asarray(leaf) for i, leaf in enumerate(tf.nest.flatten(tree))}
    return {"step": np.array(step), **leaves}


class _Chunk:
    """The compiled functions of one signature, in a session of their own."""

    def __init__(self, task: Task, device: Device) -> None:
        carry = initial_carry(task)
        self._tree = (carry.params, carry.slots, carry.state)
        block = task.block(0)
        with tf.Graph().as_default() as graph, tf.device(device.name):
            tree = tf.nest.map_structure(_placeholder, self._tree)
            data = {name: _placeholder(array) for name, array in block.items()}
            at = {name: tf.compat.v1.placeholder(tf.int32, []) for name in ("window", "step", "steps")}
            live = {name: tf.compat.v1.placeholder(tf.float32, []) for name in FED}
            train = tf.function(_train(task), jit_compile=True, autograph=False)(tree, data, at, live)
            observe = _observe(task)(tree, data, at["window"])  # forward only and once a picture: not worth XLA's time
        graph.finalize()
        session = tf.compat.v1.Session(graph=graph, config=session_config())
        feeds = tf.nest.flatten((tree, data))
        self._train = prepared(session, train, [*feeds, *at.values(), *live.values()])
        self._observe = prepared(session, observe, [*feeds, at["window"]])
        self.train(carry, block, 0, 0, dict.fromkeys(FED, 0.0))
        self.observe(carry, block, 0)

    def train(
        self, carry: Carry, block: Arrays, window: int, steps: int, live: Mapping[str, float]
    ) -> tuple[Carry, Arrays]:
        """`steps` steps from window `window` of `block`: (new carry, each metric [steps, S])."""
        tree = (carry.params, carry.slots, carry.state)
        leaves = tf.nest.flatten((tree, block))
        (params, slots, state), metrics = self._train(*leaves, window, carry.step, steps, *(live[name] for name in FED))
        carry = Carry(carry.step + steps, params, slots, state, carry.evaluated)
        return carry, {name: values[:steps] for name, values in metrics.items()}

    def observe(self, carry: Carry, block: Arrays, window: int) -> Arrays:
        """The picture of one window, before it is trained on."""
        tree = (carry.params, carry.slots, carry.state)
        return self._observe(*tf.nest.flatten((tree, block)), window)


def _placeholder(array: np.ndarray) -> tf.Tensor:
    return tf.compat.v1.placeholder(array.dtype, array.shape)


def nth(data: dict[str, tf.Tensor], index: tf.Tensor) -> dict[str, tf.Tensor]:
    """Window `index` of a block [N, ...]."""
    return {name: tf.gather(array, index) for name, array in data.items()}


def _window(task: Task, state: Any, data: dict[str, tf.Tensor], index: tf.Tensor) -> tuple[Any, dict[str, tf.Tensor]]:
    """One window of the block, and the state that it starts from: zero where the window does not carry it on."""
    window = getattr(task, "cut", nth)(data, index)
    carried = window.pop("carry")
    return tf.nest.map_structure(lambda leaf: leaf * carried, state), window


def training_step(
    task: Task,
    tree: Any,
    data: dict[str, tf.Tensor],
    window: tf.Tensor,
    count: tf.Tensor,
    live: Mapping[str, tf.Tensor],
) -> tuple[Any, dict[str, tf.Tensor]]:
    """Learn from window `window` of a block: (new parameters, slots and state, each metric [S]). `count` counts from 1."""
    params, slots, state = tree
    alone = getattr(task, "alone", False)
    with part("window"):
        state, batch = _window(task, state, data, window)
        rate = live["learning_rate"] * batch.pop("rate", 1.0)
    with tf.GradientTape() as tape, part("forward"):
        tape.watch(params)
        loss, state, metrics = task.loss(params, state, batch)
        total = tf.reduce_sum(loss)  # a seed's parameters act on no other seed's loss
    with part("gradient"):
        gradients = tape.gradient(total, params, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    own = {"learning_rate": tf.fill([task.seeds], rate)}
    with part("clipping"):
        if getattr(task, "clips", True):
            seeded = _each(_with_seeds, gradients) if alone else gradients
            seeded, own["gradient_norm"] = optimizers.clip_by_global_norm(seeded, live["clip_norm"])
            gradients = _each(_without_seeds, seeded) if alone else seeded
        else:
            gradients = optimizers.together(gradients)
    with part("optimizer"):
        weight_decay = getattr(task, "weight_decay", 0.0)
        params, slots = optimizers.update(task.optimizer, params, slots, gradients, rate, count, weight_decay)
    return (params, slots, state), own | metrics


def _train(task: Task):
    """The chunk as a function of tensors."""
    alone = getattr(task, "alone", False)

    def chunk(tree: Any, data: dict[str, tf.Tensor], at: Mapping[str, tf.Tensor], live: Mapping[str, tf.Tensor]):
        measured = {name: tf.zeros([task.windows_per_block, task.seeds]) for name in task.metrics}

        def body(i: tf.Tensor, tree: Any, measured: dict[str, tf.Tensor]):
            tree, metrics = training_step(task, tree, data, at["window"] + i, at["step"] + i + 1, live)
            noted = {
                name: tf.tensor_scatter_nd_update(values, [[i]], metrics[name][None])
                for name, values in measured.items()
            }
            return i + 1, tree, noted

        params, slots, state = tree
        if alone:  # outside of the loop, where it costs nothing
            params, slots = _each(_without_seeds, (params, slots))
        start = (tf.constant(0), (params, slots, state), measured)
        _, (params, slots, state), measured = tf.while_loop(lambda i, *_: i < at["steps"], body, start)
        if alone:
            params, slots = _each(_with_seeds, (params, slots))
        return (params, slots, state), measured

    return chunk


def _with_seeds(leaf: Any) -> tf.Tensor:
    return tf.convert_to_tensor(leaf)[None]


def _without_seeds(leaf: Any) -> tf.Tensor:
    return tf.squeeze(tf.convert_to_tensor(leaf), 0)


_each = tf.nest.map_structure


def _observe(task: Task):
    def observe(tree: Any, data: dict[str, tf.Tensor], index: tf.Tensor) -> dict[str, tf.Tensor]:
        params, _, state = tree
        if getattr(task, "alone", False):
            params = _each(_without_seeds, params)
        state, window = _window(task, state, data, index)
        window.pop("rate", None)
        return task.observe(params, state, window)

    return observe


class _ChunkCache(Compiled[_Chunk]):
    """The compiled chunks used last."""

    def get(self, task: Task, device: Device, *, keep: bool = False) -> _Chunk:
        """The chunk of this task, compiled now if it is not there. One to `keep` never falls out."""
        key = (device.name, task.optimizer, task.seeds, task.windows_per_block, task.signature)
        return self.find(key, lambda: _Chunk(task, device), keep=keep)


CHUNKS = _ChunkCache(capacity=16)


def initial_carry(task: Task) -> Carry:
    """The start of a run."""
    params = task.initial_params()
    return Carry(0, params, optimizers.initial_slots(task.optimizer, params), task.initial_state())


class Engine:
    """A task that can be trained: what a job, the command line and the benchmarks drive.

    `prepare()` compiles; `run` and `observe` are pure: equal carries give equal numbers, whatever the chunks' lengths.
    """

    def __init__(self, task: Task, device: str | None = None) -> None:
        self.task = task
        self.config = task.config
        self.steps, self.steps_per_epoch, self.seeds = task.steps, task.steps_per_epoch, task.seeds
        self._device = choose(device, self)
        self.device_name, self.device = self._device
        self._chunk: _Chunk | None = None
        self._block: tuple[int, Arrays] | None = None
        self._evaluations: Evaluations | None = getattr(task, "evaluations", None)
        self._under_way: tuple[int, str, Evaluation] | None = None  # the step, and what is measured
        self._measured: dict[str, float] = {}

    def prepare(self, *, keep: bool = False) -> None:
        """Trace and compile, or take from the cache what these shapes were compiled to before, and `keep` it there.

        What measures the network is compiled as well, or the first measurement would hold up everybody's turns.
        """
        self._chunk = CHUNKS.get(self.task, self._device, keep=keep)
        if self._evaluations is not None:
            params = self.task.initial_params()
            names = [name for step in (self.steps_per_epoch, self.steps) for name in self._evaluations.at(step)]
            for name in dict.fromkeys(names):
                Evaluation(self._evaluations, name, params, self._device)

    def initial(self, start: Arrays | None = None) -> Carry:
        """The carry at step 0: the same weights for the same seed, or the parameters `start` (see lib.history).

        Raises ValueError when `start` is of another network than these settings make.
        """
        carry = initial_carry(self.task)
        if start is None:
            return carry
        leaves = [start[name] for name in sorted(start)]
        found, made = [leaf.shape for leaf in leaves], [leaf.shape for leaf in tf.nest.flatten(carry.params)]
        if found != made:
            raise ValueError(
                f"The network that this run begins with has the shapes {found}, these settings make {made}: "
                "choose the cell and the sizes that it was trained with."
            )
        return carry._replace(params=tf.nest.pack_sequence_as(carry.params, leaves))

    def carry_from(self, arrays: Mapping[str, np.ndarray]) -> Carry:
        """The carry that `Carry.to_arrays` wrote. Raises ValueError when it belongs to another network."""
        like = self.initial()
        tree = (like.params, like.slots, like.state)
        leaves = [arrays.get(f"leaf_{i:03d}") for i in range(len(tf.nest.flatten(tree)))]
        wanted = [leaf.shape for leaf in tf.nest.flatten(tree)]
        found = [getattr(leaf, "shape", None) for leaf in leaves]
        if wanted != found:
            raise ValueError(f"The checkpoint is of another network: its shapes are {found}, this one's {wanted}.")
        step = int(arrays["step"])
        evaluated = int(arrays.get("evaluated", step))
        params, slots, state = tf.nest.pack_sequence_as(tree, leaves)
        return Carry(step, params, slots, state, evaluated)

    def _at(self, step: int) -> tuple[Arrays, int]:
        """The block that holds the window of this step, and the window's place in it."""
        index, window = divmod(step, self.task.windows_per_block)
        if self._block is None or self._block[0] != index:
            self._block = (index, {name: aligned(array) for name, array in self.task.block(index).items()})
        return self._block[1], window

    def run(self, carry: Carry, steps: int, live: Mapping[str, float] | None = None) -> tuple[Carry, Arrays]:
        """Train up to `steps` steps: (new carry, each of the task's metrics float32 [n, S]).

        It may run fewer: never beyond the run's end, and at most to the end of a block of data or to the next step at which
        it is measured on held-out data. `live` overrides the config's learning rate and clip norm.
        """
        block, window = self._at(carry.step)
        steps = max(0, min(steps, self.steps - carry.step, self.task.windows_per_block - window))
        if self._evaluations is not None:
            ends = range(carry.step + 1, carry.step + steps)
            steps = next((end - carry.step for end in ends if self._evaluations.at(end)), steps)
        settings = {name: getattr(self.config, name) for name in FED} | dict(live or {})
        return self._compiled().train(carry, block, window, steps, settings)

    def evaluates(self, carry: Carry) -> bool:
        """Whether the network is to be measured on held-out data before its next step."""
        return self._evaluations is not None and carry.evaluated < carry.step and bool(self._evaluations.at(carry.step))

    def evaluate(self, carry: Carry) -> tuple[Carry, dict[str, float]]:
        """Measure for about a tenth of a second: (carry, {}), and when all is measured (carry, perplexity by name)."""
        assert self._evaluations is not None
        if self._under_way is None or self._under_way[0] != carry.step:
            self._measured = {}
            self._measure_next(carry)
        assert self._under_way is not None
        _, name, evaluation = self._under_way
        loss = evaluation.piece(PIECE_SECONDS)
        if loss is not None:
            self._measured[f"{name}_perplexity"] = float(np.exp(min(loss, 80.0)))
            self._measure_next(carry)
        if self._under_way is not None:
            return carry, {}
        return carry._replace(evaluated=carry.step), self._measured

    def keep(self, carry: Carry) -> Kept:
        """What is kept of a network that was just measured."""
        assert self._evaluations is not None
        with one_thread():  # a run that was interrupted, and goes on elsewhere, writes the same
            return self._evaluations.keep(carry.params, carry.step)

    def _measure_next(self, carry: Carry) -> None:
        """Begin with what is left to measure at this step."""
        assert self._evaluations is not None
        left = [name for name in self._evaluations.at(carry.step) if f"{name}_perplexity" not in self._measured]
        self._under_way = None
        if left:
            evaluation = Evaluation(self._evaluations, left[0], carry.params, self._device)
            self._under_way = (carry.step, left[0], evaluation)

    def observe(self, carry: Carry) -> Arrays:
        """What the network does on the batch that comes next, before it learns from it; `window` is its place in the epoch.

        After the last step none comes, and the start of an epoch, with a state of zeros, would be no picture of what was
        learned. Where it shows, the network reads half of a further epoch, learning nothing, and that is where we look.
        """
        block, window = self._at(carry.step)
        reader, ahead = carry, 0
        if carry.step == self.steps and getattr(self.task, "shows_carried_state", False):
            ahead = self.steps_per_epoch // 2
            reader, _ = self._compiled().train(carry, block, window, ahead, dict.fromkeys(FED, 0.0))
            reader = reader._replace(params=carry.params)
        found = self._compiled().observe(reader, block, window + ahead)
        return found | {"step": np.array(carry.step), "window": np.array((carry.step + ahead) % self.steps_per_epoch)}

    def _compiled(self) -> _Chunk:
        if self._chunk is None:
            self._chunk = CHUNKS.get(self.task, self._device)
        return self._chunk
