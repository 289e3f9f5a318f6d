"""muttd/rules/sieve.py: whatever the engine finds, the sieve lets through."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_generators import EXPRESSIONS, is_usable, some_event, some_rule
from rule_samples import a_rule, a_rule_set, an_event

from muttd.event import Event, encode_events
from muttd.rules.model import MatchType, Rule
from muttd.rules.sieve import FOLDING_ONTO_ASCII, Sieve, must_hold, shared_literals


def lets_through(rule: Rule, *events: Event) -> list[int]:
    return list(Sieve(must_hold(rule)).candidates([encode_events([event]) for event in events]))


def test_every_character_that_folds_onto_ascii_is_known() -> None:
    found = "".join(
        chr(code)
        for code in range(0x80, 0x110000)
        if not 0xD800 <= code < 0xE000 and any(each.isascii() for each in chr(code).casefold())
    )
    assert "".join(sorted(FOLDING_ONTO_ASCII)) == found


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"match_string": "Link Down"}, {"link down"}),
        ({"match_string": "sshd[4711]: Failed password"}, {"failed password"}),
        ({"match_string": " disk: full "}, {"disk"}),
        ({"match_string": "straße é"}, {"strasse"}),
        ({"match_string": "É"}, {"é", "É"}),
        ({"match_string": "\ud800"}, None),
        ({"match_string": "[x]"}, None),
        ({"match_type": MatchType.REGEX, "match_string": r"(fan|psu) failed \d+"}, {"failed"}),
        ({"match_type": MatchType.REGEX, "match_string": r"\d+"}, None),
        ({"trap_oid": "1.3.6.1"}, {"1.3.6.1"}),
        ({"trap_oid": "1.3.6.1", "match_string": "down"}, {"1.3.6.1", "down"}),
        ({"trap_oid": "1.3.6.1", "match_string": "é"}, {"1.3.6.1", "é", "É"}),
        ({"match_string": "down", "clear_match": "is up"}, {"down", "is up"}),
        (
            {"trap_oid": "1.3", "match_type": MatchType.OID_PREFIX, "clear_match": ".1.4.*"},
            {"1.3", "1.4"},
        ),
        ({"host_pattern": "core-*.example.net"}, {".example.net"}),
        ({"host_pattern": "SW1"}, {"sw1"}),
        ({"host_pattern": "10.0.0.0/8"}, None),
        ({"host_pattern": "10.1.2.3"}, None),
        ({"host_pattern": "sw1", "match_string": "é"}, {"é", "É"}),
        ({"host_pattern": "sw1", "match_string": "[x]"}, {"sw1"}),
        ({"syslog_severity": 3}, None),
    ],
)
def test_a_rule_must_hold_what_stands_in_one_text(
    fields: dict[str, Any], expected: set[str] | None
) -> None:
    found = must_hold(a_rule(**fields))
    assert (found if found is None else set(found)) == expected


def test_of_several_words_one_that_few_rules_share_is_looked_for() -> None:
    patterns = (r"interface \w+ is down", r"interface \w+ of lc\d", r"interface \w+ failed")
    rules = [a_rule(match_type=MatchType.REGEX, match_string=each) for each in patterns]
    shared = shared_literals([*rules, a_rule(match_string="Failed", clear_match="is down")])
    assert shared == {"interface": 3, "is down": 2, "failed": 2, "of lc": 1}
    expected = [frozenset({each}) for each in ("is down", "of lc", "failed")]
    assert [must_hold(rule, shared) for rule in rules] == expected
    assert [must_hold(rule) for rule in rules] == [frozenset({"interface"})] * 3


def test_what_cannot_match_is_kept_back() -> None:
    rule = a_rule(match_string="link down")
    events = [an_event("fan up"), an_event("LINK Down"), an_event("a link"), an_event("link down")]
    assert lets_through(rule, *events) == [1, 3]


def test_a_match_across_two_events_is_none_that_counts() -> None:
    rule = a_rule(match_string="link down")
    first, second = encode_events([an_event("x")]), encode_events([an_event("y")])
    assert list(Sieve(must_hold(rule)).candidates([first + b"link", b" down" + second, first])) == [
        1
    ]


def test_letters_that_fold_onto_ascii_are_let_through() -> None:
    rule = a_rule(match_string="kiss")
    events = [an_event("\u212ai\u017fs"), an_event("kiß"), an_event("kis"), an_event("hugs")]
    assert lets_through(rule, *events) == [0, 1]
    assert [a_rule_set(rule).decide(event).matched for event in events] == [
        True,
        True,
        False,
        False,
    ]


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet=st.characters(min_codepoint=0x80, exclude_categories=["Cs"]), max_size=4),
    st.data(),
)
def test_no_text_beyond_ascii_loses_a_match(text: str, data: st.DataObject) -> None:
    turned = [text.upper(), text.title(), text.casefold(), text.swapcase(), f"x{text}[7]: y"]
    events = [an_event(each) for each in turned] + [an_event("x", app_name=text or None)]
    start = data.draw(st.integers(0, max(0, len(text) - 1)))
    rule = a_rule(match_string=data.draw(st.sampled_from(turned))[start:] or "é")
    decide = a_rule_set(rule).decide
    matched = {n for n, event in enumerate(events) if decide(event).matched}
    assert matched <= set(lets_through(rule, *events))


def test_every_character_is_let_through_that_folds_onto_another() -> None:
    for code in range(0x80, 0x110000):
        folded = chr(code).casefold()
        if folded != chr(code) and not folded.isascii():
            for each in filter(lambda one: not one.isascii(), folded):
                assert chr(code) in (must_hold(a_rule(match_string=each)) or ())


@pytest.mark.parametrize("severity", range(8))
def test_structured_data_that_stands_in_for_the_message_is_let_through(severity: int) -> None:
    rule = a_rule(match_string='link="down"')
    event = an_event("", severity=severity, structured_data={"x@1": [("link", "down")]})
    assert a_rule_set(rule).decide(event).matched
    assert lets_through(rule, event) == [0]


@pytest.mark.parametrize("seed", range(20))
def test_random_rules_lose_no_match(seed: int) -> None:
    source = random.Random(seed)
    events = [some_event(source) for _ in range(100)]
    for number in range(20):
        rule = some_rule(number, source)
        decide = a_rule_set(rule).decide
        matched = {n for n, event in enumerate(events) if decide(event).matched}
        assert matched <= set(lets_through(rule, *events))


@settings(max_examples=200, deadline=None)
@given(
    EXPRESSIONS.filter(is_usable),
    st.lists(
        st.tuples(
            st.text(alphabet="abkAKsS\u212a\u017fé0 .[]:\n", max_size=12),
            st.none() | st.text(alphabet="abks[]: ", max_size=5),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_no_expression_loses_a_match(pattern: str, texts: list[tuple[str, str | None]]) -> None:
    rules = [
        a_rule(1, match_type=MatchType.REGEX, match_string=pattern),
        a_rule(2, match_string=texts[0][0][2:7] or "x"),
    ]
    events = [an_event(message, app_name=app, procid="7") for message, app in texts]
    for rule in rules:
        decide = a_rule_set(rule).decide
        matched = {n for n, event in enumerate(events) if decide(event).matched}
        assert matched <= set(lets_through(rule, *events))
