"""The panels of the shipped dashboard, as Prometheus is asked for them."""

from __future__ import annotations

import json
import math

from prometheus_server import ROOT, Prometheus
from servers.certificates import KeyPair

DASHBOARD = ROOT / "etc" / "grafana" / "muttd.json"


def expressions() -> dict[str, str]:
    """Every panel's expressions, by its title and the query's letter; each variable at All."""
    found = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            text = target["expr"].replace("$job", ".+").replace("$instance", ".+")
            found[f"{panel['title']} {target['refId']}"] = text.replace("$__range", "5m")
    return found


def empty_panels(prometheus: Prometheus) -> list[str]:
    """Those that have no number to show now."""
    return [
        title
        for title, text in expressions().items()
        if all(math.isnan(value) for value in prometheus.values(text))
    ]


def listener_certificate(pair: KeyPair) -> dict[str, str]:
    """Settings of a daemon that has one certificate to show, and is scraped in the clear."""
    return {
        "MUTTD_SYSLOG_TLS": "[::]:0",
        "MUTTD_SYSLOG_TLS_CERT": str(pair.cert),
        "MUTTD_SYSLOG_TLS_KEY": str(pair.key),
    }
