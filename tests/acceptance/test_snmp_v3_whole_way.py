"""SNMPv3 through the whole daemon: users from a file, restarts, thousands of engines, strangers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, eventually, resident_octets

from muttd.protocol.snmp import Pdu
from muttd.protocol.snmp_encode import about, encode_pdu
from muttd.protocol.snmp_v3 import Envelope, encode_message, encode_scoped
from muttd.protocol.usm_sender import PendingKey
from muttd.protocol.usm_users import UsmUser, parse_users

pytestmark = pytest.mark.acceptance

LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
USERS = """# Three users, however many devices.
createUser core SHA authpass12 AES privpass12
createUser edge SHA-256 authpass34 AES-256 privpass34
createUser "old gear" MD5 authpass56 DES privpass56
"""
SECRETS = [f"{kind}pass{number}" for kind in ("auth", "priv") for number in (12, 34, 56, 78)]
ENGINES = 5000


@pytest.fixture
def users_file(tmp_path: Path) -> Path:
    path = tmp_path / "users.conf"
    path.touch(mode=0o600)
    path.write_text(USERS)
    return path


def inform(daemon: RunningDaemon, folder: Path, user: str, digits: str, *words: str) -> int:
    """Send one inform by net-snmp; its exit code. It learns our engine ID and time by itself."""
    assert shutil.which("snmpinform"), "snmpinform is not installed"
    options = ["-v3", "-m", "", "-r", "1", "-t", "5", "-u", user, "-l", "authPriv", *words]
    options += ["-A", f"authpass{digits}", "-X", f"privpass{digits}"]
    done = subprocess.run(
        ["snmpinform", *options, f"127.0.0.1:{daemon.ports['snmp']}", "1", LINK_DOWN],
        env={**os.environ, "SNMP_PERSISTENT_DIR": str(folder)},
        capture_output=True,
        timeout=30,
        check=False,
    )
    return done.returncode


CORE = ("-a", "SHA", "-x", "AES")


def test_informs_are_stored_across_a_restart_and_users_are_read_again(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path, users_file: Path
) -> None:
    daemon = start_daemon(MUTTD_SNMP_USERS_FILE=str(users_file), MUTTD_LOG_LEVEL="debug")
    assert inform(daemon, tmp_path, "core", "12", *CORE) == 0
    assert inform(daemon, tmp_path, "edge", "34", "-a", "SHA-256", "-x", "AES-256") == 0
    assert inform(daemon, tmp_path, "old gear", "56", "-a", "MD5", "-x", "DES") == 0
    events = eventually(daemon.events, lambda found: len(found) == 3)
    assert {event["attributes"]["security_name"] for event in events} == {
        *("core", "edge", "old gear")
    }
    [engine_id] = {event["attributes"]["engine_id"] for event in events}

    # A mistake in the file changes nothing; a good one is in force at once.
    users_file.write_text(USERS + "createUser new SHA short\n")
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: any("line 5" in line for line in daemon.log))
    assert inform(daemon, tmp_path, "core", "12", *CORE) == 0
    users_file.write_text("createUser new SHA authpass78 AES privpass78\n")
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: any("reload: rules, " in line for line in daemon.log))
    assert inform(daemon, tmp_path, "new", "78", *CORE) == 0
    assert inform(daemon, tmp_path, "core", "12", *CORE) != 0
    assert daemon.terminate() == 0

    again = start_daemon(MUTTD_SNMP_USERS_FILE=str(users_file))
    # The same engine, started once more.
    text = (again.state_dir / "snmp.engine").read_text()
    assert text == f"{engine_id} 2\n"
    assert inform(again, tmp_path, "new", "78", *CORE) == 0
    eventually(again.events, lambda found: len(found) == 6)

    kept = b"".join(path.read_bytes() for path in again.state_dir.iterdir() if path.is_file())
    for secret in SECRETS:
        assert secret not in "\n".join([*daemon.log, *again.log])
        assert secret.encode() not in kept


def trap_of(user: UsmUser, engine_id: bytes, passphrase_of: UsmUser) -> bytes:
    pdu = encode_pdu(Pdu.TRAP_V2, 1, about(LINK_DOWN, 1))
    scoped = encode_scoped(engine_id, b"", pdu)
    key = PendingKey(passphrase_of, engine_id).derive()
    envelope = Envelope(5, engine_id, 3, 1000, user.name, b"saltsalt")
    return encode_message(envelope, scoped, key)


def traffic() -> Iterator[tuple[bytes, bool]]:
    """Every engine with every user, and as many forged ones between them: (octets, is good)."""
    users = parse_users(USERS, source="test")
    # Sees names on the wire, and knows no passphrase.
    stranger = parse_users("createUser x SHA guess-guess AES guess-guess", source="test")[0]
    for number in range(ENGINES):
        for user in users:
            yield trap_of(user, b"\x80\0\0\0\5" + number.to_bytes(4), user), True
        for user in users:
            forged = b"\x80\0\0\0\6" + os.urandom(8)
            yield trap_of(user, forged, stranger), False


def test_five_thousand_engines_of_three_users_amid_a_flood_of_forged_ones(
    start_daemon: Callable[..., RunningDaemon], users_file: Path
) -> None:
    daemon = start_daemon(MUTTD_SNMP_USERS_FILE=str(users_file))
    before = resident_octets(daemon.process.pid)
    sent = {True: 0, False: 0}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", daemon.ports["snmp"]))
        for octets, is_good in traffic():
            sock.send(octets)
            sent[is_good] += 1
    assert sent == {True: 3 * ENGINES, False: 3 * ENGINES}
    row = eventually(
        lambda: daemon.listener("snmp"),
        lambda row: row["received"] + (row["kernel_dropped"] or 0) == sum(sent.values()),
        within_s=60,
    )
    assert row["kernel_dropped"] in (0, None)
    eventually(
        lambda: daemon.listener("snmp"), lambda row: row["queued"] == sent[True], within_s=60
    )
    with daemon.client() as client:
        metrics = client.get("/metrics").text
    assert f'usm_stats_total{{counter="usmStatsWrongDigests"}} {float(sent[False])}' in metrics
    assert 'usm_stats_total{counter="usmStatsUnknownUserNames"} 0.0' in metrics
    # Of the forged ones nothing is left.
    assert f"muttd_snmp_usm_engines {float(ENGINES)}" in metrics
    assert f"muttd_snmp_usm_keys {float(sent[True])}" in metrics
    # Some 2 kB for a user at an engine; the rest is the pipeline's.
    assert resident_octets(daemon.process.pid) - before < 200_000_000
