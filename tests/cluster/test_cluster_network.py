"""A network that cuts, truncates, delays and hangs, before Redis and before PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from cluster_scenarios import QUICK, under_load
from cluster_stack import DATABASE, NEEDS, Cluster, make_rules
from running_daemon import ScriptedWebhook
from servers.fault_proxy import FaultProxy, fault_proxy
from servers.postgres_server import PostgresServer, postgres_server
from servers.redis_server import RedisSetup, redis_server

pytestmark = NEEDS


@dataclass(kw_only=True)
class ProxiedServers:
    """One Redis and one PostgreSQL, each behind a proxy."""

    writable: PostgresServer
    proxies: list[FaultProxy]
    environ: Mapping[str, str]


@pytest.fixture
def proxied() -> Iterator[ProxiedServers]:
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(RedisSetup(settings={"appendonly": "yes"})))
        postgres = stack.enter_context(postgres_server())
        postgres.execute(f"CREATE DATABASE {DATABASE}")
        proxies = [stack.enter_context(fault_proxy(port)) for port in (redis.port, postgres.port)]
        database = postgres.url(DATABASE).replace(str(postgres.port), str(proxies[1].port))
        environ = {
            "MUTTD_REDIS_URL": f"redis://127.0.0.1:{proxies[0].port}",
            "MUTTD_DATABASE_URL": database,
            "MUTTD_REDIS_TIMEOUT_S": "1",
            "MUTTD_DATABASE_TIMEOUT_S": "1",
        }
        yield ProxiedServers(writable=postgres, proxies=proxies, environ=environ)


def test_no_fault_of_the_network_loses_or_doubles_anything(
    proxied: ProxiedServers, tmp_path: Path, webhook: ScriptedWebhook
) -> None:
    cluster = Cluster(directory=tmp_path, servers=proxied, webhook=webhook, settings={})
    dice = random.Random(3)
    try:
        for name in ("alpha", "beta"):
            cluster.start(name).wait_ready()
        make_rules(cluster.daemons)
        with under_load(cluster, QUICK) as run:
            for proxy in proxied.proxies:
                # Each at another point of some call: what was asked may have been done.
                for _ in range(15):
                    proxy.truncate(dice.randrange(1, 400))
                    run.load.go_on(0.2)
                    proxy.cut()
                    run.load.go_on(0.1)
                proxy.delay(0.1)
                run.load.go_on(2.0)
                proxy.heal()
                proxy.hang()
                run.load.go_on(3.0)
                proxy.heal()
                proxy.stop()
                run.load.go_on(2.0)
                proxy.heal()
                run.load.go_on(1.0)
    finally:
        cluster.close()
