"""The rate limit that all daemons share, in Redis and by its clock.

    list {mutt}:rate:NAME    newest first, at most `limit` passes, each in microseconds
    a pass fits              the list is short, or its limit-th pass is older than the period

Redis away: every daemon keeps the limit by itself. Several of them may then send more together
than the limit says, until Redis is back: an alert that is late is worse than one too many.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import redis
import trio

from muttd.errors import StoreUnavailable
from muttd.queue.counters import LOOK_AGAIN_S, LocalRateLimit, Pace
from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_link import RedisLink

# Redis is not asked again for this long after it failed: with a primary that hangs every alert
# would wait for a whole timeout.
_ALONE_S = 2.0

# KEYS: the list. ARGV: limit, period in microseconds. Returns microseconds to wait, 0 for a pass.
# '%.0f', because Lua writes a number of 16 digits as 1.7e+15.
_TAKE_TURN = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit, period = tonumber(ARGV[1]), tonumber(ARGV[2])
local bound = redis.call('LINDEX', KEYS[1], limit - 1)
if bound then
  local wait = tonumber(bound) + period - now
  -- A clock that went back, as after a failover, must not hold anybody up for longer.
  if wait > 0 then return math.min(wait, period) end
end
redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
redis.call('LTRIM', KEYS[1], 0, limit - 1)
redis.call('PEXPIRE', KEYS[1], math.ceil(period / 1000) + 1000)
return 0
"""

_log = logging.getLogger(__name__)


class RedisRateLimit:
    """A sliding rate limit over all daemons of one prefix.

    Args:
        link: The way to Redis.
        name: Of the limit; all who use it share it.
        pace: Gives what is in force.
    """

    def __init__(self, link: RedisLink, name: str, pace: Callable[[], Pace]) -> None:
        self._link = link
        self._key = RedisKeys(link.options.prefix).rate(name)
        self._pace = pace
        self._alone = LocalRateLimit(pace)
        self._alone_until = -1.0

    async def wait_turn(self) -> None:
        """Wait until one more pass fits, and take it."""
        while trio.current_time() >= self._alone_until:
            try:
                wait_us = await self._link.call(self._take_turn)
            except StoreUnavailable as exc:
                _log.warning("the shared rate limit is kept by this daemon alone: %s", exc)
                self._alone_until = trio.current_time() + _ALONE_S
                break
            if not wait_us:
                break
            await trio.sleep(min(wait_us / 1_000_000, LOOK_AGAIN_S))
        # What went through the shared limit fits here as well; counted, it is known when alone.
        await self._alone.wait_turn()

    def _take_turn(self, client: redis.Redis) -> int:
        limit, period_s = self._pace()
        return int(client.eval(_TAKE_TURN, 1, self._key, limit, round(period_s * 1_000_000)))
