"""The binary-rule page's guided experiments. Claims are checked on what the run measured, or on its networks by linear probes."""

import numpy as np

from demos.binary_rule import theory
from demos.binary_rule.config import BinaryRuleConfig
from demos.binary_rule.data import CONTEXTS
from lib.lessons import Choice, Claim, Experiment, Finding, Measure, Results
from lib.linear_probe import recalled
from lib.loss_claims import above, below, median_between

LOSSES = (
    Choice("below 0.40: it finds the whole rule, or nearly", 0.0, 0.40),
    Choice("between 0.40 and 0.53: more than one bit's worth, less than the rule", 0.40, 0.53),
    Choice("between 0.53 and 0.65: what one bit of the two is worth", 0.53, 0.65),
    Choice("about 0.69: it learns nothing", 0.65, 0.75),
    Choice("above 0.75: worse than guessing", 0.75, float("inf")),
)
_RULE, _BETWEEN, _ONE_BIT, _CHANCE, _WORSE = range(5)


def _accuracy(results: Results) -> float:
    value = results.stream.summary().get("accuracy", {}).get("mean_last_100")
    return np.nan if value is None else value


def _beliefs(results: Results) -> Finding:
    found = {context: results.last(f"belief_{context}") for context in CONTEXTS}
    said = ", ".join(f"{value:.2f} after {context}" for context, value in found.items())
    sure = found["00"] > 0.9 and found["11"] < 0.1
    return Finding(
        f"It gives a 1 the probability {said}.", sure and all(0.4 < found[coin] < 0.6 for coin in ("01", "10"))
    )


def _at_the_bound(results: Results) -> Finding:
    median, bound = float(np.median(results.finals)), theory.floor(results.config)
    return Finding(f"The median is {median:.4f}, the bound {bound:.4f}.", abs(median - bound) < 0.01)


def _none_below(results: Results) -> Finding:
    least, bound = float(results.finals.min()), theory.floor(results.config)
    error = theory.sampling_error(results.config)
    said = f"The lowest of {len(results.finals)} is {least:.4f}, the bound {bound:.4f}, the sampling error {error:.4f}."
    return Finding(said, least > bound - 4 * error)


def _below_the_window(results: Results) -> Finding:
    alone, median = theory.without_carried_state(results.config).loss, float(np.median(results.finals))
    return Finding(f"{median:.3f} against {alone:.3f}.", median < alone - 0.05)


def _as_often_right(results: Results) -> Finding:
    most, reached = theory.best_accuracy(results.config), _accuracy(results)
    return Finding(f"Its accuracy is {reached:.3f}; the highest possible is {most:.3f}.", reached > most - 0.02)


def _less_sure(results: Results) -> Finding:
    zero, one = results.last("belief_01"), results.last("belief_10")
    return Finding(f"{zero:.2f} after 01 and {one:.2f} after 10, where a coin has 0.50.", zero - one > 0.1)


def _far_bits_told(text: str, least: float) -> Claim:
    """A probe tells the bits beyond the window at least so often, in the median of the networks."""

    def check(results: Results) -> Finding:
        far = [lag for lag in results.config.lags if lag >= results.config.time_step]
        shares = np.array([recalled(results.config.cell, network, max(far)) for network in results.networks])
        told = [float(np.median(shares[:, lag])) for lag in far]
        said = ", ".join(f"{share:.0%} for the bit {lag} back" for lag, share in zip(far, told, strict=True))
        return Finding(f"Right in {said} (median of the networks).", min(told) >= least)

    return Claim(text, check)


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        "the-rule",
        "The tutorial's first plot",
        "The bits 1 and 2 back decide, and a window of 5 steps reaches both. Six tanh units, 250 rows, one epoch of 400 steps, "
        "Adagrad. Where will the median loss of 8 networks from different seeds end?",
        BinaryRuleConfig(seeds=8),
        LOSSES,
        _RULE,
        (
            below("All networks find the rule.", 0.36, 8),
            Claim("They are sure where the rule decides, and undecided where a coin does.", _beliefs),
            Claim("So the loss is near its lower bound.", _at_the_bound),
        ),
        "In two contexts of four the target is certain, and no network can know a coin: ½ · ln 2 = 0.347 is left. Loss that is "
        "left is not always a fault.",
    ),
    Experiment(
        "no-memory",
        "Forget at every window",
        "The same, but every window of 5 steps starts with an empty state. Where will the median loss end after 5 epochs?",
        BinaryRuleConfig(seeds=8, carry_state=False, epochs=5),
        LOSSES,
        _BETWEEN,
        (
            median_between("It ends where the lower bound says.", 0.45, 0.48),
            Claim("No network is below its bound by more than sampling error.", _none_below),
        ),
        "The first target of each window has no bit to go by, the second only one, and the last three both: "
        "(0.693 + 0.562 + 3 · 0.347) / 5 = 0.459.",
    ),
    Experiment(
        "both-out-of-reach",
        "The tutorial's second plot",
        "The tutorial's setting again, one epoch, but the bits 10 and 11 back decide: further than a window of 5 steps reaches. "
        "The state is carried on from window to window. Where will the median loss end?",
        BinaryRuleConfig(first_lag=10, second_lag=11, seeds=8),
        LOSSES,
        _CHANCE,
        (above("All networks stay near chance.", 0.67, 8),),
        "No window holds a target together with a bit that decides it, so no gradient joins them: nothing teaches these six "
        "units directly to keep the bits. That is not the same as a bound: see the next experiment.",
    ),
    Experiment(
        "past-the-cut",
        "Out of reach, with 64 units",
        "The bits 5 and 6 back decide, and a window has 5 steps: both lie beyond it. 64 units, 200 rows, and Adam with a small "
        "learning rate. Where will the median loss of 2 networks end after 2 epochs?",
        BinaryRuleConfig(
            first_lag=5,
            second_lag=6,
            hidden_units=64,
            batch_size=200,
            optimizer="adam",
            learning_rate=0.0005,
            seeds=2,
            epochs=2,
        ),
        LOSSES,
        _RULE,
        (
            below("They find the whole rule, or nearly.", 0.4, 2),
            Claim("That is below the best without the carried state.", _below_the_window),
            _far_bits_told("A linear probe finds both bits in their states.", 0.95),
        ),
        "The state of a large random network holds traces of older bits before any training (an echo-state network, Jaeger "
        "2001), and its output is trained at every step: it learns to read them. A cut gradient does not teach, and does not "
        "forbid.",
    ),
    Experiment(
        "one-out-of-reach",
        "One bit in reach, one just outside",
        "The bits 1 and 5 back decide, and a window has 5 steps: the gradient reaches back 4. Six units. Where will the median "
        "loss end after 10 epochs?",
        BinaryRuleConfig(second_lag=5, seeds=8, epochs=10),
        LOSSES,
        _RULE,
        (
            Claim("It ends below the best without the carried state.", _below_the_window),
            _far_bits_told("A linear probe finds the bit that was out of reach.", 0.7),
        ),
        "The gradient joins the nearer bit to its target, and not the further one. Still the carried state holds that too, and "
        "the output uses it.",
    ),
    Experiment(
        "without-the-ride",
        "The same, with the state reset",
        "The bits 1 and 5 back again, but now each window starts with an empty state. Where will the median loss end?",
        BinaryRuleConfig(second_lag=5, carry_state=False, seeds=8),
        LOSSES,
        _ONE_BIT,
        (
            median_between("It ends where the lower bound says.", 0.58, 0.6),
            Claim("No network is below its bound by more than sampling error.", _none_below),
        ),
        "The nearer bit is used wherever it has been read (0.562), at the first position of each window nothing can be known "
        "(0.693), and the bit 5 back lies before every window's start: no network could know it.",
    ),
    Experiment(
        "accuracy-misleads",
        "Accuracy or loss?",
        "One last time the bits 1 and 5 back, with the state reset at each window, so only one of the two bits can be known. Who "
        "knows the whole rule is right in 75 % of places. How often is this network right?",
        BinaryRuleConfig(second_lag=5, carry_state=False, seeds=8, seed=100),
        (
            Choice("in about 50 %", 0.0, 0.56),
            Choice("in about 62 %, half way", 0.56, 0.66),
            Choice("in about 70 %, nearly as often", 0.66, 0.73),
            Choice("in 75 %, just as often", 0.73, float("inf")),
        ),
        2,
        (
            Claim("It is right as often as is possible here.", _as_often_right),
            median_between("Its loss is far above the 0.35 of the whole rule.", 0.55, 0.62),
        ),
        "Where one bit is known, betting on its opposite is right in 75 %, as often as with both bits; only the window's first "
        "position is a guess: (0.5 + 4 · 0.75) / 5 = 0.70. Accuracy cannot tell half of the rule from all of it, the loss can: "
        "it also asks how sure the answer was.",
        Measure("Its accuracy over the last 100 steps", "", _accuracy),
    ),
    Experiment(
        "two-units",
        "Two units for three bits",
        "The bits 1 and 2 back decide, and the network has two units. After each step it should know the last three bits. "
        "Where will the median loss end after 5 epochs?",
        BinaryRuleConfig(hidden_units=2, seeds=8, epochs=5),
        (
            Choice("below 0.37: the whole rule", 0.0, 0.37),
            Choice("between 0.37 and 0.53: the rule, but not cleanly", 0.37, 0.53),
            Choice("between 0.53 and 0.65: what one bit of the two is worth", 0.53, 0.65),
            Choice("0.65 or more: it learns nothing", 0.65, float("inf")),
        ),
        1,
        (
            median_between("It ends near 0.40.", 0.39, 0.42),
            Claim("Its likelier answers are right as often as they can be.", _as_often_right),
            Claim("But what it says of the coins leans to one side.", _less_sure),
        ),
        "Two units pack three bits, but not cleanly: where a coin decides, the network should say ½, and it leans towards an "
        "answer. That costs loss, and no accuracy.",
    ),
    Experiment(
        "too-fast",
        "A learning rate of 10",
        "SGD with momentum and a learning rate of 10. Where will the median loss end?",
        BinaryRuleConfig(optimizer="momentum", learning_rate=10.0, seeds=8),
        LOSSES,
        _WORSE,
        (above("Nearly all networks are worse than guessing.", 0.75, 7),),
        "The steps are too long for the direction in which they point. A network that is sure of wrong answers pays more than "
        "one that says 50 %.",
    ),
)
