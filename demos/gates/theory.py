"""What the gates demo's losses are to be compared with: knowing nothing, and the least that is possible."""

import math
from functools import lru_cache

import numpy as np

from demos.binary_rule import theory as binary_rule
from demos.binary_rule.config import BinaryRuleConfig
from demos.gates.config import GatesConfig
from demos.gates.data import corpus, windows_per_block
from lib.theory import Boundary


def chance(config: GatesConfig) -> float:
    """The loss of a network that gives every answer the same probability, in nats."""
    if config.task == "remember":
        return math.log(config.symbols)
    if config.task == "text":
        return math.log(len(corpus(config.text).alphabet))
    return math.log(2)


def floor(config: GatesConfig) -> float:
    """A loss that nobody can go below: 0, except for the binary rule's coins.

    For a text it is not known. For bits whose cause lies beyond the window it is what the window teaches.
    """
    if config.task == "binary_rule":
        lags = config.first_lag, config.second_lag
        return binary_rule.best_knowing(BinaryRuleConfig(first_lag=lags[0], second_lag=lags[1]), (True, True)).loss
    return 0.0


@lru_cache(maxsize=8)
def text_lines(text_id: str) -> tuple[float, float]:
    """The loss of knowing how frequent each character is, and of knowing that after each character: nats.

    Both of the text that is trained on itself, so a little better than they would be on another.
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
    return config.training_steps if config.task in ("remember", "brackets") else windows_per_block(config)


def learned_below(config: GatesConfig) -> float:
    """The loss at or below which a network counts as having learned its task."""
    least = floor(config)
    if config.task == "text":
        return text_lines(config.text)[1]
    return least + 0.1 * (chance(config) - least) if within_reach(config) else -math.inf


def within_reach(config: GatesConfig) -> bool:
    """Whether the training window reaches back to what the answers depend on."""
    return config.task not in ("echo", "binary_rule") or floor(config) < chance(config) - 1e-6


BOUNDARIES = (
    Boundary("taught", "the window reaches back", "on the inner side a window reaches.", within_reach, dashed=True),
)


def explain(config: GatesConfig) -> str:
    """What the loss is to be compared with, in Markdown, with the current numbers."""
    start = f"**Chance.** Giving every answer the same probability costs {chance(config):.3f} nats a step."
    return f"{start}\n\n{_EXPLAINED[config.task](config)}"


def _explain_remember(config: GatesConfig) -> str:
    return (
        f"**Possible.** The cue comes {config.delay} steps after the symbol. A network that keeps the symbol until then is "
        f"never wrong: the loss can reach 0. Of {config.symbols} symbols a guess is right in {1 / config.symbols:.0%}."
    )


def _explain_brackets(config: GatesConfig) -> str:
    return (
        "**Possible.** What may come next follows from what is open, so the loss can reach 0. It is the mean over the "
        f"{2 * config.bracket_types} tokens, each of which may be legal or not; an answer counts as right only when all are."
    )


def _explain_text(config: GatesConfig) -> str:
    single, pair = text_lines(config.text)
    return (
        f"**Frequencies.** Who knows how frequent each of the {len(corpus(config.text).alphabet)} characters is needs "
        f"{single:.3f} nats a character; who knows it after each single character, {pair:.3f}. "
        "The least possible is not known: nobody knows a text's true entropy."
    )


def _explain_echo(config: GatesConfig) -> str:
    if within_reach(config):
        return f"**Possible.** The bit was read {config.echo_step} steps earlier: who keeps it is never wrong, with a loss of 0."
    return (
        f"**Possible.** The bit was read {config.echo_step} steps earlier, but the gradient goes back {config.window} only: no "
        "target is ever joined to its bit, and chance is all that can be learned."
    )


def _explain_binary_rule(config: GatesConfig) -> str:
    return (
        "**Possible.** Half of the targets are coins, and a coin costs ln 2. "
        f"The least that this window teaches is {floor(config):.4f} nats a step."
    )


_EXPLAINED = {
    "remember": _explain_remember,
    "brackets": _explain_brackets,
    "text": _explain_text,
    "echo": _explain_echo,
    "binary_rule": _explain_binary_rule,
}
