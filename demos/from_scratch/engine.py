"""The training of the model in the background: one sentence at a time, with the halving rule, and the race.

No TensorFlow here: whoever computes (see demos.from_scratch.hands) is handed in.
"""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from demos.from_scratch import model
from demos.from_scratch.config import FromScratchConfig
from demos.from_scratch.model import Parameters
from lib.blas import one_thread

Arrays = dict[str, np.ndarray]
Pairs = list[tuple[np.ndarray, np.ndarray]]
TURN_SECONDS = 0.08  # of each hand in a round of the race


class Hand(Protocol):
    """Somebody who computes. `device` is the name of what it computes on."""

    device: str

    def prepare(self) -> None:
        """Compile, where there is something to compile."""

    def learn(self, p: Parameters, first: int, count: int, rate: float) -> tuple[Parameters, np.ndarray]:
        """Learn `count` sentences from number `first` on: new parameters, and each sentence's loss before it, in nats [count]."""


class NumPyHand:
    """The functions of demos.from_scratch.model, as they are shown."""

    device = "CPU, NumPy"

    def __init__(self, pairs: Pairs, truncate: int) -> None:
        self._pairs, self._truncate = pairs, truncate

    def prepare(self) -> None:
        """Nothing to compile."""

    def learn(self, p: Parameters, first: int, count: int, rate: float) -> tuple[Parameters, np.ndarray]:
        """See `Hand`. `p` stays as it was."""
        p = Parameters(*(weights.copy() for weights in p))
        losses = []
        with one_thread():
            for x, y in self._pairs[first : first + count]:
                losses.append(model.learn(p, x, y, self._truncate, rate))
                time.sleep(0)  # another thread that waits for the interpreter, such as a visitor's page, gets it now
        return p, np.array(losses)


class Carry(NamedTuple):
    """All that training goes on from (see lib.training.Carry).

    `share` is the learning rate after all halvings, as a share of the setting; `nats` and `words` are those of the epoch so
    far; `before` is the loss of the epoch before, `checked` of the last epoch that the halving rule looked at; None if none.
    """

    step: int
    parameters: Parameters
    share: float = 1.0
    nats: float = 0.0
    words: int = 0
    before: float | None = None
    checked: float | None = None

    def to_arrays(self) -> Arrays:
        """The same as arrays, for a checkpoint."""
        numbers = {"share": self.share, "nats": self.nats, "words": self.words}
        losses = {"before": self.before, "checked": self.checked}
        known = numbers | {name: np.nan if value is None else value for name, value in losses.items()}
        return self.weights() | {name: np.array(value) for name, value in known.items()}

    def weights(self) -> Arrays:
        """The step and the parameters alone."""
        return {"step": np.array(self.step), **self.parameters._asdict()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Carry":
        """What `to_arrays` wrote, also before the loss could be checked more seldom: then it was at every epoch."""
        before = float(arrays.get("before", np.nan))
        losses = [None if np.isnan(value) else value for value in (before, float(arrays.get("checked", before)))]
        counts = float(arrays["share"]), float(arrays["nats"]), int(arrays["words"])
        return cls(int(arrays["step"]), parameters_in(arrays), *counts, *losses)


def parameters_in(arrays: Mapping[str, np.ndarray]) -> Parameters:
    """The network in what `Carry.weights` or `Carry.to_arrays` wrote."""
    return Parameters(*(np.asarray(arrays[name]) for name in Parameters._fields))


def initial(config: FromScratchConfig) -> Parameters:
    """The network that a run begins with, float32."""
    random = np.random.default_rng(config.seed)
    drawn = model.initial_parameters(len(config.words.words), config.hidden_units, random)
    return Parameters(*(weights.astype(np.float32) for weights in drawn))


class ScratchEngine:
    """Trains one network sentence by sentence, as lib.jobs asks for it (see lib.training.Engine).

    The halving rule looks at the mean loss of the words of every `check_every`-th epoch, each sentence's before it was learned.
    (The tutorial measures all sentences anew for it, which takes a pass of its own.)
    """

    seeds = 1

    def __init__(self, config: FromScratchConfig, hand: Hand) -> None:
        self.config, self._hand, self.device = config, hand, hand.device
        self.steps, self.steps_per_epoch = config.steps, config.windows_per_epoch
        self._pairs = config.words.pairs
        self._lengths = np.array([len(x) for x, _ in self._pairs])

    @property
    def task(self) -> Any:
        """The step as TensorFlow takes it (see lib.training.Task), whoever computes here. Loads TensorFlow."""
        from demos.from_scratch.hands import ChunkTask

        return ChunkTask(self._pairs, self.config.truncate, initial(self.config))

    def prepare(self, *, keep: bool = False) -> None:
        """Compile what there is to compile."""
        self._hand.prepare()

    def initial(self, start: Any = None) -> Carry:
        """The start of a run. Raises ValueError for a fork, whose networks have another form."""
        if start is not None:
            raise ValueError("This demo's runs cannot be forked: start a new one.")
        return Carry(0, initial(self.config))

    def carry_from(self, arrays: Mapping[str, np.ndarray]) -> Carry:
        """The carry that `Carry.to_arrays` wrote. Raises ValueError when it belongs to another network."""
        carry, like = Carry.from_arrays(arrays), initial(self.config)
        found, made = ([weights.shape for weights in p] for p in (carry.parameters, like))
        if found != made:
            raise ValueError(f"The checkpoint is of another network: its shapes are {found}, this one's {made}.")
        return carry

    def evaluates(self, carry: Carry) -> bool:
        """Never: there is no held-out text."""
        return False

    def run(self, carry: Carry, steps: int, live: Mapping[str, float] | None = None) -> tuple[Carry, Arrays]:
        """Learn up to `steps` sentences, at most to the epoch's end: (new carry, each metric float32 [n, 1])."""
        first = carry.step % self.steps_per_epoch
        count = max(0, min(steps, self.steps_per_epoch - first, self.steps - carry.step))
        rate = {"learning_rate": self.config.learning_rate, **(live or {})}["learning_rate"] * carry.share
        parameters, nats = self._hand.learn(carry.parameters, first, count, rate)
        lengths = self._lengths[first : first + count]
        sums, words = carry.nats + np.cumsum(nats), carry.words + np.cumsum(lengths)
        metrics = {"loss": nats / lengths, "epoch_loss": sums / words, "learning_rate": np.full(count, rate)}
        carry = carry._replace(step=carry.step + count, parameters=parameters)
        if count:
            carry = carry._replace(nats=float(sums[-1]), words=int(words[-1]))
        if count and first + count == self.steps_per_epoch:
            carry = self._next_epoch(carry)
        return carry, {name: np.asarray(values, np.float32)[:, None] for name, values in metrics.items()}

    def _next_epoch(self, carry: Carry) -> Carry:
        now = carry.nats / carry.words
        carry = carry._replace(nats=0.0, words=0, before=now)
        epoch = carry.step // self.steps_per_epoch
        if not self.config.halving or epoch % self.config.check_every:
            return carry
        return carry._replace(share=model.halved(carry.share, now, carry.checked), checked=now)

    def observe(self, carry: Carry) -> Arrays:
        """The sentence that comes next, and how many nats each of its words costs: `x`, `y`, `nats` [T]; and the `step`."""
        x, y = self._pairs[carry.step % self.steps_per_epoch]
        _, log_probabilities = model.forward(carry.parameters, x)
        return {"step": np.array(carry.step), "x": x, "y": y, "nats": -log_probabilities[np.arange(len(y)), y]}


class RaceCarry(NamedTuple):
    """How far a race is: for each hand its carry, its seconds, and how many sentences it learns in a turn."""

    step: int
    carries: tuple[Carry, ...]
    seconds: tuple[float, ...]
    turns: tuple[int, ...]

    def to_arrays(self) -> Arrays:
        """The same as arrays."""
        found = {"step": np.array(self.step), "seconds": np.array(self.seconds), "turns": np.array(self.turns)}
        for i, carry in enumerate(self.carries):
            found |= {f"{i}_{name}": array for name, array in carry.to_arrays().items()}
        return found

    def weights(self) -> Arrays:
        """The first hand's network."""
        return self.carries[0].weights() | {"step": np.array(self.step)}


class RaceEngine:
    """Several hands train the same network from the same start, in turn, each for the same time: a step is a round of all."""

    seeds = 1

    def __init__(self, config: FromScratchConfig, hands: Mapping[str, Hand]) -> None:
        endless = config.model_copy(update={"hands": next(iter(hands)), "epochs": 10**9})
        self.config, self.names = config, tuple(hands)
        self._engines = [ScratchEngine(endless, hand) for hand in hands.values()]
        self.device = "CPU, NumPy and TensorFlow"
        self.steps = self.steps_per_epoch = config.steps

    @property
    def task(self) -> Any:
        """The step that all of them compute (see ScratchEngine.task)."""
        return self._engines[0].task

    def prepare(self, *, keep: bool = False) -> None:
        """Compile all, and train a sentence with each: the first is slower than all that follow."""
        for engine in self._engines:
            engine.prepare()
            engine.run(engine.initial(), 1)

    def initial(self, start: Any = None) -> RaceCarry:
        """The start: the same network for all."""
        carries = tuple(engine.initial(start) for engine in self._engines)
        return RaceCarry(0, carries, (0.0,) * len(carries), (1,) * len(carries))

    def carry_from(self, arrays: Mapping[str, np.ndarray]) -> RaceCarry:
        """The carry that `RaceCarry.to_arrays` wrote."""
        carries = []
        for i, engine in enumerate(self._engines):
            own = {name.removeprefix(f"{i}_"): array for name, array in arrays.items() if name.startswith(f"{i}_")}
            carries.append(engine.carry_from(own))
        return RaceCarry(
            int(arrays["step"]), tuple(carries), tuple(arrays["seconds"].tolist()), tuple(arrays["turns"].tolist())
        )

    def evaluates(self, carry: RaceCarry) -> bool:
        """Never."""
        return False

    def run(self, carry: RaceCarry, steps: int, live: Mapping[str, float] | None = None) -> tuple[RaceCarry, Arrays]:
        """One round. The metrics: `loss` and `learning_rate` of the first hand, `loss_NAME` and `speed_NAME` of each [1, 1]."""
        if steps < 1 or carry.step >= self.steps:
            return carry, {"loss": np.zeros((0, 1), np.float32)}
        each = zip(self._engines, carry.carries, carry.seconds, carry.turns, strict=True)
        found = [self._turn(*own, live) for own in each]
        carries, seconds, turns, losses = zip(*found, strict=True)
        after = RaceCarry(carry.step + 1, carries, seconds, turns)
        rate = (live or {}).get("learning_rate", self.config.learning_rate) * carries[0].share
        metrics = {"loss": losses[0], "learning_rate": rate}
        metrics |= {f"loss_{name}": loss for name, loss in zip(self.names, losses, strict=True)}
        metrics |= {f"speed_{name}": speed for name, speed in zip(self.names, speeds(after), strict=True)}
        return after, {name: np.full((1, 1), value, np.float32) for name, value in metrics.items()}

    @staticmethod
    def _turn(
        engine: ScratchEngine, carry: Carry, seconds: float, turn: int, live: Mapping[str, float] | None
    ) -> tuple[Carry, float, int, float]:
        """One hand's turn: its carry, all of its seconds, how many sentences it will learn next, its mean loss (nats a word)."""
        began = time.perf_counter()
        after, metrics = engine.run(carry, turn, live)
        spent = time.perf_counter() - began
        done = after.step - carry.step
        rate = (carry.step + done) / (seconds + spent)
        return after, seconds + spent, max(1, min(8 * turn, round(rate * TURN_SECONDS))), float(metrics["loss"].mean())

    def observe(self, carry: RaceCarry) -> Arrays:
        """Of each hand [4] its `speeds`, the `sentences` that it has learned, and the `losses` of its last whole epoch."""
        losses = [own.before if own.before is not None else np.nan for own in carry.carries]
        sentences = [own.step for own in carry.carries]
        return {
            "step": np.array(carry.step),
            "speeds": speeds(carry),
            "sentences": np.array(sentences),
            "losses": np.array(losses),
        }


def speeds(carry: RaceCarry) -> np.ndarray:
    """Each hand's sentences per second of its own time, since the start; 0 before."""
    return np.array(
        [own.step / seconds if seconds else 0.0 for own, seconds in zip(carry.carries, carry.seconds, strict=True)]
    )
