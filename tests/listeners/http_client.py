"""A server over in-memory streams, and the small client that drives it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h11
import trio
import trio.testing
from prometheus_client import CollectorRegistry

from muttd.listeners.http_connection import HttpConnection
from muttd.listeners.http_options import (
    ASGIApp,
    HttpLimits,
    HttpMetrics,
    HttpOptions,
    Message,
    Scope,
    WebsocketHandler,
)

LIMITS = HttpLimits(max_body_octets=1000, max_head_octets=4096)
CHUNKED = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

Receive = Callable[[], Any]
Send = Callable[[Message], Any]


@dataclass
class EchoApp:
    """An app that answers with what it was sent, and remembers it."""

    scopes: list[Scope] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        body = b""
        has_more = True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            has_more = message["more_body"]
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"got " + body})


@dataclass
class Answer:
    """One response as a client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection to the server."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.h11 = h11.Connection(h11.CLIENT)

    async def send(self, octets: bytes) -> None:
        """Send, from a peer that does not care whether anybody listens any more."""
        try:
            await self.stream.send_all(octets)
        except trio.BrokenResourceError:
            return

    async def read_all(self) -> bytes:
        """Everything up to the end of the stream."""
        octets = b""
        while part := await self.stream.receive_some():
            octets += part
        return octets

    async def answer(self, method: bytes = b"GET") -> Answer:
        """The next final answer to a request that was sent as octets."""
        if self.h11.our_state is h11.IDLE:
            self.h11.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
            self.h11.send(h11.EndOfMessage())
        status, headers, body = 0, {}, b""
        while True:
            event = self.h11.next_event()
            if event is h11.NEED_DATA:
                self.h11.receive_data(await self.stream.receive_some())
            elif type(event) is h11.Response:
                status = event.status_code
                headers = {name.decode(): value.decode() for name, value in event.headers}
            elif type(event) is h11.Data:
                body += bytes(event.data)
            elif type(event) is h11.EndOfMessage:
                if self.h11.our_state is h11.DONE and self.h11.their_state is h11.DONE:
                    self.h11.start_next_cycle()
                return Answer(status, headers, body)
            elif type(event) is h11.ConnectionClosed:
                raise AssertionError("the server closed without an answer")


@dataclass
class Bench:
    """A server for one app."""

    app: ASGIApp
    options: HttpOptions
    registry: CollectorRegistry
    nursery: trio.Nursery

    def connect(self) -> Client:
        """A new connection."""
        client, server = trio.testing.memory_stream_pair()
        connection = HttpConnection(
            server, self.app, self.options, client=("192.0.2.1", 40000), server=("192.0.2.2", 80)
        )
        self.nursery.start_soon(connection.serve)
        return Client(client)

    def outcome(self, name: str) -> float:
        """How many requests ended so."""
        labels = {"outcome": name}
        return self.registry.get_sample_value("muttd_http_requests_total", labels) or 0.0

    def refused(self, reason: str) -> float:
        """How many requests were refused for that reason."""
        labels = {"reason": reason}
        return self.registry.get_sample_value("muttd_http_refused_total", labels) or 0.0


@asynccontextmanager
async def serving(
    app: ASGIApp,
    *,
    limits: HttpLimits = LIMITS,
    websockets: dict[str, WebsocketHandler] | None = None,
) -> AsyncIterator[Bench]:
    """A bench; its connections are closed at the end."""
    registry = CollectorRegistry()
    options = HttpOptions(
        limits=limits,
        metrics=HttpMetrics.register(registry),
        websockets=websockets or {},
        error_headers=((b"X-API-Version", b"2.5"),),
    )
    async with trio.open_nursery() as nursery:
        yield Bench(app, options, registry, nursery)
        nursery.cancel_scope.cancel()


def request(
    body: bytes = b"", *, method: bytes = b"POST", path: bytes = b"/x", fields: bytes = b""
) -> bytes:
    """One request with a Content-Length."""
    head = b"%s %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%s\r\n"
    return head % (method, path, len(body), fields) + body
