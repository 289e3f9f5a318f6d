"""Bind the sockets of all listeners, and say for each that cannot be bound what would cure it."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

# Connections that wait to be accepted; the kernel caps it at net.core.somaxconn.
_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class BoundSocket:
    """A bound socket and the address it got, which matters when port 0 was asked for.

    Attributes:
        is_inherited: systemd holds it too, and gives it to the next process.
    """

    sock: socket.socket
    address: str
    is_inherited: bool = False


def bind(host: str, port: int, kind: socket.SocketKind, *, reuse_port: bool = False) -> BoundSocket:
    """Bind one socket; TCP ones listen.

    Args:
        host: An address or name; "" and "::" are every address, IPv4 included.
        port: 0 to 65535; 0 lets the kernel choose.
        kind: SOCK_DGRAM or SOCK_STREAM.
        reuse_port: Share the address with other processes of the same user that say so too; the
            kernel spreads what arrives over them (socket(7), SO_REUSEPORT).

    Raises:
        OSError: It cannot be bound; bind_mistake() says it for a human.
    """
    every = host in ("", "::")
    if every and not socket.has_dualstack_ipv6():
        # IPv6 is switched off on this host.
        host = "0.0.0.0"
    family, _, _, _, address = socket.getaddrinfo(
        host or "::", port, type=kind, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            # "::" takes IPv4 too, whatever net.ipv6.bindv6only says.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if every else 1)
        if kind == socket.SOCK_STREAM:
            # Connections of the last run in TIME_WAIT must not keep us from starting.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        if kind == socket.SOCK_STREAM:
            sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return BoundSocket(sock, _address_of(sock))


def adopt(sock: socket.socket) -> BoundSocket:
    """A socket that systemd bound, as if we had."""
    sock.setblocking(False)
    return BoundSocket(sock, _address_of(sock), is_inherited=True)


def _address_of(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind_mistake(
    setting: str, address: str, port: int, exc: OSError, *, reuse_port: bool = False
) -> str:
    """Why an address cannot be bound, and the cure, in one line."""
    if isinstance(exc, socket.gaierror):
        return f"{setting}: {address}: no such address: {exc.strerror}"
    if exc.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{setting}: cannot bind {address}: permission denied; ports below 1024 need "
            f"CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE), "
            f"or set {setting} to a higher port"
        )
    if exc.errno == errno.EADDRINUSE and reuse_port:
        return (
            f"{setting}: cannot bind {address}: a process has it that does not share it, or is "
            f"another user's (`ss -lnptue 'sport = :{port}'` shows which); a daemon shares with "
            f"MUTTD_REUSE_PORT=true, and muttd.service and muttd.socket do not go with muttd@"
        )
    if exc.errno == errno.EADDRINUSE:
        return (
            f"{setting}: cannot bind {address}: another program has it "
            f"(`ss -lnptu 'sport = :{port}'` shows which); stop that one or set {setting} "
            f"to another port"
        )
    if exc.errno == errno.EADDRNOTAVAIL:
        return f"{setting}: cannot bind {address}: this host has no such address"
    return f"{setting}: cannot bind {address}: {exc.strerror}"
