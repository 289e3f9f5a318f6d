"""net-snmp's snmptrap and snmpinform send, we read and answer. Debian: snmp; RHEL: net-snmp-utils.

Real sockets on 127.0.0.1, port chosen by the kernel, nothing but the parser between.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from trap_corpus import shipped_mib

from muttd.protocol.snmp import Notification, Pdu, Version, parse_notification
from muttd.protocol.snmp_encode import encode_response
from muttd.protocol.snmp_text import describe

_ABSENT = shutil.which("snmptrap") is None or shutil.which("snmpinform") is None
# In CI (MUTTD_TEST_REQUIRE=snmp,...) what is missing is a failure.
_REQUIRED = "snmp" in os.environ.get("MUTTD_TEST_REQUIRE", "").split(",")

pytestmark = pytest.mark.skipif(
    _ABSENT and not _REQUIRED, reason="snmptrap is not here: install snmp (net-snmp-utils on RHEL)"
)

_LINK = [
    *("1.3.6.1.2.1.2.2.1.1.3", "i", "3"),
    *("1.3.6.1.2.1.2.2.1.2.3", "s", "Gi0/3"),
    *("1.3.6.1.2.1.2.2.1.8.3", "i", "2"),
]
_WORDS = "ifIndex.3=3 ifDescr.3=Gi0/3 ifOperStatus.3=down(2)"


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(20)
        yield sock


def start(peer: socket.socket, folder: Path, *command: str) -> subprocess.Popen[bytes]:
    tool, version, *arguments = command
    target = f"127.0.0.1:{peer.getsockname()[1]}"
    return subprocess.Popen(
        # No MIBs: none are installed, and they would only change what it prints.
        [tool, version, "-c", "public", "-m", "", "-r", "1", "-t", "10", target, *arguments],
        env={**os.environ, "SNMP_PERSISTENT_DIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def sent(peer: socket.socket, folder: Path, *command: str) -> Notification:
    with start(peer, folder, *command) as process:
        octets = peer.recv(65_536)
        assert process.wait(20) == 0
    return parse_notification(octets)


def test_snmptrap_v1_is_read_and_normalised(peer: socket.socket, tmp_path: Path) -> None:
    about = ("1.3.6.1.4.1.9.1.516", "192.0.2.7", "2", "0", "372345")
    notification = sent(peer, tmp_path, "snmptrap", "-v1", *about, *_LINK)
    assert notification.version is Version.V1
    assert notification.community == b"public"
    assert notification.trap_oid == "1.3.6.1.6.3.1.1.5.3"
    assert notification.host_address == "192.0.2.7"
    assert notification.sys_up_time == 372_345
    assert describe(notification, shipped_mib()).message == (
        f"IF-MIB::linkDown {_WORDS} snmpTrapAddress.0=192.0.2.7 "
        "snmpTrapEnterprise.0=CISCO-SMI::ciscoProducts.516"
    )


def test_snmptrap_v2c_is_read(peer: socket.socket, tmp_path: Path) -> None:
    about = ("372345", "1.3.6.1.6.3.1.1.5.3")
    notification = sent(peer, tmp_path, "snmptrap", "-v2c", *about, *_LINK)
    assert notification.pdu is Pdu.TRAP_V2
    assert describe(notification, shipped_mib()).message == f"IF-MIB::linkDown {_WORDS}"


def test_every_type_that_snmptrap_can_send_is_read(peer: socket.socket, tmp_path: Path) -> None:
    types = {
        "i": ("-5", "INTEGER", "-5"),
        "u": ("4294967295", "Gauge32", "4294967295"),
        "c": ("4294967295", "Counter32", "4294967295"),
        "C": ("18446744073709551615", "Counter64", "18446744073709551615"),
        "s": ("a text", "OCTET STRING", "a text"),
        "x": ("00ff", "OCTET STRING", "0x00ff"),
        "d": ("1.255", "OCTET STRING", "0x01ff"),
        "n": ("", "NULL", "NULL"),
        "o": ("1.3.6.1.6.3.1.1.5.4", "OBJECT IDENTIFIER", "IF-MIB::linkUp"),
        "t": ("100", "TimeTicks", "0:00:01.00 (100)"),
        "a": ("192.0.2.1", "IpAddress", "192.0.2.1"),
        "F": ("21.3", "Opaque", "21.3"),
        "D": ("-0.125", "Opaque", "-0.125"),
    }
    arguments = []
    for number, (letter, (value, _, _)) in enumerate(types.items()):
        arguments += [f"1.3.6.1.4.1.424242.1.{number}", letter, value]
    about = ("0", "1.3.6.1.4.1.424242.0.1")
    notification = sent(peer, tmp_path, "snmptrap", "-v2c", *about, *arguments)
    varbinds = describe(notification, shipped_mib()).varbinds[2:]
    assert [(v.type, v.value) for v in varbinds] == [
        (syntax, text) for _, syntax, text in types.values()
    ]


def test_snmpinform_is_content_with_our_response(peer: socket.socket, tmp_path: Path) -> None:
    arguments = ("snmpinform", "-v2c", "372345", "1.3.6.1.6.3.1.1.5.3", *_LINK)
    with start(peer, tmp_path, *arguments) as process:
        octets, address = peer.recvfrom(65_536)
        notification = parse_notification(octets)
        assert notification.pdu is Pdu.INFORM
        peer.sendto(encode_response(notification), address)
        assert process.wait(20) == 0
