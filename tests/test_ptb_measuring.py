"""A perplexity measured in other ways: against an LSTM of its own in float64, and on a network that was trained for a moment."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import service
from demos.ptb import data, measuring
from demos.ptb.config import PTBConfig
from demos.ptb.measuring import How, Surprises
from demos.ptb.task import PTBTask
from demos.ptb.words import network_of
from demos.registry import build, config_of, get
from lib.job import Job, State
from lib.jobs import Jobs
from lib.store import Store
from lib.tf import tf
from lib.training import Engine
from lib.vocabulary import EOS, UNK, Corpus
from lib.word_model import WordModel
from tests.training import results

SIZES = {"hidden_units": 6, "embedding_units": 6, "batch_size": 4, "truncated_backprop_length": 7, "epochs": 1}
LITTLE = PTBConfig(layers=2, tied=False, initial_scale=0.8, **SIZES)


@pytest.fixture(autouse=True)
def as_wide_networks_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unrolled in a loop, which compiles sooner."""
    monkeypatch.setattr("lib.ways.MOST_WRITTEN_OUT", 0)


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """Random words in the grammar's place: <eos> is number 1, <unk> number 3, and vocabularies of 5 and 10 can be chosen."""
    rng = np.random.default_rng(1)
    words = ("a", EOS, "b", UNK, *(f"w{i}" for i in range(4, 23)))
    parts = {name: rng.integers(0, len(words), count).astype(np.int32) for name, count in LENGTHS.items()}
    for part in parts.values():
        part[-1] = 1
    few = Corpus(words, **parts)
    monkeypatch.setattr(data, "corpus", lambda name, text: few)
    monkeypatch.setattr(measuring, "SMALLER", (10, 5))
    return few


LENGTHS = {"train": 700, "valid": 90, "test": 71}


def network(corpus: Corpus, config: PTBConfig = LITTLE) -> dict[str, Any]:
    """A network as it begins, in lib.word_model's form."""
    leaves = Engine(PTBTask(config)).initial().to_arrays()
    found = network_of(leaves, config)
    assert found is not None
    return found


def log_probabilities(network: dict[str, Any], words: list[int]) -> np.ndarray:
    """log p of each word of the vocabulary after these words, read from zeros: an LSTM in float64, one word at a time."""

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    layers = [{name: value.astype(float) for name, value in layer.items()} for layer in network["layers"].values()]
    state = [(np.zeros(6), np.zeros(6)) for _ in layers]
    for word in words:
        x = network["embedding"][word].astype(float)
        for k, layer in enumerate(layers):
            h, c = state[k]
            i, f, g, o = np.split(x @ layer["input_weights"] + h @ layer["recurrent_weights"] + layer["bias"], 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            x = sigmoid(o) * np.tanh(c)
            state[k] = x, c
    logits = network["output"]["weights"].astype(float) @ x + network["output"]["bias"]
    found: np.ndarray = logits - np.log(np.exp(logits).sum())
    return found


@pytest.mark.parametrize(("part", "rows"), [("test", 1), ("valid", 20)])
@pytest.mark.parametrize("window", [0, 1, 7])
def test_every_word_is_as_surprising_as_in_float64(part: Any, rows: int, window: int, corpus: Corpus) -> None:
    tree, words = network(corpus), getattr(corpus, part)
    found = measuring.surprises(WordModel(tree), corpus, words, part, window)
    each = -(-len(words) // rows)  # of a row: the state is zero where one begins
    before = [int(words[-1]), *words.tolist()]
    for place, word in enumerate(words):
        within = place % each
        start = place - (within % window if window else within)
        logs = log_probabilities(tree, before[start : place + 1])
        assert found.nats[place] == pytest.approx(-logs[word], rel=1e-4)
        rare = [[v for v in range(23) if (v >= size or v == 3) and v != 1] for size in (10, 5)]
        expected = [-np.log(np.exp(logs[numbers]).sum()) for numbers in rare]
        np.testing.assert_allclose(found.rare_nats[:, place], expected, rtol=1e-4)
        assert not window or found.place[place] == within % window
    np.testing.assert_array_equal(found.words, words)


@pytest.mark.parametrize("part", measuring.PARTS)
def test_the_standard_is_what_a_run_measures(part: Any, corpus: Corpus) -> None:
    task = PTBTask(LITTLE)
    params, held_out = task.initial_params(), task.evaluations.data(part)
    state, nats, places = held_out.state, 0.0, 0.0
    for number in range(len(held_out.windows["inputs"])):
        window = {name: tf.constant(array[number]) for name, array in held_out.windows.items()}
        state, loss, counted = task.evaluations.measure(params, state, window)
        nats, places = nats + float(loss), places + float(counted)
    read = measuring.surprises(WordModel(network(corpus)), corpus, getattr(corpus, part), part, 0)
    assert measuring.perplexity(corpus, read, How()) == pytest.approx(np.exp(nats / places), rel=1e-5)


def test_what_does_not_count_is_left_out_and_rare_words_are_one(corpus: Corpus) -> None:
    words = np.array([0, 1, 3, 12, 7], np.int32)
    found = Surprises(words, np.arange(5), np.arange(1.0, 6), np.array([np.full(5, 0.5), np.full(5, 0.25)]))
    assert measuring.counted(corpus, found, How()).tolist() == [1, 2, 3, 4, 5]
    assert measuring.counted(corpus, found, How(ends=False)).tolist() == [1, 3, 4, 5]
    assert measuring.counted(corpus, found, How(unknown=False)).tolist() == [1, 2, 4, 5]
    assert measuring.counted(corpus, found, How(words=10)).tolist() == [1, 2, 0.5, 0.5, 5]
    assert measuring.counted(corpus, found, How(words=5)).tolist() == [1, 2, 0.25, 0.25, 0.25]
    assert measuring.counted(corpus, found, How(words=5, unknown=False, ends=False)).tolist() == [1]
    assert measuring.perplexity(corpus, found, How()) == pytest.approx(np.exp(3))


def test_a_long_text_is_read_up_to_an_end_of_a_sentence(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(measuring.text(LITTLE, corpus, "test")) == LENGTHS["test"]
    ends = np.flatnonzero(corpus.test == 1)
    for products in (1.0, 40_000.0):
        monkeypatch.setattr(measuring, "MOST_PRODUCTS", products)
        read = measuring.text(LITTLE, corpus, "test")
        assert len(read) < LENGTHS["test"] and len(read) - 1 in ends
        np.testing.assert_array_equal(read, corpus.test[: len(read)])


def test_every_switch_changes_a_trained_networks_number_as_the_page_says() -> None:
    config = PTBConfig(epochs=1, hidden_units=32, embedding_units=32, batch_size=100, learning_rate=0.02)
    found = results(get("ptb"), config, 100, evaluated=False)
    grammar = data.corpus("grammar", "")
    model, words = WordModel(network_of(found.leaves or {}, config) or {}), grammar.test[:8_000]
    read = {window: measuring.surprises(model, grammar, words, "test", window) for window in (0, 5, 20)}
    how = How(carried=False, window=20, ends=False, words=300, unknown=False)
    effects = measuring.effects(grammar, read[0], read[20], how)
    assert [effect.direction for effect in effects] == ["higher", "higher", "lower", "higher"]
    for effect in effects:
        assert abs(effect.by / effect.without - 1) > 0.01, effect
    assert "less than the" in effects[1].why and "raises the mean" in effects[1].why
    shorter, longer = (measuring.perplexity(grammar, read[window], How()) for window in (5, 20))
    assert shorter > longer
    assert measuring.effects(grammar, read[0], None, How(window=5)) == []


def test_leaving_out_what_is_harder_than_the_average_lowers_the_mean(corpus: Corpus) -> None:
    words = np.array([0, 1, 0, 1], np.int32)
    found = Surprises(words, np.arange(4), np.array([1.0, 3.0, 1.0, 3.0]), np.ones((2, 4)))
    (effect,) = measuring.effects(corpus, found, None, How(ends=False))
    assert (effect.direction, effect.by) == ("lower", pytest.approx(np.e))
    assert effect.why.startswith(
        "`<eos>` costs 3.00 nats on average, more than the 2.00 of all words: leaving it out lowers"
    )


# The page

ENTRY = """
from app import words_panel
words_panel.draw("ptb", "{run}")
"""


def measured_page(state: State, monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Jobs, AppTest]:
    """The section of a stored run in this state."""
    jobs = Jobs(Store(folder), build=build, config_of=config_of)
    monkeypatch.setattr(service, "_jobs", lambda: jobs)
    job = Job("ptb", LITTLE, "me")
    job.checkpoint, job.state = Engine(PTBTask(LITTLE)).initial().weights(), state
    jobs.store.save(job.record(), job.arrays())
    page = AppTest.from_string(ENTRY.format(run=job.id), default_timeout=60)
    page.session_state["ptb/words/section"] = "measured"
    return jobs, page.run()


def test_the_panel_shows_the_number_beside_the_standard_one(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    jobs, page = measured_page(State.FINISHED, monkeypatch, tmp_path)
    assert not page.exception
    model = WordModel(network(corpus))
    carried = measuring.surprises(model, corpus, corpus.test, "test", 0)
    standard = f"{measuring.perplexity(corpus, carried, How()):,.2f}"
    assert [metric.value for metric in page.metric] == [standard, standard]
    assert any("the window makes no difference" in note.value for note in page.caption)
    reset = measuring.surprises(model, corpus, corpus.test, "test", 5)
    assert page.button_group(key="ptb/words/measured/window/5").disabled
    page.button_group(key="ptb/words/measured/state/2").set_value(False).run()
    for name, value in (("window/5", 5), ("ends/2", False), ("words/3", 5), ("unknown/2", False)):
        page.button_group(key=f"ptb/words/measured/{name}").set_value(value)
    page.run()
    assert not page.exception
    measured = measuring.perplexity(corpus, reset, How(False, 5, False, 5, False))
    assert [metric.value for metric in page.metric] == [standard, f"{measured:,.2f}"]
    effects = measuring.effects(corpus, carried, reset, How(False, 5, False, 5, False))
    listed = next(text.value for text in page.markdown if text.value.startswith("Each switch, beside"))
    assert len(effects) == 4
    for effect in effects:
        assert f"{effect.by:,.2f} instead of {effect.without:,.2f}, **{effect.direction}**" in listed
    jobs.shutdown()


def test_a_run_that_goes_on_is_not_measured(corpus: Corpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    jobs, page = measured_page(State.PAUSED, monkeypatch, tmp_path)
    assert not page.exception and not page.metric
    assert "When the run has ended" in page.info[0].value
    jobs.shutdown()
