"""Random weights to start from: `(rng, (inputs, outputs)) -> float32 array`."""

from collections.abc import Callable

import numpy as np


def uniform(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Uniform in [0, 1), as `np.random.rand` gives them in Hallström's tutorial."""
    return rng.random(shape).astype(np.float32)


def glorot(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Uniform in ±sqrt(6 / (inputs + outputs)). Glorot & Bengio (2010), equation 16."""
    limit = np.sqrt(6.0 / sum(shape))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


WEIGHTS: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "uniform": uniform,
    "glorot": glorot,
}
