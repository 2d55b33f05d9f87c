"""Sentences per second of the model from scratch in each of the four hands, at several sizes, and how far they agree.

The same engine as the page's race: all hands train in turn, each for the same time, so what else the machine does slows all
of them alike. As in the server, NumPy computes in one thread.
"""

import numpy as np

from demos.from_scratch import task
from demos.from_scratch.config import HANDS, RUNNERS, FromScratchConfig
from demos.from_scratch.engine import RaceEngine, initial, speeds

ROUNDS = 40
SIZES = {
    "10 units, 100 words": FromScratchConfig(hands="race", hidden_units=10, vocabulary_size=100),
    "100 units, 500 words (the page's)": FromScratchConfig(hands="race"),
    "256 units, 500 words": FromScratchConfig(hands="race", hidden_units=256),
    "100 units, all 1,003 words of 5,000 sentences of our grammar": FromScratchConfig(
        hands="race", corpus="grammar", sentences=5_000, vocabulary_size=8_000
    ),
}


def main() -> None:
    """Print each hand's sentences per second, its ratio to NumPy's, and its loss beside NumPy's after the same sentences."""
    for title, config in SIZES.items():
        race = task.build(config)
        assert isinstance(race, RaceEngine)
        race.prepare()
        carry = race.initial()
        for _ in range(ROUNDS):
            carry, _ = race.run(carry, 1)
        found = dict(zip(RUNNERS, speeds(carry), strict=True))
        print(f"{title}; parameters: {sum(weights.size for weights in carry.carries[0].parameters):,}")
        for name, speed in found.items():
            print(
                f"  {HANDS[name]:24} {speed:9,.0f} sentences/s  {speed / found['numpy']:6.2f} × NumPy  "
                f"loss differs by {_difference(config, name):.1e}",
                flush=True,
            )


def _difference(config: FromScratchConfig, name: str) -> float:
    """The greatest relative difference of a hand's losses from NumPy's over the first 30 sentences."""
    losses = []
    for each in ("numpy", name):
        hand = task.hand(config, each)
        hand.prepare()
        losses.append(hand.learn(initial(config), 0, 30, config.learning_rate)[1])
    return float(np.abs(losses[1] / losses[0] - 1).max())
