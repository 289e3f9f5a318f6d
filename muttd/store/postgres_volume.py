"""How many events came in when, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from muttd.store.postgres_connection import Connection
from muttd.store.postgres_link import PostgresLink
from muttd.store.volume import KEPT_MINUTES, VolumeCell

_ADD = """
    INSERT INTO event_volume AS v (minute, severity, matched, events)
    SELECT * FROM unnest(%s::bigint[], %s::smallint[], %s::boolean[], %s::bigint[])
    ON CONFLICT (minute, severity, matched) DO UPDATE SET events = v.events + EXCLUDED.events
"""
_SUM = """
    SELECT minute / %(bucket)s * %(bucket)s AS bucket, severity, matched, sum(events)::bigint
    FROM event_volume WHERE minute >= %(since)s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


class PostgresVolume:
    """The counts in PostgreSQL."""

    def __init__(self, link: PostgresLink) -> None:
        self._link = link

    async def add_volume(self, cells: Sequence[VolumeCell]) -> None:
        """Add these to what is there."""
        # In one order for all daemons: two that add at once must not wait for each other.
        rows = sorted(cells)
        columns = (
            [cell.minute for cell in rows],
            [cell.severity for cell in rows],
            [cell.matched for cell in rows],
            [cell.events for cell in rows],
        )

        def work(connection: Connection) -> None:
            connection.execute(_ADD, columns)
            oldest = rows[-1].minute - KEPT_MINUTES
            connection.execute("DELETE FROM event_volume WHERE minute < %s", (oldest,))

        if rows:
            await self._link.write(work)

    async def volume(self, since_minute: int, bucket_minutes: int) -> list[VolumeCell]:
        """What came since then, added up by bucket."""
        asked = {"bucket": bucket_minutes, "since": since_minute}
        return await self._link.read(
            lambda connection: [
                VolumeCell(minute=minute, severity=severity, matched=matched, events=events)
                for minute, severity, matched, events in connection.execute(_SUM, asked)
            ]
        )
