"""A dry run: what a rule would have done to events that are stored already.

    encoded events --sieve--> candidates --the draft alone--> matched
                                             '--winners, by the rules in force--> who decides now

    matched = newly + taken_over + kept + taken_first

    newly         no rule decides them now: the draft would
    taken_over    another rule decides them now, and would come after the draft
    kept          the rule that the draft replaces decides them now, and would go on to
    taken_first   another rule would still decide them: it comes before the draft

Who decides them now is what the engine that decides live events would say of each; sieves, and the
draft alone, only spare it most of them. Memory is bounded, however many events are fed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from muttd.event import Event, utc_now
from muttd.rules.compile import oids_of, text_of
from muttd.rules.engine import RuleSet
from muttd.rules.lone import LoneRule
from muttd.rules.model import MatchType, Rule, RuleDraft, SeverityOp
from muttd.rules.sieve import Sieve, must_hold
from muttd.rules.stored import StoredEvents
from muttd.rules.text_sieve import TextSieve
from muttd.rules.texts import texts_of
from muttd.rules.winners import Winners, expressions_of

MAX_SAMPLES = 200
# Hosts with the most matches that are shown, and those that are counted one by one.
SHOWN_HOSTS = 100
MAX_HOSTS = 100_000
# Of a line: a sample is looked at, not kept.
_LINE_CHARACTERS = 500
# Events judged at once, between two looks whether somebody else wants the processor: as many as
# stay in its cache.
_SLICE_EVENTS = 256
_SLICE_OCTETS = 250_000
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
        self._draft = LoneRule(self._rule)
        self._rule_set = rule_set
        self._winners = Winners(rule_set)
        before = rule_set.rule_of(self._rule.id)
        # Than the rule that it replaces; then another one may stand between the two.
        self._comes_later = before is not None and self._rule.priority > before.priority
        literals = must_hold(self._rule)
        self._sieve = Sieve(literals)
        self._texts = _text_sieve(self._rule) if literals is None else None
        self._max_samples = max_samples
        # Matched events by the rule that decides them now.
        self._decided: Counter[int | None] = Counter()
        self._hosts: Counter[str] = Counter()
        self._hours: Counter[datetime] = Counter()
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
        places = self._sieve.candidates(encoded)
        if len(places) < len(encoded):
            encoded = [encoded[place] for place in places]
        for part in _slices(encoded, _SLICE_EVENTS):
            pause()
            self._judge(part)

    def outcome(self) -> Outcome:
        """What was found so far."""
        counts = [
            (winner_id, count)
            for winner_id, count in self._decided.most_common()
            if winner_id is not None and winner_id != self._rule.id
        ]
        return Outcome(
            matched=self._decided.total(),
            newly=self._decided[None],
            kept=self._decided[self._rule.id],
            taken_over=[self._counted(*each) for each in counts if self._comes_after(each[0])],
            taken_first=[self._counted(*each) for each in counts if not self._comes_after(each[0])],
            hosts=[CountByHost(*pair) for pair in self._hosts.most_common(SHOWN_HOSTS)],
            host_count=len(self._hosts),
            hours=[CountByHour(*pair) for pair in sorted(self._hours.items())],
            samples=list(self._samples),
        )

    def _judge(self, encoded: Sequence[bytes]) -> None:
        stored = self._matched(encoded)
        if not stored:
            return
        winners = self._winners.of(stored)
        if self._comes_later and self._rule.id in winners:
            winners = [
                self._standing_before(event) if winner_id == self._rule.id else winner_id
                for event, winner_id in zip(stored.events(), winners, strict=True)
            ]
        self._decided.update(winners)
        missing = min(self._max_samples - len(self._samples), len(stored))
        if missing:
            self._samples += map(_sample, stored.events_at(range(missing)), winners)
        self._count_hosts([each.hostname for each in stored.outlines])
        self._count_hours([each.received_at for each in stored.outlines])

    def _matched(self, encoded: Sequence[bytes]) -> StoredEvents:
        if self._draft.is_bare:
            stored = StoredEvents(encoded, is_outlined=True)
            return stored.chosen(self._draft.bare_places(stored.outlines))
        stored = StoredEvents(encoded, is_outlined=False)
        if self._texts is not None:
            stored = stored.chosen(self._texts.candidates(stored.events()))
        return stored.chosen(self._draft.places(stored.events()))

    def _count_hosts(self, hostnames: Sequence[str]) -> None:
        if len(self._hosts) + len(hostnames) <= MAX_HOSTS:
            self._hosts.update(hostnames)
            return
        for hostname in hostnames:
            if hostname in self._hosts or len(self._hosts) < MAX_HOSTS:
                self._hosts[hostname] += 1

    def _count_hours(self, moments: Sequence[datetime]) -> None:
        first = _hour_of(min(moments))
        if max(moments) < first + _HOUR:
            # Nearly always: a slice is a moment.
            self._hours[first] += len(moments)
        else:
            self._hours.update(map(_hour_of, moments))

    def _standing_before(self, event: Event) -> int:
        """Who decides an event of the rule that the draft replaces, if the draft comes later."""
        for rule in self._rule_set.matching(event):
            if rule.id != self._rule.id and not self._comes_after(rule.id):
                return rule.id
        return self._rule.id

    def _counted(self, rule_id: int, count: int) -> CountByRule:
        return CountByRule(rule_id, self._decider(rule_id).name, count)

    def _comes_after(self, rule_id: int) -> bool:
        return (self._decider(rule_id).priority, rule_id) > (self._rule.priority, self._rule.id)

    def _decider(self, rule_id: int) -> Rule:
        rule = self._rule_set.rule_of(rule_id)
        assert rule is not None, "it has just decided an event"
        return rule


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


def _text_sieve(rule: Rule) -> TextSieve | None:
    if rule.match_type is not MatchType.REGEX or rule.trap_oid is not None:
        return None
    sieve = TextSieve(expressions_of(rule))
    return None if sieve.is_blind else sieve


def _slices(encoded: Sequence[bytes], count: int) -> Iterator[Sequence[bytes]]:
    """All of it in slices of so many at most; of fewer where they are large."""
    for start in range(0, len(encoded), count):
        part = encoded[start : start + count]
        if count > 1 and sum(map(len, part)) > _SLICE_OCTETS:
            yield from _slices(part, count // 4)
        else:
            yield part


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
