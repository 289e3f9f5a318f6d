"""Operators' MIBs through the whole daemon: dropped, broken, read again, there after a restart."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, eventually

pytestmark = pytest.mark.acceptance

CORPUS = Path(__file__).parent.parent / "corpus" / "mibs"
TOO_HOT = "1.3.6.1.4.1.424242.2.7.0.1"
ROW = "1.3.6.1.4.1.424242.2.7.1.1.1"
LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
IF = "1.3.6.1.2.1.2.2.1"
READABLE = "ACME-ENV-MIB::acmeEnvTooHot acmeEnvTemperature.3=104.5 acmeEnvState.3=failed(3)"


@contextmanager
def running(tmp_path: Path) -> Iterator[RunningDaemon]:
    settings = {"MUTTD_SNMP_MIB_CHECK_INTERVAL_S": "0.1"}
    daemon = RunningDaemon(tmp_path / "state", settings).wait_ready()
    try:
        yield daemon
        assert daemon.terminate() == 0
    finally:
        daemon.kill()


def trap(daemon: RunningDaemon, oid: str, *varbinds: str) -> dict[str, object]:
    """Send a trap by net-snmp, which knows no MIB here; the event that it becomes."""
    assert shutil.which("snmptrap"), "snmptrap is not installed"
    before = len(daemon.events())
    to = f"127.0.0.1:{daemon.ports['snmp']}"
    subprocess.run(
        ["snmptrap", "-v2c", "-m", "", "-c", "public", to, "1", oid, *varbinds],
        env={**os.environ, "SNMP_PERSISTENT_DIR": str(daemon.state_dir)},
        check=True,
        timeout=30,
    )
    return eventually(daemon.events, lambda events: len(events) > before)[0]


def too_hot(daemon: RunningDaemon) -> dict[str, object]:
    return trap(daemon, TOO_HOT, f"{ROW}.1.3", "i", "1045", f"{ROW}.2.3", "i", "3")


def drop(daemon: RunningDaemon, *names: str) -> None:
    for name in names:
        shutil.copy(CORPUS / name, daemon.state_dir / "mibs")


def wait_said(daemon: RunningDaemon, words: str) -> None:
    eventually(lambda: [line for line in daemon.log if words in line])


def test_a_mib_that_is_dropped_into_the_directory_names_its_traps_without_a_restart(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as daemon:
        down = (f"{IF}.1.3", "i", "3", f"{IF}.2.3", "s", "Gi0/3", f"{IF}.8.3", "i", "2")
        event = trap(daemon, LINK_DOWN, *down)
        assert event["message"] == (
            "IF-MIB::linkDown ifIndex.3=3 ifDescr.3=Gi0/3 ifOperStatus.3=down(2)"
        )
        assert event["severity"] == 3
        assert too_hot(daemon)["message"] == (
            "SNMPv2-SMI::enterprises.424242.2.7.0.1 enterprises.424242.2.7.1.1.1.1.3=1045"
            " enterprises.424242.2.7.1.1.1.2.3=3"
        )
        drop(daemon, "ACME-ENV-MIB.mib")
        wait_said(daemon, "ACME-ENV-MIB of ACME-ENV-MIB.mib needs ACME-SMI")
        drop(daemon, "ACME-BROKEN-MIB.mib", "ACME-SMI.mib")
        event = eventually(lambda: too_hot(daemon), lambda event: event["message"] == READABLE)
        assert event["severity"] == 2
        wait_said(daemon, "ACME-BROKEN-MIB.mib line 8")
        # What was good stays in force when its text is spoiled, and after SIGHUP and a restart.
        (daemon.state_dir / "mibs" / "ACME-ENV-MIB.mib").write_text("A DEFINITIONS ::= BEGIN")
        daemon.process.send_signal(signal.SIGHUP)
        wait_said(daemon, "its last good version is in force")
        assert too_hot(daemon)["message"] == READABLE
    with running(tmp_path) as daemon:
        # The very first trap.
        assert too_hot(daemon)["message"] == READABLE
