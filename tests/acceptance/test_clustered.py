"""Two daemons on one real Redis and one real PostgreSQL: one system, whichever is asked."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any

import httpx
import pytest
from failed_logins import knock, meta_alerts
from live_viewer import watching
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually
from servers.postgres_server import (
    PostgresServer,
    database,
    needs_postgres,
    postgres_server,
    shared_postgres,
)
from servers.redis_server import RedisServer, needs_redis, redis_server

pytestmark = [pytest.mark.acceptance, needs_redis, needs_postgres]

Start = Callable[..., RunningDaemon]

# So long that no change is found by looking: what is quicker was told.
NEVER_LOOK_S = "3600"


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def database_url() -> Iterator[str]:
    with database(shared_postgres()) as url:
        yield url


@pytest.fixture
def start(start_daemon: Start, tmp_path: Path, redis: RedisServer, database_url: str) -> Start:
    """Start a daemon of the cluster, by its name."""

    def start(name: str, **environ: str) -> RunningDaemon:
        return start_daemon(
            tmp_path / name,
            MUTTD_DAEMON_NAME=name,
            **{"MUTTD_REDIS_URL": redis.url(), "MUTTD_DATABASE_URL": database_url} | environ,
        )

    return start


def readiness(daemon: RunningDaemon) -> tuple[int, dict[str, Any]]:
    """GET /readyz: status, and each dependency."""
    answer = httpx.get(f"{daemon.url}/readyz", trust_env=False)
    return answer.status_code, answer.json()["dependencies"]


def is_ready(daemon: RunningDaemon) -> bool:
    return readiness(daemon)[0] == 200


def ingest(daemon: RunningDaemon, *messages: str) -> dict[str, Any]:
    answer: dict[str, Any] = daemon.post(
        "/ingest", [{"message": message, "hostname": "sw1"} for message in messages]
    )
    return answer


def messages_of(daemon: RunningDaemon) -> list[str]:
    """Stored messages, in the order of their receipt."""
    return [event["message"] for event in reversed(daemon.events())]


def test_an_event_of_one_daemon_is_live_and_stored_on_the_other(start: Start) -> None:
    alpha, beta = start("alpha"), start("beta")
    rule = alpha.post("/api/v2/rules", a_rule())
    eventually(lambda: beta.get("/api/v2/status")["rules"]["active"], lambda count: count == 1)
    with watching(beta) as viewer:
        # The other daemon is told that somebody watches here; that takes a moment.
        def shown() -> list[dict[str, Any]]:
            ingest(alpha, "LINK-3-UPDOWN of alpha")
            return viewer.events("of alpha")

        event = eventually(shown)[0]

        def decided() -> list[dict[str, Any]]:
            # It may be decided before it is shown: then it brings its decision along.
            known = viewer.decisions(event["event_id"])
            return known or [event] * (not event["pending"])

        decision = eventually(decided)[0]
        assert (decision["rule_id"], decision["handling"]) == (rule["id"], "Page_and_ticket")
        ingest(beta, "of beta itself")
        eventually(lambda: viewer.events("of beta itself"))
        ingest(alpha, "the last")
        eventually(lambda: viewer.events("the last"))
        assert len(viewer.events("of beta itself")) == 1
    stored = beta.get(f"/api/v2/events/{event['event_id']}")
    assert stored["rule_id"] == rule["id"]
    assert alpha.get(f"/api/v2/events/{event['event_id']}")["event_id"] == event["event_id"]


def test_a_rule_made_on_one_daemon_is_in_force_on_the_other_within_a_second(start: Start) -> None:
    looks = {"MUTTD_RULES_CHECK_INTERVAL_S": NEVER_LOOK_S}
    alpha, beta = start("alpha", **looks), start("beta", **looks)
    for number in range(1, 4):
        alpha.post("/api/v2/rules", a_rule(name=f"rule {number}"))
        made_at = time.monotonic()
        eventually(lambda: beta.get("/api/v2/status")["rules"]["active"], partial(eq, number))
        assert time.monotonic() - made_at < 1.0


def test_each_daemon_shows_the_other_and_a_stopped_one_is_gone(start: Start) -> None:
    alpha, beta = start("alpha"), start("beta")

    def peers() -> list[str]:
        return [each["name"] for each in alpha.get("/api/v2/status")["peers"]]

    eventually(peers, lambda names: names == ["alpha", "beta"])
    own, other = alpha.get("/api/v2/status")["peers"]
    assert (own["is_self"], other["is_self"], other["is_silent"]) == (True, False, False)
    assert other["dependencies"]["queue"]["ok"]
    shown = subprocess.run(
        [sys.executable, "-m", "muttd", "status", "--url", alpha.url],
        env={"PATH": os.environ["PATH"], "MUTTD_STATE_DIR": str(alpha.state_dir)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert any(line.startswith("beta") and "running" in line for line in shown.splitlines())
    assert beta.terminate() == 0
    eventually(peers, lambda names: names == ["alpha"])


def test_while_redis_is_away_events_wait_on_disk_and_then_arrive_in_order(
    start: Start, redis: RedisServer
) -> None:
    alpha, beta = start("alpha"), start("beta")
    ingest(alpha, "event 0")
    eventually(lambda: messages_of(alpha), lambda messages: messages == ["event 0"])
    redis.stop()
    for number in range(1, 40):
        ingest(alpha, f"event {number}")
    status = alpha.get("/api/v2/status")
    assert status["spool"]["events"] == 39
    assert status["spool"]["since"] is not None
    assert any(each.startswith("spooling since") for each in status["warnings"])
    code, dependencies = readiness(alpha)
    assert (code, dependencies["queue"]["ok"], dependencies["store"]["ok"]) == (503, False, True)
    with alpha.client() as client:
        assert "muttd_spool_events 39.0" in client.get("/metrics").text
    redis.start()
    # The other daemon takes part in deciding: only who received them keeps an order.
    eventually(lambda: len(messages_of(beta)), lambda count: count == 40)
    assert messages_of(alpha) == [f"event {number}" for number in range(40)]
    spool = alpha.get("/api/v2/status")["spool"]
    assert (spool["events"], spool["since"], spool["error"]) == (0, None, None)
    assert (spool["spooled"], spool["drained"]) == (39, 39)
    eventually(lambda: is_ready(alpha))


def test_a_daemon_killed_while_it_spools_drains_after_its_restart(
    start: Start, redis: RedisServer
) -> None:
    alpha = start("alpha")
    redis.stop()
    acknowledged = [f"event {number}" for number in range(20)]
    for message in acknowledged:
        assert ingest(alpha, message)["accepted"] == 1
    alpha.kill()
    alpha = start("alpha")
    assert alpha.get("/api/v2/status")["spool"]["events"] == 20
    ingest(alpha, "after the restart")
    redis.start()
    eventually(
        lambda: messages_of(alpha),
        lambda messages: messages == [*acknowledged, "after the restart"],
    )


def test_a_daemon_starts_without_its_servers_and_says_what_is_missing(
    start_daemon: Start, tmp_path: Path
) -> None:
    with postgres_server() as postgres, database(postgres) as url, redis_server() as redis:
        redis.stop()
        postgres.stop()
        alpha = start_daemon(
            tmp_path / "alpha", MUTTD_REDIS_URL=redis.url(), MUTTD_DATABASE_URL=url
        )
        code, dependencies = readiness(alpha)
        assert code == 503
        assert [name for name, each in dependencies.items() if not each["ok"]] == [
            "queue",
            "store",
            "rules",
        ]
        ingest(alpha, "received without anybody behind")
        alpha.send_udp(b"<13>1 - sw1 app - - - over UDP")
        eventually(lambda: alpha.get("/api/v2/status")["spool"]["events"], lambda count: count == 2)
        redis.start()
        eventually(
            lambda: [name for name, each in readiness(alpha)[1].items() if not each["ok"]],
            lambda names: names == ["store", "rules"],
        )
        postgres.start()
        eventually(lambda: is_ready(alpha))
        eventually(lambda: len(messages_of(alpha)), lambda count: count == 2)


def test_a_daemon_receives_from_its_start_whoever_else_hangs(
    start_daemon: Start, tmp_path: Path
) -> None:
    with postgres_server() as postgres, database(postgres) as url, redis_server() as redis:
        redis.stop()
        # The kernel goes on taking connections for it, and nobody ever answers.
        postgres.suspend()
        try:
            alpha = start_daemon(
                tmp_path / "alpha", MUTTD_REDIS_URL=redis.url(), MUTTD_DATABASE_URL=url
            )
            # It was ready before it had waited for anybody.
            assert not [line for line in alpha.log if "PostgreSQL is away" in line]
            alpha.send_udp(b"<13>1 - sw1 app - - - over UDP")
            with socket.create_connection(("127.0.0.1", alpha.ports["syslog_tcp"])) as sender:
                sender.sendall(b"<13>1 - sw1 app - - - over TCP\n")
            eventually(lambda: alpha.get("/api/v2/status")["spool"]["events"], partial(eq, 2))
            assert readiness(alpha)[0] == 503
            redis.start()
            eventually(lambda: alpha.get("/api/v2/status")["queue"]["ingest"]["items"])
            assert readiness(alpha)[0] == 503
        finally:
            postgres.resume()
        eventually(lambda: is_ready(alpha))
        eventually(lambda: sorted(messages_of(alpha)), partial(eq, ["over TCP", "over UDP"]))


def test_a_schema_that_is_not_ours_ends_a_daemon_that_starts_as_a_mistake(
    start_daemon: Start, tmp_path: Path, database_url: str
) -> None:
    shared_postgres().execute(
        "CREATE TABLE schema_migrations (version integer PRIMARY KEY, name text)",
        "INSERT INTO schema_migrations VALUES (1, 'users')",
        "GRANT ALL ON schema_migrations TO mutt",
        database=database_url.rpartition("/")[2],
    )
    daemon = start_daemon(tmp_path / "alpha", MUTTD_DATABASE_URL=database_url)
    assert daemon.wait_exit() == 78
    assert len([line for line in daemon.log if "another kind of database" in line]) == 1


def test_the_last_good_rules_decide_when_the_store_is_away_at_start(
    start_daemon: Start, tmp_path: Path, redis: RedisServer
) -> None:
    with postgres_server() as postgres, database(postgres) as url:
        environ = {"MUTTD_REDIS_URL": redis.url(), "MUTTD_DATABASE_URL": url}
        alpha = start_daemon(tmp_path / "alpha", **environ)
        alpha.post("/api/v2/rules", a_rule())
        eventually(lambda: alpha.get("/api/v2/status")["rules"]["active"])
        eventually((tmp_path / "alpha" / "rules.snapshot").exists)
        alpha.terminate()
        postgres.stop()
        alpha = start_daemon(tmp_path / "alpha", **environ)

        def warnings() -> list[str]:
            found: list[str] = alpha.get("/api/v2/status")["warnings"]
            return [each for each in found if each.startswith("rules are those of")]

        assert len(eventually(warnings)) == 1
        assert readiness(alpha)[1]["rules"]["ok"]
        ingest(alpha, "LINK-3-UPDOWN without a store")
        postgres.start()
        [event] = eventually(lambda: alpha.events())
        assert event["rule_name"] == "link down"


@pytest.mark.parametrize("hung", ["redis", "postgres"])
def test_a_stop_does_not_wait_for_a_server_that_hangs(
    start_daemon: Start, tmp_path: Path, hung: str
) -> None:
    with postgres_server() as postgres, database(postgres) as url, redis_server() as redis:
        alpha = start_daemon(
            tmp_path / "alpha",
            MUTTD_REDIS_URL=redis.url(),
            MUTTD_DATABASE_URL=url,
            MUTTD_DRAIN_S="10",
        )
        eventually(lambda: is_ready(alpha))
        server: RedisServer | PostgresServer = redis if hung == "redis" else postgres
        server.suspend()
        try:
            ingest(alpha, "received while it hangs")
            assert alpha.terminate(within_s=12.0) == 0
        finally:
            server.resume()
        again = start_daemon(
            tmp_path / "alpha", MUTTD_REDIS_URL=redis.url(), MUTTD_DATABASE_URL=url
        )
        eventually(
            lambda: messages_of(again), lambda messages: messages == ["received while it hangs"]
        )


@pytest.mark.parametrize("name", ["MUTTD_REDIS_URL", "MUTTD_DATABASE_URL"])
def test_either_server_can_be_had_without_the_other(
    start_daemon: Start, tmp_path: Path, redis: RedisServer, database_url: str, name: str
) -> None:
    url = {"MUTTD_REDIS_URL": redis.url(), "MUTTD_DATABASE_URL": database_url}[name]
    alpha = start_daemon(tmp_path / "alpha", **{name: url})
    ingest(alpha, "one of each")
    eventually(lambda: messages_of(alpha), lambda messages: messages == ["one of each"])
    files = {path.name for path in alpha.state_dir.iterdir()}
    assert ("queue.db" in files, "store.db" in files) == (
        name != "MUTTD_REDIS_URL",
        name != "MUTTD_DATABASE_URL",
    )


def test_an_url_that_only_the_backend_can_judge_is_a_mistake_of_the_operator(
    tmp_path: Path, redis: RedisServer
) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "muttd", "run"],
        env={
            "PATH": os.environ["PATH"],
            "MUTTD_STATE_DIR": str(tmp_path / "state"),
            "MUTTD_HTTP": "127.0.0.1:0",
            "MUTTD_SYSLOG_UDP": "off",
            "MUTTD_SYSLOG_TCP": "off",
            "MUTTD_SNMP_UDP": "off",
            "MUTTD_DATABASE_URL": "postgresql://me:hunter2@h/d?no_such_parameter=1",
        },
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 78
    assert "MUTTD_DATABASE_URL: libpq does not understand this URL" in refused.stderr
    assert "hunter2" not in refused.stderr


def test_noise_at_both_daemons_is_one_meta_alert_of_the_cluster(
    start: Start, webhook: ScriptedWebhook
) -> None:
    moog = {"MUTTD_MOOG_WEBHOOK_URL": webhook.url, "MUTTD_MOOG_API_KEY": "moog-secret"}
    moog["MUTTD_UNHANDLED_THRESHOLD"] = "100"
    one, two = start("one", **moog), start("two", **moog)
    knock(one, 60)
    knock(two, 35, seed=2)
    eventually(one.events, lambda found: len(found) == 95)
    one.wait_idle()
    assert meta_alerts(webhook) == []
    knock(one, 3, seed=3)
    eventually(one.events, lambda found: len(found) == 98)
    # What it counted is not lost with it.
    one.kill()
    knock(two, 400, seed=4)
    [body] = eventually(lambda: meta_alerts(webhook), lambda found: len(found) == 1)
    assert body["custom_info"]["event"]["attributes"]["count"] >= 100
    eventually(lambda: two.get("/api/v2/events", limit=1)["pagination"]["total"], partial(eq, 499))
    two.wait_idle()
    assert len(meta_alerts(webhook)) == 1
    assert two.get("/api/v2/status")["ledger"]["groups"] == 1
