"""How much is trained at a time, so that a server for many stays one for all of them."""

import os
from dataclasses import dataclass

HOSTED = {
    "UNROLLED_RUNS_PER_PERSON": 5,
    "UNROLLED_MOST_RUNS": 400,
}  # where UNROLLED_HOSTED is 1 and nothing else is said


class LimitError(ValueError):
    """A run or a sweep would be more than a limit allows."""


@dataclass(frozen=True)
class Limits:
    """Upper limits; None is no limit.

    `runs_under_way` is of one person's runs that have not ended, paused ones too, and a sweep counts as one; `waiting` is of
    everybody's; `steps` is of one run's training steps.
    """

    runs_under_way: int | None = None
    waiting: int | None = None
    steps: int | None = None

    @classmethod
    def from_environment(cls) -> "Limits":
        """What the variables `UNROLLED_RUNS_PER_PERSON`, `UNROLLED_MOST_RUNS` and `UNROLLED_MOST_STEPS` say."""
        names = ("UNROLLED_RUNS_PER_PERSON", "UNROLLED_MOST_RUNS", "UNROLLED_MOST_STEPS")
        return cls(*map(_number, names))

    def check(self, mine: int, everybodys: int) -> None:
        """Raises LimitError where one more is too many beside these."""
        if self.runs_under_way is not None and mine >= self.runs_under_way:
            raise LimitError(
                f"You have {_runs(mine)} under way, as many as this server allows one person: stop one of them first."
            )
        if self.waiting is not None and everybodys >= self.waiting:
            raise LimitError(
                f"This server has {_runs(everybodys)} under way, as many as it takes: try again when some have ended."
            )

    def check_steps(self, steps: int) -> None:
        """Raises LimitError for a run that is too long."""
        if self.steps is not None and steps > self.steps:
            raise LimitError(
                f"This run would have {steps:,} steps, and this server allows {self.steps:,}: choose a shorter one."
            )


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _number(name: str) -> int | None:
    """The limit in this variable; 0 is no limit."""
    hosted = os.environ.get("UNROLLED_HOSTED") == "1"
    text = os.environ.get(name, "").strip()
    if not text:
        return HOSTED.get(name) if hosted else None
    if not text.isdecimal():
        raise ValueError(f"{name}={text!r} is not a whole number: give one, or 0 for no limit.")
    return int(text) or None
