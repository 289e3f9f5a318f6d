"""What a rule is.

    a rule matches  =  any of its patterns (text, OID)  and  all of its conditions (severity, host)
    the first match in (priority, id) order decides; lower priority wins

A RuleDraft is what a client writes, validated; a Rule is what the store keeps.
"""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec

from muttd.decision import Handling

DEFAULT_PRIORITY = 100


class MatchType(enum.StrEnum):
    """How match_string (or trap_oid) is compared."""

    CONTAINS = "contains"
    REGEX = "regex"
    OID_PREFIX = "oid_prefix"


class SeverityOp(enum.StrEnum):
    """How syslog_severity is compared. at_least means at least as severe: numerically at most."""

    EQ = "eq"
    AT_LEAST = "at_least"


class RuleDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as a client writes it; every value is validated (rules/validate.py).

    Attributes:
        name: Short, for humans; not unique.
        match_string: The text (contains), the expression (regex) or, with match_type oid_prefix
            and no trap_oid, the OID. None: no text pattern.
        match_type: How match_string is compared.
        trap_oid: An OID prefix, normalised: no leading dot, no trailing ".*".
        syslog_severity, severity_op: Condition on the severity.
        host_pattern: Condition on the host: glob, or CIDR against source_ip.
        priority: Lower wins; ties go to the lower id.
        prod_handling, dev_handling: What is done, by environment.
        team_assignment: Whose it is.
        repeat_interval_s: After an alert, others of the same signature are held back for this
            long, and counted. None: each event raises one.
        clear_match: What an event says that ends the problem: compared as match_string is, an
            OID with match_type oid_prefix. None: nothing ends it.
        destination: The name of the destination that alerts go to; None: wherever the team's go.
        is_active: Whether it takes part.
        reason: Why the rule exists.
    """

    name: str
    match_string: str | None = None
    match_type: MatchType = MatchType.CONTAINS
    trap_oid: str | None = None
    syslog_severity: int | None = None
    severity_op: SeverityOp = SeverityOp.EQ
    host_pattern: str | None = None
    priority: int = DEFAULT_PRIORITY
    prod_handling: Handling
    dev_handling: Handling
    team_assignment: str
    repeat_interval_s: float | None = None
    clear_match: str | None = None
    destination: str | None = None
    is_active: bool = True
    reason: str | None = None


class Rule(RuleDraft, frozen=True, kw_only=True):
    """A rule as the store keeps it.

    Attributes:
        id: Ours, rising, never given twice.
        revision: 1 for the first, one more with each change.
        created_at, updated_at: Aware, UTC.
    """

    id: int
    revision: int
    created_at: datetime
    updated_at: datetime


class RulePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What an import makes of the rules that are there.

    Attributes:
        create: New ones, in the order of the file.
        update: What becomes of rules that are there.
        delete: Rules that go.
        unchanged: How many are in the file as they are here.
    """

    create: tuple[RuleDraft, ...] = ()
    update: tuple[tuple[Rule, RuleDraft], ...] = ()
    delete: tuple[Rule, ...] = ()
    unchanged: int = 0


class TeamEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of device_teams: exact name, glob or CIDR; the most specific wins."""

    hostname: str
    team_assignment: str


class ExpectedSource(msgspec.Struct, frozen=True, kw_only=True):
    """One line of expected_sources: whoever it names is missed when he is silent.

    Attributes:
        hostname: Exact name, glob or CIDR; the most specific one wins. An exact name is expected
            at once, the others name hosts that were heard before.
        expect_every_s: Something is heard of the host at least this often.
        team_assignment: Whose the alert is; None: the host's by device_teams, or the default one.
        severity: Of the alert.
    """

    hostname: str
    expect_every_s: int
    team_assignment: str | None = None
    severity: int = 3


class RuleBook(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the engine is compiled from, read in one transaction.

    Attributes:
        revision: Rises with every change to rules, hosts or teams.
        rules: Active rules, in (priority, id) order.
        development_hosts: Exact names, globs and CIDRs.
        device_teams: Exact names, globs and CIDRs with their team.
        expected_sources: Exact names, globs and CIDRs with what is expected of them.
    """

    revision: int
    rules: tuple[Rule, ...] = ()
    development_hosts: tuple[str, ...] = ()
    device_teams: tuple[TeamEntry, ...] = ()
    expected_sources: tuple[ExpectedSource, ...] = ()
