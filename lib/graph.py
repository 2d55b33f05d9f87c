"""A training step as a graph, for TensorBoard to draw."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lib.scopes import named
from lib.settings import FED
from lib.tf import tf
from lib.training import Task, initial_carry, training_step

MOST_BYTES = 1_024  # of a constant


def step_graph(task: Task) -> bytes:
    """One training step of a task (loss, gradient and update) as a serialized GraphDef.

    It is built by what a chunk runs (`lib.training.training_step`), with names for its parts, and not compiled. Parameters,
    the optimizer's slots, the carried state, the block of data and the settings are placeholders with their own names.
    Constants of more than 1 KiB keep their type and shape and lose their values.
    """
    carry = initial_carry(task)
    params, slots = carry.params, carry.slots
    if getattr(task, "alone", False):
        params, slots = tf.nest.map_structure(lambda leaf: leaf[0], (params, slots))
    with tf.Graph().as_default() as graph, named():
        tree = (_inputs(params, "parameters"), _inputs(slots, "slots"), _inputs(carry.state, "state"))
        data, count = _inputs(task.block(0), "data"), np.int32(0)
        live = _inputs(dict.fromkeys(FED, np.float32(0)), "settings")
        training_step(task, tree, data, _inputs(count, "place"), _inputs(count, "step"), live)
    definition = graph.as_graph_def()
    _empty(definition.node)
    for function in definition.library.function:
        _empty(function.node_def)
    return bytes(definition.SerializeToString())


def _inputs(tree: Any, name: str) -> Any:
    """A placeholder for each array, named by its way through dicts, tuples and lists."""
    if isinstance(tree, Mapping):
        return {key: _inputs(part, f"{name}/{key}") for key, part in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_inputs(part, f"{name}/{key}") for key, part in zip(tree._fields, tree, strict=True)))
    if isinstance(tree, tuple | list):
        return type(tree)(_inputs(part, f"{name}/{key}") for key, part in enumerate(tree))
    return tf.compat.v1.placeholder(tree.dtype, tree.shape, name)


def _empty(nodes: Iterable[Any]) -> None:
    """Take the values out of large constants."""
    for node in nodes:
        tensor = node.attr["value"].tensor if node.op == "Const" else None
        if tensor is not None and tensor.ByteSize() > MOST_BYTES:
            kept = {"dtype": tensor.dtype, "tensor_shape": tensor.tensor_shape}
            tensor.CopyFrom(type(tensor)(**kept))
