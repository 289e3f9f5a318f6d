"""Calendar days and months, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from muttd.event import utc_now
from muttd.event_ids import EventIds
from muttd.store.periods import Period, first_id_at, months_before, next_start, start_of


def at(year: int, month: int, day: int, *time_of_day: int) -> datetime:
    hour, minute, second, microsecond = (*time_of_day, 0, 0, 0, 0)[:4]
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "moment", "start", "end"),
    [
        (Period.MONTH, at(2024, 2, 29, 23, 59, 59, 999999), at(2024, 2, 1), at(2024, 3, 1)),
        (Period.MONTH, at(2024, 12, 31, 12), at(2024, 12, 1), at(2025, 1, 1)),
        (Period.MONTH, at(2025, 1, 1), at(2025, 1, 1), at(2025, 2, 1)),
        (Period.DAY, at(2024, 2, 28, 23, 59, 59, 999999), at(2024, 2, 28), at(2024, 2, 29)),
        (Period.DAY, at(2024, 12, 31), at(2024, 12, 31), at(2025, 1, 1)),
    ],
)
def test_a_period_is_half_open(
    period: Period, moment: datetime, start: datetime, end: datetime
) -> None:
    assert start_of(period, moment) == start
    assert next_start(period, start) == end


def test_a_period_is_that_of_utc_wherever_the_clock_stands() -> None:
    new_year_in_auckland = datetime(2025, 1, 1, tzinfo=timezone(timedelta(hours=13)))
    assert start_of(Period.MONTH, new_year_in_auckland) == at(2024, 12, 1)
    assert start_of(Period.DAY, new_year_in_auckland) == at(2024, 12, 31)


@pytest.mark.parametrize(
    ("moment", "months", "before"),
    [
        (at(2026, 4, 1), 12, at(2025, 4, 1)),
        (at(2026, 3, 31, 5), 1, at(2026, 2, 28, 5)),
        (at(2024, 3, 31), 1, at(2024, 2, 29)),
        (at(2026, 1, 15), 1, at(2025, 12, 15)),
        (at(2026, 12, 15), 24, at(2024, 12, 15)),
    ],
)
def test_months_before_keep_the_day_as_far_as_there_is_one(
    moment: datetime, months: int, before: datetime
) -> None:
    assert months_before(moment, months) == before


def test_an_id_sorts_between_the_moments_around_it() -> None:
    before = first_id_at(utc_now())
    event_id = EventIds().next()
    after = first_id_at(utc_now() + timedelta(seconds=1))
    assert before <= event_id < after
    assert len(before) == len("0195e4f0-1234")
