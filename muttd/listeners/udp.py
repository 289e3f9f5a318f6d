"""UDP as both datagram listeners use it: wait once, then drain.

    wait_readable --> recvfrom, recvfrom, ... until EAGAIN or max_batch --> one batch
          ^                                                                   |
          +---- nothing came --- two milliseconds, in which others come ------+

One wait per datagram loses more than half of a flood; a drained socket loses nothing. What the
kernel drops all the same is read from /proc/net/udp, where the socket is found by its inode.
"""

from __future__ import annotations

import math
import os
import socket
from pathlib import Path

import msgspec
import trio

from muttd.rush import Rush

# As many messages as arrive at 100 000/s while the other tasks have their turn; taken in 3 ms.
MAX_BATCH = 1024
# From one batch to the next, unless it was full: to be woken costs as much as to take a dozen.
_GATHER_S = 0.002
# The longest UDP payload (RFC 768: a 16 bit length) fits.
MAX_DATAGRAM_OCTETS = 65_535
# linux/socket.h; not in Python's socket module.
_SO_RCVBUFFORCE = 33


class Datagram(msgspec.Struct, frozen=True, gc=False):
    """One datagram and who sent it.

    Attributes:
        octets: The payload, 0 to 65 507 octets.
        source_ip: The peer in its shortest text form; IPv4-mapped addresses as IPv4.
        peer: The address that an answer is sent to.
    """

    octets: bytes
    source_ip: str
    peer: tuple[str, int] | tuple[str, int, int, int]


def plain_address(host: str) -> str:
    """An address as people write it: ::ffff:192.0.2.1 is 192.0.2.1 (RFC 4291, 2.5.5.2)."""
    if host.startswith("::ffff:") and "." in host:
        return host[7:]
    return host.partition("%")[0]


def _enlarge_buffer(sock: socket.socket, octets: int) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, octets)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)


class UdpSocket:
    """A bound, non-blocking UDP socket.

    Args:
        sock: Bound. Owned from now on.
        receive_buffer_octets: What the kernel is asked for; it grants less to those without
            CAP_NET_ADMIN (net.core.rmem_max).
        is_inherited: systemd holds the socket too and gives it to the next process: its buffer
            is as large as the socket unit says, and what we leave in it is not lost.
        rush: Told of every full batch.
        max_batch: Datagrams that are taken before the other tasks have their turn.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        receive_buffer_octets: int,
        is_inherited: bool = False,
        rush: Rush | None = None,
        max_batch: int = MAX_BATCH,
    ) -> None:
        sock.setblocking(False)
        if not is_inherited:
            _enlarge_buffer(sock, receive_buffer_octets)
        self._is_inherited = is_inherited
        self._sock = sock
        self._rush = rush or Rush()
        self._max_batch = max_batch
        self._inode = os.fstat(sock.fileno()).st_ino
        table = "udp6" if sock.family == socket.AF_INET6 else "udp"
        self._table = Path("/proc/self/net", table)
        self._texts: dict[str, str] = {}
        self._next_drain_at = -math.inf

    @property
    def inode(self) -> int:
        """Names the socket for as long as anybody holds it open."""
        return self._inode

    @property
    def is_inherited(self) -> bool:
        """Whether systemd holds it too."""
        return self._is_inherited

    @property
    def port(self) -> int:
        """Where it is bound."""
        port: int = self._sock.getsockname()[1]
        return port

    @property
    def receive_buffer_octets(self) -> int:
        """What the kernel granted."""
        return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    async def wait_batch(self) -> list[Datagram]:
        """Wait for datagrams and take all that are there, at most max_batch; at least one."""
        await trio.sleep_until(self._next_drain_at)
        while not (batch := self._drain_nowait()):
            await trio.lowlevel.wait_readable(self._sock)
        if len(batch) == self._max_batch:
            self._rush.note_full()
            self._next_drain_at = -math.inf
        else:
            self._next_drain_at = trio.current_time() + _GATHER_S
        return batch

    def _drain_nowait(self) -> list[Datagram]:
        batch: list[Datagram] = []
        receive = self._sock.recvfrom
        texts = self._texts
        for _ in range(self._max_batch):
            try:
                octets, peer = receive(MAX_DATAGRAM_OCTETS)
            except BlockingIOError:
                break
            except ConnectionError:
                # An ICMP error to one of our answers. It is not about what we receive.
                continue
            host = peer[0]
            text = texts.get(host)
            if text is None:
                if len(texts) > 10_000:
                    # Spoofed sources must not grow it without bound.
                    texts.clear()
                text = texts[host] = plain_address(host)
            batch.append(Datagram(octets, text, peer))
        return batch

    def send_nowait(self, octets: bytes, peer: tuple[str, int] | tuple[str, int, int, int]) -> bool:
        """Send one datagram if the kernel takes it now; whether it did."""
        try:
            self._sock.sendto(octets, peer)
        except OSError:
            # The peer sends its inform again; an answer is worth no more than that.
            return False
        return True

    def kernel_drops(self) -> int | None:
        """Datagrams that the kernel dropped since the socket was made; None where it cannot say.

        Reads the last column of this socket's row in /proc/net/udp (proc(5)).
        """
        try:
            rows = self._table.read_text().splitlines()
        except OSError:
            return None
        for row in rows[1:]:
            fields = row.split()
            if int(fields[9]) == self._inode:
                return int(fields[12])
        return None

    def close(self) -> None:
        """Close the socket; what it still holds is lost, counted by nobody: drain it first."""
        self._sock.close()

    def stop_receiving(self) -> None:
        """Take nothing new off the wire; what the kernel holds already can still be drained.

        A connected UDP socket receives from its one peer only (udp(7)); others are told by ICMP
        that nobody listens, instead of vanishing in a buffer that nobody will read. An inherited
        socket is left as it is: the next process receives from it.
        """
        if self._is_inherited:
            return
        host = "::1" if self._sock.family == socket.AF_INET6 else "127.0.0.1"
        try:
            # The discard port: nobody sends from there.
            self._sock.connect((host, 9))
        except OSError:
            # Bound to an address that has no way to loopback; what is left is drained all the same.
            return

    def drain_rest_nowait(self) -> list[Datagram]:
        """What the kernel holds right now, at most max_batch; for the last moments.

        Nothing of an inherited socket: that is for the next process, and may never end.
        """
        if self._is_inherited:
            return []
        return self._drain_nowait()
