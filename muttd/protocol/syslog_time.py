"""The times that senders put into syslog headers, as aware datetimes.

    RFC 5424, 6.2.3     2003-10-11T22:14:15.003Z        ISO 8601 with offset
    RFC 3164, 4.1.2     Oct 11 22:14:15                 no year, no zone
    as really sent      *Mar  1 1993 00:01:02.003 CET   a year, a zone, a clock mark

A stamp without a year gets the latest one that does not put it more than AHEAD_DAYS into the
future of the day it was received: the sender's clock may be a little ahead of ours, across New
Year too; a message that is old (queued, replayed) is common, one from next month is not.
"""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

# Clocks err by hours (a wrong zone) or by years (a flat battery); a month is beyond the first
# and still leaves eleven for messages that were held back.
AHEAD_DAYS = 31

# 29 February needs a leap year, and there may be eight years between two of them (1896, 1904).
_YEARS_BACK = 8

# One entry per second and sender's clock: some minutes of skew between thousands of senders.
_CACHED_STAMPS = 4096

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}

_MONTH_NAMES = tuple(_MONTHS)

# Hours east of UTC. Where a name has several meanings (CST, IST, BST) and the configured zone
# does not use it itself, the meaning is the one that router vendors' documents use.
ZONE_HOURS: dict[str, float] = {
    "UTC": 0, "GMT": 0, "Z": 0, "TZ": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2,
    "MET": 1, "MEST": 2, "EET": 2, "EEST": 3, "SAST": 2, "MSK": 3, "IST": 5.5, "SGT": 8, "HKT": 8,
    "AWST": 8, "JST": 9, "KST": 9, "ACST": 9.5, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
    "BRT": -3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8,
    "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10,
}  # fmt: skip


def parse_iso(text: str, zone: tzinfo) -> datetime | None:
    """Read an ISO 8601 time as RFC 5424, 6.2.3 has it.

    Args:
        text: Date, T, time; then a fraction of any length and Z or an offset, both optional.
            The caller has checked that it is made of these.
        zone: Stands in for a missing offset.

    Returns:
        None if there is no such date or time.

    Cost: 0.2 us; a leap second pays for an exception.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _parse_leap_second(text, zone)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    # The first and last year cannot be converted to every zone.
    return moment if 1 < moment.year < 9999 else None


def _parse_leap_second(text: str, zone: tzinfo) -> datetime | None:
    # RFC 5424, 6.2.3 forbids second 60, and senders that count leap seconds send it: it is the
    # second after second 59. Nothing else that failed gets a second chance.
    if text[17:19] != "60":
        return None
    moment = parse_iso(f"{text[:17]}59{text[19:]}", zone)
    return None if moment is None else moment + timedelta(seconds=1)


def parse_epoch(seconds: str) -> datetime:
    """Read seconds since 1970, at most ten digits and a fraction."""
    whole, _, fraction = seconds.partition(".")
    return datetime.fromtimestamp(int(whole), UTC) + parse_fraction(fraction)


@functools.lru_cache(maxsize=_CACHED_STAMPS)
def parse_fraction(digits: str) -> timedelta:
    """Read the digits behind the point; more than six are cut off, not rounded."""
    return timedelta(microseconds=int(digits[:6].ljust(6, "0")))


@functools.lru_cache(maxsize=_CACHED_STAMPS)
def parse_bsd(text: str, received_day: int, zone: tzinfo) -> datetime | None:
    """Read the TIMESTAMP of RFC 3164, 4.1.2: "Mmm dd hh:mm:ss", 15 characters.

    Args:
        text: The TIMESTAMP; the day is two digits or a space and a digit.
        received_day: Proleptic ordinal of the day of receipt, which lends the year.
        zone: Where the sender's clock stands.

    Returns:
        The time in UTC, or None if there is no such date or time.

    Cost: 0.1 us for a second that was seen before.
    """
    return bsd_moment((None, text[:3], text[4:6], text[7:15]), received_day, zone, None)


@functools.lru_cache(maxsize=_CACHED_STAMPS)
def bsd_moment(
    stamp: tuple[str | None, str, str, str],
    received_day: int,
    zone: tzinfo,
    zone_name: str | None,
) -> datetime | None:
    """Put a BSD time together from its parts.

    Args:
        stamp: Year or None, month's name, day, hh:mm:ss; digits where digits belong.
        received_day: Proleptic ordinal of the day of receipt.
        zone: Where the sender's clock stands, if it does not say.
        zone_name: What the sender says, a name of ZONE_HOURS or an offset or both: CET, +0200,
            TZ-6; or None.

    Returns:
        The time in UTC, or None if there is no such date or time.
    """
    year, month_name, day, clock = stamp
    month = _MONTHS.get(month_name)
    if month is None:
        return None
    hour, minute, second = int(clock[:2]), int(clock[3:5]), int(clock[6:8])
    leap = second == 60
    try:
        day_sent = (
            date(int(year), month, int(day))
            if year is not None
            else _in_latest_year(month, int(day), received_day)
        )
        local = datetime(day_sent.year, day_sent.month, day_sent.day, hour, minute, second - leap)
    except ValueError:
        return None
    if not 1 < local.year < 9999:
        return None
    moment = local.replace(tzinfo=zone_of(zone_name, local, zone)).astimezone(UTC)
    return moment + timedelta(seconds=leap)


def _in_latest_year(month: int, day: int, received_day: int) -> date:
    latest = date.fromordinal(received_day + AHEAD_DAYS)
    for year in range(latest.year, latest.year - _YEARS_BACK - 1, -1):
        try:
            candidate = date(year, month, day)
        except ValueError:
            continue
        if candidate <= latest:
            return candidate
    raise ValueError("no year has this day")


def numeric_moment(
    stamp: tuple[str, str, str, str], received_day: int, zone: tzinfo, zone_name: str | None
) -> datetime | None:
    """Read a date of which nobody knows whether the month or the day comes first.

    Args:
        stamp: Two digits, two digits, the year, hh:mm:ss.
        received_day: Proleptic ordinal of the day of receipt: the reading that is nearer to it
            is taken, and the month first if both are the same.
        zone, zone_name: As for bsd_moment.

    Returns:
        The time in UTC, or None if it is none either way.
    """
    first, second, year, clock = stamp
    readings = []
    for month, day in ((first, second), (second, first)):
        if 1 <= int(month) <= len(_MONTH_NAMES):
            name = _MONTH_NAMES[int(month) - 1]
            moment = bsd_moment((year, name, day, clock), received_day, zone, zone_name)
            if moment is not None:
                readings.append(moment)
    return min(readings, key=lambda at: abs(at.toordinal() - received_day), default=None)


def zone_of(name: str | None, local: datetime, zone: tzinfo) -> tzinfo:
    """What a zone's name means to a sender, at its local time (naive).

    Args:
        name: A name of ZONE_HOURS or an offset or both; None means zone.
        local: Naive; a name that zone itself uses then is zone.
        zone: Where the sender's clock stands, if it does not say.
    """
    if name is None or name == zone.tzname(local):
        return zone
    letters = name.rstrip("+-:0123456789")
    digits = name[len(letters) :].replace(":", "")
    hours = ZONE_HOURS[letters or "UTC"]
    if digits:
        # +0200, +02 and -6 are all in use.
        sign = -1 if digits[0] == "-" else 1
        whole = digits[1:]
        at = len(whole) - 2 if len(whole) > 2 else len(whole)
        hours += sign * (int(whole[:at]) + int(whole[at:] or "0") / 60)
    return timezone(timedelta(hours=hours)) if abs(hours) < 24 else zone
