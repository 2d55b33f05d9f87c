"""The binary rule in the tutorial's setting: an independent implementation in NumPy and ours, 16 seeds each.

The independent one follows the description of 七步带你实现RNN循环神经网络小示例 (2018) and has nothing of this project in
it: one-hot bits, the state carried through 400 windows, gradients by hand, Adagrad with an accumulator that starts at 0.1.
The tutorial's code draws the weights of bit and state as one Glorot-uniform matrix, ours draws them apart: the independent
one does either.
"""

import os

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("UNROLLED_DEVICE", "cpu")

BITS, ROW, WINDOW, UNITS, RATE = 500_000, 2_000, 5, 6, 0.1  # ROW is what the tutorial calls batch_size
SEEDS, LAST = 16, 100
PLOTS = {"first plot": (1, 2), "second plot": (10, 11)}  # within the window's reach, and out of it


def main() -> None:
    """Say what 16 networks of each reach, for both of the tutorial's plots."""
    for plot, lags in PLOTS.items():
        print(f"{plot}, bits {lags[0]} and {lags[1]} back: mean loss of the last {LAST} of {ROW // WINDOW} steps")
        found = {
            "independent, one matrix": [independent(lags, seed, joint=True) for seed in range(SEEDS)],
            "independent, two matrices": [independent(lags, seed, joint=False) for seed in range(SEEDS)],
            "ours": ours(lags),
        }
        for name, losses in found.items():
            print(f"  {name:26} median {np.median(losses):.4f}, {min(losses):.4f} to {max(losses):.4f}")


def ours(lags: tuple[int, int]) -> list[float]:
    """What `python -m demos run binary-rule` reaches with its defaults, for each seed."""
    from demos.binary_rule.config import BinaryRuleConfig  # after the environment is set
    from demos.headless import Run, train
    from demos.registry import get

    config = BinaryRuleConfig(first_lag=lags[0], second_lag=lags[1], seeds=SEEDS)
    return [float(loss or np.nan) for loss in train(Run(get("binary-rule"), config)).stream.final_by_seed()]


def independent(lags: tuple[int, int], seed: int, *, joint: bool) -> float:
    """Train one network on 400 windows and return the mean loss of the last 100, in nats."""
    draw = np.random.default_rng(seed)
    inputs, targets = _data(draw, lags)  # both [R, L, 2]
    weights = [
        _glorot(draw, 2 + UNITS, UNITS) if joint else np.vstack([_glorot(draw, 2, UNITS), _glorot(draw, UNITS, UNITS)]),
        np.zeros(UNITS),
        _glorot(draw, UNITS, 2),
        np.zeros(2),
    ]
    sums = [np.full_like(weight, 0.1) for weight in weights]
    state, losses = np.zeros((len(inputs), UNITS)), []
    for start in range(0, ROW, WINDOW):
        window = slice(start, start + WINDOW)
        loss, state, gradients = _step(weights, state, inputs[:, window], targets[:, window])
        losses.append(loss)
        for weight, total, gradient in zip(weights, sums, gradients, strict=True):
            total += gradient**2
            weight -= RATE * gradient / np.sqrt(total)
    return float(np.mean(losses[-LAST:]))


def _data(draw: np.random.Generator, lags: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Bits and targets, one-hot, in rows [R, L, 2]: the opposite of the two bits where they are equal, else a coin."""
    bits, coins = draw.integers(0, 2, (2, BITS))
    first, second = (np.roll(bits, lag) for lag in lags)
    targets = np.where(first == second, 1 - first, coins)
    inputs, targets = (np.eye(2)[flat.reshape(-1, ROW)] for flat in (bits, targets))
    return inputs, targets


def _glorot(draw: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    limit = np.sqrt(6 / (rows + columns))
    return draw.uniform(-limit, limit, (rows, columns))


def _step(
    weights: list[np.ndarray], state: np.ndarray, inputs: np.ndarray, targets: np.ndarray
) -> tuple[float, np.ndarray, list[np.ndarray]]:
    """One window [R, T, 2]: the mean cross-entropy, the state after it and the gradients, which end at the window's start."""
    matrix, bias, output, output_bias = weights
    read, states, errors, loss = [], [], [], 0.0
    for step in range(WINDOW):
        read.append(np.hstack([inputs[:, step], state]))
        state = np.tanh(read[-1] @ matrix + bias)
        states.append(state)
        odds = np.exp(state @ output + output_bias)
        said = odds / odds.sum(axis=1, keepdims=True)
        loss -= float(np.log((said * targets[:, step]).sum(axis=1)).mean()) / WINDOW
        errors.append((said - targets[:, step]) / (len(inputs) * WINDOW))
    gradients, later = [np.zeros_like(weight) for weight in weights], np.zeros_like(state)
    for step in reversed(range(WINDOW)):
        back = (errors[step] @ output.T + later) * (1 - states[step] ** 2)
        parts = (read[step].T @ back, back.sum(axis=0), states[step].T @ errors[step], errors[step].sum(axis=0))
        gradients = [total + part for total, part in zip(gradients, parts, strict=True)]
        later = back @ matrix[2:].T
    return loss, state, gradients


if __name__ == "__main__":
    main()
