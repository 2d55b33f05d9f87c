"""The load test's client against a real server, and its verdicts."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import attendee, load
from benchmarks.attendee import Attendee, Stretch
from benchmarks.ledger import Ledger
from tests.conftest import HostedServer


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not met():
            await asyncio.sleep(0.05)


def test_two_attendees_start_watch_and_steer_runs_in_the_room_of_a_third(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(attendee, "PAUSE_SECONDS", (0.4, 0.8))
    server = HostedServer(tmp_path)
    server.start()
    machine = load.Machine({"before": 500.0, "after": 520.0})
    people = load.people(server.url, 3)
    host, *others = people

    def busy() -> bool:
        return len(host.wall) == len(others) and all(
            {"Pause", attendee.RATE} <= {name for name, _ in each.seen.actions}
            and any(stretch.updates and stretch.marks[-1][1] for stretch in each.stretches)
            for each in others
        )

    try:
        asyncio.run(load.crowd(people, until(busy)))
    finally:
        server.stop()
    rows = {row.name: row for row in load.table(people, machine, server.log.read_text())}
    assert rows["errors"].missed == []
    assert rows["attendees"].figures["runs"] >= 2
    assert rows["attendees"].figures["actions"] >= 6
    assert rows["a page action, s"].figures["max"] > 0
    assert {name for each in people for name, _ in each.seen.actions} >= {"Start", "Pause", attendee.OPENING}
    assert len(load.in_lines(list(rows.values())).splitlines()) >= len(rows)


def moving(steps: list[tuple[float, int]], until: float, number: int = 0) -> Stretch:
    return Stretch(number, "echo", f"run{number}", steps, until, updates=len(steps))


def verdicts(*stretches: Stretch) -> dict[str, load.Row]:
    people = []
    for stretch in stretches:
        person = Attendee(stretch.attendee, "http://localhost", stretch.page)
        person.seen.stretches.append(stretch)
        people.append(person)
    return {row.name: row for row in load.table(people, load.Machine({"before": 500.0, "after": 601.0}), "")}


def test_a_run_that_stood_still_is_named() -> None:
    steady = moving([(i / 10, i) for i in range(60)], 6.0)
    stuck = moving([(0.0, 0), (0.5, 10), (2.0, 20), (2.1, 30)], 2.2, number=1)
    row = verdicts(steady, stuck)["longest time without a step, s"]
    assert row.missed == ["attendee 1 on echo, run run1: 1.5 s without a step"]
    assert stuck.gap == 1.5
    assert steady.gap == pytest.approx(0.1)


def test_the_last_step_may_be_long_ago_too() -> None:
    assert moving([(0.0, 0), (0.5, 10)], 4.0).gap == 3.5


def test_a_run_that_is_slower_than_its_equals_is_named() -> None:
    runs = [moving([(i / 10, i * 10) for i in range(60)], 6.0, number) for number in range(3)]
    slow = [moving([(i / 10, i * steps) for i in range(60)], 6.0, number=3) for steps in (2, 6)]
    seen_once = moving([(i / 10, i) for i in range(60)], 6.0, number=4)  # which may have been a bad moment
    row = verdicts(*runs, *runs, *slow, seen_once)["a run's steps, as a share of the median"]
    assert row.figures == {"slowest": pytest.approx(0.4), "compared": 4}
    assert row.missed == ["echo, run run3: 200 steps in 5 s, the median is 500"]


def test_memory_updates_and_actions_have_their_targets() -> None:
    rows = verdicts(moving([(0.0, 0), (3.0, 10)], 4.0))
    assert rows["server's memory, MB"].missed == ["+101 MB at the end"]
    assert rows["updates/s of a viewer"].missed == ["attendee 0: 0.50 updates/s"]
    assert rows["a page action, s"].missed == ["there was no action"]


def test_exceptions_in_the_log_are_found() -> None:
    log = "fine\nTraceback (most recent call last):\n  File 'x'\nOSError: [Errno 28] No space left\nfine\n"
    assert load.tracebacks(log) == ["OSError: [Errno 28] No space left"]


def test_exceptions_in_a_hosted_servers_log_are_found() -> None:
    log = '{"message": "request"}\n{no JSON\n{"message": "no", "error": "KeyError at a.py:1 f\\nOSError at b.py:2 g"}\n'
    assert load.tracebacks(log) == ["OSError at b.py:2 g"]


def frame(state: str, step: int, run: str = "a") -> dict:
    return {"run": run, "state": state, "step": step, "message": "no space"}


def told(*frames: dict) -> Ledger:
    ledger = Ledger()
    for each in frames:
        ledger.hear(each)
    return ledger


@pytest.mark.parametrize("now", [frame("paused", 180), frame("running", 250), frame("finished", 900)])
def test_a_paused_run_that_goes_on_has_lost_nothing(now: dict) -> None:
    ledger = told(frame("running", 100), frame("paused", 180))
    ledger.compare("a", now)
    assert ledger.losses == {}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("paused", frame("paused", 179)),
        ("paused", frame("failed", 180)),
        ("paused", None),
        ("finished", frame("paused", 180)),
        ("finished", frame("finished", 100)),
        ("stopped", frame("running", 180)),
    ],
)
def test_what_was_told_must_be_kept(before: str, now: dict | None) -> None:
    ledger = told(frame("running", 100), frame(before, 180))
    ledger.compare("a", now)
    assert list(ledger.losses) == ["a"]
    assert f"{before} at step 180" in ledger.losses["a"]


def test_a_running_run_may_fall_back_to_its_checkpoint_but_not_behind_its_last_pause() -> None:
    ledger = told(frame("paused", 180), frame("running", 900))
    ledger.compare("a", frame("paused", 200))
    assert ledger.losses == {}
    ledger.hear(frame("paused", 170))
    assert list(ledger.losses) == ["a"]


def test_a_paused_run_that_was_left_alone_stays_where_it_was() -> None:
    ledger = told(frame("paused", 180))
    ledger.compare("a", frame("paused", 180), left_alone=True)
    assert ledger.losses == {}
    ledger.compare("a", frame("running", 180), left_alone=True)
    assert list(ledger.losses) == ["a"]


def test_a_run_whose_pause_or_step_was_not_told_yet_may_still_wait_for_it() -> None:
    ledger = told(frame("queued", 0))
    ledger.compare("a", frame("queued", 0), left_alone=True)
    assert ledger.losses == {}
