"""The code that a page quotes is the code that runs: each quoted function is broken, and changed, and training is watched.

The real functions are replaced at their definition, whoever has imported them, by themselves with a switch that is looked at
whenever they run, in a graph too: so each case is traced once. XLA, which would take seconds for each, is left out.
"""

import importlib
import inspect
import types
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

import demos.from_scratch.engine
import demos.from_scratch.hands
import demos.gates.inside
from demos.binary_rule import theory
from demos.ptb import data as ptb_data
from demos.registry import DEMOS, Demo, get
from lib import inside, training
from lib.cells import CELLS, NARROW
from lib.common_settings import OPTIMIZERS
from lib.lessons import Source
from lib.settings import live_values, parse, replace, settings_of
from lib.tf import tf
from lib.vocabulary import Corpus
from lib.ways import MOST_WRITTEN_OUT

STEPS = 3
UNITS = {"narrow": 16, "wide": 40}  # of a tanh RNN; gated cells have half as many


def forms() -> Iterator[tuple[str, str, int, int]]:
    """Each cell with narrow and wide products, written out and in a loop: (name, cell, units, steps of a window)."""
    for cell, kind in CELLS.items():
        for width, most in UNITS.items():
            units = most if cell == "rnn" else most // 2
            columns = kind.gates * units
            assert (columns * units > NARROW) == (width == "wide")
            yield f"{cell}-{width}-written-out", cell, units, 2
            yield f"{cell}-{width}-loop", cell, units, MOST_WRITTEN_OUT // columns + 1


def cases() -> Iterator[Any]:
    """(demo, settings, what must be quoted) for every demo, cell and form: echo has all of them together, of the two others that
    have cells each has half, in which every cell comes narrow, wide, written out and in a loop."""
    rules = list(OPTIMIZERS)
    for number, (name, cell, units, steps) in enumerate(forms()):
        common = {"cell": cell, "batch_size": 3, "optimizer": rules[number % len(rules)], "learning_rate": 0.1}
        clipped = common | {"clip_norm": 0.5}
        quoted = {f"{cell}_step", "unroll_in_a_loop" if "loop" in name else "unroll_written_out"}
        echo = {
            "state_size": units,
            "truncated_backprop_length": steps,
            "series_length": 400,
            "initial_weights": "glorot",
        }
        yield pytest.param("echo", clipped | echo, quoted, id=f"echo-{name}")
        if ("wide" in name) == ("loop" in name):
            rule = {"hidden_units": units, "time_step": steps, "series_length": 1000, "batch_size": 10}
            yield pytest.param("binary-rule", common | rule, quoted, id=f"binary-rule-{name}")
        else:
            gates = {"task": "echo", "hidden_units": units, "truncated_backprop_length": steps, "training_steps": 100}
            yield pytest.param("gates", clipped | gates, quoted, id=f"gates-{name}")
    reservoir = {
        "trained": "readout",
        "cell": "lstm",
        "state_size": 8,
        "truncated_backprop_length": 20,
        "learning_rate": 0.1,
    }
    yield pytest.param("echo", reservoir, {"lstm_step", "unroll_in_a_loop"}, id="echo-a-reservoir")
    overlapping = {
        "state_size": 16,
        "truncated_backprop_length": 25,
        "stride": 20,
    }  # each part of a window in its own way
    yield pytest.param("echo", overlapping, {"unroll_in_a_loop", "unroll_written_out"}, id="echo-overlapping")
    for task, loss in {"remember": "GatesTask._of_one", "brackets": "GatesTask._of_each"}.items():
        yield pytest.param("gates", {"task": task, "hidden_units": 4, "batch_size": 2}, {loss}, id=f"gates-{task}")
    tiny = {"hidden_units": 4, "embedding_units": 4, "batch_size": 2}
    for rows in (2, 20):  # products row by row, and at once
        short = tiny | {"batch_size": rows, "iterations": 100}
        yield pytest.param("story", short, {"lstm_step", "lstm_backward", "adam"}, id=f"story-short-{rows}-rows")
    plain = tiny | {"layers": 2, "word_input": "index", "clip_norm": 0.0, "optimizer": "rmsprop", "iterations": 100}
    yield pytest.param("story", plain, {"lstm_step"}, id="story-short-two-layers-unclipped")
    fast = {"learning_rate": 1.0, "initial_scale": 0.5}
    words = tiny | {"layers": 1, "hidden_units": 8} | fast
    full = words | {"truncated_backprop_length": 2, "dropout": 0.2, "tied": False, "clip_norm": 0.0, "optimizer": "sgd"}
    quoted = {"unroll_written_out", "_softmax_nats", "_dropped", "one_cycle"}
    yield pytest.param("ptb", full, quoted, id="ptb-written-out-all-words")
    less = words | {"truncated_backprop_length": 50, "rare_words": 20, "recurrent_dropout": 0.2, "schedule": "steps"}
    quoted = {"unroll_in_a_loop", "lstm_backward", "_sampled_nats", "_dropped", "steps"}
    yield pytest.param("ptb", less, quoted, id="ptb-loop-sampled-words")
    ways = {
        "layers": 2,
        "hidden_units": 16,
        "embedding_units": 4,
        "truncated_backprop_length": 10,
        "batch_size": 2,
    } | fast
    yield pytest.param("ptb", ways, {"unroll_written_out", "unroll_in_a_loop"}, id="ptb-a-layer-of-each-form")
    quoted_of = {
        "numpy": {"learn", "backward", "next_state"},
        "eager": {"StepHand._learn", "gradient"},
        "graph": {"StepHand._learn", "gradient"},
        "xla": {"ChunkTask.loss", "training_step", "sgd"},
    }
    for hands, quoted in (quoted_of | {"race": set().union(*quoted_of.values())}).items():
        sizes = {
            "hands": hands,
            "sentences": 10,
            "hidden_units": 4,
            "vocabulary_size": 50,
            "learning_rate": 0.1,
            "truncate": 1,
        }
        if hands == "race":  # whose hands are the same: a few sentences
            yield pytest.param("from-scratch", sizes | {"halving": False}, quoted, id="from-scratch-race")
        else:
            yield pytest.param("from-scratch", sizes, quoted | {"halved"}, id=f"from-scratch-{hands}")


class Quoted:
    """A quoted function with a switch: as it is, broken, or with everything that it returns a little changed."""

    def __init__(self, source: Source) -> None:
        self.name, self.state = source.name, "as it is"
        found: Any = importlib.import_module(source.path.removesuffix(".py").replace("/", "."))
        for part in source.name.split("."):
            found = getattr(found, part)
        self.function: Any = inspect.unwrap(found)

    def replace(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the function's own code call `_switched`: whoever holds the function has no other."""
        function, code = self.function, self.function.__code__
        was = types.FunctionType(code, function.__globals__, function.__name__, function.__defaults__)
        was.__kwdefaults__ = function.__kwdefaults__
        names, count = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], code.co_argcount
        given = ", ".join([*names[:count], *(["*"] if names[count:] else []), *names[count:]])
        passed = ", ".join([*names[:count], *(f"{name}={name}" for name in names[count:])])
        made: dict[str, Any] = {}
        exec(f"def stand_in({given}): return _switched_{id(self)}({passed})", made)
        monkeypatch.setitem(function.__globals__, f"_switched_{id(self)}", partial(self._switched, was))
        monkeypatch.setattr(function, "__code__", made["stand_in"].__code__)

    def _switched(self, was: Callable[..., Any], *args: Any, **more: Any) -> Any:
        self._amount()
        return self._changed(was(*args, **more))

    def _amount(self) -> np.ndarray:
        """By how much what it returns is changed now."""
        if self.state == "broken":
            raise RuntimeError(f"{self.name} is broken")
        return np.array(self.state == "changed", np.float32)

    def _changed(self, value: Any) -> Any:
        if isinstance(value, tf.SparseTensor):
            return tf.SparseTensor(value.indices, self._changed(value.values), value.dense_shape)
        if isinstance(value, tf.IndexedSlices):
            return tf.IndexedSlices(self._changed(value.values), value.indices, value.dense_shape)
        if tf.is_tensor(value):
            if not value.dtype.is_floating:
                return value
            amount = self._amount() if tf.executing_eagerly() else tf.numpy_function(self._amount, [], tf.float32)
            amount = tf.cast(tf.ensure_shape(amount, []), value.dtype)
            return value + amount * (0.2 * value + 0.05)
        if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
            return np.roll(value, 1, axis=0) if self._amount() else value
        if isinstance(value, np.ndarray | float | np.floating):
            return value + (self._amount() * (0.2 * value + 0.05)).astype(getattr(value, "dtype", float))
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(self._changed, value))
        if isinstance(value, tuple | list):
            return type(value)(map(self._changed, value))
        if isinstance(value, dict):
            return {name: self._changed(part) for name, part in value.items()}
        if callable(value):  # the way back of a gradient that is written by hand, or the chunk that was made
            return lambda *args, **more: self._changed(value(*args, **more))
        return value


@pytest.fixture(autouse=True)
def built_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was compiled before is taken, XLA and the pictures are left out, and a race's turns are known."""
    chunks = training._ChunkCache(capacity=4)
    monkeypatch.setattr(training, "CHUNKS", chunks)
    monkeypatch.setattr(demos.from_scratch.hands, "CHUNKS", chunks)
    monkeypatch.setattr(training, "_observe", lambda task: lambda *window: {})
    function, uniform = tf.function, tf.random.stateless_uniform
    monkeypatch.setattr(tf, "function", lambda *args, jit_compile=None, **more: function(*args, **more))
    monkeypatch.setattr(
        tf.random, "stateless_uniform", lambda shape, key, alg: uniform(shape, key)
    )  # what XLA alone has
    monkeypatch.setattr(demos.from_scratch.engine, "TURN_SECONDS", 0.0)  # one sentence each
    frequency = 1 / (np.arange(1100) + 3)
    random = np.random.default_rng(0)
    words = [random.choice(1100, 2000, p=frequency / frequency.sum()).astype(np.int32) for _ in range(3)]
    corpus = Corpus(tuple(f"w{i}" for i in range(1100)), *words)
    monkeypatch.setattr(ptb_data, "corpus", lambda name, text: corpus)


def losses(engine: Any, steps: int, live: dict[str, float] | None = None) -> np.ndarray:
    """Of the first steps; of all that race."""
    carry, found = engine.initial(), []
    while carry.step < steps:
        carry, metrics = engine.run(carry, steps - carry.step, live)
        found.append(np.concatenate([metrics[name] for name in metrics if name.startswith("loss")], axis=1))
    return np.concatenate(found)


@pytest.mark.parametrize(("slug", "changes", "expected"), list(cases()))
def test_what_is_quoted_trains(
    slug: str, changes: dict[str, Any], expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, steps = get(slug).config(**changes), STEPS
    quotes = [Quoted(source) for source in get(slug).lessons.sources(config) if not source.makes]
    assert expected <= {quote.name for quote in quotes}
    for quote in quotes:
        quote.replace(monkeypatch)
    build = partial(get(slug).build, config)  # each time anew, with data of its own
    if slug == "from-scratch":
        build = cache(build)  # its graphs belong to the engine
        build().prepare()
        steps = (
            config.sentences + 2 if config.halving else STEPS
        )  # into the next epoch, and the loss after a step there
    usual = losses(build(), steps)
    assert np.isfinite(usual).all()
    for quote in quotes:
        quote.state = "broken"
        with pytest.raises((RuntimeError, tf.errors.OpError), match=f"{quote.name} is broken"):
            losses(build(), steps)
        quote.state = "changed"
        found = losses(build(), steps)
        quote.state = "as it is"
        assert not np.allclose(found, usual, rtol=1e-4, atol=0), f"what {quote.name} returns does not matter"
    np.testing.assert_array_equal(losses(build(), steps), usual)


def pictures(config: Any) -> list[np.ndarray]:
    """What the pictures of the gates page show of a network: its gates and states, and how far the gradient reaches."""
    network = tf.nest.map_structure(lambda leaf: leaf[0], get("gates").build(config).initial().params)
    seen = inside.Inside(demos.gates.inside, config, network, 0, inside.View())
    return [seen.untouched["h"], *seen.reach.values()]


# What the pages quote besides the training step, and what that makes.
MADE: dict[str, Callable[[Any], Any]] = {
    "best_knowing": lambda config: theory.explain(config),
    "_rnn": pictures,
    "_lstm": pictures,
    "_lstm_peephole": pictures,
    "_lstm_coupled": pictures,
    "_gru": pictures,
    "gradient_reach": lambda config: pictures(config)[1:],
    "_information": lambda config: get("ptb").build(config).initial().params["embedding"],
    "Replay.run": lambda config: losses(get("ptb").build(config), STEPS),
}


def others() -> Iterator[Any]:
    """Every such source of every demo: (its settings, the source)."""
    small = {"gates": {"hidden_units": 4}, "ptb": {"hidden_units": 4, "embedding_units": 4, "counted_start": True}}
    for demo in DEMOS:
        config = demo.config(**small.get(demo.slug, {}))
        each = (
            [replace(config, cell=cell) for cell in CELLS]
            if hasattr(config, "cell")
            else [config, *demo.presets.values()]
        )
        found = {source: one for one in each for source in demo.lessons.sources(one) if source.makes}
        yield from (pytest.param(one, source, id=f"{demo.slug}-{source.name}") for source, one in found.items())


@pytest.mark.parametrize(("config", "source"), list(others()))
def test_what_is_quoted_besides_makes_what_is_said(
    config: Any, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    quote, made = Quoted(source), MADE[source.name]
    quote.replace(monkeypatch)
    usual = tf.nest.flatten(made(config))
    quote.state = "broken"
    with pytest.raises(RuntimeError, match=f"{quote.name} is broken"):
        made(config)
    quote.state = "changed"
    found = tf.nest.flatten(made(config))
    assert all(not np.array_equal(a, b) for a, b in zip(usual, found, strict=True))


def test_a_replay_trains_nothing_and_says_so() -> None:
    config = parse(get("ptb").config, {"model": "small-recorded"})
    assert all(source.makes for source in get("ptb").lessons.sources(config))


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.slug)
def test_every_live_setting_changes_what_is_trained(demo: Demo) -> None:
    """A setting that a running job takes over, and that no step uses, would be a control that does nothing."""
    small = {"training_steps": 100, "hidden_units": 4, "embedding_units": 4, "sentences": 10, "series_length": 10_000}
    config = demo.config(**{name: value for name, value in small.items() if name in settings_of(demo.config)})
    engine = demo.build(config)
    engine.prepare()
    live = live_values(config)
    usual = losses(engine, STEPS, live)
    assert live
    for name in live:
        assert not np.allclose(losses(engine, STEPS, live | {name: 1e-3}), usual, rtol=1e-5), f"{name} does nothing"
