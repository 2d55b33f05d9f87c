"""Has the server send at once what it has to send.

Streamlit (1.67) makes its listening socket without naming TCP, and asyncio (3.11 to 3.13) then leaves Nagle's algorithm on: the
second part of an answer waits until the first is acknowledged, which a browser does after 40 ms. An answer of ours took 44 ms
instead of 2 (`python -m benchmarks.answers`).

And a page's messages go in some turns of the event loop, not in one for each. A script run makes a hundred messages. Streamlit
(`Runtime._loop_coroutine`) lets the event loop turn once after each, and has one coroutine for all pages. With fifty people on
two cores, a turn takes milliseconds, and everybody's buttons waited up to seven seconds (`make load`); with this, two.
"""

import asyncio
import socket
from asyncio import base_events
from itertools import count
from types import ModuleType
from typing import Any

from streamlit.runtime import runtime

MESSAGES = 32  # between two turns


class _Asyncio(ModuleType):
    """`asyncio` as that module sees it."""

    def __init__(self) -> None:
        super().__init__("asyncio")
        self._yields = count(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        """Let the loop turn at one `sleep(0)` in MESSAGES."""
        if seconds or next(self._yields) % MESSAGES == 0:
            await asyncio.sleep(seconds)


def flush_in_few_turns() -> None:
    """Call it before the server starts. It does nothing where Streamlit's loop looks otherwise."""
    if getattr(runtime, "asyncio", None) is asyncio:
        runtime.asyncio = _Asyncio()  # type: ignore[assignment]


def send_without_delay() -> None:
    """Call it before the server starts. It does nothing where asyncio looks otherwise."""
    if hasattr(base_events, "_set_nodelay"):
        base_events._set_nodelay = _set_nodelay


def _set_nodelay(connection: socket.socket) -> None:
    if connection.family in (socket.AF_INET, socket.AF_INET6) and connection.type == socket.SOCK_STREAM:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
