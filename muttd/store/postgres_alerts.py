"""Alerts and their deliveries in PostgreSQL.

    alerts       one row per alert: the alert itself, and the state its last attempt left it in
    deliveries   one row per attempt; (alert_id, attempt) is written once

alert_id begins with the event's UUIDv7, so its order is the order in which alerts were raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from muttd.decision import Alert, AlertState, Delivery, decode_alerts, encode_alerts
from muttd.store.contract import Page, StoredAlert, Window
from muttd.store.postgres_connection import Connection
from muttd.store.postgres_link import PostgresLink
from muttd.store.postgres_search import Where
from muttd.store.search import decode_cursor, encode_cursor, offset_of

_COLUMNS = "alert_id, alert, state, attempts, updated_at, last_error"

_INSERT_ALERTS = """
    INSERT INTO alerts (alert_id, event_id, hostname, state, updated_at, alert)
    SELECT * FROM unnest(
        %s::text[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::bytea[])
    ON CONFLICT (alert_id) DO NOTHING
"""
# DELIVERED is final, and an attempt that is reported late does not undo a later one.
_INSERT_DELIVERY = """
    WITH new AS (
        INSERT INTO deliveries
            (alert_id, attempt, attempted_at, outcome, status, error, duration_s)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (alert_id, attempt) DO NOTHING
        RETURNING *
    )
    UPDATE alerts SET
        state = CASE
            WHEN new.outcome = 'delivered' OR (state <> 'delivered' AND new.attempt > attempts)
            THEN new.outcome ELSE state END,
        last_error = CASE WHEN new.attempt > attempts THEN new.error ELSE last_error END,
        updated_at = greatest(updated_at, new.attempted_at),
        attempts = greatest(attempts, new.attempt)
    FROM new WHERE alerts.alert_id = new.alert_id
"""


def insert_alerts(connection: Connection, alerts: Sequence[Alert], state: AlertState) -> None:
    """Insert alerts; those that are there already stay as they are."""
    if not alerts:
        return
    # Always in the same order, so that no two transactions wait for each other in a ring.
    rows = [
        (
            alert.alert_id,
            alert.event.event_id,
            alert.event.hostname.lower(),
            state.value,
            alert.created_at,
            encode_alerts([alert]),
        )
        for alert in sorted(alerts, key=lambda alert: alert.alert_id)
    ]
    connection.execute(_INSERT_ALERTS, [list(column) for column in zip(*rows, strict=True)])


def _insert_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    # One by one: what an attempt does to its alert depends on those before it.
    for delivery in deliveries:
        connection.execute(
            _INSERT_DELIVERY,
            (
                delivery.alert_id,
                delivery.attempt,
                delivery.attempted_at,
                delivery.outcome.value,
                delivery.status,
                delivery.error,
                delivery.duration_s,
            ),
        )


def _stored(row: Sequence[Any]) -> StoredAlert:
    return StoredAlert(
        alert=decode_alerts(row[1])[0],
        state=AlertState(row[2]),
        attempts=row[3],
        updated_at=row[4],
        last_error=row[5],
    )


def _search(
    connection: Connection, state: AlertState | None, hostname: str | None, window: Window
) -> Page[StoredAlert]:
    offset = offset_of(window)
    where = Where()
    where.equal("state", None if state is None else state.value)
    where.host("hostname", hostname)
    total = connection.execute(
        f"SELECT count(*) FROM alerts WHERE {where}", where.parameters, prepare=False
    ).fetchall()[0][0]
    if window.cursor is not None:
        where.add("alert_id < %s", *decode_cursor(window.cursor, "alerts", str))
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM alerts WHERE {where} ORDER BY alert_id DESC LIMIT %s OFFSET %s",
        (*where.parameters, window.limit + 1, offset),
        prepare=False,
    ).fetchall()
    shown = rows[: window.limit]
    return Page(
        [_stored(row) for row in shown],
        total,
        encode_cursor("alerts", shown[-1][0]) if len(rows) > window.limit else None,
    )


def _get(connection: Connection, alert_id: str) -> tuple[StoredAlert, list[Delivery]] | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM alerts WHERE alert_id = %s", (alert_id,)
    ).fetchone()
    if row is None:
        return None
    attempts = connection.execute(
        "SELECT attempt, attempted_at, outcome, status, error, duration_s FROM deliveries"
        " WHERE alert_id = %s ORDER BY attempt",
        (alert_id,),
    )
    return _stored(row), [
        Delivery(
            alert_id=alert_id,
            attempt=attempt,
            attempted_at=attempted_at,
            outcome=AlertState(outcome),
            status=status,
            error=error,
            duration_s=duration_s,
        )
        for attempt, attempted_at, outcome, status, error, duration_s in attempts
    ]


class PostgresAlerts:
    """The alert part of the store in PostgreSQL."""

    def __init__(self, link: PostgresLink) -> None:
        self._link = link

    async def record_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Write delivery attempts and the state each leaves its alert in, in one transaction."""
        await self._link.write(lambda connection: _insert_deliveries(connection, deliveries))

    async def delivered_ids(self, alert_ids: Sequence[str]) -> set[str]:
        """Which of these alerts were delivered already."""
        rows = await self._link.read(
            lambda connection: connection.execute(
                "SELECT DISTINCT alert_id FROM deliveries"
                " WHERE outcome = 'delivered' AND alert_id = ANY(%s::text[])",
                (list(alert_ids),),
            ).fetchall()
        )
        return {row[0] for row in rows}

    async def attempt_counts(self, alert_ids: Sequence[str]) -> dict[str, int]:
        """How often each of these alerts was tried; those never tried are left out."""
        rows = await self._link.read(
            lambda connection: connection.execute(
                "SELECT alert_id, max(attempt) FROM deliveries"
                " WHERE alert_id = ANY(%s::text[]) GROUP BY alert_id",
                (list(alert_ids),),
            ).fetchall()
        )
        return {row[0]: row[1] for row in rows}

    async def search_alerts(
        self, *, state: AlertState | None, hostname: str | None, window: Window
    ) -> Page[StoredAlert]:
        """Alerts, newest first."""
        return await self._link.read(
            lambda connection: _search(connection, state, hostname, window)
        )

    async def get_alert(self, alert_id: str) -> tuple[StoredAlert, list[Delivery]] | None:
        """One alert with its attempts, oldest first."""
        return await self._link.read(lambda connection: _get(connection, alert_id))
