"""API keys and sessions in the embedded store."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from muttd.errors import DuplicateRecord, NoSuchRecord
from muttd.sqlite_file import SqliteFile, from_microseconds, to_microseconds
from muttd.store.access import (
    TABLE,
    Change,
    KeyDraft,
    SessionLimits,
    StoredKey,
    StoredSession,
    audited,
)
from muttd.store.sqlite_changes import write_audit

_COLUMNS = "id, name, role, key_hash, created_at, created_by, expires_at, revoked_at"
_RAISE_REVISION = "UPDATE access_book SET revision = revision + 1"


def _key(row: tuple[Any, ...]) -> StoredKey:
    return StoredKey(
        id=row[0],
        name=row[1],
        role=row[2],
        key_hash=row[3],
        created_at=from_microseconds(row[4]),
        created_by=row[5],
        expires_at=None if row[6] is None else from_microseconds(row[6]),
        revoked_at=None if row[7] is None else from_microseconds(row[7]),
    )


def _create(connection: sqlite3.Connection, draft: KeyDraft, change: Change) -> StoredKey:
    expires_at = None if draft.expires_at is None else to_microseconds(draft.expires_at)
    now = time.time_ns() // 1000
    try:
        row = connection.execute(
            "INSERT INTO api_keys (name, role, key_hash, created_at, created_by, expires_at)"
            f" VALUES (?, ?, ?, ?, ?, ?) RETURNING {_COLUMNS}",
            (draft.name, draft.role, draft.key_hash, now, change.actor, expires_at),
        ).fetchone()
    except sqlite3.IntegrityError as exc:
        raise DuplicateRecord([("key", "is there already")]) from exc
    made = _key(row)
    write_audit(connection, change, (TABLE, str(made.id)), None, audited(made))
    connection.execute(_RAISE_REVISION)
    return made


def _revoke(connection: sqlite3.Connection, key_id: int, change: Change) -> StoredKey:
    select = f"SELECT {_COLUMNS} FROM api_keys WHERE id = ?"
    row = connection.execute(select, (key_id,)).fetchone()
    if row is None:
        raise NoSuchRecord([("key_id", f"there is no key {key_id}")])
    old = _key(row)
    if old.revoked_at is not None:
        return old
    now = time.time_ns() // 1000
    connection.execute("UPDATE api_keys SET revoked_at = ? WHERE id = ?", (now, key_id))
    connection.execute("DELETE FROM sessions WHERE key_hash = ?", (old.key_hash,))
    new = _key(connection.execute(select, (key_id,)).fetchone())
    record = (TABLE, str(key_id))
    write_audit(connection, change, record, audited(old), audited(new, new.revoked_at))
    connection.execute(_RAISE_REVISION)
    return new


def _open(connection: sqlite3.Connection, session: StoredSession, limits: SessionLimits) -> None:
    connection.execute(
        "DELETE FROM sessions WHERE opened_at < ? OR used_at < ?",
        (to_microseconds(limits.opened_since), to_microseconds(limits.used_since)),
    )
    connection.execute(
        "DELETE FROM sessions WHERE token_hash IN"
        " (SELECT token_hash FROM sessions ORDER BY used_at DESC LIMIT -1 OFFSET ?)",
        (limits.at_most - 1,),
    )
    opened_at, used_at = to_microseconds(session.opened_at), to_microseconds(session.used_at)
    connection.execute(
        "INSERT INTO sessions VALUES (?, ?, ?, ?)",
        (session.token_hash, session.key_hash, opened_at, used_at),
    )


def _find(connection: sqlite3.Connection, token_hash: bytes) -> StoredSession | None:
    row = connection.execute(
        "SELECT token_hash, key_hash, opened_at, used_at FROM sessions WHERE token_hash = ?",
        (token_hash,),
    ).fetchone()
    if row is None:
        return None
    return StoredSession(
        token_hash=row[0],
        key_hash=row[1],
        opened_at=from_microseconds(row[2]),
        used_at=from_microseconds(row[3]),
    )


def _close(connection: sqlite3.Connection, token_hash: bytes) -> None:
    done = connection.execute("DELETE FROM sessions WHERE token_hash = ?", (token_hash,))
    if done.rowcount:
        connection.execute(_RAISE_REVISION)


class SqliteAccess:
    """API keys and sessions of the embedded store."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def access_revision(self) -> int:
        """Rises with every key made or revoked and every session closed."""
        select = "SELECT revision FROM access_book"
        return await self._file.read(
            lambda connection: int(connection.execute(select).fetchone()[0])
        )

    async def api_keys(self) -> list[StoredKey]:
        """Every key, revoked ones too, by id."""
        select = f"SELECT {_COLUMNS} FROM api_keys ORDER BY id"
        return await self._file.read(
            lambda connection: [_key(row) for row in connection.execute(select)]
        )

    async def create_api_key(self, draft: KeyDraft, change: Change) -> StoredKey:
        """Add a key. Raises DuplicateRecord when there is one of this digest."""
        return await self._file.write(lambda connection: _create(connection, draft, change))

    async def revoke_api_key(self, key_id: int, change: Change) -> StoredKey:
        """Revoke a key and end its sessions. Raises NoSuchRecord."""
        return await self._file.write(lambda connection: _revoke(connection, key_id, change))

    async def open_session(self, session: StoredSession, limits: SessionLimits) -> None:
        """Add a session, and forget those that are over."""
        await self._file.write(lambda connection: _open(connection, session, limits))

    async def find_session(self, token_hash: bytes) -> StoredSession | None:
        """The session of that token."""
        return await self._file.read(lambda connection: _find(connection, token_hash))

    async def touch_sessions(self, token_hashes: Sequence[bytes], used_at: datetime) -> None:
        """These sessions were used then."""
        rows = [(to_microseconds(used_at), each) for each in token_hashes]
        update = "UPDATE sessions SET used_at = max(used_at, ?) WHERE token_hash = ?"

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(update, rows)

        await self._file.write(work)

    async def close_session(self, token_hash: bytes) -> None:
        """End a session, if it is there."""
        await self._file.write(lambda connection: _close(connection, token_hash))
