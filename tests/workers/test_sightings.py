"""muttd/workers/sightings.py: what a batch adds to the counts, however it came in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from interruption import an_event

from muttd.decision import Decided, Decision, Environment
from muttd.dynamic import Dynamic, DynamicSettings
from muttd.event import Event
from muttd.queue.ledger import SLOTS, Counted, to_microseconds
from muttd.rules.compile import EMPTY
from muttd.workers import sightings as module
from muttd.workers.sightings import Sighted, Sightings

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
SLOT = timedelta(seconds=DynamicSettings().unhandled_window_seconds / SLOTS)


@pytest.fixture
def sightings() -> Sightings:
    return Sightings(Dynamic(DynamicSettings()))


def counted(sightings: Sightings, *slices: list[Event]) -> Counted:
    sighted = Sighted()
    for events in slices:
        decided = [Decided(event, Decision(environment=Environment.PROD)) for event in events]
        sightings.add(sighted, decided, events, EMPTY)
    found = sightings.counted(sighted, [])
    assert found is not None
    return found


def test_what_comes_in_together_is_counted_as_one_moment(sightings: Sightings) -> None:
    later = NOON + SLOT / 2
    found = counted(
        sightings,
        [an_event("port 1 lost", received_at=NOON), an_event("port 2 lost", received_at=later)],
        [an_event("port 3 lost", received_at=NOON), an_event("quiet", received_at=NOON)],
    )
    at_us = to_microseconds(later)
    assert sorted(each.times for each in found.sightings) == [[at_us, 1], [at_us, 3]]
    about = [msgspec.json.decode(each.about) for each in found.sightings]
    assert {each["template"] for each in about} == {"port <num> lost", "quiet"}


def test_slices_far_apart_are_moments_of_their_own(sightings: Sightings) -> None:
    later = NOON + SLOT
    [one] = counted(
        sightings,
        [an_event("port 1 lost", received_at=NOON)],
        [an_event("port 2 lost", received_at=later)],
    ).sightings
    assert one.times == [to_microseconds(NOON), 1, to_microseconds(later), 1]


def test_a_backlog_is_counted_slot_by_slot(sightings: Sightings) -> None:
    times = [NOON, NOON + SLOT * 1.5, NOON + SLOT * 1.9]
    [one] = counted(
        sightings, [an_event(f"port {n} lost", received_at=at) for n, at in enumerate(times)]
    ).sightings
    assert one.times == [to_microseconds(NOON), 1, to_microseconds(NOON + SLOT), 2]


def test_a_notification_is_grouped_by_its_name_and_a_program_is_in_the_template(
    sightings: Sightings,
) -> None:
    found = counted(
        sightings,
        [
            an_event("linkDown ifIndex.1=1", trap_oid="1.3"),
            an_event("linkDown ifIndex.2=2", trap_oid="1.3"),
            an_event("", trap_oid="1.3.7"),
            an_event("exit 1", app_name="cron"),
        ],
    )
    about = [msgspec.json.decode(each.about)["template"] for each in found.sightings]
    assert about == ["linkDown", "1.3.7", "cron: exit <num>"]


def test_groups_are_forgotten_when_there_are_too_many_and_learned_again(
    sightings: Sightings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_REMEMBERED", 2)
    texts = ["a", "b", "c", "a"]
    found = counted(sightings, [an_event(text, received_at=NOON) for text in texts])
    assert sorted(sum(each.times[1::2]) for each in found.sightings) == [1, 1, 2]


def test_hosts_that_differ_in_case_alone_are_one(sightings: Sightings) -> None:
    hosts = ["SW1", "sw1"]
    [one] = counted(
        sightings, [an_event("lost", hostname=host, received_at=NOON) for host in hosts]
    ).sightings
    assert sum(one.times[1::2]) == 2
