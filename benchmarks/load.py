"""A room full of people on one server: `make load N=50` (also SECONDS=300). Exits with 1 when a target is missed.

It starts a server of its own as `make host` does, with an empty data folder. One of the attendees opens a room, and the others
join it. All are simulated in this one process, apart from the server's (see benchmarks/attendee.py).
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
import uvloop

from benchmarks.attendee import OPENING, Attendee, Door, Stretch
from benchmarks.host import Host
from tests.conftest import HostedServer, Server

# Of ten attendees. Most are where a workshop begins.
PAGES = ("echo", "echo", "binary-rule", "echo", "gates", "echo", "echo", "story", "echo", "echo")
ARRIVAL_SECONDS = 0.2  # from one to the next
# After everyone left. Streamlit forgets sessions, two minutes after, when a page is opened; their memory is then given back soon.
AFTER_SECONDS = (60.0, 150.0, 190.0)
WARM_UP_SECONDS, QUIET_SECONDS, QUIET_SHARE = 3.0, 3.0, 0.1
FAIR_SECONDS = 5.0  # of each stretch, in which the runs' steps are compared
FEWEST_STRETCHES = 2  # of a run that is compared: while everybody arrives all are slower
FEWEST_EQUALS = 3  # runs of a page, or there is none to be compared with
LONG_ENOUGH = 2.0  # seconds of a stretch whose updates are counted
MOST_GAP, LEAST_SHARE, LEAST_UPDATES = 1.0, 0.5, 1.0
MEDIAN_SECONDS, P95_SECONDS, MOST_MEMORY = 0.5, 1.5, 100.0
LISTED = 12  # lines about what missed a target


class Process:
    """What Linux tells of a process, and of those that it has begun."""

    def __init__(self, pid: int, *, alone: bool = False) -> None:
        self.id, self._first, self._alone = pid, psutil.Process(pid), alone

    def _all(self) -> list[psutil.Process]:
        return [self._first, *([] if self._alone else self._first.children(recursive=True))]

    def megabytes(self) -> float:
        """Their resident memory."""
        return sum(process.memory_info().rss for process in self._all()) / 1e6

    def cpu_seconds(self) -> float:
        """The time of all cores that they have had."""
        return sum(sum(process.cpu_times()[:2]) for process in self._all())

    def waiting_seconds(self) -> float:
        """How long their threads of now were ready to run while all cores had other work."""
        waited = 0
        for task in (task for process in self._all() for task in Path(f"/proc/{process.pid}/task").iterdir()):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                waited += int((task / "schedstat").read_text().split()[1])
        return waited / 1e9


@dataclass
class Machine:
    """What was measured beside the attendees: megabytes of the server, and shares of one core."""

    memory: dict[str, float] = field(default_factory=dict)
    web_share: float = 0.0
    training_share: float = 0.0  # of the processes that train; with UNROLLED_BACKEND=threads it is in the web server's
    server_waits: float = 0.0  # for a core
    client_share: float = 0.0
    stolen: float = 0.0  # cores that the machine's host gave to others
    client_lag: float = 0.0  # the longest time in which this process did not listen
    load: float = 0.0


@dataclass
class Row:
    """A line of the table; `missed` lists what was beyond the target."""

    name: str
    figures: dict[str, float]
    target: str = ""
    missed: list[str] = field(default_factory=list)


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--attendees", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument(
        "--after", type=float, nargs="*", default=AFTER_SECONDS, help="when to look at the memory again"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        server = HostedServer(Path(home))
        server.start()
        try:
            attendees, machine = uvloop.run(run(server, options.attendees, options.seconds, options.after))
        finally:
            server.stop()
        rows = table(attendees, machine, server.log.read_text(errors="replace"))
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.json else in_lines(rows))
    sys.exit(any(row.missed for row in rows))


async def run(server: Server, count: int, seconds: float, after: Sequence[float]) -> tuple[list[Attendee], Machine]:
    """A whole session: a warm server, the crowd for so many seconds, and the memory when they have left."""
    process, machine = Process(server.process.pid), Machine()
    await _quiet(process)
    machine.memory["before"] = process.megabytes()
    attendees = people(server.url, count)
    await crowd(attendees, _watch(process, machine, seconds))
    left = time.monotonic()
    for wait in after:
        await asyncio.sleep(max(0.0, left + wait - time.monotonic()))
        # Streamlit drops old sessions when a page is opened.
        await crowd([Attendee(count, server.url, "home")], asyncio.sleep(2))
        machine.memory[f"{wait:.0f} s after"] = process.megabytes()
    return attendees, machine


def people(url: str, count: int, **habits: Any) -> list[Attendee]:
    """A host, and those who join the host's room."""
    door = Door()
    return [Host(url, door), *(Attendee(i, url, PAGES[i % len(PAGES)], door, **habits) for i in range(1, count))]


async def crowd(attendees: Sequence[Attendee], end: Awaitable[None]) -> None:
    """Let them come one after the other, and leave at the end."""
    async with asyncio.TaskGroup() as tasks:
        visits = [tasks.create_task(each.attend(i * ARRIVAL_SECONDS)) for i, each in enumerate(attendees)]
        await end
        for visit in visits:
            visit.cancel()


async def _quiet(process: Process) -> None:
    """Wait until the server has done what it does in the background when it starts."""
    await asyncio.sleep(WARM_UP_SECONDS)
    share = 1.0
    while share > QUIET_SHARE:
        before = process.cpu_seconds()
        await asyncio.sleep(QUIET_SECONDS)
        share = (process.cpu_seconds() - before) / QUIET_SECONDS


async def _watch(process: Process, machine: Machine, seconds: float) -> None:
    """Look at the server and at this process for so many seconds."""
    own, web = Process(os.getpid(), alone=True), Process(process.id, alone=True)
    started, of_server, of_web, of_client = time.monotonic(), *(each.cpu_seconds() for each in (process, web, own))
    waited, stolen = process.waiting_seconds(), psutil.cpu_times().steal
    peak = 0.0
    while time.monotonic() < started + seconds:
        before = time.monotonic()
        await asyncio.sleep(0.1)
        machine.client_lag = max(machine.client_lag, time.monotonic() - before - 0.1)
        peak = max(peak, process.megabytes())
    passed = time.monotonic() - started
    machine.web_share = (web.cpu_seconds() - of_web) / passed
    machine.training_share = (process.cpu_seconds() - of_server) / passed - machine.web_share
    machine.server_waits = (process.waiting_seconds() - waited) / passed
    machine.stolen = (psutil.cpu_times().steal - stolen) / passed
    machine.client_share = (own.cpu_seconds() - of_client) / passed
    machine.load, machine.memory["at most"] = os.getloadavg()[0], peak


def table(attendees: Sequence[Attendee], machine: Machine, log: str) -> list[Row]:
    """All that was measured, each with its target."""
    stretches = [stretch for each in attendees for stretch in each.seen.stretches]
    actions = [(each, *action) for each in attendees for action in each.seen.actions]
    runs = {run for each in attendees for run in each.seen.runs}
    acted = [seconds for each in attendees for seconds in _acted(each)]
    return [
        Row("attendees", {"attendees": len(attendees), "runs": len(runs), "actions": len(acted)}),
        _errors(attendees, log),
        Row("opening a page, s", _spread([seconds for _, name, seconds in actions if name == OPENING])),
        _latency(acted, actions),
        _updates(stretches),
        _gaps(stretches),
        _fairness(stretches),
        _memory(machine),
        Row("CPU, % of a core", _cpu(machine)),
        Row("the machine", {"load average": machine.load, "this client's longest lag, s": machine.client_lag}),
    ]


def _cpu(machine: Machine) -> dict[str, float]:
    shares = {
        "web server": machine.web_share,
        "training": machine.training_share,
        "server waiting for a core": machine.server_waits,
        "this client": machine.client_share,
        "stolen by the machine's host": machine.stolen,
    }
    return {name: 100 * share for name, share in shares.items()}


def _spread(values: Sequence[float]) -> dict[str, float]:
    if len(values) < 2:
        return {"median": values[0], "max": values[0]} if values else {}
    p95 = statistics.quantiles(values, n=20, method="inclusive")[-1]
    return {"median": statistics.median(values), "p95": p95, "max": max(values)}


def _errors(attendees: Sequence[Attendee], log: str) -> Row:
    """What attendees were shown in red or lost, and what the server's log has of exceptions."""
    counts = Counter(f"{each.name}: {text}" for each in attendees for text in each.seen.troubles.elements())
    counts.update(f"{each.name}: attendee {each.number} could do nothing" for each in attendees if not _acted(each))
    counts.update(f"in the server's log: {line}" for line in tracebacks(log))
    missed = [f"{count} × {text}" for text, count in counts.most_common()]
    return Row("errors", {"errors": counts.total()}, "none", missed)


def _acted(attendee: Attendee) -> list[float]:
    """How long each action took, without the opening of the page."""
    return [seconds for name, seconds in attendee.seen.actions if name != OPENING]


def tracebacks(log: str) -> list[str]:
    """The last line of each traceback in a log: the exception, and its message or, in a hosted server's, where it was raised."""
    found, inside = [], False
    for line in log.splitlines():
        if line.startswith("{"):
            found += _logged(line)
        elif "Traceback (most recent call last)" in line:
            inside = True
        elif inside and line and not line.startswith((" ", "|", "+")):
            found.append(line)
            inside = False
    return found


def _logged(line: str) -> list[str]:
    """The exception in a line of JSON."""
    try:
        error = json.loads(line).get("error")
    except ValueError:
        return []
    return [error.splitlines()[-1]] if error else []


def _latency(acted: Sequence[float], actions: Sequence[tuple[Attendee, str, float]]) -> Row:
    """From the click until the page's script has run."""
    figures, missed = _spread(acted), []
    if figures and (figures["median"] >= MEDIAN_SECONDS or figures.get("p95", 0.0) >= P95_SECONDS):
        slow = sorted((each for each in actions if each[1] != OPENING), key=lambda action: -action[2])
        missed = [f"{each.number} on {each.name}: {name} took {seconds:.2f} s" for each, name, seconds in slow]
    target = f"median < {MEDIAN_SECONDS} s, p95 < {P95_SECONDS} s"
    return Row("a page action, s", figures, target, missed if acted else ["there was no action"])


def _updates(stretches: Sequence[Stretch]) -> Row:
    """Frames of the stream a second, of each viewer while a run of theirs moved."""
    seconds: defaultdict[int, float] = defaultdict(float)
    frames: Counter[int] = Counter()
    for each in stretches:
        if each.seconds >= LONG_ENOUGH:
            seconds[each.attendee] += each.seconds
            frames[each.attendee] += each.updates
    rates = {viewer: frames[viewer] / seconds[viewer] for viewer in seconds}
    figures = {"min": min(rates.values()), "median": statistics.median(rates.values())} if rates else {}
    slow = [
        f"attendee {viewer}: {rate:.2f} updates/s" for viewer, rate in sorted(rates.items()) if rate < LEAST_UPDATES
    ]
    return Row("updates/s of a viewer", figures, f"at least {LEAST_UPDATES:g}", slow if rates else ["nothing moved"])


def _gaps(stretches: Sequence[Stretch]) -> Row:
    """The longest time that a run which was to train stood still."""
    late = sorted((each for each in stretches if each.gap > MOST_GAP), key=lambda stretch: -stretch.gap)
    missed = [f"{_which(each)}: {each.gap:.1f} s without a step" for each in late]
    gaps = _spread([each.gap for each in stretches]) | {"over the target": len(late), "of": len(stretches)}
    return Row("longest time without a step, s", gaps, f"at most {MOST_GAP:g} s", missed)


def _fairness(stretches: Sequence[Stretch]) -> Row:
    """A run's steps in the first seconds of its stretches, on average, against the median of the same page's runs. One that was
    seen once only is left out: that says more of the moment."""
    shares: list[tuple[float, str]] = []
    for page in sorted({each.page for each in stretches}):
        steps: defaultdict[str, list[int]] = defaultdict(list)
        for each in stretches:
            if each.page == page and each.seconds >= FAIR_SECONDS:
                steps[each.run].append(each.steps_within(FAIR_SECONDS))
        means = {run: statistics.mean(counts) for run, counts in steps.items() if len(counts) >= FEWEST_STRETCHES}
        if len(means) < FEWEST_EQUALS:
            continue
        middle = max(1.0, statistics.median(means.values()))
        shares += [
            (mean / middle, f"{page}, run {run}: {mean:,.0f} steps in {FAIR_SECONDS:g} s, the median is {middle:,.0f}")
            for run, mean in means.items()
        ]
    shares.sort()
    figures: dict[str, float] = {"slowest": shares[0][0], "compared": len(shares)} if shares else {"compared": 0}
    missed = [text for share, text in shares if share < LEAST_SHARE]
    return Row("a run's steps, as a share of the median", figures, f"slowest at least {LEAST_SHARE:g}", missed)


def _memory(machine: Machine) -> Row:
    *_, last = machine.memory.values()
    more = last - machine.memory["before"]
    missed = [f"{more:+,.0f} MB at the end"] if more > MOST_MEMORY else []
    return Row("server's memory, MB", machine.memory, f"at the end within {MOST_MEMORY:g} of before", missed)


def _which(stretch: Stretch) -> str:
    return f"attendee {stretch.attendee} on {stretch.page}, run {stretch.run}"


def in_lines(rows: Sequence[Row]) -> str:
    """The table, and below it what missed a target."""
    lines = []
    for row in rows:
        figures = ", ".join(f"{name} {_number(value)}" for name, value in row.figures.items())
        verdict = ("MISSED " if row.missed else "met    ") if row.target else " " * 7
        lines.append(f"{verdict}{row.name:32} {figures}{f'   (target: {row.target})' if row.target else ''}")
    for row in rows:
        if row.missed:
            lines += ["", f"{row.name}:", *(f"  {text}" for text in row.missed[:LISTED])]
            lines += [f"  and {len(row.missed) - LISTED} more"] * (len(row.missed) > LISTED)
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if isinstance(value, int) or value >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    main()
