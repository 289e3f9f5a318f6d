"""A steady load of syslog for tests of pages: so many messages a second, for so long at most."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from visiting import syslog

# Twenty times a second: coarse enough for a busy machine, fine enough to be steady.
_TICK_S = 0.05
# Nothing in a test takes this long; it bounds a load whose test went wrong.
MAX_LOAD_S = 120.0


class SteadyLoad:
    """Sends numbered messages of many hosts until it is stopped.

    Attributes:
        sent: Messages so far.
    """

    def __init__(self, port: int, *, per_s: int, hosts: int = 20) -> None:
        self.sent = 0
        self._port = port
        self._per_s = per_s
        self._hosts = hosts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        started_at = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", self._port))
            while not self._stop.wait(_TICK_S):
                elapsed_s = time.monotonic() - started_at
                if elapsed_s > MAX_LOAD_S:
                    return
                # After a pause of this thread no more than one second is made up for.
                due = min(int(elapsed_s * self._per_s) - self.sent, self._per_s)
                for n in range(self.sent, self.sent + due):
                    host = f"load-{n % self._hosts}.example"
                    sock.send(syslog(host, f"background event {n}", pri=134 + n % 2))
                self.sent += due


@contextmanager
def steady_load(port: int, *, per_s: int) -> Iterator[SteadyLoad]:
    """Send so many messages a second while the block runs."""
    load = SteadyLoad(port, per_s=per_s)
    load.start()
    try:
        yield load
    finally:
        load.stop()
