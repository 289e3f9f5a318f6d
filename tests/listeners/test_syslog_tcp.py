"""muttd/listeners/syslog_tcp.py over real sockets."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC

import pytest
import trio
import trio.testing
from prometheus_client import CollectorRegistry

from muttd.accounts import Accounts
from muttd.arrivals import Arrivals
from muttd.event import Event
from muttd.event_ids import EventIds
from muttd.listeners.bind import bind
from muttd.listeners.syslog_arrivals import SyslogArrivals
from muttd.listeners.syslog_tcp import SyslogTcp, TcpLimits
from muttd.sink import Load
from muttd.sources import Sources, SourceTable, parse_sources

MESSAGE = b"<34>Oct 11 22:14:15 sw1 su: hello"
GENEROUS = TcpLimits(
    max_frame_octets=480, idle_timeout_s=60.0, max_connections=10, max_connections_per_peer=10
)


def events_of(load: Load) -> Sequence[Event]:
    return load.events() if isinstance(load, Arrivals) else load


class MemorySink:
    """Keeps what it is given; says that the queue has it only while it is open."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.receipts: list[Callable[[], None]] = []
        self.is_open = True
        self.arrived = trio.Event()

    async def put(
        self, listener: str, load: Load, receipt: Callable[[], None] | None = None
    ) -> None:
        self.events += events_of(load)
        self.arrived.set()
        if receipt is not None:
            if self.is_open:
                receipt()
            else:
                self.receipts.append(receipt)

    async def put_and_wait(self, listener: str, events: Sequence[Event], *, wait_s: float) -> None:
        raise NotImplementedError


class Scene:
    """A listener on a port that the kernel chose."""

    def __init__(self, limits: TcpLimits) -> None:
        self.streams: list[trio.SocketStream] = []
        self.sink = MemorySink()
        self.accounts = Accounts(CollectorRegistry())
        self.account = self.accounts["syslog_tcp"]
        self.sources = Sources()
        arrivals = SyslogArrivals(EventIds(), self.sources, zone=UTC, max_message_octets=480)
        self.listener = SyslogTcp(arrivals, self.sink, self.accounts, limits)
        self.sock = bind("127.0.0.1", 0, socket.SOCK_STREAM).sock

    async def connect(self) -> trio.SocketStream:
        stream = await trio.open_tcp_stream(*self.sock.getsockname())
        self.streams.append(stream)
        return stream

    def messages(self) -> list[str]:
        return [event.message for event in self.sink.events]


@asynccontextmanager
async def listening(limits: TcpLimits = GENEROUS) -> AsyncIterator[Scene]:
    scene = Scene(limits)
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(scene.sock))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, scene.listener.serve_connection, [listener])
        yield scene
        nursery.cancel_scope.cancel()
    for stream in scene.streams:
        await trio.aclose_forcefully(stream)


async def wait_closed(stream: trio.SocketStream) -> None:
    """Wait until the other end closed; a reset is a way to close."""
    with trio.fail_after(10):
        try:
            assert await stream.receive_some(1) == b""
        except trio.BrokenResourceError:
            return


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(MESSAGE + b"\n", id="lf"),
        pytest.param(b"%d %s" % (len(MESSAGE), MESSAGE), id="octet-counted"),
        pytest.param(MESSAGE + b"\0", id="nul"),
        pytest.param(MESSAGE, id="no-trailer"),
    ],
)
async def test_every_framing_gives_the_message(octets: bytes) -> None:
    async with listening() as scene:
        stream = await scene.connect()
        await stream.send_all(octets)
        await stream.send_eof()
        await wait_closed(stream)
        assert scene.messages() == ["hello"]
        [event] = scene.sink.events
        assert (event.hostname, event.source_ip) == ("sw1", "127.0.0.1")
        assert scene.account.received == 1


async def test_a_connection_is_not_read_until_the_queue_has_what_it_sent() -> None:
    async with listening() as scene:
        scene.sink.is_open = False
        stream = await scene.connect()
        await stream.send_all(MESSAGE + b"\n")
        await scene.sink.arrived.wait()
        with trio.move_on_after(0.5) as flood:
            while True:
                await stream.send_all((MESSAGE + b"\n") * 1000)
        assert flood.cancelled_caught
        assert scene.messages() == ["hello"]


async def test_what_broke_the_stream_is_kept_and_marked_malformed() -> None:
    async with listening() as scene:
        stream = await scene.connect()
        await stream.send_all(MESSAGE + b"\n" + b"x" * 1000)
        await wait_closed(stream)
        first, broken = scene.sink.events
        assert first.malformed is None
        assert broken.raw == b"x" * 480
        assert broken.malformed == "no trailer within the longest message"
        assert (scene.account.received, scene.account.malformed) == (2, 1)


async def test_a_frame_length_that_cannot_be_costs_that_connection_only() -> None:
    async with listening() as scene:
        bad, good = await scene.connect(), await scene.connect()
        await bad.send_all(b"99999999 <13>x")
        await wait_closed(bad)
        await good.send_all(MESSAGE + b"\n")
        await good.send_eof()
        await wait_closed(good)
        assert scene.messages()[-1] == "hello"


async def test_a_silent_peer_is_disconnected_and_counted() -> None:
    limits = TcpLimits(
        max_frame_octets=480, idle_timeout_s=0.05, max_connections=10, max_connections_per_peer=10
    )
    async with listening(limits) as scene:
        stream = await scene.connect()
        await stream.send_all(b"<13>half a mess")
        await wait_closed(stream)
        assert scene.account.idle_connections == 1
        # What it had said is an event all the same.
        assert scene.messages() == ["half a mess"]


@pytest.mark.parametrize(("in_all", "per_peer"), [(2, 10), (10, 2)])
async def test_a_connection_too_many_is_closed_and_counted(in_all: int, per_peer: int) -> None:
    limits = TcpLimits(
        max_frame_octets=480,
        idle_timeout_s=60.0,
        max_connections=in_all,
        max_connections_per_peer=per_peer,
    )
    async with listening(limits) as scene:
        kept = [await scene.connect() for _ in range(2)]
        for stream in kept:
            await stream.send_all(MESSAGE + b"\n")
        with trio.fail_after(10):
            while len(scene.sink.events) < 2:
                await trio.lowlevel.checkpoint()
        await wait_closed(await scene.connect())
        assert scene.account.refused_connections == 1
        assert scene.account.connections == 2


async def test_a_reset_costs_nothing_that_came_before_it() -> None:
    async with listening() as scene:
        stream = await scene.connect()
        await stream.send_all(MESSAGE + b"\n")
        await scene.sink.arrived.wait()
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        stream.socket.close()
        with trio.fail_after(10):
            while scene.account.connections:
                await trio.lowlevel.checkpoint()
        assert scene.messages() == ["hello"]


async def test_the_last_words_of_a_peer_that_is_reset_or_cut_off_by_our_end_are_kept() -> None:
    async with listening() as scene:
        reset, left = await scene.connect(), await scene.connect()
        await reset.send_all(MESSAGE + b"\n" + b"<13>half by a reset")
        await left.send_all(MESSAGE + b"\n" + b"<13>half at the end")
        with trio.fail_after(10):
            while len(scene.sink.events) < 2:
                await trio.lowlevel.checkpoint()
        reset.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        reset.socket.close()
        with trio.fail_after(10):
            while scene.account.connections > 1:
                await trio.lowlevel.checkpoint()
    assert scene.messages() == ["hello", "hello", "half by a reset", "half at the end"]
    assert scene.account.received == 4


async def test_a_source_that_may_not_send_is_closed_and_counted() -> None:
    async with listening() as scene:
        scene.sources.replace(parse_sources("127.0.0.0/8 deny", source=""))
        await wait_closed(await scene.connect())
        assert (scene.account.denied_connections, scene.account.refused_connections) == (1, 0)


async def test_a_source_that_may_not_send_any_more_is_closed_with_its_next_message() -> None:
    async with listening() as scene:
        stream = await scene.connect()
        await stream.send_all(MESSAGE + b"\n")
        await scene.sink.arrived.wait()
        # It is being read from again.
        await trio.testing.wait_all_tasks_blocked()
        scene.sources.replace(parse_sources("127.0.0.0/8 deny", source=""))
        await stream.send_all(MESSAGE + b"\n")
        await wait_closed(stream)
        assert scene.messages() == ["hello", "hello"]
        assert scene.account.denied_connections == 1


async def test_a_source_that_sends_too_fast_is_not_read_from() -> None:
    """Nothing is lost by it: what it sent waits in its own kernel, until the limit is raised."""
    async with listening() as scene:
        scene.sources.replace(parse_sources("127.0.0.1 rate=0.001 burst=2", source=""))
        stream = await scene.connect()
        # Its burst, and a debt.
        await stream.send_all((MESSAGE + b"\n") * 3)
        with trio.fail_after(10):
            while len(scene.sink.events) < 3:
                await trio.lowlevel.checkpoint()
        scene.sink.arrived = trio.Event()
        await stream.send_all(MESSAGE + b"\n")
        with trio.move_on_after(0.1):
            await scene.sink.arrived.wait()
        assert len(scene.sink.events) == 3
        scene.sources.replace(SourceTable())
        with trio.fail_after(10):
            await scene.sink.arrived.wait()
        assert len(scene.sink.events) == 4
