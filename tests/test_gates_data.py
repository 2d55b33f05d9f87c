"""The gates demo's sequences against their rules, followed token by token."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demos.gates import data, recall
from demos.gates.config import ALONE, CUE, LEAD, NOISE, SYMBOLS, TASKS, GatesConfig
from lib import texts
from lib.settings import settings_of

SEEDS = st.integers(0, 999_999)
PROSE = "".join(f"{number:04d} " for number in range(2000))  # any ten characters of it are unique


@pytest.fixture
def keep(tmp_path, monkeypatch):
    """Texts are kept in a folder of the test's own."""
    monkeypatch.setenv("UNROLLED_HOME", str(tmp_path))
    return texts.keep


def drawn(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


# Remember


@settings(deadline=None, max_examples=40)
@given(symbols=st.integers(2, 8), delay=st.integers(1, 40), seed=SEEDS)
def test_a_symbol_stands_at_the_start_and_the_cue_a_delay_later(symbols: int, delay: int, seed: int) -> None:
    config = GatesConfig(task="remember", symbols=symbols, delay=delay)
    names = data.language(config).tokens
    found = data.remember(config, drawn(seed), 50)
    assert found.inputs.shape == (config.window, 50) == (LEAD + delay, 50)
    for row in range(50):
        read = [names[token] for token in found.inputs[:, row]]
        (at,) = (step for step, token in enumerate(read) if token in SYMBOLS)
        assert at < LEAD and read[at + delay] == CUE
        assert set(read[:at] + read[at + 1 : at + delay] + read[at + delay + 1 :]) <= set(NOISE)
        assert np.flatnonzero(found.scored[:, row]).tolist() == [at + delay]
        assert names[found.targets[at + delay, row]] == read[at]


def test_every_symbol_place_and_noise_is_as_likely_as_any() -> None:
    found = data.remember(GatesConfig(task="remember"), drawn(0), 20_000)
    at, rows = np.nonzero(found.inputs < 4)
    for counts in (np.bincount(at, minlength=LEAD), np.bincount(found.inputs[at, rows])):
        np.testing.assert_allclose(counts / counts.sum(), 0.25, atol=0.015)
    noise = np.bincount(found.inputs[(found.inputs >= 4) & (found.inputs < 8)] - 4)
    np.testing.assert_allclose(noise / noise.sum(), 1 / len(NOISE), atol=0.005)


# Recall


@settings(deadline=None, max_examples=40)
@given(symbols=st.integers(2, 8), longest=st.integers(6, 40), joined=st.booleans(), seed=SEEDS)
def test_the_cue_asks_for_the_last_marked_letter(symbols: int, longest: int, joined: bool, seed: int) -> None:
    config = GatesConfig(symbols=symbols, longest=longest, marks="joined" if joined else "apart")
    spoken = data.language(config)
    found = recall.sequences(config, drawn(seed), 50)
    assert found.inputs.shape == (longest, 50) == (config.window, 50)
    for row in range(50):
        read = "".join(spoken.tokens[token] for token in found.inputs[:, row])
        cue = read.index(CUE)
        assert read.count(CUE) == 1 and longest // 2 <= cue < longest
        assert np.flatnonzero(found.scored[:, row]).tolist() == [cue]
        marked = [letter for letter in read[:cue] if letter.isupper()]
        assert spoken.answers[found.targets[cue, row]] == marked[-1]


def test_every_letter_is_as_likely_and_a_fifth_of_them_are_marked() -> None:
    config = GatesConfig()
    inputs = recall.sequences(config, drawn(0), 20_000).inputs
    letters, cues = inputs[inputs < 8], np.nonzero(inputs == 8)[0]
    np.testing.assert_allclose(np.bincount(letters % 4) / len(letters), 0.25, atol=0.005)
    assert (letters >= 4).mean() == pytest.approx(0.2 + 0.8 / 30, abs=0.005)  # one is marked in any case
    np.testing.assert_allclose(np.bincount(cues, minlength=30)[15:] / 20_000, 1 / 15, atol=0.008)


def test_a_marked_letter_is_read_as_the_letter_and_the_mark() -> None:
    spoken = data.language(GatesConfig(symbols=3))
    assert spoken.encoding is not None and spoken.inputs == 5
    read = {token: "".join(str(int(x)) for x in row) for token, row in zip(spoken.tokens, spoken.encoding, strict=True)}
    assert read == {"a": "10000", "b": "01000", "c": "00100", "A": "10010", "B": "01010", "C": "00110", "?": "00001"}
    assert {spoken.tokens[token] for token in spoken.marked} == set("ABC")
    joined = data.language(GatesConfig(symbols=3, marks="joined"))
    assert joined.encoding is None and joined.inputs == 7 and joined.marked == spoken.marked


def test_the_factors_of_recall_and_what_is_stored_equal_a_loop() -> None:
    config = GatesConfig(symbols=3)
    names = data.language(config).tokens
    readings = data.with_factors(data.Readings(drawn(1).integers(0, 7, (30, 20)), *[np.zeros(0)] * 2, {}), config)
    for row in range(20):
        want: dict[str, list] = {name: [] for name in readings.factors}
        last, since = None, None
        for step, token in enumerate(readings.inputs[:, row]):
            letter, since = names[token], None if since is None else since + 1
            if letter.isupper():
                last, since = letter, 0
            for known in "ABC":
                want[f"the last marked letter is {known}"].append(None if last is None else float(last == known))
                want[f"{known.lower()} is read"].append(None if letter == CUE else float(letter.upper() == known))
            want["a mark is read"].append(float(letter.isupper()))
            want["the cue"].append(float(letter == CUE))
            want["steps since the mark"].append(since)
            assert readings.stored.values[step, row] == (-1 if last is None else "ABC".index(last))
            assert readings.stored.written[step, row] == letter.isupper()
            assert readings.stored.others[step, row] == letter.islower()
        for name, values in want.items():
            assert column_of(readings, name, row) == values, name


# Brackets


def legal(opened: list[int], kinds: int, most: int) -> set[int]:
    """What may come next, by an explicit stack of the kinds that are open."""
    opening = set(range(kinds)) if len(opened) < most else set()
    return opening | ({kinds + opened[-1]} if opened else set())


@settings(deadline=None, max_examples=40)
@given(kinds=st.integers(1, 3), most=st.integers(1, 16), steps=st.integers(1, 60), seed=SEEDS)
def test_brackets_are_legal_and_so_is_each_target(kinds: int, most: int, steps: int, seed: int) -> None:
    config = GatesConfig(task="brackets", bracket_types=kinds, max_depth=most)
    found = data.brackets(config, drawn(seed), 8, steps)
    assert found.inputs.shape == (steps, 8) and found.scored.all()
    for row in range(8):
        opened: list[int] = []
        for token, target in zip(found.inputs[:, row].tolist(), found.targets[:, row].tolist(), strict=True):
            assert token in legal(opened, kinds, most)
            opened.append(token) if token < kinds else opened.pop()
            assert {bit for bit in range(8) if target >> bit & 1} == legal(opened, kinds, most)


def test_a_fair_coin_opens_and_closes_and_every_kind_is_as_likely() -> None:
    config = GatesConfig(task="brackets", bracket_types=3, max_depth=4)
    found = data.brackets(config, drawn(0), 500, 60)
    depth, _ = data.nesting(found.inputs, 3)
    free = (depth[:-1] > 0) & (depth[:-1] < 4)
    opens = found.inputs[1:] < 3
    assert opens[free].mean() == pytest.approx(0.5, abs=0.015)
    kinds = np.bincount(found.inputs[1:][opens])
    np.testing.assert_allclose(kinds / kinds.sum(), 1 / 3, atol=0.015)
    assert depth.max() == 4


# Text


def test_there_are_forty_fables_each_with_a_title_a_paragraph_and_a_moral() -> None:
    blocks = data.FABLES.read_text(encoding="utf-8").strip().split("\n\n")
    assert len(blocks) == 40
    titles = set()
    for block in blocks:
        title, paragraph, moral = block.split("\n")
        assert 3 < len(title) < 60 and title[-1].isalpha() and title[0].isupper()
        assert 300 < len(paragraph) < 1_500 and paragraph[-1] in '."'
        assert paragraph.count('"') % 2 == 0
        assert moral.startswith("Moral: ") and moral.endswith(".")
        titles.add(title)
    assert len(titles) == 40


def test_the_fables_need_no_other_character_than_ascii_ones() -> None:
    found = data.corpus("")
    assert found.text.isascii() and found.alphabet == tuple(sorted(set(found.text)))
    assert not any(letter.isdigit() or letter in "\t\r" for letter in found.alphabet)
    assert "".join(found.alphabet[token] for token in found.tokens) == found.text


def spelled(config: GatesConfig, tokens: np.ndarray) -> str:
    names = data.language(config).tokens
    return "".join(names[token] for token in tokens)


def test_the_targets_of_a_text_are_its_next_characters(keep) -> None:
    config = GatesConfig(task="text", text=keep(PROSE), batch_size=7, truncated_backprop_length=13)
    block = data.block(config, 0, 0)
    windows, steps, rows = block.inputs.shape
    assert (steps, rows) == (13, 7) and block.scored.all()
    row = (len(PROSE) * 9 // 10 - 1) // 7
    assert windows == row // 13 == data.windows_per_block(config)
    for b in range(rows):
        start, end = b * row, b * row + windows * steps
        assert spelled(config, block.inputs[:, :, b].ravel()) == PROSE[start:end]
        assert spelled(config, block.targets[:, :, b].ravel()) == PROSE[start + 1 : end + 1]


def test_the_last_tenth_of_a_text_is_held_out_and_never_trained_on(keep) -> None:
    config = GatesConfig(task="text", text=keep(PROSE), batch_size=3, truncated_backprop_length=20)
    block, found = data.block(config, 0, 0), data.held_out(config)
    trained = " ".join(spelled(config, block.inputs[:, :, b].ravel()) for b in range(3))
    rest = PROSE[len(PROSE) * 9 // 10 :]
    assert found.inputs.shape == (100, (len(rest) - 1) // 100)
    for column, after in zip(found.inputs.T, found.targets.T, strict=True):
        read = spelled(config, column)
        assert read in rest and read[1:] + spelled(config, after[-1:]) in rest
        assert all(read[at : at + 10] not in trained for at in range(91))


def test_a_short_text_is_repeated_until_it_fills_a_window(keep) -> None:
    text = PROSE[: data.SHORTEST_TEXT]
    config = GatesConfig(task="text", text=keep(text), batch_size=32, truncated_backprop_length=50)
    block = data.block(config, 0, 0)
    assert block.inputs.shape == (1, 50, 32)
    want = (text[:180] * 10)[: 32 * 50 + 1]
    assert spelled(config, block.inputs[0].T.ravel()) == want[:-1]
    assert spelled(config, block.targets[0].T.ravel()) == want[1:]
    assert data.held_out(config).inputs.shape == (100, 1)


def test_of_more_than_120_letters_the_rarest_are_read_as_one(keep) -> None:
    letters = [chr(0x4E00 + number) for number in range(200)]
    counted = {letter: 1 + number // 2 for number, letter in enumerate(letters)}
    text = "".join(letter * count for letter, count in counted.items())
    found = data.corpus(keep(text))
    kept = set(found.alphabet[:-1])
    assert len(found.alphabet) == 120 and found.alphabet[-1] == data.OTHER and len(kept) == 119
    assert min(counted[letter] for letter in kept) >= max(counted[letter] for letter in letters if letter not in kept)
    for letter, token in zip(text, found.tokens, strict=True):
        assert found.alphabet[token] == (letter if letter in kept else data.OTHER)


def test_exactly_120_letters_are_all_kept(keep) -> None:
    text = "".join(chr(0x3B1 + number) for number in range(120)) * 2
    found = data.corpus(keep(text))
    assert found.alphabet == tuple(sorted(set(text))) and data.OTHER not in found.alphabet


# What is trained on, and what is not


def small(task: str, **changes) -> GatesConfig:
    return GatesConfig(task=task, batch_size=6, hidden_units=4, training_steps=100, bracket_types=3, **changes)


def test_the_state_starts_from_zero_where_sequences_begin() -> None:
    for task in TASKS:
        carry = data.block(small(task), 0, 0).carry
        assert carry.tolist() == ([0] * 100 if task in ALONE else [0] + [1] * (len(carry) - 1))
        assert len(carry) > 1


@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_gives_the_same_data_and_others_differ(task: str) -> None:
    config = small(task)
    first, again = data.block(config, 3, 1), data.block(config, 3, 1)
    for part, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(part, same)
    for other in (data.block(config, 4, 1), data.block(config, 3, 2)):
        assert (first.inputs == other.inputs).all() == (task == "text")  # of which there is only one


@pytest.mark.parametrize("task", ["recall", "remember", "brackets", "echo", "binary_rule"])
def test_held_out_sequences_are_never_trained_on_and_differ_between_seeds(task: str) -> None:
    config = small(task)
    first, second = (data.held_out(config.model_copy(update={"seed": seed})).inputs for seed in (0, 1))
    assert (first == data.held_out(small(task, cell="gru")).inputs).all()
    rows = [{column[:34].tobytes() for column in inputs.T} for inputs in (first, second)]
    assert len(rows[0]) == len(rows[1]) == data.HELD_OUT_SEQUENCES and not rows[0] & rows[1]
    for index in range(3):
        block = data.block(config, 0, index).inputs
        trained = {window[:34, b].tobytes() for window in block for b in range(6)}
        assert len(trained) > 500 and not rows[0] & trained


@pytest.mark.parametrize("task", ["echo", "binary_rule"])
def test_bits_go_on_from_window_to_window(task: str) -> None:
    config = small(task, echo_step=5, first_lag=2, second_lag=7, truncated_backprop_length=9)
    block = data.block(config, 0, 0)
    for b in range(6):
        bits, targets = block.inputs[:, :, b].ravel(), block.targets[:, :, b].ravel()
        for at in range(7, len(bits)):
            if task == "echo":
                assert targets[at] == bits[at - 5]
            elif bits[at - 2] == bits[at - 7]:
                assert targets[at] == 1 - bits[at - 2]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("extreme", ["minimum", "maximum"])
def test_blocks_stay_small_enough_for_memory(task: str, extreme: str) -> None:
    table = settings_of(GatesConfig)
    sizes = {
        name: getattr(table[name], extreme)
        for name in ("batch_size", "truncated_backprop_length", "delay", "longest", "seeds")
    }
    config = GatesConfig(task=task, **{name: int(size) for name, size in sizes.items()})
    count = data.windows_per_block(config)
    assert count >= 1
    if task != "text":
        assert count * config.window * config.batch_size * config.seeds <= data.MOST_TOKENS
        assert count <= data.MOST_WINDOWS
    for part in data.block(config, 0, 0)[:3]:
        assert part.shape == (count, config.window, config.batch_size)


@pytest.mark.parametrize("task", TASKS)
def test_reading_a_held_out_sequence_again_asks_for_the_same(task: str) -> None:
    config = small(task)
    whole = data.held_out(config)
    for index in (0, 5):
        one, again = whole.one(index), data.read(config, whole.inputs[:, index : index + 1])
        agreed = again.scored & one.scored
        np.testing.assert_array_equal(again.targets[agreed], one.targets[agreed])
        missing = (one.scored & ~again.scored).sum()
        if task == "text":
            assert missing == 1 and not again.scored[-1]  # what comes after its end
        elif task == "binary_rule":
            first, second = one.inputs[1:-1, 0], one.inputs[:-2, 0]
            np.testing.assert_array_equal(again.scored[2:, 0], first == second)  # elsewhere it is a coin
        else:
            assert missing == 0 and (again.scored == one.scored).all()
        for name, factor in again.factors.items():
            if task != "text":  # whose rows begin within the text
                np.testing.assert_array_equal(factor.values, one.factors[name].values)


# What the tasks are about, against loops


def column_of(readings, name: str, row: int) -> list[float]:
    return [None if np.isnan(value) else value for value in readings.factors[name].values[:, row]]


def test_the_factors_of_remember_equal_a_loop() -> None:
    config = GatesConfig(task="remember", delay=9, symbols=3)
    names = data.language(config).tokens
    rng = drawn(1)
    readings = data.with_factors(data.Readings(rng.integers(0, len(names), (30, 20)), *[np.zeros(0)] * 2, {}), config)
    assert len(readings.factors) == 3 + 3
    for row in range(20):
        want: dict[str, list] = {name: [] for name in readings.factors}
        last, since = None, None
        for token in readings.inputs[:, row]:
            since = None if since is None else since + 1
            if names[token] in SYMBOLS:
                last, since = names[token], 0
            for symbol in "ABC":
                want[f"the symbol is {symbol}"].append(None if last is None else float(last == symbol))
            want["a symbol was read"].append(float(last is not None))
            want["steps since the symbol"].append(since)
            want["the cue"].append(float(names[token] == CUE))
        for name, values in want.items():
            assert column_of(readings, name, row) == values, name


@pytest.mark.parametrize("kinds", [1, 2, 3])
def test_the_factors_of_brackets_equal_a_stack(kinds: int) -> None:
    config = GatesConfig(task="brackets", bracket_types=kinds, max_depth=5)
    readings = data.held_out(config)
    assert len(readings.factors) == (3 if kinds == 1 else 3 + kinds)
    for row in range(0, 64, 7):
        want: dict[str, list] = {name: [] for name in readings.factors}
        opened: list[int] = []
        for token in readings.inputs[:, row].tolist():
            opened.append(token) if token < kinds else opened.pop()
            want["depth"].append(len(opened))
            want["nothing is open"].append(not opened)
            want["the greatest depth"].append(len(opened) == 5)
            for kind in range(kinds if kinds > 1 else 0):
                want[f"the innermost is {'([{'[kind]}"].append(opened[-1] == kind if opened else None)
        for name, values in want.items():
            assert column_of(readings, name, row) == values, name


@pytest.mark.parametrize(("task", "lags"), [("echo", range(6)), ("binary_rule", (0, 3, 4))])
def test_the_factors_of_bits_are_the_bits_before(task: str, lags) -> None:
    config = GatesConfig(task=task, echo_step=5, first_lag=4, second_lag=3)
    readings = data.held_out(config)
    assert len(readings.factors) == len(lags)
    for lag, name in zip(lags, readings.factors, strict=True):
        assert name == {0: "the bit read now", 1: "the bit 1 step back"}.get(lag, f"the bit {lag} steps back")
        for row in (0, 63):
            bits = readings.inputs[:, row].tolist()
            assert column_of(readings, name, row) == [bits[at - lag] if at >= lag else None for at in range(100)]


def factors_by_a_loop(text: str, inside: bool) -> dict[str, list[float]]:
    """The same, letter by letter."""
    found: dict[str, list[float]] = {name: [] for name in data.TEXT_FACTORS}
    word = sentence = line = 0
    for at, letter in enumerate(text):
        inside = inside != (letter == '"')
        word = word + 1 if letter.isalpha() or letter == "'" else 0
        sentence = 0 if letter in ".!?\n" else sentence + 1
        line = 0 if letter == "\n" else line + 1
        ended = at > 0 and text[at - 1].isalpha() and word == 0
        values = (inside, word, ended, sentence, line, letter.isupper(), letter in "aeiouAEIOU")
        for name, value in zip(found, values, strict=True):
            found[name].append(float(value))
    return found


@settings(deadline=None)
@given(text=st.text("abE IU\"'.,!?\n", min_size=1, max_size=60))
def test_the_factors_of_a_text_equal_a_loop(text: str) -> None:
    before = text.partition('"')[0]
    begins_inside = '"' in text and before != "" and before[-1] not in " \n"
    found = data.text_factors(text)
    for name, values in factors_by_a_loop(text, begins_inside).items():
        assert found[name].tolist() == values, name


def test_quotes_are_known_wherever_a_passage_of_the_fables_begins() -> None:
    text = data.corpus("").text
    whole = data.text_factors(text)["inside quotes"]
    random.seed(0)
    agreed = Counter()
    for start in random.sample(range(len(text) - 300), 200):
        part = data.text_factors(text[start : start + 300])["inside quotes"]
        agreed[bool((part == whole[start : start + 300]).all())] += 1
    assert agreed[True] >= 170, agreed  # one without any quotes cannot tell


def test_every_factor_completes_a_sentence() -> None:
    for task in TASKS:
        readings = data.held_out(small(task))
        assert readings.factors
        for factor in readings.factors.values():
            assert factor.values.shape == readings.inputs.shape
            assert factor.what.split()[0] in ("whether", "the", "capitals", "vowels")
