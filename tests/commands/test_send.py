"""muttd send: what arrives is what the daemon's own parsers understand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from muttd.cli import main
from muttd.commands import send
from muttd.commands.trap import v1_trap
from muttd.errors import InvalidInput
from muttd.protocol.framing import Framer
from muttd.protocol.snmp import Notification, Pdu, Version, parse_notification
from muttd.protocol.snmp_encode import encode_response
from muttd.protocol.syslog import parse_syslog

LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"


@contextmanager
def a_udp_port() -> Iterator[tuple[socket.socket, str]]:
    """A bound socket, and its address as --to takes it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(5)
        yield bound, f"127.0.0.1:{bound.getsockname()[1]}"


def test_a_syslog_message_arrives_over_udp(capsys: pytest.CaptureFixture[str]) -> None:
    with a_udp_port() as (bound, to):
        arguments = ["--severity", "err", "--facility", "local7", "--hostname", "core-1"]
        assert main(["send", "syslog", "link down", "--to", to, *arguments], {}) == 0
        message = parse_syslog(bound.recv(65_536), received_at=datetime.now(UTC), zone=UTC)
    assert (message.facility, message.severity) == (23, 3)
    assert (message.hostname, message.app_name) == ("core-1", "muttd-send")
    assert message.message == "link down"
    assert capsys.readouterr().out == f"sent 1 message to {to} over UDP\n"


def test_a_3164_message_arrives_as_such() -> None:
    with a_udp_port() as (bound, to):
        assert main(["send", "syslog", "x", "--to", to, "--format", "rfc3164"], {}) == 0
        octets = bound.recv(65_536)
    assert octets.startswith(b"<133>")
    assert octets.endswith(b" muttd-send: x")


def test_the_target_is_where_a_daemon_with_these_settings_listens() -> None:
    with a_udp_port() as (bound, to):
        port = to.rpartition(":")[2]
        assert main(["send", "syslog", "x"], {"MUTTD_SYSLOG_UDP": f"[::]:{port}"}) == 0
        assert bound.recv(65_536).endswith(b" x")
        assert main(["send", "trap"], {"MUTTD_SNMP_UDP": f":{port}"}) == 0
        assert parse_notification(bound.recv(65_536)).trap_oid == LINK_DOWN


def test_messages_are_numbered_and_paced(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(send, "sleep", pauses.append)
    monkeypatch.setattr(send, "monotonic", lambda: 100.0)
    with a_udp_port() as (bound, to):
        arguments = ["--to", to, "--count", "3", "--rate", "10"]
        assert main(["send", "syslog", "no. {n}", *arguments], {}) == 0
        assert [bound.recv(65_536)[-5:] for _ in range(3)] == [b"no. 1", b"no. 2", b"no. 3"]
    assert pauses == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize("framing", ["lf", "octet-counting"])
def test_messages_arrive_over_tcp_in_either_framing(framing: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        received: list[bytes] = []

        def receive() -> None:
            peer, _ = server.accept()
            with peer:
                while octets := peer.recv(65_536):
                    received.append(octets)

        receiver = threading.Thread(target=receive)
        receiver.start()
        to = f"127.0.0.1:{server.getsockname()[1]}"
        arguments = ["--to", to, "--tcp", "--framing", framing, "--count", "2"]
        assert main(["send", "syslog", "two\nlines {n}", *arguments], {}) == 0
        receiver.join(5)
    framer = Framer(max_frame_octets=8192)
    framer.feed(b"".join(received))
    frames = list(framer.frames())
    assert len(frames) == 2
    if framing == "octet-counting":
        assert frames[1].endswith(b"two\nlines 2")


def a_trap(*arguments: str, environ: dict[str, str] | None = None) -> Notification:
    with a_udp_port() as (bound, to):
        assert main(["send", "trap", "--to", to, *arguments], environ or {}) == 0
        return parse_notification(bound.recv(65_536))


def test_a_trap_arrives_with_its_varbinds() -> None:
    trap = a_trap(
        *("--oid", ".1.3.6.1.4.1.9.9.41.2.0.1"),
        *("--varbind", "1.3.6.1.2.1.2.2.1.1.3=i:3"),
        *("--varbind", ".1.3.6.1.2.1.2.2.1.2.3=s:Gi0/3"),
        *("--varbind", "1.3.6.1.2.1.2.2.1.6.3=x:0011"),
        *("--varbind", "1.3.6.1.6.3.18.1.3.0=a:10.0.0.1"),
    )
    assert (trap.version, trap.pdu, trap.community) == (Version.V2C, Pdu.TRAP_V2, b"public")
    assert trap.trap_oid == "1.3.6.1.4.1.9.9.41.2.0.1"
    assert [tuple(varbind) for varbind in trap.varbinds[2:]] == [
        ("1.3.6.1.2.1.2.2.1.1.3", "INTEGER", 3),
        ("1.3.6.1.2.1.2.2.1.2.3", "OCTET STRING", b"Gi0/3"),
        ("1.3.6.1.2.1.2.2.1.6.3", "OCTET STRING", b"\x00\x11"),
        ("1.3.6.1.6.3.18.1.3.0", "IpAddress", "10.0.0.1"),
    ]


@pytest.mark.parametrize("oid", [LINK_DOWN, "1.3.6.1.4.1.9.0.7", "coldStart"])
def test_a_v1_trap_says_the_same_as_its_oid(oid: str) -> None:
    trap = a_trap("--v1", "--oid", oid, "--agent-addr", "10.1.2.3")
    assert (trap.version, trap.agent_addr) == (Version.V1, "10.1.2.3")
    assert trap.trap_oid == oid.replace("coldStart", "1.3.6.1.6.3.1.1.5.1")


def test_an_oid_without_a_zero_before_its_last_arc_becomes_its_parent_enterprise() -> None:
    trap = v1_trap("1.3.6.1.4.1.9.5", "0.0.0.0")
    assert (trap.enterprise, trap.specific_trap) == ("1.3.6.1.4.1.9", 5)
    with pytest.raises(InvalidInput):
        v1_trap("ciscoTrap", "0.0.0.0")


def test_the_community_comes_from_the_settings_or_a_file(tmp_path: Path) -> None:
    assert a_trap(environ={"MUTTD_SNMP_COMMUNITIES": "one,two"}).community == b"one"
    path = tmp_path / "community"
    path.write_text("three\n")
    assert a_trap("--community-file", str(path)).community == b"three"


Answer = Callable[[Notification], bytes]


def inform(answer: Answer) -> int:
    with a_udp_port() as (bound, to):

        def respond() -> None:
            octets, peer = bound.recvfrom(65_536)
            bound.sendto(answer(parse_notification(octets)), peer)

        responder = threading.Thread(target=respond)
        responder.start()
        exit_code = main(["send", "trap", "--inform", "--to", to], {})
        responder.join(5)
    return exit_code


def test_an_inform_is_done_when_it_was_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert inform(encode_response) == 0
    assert "sent 1 answered inform to" in capsys.readouterr().out


def another_response(inform: Notification) -> bytes:
    return encode_response(inform._replace(request_id=9))


@pytest.mark.parametrize("answer", [lambda _: b"\x30\x00", another_response])
def test_an_answer_that_is_not_its_response_exits_69(answer: Answer) -> None:
    assert inform(answer) == 69


def test_an_inform_that_nobody_answers_exits_69(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "TIMEOUT_S", 0.05)
    with a_udp_port() as (_, to):
        assert main(["send", "trap", "--inform", "--to", to], {}) == 69
    assert capsys.readouterr().err == "muttd: the inform was not answered\n"


@pytest.mark.parametrize("over", [[], ["--tcp"]])
def test_a_port_where_nobody_listens_exits_69(
    over: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    kind = socket.SOCK_STREAM if over else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        if not over:
            # For UDP a bound port is a listening one.
            probe.close()
        assert main(["send", "syslog", "x", "--to", f"127.0.0.1:{port}", *over], {}) == 69
    error = capsys.readouterr().err
    assert error.startswith(f"muttd: cannot send to 127.0.0.1:{port}: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", "syslog", "x", "--to", "nowhere"],
        ["send", "syslog", "x", "--to", "off"],
        ["send", "trap", "--to", "127.0.0.1:9", "--oid", "no.oid"],
        ["send", "trap", "--to", "127.0.0.1:9", "--v1", "--oid", "no.oid"],
        ["send", "trap", "--to", "127.0.0.1:9", "--varbind", "1.3=u:-1"],
        ["send", "trap", "--to", "127.0.0.1:9", "--community-file", "/nonexistent/file"],
    ],
)
def test_what_cannot_be_sent_exits_64(arguments: list[str]) -> None:
    assert main(arguments, {}) == 64


@pytest.mark.parametrize("varbind", ["1.3", "1.3=i", "1.3=z:1", "1.3=i:x", "1.3=x:0"])
def test_a_varbind_that_is_none_exits_64(varbind: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["send", "trap", "--varbind", varbind], {})
    assert caught.value.code == 64


def test_a_daemon_without_the_listener_needs_a_target() -> None:
    assert main(["send", "syslog", "x"], {"MUTTD_SYSLOG_UDP": "off"}) == 64
    assert main(["send", "syslog", "x"], {"MUTTD_SYSLOG_UDP": ":0"}) == 64
