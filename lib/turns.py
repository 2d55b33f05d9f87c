"""Whose turn it is: fair between people, and then between the runs of one person.

Each person has a clock that counts the seconds that their runs are charged for, and the next turn is that of the person whose
clock is furthest back (start-time fair queuing: Goyal, Vin and Cheng, 1996). Who comes back after having wanted nothing goes
on where the others are, so that nobody saves up turns. Of one person's jobs the one that has waited longest is next.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator

from lib.job import Job

MOST_CLOCKS = 1000
LEAST_CHARGED, FORGIVEN, MOST_OWED = 0.01, 0.1, 0.5  # seconds
INSTALMENTS = 40


class Turns:
    """The jobs that wait for a turn. Whoever calls a method holds a lock.

    A turn is charged for with its seconds, and with no fewer than `LEAST_CHARGED`: or else those with short turns, which cost
    more than what they train, would have three while others wait for one. Of a turn that took long (a measurement, or a machine
    that is busy for long) a person pays no more than `most` seconds, shared by the number of people: the time in which everybody
    else has turns worth `most` seconds. So every run moves, and in a crowd everybody has as many turns. What it took beyond
    `FORGIVEN` seconds is owed, and paid for little by little: at each turn a fortieth of it, and all beyond `MOST_OWED` seconds.
    So one long turn costs no long wait, and many of them do. Whoever comes later makes nobody wait longer for what they were
    charged before.
    """

    def __init__(self, most: float = math.inf) -> None:
        self._most = most
        self._waiting: dict[Job, None] = {}  # the one that has waited longest first
        self._served: Counter[str] = Counter()  # how many turns each person has just now
        self._clocks: dict[str, float] = {}
        self._owed: dict[str, float] = {}  # seconds
        self._now = 0.0  # the clock of those who come back

    def add(self, job: Job) -> None:
        """Let a job wait for its turn."""
        here = self._here()
        if not here:
            self._clocks.clear()  # the machine had nothing to do, so nobody took anything from anybody
            self._owed.clear()
        elif job.visitor not in here and self._clock(job.visitor) <= self._now:
            for person in here:  # or who was charged among few would have to wait for that much of everybody in a crowd
                self._clocks[person] = self._now + (self._clock(person) - self._now) * len(here) / (len(here) + 1)
        if job not in self._waiting:
            self._waiting[job], job.waiting_since = None, time.monotonic()
        self._clocks[job.visitor] = max(self._now, self._clocks.get(job.visitor, 0.0))

    def remove(self, job: Job) -> None:
        """Let it wait no longer."""
        self._waiting.pop(job, None)

    def take(self, due: Callable[[Job], bool] = lambda job: True, *, one_each: bool = False) -> Job | None:
        """The job whose turn it is among those that are `due`; with `one_each` of a person who has no turn just now."""
        first: dict[str, Job] = {}
        for job in self._waiting:
            if job.visitor not in first and due(job):
                first[job.visitor] = job
        if not first:
            return None
        self._now = max(self._now, min(map(self._clock, [*first, *self._served])))
        person = min(first, key=lambda person: (self._served[person], self._clock(person)))
        if one_each and self._served[person]:
            return None
        job = first[person]
        self.remove(job)
        self._served[person] += 1
        return job

    def done(self, job: Job, seconds: float) -> None:
        """The turn that `take` gave has ended, and has used so many seconds."""
        charged = min(max(seconds, LEAST_CHARGED), self._most / self.people())
        owed = self._owed.pop(job.visitor, 0.0) + max(0.0, seconds - max(charged, FORGIVEN))
        if owed:
            paid = max(owed / INSTALMENTS, owed - MOST_OWED)
            charged += paid
            self._owed[job.visitor] = owed - paid
        self._clocks[job.visitor] = self._clock(job.visitor) + charged
        self._served -= Counter([job.visitor])
        if len(self._clocks) > MOST_CLOCKS:  # who is not ahead of those that come back needs none
            self._clocks = {person: clock for person, clock in self._clocks.items() if clock > self._now}
            self._owed = {person: owed for person, owed in self._owed.items() if person in self._clocks}

    def _clock(self, person: str) -> float:
        return self._clocks.get(person, self._now)

    def people(self) -> int:
        """How many people take turns."""
        return len(self._here())

    def _here(self) -> set[str]:
        return {job.visitor for job in self._waiting} | set(self._served)

    def sharing(self, job: Job, due: Callable[[Job], bool]) -> int:
        """Among how many one round of turns is shared: the people who are due, or, if that is more, the job's person's jobs."""
        others = [other.visitor for other in self._waiting if due(other)]
        return max(len({job.visitor, *others}), 1 + others.count(job.visitor))

    def in_order(self) -> list[Job]:
        """Those that wait, about in the order of their turns: everybody's first job, then everybody's second, …"""
        before: Counter[str] = Counter()
        places: dict[Job, tuple[int, float]] = {}
        for job in self._waiting:
            places[job] = (before[job.visitor] + self._served[job.visitor], self._clock(job.visitor))
            before[job.visitor] += 1
        return sorted(places, key=places.__getitem__)

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._waiting))
