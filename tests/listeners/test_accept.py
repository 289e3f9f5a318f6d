"""muttd/listeners/accept.py: what the kernel has accepted for us is ours, when we stop as well."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
import trio
import trio.testing
from test_syslog_tcp import GENEROUS, MESSAGE, Scene, wait_closed

from muttd.listeners.accept import serve_streams
from muttd.listeners.bind import BoundSocket

# More than are read at once, and a last one without its trailer.
MANY = 2000


def connected(scene: Scene) -> socket.socket:
    """A connection that waits in the kernel's queue: nothing runs in Trio meanwhile."""
    return socket.create_connection(scene.sock.getsockname(), timeout=10)


async def until_stopped(
    scene: Scene, while_serving: Callable[[], object], *, is_inherited: bool = False
) -> None:
    bound = BoundSocket(scene.sock, "", is_inherited=is_inherited)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_streams, scene.listener.serve_connection, [bound])
        await trio.testing.wait_all_tasks_blocked()
        while_serving()
        nursery.cancel_scope.cancel()


async def test_who_waits_in_the_queue_when_we_stop_is_heard() -> None:
    scene, senders = Scene(GENEROUS), []

    def send() -> None:
        for number in range(5):
            senders.append(connected(scene))
            senders[-1].sendall(MESSAGE + b" %d\n" % number)

    await until_stopped(scene, send)
    assert sorted(scene.messages()) == [f"hello {number}" for number in range(5)]
    assert scene.account.connections == 0
    for sender in senders:
        assert sender.recv(1) == b"", "closed, and not reset"
        sender.close()


async def test_what_a_connection_has_sent_when_we_stop_is_taken() -> None:
    scene = Scene(GENEROUS)
    sender = connected(scene)
    octets = b"".join(MESSAGE + b" %d\n" % number for number in range(MANY))
    sender.setblocking(False)
    await until_stopped(scene, lambda: sender.sendall(octets + MESSAGE))
    assert scene.messages() == [f"hello {number}" for number in range(MANY)] + ["hello"]
    sender.close()


async def test_a_peer_that_goes_on_sending_is_not_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    scene = Scene(GENEROUS)
    async with trio.open_nursery() as nursery:
        bound = BoundSocket(scene.sock, "")
        serving = trio.CancelScope()

        async def serve() -> None:
            with serving:
                await serve_streams(scene.listener.serve_connection, [bound])

        nursery.start_soon(serve)
        stream = await scene.connect()

        async def drip() -> None:
            while True:
                await stream.send_all(MESSAGE + b"\n")
                await trio.sleep(0.01)

        async def drip_until_reset() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await drip()

        nursery.start_soon(drip_until_reset)
        await scene.sink.arrived.wait()
        began = trio.current_time()
        serving.cancel()
    assert trio.current_time() - began < 2.0
    await trio.aclose_forcefully(stream)


async def test_a_queue_that_systemd_holds_too_is_for_the_next_process() -> None:
    scene = Scene(GENEROUS)
    held = scene.sock.dup()

    sender = socket.socket()

    def send() -> None:
        sender.connect(scene.sock.getsockname())
        sender.sendall(MESSAGE + b"\n")

    await until_stopped(scene, send, is_inherited=True)
    assert scene.messages() == []
    with held, sender, held.accept()[0] as sock:
        assert sock.recv(1000) == MESSAGE + b"\n"


async def test_a_connection_is_served_until_its_end() -> None:
    scene = Scene(GENEROUS)
    async with trio.open_nursery() as nursery:
        bound = BoundSocket(scene.sock, "")
        nursery.start_soon(serve_streams, scene.listener.serve_connection, [bound])
        stream = await scene.connect()
        await stream.send_all(MESSAGE)
        await stream.send_eof()
        await wait_closed(stream)
        nursery.cancel_scope.cancel()
    assert scene.messages() == ["hello"]
    await trio.aclose_forcefully(stream)
