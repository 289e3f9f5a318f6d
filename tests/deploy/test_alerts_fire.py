"""Each alert that one daemon alone can cause: its fault, a real Prometheus, and it fires.

What needs Redis and PostgreSQL is in test_alerts_fire_clustered.py.
"""

from __future__ import annotations

import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from background import running
from prometheus_server import Prometheus, Target, needs_prometheus, prometheus_server
from running_daemon import RunningDaemon, WebhookCall, a_rule, eventually, scripted_webhook
from servers.certificates import Certificates, KeyPair, make_authority, sign
from servers.faked_clock import FakedClock, needs_faketime
from servers.vault_server import VaultServer, vault_environ, vault_server

from muttd.protocol.snmp import Pdu
from muttd.protocol.snmp_encode import about, encode_pdu, encode_v2c_trap
from muttd.protocol.snmp_v3 import Envelope, encode_message, encode_scoped
from muttd.protocol.snmp_varbind import WireVarbind
from muttd.protocol.usm_sender import PendingKey
from muttd.protocol.usm_users import parse_users

pytestmark = [pytest.mark.acceptance, needs_prometheus]

LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
# Its keys are costly at each engine: what waits for them is bounded.
CISCO = "createUser cisco SHA authpass12 AES-256-C privpass12"
# What a receiver answers, by the destination's name.
ANSWERS = {"refusing": 400, "locked": 401, "broken": 503}


class CrashingDaemon:
    """A daemon whose sockets live on when it is killed, as systemd holds them."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        self._sockets.append(udp)
        self.daemon = self.start()

    def start(self) -> RunningDaemon:
        """Start it, again perhaps; whoever needs it ready waits."""
        http, udp = (sock.getsockname()[1] for sock in self._sockets)
        settings = {"MUTTD_HTTP": f"127.0.0.1:{http}", "MUTTD_SYSLOG_UDP": f"127.0.0.1:{udp}"}
        self.daemon = RunningDaemon(self._state_dir, settings, passed=self._sockets)
        return self.daemon

    def close(self) -> None:
        """Kill it, and let the sockets go."""
        self.daemon.kill()
        for sock in self._sockets:
            sock.close()


@dataclass(frozen=True)
class Site:
    """Three daemons, each with faults of its own, and what watches them.

    Attributes:
        crashing: Job muttd.
        quiet: Job quiet; received something once. Has TLS, and secrets in `vault`.
        delivering: Job delivering; its receivers take nothing. Its clock is `clock`.
    """

    prometheus: Prometheus
    crashing: CrashingDaemon
    quiet: RunningDaemon
    vault: VaultServer
    delivering: RunningDaemon
    clock: FakedClock


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Well until a test harms it, but for what takes its time: that begins at once."""
    directory = tmp_path_factory.mktemp("site")
    with ExitStack() as stack:
        crashing = CrashingDaemon(directory / "crashing")
        stack.callback(crashing.close)
        authority, vault = make_tls_and_vault(directory, stack)
        quiet = started(stack, directory / "quiet", quiet_settings(directory, authority, vault))
        clock = FakedClock(directory / "clock")
        clock.set_ahead(timedelta(0))
        environ = delivering_settings(directory, stack) | clock.environ
        delivering = started(stack, directory / "delivering", environ)
        # All at a time: a start is mostly the import of everything.
        for daemon in (crashing.daemon, quiet, delivering):
            daemon.wait_ready()
        (directory / "prometheus").mkdir()
        targets = [
            Target("muttd", crashing.daemon),
            Target("quiet", quiet, ca=authority.cert),
            Target("delivering", delivering),
        ]
        prometheus = stack.enter_context(prometheus_server(directory / "prometheus", targets))
        make_rules(delivering)
        eventually(lambda: prometheus.values("max(muttd_rules_active)"), lambda found: found == [3])
        # Certificates that expire are there from the start; nothing else may be wrong yet.
        eventually(
            lambda: {each["labels"]["alertname"] for each in prometheus.get("/alerts")["alerts"]},
            lambda names: names <= {"MuttdCertificateExpires", "MuttdCertificateExpired"},
        )
        for number in range(100):
            quiet.send_udp(b"<13>1 - host app - - - the last that is heard %d" % number)
        raise_alert(delivering, "locked", "broken")
        with strangers_traps(delivering):
            yield Site(prometheus, crashing, quiet, vault, delivering, clock)


def started(stack: ExitStack, state_dir: Path, environ: dict[str, str]) -> RunningDaemon:
    daemon = RunningDaemon(state_dir, environ)
    stack.callback(daemon.kill)
    return daemon


def make_tls_and_vault(directory: Path, stack: ExitStack) -> tuple[KeyPair, VaultServer]:
    (directory / "tls").mkdir()
    authority = make_authority(directory / "tls")
    own = sign(authority, directory / "tls", "vault", "IP:127.0.0.1")
    vault = stack.enter_context(vault_server(Certificates(authority.cert, own, own)))
    vault.put({"MUTTD_MOOG_API_KEY": "moog-s3cret"})
    return authority, vault


def quiet_settings(directory: Path, authority: KeyPair, vault: VaultServer) -> dict[str, str]:
    tls = directory / "tls"
    ten_days = sign(authority, tls, "ten-days", "IP:127.0.0.1", days=10)
    expired = sign(authority, tls, "expired", "IP:127.0.0.1", days=-1)
    return {
        "MUTTD_TLS_CA": str(authority.cert),
        "MUTTD_TLS_CERT": str(ten_days.cert),
        "MUTTD_TLS_KEY": str(ten_days.key),
        "MUTTD_SYSLOG_TLS": "[::]:0",
        "MUTTD_SYSLOG_TLS_CERT": str(expired.cert),
        "MUTTD_SYSLOG_TLS_KEY": str(expired.key),
        "VAULT_REREAD_S": "1",
        **vault_environ(vault, directory),
    }


def answer(status: int, call: WebhookCall) -> tuple[int, dict[str, str], str]:
    return status, {}, "no"


def delivering_settings(directory: Path, stack: ExitStack) -> dict[str, str]:
    users = directory / "users.conf"
    users.touch(mode=0o600)
    users.write_text(CISCO)
    lines = ["default: refusing", "destinations:"]
    for name, status in ANSWERS.items():
        webhook = stack.enter_context(scripted_webhook())
        webhook.answer = partial(answer, status)
        lines.append(f"- {{name: {name}, type: webhook, url: {webhook.url}}}")
    destinations = directory / "destinations.yaml"
    destinations.write_text("\n".join(lines))
    return {
        "MUTTD_DESTINATIONS_FILE": str(destinations),
        "MUTTD_BREAKER_FAILURES": "2",
        "MUTTD_SNMP_USERS_FILE": str(users),
    }


def make_rules(daemon: RunningDaemon) -> None:
    for name in ANSWERS:
        daemon.post("/api/v2/rules", a_rule(name=name, match_string=name, destination=name))


def raise_alert(daemon: RunningDaemon, *destinations: str) -> None:
    for name in destinations:
        daemon.post("/ingest", {"message": f"for {name}", "hostname": "sw1"})


@contextmanager
def strangers_traps(daemon: RunningDaemon) -> Iterator[None]:
    """Traps of a community that nobody knows, ten a second, as long as the block lasts."""
    trap = encode_v2c_trap(b"stranger", LINK_DOWN)

    def send(ended: threading.Event) -> None:
        while not ended.wait(0.1):
            daemon.send_udp(trap, "snmp")

    with running(send):
        yield


def status_warnings(daemon: RunningDaemon) -> str:
    """What `muttd status` warns of: where the runbook sends whoever is woken."""
    return "\n".join(daemon.get("/api/v2/status")["warnings"])


def test_down(site: Site) -> None:
    site.crashing.daemon.kill()
    try:
        site.prometheus.fires("MuttdDown", job="muttd")
    finally:
        site.crashing.start().wait_ready()
    eventually(lambda: site.prometheus.alerts("MuttdDown"), lambda alerts: not alerts)


def reaches(least: int, values: list[float]) -> bool:
    return bool(values) and values[0] >= least


def test_restarts(site: Site) -> None:
    for changes in range(1, 4):
        site.crashing.daemon.kill()
        site.crashing.start().wait_ready()
        # A start that was never scraped is not known.
        eventually(
            lambda: site.prometheus.values('changes(process_start_time_seconds{job="muttd"}[30s])'),
            partial(reaches, changes),
        )
    site.prometheus.fires("MuttdRestarts", job="muttd")


def test_kernel_drops(site: Site) -> None:
    flood(site.crashing.daemon)
    site.prometheus.fires("MuttdKernelDrops", job="muttd", listener="syslog_udp")
    assert "syslog_udp: the kernel dropped" in status_warnings(site.crashing.daemon)


def flood(daemon: RunningDaemon) -> None:
    """More than a socket's buffer holds while nobody reads it."""
    with suspended(daemon), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(3000):
            text = b"<13>1 - host app - - - %d " % number + b"x" * 1000
            sock.sendto(text, ("127.0.0.1", daemon.ports["syslog_udp"]))


@contextmanager
def suspended(daemon: RunningDaemon) -> Iterator[None]:
    """SIGSTOP: it gets no time."""
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def test_dropped(site: Site) -> None:
    [user] = parse_users(CISCO, source="test")
    padding = WireVarbind("1.3.6.1.4.1.9", "OCTET STRING", b"x" * 60_000)
    whole = encode_pdu(Pdu.TRAP_V2, 77, [*about(LINK_DOWN, 1), padding])
    traps = []
    for number in range(200):
        engine_id = b"\x80\0\0\0" + number.to_bytes(2)
        envelope = Envelope(5, engine_id, 1, 0, user.name, b"saltsalt")
        key = PendingKey(user, engine_id).derive()
        traps.append(encode_message(envelope, encode_scoped(engine_id, b"", whole), key))
    # All of them are there at once when it gets time again: twelve megabytes.
    with suspended(site.delivering):
        for trap in traps:
            site.delivering.send_udp(trap, "snmp")
    site.prometheus.fires("MuttdDropped", job="delivering", listener="snmp")
    assert "messages dropped" in status_warnings(site.delivering)


def test_refuses(site: Site) -> None:
    site.prometheus.fires("MuttdRefuses", job="delivering", listener="snmp", reason="refused")


def test_silent(site: Site) -> None:
    site.prometheus.fires("MuttdSilent", job="quiet")
    assert not site.prometheus.alerts("MuttdSilent", job="delivering")


def test_rules_faulty(site: Site) -> None:
    daemon = site.crashing.daemon
    daemon.post("/api/v2/rules", a_rule())
    # As another version may have stored it, whose expressions know more.
    with sqlite3.connect(daemon.state_dir / "store.db") as connection:
        connection.execute("UPDATE alert_rules SET match_type = 'regex', match_string = '(?<=a)b'")
        connection.execute("UPDATE rule_book SET revision = revision + 1")
    connection.close()
    site.prometheus.fires("MuttdRulesFaulty", job="muttd")
    assert "takes no part" in status_warnings(daemon)


@needs_faketime
def test_alerts_wait(site: Site) -> None:
    site.clock.set_ahead(timedelta(seconds=330))
    site.prometheus.fires("MuttdAlertsWait", job="delivering")
    assert "alerts wait: the webhook" in status_warnings(site.delivering)


def test_destination_held(site: Site) -> None:
    site.prometheus.fires("MuttdDestinationHeld", job="delivering", destination="locked")
    assert "the webhook locked does not accept our key or URL" in status_warnings(site.delivering)


def test_breaker_open(site: Site) -> None:
    site.prometheus.fires("MuttdBreakerOpen", job="delivering", destination="broken")
    assert "the webhook broken failed 2 times in a row" in status_warnings(site.delivering)


def test_dead_letters(site: Site) -> None:
    raise_alert(site.delivering, "refusing")
    site.prometheus.fires("MuttdDeadLetters", job="delivering")


def test_vault_away(site: Site) -> None:
    site.vault.stop()
    site.prometheus.fires("MuttdVaultAway", job="quiet")
    assert "secrets: Vault" in status_warnings(site.quiet)


def test_certificate_expires(site: Site) -> None:
    site.prometheus.fires("MuttdCertificateExpires", job="quiet", link="http")
    assert not site.prometheus.alerts("MuttdCertificateExpired", link="http")


def test_certificate_expired(site: Site) -> None:
    site.prometheus.fires("MuttdCertificateExpired", job="quiet", link="syslog_tls")
    assert "syslog_tls: the certificate expired" in status_warnings(site.quiet)
