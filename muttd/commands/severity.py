"""Severities and facilities as a person types them: a number or a name (RFC 5424, 6.2.1)."""

from __future__ import annotations

import argparse

from muttd.event import SEVERITY_NAMES

# What people and other programs call them.
_ALIASES = {"emergency": 0, "panic": 0, "critical": 2, "error": 3, "warn": 4, "informational": 6}
# RFC 5424, 6.2.1, table 1, with the names of syslog(3). The index is the facility.
FACILITY_NAMES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
    *("authpriv", "ftp", "ntp", "audit", "console", "clock"),
    *(f"local{n}" for n in range(8)),
)


def severity_number(text: str) -> int:
    """0 to 7, from a number or a name; a type for argparse."""
    return _number(text, SEVERITY_NAMES, _ALIASES)


def facility_number(text: str) -> int:
    """0 to 23, from a number or a name; a type for argparse."""
    return _number(text, FACILITY_NAMES, {})


def _number(text: str, names: tuple[str, ...], aliases: dict[str, int]) -> int:
    known = {**aliases, **{name: n for n, name in enumerate(names)}}
    known |= {str(n): n for n in range(len(names))}
    try:
        return known[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(
            f"must be 0 to {len(names) - 1} or one of {', '.join(names)}"
        ) from None
