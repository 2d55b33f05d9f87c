"""What is cleared away, and when. These are all of the rules:

- A run that has ended is deleted when it is older than `days`, a sweep with its runs; and of one person's runs of a demo all but
  the 200 newest, of their sweeps all but the 20 newest (lib.store). What is running or paused is never deleted.
- A run that its owner deletes is kept for a day, to be brought back.
- The networks that were kept on the way of language models may take `network_bytes` for each person: of the oldest runs that
  have ended they are deleted beyond that, and the runs stay.
- A paused run that nobody has looked at for `idle_seconds` is written and leaves memory. It goes on from there when asked to.
  What another process has, or nobody, leaves memory a minute after somebody has looked at it (lib.shared_jobs).
"""

import os
from dataclasses import dataclass

DAYS, IDLE_SECONDS = 30, 120.0  # on a server for many


@dataclass(frozen=True)
class Clearing:
    """The numbers of the rules; None is never."""

    days: int | None = None
    idle_seconds: float | None = None
    network_bytes: int = 2 * 1024**3

    @classmethod
    def from_environment(cls) -> "Clearing":
        """With `UNROLLED_HOSTED` the numbers for many; `UNROLLED_KEEP_DAYS` sets the days, and 0 is never."""
        hosted = os.environ.get("UNROLLED_HOSTED") == "1"
        text = os.environ.get("UNROLLED_KEEP_DAYS", "").strip() or str(DAYS if hosted else 0)
        if not text.isdecimal():
            raise ValueError(
                f"UNROLLED_KEEP_DAYS={text!r} is not a whole number: give days, or 0 to keep runs for ever."
            )
        return cls(int(text) or None, IDLE_SECONDS if hosted else None)
