"""Steps per second of a run at full speed while somebody watches it: trained in threads, in a process of its own, and by Ray.

`python -m benchmarks.backends BACKEND DEMO` measures one of them in its own process and prints one JSON line.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.watched import CLIENT, serve
from demos.registry import get
from lib import corpora
from lib.backends import BACKENDS, open_jobs
from lib.settings import Config, parse

ROUNDS, TARGET = {"echo": 5, "ptb": 3}, 0.15
WARM_UP, SECONDS = 4.0, 12.0


def main() -> None:
    """Measure each in turn, several times over."""
    print(f"load {os.getloadavg()[0]:.1f} before")
    for slug, rounds in ROUNDS.items():
        found: dict[str, list[float]] = {name: [] for name in BACKENDS}
        for _ in range(rounds):
            for name, rates in found.items():
                rates.append(_one(name, slug))
        print(f"{_config(slug)[1]}: steps/s, median of {rounds} (share lost against threads, median of each round's)")
        for name, rates in found.items():
            lost = statistics.median(1 - rate / alone for rate, alone in zip(rates, found["threads"], strict=True))
            print(
                f"  {name:8} {statistics.median(rates):10,.1f}   {lost:+.1%}   {' '.join(f'{r:,.1f}' for r in rates)}"
            )
    print(f"target: at most {TARGET:.0%} lost")


def _one(name: str, slug: str) -> float:
    command = [sys.executable, "-m", "benchmarks.backends", name, slug]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    rate: float = json.loads(done.stdout.splitlines()[-1])["rate"]
    return rate


def _config(slug: str) -> tuple[Config, str]:
    """What is trained, and what that is called."""
    kind = get(slug).config
    if slug == "echo":
        return parse(kind, {"epochs": "1000", "series_length": "1000000"}), "the echo demo"
    corpus = "ptb" if corpora.is_here() else "grammar"
    return parse(kind, {"model": "small", "corpus": corpus}), f"PTB small ({corpus})"


def measure(name: str, slug: str) -> float:
    """Steps per second by the clock, of a run that another process watches over HTTP."""
    with tempfile.TemporaryDirectory() as home:
        from app import service

        jobs = open_jobs(name, Path(home), build="demos.registry.build", config_of="demos.registry.config_of")
        service._jobs = lambda: jobs  # type: ignore[assignment]
        job = jobs.start(slug, _config(slug)[0], "benchmark")
        address = f"http://127.0.0.1:{serve()}/api/runs/{job.id}/events"
        with subprocess.Popen([sys.executable, "-c", CLIENT, address], stdout=subprocess.DEVNULL) as client:
            while not job.step:
                time.sleep(0.1)
            time.sleep(WARM_UP)
            step, began = job.step, time.monotonic()
            time.sleep(SECONDS)
            rate = (job.step - step) / (time.monotonic() - began)
            client.terminate()
        if not job.active:
            raise RuntimeError("the run is too short for this machine")
        jobs.shutdown()
    return rate


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps({"rate": measure(*sys.argv[1:])}), flush=True)
        os._exit(0)  # the stream's server still waits for its thread
    main()
