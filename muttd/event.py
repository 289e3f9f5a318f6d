"""The Event: what came off the wire, and nothing else.

    octets --parse--> Event --encode_events--> one queue entry --decode_events--> Event

An event is frozen when it is made; what the rules made of it is a Decision (decision.py).
Batches travel as one MessagePack blob, because a queue entry per event is what makes queues slow.
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from muttd.errors import StoreRefused


class Transport(enum.StrEnum):
    """How an event reached us."""

    SYSLOG_UDP = "syslog-udp"
    SYSLOG_TCP = "syslog-tcp"
    SYSLOG_TLS = "syslog-tls"
    SNMP = "snmp"
    HTTP = "http"


# RFC 5424, 6.2.1, table 2. The index is the severity.
SEVERITY_NAMES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")

# RFC 5424, 6.2.1: 13 is user.notice, what RFC 3164, 4.3.3 gives a message without PRI.
DEFAULT_FACILITY = 1
DEFAULT_SEVERITY = 5

# The attribute that keeps the host name of a sender whose word is not taken for it.
CLAIMED_HOSTNAME = "claimed_hostname"


class Varbind(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One of variable-bindings (RFC 3416, 3), made readable.

    Attributes:
        name: The OID as a MIB names it ("ifIndex.3"), or its numbers.
        oid: The OID in numbers, without a leading dot.
        type: Its syntax: INTEGER, OCTET STRING, OBJECT IDENTIFIER, IpAddress, Counter32, ...
        value: The value as text.
    """

    name: str
    oid: str
    type: str
    value: str


class Event(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One event. New fields go at the end, with a default: old queue entries must still decode.

    Attributes:
        event_id: UUIDv7, ours (RFC 9562, 5.7); sorts by time of receipt.
        received_at: When it came off the wire; aware, UTC. The only time that orders anything.
        source_ip: The peer on the wire, in its shortest text form.
        hostname: Claimed by the message, else the peer's address.
        transport: How it came.
        severity: 0 (emerg) to 7 (debug); RFC 5424, 6.2.1.
        message: The text.
        raw: The octets as received, without framing.
        facility: 0 to 23, or None where the transport has none.
        event_time: The sender's claim, if it could be read; aware.
        app_name, procid, msgid: RFC 5424, 6.2.5-6.2.7; NILVALUE is None.
        structured_data: SD-ID -> (name, value) pairs in wire order (RFC 5424, 6.3).
        trap_oid: The value of snmpTrapOID.0, without a leading dot.
        varbinds: In wire order.
        attributes: What has no field of its own: unknown JSON keys, agent_addr, enterprise.
        correlation_id: Of the HTTP request that brought it.
        malformed: Why it could not be parsed, or None.
    """

    event_id: str
    received_at: datetime
    source_ip: str
    hostname: str
    transport: Transport
    severity: int
    message: str
    raw: bytes
    facility: int | None = None
    event_time: datetime | None = None
    app_name: str | None = None
    procid: str | None = None
    msgid: str | None = None
    structured_data: dict[str, list[tuple[str, str]]] = {}
    trap_oid: str | None = None
    varbinds: list[Varbind] = []
    attributes: dict[str, Any] = {}
    correlation_id: str | None = None
    malformed: str | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Event])


def encode_events(events: Sequence[Event]) -> bytes:
    """Encode a batch as the payload of one queue entry."""
    return _encoder.encode(events)


def decode_events(payload: bytes) -> list[Event]:
    """Decode the payload of one queue entry.

    Raises:
        StoreRefused: The payload is not a batch that encode_events made.
    """
    try:
        return _decoder.decode(payload)
    except msgspec.MsgspecError as exc:
        raise StoreRefused(f"a queue entry is not a batch of events: {exc}") from exc


def utc_now() -> datetime:
    """The time now; aware, UTC."""
    return datetime.now(UTC)


def iso_utc(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds and a Z, as every time in the API is written."""
    # Not strftime, whose %Y has fewer than four digits for the years before 1000 on Linux.
    return f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[:-6]}Z"


def event_as_json(event: Event) -> dict[str, Any]:
    """The event as the API, the websocket and the webhook show it.

    `raw` is text when the octets are UTF-8, else base64; `raw_encoding` says which.
    """
    try:
        raw, raw_encoding = event.raw.decode(), "utf-8"
    except UnicodeDecodeError:
        raw, raw_encoding = base64.b64encode(event.raw).decode(), "base64"
    return {
        "event_id": event.event_id,
        "received_at": iso_utc(event.received_at),
        "event_time": None if event.event_time is None else iso_utc(event.event_time),
        "source_ip": event.source_ip,
        "hostname": event.hostname,
        "transport": event.transport.value,
        "severity": event.severity,
        "severity_name": SEVERITY_NAMES[event.severity],
        "facility": event.facility,
        "app_name": event.app_name,
        "procid": event.procid,
        "msgid": event.msgid,
        "structured_data": event.structured_data,
        "trap_oid": event.trap_oid,
        "varbinds": [
            {"name": v.name, "oid": v.oid, "type": v.type, "value": v.value} for v in event.varbinds
        ],
        "attributes": event.attributes,
        "message": event.message,
        "raw": raw,
        "raw_encoding": raw_encoding,
        "correlation_id": event.correlation_id,
        "malformed": event.malformed,
    }
