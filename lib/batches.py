"""How a flat series becomes the windows that one training step each reads."""

import numpy as np


def windows(flat: np.ndarray, batch_size: int, window: int) -> np.ndarray:
    """Cut flat series [S, length] into windows [W, T, S, B] of T = `window` steps and B = `batch_size` rows.

    The series is reshaped to B rows, and window w is the steps w*T to (w+1)*T of every row. What does not fill a row or
    a window is left out.
    """
    seeds, length = flat.shape
    row = length // batch_size
    count = row // window
    rows = flat[:, : batch_size * row].reshape(seeds, batch_size, row)[:, :, : count * window]
    return rows.reshape(seeds, batch_size, count, window).transpose(2, 3, 0, 1)
