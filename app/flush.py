"""Has Streamlit send a page's messages in some turns of the event loop, not in one for each.

A script run makes a hundred messages. Streamlit (1.67, `Runtime._loop_coroutine`) lets the event loop turn once after each, and
has one coroutine for all pages. With fifty people on two cores, a turn takes milliseconds, and everybody's buttons waited up to
seven seconds (`make load`); with this, two.
"""

import asyncio
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
        """Only every so-manyth `sleep(0)` lets the loop turn."""
        if seconds or next(self._yields) % MESSAGES == 0:
            await asyncio.sleep(seconds)


def flush_in_few_turns() -> None:
    """Call it before the server starts. It does nothing where Streamlit's loop looks otherwise."""
    if getattr(runtime, "asyncio", None) is asyncio:
        runtime.asyncio = _Asyncio()  # type: ignore[assignment]
