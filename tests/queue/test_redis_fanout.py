"""muttd/queue/redis_fanout.py: two daemons on one real Redis."""

from __future__ import annotations

import pytest
import trio
from interruption import an_event, wait_until
from prometheus_client import CollectorRegistry
from servers.redis_server import RedisServer, needs_redis, redis_server

from muttd.decision import Decided, Decision, Environment
from muttd.event import Event
from muttd.queue import redis_fanout
from muttd.queue.fanout import DecidedBatch, LiveBatch, Received, Subscription
from muttd.queue.redis_bulletin import RedisBulletin
from muttd.queue.redis_fanout import RedisFanout
from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_link import RedisLink, open_link
from muttd.queue.redis_options import RedisOptions

pytestmark = needs_redis


class Daemon:
    """Publishes live events, and shows them."""

    def __init__(self, link: RedisLink, name: str) -> None:
        self.link = link
        self.channel = RedisKeys(link.options.prefix).live_channel
        self.registry = CollectorRegistry()
        self.bulletin = RedisBulletin(link, instance_id=name)
        self.fanout = RedisFanout(link, self.bulletin, instance_id=name, registry=self.registry)

    def start(self, nursery: trio.Nursery) -> None:
        nursery.start_soon(self.bulletin.run)
        nursery.start_soon(self.fanout.run)

    async def wait_watched(self, count: int) -> None:
        """Wait until it publishes for so many, and so many daemons really follow."""

        async def is_so() -> bool:
            counts = await self.link.call(lambda client: client.pubsub_numsub(self.channel))
            return self.fanout.subscriber_count == count and counts[0][1] == count

        await wait_until(is_so, within_s=15.0)

    @property
    def lost(self) -> float | None:
        return self.registry.get_sample_value("muttd_fanout_lost_total")


@pytest.fixture
def here(link: RedisLink, nursery: trio.Nursery) -> Daemon:
    daemon = Daemon(link, "here")
    daemon.start(nursery)
    return daemon


@pytest.fixture
def there(other_link: RedisLink, nursery: trio.Nursery) -> Daemon:
    daemon = Daemon(other_link, "there")
    daemon.start(nursery)
    return daemon


def decided(event: Event) -> Decided:
    return Decided(event, Decision(environment=Environment.PROD, rule_id=7))


async def next_batch(subscription: Subscription) -> LiveBatch:
    with trio.fail_after(15.0):
        return await subscription.batches.receive()


async def test_a_viewer_of_one_daemon_sees_the_events_and_decisions_of_all(
    here: Daemon, there: Daemon
) -> None:
    async with there.fanout.subscribe() as subscription:
        await here.wait_watched(1)
        event = an_event("here")
        here.fanout.publish(Received([event]))
        here.fanout.publish(DecidedBatch([decided(event)]))
        assert await next_batch(subscription) == Received([event])
        assert await next_batch(subscription) == DecidedBatch([decided(event)])


async def test_a_daemon_shows_its_own_events_at_once_and_once(here: Daemon, there: Daemon) -> None:
    async with there.fanout.subscribe(), here.fanout.subscribe() as subscription:
        await here.wait_watched(2)
        await there.wait_watched(2)
        own, others = an_event("own"), an_event("others")
        here.fanout.publish(Received([own]))
        assert subscription.batches.receive_nowait() == Received([own])
        # What comes next is another daemon's, and not its own come back.
        there.fanout.publish(Received([others]))
        assert await next_batch(subscription) == Received([others])


async def test_with_nobody_watching_nothing_is_sent(here: Daemon, there: Daemon) -> None:
    assert here.fanout.subscriber_count == 0
    async with there.fanout.subscribe():
        await here.wait_watched(1)
    await here.wait_watched(0)
    async with there.fanout.subscribe():
        await here.wait_watched(1)


async def test_what_the_outbox_cannot_hold_is_counted_here_and_missed_there(
    here: Daemon, there: Daemon
) -> None:
    large = an_event("x" * redis_fanout.OUTBOX_OCTETS)
    async with there.fanout.subscribe() as subscription:
        await here.wait_watched(1)
        event = an_event("first")
        here.fanout.publish(Received([event]))
        assert await next_batch(subscription) == Received([event])
        here.fanout.publish(Received([large, large]))
        here.fanout.publish(DecidedBatch([decided(large)]))
        assert here.lost == 3
        event = an_event("small")
        here.fanout.publish(Received([event]))
        assert await next_batch(subscription) == Received([event])
        assert subscription.missed == 3


async def test_while_redis_is_away_local_viewers_see_local_events(
    nursery: trio.Nursery,
) -> None:
    with redis_server() as server:
        options = RedisOptions.from_url(server.url())
        async with open_link(options) as link, open_link(options) as other_link:
            here, there = Daemon(link, "here"), Daemon(other_link, "there")
            here.start(nursery)
            there.start(nursery)
            async with here.fanout.subscribe() as mine, there.fanout.subscribe() as theirs:
                await here.wait_watched(2)
                here.fanout.publish(Received([an_event("before")]))
                await next_batch(mine)
                await next_batch(theirs)
                await trio.to_thread.run_sync(server.kill)
                event = an_event("during")
                here.fanout.publish(Received([event]))
                assert mine.batches.receive_nowait() == Received([event])

                async def is_lost() -> bool:
                    return here.lost == 1

                await wait_until(is_lost)
                await trio.to_thread.run_sync(server.start)

                async def arrives() -> bool:
                    here.fanout.publish(Received([an_event("after")]))
                    return theirs.batches.statistics().current_buffer_used > 0

                await wait_until(arrives, within_s=15.0)
                assert theirs.missed >= 1
                nursery.cancel_scope.cancel()


async def test_what_came_while_nobody_watched_here_is_not_missed(
    here: Daemon, there: Daemon, link: RedisLink, nursery: trio.Nursery
) -> None:
    """And a publisher that was started anew counts from the beginning."""
    third = Daemon(link, "third")
    third.start(nursery)
    async with third.fanout.subscribe() as always:
        await here.wait_watched(1)
        for name in ("first", "second"):
            async with there.fanout.subscribe() as subscription:
                await third.wait_watched(2)
                here.fanout.publish(Received([an_event(name)]))
                await next_batch(subscription)
                await next_batch(always)
                assert subscription.missed == 0
            await third.wait_watched(1)
            here.fanout.publish(Received([an_event("meanwhile")]))
            await next_batch(always)
        again = Daemon(link, "here")
        again.start(nursery)
        await again.wait_watched(1)
        again.fanout.publish(Received([an_event("anew")]))
        await next_batch(always)
        assert always.missed == 0


async def test_live_events_of_another_version_harm_nobody(
    here: Daemon,
    there: Daemon,
    link: RedisLink,
    shared_redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with there.fanout.subscribe() as subscription:
        await here.wait_watched(1)

        def send() -> None:
            with shared_redis.client() as client:
                client.publish(RedisKeys(link.options.prefix).live_channel, b"\xff")

        await trio.to_thread.run_sync(send)
        event = an_event("good")
        here.fanout.publish(Received([event]))
        assert await next_batch(subscription) == Received([event])
        assert "cannot be read" in caplog.text
