"""Keep the compiled rules current: compile aside, swap whole, never run with no rules unread.

the store answers        its rules, as soon as they change; each time the snapshot is replaced
it does not, later on    the last ones stay in force
it does not, at start    the snapshot of an earlier run; without one, deciding waits
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import trio

from muttd import heap
from muttd.errors import StoreUnavailable
from muttd.event import iso_utc, utc_now
from muttd.rules.compile import compile_rules
from muttd.rules.engine import RuleSet
from muttd.rules.model import RuleBook
from muttd.store.contract import Store
from muttd.workers.rules_snapshot import load_snapshot, save_snapshot

_log = logging.getLogger(__name__)


class RulesWatch:
    """The rules in force.

    Args:
        store: Where rules are kept.
        check_interval_s: How often the store is asked whether anything changed; a change made
            through this daemon is in force at once.
        snapshot: The file that keeps the last good rules for a start without the store.
    """

    def __init__(self, store: Store, *, check_interval_s: float, snapshot: Path) -> None:
        self._store = store
        self._check_interval_s = check_interval_s
        self._snapshot = snapshot
        self._poked = trio.Event()
        self._loaded = trio.Event()
        self._current: RuleSet | None = None
        # Why the store gave no rules when it was asked last.
        self._error: str | None = None
        # When those in force were saved, if they are the snapshot's.
        self._snapshot_at: datetime | None = None
        self.revision = 0
        self.active_count = 0
        # (rule id, why) of stored rules that cannot be compiled and take no part.
        self.faults: Sequence[tuple[int, str]] = ()
        self.loaded_at: datetime | None = None

    @property
    def current(self) -> RuleSet:
        """The rules in force; only after wait_loaded()."""
        assert self._current is not None
        return self._current

    @property
    def is_loaded(self) -> bool:
        """Whether there are rules in force."""
        return self._current is not None

    @property
    def warning(self) -> str | None:
        """What an operator should know about the rules in force, or about there being none."""
        if self._current is None:
            return f"no rules were read yet, so events wait undecided: {self._error or 'reading'}"
        if self._snapshot_at is not None:
            return f"rules are those of {iso_utc(self._snapshot_at)}: {self._error}"
        return None

    async def wait_loaded(self) -> None:
        """Wait until there are rules in force."""
        await self._loaded.wait()

    def poke(self) -> None:
        """Look for a change now."""
        self._poked.set()

    async def run(self) -> None:
        """Follow the store until cancelled. While it is away the last rules stay in force."""
        failures = 0
        while True:
            try:
                await self._follow()
            except StoreUnavailable as exc:
                failures += 1
                self._error = str(exc)
                if failures == 1:
                    await self._do_without(exc)
            else:
                if failures:
                    _log.warning("rules: the store is back after %d failures", failures)
                failures = 0
                self._error = None
            with trio.move_on_after(self._check_interval_s):
                await self._poked.wait()
            self._poked = trio.Event()

    async def _follow(self) -> None:
        revision = await self._store.rule_book_revision()
        # The snapshot's revision may be another store's.
        if self._current is None or self._snapshot_at is not None or revision != self.revision:
            book = await self._store.rule_book()
            await self._enforce(book)
            self._snapshot_at = None
            await trio.to_thread.run_sync(save_snapshot, self._snapshot, book)

    async def _do_without(self, exc: StoreUnavailable) -> None:
        if self._current is not None:
            _log.error("rules: the store is away, the last rules stay in force: %s", exc)
            return
        snapshot = await trio.to_thread.run_sync(load_snapshot, self._snapshot)
        if snapshot is None:
            _log.error("rules: the store is away and no earlier rules are kept: %s", exc)
            return
        _log.error("rules: the store is away, those of %s decide: %s", snapshot.taken_at, exc)
        await self._enforce(snapshot.book)
        self._snapshot_at = snapshot.taken_at

    async def _enforce(self, book: RuleBook) -> None:
        # Seconds at ten thousand rules: not on the event loop.
        rule_set = await trio.to_thread.run_sync(_compile, book)
        self._current = rule_set
        self.revision = book.revision
        self.active_count = len(rule_set)
        self.faults = rule_set.faults
        self.loaded_at = utc_now()
        self._loaded.set()
        _log.info("rules: revision %d in force, %d active rules", book.revision, len(rule_set))
        for rule_id, why in rule_set.faults:
            _log.error("rules: rule %d takes no part: %s", rule_id, why)


def _compile(book: RuleBook) -> RuleSet:
    rule_set = compile_rules(book)
    # What that took: 30 MiB for a thousand rules.
    heap.give_back()
    return rule_set
