"""Several destinations of one daemon: routes, a signed JSON webhook, a reload."""

from __future__ import annotations

import hashlib
import hmac
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually, scripted_webhook

from muttd.cli import main

HMAC_KEY = "HMAC-SECRET-7"
TOKEN = "TOKEN-SECRET-8"
TEMPLATE = """
{"title": {{ description | tojson }}, "host": {{ source | tojson }},
 "level": "{{ severity_name }}", "id": {{ external_id | tojson }} }
"""


@pytest.fixture
def tickets() -> Iterator[ScriptedWebhook]:
    with scripted_webhook() as webhook:
        yield webhook


@pytest.fixture
def file(tmp_path: Path, tickets: ScriptedWebhook) -> Path:
    (tmp_path / "hmac").write_text(HMAC_KEY)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "body.j2").write_text(TEMPLATE)
    for secret in ("hmac", "token"):
        (tmp_path / secret).chmod(0o600)
    path = tmp_path / "destinations.yaml"
    path.write_text(
        f"""
destinations:
  - name: tickets
    type: webhook
    url: {tickets.url}
    hmac_key_file: {tmp_path}/hmac
    template: {tmp_path}/body.j2
    headers: {{X-Tenant: noc}}
    secret_headers: {{X-Token: {tmp_path}/token}}
    teams: [SRE]
"""
    )
    return path


@pytest.fixture
def daemon(
    start_daemon: Callable[..., RunningDaemon], webhook: ScriptedWebhook, file: Path
) -> RunningDaemon:
    daemon = start_daemon(
        MUTTD_MOOG_WEBHOOK_URL=webhook.url,
        MUTTD_MOOG_HEADERS="X-Site=north",
        MUTTD_MOOG_BACKOFF_BASE_S="0.05",
        MUTTD_MOOG_BACKOFF_CAP_S="0.2",
        MUTTD_DESTINATIONS_FILE=str(file),
    )
    daemon.post("/api/v2/rules", a_rule())
    sre = a_rule(name="sre", match_string="disk", team_assignment="SRE", priority=5)
    daemon.post("/api/v2/rules", sre)
    named = a_rule(name="named", match_string="fan", destination="tickets", priority=6)
    daemon.post("/api/v2/rules", named)
    eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"], lambda active: active == 3)
    return daemon


def raise_alert(daemon: RunningDaemon, text: str) -> None:
    daemon.post("/ingest", {"message": text, "hostname": "sw1"})


def test_alerts_go_where_their_rule_or_their_team_says(
    daemon: RunningDaemon, webhook: ScriptedWebhook, tickets: ScriptedWebhook
) -> None:
    for text in ("LINK-3-UPDOWN one", 'disk "full"', "fan 2 stopped"):
        raise_alert(daemon, text)
    eventually(lambda: len(tickets.accepted), lambda count: count == 2)
    eventually(lambda: len(webhook.accepted), lambda count: count == 1)
    assert webhook.accepted[0].body["description"] == "LINK-3-UPDOWN one"
    assert webhook.accepted[0].headers["X-Site"] == "north"
    titles = {call.body["title"] for call in tickets.accepted}
    assert titles == {'disk "full"', "fan 2 stopped"}


def test_a_webhook_can_prove_who_sent_it(daemon: RunningDaemon, tickets: ScriptedWebhook) -> None:
    raise_alert(daemon, 'disk "full" é')
    [call] = eventually(lambda: tickets.calls)
    stamp, mac = call.headers["X-Muttd-Signature"].split(",")
    at = stamp.removeprefix("t=")
    signed = hmac.new(HMAC_KEY.encode(), f"{at}.".encode() + call.octets, hashlib.sha256)
    assert mac == f"v1={signed.hexdigest()}"
    assert call.headers["Idempotency-Key"] == call.body["id"]
    assert (call.headers["X-Tenant"], call.headers["X-Token"]) == ("noc", TOKEN)
    shown = daemon.get("/api/v2/alerts")
    said = [*daemon.log, str(shown), str(daemon.get("/api/v2/status"))]
    with daemon.client() as client:
        said.append(client.get("/metrics").text)
    assert not [line for line in said if HMAC_KEY in line or TOKEN in line]


def test_one_destination_that_is_down_delays_no_other(
    daemon: RunningDaemon, webhook: ScriptedWebhook, tickets: ScriptedWebhook
) -> None:
    webhook.answer = lambda call: (503, {}, "")
    for n in range(5):
        raise_alert(daemon, f"LINK-3-UPDOWN {n}")
        raise_alert(daemon, f"disk {n}")
    eventually(lambda: len(tickets.accepted), lambda count: count == 5)
    rows = {row["name"]: row for row in daemon.get("/api/v2/status")["destinations"]}
    assert rows["moog"]["state"] in ("retrying", "open")
    assert (rows["moog"]["waiting"], rows["tickets"]["delivered"]) == (5, 5)


def test_a_reload_takes_another_destination_and_refuses_a_mistake(
    daemon: RunningDaemon, webhook: ScriptedWebhook, tickets: ScriptedWebhook, file: Path
) -> None:
    whole = file.read_text()
    file.write_text(whole + "    nonsense: 1\n")
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: [line for line in daemon.log if "nothing changed" in line])
    raise_alert(daemon, "disk 1")
    eventually(lambda: len(tickets.accepted), lambda count: count == 1)
    file.write_text("destinations: []\n")
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: [line for line in daemon.log if "destinations read" in line])
    raise_alert(daemon, "disk 2")
    raise_alert(daemon, "fan 2 stopped")
    eventually(lambda: len(webhook.accepted), lambda count: count == 2)
    warnings = eventually(
        lambda: daemon.get("/api/v2/status")["warnings"],
        lambda lines: any("'tickets', which is not configured" in line for line in lines),
    )
    assert warnings
    file.write_text(whole)
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(daemon.get("/api/v2/status")["destinations"]), lambda n: n == 2)
    raise_alert(daemon, "disk 3")
    eventually(lambda: len(tickets.accepted), lambda count: count == 2)


def test_check_config_names_every_mistake_of_the_file(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "body.j2").write_text('{"title": {{ nonsense }} }')
    file.write_text(file.read_text() + "default: nobody\n")
    environ = {"MUTTD_DESTINATIONS_FILE": str(file)}
    assert main(["check-config"], environ) == 78
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        "tickets: template: UndefinedError: 'nonsense' is undefined",
        "default names none of them: tickets",
    ]


def test_a_held_destination_is_tried_at_once_when_its_key_changes(
    start_daemon: Callable[..., RunningDaemon], webhook: ScriptedWebhook, tmp_path: Path
) -> None:
    key_file = tmp_path / "moog.key"
    key_file.write_text("OLD-KEY")
    key_file.chmod(0o600)
    webhook.answer = lambda call: (
        (200, {}, "") if call.headers["Authorization"] == "Bearer NEW-KEY" else (401, {}, "who?")
    )
    daemon = start_daemon(
        MUTTD_MOOG_WEBHOOK_URL=webhook.url,
        MUTTD_MOOG_API_KEY_FILE=str(key_file),
        MUTTD_MOOG_BACKOFF_CAP_S="3600",
    )
    daemon.post("/api/v2/rules", a_rule())
    eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"])
    raise_alert(daemon, "LINK-3-UPDOWN one")
    raise_alert(daemon, "LINK-3-UPDOWN two")
    eventually(lambda: daemon.get("/api/v2/status")["forwarder"]["state"], lambda s: s == "held")
    assert len(webhook.calls) == 1
    key_file.write_text("NEW-KEY")
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(webhook.accepted), lambda count: count == 2)
    assert daemon.get("/api/v2/dead-letters")["dead_letters"] == []
