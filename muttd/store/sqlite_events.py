"""Events in the embedded store: event_audit_log (matched) and event_history (unmatched).

    record   one INSERT per row, prepared once, many in a transaction; what is there stays
    search   ids first (a merge of both tables, newest first), then the rows of those ids

event_id is a UUIDv7, so its order is the order of receipt, and both tables have it as their key.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from muttd.decision import Decided, Decision, Environment, Handling, parts_of_verdict
from muttd.event import Event, decode_events, encode_events
from muttd.sqlite_file import ReadTooLong, SqliteFile, to_microseconds
from muttd.store.contract import EventQuery, Page, Rows, ScanPlace, Window
from muttd.store.search import (
    check_after,
    decode_cursor,
    encode_cursor,
    offset_of,
    takes_too_long,
)
from muttd.store.sqlite_search import Where

AUDIT = "event_audit_log"
HISTORY = "event_history"

# An event that was unmatched when it was first recorded and comes again after a rule was changed
# stays what it was: hence the look into the other table.
_INSERT_AUDIT = f"""
    INSERT OR IGNORE INTO {AUDIT}
        (event_id, received_at, hostname, severity, transport, trap_oid, environment, message,
         event, rule_id, rule_name, rule_revision, handling, team, verdict)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15
    WHERE NOT EXISTS (SELECT 1 FROM {HISTORY} WHERE event_id = ?1)
"""
_INSERT_HISTORY = f"""
    INSERT OR IGNORE INTO {HISTORY}
        (event_id, received_at, hostname, severity, transport, trap_oid, environment, message,
         event)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
    WHERE NOT EXISTS (SELECT 1 FROM {AUDIT} WHERE event_id = ?1)
"""
ADD_TO_COUNT = "UPDATE row_counts SET row_count = row_count + ? WHERE table_name = ?"


def _searched_columns(decided: Decided) -> tuple[object, ...]:
    event = decided.event
    return (
        event.event_id,
        to_microseconds(event.received_at),
        event.hostname,
        event.severity,
        event.transport,
        event.trap_oid,
        decided.decision.environment,
        event.message,
        encode_events([event]),
    )


def _decision_columns(decision: Decision) -> tuple[object, ...]:
    return (
        decision.rule_id,
        decision.rule_name,
        decision.rule_revision,
        decision.handling,
        decision.team,
        decision.verdict,
    )


class SqliteRows(Rows):
    """Rows of events, by table, as the columns of an INSERT."""

    def __init__(self, decided: Sequence[Decided]) -> None:
        self.matched = [
            _searched_columns(each) + _decision_columns(each.decision)
            for each in decided
            if each.decision.matched
        ]
        self.unmatched = [_searched_columns(each) for each in decided if not each.decision.matched]


def insert_rows(connection: sqlite3.Connection, rows: Sequence[Rows]) -> None:
    """Insert audit rows and history rows; those that are there already stay as they are."""
    for part in rows:
        assert isinstance(part, SqliteRows)
        for table, statement, of_table in (
            (AUDIT, _INSERT_AUDIT, part.matched),
            (HISTORY, _INSERT_HISTORY, part.unmatched),
        ):
            if of_table:
                before = connection.total_changes
                connection.executemany(statement, of_table)
                connection.execute(ADD_TO_COUNT, (connection.total_changes - before, table))


def _conditions(query: EventQuery, table: str) -> Where:
    where = Where()
    where.contains(["message"], query.q)
    where.host("hostname", query.hostname)
    where.equal("severity", query.severity)
    if query.max_severity is not None:
        where.add("severity <= ?", min(query.max_severity, 7))
    where.equal("transport", query.transport)
    where.oid("trap_oid", query.trap_oid)
    if table == AUDIT:
        where.equal("rule_id", query.rule_id)
        where.equal("team", query.team)
    if query.after_id is not None:
        check_after(query.after_id)
        where.add("event_id > ?", query.after_id)
    _add_times(where, query, table)
    return where


def _add_times(where: Where, query: EventQuery, table: str) -> None:
    # The index by time gives the first and the last id of the range, and the key is walked
    # between them: sorting a million rows of a wide range by id would cost seconds. The unary
    # plus keeps the planner from doing just that.
    times = Where()
    _times_of(query, "received_at", times)
    if times:
        for function, comparison in (("min", ">="), ("max", "<=")):
            where.add(
                f"event_id {comparison} (SELECT {function}(event_id) FROM {table} WHERE {times})",
                *times.parameters,
            )
        where.add(str(times).replace("received_at", "+received_at"), *times.parameters)


def _tables(query: EventQuery) -> list[str]:
    only_matched = query.matched is True or query.rule_id is not None or query.team is not None
    tables = [] if query.matched is False else [AUDIT]
    return tables if only_matched else [*tables, HISTORY]


def _count(connection: sqlite3.Connection, table: str, where: Where) -> int:
    if not where:
        statement, parameters = "SELECT row_count FROM row_counts WHERE table_name = ?", [table]
    else:
        statement, parameters = f"SELECT count(*) FROM {table} WHERE {where}", where.parameters
    return int(connection.execute(statement, parameters).fetchone()[0])


def _ids(
    connection: sqlite3.Connection, parts: Sequence[tuple[str, Where]], limit: int, offset: int
) -> list[str]:
    # Ordered by their keys, the tables are merged as they are read; nothing is sorted.
    statement = " UNION ALL ".join(
        f"SELECT event_id FROM {table} WHERE {where}" for table, where in parts
    )
    parameters = [parameter for _, where in parts for parameter in where.parameters]
    rows = connection.execute(
        f"{statement} ORDER BY event_id DESC LIMIT ? OFFSET ?", (*parameters, limit, offset)
    )
    return [row[0] for row in rows]


def _rows(connection: sqlite3.Connection, event_ids: Sequence[str]) -> dict[str, Decided]:
    ids = (json.dumps(event_ids),)
    found = {}
    for row in connection.execute(
        "SELECT event_id, event, environment, rule_id, rule_name, rule_revision, handling, team,"
        " verdict"
        f" FROM {AUDIT} WHERE event_id IN (SELECT value FROM json_each(?))",
        ids,
    ):
        is_clear, held_by = parts_of_verdict(row[8])
        decision = Decision(
            environment=Environment(row[2]),
            rule_id=row[3],
            rule_name=row[4],
            rule_revision=row[5],
            handling=None if row[6] is None else Handling(row[6]),
            team=row[7],
            is_clear=is_clear,
            held_by=held_by,
        )
        found[row[0]] = Decided(decode_events(row[1])[0], decision)
    for event_id, event, environment in connection.execute(
        f"SELECT event_id, event, environment FROM {HISTORY}"
        " WHERE event_id IN (SELECT value FROM json_each(?))",
        ids,
    ):
        decision = Decision(environment=Environment(environment))
        found[event_id] = Decided(decode_events(event)[0], decision)
    return found


def _search(connection: sqlite3.Connection, query: EventQuery, window: Window) -> Page[Decided]:
    offset = offset_of(window)
    parts = [(table, _conditions(query, table)) for table in _tables(query)]
    total = sum(_count(connection, table, where) for table, where in parts)
    if window.cursor is not None:
        (last_shown,) = decode_cursor(window.cursor, "events", str)
        for _, where in parts:
            where.add("event_id < ?", last_shown)
    if not parts:
        return Page([], 0, None)
    ids = _ids(connection, parts, window.limit + 1, offset)
    shown = ids[: window.limit]
    found = _rows(connection, shown)
    return Page(
        [found[event_id] for event_id in shown],
        total,
        encode_cursor("events", shown[-1]) if len(ids) > window.limit else None,
    )


def _scan(
    connection: sqlite3.Connection, query: EventQuery, after: ScanPlace | None, limit: int
) -> tuple[list[bytes], ScanPlace | None]:
    table = AUDIT if query.matched else HISTORY
    where = _conditions(replace(query, start=None, end=None), table)
    # The first and the last id of the range are looked for once, and go along with the place.
    lowest, highest = after or _id_range(connection, query, table)
    if lowest is None:
        return [], None
    where.add("event_id >= ?", lowest)
    where.add("event_id < ?" if after else "event_id <= ?", highest)
    _times_of(query, "+received_at", where)
    rows = connection.execute(
        f"SELECT event, event_id FROM {table} WHERE {where} ORDER BY event_id DESC LIMIT ?",
        (*where.parameters, limit),
    ).fetchall()
    place = (lowest, rows[-1][1]) if len(rows) == limit else None
    return [row[0] for row in rows], place


def _id_range(connection: sqlite3.Connection, query: EventQuery, table: str) -> ScanPlace:
    times = Where()
    _times_of(query, "received_at", times)
    statement = f"SELECT min(event_id), max(event_id) FROM {table} WHERE {times}"
    found: ScanPlace = connection.execute(statement, times.parameters).fetchone()
    return found


def _times_of(query: EventQuery, column: str, where: Where) -> None:
    if query.start is not None:
        where.add(f"{column} >= ?", to_microseconds(query.start))
    if query.end is not None:
        where.add(f"{column} < ?", to_microseconds(query.end))


def _near(connection: sqlite3.Connection, event: Event, side: str, limit: int) -> list[Decided]:
    order = "DESC" if side == "<" else "ASC"
    statement = " UNION ALL ".join(
        f"SELECT event_id FROM {table} WHERE event_id {side} ?1 AND hostname = ?2"
        for table in (AUDIT, HISTORY)
    )
    rows = connection.execute(
        f"{statement} ORDER BY event_id {order} LIMIT ?3", (event.event_id, event.hostname, limit)
    )
    event_ids = sorted(row[0] for row in rows)
    found = _rows(connection, event_ids)
    return [found[event_id] for event_id in event_ids]


def _count_received(connection: sqlite3.Connection, start: datetime, end: datetime) -> int:
    times = (to_microseconds(start), to_microseconds(end))
    counts = (
        # The index by time has all that is asked for.
        connection.execute(
            f"SELECT count(*) FROM {table} WHERE received_at >= ? AND received_at < ?", times
        ).fetchone()[0]
        for table in (AUDIT, HISTORY)
    )
    return int(sum(counts))


class SqliteEvents:
    """The event part of the embedded store."""

    def __init__(self, file: SqliteFile, *, search_deadline_s: float) -> None:
        self._file = file
        self._search_deadline_s = search_deadline_s

    async def search_events(self, query: EventQuery, window: Window) -> Page[Decided]:
        """Events, newest receipt first.

        Raises:
            InvalidInput: The window is wrong, or the search took too long.
        """
        try:
            return await self._file.read(
                lambda connection: _search(connection, query, window),
                deadline_s=self._search_deadline_s,
            )
        except ReadTooLong as exc:
            raise takes_too_long() from exc

    async def scan_events(
        self, query: EventQuery, *, after: ScanPlace | None, limit: int
    ) -> tuple[list[bytes], ScanPlace | None]:
        """Events of one table as they were encoded, newest first: for reading very many."""
        try:
            return await self._file.read(
                lambda connection: _scan(connection, query, after, limit),
                deadline_s=self._search_deadline_s,
            )
        except ReadTooLong as exc:
            raise takes_too_long() from exc

    async def events_near(
        self, event: Event, *, before: int, after: int
    ) -> tuple[list[Decided], list[Decided]]:
        """What the event's host said before and after it, the nearest, each in order of receipt."""
        try:
            return await self._file.read(
                lambda connection: (
                    _near(connection, event, "<", before),
                    _near(connection, event, ">", after),
                ),
                deadline_s=self._search_deadline_s,
            )
        except ReadTooLong as exc:
            raise takes_too_long() from exc

    async def count_events(self, *, start: datetime, end: datetime) -> int:
        """How many events there are with received_at in [start, end)."""
        try:
            return await self._file.read(
                lambda connection: _count_received(connection, start, end),
                deadline_s=self._search_deadline_s,
            )
        except ReadTooLong as exc:
            raise takes_too_long() from exc

    async def get_event(self, event_id: str) -> Decided | None:
        """One event with its decision."""
        found = await self._file.read(lambda connection: _rows(connection, [event_id]))
        return found.get(event_id)
