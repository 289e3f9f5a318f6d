"""muttd as a service: installed, started, reloaded, killed and restarted by a systemd that booted.

One system for all of them: each leaves the service running.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest
from booted_system import CAN_BOOT, IS_REQUIRED, ROOT, WHY_NOT, BootedSystem, system_tree
from running_daemon import eventually

pytestmark = [
    pytest.mark.acceptance,
    # Installing takes most of it.
    pytest.mark.timeout(400),
    pytest.mark.skipif(not CAN_BOOT and not IS_REQUIRED, reason=WHY_NOT),
]

SENDER = """
import socket, sys, time
rate, seconds = 5000, float(sys.argv[1])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
started, sent = time.monotonic(), 0
while time.monotonic() - started < seconds:
    while sent < (time.monotonic() - started) * rate:
        sock.sendto(b"<13>1 - host load - - - number %d" % sent, ("127.0.0.1", 514))
        sent += 1
    time.sleep(0.002)
print(sent)
"""


@pytest.fixture(scope="module")
def system() -> Iterator[BootedSystem]:
    """A booted system with muttd installed and started."""
    with system_tree() as system:
        system.put(str(ROOT), "/usr/src/muttd")
        # Cheaper than two of everything: what is byte-compiled is compiled at the first start.
        system.prepare("script/install", cwd="/usr/src/muttd")
        # What is counted here should be what was sent: a meta-alert is an event, too.
        settings = "MUTTD_UNHANDLED_THRESHOLD=1000000000"
        system.prepare("sh", "-c", f"echo {settings} >>/etc/mutt/mutt.env")
        system.boot()
        system.run("systemctl", "start", "muttd.service")
        yield system


def total(system: BootedSystem, **query: str) -> int:
    """How many events are stored, as the API says."""
    words = "&".join(f"{key}={value}" for key, value in query.items())
    script = (
        'curl -sS -H "X-API-KEY: $(cat /var/lib/mutt/admin.key)" '
        f'"http://127.0.0.1:8080/api/v2/events?limit=1&{words}"'
    )
    found = re.search(r'"total": ?(\d+)', system.run("sh", "-c", script))
    assert found is not None
    return int(found[1])


def is_active(system: BootedSystem) -> bool:
    return system.property_of("muttd.service", "ActiveState") == "active"


def main_pid(system: BootedSystem) -> str:
    return system.property_of("muttd.service", "MainPID")


def test_it_is_ready_as_an_ordinary_user_with_one_capability(system: BootedSystem) -> None:
    assert is_active(system)
    assert "events/s over the last minute" in system.property_of("muttd.service", "StatusText")
    status = system.run("cat", f"/proc/{main_pid(system)}/status")
    # CAP_NET_BIND_SERVICE is bit 10 (capabilities(7)).
    assert re.search(r"^CapEff:\t0*400$", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\t0*400$", status, re.MULTILINE)
    uid = system.run("id", "-u", "mutt").strip()
    assert re.search(rf"^Uid:\t{uid}\t{uid}\t{uid}\t{uid}$", status, re.MULTILINE)


def test_files_have_the_owners_and_modes_of_the_layout(system: BootedSystem) -> None:
    etc = ("/etc/mutt", "/etc/mutt/mutt.env", "/etc/mutt/certs", "/etc/mutt/secrets")
    names = ("/opt/mutt", *etc, "/var/log/mutt", "/var/lib/mutt")
    told = system.run("stat", "-c", "%n %U:%G %a", *names)
    assert told.splitlines() == [
        "/opt/mutt mutt:mutt 755",
        "/etc/mutt mutt:mutt 750",
        "/etc/mutt/mutt.env mutt:mutt 600",
        "/etc/mutt/certs mutt:mutt 750",
        "/etc/mutt/secrets mutt:mutt 700",
        "/var/log/mutt mutt:mutt 750",
        "/var/lib/mutt mutt:mutt 700",
    ]
    assert system.run("getent", "passwd", "mutt").strip().endswith("/sbin/nologin")


def test_the_unit_exposes_little(system: BootedSystem) -> None:
    for unit in ("muttd.service", "muttd@1.service"):
        told = system.run("systemd-analyze", "security", "--no-pager", unit)
        exposure = re.search(r"exposure level for \S+: ([0-9.]+)", told)
        assert exposure is not None
        assert float(exposure[1]) <= 2.0
        verified = system.try_run("systemd-analyze", "verify", unit)
        assert (verified.returncode, verified.stderr) == (0, "")


def test_syslog_and_traps_are_received_on_the_privileged_ports(system: BootedSystem) -> None:
    system.run("logger", "-n", "127.0.0.1", "-P", "514", "--udp", "--rfc5424", "privileged-udp")
    system.run("logger", "-n", "127.0.0.1", "-P", "514", "--tcp", "privileged-tcp")
    snmptrap = ("snmptrap", "-v", "2c", "-c", "public", "127.0.0.1:162", "")
    system.run(*snmptrap, "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.2.1.2.2.1.1.3", "i", "3")
    eventually(lambda: total(system, q="privileged-"), lambda count: count == 2)
    eventually(lambda: total(system, q="IF-MIB::linkDown"), lambda count: count == 1)


def test_a_mib_in_the_state_directory_names_traps_within_the_confinement_of_the_unit(
    system: BootedSystem,
) -> None:
    mib = "/usr/src/muttd/tests/corpus/mibs/ACME-OLD-MIB.my"
    system.run("install", "-o", "mutt", "-m", "640", mib, "/var/lib/mutt/mibs/")
    eventually(lambda: system.journal("muttd"), lambda log: "mibs: 1 modules of 1 texts" in log)
    snmptrap = ("snmptrap", "-v", "2c", "-m", "", "-c", "public", "127.0.0.1:162", "")
    system.run(*snmptrap, "1.3.6.1.4.1.424243.0.5", "1.3.6.1.4.1.424243.1.0", "i", "2")
    eventually(lambda: total(system, q="ACME-OLD-MIB::oldFanStopped"), lambda count: count == 1)


def test_a_reload_keeps_the_process(system: BootedSystem) -> None:
    pid = main_pid(system)
    system.run("systemctl", "reload", "muttd.service")
    eventually(lambda: system.journal("muttd"), lambda log: "reload: " in log)
    assert main_pid(system) == pid


def test_a_pipeline_that_stands_still_is_restarted_by_the_watchdog(system: BootedSystem) -> None:
    system.run("sh", "-c", "mkdir -p /run/systemd/system/muttd.service.d")
    drop_in = "/run/systemd/system/muttd.service.d/watchdog.conf"
    system.run("sh", "-c", f"printf '[Service]\\nWatchdogSec=3s\\n' >{drop_in}")
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "restart", "muttd.service")
    pid = main_pid(system)
    system.run("kill", f"-{signal.SIGSTOP.value}", pid)
    eventually(
        lambda: is_active(system) and main_pid(system),
        lambda now: now not in (False, pid, "0"),
        within_s=60,
    )
    assert "Watchdog timeout" in system.journal("muttd")
    system.run("rm", drop_in)
    system.run("systemctl", "daemon-reload")


def test_a_killed_daemon_is_started_again(system: BootedSystem) -> None:
    pid = main_pid(system)
    system.run("kill", "-9", pid)
    eventually(
        lambda: is_active(system) and main_pid(system),
        lambda now: now not in (False, pid, "0"),
        within_s=60,
    )


def test_a_wrong_setting_fails_with_the_name_meant_and_is_not_tried_again(
    system: BootedSystem,
) -> None:
    system.run("sh", "-c", "echo MUTTD_LOG_LEVL=debug >>/etc/mutt/mutt.env")
    assert system.try_run("systemctl", "restart", "muttd.service").returncode != 0
    assert "did you mean MUTTD_LOG_LEVEL?" in system.journal("muttd")
    assert system.property_of("muttd.service", "ActiveState") == "failed"
    system.run("sed", "-i", "/LEVL/d", "/etc/mutt/mutt.env")
    system.run("systemctl", "start", "muttd.service")


def test_with_the_socket_unit_a_restart_under_load_loses_no_datagram(system: BootedSystem) -> None:
    system.run("systemctl", "stop", "muttd.service")
    system.run("systemctl", "start", "muttd.socket")
    system.run("systemctl", "start", "muttd.service")
    sender = system.start("python3", "-c", SENDER, "12")
    eventually(lambda: total(system, q="number"), lambda count: count > 1000)
    system.run("systemctl", "restart", "muttd.service")
    told, _ = sender.communicate(timeout=60)
    sent = int(told)
    assert eventually(lambda: total(system, q="number"), lambda n: n >= sent, within_s=60) == sent
    system.run("systemctl", "stop", "muttd.socket", "muttd.service")
    system.run("systemctl", "start", "muttd.service")


def test_uninstalling_keeps_settings_and_data_until_they_are_purged(system: BootedSystem) -> None:
    # In an overlay over the system, so that the other tests still find what is uninstalled here.
    script = """
        set -e
        mount -t tmpfs tmpfs /mnt
        mkdir /mnt/upper /mnt/work /mnt/system
        mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/system
        mount --rbind /run /mnt/system/run
        mount --rbind /proc /mnt/system/proc
        mount --rbind /dev /mnt/system/dev
        cat >/mnt/system/checks <<'CHECKS'
            set -ex
            cd /usr/src/muttd
            script/install --uninstall
            test ! -e /etc/systemd/system/muttd.service
            test ! -e /opt/mutt/venv
            test -s /etc/mutt/mutt.env
            test -s /var/lib/mutt/admin.key
            script/install --uninstall --purge
            test ! -e /etc/mutt -a ! -e /var/lib/mutt -a ! -e /opt/mutt
            ! getent passwd mutt
CHECKS
        chroot /mnt/system sh /checks
    """
    system.run("unshare", "-m", "sh", "-c", script)
    assert system.property_of("muttd.service", "ActiveState") == "inactive"
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "start", "muttd.service")
