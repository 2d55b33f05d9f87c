"""The gates page's guided experiments: predict, run, compare."""

from functools import partial

import numpy as np

from demos.gates.config import WIDE, GatesConfig
from demos.gates.measures import (
    LEARNED,
    above,
    accuracies,
    below,
    closings,
    count_learned,
    depth_correlations,
    drifts,
    forget_gates,
    held_out_losses,
    median,
    most,
    openings,
    short,
    strongest_gate,
    writings,
)
from lib.gating import CLOSES, TRACKS
from lib.lessons import FINAL_LOSS, Choice, Claim, Experiment, Finding, Measure, Results

HOW_MANY = Measure("The number of networks, of eight, that end below 0.1", "", count_learned)
NONE, SOME, ALL = (
    Choice("none", 0, 0.5),
    Choice("some, but not all", 0.5, 7.5),
    Choice("all eight", 7.5, float("inf")),
)


def _gap(results: Results) -> Finding:
    trained, held_out = FINAL_LOSS.of(results), float(np.median(held_out_losses(results)))
    return Finding(f"{trained:.2f} in training, {held_out:.2f} held out.", held_out - trained >= 0.2)


ALWAYS_RIGHT = most(
    "At least three of four networks answer at least 99 % of the held-out sequences correctly.",
    accuracies,
    partial(above, 0.99),
    0.75,
)
REMEMBER = {"task": "remember", "seeds": 8, **WIDE}

RECALLING = (
    Experiment(
        "which-gate",
        "Which gate answers the mark?",
        "Letters, some of them marked, then a cue: which was the last marked one? The mark is an input of its own. "
        "Take the units that carry the answer in 4 LSTMs of 6 units. Which of their gates differs most, in the mean, "
        "between marked letters and the others?",
        GatesConfig(seeds=4, training_steps=800),
        (
            Choice("the input gate: it lets only marked letters in", 0, 0.5),
            Choice("the forget gate: it lets go of the letter before", 0.5, 1.5),
            Choice("the output gate: it answers", 1.5, float("inf")),
        ),
        1,
        (
            ALWAYS_RIGHT,
            most(
                f"The forget gates of the units that carry the answer are at least {CLOSES:g} lower, in the mean, at "
                "a mark that replaces another, in at least three of four networks.",
                closings,
                partial(above, CLOSES),
                0.75,
            ),
            most(
                "In at least three of four networks one of these units has an input gate that is at least 0.4 higher at "
                "marks than at other letters.",
                openings,
                partial(above, 0.4),
                0.75,
            ),
        ),
        "In the mean it is the forget gate: the units that carry the answer let go of the letter before. The "
        "input gate of at least one of them opens at marks as well: it multiplies the candidate, and so can join "
        "mark and letter. The sentences under “Inside the network” tell which unit it is.",
        Measure("The gate that differs most", None, strongest_gate),
    ),
    Experiment(
        "joined",
        "The mark as a part of the symbol",
        "The same task, but a marked letter is a symbol of its own, with input weights of its own. How much higher, at "
        "marks than at other letters, is the input gate of the unit where it differs most, among those that carry the "
        "answer?",
        GatesConfig(seeds=4, training_steps=800, marks="joined"),
        (
            Choice("less than 0.35: it is open for both alike", 0, 0.35),
            Choice("0.35 to 0.5", 0.35, 0.5),
            Choice("0.5 or more: as when the mark is apart", 0.5, float("inf")),
        ),
        0,
        (
            ALWAYS_RIGHT,
            most(
                "In at least three of four networks no input gate of a unit that carries the answer is 0.35 higher "
                "at marks.",
                openings,
                partial(below, 0.35),
                0.75,
            ),
            most(
                "In at least three of four networks the candidates g of these units are larger at marks than at "
                "other letters: |g| by at least 0.2 in the mean.",
                writings,
                partial(above, 0.2),
                0.75,
            ),
            most(
                "In at least three of four networks their forget gates still are at least 0.25 lower at a mark that "
                "replaces another.",
                closings,
                partial(above, 0.25),
                0.75,
            ),
        ),
        "It is as good without that gate. Each letter, marked or not, has input weights of its own, so the candidate "
        "itself can be smaller for a letter that is not marked, and less must be kept out. Whether a gate is used "
        "depends on how the input is written, not on the task alone. Compare with *Which gate answers the mark?*",
        Measure(
            "The best input gate's difference (the median network)",
            "",
            lambda results: max(0.0, median(openings)(results)),
        ),
    ),
)

REMEMBERING = (
    Experiment(
        "keep-it",
        "How steady is a memory?",
        "The task is *Remember* now: one of four symbols, thirty steps of noise, then the cue. 8 LSTMs of 16 units, "
        "whose forget gates start nearly open (forget-gate bias 3), learn it. How much does what their units store change "
        "from the symbol to the cue?",
        GatesConfig(training_steps=400, **REMEMBER),
        (
            Choice("by less than a tenth of its size: a straight line through the noise", 0, 0.1),
            Choice("by up to its own size", 0.1, 1),
            Choice("by more than its own size", 1, float("inf")),
        ),
        2,
        (
            most("At least seven of eight networks end below 0.1.", lambda r: r.finals, partial(below, LEARNED), 0.8),
            most(
                "In at least seven of eight what is stored changes by more than five times its size, the mean of the "
                "units that carry the symbol.",
                drifts,
                partial(above, 5.0),
                0.8,
            ),
            most(
                "In at least seven of eight no input gate of such a unit is 0.35 higher at the symbol than at noise.",
                openings,
                partial(below, 0.35),
                0.8,
            ),
            most(
                "In at least seven of eight the forget gates are above 0.9 in the mean.",
                forget_gates,
                partial(above, 0.9),
                0.8,
            ),
        ),
        "No straight line: the cell state goes on growing after the symbol. The input gates are about as open for "
        "noise as for the symbol, so every step adds something, and the forget gates, which are nearly open "
        "everywhere, keep nearly all of it. The answers are right all the same. Nothing in this task makes the gates "
        "tell the symbol from noise; compare *Which gate answers the mark?*",
        Measure("The change of what is stored (the median network)", "times its size", median(drifts)),
    ),
    Experiment(
        "half-open",
        "A gate that starts half open",
        "The same delay of 30, but the forget gates start half open: forget-gate bias 0. How many of 8 LSTMs end below a "
        "loss of 0.1 after 1,000 steps?",
        GatesConfig(training_steps=1_000, **REMEMBER | {"keep_bias": 0.0}),
        (NONE, SOME, ALL),
        0,
        (
            most(
                "At least seven of eight networks end above 1.25, near chance (1.386).",
                lambda r: r.finals,
                partial(above, 1.25),
                0.8,
            ),
            most(
                "In at least seven of eight the forget gates are below 0.6 in the mean: still about half open.",
                forget_gates,
                partial(below, 0.6),
                0.8,
            ),
        ),
        "A gate of a half halves the memory at each step: after thirty, a billionth of the symbol is left along the "
        "cell state, and as little of the gradient that would have to open the gate. That is why Gers et al. (2000) "
        "and Jozefowicz et al. (2015) start it open. Is it a weakness of the LSTM? Go on with *Architecture or "
        "initialization?*",
        HOW_MANY,
    ),
    Experiment(
        "architecture",
        "Architecture or initialization?",
        "None of the LSTMs with half-open gates learned the delay of 30 in 1,000 steps; of those that started open nearly "
        "all did, in 400. How many of 8 tanh RNNs, which have no gates at all, end below 0.1 after 1,000 steps?",
        GatesConfig(training_steps=1_000, **REMEMBER | {"cell": "rnn"}),
        (NONE, SOME, ALL),
        1,
        (
            Claim(
                "At least one tanh RNN ends below 0.1, where no LSTM with half-open gates did.",
                lambda results: Finding(
                    f"{count_learned(results):.0f} of {len(results.finals)} do: {', '.join(map(short, results.finals))}.",
                    count_learned(results) >= 1,
                ),
            ),
        ),
        "Some RNNs learn what half-open LSTMs do not: here the start decides, not the kind of cell. Random recurrent "
        "weights may hand a signal on over thirty steps, while a gate of one half leaves a billionth of it. Compare "
        "how far the gradients reach under *Why LSTMs*.",
        HOW_MANY,
    ),
)

OTHERS = (
    Experiment(
        "counting",
        "Counting without numbers",
        "Nested brackets, at most eight open. 4 LSTMs of 16 units must say which brackets may come next. How well "
        "does the cell state of one unit correlate with the depth, in the unit where it does best?",
        GatesConfig(task="brackets", seeds=4, training_steps=600, **WIDE),
        (
            Choice("|r| below 0.5: the depth is spread over many units", 0, 0.5),
            Choice("|r| from 0.5 to 0.9", 0.5, TRACKS),
            Choice("|r| of 0.9 or more: one unit tracks it", TRACKS, float("inf")),
        ),
        2,
        (
            most(
                "At least three of four networks answer at least 93 % of all places correctly.",
                accuracies,
                partial(above, 0.93),
                0.75,
            ),
            most(
                "In at least three of four a unit tracks the depth: |r| is at least 0.9.",
                depth_correlations,
                partial(above, TRACKS),
                0.75,
            ),
        ),
        "To know when nothing is open and when eight are, something must count, and a single unit's cell state goes "
        "up and down with the depth. A correlation does not show that the network uses it: ablate the unit and see "
        "what breaks. Gers and Schmidhuber (2001) found LSTM counters in such languages.",
        Measure("The best unit's |r| with the depth (the median network)", "", median(depth_correlations)),
    ),
    Experiment(
        "cut-off",
        "Beyond the cut",
        "An echo of 6 steps, but the window is 5: the gradient never reaches the bit that must be repeated. The "
        "state is carried from window to window. 4 tanh RNNs of 64 units learn slowly (rate 0.0005). Where will the "
        "median loss end?",
        GatesConfig(
            task="echo",
            echo_step=6,
            truncated_backprop_length=5,
            hidden_units=64,
            cell="rnn",
            learning_rate=0.0005,
            seeds=4,
            training_steps=2_500,
            batch_size=32,
        ),
        (
            Choice("below 0.1: it repeats the bits", 0, 0.1),
            Choice("between 0.1 and 0.62: part of them", 0.1, 0.62),
            Choice("about 0.69, chance: what is not taught is not learned", 0.62, float("inf")),
        ),
        0,
        (
            most(
                "At least three of four networks end below 0.2. With the bits inside the window alone, 0.693 would "
                "be the least.",
                lambda results: results.finals,
                partial(below, 0.2),
                0.75,
            ),
            most(
                "On held-out bits the loss of at least three of four is below 0.25, too.",
                held_out_losses,
                partial(below, 0.25),
                0.75,
            ),
        ),
        "No gradient ever joined a bit to its echo, so nothing taught these networks to keep it. But a large random "
        "recurrent network keeps traces of what it has read, and its output can learn to read them: as in an "
        "echo-state network (Jaeger 2001), though here the other weights go on learning, too. The window limits what "
        "is taught, not what can be known. Try 6 units or a rate of 0.01.",
        FINAL_LOSS,
    ),
    Experiment(
        "by-heart",
        "Learned, or learned by heart?",
        "One LSTM of 64 units reads our forty fables again and again, 1,000 steps of windows of 50 characters. A "
        "bigram model needs 2.22 nats a character. Where does its loss end on the last tenth of the text, which it "
        "never trains on?",
        GatesConfig(task="text", hidden_units=64, batch_size=32, truncated_backprop_length=50, training_steps=1_000),
        (
            Choice("below 1.5, as on the text that it trains on", 0, 1.5),
            Choice("between 1.5 and 2.22: worse, but better than a bigram model", 1.5, 2.22),
            Choice("2.22 or more", 2.22, float("inf")),
        ),
        1,
        (
            Claim(
                "The loss on the text that is trained on ends at least 0.2 nats below that on the held-out text.",
                _gap,
            ),
        ),
        "Some of what it learned holds for all of the text, and some for the part that it has read dozens of times: "
        "the training loss alone would mislead. That is why a language model is judged by held-out text, as on the "
        "page *Perplexity*.",
        Measure("The loss on held-out text", "nats a character", median(held_out_losses)),
    ),
)


EXPERIMENTS: tuple[Experiment, ...] = (*RECALLING, *REMEMBERING, *OTHERS)
