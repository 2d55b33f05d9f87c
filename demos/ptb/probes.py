"""What a network has learned of our grammar, measured in NumPy: whether verbs agree, what it writes, what it keeps.

The grammar says exactly which sentences are possible (see demos.ptb.grammar), so all of this is right or wrong, not a matter of
taste. Shapes: N subjects or sentences, H units of the last layer.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from demos.ptb import data, grammar, words
from demos.ptb.config import PTBConfig
from lib.vocabulary import EOS
from lib.word_model import LayerState, State, WordModel, log_softmax
from lib.word_sampling import samples

SUBJECTS, SEED = 400, 2**32 + 8
LONGEST = 40  # words of a sentence that is drawn
PROMPT = 40  # words, at least
BEFORE = 1_000  # words that are read before anything is measured


def model_of(leaves: Mapping[str, np.ndarray], config: PTBConfig) -> WordModel:
    """The network of a run. Raises LookupError where its weights are not there, ValueError where they are not finite."""
    network = words.network_of(leaves, config)
    if network is None:
        raise LookupError("the run has no weights")
    return WordModel(network)


# Agreement


class Subjects(NamedTuple):
    """Subjects such as "the dog near the houses", whose last noun has the other number: `words` [6, N] with <eos> before them.

    `many` [N] says of which number the subject is.
    """

    words: np.ndarray
    many: np.ndarray


@cache
def subjects() -> Subjects:
    """Some of them, drawn evenly."""
    numbers, draw = data.corpus("grammar", "").numbers, np.random.default_rng(SEED)
    nouns = [entry for name in ("Animal", "Person") for entry in grammar.NOUNS[name].split()]
    places, near = grammar.NOUNS["Place"].split(), grammar.WORDS["Near"].split()
    many, texts = draw.random(SUBJECTS) < 0.5, []
    for plural in many.tolist():
        subject, place = (grammar.noun_forms(str(draw.choice(each))) for each in (nouns, places))
        texts.append([EOS, "the", subject[plural], str(draw.choice(near)), "the", place[not plural]])
    return Subjects(np.array([[numbers[word] for word in text] for text in texts]).T, many)


@cache
def verb_forms() -> tuple[np.ndarray, np.ndarray]:
    """The numbers of all verb forms for one and for many."""
    numbers = data.corpus("grammar", "").numbers
    entries = [*(entry for text in grammar.VERBS.values() for entry in text.split()), "be"]
    one, many = zip(*(grammar.verb_forms(entry) for entry in entries), strict=True)
    return np.array([numbers[form] for form in one]), np.array([numbers[form] for form in many])


def agreement(model: WordModel) -> np.ndarray:
    """Whether the verb forms that agree with a subject are likelier in sum than those that do not, bool [N].

    The subjects are read after other sentences.
    """
    logits, (one, many) = model.logits(_at_the_verb(model)), verb_forms()
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    found: np.ndarray = (weights[:, many].sum(axis=-1) > weights[:, one].sum(axis=-1)) == subjects().many
    return found


def _at_the_verb(model: WordModel) -> np.ndarray:
    """The last layer's state [N, H] where the verb comes next."""
    asked = subjects()
    _, hidden = model.hidden_states(_warm(model, len(asked.many)), asked.words)
    return hidden[-1]


def _warm(model: WordModel, rows: int) -> State:
    """The state [rows] after the first words of the validation text: one from which a network has learned to read on.

    From a state of zeros it read only when its epochs began.
    """
    text = data.corpus("grammar", "").valid[:BEFORE]
    state, _ = model.hidden_states(model.zero_state(1), text[:, None])
    return tuple(LayerState(*(np.repeat(part, rows, axis=0) for part in layer)) for layer in state)


# What it writes


def written(model: WordModel, count: int, temperature: float, seed: int = 0) -> list[list[str]]:
    """The sentences that it writes after `count` places of the validation text, those that end within 40 words.

    They come without their <eos>. Before each it has read `PROMPT` words or more, from one sentence's start.
    """
    corpus = data.corpus("grammar", "")
    ends = np.flatnonzero(corpus.valid == corpus.numbers[EOS]) + 1
    prompts = [corpus.valid[ends[ends <= end - PROMPT][-1] : end] for end in ends[ends > 2 * PROMPT + LONGEST][:count]]
    random = np.random.default_rng([seed, SEED]).random((count, LONGEST))
    drawn = samples(model, prompts, random, [temperature], first=corpus.numbers[EOS]).words[:, 0]
    texts = [[corpus.words[number] for number in text] for text in drawn.tolist()]
    return [text[: text.index(EOS)] for text in texts if EOS in text]


def grammatical(sentences: Sequence[Sequence[str]]) -> float:
    """The share of sentences that the grammar can make."""
    return float(np.mean([grammar.reach(sentence) > len(sentence) for sentence in sentences]))


def possible(sentences: Sequence[Sequence[str]]) -> float:
    """The share of words that the grammar allows after those before them, up to each sentence's first that it does not."""
    right = sum(grammar.reach(sentence) for sentence in sentences)
    return right / (right + sum(grammar.reach(sentence) <= len(sentence) for sentence in sentences))


# What it keeps


def perplexity(model: WordModel, length: int | None = None, count: int = 4_000) -> float:
    """On the validation text; or with only the last `length` words before each word as they are, the earlier ones from elsewhere.

    These are `BEFORE` words of the same text that belong to another place, so the state is of a kind that the network knows.
    """
    text = data.corpus("grammar", "").valid
    if length is None:
        _, hidden = model.hidden_states(model.zero_state(1), text[: BEFORE + count, None])
        states, targets = hidden[BEFORE:, 0], text[BEFORE + 1 : BEFORE + count + 1]
    else:
        near = np.lib.stride_tricks.sliding_window_view(text[BEFORE - length + 1 :], length + 1)[:count]
        _, hidden = model.hidden_states(_warm(model, len(near)), near[:, :-1].T)
        states, targets = hidden[-1], near[:, -1]
    nats = -log_softmax(model.logits(states))[np.arange(len(targets)), targets]
    return float(np.exp(nats.mean(dtype=np.float64)))
