"""muttd/rules/explain.py: what each rule lacked, and why the winner won."""

from __future__ import annotations

import random
from typing import Any

import pytest
from rule_generators import some_event, some_rule
from rule_samples import a_rule, a_rule_set, an_event

from muttd.rules.explain import MAX_TRIED, Verdict, explain, matches_alone
from muttd.rules.model import MatchType


def test_each_rule_that_came_near_says_what_it_lacked() -> None:
    rules = a_rule_set(
        a_rule(1, match_string="link", syslog_severity=2),
        a_rule(2, match_string="link", host_pattern="fw*"),
        a_rule(3, match_type=MatchType.REGEX, match_string=r"link \d+ down"),
        a_rule(4, match_string="link", trap_oid="1.3.6.1"),
        a_rule(5, match_string="fan"),
        a_rule(6, syslog_severity=5),
    )
    event = an_event("link down", app_name="kernel", msgid="LINK", trap_oid="1.3.6.1.4")
    explained = explain(rules, event)
    assert (explained.winner_id, explained.rule_count, explained.is_whole) == (4, 6, True)
    assert explained.rules_revision == rules.revision
    assert [(each.rule_id, each.verdict, each.found) for each in explained.tried] == [
        (1, Verdict.SEVERITY, ["line", "message", "msgid"]),
        (2, Verdict.HOST, ["line", "message", "msgid"]),
        (3, Verdict.PATTERN, []),
        (4, Verdict.WINS, ["line", "message", "msgid", "trap_oid"]),
        (6, Verdict.MATCHES_LATER, []),
    ]


def test_an_event_that_ends_a_problem_is_explained_by_its_rule() -> None:
    rules = a_rule_set(a_rule(1, match_string="down", clear_match="is up"))
    [tried] = explain(rules, an_event("it is up")).tried
    assert (tried.rule_id, tried.ends_problem, tried.verdict) == (1, True, Verdict.WINS)
    [tried] = explain(rules, an_event("it is down")).tried
    assert (tried.ends_problem, tried.verdict) == (False, Verdict.WINS)


def test_of_very_many_the_first_are_told_and_the_winner_in_any_case() -> None:
    rules = [a_rule(n, match_string="x", syslog_severity=0) for n in range(1, 200)]
    explained = explain(a_rule_set(*rules, a_rule(500, match_string="x")), an_event("x"))
    assert len(explained.tried) == MAX_TRIED + 1
    assert explained.tried[-1].rule_id == explained.winner_id == 500
    assert not explained.is_whole


@pytest.mark.parametrize("seed", range(10))
def test_it_is_what_the_engine_decides(seed: int) -> None:
    source = random.Random(seed)
    rules = [some_rule(number, source) for number in range(1, 30)]
    rule_set = a_rule_set(*rules)
    for _ in range(60):
        event = some_event(source)
        explained = explain(rule_set, event)
        assert explained.winner_id == rule_set.decide(event).rule_id
        matching = [
            each.rule_id
            for each in explained.tried
            if each.verdict in (Verdict.WINS, Verdict.MATCHES_LATER)
        ]
        assert matching == [rule.id for rule in rule_set.matching(event)]


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({"match_string": "down"}, True),
        ({"match_string": "down", "is_active": False}, True),
        ({"match_string": "up"}, False),
        ({"match_string": "up", "clear_match": "down"}, True),
    ],
)
def test_a_revision_is_asked_alone(fields: dict[str, Any], matches: bool) -> None:
    assert matches_alone(a_rule(**fields), an_event("link down")) is matches
