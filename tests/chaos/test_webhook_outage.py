"""The webhook fails, and every alert arrives all the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually

pytestmark = pytest.mark.chaos


@pytest.fixture
def daemon(start_daemon: Callable[..., RunningDaemon], webhook: ScriptedWebhook) -> RunningDaemon:
    daemon = start_daemon(
        MUTTD_MOOG_WEBHOOK_URL=webhook.url,
        MUTTD_MOOG_BACKOFF_BASE_S="0.05",
        MUTTD_MOOG_BACKOFF_CAP_S="0.2",
        MUTTD_MOOG_RATE_LIMIT="1000",
    )
    daemon.post("/api/v2/rules", a_rule())
    eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"])
    return daemon


def send(daemon: RunningDaemon, count: int) -> None:
    for n in range(count):
        daemon.post("/ingest", {"message": f"LINK-3-UPDOWN port {n}", "hostname": "sw1"})


def sent_texts(count: int) -> list[str]:
    return [f"LINK-3-UPDOWN port {n}" for n in range(count)]


def test_a_webhook_that_answers_503_gets_every_alert_once_and_in_order(
    daemon: RunningDaemon, webhook: ScriptedWebhook
) -> None:
    webhook.answer = lambda call: (503, {}, "down for maintenance")
    send(daemon, 20)
    eventually(lambda: len(webhook.calls), lambda count: count >= 5)
    forwarder = daemon.get("/api/v2/status")["forwarder"]
    assert (forwarder["state"], forwarder["delivered"]) == ("retrying", 0)
    webhook.answer = lambda call: (200, {}, "")
    eventually(lambda: len(webhook.accepted), lambda count: count == 20)
    assert [call.body["description"] for call in webhook.accepted] == sent_texts(20)
    alerts = eventually(
        lambda: daemon.get("/api/v2/alerts", state="delivered")["alerts"],
        lambda alerts: len(alerts) == 20,
    )
    assert alerts[-1]["attempts"] >= 5
    assert daemon.get("/api/v2/status")["forwarder"]["dead"] == 0


def test_a_wrong_key_holds_alerts_and_kills_none(
    daemon: RunningDaemon, webhook: ScriptedWebhook
) -> None:
    webhook.answer = lambda call: (401, {}, "who are you")
    send(daemon, 3)
    eventually(lambda: daemon.get("/api/v2/status")["forwarder"]["state"], lambda s: s == "held")
    assert any("webhook" in warning for warning in daemon.get("/api/v2/status")["warnings"])
    webhook.answer = lambda call: (200, {}, "")
    eventually(lambda: len(webhook.accepted), lambda count: count == 3)


def test_a_400_costs_that_alert_only(daemon: RunningDaemon, webhook: ScriptedWebhook) -> None:
    webhook.answer = lambda call: (
        (400, {}, "no such field") if call.body["description"].endswith("1") else (202, {}, "")
    )
    send(daemon, 3)
    eventually(lambda: len(webhook.accepted), lambda count: count == 2)
    [dead] = eventually(
        lambda: daemon.get("/api/v2/alerts", state="dead")["alerts"], lambda found: len(found) == 1
    )
    assert dead["last_error"] == "status 400: no such field"


def test_an_alert_that_alone_fails_does_not_hold_the_others_for_ever(
    daemon: RunningDaemon, webhook: ScriptedWebhook
) -> None:
    webhook.answer = lambda call: (
        (500, {}, "boom") if call.body["source"] == "poison" else (200, {}, "")
    )
    daemon.post("/ingest", {"message": "LINK-3-UPDOWN", "hostname": "poison"})
    send(daemon, 10)
    eventually(lambda: len(webhook.accepted), lambda count: count == 10, within_s=30)
    assert [call.body["description"] for call in webhook.accepted] == sent_texts(10)


def test_an_alert_that_fails_while_others_are_taken_is_a_dead_letter_in_the_end(
    daemon: RunningDaemon, webhook: ScriptedWebhook
) -> None:
    webhook.answer = lambda call: (
        (500, {}, "boom") if call.body["source"] == "poison" else (200, {}, "")
    )
    daemon.post("/ingest", {"message": "LINK-3-UPDOWN", "hostname": "poison"})

    def dead_while_others_come() -> list[dict[str, Any]]:
        daemon.post("/ingest", {"message": "LINK-3-UPDOWN", "hostname": "sw1"})
        found: list[dict[str, Any]] = daemon.get("/api/v2/dead-letters")["dead_letters"]
        return found

    [letter] = eventually(dead_while_others_come, within_s=60)
    assert (letter["hostname"], letter["reason"], letter["destination"]) == (
        "poison", "failing", "moog",
    )  # fmt: skip
    assert letter["error"] == "status 500: boom"


def test_retry_after_is_honoured(daemon: RunningDaemon, webhook: ScriptedWebhook) -> None:
    webhook.answer = lambda call: (
        (429, {"Retry-After": "2"}, "") if len(webhook.calls) == 1 else (200, {}, "")
    )
    send(daemon, 1)
    [alert] = eventually(
        lambda: daemon.get("/api/v2/alerts", state="delivered")["alerts"],
        lambda alerts: len(alerts) == 1,
    )
    found = daemon.get(f"/api/v2/alerts/{alert['alert_id']}")
    first, second = (datetime.fromisoformat(each["attempted_at"]) for each in found["deliveries"])
    assert second - first >= timedelta(seconds=2)
