"""The socket under a stream: others have their turn, peers are slow or gone."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from muttd.listeners.direct_socket import DirectSocket

# Linger 0 makes close() a reset.
_RESETS = (socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[trio.SocketStream, trio.SocketStream]]:
    """A client and a server, over TCP."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    client = await trio.open_tcp_stream("127.0.0.1", port)
    server = await listeners[0].accept()
    async with listeners[0], client, server:
        yield client, server


async def test_reading_waits_for_octets_and_ends_with_the_peer() -> None:
    async with connected() as (client, server):
        direct = DirectSocket(server)
        with trio.move_on_after(0.01) as scope:
            await direct.receive(100)
        assert scope.cancelled_caught
        await client.send_all(b"abcdef")
        assert await direct.receive(4) == b"abcd"
        assert await direct.receive(4) == b"ef"
        await client.send_eof()
        assert await direct.receive(4) == b""


async def test_reading_what_is_there_gives_others_their_turn() -> None:
    async with connected() as (client, server):
        await client.send_all(b"x" * 20)
        direct = DirectSocket(server)
        turns: list[str] = []

        async def read(name: str) -> None:
            for _ in range(5):
                await direct.receive(1)
                turns.append(name)

        async def other() -> None:
            for _ in range(5):
                await trio.lowlevel.checkpoint()
                turns.append("other")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, "reader")
            nursery.start_soon(other)
        assert turns.index("other") < 2
        assert "other" in turns[turns.index("reader") + 1 : -1]


async def test_two_who_read_get_what_there_is_once() -> None:
    async with connected() as (client, server):
        got: list[bytes] = []

        async def read_elsewhere() -> None:
            # Woken by the same octets; whoever is second goes on waiting.
            copy = trio.socket.from_stdlib_socket(
                socket.socket(fileno=os.dup(server.socket.fileno()))
            )
            with copy:
                got.append(await DirectSocket(trio.SocketStream(copy)).receive(10))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_elsewhere)
            nursery.start_soon(read_elsewhere)
            await trio.testing.wait_all_tasks_blocked()
            await client.send_all(b"one")
            with trio.fail_after(5):
                while not got:
                    await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()
            assert got == [b"one"]
            await client.send_all(b"two")
        assert got == [b"one", b"two"]


async def test_a_peer_that_reads_nothing_takes_what_the_kernel_holds() -> None:
    async with connected() as (_, server):
        direct = DirectSocket(server)
        piece = b"x" * 1_000_000
        sent = [direct.send_nowait(piece) for _ in range(50)]
        assert 0 < sum(sent) < 50 * len(piece)
        assert sent[-1] == 0


async def test_a_peer_that_has_reset_is_broken() -> None:
    async with connected() as (client, server):
        direct = DirectSocket(server)
        client.setsockopt(*_RESETS)
        await client.aclose()
        with pytest.raises(trio.BrokenResourceError, match="reading failed"):
            await direct.receive(10)
        with pytest.raises(trio.BrokenResourceError, match="sending failed"):
            direct.send_nowait(b"x")


async def read_closed(direct: DirectSocket) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await direct.receive(10)


async def test_a_stream_that_is_closed_is_noticed() -> None:
    async with connected() as (_, server):
        direct = DirectSocket(server)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_closed, direct)
            await trio.testing.wait_all_tasks_blocked()
            await server.aclose()
        await read_closed(direct)
        with pytest.raises(trio.BrokenResourceError):
            direct.send_nowait(b"x")
