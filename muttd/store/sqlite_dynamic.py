"""Dynamic configuration in the embedded store: what was set over the defaults."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping

import msgspec

from muttd.sqlite_file import SqliteFile, from_microseconds
from muttd.store.contract import Change, SettingValue, StoredSetting
from muttd.store.sqlite_changes import write_audit


def _values(connection: sqlite3.Connection) -> list[StoredSetting]:
    rows = connection.execute(
        "SELECT key, value, changed_by, changed_at FROM dynamic_config ORDER BY key"
    )
    return [
        StoredSetting(key, msgspec.json.decode(value), changed_by, from_microseconds(changed_at))
        for key, value, changed_by, changed_at in rows
    ]


def _change(
    connection: sqlite3.Connection, values: Mapping[str, SettingValue | None], change: Change
) -> None:
    present = {each.key: each.value for each in _values(connection)}
    for key, new in values.items():
        old = present.get(key)
        if new is None and old is None:
            continue
        if new is None:
            connection.execute("DELETE FROM dynamic_config WHERE key = ?", (key,))
        else:
            connection.execute(
                "INSERT OR REPLACE INTO dynamic_config VALUES (?, ?, ?, ?)",
                (key, msgspec.json.encode(new).decode(), change.actor, time.time_ns() // 1000),
            )
        write_audit(
            connection,
            change,
            ("dynamic_config", key),
            None if old is None else {"value": old},
            None if new is None else {"value": new},
        )


class SqliteDynamic:
    """The dynamic configuration of the embedded store."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def dynamic_values(self) -> list[StoredSetting]:
        """What was set over the defaults, by key."""
        return await self._file.read(_values)

    async def change_dynamic_values(
        self, values: Mapping[str, SettingValue | None], change: Change
    ) -> None:
        """Set each key, or with None take it back to its default; all in one transaction."""
        await self._file.write(lambda connection: _change(connection, values, change))
