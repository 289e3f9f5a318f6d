"""Events in PostgreSQL: event_audit_log (matched) and event_history (unmatched).

    record   look for what is there -- COPY the rest -- add to the counts      one transaction
    search   count and page in one statement, so that one deadline holds for both

Lists are in (received_at, event_id) order: the primary key, and the order of the partitions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from muttd.decision import Decided
from muttd.event import Event, decode_events
from muttd.store.contract import EventQuery, Page, Rows, ScanPlace, Window
from muttd.store.periods import start_of
from muttd.store.postgres_connection import Connection, ReadTooLong, clean_text
from muttd.store.postgres_link import PostgresLink
from muttd.store.postgres_partitions import AUDIT, HISTORY, PARTITIONED
from muttd.store.postgres_rows import (
    AUDIT_COLUMNS,
    DECIDED_COLUMNS,
    HISTORY_COLUMNS,
    UNDECIDED_COLUMNS,
    Row,
    audit_rows,
    copy_octets,
    decided_of,
    history_rows,
)
from muttd.store.postgres_search import Where
from muttd.store.search import (
    MAX_INTEGER,
    check_after,
    decode_cursor,
    encode_cursor,
    is_event_id,
    not_a_cursor,
    offset_of,
    takes_too_long,
)

_PERIODS = {kind.table: kind.period for kind in PARTITIONED}
_NEWEST_FIRST = "ORDER BY received_at DESC, event_id DESC"
_SELECTED = {AUDIT: DECIDED_COLUMNS, HISTORY: UNDECIDED_COLUMNS}

# Transactions that add to the same row of row_counts wait for each other.
_SLOTS = 32
_ADD_TO_COUNTS = """
    INSERT INTO row_counts (table_name, period, slot, row_count) VALUES {rows}
    ON CONFLICT (table_name, period, slot)
    DO UPDATE SET row_count = row_counts.row_count + excluded.row_count
"""
_COPY = {
    AUDIT: f"COPY {AUDIT} ({AUDIT_COLUMNS}) FROM STDIN (FORMAT BINARY)",
    HISTORY: f"COPY {HISTORY} ({HISTORY_COLUMNS}) FROM STDIN (FORMAT BINARY)",
}
# How a batch is looked for: by its times as long as they are near each other, and their rows few;
# else by its ids, in every partition. The planner must not choose: with no statistics yet it read
# the hours between the first and the last of a batch for each of its ids. The ids go as one text,
# which is sent in a tenth of the time that a list takes.
_NEAR = timedelta(seconds=1)
_FIND_NEAR = """
    SELECT event_id::text FROM {table} WHERE received_at BETWEEN %s AND %s
    AND event_id::text = ANY(string_to_array(%s, ','))
"""
_FIND_ANYWHERE = """
    SELECT event_id::text FROM {table} WHERE event_id = ANY(string_to_array(%s, ',')::uuid[])
"""


class PostgresRows(Rows):
    """Rows of events, by table and event id."""

    def __init__(self, decided: Sequence[Decided]) -> None:
        self.by_table = {
            AUDIT: audit_rows([each for each in decided if each.decision.matched]),
            HISTORY: history_rows([each for each in decided if not each.decision.matched]),
        }


def insert_rows(connection: Connection, rows: Sequence[Rows], *, is_first: bool) -> None:
    """Write audit rows and history rows; those that are there already stay as they are.

    Args:
        connection: In a transaction.
        rows: What to write.
        is_first: Whether the batch is new as far as anybody knows. Then only the other table is
            looked into, because a row in the same one shows itself.

    Raises:
        psycopg.errors.UniqueViolation: It was not new, or another daemon writes the same events
            just now.
    """
    by_table: dict[str, dict[str, Row]] = {AUDIT: {}, HISTORY: {}}
    for part in rows:
        assert isinstance(part, PostgresRows)
        for table, of_table in part.by_table.items():
            by_table[table].update(of_table)
    matched, unmatched = by_table[AUDIT], by_table[HISTORY]
    # An event that was unmatched when it was first recorded and comes again after a rule was
    # changed stays what it was.
    known = _known(connection, (HISTORY, matched), (AUDIT, unmatched))
    if not is_first or known:
        known |= _known(connection, (AUDIT, matched), (HISTORY, unmatched))
    counts: Counter[tuple[str, datetime]] = Counter()
    for table, of_table in by_table.items():
        for event_id in known & of_table.keys():
            del of_table[event_id]
        if of_table:
            with connection.cursor().copy(_COPY[table]) as copy:
                copy.write(copy_octets(of_table.values()))
            for start, number in _by_period(table, of_table.values()):
                counts[table, start] = number
    if counts:
        _add_to_counts(connection, counts)


def _known(connection: Connection, *wanted: tuple[str, Mapping[str, Row]]) -> set[str]:
    parts: list[str] = []
    values: list[datetime | str] = []
    for table, rows in wanted:
        if not rows:
            continue
        times = [moment for moment, _ in rows.values()]
        first, last = min(times), max(times)
        is_near = last - first <= _NEAR
        parts.append((_FIND_NEAR if is_near else _FIND_ANYWHERE).format(table=table))
        values += [first, last] if is_near else []
        values.append(",".join(rows))
    if not parts:
        return set()
    # One way there and back for both tables.
    return {row[0] for row in connection.execute(" UNION ALL ".join(parts), values)}


def _by_period(table: str, rows: Collection[Row]) -> Iterable[tuple[datetime, int]]:
    period, times = _PERIODS[table], [moment for moment, _ in rows]
    first = start_of(period, min(times))
    # Nearly always: a batch is a moment.
    if start_of(period, max(times)) == first:
        return [(first, len(times))]
    return Counter(start_of(period, moment) for moment in times).items()


def _add_to_counts(connection: Connection, counts: Counter[tuple[str, datetime]]) -> None:
    slot = connection.info.backend_pid % _SLOTS
    # Always in the same order, so that no two transactions wait for each other in a ring.
    rows = [(table, start, slot, number) for (table, start), number in sorted(counts.items())]
    statement = _ADD_TO_COUNTS.format(rows=", ".join(["(%s, %s, %s, %s)"] * len(rows)))
    connection.execute(statement, [value for row in rows for value in row])


def _conditions(query: EventQuery, table: str) -> Where:
    where = Where()
    if query.start is not None:
        where.add("received_at >= %s", query.start)
    if query.end is not None:
        where.add("received_at < %s", query.end)
    if query.after_id is not None:
        check_after(query.after_id)
        where.add("event_id > %s", query.after_id)
    where.host("hostname", query.hostname)
    where.equal("severity", query.severity)
    if query.max_severity is not None:
        where.add("severity <= %s", min(query.max_severity, 7))
    where.equal("transport", query.transport)
    where.oid("trap_oid", query.trap_oid)
    if table == AUDIT:
        where.equal("rule_id", query.rule_id)
        where.equal("team", query.team)
    where.message_contains(query.q)
    return where


def _tables(query: EventQuery) -> list[str]:
    only_matched = query.matched is True or query.rule_id is not None or query.team is not None
    tables = [] if query.matched is False else [AUDIT]
    return tables if only_matched else [*tables, HISTORY]


def _count(table: str, where: Where) -> tuple[str, list[Any]]:
    if where:
        return f"(SELECT count(*) FROM {table} WHERE {where})", where.parameters
    return "(SELECT coalesce(sum(row_count), 0) FROM row_counts WHERE table_name = %s)", [table]


def _search(connection: Connection, query: EventQuery, window: Window) -> Page[Decided]:
    offset = offset_of(window)
    tables = _tables(query)
    if not tables:
        return Page([], 0, None)
    counts = [_count(table, _conditions(query, table)) for table in tables]
    parts, parameters = [], [value for _, values in counts for value in values]
    for table in tables:
        where = _conditions(query, table)
        if window.cursor is not None:
            where.add("(received_at, event_id) < (%s, %s)", *_last_shown(window.cursor))
        # Each table by itself: its partitions are then merged in the order of their keys, as far
        # as anybody looks. The planner does not see that through a UNION.
        parts.append(
            f"SELECT * FROM (SELECT received_at, event_id, {_SELECTED[table]} FROM {table}"
            f" WHERE {where} {_NEWEST_FIRST} LIMIT %s) AS {table}"
        )
        parameters += [*where.parameters, min(offset + window.limit + 1, MAX_INTEGER)]
    total = " + ".join(statement for statement, _ in counts)
    rows = connection.execute(
        f"SELECT total, page.* FROM (SELECT {total} AS total) AS counted LEFT JOIN"
        f" ({' UNION ALL '.join(parts)} {_NEWEST_FIRST} LIMIT %s OFFSET %s) AS page ON true"
        f" {_NEWEST_FIRST}",
        (*parameters, window.limit + 1, offset),
        # Planned each time, with the values: how many rows match decides what is best.
        prepare=False,
    ).fetchall()
    found = [row for row in rows if row[1] is not None]
    shown = found[: window.limit]
    return Page(
        [decided_of(row[3:]) for row in shown],
        int(rows[0][0]),
        encode_cursor("events", shown[-1][1].isoformat(), str(shown[-1][2]))
        if len(found) > window.limit
        else None,
    )


def _last_shown(cursor: str) -> tuple[datetime, str]:
    received_at, event_id = decode_cursor(cursor, "events", str, str)
    try:
        moment = datetime.fromisoformat(received_at)
    except ValueError as exc:
        raise not_a_cursor() from exc
    if moment.tzinfo is None or not is_event_id(event_id):
        raise not_a_cursor()
    return moment, event_id


def _get(connection: Connection, event_id: str) -> Decided | None:
    for table in (AUDIT, HISTORY):
        row = connection.execute(
            f"SELECT {_SELECTED[table]} FROM {table} WHERE event_id = %s", (event_id,)
        ).fetchone()
        if row is not None:
            return decided_of(row)
    return None


def _scan(
    connection: Connection, query: EventQuery, after: ScanPlace | None, limit: int
) -> tuple[list[bytes], ScanPlace | None]:
    table = AUDIT if query.matched else HISTORY
    where = _conditions(query, table)
    if after is not None:
        where.add("(received_at, event_id) < (%s, %s)", *after)
    # A table that was filled lately has no statistics, and the planner would rather sort all of it
    # for every part than walk its key.
    connection.execute("SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off")
    # Binary: as text, each octet would come as two digits.
    cursor = connection.cursor(binary=True).execute(
        f"SELECT event FROM {table} WHERE {where} {_NEWEST_FIRST} LIMIT %s",
        (*where.parameters, limit),
        prepare=False,
    )
    encoded = [row[0] for row in cursor.fetchall()]
    if len(encoded) < limit:
        return encoded, None
    [last] = decode_events(encoded[-1])
    return encoded, (last.received_at, last.event_id)


def _near(connection: Connection, event: Event, side: str, limit: int) -> list[Decided]:
    order = "DESC" if side == "<" else "ASC"
    in_order = f"ORDER BY received_at {order}, event_id {order} LIMIT %s"
    place = (event.received_at, event.event_id, clean_text(event.hostname.lower()), limit)
    parts = [
        f"(SELECT received_at, event_id, {_SELECTED[table]} FROM {table}"
        f" WHERE (received_at, event_id) {side} (%s, %s) AND hostname = %s {in_order})"
        for table in (AUDIT, HISTORY)
    ]
    rows = connection.execute(
        f"{' UNION ALL '.join(parts)} {in_order}", (*place, *place, limit), prepare=False
    ).fetchall()
    decided = [decided_of(row[2:]) for row in rows]
    return decided[::-1] if side == "<" else decided


def _count_received(connection: Connection, start: datetime, end: datetime) -> int:
    counts = " + ".join(
        f"(SELECT count(*) FROM {table} WHERE received_at >= %s AND received_at < %s)"
        for table in (AUDIT, HISTORY)
    )
    times = (start, end, start, end)
    return int(connection.execute(f"SELECT {counts}", times, prepare=False).fetchall()[0][0])


class PostgresEvents:
    """The event part of the store in PostgreSQL."""

    def __init__(self, link: PostgresLink, *, search_deadline_s: float) -> None:
        self._link = link
        self._search_deadline_s = search_deadline_s

    async def search_events(self, query: EventQuery, window: Window) -> Page[Decided]:
        """Events, newest receipt first.

        Raises:
            InvalidInput: The window is wrong, or the search took too long.
        """
        try:
            return await self._link.search(
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
            return await self._link.search(
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
            return await self._link.search(
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
            return await self._link.search(
                lambda connection: _count_received(connection, start, end),
                deadline_s=self._search_deadline_s,
            )
        except ReadTooLong as exc:
            raise takes_too_long() from exc

    async def get_event(self, event_id: str) -> Decided | None:
        """One event with its decision."""
        if not is_event_id(event_id):
            return None
        return await self._link.read(lambda connection: _get(connection, event_id))
