"""API keys and sessions in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import errors

from muttd.errors import DuplicateRecord, NoSuchRecord
from muttd.store.access import (
    TABLE,
    Change,
    KeyDraft,
    SessionLimits,
    StoredKey,
    StoredSession,
    audited,
)
from muttd.store.postgres_changes import write_audit
from muttd.store.postgres_connection import Connection
from muttd.store.postgres_link import PostgresLink

_COLUMNS = "id, name, role, key_hash, created_at, created_by, expires_at, revoked_at"
_SESSION_COLUMNS = "token_hash, key_hash, opened_at, used_at"
_RAISE_REVISION = "UPDATE access_book SET revision = revision + 1"


def _key(row: Sequence[Any]) -> StoredKey:
    return StoredKey(
        id=row[0],
        name=row[1],
        role=row[2],
        key_hash=bytes(row[3]),
        created_at=row[4],
        created_by=row[5],
        expires_at=row[6],
        revoked_at=row[7],
    )


def _one(connection: Connection, statement: str, parameters: Sequence[object]) -> StoredKey:
    [row] = connection.execute(statement, parameters).fetchall()
    return _key(row)


def _create(connection: Connection, draft: KeyDraft, change: Change) -> StoredKey:
    insert = (
        "INSERT INTO api_keys (name, role, key_hash, created_at, created_by, expires_at)"
        f" VALUES (%s, %s, %s, now(), %s, %s) RETURNING {_COLUMNS}"
    )
    values = (draft.name, draft.role, draft.key_hash, change.actor, draft.expires_at)
    try:
        made = _one(connection, insert, values)
    except errors.UniqueViolation as exc:
        raise DuplicateRecord([("key", "is there already")]) from exc
    write_audit(connection, change, (TABLE, str(made.id)), None, audited(made))
    connection.execute(_RAISE_REVISION)
    return made


def _revoke(connection: Connection, key_id: int, change: Change) -> StoredKey:
    # Nobody else changes it until this transaction ends.
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM api_keys WHERE id = %s FOR UPDATE", (key_id,)
    ).fetchone()
    if row is None:
        raise NoSuchRecord([("key_id", f"there is no key {key_id}")])
    old = _key(row)
    if old.revoked_at is not None:
        return old
    update = f"UPDATE api_keys SET revoked_at = now() WHERE id = %s RETURNING {_COLUMNS}"
    new = _one(connection, update, (key_id,))
    connection.execute("DELETE FROM sessions WHERE key_hash = %s", (old.key_hash,))
    record = (TABLE, str(key_id))
    write_audit(connection, change, record, audited(old), audited(new, new.revoked_at))
    connection.execute(_RAISE_REVISION)
    return new


def _open(connection: Connection, session: StoredSession, limits: SessionLimits) -> None:
    connection.execute(
        "DELETE FROM sessions WHERE opened_at < %s OR used_at < %s",
        (limits.opened_since, limits.used_since),
    )
    connection.execute(
        "DELETE FROM sessions WHERE token_hash IN"
        " (SELECT token_hash FROM sessions ORDER BY used_at DESC OFFSET %s)",
        (limits.at_most - 1,),
    )
    connection.execute(
        f"INSERT INTO sessions ({_SESSION_COLUMNS}) VALUES (%s, %s, %s, %s)",
        (session.token_hash, session.key_hash, session.opened_at, session.used_at),
    )


def _find(connection: Connection, token_hash: bytes) -> StoredSession | None:
    row = connection.execute(
        f"SELECT {_SESSION_COLUMNS} FROM sessions WHERE token_hash = %s", (token_hash,)
    ).fetchone()
    if row is None:
        return None
    return StoredSession(
        token_hash=bytes(row[0]), key_hash=bytes(row[1]), opened_at=row[2], used_at=row[3]
    )


def _close(connection: Connection, token_hash: bytes) -> None:
    done = connection.execute("DELETE FROM sessions WHERE token_hash = %s", (token_hash,))
    if done.rowcount:
        connection.execute(_RAISE_REVISION)


def _revision(connection: Connection) -> int:
    [row] = connection.execute("SELECT revision FROM access_book").fetchall()
    return int(row[0])


class PostgresAccess:
    """API keys and sessions in PostgreSQL."""

    def __init__(self, link: PostgresLink) -> None:
        self._link = link

    async def access_revision(self) -> int:
        """Rises with every key made or revoked and every session closed."""
        return await self._link.read_alone(_revision)

    async def api_keys(self) -> list[StoredKey]:
        """Every key, revoked ones too, by id."""
        select = f"SELECT {_COLUMNS} FROM api_keys ORDER BY id"
        return await self._link.read(
            lambda connection: [_key(row) for row in connection.execute(select)]
        )

    async def create_api_key(self, draft: KeyDraft, change: Change) -> StoredKey:
        """Add a key. Raises DuplicateRecord when there is one of this digest."""
        return await self._link.write(lambda connection: _create(connection, draft, change))

    async def revoke_api_key(self, key_id: int, change: Change) -> StoredKey:
        """Revoke a key and end its sessions. Raises NoSuchRecord."""
        return await self._link.write(lambda connection: _revoke(connection, key_id, change))

    async def open_session(self, session: StoredSession, limits: SessionLimits) -> None:
        """Add a session, and forget those that are over."""
        await self._link.write(lambda connection: _open(connection, session, limits))

    async def find_session(self, token_hash: bytes) -> StoredSession | None:
        """The session of that token."""
        return await self._link.read(lambda connection: _find(connection, token_hash))

    async def touch_sessions(self, token_hashes: Sequence[bytes], used_at: datetime) -> None:
        """These sessions were used then."""
        update = "UPDATE sessions SET used_at = greatest(used_at, %s) WHERE token_hash = ANY(%s)"
        hashes = list(token_hashes)

        def work(connection: Connection) -> None:
            connection.execute(update, (used_at, hashes))

        await self._link.write(work)

    async def close_session(self, token_hash: bytes) -> None:
        """End a session, if it is there."""
        await self._link.write(lambda connection: _close(connection, token_hash))
