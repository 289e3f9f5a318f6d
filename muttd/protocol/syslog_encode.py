"""Syslog, the other way: what `muttd send` puts on the wire. parse_syslog reads it back.

    <PRI>1 TIMESTAMP HOSTNAME APP-NAME - - STRUCTURED-DATA MSG       RFC 5424, 6
    <PRI>Mmm dd hh:mm:ss HOSTNAME TAG: CONTENT                       RFC 3164, 4.1

A header field can hold printable ASCII only, and no space: any other character becomes "_", and
an empty field the NILVALUE, so that no text can break out of the place that it was meant for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from muttd.protocol.syslog_5424 import BOM

Framing = Literal["lf", "octet-counting"]

_NOT_PRINTUSASCII = re.compile(r"[^!-~]")
_NOT_SD_NAME = re.compile(r'[^!-~]|[=\]"]')
_NOT_TAG = re.compile(r"[^A-Za-z0-9_./-]")
_TO_ESCAPE = re.compile(r'(["\\\]])')

# RFC 5424, 6: the longest HOSTNAME, APP-NAME and SD-NAME; RFC 3164, 4.1.3: the longest TAG.
_HOSTNAME_LIMIT = 255
_APP_NAME_LIMIT = 48
_SD_NAME_LIMIT = 32
_TAG_LIMIT = 32

# %b of strftime speaks the language of the process.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def encode_rfc5424(
    message: str,
    *,
    pri: int,
    sent_at: datetime,
    hostname: str = "",
    app_name: str = "",
    structured_data: Mapping[str, Sequence[tuple[str, str]]] | None = None,
) -> bytes:
    """Build one RFC 5424 message.

    Args:
        message: MSG; it gets a BOM when it is not ASCII (6.4).
        pri: facility * 8 + severity.
        sent_at: TIMESTAMP; aware.
        hostname: HOSTNAME.
        app_name: APP-NAME.
        structured_data: SD-ID -> (PARAM-NAME, PARAM-VALUE) pairs.

    Source: RFC 5424, 6.
    """
    header = (
        f"<{pri}>1 {sent_at.isoformat(timespec='microseconds')}"
        f" {_field(hostname, _NOT_PRINTUSASCII, _HOSTNAME_LIMIT)}"
        f" {_field(app_name, _NOT_PRINTUSASCII, _APP_NAME_LIMIT)} - -"
    )
    elements = "".join(_element(sd_id, pairs) for sd_id, pairs in (structured_data or {}).items())
    bom = "" if message.isascii() else BOM
    return f"{header} {elements or '-'} {bom}{message}".encode()


def encode_rfc3164(
    message: str, *, pri: int, sent_at: datetime, hostname: str, app_name: str
) -> bytes:
    """Build one RFC 3164 message.

    Args:
        message: CONTENT.
        pri: facility * 8 + severity.
        sent_at: TIMESTAMP, as the clock of its own zone shows it; the wire has no zone.
        hostname: HOSTNAME.
        app_name: TAG.

    Source: RFC 3164, 4.1.
    """
    host = _field(hostname, _NOT_PRINTUSASCII, _HOSTNAME_LIMIT)
    tag = _field(app_name, _NOT_TAG, _TAG_LIMIT)
    stamp = f"{_MONTHS[sent_at.month - 1]} {sent_at.day:2} {sent_at:%H:%M:%S}"
    return f"<{pri}>{stamp} {host} {tag}: {message}".encode()


def encode_frame(octets: bytes, framing: Framing) -> bytes:
    """Frame one message for a stream.

    Args:
        octets: One SYSLOG-MSG.
        framing: "octet-counting" leaves it as it is; for "lf" an LF or NUL inside, which would
            end the message there, becomes "#012" or "#000", as rsyslog writes them.

    Source: RFC 6587, 3.4.1 and 3.4.2.
    """
    if framing == "octet-counting":
        return b"%d %b" % (len(octets), octets)
    return octets.replace(b"\n", b"#012").replace(b"\0", b"#000") + b"\n"


def _field(text: str, forbidden: re.Pattern[str], limit: int) -> str:
    return forbidden.sub("_", text)[:limit] or "-"


def _element(sd_id: str, pairs: Sequence[tuple[str, str]]) -> str:
    params = "".join(
        f' {_field(name, _NOT_SD_NAME, _SD_NAME_LIMIT)}="{_escaped(value)}"'
        for name, value in pairs
    )
    return f"[{_field(sd_id, _NOT_SD_NAME, _SD_NAME_LIMIT)}{params}]"


def _escaped(value: str) -> str:
    return _TO_ESCAPE.sub(r"\\\1", value)
