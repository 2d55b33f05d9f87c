"""What trains for this process: workers, and the way to each (lib.followers keeps to them)."""

from typing import Any, Protocol


class ApartError(RuntimeError):
    """A worker and this process do not use the same store."""


class Link(Protocol):
    """The way to a worker."""

    name: str  # where it is, for people
    cores: float
    gpus: float

    def call(self, name: str, *arguments: Any, **named: Any) -> Any:
        """What the worker's method returns or raises. Raises WorkerGoneError when there is no worker any more."""


class Fleet(Protocol):
    """The workers that there are."""

    outlives: bool  # whether they go on when this process ends

    def links(self) -> list[Link]:
        """Ways to all workers that live; new ones are begun where some should be. It may take seconds."""

    def close(self) -> None:
        """Let go of them."""
