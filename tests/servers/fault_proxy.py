"""A TCP proxy that breaks the way to a server, as networks do.

    pass        octets go through, both ways
    stopped     its port is closed: connection refused; open connections are reset
    hung        connections stand and new ones are taken, but no octet goes through
    delayed     each piece of octets is held for a while, in either direction
    truncated   so many octets of the server's answer go through, then the connection is reset

heal() brings it back to pass, on the same port. Threads, so that a test needs no event loop.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

_PIECE_OCTETS = 65_536
# l_onoff, l_linger: close() sends RST, so that the peer learns at once and no port is left waiting.
_RESET = struct.pack("ii", 1, 0)


class FaultProxy:
    """Passes TCP connections on to one address, until it is told to misbehave.

    Args:
        host, port: Where the server listens.

    Attributes:
        port: Where the proxy listens, on 127.0.0.1; the same as long as it lives.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._pumps: list[threading.Thread] = []
        self._flows = threading.Event()
        self._flows.set()
        self._is_over = threading.Event()
        self._delay_s = 0.0
        self._answer_octets_left: int | None = None
        self._listen(0)
        self.port: int = self._listener.getsockname()[1]

    def stop(self) -> None:
        """Close the port and reset what is open, as a server that died."""
        self._close_listener()
        self.cut()

    def hang(self) -> None:
        """Let no octet through, and say nothing, as a server that is stuck or a cable pulled."""
        self._flows.clear()

    def delay(self, seconds: float) -> None:
        """Hold each piece of octets for so long before it goes on."""
        self._delay_s = seconds

    def truncate(self, octets: int) -> None:
        """Let so many octets of the server's answers through, then reset that connection; once."""
        with self._lock:
            self._answer_octets_left = octets

    def cut(self) -> None:
        """Reset every open connection; new ones are taken."""
        with self._lock:
            for sock in self._open:
                _reset(sock)

    def heal(self) -> None:
        """Undo every fault; connections that stood through a hang go on."""
        with self._lock:
            self._answer_octets_left = None
        self._delay_s = 0.0
        self._flows.set()
        if self._listener.fileno() == -1:
            self._listen(self.port)

    def close(self) -> None:
        """Stop, for ever; returns when no thread is left."""
        self._is_over.set()
        self._flows.set()
        self.stop()
        for pump in self._pumps:
            pump.join()

    @property
    def open_count(self) -> int:
        """Connections that stand."""
        with self._lock:
            return len(self._open) // 2

    def _listen(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._acceptor = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._acceptor.start()

    def _close_listener(self) -> None:
        with contextlib.suppress(OSError):
            # Closing alone would leave accept() waiting.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                _reset(client)
                client.close()
                continue
            pumps = [
                threading.Thread(target=self._pump, args=(client, server, False), daemon=True),
                threading.Thread(target=self._pump, args=(server, client, True), daemon=True),
            ]
            with self._lock:
                self._open |= {client, server}
                self._pumps = [pump for pump in self._pumps if pump.is_alive()] + pumps
                for pump in pumps:
                    pump.start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(_PIECE_OCTETS):
                if self._delay_s:
                    self._is_over.wait(self._delay_s)
                self._flows.wait()
                octets, is_last = self._clipped(octets) if is_answer else (octets, False)
                sink.sendall(octets)
                if is_last:
                    _reset(source)
                    _reset(sink)
                    break
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        with self._lock:
            # Each of the two threads closes the end that only it reads.
            self._open.discard(source)
            source.close()

    def _clipped(self, octets: bytes) -> tuple[bytes, bool]:
        """What of an answer may pass, and whether the connection ends there."""
        with self._lock:
            if self._answer_octets_left is None:
                return octets, False
            if len(octets) < self._answer_octets_left:
                self._answer_octets_left -= len(octets)
                return octets, False
            passed, self._answer_octets_left = octets[: self._answer_octets_left], None
            return passed, True


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # Wakes the thread that reads it, which closes it.
        sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def fault_proxy(port: int, host: str = "127.0.0.1") -> Iterator[FaultProxy]:
    """A proxy before a server, until the block ends."""
    proxy = FaultProxy(host, port)
    try:
        yield proxy
    finally:
        proxy.close()
