"""A host with a real firewalld, and a neighbour on its wire: two network namespaces and a veth.

    neighbour 10.9.0.2 ----- veth ----- 10.9.0.1 the host: dbus-daemon, firewalld, its own /run

Settings of firewalld are in a directory of the test's, which the host sees as /etc/firewalld.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from running_daemon import eventually

IS_REQUIRED = "firewalld" in os.environ.get("MUTTD_TEST_REQUIRE", "")
CAN_RUN = os.geteuid() == 0 and all(
    shutil.which(tool) for tool in ("firewalld", "firewall-offline-cmd", "dbus-daemon", "ip")
)
WHY_NOT = "root, firewalld and dbus-daemon are needed (Debian: apt-get install firewalld)"

HOST, NEIGHBOUR = "10.9.0.1", "10.9.0.2"
# One port of each protocol that no service opens shows that the firewall is up at all.
TCP, UDP = (514, 6514, 8080, 9999), (162, 514, 9998)

_HOST = 'mount -t tmpfs tmpfs /run && mkdir /run/dbus && mount --bind "$1" /etc/firewalld'
_WAIT = "echo ready; read -r _"

# Answers everything, for as long as its standard input is open.
_ECHO = """
import json, selectors, socket, sys
tcp, udp = json.loads(sys.argv[1])
ready = selectors.DefaultSelector()
ready.register(sys.stdin, selectors.EVENT_READ)
kept = []
for kind, ports in ((socket.SOCK_STREAM, tcp), (socket.SOCK_DGRAM, udp)):
    for port in ports:
        sock = socket.socket(socket.AF_INET, kind)
        sock.bind(("0.0.0.0", port))
        if kind == socket.SOCK_STREAM:
            sock.listen()
        else:
            ready.register(sock, selectors.EVENT_READ)
        kept.append(sock)
print("bound", flush=True)
while True:
    for key, _ in ready.select():
        if key.fileobj is sys.stdin:
            raise SystemExit
        octets, peer = key.fileobj.recvfrom(99)
        key.fileobj.sendto(octets, peer)
"""

_REACH = """
import json, socket, sys
host, tcp, udp = json.loads(sys.argv[1])
found = []
for port in tcp:
    try:
        socket.create_connection((host, port), 2).close()
        found.append(f"{port}/tcp")
    except OSError:
        pass
for port in udp:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        sock.connect((host, port))
        sock.send(b"hello")
        try:
            sock.recv(99)
            found.append(f"{port}/udp")
        except OSError:
            pass
print(json.dumps(found))
"""


class FirewalledHost:
    """The host, its neighbour, and what the one may reach of the other.

    Args:
        host: The process whose namespaces are the host's.
        neighbour: The process whose network namespace is the neighbour's.
    """

    def __init__(self, host: int, neighbour: int) -> None:
        self._enter = ["nsenter", "-t", str(host), "-n", "-m"]
        self._enter_neighbour = ["nsenter", "-t", str(neighbour), "-n"]

    def run(self, *command: str) -> str:
        """Run a command on the host; its output. It must succeed."""
        return _checked([*self._enter, *command])

    def running(self, *command: str) -> subprocess.Popen[str]:
        """Start a command on the host."""
        return subprocess.Popen(
            [*self._enter, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def can(self, *command: str) -> bool:
        """Whether a command succeeds on the host."""
        done = subprocess.run([*self._enter, *command], capture_output=True, check=False)
        return done.returncode == 0

    def reachable(self) -> set[str]:
        """The ports of the host that answer the neighbour."""
        argv = [*self._enter_neighbour, sys.executable, "-c", _REACH, json.dumps([HOST, TCP, UDP])]
        found: list[str] = json.loads(_checked(argv))
        return set(found)


@contextmanager
def firewalled_host(etc: Path) -> Iterator[FirewalledHost]:
    """A host whose firewalld is up, and on which every port of TCP and UDP is listened to.

    Args:
        etc: What is its /etc/firewalld.
    """
    with ExitStack() as stack:
        keeper = stack.enter_context(_namespaces("-nm", f"{_HOST} && {_WAIT}", str(etc)))
        other = stack.enter_context(_namespaces("-n", _WAIT))
        host = FirewalledHost(keeper, other)
        host.run("ip", "link", "set", "lo", "up")
        peer = ("peer", "name", "wire", "netns", str(other))
        host.run("ip", "link", "add", "wire", "type", "veth", *peer)
        for process, address in ((keeper, HOST), (other, NEIGHBOUR)):
            enter = ["nsenter", "-t", str(process), "-n", "ip"]
            _checked([*enter, "address", "add", f"{address}/24", "dev", "wire"])
            _checked([*enter, "link", "set", "wire", "up"])
        stack.enter_context(_kept(host.running("dbus-daemon", "--system", "--nofork")))
        eventually(lambda: host.can("test", "-S", "/run/dbus/system_bus_socket"))
        firewalld = ("firewalld", "--nofork", "--nopid", "--log-target", "console")
        stack.enter_context(_kept(host.running(*firewalld)))
        eventually(lambda: host.can("firewall-cmd", "--state"))
        echo = host.running(sys.executable, "-c", _ECHO, json.dumps([TCP, UDP]))
        stack.enter_context(_kept(echo))
        assert echo.stdout is not None
        assert echo.stdout.readline() == "bound\n"
        yield host


@contextmanager
def _namespaces(flags: str, script: str, *arguments: str) -> Iterator[int]:
    """A shell in namespaces of its own, until its standard input ends; its process id."""
    process = subprocess.Popen(
        ["unshare", flags, "sh", "-c", script, "sh", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid


@contextmanager
def _kept(process: subprocess.Popen[str]) -> Iterator[None]:
    with process:
        try:
            yield
        finally:
            process.terminate()
            process.communicate()


def _checked(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout
