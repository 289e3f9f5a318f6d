"""The watchdog hears of us only while the pipeline gets on."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from muttd.pulse import Pulse
from muttd.workers.watchdog import Watchdog, watchdog_s


class Systemd:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def tell(self, *lines: str) -> None:
        self.told.append(lines)


@pytest.mark.parametrize(
    ("environ", "limit_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_systemd_says_how_long_it_waits(environ: dict[str, str], limit_s: float | None) -> None:
    assert watchdog_s(environ, 7) == limit_s


def test_the_watchdog_is_fed_while_every_worker_beats_or_rests() -> None:
    systemd = Systemd()
    busy, idle = Pulse("intake"), Pulse("alerter")
    busy.beat()
    Watchdog([busy, idle], 30.0, systemd.tell, lambda: "3 events/s").tell_once()
    assert systemd.told == [("STATUS=3 events/s", "WATCHDOG=1")]


def test_a_worker_that_makes_no_step_starves_the_watchdog(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    monkeypatch.setattr("muttd.pulse.time.monotonic", lambda: now[0])
    systemd = Systemd()
    pulse = Pulse("alerter")
    pulse.beat()
    now[0] += 16
    with caplog.at_level(logging.CRITICAL):
        Watchdog([pulse], 30.0, systemd.tell, lambda: "").tell_once()
    assert systemd.told == [("STATUS=",)]
    assert "alerter made no step for 16 s" in caplog.text


def test_without_a_watchdog_only_the_status_is_told() -> None:
    systemd = Systemd()
    pulse = Pulse("alerter")
    pulse.beat()
    Watchdog([pulse], None, systemd.tell, lambda: "idle").tell_once()
    assert systemd.told == [("STATUS=idle",)]


async def test_it_is_fed_three_times_in_the_time_that_systemd_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    systemd = Systemd()
    watchdog = Watchdog([], 9.0, systemd.tell, lambda: "")
    with trio.move_on_after(8.9):
        await watchdog.run()
    assert len(systemd.told) == 3
