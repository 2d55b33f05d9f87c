"""A page's messages take few turns of the event loop."""

import asyncio
import time

import pytest
from streamlit.runtime import runtime

from app.flush import MESSAGES, flush_in_few_turns


def test_many_messages_take_few_turns_and_other_waits_are_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "asyncio", asyncio)
    flush_in_few_turns()
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def send() -> float:
        counting = asyncio.create_task(count_turns())
        for _ in range(10 * MESSAGES):
            await runtime.asyncio.sleep(0)
        counting.cancel()
        began = time.monotonic()
        await runtime.asyncio.sleep(0.05)
        return time.monotonic() - began

    assert asyncio.run(send()) > 0.04
    assert 9 <= turns <= 11
    assert runtime.asyncio.wait is asyncio.wait


def test_it_is_left_alone_where_it_looks_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "asyncio", None)
    flush_in_few_turns()
    assert runtime.asyncio is None
