"""muttd status: what a person asks first is what he sees first."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from fake_api import FakeApi

from muttd.cli import main
from muttd.commands.status import render_status
from muttd.commands.terminal import Palette


def a_status(**parts: Any) -> dict[str, Any]:
    return {
        "daemon": {
            "name": "collector-1",
            "version": "0.1.0",
            "started_at": "2026-03-01T12:00:00.000000Z",
            "uptime_s": 11_530.2,
            "state": "running",
        },
        "listeners": [
            {
                "name": "syslog_udp",
                "address": "[::]:514",
                "received": 1200,
                "queued": 1190,
                "refused": 3,
                "dropped": 7,
                "kernel_dropped": None,
                "malformed": 2,
                "connections": None,
            }
        ],
        "rates": {
            "received_per_s_1m": 12.34,
            "received_per_s_15m": 2.0,
            "received_per_s_1h": 0.5,
        },
        "queue": {
            "limit": 1_000_000,
            "ingest": {"items": 42, "pending_items": 2, "oldest_age_s": 3.9},
            "alert": {"items": 0, "pending_items": 0, "oldest_age_s": None},
        },
        "rules": {"revision": 7, "active": 3, "loaded_at": "2026-03-01T12:00:00.000000Z"},
        "pipeline": {"matched": 10, "unmatched": 20, "buried": 0},
        "forwarder": {
            "destination": "webhook",
            "state": "idle",
            "delivered": 9,
            "retried": 1,
            "dead": 0,
            "last_error": None,
        },
        "dependencies": {"queue": {"ok": True, "error": None}},
        "warnings": [],
        **parts,
    }


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def plain(status: dict[str, Any]) -> str:
    return render_status(status, Palette(io.StringIO(), {}))


def test_rates_depths_decisions_and_deliveries_are_each_on_one_line() -> None:
    assert plain(a_status()).splitlines() == [
        "collector-1  muttd 0.1.0  running for 3 h 12 min",
        "received   12.3/s over 1 min, 2.0/s over 15 min, 0.5/s over 1 h",
        "ingest     42 waiting of at most 1000000, the oldest for 3 s",
        "alert      0 waiting",
        "rules      3 active, revision 7",
        "decided    10 matched, 20 unmatched, 0 buried",
        "forwarder  webhook: idle, 9 delivered, 1 retried, 0 dead",
        "",
        "NAME        ADDRESS   RECEIVED  QUEUED  REFUSED  DROPPED  KERNEL DROPPED  MALFORMED"
        "  CONNECTIONS",
        "syslog_udp  [::]:514      1200    1190        3        7               -          2"
        "            -",
    ]


def a_peer(name: str, **parts: Any) -> dict[str, Any]:
    return {
        "name": name,
        "instance_id": "0123456789ab",
        "version": "0.1.0",
        "state": "running",
        "is_silent": False,
        "seen_s": 1.2,
        "received_per_s_1m": 12.34,
        "lag_s": 0.012,
        "spooled_events": 0,
        "listeners": {"received": 1200, "dropped": 1, "kernel_dropped": 2},
        "dependencies": {"queue": {"ok": True, "error": None}},
        **parts,
    }


def test_a_spool_says_what_waits_on_disk() -> None:
    spool: dict[str, Any] = {"events": 0, "octets": 0, "limit_octets": 1_073_741_824, "since": None}
    assert "spool      empty, 0.0 of 1024 MiB" in plain(a_status(spool=spool)).splitlines()
    spool |= {"events": 39, "octets": 3_145_728, "since": "2026-03-01T12:00:00.000000Z"}
    assert (
        "spool      39 events wait on disk since 2026-03-01T12:00:00.000000Z, 3.0 of 1024 MiB"
        in plain(a_status(spool=spool)).splitlines()
    )


def test_each_daemon_of_a_cluster_is_on_a_line() -> None:
    down = {"queue": {"ok": False, "error": "e"}, "store": {"ok": True}}
    peers = [
        a_peer("alpha", dependencies=down),
        a_peer("beta\x1b[2J", is_silent=True, seen_s=75.0),
        a_peer("gamma", seen_s=20.0),
    ]
    assert plain(a_status(peers=peers)).splitlines()[-5:] == [
        "",
        "DAEMON       INSTANCE      VERSION  STATE                  RECEIVED/S  LAG S  RECEIVED"
        "  LOST  SPOOLED  DOWN",
        "alpha        0123456789ab    0.1.0  running                      12.3    0.0      1200"
        "     3        0  queue",
        r"beta\x1b[2J  0123456789ab    0.1.0  silent for 1 min 15 s        12.3    0.0      1200"
        "     3        0  not known",
        "gamma        0123456789ab    0.1.0  seen 20 s ago                12.3    0.0      1200"
        "     3        0  none",
    ]


def test_a_queue_that_does_not_answer_has_no_depth() -> None:
    unknown = {"items": None, "pending_items": None, "oldest_age_s": None}
    lines = plain(a_status(queue={"limit": 10, "ingest": unknown, "alert": unknown})).splitlines()
    assert "ingest     not known: the queue does not answer" in lines


def test_a_daemon_alone_has_no_table_of_daemons() -> None:
    assert plain(a_status(peers=[a_peer("alpha")])) == plain(a_status())


def test_what_is_wrong_comes_first() -> None:
    status = a_status(
        warnings=["the disk is full\x1b[2J"],
        dependencies={"store": {"ok": False, "error": "locked"}, "queue": {"ok": True}},
    )
    assert plain(status).splitlines()[1:3] == [
        r"WARNING    the disk is full\x1b[2J",
        "DOWN       store: locked",
    ]


def test_a_missing_webhook_and_the_last_error_are_said() -> None:
    forwarder = {
        "destination": None,
        "state": "unrouted",
        "delivered": 0,
        "retried": 0,
        "dead": 2,
        "last_error": "HTTP status 500",
    }
    lines = plain(a_status(forwarder=forwarder)).splitlines()
    assert "forwarder  no webhook is set: unrouted, 0 delivered, 0 retried, 2 dead" in lines
    assert "           HTTP status 500" in lines


def test_colours_are_for_terminals_that_want_them() -> None:
    status = a_status(warnings=["w"])
    assert "\x1b[31mWARNING    w\x1b[0m" in render_status(status, Palette(Terminal(), {}))
    assert "\x1b" not in render_status(status, Palette(Terminal(), {"NO_COLOR": "1"}))
    assert "\x1b" not in plain(status)


def test_losses_are_red() -> None:
    status = a_status(pipeline={"matched": 0, "unmatched": 0, "buried": 4})
    assert "\x1b[31m4 buried\x1b[0m" in render_status(status, Palette(Terminal(), {}))


def test_a_daemon_that_drains_says_so() -> None:
    daemon = {**a_status()["daemon"], "state": "draining", "uptime_s": 59}
    assert plain(a_status(daemon=daemon)).startswith("collector-1  muttd 0.1.0  draining for 59 s")


def test_the_command_shows_it_and_gives_it_to_a_machine(
    api: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api.status = a_status()
    status = ["status", "--url", api.url, "--key-file", key_file]
    assert main(status, {}) == 0
    assert capsys.readouterr().out == plain(a_status())
    assert main([*status, "--json"], {}) == 0
    assert json.loads(capsys.readouterr().out) == a_status()


def test_each_destination_has_its_line_with_its_breaker_and_what_waits() -> None:
    counts = {"delivered": 9, "retried": 12, "dead": 0}
    rows = [
        {
            "name": "moog",
            "is_default": True,
            "state": "open",
            **counts,
            "last_error": "status 503",
            "breaker": {"state": "open", "failures": 11, "probe_in_s": 120.0},
            "waiting": 30,
            "oldest_age_s": 400.0,
        },
        {
            "name": "tickets",
            "is_default": False,
            "state": "held",
            **counts,
            "last_error": None,
            "breaker": {"state": "closed", "failures": 0, "probe_in_s": 0.0},
            "waiting": 0,
            "oldest_age_s": 0.0,
        },
    ]
    lines = plain(a_status(destinations=rows)).splitlines()
    assert (
        "forwarder  moog: open after 11 failures, next try in 2 min 0 s, 30 waiting, 9"
        " delivered, 12 retried, 0 dead" in lines
    )
    assert "           status 503" in lines
    assert "forwarder  tickets: held, 9 delivered, 12 retried, 0 dead" in lines
