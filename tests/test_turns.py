"""Turns: who is next, without threads and without a clock; and that jobs take them so."""

import random
import threading
import time
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from lib.job import Job, State
from lib.turns import Turns
from tests.quadratic import Engine, QuadraticConfig
from tests.test_jobs import make, wait


def job_of(person: str) -> Job:
    return Job("quadratic", QuadraticConfig(), person)


def serve(turns: Turns, jobs: list[Job], rounds: int, seconds: dict[Job, float], workers: int = 1) -> Counter[Job]:
    """Give turns to jobs that always want one: the seconds that each had. With several workers the shortest turn ends first."""
    had: Counter[Job] = Counter()
    under_way: list[tuple[float, int, Job]] = []
    now = 0.0
    numbers = count()
    for _ in range(rounds):
        while len(under_way) < workers and (job := turns.take()) is not None:
            under_way.append((now + seconds[job], next(numbers), job))
        end, *_, job = ended = min(under_way)
        under_way.remove(ended)
        now = end
        had[job] += seconds[job]  # type: ignore[assignment]
        turns.done(job, seconds[job])
        turns.add(job)
    for *_, job in under_way:
        turns.done(job, 0.0)
    return had


def shares(had: Counter[Job]) -> dict[str, float]:
    people: dict[str, float] = {}
    for job, seconds in had.items():
        people[job.visitor] = people.get(job.visitor, 0.0) + seconds
    return {person: seconds / sum(people.values()) for person, seconds in people.items()}


@pytest.mark.parametrize("workers", [1, 2])
def test_sixteen_runs_get_no_more_than_one(workers: int) -> None:
    jobs = [job_of("many") for _ in range(16)] + [job_of("one"), job_of("two"), job_of("three")]
    turns, seconds = Turns(), dict.fromkeys(jobs, 0.05)
    for job in jobs:
        turns.add(job)
    had = serve(turns, jobs, 4000, seconds, workers)
    assert shares(had) == pytest.approx(dict.fromkeys(("many", "one", "two", "three"), 0.25), abs=0.01)
    mine = [had[job] for job in jobs[:16]]
    assert min(mine) > 0.9 * max(mine), "and of one person each run gets the same"


def test_seconds_are_shared_and_not_turns() -> None:
    slow, quick = job_of("slow"), job_of("quick")
    turns = Turns()
    turns.add(slow), turns.add(quick)
    had = serve(turns, [slow, quick], 3000, {slow: 2.0, quick: 0.05})
    assert shares(had)["quick"] == pytest.approx(0.5, abs=0.01)


def of_a_crowd(*slow_seconds: float) -> tuple[float, list[float]]:
    """What 50 people with turns of 7 ms have of the time beside others: all of them, and the others' times between two turns."""
    slow, quick = [job_of(f"slow {i}") for i in range(len(slow_seconds))], [job_of(f"quick {i}") for i in range(50)]
    turns = Turns(most=0.3)
    for job in [*slow, *quick]:
        turns.add(job)
    lengths = dict(zip(slow, slow_seconds, strict=True)) | dict.fromkeys(quick, 0.007)
    had = serve(turns, [*slow, *quick], 30_000, lengths)
    assert min(had[job] for job in quick) > 0.95 * max(had[job] for job in quick)
    return sum(had[job] for job in quick) / sum(had.values()), [
        sum(had.values()) / (had[job] / lengths[job]) for job in slow
    ]


def test_nobody_waits_for_those_with_short_turns_to_have_several() -> None:
    turns = Turns(most=0.3)
    short, longer = [job_of(f"short {i}") for i in range(20)], [job_of(f"longer {i}") for i in range(20)]
    for job in [*short, *longer]:
        turns.add(job)
    lengths = dict.fromkeys(short, 0.001) | dict.fromkeys(longer, 0.007)
    had = serve(turns, [*short, *longer], 10_000, lengths)
    counts = {job: had[job] / lengths[job] for job in had}
    assert max(counts.values()) < 1.05 * min(counts.values())


def test_who_has_several_runs_with_shorter_turns_has_as_much_as_who_has_one() -> None:
    several, one = [job_of("several") for _ in range(6)], job_of("one")
    turns = Turns(most=0.3)
    for job in [*several, one]:
        turns.add(job)
    had = serve(turns, [*several, one], 5000, dict.fromkeys(several, 0.03) | {one: 0.08})
    assert shares(had)["one"] == pytest.approx(0.5, abs=0.05), "see Pace.steps_due: a round is shared by the six"


def test_a_long_turn_is_not_paid_for_with_a_long_wait() -> None:
    share, (pause,) = of_a_crowd(0.08)
    assert share > 0.7 and 0.2 < pause < 0.6


def test_but_turns_of_seconds_are() -> None:
    share, pauses = of_a_crowd(1.0, 1.0, 1.0)
    assert share > 0.9 and min(pauses) > 30


def test_a_turn_that_the_machine_held_up_is_paid_for_little_by_little() -> None:
    unlucky, others = job_of("unlucky"), [job_of(f"other {i}") for i in range(49)]
    turns = Turns(most=0.3)
    for job in [unlucky, *others]:
        turns.add(job)
    pauses = []
    for seconds in (0.2, *[0.005] * 60):
        passed = 0.0
        while (job := turns.take()) is not unlucky:
            assert job is not None
            turns.done(job, 0.005)
            turns.add(job)
            passed += 0.005
        pauses.append(passed)
        turns.done(unlucky, seconds)
        turns.add(unlucky)
    assert max(pauses) < 0.6, "a round of all of them takes a quarter of a second"
    assert sum(pauses) - 61 * 49 * 0.005 > 3, "in all it waits for what the others could have had"


def test_who_has_had_a_long_turn_does_not_wait_longer_when_a_crowd_comes() -> None:
    first, second, crowd = job_of("first"), job_of("second"), [job_of(f"other {i}") for i in range(48)]
    turns = Turns(most=0.3)
    turns.add(first), turns.add(second)
    assert turns.take() is first
    turns.add(first)
    turns.done(first, 0.15)
    for job in crowd:
        turns.add(job)
    passed = 0.0
    while (job := turns.take()) is not first:
        assert job is not None
        turns.add(job)
        turns.done(job, 0.005)
        passed += 0.005
    assert passed < 0.5, "beside the second alone it had to wait for 0.15 s"


def test_who_comes_back_has_saved_up_nothing_and_owes_what_it_owed() -> None:
    busy, late = job_of("busy"), job_of("late")
    turns, seconds = Turns(), {busy: 0.1, late: 0.1}
    turns.add(busy)
    serve(turns, [busy], 500, seconds)
    turns.add(late)
    had = serve(turns, [busy, late], 100, seconds)
    assert had[busy] == pytest.approx(had[late], abs=0.11), "50 seconds alone give nobody else 50 seconds"


def test_in_any_order_of_events_nobody_is_left_out() -> None:
    rng, turns = random.Random(0), Turns()
    jobs = [job_of(rng.choice("abcde")) for _ in range(30)]
    waiting, under_way, waited = set(), [], Counter[Job]()
    for _ in range(5000):
        job = rng.choice(jobs)
        if job not in waiting and job not in under_way and rng.random() < 0.5:
            turns.add(job)
            waiting.add(job)
        elif job in waiting and rng.random() < 0.1:
            turns.remove(job)
            waiting.remove(job)
            waited[job] = 0
        elif waiting and len(under_way) < 2:
            taken = turns.take()
            assert taken in waiting
            waiting.remove(taken)
            under_way.append(taken)
            waited[taken] = 0
            for other in waiting:
                waited[other] += 1
                assert waited[other] < 150
        elif under_way:
            turns.done(under_way.pop(0), rng.random())
    assert turns.people() == len({job.visitor for job in [*waiting, *under_way]})


def test_what_is_not_due_is_passed_over() -> None:
    first, second = job_of("a"), job_of("b")
    turns = Turns()
    turns.add(first), turns.add(second)
    assert turns.take(lambda job: job is second) is second
    assert turns.take(lambda job: False) is None
    assert turns.take() is first


def test_with_one_each_nobody_has_two_at_a_time() -> None:
    turns = Turns()
    mine, theirs = [job_of("me") for _ in range(3)], job_of("you")
    for job in [*mine, theirs]:
        turns.add(job)
    assert [turns.take(one_each=True) for _ in range(3)] == [mine[0], theirs, None]
    assert turns.in_order() == mine[1:]
    turns.done(mine[0], 7.0)
    assert turns.take(one_each=True) is mine[1]


def test_places_in_the_queue_go_by_people() -> None:
    turns = Turns()
    mine = [job_of("me") for _ in range(3)]
    others = [job_of(person) for person in "bc"]
    for job in [*mine, *others]:
        turns.add(job)
    order = turns.in_order()
    assert order == [mine[0], *others, mine[1], mine[2]]
    taken = []
    while (job := turns.take()) is not None:
        taken.append(job)
        turns.done(job, 1.0)
    assert taken == order, "and so it comes"


def test_a_round_is_shared_among_people_or_among_ones_own_runs() -> None:
    turns = Turns()
    mine, others = [job_of("me") for _ in range(5)], [job_of(person) for person in "abc"]
    for job in [*mine[1:], *others]:
        turns.add(job)
    always = lambda job: True  # noqa: E731
    assert turns.sharing(mine[0], always) == 5
    assert turns.sharing(others[0], always) == 4
    assert turns.sharing(mine[0], lambda job: job.visitor == "a") == 2


def test_people_who_are_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.turns.MOST_CLOCKS", 10)
    turns = Turns()
    for number in range(200):
        job = job_of(str(number))
        turns.add(job)
        assert turns.take() is job
        turns.done(job, 0.1)
    assert len(turns._clocks) < 15 and not turns._served
    turns.add(stays := job_of("stays"))
    for number in range(400):
        if number % 2:
            turns.add(job_of(str(number)))
        taken = turns.take()
        assert taken is not None
        turns.done(taken, 0.1)
        if taken is stays:
            turns.add(stays)
    assert len(turns._clocks) < 15


# With the threads


def test_of_a_runs_last_three_turns_the_shortest_is_charged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    charged: list[float] = []
    done = Turns.done

    def noting(turns: Turns, job: Job, seconds: float) -> None:
        if job.step:
            charged.append(seconds)
        done(turns, job, seconds)

    monkeypatch.setattr(Turns, "done", noting)
    jobs = make(tmp_path)
    jobs.start("quadratic", QuadraticConfig(steps=10**8), "me")
    take_turn, naps = jobs._take_turn, iter([0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.4, 0.4, 0.4, 0.0])

    def slower(job: Job) -> None:
        time.sleep(next(naps, 0.0))
        take_turn(job)

    jobs._take_turn = slower
    wait(lambda: len(charged) > 20)
    jobs.shutdown()
    assert [round(seconds, 1) for seconds in charged if seconds > 0.3] == [0.4], "the third of three long ones"


def test_one_run_beside_another_persons_six_gets_half(tmp_path: Path) -> None:
    jobs = make(tmp_path)
    many = [jobs.start("quadratic", QuadraticConfig(steps=10**8), "many") for _ in range(6)]
    one = jobs.start("quadratic", QuadraticConfig(steps=10**8), "one")
    wait(lambda: all(job.step > 0 for job in [*many, one]))
    before = {job: job.seconds for job in [*many, one]}

    def trained() -> tuple[float, float]:
        return one.seconds - before[one], sum(job.seconds - before[job] for job in many)

    wait(lambda: min(trained()) > 2.0, 60)  # a machine that stands still for a second holds up a single turn
    mine, theirs = trained()
    assert 0.5 < theirs / mine < 2
    assert one.people == 2 and one.pace.turn_seconds is not None and one.pace.turn_seconds < 5
    jobs.shutdown()


def test_a_long_compilation_holds_up_neither_the_next_person_nor_training(tmp_path: Path) -> None:
    go_on = threading.Event()

    class Slow(Engine):
        def prepare(self) -> None:
            if self.config.seeds == 64:
                go_on.wait(60)

    jobs = make(tmp_path)
    jobs._build = lambda slug, config: Slow(config)
    slow = [jobs.start("quadratic", QuadraticConfig(seeds=64), "slow") for _ in range(3)]
    wait(lambda: slow[0].state is State.COMPILING)
    quick = jobs.start("quadratic", QuadraticConfig(), "quick")
    wait(lambda: not quick.active)
    assert [job.state for job in slow] == [State.COMPILING, State.QUEUED, State.QUEUED]
    assert [job.place for job in slow] == [0, 1, 2]
    jobs.stop(slow[1].id)
    assert slow[1].state is State.STOPPED and slow[2].place == 1
    jobs.stop(slow[0].id)
    assert slow[0].state is State.STOPPED, "what is being compiled has nothing to lose"
    go_on.set()
    wait(lambda: slow[2].state is State.FINISHED)
    assert slow[0].engine is None and slow[0].state is State.STOPPED
    jobs.shutdown()
