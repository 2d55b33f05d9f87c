"""A grammar of our own: small tales of which the lowest possible perplexity of any model is known exactly.

The rules and the words are tables in demos/ptb/tales.py.

Every sentence has exactly one derivation, because no ending can belong to two things: a phrase of place belongs to a
subject or to a verb and never to an object, an object with a relative clause ends its clause, and what tells the time
or links two clauses belongs to the whole sentence. (A test searches all sentences of up to 20 words for a second one.)
So the probability of a sentence is that of its derivation: the product of the probabilities of the rules used. Hence

    entropy of a sentence  H = Σ_A u_A h_A     (nats)
    tokens of a sentence   L = Σ_A u_A w_A     (words and its end)
    floor                    = exp(H / L)      (perplexity)

where rules of symbol A have entropy h_A and bring in w_A words on average, and a sentence uses u_A of them on average.
Sentences are independent, and `<eos>` says where one begins, so H / L is also the entropy rate of the running text, and
no model's expected loss is lower on sentences that it has not read. (On a sample, such as the 2,000 sentences of the test
split, what the grammar itself would lose differs a little from it, by chance: see `own`.)

Sources: S. Soule, "Entropies of probabilistic grammars", Information and Control 25 (1974) 57-74; T. M. Cover and
J. A. Thomas, "Elements of Information Theory", 2nd ed. (2006), ch. 2 (chain rule) and ch. 4 (entropy rates). The
weights 1 / (rank + offset) of words are B. Mandelbrot's form of Zipf's law (1953).
"""

import math
from bisect import bisect
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate, chain
from typing import Literal, NamedTuple

import numpy as np

from demos.ptb.tales import IRREGULAR, NOUNS, RULES, VERBS, WORDS

END = "<eos>"
START = "Sentence"
TRAIN_SENTENCES = 40_000
VALID_SENTENCES = TEST_SENTENCES = 2_000
SPLITS = {  # how many sentences, and from which seed: none that a person would choose
    "train": (TRAIN_SENTENCES, 2**32 + 1),
    "valid": (VALID_SENTENCES, 2**32 + 2),
    "test": (TEST_SENTENCES, 2**32 + 3),
}
STREAM = 7  # of random numbers, besides the seed

NUMBERS = {"-one": 0.6, "-many": 0.4}  # and how often a rule that may choose takes each
OFFSET = 3  # of Zipf's law: the first word of a class is (n + 3) / 4 times as frequent as the n-th


class Rule(NamedTuple):
    """One way to replace a symbol."""

    probability: float  # among the rules of its symbol
    side: tuple[str, ...]  # what stands in its place: symbols and words


Grammar = dict[str, tuple[Rule, ...]]
Stacks = dict[tuple[str, ...], float]  # what may still be to come, and how likely (see `_parse`)


# From the tables to the grammar


@cache
def grammar() -> Grammar:
    """Every symbol's rules; probabilities sum to 1 for each. What is no key of it is a word."""
    weighted: dict[str, dict[tuple[str, ...], float]] = {}
    for symbol, weight, side in chain(_rules(), _lexicon()):
        sides = weighted.setdefault(symbol, {})
        if side in sides:
            raise ValueError(f"{symbol} has the rule {' '.join(side)!r} twice: keep one, with the sum of their weights")
        sides[side] = weight
    for symbol, sides in weighted.items():
        for part in chain.from_iterable(sides):
            if part not in weighted and part[0].isupper():
                raise ValueError(f"a rule of {symbol} names {part}, which has no rules and no words: add some")
    return {
        symbol: tuple(Rule(weight / math.fsum(sides.values()), side) for side, weight in sides.items())
        for symbol, sides in weighted.items()
    }


def _rules() -> Iterator[tuple[str, float, tuple[str, ...]]]:
    """(symbol, weight, side) of `RULES`, with `*` and `#` spelled out."""
    for name, text in RULES.items():
        for line in text.strip().splitlines():
            weight, *side = line.split()
            for noun in NOUNS if "*" in name else ("",):
                parts = [part.replace("*", noun) for part in (name, *side)]
                for share, (symbol, *rest) in _numbered(parts):
                    yield symbol, float(weight) * share, tuple(rest)


def _numbered(parts: list[str]) -> Iterator[tuple[float, list[str]]]:
    """A rule once for each grammatical number, and the share that each has of its weight."""
    if not any("#" in part for part in parts):
        yield 1.0, parts
        return
    for number, share in NUMBERS.items():
        yield 1.0 if "#" in parts[0] else share, [_in_number(part, number) for part in parts]


def _in_number(part: str, number: str) -> str:
    """A part of a rule in this number: `Deed#` is Deed-one or Deed-many, `fall#` is falls or fall."""
    if not part.endswith("#"):
        return part
    stem = part[:-1]
    return stem + number if stem[0].isupper() else verb_forms(stem)[number == "-many"]


def _lexicon() -> Iterator[tuple[str, float, tuple[str, ...]]]:
    """(symbol, weight, side) of all words of all classes."""
    for name, text in NOUNS.items():
        yield from _zipf(f"{name}-one", [noun_forms(entry)[0] for entry in text.split()])
        yield from _zipf(f"{name}-many", [noun_forms(entry)[1] for entry in text.split()])
    for name, text in VERBS.items():
        yield from _zipf(f"{name}-one", [verb_forms(entry)[0] for entry in text.split()])
        yield from _zipf(f"{name}-many", [verb_forms(entry)[1] for entry in text.split()])
    for name, text in WORDS.items():
        yield from _zipf(name, text.split())


def _zipf(symbol: str, words: list[str]) -> Iterator[tuple[str, float, tuple[str, ...]]]:
    for rank, word in enumerate(words, 1):
        yield symbol, 1 / (rank + OFFSET), (word,)


def noun_forms(entry: str) -> tuple[str, str]:
    """The forms for one and for many: mouse/mice, fox (foxes)."""
    one, _, many = entry.partition("/")
    return one, many or _with_s(one)


def verb_forms(entry: str) -> tuple[str, str]:
    """The forms for one and for many: sleeps, sleep."""
    return IRREGULAR.get(entry, (_with_s(entry), entry))


def _with_s(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


@cache
def vocabulary() -> tuple[str, ...]:
    """All words that can occur and `<eos>`, in alphabetical order."""
    rules = grammar()
    sides = chain.from_iterable(rule.side for ways in rules.values() for rule in ways)
    return tuple(sorted({part for part in sides if part not in rules}))


# Sentences


@cache
def split(name: Literal["train", "valid", "test"]) -> list[list[str]]:
    """The sentences of one part of the corpus, without their `<eos>`. Do not change them: all callers share them."""
    if name not in SPLITS:
        raise ValueError(f"name is {name!r}: choose one of {', '.join(SPLITS)}")
    return sentences(*SPLITS[name])


def sentences(count: int, seed: int) -> list[list[str]]:
    """So many independent sentences, each a list of words without its `<eos>`."""
    return [words for words, _ in _derivations(count, seed)]


def _derivations(count: int, seed: int) -> Iterator[tuple[list[str], float]]:
    """Sentences, and of each the log probability (nats) of the derivation that made it."""
    coins = _coins(np.random.default_rng([seed, STREAM]))
    for _ in range(count):
        yield _derive(coins)


def _coins(draw: np.random.Generator) -> Iterator[float]:
    """Uniform numbers in [0, 1), drawn by the thousand: one at a time would be slow."""
    while True:
        yield from draw.random(4096).tolist()


def _derive(coins: Iterator[float]) -> tuple[list[str], float]:
    """A sentence and its derivation's log probability: the leftmost symbol is replaced until only words are left."""
    choices, total = _choices(), 0.0
    words: list[str] = []
    stack = [START]  # the leftmost last
    while stack:
        part = stack.pop()
        if part not in choices:
            words.append(part)
            continue
        bounds, logs, sides = choices[part]
        chosen = bisect(bounds, next(coins))
        total += logs[chosen]
        stack.extend(sides[chosen])
    return words[:-1], total


class _Choice(NamedTuple):
    """A symbol's rules, for drawing one fast."""

    bounds: list[float]  # the sums of the probabilities up to each rule but the last
    logs: list[float]
    sides: list[tuple[str, ...]]  # reversed


@cache
def _choices() -> dict[str, _Choice]:
    return {
        symbol: _Choice(
            list(accumulate(rule.probability for rule in rules[:-1])),
            [math.log(rule.probability) for rule in rules],
            [rule.side[::-1] for rule in rules],
        )
        for symbol, rules in grammar().items()
    }


# What is exact


class _Totals(NamedTuple):
    """Expected values of one sentence."""

    entropy: float  # nats
    tokens: float  # words and the end


@cache
def _totals() -> _Totals:
    """H and L, from how often a sentence uses each symbol: u_B = [B is the start] + Σ_A u_A · (B in a rule of A)."""
    rules = grammar()
    index = {symbol: i for i, symbol in enumerate(rules)}
    brings, words, entropies = np.zeros((len(rules), len(rules))), np.zeros(len(rules)), np.zeros(len(rules))
    for symbol, i in index.items():
        for probability, side in rules[symbol]:
            entropies[i] -= probability * math.log(probability)
            for part in side:
                if part in index:
                    brings[i, index[part]] += probability
                else:
                    words[i] += probability
    start = np.eye(len(rules))[index[START]]
    uses = np.linalg.solve(np.eye(len(rules)) - brings.T, start)
    return _Totals(float(uses @ entropies), float(uses @ words))


def entropy_per_word() -> float:
    """H / L: the entropy of a sentence over its expected tokens, in nats a token, `<eos>` being one."""
    return _totals().entropy / _totals().tokens


def floor() -> float:
    """The lowest possible perplexity, exp(H / L)."""
    return math.exp(entropy_per_word())


class Own(NamedTuple):
    """The grammar's own perplexity on a part of the text, and its standard error, by which it may differ from `floor`."""

    perplexity: float
    error: float


@cache
def own(name: Literal["train", "valid", "test"]) -> Own:
    """What a model that knows the grammar gets on this very part. A sentence has one derivation, so that has its probability."""
    nats, tokens = np.array([(-total, len(words) + 1) for words, total in _derivations(*SPLITS[name])]).T
    mean = nats.sum() / tokens.sum()
    error = (nats - mean * tokens).std() / math.sqrt(len(nats)) / tokens.mean()
    return Own(math.exp(mean), math.exp(mean) * error)


def log_probability(sentence: Sequence[str]) -> float:
    """The log probability (nats) of a sentence and its end, over all derivations; -inf where there is none.

    The sentence comes without its `<eos>`. This is the chain rule over words, by parsing; it knows nothing of the
    derivation by which a sentence was made.
    """
    return _parse((*sentence, END))[1]


def reach(words: Sequence[str]) -> int:
    """How many of these words, and their end, a sentence can begin with: one more than there are words where they are one."""
    stacks: Stacks = {(START,): 1.0}
    for place, word in enumerate([*words, END]):
        stacks, _ = _read(stacks, word)
        if not stacks:
            return place
    return len(words) + 1


def next_words(prefix: Sequence[str]) -> dict[str, float]:
    """The exact probability of each word (or `<eos>`) that can follow the first words of a sentence.

    Empty where no sentence begins so.
    """
    stacks, _ = _parse(prefix)
    following: dict[str, float] = {}
    for stack, probability in stacks.items():
        for word, ways in _beginnings(stack[0]).items() if stack else ():
            following[word] = following.get(word, 0.0) + probability * math.fsum(ways.values())
    return following


# The parser: all stacks that a top-down parser may have after the words so far, with their probabilities given these
# words. Stacks hold what is still to come, the next first. No rule begins with its own symbol, so there are only a few.


def _parse(words: Sequence[str]) -> tuple[Stacks, float]:
    """The stacks after these words, and the log probability (nats) of a sentence that begins so."""
    stacks: Stacks = {(START,): 1.0}
    total = 0.0
    for word in words:
        stacks, share = _read(stacks, word)
        if not stacks:
            return {}, -math.inf
        total += math.log(share)
    return stacks, total


def _read(stacks: Stacks, word: str) -> tuple[Stacks, float]:
    """The stacks after one more word, and the probability of this word; none and 0 where it cannot come."""
    after: Stacks = {}
    for stack, probability in stacks.items():
        for rest, share in _beginnings(stack[0]).get(word, {}).items() if stack else ():
            left = rest + stack[1:]
            after[left] = after.get(left, 0.0) + probability * share
    total = math.fsum(after.values())
    return {stack: probability / total for stack, probability in after.items()}, total


@cache
def _beginnings(part: str) -> dict[str, Stacks]:
    """For each word that a symbol can begin with, what is left of the symbol after it, and how likely both are."""
    if part not in grammar():
        return {part: {(): 1.0}}
    begun: dict[str, Stacks] = {}
    for probability, side in grammar()[part]:
        for word, ways in _beginnings(side[0]).items():
            stacks = begun.setdefault(word, {})
            for rest, share in ways.items():
                left = rest + side[1:]
                stacks[left] = stacks.get(left, 0.0) + probability * share
    return begun
