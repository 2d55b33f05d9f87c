"""The settings of the language model from scratch. The defaults are those of WildML's tutorial, on a smaller text."""

from typing import Self

from pydantic import model_validator

from demos.from_scratch import data
from lib import common_settings
from lib.settings import Config, SettingError, setting
from lib.values import Value

CORPORA = {"fables": "Our fables", "grammar": "Our grammar", "text": "Your own text", "csv": "A CSV of comments"}
HANDS = {
    "numpy": "NumPy",
    "eager": "TensorFlow, eager",
    "graph": "TensorFlow, tf.function",
    "xla": "TensorFlow, XLA chunk",
    "race": "All four: a race",
}
RUNNERS = tuple(name for name in HANDS if name != "race")
RACE_ROUNDS = 60


class FromScratchConfig(Config):
    """A text, the network that learns it sentence by sentence, and what computes it."""

    fed = ("learning_rate",)  # what demos.from_scratch.engine takes anew at each chunk

    corpus: str = setting(
        "fables",
        group="Text",
        label="Corpus",
        help="The text that the network learns from.",
        options=CORPORA,
    )
    text: str = setting(
        "",
        group="Text",
        label="Text",
        help="A text of your own, or a CSV file with a comment in the first column of each line.",
        text=True,
        only=("corpus", ("text", "csv")),
    )
    vocabulary_size: int = setting(
        500,
        group="Text",
        label="Vocabulary size",
        help="How many words the network knows: the most frequent ones, and UNKNOWN_TOKEN for all others.",
        unit="words",
        minimum=10,
        maximum=8_000,
        step=10,
    )
    sentences: int = setting(
        400,
        group="Text",
        label="Sentences",
        help="How many sentences are learned, from the text's start.",
        unit="sentences",
        minimum=10,
        maximum=data.MOST_SENTENCES,
        step=10,
    )
    hidden_units: int = common_settings.units(100, minimum=2, maximum=256)
    truncate: int = setting(
        4,
        group="Training",
        label="Truncation",
        help="How many steps back the error of each guess goes (backpropagation through time).",
        unit="steps back",
        minimum=0,
        maximum=60,
    )
    learning_rate: float = common_settings.learning_rate(0.005)
    halving: bool = setting(
        True,
        group="Training",
        label="Halve the rate",
        help="The learning rate is halved where an epoch's loss is higher than that of the epoch checked before.",
    )
    check_every: int = setting(
        1,
        group="Training",
        label="Check the loss every",
        help="How often the loss is compared with that of the check before, to halve the rate; the tutorial checks every 5.",
        unit="epochs",
        minimum=1,
        maximum=10,
        absent=1,
        only=("halving", (True,)),
    )
    epochs: int = setting(
        20,
        group="Training",
        label="Epochs",
        help="How many times all sentences are learned, one after the other.",
        unit="epochs",
        minimum=1,
        maximum=100,
    )
    hands: str = setting(
        "numpy",
        group="Training",
        label="Computed by",
        help="The same model, written four times; in a race all four train in turn, each for the same time.",
        options=HANDS,
    )
    seed: int = common_settings.seed()

    @model_validator(mode="after")
    def _text_is_here(self) -> Self:
        if fault := data.missing(self.corpus, self.text):
            raise SettingError("corpus", self.corpus, *fault)
        return self

    @classmethod
    def repair(cls, values: dict[str, Value]) -> tuple[dict[str, Value], list[str]]:
        """A text that is not here is replaced by our fables."""
        name = CORPORA[str(values["corpus"])]
        return values | {"corpus": "fables", "text": ""}, [f"{name} is not on this server, so our fables are used."]

    @property
    def learns_from(self) -> str:
        words = self.words
        return f"{CORPORA[self.corpus]}, {len(words.sentences):,} sentences, vocabulary {len(words.words):,}"

    @property
    def words(self) -> data.Corpus:
        """The corpus, in the words that the network knows."""
        return data.corpus(self.corpus, self.text, self.sentences, self.vocabulary_size)

    @property
    def windows_per_epoch(self) -> int:
        """The training steps of an epoch: its sentences. A race has rounds instead."""
        return RACE_ROUNDS if self.hands == "race" else len(self.words.pairs)

    @property
    def steps(self) -> int:
        """Training steps of the whole run: sentences, or rounds of a race."""
        return RACE_ROUNDS if self.hands == "race" else self.epochs * self.windows_per_epoch

    @property
    def optimizer(self) -> str:
        """Plain stochastic gradient descent, whoever computes."""
        return "sgd"

    @property
    def shape(self) -> tuple[str | int, ...]:
        """What compiled code depends on, where there is any."""
        text = (self.corpus, self.text, self.vocabulary_size, self.sentences)
        return (self.hands, self.hidden_units, self.truncate, *text)

    @property
    def products(self) -> int:
        """How many pairs of numbers one step multiplies, forwards, roughly."""
        words = sum(len(x) for x, _ in self.words.pairs) // len(self.words.pairs)
        return words * self.hidden_units * (self.hidden_units + len(self.words.words))


CONFIG = FromScratchConfig

# What the page offers to sweep over, and what its sweeps start from.
SWEEP_BASE = FromScratchConfig(epochs=3, vocabulary_size=300)
SWEEPS: dict[str, tuple[tuple[str, str], ...]] = {
    "Learning rate × hidden units": (("learning_rate", "0.001:0.1"), ("hidden_units", "10, 30, 100")),
    "Truncation × hidden units": (("truncate", "0, 1, 2, 4, 8"), ("hidden_units", "10, 30, 100")),
    "Vocabulary × hidden units": (("vocabulary_size", "30, 100, 300, 1000"), ("hidden_units", "10, 30, 100")),
}

PRESETS: dict[str, FromScratchConfig] = {
    "Fables": FromScratchConfig(),
    "Grammar": FromScratchConfig(corpus="grammar", vocabulary_size=1_000, sentences=2_000, epochs=5),
    "The race": FromScratchConfig(hands="race"),
    "The race, with a thousand words": FromScratchConfig(
        hands="race", corpus="grammar", vocabulary_size=8_000, sentences=2_000
    ),
    "Far too fast": FromScratchConfig(learning_rate=0.1),
}
