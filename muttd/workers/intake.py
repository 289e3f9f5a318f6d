"""Intake: from the listeners' hands into the ingest stream.

    put() --> [ buffer, bounded in events ] --> run(): gather, encode, queue.append --> receipts

Syslog messages are queued as they came and parsed by whoever takes them (arrivals.py), unless
somebody looks on: what the live feed shows has been parsed, and need not be parsed twice.

While one append is on its way to the disk the next batch gathers by itself, and for some
milliseconds more unless somebody waits for it: small and quick when it is quiet, large and cheap
in a flood. The buffer is one of the three places where a good message can be lost, and only at the
very end: what cannot be queued before the drain is over is counted as dropped.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from muttd.accounts import Accounts
from muttd.arrivals import Arrivals, encode_arrivals
from muttd.backoff import backoff_s
from muttd.errors import QueueFull, StoreUnavailable
from muttd.event import Event, encode_events
from muttd.pulse import Pulse
from muttd.queue.contract import Batch, Queue, Stream
from muttd.queue.fanout import Fanout, Received
from muttd.sink import Load

# Events of one queue entry. Larger ones save little and make a redelivery dearer.
ENTRY_EVENTS = 256
# Events of one append, so that its receipts do not wait for a whole buffer to be encoded.
_APPEND_EVENTS = 4096
# From one append to the next, as long as there are not so many events: an append costs as much for
# one event as for a hundred.
_GATHER_S = 0.02
_URGENT_EVENTS = 2 * ENTRY_EVENTS
_RETRY_BASE_S = 0.1
_RETRY_CAP_S = 5.0

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Parcel:
    """What one put() handed over, or what is left of it.

    Attributes:
        is_whole: It is queued in one piece or not at all, because its sender will be told which.
    """

    listener: str
    load: Load
    receipt: Callable[[], None] | None
    is_whole: bool = False


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
        # There are enough, or somebody waits for his receipt.
        self._urgent = trio.Event()
        self._appended_at = -_GATHER_S
        self._room = trio.lowlevel.ParkingLot()
        self._empty = trio.Event()
        self._empty.set()
        self._failures = 0
        # What an append under way holds, and what says that it is over.
        self._moving: list[_Parcel] = []
        self._moved = trio.Event()
        self.last_error: StoreUnavailable | None = None
        self.pulse = Pulse("intake")

    @property
    def waiting_events(self) -> int:
        """Events in the buffer, those on their way to the queue included."""
        return self._waiting_events

    async def put(
        self, listener: str, load: Load, receipt: Callable[[], None] | None = None
    ) -> None:
        """Hand over a batch; see Sink.put."""
        try:
            await self._wait_room()
        except trio.Cancelled:
            self._accounts[listener].dropped += len(load)
            raise
        self._accept(_Parcel(listener, load, receipt))

    async def put_and_wait(self, listener: str, events: Sequence[Event], *, wait_s: float) -> None:
        """Hand over a batch and wait until the queue has it; see Sink.put_and_wait.

        A batch that is not on its way when the time is up is taken back, so that the sender's
        repetition does not double it.
        """
        queued = trio.Event()
        parcel = _Parcel(listener, events, queued.set, is_whole=True)
        try:
            with trio.move_on_after(wait_s):
                await self._wait_room()
                self._accept(parcel)
                await queued.wait()
            while parcel in self._moving:
                # It is on its way: the answer has to be what becomes of it. The backend has a
                # deadline of its own.
                await self._moved.wait()
        finally:
            if parcel in self._parcels:
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
                await self._move_all()
                self.pulse.rest()
        finally:
            self._count_dropped()

    async def wait_empty(self) -> None:
        """Wait until the queue has everything that was put."""
        await self._empty.wait()

    async def _wait_room(self) -> None:
        while self._waiting_events >= self._buffer_events:
            await self._room.park()

    def _accept(self, parcel: _Parcel) -> None:
        if not self._waiting_events:
            self._empty = trio.Event()
        self._waiting_events += len(parcel.load)
        self._parcels.append(parcel)
        self._arrived.set()
        if parcel.receipt is not None or self._waiting_events >= _URGENT_EVENTS:
            self._urgent.set()

    def _release(self, count: int) -> None:
        self._waiting_events -= count
        if not self._waiting_events:
            self._empty.set()
        self._room.unpark_all()

    async def _move_all(self) -> None:
        # How many events a full queue still takes, when it has just said so.
        room: int | None = None
        while self._parcels:
            self.pulse.beat()
            await self._let_gather()
            if not self._parcels:
                # Their senders have taken them back.
                return
            parcels = self._gather(room)
            refusal = await self._append(parcels) if parcels else self.last_error
            if parcels and refusal is None:
                room = None
            elif parcels and room is None and isinstance(refusal, QueueFull):
                # All of them were too many. Fewer may fit.
                room = max(0, refusal.limit - refusal.depth)
            else:
                await self._wait_retry()
                room = None

    async def _let_gather(self) -> None:
        if self._waiting_events < _URGENT_EVENTS:
            with trio.move_on_at(self._appended_at + _GATHER_S):
                await self._urgent.wait()
        self._urgent = trio.Event()
        self._appended_at = trio.current_time()

    def _gather(self, room: int | None) -> list[_Parcel]:
        """Take parcels out of the buffer, in order, for one append.

        Args:
            room: What the queue takes at most, if it said so. A parcel that does not fit then is
                cut, or, when it may not be, lets the ones behind it pass.
        """
        left = _APPEND_EVENTS if room is None else min(room, _APPEND_EVENTS)
        taken: list[_Parcel] = []
        kept: deque[_Parcel] = deque()
        while self._parcels and left > 0:
            parcel = self._parcels.popleft()
            count = len(parcel.load)
            if count <= left or (room is None and not taken):
                taken.append(parcel)
                left -= count
                continue
            kept.append(parcel)
            if room is None:
                break
            if not parcel.is_whole:
                taken.append(_Parcel(parcel.listener, parcel.load[:left], None))
                parcel.load = parcel.load[left:]
                break
        self._parcels.extendleft(reversed(kept))
        return taken

    async def _append(self, parcels: list[_Parcel]) -> StoreUnavailable | None:
        """Append parcels, or put them back into the buffer and say why."""
        if self._fanout.subscriber_count:
            self._parse(parcels)
        self._moving = parcels
        try:
            await self._queue.append(Stream.INGEST, _batches([each.load for each in parcels]))
        except StoreUnavailable as exc:
            # Back into the buffer, so that a sender who gave up waiting can take his parcel back.
            self._parcels.extendleft(reversed(parcels))
            self.last_error = exc
            return exc
        except trio.Cancelled:
            self._parcels.extendleft(reversed(parcels))
            raise
        finally:
            self._moving = []
            moved, self._moved = self._moved, trio.Event()
            moved.set()
        self._note_success()
        for parcel in parcels:
            self._accounts[parcel.listener].queued += len(parcel.load)
            if parcel.receipt is not None:
                parcel.receipt()
        self._release(sum(len(each.load) for each in parcels))
        if self._fanout.subscriber_count:
            # Whoever came meanwhile sees events only, and misses what was on its way.
            seen = [e for each in parcels if not isinstance(each.load, Arrivals) for e in each.load]
            self._fanout.publish(Received(seen))
        return None

    def _parse(self, parcels: list[_Parcel]) -> None:
        for parcel in parcels:
            if isinstance(parcel.load, Arrivals):
                parcel.load = parcel.load.events()
                self._accounts[parcel.listener].malformed += sum(
                    each.malformed is not None for each in parcel.load
                )

    def _note_success(self) -> None:
        if self._failures:
            _log.warning("intake: the queue takes events again after %d failures", self._failures)
        self._failures = 0
        self.last_error = None

    async def _wait_retry(self) -> None:
        self._failures += 1
        if self._failures == 1:
            _log.error(
                "intake: the queue does not take events, so intake waits: %s", self.last_error
            )
        await trio.sleep(backoff_s(self._failures, base_s=_RETRY_BASE_S, cap_s=_RETRY_CAP_S))

    def _count_dropped(self) -> None:
        for parcel in self._parcels:
            self._accounts[parcel.listener].dropped += len(parcel.load)
        if self._waiting_events:
            _log.error(
                "intake: %d events are lost: the queue did not take them before the end",
                self._waiting_events,
            )


def _batches(loads: Sequence[Load]) -> list[Batch]:
    """Entries of ENTRY_EVENTS at most, in order; events and arrivals do not share one."""
    batches: list[Batch] = []
    parts: list[Load] = []
    count = 0
    for load in loads:
        at = 0
        while at < len(load):
            is_other = bool(parts) and isinstance(load, Arrivals) != isinstance(parts[0], Arrivals)
            if count == ENTRY_EVENTS or is_other:
                batches.append(_batch(parts, count))
                parts, count = [], 0
            part = load[at : at + ENTRY_EVENTS - count]
            parts.append(part)
            at += len(part)
            count += len(part)
    if parts:
        batches.append(_batch(parts, count))
    return batches


def _batch(parts: Sequence[Load], count: int) -> Batch:
    arrivals: list[Arrivals] = []
    events: list[Event] = []
    for part in parts:
        if isinstance(part, Arrivals):
            arrivals.append(part)
        else:
            events += part
    return Batch(encode_arrivals(arrivals) if arrivals else encode_events(events), count)
