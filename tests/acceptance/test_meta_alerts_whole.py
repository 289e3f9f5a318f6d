"""Meta-alerts of a whole embedded daemon: from the wire to the webhook, across kill -9."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from failed_logins import UNHANDLED, knock, meta_alerts
from running_daemon import RunningDaemon, ScriptedWebhook, eventually

pytestmark = pytest.mark.acceptance


def settings(webhook: ScriptedWebhook) -> dict[str, str]:
    """A destination, and the threshold that there is by default."""
    return {
        "MUTTD_MOOG_WEBHOOK_URL": webhook.url,
        "MUTTD_MOOG_API_KEY": "moog-secret",
        "MUTTD_UNHANDLED_THRESHOLD": "100",
    }


def test_five_hundred_failed_logins_are_one_alert_as_soon_as_the_threshold_allows_it(
    start_daemon: Callable[..., RunningDaemon], webhook: ScriptedWebhook
) -> None:
    daemon = start_daemon(**settings(webhook))
    daemon.post("/api/v2/teams", {"hostname": "gate*", "team_assignment": "EDGE"})
    knock(daemon, 50)
    eventually(daemon.events, lambda found: len(found) == 50)
    daemon.wait_idle()
    eventually(lambda: daemon.get("/api/v2/status")["ledger"]["groups"], lambda n: n == 1)
    assert meta_alerts(webhook) == []
    with daemon.client() as client:
        put = client.put("/api/v2/config/unhandled_threshold", json={"value": 40})
    lowered = time.monotonic()
    assert put.status_code == 200, put.text
    [body] = eventually(lambda: meta_alerts(webhook), lambda found: len(found) == 1)
    # A second, and some for a machine that is busy.
    assert time.monotonic() - lowered < 3
    about = body["custom_info"]["event"]["attributes"]
    assert (about["count"], body["source"], body["custom_info"]["team"]) == (50, "gate1", "EDGE")
    assert about["template"] in body["description"]
    assert about["sample"] in body["description"]
    [row] = daemon.get("/api/v2/audit-logs", rule_id=0)["logs"]
    assert (row["rule_name"], row["hostname"]) == (UNHANDLED, "gate1")

    daemon.kill()
    daemon = start_daemon(**settings(webhook))
    knock(daemon, 450, seed=2)
    eventually(lambda: daemon.get("/api/v2/status")["pipeline"]["unmatched"], lambda n: n == 450)
    # Two looks at what is due: the first may have begun before.
    time.sleep(2.1)
    assert len(meta_alerts(webhook)) == 1
