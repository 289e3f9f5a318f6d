"""The SQL of the embedded queue: functions that run inside one transaction of its writer.

    append -> entries + payloads     take -> consumer set     ack, bury -> both rows gone

No Trio and no threads here. Counts are not read from the file: every function says by how much it
changed them (a Shift), and the queue adds that up after the commit.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from muttd.queue.contract import Batch, Entry
from muttd.queue.letters import Past
from muttd.sqlite_file import from_microseconds

# 16 MiB of pages of 4 KiB: room for the next burst without asking the file system for it.
_FREE_PAGES_KEPT = 4096
# Some ten milliseconds in which nobody else writes. The next ack goes on with it.
_PAGES_GIVEN_BACK_AT_ONCE = 4096

_decode_past = msgspec.msgpack.Decoder(Past).decode


@dataclass(frozen=True, slots=True)
class Tally:
    """How much a stream holds; oldest_at in microseconds since 1970."""

    items: int = 0
    entries: int = 0
    pending_items: int = 0
    pending_entries: int = 0
    oldest_at: int | None = None


class Tallies(dict[str, Tally]):
    """What each stream holds; nothing, if it was never heard of."""

    def __missing__(self, stream: str) -> Tally:
        return Tally()


def seqs_of(entry_ids: Sequence[str]) -> str:
    """Entry ids as a JSON list for json_each(); what is no id of ours is left out.

    A list in one parameter: SQLite before 3.32 takes no more than 999 parameters.
    """
    return json.dumps([int(i) for i in entry_ids if i.isascii() and i.isdigit() and len(i) < 19])


def release_all(connection: sqlite3.Connection) -> None:
    """Take every entry from its consumer. Only for a file whose last process is known to be dead.

    Deliveries keep their count, so that an entry which kills the daemon is noticed.
    """
    connection.execute(
        "UPDATE entries SET consumer = NULL, touched_s = NULL WHERE consumer IS NOT NULL"
    )


def count_all(connection: sqlite3.Connection) -> Tallies:
    """Count every stream, the slow way: once, at open, when nothing is pending."""
    rows = connection.execute(
        "SELECT stream, sum(item_count), count(*), min(appended_at) FROM entries GROUP BY stream"
    )
    return Tallies(
        {
            stream: Tally(items=items, entries=entries, oldest_at=oldest_at)
            for stream, items, entries, oldest_at in rows
        }
    )


def payload_octets(connection: sqlite3.Connection) -> int:
    """Add up the payloads. SQLite reads the length of a blob without the blob."""
    row = connection.execute("SELECT coalesce(sum(length(payload)), 0) FROM payloads").fetchone()
    return int(row[0])


def append(
    connection: sqlite3.Connection,
    stream: str,
    batches: Sequence[Batch],
    tally: Tally,
    now: int,
    *,
    past: bytes | None = None,
) -> Tally:
    """Append batches in this order; all of them with that past, a Past as MessagePack."""
    for batch in batches:
        seq = connection.execute(
            "INSERT INTO entries (stream, item_count, appended_at, past) VALUES (?, ?, ?, ?)",
            (stream, batch.item_count, now, past),
        ).lastrowid
        connection.execute("INSERT INTO payloads VALUES (?, ?)", (seq, batch.payload))
    return Tally(
        items=tally.items + sum(batch.item_count for batch in batches),
        entries=tally.entries + len(batches),
        pending_items=tally.pending_items,
        pending_entries=tally.pending_entries,
        oldest_at=now if tally.oldest_at is None and batches else tally.oldest_at,
    )


_READY = """
    SELECT seq, payload, item_count, deliveries, appended_at, past
    FROM entries JOIN payloads USING (seq)
    WHERE stream = ? AND consumer IS NULL ORDER BY seq LIMIT ?
"""
_IDLE = """
    SELECT seq, payload, item_count, deliveries, appended_at, past
    FROM entries JOIN payloads USING (seq)
    WHERE stream = ? AND consumer IS NOT NULL AND touched_s <= ? ORDER BY seq LIMIT ?
"""


def take(
    connection: sqlite3.Connection,
    stream: str,
    consumer: str,
    limit: int,
    tally: Tally,
    now_s: float,
) -> tuple[list[Entry], Tally]:
    """Give the oldest entries that nobody holds to a consumer."""
    rows = connection.execute(_READY, (stream, limit)).fetchall()
    entries = _hand_over(connection, rows, consumer, now_s)
    return entries, Tally(
        items=tally.items,
        entries=tally.entries,
        pending_items=tally.pending_items + sum(entry.item_count for entry in entries),
        pending_entries=tally.pending_entries + len(entries),
        oldest_at=tally.oldest_at,
    )


def claim_idle(
    connection: sqlite3.Connection,
    stream: str,
    consumer: str,
    limit: int,
    *,
    silent_since_s: float,
    now_s: float,
) -> list[Entry]:
    """Give the oldest entries that were not touched since then to a consumer."""
    rows = connection.execute(_IDLE, (stream, silent_since_s, limit)).fetchall()
    return _hand_over(connection, rows, consumer, now_s)


def _hand_over(
    connection: sqlite3.Connection,
    rows: list[tuple[int, bytes, int, int, int, bytes | None]],
    consumer: str,
    now_s: float,
) -> list[Entry]:
    connection.executemany(
        "UPDATE entries SET consumer = ?, touched_s = ?, deliveries = deliveries + 1 WHERE seq = ?",
        [(consumer, now_s, row[0]) for row in rows],
    )
    return [
        Entry(
            entry_id=str(seq),
            payload=payload,
            item_count=item_count,
            deliveries=deliveries + 1,
            appended_at=from_microseconds(appended_at),
            past=None if past is None else _decode_past(past),
        )
        for seq, payload, item_count, deliveries, appended_at, past in rows
    ]


def touch(
    connection: sqlite3.Connection, stream: str, consumer: str, seqs: str, now_s: float
) -> None:
    """Start the idle time of a consumer's entries anew."""
    connection.execute(
        "UPDATE entries SET touched_s = ? WHERE stream = ? AND consumer = ?"
        " AND seq IN (SELECT value FROM json_each(?))",
        (now_s, stream, consumer, seqs),
    )


def release(
    connection: sqlite3.Connection, stream: str, consumer: str, seqs: str, tally: Tally
) -> Tally:
    """Take a consumer's entries back, as if it had never been given them."""
    rows = connection.execute(
        "SELECT seq, item_count FROM entries WHERE stream = ? AND consumer = ?"
        " AND seq IN (SELECT value FROM json_each(?))",
        (stream, consumer, seqs),
    ).fetchall()
    connection.executemany(
        "UPDATE entries SET consumer = NULL, touched_s = NULL, deliveries = deliveries - 1"
        " WHERE seq = ?",
        [(seq,) for seq, _ in rows],
    )
    return Tally(
        items=tally.items,
        entries=tally.entries,
        pending_items=tally.pending_items - sum(item_count for _, item_count in rows),
        pending_entries=tally.pending_entries - len(rows),
        oldest_at=tally.oldest_at,
    )


def forget(connection: sqlite3.Connection, stream: str, seqs: str, tally: Tally) -> Tally:
    """Delete entries; those that are gone already are ignored."""
    rows = connection.execute(
        "SELECT seq, item_count, consumer IS NOT NULL FROM entries"
        " WHERE stream = ? AND seq IN (SELECT value FROM json_each(?))",
        (stream, seqs),
    ).fetchall()
    if not rows:
        return tally
    gone = [(seq,) for seq, _, _ in rows]
    connection.executemany("DELETE FROM entries WHERE seq = ?", gone)
    connection.executemany("DELETE FROM payloads WHERE seq = ?", gone)
    return Tally(
        items=tally.items - sum(item_count for _, item_count, _ in rows),
        entries=tally.entries - len(rows),
        pending_items=tally.pending_items - sum(n for _, n, pending in rows if pending),
        pending_entries=tally.pending_entries - sum(pending for _, _, pending in rows),
        oldest_at=_oldest_at(connection, stream),
    )


def give_back(connection: sqlite3.Connection) -> None:
    """Shorten the file when a burst has left it much larger than it needs to be.

    Only for when a stream has become empty: free pages are reused anyway, and while there are
    entries behind them giving pages back means to move those.
    """
    (free_pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    # One page at a time, because sqlite3's execute() stops this PRAGMA after its first step, and
    # executescript() would commit the transaction that we are in.
    for _ in range(min(free_pages - _FREE_PAGES_KEPT, _PAGES_GIVEN_BACK_AT_ONCE)):
        connection.execute("PRAGMA incremental_vacuum(1)")


def _oldest_at(connection: sqlite3.Connection, stream: str) -> int | None:
    # min() over two partial indexes: one row of each, however long the stream is.
    row = connection.execute(
        "SELECT min(seq), appended_at FROM ("
        " SELECT * FROM (SELECT seq, appended_at FROM entries"
        "  WHERE stream = ?1 AND consumer IS NULL ORDER BY seq LIMIT 1)"
        " UNION ALL"
        " SELECT * FROM (SELECT seq, appended_at FROM entries"
        "  WHERE stream = ?1 AND consumer IS NOT NULL ORDER BY seq LIMIT 1))",
        (stream,),
    ).fetchone()
    return None if row[0] is None else int(row[1])
