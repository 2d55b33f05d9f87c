"""The data of the six tasks, all as sequences of tokens: what is read, what is right, and where an answer is asked for."""

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from demos.binary_rule import data as binary_rule
from demos.echo import data as echo
from demos.gates import recall
from demos.gates.config import ALONE, CUE, LEAD, NOISE, SYMBOLS, GatesConfig
from lib import texts
from lib.batches import windows
from lib.reading import Factor, Language, Readings, Stored, bit_factors

HELD_OUT_SEQUENCES = 64
HELD_OUT_STEPS = 100  # of tasks that have no length of their own
HELD_OUT = 2**32 + 1  # the stream of random numbers that no training data and no weights come from
MOST_WINDOWS, MOST_TOKENS = 200, 4_000_000  # of a block
OPENING, CLOSING = "([{", ")]}"
SHORTEST_TEXT = 200  # characters
LARGEST_ALPHABET = 120  # characters; rarer ones are read as the last token
OTHER = "\N{REPLACEMENT CHARACTER}"
FABLES = Path(__file__).parent / "fables.txt"

NO_FACTORS: dict[str, Factor] = {}


def language(config: GatesConfig) -> Language:
    """What the tokens and answers of this task are called."""
    if config.task == "recall":
        return recall.language(config)
    if config.task == "remember":
        symbols = tuple(SYMBOLS[: config.symbols])
        return Language((*symbols, *NOISE, CUE), symbols)
    if config.task == "brackets":
        kinds = config.bracket_types
        tokens = (*OPENING[:kinds], *CLOSING[:kinds])
        return Language(tokens, tokens, independent=True)
    if config.task == "text":
        alphabet = corpus(config.text).alphabet
        return Language(alphabet, alphabet)
    return Language(("0", "1"), ("0", "1"))


# Sequences that are made one by one


def remember(config: GatesConfig, draw: np.random.Generator, count: int) -> Readings:
    """A symbol at one of the first four places, noise, and `delay` steps after the symbol the cue. [T, count]."""
    steps, symbols = config.window, config.symbols
    inputs = draw.integers(symbols, symbols + len(NOISE), (steps, count), np.uint8)
    symbol = draw.integers(0, symbols, count, np.uint8)
    at = draw.integers(0, LEAD, count)
    rows = np.arange(count)
    inputs[at, rows] = symbol
    inputs[at + config.delay, rows] = symbols + len(NOISE)
    return Readings(inputs, *_remembered(inputs, config), NO_FACTORS)


def _remembered(inputs: np.ndarray, config: GatesConfig) -> tuple[np.ndarray, np.ndarray]:
    """At each place the last symbol so far, and whether it is asked for there."""
    is_symbol = inputs < config.symbols
    last = np.maximum.accumulate(np.where(is_symbol, np.arange(len(inputs))[:, None], 0), axis=0)
    targets = np.take_along_axis(inputs, last, axis=0)
    seen = np.logical_or.accumulate(is_symbol, axis=0)
    return targets, (inputs == config.symbols + len(NOISE)) & seen


def brackets(config: GatesConfig, draw: np.random.Generator, count: int, steps: int = 0) -> Readings:
    """Nested brackets, opened and closed by a fair coin where both are legal. [T, count]."""
    steps = steps or config.truncated_backprop_length
    kinds = config.bracket_types
    inputs = np.zeros((steps, count), np.uint8)
    opened = np.zeros((config.max_depth + 1, count), np.uint8)  # the kinds that are open, by depth
    depth, rows = np.zeros(count, np.int64), np.arange(count)
    coins, choices = draw.random((steps, count)), draw.integers(0, kinds, (steps, count), np.uint8)
    for step in range(steps):
        opens = (depth == 0) | ((depth < config.max_depth) & (coins[step] < 0.5))
        inputs[step] = np.where(opens, choices[step], kinds + opened[depth, rows])
        depth = depth + np.where(opens, 1, -1)
        opened[depth[opens], rows[opens]] = choices[step][opens]
    return Readings(inputs, _legal(inputs, config), np.ones(inputs.shape, bool), NO_FACTORS)


def nesting(inputs: np.ndarray, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """After each token [T, B] the depth, and the kind of the innermost open bracket, -1 where none is open."""
    steps, count = inputs.shape
    depths, innermost = np.zeros(inputs.shape, np.int64), np.full(inputs.shape, -1, np.int64)
    stack, depth, rows = np.full((steps + 2, count), -1, np.int64), np.zeros(count, np.int64), np.arange(count)
    for step in range(steps):
        opens = inputs[step] < kinds
        depth = np.maximum(depth + np.where(opens, 1, -1), 0)
        stack[depth[opens], rows[opens]] = inputs[step][opens]
        depths[step], innermost[step] = depth, np.where(depth > 0, stack[depth, rows], -1)
    return depths, innermost


def _legal(inputs: np.ndarray, config: GatesConfig) -> np.ndarray:
    """After each token the tokens that may come next, a bit for each."""
    kinds = config.bracket_types
    depth, innermost = nesting(inputs, kinds)
    opening = np.where(depth < config.max_depth, (1 << kinds) - 1, 0)
    closing = np.where(depth > 0, 1 << (kinds + np.maximum(innermost, 0)), 0)
    return (opening | closing).astype(np.uint8)


# Text


class Corpus(NamedTuple):
    """A text as tokens: uint8 [N], the last tenth of which is never trained on."""

    text: str
    alphabet: tuple[str, ...]
    tokens: np.ndarray

    @property
    def trained(self) -> int:
        """How many tokens are trained on."""
        return len(self.tokens) * 9 // 10


@lru_cache(maxsize=8)
def corpus(text_id: str) -> Corpus:
    """The text with this id, "" for our fables. Characters beyond the most frequent ones are read as one token.

    Raises lib.texts.TextError.
    """
    text = texts.load(text_id) if text_id else FABLES.read_text(encoding="utf-8").strip()
    letters, counts = np.unique(np.frombuffer(text.encode("utf-32-le"), np.uint32), return_counts=True)
    kept = letters
    if len(letters) > LARGEST_ALPHABET:
        kept = np.sort(letters[np.argsort(-counts, kind="stable")[: LARGEST_ALPHABET - 1]])
    alphabet = [chr(letter) for letter in kept] + [OTHER] * (len(kept) < len(letters))
    return Corpus(text, tuple(alphabet), tokens_of(text, tuple(alphabet)))


def tokens_of(text: str, alphabet: tuple[str, ...]) -> np.ndarray:
    """The characters of a text as numbers of tokens, uint8 [N]; one that is not in the alphabet is the last."""
    place = {letter: number for number, letter in enumerate(alphabet)}
    return np.array([place.get(letter, len(alphabet) - 1) for letter in text], np.uint8)


def _rows_of_text(tokens: np.ndarray, rows: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    """A text as windows [W, T, rows] and what comes next at each place. A short one is repeated until it fills a window."""
    least = rows * window + 1
    if len(tokens) < least:
        tokens = np.resize(tokens, least)
    inputs, targets = (windows(part[None], rows, window)[:, :, 0] for part in (tokens[:-1], tokens[1:]))
    return inputs, targets


# What is trained on


class Block(NamedTuple):
    """Windows for one seed: inputs, targets uint8 and scored [N, T, B]; `carry` [N] is 0 where the state starts from zero."""

    inputs: np.ndarray
    targets: np.ndarray
    scored: np.ndarray
    carry: np.ndarray


def windows_per_block(config: GatesConfig) -> int:
    """How many windows are made at a time."""
    if config.task == "text":
        most = _rows_of_text(
            corpus(config.text).tokens[: corpus(config.text).trained], config.batch_size, config.window
        )
        return len(most[0])
    tokens = config.window * config.batch_size * config.seeds
    return max(1, min(MOST_WINDOWS, config.training_steps, MOST_TOKENS // tokens))


def block(config: GatesConfig, seed: int, index: int) -> Block:
    """The windows `index * windows_per_block` and on, of a seed."""
    count, rows, steps = windows_per_block(config), config.batch_size, config.window
    draw = np.random.default_rng([seed, index])
    carry = np.ones(count, np.float32)
    carry[0] = 0.0
    if config.task in ALONE:
        made = _MADE[config.task](config, draw, count * rows)
        arrays = (made.inputs, made.targets, made.scored)
        inputs, targets, scored = (part.reshape(steps, count, rows).transpose(1, 0, 2) for part in arrays)
        return Block(inputs, targets, scored, np.zeros(count, np.float32))
    if config.task == "text":
        text = corpus(config.text)
        inputs, targets = _rows_of_text(text.tokens[: text.trained], rows, steps)
    else:
        inputs, targets = (
            windows(flat[None], rows, steps)[:, :, 0] for flat in _bits(config, count * steps * rows, seed, index)
        )
    return Block(inputs, targets, np.ones(inputs.shape, bool), carry)


_MADE: dict[str, Callable[[GatesConfig, np.random.Generator, int], Readings]] = {
    "recall": recall.sequences,
    "remember": remember,
    "brackets": brackets,
}


def _bits(config: GatesConfig, length: int, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Random bits and their targets, by the echo or the rule: uint8 [length] each."""
    if config.task == "echo":
        return echo.series(length, config.echo_step, seed, epoch)
    bits, targets, _ = binary_rule.series(length, (config.first_lag, config.second_lag), seed, epoch)
    return bits, targets


# What is looked at


@lru_cache(maxsize=32)
def held_out(config: GatesConfig) -> Readings:
    """Sequences that are never trained on, 64 of them or as many as a text has, with what they are about."""
    draw = np.random.default_rng([config.seed, HELD_OUT])
    if config.task in ("recall", "remember"):
        return with_factors(_MADE[config.task](config, draw, HELD_OUT_SEQUENCES), config)
    if config.task == "brackets":
        return with_factors(brackets(config, draw, HELD_OUT_SEQUENCES, max(40, config.window)), config)
    if config.task == "text":
        text = corpus(config.text)
        rest = text.tokens[text.trained :]
        rows = max(1, min(HELD_OUT_SEQUENCES, (len(rest) - 1) // HELD_OUT_STEPS))
        inputs, targets = (part[0] for part in _rows_of_text(rest, rows, HELD_OUT_STEPS))
        return with_factors(Readings(inputs, targets, np.ones(inputs.shape, bool), NO_FACTORS), config)
    steps = HELD_OUT_SEQUENCES * HELD_OUT_STEPS
    bits, targets = (flat.reshape(HELD_OUT_SEQUENCES, -1).T for flat in _bits(config, steps, config.seed, HELD_OUT))
    return with_factors(Readings(bits, targets, _known(bits, config), NO_FACTORS), config)


def _known(bits: np.ndarray, config: GatesConfig) -> np.ndarray:
    """Where a sequence of bits has all the bits that its target depends on."""
    lag = config.echo_step if config.task == "echo" else max(config.first_lag, config.second_lag)
    return np.broadcast_to(np.arange(len(bits))[:, None] >= lag, bits.shape)


def read(config: GatesConfig, inputs: np.ndarray) -> Readings:
    """Any sequence of tokens [T, 1], with what is right where that is known."""
    everywhere = np.ones(inputs.shape, bool)
    if config.task == "recall":
        found = Readings(inputs, *recall.asked(inputs, config.symbols), NO_FACTORS)
    elif config.task == "remember":
        found = Readings(inputs, *_remembered(inputs, config), NO_FACTORS)
    elif config.task == "brackets":
        found = Readings(inputs, _legal(inputs, config), everywhere, NO_FACTORS)
    elif config.task == "text":
        scored = everywhere.copy()
        scored[-1] = False  # nobody knows what comes after
        found = Readings(inputs, np.roll(inputs, -1, axis=0), scored, NO_FACTORS)
    elif config.task == "echo":
        found = Readings(inputs, _back(inputs, config.echo_step), _known(inputs, config), NO_FACTORS)
    else:
        first, second = (_back(inputs, lag) for lag in (config.first_lag, config.second_lag))
        decided = _known(inputs, config) & (first == second)  # elsewhere it is a coin, which nobody has thrown
        found = Readings(inputs, 1 - first, decided, NO_FACTORS)
    return with_factors(found, config)


def _back(array: np.ndarray, lag: int) -> np.ndarray:
    """The array `lag` steps before, zeros at its start."""
    moved = np.zeros_like(array)
    moved[lag:] = array[: max(0, len(array) - lag)]
    return moved


# What a task is about


def with_factors(readings: Readings, config: GatesConfig) -> Readings:
    """The same readings, with what can be compared with units, and what must be kept."""
    stored = _STORED.get(config.task)
    return readings._replace(
        factors=_FACTORS[config.task](readings.inputs, config), stored=stored and stored(readings.inputs, config)
    )


def _stored_of_remember(inputs: np.ndarray, config: GatesConfig) -> Stored:
    values, _ = _remembered(inputs, config)
    written, noise = inputs < config.symbols, (inputs >= config.symbols) & (inputs < config.symbols + len(NOISE))
    found = np.where(np.logical_or.accumulate(written, axis=0), values.astype(np.int64), -1)
    return Stored(found, written, noise, ("the symbol", "the symbol", "noise"))


def _factors_of_remember(inputs: np.ndarray, config: GatesConfig) -> dict[str, Factor]:
    symbols = config.symbols
    steps = np.arange(len(inputs))[:, None]
    is_symbol = inputs < symbols
    seen = np.logical_or.accumulate(is_symbol, axis=0)
    last = np.maximum.accumulate(np.where(is_symbol, steps, 0), axis=0)
    held = np.take_along_axis(inputs, last, axis=0)
    since = np.where(seen, steps - last, np.nan)
    factors = {
        f"the symbol is {SYMBOLS[k]}": Factor(np.where(seen, held == k, np.nan), f"whether the symbol is {SYMBOLS[k]}")
        for k in range(symbols)
    }
    cue = (inputs == symbols + len(NOISE)).astype(float)
    return factors | {
        "a symbol was read": Factor(seen.astype(float), "whether a symbol was read"),
        "steps since the symbol": Factor(since, "the steps since the symbol"),
        "the cue": Factor(cue, "the cue"),
    }


def _factors_of_brackets(inputs: np.ndarray, config: GatesConfig) -> dict[str, Factor]:
    kinds = config.bracket_types
    depth, innermost = nesting(inputs, kinds)
    factors = {
        "depth": Factor(depth.astype(float), "the depth"),
        "nothing is open": Factor((depth == 0).astype(float), "whether nothing is open"),
        "the greatest depth": Factor(
            (depth == config.max_depth).astype(float), "whether the greatest depth is reached"
        ),
    }
    for kind in range(kinds if kinds > 1 else 0):
        name = f"the innermost is {OPENING[kind]}"
        factors[name] = Factor(np.where(depth > 0, innermost == kind, np.nan), f"whether {name}")
    return factors


def _factors_of_text(inputs: np.ndarray, config: GatesConfig) -> dict[str, Factor]:
    alphabet = corpus(config.text).alphabet
    columns = [text_factors("".join(alphabet[token] for token in column)) for column in inputs.T]
    return {
        name: Factor(np.stack([column[name] for column in columns], axis=1), what)
        for name, what in TEXT_FACTORS.items()
    }


TEXT_FACTORS = {
    "inside quotes": "whether the text is inside quotes",
    "letters of the word so far": "the letters of the word so far",
    "a word ends": "whether a word has just ended",
    "place in the sentence": "the characters of the sentence so far",
    "place in the line": "the characters of the line so far",
    "capital": "capitals",
    "vowel": "vowels",
}


def text_factors(text: str) -> dict[str, np.ndarray]:
    """What there is to say of each character of a text, arrays [N].

    A text that begins inside quotes is told by a quote that closes one, after a sign or a letter, before a space.
    """
    letters = np.array(list(text))
    quotes = np.cumsum(letters == '"')
    first = re.search('"', text)
    begins_inside = first is not None and first.start() > 0 and not text[first.start() - 1].isspace()
    return {
        "inside quotes": ((quotes + begins_inside) % 2).astype(float),
        "letters of the word so far": _since(text, lambda letter: not (letter.isalpha() or letter == "'")),
        "a word ends": np.array(
            [float(not b.isalpha() and b != "'" and a.isalpha()) for a, b in zip(f" {text}", text, strict=False)]
        ),
        "place in the sentence": _since(text, lambda letter: letter in ".!?\n"),
        "place in the line": _since(text, lambda letter: letter == "\n"),
        "capital": np.array([float(letter.isupper()) for letter in text]),
        "vowel": np.array([float(letter.lower() in "aeiou") for letter in text]),
    }


def _since(text: str, ends: Callable[[str], bool]) -> np.ndarray:
    """At each character how many there are since the last that ends something, 0 at that one itself."""
    ended = np.array([ends(letter) for letter in text])
    at = np.arange(1, len(text) + 1)
    return (at - np.maximum.accumulate(np.where(ended, at, 0))).astype(float)


def _factors_of_bits(inputs: np.ndarray, config: GatesConfig) -> dict[str, Factor]:
    lags = range(config.echo_step + 1) if config.task == "echo" else sorted({0, config.first_lag, config.second_lag})
    return bit_factors(inputs, lags)


_STORED: dict[str, Callable[[np.ndarray, GatesConfig], Stored]] = {
    "recall": recall.stored,
    "remember": _stored_of_remember,
}
_FACTORS: dict[str, Callable[[np.ndarray, GatesConfig], dict[str, Factor]]] = {
    "recall": recall.factors,
    "remember": _factors_of_remember,
    "brackets": _factors_of_brackets,
    "text": _factors_of_text,
    "echo": _factors_of_bits,
    "binary_rule": _factors_of_bits,
}
