"""RFC 3164, and what is sent in its name: PRI, TIMESTAMP, HOSTNAME, TAG, CONTENT.

    <PRI>TIMESTAMP SP HOSTNAME SP TAG CONTENT      <34>Oct 11 22:14:15 mymachine su[7]: text
    <PRI>SEQ: *TIMESTAMP UTC: %FAC-SEV-MNEM: text  <189>83: *Mar  1 00:01:02: %SYS-5-RELOAD: text

Two regular expressions read the two forms above whole; they are most of the traffic. All else is
read piece by piece: clock, then host, then what syslog_content.py makes of the rest.

Nothing but the order tells a HOSTNAME from a TAG, and either may be missing. A word is a HOSTNAME
if it is the first behind a TIMESTAMP and something follows it, unless it ends like a TAG (a colon,
a [pid]); it is one in spite of the colon if it is an address or a %mnemonic follows. Without a
TIMESTAMP there is no HOSTNAME either (RFC 3164, 4.3.2).
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from typing import NamedTuple

from muttd.protocol.syslog_content import parse_fortinet, split_content
from muttd.protocol.syslog_message import PRIS, SyslogMessage
from muttd.protocol.syslog_time import ZONE_HOURS, bsd_moment, parse_bsd, parse_fraction, parse_iso

_BSD = r"[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}"
_ISO = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]++)?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
)

# A HOSTNAME without a colon and a TAG with one. The lookaheads keep out a year or a zone in the
# place of the HOSTNAME, and formats whose colon is not that of a TAG.
_COMMON = re.compile(
    rf"<([0-9]{{1,3}})>(?:({_BSD})|({_ISO})) (?![0-9]{{4}} |[A-Z]{{1,5}} )"
    r"([A-Za-z0-9][A-Za-z0-9._-]{0,254}+) "
    r"(?!CEF:|LEEF:)([A-Za-z_/(][A-Za-z0-9_./()@+-]{0,63}+)"
    r"(?:\[([^\[\]\s]{1,128}+)\])?:(?: (.*)|)\Z",
    re.DOTALL,
)
# The same header before any other text; what could be taken for a HOSTNAME is left to _read_host.
_HEADED = re.compile(
    rf"<([0-9]{{1,3}})>(?:({_BSD})|({_ISO})) "
    r"(?![0-9]{4} |[A-Z]{1,5} |last message |[Mm]essage )"
    r"([A-Za-z0-9][A-Za-z0-9._-]{0,254}+) (?![ :]|[Mm]essage )(.+)\Z",
    re.DOTALL,
)
# Long names first: a name must not be cut where a shorter one ends.
_ZONE_NAMES = "|".join(sorted(ZONE_HOURS, key=len, reverse=True))
# IOS, Nexus and ASA: sequence numbers, origin, clock with the year anywhere, zone or host.
_CISCO = re.compile(
    r"<([0-9]{1,3})>(?:: ?)?(?:[0-9]{1,10}+: ){0,2}"
    r"(?:(?![0-9]+:)([A-Za-z0-9][A-Za-z0-9._-]{0,254}+): )?"
    r"[.*]?(?:([0-9]{4}) )?([A-Z][a-z]{2}) ([ 0-9][0-9]) (?:([0-9]{4}) )?"
    rf"([0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}})(?:\.([0-9]{{1,9}}+))?(?: ({_ZONE_NAMES})(?=:))?"
    r"(?:: | ([A-Za-z0-9][A-Za-z0-9._-]{0,254}+)(?: ?:)? )"
    r"(%([A-Z0-9_]++(?>(?:-[A-Za-z0-9_]{2,}+)*)-[0-7]-([A-Z0-9_]++)): .*)\Z",
    re.DOTALL,
)
# Where a mnemonic begins at the latest, behind the longest headers that are common.
_MNEMONIC_WITHIN = 96

_PRI = re.compile(r"<([0-9]{1,3})>[ ]*")

# Sequence numbers of IOS, the lone colon of Nexus and of ASA's EMBLEM format.
_SEQUENCE = re.compile(r"(?:[0-9]{1,10}: +)*(?:: *)?")
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
# IOS-XR names the node, IOS the origin-id, before the clock; the text must prove to be Cisco's.
_ORIGIN = re.compile(
    r"(?:[A-Z0-9]+/[A-Za-z0-9/]{1,64}:|([A-Za-z0-9][^\s,;=\"\[\]]{0,254}?) ?: +)"
    r"(?=[^%]{0,64}%[A-Z][A-Z0-9_]+-)"
)
_ZONE = (
    rf"(?:(?:{_ZONE_NAMES})(?:[+-][0-9]{{1,2}}(?::?[0-9]{{2}})?)?"
    r"|[+-][0-9]{2}:?[0-9]{2})"
)
_CLOCK = re.compile(
    rf"[.*]?(?:([0-9]{{4}}) )?({_MONTH}) {{1,2}}([0-9]{{1,2}}) (?:([0-9]{{4}}) )?"
    r"([0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,]([0-9]{1,9}))?"
    rf"(?: ?({_ZONE})(?=[ :]|\Z))?(?: ((?:19|20)[0-9]{{2}})(?=[ :]|\Z))?(?::? +|:?\Z)"
)
_ISO_CLOCK = re.compile(
    r"[.*]?([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:[.,]([0-9]++))?(?: ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})(?=[ :]|\Z))?(?::? +|:?\Z)"
)
# Uptime, from a device whose clock was never set: 3d05h, 1w2d, 00:00:46.
_UPTIME = re.compile(r"[.*]?(?:[0-9]+[ywd][0-9]+[wdh]|[0-9]{1,2}:[0-9]{2}:[0-9]{2}): (?=%)")

_FORWARDED = re.compile(r"(?:\S{1,255} )?[Mm]essage forwarded from (\S{1,255}): ")
_NO_HOST = re.compile(r"last message repeated |[%/]")
# [2001:db8::1]; Ubiquiti's name,MAC,version, also as ("name,MAC,version"); a word.
_HOST = re.compile(
    r"(?:\[([0-9A-Fa-f:.]{2,45})\]"
    r"|(?:\(\")?([^\s,\"]{1,255}),[0-9a-f]{12},v?[0-9][^\s,:\"]{0,63}(?:\"\))?:?"
    r"|([^\s\[\](){}<>\"'=,;|]{1,255})) +(?=\S)"
)
_IPV6 = re.compile(r"(?=[^%]*::|(?:[^:%]*:){7})[0-9A-Fa-f:.]+(?:%[\w.-]+)?", re.ASCII)
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_ALNUM = re.compile(r"[A-Za-z0-9]")
_CISCO_BEHIND = re.compile(rf"(?:[0-9]{{1,10}}: +)*[.*]?(?:{_MONTH} +[0-9]|%[A-Z])")
_BEFORE_MNEMONIC = re.compile(r": +(?=%)")

_NO_DATE = "TIMESTAMP is no date or time (RFC 3164, 4.1.2)"


class _Clock(NamedTuple):
    # timestamp is None when what stands in the clock's place is no date or time.
    timestamp: datetime | None
    end: int


def parse_common_3164(text: str, received_day: int, zone: tzinfo) -> SyslogMessage | None:
    """Parse the two forms that most senders use.

    Args:
        text: The message, from its PRI.
        received_day: Proleptic ordinal of the day of receipt; lends the year.
        zone: Where the sender's clock stands.

    Returns:
        The message, or None when it has another form.

    Cost: one pass, 1.5 us for 200 characters.
    Source: RFC 3164, 4.1; Cisco IOS "service timestamps log datetime msec".
    """
    match = _COMMON.match(text)
    if match is None:
        if "%" in text[:_MNEMONIC_WITHIN]:
            cisco = _parse_cisco(text, received_day, zone)
            if cisco is not None:
                return cisco
        return _parse_headed(text, received_day, zone)
    pri, bsd, iso, hostname, app_name, procid, message = match.groups()
    halves = PRIS.get(pri)
    timestamp = parse_bsd(bsd, received_day, zone) if bsd else parse_iso(iso, zone)
    if halves is None or timestamp is None:
        return None
    return SyslogMessage(
        facility=halves[0],
        severity=halves[1],
        message=message or "",
        timestamp=timestamp,
        hostname=hostname,
        app_name=app_name,
        procid=procid,
    )


def _parse_cisco(text: str, received_day: int, zone: tzinfo) -> SyslogMessage | None:
    match = _CISCO.match(text)
    if match is None:
        return None
    (
        pri, origin, early_year, month, day, year, clock, fraction, zone_name, hostname,
        message, mnemonic, msgid,
    ) = match.groups()  # fmt: skip
    halves = PRIS.get(pri)
    stamp = (early_year or year, month, day, clock)
    timestamp = bsd_moment(stamp, received_day, zone, zone_name)
    if halves is None or timestamp is None:
        return None
    if fraction:
        timestamp += parse_fraction(fraction)
    return SyslogMessage(
        facility=halves[0],
        severity=halves[1],
        message=message,
        timestamp=timestamp,
        hostname=hostname or origin,
        app_name=mnemonic,
        msgid=msgid,
    )


def _parse_headed(text: str, received_day: int, zone: tzinfo) -> SyslogMessage | None:
    match = _HEADED.match(text)
    if match is None:
        return None
    pri, bsd, iso, hostname, rest = match.groups()
    halves = PRIS.get(pri)
    timestamp = parse_bsd(bsd, received_day, zone) if bsd else parse_iso(iso, zone)
    if halves is None or timestamp is None:
        return None
    content = split_content(rest, stamped=True)
    return SyslogMessage(
        facility=halves[0],
        severity=halves[1],
        message=content.message,
        timestamp=timestamp,
        hostname=hostname,
        app_name=content.app_name,
        procid=content.procid,
        msgid=content.msgid,
    )


def begins_like_3164(text: str, received_day: int, zone: tzinfo) -> bool:
    """Whether a text without a PRI begins with a clock or a mnemonic all the same."""
    clock, _, at = _read_beginning(text, 0, received_day, zone)
    return clock is not None or text[at : at + 1] == "%"


def parse_any_3164(text: str, received_day: int, zone: tzinfo) -> SyslogMessage:
    """Parse whatever follows a PRI, piece by piece.

    Args:
        text: The message; its PRI is in PRIS.
        received_day: Proleptic ordinal of the day of receipt; lends the year.
        zone: Where the sender's clock stands, if it does not say.

    Returns:
        The message; with neither clock nor TAG, all that stands behind the PRI is its text.

    Cost: 3 to 6 us.
    Source: RFC 3164, 4.1 and 4.3; the vendors' documents.
    """
    pri = _PRI.match(text)
    # The caller has looked it up in PRIS.
    assert pri is not None
    facility, severity = PRIS[pri[1]]
    clock, hostname, at = _read_beginning(text, pri.end(), received_day, zone)
    timestamp = clock.timestamp if clock else None
    if clock and hostname is None:
        hostname, at = _read_host(text, at)
    content = split_content(text[at:], stamped=clock is not None)
    msgid = content.msgid
    fortinet = None if clock else parse_fortinet(content.message, zone)
    if fortinet:
        timestamp, hostname, msgid = fortinet
    return SyslogMessage(
        facility=facility,
        severity=severity,
        message=content.message,
        timestamp=timestamp,
        hostname=hostname,
        app_name=content.app_name,
        procid=content.procid,
        msgid=msgid,
        malformed=_NO_DATE if clock and clock.timestamp is None else None,
    )


def _read_beginning(
    text: str, at: int, received_day: int, zone: tzinfo
) -> tuple[_Clock | None, str | None, int]:
    # Sequence number, origin and clock, in this order or the first two exchanged, each optional.
    start = _skip_sequence(text, at)
    clock = _read_clock(text, start, received_day, zone)
    if clock is not None:
        return clock, None, clock.end
    origin = None if _UPTIME.match(text, start) else _ORIGIN.match(text, start)
    if origin is not None:
        start = _skip_sequence(text, origin.end())
        clock = _read_clock(text, start, received_day, zone)
        if clock is not None:
            return clock, origin[1], clock.end
    uptime = _UPTIME.match(text, start)
    if uptime is not None:
        start = uptime.end()
    # A number and a colon before anything but a mnemonic are text.
    if text[start : start + 1] != "%":
        return None, None, at
    return None, origin[1] if origin else None, start


def _skip_sequence(text: str, at: int) -> int:
    sequence = _SEQUENCE.match(text, at)
    return sequence.end() if sequence else at


def _read_clock(text: str, at: int, received_day: int, zone: tzinfo) -> _Clock | None:
    match = _CLOCK.match(text, at)
    if match is not None:
        year, month, day, late_year, clock, fraction, zone_name, last_year = match.groups()
        stamp = (year or late_year or last_year, month, day, clock)
        timestamp = bsd_moment(stamp, received_day, zone, zone_name)
        if timestamp and fraction:
            timestamp += parse_fraction(fraction)
        return _Clock(timestamp, match.end())
    match = _ISO_CLOCK.match(text, at)
    if match is not None:
        year, month, day, clock, fraction, offset = match.groups()
        offset = "Z" if offset == "UTC" else offset or ""
        iso = f"{year}-{month}-{day}T{clock}.{fraction or 0}{offset}"
        return _Clock(parse_iso(iso, zone), match.end())
    return None


def _read_host(text: str, at: int) -> tuple[str | None, int]:
    forwarded = _FORWARDED.match(text, at)
    if forwarded is not None:
        return forwarded[1], forwarded.end()
    match = None if _NO_HOST.match(text, at) else _HOST.match(text, at)
    if match is None:
        return None, at
    address, station, word = match.groups()
    end = match.end()
    if word is None:
        return address or station, end
    if ":" in word:
        name = _host_before_colon(word, text, end)
        return name, at if name is None else end
    if not _ALNUM.search(word):
        return None, at
    colon = _BEFORE_MNEMONIC.match(text, end)
    return word, colon.end() if colon else end


def _host_before_colon(word: str, text: str, end: int) -> str | None:
    # A word with a colon is a TAG, unless it is an address or a router is speaking.
    bare = word.removesuffix(":")
    if _IPV6.fullmatch(bare) or _IPV4.fullmatch(bare):
        return bare
    if _IPV6.fullmatch(word):
        return word
    if bare != word and ":" not in bare and _CISCO_BEHIND.match(text, end):
        return bare
    return None
