"""What the alerter has taken and not yet finished, and its patience with neighbours that are away.

    take(entries) --> in hand --done(entries)--> gone
                        |---until_done(step)     a neighbour is away: touch them, and try again

Several steps may wait for a neighbour at once; nobody else is given our entries meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

import trio
from prometheus_client import Counter

from muttd.backoff import backoff_s
from muttd.errors import StoreError, StoreUnavailable
from muttd.pulse import Pulse
from muttd.queue.contract import Entry, Queue, Stream

T = TypeVar("T")

_RETRY_BASE_S = 0.1
_RETRY_CAP_S = 5.0

_log = logging.getLogger(__name__)


class GivenUp(StoreError):
    """A neighbour is away and we are to leave: what is in hand stays in the queue."""


class InHand:
    """Entries of the ingest stream in one consumer's hand.

    Args:
        queue, consumer: Of whom and by whom they were taken.
        failures: Counts the times a neighbour did not answer.

    Attributes:
        entries: When each was appended, by entry id; in the order they were taken.
        leaves_when_held_up: Whether to give up, rather than wait, from now on.
        pulse: Beats whenever something was tried or finished.
    """

    def __init__(self, queue: Queue, consumer: str, failures: Counter) -> None:
        self._queue = queue
        self._consumer = consumer
        self._failures = failures
        self._waiting = 0
        self._failed = 0
        self._empty = trio.Event()
        self._empty.set()
        self.entries: dict[str, datetime] = {}
        self.leaves_when_held_up = False
        self.pulse = Pulse("alerter")

    @property
    def is_held_up(self) -> bool:
        """Whether a neighbour is away and waited for."""
        return self._waiting > 0

    @property
    def oldest_at(self) -> datetime | None:
        """When the entry that was taken first was appended."""
        return next(iter(self.entries.values()), None)

    def take(self, entries: Iterable[Entry]) -> None:
        """They were taken."""
        self.entries.update((entry.entry_id, entry.appended_at) for entry in entries)
        if self.entries:
            self._empty = trio.Event()

    def done(self, entries: Iterable[Entry]) -> None:
        """The queue forgot them, or they are left to be delivered again."""
        for entry in entries:
            del self.entries[entry.entry_id]
        self.pulse.beat()
        if not self.entries:
            self._empty.set()

    async def wait_empty(self) -> None:
        """Wait until there is nothing in hand, or what is there was given up."""
        await self._empty.wait()

    async def until_done(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeat a step until its neighbour is back; meanwhile nobody may take our entries.

        Raises:
            GivenUp: It is away, and leaves_when_held_up.
        """
        failures = 0
        while True:
            try:
                done = await step()
            except StoreUnavailable as exc:
                failures += 1
                self._note_failure(exc, is_first=failures == 1)
            except Exception:
                self._note_answer(failures)
                raise
            else:
                self._note_answer(failures)
                return done
            await trio.sleep(backoff_s(failures, base_s=_RETRY_BASE_S, cap_s=_RETRY_CAP_S))
            if self.entries:
                with suppress(StoreUnavailable):
                    await self._queue.touch(Stream.INGEST, self._consumer, list(self.entries))

    def _note_failure(self, exc: StoreUnavailable, *, is_first: bool) -> None:
        self._failures.inc()
        self._failed += 1
        self.pulse.beat()
        if is_first:
            self._waiting += 1
            if self._waiting == 1:
                _log.error("alerter: waits, nothing is lost: %s", exc)
        if self.leaves_when_held_up:
            self._empty.set()
            raise GivenUp from exc

    def _note_answer(self, failures: int) -> None:
        if failures:
            self._waiting -= 1
            if not self._waiting:
                _log.warning("alerter: goes on after %d failures", self._failed)
                self._failed = 0
