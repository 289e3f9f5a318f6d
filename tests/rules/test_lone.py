"""muttd/rules/lone.py: a rule asked alone says what the engine says."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rule_generators import EXPRESSIONS, is_usable, some_event, some_rule
from rule_samples import a_rule, a_rule_set, an_event

from muttd.rules import lone
from muttd.rules.lone import LoneRule
from muttd.rules.model import MatchType


@pytest.mark.parametrize("seed", range(20))
def test_random_rules(seed: int) -> None:
    source = random.Random(seed)
    events = [some_event(source) for _ in range(100)]
    matched_count = bare_count = 0
    for number in range(20):
        rule = replace(some_rule(number, source), is_active=True)
        decide, asked = a_rule_set(rule).decide, LoneRule(rule)
        places = [n for n, e in enumerate(events) if decide(e).matched]
        assert asked.places(events) == places
        if asked.is_bare:
            assert asked.bare_places(events) == places
            bare_count += 1
        for event in events:
            assert asked.matches(event) is decide(event).matched
            matched_count += asked.matches(event)
    assert matched_count > 0
    assert bare_count > 0


@settings(max_examples=200, deadline=None)
@given(
    EXPRESSIONS.filter(is_usable),
    st.lists(
        st.tuples(
            st.text(alphabet="abkAKsS\u212a\u017f\u00dfé0 .[]:\n", max_size=12),
            st.none() | st.text(alphabet="abks[]: ", max_size=5),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_expressions_and_texts(pattern: str, texts: list[tuple[str, str | None]]) -> None:
    rules = [
        a_rule(1, match_type=MatchType.REGEX, match_string=pattern),
        a_rule(2, match_string=texts[0][0][2:7] or "x"),
        a_rule(3, match_string="b", clear_match=texts[0][0][:3] or "a"),
    ]
    events = [an_event(message, app_name=app, procid="7") for message, app in texts]
    for rule in rules:
        decide, asked = a_rule_set(rule).decide, LoneRule(rule)
        assert [asked.matches(each) for each in events] == [decide(e).matched for e in events]


def test_more_hosts_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lone, "_MAX_REMEMBERED", 2)
    asked = LoneRule(a_rule(1, host_pattern="sw1*", match_string="down"))
    hosts = ["sw1", "sw2", "sw11", "sw1", "sw3", "sw12"]
    matched = [asked.matches(an_event("down", hostname=host)) for host in hosts]
    assert matched == [True, False, True, True, False, True]
