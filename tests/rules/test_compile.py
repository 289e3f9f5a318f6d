"""From a rule book to a rule set."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_samples import NOW, a_rule, a_rule_set, an_event

from muttd.decision import Environment
from muttd.rules.compile import compile_rules
from muttd.rules.model import MatchType, RuleBook, TeamEntry


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"match_type": MatchType.REGEX, "match_string": "("}, "missing )"),
        ({"match_type": MatchType.OID_PREFIX, "trap_oid": "x"}, "'x' is not a number"),
        ({"match_string": "x", "host_pattern": "10/8"}, "not a network"),
    ],
)
def test_a_rule_that_cannot_be_compiled_is_reported_and_costs_no_other(
    fields: dict[str, object], fault: str
) -> None:
    rules = a_rule_set(a_rule(1, **fields), a_rule(2, match_string="link"))
    [(rule_id, complaint)] = rules.faults
    assert rule_id == 1
    assert fault in complaint
    assert len(rules) == 1
    assert rules.decide(an_event("link")).rule_id == 2


def test_a_host_entry_that_cannot_be_read_costs_no_other() -> None:
    book = RuleBook(
        revision=1,
        development_hosts=("10/8", "SW1.example.net"),
        device_teams=(
            TeamEntry(hostname="", team_assignment="A"),
            TeamEntry(hostname=" sw* ", team_assignment="B"),
        ),
    )
    rules = compile_rules(book)
    assert rules.decide(an_event("x")).environment is Environment.DEV
    assert rules.team_for(an_event("x")) == "B"


def test_a_rule_set_knows_the_revision_of_its_book() -> None:
    assert a_rule_set().revision == 7


def test_a_regex_that_nothing_narrows_is_tried_and_found() -> None:
    odd = a_rule(1, match_type=MatchType.REGEX, match_string=r"\pL\S")
    plain = a_rule(2, match_type=MatchType.REGEX, match_string=r"\d\d")
    rules = a_rule_set(odd, plain)
    assert rules.decide(an_event("éa")).rule_id == 1
    assert rules.decide(an_event("12")).rule_id == 2
    assert rules.decide(an_event("- -")).rule_id is None


def test_expressions_that_share_their_literals_are_told_apart() -> None:
    patterns = [rf"interface [a-z]+{n}/\d+ is down" for n in range(100)]
    rules = a_rule_set(
        *(
            a_rule(n, match_type=MatchType.REGEX, match_string=pattern)
            for n, pattern in enumerate(patterns)
        )
    )
    assert rules.decide(an_event("Interface Gi77/1 is down")).rule_id == 77
    assert rules.decide(an_event("Interface Gi77/1 is up")).rule_id is None


def test_the_order_in_the_book_does_not_matter() -> None:
    rules = [a_rule(n, match_string="x", priority=n % 3) for n in range(9, 0, -1)]
    assert [r.id for r in a_rule_set(*rules).matching(an_event("x"))] == [3, 6, 9, 1, 4, 7, 2, 5, 8]


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_a_text_is_found_wherever_it_stands(needle: str, before: str, after: str) -> None:
    rules = a_rule_set(a_rule(1, match_string=needle, updated_at=NOW + timedelta(1)))
    for spelled in (needle, needle.casefold()):
        assert rules.decide(an_event(before + spelled + after)).matched
