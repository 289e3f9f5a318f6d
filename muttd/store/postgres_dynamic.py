"""Dynamic configuration in PostgreSQL: what was set over the defaults."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from muttd.store.contract import Change, SettingValue, StoredSetting
from muttd.store.postgres_changes import as_json, write_audit
from muttd.store.postgres_connection import Connection
from muttd.store.postgres_link import PostgresLink

_SET = """
    INSERT INTO dynamic_config (key, value, changed_by, changed_at) VALUES (%s, %s, %s, now())
    ON CONFLICT (key) DO UPDATE SET
        value = EXCLUDED.value, changed_by = EXCLUDED.changed_by, changed_at = EXCLUDED.changed_at
"""


def _values(connection: Connection) -> list[StoredSetting]:
    rows = connection.execute(
        "SELECT key, value::text, changed_by, changed_at FROM dynamic_config ORDER BY key"
    )
    return [
        StoredSetting(key, msgspec.json.decode(value), changed_by, changed_at)
        for key, value, changed_by, changed_at in rows
    ]


def _change(
    connection: Connection, values: Mapping[str, SettingValue | None], change: Change
) -> None:
    # Two who change the same key: the audit of the second must say what the first made of it.
    connection.execute("LOCK TABLE dynamic_config IN SHARE ROW EXCLUSIVE MODE")
    present = {each.key: each.value for each in _values(connection)}
    for key, new in values.items():
        old = present.get(key)
        if new is None and old is None:
            continue
        if new is None:
            connection.execute("DELETE FROM dynamic_config WHERE key = %s", (key,))
        else:
            connection.execute(_SET, (key, as_json(new), change.actor))
        write_audit(
            connection,
            change,
            ("dynamic_config", key),
            None if old is None else {"value": old},
            None if new is None else {"value": new},
        )


class PostgresDynamic:
    """The dynamic configuration in PostgreSQL."""

    def __init__(self, link: PostgresLink) -> None:
        self._link = link

    async def dynamic_values(self) -> list[StoredSetting]:
        """What was set over the defaults, by key."""
        return await self._link.read_alone(_values)

    async def change_dynamic_values(
        self, values: Mapping[str, SettingValue | None], change: Change
    ) -> None:
        """Set each key, or with None take it back to its default; all in one transaction."""
        await self._link.write(lambda connection: _change(connection, values, change))
