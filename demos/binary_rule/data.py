"""The rule's data: random bits, and for each a target that two earlier bits decide, or a coin."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

CONTEXTS = ("00", "01", "10", "11")  # what the rule's two bits can be, in the order of the lags
STRIP = 40  # bits of a strip: enough to see the rule at work, few enough to be drawn on a phone
GAMES = 8  # strips that a person can play, beside the one that is drawn
STRIPS_FROM = 2**32 + 1  # streams of random numbers that no epoch's bits and no weights come from


def series(length: int, lags: tuple[int, int], seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fair bits, their targets and the contexts, for one epoch: three uint8 arrays [length].

    The bits i - lags[0] and i - lags[1] are the context of target i: 0 for 00, 1 for 01, 2 for 10, 3 for 11. Where the
    two are equal the target is their opposite, else a fair coin. The bits before the first are drawn as well, so the rule
    holds from the first target on. The same seed and epoch always have the same.
    """
    longest = max(lags)
    draw = np.random.default_rng([seed, epoch])
    bits, coins = (_fair_bits(draw, longest + length) for _ in range(2))
    first, second = (bits[longest - lag : longest - lag + length] for lag in lags)
    targets = np.where(first == second, 1 - first, coins[:length])
    return bits[longest:], targets, 2 * first + second


def _fair_bits(draw: np.random.Generator, count: int) -> np.ndarray:
    return np.unpackbits(np.frombuffer(draw.bytes((count + 7) // 8), np.uint8), count=count)


def strip_length(time_step: int) -> int:
    """The whole windows that come nearest to 40 bits."""
    return time_step * max(1, round(STRIP / time_step))


class Strips(NamedTuple):
    """Sequences that are never trained on, row 0 to look at and the others to play with: uint8 [1 + GAMES, L] each."""

    inputs: np.ndarray
    targets: np.ndarray
    contexts: np.ndarray


@lru_cache(maxsize=64)
def strips(lags: tuple[int, int], time_step: int, seed: int) -> Strips:
    """The strips of a setting, from random numbers of their own."""
    found = [series(strip_length(time_step), lags, seed, STRIPS_FROM + i) for i in range(1 + GAMES)]
    return Strips(*(np.stack(arrays) for arrays in zip(*found, strict=True)))
