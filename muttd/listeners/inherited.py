"""Sockets that systemd bound for us and keeps while we restart (sd_listen_fds(3)).

    LISTEN_PID=4711 LISTEN_FDS=2      descriptors 3 and 4 are ours, bound, the streams listening

Such a socket outlives the process: what arrives between two runs waits in its buffer. So it is
found by the address that a listener's setting names, and must be left as it was found.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence

from muttd.errors import ConfigError

_FIRST_FD = 3
_EVERY_HOST = ("", "::", "0.0.0.0")
_KINDS = {socket.SOCK_DGRAM: "UDP", socket.SOCK_STREAM: "TCP"}


def inherited_sockets(environ: Mapping[str, str], pid: int) -> list[socket.socket]:
    """The sockets that were passed to this process; none when nobody passed any.

    Args:
        environ: Of the process.
        pid: Its process id: what was meant for a parent is not ours.

    Raises:
        ConfigError: A descriptor is no socket.
    """
    if environ.get("LISTEN_PID") != str(pid):
        return []
    count = environ.get("LISTEN_FDS", "0")
    sockets = []
    for fd in range(_FIRST_FD, _FIRST_FD + (int(count) if count.isdigit() else 0)):
        try:
            os.set_inheritable(fd, False)
            sockets.append(socket.socket(fileno=fd))
        except OSError as exc:
            raise ConfigError([f"systemd passed descriptor {fd}, which is no socket"]) from exc
    return sockets


def take_matching(
    sockets: list[socket.socket], host: str, port: int, kind: socket.SocketKind
) -> socket.socket | None:
    """Remove the socket of an address from the list and return it; None when there is none.

    "::" and "0.0.0.0" are one address here: which of them systemd binds is its own setting.
    """
    for sock in sockets:
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != kind:
            continue
        bound_host, bound_port = sock.getsockname()[:2]
        is_host = bound_host == host or (host in _EVERY_HOST and bound_host in _EVERY_HOST)
        if bound_port == port and is_host:
            sockets.remove(sock)
            return sock
    return None


def unused_mistakes(sockets: Sequence[socket.socket]) -> list[str]:
    """One line for each socket that no listener reads: what arrives there would be lost unseen."""
    mistakes = []
    for sock in sockets:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            host, port = sock.getsockname()[:2]
            what = f"{_KINDS.get(sock.type, 'a socket on')} {host} port {port}"
        else:
            what = f"a socket of family {sock.family}"
        mistakes.append(
            f"systemd passed {what}, which no listener is set to; name it in the setting of a "
            "listener, or remove it from muttd.socket"
        )
    return mistakes
