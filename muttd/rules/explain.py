"""Why an event was decided as it was: which rules came near, what each lacked, who won and by what.

    explain(rule_set, event)     in order of precedence, up to MAX_TRIED
    matches_alone(rule, event)   whether one revision of a rule matches it

It is the engine's own reading (RuleSet.trials); what is added here is words.
"""

from __future__ import annotations

import enum

import msgspec

from muttd.event import Event
from muttd.rules.compile import compile_rules, oids_of, text_of
from muttd.rules.engine import CompiledRule, RuleSet, Trial
from muttd.rules.model import Rule, RuleBook
from muttd.rules.texts import message_of, texts_of

# More are not read by anybody.
MAX_TRIED = 100


class Verdict(enum.StrEnum):
    """What became of a rule."""

    WINS = "wins"
    MATCHES_LATER = "matches, but comes later"
    PATTERN = "its pattern does not match"
    SEVERITY = "its severity condition does not hold"
    HOST = "its host condition does not hold"


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that the event came near to.

    Attributes:
        ends_problem: It is clear_match that was compared: the event ends the rule's problem.
        found: Where its pattern was found: line, message, msgid, trap_oid; empty without one.
    """

    rule_id: int
    rule_name: str
    rule_revision: int
    priority: int
    ends_problem: bool
    verdict: Verdict
    found: list[str]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """How the rules of one revision decide an event.

    Attributes:
        rules_revision: Of the rule book.
        rule_count: How many rules take part; those that are not under tried have a pattern that
            is nowhere in the event.
        winner_id: Who decides; None: no rule matches.
        tried: In order of precedence.
        is_whole: Whether tried has all of them.
    """

    rules_revision: int
    rule_count: int
    winner_id: int | None
    tried: list[Tried]
    is_whole: bool


def explain(rule_set: RuleSet, event: Event) -> Explanation:
    """Explain how these rules decide the event."""
    tried: list[Tried] = []
    winner_id: int | None = None
    for trial in rule_set.trials(event):
        wins = trial.matches and winner_id is None
        if wins:
            winner_id = trial.compiled.rule.id
        if wins or len(tried) < MAX_TRIED:
            tried.append(_tried(trial, event, wins=wins))
    return Explanation(
        rules_revision=rule_set.revision,
        rule_count=len(rule_set),
        winner_id=winner_id,
        tried=tried,
        is_whole=len(tried) < MAX_TRIED,
    )


def matches_alone(rule: Rule, event: Event) -> bool:
    """Whether the rule, as it is here, matches the event, or ends its problem by it."""
    book = RuleBook(revision=0, rules=(msgspec.structs.replace(rule, is_active=True),))
    return compile_rules(book).decide(event).matched


def _tried(trial: Trial, event: Event, *, wins: bool) -> Tried:
    compiled = trial.compiled
    return Tried(
        rule_id=compiled.rule.id,
        rule_name=compiled.rule.name,
        rule_revision=compiled.rule.revision,
        priority=compiled.rule.priority,
        ends_problem=compiled.pattern is not compiled.rule,
        verdict=_verdict(trial, wins=wins),
        found=_found(compiled, event),
    )


def _verdict(trial: Trial, *, wins: bool) -> Verdict:
    if wins:
        return Verdict.WINS
    if not trial.pattern_holds:
        return Verdict.PATTERN
    if not trial.severity_holds:
        return Verdict.SEVERITY
    return Verdict.MATCHES_LATER if trial.host_holds else Verdict.HOST


def _found(compiled: CompiledRule, event: Event) -> list[str]:
    line, *msgids = texts_of(event)
    places = {"line": line, "message": message_of(event)}
    places |= dict(zip(("msgid",), msgids, strict=False))
    found = [name for name, text in places.items() if _holds_text(compiled, text)]
    arcs = (event.trap_oid or "").split(".")
    if any(arcs[: len(oid.split("."))] == oid.split(".") for oid in oids_of(compiled.pattern)):
        found.append("trap_oid")
    return found


def _holds_text(compiled: CompiledRule, text: str) -> bool:
    wanted = text_of(compiled.pattern)
    if wanted is None:
        return False
    if compiled.expression is not None:
        return compiled.expression.search(text.encode("utf-8", "replace")) is not None
    return wanted.casefold() in text.encode("utf-8", "replace").decode().casefold()
