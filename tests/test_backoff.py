"""muttd/backoff.py."""

from __future__ import annotations

from muttd.backoff import backoff_s


def test_a_wait_is_never_longer_than_the_doubled_base_nor_the_cap() -> None:
    for failures in range(1, 60):
        for _ in range(50):
            wait_s = backoff_s(failures, base_s=1.0, cap_s=60.0)
            assert 0.0 < wait_s <= min(60.0, 2.0 ** (failures - 1))


def test_an_outage_of_weeks_does_not_overflow() -> None:
    assert 0.0 < backoff_s(10**6, base_s=1.0, cap_s=60.0) <= 60.0


def test_two_waits_differ() -> None:
    assert len({backoff_s(5, base_s=1.0, cap_s=60.0) for _ in range(20)}) > 1
