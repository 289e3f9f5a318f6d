"""What the values of an item may be: limits, names of severities and facilities, times, nesting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

# The longest message: the largest datagram's text, so that no transport takes more than another.
MAX_MESSAGE_OCTETS = 65_536
# One item with everything in it; it is stored as `raw`.
MAX_ITEM_OCTETS = 262_144
# RFC 1035, 2.3.4.
MAX_HOSTNAME_OCTETS = 255
# RFC 5424, 6: APP-NAME has 48, PROCID 128, MSGID 32; what programs send is longer.
MAX_NAME_OCTETS = 255
# Attributes within attributes; what nests deeper is no event.
MAX_DEPTH = 16

SEVERITIES = {
    name: number
    for number, names in enumerate(
        (
            ("emerg", "emergency", "panic"),
            ("alert",),
            ("crit", "critical"),
            ("err", "error"),
            ("warning", "warn"),
            ("notice",),
            ("info", "information", "informational"),
            ("debug",),
        )
    )
    for name in names
}
# RFC 5424, 6.2.1, table 1, by the names of syslog.conf; the index is the facility.
_FACILITY_NAMES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
    *("authpriv", "ftp", "ntp", "audit", "alert", "clock"),
    *(f"local{number}" for number in range(8)),
)
FACILITIES = {name: number for number, name in enumerate(_FACILITY_NAMES)} | {"security": 4}


@dataclass(frozen=True, slots=True)
class Origin:
    """What an event knows that its JSON does not say.

    Attributes:
        source_ip: The peer on the wire.
        received_at: When the request came; aware, UTC.
        correlation_id: Of the request.
        next_id: Gives event ids.
    """

    source_ip: str
    received_at: datetime
    correlation_id: str
    next_id: Callable[[], str]


def utc_of(value: object) -> datetime | None:
    """An RFC 3339 timestamp with its offset, in UTC; None: it is none."""
    if not isinstance(value, str):
        return None
    try:
        moment = msgspec.convert(value, datetime)
        if moment.tzinfo is UTC:
            return moment
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        # Overflow: year 1 or 9999 with an offset that leads out of the calendar.
        return None


def is_storable(value: object, depth: int) -> bool:
    """Whether the queue's MessagePack can hold it: 64 bit numbers, and bounded nesting."""
    if isinstance(value, dict):
        return depth > 0 and all(is_storable(each, depth - 1) for each in value.values())
    if isinstance(value, list):
        return depth > 0 and all(is_storable(each, depth - 1) for each in value)
    return type(value) is not int or -(2**63) <= value < 2**64
