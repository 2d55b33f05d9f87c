"""How a flat series becomes the windows that one training step each reads."""

import numpy as np


def windows(flat: np.ndarray, batch_size: int, window: int, stride: int = 0) -> np.ndarray:
    """Cut flat series [S, length] into windows [W, T, S, B] of T = `window` steps and B = `batch_size` rows: a view.

    The series is reshaped to B rows, and window w begins at step w * `stride` of every row. With 0 the stride is T: the next
    window begins where the one before ends. What does not fill a row or a window is left out.
    """
    seeds, length = flat.shape
    row = length // batch_size
    rows = flat[:, : batch_size * row].reshape(seeds, batch_size, row)
    cut = np.lib.stride_tricks.sliding_window_view(rows, window, axis=2)[:, :, :: stride or window]
    return cut.transpose(2, 3, 0, 1)
