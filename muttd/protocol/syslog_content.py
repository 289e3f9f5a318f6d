"""What stands behind the header of an RFC 3164 message: a TAG, a vendor's mnemonic, or just text.

    form                                    app_name        procid  msgid     message
    su[7]: text                             su              7                 text
    Software Update[7]: text                Software Update 7                 text
    %LINK-3-UPDOWN: text                    LINK-3-UPDOWN           UPDOWN    all of it
    ifmgr[204]: %PKT_INFRA-LINK-3-UPDOWN :  PKT_INFRA-LINK-3-UPDOWN  204  UPDOWN  all of it
    notice mcpd[7]: 01070638:5: text        mcpd            7       01070638  01070638:5: text
    CEF:0|... LEEF:1.0|...                  CEF, LEEF                         all of it
    date=... time=... devname="FG"                                  logid     all of it
    su text, su:text                        su                                all of it

The last line is a guess: the word may as well be the first of the text, so the text keeps it.
Whatever the form, no character of the text that a rule could look for is lost.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from typing import NamedTuple

from muttd.protocol.syslog_time import parse_iso

# A TAG as it is sent: 32 alphanumerics in RFC 3164, 4.1.3; paths, dots and parentheses in life.
# It has a letter, so that neither a number nor a time of day is one.
_TAG_WORD = r"(?=[^\s:\[A-Za-z]{0,63}+[A-Za-z])[^\s:\[\]{}<>=,;\"'|?%*]{1,64}+"
_TAG_END = r"(?:\[([^\[\]\s]{1,128})\](?::|(?= |\Z))|:(?= |\Z)) ?"
_TAG = re.compile(rf"({_TAG_WORD}){_TAG_END}")
_TAG_OF_WORDS = re.compile(
    r"([A-Z][\w./-]{0,31}(?: [A-Z0-9][\w./-]{0,31}){1,4})\[([0-9]{1,10})\]:? ?", re.ASCII
)
# F5: the name of the severity, then the TAG.
_F5 = re.compile(
    rf"(?:emerg|alert|crit|err|error|warning|warn|notice|info|debug) ({_TAG_WORD}){_TAG_END}"
)
_F5_MSGID = re.compile(r"([0-9a-f]{8}):[0-7]: ")
_GUESSED_TAG = re.compile(
    r"(?=[a-z_/])([\w./-]{2,32})(?= )|([A-Za-z_/][\w./-]{1,31}):(?![:/ ])", re.ASCII
)
_REPEATED = re.compile(r"last message repeated ")

_MNEMONIC = re.compile(
    r"(?:[A-Za-z][\w/-]{0,63}(?:\[([0-9]{1,10})\])? ?: )?"
    r"%([A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*-[0-7]-([A-Za-z0-9_]+)) ?(?:: ?|\Z)",
    re.ASCII,
)
# Where a mnemonic begins at the latest: behind what a relay may leave before it, and no further.
_MNEMONIC_WITHIN = 96
# What a relay leaves between its own header and the mnemonic: Cisco's sequence number and clock.
_RELAYED = re.compile(
    r"(?:[0-9]{1,10}: +)*(?:: *)?(?:[.*]?(?:[0-9]{4} )?[A-Z][a-z]{2} +[0-9]{1,2} (?:[0-9]{4} )?"
    r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?: [A-Z]{1,5})?: )?(?=%[A-Z])"
)
_EVENT_FORMAT = re.compile(r"(CEF|LEEF): ?[0-9]")

_FORTINET = re.compile(r"date=([0-9]{4}-[0-9]{2}-[0-9]{2}) time=([0-9]{2}:[0-9]{2}:[0-9]{2}) ")
_FORTINET_FIELD = re.compile(r' (devname|logid|tz)=(?:"([^" ]{1,255})"|([^" ]{1,255}))(?= |\Z)')
# The header fields of a FortiGate log come first; what follows may quote a stranger.
_FORTINET_HEAD = 512


class Content(NamedTuple):
    """A TAG and the text behind it."""

    app_name: str | None
    procid: str | None
    msgid: str | None
    message: str


class Fortinet(NamedTuple):
    """The header that FortiGate writes as key=value."""

    timestamp: datetime | None
    hostname: str | None
    logid: str | None


def split_content(text: str, *, stamped: bool) -> Content:
    """Take the TAG off a CONTENT.

    Args:
        text: What stands behind HOSTNAME, or behind TIMESTAMP, or behind PRI.
        stamped: Whether there was a TIMESTAMP. Without one a bare first word is no TAG
            (RFC 3164, 4.3.2: all of it is CONTENT).

    Returns:
        The parts; all are None, and message is the text, when it has no form we know.
    """
    if "%" in text[:_MNEMONIC_WITHIN]:
        relayed = _RELAYED.match(text)
        if relayed is not None:
            text = text[relayed.end() :]
        match = _MNEMONIC.match(text)
        if match is not None:
            return Content(match[2], match[1], match[3], text)
    match = _EVENT_FORMAT.match(text)
    if match is not None:
        return Content(match[1], None, None, text)
    match = _TAG.match(text) or _TAG_OF_WORDS.match(text) or _F5.match(text)
    if match is not None:
        message = text[match.end() :]
        code = _F5_MSGID.match(message)
        return Content(match[1], match[2], code[1] if code else None, message)
    if stamped and not _REPEATED.match(text):
        match = _GUESSED_TAG.match(text)
        if match is not None:
            return Content(match[1] or match[2], None, None, text)
    return Content(None, None, None, text)


def parse_fortinet(text: str, zone: tzinfo) -> Fortinet | None:
    """Read date, time, tz, devname and logid of a FortiGate log in its default format.

    Args:
        text: The CONTENT.
        zone: Where the sender's clock stands if there is no tz.

    Returns:
        None if the text is no such log.

    Source: Fortinet, FortiOS Log Message Reference, "Log header fields".
    """
    match = _FORTINET.match(text)
    if match is None:
        return None
    fields: dict[str, str] = {}
    for name, quoted, bare in _FORTINET_FIELD.findall(text, 0, _FORTINET_HEAD):
        fields.setdefault(name, quoted or bare)
    offset = fields.get("tz", "")
    offset = offset if re.fullmatch(r"[+-][0-9]{4}", offset) else ""
    return Fortinet(
        parse_iso(f"{match[1]}T{match[2]}{offset}", zone),
        fields.get("devname"),
        fields.get("logid"),
    )
