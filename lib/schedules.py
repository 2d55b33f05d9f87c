"""Schedules: how many times its setting the learning rate is at each step."""

from collections.abc import Callable
from typing import Any

import numpy as np

START = 0.04  # of the greatest rate, at the start of a cycle


def steps(config: Any, epochs: np.ndarray, progress: np.ndarray) -> np.ndarray:
    """1 for `flat_epochs` epochs, then `decay` times less for each further one. Zaremba et al. (2014), section 4.1."""
    return config.decay ** np.maximum(epochs + 1 - config.flat_epochs, 0)


def one_cycle(config: Any, epochs: np.ndarray, progress: np.ndarray) -> np.ndarray:
    """Straight up to 1 in the share `rising` of the run, then straight down to 0. Smith & Topin, "Super-convergence" (2017)."""
    share = max(config.rising, 1e-6)
    rising = START + (1 - START) * progress / share
    return np.where(progress < share, rising, (1 - progress) / (1 - share))


SCHEDULES: dict[str, Callable[[Any, np.ndarray, np.ndarray], np.ndarray]] = {"steps": steps, "one_cycle": one_cycle}


def rate(config: Any, step: np.ndarray, steps_per_epoch: int, steps: int) -> np.ndarray:
    """The factor at each of these steps [N], by the schedule that `config.schedule` names."""
    return SCHEDULES[config.schedule](config, step // steps_per_epoch, np.minimum(step / steps, 1.0))
