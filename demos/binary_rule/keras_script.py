"""A run of the binary rule as a plain Keras script."""

from collections.abc import Iterable, Sequence
from typing import Any

from demos.binary_rule.config import BinaryRuleConfig
from demos.registry import get
from lib import keras_script
from lib.lessons import Source


def script(config: BinaryRuleConfig, changes: Iterable[Sequence[Any]] = (), step: int | None = None) -> str:
    """The text of a Python file that repeats this run with Keras alone (see lib.keras_script.script).

    `changes` are the run's live changes, (step, setting, value); `step` is how many steps it has done, None for all.
    """
    demo = get("binary-rule")
    return keras_script.script(
        title=demo.title,
        summary=demo.summary,
        config=config,
        all_steps=config.steps,
        units="hidden_units",
        window="time_step",
        series="series(SERIES_LENGTH, (FIRST_LAG, SECOND_LAG), seed, epoch)[:2]",
        sources=[Source("", "demos/binary_rule/data.py", name) for name in ("_fair_bits", "series")],
        weights="glorot",
        carries="carry_state",
        changes=changes,
        step=step,
    )
