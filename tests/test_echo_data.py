"""The echo series and its windows against their definition, written out."""

import numpy as np
import pytest

from demos.echo.config import EchoConfig
from demos.echo.data import series
from demos.echo.task import EchoTask
from lib.batches import windows
from lib.settings import SettingError, clamp, parse, recorded
from lib.tf import tf


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


@pytest.mark.parametrize("stride", [1, 2, 5])
def test_overlapping_windows_begin_a_stride_apart(stride: int) -> None:
    flat = np.arange(2 * 40).reshape(2, 40)
    cut = windows(flat, 3, 5, stride)
    rows = flat[:, :39].reshape(2, 3, 13)
    starts = range(0, 13 - 5 + 1, stride)
    assert cut.shape == (len(starts), 5, 2, 3)
    for w, start in enumerate(starts):
        for t in range(5):
            np.testing.assert_array_equal(cut[w, t], rows[:, :, start + t])


@pytest.mark.parametrize("stride", [0, 1, 4, 7])
def test_each_window_of_a_block_is_that_of_its_epoch(stride: int) -> None:
    config = EchoConfig(series_length=101, batch_size=3, truncated_backprop_length=7, stride=stride, epochs=3, seeds=2)
    task = EchoTask(config)
    block, count = task.block(0), task.steps_per_epoch
    for epoch in range(config.epochs + 1):
        pairs = [series(101, 3, seed, epoch) for seed in range(2)]
        for name, flat in zip(("inputs", "targets"), zip(*pairs, strict=True), strict=True):
            expected = windows(np.stack(flat), 3, 7, stride)
            assert len(expected) == count
            for place in range(count):
                window = task.cut({key: tf.constant(array) for key, array in block.items()}, epoch * count + place)
                np.testing.assert_array_equal(window[name], expected[place])
                assert float(window["carry"]) == (place > 0)


def test_a_stride_beyond_the_window_is_refused_with_the_remedy() -> None:
    with pytest.raises(SettingError, match=r"^stride = 16 is more than the window of 15 steps.*: choose 15 or less"):
        parse(EchoConfig, {"stride": 16})
    config, notes = clamp(
        EchoConfig, {"stride": 40, "truncated_backprop_length": 30, "batch_size": 64, "series_length": 100}
    )
    assert (config.stride, config.series_length) == (30, 30 * 64)
    assert [note.split(" = ")[0] for note in notes] == ["stride", "series_length"]


def test_a_run_from_before_there_was_a_stride_opens_without_overlap() -> None:
    old = EchoConfig().model_dump()
    del old["stride"]
    config = recorded(EchoConfig, old)
    assert config == EchoConfig() and config.overlap == 0
