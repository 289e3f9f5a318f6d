"""One event's whole way, for every way in: real senders, store, audit, webhook."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually

pytestmark = pytest.mark.acceptance

CISCO = "%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down"
CISCO_OID = "1.3.6.1.4.1.9.1.1"
LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"


def run(*command: str) -> None:
    """Run a real sender; it must succeed."""
    assert shutil.which(command[0]), f"{command[0]} is not installed"
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def daemon(start_daemon: Callable[..., RunningDaemon], webhook: ScriptedWebhook) -> RunningDaemon:
    daemon = start_daemon(MUTTD_MOOG_WEBHOOK_URL=webhook.url, MUTTD_MOOG_API_KEY="moog-secret")
    daemon.post("/api/v2/rules", a_rule())
    daemon.post(
        "/api/v2/rules",
        a_rule(
            name="trap link down", match_string=None, match_type="oid_prefix", trap_oid=LINK_DOWN
        ),
    )
    eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"], lambda n: n == 2)
    return daemon


def the_event(daemon: RunningDaemon, **query: Any) -> dict[str, Any]:
    """The one stored event."""
    [event] = eventually(lambda: daemon.events(**query), lambda found: len(found) == 1)
    return dict(event)


def assert_matched_and_delivered(
    daemon: RunningDaemon, webhook: ScriptedWebhook, event: dict[str, Any]
) -> None:
    assert event["matched"], event
    assert event["handling"] == "Page_and_ticket"
    [row] = daemon.get("/api/v2/audit-logs")["logs"]
    assert row["event_id"] == event["event_id"]
    [call] = eventually(lambda: webhook.accepted, lambda calls: len(calls) == 1)
    body = call.body
    assert call.headers["Authorization"] == "Bearer moog-secret"
    assert body["manager"] == "MUTT"
    assert body["source"] == event["hostname"]
    assert body["agent_location"] == "test-daemon"
    assert body["description"] == event["message"]
    assert body["custom_info"]["team"] == "NETO"
    assert body["custom_info"]["event"]["event_id"] == event["event_id"]
    assert len(body["signature"].split("::")) == 4
    [alert] = eventually(
        lambda: daemon.get("/api/v2/alerts", state="delivered")["alerts"],
        lambda alerts: len(alerts) == 1,
    )
    assert alert["alert_id"] == body["external_id"]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--udp", "--rfc3164"), id="udp-3164"),
        pytest.param(("--udp", "--rfc5424"), id="udp-5424"),
        pytest.param(("--tcp", "--rfc3164"), id="tcp-3164"),
        pytest.param(("--tcp", "--rfc5424"), id="tcp-5424"),
        pytest.param(("--tcp", "--rfc5424", "--octet-count"), id="tcp-octet-counted"),
    ],
)
def test_what_logger_sends_is_matched_audited_and_delivered(
    daemon: RunningDaemon, webhook: ScriptedWebhook, options: tuple[str, ...]
) -> None:
    listener = "syslog_udp" if "--udp" in options else "syslog_tcp"
    run(
        "logger", *options, "-n", "127.0.0.1", "-P", str(daemon.ports[listener]),
        "-t", "sw1", "-p", "local4.err", CISCO,
    )  # fmt: skip
    event = the_event(daemon)
    assert event["message"] == CISCO
    assert (event["facility"], event["severity"]) == (20, 3)
    assert event["app_name"] == "sw1"
    assert event["hostname"].partition(".")[0] == socket.gethostname().partition(".")[0]
    assert event["transport"] == listener.replace("_", "-")
    assert event["source_ip"] == "127.0.0.1"
    assert event["malformed"] is None
    assert_matched_and_delivered(daemon, webhook, event)
    assert webhook.accepted[0].body["severity"] == 4


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(
            ("snmptrap", "-v1", "-c", "public", "TARGET", CISCO_OID, "192.0.2.7", "2", "0", "99"),
            id="v1",
        ),
        pytest.param(("snmptrap", "-v2c", "-c", "public", "TARGET", "99", LINK_DOWN), id="v2c"),
        pytest.param(
            ("snmpinform", "-v2c", "-c", "public", "TARGET", "99", LINK_DOWN), id="v2c-inform"
        ),
    ],
)  # fmt: skip
def test_what_net_snmp_sends_is_matched_audited_and_delivered(
    daemon: RunningDaemon, webhook: ScriptedWebhook, command: tuple[str, ...]
) -> None:
    target = f"127.0.0.1:{daemon.ports['snmp']}"
    varbinds = ("1.3.6.1.2.1.2.2.1.1.3", "i", "3", "1.3.6.1.2.1.2.2.1.2.3", "s", "Gi0/3")
    run(*(target if word == "TARGET" else word for word in command), *varbinds)
    event = the_event(daemon)
    assert event["trap_oid"] == LINK_DOWN
    assert event["transport"] == "snmp"
    assert event["severity"] == 3
    assert event["message"].startswith("IF-MIB::linkDown ifIndex.3=3 ifDescr.3=Gi0/3")
    shown = [(each["name"], each["oid"], each["type"], each["value"]) for each in event["varbinds"]]
    assert ("ifIndex.3", "1.3.6.1.2.1.2.2.1.1.3", "INTEGER", "3") in shown
    assert ("ifDescr.3", "1.3.6.1.2.1.2.2.1.2.3", "OCTET STRING", "Gi0/3") in shown
    assert event["hostname"] == ("192.0.2.7" if "-v1" in command else "127.0.0.1")
    assert "public" not in json.dumps(event)
    assert_matched_and_delivered(daemon, webhook, event)


def test_one_event_by_curl_is_matched_audited_and_delivered(
    daemon: RunningDaemon, webhook: ScriptedWebhook
) -> None:
    body = {"message": CISCO, "hostname": "core-1", "syslog_severity": "err", "facility": 16}
    run(
        "curl", "--silent", "--fail", "--noproxy", "*", f"{daemon.url}/api/v2/ingest",
        "-H", f"X-API-KEY: {daemon.key('ingest')}", "-H", "Content-Type: application/json",
        "--data", json.dumps(body),
    )  # fmt: skip
    event = the_event(daemon)
    assert (event["hostname"], event["severity"], event["facility"]) == ("core-1", 3, 16)
    assert event["transport"] == "http"
    assert_matched_and_delivered(daemon, webhook, event)


def test_ndjson_by_curl_keeps_the_good_lines_and_names_the_bad(daemon: RunningDaemon) -> None:
    items = [
        {"message": "one", "hostname": "h1"},
        {"hostname": "h2"},
        {"message": "three", "hostname": "h3"},
    ]
    lines = "".join(json.dumps(item) + "\n" for item in items)
    with daemon.client("ingest") as client:
        answer = client.post(
            "/ingest", content=lines, headers={"Content-Type": "application/x-ndjson"}
        )
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 2
    assert [each["index"] for each in answer.json()["rejected"]] == [1]
    found = eventually(daemon.events, lambda events: len(events) == 2)
    assert {event["message"] for event in found} == {"one", "three"}
    assert not any(event["matched"] for event in found)


def test_a_malformed_datagram_is_counted_and_intake_goes_on(daemon: RunningDaemon) -> None:
    daemon.send_udp(b"\x30\x03\x02\x01", "snmp")
    daemon.send_udp(b"<999>no such PRI")
    event = the_event(daemon)
    assert event["malformed"]
    assert (event["facility"], event["severity"]) == (1, 5)
    assert "no such PRI" in event["message"]
    row = daemon.listener("snmp")
    assert (row["received"], row["refused"], row["queued"]) == (1, 1, 0)


def test_a_wrong_community_is_refused_and_counted(daemon: RunningDaemon) -> None:
    target = f"127.0.0.1:{daemon.ports['snmp']}"
    run("snmptrap", "-v2c", "-c", "guess", target, "99", LINK_DOWN)
    row = eventually(lambda: daemon.listener("snmp"), lambda row: row["refused"] == 1)
    assert row["refused_by_reason"] == {"refused": 1}
    assert daemon.events() == []
    assert not any("guess" in line for line in daemon.log)
