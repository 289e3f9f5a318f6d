"""Intake: from the listeners' hands into the ingest stream.

    put() --> [ buffer, bounded in events ] --> run(): gather, encode, queue.append --> receipts

While one append is on its way to the disk the next batch gathers by itself: small and quick when
it is quiet, large and cheap in a flood. The buffer is one of the three places where a good message
can be lost, and only at the very end: what cannot be queued before the drain is over is counted
as dropped.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from muttd.accounts import Accounts
from muttd.backoff import backoff_s
from muttd.errors import StoreUnavailable
from muttd.event import Event, encode_events
from muttd.queue.contract import Batch, Queue, Stream
from muttd.queue.fanout import Fanout, Received

# Events of one queue entry. Larger ones save little and make a redelivery dearer.
ENTRY_EVENTS = 256
# Events of one append, so that its receipts do not wait for a whole buffer to be encoded.
_APPEND_EVENTS = 4096
_RETRY_BASE_S = 0.1
_RETRY_CAP_S = 5.0

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Parcel:
    """What one put() handed over."""

    listener: str
    events: Sequence[Event]
    receipt: Callable[[], None] | None


class Intake:
    """The buffer between the listeners and the queue; a muttd.sink.Sink.

    Args:
        queue: Where events go.
        fanout: Who sees them live, once the queue has them.
        accounts: The listeners' books; `queued` and `dropped` are written here.
        buffer_events: Events that may wait for the queue; put() waits while there are more.
    """

    def __init__(
        self, queue: Queue, fanout: Fanout, accounts: Accounts, *, buffer_events: int
    ) -> None:
        self._queue = queue
        self._fanout = fanout
        self._accounts = accounts
        self._buffer_events = buffer_events
        self._parcels: deque[_Parcel] = deque()
        self._waiting_events = 0
        self._arrived = trio.Event()
        self._room = trio.lowlevel.ParkingLot()
        self._empty = trio.Event()
        self._empty.set()
        self._failures = 0
        self.last_error: StoreUnavailable | None = None

    @property
    def waiting_events(self) -> int:
        """Events in the buffer, those on their way to the queue included."""
        return self._waiting_events

    async def put(
        self, listener: str, events: Sequence[Event], receipt: Callable[[], None] | None = None
    ) -> None:
        """Hand over a batch; see Sink.put."""
        try:
            await self._wait_room()
        except trio.Cancelled:
            self._accounts[listener].dropped += len(events)
            raise
        self._accept(_Parcel(listener, events, receipt))

    async def put_and_wait(self, listener: str, events: Sequence[Event], *, wait_s: float) -> None:
        """Hand over a batch and wait until the queue has it; see Sink.put_and_wait.

        A batch that is not on its way when the time is up is taken back, so that the sender's
        repetition does not double it.
        """
        queued = trio.Event()
        parcel = _Parcel(listener, events, queued.set)
        try:
            with trio.move_on_after(wait_s):
                await self._wait_room()
                self._accept(parcel)
                await queued.wait()
        finally:
            if not queued.is_set() and parcel in self._parcels:
                self._parcels.remove(parcel)
                self._release(len(events))
        if queued.is_set():
            return
        self._accounts[listener].refused["queue"] += len(events)
        raise self.last_error or StoreUnavailable("the queue did not answer in time")

    async def run(self) -> None:
        """Move parcels to the queue until cancelled; at the end, count what could not be moved."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived = trio.Event()
                while self._parcels:
                    await self._move(self._gather())
        finally:
            for parcel in self._parcels:
                self._accounts[parcel.listener].dropped += len(parcel.events)

    async def wait_empty(self) -> None:
        """Wait until the queue has everything that was put."""
        await self._empty.wait()

    async def _wait_room(self) -> None:
        while self._waiting_events >= self._buffer_events:
            await self._room.park()

    def _accept(self, parcel: _Parcel) -> None:
        if not self._waiting_events:
            self._empty = trio.Event()
        self._waiting_events += len(parcel.events)
        self._parcels.append(parcel)
        self._arrived.set()

    def _release(self, count: int) -> None:
        self._waiting_events -= count
        if not self._waiting_events:
            self._empty.set()
        self._room.unpark_all()

    def _gather(self) -> list[_Parcel]:
        parcels = [self._parcels.popleft()]
        count = len(parcels[0].events)
        while self._parcels and count + len(self._parcels[0].events) <= _APPEND_EVENTS:
            parcels.append(self._parcels.popleft())
            count += len(parcels[-1].events)
        return parcels

    async def _move(self, parcels: list[_Parcel]) -> None:
        events = [event for parcel in parcels for event in parcel.events]
        try:
            await self._queue.append(Stream.INGEST, _batches(events))
        except StoreUnavailable as exc:
            # Back into the buffer, so that a sender who gave up waiting can take his parcel back.
            self._parcels.extendleft(reversed(parcels))
            await self._wait_retry(exc)
            return
        if self._failures:
            _log.warning("intake: the queue takes events again after %d failures", self._failures)
            self._failures = 0
            self.last_error = None
        for parcel in parcels:
            self._accounts[parcel.listener].queued += len(parcel.events)
            if parcel.receipt is not None:
                parcel.receipt()
        self._release(len(events))
        if self._fanout.subscriber_count:
            self._fanout.publish(Received(events))

    async def _wait_retry(self, exc: StoreUnavailable) -> None:
        self._failures += 1
        self.last_error = exc
        if self._failures == 1:
            _log.error("intake: the queue does not take events, so intake waits: %s", exc)
        await trio.sleep(backoff_s(self._failures, base_s=_RETRY_BASE_S, cap_s=_RETRY_CAP_S))


def _batches(events: Sequence[Event]) -> list[Batch]:
    parts = (events[at : at + ENTRY_EVENTS] for at in range(0, len(events), ENTRY_EVENTS))
    return [Batch(encode_events(part), len(part)) for part in parts]
