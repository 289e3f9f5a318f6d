"""A dry run: what a rule would have done to events that are stored already.

    encoded events --sieve--> candidates --the draft alone--> matched
                                             '--the engine, as it is in force--> who decides now

    matched = newly + taken_over + kept + taken_first

    newly         no rule decides them now: the draft would
    taken_over    another rule decides them now, and would come after the draft
    kept          the rule that the draft replaces decides them now, and would go on to
    taken_first   another rule would still decide them: it comes before the draft

The engine that decides live events says who decides them now; the sieve and the draft alone only
spare it the others. Memory is bounded, however many events are fed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from muttd.event import Event, decode_events, utc_now
from muttd.rules.compile import oids_of, text_of
from muttd.rules.engine import RuleSet
from muttd.rules.lone import LoneRule
from muttd.rules.model import Rule, RuleDraft, SeverityOp
from muttd.rules.sieve import Sieve
from muttd.rules.texts import texts_of

MAX_SAMPLES = 200
# Hosts with the most matches that are shown, and those that are counted one by one.
SHOWN_HOSTS = 100
MAX_HOSTS = 100_000
# Of a line: a sample is looked at, not kept.
_LINE_CHARACTERS = 500
# Events judged between two looks whether somebody else wants the processor.
_SLICE_EVENTS = 32
_HOUR = timedelta(hours=1)
# Later than every rule of the same priority: a new rule gets the highest number.
_NEW_ID = 2**63 - 1


class CountByRule(msgspec.Struct, frozen=True):
    """Events by the rule that decides them now."""

    rule_id: int
    rule_name: str
    count: int


class CountByHost(msgspec.Struct, frozen=True):
    """Matched events of a host."""

    hostname: str
    count: int


class CountByHour(msgspec.Struct, frozen=True):
    """Matched events received in the hour that begins then."""

    hour: datetime
    count: int


class Sample(msgspec.Struct, frozen=True):
    """One matched event; winner_id is of the rule that decides it now, None: of none."""

    event_id: str
    received_at: datetime
    hostname: str
    severity: int
    line: str
    winner_id: int | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a dry run found; see the module.

    Attributes:
        hosts: Those with the most matches.
        host_count: How many hosts have any.
        hours: In order of time; hours without a match are left out.
        samples: The newest.
    """

    matched: int
    newly: int
    kept: int
    taken_over: list[CountByRule]
    taken_first: list[CountByRule]
    hosts: list[CountByHost]
    host_count: int
    hours: list[CountByHour]
    samples: list[Sample]


class Narrowed(msgspec.Struct, frozen=True):
    """Conditions of the draft that a store can check by itself; None: any."""

    severity: int | None = None
    max_severity: int | None = None
    trap_oid: str | None = None


class DryRun:
    """One dry run.

    Args:
        draft: The rule to try; it takes part even if it is not active.
        rule_set: The rules in force.
        rule_id: The rule that the draft replaces; None: it is a new one.
        max_samples: Most events shown.
    """

    def __init__(
        self,
        draft: RuleDraft,
        rule_set: RuleSet,
        *,
        rule_id: int | None = None,
        max_samples: int = 20,
    ) -> None:
        self._rule = _as_rule(draft, rule_id)
        self._is_new = rule_id is None
        self._draft = LoneRule(self._rule)
        self._rule_set = rule_set
        self._sieve = Sieve(self._rule)
        self._max_samples = max_samples
        self._matched = self._newly = self._kept = 0
        self._over: Counter[tuple[int, str]] = Counter()
        self._first: Counter[tuple[int, str]] = Counter()
        self._hosts: Counter[str] = Counter()
        self._hours: Counter[datetime] = Counter()
        # That of the last event: the next one is seldom of another.
        self._hour = datetime.fromtimestamp(0, UTC)
        self._samples: list[Sample] = []

    @property
    def narrowed(self) -> Narrowed:
        """What need not be fed, because it cannot match."""
        rule = self._rule
        severity = rule.syslog_severity
        at_least = rule.severity_op is SeverityOp.AT_LEAST
        oids = oids_of(rule)
        is_oid_alone = len(oids) == 1 and text_of(rule) is None and rule.clear_match is None
        return Narrowed(
            severity=None if at_least else severity,
            max_severity=severity if at_least else None,
            trap_oid=oids[0] if is_oid_alone else None,
        )

    def feed(self, encoded: Sequence[bytes], pause: Callable[[], None]) -> None:
        """Judge stored events. Blocks.

        Args:
            encoded: Each as encode_events() made it of one; newest first.
            pause: Called often, so that others may have the processor in between.
        """
        matches = self._draft.matches
        for n, place in enumerate(self._sieve.candidates(encoded)):
            if n % _SLICE_EVENTS == 0:
                pause()
            [event] = decode_events(encoded[place])
            if matches(event):
                self._count(event)

    def outcome(self) -> Outcome:
        """What was found so far."""
        return Outcome(
            matched=self._matched,
            newly=self._newly,
            kept=self._kept,
            taken_over=_by_rule(self._over),
            taken_first=_by_rule(self._first),
            hosts=[CountByHost(*pair) for pair in self._hosts.most_common(SHOWN_HOSTS)],
            host_count=len(self._hosts),
            hours=[CountByHour(*pair) for pair in sorted(self._hours.items())],
            samples=list(self._samples),
        )

    def _count(self, event: Event) -> None:
        self._matched += 1
        if event.hostname in self._hosts or len(self._hosts) < MAX_HOSTS:
            self._hosts[event.hostname] += 1
        if not self._hour <= event.received_at < self._hour + _HOUR:
            self._hour = event.received_at.replace(minute=0, second=0, microsecond=0)
        self._hours[self._hour] += 1
        winner_id, name = self._winner(event)
        if len(self._samples) < self._max_samples:
            self._samples.append(_sample(event, winner_id))
        if winner_id is None:
            self._newly += 1
        elif winner_id == self._rule.id:
            self._kept += 1
        elif self._comes_after(winner_id):
            self._over[winner_id, name] += 1
        else:
            self._first[winner_id, name] += 1

    def _winner(self, event: Event) -> tuple[int | None, str]:
        """Who decides the event; with the draft in the place of the rule that it replaces."""
        decision = self._rule_set.decide(event)
        if decision.rule_id is None or decision.rule_id != self._rule.id:
            return decision.rule_id, decision.rule_name or ""
        # Its own predecessor; if the draft comes later in line, another may stand before it now.
        for rule in self._rule_set.matching(event):
            if rule.id != self._rule.id:
                if self._comes_after(rule.id):
                    break
                return rule.id, rule.name
        return self._rule.id, self._rule.name

    def _comes_after(self, rule_id: int) -> bool:
        priority = self._rule_set.priority_of(rule_id)
        assert priority is not None, "it has just decided an event"
        return (priority, rule_id) > (self._rule.priority, self._rule.id)


def _as_rule(draft: RuleDraft, rule_id: int | None) -> Rule:
    fields = {name: getattr(draft, name) for name in RuleDraft.__struct_fields__}
    now = utc_now()
    return Rule(
        **fields | {"is_active": True},
        id=_NEW_ID if rule_id is None else rule_id,
        revision=0,
        created_at=now,
        updated_at=now,
    )


def _sample(event: Event, winner_id: int | None) -> Sample:
    return Sample(
        event_id=event.event_id,
        received_at=event.received_at,
        hostname=event.hostname,
        severity=event.severity,
        line=texts_of(event)[0][:_LINE_CHARACTERS],
        winner_id=winner_id,
    )


def _by_rule(counts: Counter[tuple[int, str]]) -> list[CountByRule]:
    return [CountByRule(*rule, count) for rule, count in counts.most_common()]
