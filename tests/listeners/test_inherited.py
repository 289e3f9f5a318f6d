"""Sockets that systemd passes are found by their address and left as they are."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from muttd.errors import ConfigError
from muttd.listeners import inherited
from muttd.listeners.inherited import inherited_sockets, take_matching, unused_mistakes
from muttd.listeners.udp import UdpSocket


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


@pytest.mark.parametrize(
    "environ", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "8"}]
)
def test_what_was_passed_to_another_process_is_not_taken(environ: dict[str, str]) -> None:
    assert inherited_sockets(environ, 7) == []


def test_descriptors_are_taken_from_three_on(
    udp: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = os.dup(udp.fileno())
    monkeypatch.setattr(inherited, "_FIRST_FD", copy)
    [sock] = inherited_sockets({"LISTEN_FDS": "1", "LISTEN_PID": "7"}, 7)
    with sock:
        assert sock.getsockname() == udp.getsockname()
        assert not sock.get_inheritable()


def test_a_descriptor_that_is_no_socket_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(inherited, "_FIRST_FD", reading)
    with pytest.raises(ConfigError, match="no socket"):
        inherited_sockets({"LISTEN_FDS": "1", "LISTEN_PID": "7"}, 7)
    os.close(reading)
    os.close(writing)


def test_a_socket_is_found_by_kind_host_and_port(udp: socket.socket) -> None:
    passed = [udp]
    port = port_of(udp)
    assert take_matching(passed, "127.0.0.1", port, socket.SOCK_STREAM) is None
    assert take_matching(passed, "127.0.0.2", port, socket.SOCK_DGRAM) is None
    assert take_matching(passed, "127.0.0.1", port + 1, socket.SOCK_DGRAM) is None
    assert take_matching(passed, "127.0.0.1", port, socket.SOCK_DGRAM) is udp
    assert passed == []


@pytest.mark.parametrize("host", ["", "::", "0.0.0.0"])
def test_every_address_is_one_address_however_it_is_written(host: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 0))
        assert take_matching([sock], host, port_of(sock), socket.SOCK_DGRAM) is sock


def test_what_no_listener_reads_is_a_mistake(udp: socket.socket) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        first, second = unused_mistakes([udp, ours])
        assert take_matching([ours], "127.0.0.1", 1, socket.SOCK_STREAM) is None
    assert f"UDP 127.0.0.1 port {port_of(udp)}" in first
    assert "family" in second


def test_an_inherited_socket_goes_on_receiving_for_the_next_process(udp: socket.socket) -> None:
    sock = UdpSocket(udp, receive_buffer_octets=4096, is_inherited=True)
    sock.stop_receiving()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"later", udp.getsockname())
    assert sock.drain_rest_nowait() == []
    assert udp.recv(100) == b"later"
