"""Alerts and their deliveries in the embedded store.

    alerts       one row per alert: the alert itself, and the state its last attempt left it in
    deliveries   one row per attempt; (alert_id, attempt) is written once

alert_id begins with the event's UUIDv7, so its order is the order in which alerts were raised.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from muttd.decision import Alert, AlertState, Delivery, decode_alerts, encode_alerts
from muttd.sqlite_file import SqliteFile, from_microseconds, to_microseconds
from muttd.store.contract import Page, StoredAlert, Window
from muttd.store.search import decode_cursor, encode_cursor, offset_of
from muttd.store.sqlite_search import Where

_COLUMNS = "alert_id, alert, state, attempts, updated_at, last_error"
_Row = tuple[str, bytes, str, int, int, str | None]


def insert_alerts(
    connection: sqlite3.Connection, alerts: Sequence[Alert], state: AlertState
) -> None:
    """Insert alerts; those that are there already stay as they are."""
    connection.executemany(
        "INSERT OR IGNORE INTO alerts (alert_id, event_id, hostname, state, updated_at, alert)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                alert.alert_id,
                alert.event.event_id,
                alert.event.hostname,
                state,
                to_microseconds(alert.created_at),
                encode_alerts([alert]),
            )
            for alert in alerts
        ],
    )


# DELIVERED is final, and an attempt that is reported late does not undo a later one.
_UPDATE_STATE = """
    UPDATE alerts SET
        state = CASE WHEN ?3 = 'delivered' OR (state <> 'delivered' AND ?2 > attempts)
                THEN ?3 ELSE state END,
        last_error = CASE WHEN ?2 > attempts THEN ?5 ELSE last_error END,
        updated_at = max(updated_at, ?4),
        attempts = max(attempts, ?2)
    WHERE alert_id = ?1
"""


def _insert_deliveries(connection: sqlite3.Connection, deliveries: Sequence[Delivery]) -> None:
    for delivery in deliveries:
        attempted_at = to_microseconds(delivery.attempted_at)
        is_new = connection.execute(
            "INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                delivery.alert_id,
                delivery.attempt,
                attempted_at,
                delivery.outcome,
                delivery.status,
                delivery.error,
                delivery.duration_s,
            ),
        ).rowcount
        if is_new:
            connection.execute(
                _UPDATE_STATE,
                (
                    delivery.alert_id,
                    delivery.attempt,
                    delivery.outcome,
                    attempted_at,
                    delivery.error,
                ),
            )


def _stored(row: _Row) -> StoredAlert:
    return StoredAlert(
        alert=decode_alerts(row[1])[0],
        state=AlertState(row[2]),
        attempts=row[3],
        updated_at=from_microseconds(row[4]),
        last_error=row[5],
    )


def _search(
    connection: sqlite3.Connection, state: AlertState | None, hostname: str | None, window: Window
) -> Page[StoredAlert]:
    offset = offset_of(window)
    where = Where()
    where.equal("state", state)
    where.host("hostname", hostname)
    total = connection.execute(
        f"SELECT count(*) FROM alerts WHERE {where}", where.parameters
    ).fetchone()[0]
    if window.cursor is not None:
        where.add("alert_id < ?", *decode_cursor(window.cursor, "alerts", str))
    rows: list[_Row] = connection.execute(
        f"SELECT {_COLUMNS} FROM alerts WHERE {where} ORDER BY alert_id DESC LIMIT ? OFFSET ?",
        (*where.parameters, window.limit + 1, offset),
    ).fetchall()
    shown = rows[: window.limit]
    return Page(
        [_stored(row) for row in shown],
        total,
        encode_cursor("alerts", shown[-1][0]) if len(rows) > window.limit else None,
    )


def _get(
    connection: sqlite3.Connection, alert_id: str
) -> tuple[StoredAlert, list[Delivery]] | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM alerts WHERE alert_id = ?", (alert_id,)
    ).fetchone()
    if row is None:
        return None
    attempts = connection.execute(
        "SELECT attempt, attempted_at, outcome, status, error, duration_s FROM deliveries"
        " WHERE alert_id = ? ORDER BY attempt",
        (alert_id,),
    )
    return _stored(row), [
        Delivery(
            alert_id=alert_id,
            attempt=attempt,
            attempted_at=from_microseconds(attempted_at),
            outcome=AlertState(outcome),
            status=status,
            error=error,
            duration_s=duration_s,
        )
        for attempt, attempted_at, outcome, status, error, duration_s in attempts
    ]


class SqliteAlerts:
    """The alert part of the embedded store."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def record_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Write delivery attempts and the state each leaves its alert in, in one transaction."""
        await self._file.write(lambda connection: _insert_deliveries(connection, deliveries))

    async def delivered_ids(self, alert_ids: Sequence[str]) -> set[str]:
        """Which of these alerts were delivered already."""
        rows = await self._file.read(
            lambda connection: connection.execute(
                "SELECT DISTINCT alert_id FROM deliveries WHERE outcome = ?"
                " AND alert_id IN (SELECT value FROM json_each(?))",
                (AlertState.DELIVERED, json.dumps(list(alert_ids))),
            ).fetchall()
        )
        return {row[0] for row in rows}

    async def attempt_counts(self, alert_ids: Sequence[str]) -> dict[str, int]:
        """How often each of these alerts was tried; those never tried are left out."""
        rows = await self._file.read(
            lambda connection: connection.execute(
                "SELECT alert_id, max(attempt) FROM deliveries"
                " WHERE alert_id IN (SELECT value FROM json_each(?)) GROUP BY alert_id",
                (json.dumps(list(alert_ids)),),
            ).fetchall()
        )
        return dict(rows)

    async def search_alerts(
        self, *, state: AlertState | None, hostname: str | None, window: Window
    ) -> Page[StoredAlert]:
        """Alerts, newest first."""
        return await self._file.read(
            lambda connection: _search(connection, state, hostname, window)
        )

    async def get_alert(self, alert_id: str) -> tuple[StoredAlert, list[Delivery]] | None:
        """One alert with its attempts, oldest first."""
        return await self._file.read(lambda connection: _get(connection, alert_id))
