"""muttd/listeners/udp.py and syslog_udp.py on real sockets."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC

import pytest
import trio
from prometheus_client import CollectorRegistry
from test_syslog_tcp import MemorySink
from trio.testing import MockClock, wait_all_tasks_blocked

from muttd.accounts import Account, Accounts
from muttd.event_ids import EventIds
from muttd.listeners.bind import bind
from muttd.listeners.syslog_arrivals import SyslogArrivals
from muttd.listeners.syslog_udp import SyslogUdp
from muttd.listeners.udp import MAX_BATCH, UdpSocket, plain_address
from muttd.rush import Rush
from muttd.sink import Load
from muttd.sources import Sources, parse_sources


@pytest.fixture
def receiver() -> Iterator[UdpSocket]:
    bound = bind("::", 0, socket.SOCK_DGRAM)
    receiver = UdpSocket(bound.sock, receive_buffer_octets=1 << 20)
    yield receiver
    receiver.close()


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
async def test_one_socket_receives_both_families_and_names_the_peer_plainly(
    receiver: UdpSocket, family: socket.AddressFamily, host: str
) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", (host, receiver.port))
    [datagram] = await receiver.wait_batch()
    assert (datagram.octets, datagram.source_ip) == (b"hello", host)


async def test_a_batch_has_all_that_is_there_up_to_its_limit(receiver: UdpSocket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for n in range(MAX_BATCH + 10):
            sender.sendto(b"%d" % n, ("127.0.0.1", receiver.port))
    first, second = await receiver.wait_batch(), await receiver.wait_batch()
    assert (len(first), len(second)) == (MAX_BATCH, 10)
    assert [int(each.octets) for each in first + second] == list(range(MAX_BATCH + 10))


async def test_a_full_batch_begins_a_rush_and_another_does_not(
    mock_clock: MockClock, nursery: trio.Nursery
) -> None:
    rush, passed = Rush(), 0
    bound = bind("127.0.0.1", 0, socket.SOCK_DGRAM)
    receiver = UdpSocket(bound.sock, receive_buffer_octets=1 << 24, rush=rush)

    async def let_pass() -> None:
        nonlocal passed
        await rush.let_pass()
        passed += 1

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for count in (MAX_BATCH - 1, MAX_BATCH):
            for _ in range(count):
                sender.sendto(b"x", ("127.0.0.1", receiver.port))
            mock_clock.jump(0.01)
            assert len(await receiver.wait_batch()) == count
            nursery.start_soon(let_pass)
            await wait_all_tasks_blocked()
    assert passed == 1
    mock_clock.jump(0.01)
    await wait_all_tasks_blocked()
    assert passed == 2
    receiver.close()


async def test_what_the_kernel_drops_is_counted() -> None:
    bound = bind("127.0.0.1", 0, socket.SOCK_DGRAM)
    receiver = UdpSocket(bound.sock, receive_buffer_octets=4096)
    sent = 500
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(sent):
            sender.sendto(b"x" * 1000, ("127.0.0.1", receiver.port))
    received = len(await receiver.wait_batch())
    assert receiver.kernel_drops() == sent - received
    assert received < sent
    receiver.close()


async def test_an_answer_reaches_the_peer(receiver: UdpSocket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(10)
        sender.sendto(b"ask", ("127.0.0.1", receiver.port))
        [datagram] = await receiver.wait_batch()
        assert receiver.send_nowait(b"answer", datagram.peer)
        assert await trio.to_thread.run_sync(sender.recv, 100) == b"answer"


async def test_an_answer_that_cannot_be_sent_is_no_error(receiver: UdpSocket) -> None:
    assert not receiver.send_nowait(b"x" * 70_000, ("::1", 9, 0, 0))


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_addresses_are_written_as_people_write_them(host: str, plain: str) -> None:
    assert plain_address(host) == plain


async def test_syslog_over_udp_gives_one_event_per_datagram(
    receiver: UdpSocket, nursery: trio.Nursery
) -> None:
    sink, accounts = MemorySink(), Accounts(CollectorRegistry())
    arrivals = SyslogArrivals(EventIds(), Sources(), zone=UTC, max_message_octets=480)
    nursery.start_soon(SyslogUdp(receiver, arrivals, sink, accounts).serve)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for octets in (
            b"<34>Oct 11 22:14:15 sw1 su: one\n",
            b"",
            b"<999>two",
            b"<13>" + b"x" * 900,
        ):
            sender.sendto(octets, ("127.0.0.1", receiver.port))
    account = accounts["syslog_udp"]
    with trio.fail_after(10):
        while account.received < 4:
            await trio.lowlevel.checkpoint()
    one, two, long = sink.events
    assert (one.hostname, one.message, one.malformed) == ("sw1", "one", None)
    assert two.malformed
    assert (two.hostname, two.source_ip) == ("127.0.0.1", "127.0.0.1")
    assert (len(long.raw), long.malformed) == (480, "cut at 480 octets")
    assert account.refused["empty"] == 1


async def test_datagrams_of_a_source_that_may_not_send_or_sends_too_fast_are_counted(
    receiver: UdpSocket,
) -> None:
    sink, accounts = MemorySink(), Accounts(CollectorRegistry())
    sources = Sources(parse_sources("127.0.0.1 rate=0.001 burst=3\n127.0.0.2 deny", source=""))
    arrivals = SyslogArrivals(EventIds(), sources, zone=UTC, max_message_octets=480)
    listener = SyslogUdp(receiver, arrivals, sink, accounts)
    for source_ip in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((source_ip, 0))
            for n in range(5):
                sender.sendto(b"<13>Oct 11 22:14:15 h a: %d" % n, ("127.0.0.1", receiver.port))
    await listener.drain()
    account = accounts["syslog_udp"]
    assert account.received == 15
    assert {each: n for each, n in account.refused.items() if n} == {"rate": 2, "source": 5}
    taken = Counter(event.source_ip for event in sink.events)
    assert taken == {"127.0.0.1": 3, "127.0.0.3": 5}


class FullSink(MemorySink):
    """Has no room, ever; counts as dropped what it was given in vain, as the intake does."""

    def __init__(self, account: Account) -> None:
        super().__init__()
        self._account = account

    async def put(
        self, listener: str, load: Load, receipt: Callable[[], None] | None = None
    ) -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            self._account.dropped += len(load)
            raise


async def test_what_a_cancelled_listener_still_had_in_hand_is_counted(
    receiver: UdpSocket,
) -> None:
    """Of three policies, so three loads; the buffer takes none of them."""
    accounts = Accounts(CollectorRegistry())
    sources = Sources(
        parse_sources("127.0.0.1 zone=Asia/Tokyo\n127.0.0.2 trust_hostname=no", source="")
    )
    arrivals = SyslogArrivals(EventIds(), sources, zone=UTC, max_message_octets=480)
    account = accounts["syslog_udp"]
    for source_ip in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((source_ip, 0))
            for n in range(5):
                sender.sendto(b"<13>%d" % n, ("127.0.0.1", receiver.port))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(SyslogUdp(receiver, arrivals, FullSink(account), accounts).serve)
        with trio.fail_after(10):
            while account.received < 15:
                await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert account.dropped == 15


async def test_drain_takes_what_the_kernel_still_holds(receiver: UdpSocket) -> None:
    sink, accounts = MemorySink(), Accounts(CollectorRegistry())
    arrivals = SyslogArrivals(EventIds(), Sources(), zone=UTC, max_message_octets=480)
    listener = SyslogUdp(receiver, arrivals, sink, accounts)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for n in range(300):
            sender.sendto(b"<13>Oct 11 22:14:15 h a: %d" % n, ("127.0.0.1", receiver.port))
    await listener.drain()
    assert [event.message for event in sink.events] == [str(n) for n in range(300)]
