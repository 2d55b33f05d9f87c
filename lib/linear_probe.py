"""Linear probes: what can be read off a network's states by a linear model, whatever its own output makes of them.

Alain & Bengio, "Understanding intermediate layers using linear classifier probes" (2016), section 3. NumPy only.
"""

from typing import Any

import numpy as np

from lib.trace import trace

STEPS, ROWS = 60, 64  # of fresh random bits
BITS = 2**32 + 7  # the stream of random numbers that they come from: no data and no weights do


def _read(cell: str, network: Any) -> tuple[np.ndarray, np.ndarray]:
    """Fresh random bits [T, B], and the hidden states after each of them [T, B, H], from a state of zeros.

    A network with one input reads a bit as a number, one with two reads it one-hot.
    """
    bits = np.random.default_rng(BITS).integers(0, 2, (STEPS, ROWS))
    one_number = len(network["cell"]["input_weights"]) == 1
    return bits, trace(cell, network, bits[..., None].astype(np.float32) if one_number else bits)["h"]


def accuracy(states: np.ndarray, bits: np.ndarray) -> float:
    """The share of bits [N] that least squares, fitted to half of the states [N, H], tell on the other half."""
    inputs = np.concatenate([states, np.ones((len(states), 1), states.dtype)], axis=1).astype(np.float64)
    half = len(inputs) // 2
    weights, *_ = np.linalg.lstsq(inputs[:half], 2.0 * bits[:half] - 1.0, rcond=None)
    return float(((inputs[half:] @ weights > 0) == (bits[half:] > 0)).mean())


def recalled(cell: str, network: Any, back: int) -> list[float]:
    """How often a probe is right about the bit that was read 0, 1, … up to `back` steps ago, for a network that reads bits."""
    bits, states = _read(cell, network)
    flat = states[back:].reshape(-1, states.shape[-1])
    return [accuracy(flat, bits[back - lag : STEPS - lag].reshape(-1)) for lag in range(back + 1)]


def saturation(cell: str, network: Any) -> float:
    """The share of activations beyond ±0.9, for a network that reads bits."""
    return float((np.abs(_read(cell, network)[1]) > 0.9).mean())
