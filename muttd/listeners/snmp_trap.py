"""SNMP notifications over UDP (RFC 3417, 3.2): traps, and informs that are answered.

    datagram --parse--> Notification --community accepted?--> Event --> sink
                                                                          |
    Response (informs only) <----------- receipt: the queue has it -------+

A malformed or refused datagram costs itself: it is counted, and written to the log with its length,
its SHA-256 and its peer, but never with its octets, because a community may be among them.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import trio

from muttd.accounts import Accounts
from muttd.errors import PeerError, RefusedTrap
from muttd.event import Event, EventIds, Transport, Varbind, utc_now
from muttd.listeners.udp import Datagram, UdpSocket
from muttd.protocol.mib import Mib
from muttd.protocol.snmp import Notification, Pdu, parse_notification
from muttd.protocol.snmp_encode import encode_response
from muttd.protocol.snmp_text import describe
from muttd.sink import Sink

LISTENER = "snmp"
# A flood of bad datagrams is for the counters; the log gets one line a second.
_LOG_INTERVAL_S = 1.0

_log = logging.getLogger(__name__)


class Communities:
    """The communities that are accepted; never shown, compared in constant time."""

    def __init__(self, accepted: Sequence[str]) -> None:
        self._accepted = [each.encode() for each in accepted]

    def refuse_unknown(self, community: bytes) -> None:
        """Raise RefusedTrap when this one is not accepted.

        Source: RFC 1157, 3.2.5.
        """
        # Every one is compared: the time taken must not tell which came close.
        matches = [hmac.compare_digest(community, each) for each in self._accepted]
        if not any(matches):
            raise RefusedTrap("community is not accepted", at=0, source="RFC 1157, 3.2.5")


class TrapEvents:
    """Makes events of notifications.

    Args:
        event_ids: The daemon's source of event ids.
        mib: Names and severities.
    """

    def __init__(self, event_ids: EventIds, mib: Mib) -> None:
        self._event_ids = event_ids
        self._mib = mib

    def event(self, notification: Notification, datagram: Datagram, received_at: datetime) -> Event:
        """The event of one notification. The agent's identity is its host, when it gave one."""
        text = describe(notification, self._mib)
        return Event(
            event_id=self._event_ids.next(),
            received_at=received_at,
            source_ip=datagram.source_ip,
            hostname=notification.host_address or datagram.source_ip,
            transport=Transport.SNMP,
            severity=self._mib.severity_of(notification.trap_oid),
            message=text.message,
            raw=_without_community(datagram.octets, notification.community),
            trap_oid=notification.trap_oid,
            varbinds=[Varbind(*each) for each in text.varbinds],
            attributes=_attributes(notification),
        )


def _attributes(notification: Notification) -> dict[str, Any]:
    attributes = {
        "snmp_version": "v1" if notification.version == 0 else "v2c",
        "pdu": "inform" if notification.pdu is Pdu.INFORM else "trap",
        "agent_addr": notification.agent_addr,
        "enterprise": notification.enterprise,
        "generic_trap": notification.generic_trap,
        "specific_trap": notification.specific_trap,
        "sys_up_time": notification.sys_up_time,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _without_community(octets: bytes, community: bytes) -> bytes:
    """The datagram with the community blotted out: a secret is stored nowhere.

    Source: RFC 1157, 4: the community is the first OCTET STRING of the message.
    """
    at = octets.find(b"\x04" + bytes([len(community)]) + community) if len(community) < 128 else -1
    if at == -1:
        # A length in its long form: nobody needs these octets that much.
        return b""
    start = at + 2
    return octets[:start] + b"*" * len(community) + octets[start + len(community) :]


class SnmpTraps:
    """The listener on one UDP socket.

    Args:
        sock: Where datagrams come from and answers go.
        events: Makes events of notifications.
        communities: Which are accepted.
        sink: Takes events.
        accounts: The books.
    """

    def __init__(
        self,
        sock: UdpSocket,
        events: TrapEvents,
        communities: Communities,
        sink: Sink,
        accounts: Accounts,
    ) -> None:
        self._sock = sock
        self._events = events
        self._communities = communities
        self._sink = sink
        self._account = accounts[LISTENER]
        self._next_log = -1.0

    async def serve(self) -> None:
        """Receive until cancelled."""
        while True:
            await self._hand_over(await self._sock.wait_batch())

    async def drain(self) -> None:
        """Take what the kernel still holds, after serve() was cancelled."""
        while batch := self._sock.drain_rest_nowait():
            await self._hand_over(batch)

    async def _hand_over(self, batch: list[Datagram]) -> None:
        received_at = utc_now()
        self._account.received += len(batch)
        events: list[Event] = []
        answers: list[Callable[[], object]] = []
        for datagram in batch:
            try:
                notification = parse_notification(datagram.octets)
                self._communities.refuse_unknown(notification.community)
            except PeerError as exc:
                self._refuse(datagram, exc)
                continue
            events.append(self._events.event(notification, datagram, received_at))
            if notification.pdu is Pdu.INFORM:
                answers.append(
                    partial(self._sock.send_nowait, encode_response(notification), datagram.peer)
                )
        if events:
            await self._sink.put(LISTENER, events, partial(_answer_all, answers))

    def _refuse(self, datagram: Datagram, exc: PeerError) -> None:
        self._account.refused[exc.reason] += 1
        now = trio.current_time()
        if now >= self._next_log:
            self._next_log = now + _LOG_INTERVAL_S
            digest = hashlib.sha256(datagram.octets).hexdigest()
            _log.info(
                "snmp: refused %d octets of %s, SHA-256 %s: %s",
                len(datagram.octets),
                datagram.source_ip,
                digest,
                exc,
            )


def _answer_all(answers: Sequence[Callable[[], object]]) -> None:
    for answer in answers:
        answer()
