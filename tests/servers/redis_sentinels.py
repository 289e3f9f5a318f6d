"""Sentinels that watch over a primary and its replicas.

with sentinel_set(RedisSetup(tls=..., users=(...,))) as redis_set:
    redis_set.url()                             rediss+sentinel://127.0.0.1:A,127.0.0.1:B/mymaster
    redis_set.primary()                         the RedisServer that is primary now
    redis_set.fail_over()                       SENTINEL FAILOVER
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import redis
from running_daemon import eventually

from servers.redis_server import (
    ADMIN,
    ADMIN_PASSWORD,
    HOST,
    RedisProcess,
    RedisServer,
    RedisSetup,
    running_process,
)

SERVICE = "mymaster"
_FAILOVER_DEADLINE_S = 30.0
# So that a test need not wait longer than this to see a failover begin.
DOWN_AFTER_MS = 1000


class RedisSentinel(RedisProcess):
    """One sentinel, watching a primary."""

    def __init__(
        self, directory: Path, setup: RedisSetup, primary: RedisServer, *, quorum: int
    ) -> None:
        super().__init__(directory, setup)
        self._primary = primary
        self._quorum = quorum

    def _arguments(self) -> list[str]:
        return ["--sentinel"]

    def _users(self) -> Sequence[str]:
        return self.setup.sentinel_users or self.setup.users

    def _config(self) -> list[tuple[str, str]]:
        config = super()._config()
        watch = [
            ("monitor", f"{SERVICE} {HOST} {self._primary.port} {self._quorum}"),
            ("down-after-milliseconds", f"{SERVICE} {DOWN_AFTER_MS}"),
            ("failover-timeout", f"{SERVICE} 10000"),
            ("parallel-syncs", f"{SERVICE} 1"),
        ]
        if self.setup.users:
            watch += [
                ("auth-user", f"{SERVICE} {ADMIN}"),
                ("auth-pass", f"{SERVICE} {ADMIN_PASSWORD}"),
                ("sentinel-user", ADMIN),
                ("sentinel-pass", ADMIN_PASSWORD),
            ]
        return [*config, *(("sentinel", f"{name} {value}") for name, value in watch)]


@dataclass(frozen=True, slots=True)
class SentinelSet:
    """A primary, its replicas, and the sentinels that watch them."""

    servers: list[RedisServer]
    sentinels: list[RedisSentinel]
    is_tls: bool

    def url(self) -> str:
        """For MUTTD_REDIS_URL."""
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis{'s' if self.is_tls else ''}+sentinel://{hosts}/{SERVICE}"

    def primary(self) -> RedisServer:
        """Who is primary, as the first sentinel that answers has it."""
        for sentinel in self.sentinels:
            with suppress(redis.RedisError), sentinel.client() as client:
                port = int(client.sentinel_get_master_addr_by_name(SERVICE)[1])
                return next(server for server in self.servers if server.port == port)
        raise AssertionError("no sentinel answers")

    def fail_over(self) -> RedisServer:
        """SENTINEL FAILOVER, as an administrator does it; the new primary."""
        old = self.primary()
        # Refused with NOGOODSLAVE while the sentinel thinks that the last one is still going on.
        eventually(self._begin_failover, within_s=_FAILOVER_DEADLINE_S)
        return self.wait_other_primary(old)

    def wait_other_primary(self, old: RedisServer) -> RedisServer:
        """Wait until every sentinel has another primary than `old`, and it is one."""
        eventually(
            lambda: [
                port not in (None, old.port) for port in map(_primary_port_of, self.sentinels)
            ],
            all,
            within_s=_FAILOVER_DEADLINE_S,
        )
        new = self.primary()
        eventually(new.role, lambda role: role == "master", within_s=_FAILOVER_DEADLINE_S)
        return new

    def wait_whole(self) -> None:
        """Wait until every replica follows the primary and every sentinel knows all of them."""
        others = len(self.servers) - 1
        eventually(
            lambda: self.primary().replica_count(),
            lambda count: count == others,
            within_s=_FAILOVER_DEADLINE_S,
        )
        for sentinel in self.sentinels:
            eventually(
                functools.partial(_seen_by, sentinel),
                lambda seen: seen == (others, len(self.sentinels) - 1),
                within_s=_FAILOVER_DEADLINE_S,
            )

    def _begin_failover(self) -> bool:
        with suppress(redis.ResponseError), self.sentinels[0].client() as client:
            return bool(client.execute_command("SENTINEL", "FAILOVER", SERVICE))
        return False


def _primary_port_of(sentinel: RedisSentinel) -> int | None:
    with suppress(redis.RedisError), sentinel.client() as client:
        return int(client.sentinel_get_master_addr_by_name(SERVICE)[1])
    return None


def _seen_by(sentinel: RedisSentinel) -> tuple[int, int]:
    with suppress(redis.RedisError), sentinel.client() as client:
        replicas = client.sentinel_slaves(SERVICE)
        # "slave" alone: no s_down, o_down or disconnected behind it.
        in_step = [
            each
            for each in replicas
            if each["flags"] in ("slave", {"slave"}) and each["master-link-status"] == "ok"
        ]
        return len(in_step), len(client.sentinel_sentinels(SERVICE))
    return 0, 0


@contextmanager
def sentinel_set(
    setup: RedisSetup | None = None, *, replicas: int = 2, sentinels: int = 3
) -> Iterator[SentinelSet]:
    """A primary with replicas and sentinels, all of them seeing each other."""
    setup = setup or RedisSetup()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        primary = RedisServer(directory / "server0", setup)
        stack.enter_context(running_process(primary))
        servers = [primary]
        for number in range(1, replicas + 1):
            servers.append(RedisServer(directory / f"server{number}", setup, replica_of=primary))
            stack.enter_context(running_process(servers[-1]))
        watchers: list[RedisSentinel] = []
        for number in range(sentinels):
            watcher = RedisSentinel(
                directory / f"sentinel{number}", setup, primary, quorum=sentinels // 2 + 1
            )
            stack.enter_context(running_process(watcher))
            watchers.append(watcher)
        redis_set = SentinelSet(servers, watchers, is_tls=setup.tls is not None)
        redis_set.wait_whole()
        yield redis_set
