"""µs per training step of the echo demo, each way in a process of its own, one after the other."""

import json
import subprocess
import sys

from benchmarks.peers import PEERS

ROUNDS = 3


def main() -> None:
    """Measure all of them in turn, several times over, and print medians and ratios."""
    found: dict[str, list[dict]] = {name: [] for name in PEERS}
    for _ in range(ROUNDS):
        for name, results in found.items():
            if not any("missing" in result for result in results):
                results.append(one(name))
    medians = {
        name: sorted(r["microseconds"] for r in rs)[len(rs) // 2]
        for name, rs in found.items()
        if "microseconds" in rs[0]
    }
    base, jax = medians.get("tutorial"), medians.get("jax")
    print(f"{'':50} {'µs/step':>9} {'per seed':>9} {'tutorial ÷':>11} {'JAX ÷':>7} {'loss':>9}")
    for name, (label, _) in PEERS.items():
        if name not in medians:
            print(f"{label:50} not installed (pip install -r requirements-bench.txt)")
            continue
        seeds = 64 if name == "ours_64" else 1
        each = medians[name] / seeds
        ratios = [f"{whole / each:.1f}" if whole else "-" for whole in (base, jax)]
        print(
            f"{label:50} {medians[name]:9.1f} {each:9.2f} {ratios[0]:>11} {ratios[1]:>7} {found[name][-1]['loss']:9.2g}"
        )


def one(name: str) -> dict:
    """One measurement of a way, in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.peers", name], capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(lines[-1])
