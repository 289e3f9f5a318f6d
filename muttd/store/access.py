"""Who may come in: API keys and sessions. A part of what every store backend promises.

    create, revoke a key      the row and config_audit_log in one transaction; raises the revision
    close a session           raises the revision
    open, touch a session     does not: whoever meets a token he does not know asks for it

Secrets never come here: keys and tokens are digests, and no digest goes into the audit.
Errors are those of the store (muttd.store.contract).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec

TABLE = "api_keys"


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes something, for config_audit_log.

    Attributes:
        actor: The name of the API key.
        reason: Why, in the actor's words.
        correlation_id: Of the request.
    """

    actor: str
    reason: str | None = None
    correlation_id: str | None = None


class KeyDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An API key to be made.

    Attributes:
        name: The actor in the audit; several keys of one name are a rotation.
        role: ingest, viewer, operator or admin.
        key_hash: SHA-256 of the key.
        expires_at: From then on it is none; None: it does not expire.
    """

    name: str
    role: str
    key_hash: bytes
    expires_at: datetime | None = None


class StoredKey(KeyDraft, frozen=True, kw_only=True):
    """An API key as the store keeps it.

    Attributes:
        id: Ours, rising, never given twice.
        created_at, created_by: When, and by whose key.
        revoked_at: From then on it is none.
    """

    id: int
    created_at: datetime
    created_by: str
    revoked_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class StoredSession(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in browser.

    Attributes:
        token_hash: SHA-256 of the cookie's value.
        key_hash: Of the key that it was opened with.
        opened_at, used_at: Aware, UTC; used_at may be some minutes behind.
    """

    token_hash: bytes
    key_hash: bytes
    opened_at: datetime
    used_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """Which sessions are over, and how many there may be.

    Attributes:
        opened_since, used_since: One that was opened or used last before is over.
        at_most: Of more than so many, those unused longest are over.
    """

    opened_since: datetime
    used_since: datetime
    at_most: int


def audited(key: KeyDraft, revoked_at: datetime | None = None) -> dict[str, Any]:
    """A key as config_audit_log shows it."""
    return {
        "name": key.name,
        "role": key.role,
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
        "revoked_at": None if revoked_at is None else revoked_at.isoformat(),
    }


class AccessStore(Protocol):
    """API keys and sessions."""

    async def access_revision(self) -> int:
        """Rises with every key made or revoked and every session closed; cheap to ask."""
        ...

    async def api_keys(self) -> list[StoredKey]:
        """Every key, revoked ones too, by id."""
        ...

    async def create_api_key(self, draft: KeyDraft, change: Change) -> StoredKey:
        """Add a key. Raises DuplicateRecord when there is one of this digest."""
        ...

    async def revoke_api_key(self, key_id: int, change: Change) -> StoredKey:
        """Revoke a key and end its sessions. Raises NoSuchRecord; revoked twice is once."""
        ...

    async def open_session(self, session: StoredSession, limits: SessionLimits) -> None:
        """Add a session, and forget those that are over."""
        ...

    async def find_session(self, token_hash: bytes) -> StoredSession | None:
        """The session of that token."""
        ...

    async def touch_sessions(self, token_hashes: Sequence[bytes], used_at: datetime) -> None:
        """These sessions were used then."""
        ...

    async def close_session(self, token_hash: bytes) -> None:
        """End a session, if it is there."""
        ...
