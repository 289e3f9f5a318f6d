"""What every store backend promises. The suite in tests/conformance holds each of them to it.

    record(decided, alerts)   matched   -> event_audit_log      idempotent by event_id
                              unmatched -> event_history
                              alerts    -> alerts               idempotent by alert_id
    change a rule, host, team -> the row, its revision and config_audit_log in ONE transaction
    change dynamic values     -> the rows and config_audit_log in ONE transaction

Every method raises StoreUnavailable when the backend cannot answer now and StoreRefused when it
never will. Times are aware and UTC; lists are newest first unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from muttd.decision import Alert, AlertState, Decided, Delivery
from muttd.event import Event
from muttd.store.access import AccessStore
from muttd.store.access import Change as Change
from muttd.store.rule_contract import RuleStore
from muttd.store.volume import VolumeStore

MAX_PAGE_ITEMS = 200

# How far a scan has come; each backend's own.
ScanPlace = tuple[Any, ...]

# Of dynamic configuration.
SettingValue = int | float | str

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of a list: a page counted from 1, or what follows a cursor; the cursor wins."""

    page: int = 1
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events. None: any.

    Attributes:
        q: Text in the message, case-insensitive.
        hostname: Exact, case-insensitive; with "*" or "?" a glob.
        severity: Exactly this one.
        max_severity: This one or more severe (numerically at most).
        transport, rule_id, team: Exactly this one.
        trap_oid: This OID or one below it, arc by arc.
        matched: True: event_audit_log only; False: event_history only.
        start, end: received_at in [start, end).
        after_id: Only events whose event_id sorts after it (gap fill of a live page).
    """

    q: str | None = None
    hostname: str | None = None
    severity: int | None = None
    max_severity: int | None = None
    transport: str | None = None
    trap_oid: str | None = None
    rule_id: int | None = None
    team: str | None = None
    matched: bool | None = None
    start: datetime | None = None
    end: datetime | None = None
    after_id: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One part of a list.

    Attributes:
        items: At most the window's limit.
        total: How many the whole list has.
        next_cursor: For the part that follows; None when this is the last.
    """

    items: list[T]
    total: int
    next_cursor: str | None


class StoredAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert and where it is."""

    alert: Alert
    state: AlertState
    attempts: int
    updated_at: datetime
    last_error: str | None


class ConfigChange(msgspec.Struct, frozen=True, kw_only=True):
    """One row of config_audit_log."""

    id: int
    changed_at: datetime
    changed_by: str
    operation: str  # CREATE, UPDATE, DELETE
    table_name: str
    record_id: str
    old_value: dict[str, Any] | None
    new_value: dict[str, Any] | None
    reason: str | None
    correlation_id: str | None


@dataclass(frozen=True, slots=True)
class ChangedRecord:
    """What is changed outside of the store, as config_audit_log is told.

    Attributes:
        table_name, record_id: What it is.
        old, new: What it was and what it becomes; None: it is new, it goes.
    """

    table_name: str
    record_id: str
    old: dict[str, Any] | None
    new: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class StoredSetting:
    """One row of dynamic_config: a value that was set over its default.

    Attributes:
        key: A field of DynamicSettings; of another version's, perhaps.
        value: As JSON has it.
        changed_by: The name of the API key.
        changed_at: Aware, UTC.
    """

    key: str
    value: Any
    changed_by: str
    changed_at: datetime


class StoredMib(msgspec.Struct, frozen=True, kw_only=True):
    """A MIB that was uploaded, without its text; digest is its SHA-256 in hexadecimal."""

    name: str
    digest: str
    octets: int
    uploaded_at: datetime
    uploaded_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleQuery:
    """Which rules. q looks in name, match_string, trap_oid, team and reason.

    With is_deleted those that were deleted, as they were then; else those that were not.
    """

    q: str | None = None
    is_active: bool | None = None
    team: str | None = None
    is_deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQuery:
    """Which configuration changes. None: any."""

    changed_by: str | None = None
    table_name: str | None = None
    record_id: str | None = None
    operation: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long what is kept, and where it goes then.

    Attributes:
        history_days: Unmatched events; what is older goes within a day.
        event_retention_months: Matched events and settled alerts. They go by whole calendar
            months (UTC), when the last moment of one is older than that: never a month early.
        config_audit_days: Changes of the configuration.
        archive_dir: Matched events are written to a file there before they go; None: they are not.
    """

    history_days: int
    event_retention_months: int
    config_audit_days: int
    archive_dir: Path | None = None


class Rows:
    """What a store writes of some events, made beforehand; nobody else looks into it."""


class Store(AccessStore, VolumeStore, RuleStore, Protocol):
    """Rules, audit trail, alerts, configuration history."""

    def rows_of(self, decided: Sequence[Decided]) -> Rows:
        """Make what record_rows() writes of these; any exception is the fault of one of them."""
        ...

    async def record_rows(
        self, rows: Sequence[Rows], alerts: Sequence[Alert], alert_state: AlertState
    ) -> None:
        """Write audit rows, history rows and alerts in one transaction.

        Events and alerts that are there already are left as they are: recording a batch twice,
        or overlapping batches, is harmless.
        """
        ...

    async def record(
        self, decided: Sequence[Decided], alerts: Sequence[Alert], alert_state: AlertState
    ) -> None:
        """record_rows() with the rows of these."""
        ...

    async def record_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Write delivery attempts and the state each leaves its alert in, in one transaction.

        The same (alert_id, attempt) twice is written once. DELIVERED is final: a later attempt
        never takes it back.
        """
        ...

    async def delivered_ids(self, alert_ids: Sequence[str]) -> set[str]:
        """Which of these alerts were delivered already."""
        ...

    async def attempt_counts(self, alert_ids: Sequence[str]) -> dict[str, int]:
        """How often each of these alerts was tried; those never tried are left out."""
        ...

    async def search_events(self, query: EventQuery, window: Window) -> Page[Decided]:
        """Events, newest receipt first."""
        ...

    async def scan_events(
        self, query: EventQuery, *, after: ScanPlace | None, limit: int
    ) -> tuple[list[bytes], ScanPlace | None]:
        """Events of one table as they were encoded, newest first: for reading very many.

        Args:
            query: Which; `matched` says of which table and is not None.
            after: What the call before gave; None: from the newest.
            limit: At most as many.

        Returns:
            The events, and where to go on; None: there are no more.
        """
        ...

    async def events_near(
        self, event: Event, *, before: int, after: int
    ) -> tuple[list[Decided], list[Decided]]:
        """What the event's host said before and after it, the nearest, each in order of receipt."""
        ...

    async def count_events(self, *, start: datetime, end: datetime) -> int:
        """How many events there are with received_at in [start, end)."""
        ...

    async def get_event(self, event_id: str) -> Decided | None:
        """One event with its decision."""
        ...

    async def search_alerts(
        self, *, state: AlertState | None, hostname: str | None, window: Window
    ) -> Page[StoredAlert]:
        """Alerts, newest first."""
        ...

    async def get_alert(self, alert_id: str) -> tuple[StoredAlert, list[Delivery]] | None:
        """One alert with its attempts, oldest first."""
        ...

    async def record_changes(self, change: Change, records: Sequence[ChangedRecord]) -> None:
        """Write config_audit_log for what is changed elsewhere, in one transaction.

        For what is not kept in the store: a dead letter, which is in the queue.
        """
        ...

    async def dynamic_values(self) -> list[StoredSetting]:
        """Dynamic configuration that was set over the defaults, by key."""
        ...

    async def change_dynamic_values(
        self, values: Mapping[str, SettingValue | None], change: Change
    ) -> None:
        """Set each key, or with None take it back to its default; all in one transaction.

        What is at its default already is left as it is, and no change.
        """
        ...

    async def mibs(self) -> list[StoredMib]:
        """What was uploaded, sorted by name."""
        ...

    async def mib_text(self, name: str) -> bytes | None:
        """The text of one of them."""
        ...

    async def put_mib(self, name: str, text: bytes, change: Change) -> None:
        """Add a MIB, or replace its text; the history has its digest, not the text."""
        ...

    async def remove_mib(self, name: str, change: Change) -> None:
        """Remove a MIB. Raises NoSuchRecord."""
        ...

    async def trap_severities(self) -> dict[str, int]:
        """OID -> severity, as operators have it."""
        ...

    async def put_trap_severity(self, trap_oid: str, severity: int, change: Change) -> None:
        """Add an OID, or give it another severity."""
        ...

    async def remove_trap_severity(self, trap_oid: str, change: Change) -> None:
        """Remove an OID. Raises NoSuchRecord."""
        ...

    async def config_changes(self, query: ChangeQuery, window: Window) -> Page[ConfigChange]:
        """Configuration changes."""
        ...

    async def maintain(self, retention: Retention, *, now: datetime) -> list[str]:
        """Forget what is old, and make room for what will come.

        Of several daemons on one store one does it; for the others there is nothing to do.

        Returns:
            What was done, one line each, for the log.
        """
        ...

    async def ping(self) -> None:
        """Return when the backend can take a write; raise StoreUnavailable when it cannot."""
        ...
