"""Nothing goes missing without a number: the two equations, over every listener of a real daemon.

received = queued + refused + dropped
queued   = audited + dead-lettered + history + pending
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from mutations import SYSLOG, TRAPS, mutations
from running_daemon import RunningDaemon, a_rule, eventually
from servers.certificates import TlsParty, client_context

from muttd.accounts import LISTENERS
from muttd.queue.ledger import KINDS

pytestmark = pytest.mark.acceptance

PER_LISTENER = 1000


def send_datagrams(daemon: RunningDaemon, listener: str, corpus: tuple[bytes, ...]) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.connect(("::1", daemon.ports[listener]))
        for n, octets in enumerate(mutations(corpus, seed=3, count=PER_LISTENER)):
            # Half of them as they should be, every other one damaged.
            sock.send(octets if n % 2 else corpus[n % len(corpus)])


def send_streams(connect: Callable[[], socket.socket]) -> None:
    """Two senders on one port, each with its own framing."""
    for is_counted in (False, True):
        with connect() as sock:
            for n in range(PER_LISTENER // 2):
                text = SYSLOG[n % 5] + b" %d" % n
                sock.sendall(b"%d %s" % (len(text), text) if is_counted else text + b"\n")


def send_items(daemon: RunningDaemon) -> None:
    good = [{"message": f"LINK-3-UPDOWN {n}", "hostname": "h"} for n in range(PER_LISTENER // 2)]
    bad = [{"message": f"no hostname {n}"} for n in range(PER_LISTENER // 2)]
    daemon.post("/ingest", [item for pair in zip(good, bad, strict=True) for item in pair])


def is_settled(rows: list[dict[str, Any]]) -> bool:
    return all(
        row["received"] + row["kernel_dropped"] >= PER_LISTENER
        and row["received"] == row["queued"] + row["refused"] + row["dropped"]
        for row in rows
    )


def test_every_message_on_every_listener_is_accounted_for(
    start_daemon: Callable[..., RunningDaemon], tls_party: TlsParty
) -> None:
    daemon = start_daemon(
        MUTTD_TLS_CERT=str(tls_party.server.cert),
        MUTTD_TLS_KEY=str(tls_party.server.key),
        MUTTD_TLS_CA=str(tls_party.ca.cert),
        MUTTD_SYSLOG_TLS="[::]:0",
        # A meta-alert is an event that nobody sent.
        MUTTD_UNHANDLED_THRESHOLD=str(10 * PER_LISTENER),
    )
    trust = client_context(tls_party.ca)

    def connect(listener: str = "syslog_tcp") -> socket.socket:
        return socket.create_connection(("::1", daemon.ports[listener]))

    daemon.post("/api/v2/rules", a_rule())
    eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"])
    send_datagrams(daemon, "syslog_udp", SYSLOG)
    send_datagrams(daemon, "snmp", TRAPS)
    send_streams(connect)
    send_streams(lambda: trust.wrap_socket(connect("syslog_tls"), server_hostname="localhost"))
    send_items(daemon)
    rows = eventually(lambda: daemon.get("/api/v2/status")["listeners"], is_settled)
    assert {row["name"] for row in rows} == set(LISTENERS)
    assert sum(row["received"] + row["kernel_dropped"] for row in rows) == 5 * PER_LISTENER
    [http] = [row for row in rows if row["name"] == "http"]
    assert http["refused_by_reason"] == {"invalid": PER_LISTENER // 2}
    daemon.wait_idle()
    queued = sum(row["queued"] for row in rows)
    pipeline = daemon.get("/api/v2/status")["pipeline"]
    assert pipeline["matched"] + pipeline["unmatched"] + pipeline["buried"] == queued
    stored = daemon.get("/api/v2/events", limit=1)["pagination"]["total"]
    audited = daemon.get("/api/v2/audit-logs", limit=1)["pagination"]["total"]
    assert (stored, audited) == (queued, pipeline["matched"])


def test_every_series_is_there_at_zero_from_the_start(
    start_daemon: Callable[..., RunningDaemon],
) -> None:
    daemon = start_daemon()
    with daemon.client() as client:
        text = client.get("/metrics").text
    for listener in LISTENERS:
        for name in ("received", "queued", "dropped", "kernel_dropped", "malformed"):
            assert f'muttd_intake_{name}_total{{listener="{listener}"}} 0.0' in text
    for name in ("delivered", "retried", "dead"):
        assert f'muttd_forwarder_{name}_total{{destination="moog"}} 0.0' in text
    for name in ("breaker_open", "breaker_failures", "breaker_opened_total", "forwarder_held"):
        assert f'muttd_{name}{{destination="moog"}} 0.0' in text
    for name in ("replayed", "forgotten"):
        assert f"muttd_dead_letters_{name}_total 0.0" in text
    for name in ("matched", "unmatched", "alerts", "held_back", "buried", "failures"):
        assert f"muttd_alerter_{name}_total 0.0" in text
    for kind in ("unhandled", "silent", "back", "alert"):
        assert f'muttd_meta_alerts_raised_total{{kind="{kind}"}} 0.0' in text
    for kind in KINDS:
        assert f'muttd_ledger_keys{{kind="{kind}"}} 0.0' in text
        assert f'muttd_ledger_evicted_total{{kind="{kind}"}} 0.0' in text
