r"""Events as rows, and rows as the octets of COPY ... (FORMAT BINARY).

    PGCOPY\n\xff\r\n\0 | flags 4 | extension 4 | row ... | -1 2
    row     fields 2 | received_at: 8 8 | event_id: 16 16 | [rule_id: 8 8 | rule_revision: 8 8]
            | severity: 2 2 | then hostname, transport, ...: length 4, octets; length -1 is NULL

Binary, because the server then parses nothing: half of its time for a row otherwise.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from muttd.decision import Decided, Decision, Environment, Handling, parts_of_verdict
from muttd.event import Event, Transport, decode_events
from muttd.store.postgres_connection import clean_text

# In the order of the fields in a row.
HISTORY_COLUMNS = (
    "received_at, event_id, severity, hostname, transport, trap_oid, environment, message,"
    " message_folded, event"
)
AUDIT_COLUMNS = (
    "received_at, event_id, rule_id, rule_revision, severity, hostname, transport, trap_oid,"
    " environment, message, message_folded, event, rule_name, handling, team, verdict"
)
# What decided_of() needs of a row.
DECIDED_COLUMNS = "event, environment, rule_id, rule_name, rule_revision, handling, team, verdict"
UNDECIDED_COLUMNS = (
    "event, environment, NULL::bigint, NULL::text, NULL::bigint, NULL::text, NULL::text, NULL::text"
)

_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL = struct.pack(">h", -1)
_HISTORY_FIXED = struct.Struct(">h i q i 16s i h")
_AUDIT_FIXED = struct.Struct(">h i q i 16s i q i q i h")
_pack_length = struct.Struct(">i").pack
_NULL = _pack_length(-1)
# RFC 1035, 2.3.4: host names have at most 255 octets.
_MAX_CACHED = 255
# Of a UUID as text (RFC 9562, 4).
_ID_CHARACTERS = 36
# timestamptz counts microseconds from here.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What encode_events calls, without the call.
_encode = msgspec.msgpack.Encoder().encode


# When it was received, which decides about its partition, and its octets as they stand in COPY.
Row = tuple[datetime, bytes]


def history_rows(decided: Sequence[Decided]) -> dict[str, Row]:
    """Unmatched events, by event id."""
    rows: dict[str, Row] = {}
    pack, moment, received = _HISTORY_FIXED.pack, _EPOCH, 0
    for each, octets in zip(decided, _ids_octets(decided), strict=True):
        event = each.event
        if event.received_at != moment:
            # What came in together has one time.
            moment = event.received_at
            received = (moment - _EPOCH) // _MICROSECOND
        fixed = pack(10, 8, received, 16, octets, 2, event.severity)
        rows[event.event_id] = moment, b"".join(_searched(fixed, event, each.decision))
    return rows


def audit_rows(decided: Sequence[Decided]) -> dict[str, Row]:
    """Matched events, by event id."""
    rows: dict[str, Row] = {}
    pack, moment, received = _AUDIT_FIXED.pack, _EPOCH, 0
    for each, octets in zip(decided, _ids_octets(decided), strict=True):
        event, decision = each.event, each.decision
        if event.received_at != moment:
            # What came in together has one time.
            moment = event.received_at
            received = (moment - _EPOCH) // _MICROSECOND
        rule = (8, decision.rule_id, 8, decision.rule_revision)
        verdict = decision.verdict
        fixed = pack(16, 8, received, 16, octets, *rule, 2, event.severity)
        parts = (
            *_searched(fixed, event, decision),
            _text(decision.rule_name),
            _text(decision.handling),
            _text(decision.team),
            _NULL if verdict is None else _field(verdict.encode()),
        )
        rows[event.event_id] = moment, b"".join(parts)
    return rows


def copy_octets(rows: Iterable[Row]) -> bytes:
    """What COPY takes."""
    return b"".join([_HEAD, *[octets for _, octets in rows], _TAIL])


def _ids_octets(decided: Sequence[Decided]) -> Iterator[bytes]:
    ids = [each.event.event_id for each in decided]
    # struct would fill it up or cut it off.
    if not set(map(len, ids)) <= {_ID_CHARACTERS}:
        raise ValueError(f"an event id has {_ID_CHARACTERS} characters")
    octets = bytes.fromhex("".join(ids).replace("-", ""))
    return (octets[at : at + 16] for at in range(0, 16 * len(ids), 16))


def _searched(fixed: bytes, event: Event, decision: Decision) -> tuple[bytes, ...]:
    message = clean_text(event.message)
    octets, encoded = message.encode(), _encode([event])
    hostname, trap_oid = event.hostname, event.trap_oid
    # A sender chose them: a cache of giants would be a way to fill our memory.
    is_short = len(hostname) <= _MAX_CACHED and (trap_oid is None or len(trap_oid) <= _MAX_CACHED)
    before = _before_message if is_short else _before_message.__wrapped__
    return (
        fixed,
        before(hostname, event.transport, trap_oid, decision.environment),
        _pack_length(len(octets)),
        octets,
        _NULL if len(octets) == len(message) else _field(message.casefold().encode()),
        _pack_length(len(encoded)),
        encoded,
    )


# The same hosts, rules and teams come again and again.
@lru_cache(maxsize=8192)
def _before_message(
    hostname: str, transport: Transport, trap_oid: str | None, environment: Environment
) -> bytes:
    return b"".join(map(_text_field, (hostname.lower(), transport, trap_oid, environment)))


def _field(octets: bytes) -> bytes:
    return _pack_length(len(octets)) + octets


def _text_field(text: str | None) -> bytes:
    return _NULL if text is None else _field(clean_text(text).encode())


_text = lru_cache(maxsize=8192)(_text_field)


def decided_of(row: Sequence[Any]) -> Decided:
    """The event and its decision, from DECIDED_COLUMNS or UNDECIDED_COLUMNS."""
    octets, environment, rule_id, rule_name, rule_revision, handling, team, verdict = row
    is_clear, held_by = parts_of_verdict(verdict)
    decision = Decision(
        environment=Environment(environment),
        rule_id=rule_id,
        rule_name=rule_name,
        rule_revision=rule_revision,
        handling=None if handling is None else Handling(handling),
        team=team,
        is_clear=is_clear,
        held_by=held_by,
    )
    return Decided(decode_events(octets)[0], decision)
