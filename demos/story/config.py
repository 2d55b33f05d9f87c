"""The settings of the story generator. The tutorial's are those of Atienza's "LSTM by example" (rnn_words, 2017)."""

from typing import Any, Self

from pydantic import model_validator

from demos.story import data
from lib import common_settings
from lib.settings import Config, SettingError, parse, setting
from lib.values import Value

MODELS = {
    "better": "Better: our own",
    "tutorial-1": "Tutorial, one layer",
    "tutorial-2": "Tutorial, two layers",
}
INPUTS = {"index": "The word's number, as in the tutorial", "embedding": "A vector for each word (embedding)"}

_TUTORIAL: dict[str, Any] = {
    "n_input": 3,
    "hidden_units": 512,
    "word_input": "index",
    "numbering": "occurrence",
    "batch_size": 1,
    "iterations": 50_000,
    "optimizer": "rmsprop_tf1",
    "learning_rate": 0.001,
    "clip_norm": 0.0,
}
SETS: dict[str, dict[str, Any]] = {
    "better": {
        "n_input": 3,
        "layers": 1,
        "hidden_units": 64,
        "word_input": "embedding",
        "numbering": "occurrence",
        "embedding_units": 32,
        "batch_size": 32,
        "iterations": 2_000,
        "optimizer": "adam",
        "learning_rate": 0.005,
        "clip_norm": 1.0,
    },
    "tutorial-1": _TUTORIAL | {"layers": 1},
    "tutorial-2": _TUTORIAL | {"layers": 2},
}
_DEFAULTS = SETS["better"]


class StoryConfig(Config):
    """A short text, and a network that learns to say which word follows a few others."""

    fed = ("learning_rate",)  # where no gradient is cut, other code is compiled, without clipping

    model: str = setting(
        "better",
        group="Model",
        label="Model",
        help="Sets what is below, but for the story: as in the tutorial, or as one would do it now.",
        options=MODELS,
        sets=SETS,
    )
    story: str = setting(
        data.DEFAULT,
        group="Story",
        label="Story",
        help="The text that the network learns by heart.",
        options=data.STORIES,
    )
    text: str = setting(
        "",
        group="Story",
        label="Text",
        help="A story of your own, pasted or from a file.",
        text=True,
        only=("story", ("own",)),
    )
    n_input: int = setting(
        _DEFAULTS["n_input"],
        group="Story",
        label="Context length",
        help="How many words the network reads before it says the next one; those before them it does not see.",
        unit="words",
        minimum=1,
        maximum=8,
    )
    layers: int = common_settings.layers(_DEFAULTS["layers"], maximum=3)
    hidden_units: int = common_settings.units(_DEFAULTS["hidden_units"], minimum=4, maximum=512)
    word_input: str = setting(
        _DEFAULTS["word_input"],
        group="Network",
        label="How a word is read",
        help="As its number in the vocabulary, a single number that has nothing to do with what the word means; or as numbers of "
        "its own that are learned.",
        options=INPUTS,
    )
    numbering: str = setting(
        _DEFAULTS["numbering"],
        group="Network",
        label="Numbering of equally frequent words",
        help="Which of the words that occur equally often has the lower number: in the tutorial, the one that occurs first.",
        options=data.NUMBERINGS,
        absent="alphabetical",
        only=("word_input", ("index",)),
    )
    embedding_units: int = common_settings.embedding_units(
        _DEFAULTS["embedding_units"], minimum=2, maximum=256, only=("word_input", ("embedding",))
    )
    batch_size: int = setting(
        _DEFAULTS["batch_size"],
        group="Training",
        label="Batch size",
        help="How many places of the story one iteration learns from.",
        unit="places",
        minimum=1,
        maximum=64,
    )
    iterations: int = setting(
        _DEFAULTS["iterations"],
        group="Training",
        label="Iterations",
        help="How many times the weights are changed.",
        unit="iterations",
        minimum=100,
        maximum=100_000,
        step=100,
    )
    optimizer: str = common_settings.optimizer(_DEFAULTS["optimizer"])
    learning_rate: float = common_settings.learning_rate(_DEFAULTS["learning_rate"])
    clip_norm: float = common_settings.clip_norm(_DEFAULTS["clip_norm"], live=False)
    seed: int = common_settings.seed()

    @model_validator(mode="after")
    def _story_is_here(self) -> Self:
        if fault := data.missing(self.story, self.text):
            raise SettingError("story", self.story, *fault)
        return self

    @classmethod
    def repair(cls, values: dict[str, Value]) -> tuple[dict[str, Value], list[str]]:
        """A story that is not here is replaced by our default."""
        known = {"story": data.DEFAULT, "text": ""}
        return values | known, ["story = own has no text on this server, so our fable is used."]

    @property
    def learns_from(self) -> str:
        story = self.numbered
        return f"{data.STORIES[self.story]}, {len(story.numbers):,} words, vocabulary {len(story.words):,}"

    @property
    def reads(self) -> tuple[str, str, str, int]:
        """The story, its numbering and how many words are read at a time, as demos.story.words takes them."""
        return self.story, self.text, self.numbering, self.n_input

    @property
    def numbered(self) -> data.Story:
        """The story as numbers."""
        return data.story(self.story, self.text, self.numbering)

    @property
    def steps(self) -> int:
        """Training steps of the whole run."""
        return self.iterations

    @property
    def windows_per_epoch(self) -> int:
        """All of them: nothing begins anew within a run."""
        return self.iterations

    @property
    def input_units(self) -> int:
        """How many numbers stand for a word that is read."""
        return self.embedding_units if self.word_input == "embedding" else 1

    @property
    def shape(self) -> tuple[str | int, ...]:
        """What the compiled code depends on, besides the optimizer and the windows of a block."""
        return (
            self.story, self.text, self.numbering, self.n_input, self.layers, self.hidden_units, self.word_input,
            self.embedding_units, self.batch_size,
        )  # fmt: skip

    @property
    def products(self) -> int:
        """How many pairs of numbers one step multiplies, forwards, roughly."""
        h = self.hidden_units
        layers = 4 * h * (self.input_units + h) + (self.layers - 1) * 8 * h * h
        return self.batch_size * (self.n_input * layers + h * len(self.numbered.words))


CONFIG = StoryConfig

# What the page offers to sweep over, and what its sweeps start from.
SWEEP_BASE = StoryConfig(iterations=1_000)
SWEEPS: dict[str, tuple[tuple[str, str], ...]] = {
    "Context × units": (("n_input", "1:6"), ("hidden_units", "4, 8, 16, 32, 64")),
    "Input × units": (("word_input", "index, embedding"), ("hidden_units", "16, 32, 64, 128")),
    "Learning rate × optimizer": (
        ("learning_rate", "0.0001:1"),
        ("optimizer", "sgd, adagrad, momentum, rmsprop, rmsprop_tf1, adam"),
    ),
}

PRESETS: dict[str, StoryConfig] = {
    "Better": StoryConfig(),
    "Tutorial, one layer": parse(StoryConfig, {"model": "tutorial-1"}),
    "Tutorial, two layers": parse(StoryConfig, {"model": "tutorial-2"}),
}
