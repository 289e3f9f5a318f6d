"""Syslog over UDP (RFC 5426, and RFC 3164 as the world sends it): one datagram, one message."""

from __future__ import annotations

import trio

from muttd.accounts import Accounts
from muttd.event import Transport, utc_now
from muttd.listeners.admission import admitted
from muttd.listeners.syslog_event import SyslogEvents
from muttd.listeners.udp import Datagram, UdpSocket
from muttd.sink import Sink

LISTENER = "syslog_udp"


class SyslogUdp:
    """The listener on one UDP socket.

    Args:
        sock: Where datagrams come from.
        events: Makes events of messages.
        sink: Takes them; while it waits, datagrams wait in the kernel's buffer.
        accounts: The books.
    """

    def __init__(
        self, sock: UdpSocket, events: SyslogEvents, sink: Sink, accounts: Accounts
    ) -> None:
        self._sock = sock
        self._events = events
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
        received_at = utc_now()
        account = self._account
        account.received += len(batch)
        batch = admitted(batch, self._events.sources, account, trio.current_time())
        event = self._events.event
        events = [
            event(datagram.octets, datagram.source_ip, Transport.SYSLOG_UDP, received_at)
            for datagram in batch
            if datagram.octets
        ]
        account.refused["empty"] += len(batch) - len(events)
        account.malformed += sum(each.malformed is not None for each in events)
        if events:
            await self._sink.put(LISTENER, events)
