"""muttd/queue/redis_bulletin.py: two daemons on one real Redis."""

from __future__ import annotations

from collections import Counter
from functools import partial

import msgspec
import pytest
import trio
from interruption import wait_until
from servers.redis_server import RedisServer, needs_redis, redis_server

from muttd.queue.bulletin import NoBulletin, Topic
from muttd.queue.redis_bulletin import RedisBulletin
from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_link import RedisLink, open_link
from muttd.queue.redis_options import RedisOptions

pytestmark = needs_redis


class Daemon:
    """Tells and hears news."""

    def __init__(self, link: RedisLink, name: str) -> None:
        self.bulletin = RedisBulletin(link, instance_id=name)
        self.heard: Counter[Topic] = Counter()
        for topic in Topic:
            self.bulletin.listen(topic, partial(self.heard.update, [topic]))

    async def wait_heard(self, topic: Topic, times: int) -> None:
        async def is_so() -> bool:
            return self.heard[topic] >= times

        await wait_until(is_so, within_s=15.0)


async def test_news_reach_every_other_daemon_and_not_the_teller(
    link: RedisLink, other_link: RedisLink, nursery: trio.Nursery
) -> None:
    here, there = Daemon(link, "here"), Daemon(other_link, "there")
    for daemon in (here, there):
        nursery.start_soon(daemon.bulletin.run)
        # At first each hears of everything: what was announced before it listened.
        await daemon.wait_heard(Topic.RULES, 1)
    here.bulletin.announce(Topic.RULES)
    await there.wait_heard(Topic.RULES, 2)
    there.bulletin.announce(Topic.VIEWERS)
    await here.wait_heard(Topic.VIEWERS, 2)
    assert here.heard[Topic.RULES] == 1
    assert there.heard[Topic.VIEWERS] == 1
    nursery.cancel_scope.cancel()


async def test_after_an_absence_of_redis_everything_is_heard_of_once_more(
    nursery: trio.Nursery,
) -> None:
    with redis_server() as server:
        async with open_link(RedisOptions.from_url(server.url())) as link:
            daemon = Daemon(link, "here")
            nursery.start_soon(daemon.bulletin.run)
            await daemon.wait_heard(Topic.RULES, 1)
            await trio.to_thread.run_sync(server.kill)
            daemon.bulletin.announce(Topic.RULES)
            await trio.to_thread.run_sync(server.start)
            await daemon.wait_heard(Topic.RULES, 2)
            nursery.cancel_scope.cancel()


async def test_news_of_another_version_harm_nobody(
    link: RedisLink,
    shared_redis: RedisServer,
    nursery: trio.Nursery,
    caplog: pytest.LogCaptureFixture,
) -> None:
    daemon = Daemon(link, "here")
    nursery.start_soon(daemon.bulletin.run)
    await daemon.wait_heard(Topic.RULES, 1)
    news = [b"\xff", msgspec.msgpack.encode(["there", "weather"])]
    news.append(msgspec.msgpack.encode(["there", "rules"]))

    def tell() -> None:
        with shared_redis.client() as client:
            for each in news:
                client.publish(RedisKeys(link.options.prefix).news_channel, each)

    await trio.to_thread.run_sync(tell)
    await daemon.wait_heard(Topic.RULES, 2)
    assert sum("cannot be read" in message for message in caplog.messages) == 1
    nursery.cancel_scope.cancel()


def test_without_other_daemons_there_is_nobody_to_tell() -> None:
    heard: list[None] = []
    bulletin = NoBulletin()
    bulletin.listen(Topic.RULES, lambda: heard.append(None))
    bulletin.announce(Topic.RULES)
    assert heard == []
