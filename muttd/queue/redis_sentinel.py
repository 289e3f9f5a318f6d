"""Ask the sentinels who is primary. All of them, because one may not have heard of a failover yet.

    who_is_primary()   the answer with the highest configuration epoch wins; a majority is enough
    is_steady()        whether a majority stands by a primary, and none is replacing it

The sentinel that leads a failover names the old primary until every replica follows the new one;
the epoch is the new one from the moment it is promoted, and the flag says that it goes on.
redis-py's own Sentinel client believes the first sentinel that answers.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import redis

from muttd.queue.redis_options import RedisOptions, Server, show_server
from muttd.queue.redis_session import Attempt, SessionFactory

# A sentinel that does not answer costs this part of a call's time; the others must fit behind it.
_PATIENCE = 0.2


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What one sentinel says."""

    epoch: int
    primary: Server
    is_failing_over: bool
    is_down: bool


class Sentinels:
    """The sentinels of the URL.

    Args:
        options: Which they are.
        sessions: Opens connections to them.
    """

    def __init__(self, options: RedisOptions, sessions: SessionFactory) -> None:
        self._options = options
        self._sessions = sessions
        # Those that answered last are asked first.
        self._order = list(options.servers)
        self._majority = len(options.servers) // 2 + 1

    def who_is_primary(self, attempt: Attempt) -> Server:
        """Where the primary is.

        Raises:
            redis.RedisError: No sentinel answers, none knows the service, or the primary is just
                being replaced.
        """
        settled: list[_Opinion] = []
        moving: list[_Opinion] = []
        failures: list[str] = []
        for sentinel in self._order:
            try:
                opinion = self._ask(sentinel, attempt)
                (moving if opinion.is_failing_over else settled).append(opinion)
            except redis.RedisError as exc:
                failures.append(f"{show_server(sentinel)}: {exc}")
                # Replaced, not changed: other threads may be going through it.
                self._order = [*(each for each in self._order if each != sentinel), sentinel]
            if len(settled) == self._majority:
                break
        # Of equals the first: what is settled.
        newest = max([*settled, *moving], key=lambda opinion: opinion.epoch, default=None)
        if newest is None:
            raise redis.ConnectionError("no sentinel knows the primary: " + "; ".join(failures))
        if newest.is_failing_over:
            raise redis.ConnectionError("the sentinels are replacing the primary")
        return newest.primary

    def is_steady(self, primary: Server, attempt: Attempt, *, must_hear_all: bool) -> bool:
        """Whether a majority of the sentinels stands by this primary, and none is replacing it.

        One that holds it for down does not: when all of Redis was away and comes back, they may
        replace a primary that takes writes again, as long as they have not noticed.

        Args:
            primary: The one in question.
            attempt: Whose time it costs.
            must_hear_all: Only the sentinel that leads a failover knows of it while it goes on;
                one that does not answer may be that one.
        """
        opinions: list[_Opinion] = []
        for sentinel in self._options.servers:
            with suppress(redis.RedisError):
                opinions.append(self._ask(sentinel, attempt))
        if must_hear_all and len(opinions) < len(self._options.servers):
            return False
        newest = max((each.epoch for each in opinions), default=0)
        backing = [
            each
            for each in opinions
            if (each.primary, each.epoch) == (primary, newest) and not each.is_down
        ]
        is_replaced = any(each.primary == primary and each.is_failing_over for each in opinions)
        return len(backing) >= self._majority and not is_replaced

    def _ask(self, sentinel: Server, attempt: Attempt) -> _Opinion:
        timeout_s = min(attempt.left_s, self._options.timeout_s * _PATIENCE)
        session = self._sessions.open_sentinel(sentinel, attempt, timeout_s=timeout_s)
        try:
            said = session.client.sentinel_master(self._options.service)
        finally:
            session.retire()
        return _opinion(said)


def _opinion(said: object) -> _Opinion:
    if not isinstance(said, dict):
        raise redis.ConnectionError("it is no sentinel")
    return _Opinion(
        epoch=int(said["config-epoch"]),
        primary=(str(said["ip"]), int(said["port"])),
        # A text or a set, as redis-py has it; no flag's name is part of another's.
        is_failing_over="failover_in_progress" in said["flags"],
        # Subjectively or objectively: s_down, o_down.
        is_down="s_down" in said["flags"] or "o_down" in said["flags"],
    )
