"""Sites that keep rsyslog and snmptrapd in front: what is shipped for them, by the real ones."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, eventually
from servers.rsyslog_sender import needs_rsyslog

pytestmark = pytest.mark.acceptance

ETC = Path(__file__).parents[2] / "etc"
needs_snmptrapd = pytest.mark.skipif(
    shutil.which("snmptrapd") is None
    and "snmptrapd" not in os.environ.get("MUTTD_TEST_REQUIRE", "").split(","),
    reason="snmptrapd is not installed (Debian: apt-get install snmptrapd)",
)


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def replaced(text: str, **changes: str) -> str:
    """The text with each of ours in place of theirs, all of which have to be in it."""
    for theirs, ours in changes.items():
        assert theirs in text, theirs
        text = text.replace(theirs, ours)
    return text


@contextmanager
def running(*command: str | Path, log: Path, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, **environ},
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def rsyslog_relay(directory: Path, target: int) -> Iterator[int]:
    """A real rsyslogd with our snippet and nothing else; the UDP port that it listens on."""
    directory.mkdir(exist_ok=True)
    snippet = (ETC / "rsyslog.d" / "99-muttd.conf").read_text()
    changes = {'target="collector.example.net" port="514"': f'target="127.0.0.1" port="{target}"'}
    changes['resumeInterval="5"'] = 'resumeInterval="1"'
    port = free_udp_port()
    config = directory / "rsyslog.conf"
    config.write_text(
        f'global(workDirectory="{directory}")\nmodule(load="imudp")\n'
        f'input(type="imudp" address="127.0.0.1" port="{port}")\n' + replaced(snippet, **changes)
    )
    command = ("rsyslogd", "-n", "-i", directory / "pid", "-f", config)
    check = subprocess.run(
        ["rsyslogd", "-N1", "-f", config], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stderr
    with running(*command, log=directory / "log"):
        wait_bound(port)
        yield port


def wait_bound(port: int) -> None:
    """Until a UDP socket of 127.0.0.1 has that port: proc(5), /proc/net/udp."""
    local = f"0100007F:{port:04X}"
    eventually(lambda: local in Path("/proc/net/udp").read_text())


def send(octets: bytes, port: int, source_ip: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source_ip, 0))
        sock.sendto(octets, ("127.0.0.1", port))


@needs_rsyslog
def test_what_rsyslog_relays_keeps_its_host(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    daemon = start_daemon()
    with rsyslog_relay(tmp_path / "rsyslog", daemon.ports["syslog_tcp"]) as port:
        send(b"<187>Oct 11 22:14:15 core-1 bgpd[77]: neighbour is gone", port, "127.0.0.1")
        send(
            b'<13>1 2026-10-11T22:14:15Z edge-2 app 5 ID7 [a@1 b="c"] structured', port, "127.0.0.1"
        )
        events = eventually(
            lambda: {each["hostname"]: each for each in daemon.events(transport="syslog-tcp")},
            lambda found: {"core-1", "edge-2"} <= set(found),
        )
    first, second = events["core-1"], events["edge-2"]
    assert (first["facility"], first["severity"]) == (23, 3)
    assert (first["app_name"], first["procid"], first["message"]) == (
        *("bgpd", "77", "neighbour is gone"),
    )
    assert (second["msgid"], second["structured_data"]) == ("ID7", {"a@1": [["b", "c"]]})
    assert second["message"] == "structured"
    assert first["malformed"] is second["malformed"] is None


@needs_rsyslog
def test_while_the_daemon_is_away_rsyslog_keeps_what_it_takes(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    daemon = start_daemon(state)
    address = f"127.0.0.1:{daemon.ports['syslog_tcp']}"
    with rsyslog_relay(tmp_path / "rsyslog", daemon.ports["syslog_tcp"]) as port:
        send(b"<13>Oct 11 22:14:15 core-1 app: before", port, "127.0.0.1")
        eventually(lambda: daemon.events(q="before"))
        assert daemon.terminate() == 0
        # The first one after the end goes into a connection that is closed: TCP says so too late.
        send(b"<13>Oct 11 22:14:15 core-1 app: sacrificed", port, "127.0.0.1")
        for number in range(50):
            send(b"<13>Oct 11 22:14:15 core-1 app: kept %d" % number, port, "127.0.0.1")
        again = start_daemon(state, MUTTD_SYSLOG_TCP=address)
        eventually(lambda: len(again.events(q="kept")), lambda count: count == 50, within_s=40.0)


@contextmanager
def snmptrapd_relay(directory: Path, daemon: RunningDaemon) -> Iterator[int]:
    """A real snmptrapd with our configuration and program; the UDP port that it listens on."""
    directory.mkdir()
    key = directory / "ingest.key"
    key.write_text(daemon.key("ingest") + "\n")
    key.chmod(0o600)
    changes = {
        "/usr/local/sbin/muttd-trap": str(ETC / "snmp" / "muttd-trap"),
        "http://collector.example.net:8080": daemon.url,
        "/etc/snmp/muttd-ingest.key": str(key),
    }
    config = directory / "snmptrapd.conf"
    config.write_text(replaced((ETC / "snmp" / "snmptrapd.conf").read_text(), **changes))
    port = free_udp_port()
    command = ("snmptrapd", "-f", "-Lo", "-C", "-c", config, "-p", directory / "pid")
    with running(
        *command,
        f"udp:127.0.0.1:{port}",
        log=directory / "log",
        SNMP_PERSISTENT_DIR=str(directory),
    ):
        wait_bound(port)
        yield port
    log = (directory / "log").read_text()
    assert "Warning" not in log, log


def snmptrap(*arguments: str) -> None:
    subprocess.run(["snmptrap", *arguments], check=True, capture_output=True)


@needs_snmptrapd
def test_what_snmptrapd_relays_keeps_its_host_its_oid_and_no_community(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    daemon = start_daemon()
    text = 'a "quoted"\nname\\with a tab\t'
    with ExitStack() as stack:
        port = stack.enter_context(snmptrapd_relay(tmp_path / "snmptrapd", daemon))
        to = f"127.0.0.1:{port}"
        v2c = ("-v", "2c", "-c", "public", "--clientaddr=127.0.0.9", to, "", "1.3.6.1.6.3.1.1.5.3")
        snmptrap(*v2c, "1.3.6.1.2.1.2.2.1.1.3", "i", "3", "1.3.6.1.2.1.2.2.1.2.3", "s", text)
        v1 = ("-v", "1", "-c", "public", to, "1.3.6.1.4.1.9", "10.9.8.7", "6", "33", "77")
        snmptrap(*v1, "1.3.6.1.2.1.2.2.1.1.4", "i", "4")
        events = eventually(
            lambda: {each["hostname"]: each for each in daemon.events()},
            lambda found: {"127.0.0.9", "10.9.8.7"} <= set(found),
        )
    second, first = events["127.0.0.9"], events["10.9.8.7"]
    assert second["trap_oid"] == "1.3.6.1.6.3.1.1.5.3"
    values = {each["oid"]: each["value"] for each in second["varbinds"]}
    assert values["1.3.6.1.2.1.2.2.1.1.3"] == "3"
    assert values["1.3.6.1.2.1.2.2.1.2.3"] == text
    assert first["trap_oid"] == "1.3.6.1.4.1.9.0.33"
    assert "1.3.6.1.2.1.2.2.1.1.4" in {each["oid"] for each in first["varbinds"]}
    for event in (first, second):
        assert "public" not in str(event)


@needs_snmptrapd
def test_a_trap_that_nobody_takes_is_not_lost_in_silence(tmp_path: Path) -> None:
    """A logger of our own stands for syslog: what matters is that it is told, and what."""
    told, key = tmp_path / "told", tmp_path / "key"
    key.write_text("k" * 20)
    (tmp_path / "logger").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}\n')
    (tmp_path / "logger").chmod(0o755)
    given = (
        "host\nUDP: [192.0.2.7]:1->[192.0.2.1]:162\n.1.3.6.1.6.3.1.1.4.1.0 .1.3.6.1.6.3.1.1.5.1\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()[1]
    subprocess.run(
        [ETC / "snmp" / "muttd-trap", f"http://127.0.0.1:{nobody}", key],
        input=given.encode(),
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
    assert '"hostname":"192.0.2.7","trap_oid":"1.3.6.1.6.3.1.1.5.1"' in told.read_text()
    assert "k" * 20 not in told.read_text()
