"""The SELinux module where it counts: the daemon confined in an enforcing guest, and not denied."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from selinux_guest import CAN_RUN, WHY_NOT, build_guest, run_guest

pytestmark = [
    pytest.mark.nightly,
    # A Debian is fetched, and an emulated processor boots it.
    pytest.mark.timeout(1800),
]


def test_a_confined_daemon_does_its_work_and_nothing_is_denied() -> None:
    assert CAN_RUN, WHY_NOT
    # Not pytest's own: it keeps those of the last runs, and this one has some three GB.
    with tempfile.TemporaryDirectory(prefix="guest-") as directory:
        build_guest(Path(directory))
        checks, console = run_guest(Path(directory), within_s=1200)
    assert checks.get("end") == "yes", console[-4000:]
    # What was denied is worth more than that something was.
    assert [line for line in console.splitlines() if line.startswith("DENIED")] == []
    bound = set(checks.pop("bound").split())
    assert {"udp:514", "tcp:514", "tcp:6514", "udp:162", "tcp:8080"} <= bound
    assert int(checks.pop("log")) >= 1
    assert int(checks.pop("reload")) >= 1
    assert int(checks.pop("foreign-port")) >= 1
    assert checks == {
        "mode": "Enforcing",
        "active": "active",
        "domain": "system_u:system_r:muttd_t:s0",
        "udp": "1",
        "tcp": "1",
        "tls": "1",
        "trap": "1",
        "mib": "1",
        "restart": "active",
        "socket": "active",
        "inherited": "1",
        "denials": "0",
        "end": "yes",
    }
