"""The circuit breaker that all daemons share, in Redis and by its clock; see queue/breaker.py.

    hash {mutt}:breaker:NAME            failures   in a row
                                        opened     microseconds; absent while it is closed
                                        probe      token of the probe under way
    zset {mutt}:breaker:NAME:flights    token of each attempt under way, by when it counts as dead

Redis away: every daemon has a breaker of its own, which begins with what was known last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count
from typing import Any

import redis
import trio

from muttd.errors import StoreUnavailable
from muttd.queue.breaker import (
    ASK_AGAIN_S,
    Admission,
    BreakerLimits,
    BreakerState,
    BreakerView,
    LocalBreaker,
)
from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_link import RedisLink

# Redis is not asked again for this long after it failed: with a primary that hangs every attempt
# would wait for a whole timeout.
_ALONE_S = 2.0
# Of a breaker that nobody uses any more; longer than it may stay open.
_FORGET_S = 7 * 86_400

# What every script begins with. KEYS: hash, flights. ARGV: failures that open it, open time in
# microseconds, then the script's own. '%.0f', because Lua writes 16 digits as 1.7e+15.
_PRELUDE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit, open = tonumber(ARGV[1]), tonumber(ARGV[2])
local function get(name) return redis.call('HGET', KEYS[1], name) end
local function set(name, value)
    redis.call('HSET', KEYS[1], name, value)
    redis.call('EXPIRE', KEYS[1], FORGET)
end
local function stamp(name, value) set(name, string.format('%.0f', value)) end
local failures, opened = tonumber(get('failures') or 0), tonumber(get('opened'))
local probe = get('probe')
-- state, failures in a row, microseconds left
local function seen()
    if not opened then return {'closed', failures, 0} end
    -- A clock that went back, as after a failover, must not keep it open for longer.
    local left = math.min(opened + open - now, open)
    local flies = probe and tonumber(redis.call('ZSCORE', KEYS[2], probe) or 0) > now
    return {(flies or left <= 0) and 'probing' or 'open', failures, math.max(0, left)}
end
""".replace("FORGET", str(_FORGET_S))

# ARGV: token, microseconds that an attempt may take. Returns whether it is admitted and what is
# seen; a token that is refused is to be offered again.
_ADMIT = (
    _PRELUDE
    + """
local token, lasts = ARGV[3], tonumber(ARGV[4])
local function fly()
    redis.call('ZADD', KEYS[2], string.format('%.0f', now + lasts), token)
    redis.call('PEXPIRE', KEYS[2], math.ceil(lasts / 1000) + 1000)
end
if not opened and failures >= limit then
    opened = now
    stamp('opened', now)
end
if opened then
    if opened > now then opened = now end
    if opened + open > now then return {0, unpack(seen())} end
    -- Counted from now: a probe that nobody reports is not followed by another at once.
    stamp('opened', now)
    set('probe', token)
    fly()
    return {1, 'probing', failures, 0}
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now))
if failures + redis.call('ZCARD', KEYS[2]) >= limit then return {0, unpack(seen())} end
fly()
return {1, unpack(seen())}
"""
)

# ARGV: token, 1 it succeeded, 0 it failed, - it was not made. Returns what is seen.
_REPORT = (
    _PRELUDE
    + """
local token, outcome = ARGV[3], ARGV[4]
redis.call('ZREM', KEYS[2], token)
local is_probe = probe == token
if is_probe then
    redis.call('HDEL', KEYS[1], 'probe')
    probe = nil
end
if outcome == '1' then
    redis.call('DEL', KEYS[1])
    failures, opened, probe = 0, nil, nil
elseif outcome == '0' then
    failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
    redis.call('EXPIRE', KEYS[1], FORGET)
    if is_probe or (not opened and failures >= limit) then
        opened = now
        stamp('opened', now)
    end
elseif is_probe and opened then
    opened = now - open
    stamp('opened', opened)
end
return seen()
""".replace("FORGET", str(_FORGET_S))
)

_ALLOW_PROBE = (
    _PRELUDE
    + """
if seen()[1] == 'open' then
    opened = now - open
    stamp('opened', opened)
end
return seen()
"""
)

_VIEW = _PRELUDE + "return seen()"

_log = logging.getLogger(__name__)


def _view(said: list[Any]) -> BreakerView:
    state, failures, left_us = said
    return BreakerView(BreakerState(state.decode()), int(failures), int(left_us) / 1_000_000)


class RedisBreaker:
    """A breaker over all daemons of one prefix.

    Args:
        link: The way to Redis.
        owner: This daemon's id: tokens begin with it.
        name: Of the destination.
        limits: Asked each time: they may change while it runs.
    """

    def __init__(
        self, link: RedisLink, owner: str, name: str, limits: Callable[[], BreakerLimits]
    ) -> None:
        keys = RedisKeys(link.options.prefix)
        self._link = link
        self._keys = (keys.breaker(name), keys.breaker_flights(name))
        self._owner = owner
        self._limits = limits
        self._tokens = count(1)
        self._alone = LocalBreaker(limits)
        self._alone_until = -1.0
        # Attempts that the local breaker admitted.
        self._own: set[str] = set()

    async def admit(self) -> Admission:
        """Ask to make one attempt now."""
        token = f"{self._owner}/{trio.current_time():.6f}/{next(self._tokens)}"
        lasts_us = round(self._limits().attempt_s * 1_000_000)
        said = await self._ask(_ADMIT, token, str(lasts_us))
        if said is None:
            admission = await self._alone.admit()
            if admission.token is not None:
                self._own.add(admission.token)
            return admission
        is_admitted, *seen = said
        view = _view(seen)
        if is_admitted:
            return Admission(token, 0.0, view)
        return Admission(None, view.left_s or ASK_AGAIN_S, view)

    async def report(self, token: str, *, succeeded: bool | None) -> BreakerView:
        """Say how an admitted attempt went; None: it was not made."""
        if token in self._own:
            self._own.discard(token)
            return await self._alone.report(token, succeeded=succeeded)
        outcome = "-" if succeeded is None else str(int(succeeded))
        said = await self._ask(_REPORT, token, outcome)
        # What went wrong with Redis is known to the local one as well, when it is away.
        local = await self._alone.report(token, succeeded=succeeded)
        return local if said is None else _view(said)

    async def allow_probe(self) -> None:
        """While it is open, a probe may go at once."""
        await self._ask(_ALLOW_PROBE)
        await self._alone.allow_probe()

    async def view(self) -> BreakerView:
        """What it is like now."""
        said = await self._ask(_VIEW)
        return await self._alone.view() if said is None else _view(said)

    async def _ask(self, script: str, *arguments: str) -> list[Any] | None:
        """Run a script; None: Redis is away."""
        if trio.current_time() < self._alone_until:
            return None
        limits = self._limits()
        given = (str(limits.failures), str(round(limits.open_s * 1_000_000)), *arguments)

        def work(client: redis.Redis) -> list[Any]:
            said: Any = client.eval(script, len(self._keys), *self._keys, *given)
            return list(said)

        try:
            return await self._link.call(work)
        except StoreUnavailable as exc:
            _log.warning("the shared circuit breaker is kept by this daemon alone: %s", exc)
            self._alone_until = trio.current_time() + _ALONE_S
            return None
