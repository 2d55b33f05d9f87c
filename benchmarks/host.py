"""The simulated host of a workshop: opens its room, follows the wall, and does what everybody then sees."""

import re
from typing import Any

from benchmarks.attendee import Attendee, Door
from benchmarks.run_stream import Frame
from tests.conftest import HOST_CODE

TABS = ("Everyone's runs", "Large", "Try this now", "Class map", "Challenge", "Limits")
SHOW = "Show large"
BUTTONS = ("Push to everyone", "Draw the map")
CODE = re.compile(r"/room\?code=(\w+)")


class Host(Attendee):
    """One of the attendees, who trains nothing. The others come in when the door is open. `wall` has everyone's latest run."""

    first, patience = "host", 3.0

    def __init__(self, url: str, door: Door) -> None:
        super().__init__(0, url, "host", door)
        self.wall: list[Frame] = []

    async def _wait_outside(self) -> None:
        """They open it themselves."""

    async def _come_in(self, door: Door) -> None:
        """Sign in and open the room."""
        self._page.fill("Host code", HOST_CODE)
        await self._page.click("Sign in")
        await self._page.click("Open a new room")
        door.code = next(found[1] for each in self._page.elements("code") if (found := CODE.search(each.code_text)))
        door.open.set()

    def _choose(self) -> str:
        """Another tab, or what there is to press on this one."""
        there = [label for label in BUTTONS if self._page.widget("button", label)] + [SHOW] * bool(self._walls())
        return self._random.choice([*TABS, *there])

    async def _do(self, action: str) -> None:
        if action in TABS:
            await self._page.turn_to(action)
        elif action == SHOW:
            run = self._random.choice(self.wall)["id"]
            await self._page.press(self._walls()[0], "act", f"show {run}")
        else:
            await self._page.click(action)

    def _walls(self) -> list[Any]:
        """The wall, while it is on the page and has runs."""
        parts = [part for part, _ in self._page.components() if part.component_name.endswith("unrolled_wall")]
        return parts if self.wall else []

    def _hear(self, frame: Frame) -> None:
        """Of the streams only the wall's matters; what the host watches, others steer."""
        self._events[frame["run"]] = frame["event"]
        self.wall = frame.get("wall", self.wall)
