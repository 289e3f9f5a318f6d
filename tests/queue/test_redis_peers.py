"""muttd/queue/redis_peers.py: daemons on one real Redis."""

from __future__ import annotations

import pytest
from servers.redis_server import needs_redis, redis_server

from muttd.errors import StoreUnavailable
from muttd.queue.peers import NoPeers
from muttd.queue.redis_link import RedisLink, open_link
from muttd.queue.redis_options import RedisOptions
from muttd.queue.redis_peers import RedisPeers

pytestmark = needs_redis


async def test_each_daemon_reads_what_the_others_said_last(
    link: RedisLink, other_link: RedisLink
) -> None:
    here, there = RedisPeers(link, instance_id="here"), RedisPeers(other_link, instance_id="there")
    assert await here.read_others() == []
    await here.post(b"old")
    await here.post(b"new")
    await there.post(b"\xffother")
    [seen] = await there.read_others()
    assert (seen.instance_id, seen.document) == ("here", b"new")
    assert 0.0 <= seen.age_s < 10.0
    [seen] = await here.read_others()
    assert (seen.instance_id, seen.document) == ("there", b"\xffother")


async def test_a_daemon_that_leaves_is_gone_at_once(link: RedisLink, other_link: RedisLink) -> None:
    here, there = RedisPeers(link, instance_id="here"), RedisPeers(other_link, instance_id="there")
    await here.post(b"here")
    await here.leave()
    assert await there.read_others() == []


async def test_without_redis_the_board_is_away() -> None:
    with redis_server() as server:
        options = RedisOptions.from_url(server.url())
    async with open_link(options) as link:
        peers = RedisPeers(link, instance_id="here")
        for call in (lambda: peers.post(b""), peers.read_others, peers.leave):
            with pytest.raises(StoreUnavailable):
                await call()


async def test_an_embedded_daemon_is_alone() -> None:
    peers = NoPeers()
    await peers.post(b"here")
    assert await peers.read_others() == []
    await peers.leave()
