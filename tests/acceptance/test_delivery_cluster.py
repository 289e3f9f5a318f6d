"""Two daemons on one real Redis deliver together: one rate limit, one breaker."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, ScriptedWebhook, WebhookCall, a_rule, eventually
from servers.postgres_server import database, needs_postgres, shared_postgres
from servers.redis_server import RedisServer, needs_redis, redis_server

pytestmark = [needs_redis, needs_postgres]

Pair = tuple[RunningDaemon, RunningDaemon]


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def start_pair(
    redis: RedisServer,
    start_daemon: Callable[..., RunningDaemon],
    webhook: ScriptedWebhook,
    tmp_path: Path,
) -> Iterator[Callable[..., Pair]]:
    with database(shared_postgres()) as url:

        def start(**settings: str) -> Pair:
            daemons = [
                start_daemon(
                    tmp_path / name,
                    MUTTD_REDIS_URL=redis.url(),
                    MUTTD_REDIS_PREFIX=tmp_path.name,
                    MUTTD_DATABASE_URL=url,
                    MUTTD_DAEMON_NAME=name,
                    MUTTD_MOOG_WEBHOOK_URL=webhook.url,
                    MUTTD_MOOG_BACKOFF_BASE_S="0.05",
                    MUTTD_MOOG_BACKOFF_CAP_S="0.1",
                    MUTTD_QUEUE_CLAIM_IDLE_S="5",
                    **settings,
                )
                for name in ("one", "two")
            ]
            daemons[0].post("/api/v2/rules", a_rule())
            for daemon in daemons:
                eventually(partial(active_rules, daemon))
            return daemons[0], daemons[1]

        yield start


def put(daemon: RunningDaemon, key: str, value: float) -> None:
    with daemon.client() as client:
        answer = client.put(f"/api/v2/config/{key}", json={"value": value})
        assert answer.status_code == 200, answer.text


def active_rules(daemon: RunningDaemon) -> int:
    active: int = daemon.get("/api/v2/status")["rules"]["active"]
    return active


def value_of(daemon: RunningDaemon, key: str) -> float:
    rows = daemon.get("/api/v2/config")["config"]
    return float(next(row["value"] for row in rows if row["key"] == key))


def send(pair: Pair, count: int) -> None:
    """So many alerts of as many hosts, half of them through each daemon."""
    for n in range(count):
        pair[n % 2].post("/ingest", {"message": "LINK-3-UPDOWN", "hostname": f"sw{n}"})


def test_the_rate_limit_holds_over_two_daemons(
    start_pair: Callable[..., Pair], webhook: ScriptedWebhook
) -> None:
    """Limit 5/s, 20 alerts: at least 3 s, and never more than 5 in any second."""
    arrived: list[float] = []

    def answer(call: WebhookCall) -> tuple[int, dict[str, str], str]:
        arrived.append(time.monotonic())
        return 200, {}, ""

    webhook.answer = answer
    pair = start_pair(MUTTD_MOOG_RATE_LIMIT="5", MUTTD_MOOG_RATE_PERIOD_S="1")
    send(pair, 20)
    eventually(lambda: len(webhook.accepted), lambda count: count == 20, within_s=30)
    assert arrived[-1] - arrived[0] >= 3.0
    # Passes are counted in Redis; on its way to us each attempt may be some milliseconds late.
    slack_s = 0.15
    assert all(
        later - first >= 1.0 - slack_s for first, later in zip(arrived, arrived[5:], strict=False)
    )
    assert len({call.body["agent_location"] for call in webhook.accepted}) == 2


def test_the_breaker_is_one_over_two_daemons(
    start_pair: Callable[..., Pair], webhook: ScriptedWebhook
) -> None:
    """10 failures: 10 calls, then one probe in each period, all delivered in the end, none dead."""
    webhook.answer = lambda call: (503, {}, "down")
    pair = start_pair(MUTTD_MOOG_RATE_LIMIT="1000")
    period_s = 2.0
    put(pair[0], "breaker_failures", 10)
    put(pair[0], "breaker_open_seconds", period_s)
    for daemon in pair:
        eventually(partial(value_of, daemon, "breaker_open_seconds"), lambda at: at == period_s)
    calls_at: list[float] = []

    def refuse(call: WebhookCall) -> tuple[int, dict[str, str], str]:
        calls_at.append(time.monotonic())
        return 503, {}, "down"

    webhook.answer = refuse
    send(pair, 30)
    eventually(lambda: len(calls_at), lambda count: count >= 13, within_s=30)
    gaps = [later - first for first, later in itertools.pairwise(calls_at)]
    assert all(gap < period_s for gap in gaps[:9])
    assert all(gap >= period_s - 0.05 for gap in gaps[9:])
    destination = pair[0].get("/api/v2/status")["destinations"][0]
    assert destination["breaker"]["failures"] >= 12
    assert any("in a row" in line for line in pair[0].get("/api/v2/status")["warnings"])
    webhook.answer = lambda call: (200, {}, "")
    eventually(lambda: len(webhook.accepted), lambda count: count == 30, within_s=30)
    ids = [call.body["external_id"] for call in webhook.accepted]
    assert len(set(ids)) == 30
    assert pair[0].get("/api/v2/dead-letters")["pagination"]["total"] == 0
    alerts = eventually(
        lambda: pair[0].get("/api/v2/alerts", state="delivered", limit=50)["alerts"],
        lambda alerts: len(alerts) == 30,
    )
    # No attempt is counted but those that were made.
    assert sum(alert["attempts"] for alert in alerts) == len(webhook.calls)
