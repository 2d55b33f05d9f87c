"""The echo series and its windows against their definition, written out."""

import numpy as np
import pytest

from demos.echo.config import EchoConfig
from demos.echo.data import series
from demos.echo.task import EchoTask
from lib.batches import windows


@pytest.mark.parametrize("echo_step", [1, 3, 16, 40])
@pytest.mark.parametrize("length", [1, 7, 33])
def test_target_is_the_input_some_steps_before(length: int, echo_step: int) -> None:
    bits, targets = series(length, echo_step, seed=2, epoch=5)
    assert [int(t) for t in targets] == [int(bits[i - echo_step]) if i >= echo_step else 0 for i in range(length)]


def test_bits_are_fair_and_new_in_each_epoch_and_seed() -> None:
    draws = [series(50_000, 3, seed, epoch)[0] for seed in (0, 1) for epoch in (0, 1)]
    for i, bits in enumerate(draws):
        assert abs(bits.mean() - 0.5) < 0.01
        assert all(abs((bits == other).mean() - 0.5) < 0.01 for other in draws[:i])
    np.testing.assert_array_equal(draws[0], series(50_000, 3, 0, 0)[0])


def test_windows_are_the_tutorials() -> None:
    flat = np.arange(2 * 100).reshape(2, 100)
    cut = windows(flat, batch_size=3, window=5)
    rows = flat[:, :99].reshape(2, 3, 33)
    assert cut.shape == (6, 5, 2, 3)
    for w in range(6):
        for t in range(5):
            np.testing.assert_array_equal(cut[w, t], rows[:, :, w * 5 + t])


def test_blocks_go_on_where_the_one_before_ended() -> None:
    config = EchoConfig(series_length=500_000, epochs=9, batch_size=5, truncated_backprop_length=15)
    task = EchoTask(config)
    second = task.block(1)
    epochs_per_block = task.windows_per_block // task.steps_per_epoch
    bits, targets = series(500_000, 3, seed=0, epoch=epochs_per_block)
    for name, flat in (("inputs", bits), ("targets", targets)):
        np.testing.assert_array_equal(second[name][: task.steps_per_epoch], windows(flat[None], 5, 15))
    assert list(np.flatnonzero(second["carry"] == 0)) == [i * task.steps_per_epoch for i in range(epochs_per_block)]
