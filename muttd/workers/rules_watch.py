"""Keep the compiled rules current: compile aside, swap whole, never run with no rules unread."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

import trio

from muttd.errors import StoreUnavailable
from muttd.event import utc_now
from muttd.rules.compile import compile_rules
from muttd.rules.engine import RuleSet
from muttd.store.contract import Store

_log = logging.getLogger(__name__)


class RulesWatch:
    """The rules in force.

    Args:
        store: Where rules are kept.
        check_interval_s: How often the store is asked whether anything changed; a change made
            through this daemon is in force at once.
    """

    def __init__(self, store: Store, *, check_interval_s: float) -> None:
        self._store = store
        self._check_interval_s = check_interval_s
        self._poked = trio.Event()
        self._loaded = trio.Event()
        self._current: RuleSet | None = None
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

    async def wait_loaded(self) -> None:
        """Wait until the rules were read once."""
        await self._loaded.wait()

    def poke(self) -> None:
        """Look for a change now."""
        self._poked.set()

    async def run(self) -> None:
        """Follow the store until cancelled. While it is away the last rules stay in force."""
        failures = 0
        while True:
            try:
                revision = await self._store.rule_book_revision()
                if self._current is None or revision != self.revision:
                    await self._load()
            except StoreUnavailable as exc:
                failures += 1
                if failures == 1:
                    _log.error("rules: the store is away, the last rules stay in force: %s", exc)
            else:
                if failures:
                    _log.warning("rules: the store is back after %d failures", failures)
                failures = 0
            with trio.move_on_after(self._check_interval_s):
                await self._poked.wait()
            self._poked = trio.Event()

    async def _load(self) -> None:
        book = await self._store.rule_book()
        # Seconds at ten thousand rules: not on the event loop.
        rule_set = await trio.to_thread.run_sync(compile_rules, book)
        self._current = rule_set
        self.revision = book.revision
        self.active_count = len(rule_set)
        self.faults = rule_set.faults
        self.loaded_at = utc_now()
        self._loaded.set()
        _log.info("rules: revision %d in force, %d active rules", book.revision, len(rule_set))
        for rule_id, why in rule_set.faults:
            _log.error("rules: rule %d takes no part: %s", rule_id, why)
