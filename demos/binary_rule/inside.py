"""What can be looked at inside a binary-rule network (see lib.reading)."""

import numpy as np

from demos.binary_rule.config import BinaryRuleConfig
from demos.binary_rule.data import series
from lib.reading import Language, ReadingError, Readings, bit_factors, check

SEQUENCES, STEPS = 64, 60
HELD_OUT = 2**32  # a stream of random numbers that no epoch's bits, no weights and no strips come from
BITS = ("0", "1")


def language(config: BinaryRuleConfig) -> Language:
    """Bits in, bits out."""
    return Language(BITS, BITS)


def window(config: BinaryRuleConfig) -> int:
    """How many steps the gradient goes back in training."""
    return config.time_step


def hint(config: BinaryRuleConfig) -> str:
    """What can be typed."""
    return "Type bits, such as 0110100."


def held_out(config: BinaryRuleConfig) -> Readings:
    """Sequences of bits that are never trained on, and what the rule and the coins made of them."""
    flat = series(SEQUENCES * STEPS, config.lags, config.seed, HELD_OUT)[:2]
    bits, targets = (part.reshape(SEQUENCES, STEPS).T for part in flat)
    known = np.broadcast_to(np.arange(STEPS)[:, None] >= max(config.lags), bits.shape)
    return _read(config, bits, targets, known)


def typed(config: BinaryRuleConfig, text: str) -> Readings:
    """Bits that somebody typed; asked is only where the rule decides. Raises ReadingError."""
    text = "".join(text.split())
    check(text, BITS)
    bits = np.array([int(letter) for letter in text], np.uint8)[:, None]
    first, second = (np.concatenate([np.zeros((lag, 1), np.uint8), bits])[: len(bits)] for lag in config.lags)
    decided = (first == second) & (np.arange(len(bits))[:, None] >= max(config.lags))
    if not decided.any():
        raise ReadingError("The rule decides nothing in it: type more bits.")
    return _read(config, bits, 1 - first, decided)


def _read(config: BinaryRuleConfig, bits: np.ndarray, targets: np.ndarray, asked: np.ndarray) -> Readings:
    """Bits [T, B] as a network reads them: as tokens, which stand for one-hot rows, or as one number each."""
    factors = bit_factors(bits, sorted({0, *config.lags}))
    read = bits if config.bit_input == "one-hot" else bits[..., None].astype(np.float32)
    return Readings(read, targets, asked, factors)
