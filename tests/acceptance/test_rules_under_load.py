"""Two daemons, thousands of events a second, and operators who change what is done with them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from running_daemon import RunningDaemon, a_rule, eventually
from servers.postgres_server import database, needs_postgres, shared_postgres
from servers.redis_server import needs_redis, redis_server

pytestmark = [pytest.mark.acceptance, needs_redis, needs_postgres]

Start = Callable[..., RunningDaemon]

RATE_PER_S = 2000
IN_FORCE_S = timedelta(seconds=1)
_TICK_S = 0.02

# What stalls an engine that backtracks, and how such a rule is answered: 201, or 400 with a reason.
EVIL = {
    r"(a+)+$": 201,
    r"(a|aa)+$": 201,
    r"(a|a?)+b": 201,
    r"([a-zA-Z]+)*\d$": 201,
    r"(.*a){20}": 201,
    r"(.*a){1,1000}": 400,
    r"(x+x+)+y": 201,
    r"(?=a)a+": 400,
    r"(a)\1+": 400,
    r"((((a*)*)*)*)*": 400,
}
EVIL_TEXT = "a" * 4000 + "!"


@pytest.fixture
def daemons(start_daemon: Start, tmp_path: Path) -> Iterator[list[RunningDaemon]]:
    """Two, on one Redis and one PostgreSQL."""
    with redis_server() as server, database(shared_postgres()) as url:
        yield [
            start_daemon(
                tmp_path / name,
                MUTTD_DAEMON_NAME=name,
                MUTTD_REDIS_URL=server.url(),
                MUTTD_DATABASE_URL=url,
            )
            for name in ("alpha", "beta")
        ]


class Load:
    """Numbered datagrams to each daemon in turn, from a thread of its own."""

    def __init__(self, daemons: list[RunningDaemon]) -> None:
        self._sockets = []
        for daemon in daemons:
            host, port = daemon.listener("syslog_udp")["address"].rsplit(":", 1)
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.connect(("127.0.0.1" if host in ("[::]", "0.0.0.0") else host, int(port)))
            self._sockets.append(sock)
        self.over = threading.Event()
        self.sent = 0

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()

    def run(self) -> None:
        next_at = time.monotonic()
        while not self.over.is_set():
            for _ in range(int(RATE_PER_S * _TICK_S)):
                # One in a hundred is what evil expressions are made for.
                text = EVIL_TEXT if self.sent % 100 == 0 else "and nothing else"
                octets = f"<13>load: number {self.sent} {text}".encode()
                self._sockets[self.sent % len(self._sockets)].send(octets)
                self.sent += 1
            next_at += _TICK_S
            self.over.wait(max(0.0, next_at - time.monotonic()))


@contextmanager
def under_load(daemons: list[RunningDaemon]) -> Iterator[Load]:
    load = Load(daemons)
    sender = threading.Thread(target=load.run)
    sender.start()
    try:
        yield load
    finally:
        load.over.set()
        sender.join()
        load.close()


def decided_after(daemon: RunningDaemon, moment: datetime) -> list[dict[str, Any]]:
    """What came in after a moment, in order of receipt."""
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"from": moment.isoformat(), "limit": 200}
    while True:
        part = daemon.get("/api/v2/events", **params)
        found += part["events"]
        if part["next_cursor"] is None:
            return found[::-1]
        params["cursor"] = part["next_cursor"]


def decided_counts(daemons: list[RunningDaemon]) -> list[int]:
    pipelines = [daemon.get("/api/v2/status")["pipeline"] for daemon in daemons]
    return [pipeline["matched"] + pipeline["unmatched"] for pipeline in pipelines]


def test_a_change_is_in_force_on_both_daemons_within_a_second(daemons: list[RunningDaemon]) -> None:
    alpha, beta = daemons
    with under_load(daemons) as load:
        eventually(lambda: decided_counts(daemons), lambda counts: min(counts) > 500)
        rule = a_rule(name="load", match_string="number", prod_handling="Log_only")
        alpha.post("/api/v2/rules", rule)
        made_at = datetime.now(UTC)
        before = decided_counts(daemons)
        eventually(
            lambda: decided_counts(daemons),
            lambda counts: min(counts[0] - before[0], counts[1] - before[1]) > 1500,
        )
        # Unmatched events are kept no longer, whichever daemon decides them.
        with beta.client() as client:
            client.put("/api/v2/config/history_days", json={"value": 0}).raise_for_status()
            rules = client.get("/api/v2/rules").json()["rules"]
            client.delete(f"/api/v2/rules/{rules[0]['id']}").raise_for_status()
        deleted_at = datetime.now(UTC)
        before = decided_counts(daemons)
        eventually(
            lambda: decided_counts(daemons),
            lambda counts: min(counts[0] - before[0], counts[1] - before[1]) > 1500,
        )
    for daemon in daemons:
        daemon.wait_idle()
    assert load.sent > 5000
    shown = decided_after(alpha, made_at + IN_FORCE_S)
    assert len(shown) > 500
    late = [each for each in shown if not each["matched"]]
    # Until the deletion every one is matched; from a second after it on none is stored at all.
    assert all(datetime.fromisoformat(each["received_at"]) > deleted_at for each in late)
    assert decided_after(alpha, deleted_at + IN_FORCE_S) == []


def test_no_expression_holds_up_intake(start_daemon: Start, tmp_path: Path) -> None:
    daemon = start_daemon(tmp_path / "state")
    answers: dict[str, int] = {}
    slowest_s = 0.0
    with under_load([daemon]) as load, daemon.client() as client:
        for pattern in EVIL:
            rule = a_rule(name="evil", match_type="regex", match_string=pattern)
            began = time.monotonic()
            answer: httpx.Response = client.post("/api/v2/rules", json=rule)
            slowest_s = max(slowest_s, time.monotonic() - began)
            answers[pattern] = answer.status_code
            if answer.status_code == 400:
                [problem] = answer.json()["details"]
                assert problem["field"] == "match_string"
                assert problem["message"]
        assert slowest_s < 5.0
        eventually(
            lambda: daemon.get("/api/v2/status")["rules"]["active"],
            lambda active: active == list(EVIL.values()).count(201),
        )
        in_force_at = load.sent
        eventually(lambda: load.sent, lambda sent: sent > in_force_at + RATE_PER_S)
    assert answers == EVIL
    daemon.wait_idle()
    listener = daemon.listener("syslog_udp")
    assert (listener["received"], listener["dropped"]) == (load.sent, 0)
    assert sum(decided_counts([daemon])) == load.sent
