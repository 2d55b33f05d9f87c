"""What the gates demo's tasks reach on unseen sequences, in ten networks each: accuracy, the unit that counts, and surgery."""

import time

import numpy as np

from demos.gates import inside
from demos.gates.config import WIDE, GatesConfig
from demos.gates.task import build
from lib.common_settings import CELLS
from lib.history import network_of
from lib.inside import Inside, View
from lib.trace import GATES, Clamp, Surgery

SEEDS = 10
FORGET = View(surgery=Surgery(clamps=(Clamp("f", 0.0),)))


def main() -> None:
    """Recall and remember by each cell, and brackets by the LSTM."""
    for change in (
        *({"cell": cell} for cell in CELLS),
        *({"task": "remember", "cell": cell, **WIDE} for cell in CELLS),
        {"task": "brackets", **WIDE},
    ):
        config = GatesConfig(seeds=SEEDS, **change)  # type: ignore[arg-type]
        engine = build(config)
        started = time.perf_counter()
        engine.prepare()
        carry = engine.initial()
        while carry.step < engine.steps:
            carry, _ = engine.run(carry, 100)
        seconds = time.perf_counter() - started
        print(f"{config.task}, {config.cell}: {SEEDS} networks at once, {engine.steps} steps, {seconds:.1f} s")
        alone = [config.model_copy(update={"seeds": 1, "seed": seed}) for seed in range(SEEDS)]
        networks = [network_of(carry.weights(), seed) for seed in range(SEEDS)]
        looks = [Inside(inside, c, network, carry.step, View()) for c, network in zip(alone, networks, strict=True)]
        accuracies = np.array([look.scores[0].accuracy for look in looks])
        print(f"  right answers: {', '.join(f'{a:.1%}' for a in accuracies)}; above 99 %: {(accuracies > 0.99).sum()}")
        if config.task == "brackets":
            depths = [float(np.abs(look.correlations["depth"]).max()) for look in looks]
            print(f"  the best unit's correlation with the depth: {', '.join(f'{r:.3f}' for r in depths)}")
        if "f" in GATES[config.cell]:
            without = [
                Inside(inside, c, network, carry.step, FORGET) for c, network in zip(alone, networks, strict=True)
            ]
            print(f"  with f = 0: {', '.join(f'{look.scores[1].accuracy:.1%}' for look in without)}", flush=True)
