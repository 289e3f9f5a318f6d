"""muttd/rules/dry_run.py: it says what the engine would decide, whatever the rules."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from rule_generators import some_event, some_rule
from rule_samples import NOW, a_rule, a_rule_set, an_event
from slow_oracle import matching

from muttd.decision import Handling
from muttd.errors import StoreRefused
from muttd.event import Event, encode_events
from muttd.rules.dry_run import MAX_HOSTS, SHOWN_HOSTS, CountByRule, DryRun, Narrowed, Outcome
from muttd.rules.model import MatchType, Rule, RuleDraft, SeverityOp


def a_draft(**fields: Any) -> RuleDraft:
    given = {
        "name": "draft",
        "prod_handling": Handling.PAGE_ONLY,
        "dev_handling": Handling.LOG_ONLY,
        "team_assignment": "NETO",
    }
    return RuleDraft(**given | fields)


def as_draft(rule: Rule) -> RuleDraft:
    return RuleDraft(**{name: getattr(rule, name) for name in RuleDraft.__struct_fields__})


def outcome_of(run: DryRun, events: Sequence[Event]) -> Outcome:
    run.feed([encode_events([event]) for event in events], lambda: None)
    return run.outcome()


def counted(counts: Sequence[CountByRule]) -> dict[int, int]:
    return {each.rule_id: each.count for each in counts}


@dataclass
class Expected:
    """What a loop over events and rules, by the plainest reading of the rules, comes to."""

    matched: int = 0
    newly: int = 0
    kept: int = 0
    over: Counter[int] = field(default_factory=Counter)
    first: Counter[int] = field(default_factory=Counter)


def expected_of(draft: Rule, rules: Sequence[Rule], events: Sequence[Event]) -> Expected:
    expected = Expected()
    others = [rule for rule in rules if rule.id != draft.id]
    for event in events:
        if not matching([replace(draft, is_active=True)], event):
            continue
        expected.matched += 1
        now = matching(list(rules), event)
        without = matching(others, event)
        comes_first = [r for r in without if (r.priority, r.id) < (draft.priority, draft.id)]
        if now and now[0].id == draft.id:
            if comes_first:
                expected.first[comes_first[0].id] += 1
            else:
                expected.kept += 1
        elif not now:
            expected.newly += 1
        elif comes_first:
            expected.first[now[0].id] += 1
        else:
            expected.over[now[0].id] += 1
    return expected


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("replaces", [False, True])
def test_it_says_what_the_engine_would_decide(seed: int, replaces: bool) -> None:
    source = random.Random(seed)
    rules = [some_rule(number, source) for number in range(1, 40)]
    rule_set = a_rule_set(*rules)
    events = [some_event(source) for _ in range(150)]
    for _ in range(6):
        number = source.randrange(1, 40) if replaces else 10**9
        draft = replace(some_rule(number, source), revision=9)
        run = DryRun(as_draft(draft), rule_set, rule_id=number if replaces else None)
        outcome = outcome_of(run, events)
        expected = expected_of(draft, rules, events)
        assert (outcome.matched, outcome.newly, outcome.kept) == (
            expected.matched,
            expected.newly,
            expected.kept,
        )
        assert counted(outcome.taken_over) == expected.over
        assert counted(outcome.taken_first) == expected.first
        assert outcome.matched == sum(each.count for each in outcome.hours)
        assert outcome.matched == sum(each.count for each in outcome.hosts)
        # And so it does when the draft takes its place among the rules.
        after = a_rule_set(*[r for r in rules if r.id != number], replace(draft, is_active=True))
        wins = sum(after.decide(event).rule_id == number for event in events)
        assert wins == outcome.newly + outcome.kept + expected.over.total()


def test_a_rule_that_moves_back_keeps_what_no_other_takes() -> None:
    rules = [
        a_rule(1, match_string="down", priority=1),
        a_rule(2, match_string="link", priority=5),
        a_rule(3, match_string="fan", priority=9),
    ]
    run = DryRun(a_draft(match_string="down", priority=7), a_rule_set(*rules), rule_id=1)
    events = [an_event(text) for text in ("down", "link down", "fan down", "link fan down")]
    outcome = outcome_of(run, events)
    assert (outcome.kept, counted(outcome.taken_first)) == (2, {2: 2})


def test_hosts_hours_and_samples() -> None:
    run = DryRun(
        a_draft(match_string="down"), a_rule_set(a_rule(7, match_string="up")), max_samples=2
    )
    events = [
        an_event("up and down", event_id="a", hostname="sw1", received_at=NOW, app_name="x"),
        an_event("down", event_id="b", hostname="sw2", received_at=NOW - timedelta(hours=1)),
        an_event("down", event_id="c", hostname="sw1", received_at=NOW - timedelta(hours=1)),
        an_event("up"),
    ]
    outcome = outcome_of(run, events)
    assert [(each.hostname, each.count) for each in outcome.hosts] == [("sw1", 2), ("sw2", 1)]
    hour = NOW.replace(minute=0, second=0)
    assert [(each.hour, each.count) for each in outcome.hours] == [
        (hour - timedelta(hours=1), 2),
        (hour, 1),
    ]
    assert [(each.event_id, each.line, each.winner_id) for each in outcome.samples] == [
        ("a", "x: up and down", 7),
        ("b", "down", None),
    ]


def test_memory_is_bounded_by_hosts_that_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muttd.rules.dry_run.MAX_HOSTS", 150)
    assert MAX_HOSTS > SHOWN_HOSTS
    run = DryRun(a_draft(syslog_severity=5), a_rule_set())
    outcome = outcome_of(run, [an_event("x", hostname=f"made-up-{n}") for n in range(200)])
    assert (outcome.matched, outcome.host_count, len(outcome.hosts)) == (200, 150, SHOWN_HOSTS)


def test_others_have_the_processor_in_between() -> None:
    run = DryRun(a_draft(syslog_severity=5), a_rule_set())
    pauses: list[None] = []
    run.feed([encode_events([an_event("x")])] * 10_000, lambda: pauses.append(None))
    assert len(pauses) >= 39


def test_large_events_are_judged_few_at_once() -> None:
    run = DryRun(a_draft(syslog_severity=5), a_rule_set())
    pauses: list[None] = []
    large, huge = (encode_events([an_event("x" * octets)]) for octets in (10_000, 300_000))
    run.feed([large] * 256 + [huge] * 3, lambda: pauses.append(None))
    assert (run.outcome().matched, len(pauses)) == (259, 16 + 3)


def test_hours_of_events_far_apart() -> None:
    run = DryRun(a_draft(syslog_severity=5), a_rule_set())
    events = [an_event("x", received_at=NOW - timedelta(minutes=20 * n)) for n in range(7)]
    hour = NOW.replace(minute=0, second=0)
    assert [(each.hour, each.count) for each in outcome_of(run, events).hours] == [
        (hour - timedelta(hours=2), 3),
        (hour - timedelta(hours=1), 3),
        (hour, 1),
    ]


@pytest.mark.parametrize("encoded", [b"", b"\xc1", encode_events([an_event()] * 2)])
def test_what_is_no_event_is_refused(encoded: bytes) -> None:
    run = DryRun(a_draft(syslog_severity=5), a_rule_set())
    with pytest.raises(StoreRefused):
        run.feed([encoded], lambda: None)


@pytest.mark.parametrize(
    ("fields", "narrowed"),
    [
        ({"match_string": "x"}, Narrowed()),
        ({"match_string": "x", "syslog_severity": 3}, Narrowed(severity=3)),
        ({"syslog_severity": 3, "severity_op": SeverityOp.AT_LEAST}, Narrowed(max_severity=3)),
        ({"trap_oid": "1.3"}, Narrowed(trap_oid="1.3")),
        ({"match_type": MatchType.OID_PREFIX, "match_string": "1.3"}, Narrowed(trap_oid="1.3")),
        ({"trap_oid": "1.3", "match_string": "x"}, Narrowed()),
        (
            {"trap_oid": "1.3", "match_type": MatchType.OID_PREFIX, "match_string": "1.4"},
            Narrowed(),
        ),
        ({"trap_oid": "1.3", "clear_match": "x"}, Narrowed()),
    ],
)
def test_a_store_need_not_give_what_cannot_match(
    fields: dict[str, Any], narrowed: Narrowed
) -> None:
    assert DryRun(a_draft(**fields), a_rule_set()).narrowed == narrowed
