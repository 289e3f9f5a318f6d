"""Syslog over UDP (RFC 5426, and RFC 3164 as the world sends it): one datagram, one message."""

from __future__ import annotations

from collections import deque

import trio

from muttd.accounts import Accounts
from muttd.event import Transport
from muttd.listeners.admission import admitted
from muttd.listeners.syslog_arrivals import SyslogArrivals
from muttd.listeners.udp import Datagram, UdpSocket
from muttd.sink import Sink

LISTENER = "syslog_udp"


class SyslogUdp:
    """The listener on one UDP socket.

    Args:
        sock: Where datagrams come from.
        arrivals: Makes arrivals of messages.
        sink: Takes them; while it waits, datagrams wait in the kernel's buffer.
        accounts: The books.
    """

    def __init__(
        self, sock: UdpSocket, arrivals: SyslogArrivals, sink: Sink, accounts: Accounts
    ) -> None:
        self._sock = sock
        self._arrivals = arrivals
        self._sink = sink
        self._account = accounts[LISTENER]

    async def serve(self) -> None:
        """Receive until cancelled. What the kernel already held at that moment is still taken."""
        while True:
            batch = await self._sock.wait_batch()
            await self._hand_over(batch)

    async def drain(self) -> None:
        """Take what the kernel still holds, after serve() was cancelled."""
        self._sock.stop_receiving()
        while batch := self._sock.drain_rest_nowait():
            await self._hand_over(batch)

    async def _hand_over(self, batch: list[Datagram]) -> None:
        account = self._account
        account.received += len(batch)
        batch = admitted(batch, self._arrivals.sources, account, trio.current_time())
        messages = [datagram.octets for datagram in batch if datagram.octets]
        account.refused["empty"] += len(batch) - len(messages)
        if not messages:
            return
        source_ips = [datagram.source_ip for datagram in batch if datagram.octets]
        loads = deque(self._arrivals.of(messages, source_ips, Transport.SYSLOG_UDP))
        try:
            while loads:
                await self._sink.put(LISTENER, loads.popleft())
        except trio.Cancelled:
            # The sink has counted the one it was given.
            account.dropped += sum(map(len, loads))
            raise
