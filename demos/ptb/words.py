"""What the page shows of a network's words: sentences to read, texts to draw, and what the result is compared with.

No TensorFlow: a network is read in NumPy (see lib.word_model).
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from demos.ptb import data, grammar, theory
from demos.ptb.config import PTBConfig
from demos.ptb.models import REPLAYED, SETS
from lib import vocabulary
from lib.ngrams import Unigram
from lib.vocabulary import EOS, UNK, Corpus
from lib.word_model import WordModel, unflat
from lib.word_sampling import Sample, samples
from lib.words_figure import perplexity_text

SECTIONS = {"sentence": "Word by word", "samples": "What it writes", "diary": "Its diary", "measured": "Measured how?"}
NOTHING_YET = "Press **Start** above. Then you can read sentences with the network, and let it write, while it learns."
NO_DIARY = (
    "After every epoch, the network goes on here from the same beginnings with the same random numbers, so that you can watch "
    "babble become language."
)
HINT = (
    "A high temperature samples unlikely words more often. All three use the same random numbers. "
    "Click a word to see what else was likely there."
)
EMPTY_PROMPT = "Words to go on from. Empty begins a sentence."
SUGGESTS = False  # the vocabulary is long
LONGEST_TYPED = 400  # characters
LONGEST_READ = 100  # words of an unseen sentence
USUAL_TEXT, LONGEST_TEXT = 30, 60  # words that are drawn
TEMPERATURES = (0.3, 0.7, 1.0)
END = "■ end"  # what <eos> is called where a sentence is read
STREAM = 2**32 + 5  # of random numbers, besides the seed

# What the control for a person's own text says, and sets (see app/own_text.py).
NO_TEXT = "Bring a text"
BACK = "Back to our grammar"
BACK_TO: dict[str, Any] = {"corpus": "grammar", "text": ""}
FEWEST_STEPS = 1_000  # that a network needs to learn something of a short text


class WordsError(ValueError):
    """A text that cannot be read. Its message says why, and what to do. `near` offers known words for unknown ones."""

    near: Mapping[str, tuple[str, ...]] = {}


def diary_heading(note: Mapping[str, Any]) -> tuple[str, str]:
    """What stands beside a note of the diary."""
    measured = perplexity_text(note["valid_perplexity"]) if "valid_perplexity" in note else "not measured"
    return f"Epoch {note['epoch']:g}", f"validation perplexity {measured}"


def with_text(text: str, now: Mapping[str, Any]) -> dict[str, Any]:
    """What is set beside a person's text, which is kept under this id; `now` are the settings as they are.

    A short text is read in fewer rows and more often, so that the network has steps enough to learn from it, and a replay gives
    way to a model that is trained. Raises TextError for a text that is too short.
    """
    words = len(data.corpus("text", text).train)
    found: dict[str, Any] = {"corpus": "text", "text": text}
    if now["model"] in REPLAYED:
        found |= {"model": "tiny", **SETS["tiny"]}
    settings = {**now, **found}
    rows = min(settings["batch_size"], max(1, words // 500))
    steps = max(1, (words // rows - 1) // settings["truncated_backprop_length"])
    return found | {"batch_size": rows, "epochs": min(100, max(settings["epochs"], -(-FEWEST_STEPS // steps)))}


# Networks


def network_of(leaves: Mapping[str, np.ndarray], config: PTBConfig) -> dict[str, Any] | None:
    """The network in what `Carry.weights` or `Carry.to_arrays` wrote, as lib.word_model takes it; None when it is not there.

    The leaves stand in the order in which TensorFlow flattens lib.word_network's tree, each with a seed axis of one.
    """
    layers = [f"layers/layer_{i}" for i in range(config.layers)]
    names = [
        "embedding",
        *(f"{layer}/{name}" for layer in layers for name in ("bias", "input_weights", "recurrent_weights")),
    ]
    names.append("output/bias")
    if not config.tied:
        names.append("output/weights")
    elif config.output_units != config.units[-1]:
        names.append("output/projection")
    found = [leaves.get(f"leaf_{i:03d}") for i in range(len(names))]
    if any(leaf is None for leaf in found):
        return None
    return unflat({name: leaf[0] for name, leaf in zip(names, found, strict=True) if leaf is not None})


# Sentences


def corpus(name: str, text: str) -> Corpus:
    """A corpus by its name; `text` is the id of a person's own. Raises lib.corpora.CorpusError, lib.texts.TextError."""
    return data.corpus(name, text)


class Sentence(NamedTuple):
    """A sentence to be read: `ids` with the `<eos>` after it; for each, a label and what an unknown word is read as, or ""."""

    ids: tuple[int, ...]
    labels: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...]  # the words that the vocabulary does not have
    left_out: bool  # whether they are left out because there is no <unk>


@lru_cache(maxsize=4)
def test_sentences(name: str, text: str) -> tuple[tuple[int, ...], ...]:
    """The sentences of a corpus that no network learns from, without `<eos>`; empty ones left out, long ones cut."""
    corpus = data.corpus(name, text)
    ends = np.flatnonzero(corpus.test == corpus.numbers[EOS])
    parts = np.split(corpus.test, ends + 1)
    return tuple(tuple(part[:-1][:LONGEST_READ].tolist()) for part in parts if len(part) > 1)


def of_test(name: str, text: str, number: int) -> Sentence:
    """One of them, by its place from 1."""
    corpus, sentences = data.corpus(name, text), test_sentences(name, text)
    ids = sentences[min(max(number, 1), len(sentences)) - 1]
    return _sentence(corpus, [(i, corpus.words[i], "") for i in ids], ())


def typed(name: str, text: str, sentence: str) -> Sentence:
    """A sentence that a person typed. Raises WordsError when none of its words can be read."""
    corpus = data.corpus(name, text)
    ids, written, unknown = vocabulary.encode(corpus, sentence)
    if not ids:
        named = f"none of {quoted(unknown)}" if unknown else "no word in it"
        raise WordsError(f"The network knows {named}. Type words of its text, such as “{_some(corpus)}”.")
    pieces = [
        (number, word, corpus.words[number] if word != corpus.words[number] else "")
        for number, word in zip(ids, written, strict=True)
    ]
    return _sentence(corpus, pieces, tuple(unknown))


def _sentence(corpus: Corpus, pieces: Sequence[tuple[int, str, str]], unknown: tuple[str, ...]) -> Sentence:
    ids = (*(number for number, _, _ in pieces), corpus.numbers[EOS])
    labels = (*((label, read_as) for _, label, read_as in pieces), (END, ""))
    return Sentence(ids, labels, unknown, bool(unknown) and UNK not in corpus.numbers)


def quoted(words: Sequence[str]) -> str:
    """Words in a message."""
    return ", ".join(f"“{word}”" for word in words)


def _some(corpus: Corpus) -> str:
    """A few words of a corpus."""
    end = corpus.numbers[EOS]
    first = corpus.train[: np.flatnonzero(corpus.train == end)[0]]
    return " ".join(corpus.words[number] for number in first[:4])


@lru_cache(maxsize=4)
def frequencies(name: str, text: str) -> np.ndarray:
    """How frequent each word is in the training text, as probabilities [V]."""
    corpus = data.corpus(name, text)
    return Unigram.of(corpus.train, len(corpus.words)).probabilities


# Texts that are drawn


def prompt_ids(name: str, text: str, prompt: str) -> tuple[int, ...]:
    """A prompt as numbers. Raises WordsError where the vocabulary does not have all of its words."""
    ids, _, unknown = vocabulary.encode(data.corpus(name, text), prompt)
    if unknown:
        raise WordsError(
            f"The network does not know {quoted(unknown)}, so it cannot go on from there. Take other words, or none."
        )
    return tuple(ids)


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
    """What the network says at each temperature after the prompt and `taken`, the first of the text's words.

    It goes on with the random numbers that these leave. Together, the texts cost hardly more than one.
    """
    random = np.random.default_rng([seed, STREAM]).random(words)[None, len(taken) :]
    forbid = [corpus.numbers[UNK]] if UNK in corpus.numbers and not unknown else []
    top_k = min(top_k, len(corpus.words))
    found = samples(model, [[*prompt, *taken]], random, temperatures, top_k, first=corpus.numbers[EOS], forbid=forbid)
    return tuple(found.one(0, i) for i in range(len(temperatures)))


def copied(name: str, text: str, words: Sequence[int]) -> list[bool]:
    """Which words of a text are marked as copied: none, because phrases of a grammar or of a newspaper come again anyway."""
    return [False] * len(words)


def original(name: str, text: str, texts: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """The text that it learned from, to be shown: it is too long for that."""
    return []


class Piece(NamedTuple):
    """A word in a text: with no space before it where it is `glued`, and with a line break after it where it is the `end`."""

    text: str
    glued: bool
    end: bool


_GLUED = frozenset(".,;:!?…)]}%") | {"n't", "'s", "'re", "'ve", "'m", "'ll", "'d", "'", "”", "’"}
_OPENING = frozenset("([{$#“‘")


def prose(words: Sequence[str]) -> list[Piece]:
    """Words as a text is written: marks at the word before them, and a new line after each sentence."""
    pieces: list[Piece] = []
    glue = True
    for word in words:
        if word == EOS:
            pieces.append(Piece("¶", False, True))
            glue = True
            continue
        pieces.append(Piece(word, glue or word in _GLUED, False))
        glue = word in _OPENING
    return pieces


# The result


class Result(NamedTuple):
    """A run's test perplexity beside others': `others` are names and perplexities, `meaning` one plain sentence."""

    test: float
    others: tuple[tuple[str, float], ...]
    meaning: str
    note: str = ""


def result(config: PTBConfig, test: float, *, changed: bool = False) -> Result:
    """What a test perplexity is worth on this corpus; `changed`: settings were changed while it trained."""
    if config.corpus == "grammar":
        return _beside_bound(math.exp(theory.floor(config)), test)
    if config.corpus == "ptb":
        return _beside_published(None if changed else theory.as_published(config), test)
    unigram, bigram = theory.counting(config.corpus, config.text, "test")
    if test < bigram:
        meaning = "It beats the bigram model, which knows how often each word follows each other one."
    elif test < unigram:
        meaning = (
            "It beats the unigram model, which knows how often each word occurs, but not the bigram model, which knows how often "
            "each follows each other one."
        )
    else:
        meaning = (
            "The unigram model, which knows only how often each word occurs, does as well. More epochs or a longer text may "
            "help; if the training perplexity is far lower than this, dropout may."
        )
    return Result(test, (("Unigram model", unigram), ("Bigram model", bigram)), meaning)


def _beside_bound(bound: float, test: float) -> Result:
    """How far above the bound it is, or how far below, beside the chance in which sentences the test text has."""
    own, percent = grammar.own("test"), 100 * (test / bound - 1)
    sample = f"On these very sentences, the grammar itself has {own.perplexity:.2f} (standard error {own.error:.2f})."
    if percent >= 0:
        meaning = f"{percent:.1f} % above the lower bound, {bound:.2f}: the grammar draws its words at random. {sample}"
    else:
        meaning = f"{-percent:.1f} % below the lower bound of endless text, {bound:.2f}. {sample}"
    return Result(test, (("Lower bound", bound), ("The grammar itself", own.perplexity)), meaning)


def _beside_published(name: str | None, test: float) -> Result:
    later = "; ".join(f"{model}: {value:g}" for model, value in theory.LATER.items())
    note = (
        "Published: TensorFlow's ptb_word_lm, after Zaremba, Sutskever and Vinyals (2014), whose own table 1 has 114.5, 82.7 and "
        f"78.4. Later models: {later}."
    )
    if name is None:
        others = tuple((f"{model.capitalize()}, published", each.test) for model, each in theory.PUBLISHED.items())
        return Result(
            test, others, "These are not the same settings as a published model's, so compare with care.", note
        )
    published = theory.PUBLISHED[name].test
    percent = 100 * (test / published - 1)
    than = (
        f"{abs(percent):.1f} % {'above' if percent > 0 else 'below'} the publication's"
        if abs(percent) >= 0.05
        else "the same"
    )
    meaning = f"These are exactly the settings of **{name}**, and the result is {than}."
    return Result(test, ((f"{name.capitalize()}, published", published),), meaning, f"{theory.CLIPPING} {note}")
