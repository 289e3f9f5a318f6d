"""A disk spool in front of a queue that may be away.

    append --> remote queue                    while it takes events and the spool is empty
       |-----> spool (a SqliteQueue) --drain, in order--> remote queue        else, up to a limit

    found at the start + spooled = drained + waiting                                   (events)

Whoever appends is told yes when either has it on disk. Once something is in the spool everything
goes through it, so that what one source sent stays in order. Everything but the append of events
passes through to the remote queue: what it holds is out of reach while it is away.
An entry may reach the remote queue twice, after a call without an answer or a kill -9 before the
spool forgot it; events carry their ids.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import trio
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from muttd.backoff import backoff_s
from muttd.errors import QueueFull, StoreUnavailable
from muttd.event import utc_now
from muttd.queue.contract import Batch, Depth, Entry, Queue, Stream
from muttd.queue.ledger import Counted, Ledger
from muttd.queue.letters import DeadLetter, Letters
from muttd.queue.sqlite import open_queue

# The one consumer of the spool.
_CONSUMER = "spool"
# Entries taken at once while draining: enough that one round costs little per event.
_ENTRIES = 16
# Octets of one append to the remote queue: well under its timeout on a slow network.
_APPEND_OCTETS = 4 * 1024 * 1024
_RETRY_BASE_S = 0.1
# Short, because a queue that is back should be used soon; a try costs it one connection.
_RETRY_CAP_S = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolState:
    """What the spool holds and why.

    Attributes:
        items, octets: Events that wait, and the octets of their payloads.
        max_octets: Most that it may hold.
        since: When it began to hold something; None while it is empty.
        spooled, drained: Events that came in and went out since the start.
        error: Why the remote queue did not take events; None when it does.
    """

    items: int
    octets: int
    max_octets: int
    since: datetime | None
    spooled: int
    drained: int
    error: str | None


class SpooledQueue:
    """Queue whose events survive the absence of another one. Made by open_spooled.

    Args:
        remote: The queue that may be away.
        spool: Where events wait meanwhile.
        max_octets: Most that the spool may hold, in octets of payload.
        depth: What the spool holds already.
        octets: The octets of that.
    """

    def __init__(
        self, remote: Queue, spool: Queue, *, max_octets: int, depth: Depth, octets: int
    ) -> None:
        self._remote = remote
        self._spool = spool
        self._max_octets = max_octets
        self._octets = octets
        self._items = depth.items
        self._since = depth.oldest_at
        self._spooled = 0
        self._drained = 0
        self._error: str | None = None
        # Held by who appends, and by the drain while it empties the spool: between its last look
        # and the end of spooling nothing may slip into the spool, nor past it.
        self._turn = trio.Lock()
        self._begun = trio.Event()
        if depth.items:
            self._begun.set()

    @property
    def letters(self) -> Letters:
        """Dead letters of the remote queue."""
        return self._remote.letters

    @property
    def ledger(self) -> Ledger:
        """The ledger of the remote queue."""
        return self._remote.ledger

    @property
    def state(self) -> SpoolState:
        """What the spool holds now."""
        return SpoolState(
            items=self._items,
            octets=self._octets,
            max_octets=self._max_octets,
            since=self._since,
            spooled=self._spooled,
            drained=self._drained,
            error=self._error,
        )

    async def append(self, stream: str, batches: Sequence[Batch]) -> None:
        """Append batches; events go to the spool while the remote queue is away.

        Raises:
            QueueFull: The remote queue is full and nothing waits in the spool.
            StoreUnavailable: The spool is full, or its disk.
        """
        if stream != Stream.INGEST:
            await self._remote.append(stream, batches)
            return
        async with self._turn:
            if not self._items:
                try:
                    await self._remote.append(stream, batches)
                except QueueFull:
                    raise
                except StoreUnavailable as exc:
                    self._error = str(exc)
                    _log.error("spool: events wait on disk, the queue is away: %s", exc)
                else:
                    return
            await self._put_aside(batches)

    async def _put_aside(self, batches: Sequence[Batch]) -> None:
        octets = sum(len(batch.payload) for batch in batches)
        if self._octets + octets > self._max_octets:
            raise StoreUnavailable(
                f"the spool holds {self._octets} of at most {self._max_octets} octets"
                f" and the queue is away: {self._error}"
            )
        # Counted before it is there, so that the drain does not end while the disk still works.
        item_count = sum(batch.item_count for batch in batches)
        self._count(item_count, octets)
        try:
            await self._spool.append(Stream.INGEST, batches)
        except BaseException:
            # Cancelled too: a transaction that has begun is not cancelled, so it is not there.
            self._count(-item_count, -octets)
            raise
        self._spooled += item_count

    def _count(self, items: int, octets: int) -> None:
        self._items += items
        self._octets += octets
        if not self._items:
            self._since = None
        elif self._since is None:
            self._since = utc_now()
            self._begun.set()

    async def run(self) -> None:
        """Drain the spool whenever there is something in it, until cancelled."""
        while True:
            await self._begun.wait()
            await self._drain()
            self._begun = trio.Event()
            self._error = None
            _log.warning("spool: empty, the queue has everything")

    async def _drain(self) -> None:
        failures = 0
        entries: list[Entry] = []
        does_answer = False
        while self._items:
            try:
                if not does_answer:
                    # Not found out with an append, which may hold up whoever appends as long as
                    # a queue that hangs does not answer.
                    await self._remote.ping()
                await self._move_some(entries)
            except StoreUnavailable as exc:
                failures += 1
                does_answer = False
                self._error = str(exc)
                await trio.sleep(backoff_s(failures, base_s=_RETRY_BASE_S, cap_s=_RETRY_CAP_S))
            else:
                failures = 0
                does_answer = True

    async def _move_some(self, entries: list[Entry]) -> None:
        """Move entries, which are taken already, or those that follow; `entries` is what is left.

        Raises:
            StoreUnavailable: Some may have been moved; `entries` has those that were not.
        """
        if not entries:
            entries += await self._take()
        if len(entries) == _ENTRIES:
            await self._move(entries)
            return
        # The rest of the spool: nobody may add to it while it goes out.
        async with self._turn:
            entries += await self._take()
            await self._move(entries)

    async def _take(self) -> list[Entry]:
        return await self._spool.take(Stream.INGEST, _CONSUMER, count=_ENTRIES, wait_s=0.0)

    async def _move(self, entries: list[Entry]) -> None:
        while entries:
            part = entries[: _part_length(entries)]
            batches = [Batch(entry.payload, entry.item_count) for entry in part]
            await self._remote.append(Stream.INGEST, batches)
            self._error = None
            await self._spool.ack(Stream.INGEST, [entry.entry_id for entry in part])
            item_count = sum(entry.item_count for entry in part)
            self._count(-item_count, -sum(len(entry.payload) for entry in part))
            self._drained += item_count
            del entries[: len(part)]

    async def take(self, stream: str, consumer: str, *, count: int, wait_s: float) -> list[Entry]:
        """Take from the remote queue."""
        return await self._remote.take(stream, consumer, count=count, wait_s=wait_s)

    async def ack(
        self,
        stream: str,
        entry_ids: Sequence[str],
        *,
        then_append: Sequence[tuple[str, Batch]] = (),
        counted: Counted | None = None,
    ) -> None:
        """Ack in the remote queue."""
        await self._remote.ack(stream, entry_ids, then_append=then_append, counted=counted)

    async def touch(self, stream: str, consumer: str, entry_ids: Sequence[str]) -> None:
        """Touch in the remote queue."""
        await self._remote.touch(stream, consumer, entry_ids)

    async def release(self, stream: str, consumer: str, entry_ids: Sequence[str]) -> None:
        """Release in the remote queue."""
        # Who releases is about to leave.
        self._check_away()
        await self._remote.release(stream, consumer, entry_ids)

    async def claim_idle(
        self, stream: str, consumer: str, *, idle_s: float, count: int
    ) -> list[Entry]:
        """Claim from the remote queue."""
        return await self._remote.claim_idle(stream, consumer, idle_s=idle_s, count=count)

    async def bury(
        self, stream: str, entry_ids: Sequence[str], letters: Sequence[DeadLetter]
    ) -> None:
        """Bury in the remote queue."""
        await self._remote.bury(stream, entry_ids, letters)

    async def depth(self, stream: str) -> Depth:
        """What the remote queue holds; the spool's part is in `state`."""
        self._check_away()
        return await self._remote.depth(stream)

    async def destinations(self) -> list[str]:
        """For which destinations the remote queue may hold alerts."""
        return await self._remote.destinations()

    async def ping(self) -> None:
        """Return when the remote queue can take a write."""
        self._check_away()
        await self._remote.ping()

    def note(self) -> str | None:
        """What should be looked at in the remote queue."""
        return self._remote.note()

    def _check_away(self) -> None:
        # The drain asks it every few seconds. Who only wants to know need not wait for the
        # timeout of a queue that hangs.
        if self._error is not None:
            raise StoreUnavailable(self._error)


def _part_length(entries: Sequence[Entry]) -> int:
    """How many of them go into one append: at least one."""
    octets = 0
    for length, entry in enumerate(entries):
        octets += len(entry.payload)
        if length and octets > _APPEND_OCTETS:
            return length
    return len(entries)


class SpoolCollector(Collector):
    """The spool for a scrape; at zero where there is none.

    Args:
        state: Gives its state, None without a spool.
    """

    def __init__(self, state: Callable[[], SpoolState | None]) -> None:
        self._state = state

    def collect(self) -> Iterable[Metric]:
        """Every series."""
        state = self._state() or SpoolState(
            items=0, octets=0, max_octets=0, since=None, spooled=0, drained=0, error=None
        )
        gauges = {
            "events": ("Events that wait on disk for the queue.", state.items),
            "bytes": ("Octets of those events.", state.octets),
            "limit_bytes": ("Octets that may wait on disk.", state.max_octets),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"muttd_spool_{name}", text, value=value)
        counters = {
            "spooled": ("Events put on disk because the queue was away.", state.spooled),
            "drained": ("Events moved from the disk to the queue.", state.drained),
        }
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(f"muttd_spool_{name}", text, value=value)


@asynccontextmanager
async def open_spooled(
    remote: Queue, path: Path, *, max_octets: int
) -> AsyncIterator[SpooledQueue]:
    """Put a spool in front of a queue.

    Args:
        remote: The queue that may be away.
        path: spool.db; its directory exists. What an earlier process left in it is drained first.
        max_octets: Most that may wait in it.

    Raises:
        StoreRefused: Another process owns the spool; or it is damaged, or no spool of ours.
        StoreUnavailable: The disk is full.
    """
    async with open_queue(path, limits=dict.fromkeys(Stream, sys.maxsize)) as spool:
        yield SpooledQueue(
            remote,
            spool,
            max_octets=max_octets,
            depth=await spool.depth(Stream.INGEST),
            octets=await spool.payload_octets(),
        )
