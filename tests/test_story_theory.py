"""The ceiling that a text sets, against trying everything."""

import itertools
import math

import numpy as np
import pytest

from demos.story import data, lessons, theory
from demos.story.config import PRESETS, StoryConfig


def by_hand(name: str, length: int, often: np.ndarray) -> tuple[float, float]:
    """Accuracy and loss of whoever has counted, at each place, what stood after the same words elsewhere."""
    numbers = data.story(name, "").numbers.tolist()
    places = range(len(numbers) - length)
    right = nats = 0.0
    for place in places:
        same = [other for other in places if numbers[other : other + length] == numbers[place : place + length]]
        share: dict[int, float] = {}
        for other in same:
            word = numbers[other + length]
            share[word] = share.get(word, 0.0) + often[other]
        best = max(share, key=lambda word: share[word])
        right += often[place] * (numbers[place + length] == best)
        nats -= often[place] * math.log(share[numbers[place + length]] / sum(share.values()))
    return right / often.sum(), nats / often.sum()


@pytest.mark.parametrize("name", ["bell", "echo", "wall"])
@pytest.mark.parametrize("length", [1, 2, 3, 8])
@pytest.mark.parametrize("visited", [False, True])
def test_the_ceiling_is_what_counting_reaches(name: str, length: int, visited: bool) -> None:
    best = theory.ceiling(name, "", length, visited)
    count = len(data.story(name, "").numbers) - length
    often = data.visited(count, length) if visited else np.ones(count)
    accuracy, nats = by_hand(name, length, often)
    assert best.accuracy == pytest.approx(accuracy)
    assert best.loss == pytest.approx(nats, abs=1e-9)


def test_the_contexts_that_decide_nothing_are_named() -> None:
    story = data.story("echo", "")
    found = {
        " ".join(story.words[number] for number in each.context): {story.words[w]: n for w, n in each.followers}
        for each in theory.ceiling("echo", "", 3).ambiguous
    }
    assert found["said the voice"] == {"from": 1, ".": 1}
    assert found['" said the'] == {"voice": 2, "bear": 1}
    assert "a young bear" not in found


def test_more_context_never_lowers_the_ceiling() -> None:
    for name in ("bell", "lantern", "wall", "echo"):
        reached = [theory.ceiling(name, "", length).accuracy for length in range(1, 9)]
        assert reached[0] < 0.7 and all(a <= b + 0.01 for a, b in itertools.pairwise(reached))


def test_the_maths_say_what_the_tutorials_presets_take_from_tensorflow_1() -> None:
    for name, config in PRESETS.items():
        assert ("TensorFlow 1" in lessons.equations(config)) == name.startswith("Tutorial")


def test_chance_floor_and_words() -> None:
    config = StoryConfig(n_input=1)
    assert theory.chance(config) == pytest.approx(math.log(len(data.story("echo", "").words)))
    assert 0 < theory.floor(config) < theory.learned_below(config) < theory.chance(config)
    assert "twice as often" in theory.explain(config)
    assert "95.2" in theory.explain(StoryConfig())


def test_the_sampling_error_is_how_far_the_last_steps_lie_from_the_mean() -> None:
    config = StoryConfig(batch_size=8)
    story, best = data.story("echo", ""), theory.of_training(config)
    contexts, targets = story.contexts(3)
    often = data.visited(len(targets), 3)
    own = []
    for context, target in zip(contexts, targets, strict=True):
        same = (contexts == context).all(axis=1)
        own.append(-math.log(often[same & (targets == target)].sum() / often[same].sum()))
    ends = [
        np.array(own)[data.visits(len(story.numbers), 3, seed, 2_000)[-800:]].mean() for seed in range(60)
    ]  # of the best that there is
    error = theory.sampling_error(config).loss
    assert np.mean(ends) == pytest.approx(best.loss, abs=4 * error / math.sqrt(60))
    assert np.std(ends) == pytest.approx(error, rel=0.5)
    assert "times the standard error" in theory.of_noise(config, best.loss - error)
    assert theory.of_noise(config, best.loss + error) == ""
