"""A real Prometheus with the shipped rules, which scrapes daemons every second.

    with prometheus_server(directory, [Target("muttd", daemon)]) as prometheus:
        prometheus.query("up")
        prometheus.fires("MuttdDown", job="muttd")      waits for it

The rules are as shipped, but for time: a minute of theirs is a second here, in every `for`, range
and offset alike. Thresholds, also those in seconds, are as shipped.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from running_daemon import RunningDaemon, eventually

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "etc" / "prometheus" / "muttd.rules.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"
TIME_FACTOR = 60
_UNITS_S = {"s": 1, "m": 60, "h": 3600}
# `for: 2m`, `[5m]`, `offset 15m`.
_DURATION = re.compile(r"(?P<before>\bfor: |\[|\boffset )(?P<count>\d+)(?P<unit>[smh])\b")
_SOCKET = re.compile(r"socket:\[(\d+)\]")

needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None
    and "prometheus" not in os.environ.get("MUTTD_TEST_REQUIRE", ""),
    reason="Prometheus is not installed (Debian: apt-get install prometheus)",
)


def quick_rules() -> str:
    """The shipped rules, with a second for every minute."""

    def shortened(match: re.Match[str]) -> str:
        seconds = int(match["count"]) * _UNITS_S[match["unit"]]
        assert seconds % TIME_FACTOR == 0, match[0]
        return f"{match['before']}{seconds // TIME_FACTOR}s"

    return _DURATION.sub(shortened, RULES.read_text())


def alert_rules() -> list[dict[str, Any]]:
    """Every alert that is shipped."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def runbook_links() -> set[str]:
    """The sections of the runbook, as the rules point at them."""
    titles = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    return {f"docs/runbook.md#{title.lower()}" for title in titles}


@dataclass(frozen=True, slots=True)
class Target:
    """A daemon to scrape, and the job it belongs to."""

    job: str
    daemon: RunningDaemon
    ca: Path | None = None

    def config(self) -> dict[str, Any]:
        """Its part of prometheus.yml."""
        config: dict[str, Any] = {
            "job_name": self.job,
            "scheme": self.daemon.scheme,
            "static_configs": [{"targets": [self.instance]}],
        }
        if self.ca is not None:
            config["tls_config"] = {"ca_file": str(self.ca)}
        return config

    @property
    def instance(self) -> str:
        """What Prometheus calls it."""
        return f"127.0.0.1:{self.daemon.ports['http']}"


class Prometheus:
    """A running one."""

    def __init__(self, port: int | None) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False)

    def get(self, path: str, **params: str) -> Any:
        """What an endpoint of its API answers."""
        return self._client.get(path, params=params).json().get("data")

    def query(self, expression: str) -> list[Any]:
        """An expression's value now."""
        result: list[Any] = self.get("/query", query=expression)["result"]
        return result

    def values(self, expression: str) -> list[float]:
        """The numbers alone."""
        return [float(each["value"][1]) for each in self.query(expression)]

    def alerts(self, name: str, **labels: str) -> list[dict[str, Any]]:
        """Alerts of that name with these labels, whatever their state."""
        wanted = {"alertname": name, **labels}
        found = self.get("/alerts")["alerts"]
        return [each for each in found if wanted.items() <= each["labels"].items()]

    def fires(self, name: str, **labels: str) -> None:
        """Wait until it fires, and look at what whoever is woken by it is told."""
        [alert] = eventually(
            lambda: [each for each in self.alerts(name, **labels) if each["state"] == "firing"],
            within_s=60,
        )
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert alert["annotations"]["runbook_url"] in runbook_links()
        summary = alert["annotations"]["summary"]
        assert summary
        # What a template leaves where there is no such label or no number.
        assert not re.search(r"<(no value|error)|NaN|: $", summary), summary

    def close(self) -> None:
        """Be gone."""
        self._client.close()


def _port_of(pid: int) -> int | None:
    # Prometheus does not tell which port it got.
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


@contextmanager
def prometheus_server(
    directory: Path, targets: Sequence[Target], rules: str | None = None
) -> Iterator[Prometheus]:
    """Scrape these daemons until the block ends; each was scraped when it begins.

    Args:
        directory: Of its own, and there.
        targets: One for each job.
        rules: Those in force; without any the quick ones.
    """
    (directory / "muttd.rules.yml").write_text(rules or quick_rules())
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["muttd.rules.yml"],
        "scrape_configs": [target.config() for target in targets],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            "--web.listen-address=127.0.0.1:0",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with ExitStack() as stack:
        stack.callback(process.wait)
        stack.callback(process.terminate)
        prometheus = Prometheus(eventually(lambda: _port_of(process.pid)))
        stack.callback(prometheus.close)
        # A rate needs two samples, and the first has to come before what it counts.
        eventually(
            lambda: prometheus.values("count(muttd_build_info)"),
            lambda values: values == [len(targets)],
        )
        yield prometheus
