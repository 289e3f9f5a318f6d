"""The lists of hosts (rule_contract.py) in the embedded store. Names are ASCII case-insensitive."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from muttd.errors import DuplicateRecord, NoSuchRecord
from muttd.rules.model import ExpectedSource, TeamEntry
from muttd.sqlite_file import SqliteFile
from muttd.store.contract import Change
from muttd.store.sqlite_changes import Value, write_change

_HOSTS = "development_hosts"
_TEAMS = "device_teams"
_EXPECTED = "expected_sources"
_COLUMNS = {
    _HOSTS: ("hostname",),
    _TEAMS: TeamEntry.__struct_fields__,
    _EXPECTED: ExpectedSource.__struct_fields__,
}


def _get(connection: sqlite3.Connection, table: str, hostname: str) -> Value:
    columns = _COLUMNS[table]
    row = connection.execute(
        f"SELECT {', '.join(columns)} FROM {table} WHERE hostname = ?", (hostname,)
    ).fetchone()
    return None if row is None else dict(zip(columns, row, strict=True))


def _add(connection: sqlite3.Connection, table: str, new: dict[str, Any], change: Change) -> None:
    hostname = new["hostname"]
    if _get(connection, table, hostname) is not None:
        raise DuplicateRecord([("hostname", f"{hostname} is listed already")])
    marks = ", ".join("?" * len(new))
    connection.execute(f"INSERT INTO {table} VALUES ({marks})", list(new.values()))
    write_change(connection, change, (table, hostname), None, new)


def _remove(connection: sqlite3.Connection, table: str, hostname: str, change: Change) -> None:
    old = _get(connection, table, hostname)
    if old is None:
        raise NoSuchRecord([("hostname", f"{hostname} is not listed")])
    connection.execute(f"DELETE FROM {table} WHERE hostname = ?", (hostname,))
    write_change(connection, change, (table, old["hostname"]), old, None)


def _update(
    connection: sqlite3.Connection, table: str, entry: dict[str, Any], change: Change
) -> None:
    hostname = entry["hostname"]
    old = _get(connection, table, hostname)
    if old is None:
        raise NoSuchRecord([("hostname", f"{hostname} is not listed")])
    # The name stays as it was written first.
    new = entry | {"hostname": old["hostname"]}
    assignments = ", ".join(f"{column} = ?" for column in new)
    connection.execute(
        f"UPDATE {table} SET {assignments} WHERE hostname = ?", (*new.values(), hostname)
    )
    write_change(connection, change, (table, old["hostname"]), old, new)


def list_expected(connection: sqlite3.Connection) -> list[ExpectedSource]:
    """Entries of expected_sources, sorted by hostname."""
    columns = _COLUMNS[_EXPECTED]
    rows = connection.execute(f"SELECT {', '.join(columns)} FROM {_EXPECTED} ORDER BY hostname")
    return [ExpectedSource(**dict(zip(columns, row, strict=True))) for row in rows]


class SqliteHosts:
    """The host part of the embedded store."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def development_hosts(self) -> list[str]:
        """Entries of development_hosts, sorted."""
        rows = await self._file.read(
            lambda connection: connection.execute(
                "SELECT hostname FROM development_hosts ORDER BY hostname"
            ).fetchall()
        )
        return [row[0] for row in rows]

    async def add_development_host(self, hostname: str, change: Change) -> None:
        """Add an entry; case-insensitive. Raises DuplicateRecord."""
        await self._file.write(
            lambda connection: _add(connection, _HOSTS, {"hostname": hostname}, change)
        )

    async def remove_development_host(self, hostname: str, change: Change) -> None:
        """Remove an entry. Raises NoSuchRecord."""
        await self._file.write(lambda connection: _remove(connection, _HOSTS, hostname, change))

    async def device_teams(self) -> list[TeamEntry]:
        """Entries of device_teams, sorted by hostname."""
        rows = await self._file.read(
            lambda connection: connection.execute(
                "SELECT hostname, team_assignment FROM device_teams ORDER BY hostname"
            ).fetchall()
        )
        return [TeamEntry(hostname=row[0], team_assignment=row[1]) for row in rows]

    async def add_device_team(self, entry: TeamEntry, change: Change) -> None:
        """Add an entry. Raises DuplicateRecord."""
        new = msgspec.structs.asdict(entry)
        await self._file.write(lambda connection: _add(connection, _TEAMS, new, change))

    async def update_device_team(self, entry: TeamEntry, change: Change) -> None:
        """Change an entry's team. Raises NoSuchRecord."""
        new = msgspec.structs.asdict(entry)
        await self._file.write(lambda connection: _update(connection, _TEAMS, new, change))

    async def remove_device_team(self, hostname: str, change: Change) -> None:
        """Remove an entry. Raises NoSuchRecord."""
        await self._file.write(lambda connection: _remove(connection, _TEAMS, hostname, change))

    async def expected_sources(self) -> list[ExpectedSource]:
        """Entries of expected_sources, sorted by hostname."""
        return await self._file.read(list_expected)

    async def add_expected_source(self, entry: ExpectedSource, change: Change) -> None:
        """Add an entry. Raises DuplicateRecord."""
        new = msgspec.structs.asdict(entry)
        await self._file.write(lambda connection: _add(connection, _EXPECTED, new, change))

    async def update_expected_source(self, entry: ExpectedSource, change: Change) -> None:
        """Replace what an entry says. Raises NoSuchRecord."""
        new = msgspec.structs.asdict(entry)
        await self._file.write(lambda connection: _update(connection, _EXPECTED, new, change))

    async def remove_expected_source(self, hostname: str, change: Change) -> None:
        """Remove an entry. Raises NoSuchRecord."""
        await self._file.write(lambda connection: _remove(connection, _EXPECTED, hostname, change))
