"""API keys in the store itself, for muttd keys --store: without the daemon, and without a key.

    MUTTD_DATABASE_URL   PostgreSQL, with the password as the daemon would find it
    else                 STATE_DIR/store.db

Who may write there may do this; the audit names his account. A store that is not at this program's
schema is left alone. A daemon that runs meanwhile takes part within a second.
"""

from __future__ import annotations

import dataclasses
import os
import pwd
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import trio

from muttd.api_keys import checked_expiry, checked_name, digest_of, new_secret, stored_as_json
from muttd.commands.outcome import EX_CONFIG, EX_DATAERR, EX_UNAVAILABLE, CommandFailed
from muttd.errors import InvalidInput, SecretsError, StoreRefused, StoreUnavailable
from muttd.settings import Settings, load
from muttd.store.access import AccessStore, Change, KeyDraft
from muttd.wiring_backends import open_store_alone
from muttd.wiring_secrets import load_once

# Beyond what either store counts to.
_TOO_LARGE_ID = 2**63

T = TypeVar("T")


class KeysInStore:
    """The keys in the store that these settings choose.

    Args:
        environ: The settings, as the daemon has them.
        state_dir: Instead of that of the settings.

    Attributes:
        where: For whoever took another store for his: it is said beside what was done.
    """

    def __init__(self, environ: Mapping[str, str], state_dir: Path | None) -> None:
        settings = load(environ, forgive_unknown=True)
        if state_dir is not None:
            settings = dataclasses.replace(settings, state_dir=state_dir)
        self._settings = _with_password(settings, environ)
        is_embedded = settings.database.url is None
        self.where = f" in {settings.state_dir / 'store.db' if is_embedded else 'PostgreSQL'}"

    def list(self) -> list[dict[str, Any]]:
        """Every key of the store, revoked ones too. Any: JSON.

        Raises:
            CommandFailed: The store cannot be asked.
        """

        async def ask(store: AccessStore) -> list[dict[str, Any]]:
            return [stored_as_json(key) for key in await store.api_keys()]

        return self._run(ask)

    def create(
        self, name: str, role: str, *, expires_at: datetime | None, reason: str | None
    ) -> dict[str, Any]:
        """Make a key; it is in the answer under "key", and nowhere else. Any: JSON.

        Raises:
            CommandFailed: The name or the time is none, or the store does not take it.
        """
        secret = new_secret()
        try:
            draft = KeyDraft(
                name=checked_name(name),
                role=role,
                key_hash=digest_of(secret),
                # In UTC, where what is near the year 10000 is no time any more.
                expires_at=expires_at and checked_expiry(expires_at.astimezone(UTC)),
            )
        except (ValueError, OverflowError) as exc:
            raise CommandFailed(f"no such key is made: {exc}", EX_DATAERR) from exc

        async def ask(store: AccessStore) -> dict[str, Any]:
            return stored_as_json(await store.create_api_key(draft, _change(reason)))

        return self._run(ask) | {"key": secret}

    def revoke(self, key_id: int, *, reason: str | None) -> None:
        """Revoke a key.

        Raises:
            CommandFailed: There is none of that id, or the store cannot be asked.
        """
        if not 0 < key_id < _TOO_LARGE_ID:
            raise CommandFailed(f"there is no key {key_id}", EX_DATAERR)

        async def ask(store: AccessStore) -> None:
            await store.revoke_api_key(key_id, _change(reason))

        self._run(ask)

    def _run(self, ask: Callable[[AccessStore], Awaitable[T]]) -> T:
        async def run() -> T:
            async with open_store_alone(self._settings) as store:
                return await ask(store)

        try:
            return trio.run(run)
        except StoreUnavailable as exc:
            raise CommandFailed(str(exc), EX_UNAVAILABLE) from exc
        except StoreRefused as exc:
            raise CommandFailed(str(exc), EX_CONFIG) from exc
        except InvalidInput as exc:
            raise CommandFailed(str(exc), EX_DATAERR) from exc


def _with_password(settings: Settings, environ: Mapping[str, str]) -> Settings:
    if settings.database.url is None:
        return settings
    try:
        return load_once(settings, environ, forgive_unknown=True)
    except SecretsError as exc:
        raise CommandFailed(str(exc), EX_UNAVAILABLE) from exc


def _change(reason: str | None) -> Change:
    """Who does this: the account, because no key says it."""
    user = os.getuid()
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = str(user)
    return Change(f"local user {name}", reason)
