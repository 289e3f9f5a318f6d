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

from muttd.protocol.syslog_content import split_content
from muttd.protocol.syslog_message import PRIS, SyslogMessage
from muttd.protocol.syslog_pairs import parse_pairs
from muttd.protocol.syslog_time import (
    ZONE_HOURS,
    bsd_moment,
    numeric_moment,
    parse_bsd,
    parse_fraction,
    parse_iso,
)

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
    r"(?!CEF:|LEEF:|Severity: )([A-Za-z_/(][A-Za-z0-9_./()@+-]{0,63}+)"
    r"(?:\[([^\[\]\s]{1,128}+)\])?:(?: (.*)|)\Z",
    re.DOTALL,
)
# The same header before any other text; what could be taken for a HOSTNAME is left to _read_host.
_HEADED = re.compile(
    rf"<([0-9]{{1,3}})>(?:({_BSD})|({_ISO})) "
    r"(?![0-9]{4} |[A-Z]{1,5} |last message |[Mm]essage )"
    r"([A-Za-z0-9][A-Za-z0-9._-]{0,254}+) (?![ :]|[Mm]essage |\[[0-9]{1,10}\]: )(.+)\Z",
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
    r"(?:(?:([A-Za-z0-9][^\s,;=\"\[\]/]{0,254}?):? +)?[A-Z0-9]+/[A-Za-z0-9/]{1,64}:"
    r"|([A-Za-z0-9][^\s,;=\"\[\]]{0,254}?) ?: +)"
    r"(?=[^%#]{0,96}[%#][A-Z][A-Z0-9_]+-)"
)
# Nexus: origin-id and a clock that begins with the year, whatever the text is.
_NEXUS_ORIGIN = re.compile(
    rf": *([A-Za-z0-9][^\s,;=\"\[\]]{{0,254}}?) ?: +(?=[0-9]{{4}} {_MONTH} )"
)
# The task of a wireless controller: *apfMsConnTask_1: Oct 11 22:14:15.123: #APF-4-...
_TASK = re.compile(rf"\*([A-Za-z][\w.-]{{0,63}}): +(?={_MONTH} )", re.ASCII)
_ZONE = (
    rf"(?:(?:{_ZONE_NAMES})(?:[+-][0-9]{{1,2}}(?::?[0-9]{{2}})?)?"
    r"|[+-][0-9]{2}:?[0-9]{2})"
)
_CLOCK = re.compile(
    rf"[.*]?(?:([0-9]{{4}}) )?({_MONTH}) {{1,2}}([0-9]{{1,2}}) (?:([0-9]{{4}}) )?"
    r"([0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,:]([0-9]{1,9}))?"
    rf"(?: ?({_ZONE})(?=[ :]|\Z))?(?: ((?:19|20)[0-9]{{2}})(?=[ :]|\Z))?"
    r"(?: DST(?= ))?(?: ?: +| +|:?\Z)"
)
_ISO_CLOCK = re.compile(
    r"[.*]?([0-9]{4})[-/:]([0-9]{2})[-/:]([0-9]{2})[T :-]([0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:[.,]([0-9]++))?(?: ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})(?=[ :]|\Z))?(?::? +|:?\Z)"
)
# NetScaler: 10/11/2024:22:14:15 GMT.
_NUMERIC_CLOCK = re.compile(
    r"([0-9]{2})/([0-9]{2})/([0-9]{4}):([0-9]{2}:[0-9]{2}:[0-9]{2})"
    rf"(?: ({_ZONE_NAMES})(?= ))? +"
)
# Uptime, from a device whose clock was never set: 3d05h, 1w2d, 00:00:46.
_UPTIME = re.compile(r"[.*]?(?:[0-9]+[ywd][0-9]+[wdh]|[0-9]{1,2}:[0-9]{2}:[0-9]{2}): (?=%)")

_FORWARDED = re.compile(r"(?:\S{1,255} )?[Mm]essage forwarded from (\S{1,255}): ")
# A repetition, a mnemonic or a path; NetScaler's engine; Yealink's "sua [600]:".
_NO_HOST = re.compile(r"last message repeated |[%/]|[0-9]+-PPE-|\S{1,64} \[[0-9]{1,10}\]: ")
# [2001:db8::1]; UniFi's model,MAC,version, also as ("model,MAC,version"): the model is no name, as
# many have it, so that it is the MAC; MAC,model-version without a name before it; a word, which
# OneFS follows with the number of the node.
_HOST = re.compile(
    r"(?:\[([0-9A-Fa-f:.]{2,45})\]"
    r"|(?:\(\")?[^\s,\"]{1,255},([0-9a-f]{12}),v?[0-9][^\s,:\"]{0,63}(?:\"\))?:?"
    r"|([0-9a-f]{12}),[A-Za-z0-9][^\s,:]{0,63}:"
    r"|([^\s\[\](){}<>\"'=,;|]{1,255})(?:\(id[0-9]{1,4}\))?) +(?=\S)"
)
# Nothing is taken off these: Snare's name ends with a tab, ONTAP's is part of the event's name.
_SNARE = re.compile(r"([^\s#]{1,255})(?:\t|#011)(?=MSWinEventLog|LinuxKAudit)")
_ONTAP = re.compile(
    r"(?=\[([A-Za-z0-9][\w.-]{0,254}): ?[A-Za-z]\w*\.[\w.]+: ?[a-z]+\]: )", re.ASCII
)
_IPV6 = re.compile(r"(?=[^%]*::|(?:[^:%]*:){7})[0-9A-Fa-f:.]+(?:%[\w.-]+)?", re.ASCII)
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_ALNUM = re.compile(r"[A-Za-z0-9]")
_CISCO_BEHIND = re.compile(rf"(?:[0-9]{{1,10}}: +)*[.*]?(?:{_MONTH} +[0-9]|%[A-Z])")
# ONTAP's audit log names the node twice.
_AUDITED = re.compile(r"(\S{1,255}): \1: (?=[0-9a-f]{8}\.[0-9a-f]{8} )")
_BEFORE_MNEMONIC = re.compile(r": +(?=%)")

_NO_DATE = "TIMESTAMP is no date or time (RFC 3164, 4.1.2)"


class _Clock(NamedTuple):
    # timestamp is None when what stands in the clock's place is no date or time.
    timestamp: datetime | None
    end: int


class _Beginning(NamedTuple):
    # What stands before HOSTNAME, or in its place; task is the PROCID of a wireless controller.
    clock: _Clock | None
    hostname: str | None
    task: str | None
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
    beginning = _read_beginning(text, 0, received_day, zone)
    return beginning.clock is not None or text[beginning.end : beginning.end + 1] == "%"


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
    clock, hostname, task, at = _read_beginning(text, pri.end(), received_day, zone)
    timestamp = clock.timestamp if clock else None
    if hostname is None:
        hostname, at = _read_host(text, at) if clock else _read_sure_host(text, at)
    content = split_content(text[at:], stamped=clock is not None)
    msgid = content.msgid
    pairs = None if clock else parse_pairs(content.message, zone)
    if pairs:
        timestamp, hostname, msgid = pairs
    has_clock = clock is not None or pairs is not None
    return SyslogMessage(
        facility=facility,
        severity=severity,
        message=content.message,
        timestamp=timestamp,
        hostname=hostname,
        app_name=content.app_name,
        procid=content.procid or task,
        msgid=msgid,
        malformed=_NO_DATE if has_clock and timestamp is None else None,
    )


def _read_beginning(text: str, at: int, received_day: int, zone: tzinfo) -> _Beginning:
    # Sequence number, origin and clock, in this order or the first two exchanged, each optional.
    nexus = _NEXUS_ORIGIN.match(text, at)
    start = nexus.end() if nexus else _skip_sequence(text, at)
    hostname = nexus[1] if nexus else None
    clock, task = _read_clock_of_task(text, start, received_day, zone)
    if clock is not None:
        return _Beginning(clock, hostname, task, clock.end)
    origin = None if _UPTIME.match(text, start) else _ORIGIN.match(text, start)
    if origin is not None:
        hostname = origin[1] or origin[2]
        start = _skip_sequence(text, origin.end())
        clock, task = _read_clock_of_task(text, start, received_day, zone)
        if clock is not None:
            return _Beginning(clock, hostname, task, clock.end)
    uptime = _UPTIME.match(text, start)
    if uptime is not None:
        start = uptime.end()
    # A number and a colon before anything but a mnemonic are text.
    if text[start : start + 1] != "%":
        return _Beginning(None, None, None, at)
    return _Beginning(None, hostname, None, start)


def _read_clock_of_task(
    text: str, at: int, received_day: int, zone: tzinfo
) -> tuple[_Clock | None, str | None]:
    task = _TASK.match(text, at)
    if task is None:
        return _read_clock(text, at, received_day, zone), None
    return _read_clock(text, task.end(), received_day, zone), task[1]


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
    match = _NUMERIC_CLOCK.match(text, at)
    if match is not None:
        first, second, year, clock, zone_name = match.groups()
        stamp_of_four = (first, second, year, clock)
        timestamp = numeric_moment(stamp_of_four, received_day, zone, zone_name)
        return _Clock(timestamp, match.end())
    return None


def _read_host(text: str, at: int) -> tuple[str | None, int]:
    forwarded = _FORWARDED.match(text, at)
    if forwarded is not None:
        return forwarded[1], forwarded.end()
    hostname, behind = _read_sure_host(text, at)
    if hostname is not None:
        return hostname, behind
    match = None if _NO_HOST.match(text, at) else _HOST.match(text, at)
    if match is None:
        return None, at
    address, middle, station, word = match.groups()
    end = match.end()
    if word is None:
        return address or middle or station, end
    if ":" in word:
        name = _host_before_colon(word, text, end)
        return name, at if name is None else end
    if not _ALNUM.search(word):
        return None, at
    colon = _BEFORE_MNEMONIC.match(text, end)
    return word, colon.end() if colon else end


def _read_sure_host(text: str, at: int) -> tuple[str | None, int]:
    # These need no TIMESTAMP before them to be a HOSTNAME.
    match = _SNARE.match(text, at) or _ONTAP.match(text, at) or _AUDITED.match(text, at)
    return (match[1], match.end()) if match else (None, at)


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
