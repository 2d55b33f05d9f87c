"""The settings of the Penn Treebank demo: which corpus, which of the published models, and how it is trained."""

from typing import Self

from pydantic import model_validator

from demos.ptb import data
from demos.ptb.models import MODELS, REPLAYED, SETS
from lib import common_settings, corpora
from lib.settings import Config, SettingError, as_text, parse, setting, settings_of
from lib.values import Value, read_option, shown

CORPORA = {"grammar": "Our grammar", "ptb": "Penn Treebank", "text": "Your own text"}
SCHEDULES = {"steps": "Flat, then falling by epochs", "one_cycle": "Rising, then falling to nothing"}
_DEFAULTS = SETS["tiny"]
_STEPS = ("schedule", ("steps",))


class PTBConfig(Config):
    """A corpus of words, and a recurrent network that learns to say which comes next."""

    model: str = setting(
        "tiny",
        group="Model",
        label="Model",
        help="Sets everything below; small, medium and large are those of Zaremba, Sutskever and Vinyals (2014); gradients are "
        "clipped by a slightly different norm.",
        options=MODELS,
        sets=SETS,
    )
    corpus: str = setting(
        "grammar", group="Corpus", label="Corpus", help="The text that the network learns from.", options=CORPORA
    )
    text: str = setting(
        "",
        group="Corpus",
        label="Text",
        help="A text of your own, pasted or from a file.",
        text=True,
        only=("corpus", ("text",)),
    )
    layers: int = common_settings.layers(_DEFAULTS["layers"], maximum=4)
    hidden_units: int = common_settings.units(_DEFAULTS["hidden_units"], minimum=4, maximum=1500)
    embedding_units: int = common_settings.embedding_units(_DEFAULTS["embedding_units"], minimum=4, maximum=1500)
    tied: bool = setting(
        _DEFAULTS["tied"],
        group="Network",
        label="Tied embedding",
        help="The numbers that stand for a word that is read also stand for one that is guessed, so the last of several layers "
        "has as many units.",
    )
    counted_start: bool = setting(
        _DEFAULTS["counted_start"],
        group="Network",
        label="Begin from neighbours",
        help="Words that stand beside the same words in the text begin with similar numbers, instead of all at random.",
    )
    initial_scale: float = setting(
        _DEFAULTS["initial_scale"],
        group="Network",
        label="Initial weights",
        help="Weights start evenly between minus and plus this.",
        minimum=0.001,
        maximum=1.0,
        step=0.001,
    )
    keep_bias: float = setting(
        _DEFAULTS["keep_bias"],
        group="Network",
        label="Forget-gate bias",
        help="The bias that the forget gates start with: 0 is half open; 1 is a usual choice (Jozefowicz and others 2015).",
        minimum=-2,
        maximum=8,
        step=0.5,
    )
    truncated_backprop_length: int = setting(
        _DEFAULTS["truncated_backprop_length"],
        group="Training",
        label="Window",
        help="How many words the gradient goes back through (truncated backpropagation).",
        unit="words",
        minimum=2,
        maximum=100,
    )
    batch_size: int = setting(
        _DEFAULTS["batch_size"],
        group="Training",
        label="Batch size",
        help="How many places of the text are read side by side.",
        unit="rows",
        minimum=1,
        maximum=128,
    )
    epochs: int = setting(
        _DEFAULTS["epochs"],
        group="Training",
        label="Epochs",
        help="How many times the whole text is read.",
        unit="epochs",
        minimum=1,
        maximum=100,
    )
    dropout: float = setting(
        _DEFAULTS["dropout"],
        group="Training",
        label="Dropout",
        help="The share of the numbers between layers that is left out at random, against learning the text by heart.",
        minimum=0,
        maximum=0.9,
        step=0.05,
    )
    locked_dropout: bool = setting(
        _DEFAULTS["locked_dropout"],
        group="Training",
        label="Locked dropout",
        help="The same numbers are left out at every word of a window.",
    )
    recurrent_dropout: float = setting(
        _DEFAULTS["recurrent_dropout"],
        group="Training",
        label="Recurrent dropout",
        help="The share of the recurrent weights that is left out at random for a window.",
        minimum=0,
        maximum=0.9,
        step=0.05,
    )
    dropout_growth: float = setting(
        _DEFAULTS["dropout_growth"],
        group="Training",
        label="Dropout grows",
        help="In which share of the run dropout grows from nothing to its full strength, because early there is little to learn "
        "by heart.",
        minimum=0,
        maximum=1,
        step=0.05,
    )
    rare_words: int = setting(
        _DEFAULTS["rare_words"],
        group="Training",
        label="Rare words in turn",
        help="Of the words beyond the 1,000 most frequent, a step compares with one in this many, which is faster: their sum "
        "is estimated.",
        unit="words",
        minimum=1,
        maximum=50,
    )
    weight_decay: int = setting(
        _DEFAULTS["weight_decay"],
        group="Training",
        label="Weight decay",
        help="By how much of itself each step shrinks every weight, times the learning rate: what is not learned again fades.",
        unit="millionths",
        minimum=0,
        maximum=200,
        step=5,
    )
    shifted: bool = setting(
        _DEFAULTS["shifted"],
        group="Training",
        label="Shifted epochs",
        help="Each later epoch begins at another place of the text, so that its windows are cut elsewhere.",
    )
    optimizer: str = common_settings.optimizer(_DEFAULTS["optimizer"])
    learning_rate: float = common_settings.learning_rate(_DEFAULTS["learning_rate"])
    schedule: str = setting(
        _DEFAULTS["schedule"],
        group="Training",
        label="Schedule",
        help="How the learning rate changes over the run.",
        options=SCHEDULES,
    )
    rising: float = setting(
        _DEFAULTS["rising"],
        group="Training",
        label="Rising part",
        help="In which share of the run the learning rate rises, so that the first steps are short.",
        minimum=0,
        maximum=0.5,
        step=0.002,
        only=("schedule", ("one_cycle",)),
    )
    flat_epochs: int = setting(
        _DEFAULTS["flat_epochs"],
        group="Training",
        label="Flat epochs",
        help="For how many epochs the learning rate stays as it is.",
        unit="epochs",
        minimum=0,
        maximum=100,
        only=_STEPS,
    )
    decay: float = setting(
        _DEFAULTS["decay"],
        group="Training",
        label="Decay",
        help="What the learning rate is multiplied by for every later epoch.",
        minimum=0.1,
        maximum=1.0,
        step=0.01,
        only=_STEPS,
    )
    clip_norm: float = common_settings.clip_norm(_DEFAULTS["clip_norm"])
    seed: int = common_settings.seed()

    @model_validator(mode="after")
    def _corpus_is_here(self) -> Self:
        if self.recorded:
            return self._as_recorded()
        if fault := data.missing(self.corpus, self.text):
            raise SettingError("corpus", self.corpus, *fault)
        return self

    def _as_recorded(self) -> Self:
        fields = settings_of(type(self))
        for name, recorded in _recorded(self.model).items():
            if getattr(self, name) != recorded:
                trained = MODELS[self.recorded].partition(":")[0]
                problem = f"is a replay, whose {fields[name].label.lower()} is {as_text(recorded)}"
                raise SettingError(
                    "model", self.model, problem, f"choose the model “{trained}” to train with other settings"
                )
        return self

    @classmethod
    def repair(cls, values: dict[str, Value]) -> tuple[dict[str, Value], list[str]]:
        """A replay gets the settings that it was recorded with; a corpus that is not here is replaced by our grammar's."""
        if values["model"] in REPLAYED:
            return values | _recorded(str(values["model"])), ["A replay has the settings that it was recorded with."]
        name = CORPORA[str(values["corpus"])]
        return values | {"corpus": "grammar", "text": ""}, [f"{name} is not on this server, so our grammar is used."]

    @property
    def learns_from(self) -> str:
        words, size = (of(self.corpus, self.text) for of in (data.words_of_training, data.vocabulary_size))
        return f"{CORPORA[self.corpus]}, {words:,} words to learn from, vocabulary {size:,}"

    @property
    def reads(self) -> tuple[str, str]:
        """The corpus, as demos.ptb.words takes it."""
        return self.corpus, self.text

    @property
    def recorded(self) -> str:
        """The name of the recorded run that is replayed; "" where a network is trained."""
        return REPLAYED.get(self.model, "")

    @property
    def units(self) -> tuple[int, ...]:
        """The units of each layer. Of several, the last has as many as a tied embedding (Merity, Keskar & Socher 2017); where
        there is only one layer, it keeps its units, and a projection follows.
        """
        last = self.embedding_units if self.tied and self.layers > 1 else self.hidden_units
        return (self.hidden_units,) * (self.layers - 1) + (last,)

    @property
    def output_units(self) -> int:
        """How many numbers each word's probability is made of."""
        return self.embedding_units if self.tied else self.hidden_units

    @property
    def windows_per_epoch(self) -> int:
        """The windows of one reading of the text."""
        words = data.words_of_training(self.corpus, self.text)
        return max(1, (words // self.batch_size - 1) // self.truncated_backprop_length)

    @property
    def steps(self) -> int:
        """Training steps of the whole run."""
        return self.epochs * self.windows_per_epoch

    @property
    def words_per_step(self) -> int:
        """How many words one step learns from."""
        return self.batch_size * self.truncated_backprop_length

    @property
    def wants_gpu(self) -> bool:
        """Whether a cluster should train it on a GPU where it has one: a narrower network keeps none busy."""
        return self.hidden_units >= 200

    @property
    def shape(self) -> tuple[str | int | float | bool, ...]:
        """What the compiled code depends on, besides the optimizer and the windows of a block."""
        return (
            self.corpus,
            self.text,
            self.layers,
            self.hidden_units,
            self.embedding_units,
            self.tied,
            self.truncated_backprop_length,
            self.batch_size,
            self.dropout,
            self.locked_dropout,
            self.recurrent_dropout,
            self.rare_words,
            self.weight_decay,
        )

    @property
    def products(self) -> int:
        """How many pairs of numbers one step multiplies, forwards, roughly."""
        inputs = (self.embedding_units, *self.units)
        of_layers = sum(4 * (i + h) * h for i, h in zip(inputs, self.units, strict=False))
        projection = self.units[-1] * self.output_units * (self.units[-1] != self.output_units)
        output = projection + self.output_units * data.vocabulary_size(self.corpus, self.text)
        return self.words_per_step * (of_layers + output)


CONFIG = PTBConfig


def _recorded(model: str) -> dict[str, Value]:
    """All settings of a recorded run."""
    defaults = {name: field.default for name, field in settings_of(PTBConfig).items() if name != "model"}
    return defaults | SETS[model]


def bring(settings: dict[str, str]) -> dict[str, str]:
    """The settings without `data_dir`, a folder with the Penn Treebank's files, which are taken to this machine's data folder.

    Whoever names it means corpus=ptb. Only a command line has it: a server does not read the folders that a visitor names.
    Raises SettingError.
    """
    folder = settings.get("data_dir")
    if folder is None:
        return settings
    known = {name: value for name, value in settings.items() if name != "data_dir"}
    if read_option(known.setdefault("corpus", "ptb"), CORPORA) != "ptb":
        problem = f"is for corpus = ptb, and corpus is {shown(known['corpus'])}"
        raise SettingError("data_dir", folder, problem, "leave it out, or choose corpus=ptb")
    try:
        corpora.take_folder(folder)
    except corpora.CorpusError as error:
        raise SettingError("data_dir", folder, "has no Penn Treebank that can be used", str(error)) from None
    return known


# What the page offers to sweep over, and what its sweeps start from.
SWEEP_BASE = PTBConfig(epochs=1, hidden_units=32, embedding_units=32, batch_size=40)
SWEEPS: dict[str, tuple[tuple[str, str], ...]] = {
    "Units × embedding": (("hidden_units", "8,16,32"), ("embedding_units", "8,16,32")),
    "Learning rate × optimizer": (
        ("learning_rate", "0.0001:1"),
        ("optimizer", "sgd, adagrad, momentum, rmsprop, adam"),
    ),
    "Dropout × units": (("dropout", "0, 0.2, 0.4"), ("hidden_units", "16,32,64")),
}

PRESETS: dict[str, PTBConfig] = {
    "Tiny on our grammar": PTBConfig(),
    "Modern on our grammar": parse(PTBConfig, {"model": "modern", "epochs": "3"}),
    "Small on the Penn Treebank, replayed": parse(PTBConfig, {"model": "small-recorded"}),
    "Modern on the Penn Treebank, replayed": parse(PTBConfig, {"model": "modern-recorded"}),
}
