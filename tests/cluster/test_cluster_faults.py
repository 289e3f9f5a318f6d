"""Any single part may die, stop or hang: what was acknowledged is stored, once."""

from __future__ import annotations

from cluster_scenarios import (
    QUICK,
    deaths,
    hangs,
    postgres_away,
    redis_away,
    restarts,
    switch_overs,
)
from cluster_stack import NEEDS, Cluster, Stack

pytestmark = NEEDS


def test_the_death_of_redis_postgres_and_a_daemon_loses_nothing_and_doubles_nothing(
    cluster: Cluster, stack: Stack
) -> None:
    run = deaths(cluster, stack, QUICK)
    assert len(run.recoveries) == 3


def test_events_wait_on_disk_while_redis_is_away_and_none_is_given_up(
    cluster: Cluster, stack: Stack
) -> None:
    redis_away(cluster, stack, QUICK)


def test_events_wait_in_redis_while_postgres_is_away_and_none_is_given_up(
    cluster: Cluster, stack: Stack
) -> None:
    postgres_away(cluster, stack, QUICK)


def test_a_failover_by_hand_loses_nothing_acknowledged(cluster: Cluster, stack: Stack) -> None:
    switch_overs(cluster, stack, QUICK)


def test_a_primary_that_hangs_loses_nothing_acknowledged(cluster: Cluster, stack: Stack) -> None:
    hangs(cluster, stack, QUICK)
    for daemon in cluster.daemons:
        assert daemon.terminate() == 0


def test_a_new_version_on_one_daemon_after_the_other_loses_not_even_a_datagram(
    cluster: Cluster, stack: Stack
) -> None:
    restarts(cluster, stack, QUICK)
