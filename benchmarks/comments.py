"""A CSV file of 15,000 comments, as the tutorial of the model from scratch learns one: how long until it can be learned, the
memory that it takes, how long another thread waits meanwhile, and how fast each implementation then learns it.

The tutorial's 15,000 comments have 79,170 sentences and are not ours to hand on. These are made of the sentences of our grammar
with rare words put among them, whose frequencies follow Zipf's law; nothing of them is kept.
"""

import csv
import io
import os
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from demos.from_scratch import data, task, theory
from demos.from_scratch.config import HANDS, RUNNERS, FromScratchConfig
from demos.from_scratch.engine import RaceEngine, speeds
from demos.ptb import grammar
from lib import texts

COMMENTS, RARE_WORDS, ROUNDS = 15_000, 30_000, 25
SYLLABLES = [a + b for a in "bcdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "ea", "ou", "ai")]


def made(comments: int, seed: int = 0) -> str:
    """A CSV file of comments, each of about five sentences."""
    random = np.random.default_rng(seed)
    clauses, rare = grammar.split("train"), _rare_words(random)
    shares = 1 / (np.arange(len(rare)) + 20)
    drawn = iter(random.choice(rare, 40 * comments, p=shares / shares.sum()).tolist())
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(["body", "score"])
    for _ in range(comments):
        sentences = [_sentence(clauses, drawn, random) for _ in range(1 + random.poisson(4.3))]
        writer.writerow([" ".join(sentences), random.integers(100)])
    return lines.getvalue()


def _rare_words(random: np.random.Generator) -> list[str]:
    words: set[str] = set()
    while len(words) < RARE_WORDS:
        words.add("".join(SYLLABLES[i] for i in random.integers(len(SYLLABLES), size=random.integers(2, 5))))
    return [*map(str, random.permutation(sorted(words)))]


def _sentence(clauses: list[list[str]], rare: Iterator[str], random: np.random.Generator) -> str:
    words = list(clauses[random.integers(len(clauses))])
    wanted = random.integers(6, 22)
    while len(words) < wanted:
        words += ["and", *clauses[random.integers(len(clauses))]]
    for _ in range(random.poisson(4)):
        words.insert(random.integers(len(words)), next(rare, "never"))
    return " ".join(words).capitalize() + "...!?"[random.integers(5)]


def main() -> None:
    """Print the seconds and the memory of each step from the file to the race, and what another thread waited for."""
    content = made(COMMENTS).encode()
    with tempfile.TemporaryDirectory() as home:
        os.environ["UNROLLED_HOME"] = home
        with _watched(f"{len(content) / 1e6:.1f} MB: read, cleaned and kept"):
            text = texts.keep(texts.cleaned(texts.decoded(content), longest=data.longest("csv")))
        with _watched("settings checked the first time"):
            config = FromScratchConfig(
                corpus="csv", text=text, sentences=data.MOST_SENTENCES, vocabulary_size=8_000, hands="race"
            )
        with _watched("settings checked again"):
            FromScratchConfig(**config.model_dump())
        with _watched("cut and numbered"):
            count = len(config.words.pairs)
        with _watched("what the loss is compared with"):
            bound = theory.epoch_floor(config)
        data._cutting.cache_clear()
        data._remembered.clear()
        with _watched("the same text in another process, from the disk"):
            known = config.words.known
        print(f"  {count:,} sentences, {known:.1%} of the words known, epoch-mean lower bound {bound:.3f}")
        _race(config)


@contextmanager
def _watched(title: str) -> Iterator[None]:
    """Print how long this takes, the most memory so far, and the longest that another thread waited for the interpreter."""
    waits, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.is_set():
            asked = time.perf_counter()
            time.sleep(0.005)
            waits.append(time.perf_counter() - asked - 0.005)

    thread, began = threading.Thread(target=watch), time.perf_counter()
    thread.start()
    yield
    seconds = time.perf_counter() - began
    over.set()
    thread.join()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {title:48} {seconds:6.2f} s, at most {most:4.0f} MB, others waited {max(waits):.2f} s", flush=True)


def _race(config: FromScratchConfig) -> None:
    race = task.build(config)
    assert isinstance(race, RaceEngine)
    race.prepare()
    carry = race.initial()
    for _ in range(ROUNDS):
        carry, _ = race.run(carry, 1)
    for name, speed in zip(RUNNERS, speeds(carry), strict=True):
        print(f"  {HANDS[name]:24} {speed:7.1f} sentences/s  {1e3 / speed:6.1f} ms per step", flush=True)
