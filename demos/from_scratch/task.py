"""Who trains: the NumPy functions that the page shows, one of TensorFlow's hands, or all in a race."""

from demos.from_scratch.config import RUNNERS, FromScratchConfig
from demos.from_scratch.engine import Hand, NumPyHand, RaceEngine, ScratchEngine, initial


def hand(config: FromScratchConfig, name: str) -> Hand:
    """One of RUNNERS, for these settings. TensorFlow is imported only where it computes."""
    pairs, truncate = config.words.pairs, config.truncate
    if name == "numpy":
        return NumPyHand(pairs, truncate)
    from demos.from_scratch import hands

    if name == "xla":
        return hands.ChunkHand(pairs, truncate, initial(config))
    return hands.StepHand(pairs, truncate, initial(config), graph=name == "graph")


def build(config: FromScratchConfig) -> ScratchEngine | RaceEngine:
    """The engine that trains with these settings."""
    if config.hands == "race":
        return RaceEngine(config, {name: hand(config, name) for name in RUNNERS})
    return ScratchEngine(config, hand(config, config.hands))
