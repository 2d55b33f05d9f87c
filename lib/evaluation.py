"""Measuring a network on data that it does not learn from, piece by piece, so that whoever waits for a turn does not wait long.

The windows of held-out data are read in order with the state carried on; a piece is as many of them as one wants, in one
compiled loop. Each window's result comes back by itself and is added up in double precision, so the outcome does not depend
on the pieces.
"""

import math
import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np

from lib.compiled import Compiled
from lib.device import Device, session_config
from lib.prepared import prepared
from lib.tf import tf

Arrays = dict[str, np.ndarray]
FIRST_PIECE = 4  # windows, while nothing is measured


class HeldOut(NamedTuple):
    """Data to measure on: `windows` are arrays [N, ...], read one after the other from `state` on."""

    windows: Arrays
    state: Any


class Evaluations(NamedTuple):
    """What a task measures besides its training, and when.

    `at(step)` names the data to measure on once `step` steps are done; `data(name)` is that data.
    `measure(params, state, window)` returns the state after a window, the sum of its losses in nats, and of how many.
    `signature` is equal only where the same compiled code serves (see lib.training.Task).
    `keep(params, step)` is what is kept of the network at that step.
    """

    at: Callable[[int], tuple[str, ...]]
    data: Callable[[str], HeldOut]
    measure: Callable[[Any, Any, dict[str, tf.Tensor]], tuple[Any, tf.Tensor, tf.Tensor]]
    signature: Hashable
    keep: Callable[[Any, int], "Kept"]


class Kept(NamedTuple):
    """Of a network at one step: a `note` for people, as plain JSON, and the `network` itself, where it is to be kept."""

    note: dict[str, Any]
    network: Arrays


class Evaluation:
    """One measurement that is under way: go on with `piece` until it gives the mean loss in nats."""

    def __init__(self, evaluations: Evaluations, name: str, params: Any, device: Device) -> None:
        self._data = evaluations.data(name)
        self._params = tf.nest.flatten(params)
        self._run = _compiled(evaluations, self._data, params, device)
        self._state = self._data.state
        self._count = len(next(iter(self._data.windows.values())))
        self._window, self._size = 0, FIRST_PIECE
        self._nats: list[np.ndarray] = []
        self._places: list[np.ndarray] = []

    def piece(self, seconds: float) -> float | None:
        """Read on for about so long: the mean loss in nats when all is read, else None."""
        began = time.perf_counter()
        windows = min(self._size, self._count - self._window)
        leaves = (*self._params, *tf.nest.flatten((self._state, self._data.windows)))
        self._state, nats, places = self._run(*leaves, self._window, windows)
        here = slice(self._window, self._window + windows)
        self._nats.append(nats[here])
        self._places.append(places[here])
        self._window += windows
        each = (time.perf_counter() - began) / windows
        self._size = max(1, min(4 * windows, int(seconds / each)))
        if self._window < self._count:
            return None
        return math.fsum(np.concatenate(self._nats)) / float(np.concatenate(self._places).sum(dtype=np.float64))


_KEPT: Compiled[Callable[..., Any]] = Compiled(capacity=16)


def _compiled(evaluations: Evaluations, data: HeldOut, params: Any, device: Device) -> Callable[..., Any]:
    """The loop for these shapes, compiled now if it is not there."""
    shapes = tuple((array.shape, str(array.dtype)) for array in tf.nest.flatten((params, data.state, data.windows)))
    key = (device.name, evaluations.signature, shapes)
    return _KEPT.find(key, lambda: _compile(evaluations, data, params, device))


def _compile(evaluations: Evaluations, data: HeldOut, params: Any, device: Device) -> Callable[..., Any]:
    count = len(next(iter(data.windows.values())))

    def read(params: Any, state: Any, windows: dict[str, tf.Tensor], first: tf.Tensor, steps: tf.Tensor) -> Any:
        def body(i: tf.Tensor, state: Any, nats: tf.Tensor, places: tf.Tensor) -> Any:
            window = {name: tf.gather(array, first + i) for name, array in windows.items()}
            state, loss, counted = evaluations.measure(params, state, window)
            nats = tf.tensor_scatter_nd_update(nats, [[first + i]], [loss])
            return i + 1, state, nats, tf.tensor_scatter_nd_update(places, [[first + i]], [counted])

        nothing = tf.zeros([count])
        _, *found = tf.while_loop(lambda i, *_: i < steps, body, (tf.constant(0), state, nothing, nothing))
        return found

    def placeholder(array: np.ndarray) -> tf.Tensor:
        return tf.compat.v1.placeholder(array.dtype, array.shape)

    with tf.Graph().as_default() as graph, tf.device(device.name):
        tree = tf.nest.map_structure(placeholder, (params, data.state, data.windows))
        at = [tf.compat.v1.placeholder(tf.int32, []) for _ in range(2)]
        found = tf.function(read, jit_compile=True, autograph=False)(*tree, *at)
    graph.finalize()
    session = tf.compat.v1.Session(graph=graph, config=session_config())
    run = prepared(session, found, [*tf.nest.flatten(tree), *at])
    run(*tf.nest.flatten((params, data.state, data.windows)), 0, 0)  # XLA compiles at the first call
    return run
