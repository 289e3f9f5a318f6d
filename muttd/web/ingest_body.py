"""JSON from a client to events. Pure; the handler in api/ingest.py has the IO.

    body --split_items--> octets of each item --events_from_items--> events, rejected items
    object | array | NDJSON

Every mistake of an item is named by its field. Keys that begin with "_" are dropped: no client
steers the pipeline. Keys that we do not know are kept as attributes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from muttd.errors import InvalidInput
from muttd.event import DEFAULT_SEVERITY, Event, Transport, Varbind
from muttd.web.ingest_plain import plain_event
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

MAX_VARBINDS = 256
# RFC 2578, 3.5: at most 128 sub-identifiers of 32 bits.
MAX_OID_ARCS = 128
MAX_ARC = 2**32 - 1
# Items of one request; 10 MiB of short events stay below it.
MAX_ITEMS = 50_000
# A body of ten million commas would become ten million objects before the first is looked at.
MAX_COMMAS = 1_000_000

_DIGITS = re.compile("[0-9]{1,3}")
_OID = re.compile(r"\.?\d{1,10}(?:\.\d{1,10})+")
# The values of a varbind that is given as JSON, by the nearest syntax of SMIv2.
_SYNTAXES: dict[type, str] = {int: "INTEGER", bool: "INTEGER"}


_NAME_SCHEMA = {"type": ["string", "integer", "null"], "maxLength": MAX_NAME_OCTETS}
_EVENT_SCHEMA = {
    "type": "object",
    "description": "Keys that are not named here are kept as attributes; those in _ are dropped.",
    "properties": {
        "message": {"type": "string", "pattern": r"\S", "maxLength": MAX_MESSAGE_OCTETS},
        "hostname": {"type": "string", "pattern": r"\S", "maxLength": MAX_HOSTNAME_OCTETS},
        "timestamp": {"type": ["string", "null"], "format": "date-time"},
        "syslog_severity": {"enum": [None, *range(8), *SEVERITIES]},
        "severity": {"description": "Read where there is no syslog_severity."},
        "facility": {"enum": [None, *range(24), *FACILITIES]},
        "app_name": _NAME_SCHEMA,
        "procid": _NAME_SCHEMA,
        "msgid": _NAME_SCHEMA,
        "trap_oid": {"type": ["string", "null"]},
        "varbinds": {"type": ["array", "object", "null"], "maxItems": MAX_VARBINDS},
    },
    "required": ["message", "hostname"],
}
BODY_SCHEMA = {"anyOf": [_EVENT_SCHEMA, {"type": "array", "contains": _EVENT_SCHEMA}]}
LINES_SCHEMA = {"type": "string", "description": "One event a line, each as in application/json."}


class TooManyItems(InvalidInput):
    """More items than one request may bring."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that is no event: its place in the request, and (field, what is wrong)."""

    index: int
    problems: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Parsed:
    """What became of the items of one request."""

    events: list[Event] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def events_from_body(body: bytes, *, is_lines: bool, origin: Origin) -> Parsed:
    """Parse a whole body.

    Args:
        body: One object, an array of objects, or NDJSON.
        is_lines: Whether it is NDJSON.
        origin: What the JSON does not say.

    Raises:
        InvalidInput: It is no JSON at all, or holds no item.
        TooManyItems: It holds too many.
    """
    return events_from_items(split_items(body, is_lines=is_lines), 0, origin)


def split_items(body: bytes, *, is_lines: bool) -> Sequence[bytes | msgspec.Raw]:
    """The octets of each item. Raises as events_from_body does."""
    # Windows programs like to begin with a byte order mark; RFC 8259, 8.1 lets us pass over it.
    body = body.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")
    if not body:
        raise InvalidInput([("body", "is empty")])
    if is_lines:
        if body.count(b"\n") >= MAX_ITEMS:
            raise TooManyItems([("body", f"has more than {MAX_ITEMS} lines")])
        return [line for line in body.split(b"\n") if line.strip()]
    if not body.startswith(b"["):
        return [body]
    if body.count(b",") > MAX_COMMAS:
        raise TooManyItems([("body", f"has more than {MAX_COMMAS} values")])
    try:
        items = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise InvalidInput([("body", _not_json(exc))]) from exc
    if not items:
        raise InvalidInput([("body", "is an array without items")])
    if len(items) > MAX_ITEMS:
        raise TooManyItems([("body", f"has more than {MAX_ITEMS} items")])
    return items


def events_from_items(
    items: Sequence[bytes | msgspec.Raw], first_index: int, origin: Origin
) -> Parsed:
    """Parse some items of a body; the first of them is number first_index in it."""
    parsed = Parsed()
    for index, item in enumerate(items, first_index):
        try:
            parsed.events.append(event_from_item(bytes(item), origin))
        except InvalidInput as exc:
            parsed.rejected.append(Rejected(index, exc.problems))
    return parsed


def event_from_item(raw: bytes, origin: Origin) -> Event:
    """Parse one item.

    Raises:
        InvalidInput: It is no event; every wrong field is named.
    """
    return plain_event(raw, origin) or checked_event(raw, origin)


def checked_event(raw: bytes, origin: Origin) -> Event:
    """Parse one item, each field of it with everything that it may be. Raises the same."""
    if len(raw) > MAX_ITEM_OCTETS:
        raise InvalidInput([("event", f"is longer than {MAX_ITEM_OCTETS} octets")])
    try:
        item = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise InvalidInput([("event", _not_json(exc))]) from exc
    if not isinstance(item, dict):
        raise InvalidInput([("event", "must be a JSON object")])
    fields = _Fields(item)
    message = fields.text("message", MAX_MESSAGE_OCTETS, is_required=True)
    hostname = fields.text("hostname", MAX_HOSTNAME_OCTETS, is_required=True)
    severity_name = "syslog_severity" if "syslog_severity" in fields.left else "severity"
    severity = fields.choice(severity_name, SEVERITIES, 7)
    facility = fields.choice("facility", FACILITIES, 23)
    event_time = fields.moment("timestamp")
    app_name, procid, msgid = (
        fields.text(name, MAX_NAME_OCTETS) for name in ("app_name", "procid", "msgid")
    )
    trap_oid = fields.oid("trap_oid")
    varbinds = fields.varbinds("varbinds")
    attributes = fields.attributes()
    if fields.problems or message is None or hostname is None:
        raise InvalidInput(fields.problems)
    return Event(
        event_id=origin.next_id(),
        received_at=origin.received_at,
        source_ip=origin.source_ip,
        hostname=hostname.strip(),
        transport=Transport.HTTP,
        severity=DEFAULT_SEVERITY if severity is None else severity,
        message=message,
        raw=raw.strip(b" \t\r\n"),
        facility=facility,
        event_time=event_time,
        app_name=app_name,
        procid=procid,
        msgid=msgid,
        trap_oid=trap_oid,
        varbinds=varbinds,
        attributes=attributes,
        correlation_id=origin.correlation_id,
    )


def _not_json(exc: Exception) -> str:
    if isinstance(exc, RecursionError):
        return "nests too deep"
    if isinstance(exc, UnicodeDecodeError):
        return "is not UTF-8"
    # msgspec says where, and quotes nothing of what was sent.
    return f"is not valid JSON: {exc}"


class _Fields:
    """The fields of one item: each is taken out once; what is wrong is collected.

    Any, here and below: what a client wrote has any JSON type until it is looked at.
    """

    def __init__(self, item: dict[str, Any]) -> None:
        self.left = {name: value for name, value in item.items() if not name.startswith("_")}
        self.problems: list[tuple[str, str]] = []

    def _wrong(self, name: str, what: str) -> None:
        self.problems.append((name, what))

    def text(self, name: str, max_octets: int, *, is_required: bool = False) -> str | None:
        """A string that is not blank; a number too, where a name may be one (procid)."""
        value = self.left.pop(name, None)
        if type(value) is int and not is_required:
            value = str(value)
        if value is None or (value == "" and not is_required):
            if is_required:
                self._wrong(name, "is required")
            return None
        if not isinstance(value, str):
            self._wrong(name, "must be a string")
        elif not value.strip():
            self._wrong(name, "must not be empty")
        elif len(value) > max_octets or len(value.encode()) > max_octets:
            self._wrong(name, f"must be at most {max_octets} octets")
        else:
            return value
        return None

    def choice(self, name: str, numbers: dict[str, int], highest: int) -> int | None:
        """A number from 0 to highest, as a number, in digits, or by name."""
        value = self.left.pop(name, None)
        if value is None:
            return None
        number: object = value
        if isinstance(value, str):
            word = value.strip().lower()
            number = int(word) if _DIGITS.fullmatch(word) else numbers.get(word)
        if type(number) is int and 0 <= number <= highest:
            return number
        self._wrong(name, f"must be 0 to {highest} or one of {', '.join(numbers)}")
        return None

    def moment(self, name: str) -> datetime | None:
        """An RFC 3339 timestamp, in UTC."""
        value = self.left.pop(name, None)
        if value is None:
            return None
        moment = utc_of(value)
        if moment is None:
            self._wrong(name, "must be an RFC 3339 timestamp with an offset or Z")
        return moment

    def oid(self, name: str) -> str | None:
        """An OID in numbers, without its leading dot."""
        value = self.left.pop(name, None)
        if value is None or value == "":
            return None
        oid = normal_oid(value)
        if oid is None:
            self._wrong(name, "must be an OID in numbers, like 1.3.6.1.6.3.1.1.5.3")
        return oid

    def varbinds(self, name: str) -> list[Varbind]:
        """A list of {oid, value, name?, type?}, or a mapping of OID to value."""
        value = self.left.pop(name, None)
        if value is None:
            return []
        if isinstance(value, dict):
            value = [{"oid": oid, "value": each} for oid, each in value.items()]
        if not isinstance(value, list):
            self._wrong(name, "must be a list of objects or a mapping of OID to value")
            return []
        if len(value) > MAX_VARBINDS:
            self._wrong(name, f"must be at most {MAX_VARBINDS}")
            return []
        found = []
        for index, each in enumerate(value):
            varbind = _varbind(each)
            if varbind is None:
                self._wrong(f"{name}[{index}]", "must have an oid in numbers and a value")
            else:
                found.append(varbind)
        return found

    def attributes(self) -> dict[str, Any]:
        """What is left."""
        for name, value in self.left.items():
            if type(value) is not str and not is_storable(value, MAX_DEPTH):
                self._wrong(name[:64], f"is deeper than {MAX_DEPTH} or has a number over 64 bits")
        return self.left


def normal_oid(value: object) -> str | None:
    """An OID in numbers without its leading dot, or None if it is none."""
    if not isinstance(value, str) or len(value) > 11 * MAX_OID_ARCS or not _OID.fullmatch(value):
        return None
    arcs = [int(arc) for arc in value.removeprefix(".").split(".")]
    if len(arcs) > MAX_OID_ARCS or max(arcs) > MAX_ARC:
        return None
    return ".".join(map(str, arcs))


def _varbind(item: object) -> Varbind | None:
    if not isinstance(item, dict) or "value" not in item:
        return None
    oid = normal_oid(item.get("oid"))
    name, syntax, value = item.get("name", oid), item.get("type"), item["value"]
    if syntax is None:
        syntax = _SYNTAXES.get(type(value), "OCTET STRING")
    if oid is None or not isinstance(name, str) or not isinstance(syntax, str):
        return None
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return Varbind(name[:MAX_NAME_OCTETS], oid, syntax[:MAX_NAME_OCTETS], text)
