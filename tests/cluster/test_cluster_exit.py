"""SIGTERM while a neighbour hangs: a clean exit within the drain time; nothing is lost by it."""

from __future__ import annotations

import time

import pytest
from cluster_stack import DATABASE, NEEDS, Cluster, Stack
from running_daemon import eventually

pytestmark = NEEDS

# As the fixture sets MUTTD_DRAIN_S.
DRAIN_S = 10.0
# Closing what is open takes a moment, and a call that hangs has its own deadline.
GRACE_S = 6.0


@pytest.mark.parametrize("neighbour", ["redis", "postgres"])
def test_sigterm_ends_a_daemon_whose_neighbour_hangs_within_the_drain_time(
    cluster: Cluster, stack: Stack, neighbour: str
) -> None:
    alpha, beta = cluster.daemons
    hung = [*stack.redis.servers, *stack.redis.sentinels] if neighbour == "redis" else []
    if neighbour == "postgres":
        stack.primary.suspend()
    for server in hung:
        server.suspend()
    texts = [f"while it hangs {number}" for number in range(20)]
    with alpha.client("ingest") as client:
        answers = [
            client.post("/ingest", json={"message": text, "hostname": "h"}).status_code
            for text in texts
        ]
    assert answers == [200] * len(texts)
    asked_at = time.monotonic()
    assert alpha.terminate(within_s=60) == 0
    assert time.monotonic() - asked_at < DRAIN_S + GRACE_S
    assert not any("Traceback" in line for line in alpha.log), alpha.log

    for server in hung:
        server.resume()
    if neighbour == "postgres":
        stack.primary.resume()
    again = cluster.start("alpha").wait_ready()
    eventually(
        lambda: stack.primary.execute(
            "SELECT count(DISTINCT message) FROM event_history WHERE message LIKE 'while it %'",
            database=DATABASE,
        ),
        lambda rows: rows == [(len(texts),)],
        within_s=30,
    )
    again.wait_idle()
    beta.wait_idle()
