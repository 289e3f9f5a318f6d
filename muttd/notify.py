"""Tell systemd how we are (sd_notify(3)): a datagram per state, nothing when nobody listens."""

from __future__ import annotations

import os
import socket


def notify(*lines: str) -> None:
    """Send lines such as READY=1, STOPPING=1 or STATUS=...; does nothing outside systemd."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address[0] == "@":
        # An abstract socket.
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto("\n".join(lines).encode(), address)
        except OSError:
            # The state of a daemon does not depend on who watches it.
            return
