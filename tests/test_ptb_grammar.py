"""The grammar's exact numbers against its text, and its parser against its generator."""

import math
from collections import Counter
from functools import cache
from itertools import chain

import numpy as np
import pytest

from demos.ptb import grammar as language
from demos.ptb.grammar import END, Grammar, Rule, log_probability, next_words, sentences, split, vocabulary

TOY = {"Sentence": (Rule(0.5, ("a", "Sentence")), Rule(0.5, ("b", END)))}
AMBIGUOUS = {
    "Sentence": (Rule(1.0, ("Saw", END)),),
    "Saw": (Rule(0.5, ("see", "Noun")), Rule(0.5, ("see", "Noun", "nearby"))),
    "Noun": (Rule(0.5, ("dogs",)), Rule(0.5, ("dogs", "nearby"))),
}


# What is exact


def test_the_floor_is_what_the_text_costs_by_parsing() -> None:
    text = sentences(20_000, seed=11)
    costs = np.array([-log_probability(words) for words in text])
    tokens = np.array([len(words) + 1 for words in text])
    excess = costs - language.entropy_per_word() * tokens  # its mean is 0 for the right entropy per word
    assert abs(excess.mean()) < 4 * excess.std() / math.sqrt(len(text))
    assert costs.sum() / tokens.sum() == pytest.approx(language.entropy_per_word(), abs=0.01)
    assert language.floor() == pytest.approx(math.exp(language.entropy_per_word()))
    assert 20 < language.floor() < 60


def test_expected_values_of_a_grammar_that_one_can_solve_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "grammar", lambda: TOY)
    entropy, tokens = language._totals.__wrapped__()
    assert entropy == pytest.approx(2 * math.log(2))  # the number of a's is geometric
    assert tokens == pytest.approx(1 + 1 + 1)  # on average one a, then b and the end


def test_a_sentence_has_the_probability_of_the_derivation_that_made_it() -> None:
    for words, by_derivation in language._derivations(5_000, seed=12):
        assert log_probability(words) == pytest.approx(by_derivation, abs=1e-9), " ".join(words)


def test_no_sentence_has_two_derivations() -> None:
    assert _ambiguity(language.grammar(), longest=20) is None


def test_the_search_for_two_derivations_finds_them() -> None:
    assert _ambiguity(AMBIGUOUS, longest=5) == ("see", "dogs")  # nearby: the seeing or the dogs?


def _ambiguity(rules: Grammar, longest: int) -> tuple[str, ...] | None:
    """The beginning of a sentence that has two derivations, if there is one within so many words.

    Words that occur in one class only, and nowhere else, behave alike, so one of each class stands for all of them.
    """
    sides = {symbol: [rule.side for rule in ways] for symbol, ways in rules.items()}
    uses = Counter(part for part in chain.from_iterable(chain.from_iterable(sides.values())) if part not in rules)
    for symbol, ways in sides.items():
        alike = [side for side in ways if len(side) == 1 and uses[side[0]] == 1]
        sides[symbol] = [side for side in ways if side not in alike[1:]]

    @cache
    def beginnings(part: str) -> list[tuple[str, tuple[str, ...]]]:
        if part not in sides:
            return [(part, ())]
        return [(word, rest + side[1:]) for side in sides[part] for word, rest in beginnings(side[0])]

    states = {frozenset([("Sentence",)]): ()}  # the stacks after some words, and such words
    seen = set(states)
    for _ in range(longest):
        longer: dict[frozenset[tuple[str, ...]], tuple[str, ...]] = {}
        for stacks, words in states.items():
            after: dict[str, list[tuple[str, ...]]] = {}
            for stack in filter(None, stacks):
                for word, rest in beginnings(stack[0]):
                    after.setdefault(word, []).append(rest + stack[1:])
            for word, reached in after.items():
                state = frozenset(reached)
                if len(state) < len(reached):  # two ways lead to one stack, and it can be finished
                    return (*words, word)
                if state not in seen:
                    seen.add(state)
                    longer[state] = (*words, word)
        states = longer
    return None


# The table


def test_probabilities_sum_to_one() -> None:
    for symbol, rules in language.grammar().items():
        assert math.fsum(rule.probability for rule in rules) == pytest.approx(1, abs=1e-12), symbol
        assert all(0 < rule.probability <= 1 for rule in rules), symbol


def test_every_word_is_in_one_class() -> None:
    classes = [_forms(language.noun_forms, language.NOUNS), _forms(language.verb_forms, language.VERBS)]
    words = [*chain.from_iterable(classes), *" ".join(language.WORDS.values()).split()]
    assert [word for word, count in Counter(words).items() if count > 1] == []


def _forms(inflect, table: dict[str, str]) -> list[str]:
    return [form for entry in " ".join(table.values()).split() for form in inflect(entry)]


def test_a_and_an_can_be_told_by_the_next_word() -> None:
    plain = " ".join(language.WORDS[name] for name in ("Big", "Brave", "Fresh", "Dark"))
    assert [word for word in plain.split() if word[0] in "aeiou"] == []
    assert [word for word in language.WORDS["Odd"].split() if word[0] not in "aeiou"] == []


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"Sentence": "1 Clause <eos>"}, "names Clause, which has no rules"),
        ({"Sentence": "1 hello <eos>\n2 hello <eos>"}, "Sentence has the rule 'hello <eos>' twice"),
    ],
)
def test_a_slip_in_the_table_is_told(monkeypatch: pytest.MonkeyPatch, rules: dict[str, str], message: str) -> None:
    monkeypatch.setattr(language, "RULES", rules)
    with pytest.raises(ValueError, match=message):
        language.grammar.__wrapped__()


@pytest.mark.parametrize(
    ("entry", "one", "many"),
    [
        ("fox", "fox", "foxes"),
        ("cherry", "cherry", "cherries"),
        ("donkey", "donkey", "donkeys"),
        ("man/men", "man", "men"),
    ],
)
def test_plurals(entry: str, one: str, many: str) -> None:
    assert language.noun_forms(entry) == (one, many)


# Which sentences there are


@pytest.mark.parametrize(
    ("subject", "right", "wrong"),
    [
        ("the dog", "sleeps", "sleep"),
        ("the dogs near the house", "sleep", "sleeps"),
        ("the dog near the houses", "sleeps", "sleep"),
        ("the dogs that see the cat", "sleep", "sleeps"),
        ("the girl who sees the cats", "sleeps", "sleep"),
        ("the dog that", "sees the cats sleeps", "see the cats sleeps"),
        ("the girls who", "see the cat sleep", "sees the cat sleep"),
        ("the girl whom the cats see", "sleeps", "sleep"),
        ("the girls whom the cat sees", "sleep", "sleeps"),
        ("the girl who thinks that the dogs sleep", "sleeps", "sleep"),
        ("the fox with the little hats", "falls in love with anna", "fall in love with anna"),
        ("both the fox and the owl", "are happy", "is happy"),
        ("either the fox or the owl", "is happy", "are happy"),
        ("every dog that anna feeds", "goes home", "go home"),
    ],
)
def test_a_verb_agrees_with_its_subject_and_not_with_what_is_between(subject: str, right: str, wrong: str) -> None:
    assert log_probability(f"{subject} {right}".split()) > -math.inf
    assert log_probability(f"{subject} {wrong}".split()) == -math.inf
    following = next_words(subject.split())
    assert following[right.split()[0]] > 0
    assert wrong.split()[0] not in following


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("anna eats the cake", "anna eats the house"),
        ("anna visits the house", "anna visits the cake"),
        ("anna meets the child", "anna meets the hat"),
        ("anna eats the cake", "anna eats"),
        ("anna meets both tom and leo", "anna meets both tom or leo"),
        ("either the fox or the owl sleeps", "either the fox and the owl sleeps"),
        ("when tom sings then anna laughs", "when tom sings anna laughs"),
        ("the man who sings laughs", "the man that sings laughs"),
        ("an old dog sleeps", "a old dog sleeps"),
        ("these dogs sleep", "these dog sleep"),
        ("once in a blue moon anna sings", "once in a red moon anna sings"),
        ("the cats sleep", "the cats that sleep"),
        ("anna laughs", "anna laughs <eos>"),
        ("anna laughs", ""),
        ("anna laughs", "anna laughs zzz"),
    ],
)
def test_what_the_grammar_makes_and_what_not(right: str, wrong: str) -> None:
    assert log_probability(right.split()) > -math.inf
    assert log_probability(wrong.split()) == -math.inf


def test_next_words_follow_the_chain_rule() -> None:
    for words in sentences(20, seed=13):
        total = 0.0
        for at, word in enumerate([*words, END]):
            following = next_words(words[:at])
            assert math.fsum(following.values()) == pytest.approx(1)
            total += math.log(following[word])
        assert total == pytest.approx(log_probability(words))
    assert next_words(["the", "the"]) == {}
    assert next_words(["anna", "laughs", END]) == {}


def test_next_words_are_as_frequent_in_the_text() -> None:
    starts = Counter(words[0] for words in split("train"))
    for word, probability in next_words([]).items():
        error = math.sqrt(probability * (1 - probability) / language.TRAIN_SENTENCES)
        assert abs(starts[word] / language.TRAIN_SENTENCES - probability) < 5 * error, word


# The text


def test_the_vocabulary_is_what_the_text_has() -> None:
    words = vocabulary()
    assert 900 <= len(words) <= 1100
    assert list(words) == sorted(set(words))
    assert {END, *chain.from_iterable(split("train"))} == set(words)
    assert all(word == word.lower() and " " not in word for word in words)


def test_the_same_seed_makes_the_same_text_and_others_another() -> None:
    assert sentences(50, seed=3) == sentences(50, seed=3)
    assert sentences(50, seed=3) == sentences(80, seed=3)[:50]
    assert sentences(50, seed=3) != sentences(50, seed=4)
    assert sentences(0, seed=3) == []


def test_the_splits_are_of_their_sizes_and_differ() -> None:
    parts = {name: split(name) for name in ("train", "valid", "test")}
    assert {name: len(part) for name, part in parts.items()} == {"train": 40_000, "valid": 2_000, "test": 2_000}
    assert parts["valid"] != parts["test"]
    assert parts["train"][:2_000] not in (parts["valid"], parts["test"])
    assert split("test") is parts["test"]
    with pytest.raises(ValueError, match="name is 'dev': choose one of train, valid, test"):
        split("dev")


def test_frequencies_fall_with_the_rank_as_zipf_says() -> None:
    counts = Counter(chain.from_iterable([*words, END] for words in split("train")))
    frequencies = [count for _, count in counts.most_common(300)]
    slope, _ = np.polyfit(np.log(np.arange(1, 301)), np.log(frequencies), 1)
    assert -1.6 < slope < -0.6
    assert counts["dog"] == pytest.approx(counts["lynx"] * 45 / 4, rel=0.4)  # the 1st and the 42nd of their class
