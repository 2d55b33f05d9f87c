"""What the gates demo's losses are to be compared with: chance, the lower bound, and what the window alone would allow."""

import math
from functools import lru_cache

import numpy as np

from demos.binary_rule import theory as binary_rule
from demos.binary_rule.config import BinaryRuleConfig
from demos.gates.config import ALONE, GatesConfig
from demos.gates.data import corpus, windows_per_block
from lib.theory import Boundary


def chance(config: GatesConfig) -> float:
    """The loss of a network that gives every answer the same probability, in nats."""
    if config.task in ("recall", "remember"):
        return math.log(config.symbols)
    if config.task == "text":
        return math.log(len(corpus(config.text).alphabet))
    return math.log(2)


def floor(config: GatesConfig) -> float:
    """The lower bound: 0, and for the binary rule what its coins cost a network that knows both bits everywhere.

    The state is carried, so a bit beyond the window may still be known. At the start of each block, where the state is zero,
    the first bits are not: a whole run is a little above the bound. For a text no better bound than 0 is known.
    """
    return _rule(config, (True, True)) if config.task == "binary_rule" else 0.0


def without_carried_state(config: GatesConfig) -> float | None:
    """The least loss that the bits inside the current window allow, the mean over its places; None where none is carried.

    At place w of a window, from 0, a bit `lag` steps back is inside where lag <= w. For a text it is not known.
    """
    places = range(config.window)
    if config.task == "echo":
        return math.log(2) * sum(config.echo_step > place for place in places) / config.window
    if config.task == "binary_rule":
        seen = [(config.first_lag <= place, config.second_lag <= place) for place in places]
        return math.fsum(_rule(config, both) for both in seen) / config.window
    return None


def _rule(config: GatesConfig, known: tuple[bool, bool]) -> float:
    """The least loss of the binary rule when these of its two bits are known."""
    lags = BinaryRuleConfig(first_lag=config.first_lag, second_lag=config.second_lag)
    return binary_rule.best_knowing(lags, known).loss


@lru_cache(maxsize=8)
def text_lines(text_id: str) -> tuple[float, float]:
    """The loss of a unigram model and of a bigram model of characters: nats.

    Both are counted in the text that is trained on, so they are a little better on it than they would be on another.
    """
    text = corpus(text_id)
    tokens, size = text.tokens[: text.trained].astype(np.int64), len(text.alphabet)
    pairs = np.bincount(tokens[:-1] * size + tokens[1:], minlength=size * size).reshape(size, size)
    return _entropy(pairs.sum(axis=0)), _entropy(pairs.ravel()) - _entropy(pairs.sum(axis=1))


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def steps_per_epoch(config: GatesConfig) -> int:
    """The training steps after which the state starts from zero and, in a text, everything begins again."""
    return config.training_steps if config.task in ALONE else windows_per_block(config)


def learned_below(config: GatesConfig) -> float:
    """The loss at or below which a network counts as having learned its task: a tenth of the way from the bound to chance.

    For a text it is a bigram model's.
    """
    if config.task == "text":
        return text_lines(config.text)[1]
    least = floor(config)
    return least + 0.1 * (chance(config) - least)


def furthest_lag(config: GatesConfig) -> int:
    """How many steps back the furthest bit lies that an answer depends on; 0 where sequences begin and end in a window."""
    lags = {"echo": config.echo_step, "binary_rule": max(config.first_lag, config.second_lag)}
    return lags.get(config.task, 0)


def taught(config: GatesConfig) -> bool:
    """Whether the window reaches back to what the answers depend on, so that a gradient joins the two."""
    return furthest_lag(config) < config.window


BOUNDARIES = (
    Boundary(
        "taught",
        "the window reaches back to what must be known",
        "Within it some place of each window holds both an answer and all that it depends on, so the gradient can teach the "
        "network to keep it. Beyond it nothing teaches it directly; traces may still be carried in the state.",
        taught,
        dashed=True,
    ),
)


def explain(config: GatesConfig) -> str:
    """What the loss is to be compared with, in Markdown, with the current numbers."""
    start = f"**Chance.** Giving every answer the same probability costs {chance(config):.3f} nats a step."
    parts = [start, _EXPLAINED[config.task](config)]
    if (least := without_carried_state(config)) is not None:
        parts.append(_explain_window(config, least))
    return "\n\n".join(parts)


def _explain_window(config: GatesConfig, least: float) -> str:
    text = (
        f"**Without the carried state.** With the bits inside the current window of {config.window} steps alone, at least "
        f"{least:.4g} nats a step: at its first places what decides the answer was read before it. The state is carried from "
        "window to window, so a network may do better."
    )
    if config.trained == "readout":
        text += " Here only the output is trained: it reads what random recurrent weights happen to keep (Jaeger 2001)."
    elif not taught(config):
        text += (
            f" What decides the answer lies {furthest_lag(config)} steps back, and the gradient goes back "
            f"{config.window - 1} at "
            "most: nothing teaches the network directly to keep it. A large random network keeps traces of it all the same, "
            "which the output can learn to read (Jaeger 2001)."
        )
    return text


def _explain_recall(config: GatesConfig) -> str:
    return (
        "**Lower bound.** There is always a marked letter before the cue. A network that keeps the last one is never "
        "wrong: the "
        f"loss can reach 0. Of {config.symbols} letters a guess is right in {1 / config.symbols:.0%}."
    )


def _explain_remember(config: GatesConfig) -> str:
    return (
        f"**Lower bound.** The cue comes {config.delay} steps after the symbol. A network that keeps the symbol until then is "
        f"never wrong: the loss can reach 0. Of {config.symbols} symbols a guess is right in {1 / config.symbols:.0%}."
    )


def _explain_brackets(config: GatesConfig) -> str:
    return (
        "**Lower bound.** What may come next follows from what is open, so the loss can reach 0. It is the mean over the "
        f"{2 * config.bracket_types} tokens, each of which may be legal or not; an answer counts as right only when all are."
    )


def _explain_text(config: GatesConfig) -> str:
    single, pair = text_lines(config.text)
    return (
        f"**Models to compare with.** A unigram model, which knows how frequent each of the "
        f"{len(corpus(config.text).alphabet)} characters is, needs {single:.3f} nats a character; a bigram model, which "
        "knows it "
        f"after each single character, {pair:.3f}. Both are counted in the text that is trained on. No lower bound is "
        "known but "
        "0: a text that is read again and again can be learned by heart, and its entropy on other text is not known."
    )


def _explain_echo(config: GatesConfig) -> str:
    return (
        f"**Lower bound.** The bit was read {config.echo_step} {'step' if config.echo_step == 1 else 'steps'} earlier: "
        "a network "
        "that keeps it is never wrong, with a loss of 0. Only at the start of each epoch, where the state is zero, the "
        "first bits "
        "to repeat were never read."
    )


def _explain_binary_rule(config: GatesConfig) -> str:
    known = _rule(config, (True, True))
    coins = (
        "Half of the targets are coins, and a coin costs ln 2"
        if known
        else "Both lags name one bit, so no target is a coin"
    )
    return f"**Lower bound.** {coins}: with both bits known at least {known:.4f} nats a step."


_EXPLAINED = {
    "recall": _explain_recall,
    "remember": _explain_remember,
    "brackets": _explain_brackets,
    "text": _explain_text,
    "echo": _explain_echo,
    "binary_rule": _explain_binary_rule,
}
