"""The HTTP listener: TCP connections to one ASGI application and its websockets.

    listeners --accept--> too many? 503 : [handshake] --> HttpConnection --> app | websocket

One task per connection; a connection ends alone. Cancelling serve_http closes them all at once:
nothing here waits for a peer.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Sequence

import trio

from muttd.listeners.http_answer import error_answer
from muttd.listeners.http_connection import HttpConnection
from muttd.listeners.http_options import ASGIApp, Endpoint, HttpOptions, Refusal
from muttd.listeners.tls import Failure, failure_of

# How many of the connections beyond the limit are told so at a time; others are just closed.
MAX_TOLD = 64

# The content type of the record that every TLS connection begins with (RFC 8446, 5.1).
_HANDSHAKE = b"\x16"

# How long a refused connection may take to hear it.
TELL_S = 1.0


async def serve_http(
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]], app: ASGIApp, options: HttpOptions
) -> None:
    """Serve until cancelled.

    Args:
        listeners: Bound and listening; closed at the end.
        app: An ASGI 3 application; it gets scopes of type "http" only, no lifespan.
        options: Limits, counters, websocket paths.
    """
    server = _Server(app, options)
    await trio.serve_listeners(server.serve_stream, list(listeners))


class _Server:
    """Counts connections, and turns away those beyond the limits."""

    def __init__(self, app: ASGIApp, options: HttpOptions) -> None:
        self._app = app
        self._options = options
        self._connection_count = 0
        self._told_count = 0
        self._by_peer: Counter[str] = Counter()

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        client, server = endpoints(stream)
        peer = "" if client is None else client[0]
        limits = self._options.limits
        if self._connection_count >= limits.max_connections:
            await self._turn_away(stream, Refusal.TOO_MANY_CONNECTIONS)
            return
        if self._by_peer[peer] >= limits.max_connections_per_peer:
            await self._turn_away(stream, Refusal.TOO_MANY_FROM_PEER)
            return
        self._connection_count += 1
        self._by_peer[peer] += 1
        self._options.metrics.connections.set(self._connection_count)
        try:
            secured = await self._secured(stream)
            if secured is not None:
                connection = HttpConnection(
                    secured, self._app, self._options, client=client, server=server
                )
                await connection.serve()
        finally:
            self._connection_count -= 1
            self._by_peer[peer] -= 1
            if not self._by_peer[peer]:
                del self._by_peer[peer]
            self._options.metrics.connections.set(self._connection_count)

    async def _secured(self, stream: trio.abc.Stream) -> trio.abc.Stream | None:
        """The stream to speak HTTP on; None when it comes to nothing, and is closed."""
        tls = self._options.tls
        if tls is None:
            return stream
        # Browsers close without close_notify; a request says itself where it ends.
        secured = trio.SSLStream(stream, tls.context, server_side=True, https_compatible=True)
        failure = Failure.TIMEOUT
        with trio.move_on_after(tls.handshake_s):
            try:
                if isinstance(stream, trio.SocketStream) and await _is_plain(stream):
                    tls.failures[Failure.NOT_TLS] += 1
                    await self._turn_away(stream, Refusal.NOT_TLS)
                    return None
                await secured.do_handshake()
            except (trio.BrokenResourceError, OSError) as exc:
                cause = exc.__cause__
                failure = failure_of(cause) if isinstance(cause, ssl.SSLError) else Failure.GONE
            else:
                return secured
        tls.failures[failure] += 1
        await trio.aclose_forcefully(stream)
        return None

    async def _turn_away(self, stream: trio.abc.Stream, refusal: Refusal) -> None:
        self._options.metrics.refused[refusal].inc()
        self._told_count += 1
        try:
            is_audible = self._options.tls is None or refusal is Refusal.NOT_TLS
            if is_audible and self._told_count <= MAX_TOLD:
                await _tell(stream, error_answer(refusal, self._options))
        finally:
            self._told_count -= 1
            await trio.aclose_forcefully(stream)


async def _is_plain(stream: trio.SocketStream) -> bool:
    """Whether the peer begins with anything but a handshake record (RFC 8446, 5.1)."""
    first = await stream.socket.recv(1, socket.MSG_PEEK)
    return first not in (b"", _HANDSHAKE)


async def _tell(stream: trio.abc.Stream, answer: bytes) -> None:
    with trio.move_on_after(TELL_S):
        try:
            # Its request first: to close with octets unread resets the connection, answer and all.
            await stream.receive_some(65_536)
            await stream.send_all(answer)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # It left by itself.
            return


def endpoints(stream: trio.abc.Stream) -> tuple[Endpoint | None, Endpoint | None]:
    """Both ends of a stream: (client, server), or None where it has no addresses."""
    if isinstance(stream, trio.SSLStream):
        return endpoints(stream.transport_stream)
    if not isinstance(stream, trio.SocketStream):
        return None, None
    try:
        client, server = stream.socket.getpeername(), stream.socket.getsockname()
    except OSError:
        # It was gone before we looked; the first read will say so.
        return None, None
    return _endpoint(client), _endpoint(server)


def _endpoint(name: tuple[str, int] | tuple[str, int, int, int]) -> Endpoint:
    """An IPv4 peer of a dual-stack socket is shown as IPv4 (RFC 4291, 2.5.5.2)."""
    address = ipaddress.ip_address(name[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address), name[1]
