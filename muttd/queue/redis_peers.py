"""The board of peers in Redis; the contract is in peers.py.

    zset   {mutt}:peers      instance id, by when it was last seen: milliseconds, Redis' clock
    string {mutt}:peer:ID    what it said; forgotten an hour after the last time

Ages come from Redis' clock alone: the daemons' own may differ.
"""

from __future__ import annotations

import redis

from muttd.queue.peers import Posted
from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_link import RedisLink

# Long enough that somebody notices who is missing; a daemon that stops in order leaves at once.
_REMEMBERED_S = 3600

# KEYS: the zset, this daemon's string. ARGV: instance id, document, seconds.
_POST = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3] * 1000)
"""

# KEYS: the zset. ARGV: instance id of who asks, what the names of the strings begin with. Returns
# [instance id, age in milliseconds, document] of every other daemon. The names are made here, in
# the one hash slot that all of ours are in.
_READ = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local seen = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
local found = {}
for at = 1, #seen, 2 do
  local document = seen[at] ~= ARGV[1] and redis.call('GET', ARGV[2] .. seen[at])
  if document then table.insert(found, {seen[at], now - tonumber(seen[at + 1]), document}) end
end
return found
"""


class RedisPeers:
    """PeerBoard of all daemons of one prefix.

    Args:
        link: The way to Redis.
        instance_id: This daemon's.
    """

    def __init__(self, link: RedisLink, *, instance_id: str) -> None:
        self._link = link
        self._keys = RedisKeys(link.options.prefix)
        self._instance_id = instance_id

    async def post(self, document: bytes) -> None:
        """Replace what this daemon said."""
        keys = self._keys.peers, self._keys.peer(self._instance_id)
        await self._link.call(
            lambda client: client.eval(
                _POST, len(keys), *keys, self._instance_id, document, _REMEMBERED_S
            )
        )

    async def leave(self) -> None:
        """Take this daemon's place off the board."""

        def work(client: redis.Redis) -> None:
            client.zrem(self._keys.peers, self._instance_id)
            client.delete(self._keys.peer(self._instance_id))

        await self._link.call(work)

    async def read_others(self) -> list[Posted]:
        """What every other daemon said last."""
        return await self._link.call(self._read)

    def _read(self, client: redis.Redis) -> list[Posted]:
        found = client.eval(_READ, 1, self._keys.peers, self._instance_id, self._keys.peer(""))
        return [
            Posted(instance_id.decode(), max(0.0, age_ms / 1000), document)
            for instance_id, age_ms, document in found
        ]
