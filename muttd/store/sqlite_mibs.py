"""Operators' MIBs and the severities of traps, in the embedded store."""

from __future__ import annotations

import hashlib
import sqlite3
import time

from muttd.errors import NoSuchRecord
from muttd.sqlite_file import SqliteFile, from_microseconds
from muttd.store.contract import Change, StoredMib
from muttd.store.sqlite_changes import Value, write_change

_MIBS = "mibs"
_SEVERITIES = "trap_severities"


def _mib(connection: sqlite3.Connection, name: str) -> Value:
    row = connection.execute("SELECT digest, octets FROM mibs WHERE name = ?", (name,)).fetchone()
    return None if row is None else {"name": name, "digest": row[0], "octets": row[1]}


def _put_mib(connection: sqlite3.Connection, name: str, text: bytes, change: Change) -> None:
    old = _mib(connection, name)
    new = {"name": name, "digest": hashlib.sha256(text).hexdigest(), "octets": len(text)}
    connection.execute(
        "INSERT OR REPLACE INTO mibs (name, digest, octets, uploaded_at, uploaded_by, text)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (name, new["digest"], len(text), time.time_ns() // 1000, change.actor, text),
    )
    write_change(connection, change, (_MIBS, name), old, new)


def _remove_mib(connection: sqlite3.Connection, name: str, change: Change) -> None:
    old = _mib(connection, name)
    if old is None:
        raise NoSuchRecord([("name", f"{name} was not uploaded")])
    connection.execute("DELETE FROM mibs WHERE name = ?", (name,))
    write_change(connection, change, (_MIBS, name), old, None)


def _severity(connection: sqlite3.Connection, trap_oid: str) -> Value:
    row = connection.execute(
        "SELECT severity FROM trap_severities WHERE trap_oid = ?", (trap_oid,)
    ).fetchone()
    return None if row is None else {"trap_oid": trap_oid, "severity": row[0]}


def _put_severity(
    connection: sqlite3.Connection, trap_oid: str, severity: int, change: Change
) -> None:
    old = _severity(connection, trap_oid)
    connection.execute(
        "INSERT OR REPLACE INTO trap_severities (trap_oid, severity) VALUES (?, ?)",
        (trap_oid, severity),
    )
    new = {"trap_oid": trap_oid, "severity": severity}
    write_change(connection, change, (_SEVERITIES, trap_oid), old, new)


def _remove_severity(connection: sqlite3.Connection, trap_oid: str, change: Change) -> None:
    old = _severity(connection, trap_oid)
    if old is None:
        raise NoSuchRecord([("trap_oid", f"{trap_oid} has no severity of its own")])
    connection.execute("DELETE FROM trap_severities WHERE trap_oid = ?", (trap_oid,))
    write_change(connection, change, (_SEVERITIES, trap_oid), old, None)


class SqliteMibs:
    """The part of the embedded store that is about names of traps."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def mibs(self) -> list[StoredMib]:
        """What was uploaded, sorted by name."""
        rows = await self._file.read(
            lambda connection: connection.execute(
                "SELECT name, digest, octets, uploaded_at, uploaded_by FROM mibs ORDER BY name"
            ).fetchall()
        )
        return [
            StoredMib(
                name=name,
                digest=digest,
                octets=octets,
                uploaded_at=from_microseconds(uploaded_at),
                uploaded_by=uploaded_by,
            )
            for name, digest, octets, uploaded_at, uploaded_by in rows
        ]

    async def mib_text(self, name: str) -> bytes | None:
        """The text of one of them."""
        row = await self._file.read(
            lambda connection: connection.execute(
                "SELECT text FROM mibs WHERE name = ?", (name,)
            ).fetchone()
        )
        return None if row is None else bytes(row[0])

    async def put_mib(self, name: str, text: bytes, change: Change) -> None:
        """Add a MIB, or replace its text; the history has its digest, not the text."""
        await self._file.write(lambda connection: _put_mib(connection, name, text, change))

    async def remove_mib(self, name: str, change: Change) -> None:
        """Remove a MIB. Raises NoSuchRecord."""
        await self._file.write(lambda connection: _remove_mib(connection, name, change))

    async def trap_severities(self) -> dict[str, int]:
        """OID -> severity, as operators have it."""
        rows = await self._file.read(
            lambda connection: connection.execute(
                "SELECT trap_oid, severity FROM trap_severities"
            ).fetchall()
        )
        return dict(rows)

    async def put_trap_severity(self, trap_oid: str, severity: int, change: Change) -> None:
        """Add an OID, or give it another severity."""
        await self._file.write(
            lambda connection: _put_severity(connection, trap_oid, severity, change)
        )

    async def remove_trap_severity(self, trap_oid: str, change: Change) -> None:
        """Remove an OID. Raises NoSuchRecord."""
        await self._file.write(lambda connection: _remove_severity(connection, trap_oid, change))
