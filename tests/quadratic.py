"""A real, small network's place in jobs: gradient descent on a parabola, in NumPy, with knobs for what can go wrong."""

import time
from typing import Any, NamedTuple

import numpy as np

import lib.trainer
from lib.settings import Config, setting
from lib.store import MemoryStore, Store


class QuadraticConfig(Config):
    """Gradient descent on (w - target)^2, with knobs for what can go wrong."""

    steps: int = setting(200, group="Task", label="Steps", help="How many.", minimum=1, maximum=10**9)
    seeds: int = setting(1, group="Task", label="Seeds", help="How many.", minimum=1, maximum=64)
    nap: float = setting(0.0, group="Task", label="Nap", help="Seconds for each step.", minimum=0, maximum=1)
    fail_at: int = setting(
        -1, group="Task", label="Fail", help="At which step; -2 is in prepare.", minimum=-2, maximum=10**9
    )
    learning_rate: float = setting(
        0.01, group="Task", label="Rate", help="How far.", minimum=1e-6, maximum=1e9, scale="log", live=True
    )
    clip_norm: float = setting(0.0, group="Task", label="Clip", help="How long.", minimum=0, maximum=10, live=True)

    @property
    def wants_gpu(self) -> bool:
        return self.seeds > 4

    @property
    def windows_per_epoch(self) -> int:
        return 50


class Carry(NamedTuple):
    step: int
    values: np.ndarray

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {"step": np.array(self.step), "weights": self.values}

    def weights(self) -> dict[str, np.ndarray]:
        return self.to_arrays()


class Engine:
    """The protocol of lib.training.Engine, in NumPy."""

    device = "NumPy"

    def __init__(self, config: QuadraticConfig) -> None:
        self.config, self.steps, self.steps_per_epoch = config, config.steps, config.windows_per_epoch

    def prepare(self) -> None:
        if self.config.fail_at == -2:
            raise RuntimeError("no such shapes")

    def initial(self) -> Carry:
        return Carry(0, np.linspace(1, 2, self.config.seeds))

    def carry_from(self, arrays: dict[str, np.ndarray]) -> Carry:
        return Carry(int(arrays["step"]), arrays["weights"])

    def evaluates(self, carry: Carry) -> bool:
        return False

    def run(self, carry: Carry, steps: int, live: dict[str, float]) -> tuple[Carry, dict[str, np.ndarray]]:
        steps, losses, (step, weights) = min(steps, self.steps - carry.step, 37), [], carry
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(steps):
                if step == self.config.fail_at:
                    raise RuntimeError("the data is gone")
                target = np.sin(step)  # so that every step's number is its own
                losses.append((weights - target) ** 2)
                weights = weights - live["learning_rate"] * 2 * (weights - target)
                step += 1
            loss = np.array(losses, np.float32).reshape(-1, self.config.seeds)
        time.sleep(self.config.nap * steps)
        return Carry(step, weights), {"loss": loss}

    def observe(self, carry: Carry) -> dict[str, np.ndarray]:
        return {"weights": carry.values}


def build(slug: str, config: QuadraticConfig) -> Engine:
    """The engine of every demo."""
    return Engine(config)


def config_of(slug: str) -> type[QuadraticConfig]:
    """The settings of every demo."""
    return QuadraticConfig


def write_often() -> None:
    """Have checkpoints written so often that one can see a process killed between them."""
    lib.trainer.SAVE_EVERY = 0.05


def write_often_and_take_slowly() -> None:
    """The same, and have what is told meanwhile be seen when a run is taken over."""

    def slow(store: Store, *about: str) -> bool:
        time.sleep(0.3)
        return take(store, *about)

    write_often()
    take = Store.take
    Store.take = slow  # type: ignore[method-assign]


def fill_the_disk() -> None:
    """Have nothing written to the disk any more."""

    def full(store: Store, record: object, arrays: object = None) -> None:
        if not isinstance(store, MemoryStore):
            raise OSError(28, "No space left on device")
        save(store, record, arrays)

    save: Any = Store.save
    Store.save = full  # type: ignore[assignment, method-assign]
