"""Rules and dashboard: checked by Prometheus' own tools, and by a real scrape of a real daemon."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from dashboard import DASHBOARD, empty_panels, listener_certificate
from prometheus_server import (
    RULES,
    Target,
    alert_rules,
    needs_prometheus,
    prometheus_server,
    runbook_links,
)
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually
from servers.certificates import TlsParty

pytestmark = needs_prometheus
PROMETHEUS, ALERTMANAGER = RULES.with_name("prometheus.yml"), RULES.with_name("alertmanager.yml")


@pytest.mark.parametrize(
    ("tool", "file"),
    [
        (("promtool", "check", "rules"), RULES),
        (("promtool", "check", "config"), PROMETHEUS),
        (("amtool", "check-config"), ALERTMANAGER),
    ],
)
def test_the_tools_of_prometheus_find_no_mistake(tool: tuple[str, ...], file: Path) -> None:
    done = subprocess.run([*tool, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("severity", "receiver"), [("page", "pager"), ("ticket", "tickets")])
def test_each_alert_goes_where_its_severity_says(severity: str, receiver: str) -> None:
    names = [rule["alert"] for rule in alert_rules() if rule["labels"]["severity"] == severity]
    assert names
    for name in names:
        command = ["amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}"]
        labels = [f"severity={severity}", f"alertname={name}", "job=muttd"]
        done = subprocess.run([*command, *labels], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [receiver]


def test_each_alert_fires_by_its_cause_and_none_without(tmp_path: Path) -> None:
    scenario = Path(__file__).with_name("muttd.rules.test.yml")
    text = scenario.read_text()
    assert {each["alert"] for each in alert_rules()} <= set(re.findall(r'alertname="(\w+)"', text))
    shutil.copy(RULES, tmp_path)
    shutil.copy(scenario, tmp_path)
    done = subprocess.run(
        ["promtool", "test", "rules", scenario.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_its_section_in_the_runbook() -> None:
    assert {each["annotations"]["runbook_url"] for each in alert_rules()} == runbook_links()


def test_each_alert_fires_in_a_test_that_causes_its_fault() -> None:
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("test_alerts_*.py"))
    fired = set(re.findall(r'\.fires\(\s*"(\w+)"', sources))
    assert fired == {each["alert"] for each in alert_rules()}


@pytest.mark.acceptance
def test_every_panel_and_every_rule_has_data_from_a_real_scrape(
    start_daemon: Callable[..., RunningDaemon],
    webhook: ScriptedWebhook,
    tls_party: TlsParty,
    tmp_path: Path,
) -> None:
    environ = listener_certificate(tls_party.server)
    daemon = start_daemon(MUTTD_MOOG_WEBHOOK_URL=webhook.url, **environ)
    with prometheus_server(tmp_path, [Target("muttd", daemon)], RULES.read_text()) as prometheus:
        daemon.post("/api/v2/rules", a_rule())
        eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"], lambda n: n == 1)
        for number in range(50):
            daemon.send_udp(b"<13>host: LINK-3-UPDOWN %d" % number)
        eventually(
            lambda: prometheus.values("sum(rate(muttd_forwarder_delivered_total[5m]))"),
            lambda values: values and values[0] > 0,
            within_s=60,
        )
        assert empty_panels(prometheus) == []
        shown = set(prometheus.get("/label/__name__/values"))
        used = set(re.findall(r"\bmuttd_\w+", RULES.read_text() + DASHBOARD.read_text()))
        assert used - shown == set()
        rules = prometheus.get("/rules")["groups"]
        faults = [
            rule["name"] for group in rules for rule in group["rules"] if rule.get("lastError")
        ]
        assert faults == []
