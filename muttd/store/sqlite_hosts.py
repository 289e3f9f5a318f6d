"""development_hosts and device_teams in the embedded store. Names are ASCII case-insensitive."""

from __future__ import annotations

import sqlite3

from muttd.errors import DuplicateRecord, NoSuchRecord
from muttd.rules.model import TeamEntry
from muttd.sqlite_file import SqliteFile
from muttd.store.contract import Change
from muttd.store.sqlite_changes import Value, write_change

_HOSTS = "development_hosts"
_TEAMS = "device_teams"
_COLUMNS = {_HOSTS: ("hostname",), _TEAMS: ("hostname", "team_assignment")}


def _get(connection: sqlite3.Connection, table: str, hostname: str) -> Value:
    columns = _COLUMNS[table]
    row = connection.execute(
        f"SELECT {', '.join(columns)} FROM {table} WHERE hostname = ?", (hostname,)
    ).fetchone()
    return None if row is None else dict(zip(columns, row, strict=True))


def _add(connection: sqlite3.Connection, table: str, new: dict[str, str], change: Change) -> None:
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


def _update_team(connection: sqlite3.Connection, entry: TeamEntry, change: Change) -> None:
    old = _get(connection, _TEAMS, entry.hostname)
    if old is None:
        raise NoSuchRecord([("hostname", f"{entry.hostname} is not listed")])
    connection.execute(
        "UPDATE device_teams SET team_assignment = ? WHERE hostname = ?",
        (entry.team_assignment, entry.hostname),
    )
    new = old | {"team_assignment": entry.team_assignment}
    write_change(connection, change, (_TEAMS, old["hostname"]), old, new)


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
        new = {"hostname": entry.hostname, "team_assignment": entry.team_assignment}
        await self._file.write(lambda connection: _add(connection, _TEAMS, new, change))

    async def update_device_team(self, entry: TeamEntry, change: Change) -> None:
        """Change an entry's team. Raises NoSuchRecord."""
        await self._file.write(lambda connection: _update_team(connection, entry, change))

    async def remove_device_team(self, hostname: str, change: Change) -> None:
        """Remove an entry. Raises NoSuchRecord."""
        await self._file.write(lambda connection: _remove(connection, _TEAMS, hostname, change))
