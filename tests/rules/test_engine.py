"""What a rule set decides, and that it decides as a plain loop over the rules would."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rule_generators import EXPRESSIONS, HOST_PATTERNS, TEXTS, is_usable, some_event, some_rule
from rule_samples import a_rule, a_rule_set, an_event
from slow_oracle import is_listed, matching

from muttd.decision import Decision, Environment, Handling
from muttd.event import Event
from muttd.rules import engine
from muttd.rules.compile import EMPTY
from muttd.rules.engine import RuleSet
from muttd.rules.model import MatchType, Rule, SeverityOp


def winner(rules: RuleSet, event: Event) -> int | None:
    return rules.decide(event).rule_id


def regex(number: int, pattern: str) -> Rule:
    return a_rule(number, match_type=MatchType.REGEX, match_string=pattern)


# --- patterns


@pytest.mark.parametrize(
    ("text", "message", "holds"),
    [
        ("link-3-updown", "%LINK-3-UPDOWN: Gi0/1", True),
        ("LINK-3-UPDOWN", "%link-3-updown: Gi0/1", True),
        ("LINK-3", "LINK-2", False),
        ("straße", "STRASSE gesperrt", True),
        ("ΣΑΣ", "στο σας", True),
        (" up", "startup", False),
        ("a.c", "abc", False),
    ],
)
def test_contains_looks_for_the_text_in_any_case(text: str, message: str, holds: bool) -> None:
    rules = a_rule_set(a_rule(1, match_string=text))
    assert rules.decide(an_event(message)).matched is holds


@pytest.mark.parametrize(
    ("pattern", "message", "holds"),
    [
        (r"link-\d-updown", "%LINK-3-UPDOWN", True),
        (r"(?-i)link", "LINK", False),
        (r"(?-i)LINK", "LINK", True),
        (r"down$", "link down", True),
        (r"down$", "down it goes", False),
        (r"fan \d+ (failed|lost)", "Fan 12 lost", True),
        (r"\d{3}", "12", False),
        (r"\d{3}", "123", True),
        (r"a.b", "a\nb", False),
        (r"(?s)a.b", "a\nb", True),
        ("\u017f", "S", True),
        (r"\S+@\S+", "bob@example.net", True),
        (r"\p{Greek}{3}", "σας", True),
    ],
)
def test_a_regex_is_searched_for_in_any_case(pattern: str, message: str, holds: bool) -> None:
    rules = a_rule_set(regex(1, pattern))
    assert rules.decide(an_event(message)).matched is holds


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        ("sshd", True),
        (r"sshd\[4711\]: failed", True),
        (r"^sshd\[\d+\]", True),
        (r"^failed", True),
        (r"\Afailed", True),
        (r"^ID47$", True),
        ("id47", True),
        (r"failed password$", True),
        (r"^password", False),
        (r"ID47.*sshd", False),
    ],
)
def test_text_rules_look_at_line_message_and_msgid(pattern: str, holds: bool) -> None:
    event = an_event("Failed password", app_name="sshd", procid="4711", msgid="ID47")
    assert a_rule_set(regex(1, pattern)).decide(event).matched is holds
    crowd = [regex(n, pattern) for n in range(1, 20)]
    assert a_rule_set(*crowd).decide(event).matched is holds


def test_a_text_in_the_msgid_alone_is_found_without_an_app_name() -> None:
    rules = a_rule_set(a_rule(1, match_string="TCPIN"))
    assert rules.decide(an_event("x", msgid="TCPIN")).matched


def test_a_program_without_a_procid_is_followed_by_a_colon() -> None:
    rules = a_rule_set(a_rule(1, match_string="%LINK-3-UPDOWN: Interface"))
    assert rules.decide(an_event("Interface Gi0/1", app_name="%LINK-3-UPDOWN")).matched


def test_structured_data_stands_in_for_an_empty_message() -> None:
    data = {"ex@1": [("iut", "3"), ("note", 'a "b" \\ ]')]}
    rules = a_rule_set(a_rule(1, match_string=r'[ex@1 iut="3" note="a \"b\" \\ \]"]'))
    assert rules.decide(an_event("", structured_data=data)).matched
    assert not rules.decide(an_event("x", structured_data=data)).matched


def test_an_oid_prefix_never_matches_inside_an_arc() -> None:
    rules = a_rule_set(
        a_rule(1, match_type=MatchType.OID_PREFIX, trap_oid="1.3.6.1.4.1.9"),
    )
    assert winner(rules, an_event(trap_oid="1.3.6.1.4.1.9.1")) == 1
    assert winner(rules, an_event(trap_oid=".1.3.6.1.4.1.9")) == 1
    assert winner(rules, an_event(trap_oid="1.3.6.1.4.1.99")) is None
    assert winner(rules, an_event("1.3.6.1.4.1.9")) is None


def test_an_oid_may_stand_in_match_string() -> None:
    rules = a_rule_set(a_rule(1, match_type=MatchType.OID_PREFIX, match_string=".1.3.6.1.4.1.9.*"))
    assert winner(rules, an_event(trap_oid="1.3.6.1.4.1.9.1")) == 1


def test_any_pattern_is_enough() -> None:
    rules = a_rule_set(a_rule(1, match_string="link down", trap_oid="1.3.6.1.6.3.1.1.5.3"))
    assert winner(rules, an_event("link down")) == 1
    assert winner(rules, an_event("x", trap_oid="1.3.6.1.6.3.1.1.5.3")) == 1
    assert winner(rules, an_event("x", trap_oid="1.3.6.1.6.3.1.1.5.4")) is None


# --- conditions


def test_all_conditions_must_hold() -> None:
    rules = a_rule_set(
        a_rule(1, match_string="down", syslog_severity=3, host_pattern="sw*"),
    )
    assert winner(rules, an_event("down", severity=3)) == 1
    assert winner(rules, an_event("down", severity=4)) is None
    assert winner(rules, an_event("down", severity=3, hostname="fw1")) is None


def test_at_least_as_severe_is_numerically_at_most() -> None:
    rule = a_rule(1, match_string="x", syslog_severity=3, severity_op=SeverityOp.AT_LEAST)
    rules = a_rule_set(rule)
    held = [
        severity for severity in range(8) if rules.decide(an_event("x", severity=severity)).matched
    ]
    assert held == [0, 1, 2, 3]


def test_a_rule_without_a_pattern_matches_by_its_conditions_alone() -> None:
    rules = a_rule_set(
        a_rule(1, priority=10, host_pattern="10.0.0.0/8", syslog_severity=2),
        a_rule(2, priority=20, host_pattern="sw*"),
        a_rule(3, priority=30, syslog_severity=7),
        a_rule(4, priority=15, match_string="down"),
    )
    assert winner(rules, an_event("down", source_ip="10.1.1.1", severity=2)) == 1
    assert winner(rules, an_event("down", severity=2)) == 4
    assert winner(rules, an_event("x", severity=2)) == 2
    assert winner(rules, an_event("x", severity=7, hostname="fw")) == 3
    assert winner(rules, an_event("x", severity=6, hostname="fw")) is None


# --- order


def test_the_lower_priority_wins_and_ties_go_to_the_lower_id() -> None:
    rules = a_rule_set(
        a_rule(3, match_string="link", priority=100),
        a_rule(2, match_string="link down", priority=100),
        a_rule(9, match_string="gi0/1", priority=5),
    )
    assert winner(rules, an_event("link down gi0/1")) == 9
    assert winner(rules, an_event("link down")) == 2
    assert winner(rules, an_event("link up")) == 3
    assert [r.id for r in rules.matching(an_event("link down gi0/1"))] == [9, 2, 3]


def test_an_inactive_rule_takes_no_part() -> None:
    rules = a_rule_set(a_rule(1, match_string="x", is_active=False))
    assert len(rules) == 0
    assert not rules.decide(an_event("x")).matched


# --- what is decided


def test_the_decision_names_the_rule_its_revision_and_its_team() -> None:
    rules = a_rule_set(a_rule(5, match_string="x", revision=3, team_assignment="DBA"))
    assert rules.decide(an_event("x")) == Decision(
        environment=Environment.PROD,
        rule_id=5,
        rule_name="rule 5",
        rule_revision=3,
        handling=Handling.PAGE_ONLY,
        team="DBA",
    )


@pytest.mark.parametrize("entry", ["SW1.example.net", "sw*", "192.0.2.0/24", "192.0.2.1"])
def test_a_development_host_uses_the_handling_for_development(entry: str) -> None:
    rules = a_rule_set(a_rule(1, match_string="x"), dev=["other", entry])
    decision = rules.decide(an_event("x"))
    assert (decision.environment, decision.handling) == (Environment.DEV, Handling.LOG_ONLY)
    unmatched = rules.decide(an_event("y"))
    assert unmatched == Decision(environment=Environment.DEV)


def test_without_rules_everything_is_unmatched_and_nothing_fails() -> None:
    assert EMPTY.decide(an_event("x", trap_oid="1.3")) == Decision(environment=Environment.PROD)
    assert EMPTY.matching(an_event("x")) == []
    assert EMPTY.revision == 0


def test_a_batch_is_decided_in_its_order() -> None:
    rules = a_rule_set(a_rule(1, match_string="one"), a_rule(2, match_string="two"))
    events = [an_event("two"), an_event("other"), an_event("one")]
    assert [d.rule_id for d in rules.decide_batch(events)] == [2, None, 1]


def test_an_unmatched_event_has_the_team_of_its_host() -> None:
    rules = a_rule_set(teams=[("sw*", "NETO"), ("192.0.2.0/24", "LAB")])
    assert rules.team_for(an_event("x")) == "LAB"
    assert rules.team_for(an_event("x", source_ip="10.0.0.1")) == "NETO"
    assert rules.team_for(an_event("x", source_ip="10.0.0.1", hostname="fw")) is None


# --- strangers


def test_text_that_has_no_utf_8_is_decided_like_any_other() -> None:
    rules = a_rule_set(
        a_rule(1, match_string="link"),
        regex(2, r"\d{4}"),
        regex(3, "fan failed"),
        a_rule(4, host_pattern="sw*", syslog_severity=0),
    )
    event = an_event("\ud800 LINK", hostname="\udfff", app_name="\ud800", msgid="\ud800")
    assert winner(rules, event) == 1
    assert winner(rules, an_event("\ud800 1234")) == 2


def test_more_hosts_than_are_remembered_are_still_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_HOSTS_REMEMBERED", 10)
    rules = a_rule_set(a_rule(1, match_string="x"), dev=["sw7", "sw33"])
    dev = [
        n
        for n in range(40)
        for _ in range(2)
        if rules.decide(an_event("x", hostname=f"sw{n}")).environment is Environment.DEV
    ]
    assert dev == [7, 7, 33, 33]


@pytest.mark.parametrize(
    "pattern", [r"(a+)+$", r"(a|a)+b", r"(a+)+c", r"^(\w+\s?)+$", r"(.*a){12}b", r"(a|aa)+$"]
)
def test_no_expression_stalls_intake(pattern: str) -> None:
    """A backtracking engine would still be at it when the suite's time limit ends it."""
    rules = a_rule_set(*(regex(n, pattern) for n in range(10)))
    assert not rules.decide(an_event("a" * 8191 + "!")).matched
    assert rules.matching(an_event("a" * 8191 + "!")) == []


# --- the oracle


def agree(rules: Sequence[Rule], dev: list[str], events: Sequence[Event]) -> None:
    rule_set = a_rule_set(*rules, dev=dev)
    assert rule_set.faults == ()
    decisions = rule_set.decide_batch(events)
    for event, decided in zip(events, decisions, strict=True):
        expected = matching(list(rules), event)
        decision = rule_set.decide(event)
        assert decided == decision
        assert rule_set.matching(event) == expected
        assert decision.rule_id == (expected[0].id if expected else None)
        assert (decision.environment is Environment.DEV) == is_listed(dev, event)


@pytest.mark.parametrize(("seed", "count"), [(1, 1), (2, 5), (3, 20), (4, 60), (5, 300)])
def test_the_set_decides_as_a_loop_over_the_rules_would(seed: int, count: int) -> None:
    source = random.Random(seed)
    for _ in range(max(1, 120 // count)):
        rules = [some_rule(number, source) for number in range(count)]
        dev = source.sample(HOST_PATTERNS, source.randrange(3))
        agree(rules, dev, [some_event(source) for _ in range(60)])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    st.lists(EXPRESSIONS.filter(is_usable), min_size=1, max_size=12),
    st.lists(st.tuples(TEXTS, st.none() | TEXTS), min_size=1, max_size=5),
)
def test_whatever_narrows_the_candidates_never_loses_a_match(
    patterns: list[str], texts: list[tuple[str, str | None]]
) -> None:
    rules = [regex(number, pattern) for number, pattern in enumerate(patterns)]
    agree(rules, [], [an_event(message, app_name=app) for message, app in texts])


# --- what ends a problem


def said_of(rules: RuleSet, message: str, **fields: Any) -> tuple[int | None, bool]:
    decision = rules.decide(an_event(message, **fields))
    return decision.rule_id, decision.is_clear


def test_a_clear_is_decided_by_its_rule_whatever_its_severity() -> None:
    rules = a_rule_set(
        a_rule(1, match_string="link down", clear_match="link up", syslog_severity=3),
        a_rule(2, match_type=MatchType.REGEX, match_string="fan . bad", clear_match="fan . ok$"),
        a_rule(3, trap_oid="1.3.6.1", match_type=MatchType.OID_PREFIX, clear_match="1.3.7"),
    )
    assert len(rules) == 3
    assert said_of(rules, "LINK DOWN", severity=3) == (1, False)
    assert said_of(rules, "link down", severity=5) == (None, False)
    assert said_of(rules, "link up", severity=5) == (1, True)
    assert said_of(rules, "fan 3 bad") == (2, False)
    assert said_of(rules, "fan 3 ok") == (2, True)
    assert said_of(rules, "fan 3 ok?") == (None, False)
    assert said_of(rules, "x", trap_oid="1.3.6.1.4") == (3, False)
    assert said_of(rules, "x", trap_oid="1.3.7.1") == (3, True)


def test_a_clear_keeps_its_rules_host_and_place() -> None:
    rules = a_rule_set(
        a_rule(1, match_string="link", clear_match="link up", host_pattern="sw*", priority=5),
        a_rule(2, match_string="link", priority=9),
        a_rule(3, match_string="all quiet", priority=1, clear_match="nothing else"),
    )
    # Both patterns of the first rule match: the end says more.
    assert said_of(rules, "link up") == (1, True)
    assert said_of(rules, "link up", hostname="fw1") == (2, False)
    assert said_of(rules, "link up, all quiet") == (3, False)
    assert [rule.id for rule in rules.matching(an_event("link up"))] == [1, 2]


def test_a_rule_without_a_pattern_may_have_a_clear() -> None:
    rules = a_rule_set(a_rule(1, syslog_severity=2, clear_match="recovered"))
    assert said_of(rules, "anything", severity=2) == (1, False)
    assert said_of(rules, "recovered", severity=6) == (1, True)


def test_a_decision_says_what_its_rule_says_of_repetitions() -> None:
    rules = a_rule_set(
        a_rule(1, match_string="a", repeat_interval_s=60.0, destination="moog"),
        a_rule(2, match_string="b", clear_match="c"),
    )
    one, two = rules.decide(an_event("a")), rules.decide(an_event("b"))
    assert (one.repeat_interval_s, one.destination, one.has_clear) == (60.0, "moog", False)
    assert (two.repeat_interval_s, two.destination, two.has_clear) == (None, None, True)
