"""Settings that demos have in common, each declared once: a demo chooses its default and, where it differs, its bounds."""

from typing import Any

from lib.settings import setting

CELLS = {
    "rnn": "tanh RNN",
    "lstm": "LSTM",
    "lstm_peephole": "LSTM with peepholes",
    "lstm_coupled": "LSTM with coupled gates",
    "gru": "GRU",
}
OPTIMIZERS = {
    "sgd": "SGD",
    "adagrad": "Adagrad",
    "momentum": "SGD with momentum",
    "rmsprop": "RMSProp",
    "rmsprop_tf1": "RMSProp (TensorFlow 1)",
    "adam": "Adam",
}

TRAINED = {"everything": "Everything", "readout": "The readout only (a reservoir)"}


def cell(default: str) -> Any:
    """The kind of recurrent cell (lib.cells.CELLS)."""
    return setting(
        default,
        group="Network",
        label="Cell",
        help="How the memory changes at each step: LSTMs and the GRU add gates, which set how much of it is kept.",
        options=CELLS,
    )


def units(default: int, label: str = "Hidden units", *, minimum: int = 1, maximum: int = 64) -> Any:
    """The width of the cell."""
    return setting(
        default,
        group="Network",
        label=label,
        help="How many units the network has to remember with.",
        unit="units",
        minimum=minimum,
        maximum=maximum,
    )


def layers(default: int, *, maximum: int) -> Any:
    """How many LSTMs stand one above the other."""
    return setting(
        default,
        group="Network",
        label="LSTM layers",
        help="How many LSTMs stand one above the other, each reading what the one below says.",
        unit="layers",
        minimum=1,
        maximum=maximum,
    )


def embedding_units(
    default: int, *, minimum: int, maximum: int, only: tuple[str, tuple[str, ...]] | None = None
) -> Any:
    """How many numbers stand for a word."""
    return setting(
        default,
        group="Network",
        label="Embedding",
        help="How many numbers stand for a word.",
        unit="numbers",
        minimum=minimum,
        maximum=maximum,
        only=only,
    )


def lag(default: int, which: str, only: tuple[str, tuple[str, ...]] | None = None) -> Any:
    """One of the two lags of the binary rule."""
    return setting(
        default,
        group="Task",
        label=f"{which.capitalize()} lag",
        help=f"How many steps before the target the {which} of the rule's two bits stands.",
        unit="steps back",
        minimum=1,
        maximum=20,
        only=only,
    )


def optimizer(default: str) -> Any:
    """The update rule (lib.optimizers)."""
    return setting(
        default,
        group="Training",
        label="Optimizer",
        help="The rule by which the gradient, the direction in which the loss grows, changes the weights; TensorFlow 1's RMSProp "
        "starts its mean square at 1.",
        options=OPTIMIZERS,
    )


def learning_rate(default: float) -> Any:
    """The step size, live."""
    return setting(
        default,
        group="Training",
        label="Learning rate",
        help="How far a training step moves the weights: too small is slow, and with too large a step the loss may grow.",
        minimum=1e-5,
        maximum=10,
        scale="log",
        live=True,
    )


def clip_norm(default: float, *, live: bool = True) -> Any:
    """The greatest norm of a gradient; 0 is off."""
    return setting(
        default,
        group="Training",
        label="Gradient clip norm",
        help="A gradient longer than this is rescaled to this length (Pascanu and others 2013); 0 is off.",
        minimum=0,
        maximum=10,
        step=0.1,
        live=live,
    )


def trained() -> Any:
    """Which weights are trained (see lib.networks.logits_of)."""
    return setting(
        "everything",
        group="Training",
        label="What is trained",
        help="Everything, or only the output layer, which reads a state that random weights make: a reservoir (an echo-state "
        "network, Jaeger 2001).",
        options=TRAINED,
        absent="everything",
    )


def seeds(maximum: int) -> Any:
    """The networks that train side by side (the seed axis)."""
    return setting(
        1,
        group="Training",
        label="Seeds at once",
        help="How many networks train at once, each from its own random start, to see how much depends on it.",
        unit="networks",
        minimum=1,
        maximum=maximum,
    )


def seed() -> Any:
    """The number that all randomness is drawn from."""
    return setting(
        0,
        group="Training",
        label="Seed",
        help="The number that all randomness is drawn from: the same seed gives the same run.",
        minimum=0,
        maximum=999_999,
    )
