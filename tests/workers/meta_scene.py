"""Daemons that count and raise, on a queue that is embedded or shared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace as with_fields
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import trio
from interruption import Interruption, wait_until
from prometheus_client import CollectorRegistry
from servers.redis_server import needs_redis, shared_redis

from muttd.accounts import Accounts
from muttd.decision import Alert, decode_alerts
from muttd.dynamic import Dynamic, DynamicSettings
from muttd.event import Event, encode_events, utc_now
from muttd.queue.contract import Batch, Depth, Queue, Stream
from muttd.queue.fanout import LocalFanout
from muttd.queue.redis import open_redis_queue
from muttd.queue.redis_keys import RedisKeys, acl_rule
from muttd.queue.redis_options import RedisLogin, RedisOptions
from muttd.queue.sqlite import open_queue
from muttd.store.contract import Store
from muttd.workers.alerter import Alerter, AlerterMetrics, AlerterPolicy, Neighbours
from muttd.workers.meta_alerts import MetaAlerts, MetaMetrics
from muttd.workers.routing import Router, Routes
from muttd.workers.rules_watch import RulesWatch

LIMITS = dict.fromkeys(Stream, 100_000)


@asynccontextmanager
async def embedded(path: Path) -> AsyncIterator[Queue]:
    async with open_queue(path / "other-queue.db", limits=LIMITS) as queue:
        yield queue


@asynccontextmanager
async def clustered(_: Path) -> AsyncIterator[Queue]:
    server = await trio.to_thread.run_sync(shared_redis)
    prefix = f"meta-{uuid4().hex}"
    admin = server.client()
    user = ["ACL", "SETUSER", prefix, "on", ">secret", *acl_rule(prefix).split()]
    await trio.to_thread.run_sync(admin.execute_command, *user)
    login = RedisLogin(prefix, ("secret",))
    options = with_fields(RedisOptions.from_url(server.url(), login=login), prefix=prefix)
    async with open_redis_queue(options, limits=LIMITS) as queue:
        yield queue
    admin.delete(*RedisKeys(prefix).all())
    admin.acl_deluser(prefix)
    admin.close()


QUEUES = [
    pytest.param(embedded, id="embedded"),
    pytest.param(clustered, id="clustered", marks=needs_redis),
]


class Daemon:
    """What counts and what raises, of one daemon."""

    def __init__(self, scene: Scene, name: str) -> None:
        self.dynamic = Dynamic(DynamicSettings())
        rules = RulesWatch(scene.store, check_interval_s=0.05, snapshot=scene.path / name)
        registry = CollectorRegistry()
        neighbours = Neighbours(
            queue=scene.queue,
            store=scene.store,
            fanout=LocalFanout(),
            rules=rules,
            accounts=Accounts(registry),
        )
        policy = AlerterPolicy(
            consumer=name,
            batch_entries=8,
            claim_idle_s=0.2,
            router=Router(Routes(default="moog", names=frozenset({"moog"}))),
            dynamic=self.dynamic,
        )
        self.rules = rules
        self.alerter = Alerter(neighbours, policy, AlerterMetrics(registry))
        self.metrics = MetaMetrics(registry)
        self.meta = MetaAlerts(neighbours, policy, self.metrics, scene.clock)

    def start(self, nursery: trio.Nursery) -> None:
        for run in (self.rules.run, self.alerter.run, self.meta.run):
            nursery.start_soon(run)


class Scene:
    """A queue and a store, and daemons that come and go."""

    def __init__(self, queue: Queue, store: Store, path: Path) -> None:
        self.queue, self.store, self.path = Interruption(queue), Interruption(store), path
        self._ahead_s = 0.0

    def clock(self) -> datetime:
        """The time by which silence is judged."""
        return utc_now() + timedelta(seconds=self._ahead_s)

    async def pass_time(self, seconds: float, *daemons: Daemon) -> None:
        """Let time pass, in which these daemons watch."""
        while seconds > 0:
            self._ahead_s += min(seconds, 20.0)
            seconds -= 20.0
            for daemon in daemons:
                await daemon.meta.look()

    @asynccontextmanager
    async def daemons(self, *names: str) -> AsyncIterator[list[Daemon]]:
        daemons = [Daemon(self, name) for name in names]
        async with trio.open_nursery() as nursery:
            for daemon in daemons:
                daemon.start(nursery)
            for daemon in daemons:
                await daemon.rules.wait_loaded()
            yield daemons
            nursery.cancel_scope.cancel()

    async def append(self, events: list[Event]) -> None:
        batches = [
            Batch(encode_events(events[n : n + 7]), len(events[n : n + 7]))
            for n in range(0, len(events), 7)
        ]
        await self.queue.append(Stream.INGEST, batches)

    async def wait_decided(self) -> None:
        async def is_so() -> bool:
            return not (await self.queue.depth(Stream.INGEST)).items

        await wait_until(is_so)

    async def wait_alerts(self, count: int) -> list[Alert]:
        """Wait until there are so many in the alert stream; they stay there."""

        async def is_so() -> bool:
            return await self.alert_count() >= count

        await wait_until(is_so)
        entries = await self.queue.take(Stream.ALERT, uuid4().hex, count=100, wait_s=0)
        return [alert for entry in entries for alert in decode_alerts(entry.payload)]

    async def alert_count(self) -> int:
        depth: Depth = await self.queue.depth(Stream.ALERT)
        return depth.items
