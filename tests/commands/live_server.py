"""A live websocket and the stored events beside it, on one real port, that follow a script.

Each connection plays the next script: what it does with the websocket until it returns. A request
that is no websocket is answered with the stored events.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio
import trio_websocket

Script = Callable[[trio_websocket.WebSocketConnection], Awaitable[None]]


class _Replayed(trio.abc.HalfCloseableStream):
    """A stream whose first octets were read already."""

    def __init__(self, octets: bytes, stream: trio.SocketStream) -> None:
        self._octets = octets
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._octets:
            octets, self._octets = self._octets, b""
            return octets
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


class LiveServer:
    """What the scripts and the test share.

    Attributes:
        url: Where it listens.
        filters: Every filter that a client sent.
        stored: What GET /api/v2/events answers, newest first, in pages of two.
        asked: The request targets of those GETs.
        is_away: Whether they are answered with 503.
    """

    def __init__(self, url: str, scripts: Sequence[Script]) -> None:
        self.url = url
        self.filters: list[dict[str, Any]] = []
        self.stored: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.is_away = False
        self._scripts = list(scripts)

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection."""
        octets = b""
        while b"\r\n\r\n" not in octets:
            octets += await stream.receive_some()
        if b"upgrade: websocket" not in octets.lower():
            await self._answer(stream, octets)
            return
        replayed = _Replayed(octets, stream)
        async with trio.open_nursery() as nursery:
            request = await trio_websocket.wrap_server_stream(nursery, replayed)
            assert request.path == "/api/v2/live"
            if (b"x-api-key", b"a-key") not in request.headers:
                await request.reject(401)
            else:
                socket = await request.accept()
                await send(socket, type="hello", version="0.1.0", now="2026-03-01T12:00:00Z")
                frame = json.loads(await socket.get_message())
                self.filters.append(frame["filter"])
                await self._scripts.pop(0)(socket)
                await socket.aclose()
            nursery.cancel_scope.cancel()

    async def _answer(self, stream: trio.SocketStream, request: bytes) -> None:
        target = request.split()[1].decode()
        self.asked.append(target)
        if self.is_away:
            await stream.send_all(b"HTTP/1.1 503 Away\r\nConnection: close\r\n\r\n")
            await stream.aclose()
            return
        start = int(target.rpartition("cursor=")[2]) if "cursor=" in target else 0
        end = start + 2
        body = json.dumps(
            {
                "events": self.stored[start:end],
                "pagination": {"total": len(self.stored)},
                "next_cursor": str(end) if end < len(self.stored) else None,
            }
        ).encode()
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        await stream.send_all(head + body)
        await stream.aclose()


@asynccontextmanager
async def open_live_server(*scripts: Script) -> AsyncIterator[LiveServer]:
    """A server that plays these scripts, one a connection."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        server = LiveServer(f"http://127.0.0.1:{port}", scripts)
        nursery.start_soon(partial(trio.serve_listeners, server.serve, listeners))
        yield server
        nursery.cancel_scope.cancel()


async def send(socket: trio_websocket.WebSocketConnection, **frame: Any) -> None:
    """Send one frame."""
    await socket.send_message(json.dumps(frame))
