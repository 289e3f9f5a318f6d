"""How many events came in when: per minute, severity, and whether a rule matched.

    add_volume(cells)             every few seconds by every daemon: counts are added up
    volume(since, bucket)         a day in a hundred columns, from some ten thousand small rows

A part of what every store backend promises; errors are those of the store (contract.py). It is a
chart and no book: a daemon that is killed takes the counts of its last seconds with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

# A month, for whoever compares today with the same day of last week.
KEPT_MINUTES = 31 * 24 * 60


class VolumeCell(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Events of one minute (or of the bucket that begins with it) that have this in common.

    Attributes:
        minute: Minutes since 1970, UTC, of receipt.
        severity: 0 to 7.
        matched: Whether a rule matched.
        events: How many.
    """

    minute: int
    severity: int
    matched: bool
    events: int


class VolumeStore(Protocol):
    """The counts."""

    async def add_volume(self, cells: Sequence[VolumeCell]) -> None:
        """Add these to what is there; forget what is older than KEPT_MINUTES before the newest."""
        ...

    async def volume(self, since_minute: int, bucket_minutes: int) -> list[VolumeCell]:
        """What came since then, added up by bucket; buckets begin at multiples of their length."""
        ...
