"""Follow the store in who may come in: keys made or revoked, sessions ended, on any daemon.

    twice a second, or poked --> revision --changed?--> keys into the ring, sessions forgotten
    every minute             --> which sessions were used

The store away: who was let in stays so; a key that only the store knows is told 503, never 401.
"""

from __future__ import annotations

import logging

import trio

from muttd.errors import StoreUnavailable
from muttd.store.access import AccessStore
from muttd.web.auth import KeyRing
from muttd.web.sessions import Sessions

# A key that was revoked is refused everywhere within a second, also where no news gets through.
CHECK_INTERVAL_S = 0.8
# Of a session that lasts hours.
_FLUSH_INTERVAL_S = 60.0

_log = logging.getLogger(__name__)


class Access:
    """Keeps a ring and the sessions as the store has them.

    Args:
        store: Where keys and sessions are.
        keys: The ring.
        sessions: The sessions.
    """

    def __init__(self, store: AccessStore, keys: KeyRing, sessions: Sessions) -> None:
        self._store = store
        self._keys = keys
        self._sessions = sessions
        self._revision: int | None = None
        self._poked = trio.Event()
        self._refreshing = trio.Lock()
        keys.expect_stored()

    def poke(self) -> None:
        """Look for a change now."""
        self._poked.set()

    async def refresh(self) -> None:
        """Put in force what the store says.

        Raises:
            StoreUnavailable: What was in force stays so.
        """
        # One at a time: of two, the one that asked first could bring a revoked key back.
        async with self._refreshing:
            revision = await self._store.access_revision()
            if revision != self._revision:
                self._keys.use_stored(await self._store.api_keys())
                self._sessions.forget()
                self._revision = revision

    async def run(self) -> None:
        """Follow the store until cancelled."""
        flushed_at = trio.current_time()
        is_away = False
        while True:
            self._poked = trio.Event()
            try:
                await self.refresh()
                if trio.current_time() - flushed_at >= _FLUSH_INTERVAL_S:
                    await self._sessions.flush()
                    flushed_at = trio.current_time()
            except StoreUnavailable as exc:
                if not is_away:
                    _log.warning("access: the store is away, keys stay as they are: %s", exc)
                is_away = True
            else:
                if is_away:
                    _log.info("access: the store answers")
                is_away = False
            with trio.move_on_after(CHECK_INTERVAL_S):
                await self._poked.wait()
