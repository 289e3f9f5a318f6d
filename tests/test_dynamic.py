"""Dynamic configuration: the values in force."""

from __future__ import annotations

import dataclasses

import pytest

from muttd.dynamic import ROWS, Dynamic, DynamicSettings, checked
from muttd.errors import InvalidInput


def test_the_defaults_are_in_force_until_others_are() -> None:
    dynamic = Dynamic(DynamicSettings(unhandled_threshold=7))
    assert dynamic.current.unhandled_threshold == 7


def test_who_listens_is_told_of_a_change_after_it_is_in_force() -> None:
    dynamic = Dynamic(DynamicSettings())
    seen: list[int] = []
    dynamic.listen(lambda: seen.append(dynamic.current.breaker_failures))
    dynamic.replace(dataclasses.replace(dynamic.current, breaker_failures=4))
    assert seen == [4]


def test_the_same_values_again_are_no_change() -> None:
    dynamic = Dynamic(DynamicSettings())
    seen: list[str] = []
    dynamic.listen(lambda: seen.append("told"))
    dynamic.replace(DynamicSettings())
    assert seen == []


def test_what_the_store_has_overrides_the_defaults_and_the_rest_is_passed_over() -> None:
    dynamic = Dynamic(DynamicSettings(breaker_failures=7))
    dynamic.override(
        [("moog_rate_limit", 9), ("breaker_open_seconds", 5), ("later", 1), ("history_days", -1)]
    )
    expected = DynamicSettings(breaker_failures=7, moog_rate_limit=9, breaker_open_seconds=5.0)
    assert dynamic.current == expected
    assert [key for key, _ in dynamic.faults] == ["later", "history_days"]
    dynamic.override([])
    assert dynamic.current == dynamic.defaults
    assert dynamic.faults == ()


def test_values_of_the_declared_types_are_taken() -> None:
    good = checked({"moog_rate_limit": 7.0, "moog_rate_period": 2, "unhandled_default_team": " A "})
    assert good == {"moog_rate_limit": 7, "moog_rate_period": 2.0, "unhandled_default_team": "A"}
    assert [type(value) for value in good.values()] == [int, float, str]


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("moog_rate_limit", True, "must be a whole number"),
        ("moog_rate_limit", 1.5, "must be a whole number"),
        ("moog_rate_limit", "7", "must be a whole number"),
        ("moog_rate_limit", None, "must be a whole number"),
        ("moog_rate_limit", 0, "must be at least 1 alerts"),
        ("moog_rate_limit", 10**309, "must be at most 100000 alerts"),
        ("moog_rate_period", float("nan"), "must be a number"),
        ("moog_rate_period", float("inf"), "must be a number"),
        ("moog_rate_period", [], "must be a number"),
        ("unhandled_default_team", "", "must be text"),
        ("unhandled_default_team", 7, "must be text"),
        ("unhandled_default_team", "a\nb", "must be at most 100 printable characters"),
        ("unhandled_default_team", "a" * 101, "must be at most 100 printable characters"),
        ("moog_rate_limits", 7, "no such setting; did you mean moog_rate_limit?"),
        ("colour", 7, "no such setting"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_wrong(key: str, value: object, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked({key: value, "breaker_failures": 3})
    assert caught.value.problems == ((key, problem),)


def test_every_problem_is_said_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        checked({"breaker_failures": 0, "colour": 1, "history_days": "x"})
    assert [key for key, _ in caught.value.problems] == [
        "breaker_failures",
        "colour",
        "history_days",
    ]


def test_every_key_has_its_environment_name_and_its_field() -> None:
    assert list(ROWS) == [field.name for field in dataclasses.fields(DynamicSettings)]
    assert all(row.name.startswith("MUTTD_") for row in ROWS.values())
