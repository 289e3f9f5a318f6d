"""muttd/rules/text_sieve.py: whatever the engine finds, it lets through."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from rule_generators import EXPRESSIONS, TEXTS, is_usable
from rule_samples import a_rule, a_rule_set, an_event

from muttd.rules.model import MatchType
from muttd.rules.text_sieve import TextSieve


@settings(max_examples=300, deadline=None)
@given(
    EXPRESSIONS.filter(is_usable),
    st.lists(st.tuples(TEXTS, st.none() | TEXTS, st.none() | TEXTS), min_size=1, max_size=40),
)
def test_no_match_is_lost(pattern: str, texts: list[tuple[str, str | None, str | None]]) -> None:
    sieve = TextSieve([pattern])
    if sieve.is_blind:
        return
    decide = a_rule_set(a_rule(match_type=MatchType.REGEX, match_string=pattern)).decide
    events = [an_event(text, app_name=app, msgid=msgid) for text, app, msgid in texts]
    matched = [n for n, event in enumerate(events) if decide(event).matched]
    proposed = sieve.candidates(events)
    assert proposed == sorted(proposed)
    assert set(matched) <= set(proposed)


def test_most_of_what_cannot_match_is_kept_back() -> None:
    events = [an_event(f"port {n}") for n in range(100)]
    events[50] = an_event("port 4711")
    assert TextSieve([r"\d{4}$"]).candidates(events) == list(range(48, 64))


def test_what_hyperscan_may_not_search_for_leaves_it_blind() -> None:
    assert TextSieve([r"a", r"\pL"]).is_blind
