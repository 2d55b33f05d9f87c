"""What the stream tells of a room: one frame for all who are in it, and a fuller one for its host's wall."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

import psutil

from app import frames
from app.service import rooms, sweeps
from demos.registry import DEMOS, get
from lib.class_map import class_map
from lib.records import RoomRecord, RunRecord
from lib.style import Json
from lib.sweeps import Sweep

EVERY_SECONDS = 1.0
LEAST_CORE_SECONDS = 1.0  # over which the processor is measured: in less, one would see the measuring itself


class _Latest:
    """The texts that were made last: however many look on, they are made at most once in `EVERY_SECONDS`."""

    def __init__(self, make: Callable[[str], dict[str, str]]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._made: dict[str, tuple[float, str]] = {}

    def ready(self, key: str) -> str:
        """The text of a key that nobody has to wait for; empty where it is to be made."""
        when, made = self._made.get(key, (-math.inf, ""))
        return made if time.monotonic() - when < EVERY_SECONDS or self._lock.locked() else ""

    def get(self, key: str) -> str:
        """The text of a key. It is made together with those of others."""
        with self._lock:
            now = time.monotonic()
            if now - self._made.get(key, (-math.inf, ""))[0] >= EVERY_SECONDS:
                kept = {k: made for k, made in self._made.items() if now - made[0] < 60}
                self._made = kept | {k: (now, made) for k, made in self._make(key).items()}
            return self._made[key][1]


def frame(key: str) -> str:
    """The frame of a room by its id, or by that of its wall. Raises KeyError where there is none."""
    return _LATEST.get(key)


def ready(key: str) -> str:
    """The same where it is there already, or somebody makes a newer one just now; else empty. It takes no time."""
    return _LATEST.ready(key)


def _made(key: str) -> dict[str, str]:
    """The frames of a room and of its wall, by their ids."""
    room = rooms().get(key)
    if room is None:
        raise KeyError(key)
    known = {demo.slug for demo in DEMOS}  # a run may be of a demo that another version had
    runs = [run for run in rooms().runs(room.id) if run.slug in known]
    names = rooms().nicknames(room.id)
    content: Json = {
        "run": room.id,
        "state": "closed" if room.closed else "open",
        "event": rooms().event(room.id),
        "series": {},
        "people": len(rooms().members(room.id)),
        "training": sum(run.state == "running" for run in runs),
        "waiting": sum(run.state in frames.WAITING for run in runs),
        "board": [asdict(place) for place in rooms().board(room.id, runs)],
        "figures": {"class_map": map_of(room, runs, names)} if room.map and not rooms().map_problem(room) else {},
    }
    wall = content | {"wall": _wall(room, runs, names), "machine": _machine()}
    return {room.id: frames.text(content), room.wall: frames.text(wall)}


_LATEST = _Latest(_made)


def map_of(room: RoomRecord, runs: list[RunRecord], nicknames: dict[str, str]) -> Json:
    """The class map that the host has chosen."""
    demo = get(room.map["slug"])
    chosen = [run for run in runs if run.slug == demo.slug]
    base = rooms().base(room, demo.slug)
    return class_map(demo.title, demo.config, base, room.map["x"], room.map["y"], chosen, nicknames, demo.theory)


def _wall(room: RoomRecord, runs: list[RunRecord], nicknames: dict[str, str]) -> list[Json]:
    """Each person's latest run, in the order in which they came, and then everybody's sweeps."""
    latest: dict[str, RunRecord] = {}
    for run in runs:
        latest.setdefault(run.visitor, run)
    present = rooms().members(room.id)
    cards = [_card(latest[visitor], nicknames[visitor]) for visitor in present if visitor in latest]
    swept = [sweep for record in rooms().sweeps(room.id) if (sweep := sweeps().get(record.id)) is not None]
    return cards + [_sweep_card(sweep, nicknames[sweep.visitor]) for sweep in swept]


def _card(run: RunRecord, nickname: str) -> Json:
    loss = run.summary.get("loss", {}).get("last")
    known = {"id": run.id, "state": run.state, "step": run.step, "steps": run.steps, "spark": run.spark}
    return known | {"nickname": nickname, "demo": get(run.slug).title, "loss": loss}


def _sweep_card(sweep: Sweep, nickname: str) -> Json:
    """The same of a sweep, whose steps are its cells."""
    known = {"id": sweep.id, "state": str(sweep.state), "step": len(sweep.results), "steps": len(sweep.cells)}
    title = f"Sweep of {get(sweep.slug).title}"
    return known | {"nickname": nickname, "demo": title, "loss": None, "spark": [], "sweep": True}


class _Processor:
    """How busy the processor is. That of psutil begins anew in each thread, where it says 0 %, and any of them may ask."""

    def __init__(self) -> None:
        self._busy, self._total = _processor_seconds()
        self._percent = 0.0

    def percent(self) -> float:
        """The share of all cores' time that was used of late, in percent."""
        busy, total = _processor_seconds()
        if total > self._total + LEAST_CORE_SECONDS:
            self._percent = 100 * min(1.0, max(0.0, (busy - self._busy) / (total - self._total)))
            self._busy, self._total = busy, total
        return self._percent


def _processor_seconds() -> tuple[float, float]:
    """What all cores have worked since the machine started, and what they could have, in seconds."""
    times = psutil.cpu_times()._asdict()
    total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)  # these are in others already
    return total - times["idle"] - times.get("iowait", 0.0), total


_PROCESSOR = _Processor()


def _machine() -> Json:
    """How busy the machine is: percent of all cores of late, and bytes."""
    memory = psutil.virtual_memory()
    return {"processor": _PROCESSOR.percent(), "memory": memory.total - memory.available, "memory_in_all": memory.total}
