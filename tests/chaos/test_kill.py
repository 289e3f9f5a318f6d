"""kill -9 under load: nothing acknowledged is missing, no effect is doubled."""

from __future__ import annotations

import random
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually

pytestmark = pytest.mark.chaos

KILLS = 10


def text_of(number: int) -> str:
    """One in ten raises an alert."""
    return f"http {number} LINK-3-UPDOWN" if number % 10 == 0 else f"http {number}"


class HttpSender(threading.Thread):
    """Posts numbered events; remembers which were answered with 200."""

    def __init__(self, daemon: RunningDaemon, first: int) -> None:
        super().__init__(daemon=True)
        self._daemon_under_test = daemon
        self._next = first
        self.acknowledged: list[str] = []

    @property
    def next_number(self) -> int:
        return self._next

    def run(self) -> None:
        with self._daemon_under_test.client("ingest") as client:
            while True:
                numbers = range(self._next, self._next + 5)
                self._next += 5
                texts = [text_of(n) for n in numbers]
                body = [
                    {"message": text, "hostname": f"h{n % 7}"}
                    for n, text in zip(numbers, texts, strict=True)
                ]
                try:
                    answer = client.post("/ingest", json=body)
                except httpx.HTTPError:
                    return
                if answer.status_code == 200:
                    self.acknowledged += texts


class InformSender(threading.Thread):
    """Sends numbered informs with net-snmp; exit code 0 means that it was answered."""

    def __init__(self, daemon: RunningDaemon, first: int) -> None:
        super().__init__(daemon=True)
        self._target = f"127.0.0.1:{daemon.ports['snmp']}"
        self._next = first
        self.acknowledged: list[str] = []

    @property
    def next_number(self) -> int:
        return self._next

    def run(self) -> None:
        while True:
            number = self._next
            self._next += 1
            done = subprocess.run(
                ["snmpinform", "-v2c", "-c", "public", "-r", "0", "-t", "1", self._target, "1",
                 "1.3.6.1.6.3.1.1.5.4", "1.3.6.1.2.1.2.2.1.1.1", "i", str(number)],
                capture_output=True, check=False,
            )  # fmt: skip
            if done.returncode:
                return
            self.acknowledged.append(f"ifIndex.1={number}")


def flood_udp(port: int, count: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for n in range(count):
            sock.sendto(b"<13>Oct 11 22:14:15 flood app: %d" % n, ("127.0.0.1", port))


def active_rules(daemon: RunningDaemon) -> int:
    active: int = daemon.get("/api/v2/status")["rules"]["active"]
    return active


def stored_messages(daemon: RunningDaemon) -> Counter[str]:
    """Every stored message by how often it is there, read through the cursor."""
    found: Counter[str] = Counter()
    cursor: str | None = None
    while True:
        page = daemon.get("/api/v2/events", limit=200, **({"cursor": cursor} if cursor else {}))
        found.update(event["message"] for event in page["events"])
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def test_kill_nine_ten_times_under_load_loses_nothing_acknowledged_and_doubles_nothing(
    start_daemon: Callable[..., RunningDaemon], webhook: ScriptedWebhook, tmp_path: Path
) -> None:
    settings = {
        "MUTTD_MOOG_WEBHOOK_URL": webhook.url,
        "MUTTD_MOOG_RATE_LIMIT": "2000",
        "MUTTD_MOOG_BACKOFF_CAP_S": "1",
    }
    acknowledged: list[str] = []
    numbers = (0, 0)
    pause = threading.Event()
    dice = random.Random(7)
    for life in range(KILLS):
        daemon = start_daemon(**settings)
        if life == 0:
            daemon.post("/api/v2/rules", a_rule())
            eventually(partial(active_rules, daemon))
        http, inform = HttpSender(daemon, numbers[0]), InformSender(daemon, numbers[1])
        http.start()
        inform.start()
        flood_udp(daemon.ports["syslog_udp"], 500)
        pause.wait(dice.uniform(0.2, 1.0))
        daemon.kill()
        http.join(30)
        inform.join(30)
        acknowledged += http.acknowledged + inform.acknowledged
        numbers = (http.next_number, inform.next_number)
    daemon = start_daemon(**settings)
    daemon.wait_idle()
    stored = stored_messages(daemon)
    assert acknowledged
    everything = " ".join(stored)
    missing = [text for text in acknowledged if text not in stored and text not in everything]
    assert missing == []
    doubled = [text for text, count in stored.items() if text.startswith("http") and count > 1]
    assert doubled == []
    assert_alerts_match_audit(
        daemon, webhook, [text for text in acknowledged if "LINK-3-UPDOWN" in text]
    )


def assert_alerts_match_audit(
    daemon: RunningDaemon, webhook: ScriptedWebhook, acknowledged: list[str]
) -> None:
    """Each audited event has one alert; a repeated call carries the same external_id."""
    eventually(
        lambda: daemon.get("/api/v2/status")["queue"]["alert"]["items"],
        lambda items: items == 0,
        within_s=60,
    )
    ids_by_text: dict[str, set[str]] = {}
    for call in webhook.accepted:
        ids_by_text.setdefault(call.body["description"], set()).add(call.body["external_id"])
    assert set(acknowledged) <= set(ids_by_text)
    assert [text for text, ids in ids_by_text.items() if len(ids) > 1] == []
    audited = daemon.get("/api/v2/audit-logs", limit=1)["pagination"]["total"]
    alerts = daemon.get("/api/v2/alerts", limit=1)["pagination"]["total"]
    assert audited == alerts
