"""Query parameters: each one checked, all mistakes told at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from muttd.decision import AlertState
from muttd.errors import InvalidInput
from muttd.store.contract import Window
from muttd.web.params import MAX_PAGE, MAX_TEXT_CHARS, Params, parse_moment


def params(text: str) -> Params:
    return Params(QueryParams(text))


def problems_of(asked: Params) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        asked.check()
    return list(caught.value.problems)


def test_every_mistake_is_told_at_once() -> None:
    asked = params("severity=9&page=0&limit=201&matched=perhaps&state=lost&sevrity=1&team=a&team=b")
    asked.integer("severity", at_most=7)
    asked.boolean("matched")
    asked.choice("state", AlertState)
    asked.text("team")
    asked.window()
    assert problems_of(asked) == [
        ("limit", "must be between 1 and 200"),
        ("matched", "must be true or false"),
        ("page", "must be between 1 and 1000000000"),
        ("severity", "must be between 0 and 7"),
        ("sevrity", "no such parameter; did you mean severity?"),
        ("state", "must be one of queued, retrying, delivered, dead, unrouted"),
        ("team", "is given twice"),
    ]


def test_no_parameter_and_an_empty_one_are_the_same() -> None:
    asked = params("q=&severity=&matched=&state=&trap_oid=&after=&from=&to=&page=&limit=&cursor=")
    assert asked.text("q") is None
    assert asked.integer("severity") is None
    assert asked.boolean("matched") is None
    assert asked.choice("state", AlertState) is None
    assert asked.oid("trap_oid") is None
    assert asked.event_id("after") is None
    assert asked.period("from", "to") == (None, None)
    assert asked.window() == Window()
    asked.check()


def test_the_api_version_is_known_everywhere() -> None:
    params("api_version=2.5").check()


@pytest.mark.parametrize(
    "text", ["1_0", "\uff11", "1.0", "1e3", "0x1", " 1", "one", "--1", "9" * 21, "9" * 5000]
)
def test_a_whole_number_has_only_digits(text: str) -> None:
    asked = Params(QueryParams({"n": text}))
    assert asked.integer("n") is None
    assert [name for name, _ in problems_of(asked)] == ["n"]


def test_numbers_beyond_64_bits_are_refused() -> None:
    asked = params("a=9223372036854775807&b=9223372036854775808")
    assert asked.integer("a") == 2**63 - 1
    assert asked.integer("b") is None
    assert problems_of(asked) == [("b", "must be between 0 and 9223372036854775807")]


def test_the_last_page_that_may_be_asked_for_stays_within_64_bits() -> None:
    assert params(f"page={MAX_PAGE}&limit=200").window() == Window(page=MAX_PAGE, limit=200)
    assert MAX_PAGE * 200 < 2**63


def test_text_with_nul_or_without_end_is_refused() -> None:
    asked = params(f"a=%00&b={'x' * (MAX_TEXT_CHARS + 1)}&c={'x' * MAX_TEXT_CHARS}")
    assert (asked.text("a"), asked.text("b")) == (None, None)
    assert asked.text("c") == "x" * MAX_TEXT_CHARS
    assert [name for name, _ in problems_of(asked)] == ["a", "b"]


@pytest.mark.parametrize("text", ["1.3.6.1", ".1.3.6.1", "1.3.6.1.*", ".1.3.6.1.*"])
def test_an_oid_may_have_a_leading_dot_and_a_trailing_star(text: str) -> None:
    assert params(f"o={text}").oid("o") == "1.3.6.1"


@pytest.mark.parametrize("text", ["1..3", "ifIndex", "1.3.*.6", "*", ".", "-1.3", "1.3;"])
def test_what_is_no_oid_in_numbers_is_refused(text: str) -> None:
    asked = Params(QueryParams({"o": text}))
    assert asked.oid("o") is None
    assert problems_of(asked) == [("o", "must be an OID in numbers")]


def test_enumerations_are_matched_whatever_their_case() -> None:
    assert params("s=DEAD").choice("s", AlertState) is AlertState.DEAD
    assert params("b=TRUE").boolean("b") is True
    assert params("b=False").boolean("b") is False


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-03-01", datetime(2025, 3, 1, tzinfo=UTC)),
        ("2025-03-01T12:30", datetime(2025, 3, 1, 12, 30, tzinfo=UTC)),
        ("2025-03-01T12:30:00Z", datetime(2025, 3, 1, 12, 30, tzinfo=UTC)),
        ("2025-03-01T12:30:00+02:00", datetime(2025, 3, 1, 10, 30, tzinfo=UTC)),
        # As it arrives when nobody escaped the plus.
        ("2025-03-01T12:30:00 02:00", datetime(2025, 3, 1, 10, 30, tzinfo=UTC)),
        ("2025-03-01 12:30:00", datetime(2025, 3, 1, 12, 30, tzinfo=UTC)),
        ("2025-03-01T12:30:00.123456Z", datetime(2025, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)),
    ],
)
def test_times_are_iso_8601_and_utc_without_an_offset(text: str, moment: datetime) -> None:
    assert parse_moment(text, whole_day=False) == moment


def test_a_date_as_the_end_means_the_whole_day() -> None:
    asked = params("start_date=2025-03-01&end_date=2025-03-01")
    assert asked.period("start_date", "end_date") == (
        datetime(2025, 3, 1, tzinfo=UTC),
        datetime(2025, 3, 2, tzinfo=UTC),
    )
    asked.check()


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2025-02-30",
        "2025-13-01T00:00:00Z",
        "1740000000",
        "9999-12-31",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2025-03-01T25:00:00Z",
        "\uff12\uff10\uff12\uff15-03-01",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    asked = Params(QueryParams({"to": text}))
    asked.period("from", "to")
    assert problems_of(asked) == [("to", "must be an ISO 8601 date or time")]


def test_a_period_ends_after_it_begins() -> None:
    asked = params("from=2025-03-02T00:00:00Z&to=2025-03-01T00:00:00Z")
    asked.period("from", "to")
    assert problems_of(asked) == [("to", "must be later than from")]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e", "f", "g"]), st.text()))
def test_no_text_of_a_client_raises_anything_but_invalid_input(values: dict[str, str]) -> None:
    asked = Params(QueryParams(values))
    asked.integer("a")
    asked.boolean("b")
    asked.choice("c", AlertState)
    asked.oid("d")
    asked.event_id("e")
    asked.period("f", "g")
    wrong: set[str] = set()
    try:
        asked.check()
    except InvalidInput as exc:
        wrong = {name for name, _ in exc.problems}
    assert wrong <= values.keys()
