"""Dynamic configuration: the values in force."""

from __future__ import annotations

import dataclasses

from muttd.dynamic import Dynamic, DynamicSettings


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
