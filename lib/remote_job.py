"""A job that another process trains, as this one knows it, and the news of it that go between the two."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.history import Arrays, History, Network
from lib.job import Job, State
from lib.limits import Limits
from lib.pace import Speed
from lib.settings import Config
from lib.stream import Delta, MetricStream

# Attributes that are told as they are.
PLAIN = (
    "state", "message", "error", "step", "steps", "steps_per_epoch", "seconds", "device", "target", "place", "people",
    "busy", "owner", "elsewhere", "deleted", "created", "origin", "snapshot_version", "live", "changes", "diary",
)  # fmt: skip


@dataclass(frozen=True)
class Order:
    """A job that a worker is to begin with. Its limits were checked by whoever sends it."""

    id: str
    slug: str
    config: Config
    visitor: str
    sweep: str
    origin: tuple[str, int] | None
    start: Arrays | None
    points: int
    speed: Speed
    target: State
    limits: Limits
    created: float


@dataclass(frozen=True)
class News:
    """What a reader does not know yet of a job. `about` is who it is, told when all of it is."""

    id: str
    about: dict[str, Any] | None
    values: dict[str, Any]
    speed: Speed
    rate: float | None
    turn_seconds: float | None
    kept: tuple[int, ...]  # the steps whose networks its history has
    forkable: bool
    built: bool
    series: Delta
    summary: dict[str, dict[str, float | None]]
    final_by_seed: list[float | None]
    snapshot: Arrays | None


class RemoteStream(MetricStream):
    """The curves of a run as they were told last."""

    def __init__(self) -> None:
        super().__init__()
        self._summary: dict[str, dict[str, float | None]] = {}
        self._final: list[float | None] = []

    def take(self, news: News) -> None:
        """Take in what is new."""
        with self._lock:
            for name, part in news.series.items():
                self._replace(name, part)
            self._summary, self._final = news.summary, news.final_by_seed

    def summary(self) -> dict[str, dict[str, float | None]]:
        return self._summary

    def final_by_seed(self) -> list[float | None]:
        return self._final


class RemoteHistory(History):
    """The networks that a run had on its way, each fetched when somebody looks at it."""

    def __init__(self, fetch: Callable[[int], tuple[int, Network] | None]) -> None:
        super().__init__()
        self._fetch = fetch
        self.kept: tuple[int, ...] = ()

    def steps(self) -> tuple[int, ...]:
        return self.kept

    def at(self, step: int) -> tuple[int, Network] | None:
        return self._fetch(step)


class RemoteJob(Job):
    """A job that a worker has (see lib.worker), or had: one that has ended is as the store has it."""

    ask: Callable[..., Any]  # (what, *arguments) -> what its worker says
    rate: float | None = None
    can_be_forked = False
    built = False  # whether its worker holds its network ready
    told = False  # whether a worker has told of it

    @property
    def steps_per_second(self) -> float | None:
        return self.rate if self.state is State.RUNNING else super().steps_per_second

    @property
    def forkable(self) -> bool:
        return self.can_be_forked if self.told else super().forkable

    def weights(self) -> Mapping[str, np.ndarray] | None:
        return self.ask("weights") if self.told else super().weights()

    def order(self) -> Order:
        """What its worker needs to begin with it."""
        return Order(
            self.id, self.slug, self.config, self.visitor, self.sweep, self.origin, self.start, self.stream.capacity,
            self.pace.speed, self.target, self.limits, self.created,
        )  # fmt: skip

    def take(self, news: News) -> None:
        """Become what a worker tells of it."""
        if not self.told:
            self.told, self.stream, self.history = (
                True,
                RemoteStream(),
                RemoteHistory(lambda step: self.ask("network", step)),
            )
        assert isinstance(self.stream, RemoteStream) and isinstance(self.history, RemoteHistory)
        self.stream.take(news)
        self.history.kept = news.kept
        if news.snapshot is not None:
            self.snapshot = news.snapshot
        elif news.values["snapshot_version"] != self.snapshot_version:
            news.values["snapshot_version"] = self.snapshot_version  # that picture was not sent
        self.rate, self.can_be_forked, self.built = news.rate, news.forkable, news.built
        self.pace.speed, self.pace.turn_seconds = news.speed, news.turn_seconds
        vars(self).update(news.values)
        self.version += 1
