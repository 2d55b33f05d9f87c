"""The pace of a job by itself; with turns it is tested in test_jobs."""

import time

from lib.pace import Pace


def test_a_turn_just_before_single_steps_begin_has_no_step() -> None:
    now, pace = time.monotonic(), Pace(speed=0)
    assert [pace.steps_due(sharing=1) for _ in range(3)] == [0, 0, 0]
    assert now < pace.due < time.monotonic() + 1


def test_a_chunk_that_the_machine_held_up_makes_the_next_no_smaller_and_two_do() -> None:
    pace = Pace()
    for _ in range(3):
        pace.measure(100, 0.1)
    usual = pace.steps_due(sharing=1)
    pace.measure(100, 10.0)
    assert pace.steps_due(sharing=1) == usual == 80
    pace.measure(100, 10.0)
    assert pace.steps_due(sharing=1) == 3, "8 steps would take 0.8 s, and a chunk has up to 0.3"
