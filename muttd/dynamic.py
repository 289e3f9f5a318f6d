"""Dynamic configuration: what operators change while the daemon runs, declared once.

    DynamicSettings      every key with default, unit, bounds and sentence; its fields are the keys
    Dynamic.current      the values in force; replaced whole, never changed in place

Whoever works by one of these values asks for `current` each time, and keeps none of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from muttd.settings_table import setting


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DynamicSettings:
    """Every dynamic key. What the environment sets is the default that the store overrides."""

    unhandled_threshold: int = setting(
        100,
        "Events of one host and template without a rule that raise a meta-alert.",
        unit="events",
        at_least=1,
        at_most=1_000_000_000,
    )
    unhandled_window_seconds: int = setting(
        86_400,
        "Sliding window in which they are counted, and the silence after a meta-alert.",
        unit="seconds",
        at_least=10,
        at_most=31_622_400,
    )
    unhandled_default_team: str = setting(
        "NETO", "Team of a meta-alert whose host has no entry in device_teams."
    )
    moog_rate_limit: int = setting(
        50,
        "Most alerts sent in one period, by all daemons together.",
        unit="alerts",
        at_least=1,
        at_most=100_000,
    )
    moog_rate_period: float = setting(
        1.0, "The period of the rate limit; it slides.", unit="seconds", at_least=0.1, at_most=3600
    )
    breaker_failures: int = setting(
        10,
        "Consecutive failures of a destination that open its circuit breaker.",
        unit="failures",
        at_least=1,
        at_most=10_000,
    )
    breaker_open_seconds: float = setting(
        300.0,
        "How long an open circuit breaker waits before one probe is sent.",
        unit="seconds",
        at_least=1,
        at_most=86_400,
    )
    max_poison_retries: int = setting(
        3, "Replays after which a dead letter is parked.", unit="replays", at_least=0, at_most=100
    )
    remediation_interval: float = setting(
        300.0,
        "How often dead letters of a destination that is healthy again are replayed; 0: never.",
        unit="seconds",
        at_least=0,
        at_most=86_400,
    )
    remediation_batch: int = setting(
        10, "Dead letters replayed at a time.", unit="dead letters", at_least=1, at_most=1000
    )
    alerter_max_retries: int = setting(
        3,
        "An event on which the code itself failed this often becomes a dead letter.",
        unit="deliveries",
        at_least=1,
        at_most=1000,
    )
    queue_warn_events: int = setting(
        100_000,
        "Depth of the queue from which the page and the log warn.",
        unit="events",
        at_least=1,
        at_most=10_000_000_000,
    )
    history_days: int = setting(
        3,
        "How long events that no rule matched are kept; 0 keeps none.",
        unit="days",
        at_least=0,
        at_most=3650,
    )
    event_retention_months: int = setting(
        12,
        "How long matched events are kept, in whole calendar months.",
        unit="months",
        at_least=1,
        at_most=1200,
    )
    config_audit_days: int = setting(
        365,
        "How long changes of the configuration are kept.",
        unit="days",
        at_least=1,
        at_most=36_500,
    )
    dead_letter_days: int = setting(
        30, "How long dead letters are kept.", unit="days", at_least=1, at_most=3650
    )


class Dynamic:
    """The values in force.

    Args:
        defaults: What is in force as long as the store says nothing else.
    """

    def __init__(self, defaults: DynamicSettings) -> None:
        self.defaults = defaults
        self._current = defaults
        self._listeners: list[Callable[[], None]] = []

    @property
    def current(self) -> DynamicSettings:
        """All of them, consistent with each other."""
        return self._current

    def replace(self, values: DynamicSettings) -> None:
        """Put other values in force, and tell whoever asked to be told."""
        if values == self._current:
            return
        self._current = values
        for tell in self._listeners:
            tell()

    def listen(self, tell: Callable[[], None]) -> None:
        """Have `tell` called after every change. It must neither wait nor raise."""
        self._listeners.append(tell)
