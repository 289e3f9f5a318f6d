"""Live fan-out over Redis pub/sub: the dashboards of every daemon see the events of all.

    publish --> this daemon's viewers, at once
       |------> channel {mutt}:live --> the other daemons --> their viewers
                [publisher, events published before, [event...], [decided...]]

A daemon follows the channel while it has viewers, and publishes while another one follows: with
nobody watching nothing is encoded and nothing is sent. Publishing never waits; what does not fit
is lost and counted. Who watches elsewhere is told by the count of events before each message how
many he missed, wherever they were lost.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import trio
from prometheus_client import CollectorRegistry, Counter

from muttd.decision import Decided
from muttd.errors import StoreUnavailable
from muttd.event import Event
from muttd.queue.bulletin import Bulletin, Topic
from muttd.queue.fanout import DecidedBatch, LiveBatch, LocalFanout, Received, Subscription
from muttd.queue.redis_channel import RedisChannel
from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_link import RedisLink

# Some seconds of flood.
OUTBOX_OCTETS = 16 * 1024 * 1024
# How often a publisher asks whether anybody still watches elsewhere. That somebody has begun to,
# it is told.
_LOOK_INTERVAL_S = 2.0

_log = logging.getLogger(__name__)


class _Message(msgspec.Struct, frozen=True, array_like=True):
    publisher: str
    before: int
    received: list[Event]
    decided: list[Decided]

    @property
    def event_count(self) -> int:
        return len(self.received) + len(self.decided)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Message)


class RedisFanout:
    """Fanout over all daemons of one prefix.

    Args:
        link: The way to Redis.
        bulletin: Tells that somebody has begun to watch.
        instance_id: This daemon's: its own events it shows directly.
        registry: Where losses are counted.
    """

    def __init__(
        self,
        link: RedisLink,
        bulletin: Bulletin,
        *,
        instance_id: str,
        registry: CollectorRegistry,
    ) -> None:
        self._channel = RedisChannel(
            link, RedisKeys(link.options.prefix).live_channel, outbox_octets=OUTBOX_OCTETS
        )
        self._bulletin = bulletin
        self._instance_id = instance_id
        self._local = LocalFanout()
        self._has_viewers = trio.Event()
        self._is_alone = trio.Event()
        self._is_following = False
        self._is_watched_elsewhere = False
        self._look_again = trio.Event()
        # Events published so far, lost ones included.
        self._published = 0
        # By publisher: how many of its events there were, as far as we know.
        self._known: dict[str, int] = {}
        self._lost = Counter(
            "muttd_fanout_lost_total",
            "Live events that other daemons' viewers did not get from this one.",
            registry=registry,
        )
        bulletin.listen(Topic.VIEWERS, self._hear_of_viewers)

    @property
    def subscriber_count(self) -> int:
        """Viewers of this daemon, and one more when somebody watches elsewhere."""
        return self._local.subscriber_count + self._is_watched_elsewhere

    def publish(self, batch: LiveBatch) -> None:
        """Show a batch to every viewer of every daemon. Never waits, never raises."""
        self._local.publish(batch)
        if not self._is_watched_elsewhere:
            return
        message = _Message(
            self._instance_id,
            self._published,
            list(batch.events) if isinstance(batch, Received) else [],
            list(batch.decided) if isinstance(batch, DecidedBatch) else [],
        )
        self._published += message.event_count
        if not self._channel.send_nowait(_encoder.encode(message)):
            self._lost.inc(message.event_count)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[Subscription]:
        """Receive everything from now on, until the block ends."""
        async with self._local.subscribe() as subscription:
            self._is_alone = trio.Event()
            self._has_viewers.set()
            try:
                yield subscription
            finally:
                if self._local.subscriber_count == 1:
                    self._has_viewers = trio.Event()
                    self._is_alone.set()

    async def run(self) -> None:
        """Carry live events to and fro until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._channel.run_outbox, self._count_lost)
            nursery.start_soon(self._look_for_viewers)
            await self._follow()

    def _count_lost(self, messages: list[bytes]) -> None:
        for message in messages:
            self._lost.inc(_decoder.decode(message).event_count)

    async def _follow(self) -> None:
        """Follow the channel while there are viewers."""
        while True:
            await self._has_viewers.wait()
            # What nobody here watched is not missed.
            self._known.clear()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._follow_until_alone, nursery.cancel_scope)
                await self._channel.follow(self._receive, joined=self._tell_of_viewers)
            self._is_following = False

    async def _follow_until_alone(self, scope: trio.CancelScope) -> None:
        await self._is_alone.wait()
        scope.cancel()

    def _tell_of_viewers(self) -> None:
        self._is_following = True
        self._bulletin.announce(Topic.VIEWERS)
        self._look_again.set()

    def _hear_of_viewers(self) -> None:
        self._is_watched_elsewhere = True
        # An answer that is on its way may be older than the news.
        self._look_again.set()

    async def _look_for_viewers(self) -> None:
        while True:
            # While Redis is away whoever watched is taken to go on: what he misses is counted.
            with suppress(StoreUnavailable):
                count = await self._channel.follower_count()
                if not self._look_again.is_set():
                    self._is_watched_elsewhere = count > self._is_following
            with trio.move_on_after(_LOOK_INTERVAL_S):
                await self._look_again.wait()
            self._look_again = trio.Event()

    def _receive(self, octets: bytes) -> None:
        try:
            message = _decoder.decode(octets)
        except msgspec.MsgspecError as exc:
            _log.warning("live events that cannot be read, of another version perhaps: %s", exc)
            return
        if message.publisher == self._instance_id:
            return
        # Fewer than we know of: it was started anew.
        missed = message.before - self._known.get(message.publisher, message.before)
        if missed > 0:
            self._local.miss(missed)
        self._known[message.publisher] = message.before + message.event_count
        if message.received:
            self._local.publish(Received(message.received))
        if message.decided:
            self._local.publish(DecidedBatch(message.decided))
