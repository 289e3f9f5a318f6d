"""TLS from outside: rsyslog as a sender with a certificate, HTTPS, and certificates reloaded."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, eventually
from servers.certificates import KeyPair, TlsParty, client_context
from servers.rsyslog_sender import a_line, is_as_sent, needs_rsyslog, rsyslog_sender

from muttd.cli import main

pytestmark = pytest.mark.acceptance

LINES = 20_000
Start = Callable[..., RunningDaemon]


def tls_settings(party: TlsParty, **more: str) -> dict[str, str]:
    return {
        "MUTTD_TLS_CERT": str(party.server.cert),
        "MUTTD_TLS_KEY": str(party.server.key),
        "MUTTD_TLS_CA": str(party.ca.cert),
        "MUTTD_SYSLOG_TLS": "[::]:0",
        "MUTTD_SYSLOG_TLS_CLIENT_CERT": "required",
        **more,
    }


@needs_rsyslog
def test_rsyslog_by_mutual_tls_is_stored_in_order_as_sent_and_a_bad_one_costs_itself(
    start_daemon: Start, tls_party: TlsParty, tmp_path: Path
) -> None:
    daemon = start_daemon(**tls_settings(tls_party, MUTTD_SYSLOG_TLS_PEERS="*.example"))
    port = daemon.ports["syslog_tls"]
    ca = tls_party.ca
    with (
        rsyslog_sender(tmp_path / "good", port, ca, tls_party.sender) as good,
        rsyslog_sender(tmp_path / "bad", port, ca, tls_party.stranger) as bad,
    ):
        good.send(map(a_line, range(LINES // 2)))
        bad.send(f"<13>1 - bad - - - - {number}" for number in range(100))
        eventually(lambda: failures(daemon)["bad_certificate"])
        good.send(map(a_line, range(LINES // 2, LINES)))
        row = eventually(
            lambda: daemon.listener("syslog_tls"), lambda row: row["queued"] >= LINES, within_s=60
        )
        daemon.wait_idle()
    assert (row["received"], row["queued"], row["malformed"]) == (LINES, LINES, 0)
    assert set(row["tls"]["handshake_failures"]) == {"bad_certificate"}
    stored = list(daemon.all_events())
    assert len(stored) == LINES
    wrong = [e for n, e in enumerate(reversed(stored)) if not is_as_sent(e, n)]
    assert wrong == []


def failures(daemon: RunningDaemon, listener: str = "syslog_tls") -> dict[str, float]:
    """Handshakes that failed, by reason."""
    with daemon.client() as client:
        text = client.get("/metrics").text
    name = "muttd_tls_handshake_failures_total"
    found = re.findall(rf'{name}{{listener="{listener}",reason="(\w+)"}} (\S+)', text)
    return {reason: float(count) for reason, count in found}


@contextmanager
def tls_connection(daemon: RunningDaemon, ca: KeyPair, own: KeyPair) -> Iterator[ssl.SSLSocket]:
    context = client_context(ca, own)
    with (
        socket.create_connection(("127.0.0.1", daemon.ports["syslog_tls"])) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as secured,
    ):
        yield secured


def own_files(party: TlsParty, tmp_path: Path) -> KeyPair:
    """A copy of the server's files, to be replaced."""
    pair = KeyPair(tmp_path / "own.crt", tmp_path / "own.key")
    replace(pair, party.server)
    return pair


def replace(pair: KeyPair, by: KeyPair) -> None:
    shutil.copy(by.cert, pair.cert)
    shutil.copy(by.key, pair.key)


def expiry(daemon: RunningDaemon, link: str) -> float:
    with daemon.client() as client:
        text = client.get("/metrics").text
    name = "muttd_tls_certificate_expiry_timestamp_seconds"
    found = re.search(rf'^{name}{{link="{link}"}} (\S+)$', text, re.MULTILINE)
    assert found
    return float(found[1])


def reload(daemon: RunningDaemon, says: str) -> None:
    seen = len(daemon.log)
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: [line for line in daemon.log[seen:] if says in line])


def test_sighup_takes_new_certificates_and_keeps_connections(
    start_daemon: Start, tls_party: TlsParty, tmp_path: Path
) -> None:
    pair = own_files(tls_party, tmp_path)
    settings = {"MUTTD_TLS_CERT": str(pair.cert), "MUTTD_TLS_KEY": str(pair.key)}
    daemon = start_daemon(**tls_settings(tls_party, MUTTD_HTTP_TLS="off") | settings)
    daemon.scheme = "http"
    with tls_connection(daemon, tls_party.ca, tls_party.sender) as old:
        old.sendall(b"<13>1 - h - - - - before\n")
        # The other authority's: whoever trusts only the first can tell.
        replace(pair, tls_party.stranger)
        reload(daemon, "reload: rules, ")
        with (
            pytest.raises(ssl.SSLCertVerificationError),
            tls_connection(daemon, tls_party.ca, tls_party.sender),
        ):
            pass
        old.sendall(b"<13>1 - h - - - - after\n")
        eventually(daemon.events, lambda events: len(events) == 2)
    assert expiry(daemon, "syslog_tls") > 0


def test_sighup_refuses_wrong_files_and_says_why(
    start_daemon: Start, tls_party: TlsParty, tmp_path: Path
) -> None:
    pair = own_files(tls_party, tmp_path)
    settings = {"MUTTD_TLS_CERT": str(pair.cert), "MUTTD_TLS_KEY": str(pair.key)}
    daemon = start_daemon(**tls_settings(tls_party) | settings)
    before = expiry(daemon, "http")
    replace(pair, tls_party.expired)
    reload(daemon, f"nothing changed: MUTTD_TLS_CERT: the certificate in {pair.cert} expired at")
    shutil.copy(tls_party.server.cert, pair.cert)
    reload(daemon, f"MUTTD_TLS_KEY: the key in {pair.key} is not that of the certificate in")
    pair.cert.unlink()
    reload(daemon, f"MUTTD_TLS_CERT: cannot read {pair.cert}: No such file or directory")
    with tls_connection(daemon, tls_party.ca, tls_party.sender) as sock:
        sock.sendall(b"<13>1 - h - - - - with the old one\n")
        eventually(daemon.events)
    assert expiry(daemon, "http") == expiry(daemon, "syslog_tls") == before


def test_an_expired_certificate_does_not_keep_the_daemon_from_starting(
    start_daemon: Start, tls_party: TlsParty
) -> None:
    party = tls_party.expired
    settings = {"MUTTD_TLS_CERT": str(party.cert), "MUTTD_TLS_KEY": str(party.key)}
    daemon = start_daemon(**tls_settings(tls_party, MUTTD_HTTP_TLS="off") | settings)
    assert [line for line in daemon.log if " expired at " in line and "WARNING" in line]
    # Nor from reading everything else again: it is the one in force.
    reload(daemon, "reload: rules, ")
    [warning] = [w for w in daemon.get("/api/v2/status")["warnings"] if "certificate" in w]
    assert warning.startswith("syslog_tls: the certificate expired at 20")


def test_wrong_files_are_exit_78_and_all_named(
    launch_daemon: Callable[..., RunningDaemon], tls_party: TlsParty, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    daemon = launch_daemon(
        **tls_settings(
            tls_party,
            MUTTD_TLS_CERT=str(gone),
            MUTTD_SYSLOG_TLS_CA=str(gone),
            MUTTD_SNMP_USERS_FILE=str(gone),
        ),
    )
    assert daemon.wait_exit() == 78
    said = "\n".join(daemon.log)
    for name in ("MUTTD_TLS_CERT", "MUTTD_SYSLOG_TLS_CA", "MUTTD_SNMP_USERS_FILE"):
        assert f"{name}: cannot read {gone}: No such file or directory" in said


def muttd(daemon: RunningDaemon, *words: str) -> subprocess.Popen[str]:
    """A command, for the daemon."""
    options = ["--url", daemon.url, "--state-dir", str(daemon.state_dir)]
    return subprocess.Popen(
        [sys.executable, "-m", "muttd", *words, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_commands_speak_https_and_name_the_ca_that_is_missing(
    start_daemon: Start, tls_party: TlsParty
) -> None:
    daemon = start_daemon(**tls_settings(tls_party))
    assert daemon.url.startswith("https:")
    ca = str(tls_party.ca.cert)
    tail = muttd(daemon, "tail", "--count", "1", "--ca", ca)
    status = muttd(daemon, "status", "--json", "--ca", ca)
    distrustful = [muttd(daemon, "status"), muttd(daemon, "tail")]
    out, err = status.communicate(timeout=30)
    names = [row["name"] for row in json.loads(out)["listeners"]]
    assert names == ["syslog_udp", "syslog_tcp", "syslog_tls", "snmp", "http"], err
    for command in distrustful:
        _, err = command.communicate(timeout=30)
        assert command.returncode == 69
        assert "is not to be trusted" in err
        assert "--ca names the CA" in err
    eventually(lambda: viewers(daemon))
    daemon.post("/ingest", {"message": "over a websocket over TLS", "hostname": "h"})
    assert "over a websocket over TLS" in tail.communicate(timeout=30)[0]
    assert tail.returncode == 0


def viewers(daemon: RunningDaemon) -> int:
    """How many requests became a websocket."""
    with daemon.client() as client:
        text = client.get("/metrics").text
    found = re.search(r'muttd_http_requests_total{outcome="upgraded"} (\S+)', text)
    assert found
    return int(float(found[1]))


def test_over_https_the_session_cookie_is_secure(start_daemon: Start, tls_party: TlsParty) -> None:
    daemon = start_daemon(**tls_settings(tls_party))
    with daemon.client() as client:
        page = client.get("/sign-in")
    assert page.status_code == 200
    cookies = page.headers.get_list("set-cookie")
    assert cookies
    assert all("secure" in cookie.lower() for cookie in cookies)


def test_the_test_sender_speaks_tls_and_says_why_it_is_not_taken(
    start_daemon: Start, tls_party: TlsParty, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = start_daemon(**tls_settings(tls_party))
    to = ["--to", f"localhost:{daemon.ports['syslog_tls']}", "--tls"]
    send = ["send", "syslog", "over TLS {n}", "--count", "3", *to]
    ca = ["--ca", str(tls_party.ca.cert)]

    def own(pair: KeyPair) -> list[str]:
        return ["--cert", str(pair.cert), "--tls-key", str(pair.key)]

    assert main([*send, *ca, *own(tls_party.sender)], {}) == 0
    assert capsys.readouterr().out.endswith(" over TLS\n")
    found = eventually(daemon.events, lambda events: len(events) == 3)
    assert [event["message"] for event in reversed(found)] == [f"over TLS {n}" for n in (1, 2, 3)]
    assert main([*send, *ca, *own(tls_party.stranger)], {}) == 69
    assert "does not take it: tlsv1 alert unknown ca" in capsys.readouterr().err
    assert main([*send, *ca], {}) == 69
    assert "does not take it: " in capsys.readouterr().err
    assert main([*send, *own(tls_party.sender)], {"MUTTD_TLS_CA": ca[1]}) == 0
    assert main([*send, "--ca", str(tls_party.other_ca.cert), *own(tls_party.sender)], {}) == 69
    assert "is not to be trusted: " in capsys.readouterr().err
    gone = str(daemon.state_dir / "gone")
    assert main([*send, "--ca", gone], {}) == main([*send, *ca, "--cert", gone], {}) == 66
    assert main([*send, *ca, "--tls-key", gone], {}) == 64
