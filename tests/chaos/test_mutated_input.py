"""Damaged input by the thousand on every listener: nothing escapes, nothing leaks, all counted."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from mutations import SYSLOG, TRAPS, mutations
from running_daemon import RunningDaemon, eventually, resident_octets

pytestmark = pytest.mark.chaos

COUNT = 15_000
MAX_GROWTH_OCTETS = 64 << 20


def is_balanced(row: dict[str, Any]) -> bool:
    """Received = queued + refused + dropped."""
    return bool(row["received"] == row["queued"] + row["refused"] + row["dropped"])


def assert_unharmed(daemon: RunningDaemon, before_octets: int) -> None:
    daemon.wait_idle()
    daemon.post("/ingest", {"message": "still here", "hostname": "h"})
    assert resident_octets(daemon.process.pid) - before_octets < MAX_GROWTH_OCTETS
    bad = [line for line in daemon.log if "Traceback" in line or "ERROR" in line]
    assert bad == []
    assert daemon.get("/api/v2/status")["pipeline"]["buried"] == 0


@pytest.mark.parametrize(
    ("listener", "corpus"),
    [pytest.param("syslog_udp", SYSLOG, id="syslog"), pytest.param("snmp", TRAPS, id="traps")],
)
def test_mutated_datagrams_are_events_or_counted_refusals(
    start_daemon: Callable[..., RunningDaemon], listener: str, corpus: tuple[bytes, ...]
) -> None:
    daemon = start_daemon()
    before = resident_octets(daemon.process.pid)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", daemon.ports[listener]))
        for octets in mutations(corpus, seed=1, count=COUNT):
            sock.send(octets)
    row = eventually(
        lambda: daemon.listener(listener),
        lambda row: row["received"] + row["kernel_dropped"] == COUNT and is_balanced(row),
        within_s=60,
    )
    assert row["dropped"] == 0
    assert_unharmed(daemon, before)


def test_mutated_tcp_streams_cost_their_connection_at_most(
    start_daemon: Callable[..., RunningDaemon],
) -> None:
    daemon = start_daemon()
    before = resident_octets(daemon.process.pid)
    framed = tuple(b"%d %s" % (len(each), each) for each in SYSLOG)
    trailed = tuple(each + b"\n" for each in SYSLOG)
    stream = list(mutations(framed + trailed, seed=2, count=COUNT))
    for first in range(0, len(stream), 50):
        with socket.create_connection(("127.0.0.1", daemon.ports["syslog_tcp"])) as sock:
            try:
                for octets in stream[first : first + 50]:
                    sock.sendall(octets)
            except (BrokenPipeError, ConnectionResetError):
                # It said what it thinks of us.
                continue
    row = eventually(
        lambda: daemon.listener("syslog_tcp"),
        lambda row: row["connections"] == 0 and is_balanced(row),
    )
    assert row["received"] > 0
    assert_unharmed(daemon, before)
