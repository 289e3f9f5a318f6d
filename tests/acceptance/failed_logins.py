"""A daemon that is knocked at: failed logins that differ in all that an attacker can vary."""

from __future__ import annotations

import random
from typing import Any

from running_daemon import RunningDaemon, ScriptedWebhook

UNHANDLED = "unhandled events"


def knock(daemon: RunningDaemon, count: int, *, seed: int = 1) -> None:
    """Send failed logins of one host by UDP; they differ in PID, port, user and address."""
    source = random.Random(seed)
    for _ in range(count):
        address = ".".join(str(source.randrange(1, 255)) for _ in range(4))
        user = source.choice(["root", "bob", "admin", "x" * source.randrange(1, 9)])
        text = (
            f"<84>Oct 11 22:14:15 gate1 sshd[{source.randrange(1, 99_999)}]: Failed password for"
            f" invalid user {user} from {address} port {source.randrange(1024, 65536)} ssh2"
        )
        daemon.send_udp(text.encode())


def meta_alerts(webhook: ScriptedWebhook) -> list[dict[str, Any]]:
    """The bodies of meta-alerts that the webhook took."""
    return [
        call.body for call in webhook.accepted if call.body["custom_info"]["rule_name"] == UNHANDLED
    ]
