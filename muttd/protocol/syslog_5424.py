"""RFC 5424: the header, STRUCTURED-DATA and MSG of one message.

    <PRI>VERSION SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP STRUCTURED-DATA [SP MSG]

    <165>1 2003-10-11T22:14:15.003Z host evntslog - ID47 [exampleSDID@32473 iut="3"] text

A message within the grammar is read by one regular expression. What only looks like RFC 5424 is
read field by field as far as it goes, and MSG is then all that was not read with certainty.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, tzinfo

from muttd.protocol.syslog_message import PRIS, SyslogMessage
from muttd.protocol.syslog_time import parse_epoch, parse_iso

BOM = "\ufeff"

# Possessive quantifiers and atomic groups throughout: no input can make these look at a character
# twice. Groups are atomic and never repeated possessively: Python before 3.11.5 does not go back
# to where a repetition that fails half-way began. An unescaped "]" inside a PARAM-VALUE is against
# 6.3.3 and cannot be mistaken, so it is let pass.
_VALUE = r'(?>(?:[^"\\]++|\\.)*)'
_PAIRS = rf'(?>(?: ++[^ =\]"]++="{_VALUE}")*)'
_ELEMENT = rf'\[[^ =\]"]++{_PAIRS} *+\]'
_STRUCTURED_DATA = rf"(-|(?>(?:{_ELEMENT})+))"
_DATE_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]++)?"

# HOSTNAME 255, APP-NAME 48, PROCID 128 and MSGID 32 are the limits of the RFC; senders exceed the
# smaller ones, so that one limit for all keeps more.
_HEADER = re.compile(
    rf"<([0-9]{{1,3}})>[1-9][0-9]{{0,2}} "
    rf"(-|{_DATE_TIME}(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})) "
    rf"([!-~]{{1,255}}+) (?![CL]E?EF:)([!-~]{{1,255}}+) ([!-~]{{1,255}}+) ([!-~]{{1,255}}+) "
    rf"{_STRUCTURED_DATA}(?: (.*)|)\Z",
    re.DOTALL,
)

_ELEMENTS = re.compile(rf'\[([^ =\]"]++)({_PAIRS}) *+\]', re.DOTALL)
_PARAMS = re.compile(rf' ([^ =\]"]++)="({_VALUE})"', re.DOTALL)
# 6.3.3: a backslash before any other character is a backslash.
_ESCAPED = re.compile(r'\\(["\\\]])')

# For what the header above does not match.
_LOOKS_LIKE_5424 = re.compile(
    r"<[0-9]{1,3}>(?:1(?: |\Z)|[1-9][0-9]{0,2} (?:-(?: |\Z)|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]))"
)
_PRI_VERSION = re.compile(r"<([0-9]{1,3})>()[0-9]{1,3} *")
_LOOSE_TIMESTAMP = re.compile(
    rf"({_DATE_TIME.replace('T', '[Tt ]', 1)})(Z|z|[+-][0-9]{{2}}:?[0-9]{{2}}|)(?: +|\Z)"
)
_EPOCH = re.compile(r"([0-9]{9,10}(?:\.[0-9]+)?)(?: +|\Z)")
# Enough of a date to go on reading behind it.
_BAD_TIMESTAMP = re.compile(r"[0-9]{4}\S{4,250}(?: +|\Z)")
_NIL = re.compile(r"-(?: +|\Z)")
_TOKEN = re.compile(r"([^\s\[]\S{0,254})(?: +|\Z)")
_LOOSE_DATA = re.compile(rf"(-(?= |\Z)|(?>(?:{_ELEMENT})+))", re.DOTALL)
# Check Point Log Exporter: [action:"Accept"; flags:"411908"; ...] where STRUCTURED-DATA belongs.
_CHECK_POINT = re.compile(r'\[\w+:"', re.ASCII)
# CyberArk and others: HOSTNAME, and then their own format instead of all the rest.
_EVENT_FORMAT = re.compile(r"(CEF|LEEF):[0-9]")
_FIRST_WORD = re.compile(r"[a-z][a-z0-9_-]{0,47}(?= )")

_FIELDS = (
    ("HOSTNAME", "6.2.4"),
    ("APP-NAME", "6.2.5"),
    ("PROCID", "6.2.6"),
    ("MSGID", "6.2.7"),
)

Elements = dict[str, list[tuple[str, str]]]


def parse_strict_5424(text: str, zone: tzinfo) -> SyslogMessage | None:
    """Parse a message that is within the grammar.

    Args:
        text: The message, from its PRI.
        zone: Not used by a message within the grammar but for its leap seconds.

    Returns:
        The message, or None when it is anything else.

    Cost: one pass, 1.5 us for 200 characters with one SD-ELEMENT.
    Source: RFC 5424, 6.
    """
    match = _HEADER.match(text)
    if match is None:
        return None
    pri, stamp, hostname, app_name, procid, msgid, data, message = match.groups()
    halves = PRIS.get(pri)
    if halves is None:
        return None
    timestamp = None
    if stamp != "-":
        timestamp = parse_iso(stamp, zone)
        if timestamp is None:
            return None
    if message is None:
        message = ""
    elif message[:1] == BOM:
        message = message[1:]
    return SyslogMessage(
        facility=halves[0],
        severity=halves[1],
        message=message,
        timestamp=timestamp,
        hostname=None if hostname == "-" else hostname,
        app_name=None if app_name == "-" else app_name,
        procid=None if procid == "-" else procid,
        msgid=None if msgid == "-" else msgid,
        structured_data={} if data == "-" else parse_structured_data(data),
    )


def parse_structured_data(data: str) -> Elements:
    """Take SD-ELEMENTs apart.

    Args:
        data: One or more SD-ELEMENTs that the grammar was checked on.

    Returns:
        SD-ID -> (PARAM-NAME, PARAM-VALUE) pairs in wire order, escapes undone. An SD-ID that
        stands twice, which 6.3.2 forbids, has the pairs of both.

    Source: RFC 5424, 6.3.
    """
    escaped = "\\" in data
    if not escaped and "][" not in data:
        # One element, as nearly always.
        return {data[1:-1].partition(" ")[0]: _PARAMS.findall(data)}
    elements: Elements = {}
    for sd_id, params in _ELEMENTS.findall(data):
        pairs = _PARAMS.findall(params)
        if escaped:
            pairs = [(name, _ESCAPED.sub(r"\1", value)) for name, value in pairs]
        if sd_id in elements:
            elements[sd_id] += pairs
        else:
            elements[sd_id] = pairs
    return elements


def looks_like_5424(text: str) -> bool:
    """Whether VERSION, or what stands behind it, says that RFC 5424 was meant."""
    return _LOOKS_LIKE_5424.match(text) is not None


class _Reader:
    # Reads a broken header from left to right and keeps the first thing that was wrong.

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self.malformed: str | None = None
        # Nothing here is like a header: what follows is text.
        self.is_lost = False
        # The rest is CEF or LEEF: there is no STRUCTURED-DATA.
        self.is_event = False

    def read(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return match

    def complain(self, what: str, section: str) -> None:
        self.malformed = self.malformed or f"{what} (RFC 5424, {section})"


def parse_loose_5424(text: str, zone: tzinfo) -> SyslogMessage:
    """Parse a message that looks like RFC 5424 and is not within its grammar.

    Args:
        text: The message; looks_like_5424 says yes to it, and its PRI is in PRIS.
        zone: Stands in for a missing offset.

    Returns:
        The message with what could be read, from the left. What was not read is its message; if
        not even the header came to an end, that is everything behind the PRI. malformed is None
        only for what leaves nothing to guess (second 60, a "z", the dialects named above).
    """
    reader = _Reader(text, 0)
    pri_version = reader.read(_PRI_VERSION)
    # looks_like_5424 said yes to both.
    assert pri_version is not None
    facility, severity = PRIS[pri_version[1]]
    epoch = reader.read(_EPOCH)
    if epoch is None:
        timestamp = _read_timestamp(reader, zone)
        fields = [] if reader.is_lost else _read_fields(reader, _FIELDS)
        complete = len(fields) == len(_FIELDS)
    else:
        # Meraki has but a name behind it: <134>1 1563249630.774247467 MX84 flows src=...
        timestamp = parse_epoch(epoch[1])
        fields = _read_fields(reader, _FIELDS[:1])
        word = _FIRST_WORD.match(text, reader.at)
        complete = len(fields) == 1
        fields.append(word[0] if word and complete else None)
    data: Elements = {}
    if (
        epoch is None
        and not reader.is_lost
        and not reader.is_event
        and (complete or text.startswith("[", reader.at))
    ):
        data = _read_structured_data(reader)
        complete = True
    fields += [None] * (len(_FIELDS) - len(fields))
    message = text[reader.at if complete else pri_version.start(2) :]
    return SyslogMessage(
        facility=facility,
        severity=severity,
        message=message.removeprefix(BOM),
        timestamp=timestamp,
        hostname=fields[0],
        app_name=fields[1],
        procid=fields[2],
        msgid=fields[3],
        structured_data=data,
        malformed=reader.malformed,
    )


def _read_fields(reader: _Reader, wanted: Sequence[tuple[str, str]]) -> list[str | None]:
    fields: list[str | None] = []
    for name, section in wanted:
        event = _EVENT_FORMAT.match(reader.text, reader.at) if name == "APP-NAME" else None
        if event is not None:
            fields += [event[1], None, None]
            reader.is_event = True
            break
        token = reader.read(_TOKEN)
        if token is None:
            reader.complain(f"no {name}", section)
            break
        fields.append(None if token[1] == "-" else token[1])
    return fields


def _read_timestamp(reader: _Reader, zone: tzinfo) -> datetime | None:
    if reader.read(_NIL):
        return None
    match = reader.read(_LOOSE_TIMESTAMP)
    if match is None:
        reader.complain("TIMESTAMP is out of its grammar", "6.2.3")
        reader.is_lost = reader.read(_BAD_TIMESTAMP) is None
        return None
    date_time, offset = match.groups()
    timestamp = parse_iso(f"{date_time[:10]}T{date_time[11:]}{offset.upper()}", zone)
    if timestamp is None:
        reader.complain("TIMESTAMP is no date or time", "6.2.3")
    elif not offset:
        reader.complain("TIMESTAMP has no offset", "6.2.3")
    return timestamp


def _read_structured_data(reader: _Reader) -> Elements:
    data = reader.read(_LOOSE_DATA)
    if data is None:
        if not _CHECK_POINT.match(reader.text, reader.at):
            reader.complain("STRUCTURED-DATA is out of its grammar", "6.3")
        return {}
    behind = reader.text[reader.at : reader.at + 1]
    if behind == " ":
        reader.at += 1
    elif behind:
        reader.complain("no SP behind STRUCTURED-DATA", "6")
    return {} if data[1] == "-" else parse_structured_data(data[1])
