"""The lists of hosts (rule_contract.py) in PostgreSQL. Names are ASCII case-insensitive."""

from __future__ import annotations

from typing import Any

import msgspec
from psycopg import errors

from muttd.errors import DuplicateRecord, NoSuchRecord
from muttd.rules.model import ExpectedSource, TeamEntry
from muttd.store.contract import Change
from muttd.store.postgres_changes import Value, write_change
from muttd.store.postgres_connection import Connection
from muttd.store.postgres_link import PostgresLink

HOSTS = "development_hosts"
TEAMS = "device_teams"
EXPECTED = "expected_sources"
_COLUMNS = {
    HOSTS: ("hostname",),
    TEAMS: TeamEntry.__struct_fields__,
    EXPECTED: ExpectedSource.__struct_fields__,
}


def list_hosts(connection: Connection) -> list[str]:
    """Entries of development_hosts, sorted."""
    rows = connection.execute(f"SELECT hostname FROM {HOSTS} ORDER BY lower(hostname)")
    return [row[0] for row in rows]


def list_teams(connection: Connection) -> list[TeamEntry]:
    """Entries of device_teams, sorted by hostname."""
    rows = connection.execute(
        f"SELECT hostname, team_assignment FROM {TEAMS} ORDER BY lower(hostname)"
    )
    return [TeamEntry(hostname=row[0], team_assignment=row[1]) for row in rows]


def list_expected(connection: Connection) -> list[ExpectedSource]:
    """Entries of expected_sources, sorted by hostname."""
    columns = _COLUMNS[EXPECTED]
    rows = connection.execute(
        f"SELECT {', '.join(columns)} FROM {EXPECTED} ORDER BY lower(hostname)"
    )
    return [ExpectedSource(**dict(zip(columns, row, strict=True))) for row in rows]


def _take(connection: Connection, table: str, hostname: str) -> dict[str, Any]:
    # Nobody else changes it until this transaction ends: the history says what was replaced.
    columns = _COLUMNS[table]
    row = connection.execute(
        f"SELECT {', '.join(columns)} FROM {table} WHERE lower(hostname) = lower(%s) FOR UPDATE",
        (hostname,),
    ).fetchone()
    if row is None:
        raise NoSuchRecord([("hostname", f"{hostname} is not listed")])
    return dict(zip(columns, row, strict=True))


def _add(connection: Connection, table: str, new: dict[str, Any], change: Change) -> None:
    hostname = new["hostname"]
    marks = ", ".join(["%s"] * len(new))
    try:
        connection.execute(f"INSERT INTO {table} VALUES ({marks})", list(new.values()))
    except errors.UniqueViolation as exc:
        raise DuplicateRecord([("hostname", f"{hostname} is listed already")]) from exc
    write_change(connection, change, (table, hostname), None, _value(new))


def _remove(connection: Connection, table: str, hostname: str, change: Change) -> None:
    old = _take(connection, table, hostname)
    connection.execute(f"DELETE FROM {table} WHERE hostname = %s", (old["hostname"],))
    write_change(connection, change, (table, old["hostname"]), _value(old), None)


def _update(connection: Connection, table: str, entry: dict[str, Any], change: Change) -> None:
    old = _take(connection, table, entry["hostname"])
    # The name stays as it was written first.
    new = entry | {"hostname": old["hostname"]}
    assignments = ", ".join(f"{column} = %s" for column in new)
    connection.execute(
        f"UPDATE {table} SET {assignments} WHERE hostname = %s",
        (*new.values(), old["hostname"]),
    )
    write_change(connection, change, (table, old["hostname"]), _value(old), _value(new))


def _value(row: dict[str, Any]) -> Value:
    return dict(row)


class PostgresHosts:
    """The host part of the store in PostgreSQL."""

    def __init__(self, link: PostgresLink) -> None:
        self._link = link

    async def development_hosts(self) -> list[str]:
        """Entries of development_hosts, sorted."""
        return await self._link.read(list_hosts)

    async def add_development_host(self, hostname: str, change: Change) -> None:
        """Add an entry; case-insensitive. Raises DuplicateRecord."""
        await self._link.write(
            lambda connection: _add(connection, HOSTS, {"hostname": hostname}, change)
        )

    async def remove_development_host(self, hostname: str, change: Change) -> None:
        """Remove an entry. Raises NoSuchRecord."""
        await self._link.write(lambda connection: _remove(connection, HOSTS, hostname, change))

    async def device_teams(self) -> list[TeamEntry]:
        """Entries of device_teams, sorted by hostname."""
        return await self._link.read(list_teams)

    async def add_device_team(self, entry: TeamEntry, change: Change) -> None:
        """Add an entry. Raises DuplicateRecord."""
        new = msgspec.structs.asdict(entry)
        await self._link.write(lambda connection: _add(connection, TEAMS, new, change))

    async def update_device_team(self, entry: TeamEntry, change: Change) -> None:
        """Change an entry's team. Raises NoSuchRecord."""
        new = msgspec.structs.asdict(entry)
        await self._link.write(lambda connection: _update(connection, TEAMS, new, change))

    async def remove_device_team(self, hostname: str, change: Change) -> None:
        """Remove an entry. Raises NoSuchRecord."""
        await self._link.write(lambda connection: _remove(connection, TEAMS, hostname, change))

    async def expected_sources(self) -> list[ExpectedSource]:
        """Entries of expected_sources, sorted by hostname."""
        return await self._link.read(list_expected)

    async def add_expected_source(self, entry: ExpectedSource, change: Change) -> None:
        """Add an entry. Raises DuplicateRecord."""
        new = msgspec.structs.asdict(entry)
        await self._link.write(lambda connection: _add(connection, EXPECTED, new, change))

    async def update_expected_source(self, entry: ExpectedSource, change: Change) -> None:
        """Replace what an entry says. Raises NoSuchRecord."""
        new = msgspec.structs.asdict(entry)
        await self._link.write(lambda connection: _update(connection, EXPECTED, new, change))

    async def remove_expected_source(self, hostname: str, change: Change) -> None:
        """Remove an entry. Raises NoSuchRecord."""
        await self._link.write(lambda connection: _remove(connection, EXPECTED, hostname, change))
