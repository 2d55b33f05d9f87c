"""Faults on purpose, while people work: `make chaos` (also MINUTES=10, SEED=…). Exits with 1 when something was lost.

Ten simulated attendees (benchmarks/attendee.py) are in a room of a server of their own, which runs as `make host` does, and
every now and then something breaks: a process, the disk, the network. What the server had told them before must still hold
afterwards (benchmarks/ledger.py), and each of them must be able to act again. Only where the server itself has ended may runs
wait paused; else they go on by themselves. The same seed draws the same faults.
"""

import argparse
import asyncio
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from benchmarks.attendee import UNASKED, Attendee
from benchmarks.ledger import Ledger
from benchmarks.load import crowd, people, tracebacks
from tests.conftest import HostedServer, Server

ATTENDEES = 10
CALM_SECONDS = (10.0, 25.0)  # between two faults
BACK_SECONDS = 90.0  # until when everybody must be able to act again
LONGEST_STOP = 5.0  # seconds from SIGTERM to the end of the process
SETTLED_SECONDS = 2.0  # after a pause the step is the last one, also where the news of it is late
SERVER_ENDS = ("kill", "terminate")
FULL_SECONDS, LOCKED_SECONDS = 12.0, 3.0
DISK = "256m"
LOCK = f"""
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
time.sleep({LOCKED_SECONDS})
"""


@dataclass
class Room:
    """The server, the people, and what they were told. `wrong` is what fails the run."""

    server: Server
    small_disk: bool
    random: random.Random
    ledger: Ledger = field(default_factory=Ledger)
    attendees: list[Attendee] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def main() -> None:
    """Run it and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=list(FAULTS))
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    with tempfile.TemporaryDirectory() as folder, _disk(Path(folder) / "data") as small:
        server = HostedServer(Path(folder) / "data")
        server.log = Path(folder) / "server.log"  # not on the disk that is filled
        server.start()
        room = Room(server, small, random.Random(options.seed))
        try:
            asyncio.run(_session(room, options.minutes * 60, options.faults))
        except KeyboardInterrupt:
            room.wrong.append("it was interrupted")
        finally:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()
    print(f"\n{len(room.ledger.told)} runs were shown, {len(room.ledger.losses)} of them lost something")
    for run, text in room.ledger.losses.items():
        print(f"  run {run}: {text}")
    print(*(f"  {text}" for text in room.wrong), sep="\n")
    sys.exit(bool(room.ledger.losses or room.wrong))


@contextmanager
def _disk(folder: Path) -> Iterator[bool]:
    """A small disk of its own for the data folder; False, and only a folder, where we may not mount one."""
    folder.mkdir()
    mounts = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=False
    ).returncode == 0  # fmt: skip
    try:
        yield mounts
    finally:
        if mounts:
            subprocess.run(["umount", "-l", str(folder)], check=False)


async def _session(room: Room, seconds: float, faults: list[str]) -> None:
    """Attendees at work, and faults until the time is over; at the end a restart shows what is on the disk."""
    room.attendees = people(room.server.url, ATTENDEES, stops=True, hears=room.ledger.hear)
    await crowd(room.attendees, _break_things(room, seconds, faults))


async def _break_things(room: Room, seconds: float, faults: list[str]) -> None:
    end = time.monotonic() + seconds
    await _everyone_acts(room)
    bag: list[str] = []
    while time.monotonic() < end:
        await asyncio.sleep(room.random.uniform(*CALM_SECONDS))
        bag = bag or room.random.sample(faults, len(faults))  # each comes once before one comes twice
        await _suffer(room, bag.pop())
    await _suffer(room, "kill")
    await _suffer(room, "terminate")


async def _suffer(room: Room, name: str) -> None:
    """One fault, from its beginning until everyone can act again, and what it did."""
    started, troubles, size = time.monotonic(), _troubles(room), room.server.log.stat().st_size
    losses = set(room.ledger.losses)
    what = await FAULTS[name](room)
    over = time.monotonic()
    await _compare(room, started)
    await _everyone_acts(room)
    back = time.monotonic() - over
    print(
        f"{time.strftime('%H:%M:%S')} {what}; the fault took {over - started:.1f} s, everyone had acted {back:.1f} s later"
    )
    shown = _troubles(room) - troubles
    if name not in SERVER_ENDS and shown[UNASKED]:
        room.wrong.append(f"{what}: {shown[UNASKED]} × {UNASKED}")
    logged = Counter(tracebacks(room.server.log.read_bytes()[size:].decode(errors="replace")))
    for title, counts in (("attendees saw", shown), ("the server's log has", logged)):
        for text, count in counts.most_common(6):
            print(f"    {title} {count} × {text[:300]}")
    for run in room.ledger.losses.keys() - losses:
        print(f"    LOST run {run}: {room.ledger.losses[run]}")
    sys.stdout.flush()


def _troubles(room: Room) -> Counter[str]:
    return sum((each.seen.troubles for each in room.attendees), Counter())


async def _everyone_acts(room: Room) -> None:
    """Wait until each attendee has done something with success."""
    before = {each: len(each.seen.actions) for each in room.attendees}
    deadline = time.monotonic() + BACK_SECONDS
    while late := [each for each, count in before.items() if len(each.seen.actions) == count]:
        if time.monotonic() > deadline:
            who = ", ".join(f"{each.number} on {each.name}" for each in late)
            room.wrong.append(f"not able to act within {BACK_SECONDS:g} s: attendees {who}")
            print(f"    WRONG {room.wrong[-1]}", flush=True)
            return
        await asyncio.sleep(0.1)


async def _compare(room: Room, fault_at: float) -> None:
    """Ask the server for every run that was shown."""
    owners = {run: each for each in room.attendees for run in each.seen.runs}
    async with httpx.AsyncClient(base_url=room.server.url, verify=False, timeout=30) as http:
        for run in list(room.ledger.told):
            answer = await http.get(f"/api/runs/{run}")
            if answer.status_code not in (200, 404):
                room.wrong.append(f"run {run}: the server answers with status {answer.status_code}")
                continue
            paused = owners[run].paused_since
            left_alone = paused is not None and paused < fault_at - SETTLED_SECONDS
            room.ledger.compare(run, answer.json() if answer.status_code == 200 else None, left_alone=left_alone)


# Faults. Each says what it did.


async def _kill(room: Room) -> str:
    room.server.process.kill()
    room.server.process.wait()
    await asyncio.to_thread(room.server.start)
    return "killed with SIGKILL and started again"


async def _terminate(room: Room) -> str:
    try:
        took = await asyncio.to_thread(room.server.stop)
    except subprocess.TimeoutExpired:
        room.server.process.kill()
        room.server.process.wait()
        took = float("inf")
    if took > LONGEST_STOP:
        room.wrong.append(f"after SIGTERM the server took {took:.1f} s to end, which may be {LONGEST_STOP:g} s at most")
    await asyncio.to_thread(room.server.start)
    return f"ended with SIGTERM in {took:.1f} s and started again"


async def _kill_worker(room: Room) -> str:
    children = psutil.Process(room.server.process.pid).children()
    trainers = [each for each in children if "lib.worker_process" in each.cmdline()]
    for trainer in trainers:
        trainer.kill()
    if not trainers:
        return "training killed: left out, because it has no process of its own"
    return "the process that trains killed with SIGKILL"


async def _fill_disk(room: Room) -> str:
    if not room.small_disk:
        return "disk full: left out, because it takes root to mount a small disk"
    filler = room.server.home / "filler"
    try:
        with filler.open("wb") as file:
            for block in (2**20, 2**12):
                with suppress(OSError):
                    while True:
                        os.write(file.fileno(), bytes(block))
        await asyncio.sleep(FULL_SECONDS)
    finally:
        filler.unlink()
    return f"disk full for {FULL_SECONDS:g} s"


async def _drop(room: Room) -> str:
    unlucky = room.random.sample(room.attendees, len(room.attendees) // 2)
    for attendee in unlucky:
        attendee.drop_connections()
    return f"connections of {len(unlucky)} attendees dropped"


async def _lock(room: Room) -> str:
    database = str(room.server.home / "runs.sqlite")
    locker = await asyncio.create_subprocess_exec(sys.executable, "-c", LOCK, database)
    try:
        await locker.wait()
    finally:
        if locker.returncode is None:
            locker.kill()
            await locker.wait()
    return f"store locked for {LOCKED_SECONDS:g} s by another process"


FAULTS: dict[str, Callable[[Room], Awaitable[str]]] = {
    "kill": _kill,
    "terminate": _terminate,
    "worker": _kill_worker,
    "full": _fill_disk,
    "drop": _drop,
    "lock": _lock,
}

if __name__ == "__main__":
    main()
