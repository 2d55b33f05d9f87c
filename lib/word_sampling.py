"""Texts drawn from a word-level language model (lib.word_model), in NumPy.

Shapes: T words of a prompt, N words drawn, B rows, V words in the vocabulary.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lib.values import read_int, shown
from lib.word_model import BEST, LayerState, State, WordModel, best_places, word_numbers

# A lower temperature than this would overflow float32; long before it, all but the likeliest words have probability 0.
_COLDEST = 1e-30


class Sample(NamedTuple):
    """Texts drawn from a model. All probabilities are of the distribution that was drawn from, after all settings.

    `sample` returns one text, its arrays as below; of `samples`, they have two axes more, [prompts, temperatures, …].
    """

    words: np.ndarray  # int [N], the prompt not among them
    probability: np.ndarray  # float64 [N]: of each word
    best: np.ndarray  # int [N, 10]: the likeliest words there, in the order of `Reading.best`
    best_probability: np.ndarray  # float64 [N, 10]

    def one(self, prompt: int, temperature: int) -> "Sample":
        """One of the texts that `samples` drew, by the places of its prompt and its temperature."""
        return Sample(*(array[prompt, temperature] for array in self))


def sample(
    model: WordModel,
    prompt: ArrayLike,
    random: ArrayLike,
    temperature: float,
    top_k: int = 0,
    *,
    first: int,
    forbid: Sequence[int] = (),
) -> Sample:
    """Go on from a prompt [T], which follows the word `first` and may be empty, for as many words as `random` [N] has numbers.

    Each word is drawn from softmax(logits / temperature), of the words not in `forbid` and, unless `top_k` is 0, of the
    `top_k` likeliest of them (Fan, Lewis & Dauphin 2018, section 5.1). Temperature 0 takes the likeliest word. `random` are
    uniform numbers, 0 <= u < 1: the word is the first, in the order of the vocabulary, up to which the probabilities sum to
    more than u. So the same numbers give the same text, and similar ones for similar networks. For another branch of a text,
    go on from the prompt, the words before the branch and the other word, with the numbers that are left.

    Raises ValueError for words outside the vocabulary, random numbers outside 0 <= u < 1, a temperature that is negative or
    not finite, a `top_k` that is negative or above V, and when no word is left to draw.
    """
    return samples(
        model, [prompt], np.atleast_2d(np.asarray(random)), [temperature], top_k, first=first, forbid=forbid
    ).one(0, 0)


def samples(
    model: WordModel,
    prompts: Sequence[ArrayLike],
    random: ArrayLike,
    temperatures: Sequence[float],
    top_k: int = 0,
    *,
    first: int,
    forbid: Sequence[int] = (),
) -> Sample:
    """`sample` for every prompt at every temperature, in one batch: `random` [P, N] has a row for each of the P prompts.

    The prompts' lengths may differ. Equals `sample` of each up to the rounding of float32. Raises what `sample` raises, and
    ValueError when there is no prompt or no temperature.
    """
    size = model.vocabulary_size
    read_first = [
        np.concatenate([word_numbers("first", [first], size), word_numbers("prompt", prompt, size)])
        for prompt in prompts
    ]
    uniforms = _uniforms(random, len(prompts))
    rule = _rule(size, temperatures, len(prompts), top_k, forbid)
    state = _repeated(
        [model.hidden_states(model.zero_state(1), ids[:, None])[0] for ids in read_first], len(temperatures)
    )
    drawn = _draw(model, state, np.repeat(uniforms, len(temperatures), axis=0), rule)
    axes = (len(prompts), len(temperatures))
    return Sample(*(array.reshape(*axes, *array.shape[1:]) for array in drawn))


class _Rule(NamedTuple):
    """How words are drawn in each row: float32 `temperature` [B, 1], how many words are `kept` [B], the forbidden ones."""

    temperature: np.ndarray
    kept: np.ndarray
    forbidden: np.ndarray


def _rule(size: int, temperatures: Sequence[float], prompts: int, top_k: int, forbid: Sequence[int]) -> _Rule:
    for temperature in temperatures:
        if not 0 <= temperature < math.inf:
            raise ValueError(
                f"temperature = {shown(temperature)} is not one: choose 0, for the likeliest word, or a finite number above."
            )
    likeliest = read_int(top_k)
    if likeliest is None or not 0 <= likeliest <= size:
        raise ValueError(
            f"top_k = {shown(top_k)} is not a number of words: choose one from 1 to {size}, or 0 for all of them."
        )
    if not len(temperatures):
        raise ValueError("temperatures is empty: give at least one, such as 1.0.")
    forbidden = np.unique(word_numbers("forbid", forbid, size))
    if len(forbidden) == size:
        raise ValueError(f"forbid names all {size} words: leave at least one out of it, so that one can be drawn.")
    values = np.tile(np.asarray(temperatures, np.float64), prompts)
    kept = np.where(values == 0, 1, likeliest or size)  # temperature 0 is the draw from the one likeliest word
    return _Rule(np.clip(values, _COLDEST, 1e30).astype(np.float32)[:, None], kept, forbidden)


def _repeated(states: Sequence[State], times: int) -> State:
    """The states of single rows as one state, each row so many times."""
    found = []
    for layer in zip(*states, strict=True):
        parts = zip(*layer, strict=True)  # the hidden states of all rows, and their cell states
        found.append(LayerState(*(np.repeat(np.concatenate(part), times, axis=0) for part in parts)))
    return tuple(found)


def _draw(model: WordModel, state: State, uniforms: np.ndarray, rule: _Rule) -> Sample:
    """Go on from a state for N words in every row; `uniforms` [B, N]. The arrays are [B, N, …]."""
    rows, length = uniforms.shape
    listed = min(BEST, model.vocabulary_size)
    words = np.zeros((rows, length), np.int64)
    best, best_probability = np.zeros((rows, length, listed), np.int64), np.zeros((rows, length, listed))
    probability, each = np.zeros((rows, length)), np.arange(rows)
    for n in range(length):
        logits = model.logits(state[-1].hidden_state)
        weights, best[:, n] = _weights(logits, rule)
        cumulative = np.cumsum(weights, axis=-1, dtype=np.float64)
        total = cumulative[:, -1:]
        words[:, n] = _inverse(cumulative, uniforms[:, n : n + 1])
        probability[:, n] = weights[each, words[:, n]] / total[:, 0]
        best_probability[:, n] = np.take_along_axis(weights, best[:, n], axis=-1) / total
        if n < length - 1:
            state, _ = model.hidden_states(state, words[None, :, n])
    return Sample(words, probability, best, best_probability)


def _weights(logits: np.ndarray, rule: _Rule) -> tuple[np.ndarray, np.ndarray]:
    """What to draw from, [B, V], 1 for the likeliest word; and the numbers of the ten likeliest, [B, 10]. Uses up `logits`."""
    logits[:, rule.forbidden] = -np.inf
    fewer = np.flatnonzero(rule.kept < logits.shape[-1])
    best = best_places(logits, max(BEST, *rule.kept[fewer]) if len(fewer) else BEST)
    logits -= np.take_along_axis(logits, best[:, :1], axis=-1)
    with np.errstate(over="ignore"):  # to -inf, which is right
        logits /= rule.temperature
    weights = np.exp(logits, out=logits)
    for row in fewer:
        keep = best[row, : rule.kept[row]]
        values = weights[row, keep]
        weights[row] = 0.0
        weights[row, keep] = values
    return weights, best[:, :BEST]


def _inverse(cumulative: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """The first place of each row of cumulative sums [B, V] that is above the share u [B, 1] of their total."""
    total = cumulative[:, -1:]
    below = np.minimum(uniforms * total, np.nextafter(total, 0.0))  # u * total may round up to the total
    return np.count_nonzero(cumulative <= below, axis=-1)


def _uniforms(random: ArrayLike, prompts: int) -> np.ndarray:
    if not prompts:
        raise ValueError("prompts is empty: give at least one; an empty one begins a text.")
    uniforms = np.asarray(random, np.float64)
    if uniforms.ndim != 2 or len(uniforms) != prompts:
        raise ValueError(f"random has shape {uniforms.shape}: it must be ({prompts}, words), a row for each prompt.")
    strange = uniforms[~((uniforms >= 0) & (uniforms < 1))]
    if len(strange):
        raise ValueError(f"random = {strange[0]} is not what is drawn with: give uniform numbers, 0 <= u < 1.")
    return uniforms
