"""Words per second of training the Penn Treebank's small model, against PyTorch and against the arithmetic.

Beside that, a whole run of the tiny model, and the memory that training the small one takes. `python -m benchmarks.words NAME`
measures one of them in its own process and prints one JSON line. Where the corpus is not on this machine, random words stand in
for it, as many, from a vocabulary as large: for the speed it does not matter which words they are.
"""

import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("UNROLLED_DEVICE", "cpu")

from demos.ptb import data, grammar
from demos.ptb.config import PTBConfig
from lib import corpora
from lib.pace import Pace
from lib.settings import parse
from lib.vocabulary import EOS, UNK, Corpus

HERE = corpora.is_here()
SMALL, MODERN = (
    parse(PTBConfig, {"model": name, "corpus": "ptb" if HERE else "grammar"}) for name in ("small", "modern")
)
ROUNDS, REPEATS, EACH, WARM_UP = 3, 5, 40, 20  # processes of each; in one: timed repeats, steps of each and before them
SIDE = 2048  # of the large product's matrices
CHUNK = 20
TARGETS = {"pytorch": 1.4, "arithmetic": 0.8, "tiny_seconds": 90, "above_floor": 0.10, "gigabytes": 1.5}


def main() -> None:
    """Measure the speeds in turn, several times over, then the tiny model's run and the memory."""
    print(f"load {os.getloadavg()[0]:.1f} before; words: {'the Penn Treebank' if HERE else 'random, Zipf-distributed'}")
    found: dict[str, list[dict]] = {name: [] for name in SPEEDS}
    for _ in range(ROUNDS):
        for name, results in found.items():
            results.append(_one(name))
    rates = {name: statistics.median(r["rate"] for r in rs) for name, rs in found.items() if "rate" in rs[0]}
    flops = rates.pop("matmul")
    most = flops / operations(SMALL, data.PTB_VOCABULARY) * SMALL.words_per_step
    print(f"{'':34} {'words/s':>8} {'PyTorch ÷':>10} {'arithmetic':>11} {'loss':>6}")
    for name, rate in rates.items():
        ratio = f"{rate / rates['pytorch']:.2f}" if "pytorch" in rates else "-"
        print(f"{SPEEDS[name][0]:34} {rate:8,.0f} {ratio:>10} {rate / most:11.0%} {found[name][-1]['loss']:6.3f}")
    if "pytorch" not in rates:
        print(f"{SPEEDS['pytorch'][0]:34} not installed (pip install -r requirements-bench.txt)")
    print(f"{SPEEDS['matmul'][0]:34} {most:8,.0f} {'':10} {1:11.0%}        {flops / 1e9:.0f} GFLOP/s")
    print(f"targets for ours: {TARGETS['pytorch']} times PyTorch, {TARGETS['arithmetic']:.0%} of the arithmetic")
    _print_whole_runs(rates["ours_as_a_job"], statistics.median(_one("modern")["rate"] for _ in range(ROUNDS)))
    _print_tiny(**_one("tiny"))
    print(f"peak memory of training small: {_one('memory')['gigabytes']:.2f} GB (target {TARGETS['gigabytes']})")


def _print_whole_runs(small: float, modern: float) -> None:
    """How long all epochs take at these rates, in words a second, without measuring."""
    for name, config, rate in (("small", SMALL, small), ("modern", MODERN, modern)):
        seconds = config.epochs * data.PTB_TRAINING_WORDS / rate
        print(f"{name}: {config.epochs} epochs of the Penn Treebank at {rate:,.0f} words/s take {seconds:,.0f} s")


def _print_tiny(seconds: float, valid: float, test: float) -> None:
    print(f"tiny on the grammar, a whole run: {seconds:.0f} s (target {TARGETS['tiny_seconds']})")
    for name, perplexity in (("validation", valid), ("test", test)):
        above = perplexity / grammar.floor() - 1
        print(
            f"  {name} perplexity {perplexity:.2f}, {above:+.1%} from the floor (target {TARGETS['above_floor']:+.0%})"
        )


def _one(name: str) -> dict:
    """One measurement, in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.words", name], capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(lines[-1])


def operations(config: PTBConfig, words: int) -> int:
    """Additions and multiplications of one training step's matrix products; looking up embeddings is none.

    Each pair of numbers that are multiplied forwards costs two, and four more backwards, for the gradients of both sides.
    """
    widths = (config.embedding_units, *config.units)
    layers = sum(4 * (inputs + units) * units for inputs, units in pairwise(widths))
    return 6 * config.words_per_step * (layers + config.output_units * words)


def corpus() -> Corpus:
    """The Penn Treebank, or random words from a vocabulary as large, the n-th most frequent one as often as 1 / n."""
    if HERE:
        return data.corpus("ptb", "")
    random = np.random.default_rng(0)
    weights = 1.0 / np.arange(1, data.PTB_VOCABULARY + 1)
    words = (UNK, EOS, *(f"word {number}" for number in range(2, data.PTB_VOCABULARY)))
    parts = (data.PTB_TRAINING_WORDS, 73_760, 82_430)  # as many as the Penn Treebank's
    drawn = (random.choice(data.PTB_VOCABULARY, size, p=weights / weights.sum()).astype(np.int32) for size in parts)
    return Corpus(words, *drawn)


def measure(train: Callable[[int], list[float]]) -> dict[str, float]:
    """Words per second, the median of some repeats, and the mean loss of the last of them: `train(steps)` gives the losses."""
    train(WARM_UP)
    rates, losses = [], [0.0]
    for _ in range(REPEATS):
        started = time.perf_counter()
        losses = train(EACH)
        rates.append(EACH * SMALL.words_per_step / (time.perf_counter() - started))
    return {"rate": statistics.median(rates), "loss": statistics.fmean(losses)}


def _engine(config: PTBConfig, steps_per_epoch: int | None = None) -> Any:
    """The engine that trains a model, on random words if need be."""
    from demos.ptb.task import PTBTask
    from lib.training import Engine

    task = PTBTask(config)
    task.corpus = corpus()
    task.steps_per_epoch = steps_per_epoch or (len(task.corpus.train) // config.batch_size - 1) // (
        config.truncated_backprop_length
    )
    task.steps = config.epochs * task.steps_per_epoch
    engine = Engine(task)
    engine.prepare()
    return engine


def _ours(chunk: int | None, config: PTBConfig = SMALL) -> dict[str, float]:
    engine, pace = _engine(config), Pace()
    carry = engine.initial()

    def train(steps: int) -> list[float]:
        nonlocal carry
        losses: list[float] = []
        while len(losses) < steps:
            started = time.perf_counter()
            carry, metrics = engine.run(carry, min(chunk or pace.steps_due(1), steps - len(losses)))
            found = metrics["loss"][:, 0].tolist()
            pace.measure(len(found), time.perf_counter() - started)
            losses += found
        return losses

    return measure(train)


def ours() -> dict[str, float]:
    """Ours, in chunks of 20 batches."""
    return _ours(CHUNK)


def ours_as_a_job() -> dict[str, float]:
    """Ours, in chunks as long as a job's."""
    return _ours(None)


def modern() -> dict[str, float]:
    """The modern model, in chunks as long as a job's."""
    return _ours(None, MODERN)


def pytorch() -> dict[str, float]:
    """PyTorch, eager, with its own nn.LSTM and all threads."""
    import torch

    rows, length, units, words = SMALL.batch_size, SMALL.truncated_backprop_length, SMALL.units, data.PTB_VOCABULARY
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(words, SMALL.embedding_units)
    lstm, head = torch.nn.LSTM(SMALL.embedding_units, units[0], len(units)), torch.nn.Linear(units[-1], words)
    parameters = [*embedding.parameters(), *lstm.parameters(), *head.parameters()]
    for parameter in parameters:
        torch.nn.init.uniform_(parameter, -SMALL.initial_scale, SMALL.initial_scale)
    for name, parameter in [*lstm.named_parameters(), *head.named_parameters()]:
        if "bias" in name:
            torch.nn.init.zeros_(parameter)
    optimizer = torch.optim.SGD(parameters, SMALL.learning_rate)
    windows = data.training_windows(corpus().train, rows, length)
    batches = zip(*(torch.from_numpy(part).long() for part in windows), strict=True)
    state = [torch.zeros(len(units), rows, units[0]) for _ in range(2)]

    def step() -> float:
        nonlocal state
        inputs, targets = next(batches)
        outputs, state = lstm(embedding(inputs), tuple(part.detach() for part in state))
        logits = head(outputs).reshape(-1, words)
        loss = torch.nn.functional.cross_entropy(logits, targets.reshape(-1)) * length  # summed over the steps
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, SMALL.clip_norm)
        optimizer.step()
        return loss.item() / length

    return measure(lambda steps: [step() for _ in range(steps)])


def matmul() -> dict[str, float]:
    """One large product with `tf.matmul`: operations per second."""
    from lib.tf import tf

    one, other = (tf.random.stateless_normal([SIDE, SIDE], [seed, 0]) for seed in range(2))
    product = tf.function(tf.matmul)
    product(one, other).numpy()
    rates = []
    for _ in range(5 * REPEATS):
        started = time.perf_counter()
        product(one, other).numpy()
        rates.append(2 * SIDE**3 / (time.perf_counter() - started))
    return {"rate": statistics.median(rates)}


def _measured(engine: Any, carry: Any) -> tuple[Any, dict[str, float]]:
    """What a job does when it is time to measure on held-out data: (carry, perplexities by name)."""
    found: dict[str, float] = {}
    while engine.evaluates(carry):
        carry, found = engine.evaluate(carry)
    engine.keep(carry)
    return carry, found


def tiny() -> dict[str, float]:
    """A whole run of the defaults, compiling and measuring included."""
    from demos.ptb.task import PTBTask
    from lib.training import Engine

    began = time.perf_counter()
    engine, pace = Engine(PTBTask(PTBConfig())), Pace()
    carry, found = engine.initial(), {"valid_perplexity": math.nan, "test_perplexity": math.nan}
    engine.prepare()
    while carry.step < engine.steps:
        before, started = carry.step, time.perf_counter()
        carry, _ = engine.run(carry, pace.steps_due(1))
        pace.measure(carry.step - before, time.perf_counter() - started)
        if engine.evaluates(carry):
            carry, found = _measured(engine, carry)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "valid": found["valid_perplexity"], "test": found["test_perplexity"]}


def memory() -> dict[str, float]:
    """The most memory that a process had which trains the small model for 60 steps and measures it on the validation text."""
    engine = _engine(SMALL, steps_per_epoch=60)
    carry = engine.initial()
    while carry.step < 60:
        carry, _ = engine.run(carry, CHUNK)
    _, found = _measured(engine, carry)
    assert "valid_perplexity" in found
    return {"gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}


SPEEDS: dict[str, tuple[str, Callable[[], dict[str, float]]]] = {
    "pytorch": ("PyTorch eager, nn.LSTM", pytorch),
    "ours": ("ours, 20 batches a chunk", ours),
    "ours_as_a_job": ("ours, chunks as a job's", ours_as_a_job),
    "matmul": (f"the arithmetic, by a {SIDE}² product", matmul),
}
OTHERS: dict[str, Callable[[], dict[str, float]]] = {"tiny": tiny, "modern": modern, "memory": memory}


if __name__ == "__main__":
    ways = {name: way for name, (_, way) in SPEEDS.items()} | OTHERS
    try:
        print(json.dumps(ways[sys.argv[1]]()))
    except ModuleNotFoundError as missing:
        print(json.dumps({"missing": missing.name}))
