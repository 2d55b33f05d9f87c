"""The echo page's guided experiments. Each claim is checked on the run's own losses, or on its networks by linear probes."""

from typing import Any

import numpy as np

from demos.echo.config import EchoConfig
from lib.lessons import Choice, Claim, Experiment, Finding, Measure, Results
from lib.linear_probe import recalled, saturation
from lib.loss_claims import above, below, median_between

LOSSES = (
    Choice("below 0.05: it learns the echo", 0.0, 0.05),
    Choice("between 0.05 and 0.65: it learns a part", 0.05, 0.65),
    Choice("about 0.69: it learns nothing", 0.65, 0.75),
    Choice("above 0.75: worse than guessing", 0.75, float("inf")),
)
_LEARNS, _PARTLY, _CHANCE, _WORSE = range(4)
TOLD, GONE = (
    0.95,
    0.6,
)  # of answers right: from here on a probe tells a bit, and up to there it does no better than guessing
FURTHEST = 8  # steps back that probes look
LEARNED = 0.05  # nats: below it, a network has learned the echo


def _recalled_by_best(results: Results, back: int = FURTHEST) -> list[float]:
    """How well a probe tells the bits of 0 to `back` steps ago, in the network that ended with the least loss."""
    return recalled(results.config.cell, results.networks[int(np.argmin(results.finals))], back)


def _due_by_network(results: Results) -> list[float]:
    """How well a probe tells the bit that is due, in each network."""
    due = results.config.echo_step
    return [recalled(results.config.cell, network, due)[due] for network in results.networks]


def _told(results: Results) -> float:
    return sum(share >= TOLD for share in _recalled_by_best(results))


def _learners(results: Results) -> float:
    return float((results.finals < LEARNED).sum())


def _percent(shares: list[float]) -> str:
    return ", ".join(f"{share:.0%}" for share in shares)


def _keeps_what_is_due(results: Results) -> Finding:
    shares = _recalled_by_best(results)[: results.config.echo_step + 1]
    return Finding(f"Right in {_percent(shares)} (read now, 1, 2 … steps ago).", min(shares) >= TOLD)


def _forgets_the_rest(results: Results) -> Finding:
    shares = _recalled_by_best(results)[results.config.echo_step + 1 :]
    return Finding(f"Right in {_percent(shares)}; guessing has 50 %.", max(shares) <= GONE)


def _keeps_a_part(results: Results) -> Finding:
    due = _recalled_by_best(results)[results.config.echo_step]
    return Finding(f"Right in {due:.0%}.", GONE < due < TOLD)


def _probe_tells_due(results: Results) -> Finding:
    shares = _due_by_network(results)
    return Finding(f"Right in {min(shares):.1%} in the worst of {len(shares)} networks.", min(shares) >= 0.99)


def _probe_has_lost_due(results: Results) -> Finding:
    median = float(np.median(_due_by_network(results)))
    return Finding(f"Right in {median:.0%} (median of the networks).", median <= 0.8)


def _saturated(text: str, low: float, high: float) -> Claim:
    """Between these shares of activations lie beyond ±0.9, in the median network."""

    def check(results: Results) -> Finding:
        median = float(np.median([saturation(results.config.cell, network) for network in results.networks]))
        return Finding(f"{median:.0%} of activations lie beyond ±0.9 (median network).", low <= median <= high)

    return Claim(text, check)


def _still_falling(results: Results) -> Finding:
    (steps, means), length = results.stream.curve("epoch_loss"), results.config.windows_per_epoch
    first, last = (float(means[steps.searchsorted(end) - 1]) for end in (length, results.config.steps))
    return Finding(f"{first:.4f} nats in the first epoch, {last:.4f} in the last.", last < first)


HOW_MANY = (
    Choice("none", 0, 0.5),
    Choice("some, but fewer than half", 0.5, 7.5),
    Choice("half of them or more", 7.5, float("inf")),
)
_OF_16 = Measure("The number of networks that learn it", "of 16", _learners)

_ONE_IN_FIVE: dict[str, Any] = {
    "echo_step": 4,
    "truncated_backprop_length": 5,
    "state_size": 5,
    "seeds": 16,
    "epochs": 1,
}
_PAST: dict[str, Any] = {"truncated_backprop_length": 3, "initial_weights": "glorot", "optimizer": "adam"}

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        "three-bits",
        "Can four units remember three steps?",
        "Four tanh units, an echo after 3 steps, 16 networks from different seeds. Where will the median loss end after 5 "
        "epochs?",
        EchoConfig(seeds=16, epochs=5),
        LOSSES,
        _LEARNS,
        (
            below("Most of the 16 networks learn it.", 0.05, 9),
            above("Some do not leave chance, so a single run may mislead you.", 0.6, 1),
        ),
        "The network is never told *how* to remember: it only gets the gradient of its loss, back through a window of 15 "
        "steps. Whether that finds a memory depends on the random weights that it starts from. That is the band in the chart.",
    ),
    Experiment(
        "what-it-keeps",
        "What is in its memory?",
        "The same four units, 8 networks. When they are trained, we take the best one and read its state with a linear probe "
        "(Alain & Bengio 2016): can a weighted sum of the four activations tell the bit of 0, 1, 2 … 8 steps ago? How "
        "many of these nine bits will it tell in at least 95 % of places?",
        EchoConfig(seeds=8, epochs=5),
        (
            Choice("one: the bit that is due", 0, 1.5),
            Choice("four: the bit that is due, and the three that are due next", 1.5, 4.5),
            Choice("five or more: older ones are still there", 4.5, float("inf")),
        ),
        1,
        (
            Claim("The last four bits are all there.", _keeps_what_is_due),
            Claim("Nothing older is: the probe guesses.", _forgets_the_rest),
        ),
        "The bit that was read now is due in three steps, so the state has to hold it until then, and the two between. Of older "
        "bits nothing is needed any more, and training left no trace of them that a linear probe finds.",
        Measure("The number of bits that a probe tells", "of 9", _told),
    ),
    Experiment(
        "five-bits",
        "And five steps?",
        "The same four units, but an echo after 5 steps: six bits are due now or later. Where will the median loss end after 10 "
        "epochs?",
        EchoConfig(echo_step=5, seeds=16, epochs=10),
        LOSSES,
        _PARTLY,
        (
            median_between("It ends about half way between chance and zero.", 0.25, 0.5),
            above("No network learns all of it.", 0.05, 16),
            below("At least half of them learn a part.", 0.65, 8),
            Claim("In the best network's state a probe tells the bit that is due, but not always.", _keeps_a_part),
        ),
        "Six bits are to be kept in four numbers. A number could hold more than a bit, but with what this training finds they "
        "are kept in part: the bit that is due can be told more often than by guessing, and not always.",
    ),
    Experiment(
        "more-units",
        "Then give it ten units",
        "An echo after 5 steps again, now with ten units: more than enough for six bits. The weights start out between 0 "
        "and 1, as in the tutorial. Where will the median loss end?",
        EchoConfig(echo_step=5, state_size=10, seeds=16, epochs=5),
        LOSSES,
        _CHANCE,
        (
            above("More units made it worse: hardly any network leaves chance.", 0.6, 15),
            _saturated("Their units are saturated.", 0.9, 1.0),
        ),
        "With ten positive weights each, the sums are large, and tanh is flat there: little gradient comes through (Glorot & "
        "Bengio 2010). Room to remember does not help where learning does not start.",
    ),
    Experiment(
        "better-start",
        "The same ten units, a better start",
        "Only the initial weights change: around zero instead of between 0 and 1. Where will the median loss end after 3 epochs?",
        EchoConfig(echo_step=5, state_size=10, initial_weights="glorot", seeds=16, epochs=3),
        LOSSES,
        _LEARNS,
        (
            below("Now most networks learn it.", 0.05, 12),
            _saturated("Fewer activations are at their ends.", 0.0, 0.6),
        ),
        "Weights on both sides of zero keep the sums small, where tanh is steep and the gradient gets through.",
    ),
    Experiment(
        "window-too-short",
        "A window of three steps",
        "Four units, an echo after 3 steps, but the gradient is cut after a window of 3 steps. The state itself is carried "
        "on from window to window. Where will the median loss end?",
        EchoConfig(truncated_backprop_length=3, seeds=16, epochs=5),
        LOSSES,
        _CHANCE,
        (above("Nearly all networks stay near chance.", 0.6, 15),),
        "A bit and its echo never lie in the same window of three, so no gradient joins them: nothing teaches these four "
        "units directly to keep it. But is it *impossible* then? Go on with the next experiments.",
    ),
    Experiment(
        "window-long-enough",
        "One step more",
        "The same with a window of 4 steps: now one step in every window sees both a bit and its echo. Where will the "
        "median loss end?",
        EchoConfig(truncated_backprop_length=4, seeds=16, epochs=5),
        LOSSES,
        _LEARNS,
        (below("One joined pair in each window is enough for most networks.", 0.05, 10),),
        "The weights are the same at every step, so what is learned from the window's last step works at all of them, also "
        "where the bit was read in the window before: the state is carried.",
    ),
    Experiment(
        "one-place-in-five",
        "One place in five",
        "An echo after 4 steps, a window of 5, five units, and one series of bits. Again only the last step of a window sees a "
        "bit and its echo: four targets of five are not joined to their bits. How many of 16 networks will end below 0.05 nats?",
        EchoConfig(**_ONE_IN_FIVE),
        HOW_MANY,
        1,
        (below("Some learn it.", LEARNED, 1), above("Most do not, with so many bits.", LEARNED, 9)),
        "50,000 bits in 5 rows are 2,000 windows, and in each of them one step of five teaches the network to keep a bit.",
        _OF_16,
    ),
    Experiment(
        "stride-of-one",
        "Let the windows overlap",
        "The same bits, with a stride of 1: each window begins one step after the one before, and only its last step is scored. "
        "So each target is scored once, as before, but now in a window that holds its bit. How many of the 16 networks will "
        "end below 0.05 nats?",
        EchoConfig(**_ONE_IN_FIVE, stride=1),
        HOW_MANY,
        2,
        (below("More than half of them learn it from the same bits.", LEARNED, 9),),
        "Every scored target now teaches the network to keep its bit. It follows BPTT(h; h') of Williams & Peng (1990), with h "
        "= 5 and h' = 1. It has a price: 9,996 training steps in place of 2,000. To see what the steps alone do, set the stride "
        "to 0 and train for 5 epochs: about as many steps, on five times the bits.",
        _OF_16,
    ),
    Experiment(
        "past-the-cut",
        "Can it learn past the cut?",
        "An echo after 3 steps and a window of 3 again, where four units stayed at chance. Now 64 units, small random weights, "
        "and Adam with a small learning rate. Still no gradient joins a bit to its echo. Where will the median loss end?",
        EchoConfig(**_PAST, learning_rate=0.0003, state_size=64, seeds=4, epochs=3),
        LOSSES,
        _LEARNS,
        (
            below("All networks learn the echo that no window taught them.", 0.05, 4),
            Claim("A probe finds the bit that is due in their states.", _probe_tells_due),
        ),
        "The state of a large random network holds traces of older bits before any training: an echo-state network (Jaeger "
        "2001). The output is trained at every step, and it learns to read these traces. A cut gradient does not teach; it does "
        "not forbid either.",
    ),
    Experiment(
        "sixteen",
        "And with sixteen units?",
        "The same settings with 16 units in place of 64, 8 networks, and 10 epochs. Where will the median loss end?",
        EchoConfig(**_PAST, learning_rate=0.0003, state_size=16, seeds=8, epochs=10),
        LOSSES,
        _LEARNS,
        (below("Most networks learn it with sixteen units too.", 0.05, 5),),
        "Fewer units hold fewer traces. How many networks find them depends on the random weights that they start from: that is "
        "the band in the chart.",
    ),
    Experiment(
        "reservoir",
        "Leave the network as it is",
        "The same task, and now only the output layer is trained: the recurrent weights stay as random as they began. 8 "
        "networks of 64 units, a window of 3, Adam 0.003. Where will the median loss end?",
        EchoConfig(**_PAST, learning_rate=0.003, state_size=64, seeds=8, epochs=2, trained="readout"),
        LOSSES,
        _LEARNS,
        (
            below("All networks learn it.", 0.05, 8),
            Claim("A probe finds the bit that is due in the states of random networks.", _probe_tells_due),
        ),
        "Such a network is called a reservoir: it keeps traces of what it read, and a linear readout picks out what is asked. "
        "What the window teaches does not matter to it, for nothing in it is taught.",
    ),
    Experiment(
        "overwritten",
        "Now train all of it",
        "Exactly the reservoir's settings, but everything is trained, the recurrent weights too: the window is still 3. Where "
        "will the median loss end?",
        EchoConfig(**_PAST, learning_rate=0.003, state_size=64, seeds=8, epochs=2),
        LOSSES,
        _CHANCE,
        (
            above("More is trained, and hardly any network gets far.", 0.4, 7),
            Claim("A probe no longer finds the bit that is due in their states.", _probe_has_lost_due),
        ),
        "The gradient changes the recurrent weights for what helps within three steps, and nothing tells it to spare the traces "
        "of older bits. At a tenth of this learning rate they survive: that is *Can it learn past the cut?*",
    ),
    Experiment(
        "too-fast",
        "A learning rate of 3",
        "The tutorial's task with SGD with momentum and a learning rate of 3. Where will the median loss end after 3 epochs?",
        EchoConfig(optimizer="momentum", learning_rate=3.0, seeds=16, epochs=3),
        LOSSES,
        _WORSE,
        (
            above("Most networks are worse than guessing.", 0.75, 12),
            _saturated("The units are saturated.", 0.95, 1.0),
        ),
        "The steps are too long for the direction in which they point. A network that is sure of wrong answers pays more than "
        "one that says 50 %.",
    ),
    Experiment(
        "too-slow",
        "A learning rate of 0.001",
        "Adagrad as in the tutorial, but with a learning rate of 0.001 instead of 0.3. Where will the median loss end after 3 "
        "epochs?",
        EchoConfig(learning_rate=0.001, seeds=16, epochs=3),
        LOSSES,
        _CHANCE,
        (
            above("No network has left chance.", 0.6, 16),
            Claim("It is slow, not stuck: the epochs' mean loss still falls.", _still_falling),
        ),
        "Adagrad divides each step by the root of the sum of all squared gradients so far (Duchi, Hazan & Singer 2011), so steps "
        "get shorter, but their sum keeps growing: a small rate needs very many of them.",
    ),
)
