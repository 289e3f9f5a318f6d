"""The proxy that breaks things does so as it says, and only when told to."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from running_daemon import eventually

from servers.fault_proxy import FaultProxy, fault_proxy


def echo(listener: socket.socket) -> None:
    def answer(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            while octets := client.recv(65_536):
                client.sendall(octets)

    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(client,), daemon=True).start()


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """A proxy before a server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=echo, args=(listener,), daemon=True)
    thread.start()
    with fault_proxy(listener.getsockname()[1]) as proxy:
        yield proxy
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


@contextlib.contextmanager
def connected(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as sock:
        yield sock


def asked(sock: socket.socket, octets: bytes) -> bytes:
    sock.sendall(octets)
    return received(sock, len(octets))


# A reset that finds us before we read is ECONNRESET, after a FIN it is EPIPE: ConnectionError both.


def received(sock: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count and (octets := sock.recv(65_536)):
        found += octets
    return found


def test_octets_go_through_both_ways_until_told_otherwise(proxy: FaultProxy) -> None:
    many = bytes(range(256)) * 4096
    with connected(proxy) as sock:
        sender = threading.Thread(target=sock.sendall, args=(many,))
        sender.start()
        assert received(sock, len(many)) == many
        sender.join()
        # The end of one side is told to the other.
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
    eventually(lambda: proxy.open_count, lambda count: count == 0)


def test_a_stopped_proxy_refuses_and_comes_back_on_its_port(proxy: FaultProxy) -> None:
    with connected(proxy) as sock:
        assert asked(sock, b"one") == b"one"
        port = proxy.port
        proxy.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with contextlib.suppress(ConnectionError):
            assert sock.recv(1) == b""
    proxy.heal()
    assert proxy.port == port
    with connected(proxy) as sock:
        assert asked(sock, b"two") == b"two"


def test_a_hung_proxy_says_nothing_and_goes_on_where_it_was(proxy: FaultProxy) -> None:
    with connected(proxy) as old:
        assert asked(old, b"before") == b"before"
        proxy.hang()
        with connected(proxy) as new:
            for sock in (old, new):
                sock.sendall(b"during")
                sock.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    sock.recv(1)
                sock.settimeout(10)
            proxy.heal()
            assert received(old, 6) == received(new, 6) == b"during"


def test_delayed_octets_arrive_whole_and_late(proxy: FaultProxy) -> None:
    with connected(proxy) as sock:
        proxy.delay(0.1)
        started = time.monotonic()
        assert asked(sock, b"late") == b"late"
        # Once on the way there, once on the way back.
        assert time.monotonic() - started >= 0.2
        proxy.heal()
        assert asked(sock, b"soon") == b"soon"


def test_a_truncated_answer_ends_within_it_and_the_next_one_does_not(proxy: FaultProxy) -> None:
    with connected(proxy) as sock:
        proxy.truncate(4)
        sock.sendall(b"truncated")
        found = b""
        with contextlib.suppress(ConnectionError):
            found = received(sock, 9)
        # A reset may overtake what was sent before it.
        assert b"trun".startswith(found)
    with connected(proxy) as sock:
        assert asked(sock, b"whole") == b"whole"


def test_a_cut_ends_what_is_open_and_takes_what_is_new(proxy: FaultProxy) -> None:
    with connected(proxy) as old:
        assert asked(old, b"one") == b"one"
        proxy.cut()
        with contextlib.suppress(ConnectionError):
            assert old.recv(1) == b""
        with connected(proxy) as new:
            assert asked(new, b"two") == b"two"


def test_a_server_that_is_away_resets_who_comes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with fault_proxy(port) as proxy:
        # The reset may be there before connect() has returned.
        with contextlib.suppress(ConnectionError), connected(proxy) as sock:
            assert sock.recv(1) == b""
        assert proxy.open_count == 0
