"""A run's stream of server-sent events, followed as app/static/stream.js does: with retries, and noticing silence."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import orjson

Frame = dict[str, Any]

SILENCE_SECONDS, RETRY_SECONDS = 25.0, 0.5


class RunStream:
    """Follows a run from now on; `on_frame` gets each frame, `on_trouble` is told when the stream breaks or is refused."""

    def __init__(
        self, http: httpx.AsyncClient, run: str, wants: dict[str, str],
        on_frame: Callable[[Frame], None], on_trouble: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.run, self.wants = run, wants
        self._http, self._on_frame, self._on_trouble = http, on_frame, on_trouble
        self._socket: socket.socket | None = None
        self._task = asyncio.create_task(self._follow())

    def close(self) -> None:
        """Follow it no more."""
        self._task.cancel()

    def abort(self) -> None:
        """The same, but the connection breaks without a word."""
        if self._socket is not None:
            reset_on_close(self._socket)
        self.close()

    async def _follow(self) -> None:
        address = f"/api/runs/{self.run}/events"
        timeout = httpx.Timeout(30, read=SILENCE_SECONDS)
        while True:
            try:
                async with self._http.stream("GET", address, params=self.wants, timeout=timeout) as answer:
                    self._socket = answer.extensions["network_stream"].get_extra_info("socket")
                    if answer.status_code == 200:
                        async for frame in _frames(answer.aiter_bytes()):
                            self._on_frame(frame)
                    self._on_trouble(f"a run's stream ended (status {answer.status_code})")
            except httpx.TransportError as error:
                self._on_trouble(f"a run's stream broke: {type(error).__name__} {error}".strip())
            await asyncio.sleep(RETRY_SECONDS)


async def _frames(chunks: AsyncIterator[bytes]) -> AsyncIterator[Frame]:
    """The frames in a stream; beats are left out."""
    left = b""
    async for chunk in chunks:
        *events, left = (left + chunk).split(b"\n\n")
        for event in events:
            if event.startswith(b"data: "):
                yield orjson.loads(event[6:])


def reset_on_close(connection: socket.socket) -> None:
    """Have a connection end with a reset: what was on its way is lost, as when a network goes away."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
