"""Where the two ways to multiply in `lib.cells.linear` cross: µs per step, all one way and all the other."""

import time

from demos.echo.config import EchoConfig
from demos.echo.task import EchoTask
from lib import cells
from lib.training import Engine


def main() -> None:
    """Measure tanh RNN and LSTM at several widths."""
    print(f"{'cell':5} {'units':>5} {'matmul':>9} {'multiply and sum':>17}")
    for cell in ("rnn", "lstm"):
        for units in (8, 16, 32, 64):
            matmul, broadcast = (_microseconds(cell, units, narrow) for narrow in (0, 10**9))
            print(f"{cell:5} {units:5} {matmul:9.1f} {broadcast:17.1f}", flush=True)


def _microseconds(cell: str, units: int, narrow: int) -> float:
    cells.NARROW = narrow
    config = EchoConfig(cell=cell, state_size=units, series_length=50_000 + 100 * (narrow > 0))  # no shared chunk
    engine = Engine(EchoTask(config), "cpu")
    engine.prepare()
    carry, steps = engine.initial(), max(50, 8000 // units)
    times = []
    for _ in range(4):
        started = time.perf_counter()
        engine.run(carry, steps)
        times.append((time.perf_counter() - started) / steps)
    return min(times) * 1e6
