"""What a job's turn asks of its engine: the first carry, and a chunk of steps that keeps the networks on its way."""

from typing import Any

import numpy as np

from lib.history import History
from lib.job import Job


def first(engine: Any, job: Job) -> Any:
    """The carry at step 0."""
    if job.origin is None:
        return engine.initial()
    if job.start is None:
        raise ValueError("The weights that this run begins with are lost: fork once more.")
    return engine.initial(job.start)


def train(
    engine: Any, carry: Any, steps: int, live: dict[str, float], history: History
) -> tuple[Any, dict[str, np.ndarray], list[Any]]:
    """Train up to `steps` steps, as `engine.run`: (new carry, metrics, the carries on the way that `history` is to keep).

    Each call of the engine ends where one is to be kept. A call that short tells nothing of the pace: measure all together.
    """
    target, pieces, kept = carry.step + steps, [], []
    while carry.step < target:
        stop = min(target, history.next_after(carry.step) or target)
        carry, metrics = engine.run(carry, stop - carry.step, live)
        pieces.append(metrics)
        if carry.step < stop:  # the end of a block of data, or of the run
            break
        if carry.step in history.planned:
            kept.append(carry)
    return carry, {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}, kept


def exactly(engine: Any, carry: Any, steps: int, live: dict[str, float]) -> Any:
    """The carry `steps` steps on; `engine.run` may do fewer at a time."""
    target = carry.step + steps
    while carry.step < target:
        carry, _ = engine.run(carry, target - carry.step, live)
    return carry
