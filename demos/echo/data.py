"""The echo task's data: random bits, and the same bits some steps later."""

import numpy as np


def series(length: int, echo_step: int, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Fair bits and their echo, for one epoch: two uint8 arrays [length].

    Target i is bit i - echo_step; the first echo_step targets are 0. Every epoch and every seed has bits of its own,
    and the same seed and epoch always have the same.
    """
    random_bytes = np.random.default_rng([seed, epoch]).bytes((length + 7) // 8)
    bits = np.unpackbits(np.frombuffer(random_bytes, np.uint8), count=length)
    targets = np.zeros_like(bits)
    targets[echo_step:] = bits[: max(length - echo_step, 0)]
    return bits, targets
