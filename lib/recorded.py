"""A recorded run as an engine: it replays what another machine measured, at any speed, and trains nothing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lib.history import Arrays

STEPS_AT_ONCE = 500


class Recording(NamedTuple):
    """What was kept of a run: `machine` and `date` say where it ran, `seconds` how long it trained, `metrics` are [n] each.

    `diary` holds the notes of each time that it was measured (see lib.evaluation.Kept), `summary` all else by name.
    """

    machine: str
    date: str
    seconds: float
    config: dict[str, Any]
    diary: list[dict[str, Any]]
    summary: dict[str, Any]
    metrics: Arrays

    def save(self, path: Path) -> None:
        """Write it: NAME.json with what one can read, NAME.npz with the metrics, in half precision."""
        told = {name: value for name, value in self._asdict().items() if name != "metrics"}
        path.with_suffix(".json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        halves: dict[str, Any] = {name: values.astype(np.float16) for name, values in self.metrics.items()}
        np.savez_compressed(path.with_suffix(".npz"), **halves)

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """Read what `save` wrote."""
        told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            metrics = {name: arrays[name].astype(np.float32) for name in arrays.files}
        return cls(**told, metrics=metrics)


class Place(NamedTuple):
    """How far a replay is: its carry (see lib.training.Carry), without weights."""

    step: int
    evaluated: int

    def to_arrays(self) -> Arrays:
        """The same as arrays."""
        return {"step": np.array(self.step), "evaluated": np.array(self.evaluated)}

    def weights(self) -> Arrays:
        """The same: a replay has no weights."""
        return self.to_arrays()


class Replay:
    """An engine (see lib.training.Engine) whose `metrics` [n, 1] and `diary` were recorded."""

    seeds = 1
    task = None  # nothing is trained

    def __init__(
        self, config: Any, recording: Recording, metrics: Mapping[str, np.ndarray], steps_per_epoch: int
    ) -> None:
        self.config, self._metrics, self.steps_per_epoch = config, metrics, steps_per_epoch
        self.steps = len(metrics["loss"])
        self.device = f"recorded on {recording.date}: {recording.machine}"
        self._notes = {note["step"]: note for note in recording.diary}

    def prepare(self, *, keep: bool = False) -> None:
        """Nothing to compile."""

    def initial(self, start: Any = None) -> Place:
        """The start. Raises ValueError for a fork: there are no weights to begin with."""
        if start is not None:
            raise ValueError("A recorded run has no weights, so nothing can begin with them: train one here.")
        return Place(0, 0)

    def carry_from(self, arrays: Mapping[str, np.ndarray]) -> Place:
        """The place that `to_arrays` wrote."""
        return Place(int(arrays["step"]), int(arrays["evaluated"]))

    def run(self, carry: Place, steps: int, live: Mapping[str, float] | None = None) -> tuple[Place, Arrays]:
        """The metrics of up to `steps` further steps, at most to the next measurement."""
        ends = [step for step in self._notes if step > carry.step]
        end = min(carry.step + min(steps, STEPS_AT_ONCE), self.steps, *ends)
        return Place(end, carry.evaluated), {name: all_[carry.step : end] for name, all_ in self._metrics.items()}

    def evaluates(self, carry: Place) -> bool:
        """Whether it was measured here."""
        return carry.step in self._notes and carry.evaluated < carry.step

    def evaluate(self, carry: Place) -> tuple[Place, dict[str, float]]:
        """What was measured here."""
        note = self._notes[carry.step]
        found = {name: value for name, value in note.items() if name.endswith("_perplexity")}
        return Place(carry.step, carry.step), found

    def keep(self, carry: Place) -> Any:
        """What was noted here; there is no network."""
        from lib.evaluation import Kept

        note = self._notes[carry.step]
        return Kept({name: value for name, value in note.items() if name != "step"}, {})

    def observe(self, carry: Place) -> Arrays:
        """Nothing."""
        return {}
