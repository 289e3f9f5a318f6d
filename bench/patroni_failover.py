"""Crash the leader of a Patroni cluster under load, and time it.

    PYTHONPATH=.:tests:tests/cluster python bench/patroni_failover.py [--rate 500] [--seconds 15]

Three etcd, three PostgreSQL with Patroni, one Redis, two daemons. SIGKILL to the leader's Patroni
and PostgreSQL; prints when another leads, and when an event sent after the crash was stored.
No daemon is restarted. Exits 1 when anything acknowledged is missing or anything is doubled.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from cluster_scenarios import Pace, under_load
from cluster_stack import DATABASE, DATABASE_PASSWORD, DATABASE_USER, Cluster, make_rules
from running_daemon import eventually, scripted_webhook
from servers.patroni_cluster import PatroniCluster, missing_programs, patroni_cluster
from servers.redis_server import redis_server


class PatroniStack:
    """The servers, as a Cluster wants them: with the PostgreSQL that takes writes."""

    def __init__(self, patroni: PatroniCluster, redis_url: str) -> None:
        self.patroni = patroni
        self.environ = {
            "MUTTD_REDIS_URL": redis_url,
            "MUTTD_DATABASE_URL": patroni.url(DATABASE_USER, DATABASE),
            "MUTTD_DATABASE_PASSWORD": DATABASE_PASSWORD,
        }

    @property
    def writable(self) -> PatroniCluster:
        """It finds its leader by itself."""
        return self.patroni


def main() -> int:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=15, help="load before and after")
    args = parser.parse_args()
    if missing := missing_programs():
        raise SystemExit(f"not installed: {' '.join(missing)}")
    pace = Pace(rate_per_s=args.rate, gap_s=args.seconds, outage_s=30)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(redis_server())
        started_at = time.monotonic()
        patroni = stack.enter_context(patroni_cluster())
        print(f"leader and two replicas after      {time.monotonic() - started_at:5.1f} s")
        patroni.execute(f"CREATE ROLE {DATABASE_USER} LOGIN PASSWORD '{DATABASE_PASSWORD}'")
        patroni.execute(f"CREATE DATABASE {DATABASE} OWNER {DATABASE_USER}")
        webhook = stack.enter_context(scripted_webhook())
        cluster = Cluster(
            directory=directory,
            servers=PatroniStack(patroni, redis.url()),
            webhook=webhook,
            settings={},
        )
        stack.callback(cluster.close)
        for name in ("alpha", "beta"):
            cluster.start(name).wait_ready()
        make_rules(cluster.daemons)
        with under_load(cluster, pace) as run:
            old = patroni.leader()
            assert old is not None
            crashed_at = time.monotonic()
            old.kill()
            eventually(patroni.leader, within_s=90)
            print(f"another leader after               {time.monotonic() - crashed_at:5.1f} s")
            run.survive("leader crashed", crashed_at)
        for fault, seconds in run.recoveries.items():
            print(f"{fault}: stored again after {seconds:5.1f} s")
        print(run.books)
    return 0


if __name__ == "__main__":
    sys.exit(main())
