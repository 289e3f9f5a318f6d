"""Syslog: one message, as RFC 5424 or RFC 3164 or neither has it, as one SyslogMessage.

    octets --UTF-8, mended--> text --RFC 5424 | RFC 3164, the common forms--> SyslogMessage
                                |                                                 ^
                                +-- the PRI mended, the header piece by piece ----+

parse_syslog never raises for what is in the octets: a message that arrived is shown, however ugly.
`malformed` says what had to be guessed; what is odd but cannot be mistaken (a PRI with leading
zeros, second 60) is not malformed.
"""

from __future__ import annotations

import codecs
import re
from datetime import datetime, tzinfo

import msgspec

from muttd.protocol.syslog_3164 import begins_like_3164, parse_any_3164, parse_common_3164
from muttd.protocol.syslog_5424 import BOM, looks_like_5424, parse_loose_5424, parse_strict_5424
from muttd.protocol.syslog_message import (
    DEFAULT_FACILITY,
    DEFAULT_SEVERITY,
    PRIS,
    SyslogMessage,
)

__all__ = ["SyslogMessage", "parse_syslog"]

# The PRI of a message without one: user.notice (RFC 3164, 4.3.3).
_DEFAULT_PRI = "<13>"
_PRI = re.compile(r"<([0-9]{1,20})>")
_BEFORE_PRI = re.compile(r"[\s\ufeff]++(?=<[0-9]{1,3}>)")

# Windows-1252: Latin-1 with quotes, dashes and the euro in the place of control characters that
# nobody sends. Five octets mean nothing there and stay what they are in Latin-1.
_WINDOWS_1252 = "".join(
    bytes([octet]).decode("cp1252", "ignore") or chr(octet) for octet in range(0x100)
)
# The same for an octet as "surrogateescape" keeps it (PEP 383).
_NO_UTF_8 = {0xDC00 + octet: _WINDOWS_1252[octet] for octet in range(0x80, 0x100)}
# How every character beyond ASCII begins in UTF-8 (RFC 3629, 4), and hardly one in Windows-1252.
_SAYS_UTF_8 = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")

_NO_PRI = "no PRI (RFC 3164, 4.3.3)"
_PRI_UNIDENTIFIABLE = "PRI has leading zeros and no value (RFC 3164, 4.3.3)"
_PRI_TOO_LARGE = "PRI is above 191 (RFC 5424, 6.2.1)"
_EMPTY = "no octets but trailers (RFC 5424, 6)"
_BOM_AND_NO_UTF_8 = "MSG has a BOM and is not UTF-8 (RFC 5424, 6.4)"


def parse_syslog(octets: bytes, *, received_at: datetime, zone: tzinfo) -> SyslogMessage:
    """Parse one syslog message. Never raises for its content.

    Args:
        octets: One SYSLOG-MSG, unframed; trailing LF, CR and NUL are ignored.
        received_at: When it came off the wire; aware, UTC. Lends RFC 3164 stamps their year.
        zone: Where the clock of a sender stands that does not say.

    Returns:
        The message. Octets that are not UTF-8 are read as Windows-1252, one by one. A NUL inside
        becomes "#000", as rsyslog writes it, because no database has a place for it.

    Cost: 1.5 to 3 us for 200 octets in the common forms, twice that in the others; 0.04 us more for
    an octet of text that is UTF-8 in one part and not in another.
    Source: RFC 5424, 6; RFC 3164, 4.
    """
    octets = octets.rstrip(b"\0\r\n")
    try:
        text = octets.decode()
        is_mended = False
    except UnicodeDecodeError:
        text, is_mended = _decode_other(octets)
    if "\0" in text:
        text = text.replace("\0", "#000")
    message = _parse_text(text, received_at.toordinal(), zone)
    if is_mended and f" {BOM}" in text:
        return _complain(message, _BOM_AND_NO_UTF_8)
    return message


def _decode_other(octets: bytes) -> tuple[str, bool]:
    # Devices cut messages at a number of octets, in the middle of a character too. What was UTF-8
    # up to its last character stays it.
    try:
        text, decoded_octets = codecs.utf_8_decode(octets, "strict", False)
    except UnicodeDecodeError:
        pass
    else:
        # Without another character that says UTF-8 it is an accented letter at the very end.
        if len(text) != decoded_octets:
            return text + "\ufffd", False
    if _SAYS_UTF_8.search(octets) is None:
        return codecs.charmap_decode(octets, "strict", _WINDOWS_1252)[0], True
    # A relay may have put UTF-8 before what a device wrote in another encoding.
    return octets.decode("utf-8", "surrogateescape").translate(_NO_UTF_8), True


def _parse_text(text: str, received_day: int, zone: tzinfo) -> SyslogMessage:
    return (
        parse_strict_5424(text, zone)
        or parse_common_3164(text, received_day, zone)
        or _parse_other(text, received_day, zone)
    )


def _parse_other(text: str, received_day: int, zone: tzinfo) -> SyslogMessage:
    before = None if text.startswith("<") else _BEFORE_PRI.match(text)
    if before is not None:
        return _parse_text(text[before.end() :], received_day, zone)
    match = _PRI.match(text)
    if match is None:
        return _parse_without_pri(text, received_day, zone)
    written = match[1]
    value = written.lstrip("0") or "0"
    if value == "0" and written != "0":
        return _whole(text, _PRI_UNIDENTIFIABLE)
    if value != written or value not in PRIS:
        # Mended, it is in PRIS, so that the next call does not come back here.
        known = value in PRIS
        mended = f"<{value}>" if known else _DEFAULT_PRI
        message = _parse_text(mended + text[match.end() :], received_day, zone)
        return message if known else _complain(message, _PRI_TOO_LARGE)
    if looks_like_5424(text):
        return parse_loose_5424(text, zone)
    return parse_any_3164(text, received_day, zone)


def _parse_without_pri(text: str, received_day: int, zone: tzinfo) -> SyslogMessage:
    if not text:
        return _whole(text, _EMPTY)
    with_pri = _DEFAULT_PRI + text
    message = parse_strict_5424(with_pri, zone)
    if message is None:
        if not begins_like_3164(text, received_day, zone):
            return _whole(text, _NO_PRI)
        message = _parse_text(with_pri, received_day, zone)
    return _complain(message, _NO_PRI)


def _whole(text: str, malformed: str) -> SyslogMessage:
    # RFC 3164, 4.3.3: without a PRI that can be identified all of it is CONTENT.
    return SyslogMessage(
        facility=DEFAULT_FACILITY, severity=DEFAULT_SEVERITY, message=text, malformed=malformed
    )


def _complain(message: SyslogMessage, malformed: str) -> SyslogMessage:
    if message.malformed:
        malformed = f"{malformed}; {message.malformed}"
    return msgspec.structs.replace(message, malformed=malformed)
