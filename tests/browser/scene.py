"""A night in a network, for the pictures: what its devices say, and its rules."""

from __future__ import annotations

import math
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import trio
from running_daemon import RunningDaemon, ScriptedWebhook, WebhookCall, eventually
from visiting import wait_in_force

from muttd.store.sqlite import open_store
from muttd.store.volume import VolumeCell

_SEED = 20_27
_EVENTS = 1_200

# ruff: noqa: E501 -- lines of devices are as long as they are
# (weight, host, PRI, app, message). {} is a number that changes.
_LINES = [
    (9, "core-fra-1", 189, "", "%SYS-5-CONFIG_I: Configured from console by vty0 (10.1.0.{})"),
    (3, "core-fra-1", 187, "", "%LINK-3-UPDOWN: Interface GigabitEthernet0/{}, changed state to down"),
    (4, "core-fra-2", 189, "", "%LINEPROTO-5-UPDOWN: Line protocol on Vlan{}, changed state to up"),
    (2, "core-fra-2", 187, "", "%BGP-3-NOTIFICATION: sent to neighbor 192.0.2.{} 4/0 (hold time expired)"),
    (22, "fw-ams-1", 134, "", "%ASA-6-302013: Built outbound TCP connection {} for outside:198.51.100.7/443"),
    (9, "fw-ams-1", 132, "", "%ASA-4-106023: Deny tcp src outside:203.0.113.{}/51234 dst inside:10.4.0.8/22"),
    (14, "lb-ams-2", 134, "haproxy", "10.4.1.{}:51020 web/app-{} 0/0/1/12/13 200 4519 GET /api/orders"),
    (12, "db-lon-1", 86, "sshd", "Failed password for invalid user admin from 203.0.113.{} port 50022 ssh2"),
    (5, "db-lon-1", 30, "postgres", "checkpoint complete: wrote {} buffers (1.2%)"),
    (1, "db-lon-1", 2, "kernel", "EXT4-fs error (device sdb1): ext4_find_entry:{}: reading directory lblock 0"),
    (6, "app-lon-7", 14, "orders", "order {} shipped in 312 ms"),
    (4, "app-lon-7", 11, "orders", "payment gateway timed out after 30000 ms, order {}"),
    (3, "lab-sw-3", 187, "", "%LINK-3-UPDOWN: Interface FastEthernet0/{}, changed state to down"),
    (1, "ups-fra-1", 137, "upsd", "UPS on battery, {} minutes left"),
]  # fmt: skip

_RULES: list[dict[str, Any]] = [
    {
        "name": "Interface down",
        "match_type": "contains",
        "match_string": "LINK-3-UPDOWN",
        "prod_handling": "Page_and_ticket",
        "dev_handling": "Log_only",
        "team_assignment": "NETO",
        "priority": 10,
        "reason": "A core link that goes down pages whoever is on call.",
    },
    {
        "name": "Routing neighbour lost",
        "match_type": "regex",
        "match_string": r"%(BGP|OSPF)-\d-(NOTIFICATION|ADJCHG)",
        "prod_handling": "Page_only",
        "dev_handling": "Log_only",
        "team_assignment": "NETO",
        "priority": 20,
    },
    {
        "name": "Link traps",
        "match_type": "oid_prefix",
        "trap_oid": "1.3.6.1.6.3.1.1.5",
        "prod_handling": "Ticket_only",
        "dev_handling": "Log_only",
        "team_assignment": "NETO",
        "priority": 30,
    },
    {
        "name": "File system errors",
        "match_type": "contains",
        "match_string": "EXT4-fs error",
        "syslog_severity": 3,
        "severity_op": "at_least",
        "prod_handling": "Page_and_ticket",
        "dev_handling": "Email_only",
        "team_assignment": "DBA",
        "priority": 40,
    },
    {
        "name": "Payment timeouts",
        "match_type": "contains",
        "match_string": "payment gateway timed out",
        "prod_handling": "Ticket_only",
        "dev_handling": "Log_only",
        "team_assignment": "PAYMENTS",
    },
    {
        "name": "Connections built",
        "match_type": "contains",
        "match_string": "%ASA-6-302013",
        "host_pattern": "fw-*",
        "prod_handling": "Log_only",
        "dev_handling": "Ignore",
        "team_assignment": "SECOPS",
        "priority": 500,
        "reason": "Only counted: some twenty a second on a working day.",
    },
]

_TEAMS = {"core-*": "NETO", "fw-*": "SECOPS", "db-lon-1": "DBA", "10.4.0.0/16": "PLATFORM"}


def _answer(call: WebhookCall) -> tuple[int, dict[str, str], str]:
    """The receiver refuses what it knows no host of, so that something is given up."""
    if call.body["source"].startswith("ups-"):
        return 422, {}, '{"error":"unknown source"}'
    return 202, {}, "{}"


def lay_out(daemon: RunningDaemon, webhook: ScriptedWebhook) -> None:
    """Rules, hosts, teams and a bounded number of events, all decided and all sent."""
    webhook.answer = _answer
    for rule in _RULES:
        daemon.post("/api/v2/rules", rule)
    ups = {"name": "UPS on battery", "match_type": "contains", "match_string": "UPS on battery"}
    ups |= {"prod_handling": "Page_only", "dev_handling": "Log_only", "team_assignment": "DC-OPS"}
    added = daemon.post("/api/v2/rules", ups)
    with daemon.client() as client:
        change = {"priority": 5, "change_reason": "Before the links: power goes first."}
        client.put(f"/api/v2/rules/{added['id']}", json=change).raise_for_status()
        limit = {"value": 20, "change_reason": "The receiver is being moved."}
        client.put("/api/v2/config/moog_rate_limit", json=limit).raise_for_status()
        severity = {"severity": "warning", "change_reason": "Access ports flap all day."}
        client.put("/api/v2/trap-severities/1.3.6.1.6.3.1.1.5.4", json=severity).raise_for_status()
    daemon.post("/api/v2/keys", {"name": "night-shift", "role": "operator"})
    daemon.post("/api/v2/keys", {"name": "grafana", "role": "viewer"})
    daemon.post("/api/v2/dev-hosts", {"hostname": "lab-*"})
    daemon.post("/api/v2/dev-hosts", {"hostname": "10.9.0.0/16"})
    daemon.post("/api/v2/expected-sources", {"hostname": "fw-*", "expect_every_s": 300})
    for hostname, team in _TEAMS.items():
        daemon.post("/api/v2/teams", {"hostname": hostname, "team_assignment": team})
    wait_in_force(daemon)
    trio.run(_count_a_day, daemon.state_dir / "store.db")
    _send_events(daemon)
    _send_traps(daemon)
    daemon.wait_idle()
    eventually(
        lambda: daemon.get("/api/v2/status")["queue"]["alert"], lambda alerts: alerts["items"] == 0
    )


async def _count_a_day(store_file: Path) -> None:
    """What came before, as the chart shows it: a working day, its night, and one flood."""
    dice = random.Random(_SEED)
    now = int(time.time()) // 60
    cells = []
    for minute in range(now - 24 * 60, now - 1):
        by_day = 1 + math.cos((minute / 60 % 24 - 14) / 12 * math.pi)
        flood = 3 if 0 <= minute - (now - 400) < 40 else 1
        events = int((6 + 14 * by_day) * dice.uniform(0.7, 1.3) * flood)
        matched = events // 3
        for is_matched, count in ((True, matched), (False, events - matched)):
            cells.append(VolumeCell(minute=minute, severity=6, matched=is_matched, events=count))
    async with open_store(store_file, as_it_is=True) as store:
        await store.add_volume(cells)


def send_some(daemon: RunningDaemon, count: int, *, seed: int = _SEED) -> None:
    """So many lines of the night."""
    dice = random.Random(seed)
    weights = [line[0] for line in _LINES]
    for _, host, pri, app, message in dice.choices(_LINES, weights, k=count):
        text = message.replace("{}", str(dice.randrange(1, 250)))
        tag = f"{app}[{dice.randrange(200, 9000)}]: " if app else ""
        daemon.send_udp(f"<{pri}>Nov  3 03:12:07 {host} {tag}{text}".encode())


def _send_events(daemon: RunningDaemon) -> None:
    for part in range(6):
        send_some(daemon, _EVENTS // 6, seed=_SEED + part)
        daemon.wait_idle()
    daemon.send_udp(b"<999>no priority of this world, from a box nobody remembers")


def _send_traps(daemon: RunningDaemon) -> None:
    snmptrap = shutil.which("snmptrap")
    assert snmptrap is not None, "install the package snmp"
    port = daemon.ports["snmp"]
    for index in (3, 7):
        varbinds = [
            *("1.3.6.1.2.1.2.2.1.1." + str(index), "i", str(index)),
            *("1.3.6.1.2.1.2.2.1.2." + str(index), "s", f"GigabitEthernet0/{index}"),
            *("1.3.6.1.2.1.2.2.1.8." + str(index), "i", "2"),
        ]
        target = ["-v2c", "-c", "public", f"127.0.0.1:{port}", "", "1.3.6.1.6.3.1.1.5.3"]
        subprocess.run([snmptrap, *target, *varbinds], check=True, timeout=20)
