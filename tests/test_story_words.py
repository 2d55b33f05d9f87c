"""What the page shows of the network's words: beginnings, unknown words, texts and their branches, what is copied."""

import numpy as np
import pytest

from demos.story import data, figures, reading, theory, words
from demos.story.config import StoryConfig
from lib.word_model import BEST, WordModel, unflat

LENGTH = 3
BELL = data.story("bell", "")
READS = StoryConfig(story="bell", n_input=LENGTH).reads
CORPUS = words.corpus(*READS)


def network(seed: int = 0, units: int = 8, scale: float = 1.0) -> WordModel:
    """One with random weights."""
    rng, size = np.random.default_rng(seed), len(BELL.words)

    def some(*shape: int) -> np.ndarray:
        return (scale * rng.normal(size=shape)).astype(np.float32)

    return WordModel(
        unflat(
            {
                "embedding": some(size, 5),
                "layers/layer_0/input_weights": some(5, 4 * units),
                "layers/layer_0/recurrent_weights": some(units, 4 * units),
                "layers/layer_0/bias": some(4 * units),
                "output/weights": some(size, units),
                "output/bias": some(size),
            }
        )
    )


def drawn(model: WordModel, taken: tuple[int, ...] = (), temperature: float = 1.0, **changes: int) -> list[int]:
    how = {"seed": 3, "words": 12, "top_k": 0, "unknown": False} | changes
    prompt = words.prompt_ids(*READS, "a young mouse")
    return words.drawn(model, CORPUS, prompt, taken, [temperature], **how)[0].words.tolist()  # type: ignore[arg-type]


def test_a_beginning_is_read_as_the_story_is() -> None:
    ids = words.prompt_ids(*READS, "A young  MOUSE jumped.")
    assert [BELL.words[number] for number in ids] == ["a", "young", "mouse", "jumped", "."]
    assert words.prompt_ids(*READS, "  ") == tuple(BELL.numbers[:LENGTH].tolist())


def test_unknown_words_are_named_with_the_nearest_known_ones() -> None:
    with pytest.raises(words.WordsError, match="does not have “moose”, “qqqq”") as caught:
        words.prompt_ids(*READS, "the moose qqqq the")
    assert caught.value.near["moose"][0] == "mouse"
    assert all(len(near) == 3 and set(near) <= set(BELL.words) for near in caught.value.near.values())


@pytest.mark.parametrize(("prompt", "said"), [("mouse", "here is 1"), ("the mouse", "here are 2")])
def test_too_few_words_are_an_error_with_a_remedy(prompt: str, said: str) -> None:
    with pytest.raises(words.WordsError, match=f"reads 3 words at a time, and {said}: add some"):
        words.prompt_ids(*READS, prompt)


def test_greedy_texts_are_the_likeliest_word_each_time() -> None:
    model = network()
    reader, told = reading.Reader.of(model), list(words.prompt_ids(*READS, "a young mouse"))
    for _ in range(12):
        told.append(int(reader.logits(np.array([told[-LENGTH:]]))[0].argmax()))
    assert drawn(model, temperature=0.0) == told[LENGTH:] == drawn(model, temperature=0.0, seed=9)


def test_a_text_goes_on_as_before_from_the_words_that_were_taken() -> None:
    model = network()
    whole = drawn(model)
    for place in (1, 5, 11):
        assert drawn(model, tuple(whole[:place])) == whole[place:]
    assert drawn(model, seed=4) != whole


def test_words_are_drawn_as_often_as_they_are_likely() -> None:
    reader, context = reading.Reader.of(network(scale=0.5)), BELL.numbers[:LENGTH].tolist()
    for temperature, top_k in ((1.0, 0), (0.5, 0), (1.0, 4)):
        logits = reader.logits(np.array([context]))[0].astype(np.float64) / temperature
        p = np.exp(logits - logits.max())
        if top_k:
            p[np.argsort(-p)[top_k:]] = 0
        p /= p.sum()
        even = (np.arange(400) + 0.5) / 400
        found = [reading.tell(reader, context, LENGTH, np.array([u]), [temperature], top_k)[0] for u in even]
        counts = np.bincount([int(each.words[0]) for each in found], minlength=len(p)) / len(even)
        np.testing.assert_allclose(counts, p, atol=1.01 / len(even))
        assert all(each.probability[0] == pytest.approx(p[each.words[0]], rel=1e-4) for each in found)
        assert found[0].best.shape == (1, BEST)


def by_hand(text: list[int], other: list[int], shortest: int) -> list[bool]:
    """Each word by each run around it, looked for in the other text written out."""
    written = " ".join(map(str, other)).join("  ").replace("  ", " ")
    found = []
    for place in range(len(text)):
        runs = [text[start : start + shortest] for start in range(max(0, place - shortest + 1), place + 1)]
        found.append(any(len(run) == shortest and f" {' '.join(map(str, run))} " in written for run in runs))
    return found


def test_what_is_copied_word_for_word_is_found() -> None:
    rng, story = np.random.default_rng(1), BELL.numbers.tolist()
    for _ in range(20):
        first, second = rng.integers(0, 150, 2)
        text = [*story[first : first + 7], *rng.integers(0, 110, 4).tolist(), *story[second : second + 4]]
        assert reading.verbatim(text, BELL.numbers, 5).tolist() == by_hand(text, story, 5)
        assert words.copied(*READS, text) == by_hand(text, story, LENGTH + 2)
    assert not reading.verbatim(story[:4], BELL.numbers, 5).any()
    assert not reading.verbatim([], BELL.numbers, 5).any()


def test_the_original_marks_what_was_told_of_it() -> None:
    tokens = words.original(*READS, [BELL.numbers[10:20].tolist(), [1, 2, 3]])
    assert len(tokens) == len(BELL.numbers)
    assert [place for place, token in enumerate(tokens) if token["look"]] == list(range(10, 20))


def test_what_nobody_can_know_is_listed_with_what_the_network_says() -> None:
    config = StoryConfig(story="bell", n_input=1)
    rows = words.unsure(config, network())
    assert len(rows) == len(theory.of(config).ambiguous)
    row = next(row for row in rows if row.context == "the")
    counts = {
        word: sum(a == "the" and b == word for a, b in zip(_words(), _words()[1:], strict=False))
        for word in set(_words())
    }
    assert dict(row.followers) == {word: count for word, count in counts.items() if count}
    assert row.guess in BELL.words
    assert "at most" in words.about_unsure(config)
    assert not words.unsure(StoryConfig(story="bell"), None)
    assert "can be predicted" in words.about_unsure(StoryConfig(story="bell"))
    assert len(words.unsure(StoryConfig(), None)) == 12, "the default has some"


def _words() -> list[str]:
    return [BELL.words[number] for number in BELL.numbers]


def snapshot(config: StoryConfig, guess: np.ndarray, place: int = 4) -> dict[str, np.ndarray]:
    best = np.arange(5)
    return {
        "guess": guess, "probability": np.full(len(guess), 0.25), "place": np.array(place), "best": best,
        "best_probability": np.array([0.4, 0.2, 0.1, 0.1, 0.05]), "step": np.array(7),
    }  # fmt: skip


def test_the_story_is_coloured_by_what_the_network_knows() -> None:
    config = StoryConfig(story="bell", n_input=1)
    contexts, targets = BELL.contexts(1)
    guess = targets.copy()
    sure = next(i for i, (word,) in enumerate(contexts.tolist()) if BELL.words[word] == "lived")
    unsure = next(i for i, (word,) in enumerate(contexts.tolist()) if BELL.words[word] == "the")
    other = next(
        int(t)
        for (word,), t in zip(contexts.tolist(), targets, strict=True)
        if BELL.words[word] == "the" and t != targets[unsure]
    )
    guess[sure], guess[unsure] = (guess[sure] + 1) % 100, other
    text = figures.live_figures(config, snapshot(config, guess))["story"]
    assert text["looks"][0] == figures.GIVEN
    assert text["looks"][1 + sure] == figures.WRONG and text["tips"][str(1 + sure)] == BELL.words[guess[sure]]
    assert text["looks"][1 + unsure] == figures.UNKNOWABLE
    assert text["looks"].count(figures.KNOWN) == len(targets) - 2
    assert f"knows {len(targets) - 2} of {len(targets)} words" in text["said"]
    assert text["reads"] == [_words()[4]] and text["target"] == _words()[5] and text["right"]


def test_the_five_best_and_the_true_word_are_bars() -> None:
    config = StoryConfig(story="bell")
    _, targets = BELL.contexts(3)
    figure = figures.live_figures(config, snapshot(config, targets))["guess"]
    true = _words()[4 + 3]
    assert true in figure["layout"]["meta"]["alt"] and BELL.words[0] in figure["layout"]["meta"]["alt"]
    assert {trace["name"] for trace in figure["data"]} >= {"its guesses", "true next word"}


def test_before_a_run_the_story_stands_there() -> None:
    text = figures.waiting(StoryConfig(story="bell"))["story"]
    assert text["words"] == _words() and set(text["looks"]) == {figures.GIVEN} and "Press Start" in text["said"]
