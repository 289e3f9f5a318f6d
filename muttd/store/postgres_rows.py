r"""Events as rows, and rows as the octets of COPY ... (FORMAT BINARY).

    PGCOPY\n\xff\r\n\0 | flags 4 | extension 4 | row ... | -1 2
    row     fields 2 | received_at: 8 8 | event_id: 16 16 | [rule_id: 8 8 | rule_revision: 8 8]
            | severity: 2 2 | then hostname, transport, ...: length 4, octets; length -1 is NULL

Binary, because the server then parses nothing: half of its time for a row otherwise.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from muttd.decision import Decided, Decision, Environment, Handling, parts_of_verdict
from muttd.event import decode_events, encode_events
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
_LENGTH = struct.Struct(">i")
_NULL = _LENGTH.pack(-1)
# RFC 1035, 2.3.4: host names have at most 255 octets.
_MAX_CACHED = 255
# timestamptz counts microseconds from here.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def history_octets(decided: Iterable[Decided]) -> bytes:
    """Unmatched events as COPY takes them."""
    parts = [_HEAD]
    moment, received = _EPOCH, 0
    for each in decided:
        event = each.event
        octets = _id_octets(event.event_id)
        if event.received_at != moment:
            # What came in together has one time.
            moment = event.received_at
            received = (moment - _EPOCH) // _MICROSECOND
        parts.append(_HISTORY_FIXED.pack(10, 8, received, 16, octets, 2, event.severity))
        parts += _searched(each)
    parts.append(_TAIL)
    return b"".join(parts)


def audit_octets(decided: Iterable[Decided]) -> bytes:
    """Matched events as COPY takes them."""
    parts = [_HEAD]
    moment, received = _EPOCH, 0
    for each in decided:
        event, decision = each.event, each.decision
        octets = _id_octets(event.event_id)
        if event.received_at != moment:
            # What came in together has one time.
            moment = event.received_at
            received = (moment - _EPOCH) // _MICROSECOND
        rule = (8, decision.rule_id, 8, decision.rule_revision)
        parts.append(_AUDIT_FIXED.pack(16, 8, received, 16, octets, *rule, 2, event.severity))
        parts += _searched(each)
        parts += (_text(decision.rule_name), _text(decision.handling), _text(decision.team))
        verdict = decision.verdict
        parts.append(_NULL if verdict is None else _field(verdict.encode()))
    parts.append(_TAIL)
    return b"".join(parts)


def _id_octets(event_id: str) -> bytes:
    octets = bytes.fromhex(event_id.replace("-", ""))
    # struct would fill it up or cut it off.
    if len(octets) != 16:
        raise ValueError("an event id has 16 octets")
    return octets


def _searched(decided: Decided) -> tuple[bytes, ...]:
    event = decided.event
    message = clean_text(event.message)
    octets, encoded = message.encode(), encode_events([event])
    folded = _NULL if len(octets) == len(message) else _field(message.casefold().encode())
    return (
        _name(event.hostname.lower()),
        _text(event.transport),
        _NULL if event.trap_oid is None else _name(event.trap_oid),
        _text(decided.decision.environment),
        _LENGTH.pack(len(octets)),
        octets,
        folded,
        _LENGTH.pack(len(encoded)),
        encoded,
    )


def _field(octets: bytes) -> bytes:
    return _LENGTH.pack(len(octets)) + octets


def _name(text: str) -> bytes:
    # A sender chose it: a cache of giants would be a way to fill our memory.
    return _text(text) if len(text) <= _MAX_CACHED else _text.__wrapped__(text)


# The same hosts, rules and teams come again and again.
@lru_cache(maxsize=8192)
def _text(text: str | None) -> bytes:
    return _NULL if text is None else _field(clean_text(text).encode())


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
