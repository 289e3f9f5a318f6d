"""An SNMPv3 listener on a real socket, with users of every level, and net-snmp beside it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import trio
import trio.testing
from prometheus_client import CollectorRegistry
from test_snmp_trap import LINK_DOWN, MIB
from test_syslog_tcp import MemorySink

from muttd.accounts import Accounts
from muttd.event import Event
from muttd.event_ids import EventIds
from muttd.listeners.bind import bind
from muttd.listeners.snmp_trap import Communities, SnmpTraps, TrapEvents
from muttd.listeners.udp import UdpSocket
from muttd.listeners.usm_metrics import UsmMetrics
from muttd.protocol.mib import MibInForce
from muttd.protocol.usm import Engine, Usm
from muttd.protocol.usm_users import parse_users
from muttd.sources import Sources

AUTHS = ("MD5", "SHA", "SHA-224", "SHA-256", "SHA-384", "SHA-512")


PRIVS = ("DES", "AES", "AES-192", "AES-256")


LEVELS: list[tuple[str, str]] = [
    ("", ""),
    *((auth, "") for auth in AUTHS),
    *((auth, priv) for auth in AUTHS for priv in PRIVS),
]


OURS = b"\x80\0\0\0\5ourselves..."


SENDER = bytes.fromhex("8000000001020304")


def user_name(auth: str, priv: str) -> str:
    return "-".join(filter(None, ("u", auth, priv))).lower()


def user_line(auth: str, priv: str) -> str:
    words = ["createUser", user_name(auth, priv)]
    words += [auth, "authpass12"] if auth else []
    words += [priv, "privpass12"] if priv else []
    return " ".join(words)


USERS = parse_users("\n".join(user_line(*level) for level in LEVELS), source="test")


BY_NAME = {user.name.decode(): user for user in USERS}
[CISCO] = parse_users("createUser cisco SHA authpass12 AES-256-C privpass12", source="test")


class Scene:
    """A listener that knows a user of every level, and a sender that is connected to it."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.receiver = UdpSocket(
            bind("::", 0, socket.SOCK_DGRAM).sock, receive_buffer_octets=1 << 20
        )
        self.sink = MemorySink()
        self.registry = CollectorRegistry()
        accounts = Accounts(self.registry)
        self.account = accounts["snmp"]
        # Started a day ago: an inform that is not synchronised is far out of our window.
        self.usm = Usm([*USERS, CISCO], Engine(OURS, 7, time.monotonic() - 86_400, 0))
        UsmMetrics(self.usm, self.registry)
        self.listener = SnmpTraps(
            self.receiver,
            TrapEvents(EventIds(), MibInForce(MIB), Sources()),
            Communities(["public"]),
            self.usm,
            self.sink,
            accounts,
        )
        self.serving = trio.CancelScope()
        nursery.start_soon(self._serve)
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.connect(("127.0.0.1", self.receiver.port))
        self.sender.setblocking(False)

    async def _serve(self) -> None:
        with self.serving:
            await self.listener.serve()

    async def wait(self, is_done: Callable[[], bool]) -> None:
        with trio.fail_after(20):
            while not is_done():
                await trio.lowlevel.checkpoint()

    async def wait_received(self, count: int) -> None:
        await self.wait(lambda: self.account.received >= count)

    async def wait_events(self, count: int) -> list[Event]:
        await self.wait(lambda: len(self.sink.events) >= count)
        assert len(self.sink.events) == count
        return self.sink.events

    async def wait_answer(self) -> bytes:
        with trio.fail_after(10):
            await trio.lowlevel.wait_readable(self.sender)
        return self.sender.recv(65_536)

    def nothing_answered(self) -> bool:
        try:
            self.sender.recv(65_536)
        except BlockingIOError:
            return True
        return False

    async def run(self, folder: Path, *command: str) -> int:
        """Run a sender of net-snmp; its exit code."""
        tool, *options = command
        words = [tool, "-v3", "-m", "", "-r", "0", "-t", "5", *options]
        words += [f"127.0.0.1:{self.receiver.port}", "372345", LINK_DOWN]
        words += ["1.3.6.1.2.1.2.2.1.1.3", "i", "3"]
        with trio.fail_after(20):
            done = await trio.run_process(
                words,
                check=False,
                capture_stderr=True,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "SNMP_PERSISTENT_DIR": str(folder)},
            )
        return done.returncode

    def stats(self) -> dict[str, float]:
        """muttd_snmp_usm_stats_total as Prometheus has it, without what is at zero."""
        return {
            sample.labels["counter"]: sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == "muttd_snmp_usm_stats_total" and sample.value
        }


def options_of(auth: str, priv: str, **other: str) -> list[str]:
    """How net-snmp is told a user and his passphrases."""
    level = "authPriv" if priv else "authNoPriv" if auth else "noAuthNoPriv"
    options = ["-u", other.get("user", user_name(auth, priv)), "-l", level]
    options += ["-a", auth, "-A", other.get("auth_pass", "authpass12")] if auth else []
    options += ["-x", priv, "-X", other.get("priv_pass", "privpass12")] if priv else []
    return options
