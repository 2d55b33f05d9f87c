"""The stream of metrics from a training thread to whoever reads it, now or later.

A series keeps at most `capacity` points. When there are more, it is thinned to the lowest and highest point of each of
equally long spans of steps, and its `generation` goes up. (MinMaxLTTB, applied again and again to a growing curve, leaves
only a few points of its beginning.) A reader states what it has, so a lost or repeated delta does no harm.
"""

import threading
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from tsdownsample import MinMaxDownsampler

SPANS = (30, 300)  # steps of the smoothed loss
EPOCH_MEAN = "epoch_loss"  # the mean of the loss since the epoch began; an engine may measure it itself
AT_ONCE = 1000  # steps that are smoothed in one go: the smallest power of a decay is then far above the smallest number
RECENT = 100
CAPACITY = 4096  # points of a series
HIGHER_IS_BETTER = ("accuracy",)

Delta = dict[str, dict[str, Any]]


def seed_series(metrics: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The series of metrics [n, S]: the median over seeds, and with several the 10th and 90th percentile.

    They are called NAME, NAME_low and NAME_high. A value that is not finite counts as infinitely high, so the median is
    finite as long as most seeds are.
    """
    found = {}
    for name, values in metrics.items():
        if values.shape[1] == 1:
            found[name] = values[:, 0]
            continue
        ranked = np.sort(np.where(np.isfinite(values), values, np.inf), axis=1)
        last = ranked.shape[1] - 1
        found[name] = 0.5 * (ranked[:, last // 2] + ranked[:, (last + 1) // 2])
        found[f"{name}_low"], found[f"{name}_high"] = ranked[:, round(0.1 * last)], ranked[:, round(0.9 * last)]
    return found


class _Series:
    """One metric: its points, thinned, and what is told of the unthinned values."""

    def __init__(self, name: str, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        arrays = arrays or {}
        self.better = np.fmax if name.startswith(HIGHER_IS_BETTER) else np.fmin
        self.steps = np.asarray(arrays.get("step", ()), np.int64)
        self.values = np.asarray(arrays.get("value", ()), np.float32)
        self.generation = int(arrays.get("generation", 0))
        self.recent = np.asarray(arrays.get("recent", ()), np.float32)
        self.best = float(arrays.get("best", np.nan))

    def append(self, steps: np.ndarray, values: np.ndarray, capacity: int) -> None:
        self.recent = np.concatenate([self.recent, values])[-RECENT:]
        finite = np.isfinite(values)
        steps, values = steps[finite], values[finite]
        self.best = float(self.better.reduce(values, initial=self.best))
        while len(steps):
            room = capacity + 1 - len(self.steps)  # thinned at the same points, however many come at once
            self.steps = np.concatenate([self.steps, steps[:room]])
            self.values = np.concatenate([self.values, values[:room]])
            steps, values = steps[room:], values[room:]
            if len(self.steps) > capacity:
                self._thin(capacity // 2)

    def _thin(self, count: int) -> None:
        kept = MinMaxDownsampler().downsample(self.steps, self.values, n_out=count)
        kept = np.union1d(kept.astype(np.int64), [0, len(self.steps) - 1])
        self.steps, self.values = self.steps[kept], self.values[kept]
        self.generation += 1

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            "step": self.steps,
            "value": self.values,
            "generation": np.array(self.generation),
            "recent": self.recent,
            "best": np.array(self.best),
        }

    def delta(self, have: tuple[int, int]) -> dict[str, Any] | None:
        generation, count = have
        start = count if generation == self.generation and count <= len(self.steps) else 0
        if start == len(self.steps) and generation == self.generation:
            return None
        return {
            "generation": self.generation,
            "start": start,
            "step": self.steps[start:].astype(np.int32),
            "value": self.values[start:],
        }

    def summary(self) -> dict[str, float | None]:
        full = len(self.recent) == RECENT
        last = self.recent[-1] if len(self.recent) else np.nan
        mean = self.recent.mean(dtype=np.float64) if full else np.nan
        return {"last": _finite(last), "best": _finite(self.best), "mean_last_100": _finite(mean)}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def moving_average(values: np.ndarray, before: float, span: int) -> np.ndarray:
    """The exponential moving average [n] of `values` [n], which stood at `before`.

    It is a_k = d·a_(k-1) + (1-d)·x_k with d = 1 - 2/(span+1), which is d^k·(a_0 + (1-d)·Σ x_j·d^-j). (pandas' `ewm` gives the
    same, but the call alone takes most of a short turn's overhead.)
    """
    decay, found = 1 - 2 / (span + 1), []
    for start in range(0, len(values), AT_ONCE):
        piece = values[start : start + AT_ONCE]
        powers = _powers(decay)[: len(piece)]
        found.append(powers * (before + (1 - decay) * np.cumsum(piece / powers)))
        before = found[-1][-1]
    return np.concatenate(found)


@cache
def _powers(decay: float) -> np.ndarray:
    return decay ** np.arange(1.0, AT_ONCE + 1)


def finite_steps(metrics: Mapping[str, np.ndarray]) -> int:
    """How many of the metrics' [n, S] first steps come before one at which the median loss is not finite."""
    broken = np.flatnonzero(~np.isfinite(seed_series({"loss": metrics["loss"]})["loss"]))
    return int(broken[0]) if len(broken) else len(metrics["loss"])


class MetricStream:
    """The series of one run, written by one thread and read by many.

    After `mean_over_epochs` the loss has a series `epoch_loss` too, the mean since the epoch began.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._steps_per_epoch = 0
        self._epoch_sums = np.zeros(0)  # of the losses of the epoch so far [S]
        self._series: dict[str, _Series] = {}
        self._recent_by_seed = np.zeros((0, 0), np.float32)  # the last losses [n, S]
        self._lock = threading.Lock()

    def mean_over_epochs(self, engine: Any) -> None:
        """Measure the mean of each epoch of an engine's run, where it has several. Nothing was recorded yet."""
        self._steps_per_epoch = engine.steps_per_epoch if engine.steps_per_epoch < engine.steps else 0

    def record(self, first_step: int, metrics: Mapping[str, np.ndarray]) -> int:
        """Add the metrics [n, S], "loss" among them, of the steps `first_step` and on: how many steps it added.

        It stops before the first step at which the median loss is not finite.
        """
        count = finite_steps(metrics)
        series = seed_series(metrics)
        if self._steps_per_epoch and EPOCH_MEAN not in metrics:
            means = self._epoch_means(first_step, metrics["loss"][:count])
            series[EPOCH_MEAN] = seed_series({EPOCH_MEAN: means})[EPOCH_MEAN]
        self.append(first_step, {name: values[:count] for name, values in series.items()})
        with self._lock:
            loss = metrics["loss"][:count]
            before = self._recent_by_seed if len(self._recent_by_seed) else loss[:0]
            self._recent_by_seed = np.concatenate([before, loss])[-RECENT:]
        return count

    def _epoch_means(self, first_step: int, losses: np.ndarray) -> np.ndarray:
        """The mean [n, S] of each seed's losses since the epoch of each step began."""
        before = self._epoch_sums if len(self._epoch_sums) else np.zeros(losses.shape[1])
        sums = np.concatenate([np.zeros((1, len(before))), losses.cumsum(axis=0, dtype=np.float64)])
        place = np.arange(len(losses))
        done = (first_step + place) % self._steps_per_epoch  # steps of the epoch before this one
        begun = np.where((done > place)[:, None], -before, sums[np.maximum(place - done, 0)])
        found = sums[1:] - begun
        if len(losses):
            ends = done[-1] + 1 == self._steps_per_epoch
            self._epoch_sums = np.zeros_like(before) if ends else found[-1]
        return found / (done + 1)[:, None]

    def append(self, first_step: int, values: Mapping[str, np.ndarray]) -> None:
        """Add the values [n] of the steps `first_step` and on. The series `loss` is smoothed as well."""
        with self._lock:
            smoothed = self._smoothed(np.asarray(values["loss"], np.float32)) if "loss" in values else {}
            for name, points in {**values, **smoothed}.items():
                steps = np.arange(first_step, first_step + len(points), dtype=np.int64)
                self._series.setdefault(name, _Series(name)).append(
                    steps, np.asarray(points, np.float32), self.capacity
                )

    def _smoothed(self, loss: np.ndarray) -> dict[str, np.ndarray]:
        """The exponential moving averages of the loss, going on from where each stands."""
        found = {}
        for span in SPANS if len(loss) else ():
            name = f"loss_smooth_{span}"
            before = self._series[name].recent if name in self._series else loss[:0]
            found[name] = moving_average(loss, float(before[-1] if len(before) else loss[0]), span)
        return found

    def delta(self, have: Mapping[str, tuple[int, int]], names: Sequence[str] | None = None) -> Delta:
        """What a reader lacks that has, of each series, `(generation, count of points)`.

        For each series with news: `generation`, `start` (the index that the new points begin at), `step` int32 [n] and
        `value` float32 [n]. The reader cuts its points at `start` and appends; 0 means that it begins anew.
        """
        with self._lock:
            found = {
                name: series.delta(have.get(name, (-1, 0)))
                for name, series in self._series.items()
                if names is None or name in names
            }
        return {name: delta for name, delta in found.items() if delta is not None}

    def _replace(self, name: str, part: Mapping[str, Any]) -> None:
        """Cut a series where another stream's delta begins, and append that. The lock is held."""
        series = self._series.setdefault(name, _Series(name))
        start = part["start"]
        series.steps = np.concatenate([series.steps[:start], part["step"]])
        series.values = np.concatenate([series.values[:start], part["value"]])
        series.generation = part["generation"]

    def summary(self) -> dict[str, dict[str, float | None]]:
        """Of each metric `last`, `best` and `mean_last_100`, of the values before thinning; None if unknown.

        Best is the lowest, of an accuracy the highest.
        """
        with self._lock:
            return {name: series.summary() for name, series in self._series.items() if "_smooth_" not in name}

    def final_by_seed(self) -> list[float | None]:
        """Each seed's mean loss over the last 100 steps, or over all where there are fewer; None if it is not finite."""
        with self._lock:
            recent = self._recent_by_seed
        return [_finite(value) for value in recent.mean(axis=0, dtype=np.float64)] if len(recent) else []

    def spark(self, count: int = 40) -> list[float]:
        """At most so many of the losses, evenly along the curve: enough for a thumbnail."""
        _, values = self.curve("loss")
        places = np.linspace(0, len(values) - 1, min(count, len(values))).astype(int)
        return [round(float(value), 4) for value in values[places]]

    def names(self) -> list[str]:
        """The series that there are."""
        with self._lock:
            return list(self._series)

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The points of one series: steps [n] and values [n]."""
        with self._lock:
            series = self._series.get(name) or _Series(name)
            return series.steps, series.values

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it as a flat dict of arrays, for the store."""
        with self._lock:
            parts = {f"{name}/{part}": value for name, s in self._series.items() for part, value in s.arrays().items()}
            numbers = {"capacity": np.array(self.capacity), "steps_per_epoch": np.array(self._steps_per_epoch)}
            return parts | numbers | {"recent_by_seed": self._recent_by_seed, "epoch_sums": self._epoch_sums}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "MetricStream":
        """The stream that `arrays` wrote; it goes on bit for bit."""
        stream = cls(int(arrays.get("capacity", CAPACITY)))
        stream._steps_per_epoch = int(arrays.get("steps_per_epoch", 0))
        stream._epoch_sums = np.asarray(arrays.get("epoch_sums", stream._epoch_sums))
        stream._recent_by_seed = np.asarray(arrays.get("recent_by_seed", stream._recent_by_seed))
        for name in {key.rpartition("/")[0] for key in arrays} - {""}:
            parts = ("step", "value", "generation", "recent", "best")
            stream._series[name] = _Series(name, {part: arrays[f"{name}/{part}"] for part in parts})
        return stream
