"""muttd/listeners/http.py with TLS before it: HTTPS, websockets over it, and what is no TLS."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import trio
from http_client import Answer, Client, EchoApp, request
from prometheus_client import CollectorRegistry
from servers.certificates import KeyPair, TlsParty, client_context

from muttd.listeners.bind import bind
from muttd.listeners.http import serve_http
from muttd.listeners.http_options import HttpLimits, HttpMetrics, HttpOptions, Scope
from muttd.listeners.tls import Failure, ServerTls
from muttd.tls_files import NamedFile, TlsFiles, load_server_tls


def context_of(pair: KeyPair) -> ssl.SSLContext:
    files = TlsFiles(cert=NamedFile("CERT", pair.cert), key=NamedFile("KEY", pair.key))
    return load_server_tls(files, now=datetime.now(UTC), forgive_expired=False).context


@dataclass
class Site:
    """A listening server."""

    party: TlsParty
    port: int
    tls: ServerTls
    registry: CollectorRegistry
    app: EchoApp
    streams: list[trio.abc.Stream] = field(default_factory=list)

    async def connect_plain(self) -> trio.SocketStream:
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        self.streams.append(stream)
        return stream

    async def connect(self) -> Client:
        """A client that trusts the server; its handshake is done when it first sends."""
        return Client(
            trio.SSLStream(
                await self.connect_plain(),
                client_context(self.party.ca),
                server_hostname="localhost",
                https_compatible=True,
            )
        )

    async def wait_failure(self, failure: Failure) -> None:
        with trio.fail_after(10):
            while not self.tls.failures[failure]:
                await trio.lowlevel.checkpoint()
        assert sum(self.tls.failures.values()) == 1


async def echo_websocket(stream: trio.abc.Stream, scope: Scope) -> None:
    """Says what it is, and gives back what comes."""
    await stream.send_all(f"{scope['type']} {scope['scheme']}\n".encode())
    while octets := await stream.receive_some():
        await stream.send_all(octets)


async def ask(client: Client, octets: bytes) -> Answer:
    with trio.fail_after(10):
        await client.send(octets)
        return await client.answer(octets.split(b" ")[0])


@asynccontextmanager
async def listening(party: TlsParty, *, handshake_s: float = 10.0) -> AsyncIterator[Site]:
    registry = CollectorRegistry()
    tls = ServerTls(context_of(party.server), handshake_s=handshake_s)
    app = EchoApp()
    options = HttpOptions(
        limits=HttpLimits(max_body_octets=10_000_000, max_connections=4),
        metrics=HttpMetrics.register(registry),
        websockets={"/live": echo_websocket},
        tls=tls,
    )
    sock = trio.socket.from_stdlib_socket(bind("127.0.0.1", 0, socket.SOCK_STREAM).sock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_http, [trio.SocketListener(sock)], app, options)
        site = Site(party, sock.getsockname()[1], tls, registry, app)
        yield site
        nursery.cancel_scope.cancel()
    for stream in site.streams:
        await trio.aclose_forcefully(stream)


async def test_requests_are_served_over_tls_and_know_it(tls_party: TlsParty) -> None:
    async with listening(tls_party) as site:
        client = await site.connect()
        for body in (b"one", b"x" * 3_000_000):
            answer = await ask(client, request(body))
            assert (answer.status, answer.body) == (200, b"got " + body)
        scope = site.app.scopes[0]
        assert (scope["scheme"], scope["client"][0]) == ("https", "127.0.0.1")


async def test_a_websocket_is_served_over_tls(tls_party: TlsParty) -> None:
    handshake = (
        b"GET /live HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with listening(tls_party) as site:
        client = await site.connect()
        await client.stream.send_all(handshake)
        octets = b""
        with trio.fail_after(10):
            while not octets.lower().endswith(handshake.lower()):
                octets += await client.stream.receive_some()
        assert octets.startswith(b"websocket https\n")


async def test_plain_http_on_the_port_is_told_to_use_https(tls_party: TlsParty) -> None:
    async with listening(tls_party) as site:
        client = Client(await site.connect_plain())
        answer = await ask(client, request())
        assert answer.status == 400
        assert json.loads(answer.body)["message"] == "this port speaks HTTPS; use an https:// URL"
        await site.wait_failure(Failure.NOT_TLS)
        assert site.app.scopes == []


async def test_a_handshake_that_drips_is_cut_off(tls_party: TlsParty) -> None:
    async with listening(tls_party, handshake_s=0.05) as site:
        stream = await site.connect_plain()
        await stream.send_all(b"\x16\x03")
        with trio.fail_after(10):
            assert await stream.receive_some() == b""
        await site.wait_failure(Failure.TIMEOUT)


@pytest.mark.parametrize("octets", [b"", b"\x16\x03\x01\x02"])
async def test_a_peer_that_leaves_in_its_handshake_is_gone(
    tls_party: TlsParty, octets: bytes
) -> None:
    async with listening(tls_party) as site:
        stream = await site.connect_plain()
        await stream.send_all(octets)
        await stream.send_eof()
        await site.wait_failure(Failure.GONE)


async def test_a_connection_too_many_is_closed_without_plain_text(tls_party: TlsParty) -> None:
    async with listening(tls_party) as site:
        kept = [await site.connect() for _ in range(4)]
        for client in kept:
            await client.stream.do_handshake()
        stream = await site.connect_plain()
        with trio.fail_after(10), suppress(trio.BrokenResourceError):
            assert await stream.receive_some() == b""


async def test_a_reload_is_for_new_connections_and_old_ones_go_on(tls_party: TlsParty) -> None:
    async with listening(tls_party) as site:
        old = await site.connect()
        assert (await ask(old, request())).status == 200
        site.tls.context = context_of(tls_party.stranger)
        with pytest.raises(trio.BrokenResourceError) as caught:
            await (await site.connect()).stream.do_handshake()
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        assert (await ask(old, request())).status == 200
