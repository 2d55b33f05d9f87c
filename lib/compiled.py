"""What was compiled, kept while it may be needed again: compiling takes seconds, and what is kept takes memory."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Place(Generic[T]):
    """Where something compiled stands, or will stand: whoever wants the same meanwhile waits for it, and nobody else."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.content: T | None = None
        self.kept = False


class Compiled(Generic[T]):
    """What was used last, at most `capacity`. What falls out is freed when no run uses it any more."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._places: OrderedDict[Hashable, _Place[T]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: Hashable, make: Callable[[], T], *, keep: bool = False) -> T:
        """What stands at this key, made now if it is not there. What is to `keep` never falls out."""
        with self._lock:
            place = self._places.setdefault(key, _Place())
            place.kept |= keep
            self._places.move_to_end(key)
            self._drop_oldest()
        with place.lock:
            if place.content is None:
                place.content = make()
            return place.content

    def _drop_oldest(self) -> None:
        loose = [key for key, place in self._places.items() if not place.kept]
        for key in loose[: max(0, len(self._places) - self.capacity)]:
            del self._places[key]

    def __len__(self) -> int:
        return len(self._places)
