"""Arrivals: syslog messages as they came off the wire, to be parsed by whoever takes them.

    octets --> Arrivals --encode_arrivals--> one queue entry --decode_entry--> parse --> Events

A message that is queued before anybody looked into it is safe sooner and costs the receiver least;
made an event before, it would be encoded and decoded once more than it has to be. What the parse
depends on besides the octets goes with them, so that every daemon makes the same events of them,
and makes them again after a crash: the ids are given on arrival.
"""

from __future__ import annotations

import logging
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any

import msgspec

from muttd.errors import StoreRefused
from muttd.event import CLAIMED_HOSTNAME, Event, Transport, encode_events
from muttd.event_ids import ids_from
from muttd.protocol.syslog import parse_syslog
from muttd.protocol.syslog_message import DEFAULT_FACILITY, DEFAULT_SEVERITY, SyslogMessage
from muttd.settings_values import parse_zone

_log = logging.getLogger(__name__)


class Origin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the messages of one Arrivals have in common.

    Attributes:
        transport: How they came.
        received_at: When they came off the wire; aware, UTC.
        zone: Where RFC 3164 stamps stand, which do not say: a name of the IANA database, or
            "local", where the machine has no name for its own.
        max_octets: What is longer is cut there and marked malformed.
        trusts_hostname: Whether they are believed who they say they are from.
        attributes: What is known of their sender besides.
    """

    transport: Transport
    received_at: datetime
    zone: str
    max_octets: int
    trusts_hostname: bool = True
    attributes: dict[str, Any] = {}


class Arrivals(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Messages in the order they came; len() of it is how many.

    Attributes:
        first_event_id: Of the first one; the others have the ids that follow (ids_from).
        origin: What they have in common.
        source_ips: The peer of each, in its shortest text form; one alone is that of all.
        messages: The octets of each, unframed; at least one.
    """

    first_event_id: str
    origin: Origin
    source_ips: list[str]
    messages: list[bytes]

    def __len__(self) -> int:
        return len(self.messages)

    def __getitem__(self, part: slice) -> Arrivals:
        """Some of them, with the ids that they have in the whole."""
        start, stop, _ = part.indices(len(self.messages))
        return Arrivals(
            ids_from(self.first_event_id, 1, skip=start)[0],
            self.origin,
            self.source_ips if len(self.source_ips) == 1 else self.source_ips[start:stop],
            self.messages[start:stop],
        )

    def events(self) -> list[Event]:
        """Parse them. Never raises: an ugly message is an event marked malformed.

        Raises:
            StoreRefused: The zone is not known here.
        """
        zone = _zone(self.origin.zone)
        sources = self.source_ips
        if len(sources) == 1:
            sources = sources * len(self.messages)
        ids = ids_from(self.first_event_id, len(self.messages))
        origin = self.origin
        return [
            _event(event_id, octets, source_ip, origin, zone)
            for event_id, octets, source_ip in zip(ids, self.messages, sources, strict=True)
        ]


class _Unparsed(msgspec.Struct, frozen=True):
    # A map, so that nobody takes it for the array that encode_events makes.
    arrivals: list[Arrivals]


def encode_arrivals(arrivals: list[Arrivals]) -> bytes:
    """Encode them as the payload of one queue entry."""
    return _encoder.encode(_Unparsed(arrivals))


class Content(msgspec.Struct, frozen=True, gc=False):
    """What a queue entry of the ingest stream holds: events, or arrivals.

    Attributes:
        events: As they were encoded.
        arrivals: Nobody has looked into them yet.
    """

    events: list[Event]
    arrivals: list[Arrivals]

    def all_events(self) -> list[Event]:
        """In the order they came; arrivals are parsed.

        Raises:
            StoreRefused: The zone of some of them is not known here.
        """
        return [*self.events, *(event for each in self.arrivals for event in each.events())]

    def payloads(self) -> list[bytes]:
        """A payload for each event or message alone; nothing is parsed."""
        alone = (each[at : at + 1] for each in self.arrivals for at in range(len(each)))
        return [
            *(encode_events([event]) for event in self.events),
            *(encode_arrivals([each]) for each in alone),
        ]


def decode_entry(payload: bytes) -> Content:
    """The content of one entry of the ingest stream, however it was encoded.

    Raises:
        StoreRefused: It is neither events nor arrivals.
    """
    try:
        content = _decoder.decode(payload)
    except msgspec.MsgspecError as exc:
        raise StoreRefused(f"a queue entry is not a batch of events: {exc}") from exc
    if isinstance(content, list):
        return Content(content, [])
    return Content([], content.arrivals)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Event] | _Unparsed)


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    try:
        return parse_zone(name)
    except ValueError as exc:
        # The time zones of one machine are older than those of another: nothing to guess about.
        raise StoreRefused(f"the zone {name!r} of a message is not known here") from exc


def _event(event_id: str, octets: bytes, source_ip: str, origin: Origin, zone: tzinfo) -> Event:
    too_long = None
    if len(octets) > origin.max_octets:
        octets = octets[: origin.max_octets]
        too_long = f"cut at {origin.max_octets} octets"
    try:
        message = parse_syslog(octets, received_at=origin.received_at, zone=zone)
    except Exception as exc:
        # The last line. It never happens for what we know of; should it happen all the same, the
        # message is there to be looked at, and those that came with it do not suffer.
        _log.error("event %s cannot be parsed", event_id, exc_info=exc)
        message = _unread(octets)
    hostname = message.hostname or source_ip
    attributes = dict(origin.attributes) if origin.attributes else {}
    if not origin.trusts_hostname and hostname != source_ip:
        attributes[CLAIMED_HOSTNAME] = hostname
        hostname = source_ip
    # No more than fifteen: CPython calls with sixteen keywords by way of a dict, which takes longer
    # than all else here.
    event = Event(
        event_id=event_id,
        received_at=origin.received_at,
        source_ip=source_ip,
        hostname=hostname,
        transport=origin.transport,
        severity=message.severity,
        message=message.message,
        raw=octets,
        facility=message.facility,
        event_time=message.timestamp,
        app_name=message.app_name,
        procid=message.procid,
        msgid=message.msgid,
        structured_data=message.structured_data,
        attributes=attributes,
    )
    malformed = message.malformed or too_long
    return msgspec.structs.replace(event, malformed=malformed) if malformed else event


def _unread(octets: bytes) -> SyslogMessage:
    return SyslogMessage(
        facility=DEFAULT_FACILITY,
        severity=DEFAULT_SEVERITY,
        message=octets.decode("latin-1").replace("\0", "#000"),
        malformed="the parser failed; see the log",
    )
