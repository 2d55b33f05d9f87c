"""Words as numbers: the vocabulary of a corpus, its streams of tokens, and the sentences that people type."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib import corpora
from lib.texts import TextError

EOS = "<eos>"  # stands after every sentence
UNK = "<unk>"  # stands for every word that is not in the vocabulary
NUMBER = "N"  # stands for every number in the Penn Treebank

FEWEST_WORDS = 200
FEWEST_SENTENCES = 10
_NUMBER = r"\d++(?:[.,]\d++)*+"
UNK_FROM = 2_000  # tokens; a shorter text cannot spare the words that occur once


@dataclass(frozen=True, eq=False)
class Corpus:
    """Three streams of tokens, `<eos>` after each sentence, int32 [N] each, and `words`, what their numbers mean.

    The most frequent word of the training part is number 0; ties stand in the order of their letters.
    """

    words: tuple[str, ...]
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words)}


class Encoded(NamedTuple):
    """A sentence as numbers, without `<eos>`."""

    ids: list[int]
    written: list[
        str
    ]  # for each number the word that was typed: another than the number's own where it is read as `<unk>`
    unknown: list[str]  # the words that the vocabulary does not have, each once


def from_sentences(
    train: Iterable[Sequence[str]],
    valid: Iterable[Sequence[str]],
    test: Iterable[Sequence[str]],
    most: int | None = None,
    rarest: int = 1,
) -> Corpus:
    """The corpus of these sentences, with the vocabulary of the training part alone.

    Words that occur there less than `rarest` times, and the rarest ones beyond `most` types, `<eos>` and `<unk>` included, become
    `<unk>`, as do words that only the other parts have. `<unk>` is a type only where it occurs in one of the parts.
    """
    if most is not None and most < 3:
        raise ValueError(f"most = {most}: a vocabulary needs three types or more, <eos>, <unk> and a word")
    streams = [_stream(part) for part in (train, valid, test)]
    counts = Counter(streams[0])
    kept = [word for word, count in counts.items() if count >= rarest and word not in (EOS, UNK)]
    has_unknown = len(kept) < len(counts.keys() - {EOS, UNK}) or UNK in counts
    has_unknown = has_unknown or any(word not in counts for stream in streams[1:] for word in stream)
    if most is not None and len(kept) + 1 + has_unknown > most:
        has_unknown = True
        kept = sorted(kept, key=lambda word: (-counts[word], word))[: most - 2]
    types = {word: counts[word] for word in (*kept, EOS)}
    if has_unknown:
        types[UNK] = len(streams[0]) - sum(types.values())
    words = tuple(sorted(types, key=lambda word: (-types[word], word)))
    return Corpus(words, *(_numbered(stream, words) for stream in streams))


def _stream(sentences: Iterable[Sequence[str]]) -> list[str]:
    """The words of all sentences, `<eos>` after each."""
    return [word for sentence in sentences for word in (*sentence, EOS)]


def _numbered(stream: list[str], words: tuple[str, ...]) -> np.ndarray:
    """The numbers of words, int32 [N]; nobody may change them, because the corpus is shared."""
    numbers = {word: number for number, word in enumerate(words)}
    unknown = numbers.get(UNK, -1)  # never needed where there is none
    tokens = np.fromiter((numbers.get(word, unknown) for word in stream), np.int32, len(stream))
    tokens.setflags(write=False)
    return tokens


def ptb() -> Corpus:
    """The Penn Treebank: 10,000 types. Raises CorpusError."""
    return _ptb(corpora.folder())


@lru_cache(maxsize=1)
def _ptb(folder: Path) -> Corpus:
    parts = [[line.split() for line in text.splitlines()] for text in corpora.load()]
    return from_sentences(parts[0], parts[1], parts[2])


# A person's own text


def own_text(text: str, most: int = 10_000) -> Corpus:
    """The corpus of a text (see `lib.texts.cleaned`): its first 80% of sentences to train, 10% to validate, 10% to test.

    Where the training part has over 2,000 tokens, the words that occur in it once become `<unk>`, so that the network learns
    what to make of an unknown word. A shorter text keeps all of its words: there, `<unk>` never occurs in training. Raises
    TextError where the text is too short.
    """
    parts = [words for sentence in sentences(text) if (words := tokens(sentence))]
    length = sum(len(sentence) for sentence in parts)
    if length < FEWEST_WORDS:
        raise TextError(f"The text has {length:,} words, and needs {FEWEST_WORDS:,} or more: bring a longer one.")
    if len(parts) < FEWEST_SENTENCES:
        raise TextError(
            f"The text has {len(parts):,} sentences, and needs {FEWEST_SENTENCES:,} or more, so that there are some to train on, "
            "to validate and to test: end sentences with . ! or ?, or begin a line for each."
        )
    first, second = len(parts) * 8 // 10, len(parts) * 9 // 10
    train = parts[:first]
    rarest = 2 if sum(len(sentence) + 1 for sentence in train) > UNK_FROM else 1
    return from_sentences(train, parts[first:second], parts[second:], most, rarest)


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order.

    A sentence ends after . ! ? or …, the quotes and brackets that close behind them included, where a space follows; and at an
    empty line. Any other line break ends one too, unless every 40th line or more is empty: then the text has paragraphs, and its
    lines merely wrap. "Mr. Fox" is cut in two: rules without exceptions are easier to foresee.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    wraps = 40 * lines.count("") >= len(lines)
    blocks = [" ".join(block.split()) for block in re.split(r"\n{2,}", "\n".join(lines))] if wraps else lines
    ends = re.compile(r"""(?<=[.!?…])(["'”’»)\]]*)\s+""")
    return [sentence for block in blocks for sentence in ends.sub(r"\1\n", block).split("\n") if sentence]


def tokens(text: str) -> list[str]:
    """The words of a text in lower case: words with the apostrophes in them, numbers, and each mark as a word of its own.

    Fox's 3rd -> fox's 3rd; 1,000.5% -> 1,000.5 %; well-known -> well - known; wait... -- -> wait ... --. Underscores, which
    plain texts emphasise with, are left out, and ’ is read as '. A script without spaces needs some put between its words.
    """
    lowered = text.replace("’", "'").replace("_", " ").lower()
    return _pattern(_accents(lowered)).findall(lowered)


def _accents(text: str) -> str:
    """The signs of a text that belong to the letter before them, as the vowels of Hindi do. To `re` they are no letters."""
    return "".join(sorted(letter for letter in set(text) if unicodedata.category(letter).startswith("M")))


@lru_cache(maxsize=16)
def _pattern(accents: str) -> re.Pattern[str]:
    letters = rf"[^\W_](?:[^\W_]|[{accents}])*" if accents else r"[^\W_]+"
    return re.compile(rf"{_NUMBER}(?![^\W_])|{letters}(?:'{letters})*|\.\.+|--+|\S")


# Sentences that people type

_ENDINGS = ("n't", "'s", "'re", "'ve", "'m", "'ll", "'d")  # words of their own in the Penn Treebank
_LONGEST = 12  # pieces of one word, as the six of "u.s.-based"


def encode(corpus: Corpus, sentence: str) -> Encoded:
    """A typed sentence as numbers, in the words of the corpus.

    It is cut as `tokens` cuts it, but where the corpus has a longer word, such as "u.s." or "10-year", that one is taken.
    Where the corpus writes so, numbers become N, and "don't" becomes "do n't". Words that it does not have become `<unk>`, or
    are left out where it has none; marks that it does not have are left out.
    """
    ids: list[int] = []
    written: list[str] = []
    unknown: list[str] = []
    for word in (word for chunk in sentence.split() for word in _written(corpus, chunk)):
        number = corpus.numbers.get(word)
        if number is None and not word[0].isalnum():
            continue
        if number is None:
            unknown.append(word)
            number = corpus.numbers.get(UNK)
        if number is not None:
            ids.append(number)
            written.append(word)
    return Encoded(ids, written, list(dict.fromkeys(unknown)))


def _written(corpus: Corpus, chunk: str) -> Iterator[str]:
    """What stands between two spaces, as the corpus writes it: the longest words that it has, wherever it has one."""
    if chunk in (EOS, UNK, NUMBER) and chunk in corpus.numbers:
        yield chunk
        return
    pieces = [piece for token in tokens(chunk) for piece in _split(corpus, token)]
    while pieces:
        sizes = range(min(len(pieces), _LONGEST), 1, -1)
        size = next((size for size in sizes if "".join(pieces[:size]) in corpus.numbers), 1)
        word = "".join(pieces[:size])
        is_number = word not in corpus.numbers and re.fullmatch(_NUMBER, word)
        yield NUMBER if is_number and NUMBER in corpus.numbers else word
        pieces = pieces[size:]


def _split(corpus: Corpus, token: str) -> Sequence[str]:
    """don't -> do n't, where the corpus has the latter; should it have the former, too, that is the longer word."""
    for ending in _ENDINGS:
        if token.endswith(ending) and ending in corpus.numbers:
            return (token.removesuffix(ending), ending)
    return (token,)
