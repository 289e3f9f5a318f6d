"""muttd/listeners/syslog_tls.py over real sockets, with real certificates."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest
import trio
from prometheus_client import CollectorRegistry
from servers.certificates import KeyPair, TlsParty, client_context
from test_syslog_tcp import events_of

from muttd.accounts import Accounts
from muttd.event import Event
from muttd.event_ids import EventIds
from muttd.listeners.bind import bind
from muttd.listeners.syslog_arrivals import SyslogArrivals
from muttd.listeners.syslog_tcp import TcpLimits
from muttd.listeners.syslog_tls import SyslogTls
from muttd.listeners.tls import Failure, ServerTls, TlsMetrics
from muttd.protocol.tls_peer import PeerCertificate
from muttd.settings_values import parse_tls_peers
from muttd.sink import Load
from muttd.sources import Sources
from muttd.tls_files import NamedFile, TlsFiles, load_server_tls

MESSAGE = b"<34>Oct 11 22:14:15 sw1 su: hello"
LIMITS = TcpLimits(
    max_frame_octets=480, idle_timeout_s=60.0, max_connections=100, max_connections_per_peer=100
)


class MemorySink:
    """Keeps what it is given; the queue has it at once, while it is open."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.is_open = True
        self.batches = 0
        self.arrived = trio.Event()

    async def put(
        self, listener: str, load: Load, receipt: Callable[[], None] | None = None
    ) -> None:
        assert listener == "syslog_tls"
        self.events += events_of(load)
        self.batches += 1
        self.arrived.set()
        if receipt is not None and self.is_open:
            receipt()

    async def put_and_wait(self, listener: str, events: Sequence[Event], *, wait_s: float) -> None:
        raise NotImplementedError


def context_of(pair: KeyPair, ca: KeyPair, client_cert: str = "required") -> ssl.SSLContext:
    files = TlsFiles(
        cert=NamedFile("CERT", pair.cert),
        key=NamedFile("KEY", pair.key),
        ca=NamedFile("CA", ca.cert),
        client_cert=client_cert,
        resumes=False,
    )
    return load_server_tls(files, now=datetime.now(UTC), forgive_expired=True).context


class Scene:
    """A listener on a port that the kernel chose."""

    def __init__(self, party: TlsParty, tls: ServerTls, peers: str) -> None:
        self.party = party
        self.sink = MemorySink()
        self.accounts = Accounts(CollectorRegistry())
        self.account = self.accounts["syslog_tls"]
        self.tls = tls
        arrivals = SyslogArrivals(EventIds(), Sources(), zone=UTC, max_message_octets=480)
        allowed = parse_tls_peers(peers) if peers else ()
        self.listener = SyslogTls(arrivals, self.sink, self.accounts, LIMITS, tls, allowed)
        self.sock = bind("127.0.0.1", 0, socket.SOCK_STREAM).sock
        self.streams: list[trio.SocketStream] = []

    async def connect_plain(self) -> trio.SocketStream:
        stream = await trio.open_tcp_stream(*self.sock.getsockname())
        self.streams.append(stream)
        return stream

    async def connect(
        self, own: KeyPair | None, context: ssl.SSLContext | None = None
    ) -> trio.SSLStream[trio.SocketStream]:
        """A client of its own; its handshake is done when it first sends."""
        return trio.SSLStream(
            await self.connect_plain(),
            context or client_context(self.party.ca, own),
            server_hostname="127.0.0.1",
        )

    async def say(self, own: KeyPair | None, octets: bytes) -> None:
        """Connect, send, close."""
        stream = await self.connect(own)
        await stream.send_all(octets)
        await stream.aclose()

    async def wait_failure(self, failure: Failure) -> None:
        with trio.fail_after(10):
            while not self.tls.failures[failure]:
                await trio.lowlevel.checkpoint()
            while self.account.connections:
                await trio.lowlevel.checkpoint()
        assert {each: n for each, n in self.tls.failures.items() if n} == {failure: 1}

    async def wait_messages(self, count: int) -> list[str]:
        with trio.fail_after(10):
            while len(self.sink.events) < count:
                await trio.lowlevel.checkpoint()
        return [event.message for event in self.sink.events]


@asynccontextmanager
async def listening(
    party: TlsParty, *, client_cert: str = "required", peers: str = "", handshake_s: float = 10.0
) -> AsyncIterator[Scene]:
    context = context_of(party.server, party.ca, client_cert)
    scene = Scene(party, ServerTls(context, handshake_s=handshake_s), peers)
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(scene.sock))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, scene.listener.serve_connection, [listener])
        yield scene
        nursery.cancel_scope.cancel()
    for stream in scene.streams:
        await trio.aclose_forcefully(stream)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"%d %s" % (len(MESSAGE), MESSAGE), id="octet-counted"),
        pytest.param(MESSAGE + b"\n", id="lf"),
        pytest.param(MESSAGE, id="no-trailer"),
    ],
)
async def test_every_framing_gives_the_message_and_who_sent_it(
    tls_party: TlsParty, octets: bytes
) -> None:
    async with listening(tls_party) as scene:
        await scene.say(tls_party.sender, octets)
        assert await scene.wait_messages(1) == ["hello"]
        [event] = scene.sink.events
        assert (event.transport, event.hostname) == ("syslog-tls", "sw1")
        assert event.attributes == {"tls_peer": "sender.example"}


async def test_records_that_came_together_are_one_batch(tls_party: TlsParty) -> None:
    """Senders put each message into a record of its own; the queue must not get each alone."""
    async with listening(tls_party) as scene:
        stream = await scene.connect(tls_party.sender)
        await stream.send_all(MESSAGE + b"\n")
        await scene.wait_messages(1)
        await send_records(scene)
        assert len(await scene.wait_messages(201)) == 201
        assert scene.sink.batches < 20
        await stream.aclose()


async def send_records(scene: Scene) -> None:
    """200 records in one write of the socket."""
    party = scene.party
    plain = await scene.connect_plain()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(party.ca, party.sender).wrap_bio(
        incoming, outgoing, server_hostname="127.0.0.1"
    )
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            await plain.send_all(outgoing.read())
            incoming.write(bytes(await plain.receive_some()))
    for _ in range(200):
        tls.write(MESSAGE + b"\n")
    await plain.send_all(outgoing.read())


async def test_a_connection_is_not_read_until_the_queue_has_what_it_sent(
    tls_party: TlsParty,
) -> None:
    async with listening(tls_party) as scene:
        scene.sink.is_open = False
        stream = await scene.connect(tls_party.sender)
        await stream.send_all(MESSAGE + b"\n")
        await scene.sink.arrived.wait()
        with trio.move_on_after(0.5) as flood:
            while True:
                await stream.send_all((MESSAGE + b"\n") * 1000)
        assert flood.cancelled_caught
        assert len(scene.sink.events) == 1


@pytest.mark.parametrize(
    ("who", "failure"),
    [
        (None, Failure.NO_CERTIFICATE),
        ("stranger", Failure.BAD_CERTIFICATE),
        ("expired", Failure.BAD_CERTIFICATE),
    ],
)
async def test_a_bad_certificate_costs_that_connection_only(
    tls_party: TlsParty, who: str | None, failure: Failure
) -> None:
    async with listening(tls_party) as scene:
        good = await scene.connect(tls_party.sender)
        await good.send_all(MESSAGE + b"\n")
        bad = await scene.connect(None if who is None else getattr(tls_party, who))
        with suppress(trio.BrokenResourceError):
            await bad.send_all(MESSAGE + b"\n")
        # In TLS 1.3 the client hears of it with its first read.
        with pytest.raises(trio.BrokenResourceError) as caught:
            await bad.receive_some()
        # An alert, not a reset: the sender's log says what is wrong.
        assert "ALERT" in str(caught.value.__cause__)
        await good.send_all(MESSAGE + b"\n")
        assert len(await scene.wait_messages(2)) == 2
        await good.aclose()
        await scene.wait_failure(failure)


async def test_plain_text_on_the_port_is_no_tls(tls_party: TlsParty) -> None:
    async with listening(tls_party) as scene:
        stream = await scene.connect_plain()
        await stream.send_all(MESSAGE + b"\n")
        await scene.wait_failure(Failure.NOT_TLS)
        assert scene.sink.events == []


async def test_an_old_version_of_tls_is_refused(tls_party: TlsParty) -> None:
    async with listening(tls_party) as scene:
        scene.tls.context.minimum_version = ssl.TLSVersion.TLSv1_3
        context = client_context(tls_party.ca, tls_party.sender)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        stream = await scene.connect(None, context)
        with pytest.raises(trio.BrokenResourceError):
            await stream.do_handshake()
        await scene.wait_failure(Failure.VERSION)


async def test_a_peer_that_does_not_trust_us_is_counted(tls_party: TlsParty) -> None:
    async with listening(tls_party) as scene:
        # Not Trio's client, which keeps its alert to itself.
        context = client_context(tls_party.other_ca, tls_party.sender)
        address = scene.sock.getsockname()

        def distrust() -> None:
            with (
                socket.create_connection(address) as sock,
                pytest.raises(ssl.SSLCertVerificationError),
            ):
                context.wrap_socket(sock, server_hostname="127.0.0.1")

        await trio.to_thread.run_sync(distrust)
        await scene.wait_failure(Failure.REFUSED_BY_PEER)


async def test_a_handshake_that_drips_is_cut_off(tls_party: TlsParty) -> None:
    async with listening(tls_party, handshake_s=0.05) as scene:
        stream = await scene.connect_plain()
        await stream.send_all(b"\x16\x03\x01")
        await scene.wait_failure(Failure.TIMEOUT)


@pytest.mark.parametrize("octets", [b"", b"\x16\x03\x01\x02"])
async def test_a_peer_that_leaves_before_it_is_done_is_gone(
    tls_party: TlsParty, octets: bytes
) -> None:
    async with listening(tls_party) as scene:
        stream = await scene.connect_plain()
        await stream.send_all(octets)
        await stream.send_eof()
        await scene.wait_failure(Failure.GONE)


@pytest.mark.parametrize(
    ("peers", "who"),
    [
        ("sender.example", "sender"),
        ("*.example", "sender"),
        ("192.0.2.7", "sender"),
        ("relay", "relay"),
        ("*", "relay"),
    ],
)
async def test_who_is_in_the_list_may_send(tls_party: TlsParty, peers: str, who: str) -> None:
    async with listening(tls_party, peers=peers) as scene:
        await scene.say(getattr(tls_party, who), MESSAGE + b"\n")
        await scene.wait_messages(1)


async def test_who_is_not_in_the_list_is_refused(tls_party: TlsParty) -> None:
    async with listening(tls_party, peers="sender.example, 192.0.2.8") as scene:
        stream = await scene.connect(tls_party.relay)
        await stream.send_all(MESSAGE + b"\n")
        await scene.wait_failure(Failure.NOT_ALLOWED)
        assert scene.sink.events == []


async def test_a_fingerprint_names_one_certificate(tls_party: TlsParty) -> None:
    der = ssl.PEM_cert_to_DER_cert(tls_party.sender.cert.read_text())
    peers = PeerCertificate(der).fingerprint("sha-256")
    async with listening(tls_party, peers=peers) as scene:
        await scene.say(tls_party.sender, MESSAGE + b"\n")
        await scene.wait_messages(1)
        stream = await scene.connect(tls_party.relay)
        await stream.send_all(MESSAGE + b"\n")
        await scene.wait_failure(Failure.NOT_ALLOWED)


async def test_a_certificate_in_the_ca_file_is_trusted_itself(tls_party: TlsParty) -> None:
    """RFC 5425, 4.2.2: a sender's own certificate, which no CA of ours has signed."""
    async with listening(tls_party) as scene:
        scene.tls.context = context_of(tls_party.server, tls_party.stranger)
        await scene.say(tls_party.stranger, MESSAGE + b"\n")
        await scene.wait_messages(1)


@pytest.mark.parametrize("client_cert", ["none", "optional"])
async def test_a_certificate_may_be_left_out(tls_party: TlsParty, client_cert: str) -> None:
    async with listening(tls_party, client_cert=client_cert) as scene:
        await scene.say(None, MESSAGE + b"\n")
        await scene.wait_messages(1)
        assert scene.sink.events[0].attributes == {}


async def test_other_certificates_are_for_new_connections_and_old_ones_go_on(
    tls_party: TlsParty,
) -> None:
    async with listening(tls_party) as scene:
        old = await scene.connect(tls_party.sender)
        await old.send_all(MESSAGE + b"\n")
        scene.tls.context = context_of(tls_party.server, tls_party.other_ca)
        await scene.say(tls_party.stranger, MESSAGE + b"\n")
        await old.send_all(MESSAGE + b"\n")
        await scene.wait_messages(3)
        await old.aclose()


async def test_our_end_says_close_notify(tls_party: TlsParty) -> None:
    async with listening(tls_party) as scene:
        stream = await scene.connect(tls_party.sender)
        # A frame that cannot be cut costs the connection.
        await stream.send_all(b"99999999 <13>x")
        with trio.fail_after(10):
            assert await stream.receive_some() == b""


async def test_the_last_words_of_a_peer_that_says_no_close_notify_are_kept(
    tls_party: TlsParty,
) -> None:
    async with listening(tls_party) as scene:
        stream = await scene.connect(tls_party.sender)
        await stream.send_all(MESSAGE + b"\n<13>half a mess")
        await scene.wait_messages(1)
        await trio.aclose_forcefully(stream)
        assert await scene.wait_messages(2) == ["hello", "half a mess"]
        with trio.fail_after(10):
            while scene.account.connections:
                await trio.lowlevel.checkpoint()


async def test_failures_and_expiry_are_shown_from_the_start(tls_party: TlsParty) -> None:
    registry = CollectorRegistry()
    expires_at = datetime(2030, 1, 1, tzinfo=UTC)
    tls = ServerTls(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), handshake_s=1.0)
    TlsMetrics(registry, {"syslog_tls": tls}, {"syslog_tls": expires_at})
    failures = "muttd_tls_handshake_failures_total"
    for listener in ("syslog_tls", "http"):
        for reason in Failure:
            labels = {"listener": listener, "reason": reason.value}
            assert registry.get_sample_value(failures, labels) == 0
    expiry = "muttd_tls_certificate_expiry_timestamp_seconds"
    assert registry.get_sample_value(expiry, {"link": "syslog_tls"}) == expires_at.timestamp()
    assert registry.get_sample_value(expiry, {"link": "http"}) is None
