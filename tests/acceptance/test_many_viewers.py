"""Live viewers of a whole daemon: one who stops reading costs himself, and nobody else.

bench/live_viewers.py measures the same with two hundred of them.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from operator import eq

import pytest
from running_daemon import RunningDaemon, eventually, growth_of

pytestmark = pytest.mark.acceptance

_READERS = 10
_EVENTS = 4000
# Large, so that what a kernel holds for a socket is soon full.
_MESSAGE_OCTETS = 6000
_BURST_EVENTS = 100
# A viewer may have four MiB waiting, an event is shown to all from one copy, and the queue keeps
# what the store has not got yet.
_MAY_GROW_OCTETS = 96 * 2**20


def look_on(daemon: RunningDaemon, *, receive_octets: int | None = None) -> socket.socket:
    """A viewer whose handshake is done."""
    sock = socket.socket()
    if receive_octets is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_octets)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", daemon.ports["http"]))
    sock.sendall(
        b"GET /api/v2/live HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"X-API-KEY: %b\r\n\r\n" % daemon.key().encode()
    )
    assert sock.recv(4096).startswith(b"HTTP/1.1 101")
    return sock


class Reader(threading.Thread):
    """Reads until the other end, or we, close."""

    def __init__(self, daemon: RunningDaemon) -> None:
        super().__init__(daemon=True)
        self.octets = 0
        self.is_cut_off = False
        self._is_over = False
        self._sock = look_on(daemon)

    def run(self) -> None:
        """Count what comes."""
        with self._sock:
            while octets := self._sock.recv(1 << 18):
                self.octets += len(octets)
            self.is_cut_off = not self._is_over

    def stop(self) -> None:
        """Go away."""
        self._is_over = True
        self._sock.shutdown(socket.SHUT_RDWR)
        self.join(10)


@contextmanager
def reading(daemon: RunningDaemon) -> Iterator[list[Reader]]:
    readers = [Reader(daemon) for _ in range(_READERS)]
    for reader in readers:
        reader.start()
    yield readers
    for reader in readers:
        reader.stop()


def metric(daemon: RunningDaemon, name: str) -> float:
    with daemon.client() as client:
        found = re.search(rf"^{name} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def queued(daemon: RunningDaemon) -> int:
    events: int = daemon.listener("syslog_udp")["queued"]
    return events


def test_a_viewer_who_stops_reading_is_cut_off_and_nothing_is_lost(
    start_daemon: Callable[..., RunningDaemon],
) -> None:
    daemon = start_daemon(MUTTD_HTTP_SEND_TIMEOUT_S="1")
    growth = growth_of(daemon.process.pid)
    with look_on(daemon, receive_octets=4096) as stopped, reading(daemon) as readers:
        assert metric(daemon, "muttd_live_viewers") == _READERS + 1
        text = b"x" * _MESSAGE_OCTETS
        for number in range(_EVENTS):
            daemon.send_udp(b"<134>1 - sw1 app - - - %d %b" % (number, text))
            if number % _BURST_EVENTS == _BURST_EVENTS - 1:
                eventually(partial(queued, daemon), partial(eq, number + 1))
        eventually(lambda: metric(daemon, "muttd_live_cut_off_total"), lambda count: count == 1)
        # What its kernel had taken already, and then the end.
        with suppress(ConnectionResetError):
            while stopped.recv(1 << 18):
                pass
        before = [reader.octets for reader in readers]
        assert min(before) > _MESSAGE_OCTETS
        daemon.send_udp(b"<134>1 - sw1 app - - - one more %b" % text)
        # Every one of the others still hears of it.
        eventually(
            lambda: all(each.octets > had for each, had in zip(readers, before, strict=True))
        )
        assert not any(reader.is_cut_off for reader in readers)
        assert metric(daemon, "muttd_live_viewers") == _READERS
    daemon.wait_idle()
    listener = daemon.listener("syslog_udp")
    assert (listener["queued"], listener["dropped"]) == (_EVENTS + 1, 0)
    assert daemon.get("/api/v2/events", limit=1)["pagination"]["total"] == _EVENTS + 1
    assert growth() < _MAY_GROW_OCTETS
