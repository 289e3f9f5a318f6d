"""A pulse."""

from __future__ import annotations

import pytest

from muttd.pulse import Pulse


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("muttd.pulse.time.monotonic", lambda: now[0])
    return now


def test_a_worker_that_has_nothing_to_do_is_not_silent(clock: list[float]) -> None:
    pulse = Pulse("alerter")
    clock[0] += 1000
    assert pulse.silent_s == 0
    pulse.beat()
    pulse.rest()
    clock[0] += 1000
    assert pulse.silent_s == 0


def test_silence_is_counted_from_the_last_step(clock: list[float]) -> None:
    pulse = Pulse("alerter")
    pulse.beat()
    clock[0] += 7
    assert pulse.silent_s == 7
    pulse.beat()
    assert pulse.silent_s == 0
