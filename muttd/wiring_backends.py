"""The backends that the settings choose: in the state directory, or Redis and PostgreSQL.

    MUTTD_REDIS_URL       queue behind a spool, live events, news, rate limit, peers
    MUTTD_DATABASE_URL    store
    without               SQLite files, and nobody else; each of the two by itself

Opening never waits for Redis or PostgreSQL: what needs them waits, and says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio
from prometheus_client import CollectorRegistry

from muttd.errors import ConfigError
from muttd.queue.breaker import Breaker, BreakerLimits, LocalBreaker
from muttd.queue.bulletin import Bulletin, NoBulletin
from muttd.queue.contract import Queue, Stream
from muttd.queue.counters import LocalRateLimit, Pace, RateLimit
from muttd.queue.fanout import Fanout, LocalFanout
from muttd.queue.peers import NoPeers, PeerBoard
from muttd.queue.redis import RedisQueue
from muttd.queue.redis_breaker import RedisBreaker
from muttd.queue.redis_bulletin import RedisBulletin
from muttd.queue.redis_counters import RedisRateLimit
from muttd.queue.redis_fanout import RedisFanout
from muttd.queue.redis_link import RedisLink, open_link
from muttd.queue.redis_options import RedisLogin, RedisOptions, RedisTls
from muttd.queue.redis_peers import RedisPeers
from muttd.queue.spooled import SpoolCollector, SpooledQueue, SpoolState, open_spooled
from muttd.queue.sqlite import open_queue
from muttd.settings import Settings
from muttd.settings_backends import TlsSettings
from muttd.settings_values import Secrets, ServerUrl
from muttd.store.contract import Store
from muttd.store.postgres import PostgresStore, open_postgres_store
from muttd.store.postgres_options import PostgresOptions
from muttd.store.sqlite import open_store

# The alert stream is filled by the alerter alone, which is never refused: what was accepted is
# not shed. The number bounds nothing but a replay by hand.
_ALERT_LIMIT = 10_000_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """What the workers lean on.

    Attributes:
        make_limit, make_breaker: Of one destination, by its name and what gives the limits in
            force.
        spool: In front of the queue; None when the queue is in the state directory.
        tasks: What must run in the background for the others to work.
        logins: What takes the passwords of settings that were read again.
    """

    queue: Queue
    store: Store
    fanout: Fanout
    bulletin: Bulletin
    board: PeerBoard
    make_limit: Callable[[str, Callable[[], Pace]], RateLimit]
    make_breaker: Callable[[str, Callable[[], BreakerLimits]], Breaker]
    spool: SpooledQueue | None
    tasks: tuple[Callable[[], Awaitable[None]], ...] = ()
    logins: tuple[Callable[[Settings], None], ...] = ()

    def use_passwords(self, settings: Settings) -> None:
        """Log in by these settings from the next connection on; nothing else of them is used."""
        for login in self.logins:
            login(settings)

    def spool_state(self) -> SpoolState | None:
        """What waits on disk; None without a spool."""
        return None if self.spool is None else self.spool.state

    def start(self, nursery: trio.Nursery) -> None:
        """Start what runs in the background."""
        for task in self.tasks:
            nursery.start_soon(task)


@asynccontextmanager
async def open_backends(
    settings: Settings, scene: tuple[CollectorRegistry, str]
) -> AsyncIterator[Backends]:
    """Open what the settings choose; closed with the block.

    Args:
        settings: All of them.
        scene: Where metrics are registered, this daemon's id, and what operators change.

    Raises:
        ConfigError: A URL is none that the backend understands.
        StoreRefused: A file or a schema is none of ours, or another daemon has it.
    """
    database = database_options(settings)
    redis = redis_options(settings)
    async with AsyncExitStack() as stack:
        store: Store
        postgres: PostgresStore | None = None
        if database is None:
            store_maker = open_store(settings.state_dir / "store.db")
            store = await stack.enter_async_context(store_maker)
        else:
            store = postgres = await stack.enter_async_context(open_postgres_store(database))
        if redis is None:
            backends = await _embedded(settings, stack, store)
        else:
            backends = await _shared(settings, stack, store, redis, scene)
        if postgres is not None:
            backends = dataclasses.replace(
                backends,
                tasks=(*backends.tasks, postgres.wait_prepared),
                logins=(*backends.logins, partial(_log_in_to_postgres, postgres)),
            )
        scene[0].register(SpoolCollector(backends.spool_state))
        yield backends


@asynccontextmanager
async def open_store_alone(settings: Settings) -> AsyncIterator[Store]:
    """Open the store that the settings choose, with the daemon beside it or without one.

    Nothing is made and no schema is brought up to date: that is the daemon's, or muttd migrate's.

    Raises:
        ConfigError: The URL is none that the backend understands.
        StoreRefused: There is none, or its schema is not the one that this program knows.
    """
    database = database_options(settings)
    if database is None:
        async with open_store(settings.state_dir / "store.db", as_it_is=True) as store:
            yield store
    else:
        async with open_postgres_store(
            dataclasses.replace(database, auto_migrate=False)
        ) as postgres:
            yield postgres


def _limits(settings: Settings) -> dict[Stream, int]:
    return {Stream.INGEST: settings.queue.max_events, Stream.ALERT: _ALERT_LIMIT}


async def _embedded(settings: Settings, stack: AsyncExitStack, store: Store) -> Backends:
    path = settings.state_dir / "queue.db"
    return Backends(
        queue=await stack.enter_async_context(open_queue(path, limits=_limits(settings))),
        store=store,
        fanout=LocalFanout(),
        bulletin=NoBulletin(),
        board=NoPeers(),
        make_limit=lambda _, pace: LocalRateLimit(pace),
        make_breaker=lambda _, limits: LocalBreaker(limits),
        spool=None,
    )


async def _shared(
    settings: Settings,
    stack: AsyncExitStack,
    store: Store,
    options: RedisOptions,
    scene: tuple[CollectorRegistry, str],
) -> Backends:
    registry, instance_id = scene
    link = await stack.enter_async_context(open_link(options))
    spool = await stack.enter_async_context(
        open_spooled(
            RedisQueue(link, limits=_limits(settings)),
            settings.state_dir / "spool.db",
            max_octets=settings.spool.max_octets,
        )
    )
    bulletin = RedisBulletin(link, instance_id=instance_id)
    fanout = RedisFanout(link, bulletin, instance_id=instance_id, registry=registry)
    return Backends(
        queue=spool,
        store=store,
        fanout=fanout,
        bulletin=bulletin,
        board=RedisPeers(link, instance_id=instance_id),
        make_limit=partial(RedisRateLimit, link),
        make_breaker=partial(RedisBreaker, link, instance_id),
        spool=spool,
        tasks=(bulletin.run, fanout.run, spool.run),
        logins=(partial(_log_in_to_redis, link),),
    )


def _log_in_to_redis(link: RedisLink, settings: Settings) -> None:
    if (options := redis_options(settings)) is not None:
        link.use_logins(options)


def _log_in_to_postgres(store: PostgresStore, settings: Settings) -> None:
    if (options := database_options(settings)) is not None:
        store.use_passwords(options)


def redis_options(settings: Settings) -> RedisOptions | None:
    """Where Redis is; None when the queue is in the state directory.

    Raises:
        ConfigError: The URL cannot be used.
    """
    redis, tls = settings.redis, settings.tls
    if redis.url is None:
        return None
    with_url = _understood(
        "MUTTD_REDIS_URL",
        redis.url,
        lambda url: RedisOptions.from_url(
            url,
            login=RedisLogin(redis.username or None, _revealed(redis.passwords)),
            sentinel_login=RedisLogin(
                redis.sentinel_username or None, _revealed(redis.sentinel_passwords)
            ),
            tls=RedisTls(redis.tls_ca or tls.ca, *_pair(redis.tls_cert, redis.tls_key, tls)),
        ),
    )
    return dataclasses.replace(
        with_url,
        prefix=redis.prefix,
        wait_replicas=redis.wait_replicas,
        wait_s=redis.wait_s,
        timeout_s=redis.timeout_s,
    )


def database_options(settings: Settings) -> PostgresOptions | None:
    """Where PostgreSQL is; None when the store is in the state directory.

    Raises:
        ConfigError: The URL cannot be used.
    """
    database, tls = settings.database, settings.tls
    if database.url is None:
        return None
    cert, key = _pair(database.tls_cert, database.tls_key, tls)
    return _understood(
        "MUTTD_DATABASE_URL",
        database.url,
        lambda url: PostgresOptions(
            url=url,
            passwords=_revealed(database.passwords),
            pool_size=database.pool_size,
            timeout_s=database.timeout_s,
            ca=database.tls_ca or tls.ca,
            cert=cert,
            key=key,
            auto_migrate=database.auto_migrate,
        ),
    )


def _pair(cert: Path | None, key: Path | None, tls: TlsSettings) -> tuple[Path | None, Path | None]:
    """A link's own certificate with its own key, or those of all links; never one of each."""
    return (tls.cert, tls.key) if cert is None else (cert, key)


def _understood(name: str, url: ServerUrl, parse: Callable[[str], T]) -> T:
    try:
        return parse(url.reveal())
    except ValueError as exc:
        raise ConfigError([f"{name}: {exc}"]) from exc


def _revealed(secrets: Secrets) -> tuple[str, ...]:
    return tuple(secret.reveal() for secret in secrets)
