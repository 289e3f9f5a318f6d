"""What a batch adds to the counts: unmatched events by host and template, and who was heard.

    Decided ... --add, some at a time--> Sighted --counted--> Counted --with the ack--> ledger

A group's template is its program and its message with everything masked that varies; of a
notification it is its name. Runs for every event that no rule matches, so that one costs little
more than its template.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from muttd.decision import Decided
from muttd.dynamic import Dynamic, DynamicSettings
from muttd.event import Event, Transport
from muttd.queue.ledger import SLOTS, Counted, Sighting, to_microseconds
from muttd.rules.engine import RuleSet
from muttd.rules.template import Templates
from muttd.rules.texts import message_of

# Of a group in the ledger: no two groups of one site have the same.
_KEY_OCTETS = 12
# As much as a person reads; the event itself is in the history.
_MAX_TEMPLATE_CHARACTERS = 240
_MAX_SAMPLE_CHARACTERS = 400
# Groups whose keys are remembered here: all that are busy.
_MAX_REMEMBERED = 20_000
# A host is heard so often at most: silence is counted in seconds, and a flood is one sender.
_HEARD_EVERY_US = 1_000_000


_log = logging.getLogger(__name__)


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a meta-alert says of a group.

    Attributes:
        hostname, source_ip, transport, severity: Of the sample.
        template: What the events of the group have in common.
        sample, sample_id: The message and the id of one of them.
    """

    hostname: str
    source_ip: str
    transport: Transport
    severity: int
    template: str
    sample: str
    sample_id: str


class _Group(NamedTuple):
    # See Sighting.
    key: str
    about: str


@dataclass(slots=True)
class _Moment:
    # Events that came in together, or in one slot of the window.
    oldest_us: int
    newest_us: int
    counts: Counter[_Group] = field(default_factory=Counter)


@dataclass(slots=True)
class Sighted:
    """What was seen of a batch so far.

    Attributes:
        moments: Unmatched events by group, for every time that has to be told from the others.
        hosts: By name, (name, source address, time) of expected sources that were heard.
    """

    moments: list[_Moment] = field(default_factory=list)
    hosts: dict[str, tuple[str, str, int]] = field(default_factory=dict)

    def moment(self, oldest_us: int, newest_us: int, slot_us: int) -> _Moment:
        """Where events of that time belong: with those before them, as a rule."""
        if self.moments:
            last = self.moments[-1]
            oldest, newest = min(oldest_us, last.oldest_us), max(newest_us, last.newest_us)
            if newest - oldest < slot_us:
                last.oldest_us, last.newest_us = oldest, newest
                return last
        self.moments.append(_Moment(oldest_us, newest_us))
        return self.moments[-1]


class Sightings:
    """Counts batches.

    Args:
        dynamic: The threshold and the window.
    """

    def __init__(self, dynamic: Dynamic) -> None:
        self._dynamic = dynamic
        self._templates = Templates()
        self._groups: dict[tuple[str, str | None, str], _Group] = {}
        self._heard_us: dict[str, int] = {}

    def add(
        self,
        sighted: Sighted,
        decided: Sequence[Decided],
        unmatched: Sequence[Event],
        rule_set: RuleSet,
    ) -> None:
        """Add events to what was seen of their batch.

        Args:
            sighted: Of their batch.
            decided: The events.
            unmatched: Those of them that no rule matches.
            rule_set: Says who is expected.
        """
        try:
            if unmatched:
                self._sight(sighted, unmatched)
            if rule_set.expected_sources:
                self._hear(sighted, decided, rule_set)
        except Exception as exc:
            # The last line: a count that is short is better than events that never leave the queue.
            _log.error("sightings: some events are not counted", exc_info=exc)

    def counted(self, sighted: Sighted, judged: list[str]) -> Counted | None:
        """What the ack of this batch counts; None when that is nothing."""
        current = self._dynamic.current
        found: dict[str, Sighting] = {}
        for moment in sighted.moments:
            for (key, about), count in moment.counts.items():
                # Hosts that differ in case alone are one.
                sighting = found.get(key) or found.setdefault(key, Sighting(key, about, []))
                sighting.times.extend((moment.newest_us, count))
        hosts = list(sighted.hosts.values())
        counted = Counted(
            current.unhandled_threshold, window_us_of(current), list(found.values()), hosts, judged
        )
        return counted if counted else None

    def _sight(self, sighted: Sighted, events: Sequence[Event]) -> None:
        received = [event.received_at for event in events]
        oldest, newest = min(received), max(received)
        slot_us = max(1, window_us_of(self._dynamic.current) // SLOTS)
        oldest_us, newest_us = to_microseconds(oldest), to_microseconds(newest)
        groups = self._groups_of(events)
        if newest_us - oldest_us < slot_us:
            sighted.moment(oldest_us, newest_us, slot_us).counts.update(groups)
            return
        # A backlog may be of hours.
        for group, moment in zip(groups, received, strict=True):
            at_us = _slot_of(moment, slot_us)
            sighted.moment(at_us, at_us, slot_us).counts[group] += 1

    def _groups_of(self, events: Sequence[Event]) -> list[_Group]:
        known = self._groups
        templates = self._templates.of_all([event.message or message_of(event) for event in events])
        groups = []
        for event, template in zip(events, templates, strict=True):
            if event.trap_oid is None:
                names = (event.hostname, event.app_name, template)
            else:
                # Varbinds say when and how much, and each device has its own.
                names = (event.hostname, None, event.message.partition(" ")[0] or event.trap_oid)
            groups.append(known.get(names) or self._learn(names, event))
        return groups

    def _learn(self, names: tuple[str, str | None, str], sample: Event) -> _Group:
        hostname, app_name, template = names
        if app_name is not None:
            template = f"{app_name}: {template}"
        digest = blake2b(f"{hostname.casefold()}\0{template}".encode(), digest_size=_KEY_OCTETS)
        about = About(
            hostname=hostname,
            source_ip=sample.source_ip,
            transport=sample.transport,
            severity=sample.severity,
            template=template[:_MAX_TEMPLATE_CHARACTERS],
            sample=message_of(sample)[:_MAX_SAMPLE_CHARACTERS],
            sample_id=sample.event_id,
        )
        if len(self._groups) >= _MAX_REMEMBERED:
            self._groups.clear()
        learned = _Group(digest.hexdigest(), msgspec.json.encode(about).decode())
        self._groups[names] = learned
        return learned

    def _hear(self, sighted: Sighted, decided: Sequence[Decided], rule_set: RuleSet) -> None:
        for each in decided:
            event = each.event
            if rule_set.expected_of(event.hostname, event.source_ip) is None:
                continue
            host, at_us = event.hostname.casefold(), to_microseconds(event.received_at)
            if at_us - self._heard_us.get(host, 0) >= _HEARD_EVERY_US:
                self._heard_us[host] = at_us
                sighted.hosts[host] = (host, event.source_ip, at_us)
        if len(self._heard_us) > _MAX_REMEMBERED:
            self._heard_us.clear()


def window_us_of(current: DynamicSettings) -> int:
    """The window in microseconds."""
    return current.unhandled_window_seconds * 1_000_000


def _slot_of(moment: datetime, slot_us: int) -> int:
    at_us = to_microseconds(moment)
    return at_us - at_us % slot_us
