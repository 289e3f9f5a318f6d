"""Firewalls that send no header: their clock, name and message number stand in the text.

    FortiGate    date=2024-10-11 time=22:14:15 devname="FG1" logid="0000000013" tz="+0200" ...
    Sophos       device_name="SFW" timestamp="2024-10-11T22:14:15+0200" log_id="010101600001" ...
    SonicWall    id=firewall sn=0017C5 time="2024-10-11 22:14:15 UTC" fw=192.0.2.1 m=537 ...
    Stormshield  id=firewall time="2024-10-11 22:14:15" fw="SN310" tz=+0200 ...

The header fields come first; what follows may quote a stranger, so that only HEAD is looked at.
device_name of a Sophos is its model, which many share: such a message has no HOSTNAME.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from typing import NamedTuple

from muttd.protocol.syslog_time import ZONE_HOURS, parse_iso, zone_of

HEAD = 512

_BEGINNING = re.compile(
    r"(?:(?P<fortinet>date)=[0-9]{4}-|device(?:_name)?=|(?P<fw>id)=[^\s=]{1,64} (?:sn|time)=)"
)
_FIELD = re.compile(
    r"(?<![^ ])(date|time|timestamp|timezone|tz|devname|fw|log_?id|m)="
    r'(?:"([^"]{1,255})"|([^" ]{1,255}))(?= |\Z)'
)
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?: (?P<name>UTC)|(?P<offset>[+-][0-9]{4})|)"
)
_OFFSET = re.compile(r"[+-][0-9]{4}")


class Pairs(NamedTuple):
    """The header that a firewall writes as key=value."""

    timestamp: datetime | None
    hostname: str | None
    msgid: str | None


def parse_pairs(text: str, zone: tzinfo) -> Pairs | None:
    """Read the clock, the name and the message number of a firewall's log.

    Args:
        text: The CONTENT.
        zone: Where the sender's clock stands if it does not say.

    Returns:
        None if the text is no such log: it begins otherwise, or it has no clock.

    Source: Fortinet, FortiOS Log Message Reference, "Log header fields"; Sophos, Firewall Syslog
    Guide; SonicWall, SonicOS Log Events Reference, "Syslog tags"; Stormshield, Description of
    Audit Logs.
    """
    beginning = _BEGINNING.match(text)
    if beginning is None:
        return None
    fields: dict[str, str] = {}
    for name, quoted, bare in _FIELD.findall(text, 0, HEAD):
        fields.setdefault(name, quoted or bare)
    date, clock = fields.get("date"), fields.get("time", "")
    stamp = f"{date} {clock}" if date else fields.get("timestamp") or clock
    match = _TIME.fullmatch(stamp)
    if match is None:
        return None
    timestamp = _moment(match, fields.get("tz"), fields.get("timezone"), zone)
    if beginning["fw"]:
        return Pairs(timestamp, fields.get("fw"), fields.get("m"))
    hostname = fields.get("devname") if beginning["fortinet"] else None
    return Pairs(timestamp, hostname, fields.get("logid") or fields.get("log_id"))


def _moment(
    match: re.Match[str], offset: str | None, name: str | None, zone: tzinfo
) -> datetime | None:
    offset = match["offset"] or offset or ""
    if not _OFFSET.fullmatch(offset):
        offset = ""
    moment = parse_iso(match[1].replace(" ", "T") + offset, zone)
    name = match["name"] or name
    if moment is None or offset or name not in ZONE_HOURS:
        return moment
    return moment.replace(tzinfo=zone_of(name, moment.replace(tzinfo=None), zone))
