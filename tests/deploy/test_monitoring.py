"""Rules and dashboard: checked by Prometheus' own tools, and by a real scrape of a real daemon."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "etc" / "prometheus" / "muttd.rules.yml"
DASHBOARD = ROOT / "etc" / "grafana" / "muttd.json"
_SOCKET = re.compile(r"socket:\[(\d+)\]")
IS_REQUIRED = "prometheus" in os.environ.get("MUTTD_TEST_REQUIRE", "")

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None and not IS_REQUIRED,
    reason="Prometheus is not installed (Debian: apt-get install prometheus)",
)


def alerts() -> list[dict[str, Any]]:
    """Every alert declared."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def expressions() -> dict[str, str]:
    """Every panel's expressions, by title, with the dashboard's variables at "all"."""
    found = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            text = target["expr"].replace("$job", ".+").replace("$instance", ".+")
            found[f"{panel['title']} {target['refId']}"] = text.replace("$__range", "5m")
    return found


@pytest.mark.parametrize(
    ("tool", "file"),
    [
        (("promtool", "check", "rules"), RULES),
        (("promtool", "check", "config"), ROOT / "etc" / "prometheus" / "prometheus.yml"),
        (("amtool", "check-config"), ROOT / "etc" / "prometheus" / "alertmanager.yml"),
    ],
)
def test_the_tools_of_prometheus_find_no_mistake(tool: tuple[str, ...], file: Path) -> None:
    done = subprocess.run([*tool, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_by_its_cause_and_none_without(tmp_path: Path) -> None:
    scenario = Path(__file__).with_name("muttd.rules.test.yml")
    text = scenario.read_text()
    assert {each["alert"] for each in alerts()} <= set(re.findall(r'alertname="(\w+)"', text))
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
    page = (ROOT / "docs" / "runbook.md").read_text()
    anchors = {
        f"docs/runbook.md#{title.lower()}" for title in re.findall(r"^## (\w+)$", page, re.M)
    }
    assert {each["annotations"]["runbook_url"] for each in alerts()} == anchors


def port_of(pid: int) -> int | None:
    """Where a process listens: Prometheus does not tell which port it got."""
    links = Path(f"/proc/{pid}/fd").iterdir()
    inodes = {match[1] for link in links if (match := _SOCKET.fullmatch(_target_of(link)))}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        # 0A: it listens (proc(5)).
        if fields[3] == "0A" and fields[9] in inodes:
            return int(fields[1].rpartition(":")[2], 16)
    return None


def _target_of(link: Path) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:
        # Closed meanwhile.
        return ""


class Prometheus:
    """A real one, which scrapes every second."""

    def __init__(self, port: int | None) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False)

    def get(self, path: str, **params: str) -> Any:
        return self._client.get(path, params=params).json().get("data")

    def query(self, expression: str) -> list[Any]:
        result: list[Any] = self.get("/query", query=expression)["result"]
        return result

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def scraped(
    start_daemon: Callable[..., RunningDaemon], webhook: ScriptedWebhook, tmp_path: Path
) -> Iterator[tuple[RunningDaemon, Prometheus]]:
    """A daemon, and a Prometheus that has the shipped rules and scrapes it."""
    daemon = start_daemon(MUTTD_MOOG_WEBHOOK_URL=webhook.url)
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {
                "job_name": "muttd",
                "static_configs": [{"targets": [f"127.0.0.1:{daemon.ports['http']}"]}],
            }
        ],
    }
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={path}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            "--web.listen-address=127.0.0.1:0",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = eventually(lambda: port_of(process.pid), lambda port: port is not None)
        prometheus = Prometheus(port)
        yield daemon, prometheus
        prometheus.close()
    finally:
        process.terminate()
        process.wait()


@pytest.mark.acceptance
def test_every_panel_and_every_rule_has_data_from_a_real_scrape(
    scraped: tuple[RunningDaemon, Prometheus],
) -> None:
    daemon, prometheus = scraped
    # A rate needs two samples, and the first has to come before what it counts.
    eventually(lambda: prometheus.query("muttd_build_info"))
    daemon.post("/api/v2/rules", a_rule())
    eventually(lambda: daemon.get("/api/v2/status")["rules"]["active"], lambda n: n == 1)
    for number in range(50):
        daemon.send_udp(b"<13>host: LINK-3-UPDOWN %d" % number)
    eventually(
        lambda: prometheus.query("sum(rate(muttd_forwarder_delivered_total[5m]))"),
        lambda result: result and float(result[0]["value"][1]) > 0,
        within_s=60,
    )
    empty = [title for title, text in expressions().items() if not prometheus.query(text)]
    assert empty == []
    shown = set(prometheus.get("/label/__name__/values"))
    used = set(re.findall(r"\bmuttd_\w+", RULES.read_text() + DASHBOARD.read_text()))
    assert used - shown - {"muttd_tls_certificate_expiry_timestamp_seconds"} == set()
    rules = prometheus.get("/rules")["groups"]
    faults = [rule["name"] for group in rules for rule in group["rules"] if rule.get("lastError")]
    assert faults == []
