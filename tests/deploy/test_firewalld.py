"""The firewalld service: right for the tools, and in a real firewalld it opens the ports."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from firewalled_host import CAN_RUN, IS_REQUIRED, WHY_NOT, firewalled_host

SERVICE = Path(__file__).parent.parent.parent / "etc" / "firewalld" / "muttd.xml"
PORTS = {"514/udp", "514/tcp", "6514/tcp", "162/udp", "8080/tcp"}

pytestmark = pytest.mark.skipif(not CAN_RUN and not IS_REQUIRED, reason=WHY_NOT)


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """Debian's /etc/firewalld, and the service where script/install puts it."""
    etc = tmp_path / "firewalld"
    (etc / "services").mkdir(parents=True)
    shutil.copy("/etc/firewalld/firewalld.conf", etc)
    shutil.copy(SERVICE, etc / "services")
    return etc


def offline(etc: Path, *command: str) -> str:
    """What firewall-offline-cmd says of these settings; it must find nothing wrong."""
    argv = ["firewall-offline-cmd", "--system-config", str(etc), *command]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_service_is_right_for_the_offline_tool(etc: Path) -> None:
    offline(etc, "--check-config")
    told = offline(etc, "--info-service=muttd").splitlines()
    [ports] = [line for line in told if line.startswith("  ports:")]
    assert set(ports.split()[1:]) == PORTS


def test_a_firewall_with_the_service_lets_the_ports_through_and_no_other(etc: Path) -> None:
    with firewalled_host(etc) as host:
        assert host.reachable() == set()
        # As in docs/install.md.
        host.run("firewall-cmd", "--reload")
        host.run("firewall-cmd", "--permanent", "--add-service=muttd")
        host.run("firewall-cmd", "--reload")
        assert "muttd" in host.run("firewall-cmd", "--list-services").split()
        assert host.reachable() == PORTS
