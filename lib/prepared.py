"""Calling a graph quickly: what `Session.run` works out at each call is worked out once, and large arrays are not copied."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree  # Keras needs it too; `tf.nest` took 0.2 ms to put each call's outcome together

from lib.tf import CallableOptions, tf

ALIGNMENT = (
    64  # bytes: TensorFlow takes an array as it is whose memory begins at a multiple of it, and copies any other
)


def prepared(session: "tf.compat.v1.Session", fetches: Any, feeds: Sequence["tf.Tensor"]) -> Callable[..., Any]:
    """A function of the feeds' values, in their order, that gives the values of `fetches`, a structure of tensors.

    `Session.make_callable` would go through all of `Session.run` at each call where there are feeds, most of a millisecond for
    thirty of them. This is what Keras used for its own.
    """
    flat, structure = optree.tree_flatten(fetches)
    if not flat:
        return lambda *values: fetches
    options = CallableOptions(feed=[feed.name for feed in feeds], fetch=[fetch.name for fetch in flat])
    call = session._make_callable_from_options(options)
    kinds = [feed.dtype.as_numpy_dtype for feed in feeds]

    def run(*values: Any) -> Any:
        found = call(*[np.asarray(value, kind) for value, kind in zip(values, kinds, strict=True)])
        return optree.tree_unflatten(structure, found)

    return run


def aligned(array: np.ndarray) -> np.ndarray:
    """The same array where TensorFlow need not copy it at each call."""
    if array.ctypes.data % ALIGNMENT == 0:
        return array
    memory = np.empty(array.nbytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    found = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found
