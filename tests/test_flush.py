"""A page's messages take few turns of the event loop."""

import asyncio
import socket
import time
from asyncio import base_events

import pytest
from streamlit.runtime import runtime

from app.flush import MESSAGES, flush_in_few_turns, send_without_delay


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


def test_what_is_accepted_by_a_socket_like_streamlits_is_sent_without_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_events, "_set_nodelay", base_events._set_nodelay)
    send_without_delay()

    async def accepted() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            async with await asyncio.start_server(note, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                nodelay = await found
                writer.close()
        return nodelay

    assert asyncio.run(accepted()) != 0
