"""SNMP notifications over UDP (RFC 3417, 3.2): traps, and informs that are answered.

    datagram --v1, v2c: parse, community accepted?--> Notification --> Event --> sink
        |                                                  ^                      |
        +------v3: opened by its user's keys (usm.py)------+                      |
                        |                                                         |
    Report (refused) <--+      Response (informs only) <-- receipt: queue has it -+

A malformed or refused datagram costs itself: it is counted, and written to the log with its length,
its SHA-256 and its peer, but never with its octets, because a community may be among them.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import trio

from muttd.accounts import Accounts
from muttd.errors import PeerError, RefusedByUsm, RefusedTrap, UnknownEngineId
from muttd.event import CLAIMED_HOSTNAME, Event, Transport, Varbind, utc_now
from muttd.event_ids import EventIds, ids_from
from muttd.listeners.admission import admitted
from muttd.listeners.snmp_keys import KeyWaits
from muttd.listeners.udp import Datagram, UdpSocket
from muttd.protocol.mib import MibInForce
from muttd.protocol.snmp import Notification, Pdu, Version, parse_notification
from muttd.protocol.snmp_encode import encode_response
from muttd.protocol.snmp_plain import read_plain_trap
from muttd.protocol.snmp_text import TrapTexts
from muttd.protocol.snmp_v3 import is_v3
from muttd.protocol.snmp_varbind import ABOUT, SNMP_TRAP_COMMUNITY
from muttd.protocol.usm import Opened, Usm
from muttd.protocol.usm_sender import PendingKey
from muttd.sink import Sink
from muttd.sources import Sources

LISTENER = "snmp"
# A flood of bad datagrams is for the counters; the log gets one line a second.
_LOG_INTERVAL_S = 1.0
# Informs whose repetition is known for what it is. Some 300 octets each.
_KNOWN_INFORMS = 4096
# Managers give up long before; what comes later with the same request-id is a new one.
_REPEATED_WITHIN_S = 60.0
_VERSION_NAMES = {version: version.name.lower() for version in Version}
# In the place of snmpTrapCommunity.0.
_HIDDEN = b"***"

_log = logging.getLogger(__name__)


class Communities:
    """The communities that are accepted; never shown, compared in constant time."""

    def __init__(self, accepted: Sequence[str]) -> None:
        self.replace(accepted)

    def replace(self, accepted: Sequence[str]) -> None:
        """Accept these from now on, and no other."""
        self._accepted = [each.encode() for each in accepted]

    def refuse_unknown(self, community: bytes) -> None:
        """Raise RefusedTrap when this one is not accepted.

        Source: RFC 1157, 3.2.5.
        """
        # Every one is compared: the time taken must not tell which came close.
        is_accepted = False
        for each in self._accepted:
            is_accepted |= hmac.compare_digest(community, each)
        if not is_accepted:
            raise RefusedTrap("community is not accepted", at=0, source="RFC 1157, 3.2.5")


class TrapEvents:
    """Makes events of notifications.

    Args:
        event_ids: The daemon's source of event ids.
        mibs: Names and severities.
        sources: Who may send, and whether he is believed; the listener asks it too.
    """

    def __init__(self, event_ids: EventIds, mibs: MibInForce, sources: Sources) -> None:
        self.sources = sources
        self._event_ids = event_ids
        self._mibs = mibs
        self._texts = TrapTexts(mibs.current, Varbind)

    def of(self, taken: Sequence[tuple[Notification, Datagram]], at: datetime) -> list[Event]:
        """The events of these notifications, in their order.

        Args:
            taken: At least one, each with the datagram that it was in.
            at: When they came off the wire.
        """
        mib = self._mibs.current
        if self._texts.mib is not mib:
            self._texts = TrapTexts(mib, Varbind)
        ids = ids_from(self._event_ids.first_of(len(taken)), len(taken))
        return [self._event(event_id, *each, at) for event_id, each in zip(ids, taken, strict=True)]

    def _event(
        self, event_id: str, notification: Notification, datagram: Datagram, at: datetime
    ) -> Event:
        octets = datagram.octets
        if notification.security is None:
            octets = _without(notification.community, octets)
        if notification.trap_communities:
            notification, octets = _without_trap_communities(notification, octets)
        varbinds, message = self._texts.write(notification)
        attributes = _attributes(notification)
        # The agent's identity is its host, when it gave one.
        hostname = notification.host_address or datagram.source_ip
        if hostname != datagram.source_ip and not self._believes(datagram.source_ip):
            attributes[CLAIMED_HOSTNAME] = hostname
            hostname = datagram.source_ip
        return Event(
            event_id=event_id,
            received_at=at,
            source_ip=datagram.source_ip,
            hostname=hostname,
            transport=Transport.SNMP,
            severity=self._texts.mib.severity_of(notification.trap_oid),
            message=message,
            raw=octets,
            trap_oid=notification.trap_oid,
            varbinds=varbinds,
            attributes=attributes,
        )

    def _believes(self, source_ip: str) -> bool:
        return not self.sources.is_shaping or self.sources.policy(source_ip).trusts_hostname


def _attributes(notification: Notification) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "snmp_version": _VERSION_NAMES[notification.version],
        "pdu": "inform" if notification.pdu is Pdu.INFORM else "trap",
    }
    if notification.agent_addr is not None:
        attributes["agent_addr"] = notification.agent_addr
    if notification.enterprise is not None:
        attributes["enterprise"] = notification.enterprise
    if notification.generic_trap is not None:
        attributes["generic_trap"] = notification.generic_trap
        attributes["specific_trap"] = notification.specific_trap
    if notification.sys_up_time is not None:
        attributes["sys_up_time"] = notification.sys_up_time
    security = notification.security
    if security is not None:
        attributes["security_name"] = security.security_name
        attributes["security_level"] = security.security_level
        attributes["engine_id"] = security.engine_id.hex()
        attributes["context_name"] = security.context_name
    return attributes


def _without_trap_communities(
    notification: Notification, octets: bytes
) -> tuple[Notification, bytes]:
    for secret in notification.trap_communities:
        octets = _without(secret, octets)
    varbinds = tuple(
        varbind._replace(value=_HIDDEN)
        if ABOUT.get(varbind.name) == SNMP_TRAP_COMMUNITY
        else varbind
        for varbind in notification.varbinds
    )
    return notification._replace(varbinds=varbinds), octets


def _without(secret: bytes, octets: bytes) -> bytes:
    """The datagram with a community in it blotted out: a secret is stored nowhere.

    Source: X.690, 8.7: the content of an OCTET STRING is what it is, so it can be found.
    """
    if len(secret) >= 128:
        # A length in its long form: nobody needs these octets that much.
        return b""
    header = b"\x04%c" % len(secret)
    return octets.replace(header + secret, header + b"*" * len(secret))


@dataclass(slots=True)
class _Inform:
    """One inform that came lately."""

    received_at: float
    is_queued: bool = False

    def note_queued(self) -> None:
        """The queue has it."""
        self.is_queued = True


class _Informs:
    """Informs that came lately, so that one which is sent again is no second event.

    A manager repeats an inform until it is answered, with the same request-id and the same
    variable-bindings (RFC 3416, 4.2.7). Bounded: the oldest is forgotten.
    """

    def __init__(self) -> None:
        # Insertion order is age.
        self._known: dict[tuple[object, ...], _Inform] = {}

    def find(self, notification: Notification, peer: object) -> _Inform | None:
        """The one that this repeats, or None."""
        known = self._known.get(_key_of(notification, peer))
        if known is None or trio.current_time() - known.received_at > _REPEATED_WITHIN_S:
            return None
        return known

    def add(self, notification: Notification, peer: object) -> _Inform:
        """Remember a new one."""
        key = _key_of(notification, peer)
        self._known.pop(key, None)
        inform = self._known[key] = _Inform(trio.current_time())
        if len(self._known) > _KNOWN_INFORMS:
            del self._known[next(iter(self._known))]
        return inform


def _key_of(notification: Notification, peer: object) -> tuple[object, ...]:
    return peer, notification.request_id, hash(notification.binding_octets)


# What was read, and what makes the answer to it, should it be an inform.
_Reading = tuple[Notification, Callable[[], bytes]]


class SnmpTraps:
    """The listener on one UDP socket.

    Args:
        sock: Where datagrams come from and answers go.
        events: Makes events of notifications.
        communities: Which are accepted in v1 and v2c.
        usm: Opens what is v3; its clock is time.monotonic().
        sink: Takes events.
        accounts: The books.
    """

    def __init__(
        self,
        sock: UdpSocket,
        events: TrapEvents,
        communities: Communities,
        usm: Usm,
        sink: Sink,
        accounts: Accounts,
    ) -> None:
        self._sock = sock
        self._events = events
        self._communities = communities
        self._usm = usm
        self._sink = sink
        self._account = accounts[LISTENER]
        self._waits = KeyWaits(usm, self._account)
        self._next_log = -1.0
        self._informs = _Informs()

    async def serve(self) -> None:
        """Receive until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve_waits)
            while True:
                await self._receive(await self._sock.wait_batch())

    async def _serve_waits(self) -> None:
        while True:
            await self._hand_over(await self._waits.wait_ready())

    async def drain(self) -> None:
        """Take what the kernel still holds, after serve() was cancelled."""
        self._sock.stop_receiving()
        try:
            while batch := self._sock.drain_rest_nowait():
                await self._receive(batch)
            while self._waits:
                await self._hand_over(await self._waits.wait_ready())
        finally:
            self._waits.count_dropped()

    async def _receive(self, batch: list[Datagram]) -> None:
        self._account.received += len(batch)
        sources = self._events.sources
        await self._hand_over(admitted(batch, sources, self._account, trio.current_time()))

    async def _hand_over(self, batch: list[Datagram]) -> None:
        received_at = utc_now()
        taken: list[tuple[Notification, Datagram]] = []
        receipts: list[Callable[[], object]] = []
        for datagram in batch:
            try:
                reading = self._read(datagram)
            except PeerError as exc:
                self._refuse(datagram, exc)
                continue
            if reading is None:
                continue
            notification, encode_answer = reading
            if notification.pdu is Pdu.INFORM:
                answer = partial(self._answer, encode_answer, datagram)
                known = self._informs.find(notification, datagram.peer)
                if known is not None:
                    self._account.refused["duplicate"] += 1
                    if known.is_queued:
                        # The answer was lost, or late.
                        answer()
                    continue
                inform = self._informs.add(notification, datagram.peer)
                receipts += [inform.note_queued, answer]
            taken.append((notification, datagram))
        if taken:
            events = self._events.of(taken, received_at)
            # Only who sends an inform waits for its being queued.
            receipt = partial(_call_all, receipts) if receipts else None
            await self._sink.put(LISTENER, events, receipt)

    def _read(self, datagram: Datagram) -> _Reading | None:
        """What is in a datagram; None when it must wait for a key."""
        octets = datagram.octets
        if not is_v3(octets):
            notification = read_plain_trap(octets) or parse_notification(octets)
            self._communities.refuse_unknown(notification.community)
            return notification, partial(encode_response, notification)
        opened = self._usm.open(octets, now=time.monotonic())
        if isinstance(opened, PendingKey):
            self._waits.add(opened, datagram)
            return None
        return opened.notification, partial(self._encode_v3_response, opened)

    def _encode_v3_response(self, opened: Opened) -> bytes:
        return self._usm.encode_response(opened, now=time.monotonic())

    def _answer(self, encode_answer: Callable[[], bytes], datagram: Datagram) -> None:
        # Encoded only now: what it says of our time is true when it is sent.
        self._sock.send_nowait(encode_answer(), datagram.peer)

    def _refuse(self, datagram: Datagram, exc: PeerError) -> None:
        self._account.refused[exc.reason] += 1
        if isinstance(exc, RefusedByUsm) and exc.report is not None:
            self._sock.send_nowait(exc.report, datagram.peer)
            if isinstance(exc, UnknownEngineId):
                # Nothing is wrong: so everybody begins who sends informs (RFC 3414, 4).
                return
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


def _call_all(receipts: Sequence[Callable[[], object]]) -> None:
    for receipt in receipts:
        receipt()
