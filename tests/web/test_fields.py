"""JSON bodies: what a declared field takes is what its schema says, all mistakes at once."""

from __future__ import annotations

import enum
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muttd.errors import InvalidInput
from muttd.web.fields import (
    CHANGE_REASON,
    ObjectBody,
    boolean_field,
    choice_field,
    integer_field,
    list_field,
    text_field,
)


class Colour(enum.StrEnum):
    RED = "red"
    GREEN = "green"


NAME = text_field("name", "What it is called.", at_most=5, is_required=True)
COUNT = integer_field("count", "How many.", at_least=1, at_most=9)
IS_ON = boolean_field("is_on", "Whether.")
COLOUR = choice_field("colour", "Which.", Colour)
IDS = list_field(COUNT, "Which ones.", name="ids", at_most=2)
BODY = ObjectBody(NAME, COUNT, IS_ON, COLOUR, IDS, CHANGE_REASON)
SCHEMA = dict(BODY.body.contents["application/json"])


def problems_of(values: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        BODY.parse(values)
    return list(caught.value.problems)


def test_every_field_is_read_into_its_type() -> None:
    values = {"name": "a b", "count": 3, "is_on": False, "colour": "RED", "ids": [1, 2.0]}
    given_ = BODY.parse(values)
    assert given_.required(NAME) == "a b"
    assert (given_[COUNT], given_[IS_ON], given_[COLOUR]) == (3, False, Colour.RED)
    assert given_[IDS] == [1, 2]


def test_a_field_that_is_null_or_not_there_is_none() -> None:
    for values in ({"name": "a"}, {"name": "a", "count": None, "change_reason": None}):
        assert BODY.parse(values)[COUNT] is None


def test_every_mistake_is_told_at_once() -> None:
    values = {"count": True, "is_on": 1, "colour": "blue", "ids": [], "coulour": "red"}
    assert problems_of(values | {"change_reason": "x" * 2000}) == [
        ("change_reason", "must be at most 1024 characters without NUL"),
        ("colour", "must be one of red, green"),
        ("coulour", "no such field; did you mean colour?"),
        ("count", "must be a whole number"),
        ("ids", "must be a list of 1 to 2"),
        ("is_on", "must be true or false"),
        ("name", "is missing"),
    ]


@pytest.mark.parametrize("name", ["", " \t", "a\0b", "abcdef", None, 3, ["a"]])
def test_a_required_text_is_there_and_not_blank(name: object) -> None:
    assert [field for field, _ in problems_of({"name": name})] == ["name"]


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 12),
    st.floats(-2, 12),
    st.text(st.sampled_from(["a", " ", "\0", "\u2003"]), max_size=7),
    st.sampled_from(["red", "green", "blue"]),
    st.lists(st.integers(0, 10), max_size=3),
)


@settings(max_examples=500, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*SCHEMA["properties"], "other"]), _VALUES),
    st.sampled_from([{}, {"name": "a"}]),
)
def test_what_is_taken_is_what_the_schema_says(
    values: dict[str, object], more: dict[str, object]
) -> None:
    values = more | values
    try:
        BODY.parse(values)
        is_taken = True
    except InvalidInput:
        is_taken = False
    assert is_taken == jsonschema_rs.is_valid(SCHEMA, values)
