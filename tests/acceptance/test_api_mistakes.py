"""Mistakes of clients are a 4xx in the one shape; a rule is deleted after it matched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually, scripted_webhook

pytestmark = pytest.mark.acceptance

_NOBODY = "01900000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def webhook() -> Iterator[ScriptedWebhook]:
    with scripted_webhook() as webhook:
        yield webhook


@pytest.fixture(scope="module")
def daemon(
    webhook: ScriptedWebhook, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDaemon]:
    state_dir = tmp_path_factory.mktemp("mistakes") / "state"
    daemon = RunningDaemon(state_dir, {"MUTTD_MOOG_WEBHOOK_URL": webhook.url}).wait_ready()
    try:
        yield daemon
        assert daemon.terminate() == 0
        assert not any("Traceback" in line for line in daemon.log)
    finally:
        daemon.kill()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/v2/rules", b"{", 400),
        ("POST", "/api/v2/rules", b"[]", 400),
        ("POST", "/api/v2/rules", b'{"name": "\\ud800"}', 400),
        ("POST", "/api/v2/rules/test", b"null", 400),
        ("POST", "/ingest", b'{"message": ', 400),
        ("PUT", "/api/v2/config/no_such_key", b'{"value": 1}', 404),
        ("PUT", "/api/v2/config/moog_rate_limit", b'{"value": "many"}', 400),
        ("GET", "/api/v2/events?page=0", None, 400),
        ("GET", "/api/v2/events?page=two", None, 400),
        ("GET", "/api/v2/events?limit=201", None, 400),
        ("GET", "/api/v2/rules?page=99999999999999999999", None, 400),
        ("GET", "/api/v2/alerts?state=lost", None, 400),
        ("GET", "/api/v2/events?transport=pigeon", None, 400),
        ("GET", "/api/v2/metrics?chart_hours=7", None, 400),
        ("GET", "/api/v2/config-audit?operation=READ", None, 400),
        ("GET", "/api/v2/rules/4711", None, 404),
        ("DELETE", "/api/v2/rules/4711", None, 404),
        ("DELETE", "/api/v2/keys/4711", None, 404),
        ("GET", f"/api/v2/events/{_NOBODY}", None, 404),
        ("GET", "/api/v2/alerts/nothing.7", None, 404),
        ("GET", "/api/v2/rules/9223372036854775808", None, 400),
        ("DELETE", "/api/v2/keys/" + "9" * 400, None, 400),
        ("GET", "/api/v2/audit-logs?rule_id=9223372036854775808", None, 400),
    ],
)
def test_a_mistake_of_the_client_is_a_4xx_in_the_one_shape(
    daemon: RunningDaemon, method: str, path: str, body: bytes | None, status: int
) -> None:
    headers = {"Content-Type": "application/json", "X-Correlation-ID": "of this test"}
    with daemon.client() as client:
        answer = client.request(method, path, content=body, headers=headers)
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert {"error", "message", "correlation_id", "details"} == set(error)
    assert error["correlation_id"] == answer.headers["X-Correlation-ID"] == "of this test"
    assert all({"field", "message"} == set(detail) for detail in error["details"])


def test_a_rule_that_has_matched_is_deleted_and_what_it_did_stays(
    daemon: RunningDaemon, webhook: ScriptedWebhook
) -> None:
    rule = daemon.post("/api/v2/rules", a_rule(name="short-lived", match_string="SHORT-LIVED"))
    eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"])
    daemon.send_udp(b"<131>1 - sw1 app - - - SHORT-LIVED rule matches")
    [call] = eventually(lambda: list(webhook.accepted))
    with daemon.client() as client:
        assert client.delete(f"/api/v2/rules/{rule['id']}").status_code == 204
        assert client.get(f"/api/v2/rules/{rule['id']}").status_code == 404
    eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"] == 0)
    [event] = daemon.events(rule_id=rule["id"])
    whole = daemon.get(f"/api/v2/events/{event['event_id']}")
    assert (whole["rule_id"], whole["rule_name"]) == (rule["id"], "short-lived")
    then = whole["explain"]["then"]
    assert (then["rule"]["name"], then["present_revision"]) == ("short-lived", None)
    [logged] = daemon.get("/api/v2/audit-logs", rule_id=rule["id"])["logs"]
    assert logged["event_id"] == event["event_id"]
    alert = eventually(
        lambda: daemon.get(f"/api/v2/alerts/{call.body['external_id']}"),
        lambda alert: alert["state"] == "delivered",
    )
    assert alert["rule_id"] == rule["id"]
    changes = daemon.get("/api/v2/config-audit", record_id=str(rule["id"]))["changes"]
    assert [change["operation"] for change in changes] == ["DELETE", "CREATE"]
    daemon.send_udp(b"<131>1 - sw1 app - - - SHORT-LIVED is nobody's now")
    after = eventually(lambda: daemon.events(q="nobody's now"))
    assert after[0]["rule_id"] is None
