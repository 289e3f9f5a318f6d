"""The HTTP listener: TCP connections to one ASGI application and its websockets.

    listeners --accept--> too many? 503 : HttpConnection --> app | websocket

One task per connection; a connection ends alone. Cancelling serve_http closes them all at once:
nothing here waits for a peer.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Sequence

import trio

from muttd.listeners.http_answer import error_answer
from muttd.listeners.http_connection import HttpConnection
from muttd.listeners.http_options import ASGIApp, Endpoint, HttpOptions, Refusal

# How many of the connections beyond the limit are told so at a time; others are just closed.
MAX_TOLD = 64

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
            connection = HttpConnection(
                stream, self._app, self._options, client=client, server=server
            )
            await connection.serve()
        finally:
            self._connection_count -= 1
            self._by_peer[peer] -= 1
            if not self._by_peer[peer]:
                del self._by_peer[peer]
            self._options.metrics.connections.set(self._connection_count)

    async def _turn_away(self, stream: trio.abc.Stream, refusal: Refusal) -> None:
        self._options.metrics.refused[refusal].inc()
        self._told_count += 1
        try:
            if self._told_count <= MAX_TOLD:
                await _tell(stream, error_answer(refusal, self._options))
        finally:
            self._told_count -= 1
            await trio.aclose_forcefully(stream)


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
