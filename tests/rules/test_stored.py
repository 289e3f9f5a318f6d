"""muttd/rules/stored.py: what an outline says is what the event says."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest
from rule_generators import some_event

from muttd.errors import StoreRefused
from muttd.event import Event, encode_events
from muttd.rules.stored import Outline, StoredEvents

SOURCE = random.Random(7)
EVENTS = [some_event(SOURCE) for _ in range(50)]
ENCODED = [encode_events([event]) for event in EVENTS]


def outline(event: Event | Outline) -> tuple[object, ...]:
    return (event.received_at, event.source_ip, event.hostname, event.severity)


def test_an_outline_has_the_first_fields_of_an_event() -> None:
    fields = Outline.__struct_fields__
    assert fields == Event.__struct_fields__[: len(fields)]


@pytest.mark.parametrize("is_outlined", [False, True])
@pytest.mark.parametrize("places", [range(50), [], [3], [0, 7, 49]])
def test_all_of_them_and_some(places: Sequence[int], is_outlined: bool) -> None:
    stored = StoredEvents(ENCODED, is_outlined=is_outlined).chosen(places)
    expected = [EVENTS[place] for place in places]
    assert len(stored) == len(expected)
    assert list(map(outline, stored.outlines)) == list(map(outline, expected))
    assert stored.encoded == [encode_events([event]) for event in expected]
    last = range(len(expected))[-2:]
    assert stored.events_at(last) == expected[-2:]
    assert stored.events() == expected
    assert stored.events_at(last) == expected[-2:]


@pytest.mark.parametrize("is_outlined", [False, True])
def test_what_is_no_event_is_refused(is_outlined: bool) -> None:
    for octets in (b"", b"\xc1", msgspec.msgpack.encode([["an id"]])):
        with pytest.raises(StoreRefused, match="is not one"):
            StoredEvents([ENCODED[0], octets], is_outlined=is_outlined)
