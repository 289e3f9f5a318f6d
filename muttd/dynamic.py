"""Dynamic configuration: what operators change while the daemon runs, declared once.

    DynamicSettings      every key with default, unit, bounds and sentence; its fields are the keys
    Dynamic.current      the values in force; replaced whole, never changed in place

    default  <--overrides--  environment (MUTTD_ and the key)  <--overrides--  the store

Whoever works by one of these values asks for `current` each time, and keeps none of them.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType

from muttd.errors import InvalidInput
from muttd.settings_table import Row, rows_of, setting

Value = int | float | str

# A word and not an essay: these texts are names of teams.
MAX_TEXT_CHARACTERS = 100


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DynamicSettings:
    """What can also be changed while the daemon runs; the store overrides the environment."""

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
        1.0,
        "The period of the rate limit; it slides.",
        unit="seconds",
        at_least=0.01,
        at_most=86_400,
        name="MUTTD_MOOG_RATE_PERIOD_S",
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
    slo_target_percent: float = setting(
        99.9,
        "The share of its work that each component should do well, for GET /api/v2/slo.",
        unit="percent",
        at_least=50,
        at_most=99.999,
    )
    dead_letter_days: int = setting(
        30, "How long dead letters are kept.", unit="days", at_least=1, at_most=3650
    )


ROWS: Mapping[str, Row] = MappingProxyType({row.path[0]: row for row in rows_of(DynamicSettings)})


def type_name(row: Row) -> str:
    """The type of a key in words."""
    return {int: "whole number", float: "number"}.get(row.kind, "text")  # type: ignore[call-overload, no-any-return]  # its keys are types


def unknown_key(key: str) -> str:
    """What is wrong with a key that is none, with the one meant."""
    near = difflib.get_close_matches(key, ROWS, n=1)
    return f"no such setting{f'; did you mean {near[0]}?' if near else ''}"


def checked(values: Mapping[str, object]) -> dict[str, Value]:
    """Values out of JSON, as they can be put in force.

    Raises:
        InvalidInput: Every key that is unknown, and every value of a wrong type or out of bounds.
    """
    good: dict[str, Value] = {}
    problems = []
    for key, value in values.items():
        row = ROWS.get(key)
        if row is None:
            problems.append((key[:MAX_TEXT_CHARACTERS], unknown_key(key)))
            continue
        try:
            good[key] = _checked(row, value)
        except ValueError as exc:
            problems.append((key, str(exc)))
    if problems:
        raise InvalidInput(problems)
    return good


def _checked(row: Row, value: object) -> Value:
    if row.kind is str:
        if not isinstance(value, str) or not value.strip():
            raise ValueError("must be text")
        if len(value) > MAX_TEXT_CHARACTERS or not value.isprintable():
            raise ValueError(f"must be at most {MAX_TEXT_CHARACTERS} printable characters")
        return value.strip()
    # To Python true is 1, and to nobody else.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, float) and (
        not math.isfinite(value) or (row.kind is int and not value.is_integer())
    ):
        is_number = False
    if not is_number:
        raise ValueError(f"must be a {type_name(row)}")
    assert isinstance(value, int | float)
    problem = row.bounds_problem(value)
    if problem is not None:
        raise ValueError(problem)
    return int(value) if row.kind is int else float(value)


class Dynamic:
    """The values in force.

    Args:
        defaults: What is in force as long as the store says nothing else.
        configured: The keys whose default comes from the environment.

    Attributes:
        faults: (key, what is wrong) of stored values that are passed over: a daemon of another
            version, with other keys or other bounds, has written them.
    """

    def __init__(self, defaults: DynamicSettings, *, configured: Collection[str] = ()) -> None:
        self.defaults = defaults
        self.configured = frozenset(configured)
        self.faults: tuple[tuple[str, str], ...] = ()
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

    def override(self, stored: Iterable[tuple[str, object]]) -> None:
        """Put the defaults in force, and over them what the store has and can be put in force."""
        values: dict[str, Value] = {}
        problems: list[tuple[str, str]] = []
        for key, value in stored:
            try:
                values |= checked({key: value})
            except InvalidInput as exc:
                problems += exc.problems
        self.faults = tuple(problems)
        self.replace(_replaced(self.defaults, values))

    def listen(self, tell: Callable[[], None]) -> None:
        """Have `tell` called after every change. It must neither wait nor raise."""
        self._listeners.append(tell)


def _replaced(defaults: DynamicSettings, values: Mapping[str, Value]) -> DynamicSettings:
    # checked() chose the types; a checker cannot follow them through a mapping.
    replace: Callable[..., DynamicSettings] = dataclasses.replace
    return replace(defaults, **values)
