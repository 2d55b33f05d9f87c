"""The signature search over 1,000,000 characters of an LSTM of 64 units: seconds and peak memory, of index and search."""

import resource
import time

import numpy as np
from threadpoolctl import threadpool_limits

from lib.signature import Index, build, search

LENGTH, TOKENS, UNITS, SPAN = 1_000_000, 64, 64, 5


def main() -> None:
    """Print the seconds to build an index, then to search signatures of several sizes."""
    threadpool_limits(1, user_api="blas")  # as the server has it (app/main.py)
    rng = np.random.default_rng(0)
    params, tokens = _network(rng), rng.integers(0, TOKENS, LENGTH)
    before = _peak()
    for threshold in (0.3, 0.0):
        started = time.perf_counter()
        index = build("lstm", params, tokens, part="c", threshold=threshold)
        seconds = time.perf_counter() - started
        share = float(np.mean([index.on(unit).mean() for unit in range(UNITS)]))
        print(f"index, {share:.0%} of the bits on: {seconds:.2f} s, {_peak() - before:+.0f} MB at its peak", flush=True)
        for size in (1, 2, 3, 5, 10, 20, 64):
            times, matches = zip(*(_search(index, size, int(at)) for at in rng.integers(0, LENGTH, 20)), strict=True)
            print(
                f"  search {size:2} units: median {np.median(times) * 1e3:5.1f} ms, slowest {max(times) * 1e3:5.1f} ms, "
                f"{np.median(matches):.0f} matches; {_peak() - before:+.0f} MB"
            )


def _network(rng: np.random.Generator) -> dict:
    """Weights of which units are now on, now off."""

    def normal(scale: float, *shape: int) -> np.ndarray:
        return rng.normal(0, scale, shape).astype(np.float32)

    cell = {"input_weights": normal(1, TOKENS, 4 * UNITS), "recurrent_weights": normal(0.2, UNITS, 4 * UNITS)}
    output = {"weights": normal(0.1, UNITS, TOKENS), "bias": np.zeros(TOKENS, np.float32)}
    return {"cell": cell | {"bias": np.zeros(4 * UNITS, np.float32)}, "output": output}


def _search(index: Index, size: int, at: int) -> tuple[float, int]:
    """Seconds, and how many are found, with the units that are most on just there."""
    share = [index.on(unit)[at : at + SPAN].mean() for unit in range(UNITS)]
    units = tuple(np.argsort(share)[::-1][:size].tolist())
    started = time.perf_counter()
    found = search(index, units, SPAN, exclude=(at, at + SPAN))
    return time.perf_counter() - started, len(found)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
