"""A real rsyslog that takes lines on a port of its own and passes them on by mutual TLS.

send(lines) --TCP, LF--> rsyslogd --RFC 5425, octet counting, x509/name--> the daemon
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from servers.certificates import KeyPair

_ABSENT = shutil.which("rsyslogd") is None
# In CI (MUTTD_TEST_REQUIRE=rsyslog,...) what is missing is a failure.
_REQUIRED = "rsyslog" in os.environ.get("MUTTD_TEST_REQUIRE", "").split(",")
needs_rsyslog = pytest.mark.skipif(
    _ABSENT and not _REQUIRED, reason="rsyslogd is not here: install rsyslog and rsyslog-gnutls"
)

_CONFIG = """\
global(workDirectory="{directory}" maxMessageSize="8k" localHostname="rsyslog-1"
  DefaultNetstreamDriver="gtls"
  DefaultNetstreamDriverCAFile="{ca}"
  DefaultNetstreamDriverCertFile="{cert}"
  DefaultNetstreamDriverKeyFile="{key}")
module(load="imptcp")
main_queue(queue.type="LinkedList" queue.size="200000")
input(type="imptcp" address="127.0.0.1" port="{port}")
action(type="omfwd" target="127.0.0.1" port="{target}" protocol="tcp"
  TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format"
  StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name"
  StreamDriverPermittedPeers="localhost" action.resumeRetryCount="-1" action.resumeInterval="1")
"""


class RsyslogSender:
    """An rsyslogd that was started.

    Args:
        directory: Of its own, existing.
        target: Port of the daemon on 127.0.0.1.
        ca: Vouches for the daemon.
        own: What it shows.
    """

    def __init__(self, directory: Path, target: int, ca: KeyPair, own: KeyPair) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        config = directory / "rsyslog.conf"
        config.write_text(
            _CONFIG.format(
                directory=directory,
                ca=ca.cert,
                cert=own.cert,
                key=own.key,
                port=self.port,
                target=target,
            )
        )
        self.log_path = directory / "log"
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                ["rsyslogd", "-n", "-i", directory / "pid", "-f", config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def send(self, lines: Iterable[str]) -> None:
        """Give it lines; returns when it has taken them."""
        with self._connect() as sock:
            sock.sendall("".join(f"{line}\n" for line in lines).encode())

    def _connect(self) -> socket.socket:
        for _ in range(1000):
            try:
                return socket.create_connection(("127.0.0.1", self.port))
            except ConnectionRefusedError:
                assert self._process.poll() is None, self.log_path.read_text()
                # It has not bound its port yet; a connection that is refused takes no time.
                os.sched_yield()
        raise AssertionError(self.log_path.read_text())

    def kill(self) -> None:
        """End it; what it had not sent is lost."""
        self._process.kill()
        self._process.wait()


def a_line(number: int) -> str:
    """A message whose every field says which one it is."""
    pri = number % 192
    return (
        f"<{pri}>1 2026-10-11T22:14:{number % 60:02}.{number % 1000:03}Z host{number % 50}.example "
        f'app{number % 7} {number} ID{number % 3} [nr@32473 n="{number}" q="a \\"b\\" \\]"] '
        f"message {number}: grüße"
    )


def is_as_sent(event: dict[str, Any], number: int) -> bool:
    """Whether an event is that message, sent by the certificate of sender.example."""
    return (
        event["facility"] * 8 + event["severity"] == number % 192
        and event["event_time"].endswith(f":{number % 60:02}.{number % 1000:03}000Z")
        and event["hostname"] == f"host{number % 50}.example"
        and event["app_name"] == f"app{number % 7}"
        and event["procid"] == str(number)
        and event["msgid"] == f"ID{number % 3}"
        and event["structured_data"] == {"nr@32473": [["n", str(number)], ["q", 'a "b" ]']]}
        and event["message"] == f"message {number}: grüße"
        and event["transport"] == "syslog-tls"
        and event["attributes"] == {"tls_peer": "sender.example"}
        and event["malformed"] is None
    )


@contextmanager
def rsyslog_sender(
    directory: Path, target: int, ca: KeyPair, own: KeyPair
) -> Iterator[RsyslogSender]:
    """Run one until the block ends."""
    directory.mkdir()
    sender = RsyslogSender(directory, target, ca, own)
    try:
        yield sender
    finally:
        sender.kill()
