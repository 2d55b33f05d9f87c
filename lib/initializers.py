"""Random weights to start from: `(rng, (inputs, outputs)) -> float32 array`, or of `(units,)` that each read one number."""

from collections.abc import Callable

import numpy as np


def uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform in [0, 1), as `np.random.rand` gives them in Hallström's tutorial."""
    return rng.random(shape).astype(np.float32)


def glorot(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform in ±sqrt(6 / (inputs + outputs)); of `(units,)` in ±sqrt(6 / (units + units)), as Keras has it.

    Glorot & Bengio (2010), equation 16.
    """
    limit = np.sqrt(6.0 / (shape[0] + shape[-1]))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


WEIGHTS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "uniform": uniform,
    "glorot": glorot,
}
