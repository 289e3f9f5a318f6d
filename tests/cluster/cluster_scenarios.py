"""What is done to a cluster under load, and how soon it was itself again.

The same steps in seconds, for every run of the tests, and in minutes for bench/cluster_failover.py.
Each scenario returns the recovery times that it saw, by fault.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from cluster_books import (
    assert_alerts_had_one_effect,
    assert_nothing_is_dead,
    assert_nothing_is_lost,
    sequences_since,
    table_of,
    wait_settled,
)
from cluster_load import Fleet, Load
from cluster_stack import DATABASE, Cluster, Stack
from running_daemon import RunningDaemon, eventually

Recoveries = dict[str, float]

# Whatever happens, it has to be over by then.
RECOVERY_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How hard and how long.

    Attributes:
        rate_per_s: Events a second.
        gap_s: Load between two faults.
        outage_s: How long a stopped server stays away.
        switch_over_count: How often an administrator moves the primary.
    """

    rate_per_s: float
    gap_s: float
    outage_s: float
    switch_over_count: int = 1


QUICK = Pace(rate_per_s=300, gap_s=4, outage_s=8)
FULL = Pace(rate_per_s=2000, gap_s=60, outage_s=60, switch_over_count=3)
# What was sent so shortly before a daemon's death may be in its hands.
IN_HAND_S = 5.0
# Until no sender is still at it: some ticks, and the answer that it waits for.
LEAVING_S = 1.0


class Run:
    """One load on one cluster, and its faults.

    Args:
        cluster: Its daemons are ready.
        pace: How hard and how long.

    Attributes:
        recoveries: Seconds from a fault until an event sent after it was stored.
        repeated_calls, books, lost_count: Calls under a known external_id; what was sent and
            became of it, for a person; what is not stored, whoever said so. Once the load is over.
    """

    def __init__(self, cluster: Cluster, pace: Pace) -> None:
        self.cluster = cluster
        self.pace = pace
        self.fleet = Fleet(cluster.daemons)
        self.load = Load(self.fleet, pace.rate_per_s)
        self.recoveries: Recoveries = {}
        self.repeated_calls = 0
        self.books = ""
        self.lost_count = 0

    def survive(self, fault: str, since: float, in_hand: Collection[str] = ()) -> None:
        """Wait until every daemon that lives stores again, and what was in hand is stored.

        How long that took since the fault goes to recoveries; then the load goes on for a while.
        """
        for number, name in enumerate(self.fleet.names):
            daemon = self.fleet.daemon(name)
            assert daemon is not None
            self._wait_stored(daemon, f"probe {fault} {number}")
        if in_hand:
            eventually(
                lambda: (
                    set(in_hand) - sequences_since(self.cluster, IN_HAND_S + RECOVERY_DEADLINE_S)
                ),
                lambda missing: not missing,
                within_s=RECOVERY_DEADLINE_S,
            )
        self.recoveries[fault] = time.monotonic() - since
        self.load.go_on(self.pace.gap_s)

    def acknowledged_lately(self) -> set[str]:
        """What was acknowledged so shortly ago that a daemon may still work on it."""
        since = time.monotonic() - IN_HAND_S
        return {
            f"seq={kind}-{number}"
            for kind, ledger in self.load.ledgers.items()
            # A copy in one step: the sender adds to it meanwhile.
            for number in ledger.acknowledged.copy()
            if ledger.sent[number][0] > since
        }

    def _wait_stored(self, daemon: RunningDaemon, text: str) -> None:
        with daemon.client("ingest") as client:
            eventually(lambda: _is_taken(client, text), within_s=RECOVERY_DEADLINE_S)
        eventually(lambda: self._count_of(text), within_s=RECOVERY_DEADLINE_S)

    def _count_of(self, text: str) -> int:
        [(count,)] = self.cluster.servers.writable.execute(
            f"SELECT count(*) FROM event_history WHERE message = '{text}'", database=DATABASE
        )
        assert isinstance(count, int)
        return count


def _is_taken(client: httpx.Client, text: str) -> bool:
    body = {"message": text, "hostname": "probe"}
    return client.post("/ingest", json=body).status_code == 200


@contextmanager
def under_load(cluster: Cluster, pace: Pace) -> Iterator[Run]:
    """Load while the block does its worst; afterwards both equations hold, or it fails."""
    run = Run(cluster, pace)
    run.load.start()
    run.load.go_on(pace.gap_s)
    try:
        yield run
    finally:
        run.load.stop()
    wait_settled(run.fleet, within_s=RECOVERY_DEADLINE_S + 2 * pace.outage_s)
    accounts = assert_nothing_is_lost(run.load, run.fleet, cluster)
    run.repeated_calls = assert_alerts_had_one_effect(run.load, cluster.webhook)
    assert_nothing_is_dead(run.fleet)
    run.books = table_of(accounts)
    run.lost_count = sum(each.sent - each.stored for each in accounts)


def deaths(cluster: Cluster, stack: Stack, pace: Pace) -> Run:
    """The Redis primary dies, then the PostgreSQL primary, then a daemon."""
    with under_load(cluster, pace) as run:
        killed_at = time.monotonic()
        stack.redis.primary().kill()
        run.survive("Redis primary killed", killed_at)

        killed_at = time.monotonic()
        stack.primary.kill()
        stack.promote_standby()
        run.survive("PostgreSQL primary killed, standby promoted", killed_at)

        killed_at = time.monotonic()
        run.fleet.kill(cluster.daemons[0])
        run.survive("daemon killed, its batches finished", killed_at, run.acknowledged_lately())
    return run


def redis_away(cluster: Cluster, stack: Stack, pace: Pace) -> Run:
    """All of Redis is stopped for a while."""
    with under_load(cluster, pace) as run:
        servers = stack.redis.servers
        for server in servers:
            server.stop()
        run.load.go_on(pace.outage_s)
        started_at = time.monotonic()
        for server in servers:
            server.start()
        run.survive("Redis started again", started_at)
    return run


def postgres_away(cluster: Cluster, stack: Stack, pace: Pace) -> Run:
    """All of PostgreSQL is stopped for a while."""
    with under_load(cluster, pace) as run:
        stack.standby.stop()
        stack.primary.stop()
        run.load.go_on(pace.outage_s)
        started_at = time.monotonic()
        stack.primary.start()
        stack.standby.start()
        run.survive("PostgreSQL started again", started_at)
    return run


def switch_overs(cluster: Cluster, stack: Stack, pace: Pace) -> Run:
    """SENTINEL FAILOVER by hand."""
    with under_load(cluster, pace) as run:
        for number in range(pace.switch_over_count):
            asked_at = time.monotonic()
            stack.redis.fail_over()
            run.survive(f"SENTINEL FAILOVER {number + 1}", asked_at)
    return run


def hangs(cluster: Cluster, stack: Stack, pace: Pace) -> Run:
    """Each primary stops without closing a socket; another one takes over; it comes back."""
    with under_load(cluster, pace) as run:
        hung = stack.redis.primary()
        hung_at = time.monotonic()
        hung.suspend()
        stack.redis.wait_other_primary(hung)
        run.survive("Redis primary hung", hung_at)
        hung.resume()

        hung_at = time.monotonic()
        stack.primary.suspend()
        stack.promote_standby()
        run.survive("PostgreSQL primary hung, standby promoted", hung_at)
        # Fenced, as Patroni or its watchdog does it: two primaries are two histories.
        stack.primary.kill()
    return run


def restarts(cluster: Cluster, stack: Stack, pace: Pace) -> Run:
    """Each daemon is taken out, stopped by SIGTERM and started again, as for a new version."""
    with under_load(cluster, pace) as run:
        for daemon in list(cluster.daemons):
            run.fleet.leave(daemon)
            run.load.go_on(LEAVING_S)
            stopped_at = time.monotonic()
            assert daemon.terminate(within_s=RECOVERY_DEADLINE_S) == 0
            fresh = cluster.start(daemon.state_dir.name).wait_ready()
            run.fleet.join(fresh)
            run.survive(f"{daemon.state_dir.name} restarted", stopped_at)
    # Taken out of service first, so that there is no excuse: UDP too.
    assert run.lost_count == 0, run.books
    return run


SCENARIOS = {
    "restarts": restarts,
    "deaths": deaths,
    "redis-away": redis_away,
    "postgres-away": postgres_away,
    "switch-overs": switch_overs,
    "hangs": hangs,
}
