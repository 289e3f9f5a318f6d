"""With sockets that systemd holds, a restart loses no datagram."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, eventually

pytestmark = pytest.mark.acceptance


@pytest.fixture
def held() -> Iterator[socket.socket]:
    """What systemd would bind: it lives on while daemons come and go."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, 33, 64 * 1024 * 1024)  # SO_RCVBUFFORCE
        sock.bind(("0.0.0.0", 0))
        yield sock


class Sender:
    """Numbered messages at a steady rate, from a thread, until told to stop."""

    def __init__(self, port: int, *, rate_per_s: int) -> None:
        self.sent_count = 0
        self._port = port
        self._rate_per_s = rate_per_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while not self._stop.wait(0.01):
                for _ in range(self._rate_per_s // 100):
                    text = f"<13>1 - host app - - - number {self.sent_count}"
                    sock.sendto(text.encode(), ("127.0.0.1", self._port))
                    self.sent_count += 1

    def stop(self) -> int:
        """Stop; how many were sent."""
        self._stop.set()
        self._thread.join()
        return self.sent_count


def test_a_restart_under_load_loses_no_datagram(tmp_path: Path, held: socket.socket) -> None:
    port: int = held.getsockname()[1]
    settings = {"MUTTD_SYSLOG_UDP": f"0.0.0.0:{port}"}
    daemon = RunningDaemon(tmp_path, settings, passed=[held])
    sender = None
    try:
        daemon.wait_ready()
        sender = Sender(port, rate_per_s=5000)
        eventually(lambda: sender and sender.sent_count > 2000)
        for _ in range(2):
            assert daemon.terminate() == 0
            daemon = RunningDaemon(tmp_path, settings, passed=[held]).wait_ready()
        sent = sender.stop()

        def stored() -> int:
            answer = daemon.get("/api/v2/events", limit=1)
            total: int = answer["pagination"]["total"]
            return total

        assert eventually(stored, lambda count: count >= sent) == sent
        assert daemon.listener("syslog_udp")["kernel_dropped"] == 0
    finally:
        if sender is not None:
            sender.stop()
        daemon.kill()


def test_a_socket_that_no_listener_is_set_to_is_refused(
    launch_daemon: Callable[..., RunningDaemon], held: socket.socket
) -> None:
    daemon = launch_daemon(passed=[held])
    assert daemon.wait_exit() == 78
    assert any("which no listener is set to" in line for line in daemon.log)
