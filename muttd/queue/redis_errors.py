"""What redis-py raises, made ours. The one place that decides what each error of Redis means.

    not now    connection, timeout, a role that changed, memory, replicas, a wrong password:
               StoreUnavailable. A password and an ACL are mended while the daemon runs.
    never      a key of another kind, a server too old, a cluster without our slot: StoreRefused

redis-py cuts the code (OOM, READONLY, ...) off some errors and leaves it on others; code_of()
finds it either way. Texts carry what the server said, which names users and commands, no secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
import redis.exceptions

from muttd.errors import StoreRefused, StoreUnavailable

# The server is no primary, or will not be one for long: whoever is must be found anew.
MOVED_ON = frozenset({"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"})
# An operator mends it while we run.
DENIED = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})
# These come again until somebody changes something: the data, or how Redis is set up.
_NEVER = {
    "WRONGTYPE": "a key of ours holds something else; is the prefix shared with another program?",
    "MOVED": "it is a node of a Redis Cluster, and the queue's slot is on another one",
    "ASK": "it is a node of a Redis Cluster, and the queue's slot is on another one",
    "CROSSSLOT": "it is a node of a Redis Cluster, and the keys are not in one slot",
}
_HINTS = {
    "OOM": "it is out of memory (maxmemory)",
    "MISCONF": "it cannot write its snapshots to disk and takes no writes",
    "NOREPLICAS": "it has fewer replicas than min-replicas-to-write",
    "BUSY": "a script blocks it",
    "UNKILLABLE": "a script blocks it",
    "WRONGPASS": "it refuses our user name or password",
    "NOAUTH": "it wants a password",
    "NOPERM": "our user lacks a permission; docs/ha.md has the ACL line",
}


def code_of(exc: redis.RedisError) -> str:
    """The first word of an error reply (READONLY, OOM, ERR, ...); empty when it was no reply."""
    if not isinstance(exc, redis.ResponseError | redis.AuthenticationError):
        return "LOADING" if isinstance(exc, redis.BusyLoadingError) else ""
    if exc.status_code:
        return exc.status_code
    first, _, _ = str(exc).partition(" ")
    return first if first.isupper() else "ERR"


def is_connection_fault(exc: redis.RedisError) -> bool:
    """Whether the connection is of no use any more, or leads to the wrong server."""
    return not isinstance(exc, redis.ResponseError) or code_of(exc) in MOVED_ON | DENIED


@contextmanager
def translated(where: object) -> Iterator[None]:
    """Turn what redis-py raises inside the block into StoreUnavailable or StoreRefused.

    Args:
        where: Which Redis, for the text.
    """
    try:
        yield
    except redis.DataError:
        # A value that redis-py cannot send: a bug of ours, to be seen as one.
        raise
    except redis.RedisError as exc:
        code = code_of(exc)
        if code in _NEVER:
            raise StoreRefused(f"{where}: {_NEVER[code]} ({code})") from exc
        said = str(exc) or type(exc).__name__
        hint = _HINTS.get(code)
        raise StoreUnavailable(f"{where}: {hint}: {said}" if hint else f"{where}: {said}") from exc
