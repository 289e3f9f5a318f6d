"""Query parameters: each one checked, all mistakes told at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from muttd.decision import AlertState
from muttd.errors import InvalidInput
from muttd.store.contract import Window
from muttd.web.declared import Given
from muttd.web.params import (
    LIMIT,
    MAX_PAGE,
    MAX_TEXT_CHARS,
    WINDOW,
    Param,
    boolean_param,
    choice_param,
    event_id_param,
    id_param,
    integer_param,
    moment_param,
    oid_param,
    parse_moment,
    read_params,
    text_param,
    window_of,
)

N = integer_param("n", "A number.")
SEVERITY = integer_param("severity", "A severity.", at_most=7)
MATCHED = boolean_param("matched", "Whether.")
STATE = choice_param("state", "Where.", AlertState)
TEAM = text_param("team", "Whose.")
OID = oid_param("o", "Which.")
AFTER = event_id_param("after", "Which.")
FROM = moment_param("from", "Since when.")
TO = moment_param("to", "Until when.", whole_day=True)
ALL = (N, SEVERITY, MATCHED, STATE, TEAM, OID, AFTER, FROM, TO, *WINDOW)


def read(text: str | dict[str, str], *declared: Param[Any]) -> Given:
    return read_params(declared or ALL, QueryParams(text), {})


def problems_of(text: str | dict[str, str], *declared: Param[Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        read(text, *declared)
    return list(caught.value.problems)


def test_every_mistake_is_told_at_once() -> None:
    query = "severity=9&page=0&limit=201&matched=perhaps&state=lost&sevrity=1&team=a&team=b"
    assert problems_of(query) == [
        ("limit", "must be between 1 and 200"),
        ("matched", "must be true or false"),
        ("page", "must be between 1 and 1000000000"),
        ("severity", "must be between 0 and 7"),
        ("sevrity", "no such parameter; did you mean severity?"),
        ("state", "must be one of queued, retrying, delivered, dead, unrouted"),
        ("team", "is given twice"),
    ]


def test_no_parameter_and_an_empty_one_are_the_same() -> None:
    for given_ in (read(""), read("&".join(f"{param.name}=" for param in ALL))):
        assert [given_[each] for each in (N, SEVERITY, LIMIT)] == [None] * 3
        assert (given_[MATCHED], given_[STATE], given_[TEAM]) == (None, None, None)
        assert (given_[OID], given_[AFTER]) == (None, None)
        assert given_.period(FROM, TO) == (None, None)
        assert window_of(given_) == Window()


def test_the_api_version_is_known_everywhere() -> None:
    read("api_version=2.5", N)


def test_what_stands_in_the_path_is_read_and_named_as_what_stands_in_the_query() -> None:
    rule_id = id_param("rule_id", "Which.")
    assert read_params((rule_id,), QueryParams(""), {"rule_id": "7"}).required(rule_id) == 7
    for text, what in (("0", "must be between 1 and"), ("", "must not be empty")):
        with pytest.raises(InvalidInput, match=f"rule_id: {what}"):
            read_params((rule_id,), QueryParams(""), {"rule_id": text})


def test_the_query_cannot_stand_in_for_the_path() -> None:
    with pytest.raises(InvalidInput, match="rule_id: is given twice"):
        read_params((id_param("rule_id", "."),), QueryParams("rule_id=8"), {"rule_id": "7"})


@pytest.mark.parametrize(
    "text", ["1_0", "\uff11", "1.0", "1e3", "0x1", " 1", "one", "--1", "9" * 21, "9" * 5000]
)
def test_a_whole_number_has_only_digits(text: str) -> None:
    assert [name for name, _ in problems_of({"n": text})] == ["n"]


def test_numbers_beyond_64_bits_are_refused() -> None:
    assert read("n=9223372036854775807")[N] == 2**63 - 1
    assert problems_of("n=9223372036854775808") == [
        ("n", "must be between 0 and 9223372036854775807")
    ]


def test_the_last_page_that_may_be_asked_for_stays_within_64_bits() -> None:
    window = window_of(read(f"page={MAX_PAGE}&limit=200"))
    assert window == Window(page=MAX_PAGE, limit=200)
    assert MAX_PAGE * 200 < 2**63


def test_text_with_nul_or_without_end_is_refused() -> None:
    for wrong in ("\0", "x" * (MAX_TEXT_CHARS + 1)):
        assert [name for name, _ in problems_of({"team": wrong})] == ["team"]
    assert read({"team": "x" * MAX_TEXT_CHARS})[TEAM] == "x" * MAX_TEXT_CHARS


@pytest.mark.parametrize("text", ["1.3.6.1", ".1.3.6.1", "1.3.6.1.*", ".1.3.6.1.*"])
def test_an_oid_may_have_a_leading_dot_and_a_trailing_star(text: str) -> None:
    assert read({"o": text})[OID] == "1.3.6.1"


@pytest.mark.parametrize("text", ["1..3", "ifIndex", "1.3.*.6", "*", ".", "-1.3", "1.3;"])
def test_what_is_no_oid_in_numbers_is_refused(text: str) -> None:
    assert problems_of({"o": text}) == [("o", "must be an OID in numbers")]


def test_enumerations_are_matched_whatever_their_case() -> None:
    assert read("state=DEAD")[STATE] is AlertState.DEAD
    assert read("matched=TRUE")[MATCHED] is True
    assert read("matched=False")[MATCHED] is False


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
    assert read("from=2025-03-01&to=2025-03-01").period(FROM, TO) == (
        datetime(2025, 3, 1, tzinfo=UTC),
        datetime(2025, 3, 2, tzinfo=UTC),
    )


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
    assert problems_of({"to": text}) == [("to", "must be an ISO 8601 date or time")]


def test_a_period_ends_after_it_begins() -> None:
    asked = read("from=2025-03-02T00:00:00Z&to=2025-03-01T00:00:00Z")
    with pytest.raises(InvalidInput) as caught:
        asked.period(FROM, TO)
    assert list(caught.value.problems) == [("to", "must be later than from")]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([param.name for param in ALL]), st.text()))
def test_no_text_of_a_client_raises_anything_but_invalid_input(values: dict[str, str]) -> None:
    wrong: set[str] = set()
    try:
        read(values)
    except InvalidInput as exc:
        wrong = {name for name, _ in exc.problems}
    assert wrong <= values.keys()
