"""What a dead daemon had begun the other one finishes; from a living one nothing is taken."""

from __future__ import annotations

import time

from cluster_stack import DATABASE, NEEDS, Cluster, Stack
from running_daemon import RunningDaemon, eventually

from muttd.queue.contract import Stream
from muttd.queue.redis_keys import GROUP, RELEASED, RedisKeys

pytestmark = NEEDS

# As the fixture sets MUTTD_QUEUE_CLAIM_IDLE_S.
CLAIM_IDLE_S = 4.0
# Between two looks for idle entries lies half of that; then it has to be worked off.
FINISH_S = 1.5 * CLAIM_IDLE_S + 4.0


def holders(stack: Stack) -> dict[str, int]:
    """Who holds how many entries of the ingest stream."""
    with stack.redis.primary().client() as client:
        found = client.xpending(RedisKeys("mutt").stream(Stream.INGEST), GROUP)
    return {each["name"]: each["pending"] for each in found["consumers"]}


def deliveries(stack: Stack) -> dict[str, tuple[str, int]]:
    """Each pending entry: who holds it, and how often it was handed out."""
    with stack.redis.primary().client() as client:
        rows = client.xpending_range(RedisKeys("mutt").stream(Stream.INGEST), GROUP, "-", "+", 100)
    return {row["message_id"]: (row["consumer"], row["times_delivered"]) for row in rows}


def post(daemon: RunningDaemon, count: int) -> None:
    """Several entries: one request each."""
    for number in range(count):
        daemon.post("/ingest", {"message": f"taken {number} by somebody", "hostname": "h"})


def stored(stack: Stack) -> list[str]:
    rows = stack.primary.execute(
        "SELECT message FROM event_history WHERE message LIKE 'taken %'", database=DATABASE
    )
    return sorted(str(message) for (message,) in rows)


def make_both_hold(cluster: Cluster, stack: Stack) -> None:
    """PostgreSQL hangs, and each daemon has taken something that it cannot record."""
    stack.primary.suspend()

    def holder_count() -> int:
        post(cluster.daemons[0], 1)
        return len(holders(stack))

    eventually(holder_count, lambda count: count == 2)


def test_a_batch_of_a_killed_daemon_is_finished_by_the_other_within_the_idle_limit(
    cluster: Cluster, stack: Stack
) -> None:
    alpha, beta = cluster.daemons
    make_both_hold(cluster, stack)
    post(beta, 5)
    alpha.kill()
    killed_at = time.monotonic()
    stack.primary.resume()
    eventually(lambda: holders(stack), lambda held: not held, within_s=FINISH_S)
    assert time.monotonic() - killed_at < FINISH_S
    beta.wait_idle()
    texts = stored(stack)
    assert len(texts) == len(set(texts)) + texts.count("taken 0 by somebody") - 1
    assert beta.get("/api/v2/status")["pipeline"]["buried"] == 0


def test_a_daemon_that_stops_hands_back_what_it_had_begun(cluster: Cluster, stack: Stack) -> None:
    alpha, beta = cluster.daemons
    make_both_hold(cluster, stack)
    held = {entry for entry, (holder, _) in deliveries(stack).items() if holder.startswith("alpha")}
    assert alpha.terminate(within_s=60) == 0
    now = deliveries(stack)
    assert held
    assert {now[entry] for entry in held} == {(RELEASED, 0)}
    stack.primary.resume()
    eventually(lambda: holders(stack), lambda still: not still, within_s=CLAIM_IDLE_S)
    beta.wait_idle()


def test_a_live_daemon_that_waits_for_its_store_is_not_robbed(
    cluster: Cluster, stack: Stack
) -> None:
    make_both_hold(cluster, stack)
    before = deliveries(stack)
    over = time.monotonic() + 4 * CLAIM_IDLE_S
    eventually(
        lambda: {each: deliveries(stack).get(each) for each in before},
        lambda now: now != before or time.monotonic() > over,
        within_s=5 * CLAIM_IDLE_S,
    )
    assert {each: deliveries(stack).get(each) for each in before} == before
    stack.primary.resume()
    for daemon in cluster.daemons:
        daemon.wait_idle()
