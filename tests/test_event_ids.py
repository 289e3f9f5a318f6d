"""Event ids: UUIDv7 that rise, whatever the clock and the dice do."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from itertools import pairwise

import pytest

from muttd.event_ids import EventIds, ids_from

# In a second; the last is an hour back.
STARTS_MS = [1_700_000_000_000, 1_700_000_000_000, 1_700_000_000_001, 1_699_996_400_000]


def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A clock that stands where its only element says, in milliseconds."""
    now_ms = [STARTS_MS[0]]
    monkeypatch.setattr(time, "time_ns", lambda: now_ms[0] * 1_000_000)
    return now_ms


def given(ids: EventIds, now_ms: list[int]) -> Iterator[str]:
    for now_ms[0] in STARTS_MS:
        for _ in range(3000):
            yield ids.next()


def test_they_rise_in_one_millisecond_and_when_the_clock_steps_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = list(given(EventIds(), clock(monkeypatch)))
    assert all(one < two for one, two in pairwise(made))
    for text in made:
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, 7, uuid.RFC_4122)
    assert int(made[0].replace("-", "")[:12], 16) == STARTS_MS[0]
    assert int(made[6000].replace("-", "")[:12], 16) == STARTS_MS[2]


@pytest.mark.parametrize("octet", [b"\0", b"\xff"])
def test_they_rise_whatever_is_thrown(monkeypatch: pytest.MonkeyPatch, octet: bytes) -> None:
    # With ones alone rand_b overflows at once, and its carry goes into rand_a.
    monkeypatch.setattr(os, "urandom", lambda count: octet * count)
    made = list(given(EventIds(), clock(monkeypatch)))
    assert all(one < two for one, two in pairwise(made))
    assert all(uuid.UUID(text).version == 7 for text in made)


@pytest.mark.parametrize("octet", [None, b"\0", b"\xff"])
def test_many_in_a_row_rise_too_and_meet_no_other(
    monkeypatch: pytest.MonkeyPatch, octet: bytes | None
) -> None:
    if octet is not None:
        monkeypatch.setattr(os, "urandom", lambda count: octet * count)
    ids, made = EventIds(), []
    now_ms = clock(monkeypatch)
    for now_ms[0] in STARTS_MS:
        for count in (1, 256, 3, 70_000):
            made += [ids.next(), *ids_from(ids.first_of(count), count)]
    assert all(one < two for one, two in pairwise(made))
    assert all(uuid.UUID(text).version == 7 for text in made[::999])


def test_the_ids_behind_some_of_a_row_are_those_of_the_row() -> None:
    first = EventIds().first_of(10)
    assert ids_from(first, 3, skip=7) == ids_from(first, 10)[7:]


def test_two_sources_do_not_meet() -> None:
    one, two = EventIds(), EventIds()
    assert not {one.next() for _ in range(5000)} & {two.next() for _ in range(5000)}
