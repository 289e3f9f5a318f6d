"""Severities and facilities as a person types them: a number or a name (RFC 5424, 6.2.1)."""

from __future__ import annotations

import argparse

from muttd.rules.fields import severity_from

# RFC 5424, 6.2.1, table 1, with the names of syslog(3). The index is the facility.
FACILITY_NAMES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
    *("authpriv", "ftp", "ntp", "audit", "console", "clock"),
    *(f"local{n}" for n in range(8)),
)


def severity_number(text: str) -> int:
    """0 to 7, from a number or a name; a type for argparse."""
    try:
        return severity_from(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def facility_number(text: str) -> int:
    """0 to 23, from a number or a name; a type for argparse."""
    word = text.lower()
    if word in FACILITY_NAMES:
        return FACILITY_NAMES.index(word)
    if word.isdecimal() and int(word) < len(FACILITY_NAMES):
        return int(word)
    raise argparse.ArgumentTypeError(f"must be 0 to 23 or one of {', '.join(FACILITY_NAMES)}")
