"""An echo run as a plain Keras script."""

from collections.abc import Iterable, Sequence
from typing import Any

from demos.echo.config import EchoConfig
from demos.registry import get
from lib import keras_script
from lib.lessons import Source


def script(config: EchoConfig, changes: Iterable[Sequence[Any]] = (), step: int | None = None) -> str:
    """The text of a Python file that repeats this run with Keras alone (see lib.keras_script.script).

    `changes` are the run's live changes, (step, setting, value); `step` is how many steps it has done, None for all.
    """
    demo = get("echo")
    return keras_script.script(
        title=demo.title,
        summary=demo.summary,
        config=config,
        all_steps=config.steps,
        units="state_size",
        window="truncated_backprop_length",
        overlapping=config.overlap > 0,
        series="series(SERIES_LENGTH, ECHO_STEP, seed, epoch)",
        sources=[Source("", "demos/echo/data.py", "series")],
        weights=config.initial_weights,
        changes=changes,
        step=step,
    )
