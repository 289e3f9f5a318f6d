"""Keep the dynamic configuration current: what the store says, over the defaults.

the store answers        its values, within a second of a change; each time the snapshot is replaced
it does not, later on    the last ones stay in force
it does not, at start    the snapshot of an earlier run; without one, the defaults
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import trio

from muttd.dynamic import Dynamic
from muttd.errors import StoreUnavailable
from muttd.event import utc_now
from muttd.store.contract import Store
from muttd.workers.snapshot_file import read_snapshot, write_snapshot

_log = logging.getLogger(__name__)


class Snapshot(msgspec.Struct, frozen=True):
    """What the file <state directory>/dynamic.snapshot holds.

    Attributes:
        taken_at: When the store was known to say so; aware, UTC.
        values: (key, value) of what was set over the defaults.
    """

    taken_at: datetime
    values: list[tuple[str, Any]]


class DynamicWatch:
    """Puts in force what the store says.

    Args:
        store: Where the values are kept.
        dynamic: Where they are in force.
        check_interval_s: How often the store is asked; a change made through this daemon is in
            force at once.
        snapshot: The file that keeps the last values for a start without the store.
    """

    def __init__(
        self, store: Store, dynamic: Dynamic, *, check_interval_s: float, snapshot: Path
    ) -> None:
        self._store = store
        self._dynamic = dynamic
        self._check_interval_s = check_interval_s
        self._snapshot = snapshot
        self._poked = trio.Event()
        self._confirmed = trio.Event()
        # What was put in force last; None: nothing was yet.
        self._stored: list[tuple[str, Any]] | None = None

    def poke(self) -> None:
        """Look for a change now."""
        self._poked.set()

    async def wait_confirmed(self) -> None:
        """Wait until the store has said what it has: before, nothing is deleted by these values."""
        await self._confirmed.wait()

    async def run(self) -> None:
        """Follow the store until cancelled. While it is away the last values stay in force."""
        while True:
            try:
                await self._follow()
            except StoreUnavailable:
                # The rules, which come by the same way, say so in the log.
                if self._stored is None:
                    await self._do_without()
            with trio.move_on_after(self._check_interval_s):
                await self._poked.wait()
            self._poked = trio.Event()

    async def _follow(self) -> None:
        # Some twenty rows at most: to read them costs no more than to read a revision.
        stored = [(each.key, each.value) for each in await self._store.dynamic_values()]
        if stored == self._stored:
            self._confirmed.set()
            return
        self._enforce(stored)
        self._confirmed.set()
        octets = msgspec.msgpack.encode(Snapshot(utc_now(), stored))
        await trio.to_thread.run_sync(write_snapshot, self._snapshot, octets)

    async def _do_without(self) -> None:
        snapshot = await trio.to_thread.run_sync(read_snapshot, self._snapshot, Snapshot)
        if snapshot is not None:
            self._enforce(snapshot.values)
            _log.error("settings: the store is away, those of %s hold", snapshot.taken_at)

    def _enforce(self, stored: list[tuple[str, Any]]) -> None:
        before = self._dynamic.current
        self._dynamic.override(stored)
        self._stored = stored
        for key, problem in self._dynamic.faults:
            _log.error("settings: the stored %s is passed over: %s", key, problem)
        if self._dynamic.current != before:
            _log.info("settings: dynamic configuration in force: %d keys set", len(stored))
