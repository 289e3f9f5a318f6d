"""The daemon as a process: its start, its signals, its mistakes."""

from __future__ import annotations

import json
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually

pytestmark = pytest.mark.acceptance

Start = Callable[..., RunningDaemon]


def test_the_first_start_makes_keys_and_says_where_and_never_what(start_daemon: Start) -> None:
    daemon = start_daemon()
    for name in ("admin", "ingest"):
        path = daemon.state_dir / f"{name}.key"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert any(str(path) in line for line in daemon.log)
        assert not any(daemon.key(name) in line for line in daemon.log)
    again = daemon.key()
    daemon.terminate()
    assert start_daemon().key() == again


def test_configured_keys_are_the_only_ones(start_daemon: Start) -> None:
    daemon = start_daemon(MUTTD_ADMIN_API_KEY="a" * 40, MUTTD_INGEST_API_KEY="i" * 40)
    assert not (daemon.state_dir / "admin.key").exists()
    (daemon.state_dir / "admin.key").write_text("a" * 40)
    assert daemon.get("/api/v2/status")["daemon"]["state"] == "running"


def test_a_rule_is_in_force_within_a_second_and_gone_with_its_deletion(start_daemon: Start) -> None:
    daemon = start_daemon()
    rule = daemon.post("/api/v2/rules", a_rule())
    eventually(
        lambda: daemon.get("/api/v2/status")["rules"]["active"], lambda n: n == 1, within_s=1
    )
    daemon.post("/ingest", {"message": "LINK-3-UPDOWN", "hostname": "h"})
    eventually(lambda: daemon.events(matched="true"))
    with daemon.client() as client:
        assert client.delete(f"/api/v2/rules/{rule['id']}").status_code == 204
    eventually(
        lambda: daemon.get("/api/v2/status")["rules"]["active"], lambda n: n == 0, within_s=1
    )
    daemon.post("/ingest", {"message": "LINK-3-UPDOWN again", "hostname": "h"})
    eventually(lambda: daemon.events(matched="false"))
    [audited] = daemon.get("/api/v2/audit-logs")["logs"]
    assert (audited["rule_id"], audited["rule_revision"]) == (rule["id"], 1)


def test_a_development_host_gets_the_development_handling(
    start_daemon: Start, webhook: ScriptedWebhook
) -> None:
    daemon = start_daemon(MUTTD_MOOG_WEBHOOK_URL=webhook.url)
    daemon.post("/api/v2/rules", a_rule())
    daemon.post("/api/v2/dev-hosts", {"hostname": "lab-*"})
    eventually(lambda: daemon.get("/api/v2/status")["rules"]["revision"], lambda n: n >= 2)
    for host in ("LAB-1", "core-1"):
        daemon.post("/ingest", {"message": "LINK-3-UPDOWN", "hostname": host})
    found = eventually(daemon.events, lambda events: len(events) == 2)
    handling = {event["hostname"]: (event["environment"], event["handling"]) for event in found}
    assert handling == {"LAB-1": ("dev", "Log_only"), "core-1": ("prod", "Page_and_ticket")}
    eventually(lambda: len(webhook.accepted))
    assert [call.body["source"] for call in webhook.accepted] == ["core-1"]


def test_sighup_reads_the_webhooks_key_again(
    start_daemon: Start, webhook: ScriptedWebhook, tmp_path: Path
) -> None:
    key = tmp_path / "moog.key"
    key.write_text("first\n")
    key.chmod(0o600)
    daemon = start_daemon(MUTTD_MOOG_WEBHOOK_URL=webhook.url, MUTTD_MOOG_API_KEY_FILE=str(key))
    daemon.post("/api/v2/rules", a_rule())
    eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"])
    webhook.answer = lambda call: (
        (200, {}, "") if call.headers["Authorization"] == "Bearer second" else (403, {}, "")
    )
    daemon.post("/ingest", {"message": "LINK-3-UPDOWN", "hostname": "h"})
    eventually(lambda: daemon.get("/api/v2/status")["forwarder"]["state"], lambda s: s == "held")
    key.write_text("second\n")
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(webhook.accepted), lambda n: n == 1)
    assert not any("first" in line or "second" in line for line in daemon.log)


def test_sighup_with_a_mistake_in_the_settings_changes_nothing(
    start_daemon: Start, webhook: ScriptedWebhook, tmp_path: Path
) -> None:
    key = tmp_path / "moog.key"
    key.write_text("first\n")
    key.chmod(0o600)
    daemon = start_daemon(MUTTD_MOOG_WEBHOOK_URL=webhook.url, MUTTD_MOOG_API_KEY_FILE=str(key))
    key.unlink()
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: [line for line in daemon.log if "nothing changed" in line])
    assert daemon.get("/api/v2/status")["daemon"]["state"] == "running"


def test_sigusr1_logs_the_statistics(start_daemon: Start) -> None:
    daemon = start_daemon()
    daemon.process.send_signal(signal.SIGUSR1)
    [line] = eventually(lambda: [line for line in daemon.log if "statistics: " in line])
    assert json.loads(line.partition("statistics: ")[2])["queue"]["ingest"]["items"] == 0


def test_every_listener_can_be_off(start_daemon: Start) -> None:
    daemon = start_daemon(
        MUTTD_SYSLOG_UDP="off", MUTTD_SYSLOG_TCP="off", MUTTD_SNMP_UDP="off", MUTTD_HTTP="off"
    )
    assert daemon.ports == {}
    assert daemon.terminate() == 0


def test_a_listener_can_have_several_addresses(start_daemon: Start) -> None:
    daemon = start_daemon(MUTTD_SYSLOG_UDP="127.0.0.1:0, [::1]:0")
    daemon.send_udp(b"<13>Oct 11 22:14:15 h app: over the first")
    eventually(lambda: daemon.events(q="over the first"))
    assert daemon.listener("syslog_udp")["address"].count(":") >= 4


def test_a_mistake_in_the_settings_is_exit_78_and_names_all_of_them(launch_daemon: Start) -> None:
    daemon = launch_daemon(MUTTD_SYSLOG_UDP_PROT="1", MUTTD_HISTORY_DAYS="some")
    assert daemon.wait_exit() == 78
    said = "\n".join(daemon.log)
    assert "MUTTD_SYSLOG_UDP_PROT: no such setting" in said
    assert "MUTTD_HISTORY_DAYS: not a valid int" in said
    assert "Traceback" not in said


def test_a_file_that_is_no_database_is_exit_78(launch_daemon: Start, tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_text("not a database, and long enough to be looked at " * 100)
    daemon = launch_daemon(tmp_path)
    assert daemon.wait_exit() == 78
    assert "queue.db" in "\n".join(daemon.log)
    assert "Traceback" not in "\n".join(daemon.log)
