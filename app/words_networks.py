"""The networks whose words are looked at, and what was read and drawn with them, kept by run and step."""

import threading
import time
from collections import OrderedDict
from functools import lru_cache
from typing import Any, NamedTuple

from app.service import jobs
from demos.registry import get
from lib.job import Job, State
from lib.word_model import Reading, WordModel, flat, read, unflat
from lib.word_sampling import Sample

MOST_BYTES = 256 * 2**20  # of networks that are held to be read, but always the latest two
MOST_OF_A_RUN = 4  # of those that the store does not keep
SHARED_SECONDS = 2.0  # all who look at a run that goes on have the same one: at an epoch's end they come together


class Which(NamedTuple):
    """A network: of which demo and run, at which step, and whether it is one that the store keeps."""

    slug: str
    run_id: str
    step: int
    kept: bool


class Texts(NamedTuple):
    """What a text is drawn with. `taken` are its first words, after which it goes on with the random numbers that are left."""

    prompt: tuple[int, ...]
    taken: tuple[int, ...]
    seed: int
    words: int
    top_k: int
    unknown: bool


class _Held(NamedTuple):
    model: WordModel
    size: int  # bytes
    notes: int  # in the run's diary at that time
    at: float


_MODELS: OrderedDict[Which, _Held] = OrderedDict()
_HOLDING = threading.Lock()


def latest(job: Job) -> Which | None:
    """The network of now, or the last one that was kept; None while there is none."""
    if job.state is State.RUNNING and (shared := _shared(job)) is not None:
        return shared
    words, leaves = get(job.slug).words, jobs().weights(job)
    network = words.network_of(leaves, job.config) if words and leaves is not None else None
    if network is not None and leaves is not None:
        which = Which(job.slug, job.id, int(leaves["step"]), False)
        if not is_held(which):
            _hold(which, network, len(job.diary))
        return which
    kept = jobs().store.network_steps(job.id)
    return Which(job.slug, job.id, kept[-1], True) if kept else None


def _shared(job: Job) -> Which | None:
    """The network that somebody else has just taken."""
    since, notes = time.monotonic() - SHARED_SECONDS, len(job.diary)
    with _HOLDING:
        passing = [(which, held) for which, held in _MODELS.items() if which.run_id == job.id and not which.kept]
    fresh = [which for which, held in passing if held.at > since and held.notes == notes]
    return max(fresh, key=lambda which: which.step, default=None)


def is_held(which: Which) -> bool:
    """Whether it is in memory."""
    with _HOLDING:
        return which in _MODELS


def _hold(which: Which, network: Any, notes: int = 0) -> WordModel:
    """A network to read with, which is kept for a while."""
    model = WordModel(network)
    size = sum(4 * array.size for array in flat(network).values())
    with _HOLDING:
        _MODELS[which] = _Held(model, size, notes, time.monotonic())
        passing = [each for each in _MODELS if each.run_id == which.run_id and not each.kept]
        for each in passing[:-MOST_OF_A_RUN]:
            del _MODELS[each]
        while len(_MODELS) > 2 and sum(held.size for held in _MODELS.values()) > MOST_BYTES:
            _MODELS.popitem(last=False)
    return model


def model_of(which: Which) -> WordModel:
    """The network. Raises ValueError where it is no longer there."""
    with _HOLDING:
        if which in _MODELS:
            _MODELS.move_to_end(which)
            return _MODELS[which].model
    arrays = jobs().store.network(which.run_id, which.step) if which.kept else {}
    if not arrays:
        raise ValueError("This network is not kept any more. Take the one of now.")
    return _hold(which, unflat(arrays))


@lru_cache(maxsize=256)
def reading(which: Which, ids: tuple[int, ...], first: int) -> Reading:
    """A text under a network."""
    return read(model_of(which), ids, first)


@lru_cache(maxsize=128)
def drawn(
    which: Which, corpus: tuple[Any, ...], how: Texts, temperatures: tuple[float, ...]
) -> tuple[Sample, ...] | None:
    """What a network says after the words that were taken, at each temperature; None when those are the whole text.

    `corpus` is what `words_sentence.corpus_of` gives.
    """
    words = get(which.slug).words
    if words is None or len(how.taken) >= how.words:
        return None
    found: tuple[Sample, ...] = words.drawn(
        model_of(which), words.corpus(*corpus), how.prompt, how.taken, temperatures, seed=how.seed, words=how.words,
        top_k=how.top_k, unknown=how.unknown,
    )  # fmt: skip
    return found
