"""muttd/rules/winners.py: it says of many events what the engine says of each."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_generators import EXPRESSIONS, is_usable, some_event, some_rule
from rule_samples import a_rule, a_rule_set, an_event

from muttd.event import Event, encode_events
from muttd.rules import winners
from muttd.rules.engine import RuleSet
from muttd.rules.model import MatchType, Rule
from muttd.rules.stored import StoredEvents
from muttd.rules.winners import Winners


@pytest.fixture(autouse=True)
def sieves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winners, "_WORTH_EVENTS_A_RULE", 0)


def agree(rule_set: RuleSet, events: Sequence[Event]) -> None:
    asked = Winners(rule_set)
    encoded = [encode_events([event]) for event in events]
    decided = [rule_set.decide(event).rule_id for event in events]
    for is_outlined in (False, True):
        assert asked.of(StoredEvents(encoded, is_outlined=is_outlined)) == decided


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_random_rules(seed: int, count: int) -> None:
    source = random.Random(seed)
    agree(
        a_rule_set(*(some_rule(number, source) for number in range(count))),
        [some_event(source) for _ in range(200)],
    )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(EXPRESSIONS.filter(is_usable), min_size=1, max_size=4),
    st.lists(
        st.tuples(
            st.text(alphabet="abkAKsS\u212a\u017f\u00dfé0 .[]:\n", max_size=12),
            st.none() | st.text(alphabet="abks[]: ", max_size=5),
        ),
        min_size=1,
        max_size=40,
    ),
)
def test_expressions_and_texts(patterns: list[str], texts: list[tuple[str, str | None]]) -> None:
    rules: list[Rule] = [
        a_rule(number, match_type=MatchType.REGEX, match_string=pattern)
        for number, pattern in enumerate(patterns)
    ]
    rules.append(a_rule(8, match_string=texts[0][0][2:7] or "x"))
    rules.append(a_rule(9, match_string="bb", clear_match=texts[0][0][:3] or "aa"))
    rules.append(a_rule(10, match_string="ab", trap_oid="1.3"))
    agree(a_rule_set(*rules), [an_event(message, app_name=app) for message, app in texts])


def test_few_events_are_left_to_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winners, "_WORTH_EVENTS_A_RULE", 20)
    rule_set = a_rule_set(a_rule(1, match_string="down"), a_rule(2, match_string="up"))
    asked = Winners(rule_set)
    event = an_event("up")
    for count in (39, 1, 5):
        stored = StoredEvents([encode_events([event])] * count, is_outlined=False)
        assert asked.of(stored) == [2] * count
