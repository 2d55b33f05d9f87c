"""The word model against slow loops and Keras, its columns, its draws against their distribution, and its errors."""

import math

import numpy as np
import pytest

from lib.word_model import WordModel, flat, log_softmax, read, under_unigram, unflat, worked_out
from lib.word_sampling import sample, samples

V, E = 17, 5
FIRST = 3
TEXT = [4, 0, 16, 4, 9, 2]


def network(tied: bool | str = False, layers: int = 2, vocabulary: int = V, seed: int = 0, scale: float = 1.0):
    """Weights large enough for distributions that are far from even."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return (scale * rng.normal(size=shape)).astype(np.float32)

    units = [E + 2, *([E + 1] * (layers - 2)), E if tied is True else E + 3][-layers:]
    widths = [E, *units]
    found = {
        "embedding": normal(vocabulary, E),
        "layers": {
            f"layer_{i}": {
                "input_weights": normal(widths[i], 4 * units[i]),
                "recurrent_weights": normal(units[i], 4 * units[i]),
                "bias": normal(4 * units[i]),
            }
            for i in range(layers)
        },
        "output": {"bias": normal(vocabulary)},
    }
    if not tied:
        found["output"]["weights"] = normal(vocabulary, units[-1])
    elif units[-1] != E:
        found["output"]["projection"] = normal(units[-1], E)
    return found


def by_hand(net, words: list[int]) -> np.ndarray:
    """p of every word after each of these, [T, V], in float64, gate by gate and number by number."""
    layers = [net["layers"][f"layer_{i}"] for i in range(len(net["layers"]))]
    states = [
        (np.zeros(len(layer["recurrent_weights"])), np.zeros(len(layer["recurrent_weights"]))) for layer in layers
    ]
    rows = []
    for word in words:
        inputs = net["embedding"][word].astype(np.float64)
        for k, layer in enumerate(layers):
            h, c = states[k]
            units = len(h)
            new_h, new_c = np.zeros(units), np.zeros(units)
            for u in range(units):
                i, f, g, o = (
                    sum(x * float(w) for x, w in zip(inputs, layer["input_weights"][:, column], strict=True))
                    + sum(x * float(w) for x, w in zip(h, layer["recurrent_weights"][:, column], strict=True))
                    + float(layer["bias"][column])
                    for column in (u, u + units, u + 2 * units, u + 3 * units)
                )
                new_c[u] = c[u] / (1 + math.exp(-f)) + math.tanh(g) / (1 + math.exp(-i))
                new_h[u] = math.tanh(new_c[u]) / (1 + math.exp(-o))
            states[k] = (new_h, new_c)
            inputs = new_h
        weights = net["output"].get("weights", net["embedding"]).T
        if "projection" in net["output"]:
            inputs = inputs @ net["output"]["projection"]
        exponentials = [math.exp(inputs @ weights[:, v] + net["output"]["bias"][v]) for v in range(weights.shape[1])]
        rows.append([value / sum(exponentials) for value in exponentials])
    return np.array(rows)


# Reading


@pytest.mark.parametrize("tied", [False, True, "projected"])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_reading_equals_a_loop_in_plain_python(tied: bool | str, layers: int) -> None:
    net = network(tied, layers)
    wanted = by_hand(net, [FIRST, *TEXT[:-1]])
    reading = read(WordModel(net), TEXT, FIRST)
    own = wanted[range(len(TEXT)), TEXT]
    np.testing.assert_allclose(reading.probability, own, rtol=1e-4)
    np.testing.assert_allclose(reading.log_probability, np.log(own), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(reading.surprise_bits, -np.log2(own), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(reading.best, np.argsort(-wanted, axis=-1)[:, :10])
    np.testing.assert_allclose(reading.best_probability, -np.sort(-wanted, axis=-1)[:, :10], rtol=1e-4)
    assert reading.rank.tolist() == [1 + sum(p > row[word]) for row, word, p in zip(wanted, TEXT, wanted, strict=True)]
    assert reading.perplexity == pytest.approx(np.prod(own) ** (-1 / len(TEXT)), rel=1e-4)
    assert reading.product == pytest.approx(math.log10(np.prod(own)), rel=1e-4)


def test_a_network_with_more_than_ten_layers_reads_them_in_order() -> None:
    net = network(layers=12)
    net["layers"] = dict(reversed(net["layers"].items()))
    np.testing.assert_allclose(read(WordModel(net), [1], FIRST).probability, by_hand(net, [FIRST])[0, 1], rtol=1e-4)


@pytest.mark.parametrize("tied", [False, True, "projected"])
def test_steps_of_many_rows_equal_reading_each(tied: bool | str) -> None:
    model = WordModel(network(tied))
    rows = np.array([[FIRST, 1, 2], [FIRST, 16, 0]])
    state = model.zero_state(2)
    for t in range(3):
        state, logs = model.step(state, rows[:, t])
        assert logs.dtype == np.float32 and logs.shape == (2, model.vocabulary_size)
        np.testing.assert_allclose(np.exp(logs).sum(axis=-1), 1, rtol=1e-5)
    assert [(part.dtype, len(part)) for layer in state for part in layer] == [(np.float32, 2)] * 4
    for row, of_row in zip(rows, logs, strict=True):
        following = [read(model, [*row[1:], word], FIRST).log_probability[-1] for word in range(V)]
        np.testing.assert_allclose(following, of_row, atol=1e-5)


def test_a_step_changes_no_state() -> None:
    model = WordModel(network())
    start = model.zero_state(1)
    once, _ = model.step(start, [1])
    kept = [part.copy() for layer in once for part in layer]
    model.step(once, [2])
    assert not any(part.any() for layer in start for part in layer)
    for part, was in zip([part for layer in once for part in layer], kept, strict=True):
        np.testing.assert_array_equal(part, was)


def test_two_layers_equal_those_of_keras() -> None:
    from lib.tf import tf  # here, so that all other tests start at once

    net = network()
    inputs = net["embedding"][np.array([[FIRST, *TEXT[:-1]]])]
    for i in range(2):
        layer = net["layers"][f"layer_{i}"]
        lstm = tf.keras.layers.LSTM(len(layer["recurrent_weights"]), return_sequences=True)
        lstm.build(inputs.shape)
        lstm.set_weights([layer["input_weights"], layer["recurrent_weights"], layer["bias"]])
        inputs = lstm(inputs).numpy()
    logits = inputs[0] @ net["output"]["weights"].T + net["output"]["bias"]
    wanted = tf.nn.log_softmax(logits).numpy()[range(len(TEXT)), TEXT]
    np.testing.assert_allclose(read(WordModel(net), TEXT, FIRST).log_probability, wanted, atol=1e-4)


def test_a_text_of_one_word() -> None:
    reading = read(WordModel(network()), [7], FIRST)
    assert reading.best.shape == reading.best_probability.shape == (1, 10)
    assert reading.perplexity == pytest.approx(1 / reading.probability[0])
    assert reading.product == pytest.approx(math.log10(reading.probability[0]))


def test_the_product_of_a_long_text_does_not_underflow() -> None:
    text = np.random.default_rng(0).integers(0, V, 2000)
    reading = read(WordModel(network()), text, FIRST)
    assert np.prod(reading.probability) == 0 and -math.inf < reading.product < -400
    assert reading.perplexity == pytest.approx(10 ** (-reading.product / 2000))


def test_a_network_that_knows_nothing_is_as_perplexed_as_it_has_words() -> None:
    reading = read(WordModel(network(scale=0.0)), TEXT, FIRST)
    assert reading.perplexity == pytest.approx(V)
    assert reading.rank.tolist() == [word + 1 for word in TEXT]  # equals stand in the order of their numbers
    assert reading.best.tolist() == [list(range(10))] * len(TEXT)


def test_a_small_vocabulary_lists_all_its_words() -> None:
    model = WordModel(network(vocabulary=4))
    assert sorted(read(model, [1], 0).best[0]) == [0, 1, 2, 3]
    assert sample(model, [], [0.5, 0.1], 1.0, first=0).best.shape == (2, 4)


def test_log_softmax_of_large_numbers() -> None:
    found = log_softmax(np.array([[1e4, 1e4, -1e4], [0.0, -1e4, -1e4]], np.float32))
    np.testing.assert_allclose(found, [[-math.log(2), -math.log(2), -2e4], [0, -1e4, -1e4]], rtol=1e-3)


def test_a_certain_word_surprises_by_zero_bits() -> None:
    bits = under_unigram([0.0, 1.0], [1]).surprise_bits
    assert bits[0] == 0 and not np.signbit(bits[0])


# The unigram model


def test_the_unigram_model_says_the_same_everywhere() -> None:
    counts = np.arange(1, 21)[::-1]
    known = counts / counts.sum()
    reading = under_unigram(known, [0, 19, 4])
    np.testing.assert_allclose(reading.probability, known[[0, 19, 4]])
    assert reading.rank.tolist() == [1, 20, 5]
    assert reading.best.tolist() == [list(range(10))] * 3
    np.testing.assert_allclose(reading.best_probability, [known[:10]] * 3)
    assert reading.perplexity == pytest.approx(np.prod(known[[0, 19, 4]]) ** (-1 / 3))


def test_a_word_that_never_occurred_makes_the_perplexity_infinite() -> None:
    reading = under_unigram([0.5, 0.5, 0.0], [0, 2])
    assert reading.perplexity == math.inf and reading.product == -math.inf
    assert reading.surprise_bits.tolist() == [1.0, math.inf] and reading.rank.tolist() == [1, 3]
    working = worked_out(reading)
    assert (working.mantissa, working.exponent, working.geometric_mean, working.perplexity) == (0, 0, 0, math.inf)


# The working


def test_the_working_is_the_definition() -> None:
    reading = under_unigram([0.5, 0.25, 0.25], [0, 1, 2])
    working = worked_out(reading)
    assert working.probabilities == pytest.approx((0.5, 0.25, 0.25))
    assert working.mantissa * 10.0**working.exponent == pytest.approx(1 / 32) and 1 <= working.mantissa < 10
    assert working.length == 3
    assert working.geometric_mean == pytest.approx((1 / 32) ** (1 / 3))
    assert working.perplexity == pytest.approx(32 ** (1 / 3)) == pytest.approx(2**working.mean_bits)


def test_the_working_of_a_product_that_underflows() -> None:
    working = worked_out(under_unigram([0.01] * 100, [1] * 500))
    assert working.mantissa * 10 ** (working.exponent + 1000) == pytest.approx(1, rel=1e-9)
    assert working.perplexity == pytest.approx(100)


# Keeping


def test_a_network_comes_back_from_a_file_in_half_precision(tmp_path) -> None:
    net = network(tied=True)
    kept = flat(net, np.float16)
    assert set(kept) == {"embedding", "output/bias"} | {
        f"layers/layer_{i}/{name}" for i in range(2) for name in ("input_weights", "recurrent_weights", "bias")
    }
    np.savez(tmp_path / "network.npz", **kept)
    with np.load(tmp_path / "network.npz") as arrays:
        back = unflat(arrays)
    assert {array.dtype for array in flat(back).values()} == {np.dtype(np.float16)}
    exact, half = (read(WordModel(each), TEXT, FIRST) for each in (net, back))
    assert half.perplexity == pytest.approx(exact.perplexity, rel=0.02) and half.perplexity != exact.perplexity
    rounded = unflat(flat(back, np.float32))
    np.testing.assert_array_equal(read(WordModel(rounded), TEXT, FIRST).log_probability, half.log_probability)


def test_flat_and_back_is_the_same_network() -> None:
    net = network()
    back = unflat(flat(net))
    assert back["layers"].keys() == net["layers"].keys()
    assert back["layers"]["layer_1"]["bias"] is net["layers"]["layer_1"]["bias"]


def test_weights_too_large_for_half_precision_are_refused() -> None:
    net = network()
    net["output"]["bias"][2] = 1e5
    with pytest.raises(
        ValueError, match=r"output/bias has weights up to 100000\.0, too large for dtype float16.*float32"
    ):
        flat(net, np.float16)


# Drawing


def uniforms(*shape: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


@pytest.mark.parametrize("tied", [False, True, "projected"])
@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, 0), (0.7, 0), (1.8, 4), (0.0, 0)])
def test_drawing_equals_a_loop_in_plain_python(tied: bool | str, temperature: float, top_k: int) -> None:
    net, random, prompt = network(tied), uniforms(8), [5, 1]
    found = sample(WordModel(net), prompt, random, temperature, top_k, first=FIRST, forbid=[0, 9])
    text = [FIRST, *prompt]
    for n, u in enumerate(random):
        p = by_hand(net, text)[-1]
        p[[0, 9]] = 0
        order = np.argsort(-p)
        p = (p / p.max()) ** (1 / (temperature or 1e-4))
        if top_k:
            p[order[top_k:]] = 0
        p /= p.sum()
        wanted, below = 0, p[0]
        while below <= u:
            wanted += 1
            below += p[wanted]
        assert found.words[n] == wanted
        assert found.probability[n] == pytest.approx(p[wanted], rel=1e-3)
        np.testing.assert_array_equal(found.best[n], order[:10])
        np.testing.assert_allclose(found.best_probability[n], p[order[:10]], rtol=1e-3, atol=1e-6)
        text.append(wanted)


def test_the_same_numbers_give_the_same_text_and_others_another() -> None:
    model = WordModel(network())
    one, again, other = (sample(model, [1], uniforms(30, seed=seed), 1.0, first=FIRST) for seed in (1, 1, 2))
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.words.tolist() != other.words.tolist()


def test_draws_are_as_frequent_as_they_are_likely() -> None:
    net, count = network(), 8_000
    random = uniforms(count, 1)
    model = WordModel(net)
    found = samples(model, [[5, 1]] * count, random, [1.3], first=FIRST, forbid=[4])
    p = by_hand(net, [FIRST, 5, 1])[-1] ** (1 / 1.3)
    p[4] = 0
    p /= p.sum()
    seen = np.bincount(found.words.ravel(), minlength=V)
    assert seen[4] == 0
    due = count * np.delete(p, 4)
    chi_square = ((np.delete(seen, 4) - due) ** 2 / due).sum()
    assert due.min() > 5 and chi_square < 37.7  # 15 degrees of freedom: one in a thousand is above
    np.testing.assert_allclose(found.probability.ravel(), p[found.words.ravel()], rtol=1e-3)


def test_numbers_at_both_ends_draw_possible_words() -> None:
    model, ends = WordModel(network()), [0.0, np.nextafter(1.0, 0.0)]
    for temperature in (0.0, 0.5, 1e6):
        found = sample(model, [], ends, temperature, 3, first=FIRST, forbid=[0, V - 1])
        assert (found.probability > 0).all() and not {0, V - 1} & set(found.words.tolist())


def test_temperature_zero_takes_the_likeliest_word_and_is_the_limit() -> None:
    model = WordModel(network())
    greedy = sample(model, [2], uniforms(12), 0, first=FIRST)
    np.testing.assert_array_equal(greedy.words, greedy.best[:, 0])
    np.testing.assert_array_equal(greedy.best_probability, [[1.0] + [0.0] * 9] * 12)
    for cold, seed in ((1e-4, 1), (1e-300, 2), (0.0, 3)):
        np.testing.assert_array_equal(
            sample(model, [2], uniforms(12, seed=seed), cold, first=FIRST).words, greedy.words
        )
    assert read(model, [2, *greedy.words], FIRST).rank[1:].tolist() == [1] * 12


def test_temperature_zero_takes_the_first_of_equals() -> None:
    model = WordModel(network(scale=0.0))
    assert sample(model, [], [0.9, 0.5], 0.0, first=FIRST, forbid=[0]).words.tolist() == [1, 1]


@pytest.mark.parametrize("hot", [1e9, 1e300])
def test_at_a_high_temperature_all_words_are_equally_likely(hot: float) -> None:
    found = sample(WordModel(network()), [], [0.0, 0.5, 0.999], hot, first=FIRST)
    np.testing.assert_allclose(found.best_probability, 1 / V, rtol=1e-5)
    assert found.words.tolist() == [0, V // 2, V - 1]


@pytest.mark.parametrize("top_k", [1, 4, 12, V])
def test_top_k_draws_only_from_the_k_best(top_k: int) -> None:
    model, random = WordModel(network()), uniforms(40)
    found = sample(model, [], random, 3.0, top_k, first=FIRST)
    ranks = read(model, found.words, FIRST).rank
    assert ranks.max() <= top_k and (top_k == 1 or len(set(ranks)) > 1)
    assert np.count_nonzero(found.best_probability, axis=-1).tolist() == [min(top_k, 10)] * 40
    if top_k <= 10:
        np.testing.assert_allclose(found.best_probability.sum(axis=-1), 1, rtol=1e-6)


def test_top_k_may_be_a_number_of_any_type() -> None:
    model = WordModel(network())
    one, other = (sample(model, [], uniforms(9), 2.0, top_k, first=FIRST) for top_k in (3, np.float64(3)))
    np.testing.assert_array_equal(one.best_probability, other.best_probability)


def test_top_k_of_equals_keeps_no_more_than_k() -> None:
    found = sample(WordModel(network(scale=0.0)), [], uniforms(50), 1.0, 3, first=FIRST)
    assert set(found.words.tolist()) == {0, 1, 2}


def test_samples_equal_each_sample_by_itself() -> None:
    model = WordModel(network())
    prompts, random, temperatures = [[1, 2, 3], [], [16]], uniforms(3, 20), [0.0, 0.8, 1.5]
    found = samples(model, prompts, random, temperatures, 6, first=FIRST, forbid=[2])
    assert found.words.shape == (3, 3, 20) and found.best.shape == found.best_probability.shape == (3, 3, 20, 10)
    for i, prompt in enumerate(prompts):
        for j, temperature in enumerate(temperatures):
            alone = sample(model, prompt, random[i], temperature, 6, first=FIRST, forbid=[2])
            together = found.one(i, j)
            np.testing.assert_array_equal(together.words, alone.words)
            np.testing.assert_array_equal(together.best, alone.best)
            np.testing.assert_allclose(together.probability, alone.probability, rtol=1e-4)
            np.testing.assert_allclose(together.best_probability, alone.best_probability, rtol=1e-3, atol=1e-7)


def test_at_temperature_one_a_text_is_as_likely_as_reading_finds_it() -> None:
    model = WordModel(network())
    found = sample(model, [1, 2], uniforms(25), 1.0, first=FIRST)
    reading = read(model, [1, 2, *found.words], FIRST)
    np.testing.assert_allclose(found.probability, reading.probability[2:], rtol=1e-4)
    np.testing.assert_array_equal(found.best, reading.best[2:])


def test_another_branch_is_a_longer_prompt() -> None:
    model, random = WordModel(network()), uniforms(10)
    whole = sample(model, [1], random, 1.0, first=FIRST)
    same = sample(model, [1, *whole.words[:4]], random[4:], 1.0, first=FIRST)
    np.testing.assert_array_equal(same.words, whole.words[4:])


def test_no_number_draws_no_word() -> None:
    found = sample(WordModel(network()), [1], [], 1.0, first=FIRST)
    assert [array.shape for array in found] == [(0,), (0,), (0, 10), (0, 10)]


def test_nothing_of_the_network_changes() -> None:
    net = network(tied=True)
    before = {name: array.copy() for name, array in flat(net).items()}
    model = WordModel(net)
    read(model, TEXT, FIRST)
    sample(model, TEXT, uniforms(5), 0.5, 3, first=FIRST, forbid=[1])
    for name, array in flat(net).items():
        np.testing.assert_array_equal(array, before[name])
        assert array.flags.writeable


# Errors


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "words is empty: give a text of at least one word"),
        ([1, V], f"words = {V} is not in the vocabulary: choose words from 0 to {V - 1}"),
        ([-1], "words = -1 is not in the vocabulary"),
        ([1.0], "dtype float64: it must be the numbers of words"),
        ([[1]], r"words has shape \(1, 1\)"),
        ([True], "dtype bool"),
    ],
)
def test_texts_that_cannot_be_read(words: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(WordModel(network()), words, FIRST)
    with pytest.raises(ValueError, match=message):
        under_unigram([1 / V] * V, words)


def test_a_first_word_and_rows_that_do_not_fit() -> None:
    model = WordModel(network())
    with pytest.raises(ValueError, match="first = 99 is not in the vocabulary"):
        read(model, TEXT, 99)
    with pytest.raises(ValueError, match="words has 2 words, and the state 1 rows"):
        model.step(model.zero_state(1), [1, 2])


@pytest.mark.parametrize(
    ("known", "message"),
    [([0.5, 0.4], "sum to 0.9"), ([1.5, -0.5], "from -0.5"), ([np.nan, 1], "nan"), ([], "shape"), ([[1.0]], "shape")],
)
def test_probabilities_that_are_none(known: list, message: str) -> None:
    with pytest.raises(ValueError, match=f"probabilities has .*{message}"):
        under_unigram(known, [0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": -0.1}, r"temperature = -0\.1 is not one: choose 0"),
        ({"temperature": math.nan}, "temperature = nan"),
        ({"temperature": math.inf}, "temperature = inf"),
        ({"top_k": -1}, f"top_k = -1 is not a number of words: choose one from 1 to {V}, or 0 for all"),
        ({"top_k": V + 1}, f"top_k = {V + 1}"),
        ({"top_k": 2.5}, r"top_k = 2\.5"),
        ({"random": [0.5, 1.0]}, r"random = 1\.0 is not what is drawn with"),
        ({"random": [np.nan]}, "random = nan"),
        ({"random": [[0.5], [0.5]]}, r"random has shape \(2, 1\)"),
        ({"prompt": [V]}, f"prompt = {V} is not in the vocabulary"),
        ({"first": -1}, "first = -1 is not in the vocabulary"),
        ({"forbid": [V]}, f"forbid = {V} is not in the vocabulary"),
        ({"forbid": range(V)}, f"forbid names all {V} words: leave at least one out"),
    ],
)
def test_what_cannot_be_drawn(change: dict, message: str) -> None:
    given = {"prompt": [1], "random": [0.5], "temperature": 1.0, "first": FIRST} | change
    with pytest.raises(ValueError, match=message):
        sample(WordModel(network()), **given)


def test_samples_of_nothing() -> None:
    model = WordModel(network())
    with pytest.raises(ValueError, match="prompts is empty"):
        samples(model, [], np.zeros((0, 3)), [1.0], first=FIRST)
    with pytest.raises(ValueError, match="temperatures is empty"):
        samples(model, [[1]], uniforms(1, 3), [], first=FIRST)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("embedding", (V,), r"embedding has shape \(17,\).*must be \(any, any\)"),
        ("embedding", (0, E), "embedding has shape"),
        ("layers/layer_0/input_weights", (E, 4), r"layer_0/input_weights has shape \(5, 4\).*must be \(5, 28\)"),
        ("layers/layer_1/input_weights", (E, 32), r"layer_1/input_weights .*must be \(7, 32\)"),
        ("layers/layer_1/recurrent_weights", (8, 31), r"layer_1/recurrent_weights .*must be \(8, 32\)"),
        ("layers/layer_0/bias", (27,), r"layer_0/bias has shape \(27,\).*must be \(28,\)"),
        ("output/weights", (8, V), r"output/weights .*must be \(17, 8\)"),
        ("output/bias", (1,), r"output/bias .*must be \(17,\)"),
    ],
)
def test_networks_of_another_form(name: str, shape: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WordModel(unflat(flat(network()) | {name: np.zeros(shape, np.float32)}))


@pytest.mark.parametrize(
    "name", ["embedding", "layers/layer_0/bias", "layers/layer_1/recurrent_weights", "output/bias"]
)
def test_networks_with_something_missing(name: str) -> None:
    arrays = flat(network())
    del arrays[name]
    with pytest.raises(ValueError, match=f"{name} is missing from the network: it has "):
        WordModel(unflat(arrays))


def test_networks_without_layers_or_with_a_tie_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="layers is empty"):
        WordModel(network() | {"layers": {}})
    net = network()
    with pytest.raises(
        ValueError, match="output has no weights, and the last layer has 8 units, an embedding 5 numbers"
    ):
        WordModel(net | {"output": {"bias": net["output"]["bias"]}})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_that_diverged_is_refused(value: float) -> None:
    net = network()
    net["layers"]["layer_1"]["bias"][0] = value
    with pytest.raises(ValueError, match="layers/layer_1/bias has weights that are not finite"):
        WordModel(net)
