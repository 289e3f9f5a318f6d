"""config_audit_log in the embedded store: who changed what, from what to what.

write_change() is called inside the transaction of the change itself; it also raises the revision
of the rule book, so that no change to rules, hosts or teams can forget either.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from muttd.sqlite_file import SqliteFile, from_microseconds, to_microseconds
from muttd.store.contract import (
    Change,
    ChangedRecord,
    ChangeQuery,
    ConfigChange,
    Page,
    Window,
)
from muttd.store.search import decode_cursor, encode_cursor, offset_of
from muttd.store.sqlite_search import Where

Value = dict[str, Any] | None

_COLUMNS = (
    "id, changed_at, changed_by, operation, table_name, record_id, old_value, new_value,"
    " reason, correlation_id"
)


def write_change(
    connection: sqlite3.Connection, change: Change, record: tuple[str, str], old: Value, new: Value
) -> None:
    """Write one row of config_audit_log, and raise the rule book's revision.

    Args:
        connection: In the transaction of the change.
        change: Who and why.
        record: Its table and its id.
        old: What it was; None: it is new.
        new: What it is now; None: it was deleted.
    """
    write_audit(connection, change, record, old, new)
    connection.execute("UPDATE rule_book SET revision = revision + 1")


def write_audit(
    connection: sqlite3.Connection, change: Change, record: tuple[str, str], old: Value, new: Value
) -> None:
    """Write one row of config_audit_log alone, for what is no part of the rule book."""
    operation = "CREATE" if old is None else "DELETE" if new is None else "UPDATE"
    connection.execute(
        "INSERT INTO config_audit_log (changed_at, changed_by, operation, table_name, record_id,"
        " old_value, new_value, reason, correlation_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            time.time_ns() // 1000,
            change.actor,
            operation,
            *record,
            None if old is None else msgspec.json.encode(old).decode(),
            None if new is None else msgspec.json.encode(new).decode(),
            change.reason,
            change.correlation_id,
        ),
    )


def _search(
    connection: sqlite3.Connection, query: ChangeQuery, window: Window
) -> Page[ConfigChange]:
    offset = offset_of(window)
    where = Where()
    where.equal("changed_by", query.changed_by)
    where.equal("table_name", query.table_name)
    where.equal("record_id", query.record_id)
    where.equal("operation", query.operation)
    if query.start is not None:
        where.add("changed_at >= ?", to_microseconds(query.start))
    if query.end is not None:
        where.add("changed_at < ?", to_microseconds(query.end))
    total = connection.execute(
        f"SELECT count(*) FROM config_audit_log WHERE {where}", where.parameters
    ).fetchone()[0]
    if window.cursor is not None:
        where.add("id < ?", *decode_cursor(window.cursor, "config_changes", int))
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM config_audit_log WHERE {where} ORDER BY id DESC LIMIT ? OFFSET ?",
        (*where.parameters, window.limit + 1, offset),
    ).fetchall()
    shown = rows[: window.limit]
    return Page(
        [_config_change(row) for row in shown],
        total,
        encode_cursor("config_changes", shown[-1][0]) if len(rows) > window.limit else None,
    )


def _config_change(row: tuple[Any, ...]) -> ConfigChange:
    return ConfigChange(
        id=row[0],
        changed_at=from_microseconds(row[1]),
        changed_by=row[2],
        operation=row[3],
        table_name=row[4],
        record_id=row[5],
        old_value=None if row[6] is None else msgspec.json.decode(row[6]),
        new_value=None if row[7] is None else msgspec.json.decode(row[7]),
        reason=row[8],
        correlation_id=row[9],
    )


class SqliteChanges:
    """The configuration history of the embedded store."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def record_changes(self, change: Change, records: Sequence[ChangedRecord]) -> None:
        """Write config_audit_log for what is changed elsewhere, in one transaction."""

        def work(connection: sqlite3.Connection) -> None:
            for each in records:
                write_audit(
                    connection, change, (each.table_name, each.record_id), each.old, each.new
                )

        await self._file.write(work)

    async def config_changes(self, query: ChangeQuery, window: Window) -> Page[ConfigChange]:
        """Configuration changes, newest first."""
        return await self._file.read(lambda connection: _search(connection, query, window))
