"""What a syslog message says, whichever RFC it was written by."""

from __future__ import annotations

from datetime import datetime

import msgspec

# PRI 13, user.notice: what RFC 3164, 4.3.3 gives a message whose PRI cannot be read.
DEFAULT_FACILITY = 1
DEFAULT_SEVERITY = 5

# PRI as it is written -> facility, severity. Leading zeros are not in it (RFC 5424, 6.2.1).
PRIS = {str(pri): divmod(pri, 8) for pri in range(192)}


class SyslogMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One syslog message.

    Attributes:
        facility: 0 to 23 (RFC 5424, 6.2.1, table 1).
        severity: 0 (emerg) to 7 (debug) (RFC 5424, 6.2.1, table 2).
        message: MSG of RFC 5424 without its BOM; CONTENT of RFC 3164 without its TAG.
        timestamp: The sender's claim; aware. None if there is none or it is no date.
        hostname, app_name, procid, msgid: RFC 5424, 6.2.4-6.2.7; NILVALUE is None.
        structured_data: SD-ID -> (PARAM-NAME, PARAM-VALUE) pairs in wire order (RFC 5424, 6.3).
        malformed: What is wrong and where it is written, in fixed words; None if nothing had to
            be guessed and nothing was left unread.
    """

    facility: int
    severity: int
    message: str
    timestamp: datetime | None = None
    hostname: str | None = None
    app_name: str | None = None
    procid: str | None = None
    msgid: str | None = None
    structured_data: dict[str, list[tuple[str, str]]] = {}
    malformed: str | None = None
