"""Operators' MIBs and the severities of traps, in PostgreSQL."""

from __future__ import annotations

import hashlib

from muttd.errors import NoSuchRecord
from muttd.store.contract import Change, StoredMib
from muttd.store.postgres_changes import Value, write_change
from muttd.store.postgres_connection import Connection
from muttd.store.postgres_link import PostgresLink

MIBS = "mibs"
SEVERITIES = "trap_severities"


def _mib(connection: Connection, name: str) -> Value:
    # Nobody else changes it until this transaction ends: the history says what was replaced.
    row = connection.execute(
        "SELECT digest, octets FROM mibs WHERE name = %s FOR UPDATE", (name,)
    ).fetchone()
    return None if row is None else {"name": name, "digest": row[0], "octets": row[1]}


def _put_mib(connection: Connection, name: str, text: bytes, change: Change) -> None:
    old = _mib(connection, name)
    new = {"name": name, "digest": hashlib.sha256(text).hexdigest(), "octets": len(text)}
    connection.execute(
        "INSERT INTO mibs (name, digest, octets, uploaded_at, uploaded_by, text)"
        " VALUES (%s, %s, %s, now(), %s, %s) ON CONFLICT (name) DO UPDATE SET"
        " digest = EXCLUDED.digest, octets = EXCLUDED.octets, uploaded_at = EXCLUDED.uploaded_at,"
        " uploaded_by = EXCLUDED.uploaded_by, text = EXCLUDED.text",
        (name, new["digest"], len(text), change.actor, text),
    )
    write_change(connection, change, (MIBS, name), old, new)


def _remove_mib(connection: Connection, name: str, change: Change) -> None:
    old = _mib(connection, name)
    if old is None:
        raise NoSuchRecord([("name", f"{name} was not uploaded")])
    connection.execute("DELETE FROM mibs WHERE name = %s", (name,))
    write_change(connection, change, (MIBS, name), old, None)


def _severity(connection: Connection, trap_oid: str) -> Value:
    row = connection.execute(
        "SELECT severity FROM trap_severities WHERE trap_oid = %s FOR UPDATE", (trap_oid,)
    ).fetchone()
    return None if row is None else {"trap_oid": trap_oid, "severity": row[0]}


def _put_severity(connection: Connection, trap_oid: str, severity: int, change: Change) -> None:
    old = _severity(connection, trap_oid)
    connection.execute(
        "INSERT INTO trap_severities (trap_oid, severity) VALUES (%s, %s)"
        " ON CONFLICT (trap_oid) DO UPDATE SET severity = EXCLUDED.severity",
        (trap_oid, severity),
    )
    new = {"trap_oid": trap_oid, "severity": severity}
    write_change(connection, change, (SEVERITIES, trap_oid), old, new)


def _remove_severity(connection: Connection, trap_oid: str, change: Change) -> None:
    old = _severity(connection, trap_oid)
    if old is None:
        raise NoSuchRecord([("trap_oid", f"{trap_oid} has no severity of its own")])
    connection.execute("DELETE FROM trap_severities WHERE trap_oid = %s", (trap_oid,))
    write_change(connection, change, (SEVERITIES, trap_oid), old, None)


def _list_mibs(connection: Connection) -> list[StoredMib]:
    rows = connection.execute(
        "SELECT name, digest, octets, uploaded_at, uploaded_by FROM mibs ORDER BY name"
    )
    return [
        StoredMib(
            name=name, digest=digest, octets=octets, uploaded_at=uploaded_at, uploaded_by=actor
        )
        for name, digest, octets, uploaded_at, actor in rows
    ]


def _text(connection: Connection, name: str) -> bytes | None:
    row = connection.execute("SELECT text FROM mibs WHERE name = %s", (name,)).fetchone()
    return None if row is None else bytes(row[0])


def _list_severities(connection: Connection) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute("SELECT * FROM trap_severities")}


class PostgresMibs:
    """The part of the store in PostgreSQL that is about names of traps."""

    def __init__(self, link: PostgresLink) -> None:
        self._link = link

    async def mibs(self) -> list[StoredMib]:
        """What was uploaded, sorted by name."""
        return await self._link.read(_list_mibs)

    async def mib_text(self, name: str) -> bytes | None:
        """The text of one of them."""
        return await self._link.read(lambda connection: _text(connection, name))

    async def put_mib(self, name: str, text: bytes, change: Change) -> None:
        """Add a MIB, or replace its text; the history has its digest, not the text."""
        await self._link.write(lambda connection: _put_mib(connection, name, text, change))

    async def remove_mib(self, name: str, change: Change) -> None:
        """Remove a MIB. Raises NoSuchRecord."""
        await self._link.write(lambda connection: _remove_mib(connection, name, change))

    async def trap_severities(self) -> dict[str, int]:
        """OID -> severity, as operators have it."""
        return await self._link.read(_list_severities)

    async def put_trap_severity(self, trap_oid: str, severity: int, change: Change) -> None:
        """Add an OID, or give it another severity."""
        await self._link.write(
            lambda connection: _put_severity(connection, trap_oid, severity, change)
        )

    async def remove_trap_severity(self, trap_oid: str, change: Change) -> None:
        """Remove an OID. Raises NoSuchRecord."""
        await self._link.write(lambda connection: _remove_severity(connection, trap_oid, change))
