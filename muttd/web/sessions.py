"""Signed-in browsers: sessions in the store. They survive a restart, and hold on every daemon.

    cookie --SHA-256--> cached? --no--> store --> idle? too old? --> its key --> Principal
                           ^                                          |
                           '--- forget(): access was taken away -------'  a revoked key: nobody

The token's own digest is all that is kept of it, and the CSRF token follows from the token: a page
that is read tells nothing of the cookie. Use is written down once a minute, not with every request.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from muttd.api_keys import digest_of
from muttd.event import utc_now
from muttd.store.access import AccessStore, SessionLimits, StoredSession
from muttd.web.auth import (
    KEY_HEADER,
    Headers,
    KeyRing,
    Principal,
    cookie_header,
    header,
    session_tokens,
)

# One shift of work in which nobody touched the page; and one day, however busy the page was.
SESSION_IDLE = timedelta(hours=8)
SESSION_LIFE = timedelta(hours=24)
# Beyond it the session unused longest ends.
MAX_SESSIONS = 10_000
# 300 octets each, found or not: three megabytes at most.
_MAX_CACHED = 10_000
# What token_urlsafe(32) makes; nothing else is asked for.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class Sessions:
    """The signed-in browsers.

    Args:
        store: Where they are.
        keys: A session lasts no longer than the key that it was opened with.
        clock: The time, aware.
        idle: A session not used for this long ends.
        life: A session ends after this long in any case.
    """

    def __init__(
        self,
        store: AccessStore,
        keys: KeyRing,
        *,
        clock: Callable[[], datetime] = utc_now,
        idle: timedelta = SESSION_IDLE,
        life: timedelta = SESSION_LIFE,
    ) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._idle = idle
        self._life = life
        # token hash -> session, or None where there is none; the one asked for longest ago first.
        # No token is asked for before it is given, so that "none" stays true.
        self._cached: OrderedDict[bytes, StoredSession | None] = OrderedDict()
        # Rises whenever sessions end: what the store was asked before says nothing about now.
        self._endings = 0
        self._used: set[bytes] = set()

    async def open(self, principal: Principal) -> tuple[str, str]:
        """Start a session.

        Returns:
            The cookie's value and the CSRF token that belongs to it.

        Raises:
            StoreUnavailable: The store did not take it.
        """
        token = secrets.token_urlsafe(32)
        now = self._clock()
        session = StoredSession(
            token_hash=digest_of(token), key_hash=principal.key_hash, opened_at=now, used_at=now
        )
        limits = SessionLimits(
            opened_since=now - self._life, used_since=now - self._idle, at_most=MAX_SESSIONS
        )
        await self._store.open_session(session, limits)
        self._cache(session.token_hash, session)
        return token, _csrf_for(token)

    async def principal(self, cookies: str, *, is_use: bool = True) -> Principal | None:
        """Whose session the Cookie header names, or None; counts as use of it, unless it is none.

        Raises:
            StoreUnavailable: It is not known here, and the store does not answer.
        """
        found = await self._find(cookies, is_use=is_use)
        return None if found is None else found[1]

    async def csrf_token(self, cookies: str) -> str | None:
        """The CSRF token of the session that the Cookie header names, or None."""
        found = await self._find(cookies)
        return None if found is None else _csrf_for(found[0])

    async def check_csrf(self, cookies: str, csrf_token: str) -> bool:
        """Whether the CSRF token belongs to the session that the Cookie header names."""
        expected = await self.csrf_token(cookies)
        return expected is not None and hmac.compare_digest(
            digest_of(expected), digest_of(csrf_token)
        )

    async def close(self, cookies: str) -> None:
        """End the session that the Cookie header names, if there is one.

        Raises:
            StoreUnavailable: It goes on.
        """
        found = await self._find(cookies)
        if found is not None:
            token_hash = digest_of(found[0])
            await self._store.close_session(token_hash)
            self._endings += 1
            self._cache(token_hash, None)

    def forget(self) -> None:
        """Ask the store again about every session: some have ended elsewhere."""
        self._endings += 1
        self._cached.clear()

    async def flush(self) -> None:
        """Write down which sessions were used. Raises StoreUnavailable; the next call does it."""
        used, self._used = self._used, set()
        if used:
            try:
                await self._store.touch_sessions(sorted(used), self._clock())
            except BaseException:
                self._used |= used
                raise

    async def _find(self, cookies: str, *, is_use: bool = True) -> tuple[str, Principal] | None:
        # A sibling host can plant a second cookie of this name, so each one is tried.
        for token in session_tokens(cookies):
            if not _TOKEN.fullmatch(token):
                continue
            session = await self._session(digest_of(token))
            if session is None:
                continue
            principal = self._keys.holder(session.key_hash)
            if principal is None:
                self._keys.must_know()
                continue
            if is_use:
                self._use(session)
            return token, principal
        return None

    async def _session(self, token_hash: bytes) -> StoredSession | None:
        if token_hash in self._cached:
            session = self._cached[token_hash]
            if session is None or self._is_live(session):
                return session
            # Another daemon may have seen it since.
        endings = self._endings
        session = await self._store.find_session(token_hash)
        if session is not None and not self._is_live(session):
            session = None
        # It may have ended while the answer was on its way: kept, that answer would revive it.
        if self._endings == endings:
            self._cache(token_hash, session)
        return session

    def _use(self, session: StoredSession) -> None:
        self._used.add(session.token_hash)
        if self._cached.get(session.token_hash) is not None:
            self._cache(session.token_hash, replace(session, used_at=self._clock()))

    def _is_live(self, session: StoredSession) -> bool:
        now = self._clock()
        return now - session.used_at < self._idle and now - session.opened_at < self._life

    def _cache(self, token_hash: bytes, session: StoredSession | None) -> None:
        self._cached[token_hash] = session
        self._cached.move_to_end(token_hash)
        if len(self._cached) > _MAX_CACHED:
            self._cached.popitem(last=False)


async def authenticate(
    headers: Headers,
    keys: KeyRing,
    sessions: Sessions,
    *,
    peer: str | None = None,
    is_use: bool = True,
) -> Principal | None:
    """Who sent a request with these headers, or None.

    Args:
        headers: (name, value) octets as ASGI and h11 give them.
        keys, sessions: What is valid now.
        peer: The client's address; with it wrong keys are counted, and limited.
        is_use: Whether a session counts as used.

    Raises:
        TooManyGuesses: The peer guessed too often; its key was not looked at.
        StoreUnavailable: The store is away, and without it nobody can tell.
    """
    headers = list(headers)
    api_key = header(headers, KEY_HEADER)
    if api_key is not None:
        return keys.check(api_key, peer=peer)
    return await sessions.principal(cookie_header(headers), is_use=is_use)


def _csrf_for(token: str) -> str:
    return hmac.new(token.encode(), b"csrf", "sha256").hexdigest()
