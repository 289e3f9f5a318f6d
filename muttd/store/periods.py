"""Calendar days and months, UTC: what rows are kept and dropped by.

[start_of(p, moment), next_start(p, start))      half open: 00:00:00 begins the next one
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta


class Period(enum.Enum):
    """How long one is."""

    DAY = "day"
    MONTH = "month"


def start_of(period: Period, moment: datetime) -> datetime:
    """The first moment of the period that this one is in."""
    midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if period is Period.DAY else midnight.replace(day=1)


def next_start(period: Period, start: datetime) -> datetime:
    """The first moment of the period that follows; `start` is what start_of() gave."""
    # 31 days after the first of a month is some day of the next one.
    return start_of(period, start + timedelta(days=1 if period is Period.DAY else 31))


def months_before(moment: datetime, months: int) -> datetime:
    """The same day and time so many months ago, or the last day of a month that has no such day."""
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    first = moment.replace(year=year, month=month + 1, day=1)
    last_day = (next_start(Period.MONTH, start_of(Period.MONTH, first)) - timedelta(days=1)).day
    return first.replace(day=min(moment.day, last_day))


def first_id_at(moment: datetime) -> str:
    """The beginning of every UUIDv7 made at that time: all earlier ones sort before it.

    unix_ts_ms are its first 48 bits (RFC 9562, 5.7).
    """
    digits = f"{int(moment.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}"
