"""The item that nearly every item is, made an event in one go.

    octets --plain_event--> Event, or None: checked_event (ingest_body.py) looks at every field

What is accepted here checked_event accepts too, and makes the same of it, which the tests hold
together. Here no mistake is told.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from muttd.event import DEFAULT_SEVERITY, Event, Transport
from muttd.web.ingest_values import (
    FACILITIES,
    MAX_DEPTH,
    MAX_HOSTNAME_OCTETS,
    MAX_ITEM_OCTETS,
    MAX_MESSAGE_OCTETS,
    MAX_NAME_OCTETS,
    SEVERITIES,
    Origin,
    is_storable,
    utc_of,
)

# At most four octets a character (RFC 3629, 3).
_MAX_MESSAGE_CHARACTERS = MAX_MESSAGE_OCTETS // 4
_MAX_HOSTNAME_CHARACTERS = MAX_HOSTNAME_OCTETS // 4
_MAX_NAME_CHARACTERS = MAX_NAME_OCTETS // 4

# By whatever JSON has for them: a name, a number, or null.
_SEVERITIES: dict[object, int] = {
    None: DEFAULT_SEVERITY,
    **dict(SEVERITIES.items()),
    **{number: number for number in range(8)},
}
_FACILITIES: dict[object, int | None] = {
    None: None,
    **dict(FACILITIES.items()),
    **{number: number for number in range(24)},
}
_WORDS = frozenset((int, str, type(None)))
# What takes a closer look. Beside a syslog_severity a severity is an attribute.
_SPECIAL = frozenset(("syslog_severity", "trap_oid", "varbinds"))


_decode = msgspec.json.Decoder(dict[str, Any]).decode


def plain_event(raw: bytes, origin: Origin) -> Event | None:
    """The event, when there is nothing special in its item; None: somebody has to look closely.

    Cost: 1.5 us, a third of the closer look.
    """
    if len(raw) > MAX_ITEM_OCTETS:
        # Before it is decoded: ten million octets of brackets would be as many objects.
        return None
    try:
        item = _decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    take = item.pop
    message, hostname = take("message", None), take("hostname", None)
    severity, facility = take("severity", None), take("facility", None)
    app_name, procid, msgid = take("app_name", None), take("procid", None), take("msgid", None)
    moment = take("timestamp", None)
    if (
        not _is_plain(message, _MAX_MESSAGE_CHARACTERS)
        or not _is_plain(hostname, _MAX_HOSTNAME_CHARACTERS)
        or not (app_name is None or _is_plain(app_name, _MAX_NAME_CHARACTERS))
        or not (procid is None or _is_plain(procid, _MAX_NAME_CHARACTERS))
        or not (msgid is None or _is_plain(msgid, _MAX_NAME_CHARACTERS))
        # True would be found in a table that has 1, and so would 1.0.
        or not (type(severity) in _WORDS and severity in _SEVERITIES)
        or not (type(facility) in _WORDS and facility in _FACILITIES)
    ):
        return None
    event_time: datetime | None = None
    if moment is not None:
        event_time = utc_of(moment)
        if event_time is None:
            return None
    for name, value in item.items():
        if name[:1] == "_" or name in _SPECIAL:
            return None
        if type(value) is not str and not is_storable(value, MAX_DEPTH):
            return None
    return Event(
        event_id=origin.next_id(),
        received_at=origin.received_at,
        source_ip=origin.source_ip,
        hostname=hostname.strip(),
        transport=Transport.HTTP,
        severity=_SEVERITIES[severity],
        message=message,
        raw=raw.strip(b" \t\r\n"),
        facility=_FACILITIES[facility],
        event_time=event_time,
        app_name=app_name,
        procid=procid,
        msgid=msgid,
        attributes=item,
        correlation_id=origin.correlation_id,
    )


def _is_plain(value: object, max_characters: int) -> bool:
    return type(value) is str and 0 < len(value) <= max_characters and not value.isspace()
