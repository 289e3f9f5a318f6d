"""How many events came in when, in the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from muttd.sqlite_file import SqliteFile
from muttd.store.volume import KEPT_MINUTES, VolumeCell

_ADD = """
    INSERT INTO event_volume (minute, severity, matched, events) VALUES (?, ?, ?, ?)
    ON CONFLICT (minute, severity, matched) DO UPDATE SET events = events + excluded.events
"""
_SUM = """
    SELECT minute / ?1 * ?1, severity, matched, sum(events) FROM event_volume
    WHERE minute >= ?2 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


class SqliteVolume:
    """The counts of the embedded store."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def add_volume(self, cells: Sequence[VolumeCell]) -> None:
        """Add these to what is there."""
        rows = [(cell.minute, cell.severity, cell.matched, cell.events) for cell in cells]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(_ADD, rows)
            oldest = max(minute for minute, *_ in rows) - KEPT_MINUTES
            connection.execute("DELETE FROM event_volume WHERE minute < ?", (oldest,))

        if rows:
            await self._file.write(work)

    async def volume(self, since_minute: int, bucket_minutes: int) -> list[VolumeCell]:
        """What came since then, added up by bucket."""
        return await self._file.read(
            lambda connection: [
                VolumeCell(minute=minute, severity=severity, matched=bool(matched), events=events)
                for minute, severity, matched, events in connection.execute(
                    _SUM, (bucket_minutes, since_minute)
                )
            ]
        )
