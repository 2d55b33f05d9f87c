"""The pace of a job by itself; with turns it is tested in test_jobs."""

import time

from lib.pace import Pace


def test_a_turn_just_before_single_steps_begin_has_no_step() -> None:
    now, pace = time.monotonic(), Pace(speed=0)
    assert [pace.steps_due(sharing=1) for _ in range(3)] == [0, 0, 0]
    assert now < pace.due < time.monotonic() + 1
