"""Whether a Redis is set up to keep what it is given.

refuse_eviction()   it throws keys away when memory is short: the queue must not use it
restart_note()      it forgets at a restart what it wrote to its append-only file
"""

from __future__ import annotations

import logging
from typing import Any

import redis

from muttd.errors import StoreUnavailable
from muttd.queue.redis_errors import code_of
from muttd.queue.redis_options import RedisOptions

_log = logging.getLogger(__name__)

_FORGETS = (
    "a restart would lose what is queued: Redis reads its append-only file as the user default,"
    " which may not run every command; set `user default off ~* &* +@all` (docs/ha.md)"
)


def refuse_eviction(client: redis.Redis, options: RedisOptions) -> None:
    """Look at its memory settings.

    Raises:
        StoreUnavailable: It evicts keys that nobody let expire.
    """
    memory = client.info("memory")
    policy = str(memory.get("maxmemory_policy", ""))
    if memory.get("maxmemory") and policy.startswith("allkeys"):
        raise StoreUnavailable(
            f"{options}: it throws keys away when memory is short"
            f" (maxmemory-policy {policy}); set noeviction"
        )


def restart_note(client: redis.Redis, key: str) -> str | None:
    """What a restart would cost; None: nothing, or we may not ask.

    A script that changes several keys stands as MULTI ... EXEC in the append-only file. Redis reads
    the file as the user default, and up to 8.4 EXEC asks once more what that user may do. With
    `user default off` that is nothing: each EXEC is skipped, with a line in the server's log.

    Args:
        client: On the primary.
        key: A key of ours.
    """
    if not client.info("persistence").get("aof_enabled"):
        return None
    try:
        said: Any = client.acl_dryrun("default", "XADD", key, "*", "k", "v")
    except redis.ResponseError as exc:
        # A service that is rented often has no ACL to be asked about.
        if code_of(exc) not in ("NOPERM", "ERR"):
            raise
        return None
    return None if said in (b"OK", "OK") else _FORGETS


class RestartNote:
    """The last restart_note; logged when it changes."""

    def __init__(self) -> None:
        self.text: str | None = None

    def look(self, client: redis.Redis, key: str, options: RedisOptions) -> None:
        """Ask the server anew. In a worker thread."""
        text = restart_note(client, key)
        if text and text != self.text:
            _log.error("%s: %s", options, text)
        self.text = text
