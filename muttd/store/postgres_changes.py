"""config_audit_log in PostgreSQL: who changed what, from what to what.

write_change() is called inside the transaction of the change itself; it also raises the revision
of the rule book, so that no change to rules, hosts or teams can forget either, and tells whoever
listens on the channel muttd_rule_book.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from muttd.store.contract import (
    Change,
    ChangedRecord,
    ChangeQuery,
    ConfigChange,
    Page,
    Window,
)
from muttd.store.postgres_connection import Connection
from muttd.store.postgres_link import PostgresLink
from muttd.store.postgres_search import Where
from muttd.store.search import decode_cursor, encode_cursor, offset_of

Value = dict[str, Any] | None

_COLUMNS = (
    "id, changed_at, changed_by, operation, table_name, record_id, old_value::text,"
    " new_value::text, reason, correlation_id"
)
_RAISE_REVISION = """
    WITH raised AS (UPDATE rule_book SET revision = revision + 1 RETURNING revision)
    SELECT pg_notify('muttd_rule_book', revision::text) FROM raised
"""


def as_json(value: object) -> str | None:
    """A value as it is kept in a json column."""
    return None if value is None else msgspec.json.encode(value).decode()


def write_change(
    connection: Connection, change: Change, record: tuple[str, str], old: Value, new: Value
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
    connection.execute(_RAISE_REVISION)


def write_audit(
    connection: Connection, change: Change, record: tuple[str, str], old: Value, new: Value
) -> None:
    """Write one row of config_audit_log alone, for what is no part of the rule book."""
    operation = "CREATE" if old is None else "DELETE" if new is None else "UPDATE"
    connection.execute(
        "INSERT INTO config_audit_log (changed_by, operation, table_name, record_id,"
        " old_value, new_value, reason, correlation_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            change.actor,
            operation,
            *record,
            as_json(old),
            as_json(new),
            change.reason,
            change.correlation_id,
        ),
    )


def _search(connection: Connection, query: ChangeQuery, window: Window) -> Page[ConfigChange]:
    offset = offset_of(window)
    where = Where()
    where.equal("changed_by", query.changed_by)
    where.equal("table_name", query.table_name)
    where.equal("record_id", query.record_id)
    where.equal("operation", query.operation)
    if query.start is not None:
        where.add("changed_at >= %s", query.start)
    if query.end is not None:
        where.add("changed_at < %s", query.end)
    total = connection.execute(
        f"SELECT count(*) FROM config_audit_log WHERE {where}", where.parameters
    ).fetchall()[0][0]
    if window.cursor is not None:
        where.add("id < %s", *decode_cursor(window.cursor, "config_changes", int))
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM config_audit_log WHERE {where}"
        " ORDER BY id DESC LIMIT %s OFFSET %s",
        (*where.parameters, window.limit + 1, offset),
    ).fetchall()
    shown = rows[: window.limit]
    return Page(
        [_config_change(row) for row in shown],
        total,
        encode_cursor("config_changes", shown[-1][0]) if len(rows) > window.limit else None,
    )


def _config_change(row: Sequence[Any]) -> ConfigChange:
    return ConfigChange(
        id=row[0],
        changed_at=row[1],
        changed_by=row[2],
        operation=row[3],
        table_name=row[4],
        record_id=row[5],
        old_value=None if row[6] is None else msgspec.json.decode(row[6]),
        new_value=None if row[7] is None else msgspec.json.decode(row[7]),
        reason=row[8],
        correlation_id=row[9],
    )


class PostgresChanges:
    """The configuration history of the store in PostgreSQL."""

    def __init__(self, link: PostgresLink) -> None:
        self._link = link

    async def record_changes(self, change: Change, records: Sequence[ChangedRecord]) -> None:
        """Write config_audit_log for what is changed elsewhere, in one transaction."""

        def work(connection: Connection) -> None:
            for each in records:
                write_audit(
                    connection, change, (each.table_name, each.record_id), each.old, each.new
                )

        await self._link.write(work)

    async def config_changes(self, query: ChangeQuery, window: Window) -> Page[ConfigChange]:
        """Configuration changes, newest first."""
        return await self._link.read(lambda connection: _search(connection, query, window))
