"""MUTTD_SOURCES_FILE from outside: who may send, reloaded without losing anything."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, eventually

from muttd.cli import main

pytestmark = pytest.mark.acceptance


def send(daemon: RunningDaemon, source_ip: str, *octets: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source_ip, 0))
        for each in octets:
            sock.sendto(each, ("127.0.0.1", daemon.ports["syslog_udp"]))


def reload(daemon: RunningDaemon, says: str) -> None:
    seen = len(daemon.log)
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: [line for line in daemon.log[seen:] if says in line])


def test_sources_are_denied_limited_and_disbelieved_and_read_again(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    path = tmp_path / "sources.conf"
    path.write_text("127.0.0.2 deny\n127.0.0.3 rate=0.001 burst=2\n127.0.0.4 trust_hostname=no\n")
    daemon = start_daemon(MUTTD_SOURCES_FILE=str(path))
    lines = [b"<13>Oct 11 22:14:15 claimed app: %d" % n for n in range(5)]
    for source_ip in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
        send(daemon, source_ip, *lines)
    row = eventually(lambda: daemon.listener("syslog_udp"), lambda row: row["queued"] == 7)
    assert row["refused_by_reason"] == {"source": 5, "rate": 3}
    daemon.wait_idle()
    hosts = {event["source_ip"]: event["hostname"] for event in daemon.events()}
    assert hosts == {"127.0.0.3": "claimed", "127.0.0.4": "127.0.0.4"}

    path.write_text("default allow\n127.0.0.2 dney\n")
    reload(daemon, f"nothing changed: MUTTD_SOURCES_FILE: {path}, line 2: there is no such word")
    path.write_text("default deny\n127.0.0.2 allow\n")
    reload(daemon, "reload: rules, ")
    send(daemon, "127.0.0.2", b"<13>now it may")
    eventually(lambda: daemon.events(q="now it may"))
    with socket.create_connection(("127.0.0.1", daemon.ports["syslog_tcp"])) as sock:
        assert sock.recv(1) == b""
    with daemon.client() as client:
        text = client.get("/metrics").text
    assert 'muttd_intake_denied_connections_total{listener="syslog_tcp"} 1.0' in text


def test_check_config_names_every_wrong_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sources.conf"
    path.write_text("10.0.0.0/8 zone=Nowhere\nhost-1 deny\n")
    assert main(["check-config"], {"MUTTD_SOURCES_FILE": str(path)}) == 78
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2].partition(", ")[2][:7] for line in said] == [
        "line 1:",
        "line 2:",
    ]
