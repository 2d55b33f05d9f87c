"""Names for the parts of a training step, in the graph that is drawn of it (lib.graph).

What is trained has none: names change the order in which XLA puts operations together, and with it the rounding.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from lib.tf import tf

_NAMED = ContextVar("named", default=False)


@contextmanager
def named() -> Iterator[None]:
    """Let parts have names in here."""
    token = _NAMED.set(True)
    try:
        yield
    finally:
        _NAMED.reset(token)


def part(name: str) -> AbstractContextManager[Any]:
    """The scope of a part of this name, or none."""
    return tf.name_scope(name) if _NAMED.get() else nullcontext()
