"""How memory grows over 200 runs of varied shapes, through the same jobs and store as the app's."""

import gc
import tempfile
import time
from pathlib import Path

import numpy as np

from demos.registry import get
from lib.jobs import Jobs
from lib.store import Store

RUNS, FIRST = 200, 20


def main() -> None:
    """Print the resident memory after the first 20 runs and after each 20 more."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as home:
        jobs = Jobs(Store(Path(home)), build=lambda s, c: get(s).build(c), config_of=lambda s: get(s).config)
        base = 0.0
        for count in range(1, RUNS + 1):
            _run(jobs, rng)
            if count % FIRST == 0:
                gc.collect()
                now = _resident()
                base = base or now
                print(f"after {count:3} runs {now:7.0f} MB, {now - base:+7.0f} MB", flush=True)
        jobs.shutdown()


def _run(jobs: Jobs, rng: np.random.Generator) -> None:
    config = get("echo").config(
        series_length=4000,
        epochs=2,
        cell=str(rng.choice(["rnn", "rnn", "rnn", "lstm", "gru"])),
        state_size=int(rng.integers(1, 17)),
        truncated_backprop_length=int(rng.integers(3, 21)),
        batch_size=int(rng.integers(1, 9)),
        optimizer=str(rng.choice(["adagrad", "momentum", "rmsprop", "adam"])),
        seeds=int(rng.choice([1, 1, 2, 4])),
        learning_rate=0.05,
    )
    job = jobs.start("echo", config, "visitor")
    while job.active:
        time.sleep(0.005)
    assert job.state == "finished", job.error


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
