"""What the page shows of the network's words: what it tells after a beginning, and which contexts are ambiguous.

No TensorFlow: a network is read in NumPy (see demos.story.reading).
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from demos.story import data, reading, theory
from demos.story.config import StoryConfig
from lib import vocabulary
from lib.word_model import WordModel, unflat
from lib.word_sampling import Sample

SECTIONS = {"samples": "What it tells", "diary": "Its diary", "unsure": "Ambiguous contexts"}
NOTHING_YET = "Press **Start** above. Then you can let it tell the story, from any words of it, while it learns."
NO_DIARY = "While it learns, it tells the story here from its first words, a dozen times, the first ones soon."
EMPTY_PROMPT = "Words to go on from. Empty takes the story's own first words."
SUGGESTS = True
LONGEST_TYPED = 400  # characters
USUAL_TEXT, LONGEST_TEXT = 32, 300  # words that are told: at first as many as the tutorial tells
TEMPERATURES = (0.0, 0.5, 1.0)
OFFERED = 3  # known words beside an unknown one
HINT = (
    "At temperature 0 it always says the likeliest word; higher ones sample unlikely words more often. **Marked** are words "
    "copied verbatim from the story. Click a word to see what else was likely there."
)

# What the control for a person's own text says, and sets (see app/own_text.py).
NO_TEXT = "Bring a story"
BACK = "Back to our fable"
BACK_TO: dict[str, Any] = {"story": data.DEFAULT, "text": ""}
SHORTEST = 40  # characters


class WordsError(ValueError):
    """Words that cannot be read: its message says why, and what to do. `near` offers known words for unknown ones."""

    def __init__(self, message: str, near: Mapping[str, tuple[str, ...]] | None = None) -> None:
        super().__init__(message)
        self.near = dict(near or {})


def with_text(text: str, now: Mapping[str, Any]) -> dict[str, Any]:
    """What is set beside a person's text, which is kept under this id. Raises TextError for one that cannot be used."""
    data.story("own", text)
    return {"story": "own", "text": text}


# Networks


def network_of(leaves: Mapping[str, np.ndarray], config: StoryConfig) -> dict[str, Any] | None:
    """The network in what `Carry.weights` or `Carry.to_arrays` wrote, as lib.word_model takes it; None when it is not there.

    The leaves stand in the order in which TensorFlow flattens the task's tree, each with a seed axis of one.
    """
    layers = [f"layers/layer_{i}" for i in range(config.layers)]
    names = ["embedding"] if config.word_input == "embedding" else []
    names += [f"{layer}/{name}" for layer in layers for name in ("bias", "input_weights", "recurrent_weights")]
    names += ["output/bias", "output/weights"]
    found = {name: leaves.get(f"leaf_{i:03d}") for i, name in enumerate(names)}
    if any(leaf is None for leaf in found.values()):
        return None
    arrays = {name: leaf[0] for name, leaf in found.items() if leaf is not None}
    numbers = np.arange(len(arrays["output/bias"]), dtype=np.float32)[:, None]
    return unflat({"embedding": numbers, **arrays})


# What it tells


class Corpus(NamedTuple):
    """A story, as pages of words take one, and how many of its words are read at a time."""

    words: tuple[str, ...]
    numbers: Mapping[str, int]
    story: data.Story
    length: int


def corpus(name: str, text: str, numbering: str, length: int) -> Corpus:
    """A story by its name; `text` is the id of a person's own. Raises lib.texts.TextError."""
    found = data.story(name, text, numbering)
    return Corpus(found.words, found.number_of, found, length)


def prompt_ids(name: str, text: str, numbering: str, length: int, prompt: str) -> tuple[int, ...]:
    """A beginning as numbers; nothing typed is the story's own. Raises WordsError where words are unknown, or too few."""
    story = data.story(name, text, numbering)
    words = vocabulary.tokens(prompt)
    if not words:
        return tuple(story.numbers[:length].tolist())
    unknown = [word for word in dict.fromkeys(words) if word not in story.number_of]
    if unknown:
        named = ", ".join(f"“{word}”" for word in unknown)
        near = {word: nearest(word, story.words) for word in unknown}
        raise WordsError(f"The story does not have {named}. Take a word that it has:", near)
    if len(words) < length:
        raise WordsError(f"The network reads {length} words at a time, and here {_are(len(words))}: add some.")
    return tuple(story.number_of[word] for word in words)


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"


def nearest(word: str, words: Sequence[str]) -> tuple[str, ...]:
    """The known words that look most like an unknown one, the nearest first; never none."""
    return tuple(difflib.get_close_matches(word[:LONGEST_TYPED], words, OFFERED, cutoff=0.0))


def drawn(
    model: WordModel,
    corpus: Corpus,
    prompt: Sequence[int],
    taken: Sequence[int],
    temperatures: Sequence[float],
    *,
    seed: int,
    words: int,
    top_k: int,
    unknown: bool,
) -> tuple[Sample, ...]:
    """What the network tells at each temperature after the prompt and `taken`, the first of the text's words."""
    random = np.random.default_rng([seed, reading.STREAM]).random(words)[len(taken) :]
    reader, context = reading.Reader.of(model), [*prompt, *taken]
    return reading.tell(reader, context, corpus.length, random, temperatures, top_k)


def copied(name: str, text: str, numbering: str, length: int, words: Sequence[int]) -> list[bool]:
    """Which of a text's words stand in runs that the story has too, longer than a context and the word after it."""
    story = data.story(name, text, numbering)
    found: list[bool] = reading.verbatim(words, story.numbers, length + 2).tolist()
    return found


def original(name: str, text: str, numbering: str, length: int, texts: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """The story as tokens (see app/chips.py), what one of the texts has of it word for word marked."""
    story = data.story(name, text, numbering)
    told = np.any([reading.verbatim(story.numbers, np.array(each), length + 2) for each in texts], axis=0)
    pieces = prose([story.words[number] for number in story.numbers])
    return [
        {"text": piece.text, "glued": piece.glued, "end": False, "look": "copied" * bool(is_told), "tip": []}
        for piece, is_told in zip(pieces, told, strict=True)
    ]


class Piece(NamedTuple):
    """A word in a text, with no space before it where it is `glued`; its line never `end`s."""

    text: str
    glued: bool
    end: bool


_GLUED = frozenset(".,;:!?…)]}%")


def prose(words: Sequence[str]) -> list[Piece]:
    """Words as a text is written: marks at the word before them. A quote may open or close, so it stands by itself."""
    return [Piece(word, not place or word in _GLUED, False) for place, word in enumerate(words)]


def diary_heading(note: Mapping[str, Any]) -> tuple[str, str]:
    """What stands beside a note of the diary."""
    return f"Step {note['step']:,}", f"knows {note['known']:.1%} of the words"


# Ambiguous contexts


class Unsure(NamedTuple):
    """A context in words, the words that follow it with how often each does, and what the network says there."""

    context: str
    followers: tuple[tuple[str, int], ...]
    guess: str


def about_unsure(config: StoryConfig) -> str:
    """What the ceiling is, in Markdown."""
    best, places = theory.of(config), len(config.numbered.numbers) - config.n_input
    seen = "one word" if config.n_input == 1 else f"{config.n_input} words"
    if not best.ambiguous:
        return f"No context of {seen} is followed by different words in this story, so all {places:,} words can be predicted."
    return (
        f"These contexts of {seen} are followed by different words. A network that reads no more says the same word each time, "
        f"so it can be right at {round(best.accuracy * places):,} of {places:,} places at most, **{best.accuracy:.1%}**."
    )


def unsure(config: StoryConfig, model: WordModel | None) -> list[Unsure]:
    """The contexts of the story that are followed by different words."""
    story, found = config.numbered, theory.of(config).ambiguous
    if not found:
        return []
    guess = [""] * len(found)
    if model is not None:
        best = reading.Reader.of(model).logits(np.array([each.context for each in found])).argmax(axis=-1)
        guess = [story.words[number] for number in best]
    return [
        Unsure(
            " ".join(story.words[number] for number in each.context),
            tuple((story.words[word], count) for word, count in each.followers),
            said,
        )
        for each, said in zip(found, guess, strict=True)
    ]
