"""Pages are drawn a few at a time.

Each page's script has a thread. With fifty people ten of them ran at once, took the interpreter's lock from each other and from
the event loop, and a button took two to four seconds; now it takes 0.16 (`make load`, median).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = 2
PATIENCE_SECONDS = 1.0  # then a page is drawn all the same: one of those before it may wait for something slow

_turns = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def turn() -> Iterator[None]:
    """Wait for one's turn, and have it."""
    mine = _turns.acquire(timeout=PATIENCE_SECONDS)
    try:
        yield
    finally:
        if mine:
            _turns.release()
