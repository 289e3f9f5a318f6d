"""Two daemons on one Redis and one PostgreSQL: panels have data, and their alerts fire."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from dashboard import empty_panels, expressions, listener_certificate
from prometheus_server import Prometheus, Target, needs_prometheus, prometheus_server
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually, scripted_webhook
from servers.certificates import TlsParty
from servers.faked_clock import FakedClock, needs_faketime
from servers.postgres_server import PostgresServer, needs_postgres, postgres_server
from servers.redis_server import RedisServer, needs_redis, redis_server

pytestmark = [pytest.mark.acceptance, needs_prometheus, needs_redis, needs_postgres]

QUEUE_LIMIT = 1000
SPOOL_LIMIT = 1_048_576


@dataclass(frozen=True)
class Cluster:
    """What runs, and what watches it. Everything is well between two tests.

    Attributes:
        alpha, beta: Jobs muttd-alpha and muttd-beta. The clock of both is `clock`.
    """

    redis: RedisServer
    postgres: PostgresServer
    alpha: RunningDaemon
    beta: RunningDaemon
    clock: FakedClock
    prometheus: Prometheus

    def status(self) -> dict[str, Any]:
        """What alpha says."""
        status: dict[str, Any] = self.alpha.get("/api/v2/status")
        return status

    def warnings(self) -> str:
        """What `muttd status` of alpha warns of."""
        return "\n".join(self.status()["warnings"])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, tls_party: TlsParty) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("cluster")
    clock = FakedClock(directory / "clock")
    clock.set_ahead(timedelta(0))
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        postgres = stack.enter_context(postgres_server())
        postgres.execute("CREATE DATABASE mutt")
        webhook: ScriptedWebhook = stack.enter_context(scripted_webhook())
        daemons = []
        for name in ("alpha", "beta"):
            environ = {
                "MUTTD_DAEMON_NAME": name,
                "MUTTD_REDIS_URL": redis.url(),
                "MUTTD_DATABASE_URL": postgres.url("mutt"),
                "MUTTD_MOOG_WEBHOOK_URL": webhook.url,
                "MUTTD_MOOG_RATE_LIMIT": "1000",
                "MUTTD_QUEUE_MAX_EVENTS": str(QUEUE_LIMIT),
                "MUTTD_SPOOL_MAX_BYTES": str(SPOOL_LIMIT),
                **listener_certificate(tls_party.server),
                **clock.environ,
            }
            daemon = RunningDaemon(directory / name, environ)
            stack.callback(daemon.kill)
            daemons.append(daemon)
        alpha, beta = (daemon.wait_ready() for daemon in daemons)
        (directory / "prometheus").mkdir()
        targets = [Target("muttd-alpha", alpha), Target("muttd-beta", beta)]
        prometheus = stack.enter_context(prometheus_server(directory / "prometheus", targets))
        alpha.post("/api/v2/rules", a_rule())
        eventually(lambda: prometheus.values("min(muttd_rules_active)"), lambda found: found == [1])
        # At its very start a daemon does not know yet whether anybody answers.
        eventually(lambda: prometheus.get("/alerts")["alerts"], lambda alerts: alerts == [])
        yield Cluster(redis, postgres, alpha, beta, clock, prometheus)


def wait_well(cluster: Cluster) -> None:
    """Until both daemons have everything decided and delivered, and no alert is left of it."""
    eventually(
        lambda: cluster.prometheus.values("max(muttd_queue_events) + max(muttd_spool_events)"),
        lambda values: values == [0],
        within_s=60,
    )
    eventually(
        lambda: {
            each["labels"]["alertname"] for each in cluster.prometheus.get("/alerts")["alerts"]
        },
        # Nobody sends anything between two tests, for hours as the rules see it.
        lambda names: names <= {"MuttdSilent"},
    )


def test_every_panel_has_data_under_load(cluster: Cluster) -> None:
    prometheus = cluster.prometheus

    scraped_at: list[float] = []

    def is_shown() -> bool:
        nonlocal scraped_at
        before, scraped_at = scraped_at, prometheus.values("timestamp(up)")
        if scraped_at == before:
            return False
        for daemon in (cluster.alpha, cluster.beta):
            for number in range(20):
                daemon.send_udp(b"<13>1 - host app - - - LINK-3-UPDOWN %d" % number)
            daemon.post("/ingest", {"message": "nothing in particular", "hostname": "h"})
        panels = expressions()
        wanted = ("Received A", "Decided A", "Decided B", "Decided C", "Alerts sent A")
        return all(sum(prometheus.values(panels[panel])) > 0 for panel in wanted)

    eventually(is_shown, within_s=60)
    assert empty_panels(prometheus) == []
    both = prometheus.query(expressions()["Dependencies A"])
    assert len({(each["metric"]["instance"], each["metric"]["dependency"]) for each in both}) == 4


@needs_faketime
def test_while_postgresql_is_stopped(cluster: Cluster) -> None:
    wait_well(cluster)
    cluster.postgres.stop()
    try:
        cluster.alpha.post(
            "/ingest", [{"message": f"waits {n}", "hostname": "h"} for n in range(800)]
        )
        cluster.prometheus.fires("MuttdQueueFills", job="muttd-beta")
        cluster.prometheus.fires("MuttdDependencyDown", job="muttd-alpha", dependency="store")
        assert "store: " in cluster.warnings()
        cluster.clock.set_ahead(timedelta(seconds=90))
        cluster.prometheus.fires("MuttdDecidesLate", job="muttd-alpha")
        assert "the queue holds" in cluster.warnings()
    finally:
        cluster.postgres.start()
    wait_well(cluster)


def test_while_redis_is_killed(cluster: Cluster) -> None:
    wait_well(cluster)
    cluster.redis.kill()
    try:
        cluster.alpha.post("/ingest", {"message": "to the disk", "hostname": "h"})
        cluster.prometheus.fires("MuttdDependencyDown", job="muttd-alpha", dependency="queue")
        cluster.prometheus.fires("MuttdSpools", job="muttd-alpha")
        assert not cluster.prometheus.alerts("MuttdSpools", job="muttd-beta")
        spool = cluster.prometheus.values(expressions()["Spool on disk A"])
        assert max(spool) > 0
        while cluster.status()["spool"]["octets"] < 0.75 * SPOOL_LIMIT:
            cluster.alpha.post("/ingest", {"message": "x" * 60_000, "hostname": "h"})
        cluster.prometheus.fires("MuttdSpoolFills", job="muttd-alpha")
        assert "spooling since" in cluster.warnings()
    finally:
        cluster.redis.start()
    wait_well(cluster)
