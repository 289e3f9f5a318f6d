"""What a batch adds to the counts: unmatched events by host and template, and who was heard.

    Decided ... --per batch--> Counted --with the ack--> ledger

A group's template is its program and its message with everything masked that varies; of a
notification it is its name. Runs for every event that no rule matches, so that one costs little
more than its template.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b

import msgspec

from muttd.decision import Decided
from muttd.dynamic import Dynamic, DynamicSettings
from muttd.event import Event, Transport
from muttd.queue.ledger import SLOTS, Counted, Sighting, to_microseconds
from muttd.rules.engine import RuleSet, message_of
from muttd.rules.template import Templates

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


class Sightings:
    """Counts batches.

    Args:
        dynamic: The threshold and the window.
    """

    def __init__(self, dynamic: Dynamic) -> None:
        self._dynamic = dynamic
        self._templates = Templates()
        self._groups: dict[tuple[str, str], tuple[str, str]] = {}
        self._heard_us: dict[str, int] = {}

    def counted(
        self, decided: Sequence[Decided], judged: list[str], rule_set: RuleSet
    ) -> Counted | None:
        """What the ack of this batch counts; None when that is nothing."""
        current = self._dynamic.current
        window_us = window_us_of(current)
        unmatched = [each.event for each in decided if not each.decision.matched]
        sightings, hosts = [], []
        try:
            sightings = self._sighted(unmatched, window_us)
            hosts = self._hosts(decided, rule_set) if rule_set.expected_sources else []
        except Exception as exc:
            # The last line: a count that is short is better than events that never leave the queue.
            _log.error("sightings: a batch is not counted", exc_info=exc)
        counted = Counted(current.unhandled_threshold, window_us, sightings, hosts, judged)
        return counted if counted else None

    def _sighted(self, events: list[Event], window_us: int) -> list[Sighting]:
        if not events:
            return []
        received = [event.received_at for event in events]
        newest = max(received)
        slot_us = max(1, window_us // SLOTS)
        # Together as a rule; a backlog may be of hours.
        is_one_moment = (newest - min(received)).total_seconds() * 1_000_000 < slot_us
        newest_us = to_microseconds(newest)
        counts: dict[tuple[str, str], dict[int, int]] = {}
        samples: dict[tuple[str, str], Event] = {}
        template_of = self._templates.of
        for event in events:
            group = (event.hostname, grouped_by(event, template_of(message_of(event))))
            at_us = newest_us if is_one_moment else _slot_of(event.received_at, slot_us)
            slots = counts.get(group)
            if slots is None:
                counts[group] = {at_us: 1}
                samples[group] = event
            else:
                slots[at_us] = slots.get(at_us, 0) + 1
        sightings = []
        for group, slots in counts.items():
            key, about = self._groups.get(group) or self._learn(group, samples[group])
            times = [part for slot in slots.items() for part in slot]
            sightings.append(Sighting(key, about, times))
        return sightings

    def _learn(self, group: tuple[str, str], sample: Event) -> tuple[str, str]:
        hostname, template = group
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
        learned = digest.hexdigest(), msgspec.json.encode(about).decode()
        self._groups[group] = learned
        return learned

    def _hosts(self, decided: Sequence[Decided], rule_set: RuleSet) -> list[tuple[str, str, int]]:
        heard: dict[str, tuple[str, str, int]] = {}
        for each in decided:
            event = each.event
            if rule_set.expected_of(event.hostname, event.source_ip) is None:
                continue
            host, at_us = event.hostname.casefold(), to_microseconds(event.received_at)
            if at_us - self._heard_us.get(host, 0) >= _HEARD_EVERY_US:
                self._heard_us[host] = at_us
                heard[host] = (host, event.source_ip, at_us)
        if len(self._heard_us) > _MAX_REMEMBERED:
            self._heard_us.clear()
        return list(heard.values())


def window_us_of(current: DynamicSettings) -> int:
    """The window in microseconds."""
    return current.unhandled_window_seconds * 1_000_000


def grouped_by(event: Event, template: str) -> str:
    """What the events of a group have in common, as a person reads it."""
    if event.trap_oid is not None:
        # Varbinds say when and how much, and each device has its own.
        return event.message.partition(" ")[0] or event.trap_oid
    return template if event.app_name is None else f"{event.app_name}: {template}"


def _slot_of(moment: datetime, slot_us: int) -> int:
    at_us = to_microseconds(moment)
    return at_us - at_us % slot_us
