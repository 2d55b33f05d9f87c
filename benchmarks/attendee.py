"""A simulated attendee of a workshop: opens a page, starts runs, watches their streams, and steers them like a person.

It does what the page's own scripts do (app/static/stream.js and status.js), with the same requests. What it saw is kept as
numbers: how long actions took and, for each stretch of time in which a run was to train, when which step was seen.

In a workshop they join its room before they go to their page, and follow the room's stream there. benchmarks/host.py opens it.
"""

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import WebSocketException

from benchmarks.run_stream import RETRY_SECONDS, Frame, RunStream, reset_on_close
from benchmarks.streamlit_page import Page

Key = tuple[str, str]  # of a stream: the run, and the view of what goes on inside it

PAUSE_SECONDS = (2.0, 6.0)  # between two actions
ACTION_SECONDS = 60.0  # after which an action counts as lost
CALM_SECONDS, TELL_AGAIN_SECONDS, LONGEST_SECONDS = 0.12, 1.0, 60.0  # as in status.js
PAUSING = ("Pause", "Step")
MOVING = ("queued", "compiling", "running")
OPENING, RELOAD, RATE = "open the page", "reload the page", "Learning rate"
UNASKED = "a run had to be resumed that nobody had paused"
STATIC = Path(__file__).parent.parent / "app" / "static"
SCRIPTS = re.compile(r"/api/static/[^/]+/")
LINKED = re.compile(r'(?:src|href)="\./(static/[^"]+)"')
CONNECTIONS = 6  # of a browser to one server
LIMITS = httpx.Limits(keepalive_expiry=2)  # sooner than the server closes an idle connection, which browsers try again
NETWORK_ERRORS = (httpx.TransportError, WebSocketException, OSError, TimeoutError)


@dataclass
class Stretch:
    """A time in which a run was to train without a break, as a viewer saw it: `marks` are moments and the step at each."""

    attendee: int
    page: str
    run: str
    marks: list[tuple[float, int]]
    until: float
    updates: int = 0

    @property
    def seconds(self) -> float:
        """How long it was seen."""
        return self.until - self.marks[0][0]

    @property
    def gap(self) -> float:
        """The longest time without a new step."""
        moments = [*(at for at, _ in self.marks), self.until]
        return max(after - before for before, after in pairwise(moments))

    def steps_within(self, seconds: float) -> int:
        """How many steps were done in its first seconds."""
        begun, first = self.marks[0]
        return max(step for at, step in self.marks if at <= begun + seconds) - first


@dataclass
class Seen:
    """What an attendee went through. `actions` are names and seconds."""

    actions: list[tuple[str, float]] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    runs: set[str] = field(default_factory=set)
    troubles: Counter[str] = field(default_factory=Counter)


class Door:
    """Of a workshop's room: its code, once the host has opened it."""

    def __init__(self) -> None:
        self.code, self.open = "", asyncio.Event()


class Attendee:
    """One person with one page. `hears` is told of each frame of the run that is shown; one who `stops` ends runs early."""

    first, patience = "room", 1.0  # where one arrives who comes by a door; and in how many pauses one acts

    def __init__(
        self, number: int, url: str, page: str, door: Door | None = None, *,
        stops: bool = False, hears: Callable[[Frame], None] | None = None,
    ) -> None:  # fmt: skip
        self.number, self.name, self.seen = number, page, Seen()
        self.paused_since: float | None = (
            None  # when they paused the run or had it make a step, and did nothing else since
        )
        self._pause = [self.patience * seconds for seconds in PAUSE_SECONDS]
        self._door, self._stops, self._hears = door, stops, hears
        self._random = random.Random(number)
        self._http = httpx.AsyncClient(base_url=url, verify=False, timeout=ACTION_SECONDS, limits=LIMITS)
        self._connections = asyncio.Semaphore(CONNECTIONS)
        self._page = Page(url, self.first if door else page, self.trouble, self._drawn)
        self._steered = ""  # what they did last with a run
        self._came, self._ready = time.monotonic(), asyncio.Event()
        self._streams: dict[Key, RunStream] = {}
        self._stretches: dict[str, Stretch] = {}  # that have not ended
        self._events: dict[str, str] = {}  # what each run's stream says that the page must follow

    @property
    def stretches(self) -> list[Stretch]:
        """All that were seen, those that have not ended too."""
        return [*self.seen.stretches, *self._stretches.values()]

    def trouble(self, text: str) -> None:
        """Note what must not happen."""
        self.seen.troubles[text] += 1

    async def attend(self, after: float = 0.0) -> None:
        """Come, after some seconds, and act until cancelled."""
        await asyncio.sleep(after)
        await self._wait_outside()
        self._came = time.monotonic()
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in (self._stay_connected, self._act, self._tell_changes):
                    tasks.create_task(part())
        finally:
            for stretch in self._stretches.values():
                stretch.until = time.monotonic()  # a server that has fallen silent is not spared
            self._follow({})
            await self._page.leave()
            await self._http.aclose()

    def drop_connections(self) -> None:
        """Break all connections without a word to the server, as a lost Wi-Fi does. The page then tries again."""
        wanted = {key: stream.wants for key, stream in self._streams.items()}
        for stream in self._streams.values():
            stream.abort()
        self._streams.clear()
        self._follow(wanted)
        if self._page.socket is not None:
            reset_on_close(self._page.socket.transport.get_extra_info("socket"))
            self._page.socket.transport.abort()

    # The page

    async def _stay_connected(self) -> None:
        while True:
            try:
                if not self._http.cookies:
                    await self._load()
                await self._page.open(dict(self._http.cookies))
                await self._page.listen()
                if self._page.drawn:
                    self.trouble("the server closed the page's connection")
            except NETWORK_ERRORS as error:
                self.trouble(f"the page's connection: {_in_words(error)}")
            await asyncio.sleep(RETRY_SECONDS)

    async def _load(self) -> None:
        """The page with its visitor's cookie, what it links, and what its script asks for first."""
        html = await self._get(f"/{self._page.name}", **{"accept": "text/html", "accept-encoding": "identity"})
        linked = LINKED.findall(html.decode())
        await asyncio.gather(*(self._get(f"/{path}") for path in ("_stcore/health", "_stcore/host-config", *linked)))

    async def _get(self, path: str, **headers: str) -> bytes:
        """What is there, still packed."""
        async with self._connections, self._http.stream("GET", path, headers=headers) as answer:
            if answer.status_code != 200:
                self.trouble(f"GET {path}: status {answer.status_code}")
            return b"".join([chunk async for chunk in answer.aiter_raw()])

    def _drawn(self) -> None:
        """The script has run: follow the runs that the page shows now."""
        if not self._ready.is_set():
            self._ready.set()
            self.seen.actions.append((OPENING, time.monotonic() - self._came))
        self._follow(_wanted(data for _, data in self._page.components()))

    # What a person does

    async def _wait_outside(self) -> None:
        if self._door:
            await self._door.open.wait()

    async def _act(self) -> None:
        await self._ready.wait()
        if self._door:
            await self._try("coming in", self._come_in(self._door))
        await self._try("the page's scripts", self._load_scripts())
        while True:
            await asyncio.sleep(self._random.uniform(*self._pause))
            await self._ready.wait()
            action, started = self._choose(), time.monotonic()
            self.paused_since = None
            self._steer(action)
            done = await self._try(action, self._do(action))
            if not done:
                self._steered = ""  # who knows whether the server heard it
            elif action != RELOAD:
                self.seen.actions.append((action, time.monotonic() - started))
                self.paused_since = time.monotonic() if action in PAUSING else None

    def _steer(self, action: str) -> None:
        if action in ("Resume", "Step") and self._steered in ("Start", "Resume"):
            self.trouble(UNASKED)
        self._steered = self._steered if action == RATE else action

    async def _try(self, what: str, doing: Coroutine[Any, Any, None]) -> bool:
        """Whether it was done in time; otherwise it is noted."""
        try:
            async with asyncio.timeout(ACTION_SECONDS):
                await doing
            return True
        except NETWORK_ERRORS as error:
            self.trouble(f"{what}: {_in_words(error)}")
            return False

    async def _come_in(self, door: Door) -> None:
        """Join the room, and go to the page that one wants."""
        self._page.fill("Code", door.code)
        self._page.fill("Nickname", f"Ada {self.number}")
        await self._page.click("Join")
        await self._page.go(self.name)

    async def _load_scripts(self) -> None:
        """What the page's components import: our scripts, and Plotly's."""
        wanted = set()
        for component, data in self._page.components():
            folders = SCRIPTS.findall(component.js_content)
            wanted |= {folder + path.name for folder in folders for path in STATIC.glob("*.js")}
            wanted |= {data["plotly"]} if "plotly" in data else set()
        await asyncio.gather(*map(self._get, wanted))

    def _choose(self) -> str:
        """What to do next, as the buttons allow it."""
        if self._page.widget("button", "Pause") is not None:
            choices = [RATE, RATE, RATE, "Pause", "Pause"] + ["Stop"] * self._stops
        elif self._page.widget("button", "Resume") is not None:
            choices = ["Resume", "Step"]
        else:
            choices = ["Start"] if self._page.widget("button", "Start") is not None else [RELOAD]
        return self._random.choice(choices)

    async def _do(self, action: str) -> None:
        if action == RELOAD:
            self.trouble("the page had no buttons any more, and was loaded again")
            self._came = time.monotonic()
            self._ready.clear()
            await self._page.leave()
        elif action == RATE:
            await self._page.slide(RATE, self._random.choice((-1, 1)))
        else:
            await self._page.click(action)

    # What the page's scripts do

    def _follow(self, wanted: dict[Key, dict[str, str]]) -> None:
        """Follow these streams and no others. One that is to bring more is opened again, as in a browser."""
        for key in [key for key, stream in self._streams.items() if wanted.get(key) != stream.wants]:
            self._streams.pop(key).close()
        for run in set(self._stretches) - {run for run, _ in wanted}:
            self.seen.stretches.append(self._stretches.pop(run))
        for key in wanted.keys() - self._streams.keys():
            run, view = key
            on_frame = self._look_inside if view else self._hear
            self._streams[key] = RunStream(self._http, run, wanted[key], on_frame, self.trouble)

    def _look_inside(self, frame: Frame) -> None:
        """A picture of what goes on inside, which nothing depends on."""

    def _hear(self, frame: Frame) -> None:
        run, state = frame["run"], frame["state"]
        self._events[run] = frame["event"]
        if "step" not in frame:  # a room's
            return
        now, step = time.monotonic(), frame["step"]
        self.seen.runs.add(run)
        if state == "failed":
            self.trouble(f"a run of {self.name} failed: {frame['message']}")
        stretch = self._stretches.get(run)
        if stretch is None and state in MOVING:
            self._stretches[run] = Stretch(self.number, self.name, run, [(now, step)], now)
        elif stretch is not None:
            stretch.until = now
            stretch.updates += 1
            if step > stretch.marks[-1][1]:
                stretch.marks.append((now, step))
            if state not in MOVING:
                self.seen.stretches.append(self._stretches.pop(run))
        if self._hears is not None:
            self._hears(frame)

    async def _tell_changes(self) -> None:
        """Let the script run again where the page was drawn with another state than a run has now; ever more seldom."""
        pauses: dict[str, tuple[float, float]] = {}  # of a status strip: when to tell again, and how long to wait then
        while True:
            await asyncio.sleep(CALM_SECONDS)
            for strip, data in list(self._page.components()):
                event = self._events.get(data.get("run") or "")
                if "event" not in data or event is None or event == data["event"]:
                    pauses.pop(strip.id, None)
                    continue
                due, pause = pauses.get(strip.id, (0.0, TELL_AGAIN_SECONDS))
                if not self._page.running and time.monotonic() >= due:
                    pauses[strip.id] = (time.monotonic() + pause, min(2 * pause, LONGEST_SECONDS))
                    await self._try("a status strip's message", self._page.tell(strip, "event", event))


def _wanted(components: Iterator[dict[str, Any]]) -> dict[Key, dict[str, str]]:
    """The streams that a page's components need, with the parameters of their addresses."""
    series: dict[Key, list[str]] = {}
    pictures: dict[Key, list[str]] = {}
    for data in components:
        if data.get("run"):
            key = (data["run"], data.get("view", ""))
            traces = data.get("figure", {}).get("data", ())
            found = [trace["meta"]["series"] for trace in traces if trace.get("meta", {}).get("series")]
            series.setdefault(key, []).extend(found)
            pictures.setdefault(key, []).append(data.get("name", ""))
    inside = {key: {"view": key[1], "pictures": ",".join(dict.fromkeys(pictures[key]))} for key in pictures if key[1]}
    return {key: {"series": ",".join(dict.fromkeys(names)), **inside.get(key, {})} for key, names in series.items()}


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__} {error}".strip()
