"""What the answers of the API look like, for /api/openapi.json and for the tests of every answer.

Answers that are made of a Struct of ours are declared by that Struct; these are the others.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import Meta

from muttd.decision import AlertState, Environment, Handling
from muttd.event import Transport
from muttd.mibs.entry import MibEntry
from muttd.queue.letters import LetterKind
from muttd.rules.explain import Explanation
from muttd.rules.model import ExpectedSource, Rule, TeamEntry

# As iso_utc writes it: UTC, microseconds, a Z.
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Severity = Annotated[int, Meta(ge=0, le=7)]


class VarbindShape(TypedDict):
    """One of an event's varbinds, in wire order."""

    name: str
    oid: str
    type: str
    value: str


class EventShape(TypedDict):
    """What came in."""

    event_id: str
    received_at: Moment
    event_time: Moment | None
    source_ip: str
    hostname: str
    transport: Transport
    severity: Severity
    severity_name: str
    facility: int | None
    app_name: str | None
    procid: str | None
    msgid: str | None
    structured_data: dict[str, list[tuple[str, str]]]
    trap_oid: str | None
    varbinds: list[VarbindShape]
    attributes: dict[str, Any]
    message: str
    raw: str
    raw_encoding: Literal["utf-8", "base64"]
    correlation_id: str | None
    malformed: str | None


class DecidedEvent(EventShape):
    """What came in, and what the rules made of it."""

    matched: bool
    rule_id: int | None
    rule_name: str | None
    rule_revision: int | None
    handling: Handling | None
    environment: Environment
    team: str | None
    is_clear: bool
    held_by: str | None


class AlertSummary(TypedDict):
    """An alert in a list."""

    alert_id: str
    signature: str
    state: AlertState
    attempts: int
    updated_at: Moment
    created_at: Moment
    last_error: str | None
    event_id: str
    hostname: str
    message: str
    severity: Severity
    rule_id: int | None
    rule_name: str | None
    handling: Handling | None
    team: str | None
    environment: Environment
    destination: str | None
    is_clear: bool
    held_back: int


class DeliveryShape(TypedDict):
    """One attempt to deliver an alert."""

    attempt: int
    attempted_at: Moment
    outcome: AlertState
    status: int | None
    error: str | None
    duration_s: float


class AlertShape(AlertSummary):
    """An alert with its deliveries, oldest first."""

    deliveries: list[DeliveryShape]


class AlertWithEvent(AlertShape):
    """An alert with its deliveries and its event."""

    event: EventShape


class DecidedThen(msgspec.Struct, frozen=True, kw_only=True):
    """The rule that decided an event, as it was then.

    Attributes:
        rule: Its revision of then; None: that was not kept.
        present_revision: Its revision now; None: it was deleted since.
        matches: Whether that revision, asked again, matches the event.
    """

    rule_id: int
    rule_revision: int
    rule: Rule | None
    present_revision: int | None
    matches: bool | None


class EventExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why an event was decided so.

    Attributes:
        then: By the rule that was in force when it came; None: no rule matched it.
        now: How the rules in force now decide it; None: none were read yet.
    """

    then: DecidedThen | None
    now: Explanation | None


class ExplainedEvent(DecidedEvent):
    """An event with the alert that it raised, if it did, and why it was decided so."""

    alert: AlertShape | None
    explain: EventExplanation


class EventContext(TypedDict):
    """An event, and what its host said before and after it."""

    event: DecidedEvent
    before: list[DecidedEvent]
    after: list[DecidedEvent]


class DevHost(TypedDict):
    """An entry of development_hosts."""

    hostname: str


class DevHosts(TypedDict):
    """All of development_hosts."""

    hosts: list[DevHost]
    total: int


class Teams(TypedDict):
    """All of device_teams."""

    teams: list[TeamEntry]
    total: int


class Mibs(TypedDict):
    """Every text with MIBs."""

    mibs: list[MibEntry]
    total: int


class TrapSeverity(TypedDict):
    """How bad a notification is, and whatever is below its OID."""

    trap_oid: str
    name: str
    severity: int
    severity_name: str


class TrapSeverities(TypedDict):
    """All that operators have set."""

    trap_severities: list[TrapSeverity]
    total: int


class ExpectedSources(TypedDict):
    """All of expected_sources."""

    sources: list[ExpectedSource]
    total: int


class Health(TypedDict):
    """The loop turns."""

    status: Literal["ok"]


class DependencyShape(TypedDict):
    """One dependency or listener."""

    ok: bool
    error: str | None


class Readiness(TypedDict):
    """Every dependency and listener by name."""

    status: Literal["ready", "unready"]
    dependencies: dict[str, DependencyShape]


class DeadLetterSummary(TypedDict):
    """What was given up on, with why; what it is about is null when nobody can read it."""

    letter_id: str
    kind: LetterKind
    item_id: str
    reason: str
    error: str
    attempts: int
    replays: int
    is_parked: bool
    first_failed_at: Moment
    last_failed_at: Moment
    origin: str
    destination: str | None
    hostname: str | None
    severity: Severity | None
    message: str | None


class LetterAlert(TypedDict):
    """The alert in a dead letter."""

    alert_id: str
    signature: str
    created_at: Moment
    team: str | None
    handling: Handling | None
    environment: Environment
    rule_id: int | None
    rule_name: str | None


class DeadLetterShape(DeadLetterSummary):
    """A dead letter with all that is in it."""

    event: EventShape | None
    alert: LetterAlert | None
    payload_base64: str | None


class Replayed(TypedDict):
    """What became of the dead letters that were to be put back."""

    replayed: int
    parked: int
    unknown: int
    left: int


class Discarded(TypedDict):
    """What became of the dead letters that were to be discarded."""

    discarded: int
    unknown: int
    left: int


class Setting(TypedDict):
    """A setting that can change while the daemons run, with what it may be."""

    key: str
    value: int | float | str
    default: int | float | str
    source: Literal["default", "environment", "store"]
    type: Literal["whole number", "number", "text"]
    unit: str | None
    at_least: int | float | None
    at_most: int | float | None
    text: str
    environment_name: str
    changed_by: str | None
    changed_at: Moment | None


class Config(TypedDict):
    """All of the settings that can change while the daemons run."""

    config: list[Setting]


class ApiKeyShape(TypedDict):
    """An API key, without its secret."""

    id: int | None
    name: str
    role: Literal["ingest", "viewer", "operator", "admin"]
    source: Literal["store", "configuration"]
    is_valid: bool
    created_at: Moment | None
    created_by: str | None
    expires_at: Moment | None
    revoked_at: Moment | None


class ApiKeys(TypedDict):
    """Every API key."""

    keys: list[ApiKeyShape]


class NewApiKey(ApiKeyShape):
    """An API key with its secret, for the one time that it is shown."""

    key: str


class Rates(TypedDict):
    """Messages a second that this daemon received."""

    received_per_s_1m: float
    received_per_s_15m: float
    received_per_s_1h: float


class Talker(TypedDict):
    """A host, and how many events of the last hour this daemon had from it."""

    hostname: str
    events: int


class ChartBucket(TypedDict):
    """What all daemons recorded of one bucket of time; by_severity begins with emerg."""

    start: Moment
    matched: int
    unmatched: int
    by_severity: list[int]


class Chart(TypedDict):
    """The hours that were asked for, oldest first; the last bucket is not over yet."""

    bucket_s: int
    buckets: list[ChartBucket]


class MetricsSummary(TypedDict):
    """What came in lately."""

    rates: Rates
    events_24h: int
    matched_24h: int
    chart: Chart
    top_talkers: list[Talker]


class ServiceLevel(TypedDict):
    """How well one component did its work; good of total in the window."""

    component: str
    availability: float
    burn_rate_1h: float
    budget_left: float
    good: int
    total: int


class ServiceLevelsShape(TypedDict):
    """Every component of this daemon against the target."""

    target: float
    window_s: float
    components: list[ServiceLevel]
