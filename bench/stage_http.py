"""HTTP ingest, one event a request: requests a second, and the server's CPU time for each.

    PYTHONPATH=.:tests:tests/web python bench/stage_http.py [requests] [connections]

The client is a process of its own, so that the CPU time is the server's alone. Three figures: the
transport with an app of three lines, the whole application with a sink in memory, and the same with
batches of 100 events.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import trio
from prometheus_client import CollectorRegistry
from web_site import KEYS, open_site

from muttd.listeners.http import serve_http
from muttd.listeners.http_options import (
    ASGIApp,
    HttpLimits,
    HttpMetrics,
    HttpOptions,
    Message,
    Scope,
)
from muttd.web.auth import Role

KEY = KEYS[Role.INGEST]
EVENT = (
    b'{"message":"%LINK-3-UPDOWN: Interface Gi0/3 down","hostname":"core-sw-1","severity":"err"}'
)
# Whatever happens, the client ends.
CLIENT_LIFE_S = 60.0


async def three_lines(
    scope: Scope,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b'{"status":"queued"}'})


async def whole_application(run: Callable[[ASGIApp], Awaitable[None]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with open_site(Path(directory)) as site:
            await run(site.app)


async def measure(label: str, body: bytes, counts: tuple[int, int], app: ASGIApp) -> None:
    """Serve one client process, and print what it took."""
    requests, connections = counts
    options = HttpOptions(
        limits=HttpLimits(max_body_octets=10_485_760),
        metrics=HttpMetrics.register(CollectorRegistry()),
    )
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_http, listeners, app, options)
        started_s, cpu_s = time.perf_counter(), time.process_time()
        command = [sys.executable, __file__, "client", str(port), str(requests), str(connections)]
        await trio.run_process(command, stdin=body)
        cpu_s, elapsed_s = time.process_time() - cpu_s, time.perf_counter() - started_s
        nursery.cancel_scope.cancel()
    print(
        f"{label:34} {requests / elapsed_s:8.0f} requests/s {cpu_s / requests * 1e6:8.1f} us CPU"
        " a request"
    )


def be_client(port: int, requests: int, connections: int) -> None:
    """Send requests over some connections, one at a time on each."""
    body = sys.stdin.buffer.read()
    head = (
        f"POST /api/v2/ingest HTTP/1.1\r\nHost: bench\r\nX-API-KEY: {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    deadline = time.monotonic() + CLIENT_LIFE_S
    socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    sent = 0
    while sent < requests and time.monotonic() < deadline:
        for sock in socks:
            sock.sendall(request)
        for sock in socks:
            answer = sock.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200 "), answer
        sent += len(socks)


async def main(requests: int, connections: int) -> None:
    counts = (requests, connections)
    batch = b"[" + b",".join([EVENT] * 100) + b"]"
    await measure("transport alone", EVENT, counts, three_lines)
    await whole_application(partial(measure, "ingest, one event", EVENT, counts))
    few = (requests // 20, connections)
    await whole_application(partial(measure, "ingest, batches of 100", batch, few))


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        be_client(*map(int, sys.argv[2:5]))
    else:
        given = [int(text) for text in sys.argv[1:3]]
        requests, connections = given + [10_000, 16][len(given) :]
        trio.run(main, requests, connections)
