"""Times as the API writes them: one form, whatever the year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muttd.event import iso_utc

# A sender's claim may be of any year that can be converted to every zone.
CLAIMS = st.datetimes(
    datetime(2, 1, 1),
    datetime(9998, 12, 31),
    timezones=st.integers(-23 * 60, 23 * 60).map(lambda m: timezone(timedelta(minutes=m))),
)


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (datetime(2026, 8, 1, 12, 0, 0, 5, UTC), "2026-08-01T12:00:00.000005Z"),
        (datetime(2026, 8, 1, tzinfo=UTC), "2026-08-01T00:00:00.000000Z"),
        (
            datetime(2026, 8, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            "2026-07-31T23:00:00.000000Z",
        ),
        # strftime's %Y has as many digits as the C library likes: three here, on Linux.
        (datetime(241, 6, 21, 15, 46, 13, 853689, UTC), "0241-06-21T15:46:13.853689Z"),
        (datetime(2, 1, 1, tzinfo=UTC), "0002-01-01T00:00:00.000000Z"),
    ],
)
def test_times_have_the_form_of_rfc_3339(moment: datetime, written: str) -> None:
    assert iso_utc(moment) == written


@given(CLAIMS)
def test_what_was_written_is_the_same_moment_read_back(moment: datetime) -> None:
    written = iso_utc(moment)
    assert len(written) == len("0002-01-01T00:00:00.000000Z")
    assert datetime.fromisoformat(written) == moment
