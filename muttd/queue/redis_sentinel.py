"""Ask the sentinels who is primary. All of them, because one may not have heard of a failover yet.

    who_is_primary()   the answer with the highest configuration epoch wins; a majority is enough
    is_steady()        whether all say the same, and none is just now promoting another

redis-py's own Sentinel client believes the first sentinel that answers.
"""

from __future__ import annotations

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

    def who_is_primary(self, attempt: Attempt) -> Server:
        """Where the primary is.

        Raises:
            redis.RedisError: No sentinel answers, or none knows the service.
        """
        majority = len(self._options.servers) // 2 + 1
        opinions: list[_Opinion] = []
        failures: list[str] = []
        for sentinel in self._order:
            try:
                opinions.append(self._ask(sentinel, attempt))
            except redis.RedisError as exc:
                failures.append(f"{show_server(sentinel)}: {exc}")
                # Replaced, not changed: other threads may be going through it.
                self._order = [*(each for each in self._order if each != sentinel), sentinel]
            if len(opinions) == majority:
                break
        if not opinions:
            raise redis.ConnectionError("no sentinel knows the primary: " + "; ".join(failures))
        return max(opinions, key=lambda opinion: opinion.epoch).primary

    def is_steady(self, primary: Server, attempt: Attempt) -> bool:
        """Whether every sentinel answers, holds this for the primary and promotes no other."""
        try:
            opinions = [self._ask(sentinel, attempt) for sentinel in self._options.servers]
        except redis.RedisError:
            return False
        return all(each.primary == primary and not each.is_failing_over for each in opinions)

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
    )
