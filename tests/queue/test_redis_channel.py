"""muttd/queue/redis_channel.py on a real Redis."""

from __future__ import annotations

import pytest
import trio
from interruption import wait_until
from servers.redis_server import RedisServer, needs_redis, redis_server

from muttd.queue.redis_channel import RedisChannel
from muttd.queue.redis_link import RedisLink, open_link
from muttd.queue.redis_options import RedisOptions

pytestmark = needs_redis

CHANNEL = "{test}:channel"


class Follower:
    """Follows a channel and keeps what it hears."""

    def __init__(self, channel: RedisChannel) -> None:
        self.channel = channel
        self.heard: list[bytes] = []
        self.joined = 0

    def join(self) -> None:
        self.joined += 1

    async def run(self) -> None:
        await self.channel.follow(self.heard.append, joined=self.join)

    async def wait_joined(self, times: int = 1) -> None:
        async def is_so() -> bool:
            return self.joined >= times

        await wait_until(is_so, within_s=15.0)

    async def wait_heard(self, *messages: bytes) -> None:
        async def is_so() -> bool:
            return self.heard[-len(messages) :] == list(messages)

        await wait_until(is_so, within_s=15.0)


def a_channel(link: RedisLink, *, outbox_octets: int = 1000) -> RedisChannel:
    return RedisChannel(link, CHANNEL, outbox_octets=outbox_octets, ping_s=0.2)


async def test_messages_arrive_in_order_at_whoever_follows(
    link: RedisLink, other_link: RedisLink, nursery: trio.Nursery
) -> None:
    sender, follower = a_channel(link), Follower(a_channel(other_link))
    nursery.start_soon(sender.run_outbox, lambda lost: None)
    nursery.start_soon(follower.run)
    await follower.wait_joined()
    assert await sender.follower_count() == 1
    messages = [b"%d" % n for n in range(100)]
    assert all(sender.send_nowait(message) for message in messages)
    await follower.wait_heard(*messages)
    nursery.cancel_scope.cancel()


async def test_what_the_outbox_cannot_hold_is_refused_at_once(link: RedisLink) -> None:
    channel = a_channel(link, outbox_octets=10)
    assert channel.send_nowait(b"12345678")
    assert not channel.send_nowait(b"123")
    assert channel.send_nowait(b"12")


async def test_a_follower_comes_back_after_redis_was_away_and_says_so(
    nursery: trio.Nursery,
) -> None:
    with redis_server() as server:
        async with open_link(RedisOptions.from_url(server.url())) as link:
            channel = a_channel(link)
            follower = Follower(channel)
            lost: list[bytes] = []
            nursery.start_soon(channel.run_outbox, lost.extend)
            nursery.start_soon(follower.run)
            await follower.wait_joined()
            await trio.to_thread.run_sync(server.kill)
            channel.send_nowait(b"lost")

            async def is_lost() -> bool:
                return lost == [b"lost"]

            await wait_until(is_lost)
            await trio.to_thread.run_sync(server.start)
            await follower.wait_joined(2)
            channel.send_nowait(b"again")
            await follower.wait_heard(b"again")
            nursery.cancel_scope.cancel()


async def test_a_redis_that_hangs_is_left_and_found_again(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server() as server:
        async with open_link(RedisOptions.from_url(server.url())) as link:
            follower = Follower(a_channel(link))
            nursery.start_soon(follower.run)
            await follower.wait_joined()
            server.suspend()

            async def is_left() -> bool:
                return "cannot be followed now" in caplog.text

            await wait_until(is_left, within_s=15.0)
            server.resume()
            await follower.wait_joined(2)
            nursery.cancel_scope.cancel()


async def test_a_quiet_channel_is_not_left(
    link: RedisLink, shared_redis: RedisServer, nursery: trio.Nursery
) -> None:
    """It is asked whether it is still there, and answers."""
    follower = Follower(a_channel(link))
    nursery.start_soon(follower.run)
    await follower.wait_joined()

    def pings() -> int:
        with shared_redis.client() as client:
            return int(client.info("commandstats").get("cmdstat_ping", {}).get("calls", 0))

    asked = await trio.to_thread.run_sync(pings)

    async def is_asked_again() -> bool:
        return await trio.to_thread.run_sync(pings) > asked + 3

    await wait_until(is_asked_again)
    assert (follower.joined, follower.heard) == (1, [])
    nursery.cancel_scope.cancel()
