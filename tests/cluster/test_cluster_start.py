"""Two daemons that start at once, and what one of them is told is known to the other."""

from __future__ import annotations

import time
from functools import partial

from cluster_stack import DATABASE, NEEDS, Cluster, Stack
from running_daemon import RunningDaemon, a_rule, eventually

pytestmark = NEEDS


def answers_ready(daemon: RunningDaemon) -> bool:
    """Whether every dependency of a daemon answers."""
    with daemon.client() as client:
        return client.get("/readyz").status_code == 200


def test_two_daemons_that_start_at_once_on_an_empty_database_both_come_up(
    site: Cluster, stack: Stack
) -> None:
    daemons = [site.start("alpha"), site.start("beta")]
    for daemon in daemons:
        # Listening comes first, and the schema in its own time.
        daemon.wait_ready()
        eventually(partial(answers_ready, daemon))
    applied = stack.primary.execute(
        "SELECT version, count(*) FROM schema_migrations GROUP BY version", database=DATABASE
    )
    assert applied
    assert {count for _, count in applied} == {1}
    for daemon in daemons:
        daemon.post("/ingest", {"message": "hello", "hostname": "h"})
    eventually(lambda: daemons[0].events(q="hello"), lambda found: len(found) == 2)


def test_a_rule_made_on_one_daemon_is_in_force_on_the_other_within_a_second(
    cluster: Cluster,
) -> None:
    alpha, beta = cluster.daemons
    alpha.post("/api/v2/rules", a_rule(name="news", match_string="BREAKING-NEWS"))
    made_at = time.monotonic()
    eventually(lambda: beta.get("/api/v2/status")["rules"]["active"], lambda count: count == 3)
    assert time.monotonic() - made_at < 1.0
    beta.post("/ingest", {"message": "BREAKING-NEWS", "hostname": "h"})
    [event] = eventually(lambda: alpha.events(q="BREAKING-NEWS"))
    assert event["rule_name"] == "news"
