"""API keys, whoever makes them: the web side, or a command without the daemon.

    new_secret() --> shown once --> digest_of() --> the store has that alone

Whatever comes from here is the same to whoever asks the API and whoever asks the store.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any

from muttd.event import iso_utc, utc_now
from muttd.store.access import StoredKey

# 256 bits: nobody guesses it, and it still fits a line of a terminal.
_KEY_OCTETS = 32
MAX_NAME_CHARACTERS = 100


def new_secret() -> str:
    """A key that nobody has."""
    return secrets.token_urlsafe(_KEY_OCTETS)


def digest_of(secret: str) -> bytes:
    """What is kept of a key or a token."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def checked_name(text: str) -> str:
    """The name of a key, trimmed.

    Raises:
        ValueError: It is none; the text says why.
    """
    name = text.strip()
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise ValueError(f"must be 1 to {MAX_NAME_CHARACTERS} printable characters")
    return name


def checked_expiry(moment: datetime) -> datetime:
    """When a key is to expire.

    Raises:
        ValueError: It is over; the text says so.
    """
    if moment <= utc_now():
        raise ValueError("must be in the future")
    return moment


def stored_as_json(key: StoredKey) -> dict[str, Any]:
    """A key of the store as the API shows it. Any: JSON."""
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "source": "store",
        "is_valid": key.is_valid(utc_now()),
        "created_at": iso_utc(key.created_at),
        "created_by": key.created_by,
        "expires_at": None if key.expires_at is None else iso_utc(key.expires_at),
        "revoked_at": None if key.revoked_at is None else iso_utc(key.revoked_at),
    }
