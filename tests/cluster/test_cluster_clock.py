"""Clocks: the month ends, a sender lives in another year, a partition is not there: all stored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually
from servers.faked_clock import FakedClock, needs_faketime
from servers.postgres_server import PostgresServer, needs_postgres, postgres_server

pytestmark = [needs_postgres, pytest.mark.chaos]

# Far away, so that no partition of the present serves.
MIDNIGHT = datetime(2031, 2, 1, tzinfo=UTC)
TABLES = ("event_audit_log", "event_history")


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        server.execute("CREATE DATABASE mutt")
        yield server


def rows_of(database: PostgresServer, table: str) -> list[tuple[str, datetime]]:
    rows = database.execute(
        f"SELECT message, received_at FROM {table} WHERE message LIKE '%seq=%'", database="mutt"
    )
    return [(str(message), at) for message, at in rows if isinstance(at, datetime)]


def set_clock(clock: FakedClock, at: datetime) -> None:
    """From now on the daemon's clock, and no one else's, says that it is then."""
    clock.set_ahead(at - datetime.now(UTC))


@needs_faketime
def test_events_on_both_sides_of_a_month_that_ends_are_stored_where_they_belong(
    database: PostgresServer, tmp_path: Path, webhook: ScriptedWebhook
) -> None:
    clock = FakedClock(tmp_path / "clock")
    set_clock(clock, MIDNIGHT - timedelta(minutes=20))
    environ = {
        "MUTTD_DATABASE_URL": database.url("mutt"),
        "MUTTD_MOOG_WEBHOOK_URL": webhook.url,
        **clock.environ,
        "TZ": "UTC",
    }
    daemon = RunningDaemon(tmp_path / "state", environ)
    sent = 0

    def both_sides_are_there() -> bool:
        nonlocal sent
        for _ in range(20):
            text = b"LINK-3-UPDOWN" if sent % 2 else b"SESSION-6-INFO"
            daemon.send_udp(b"<134>1 - h a - - - %s seq=%d" % (text, sent))
            sent += 1
        return all(
            any(at < MIDNIGHT for _, at in rows) and any(at > MIDNIGHT for _, at in rows)
            for rows in (rows_of(database, table) for table in TABLES)
        )

    try:
        daemon.wait_ready()
        daemon.post("/api/v2/rules", a_rule())
        eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"])
        assert not both_sides_are_there()
        set_clock(clock, MIDNIGHT - timedelta(seconds=2))
        eventually(both_sides_are_there, within_s=30)
        daemon.wait_idle()
    finally:
        daemon.kill()
    audited, history = (rows_of(database, table) for table in TABLES)
    assert len(audited) + len(history) == sent
    assert len({text for text, _ in audited + history}) == sent


def test_a_sender_whose_clock_is_a_year_off_is_stored_by_ours(
    database: PostgresServer, tmp_path: Path
) -> None:
    daemon = RunningDaemon(tmp_path / "state", {"MUTTD_DATABASE_URL": database.url("mutt")})
    now = datetime.now(UTC)
    try:
        daemon.wait_ready()
        for number, days in enumerate((-366, -31, 0, 31, 366, 36500)):
            stamp = (now + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
            daemon.send_udp(f"<134>1 {stamp} h a - - - clock seq={number}".encode())
        found = eventually(lambda: daemon.events(q="clock seq="), lambda rows: len(rows) == 6)
    finally:
        daemon.kill()
    for event in found:
        received_at = datetime.fromisoformat(event["received_at"])
        assert abs(received_at - now) < timedelta(minutes=5)
    years = {datetime.fromisoformat(event["event_time"]).year for event in found}
    assert len(years) >= 3
