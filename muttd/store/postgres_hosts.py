"""development_hosts and device_teams in PostgreSQL. Names are ASCII case-insensitive."""

from __future__ import annotations

from psycopg import errors

from muttd.errors import DuplicateRecord, NoSuchRecord
from muttd.rules.model import TeamEntry
from muttd.store.contract import Change
from muttd.store.postgres_changes import Value, write_change
from muttd.store.postgres_connection import Connection
from muttd.store.postgres_link import PostgresLink

HOSTS = "development_hosts"
TEAMS = "device_teams"
_COLUMNS = {HOSTS: ("hostname",), TEAMS: ("hostname", "team_assignment")}


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


def _take(connection: Connection, table: str, hostname: str) -> dict[str, str]:
    # Nobody else changes it until this transaction ends: the history says what was replaced.
    columns = _COLUMNS[table]
    row = connection.execute(
        f"SELECT {', '.join(columns)} FROM {table} WHERE lower(hostname) = lower(%s) FOR UPDATE",
        (hostname,),
    ).fetchone()
    if row is None:
        raise NoSuchRecord([("hostname", f"{hostname} is not listed")])
    return dict(zip(columns, row, strict=True))


def _add(connection: Connection, table: str, new: dict[str, str], change: Change) -> None:
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


def _update_team(connection: Connection, entry: TeamEntry, change: Change) -> None:
    old = _take(connection, TEAMS, entry.hostname)
    connection.execute(
        f"UPDATE {TEAMS} SET team_assignment = %s WHERE hostname = %s",
        (entry.team_assignment, old["hostname"]),
    )
    new = old | {"team_assignment": entry.team_assignment}
    write_change(connection, change, (TEAMS, old["hostname"]), _value(old), _value(new))


def _value(row: dict[str, str]) -> Value:
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
        new = {"hostname": entry.hostname, "team_assignment": entry.team_assignment}
        await self._link.write(lambda connection: _add(connection, TEAMS, new, change))

    async def update_device_team(self, entry: TeamEntry, change: Change) -> None:
        """Change an entry's team. Raises NoSuchRecord."""
        await self._link.write(lambda connection: _update_team(connection, entry, change))

    async def remove_device_team(self, hostname: str, change: Change) -> None:
        """Remove an entry. Raises NoSuchRecord."""
        await self._link.write(lambda connection: _remove(connection, TEAMS, hostname, change))
