"""What the page takes apart: each piece of code beside its equation and its shapes, and the small numbers to look at.

`NO_TEXT`, `BACK`, `BACK_TO`, `longest` and `with_text` are for the control of one's own text (app/own_text.py), `prepare` for
the page.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from demos.from_scratch import checking, data, model, vanishing, writing
from demos.from_scratch.checking import Row
from demos.from_scratch.config import FromScratchConfig
from demos.from_scratch.engine import initial
from demos.from_scratch.model import Parameters

NO_TEXT = "Text: none yet"
BACK = "Back to our fables"
BACK_TO: dict[str, Any] = {"corpus": "fables", "text": ""}
CHECKED_UNITS = 8
MEASURED_SENTENCES = 50


def with_text(text: str, now: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that learn a kept text: as a CSV file where one was asked for."""
    return {"text": text, "corpus": now["corpus"] if now["corpus"] in ("text", "csv") else "text"}


def longest(now: Mapping[str, Any]) -> int:
    """The most characters of a file that is brought."""
    return data.longest(now["corpus"])


def prepare(config: FromScratchConfig) -> None:
    """Cut the text as far as these settings need it: of a long one that takes seconds, once."""
    _ = config.words.pairs


class Piece(NamedTuple):
    """A function, what it computes, and the shapes that it has with the current settings, in Markdown with LaTeX."""

    title: str
    equation: str
    shapes: str
    function: Callable[..., Any]

    def source(self) -> str:
        """Its text as Python runs it."""
        return inspect.getsource(self.function)


def forward_pieces(config: FromScratchConfig) -> tuple[Piece, ...]:
    """From words to a loss."""
    h, c = config.hidden_units, len(config.words.words)
    drawn = f"$U$ [{h} × {c:,}] within ±1/√{c:,}, $V$ [{c:,} × {h}] and $W$ [{h} × {h}] within ±1/√{h}"
    return (
        Piece(
            "Weights to begin with", r"\theta \sim \mathcal{U}(-1/\sqrt n, 1/\sqrt n)", drawn, model.initial_parameters
        ),
        Piece(
            "One step",
            r"s_t = \tanh(U x_t + W s_{t-1})",
            f"$U x_t$, $W s_{{t-1}}$ and $s_t$ are [{h}]",
            model.next_state,
        ),
        Piece(
            "Softmax, as logarithms",
            r"\ln o_i = v_i - \ln \sum_j e^{v_j}",
            f"scores $v$ and $\\ln o$ are [T × {c:,}]",
            model.log_softmax,
        ),
        Piece(
            "A sentence", r"o_t = \mathrm{softmax}(V s_t)", f"$s$ is [T × {h}], $\\ln o$ is [T × {c:,}]", model.forward
        ),
        Piece("The loss", r"L = -\sum_t \ln o_t[y_t]", "one number, in nats", model.loss),
    )


def prediction(config: FromScratchConfig) -> Piece:
    """From a sentence to the likeliest word at each place."""
    c = len(config.words.words)
    return Piece(
        "The likeliest word", r"\hat y_t = \mathrm{argmax}_i\; o_{t,i}", f"T numbers from 0 to {c - 1:,}", model.predict
    )


def predicted(corpus: data.Corpus, p: Parameters, number: int) -> list[dict[str, Any]]:
    """What a network predicts at each place of a sentence, beside what is right there, and how probable it takes both to be."""
    x, y = corpus.pairs[number]
    likeliest, (_, log_probabilities) = model.predict(p, x), model.forward(p, x)
    places = np.arange(len(x))
    rows = zip(
        corpus.text_of(x), corpus.text_of(y), np.exp(log_probabilities[places, y]).tolist(),
        corpus.text_of(likeliest), np.exp(log_probabilities[places, likeliest]).tolist(), strict=True,
    )  # fmt: skip
    return [
        {
            "given": given,
            "target": target,
            "it predicts": word,
            "right": "✓" if word == target else "",
            "p(target)": f"{of_target:.3f}",
            "p(predicted)": f"{of_word:.3f}",
        }
        for given, target, of_target, word, of_word in rows
    ]


def check_equations() -> str:
    """What the gradient check computes, with its step and its limit: `n` is measured, `a` is what `model.backward` says."""
    step, limit = (f"10^{{{round(math.log10(value))}}}" for value in (checking.STEP, checking.TOLERANCE))
    return "\n\n".join(
        [
            r"$$n = \dfrac{L(\theta + h) - L(\theta - h)}{2h}, \qquad " + f"h = {step}$$",
            r"$$\dfrac{\lVert a - n \rVert}{\lVert a \rVert + \lVert n \rVert}" + f" < {limit}$$",
        ]
    )


def backward_equations(config: FromScratchConfig) -> str:
    """What `model.backward` computes, with the current shapes."""
    h, c = config.hidden_units, len(config.words.words)
    return "\n\n".join(
        [
            r"$$\frac{\partial L}{\partial V} = \sum_t (o_t - y_t)\, s_t^\top$$",
            r"$$\delta_t^{(0)} = V^\top (o_t - y_t) \odot (1 - s_t^2)$$",
            r"$$\delta_t^{(k)} = W^\top \delta_{t+1}^{(k-1)} \odot (1 - s_t^2)$$",
            r"$$\delta_t = \sum_{k \le \mathrm{truncate}} \delta_t^{(k)}$$",
            r"$$\frac{\partial L}{\partial W} = \sum_t \delta_t\, s_{t-1}^\top, \qquad "
            r"\frac{\partial L}{\partial U} = \sum_t \delta_t\, x_t^\top$$",
            f"$\\delta_t^{{(k)}}$ [{h}] is what the guess $k$ steps later asks of $s_t$. Of the gradients, "
            f"$V$'s is [{c:,} × {h}], $W$'s [{h} × {h}] and $U$'s [{h} × {c:,}].",
        ]
    )


def dimensions(config: FromScratchConfig) -> list[dict[str, str]]:
    """The table of what has which shape."""
    h, c = config.hidden_units, len(config.words.words)
    rows = [
        ("x_t", f"{c:,}", "a word: all zeros but for a one at its number"),
        ("s_t", f"{h}", "the state: all that is remembered"),
        ("o_t", f"{c:,}", "each word's probability to come next"),
        ("U", f"{h} × {c:,}", f"{h * c:,} weights from word to state"),
        ("V", f"{c:,} × {h}", f"{h * c:,} weights from state to word"),
        ("W", f"{h} × {h}", f"{h * h:,} weights from state to state"),
    ]
    return [{"name": name, "shape": shape, "what it is": what} for name, shape, what in rows]


@lru_cache(maxsize=64)
def untrained_loss(config: FromScratchConfig) -> float:
    """The loss of the network that a run begins with, in nats a word, on the first sentences."""
    p, pairs = initial(config), config.words.pairs[:MEASURED_SENTENCES]
    return sum(model.loss(p, x, y) for x, y in pairs) / sum(len(x) for x, _ in pairs)


class Path(NamedTuple):
    """A sentence on its way from text to numbers."""

    written: str
    tokens: list[str]
    known: list[str]
    x: list[int]
    y: list[int]


def path_of(corpus: data.Corpus, number: int) -> Path:
    """The way of one sentence."""
    x, y = corpus.pairs[number]
    known = corpus.text_of(np.array([*x, y[-1]]))
    return Path(corpus.written[number], corpus.sentences[number], known, x.tolist(), y.tolist())


class Small(NamedTuple):
    """A small network and a sentence to check the gradient with: few weights, because each costs two losses."""

    words: list[str]
    p: Parameters
    x: np.ndarray
    y: np.ndarray


@lru_cache(maxsize=64)
def small(config: FromScratchConfig, seed: int) -> Small:
    """A short sentence of the corpus in which a word comes twice, in its own words alone, and a float64 network for it."""
    corpus = config.words
    candidates = [
        words for words in corpus.sentences if 7 <= len(words) <= 12 and len(set(words[:-1])) < len(words) - 1
    ]
    words = min(candidates or corpus.sentences, key=len)
    names = sorted(set(words), key=words.index)
    numbers = np.array([names.index(word) for word in words])
    random = np.random.default_rng(seed)
    return Small(words, model.initial_parameters(len(names), CHECKED_UNITS, random), numbers[:-1], numbers[1:])


@lru_cache(maxsize=256)
def checked(config: FromScratchConfig, seed: int, truncate: int, bug: str | None) -> list[Row]:
    """The gradient check of `small`, with a planted bug or without."""
    case = small(config, seed)
    p = Parameters(*(weights.copy() for weights in case.p))
    return checking.check(p, case.x, case.y, truncate, checking.planted(bug))


@lru_cache(maxsize=64)
def reaches(units: int, steps: int, scale: float, keep_bias: float, seed: int) -> dict[str, np.ndarray]:
    """Of each cell how much of the gradient reaches each earlier step (see demos.from_scratch.vanishing)."""
    return {cell: vanishing.relative_reach(cell, steps + 1, units, scale, keep_bias, seed) for cell in vanishing.CELLS}


def writing_pieces() -> tuple[Callable[..., Any], ...]:
    """The functions that draw sentences."""
    return writing.draw_word, writing.write_sentence, writing.Replacing.draw
