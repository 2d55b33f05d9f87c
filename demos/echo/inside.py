"""What can be looked at inside an echo network (see lib.reading)."""

import numpy as np

from demos.echo.config import EchoConfig
from demos.echo.data import series
from lib.reading import Language, ReadingError, Readings, bit_factors, check

SEQUENCES, STEPS = 64, 60
HELD_OUT = 2**32 + 1  # a stream of random numbers that no epoch's bits and no weights come from
BITS = ("0", "1")


def language(config: EchoConfig) -> Language:
    """Bits in, bits out."""
    return Language(BITS, BITS)


def window(config: EchoConfig) -> int:
    """How many steps the gradient goes back in training."""
    return config.truncated_backprop_length


def hint(config: EchoConfig) -> str:
    """What can be typed."""
    return "Type bits, such as 0110100."


def held_out(config: EchoConfig) -> Readings:
    """Sequences of bits that are never trained on."""
    bits, _ = series(SEQUENCES * STEPS, config.echo_step, config.seed, HELD_OUT)
    return _read(config, bits.reshape(SEQUENCES, STEPS).T)


def typed(config: EchoConfig, text: str) -> Readings:
    """Bits that somebody typed. Raises ReadingError."""
    text = "".join(text.split())
    check(text, BITS)
    if len(text) <= config.echo_step:
        raise ReadingError(f"It is too short to repeat anything: type more than {config.echo_step} bits.")
    return _read(config, np.array([int(letter) for letter in text], np.uint8)[:, None])


def _read(config: EchoConfig, bits: np.ndarray) -> Readings:
    """Bits [T, B] as a network reads them: one number each."""
    echo = config.echo_step
    targets = np.zeros_like(bits)
    targets[echo:] = bits[: len(bits) - echo]
    known = np.broadcast_to(np.arange(len(bits))[:, None] >= echo, bits.shape)
    return Readings(bits[..., None].astype(np.float32), targets, known, bit_factors(bits, range(echo + 1)))
