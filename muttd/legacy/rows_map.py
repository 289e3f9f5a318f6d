"""Rows of the predecessor's tables -> rules, hosts and teams of ours, and a finding for each.

The predecessor compared a trap's OID only where match_type was oid_prefix, and then asked for no
severity; it compared the text of everything else, and then did. A rule is mapped to what it did.
Names come from ids ("legacy 12"), so that a second import finds the rules of the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from muttd.errors import InvalidInput
from muttd.legacy.findings import Finding, Verdict
from muttd.legacy.tables import HOSTS, RULES, TEAMS, Row, Tables
from muttd.rules.fields import MAX_REASON_CHARACTERS
from muttd.rules.model import RuleDraft, TeamEntry
from muttd.rules.validate import draft_rule, validate_host_entry

# As CSV, COPY and people write booleans.
_TRUE = {"t", "true", "1", "yes", "on"}
_FALSE = {"f", "false", "0", "no", "off"}
_EXPLANATIONS = ("reason", "description", "notes")
_READ = {
    *("id", "name", "match_string", "trap_oid", "syslog_severity", "match_type", "priority"),
    *("prod_handling", "dev_handling", "team_assignment", "is_active", *_EXPLANATIONS),
}


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What becomes of the tables."""

    rules: list[RuleDraft] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    teams: list[TeamEntry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def say(self, verdict: Verdict, what: str, text: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(verdict, what, text))


def map_tables(tables: Tables) -> TablePlan:
    """Map every row; the order among equal priorities is kept."""
    plan = TablePlan()
    rules = sorted(enumerate(tables.rules or (), start=1), key=_order)
    for number, row in rules:
        _map_rule(row, number, plan)
    _map_hosts(tables.hosts or (), plan)
    _map_teams(tables.teams or (), plan)
    for table, rows, read in (
        (RULES, tables.rules, _READ),
        (HOSTS, tables.hosts, {"hostname"}),
        (TEAMS, tables.teams, {"hostname", "team_assignment"}),
    ):
        others = sorted({str(name) for row in rows or () for name in set(row) - read})
        if others:
            plan.say(Verdict.LEFT, table, f"columns without a place here: {', '.join(others)}")
    return plan


def _order(numbered: tuple[int, Row]) -> tuple[float, int]:
    number, row = numbered
    text = str(row.get("id") or "")
    return (int(text) if text.isdigit() else float("inf"), number)


def _map_rule(row: Row, number: int, plan: TablePlan) -> None:
    rule_id = str(row.get("id") or f"row {number}")
    what = f"{RULES} {rule_id}"
    try:
        values, notes = _values(row, f"legacy {rule_id}")
        draft = draft_rule(values)
    except ValueError as exc:
        plan.say(Verdict.MEND, what, f"not imported: {exc}")
    except InvalidInput as exc:
        problems = "; ".join(f"{name}: {' '.join(text.split())}" for name, text in exc.problems)
        plan.say(Verdict.MEND, what, f"not imported: {problems}")
    else:
        plan.rules.append(draft)
        plan.say(Verdict.MAPPED, what, "; ".join([f"rule {draft.name!r}", *notes]))


def _values(row: Row, name: str) -> tuple[dict[str, Any], list[str]]:
    """The fields of a rule as draft_rule() takes them, and what differs from the row."""
    notes: list[str] = []
    match_type = _word(row, "match_type") or "contains"
    text, oid = _text(row, "match_string"), _word(row, "trap_oid")
    severity: object = row.get("syslog_severity")
    if isinstance(severity, str):
        severity = severity.strip() or None
    if match_type == "oid_prefix":
        if text is not None:
            notes.append("its match_string is left out: it was never compared")
        if severity is not None:
            notes.append("its syslog_severity is left out: it was never asked of a trap")
        text = severity = None
        if oid is None:
            raise ValueError("match_type oid_prefix without trap_oid matched nothing")
    elif oid is not None:
        notes.append(f"its trap_oid never matched by {match_type}; here it does as well")
    if match_type != "oid_prefix" and text is None:
        raise ValueError(f"{match_type} without match_string matched nothing")
    values: dict[str, Any] = {
        "name": name,
        "match_string": text,
        "match_type": match_type,
        "trap_oid": oid,
        "syslog_severity": severity,
        "priority": _number(row, "priority", 100),
        "prod_handling": _word(row, "prod_handling"),
        "dev_handling": _word(row, "dev_handling"),
        "team_assignment": _word(row, "team_assignment"),
        "is_active": _flag(row, "is_active"),
        "reason": _reason(row),
    }
    if not values["is_active"]:
        notes.append("inactive, as it was")
    return values, notes


def _reason(row: Row) -> str | None:
    texts = [str(row[name]).strip() for name in ("name", *_EXPLANATIONS) if row.get(name)]
    return "; ".join(texts)[:MAX_REASON_CHARACTERS].strip() or None


def _text(row: Row, name: str) -> str | None:
    value = row.get(name)
    # Blanks at its ends may be meant; blanks alone are refused by draft_rule(), with the reason.
    return value if isinstance(value, str) and value else None


def _word(row: Row, name: str) -> str | None:
    value = row.get(name)
    return value.strip() or None if isinstance(value, str) else None


def _number(row: Row, name: str, default: int) -> int:
    value = row.get(name)
    if value is None:
        return default
    try:
        return int(str(value).strip())
    except ValueError:
        raise ValueError(f"{name} must be a whole number") from None


def _flag(row: Row, name: str) -> bool:
    value = row.get(name)
    word = "true" if value is None else str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{name} must be true or false")
    return word in _TRUE


def _map_hosts(rows: Iterable[Row], plan: TablePlan) -> None:
    seen: dict[str, str] = {}
    for row in _by_host(rows):
        entry = _entry(row, HOSTS, plan)
        if entry is None:
            continue
        if entry.lower() in seen:
            plan.say(Verdict.LEFT, f"{HOSTS} {entry}", "is there already, in another case")
            continue
        seen[entry.lower()] = entry
        plan.hosts.append(entry)
        plan.say(Verdict.MAPPED, f"{HOSTS} {entry}", "development host" + _if_pattern(entry))


def _map_teams(rows: Iterable[Row], plan: TablePlan) -> None:
    seen: dict[str, TeamEntry] = {}
    for row in _by_host(rows):
        entry = _entry(row, TEAMS, plan)
        if entry is None:
            continue
        team = _word(row, "team_assignment")
        what = f"{TEAMS} {entry}"
        if team is None:
            plan.say(Verdict.MEND, what, "not imported: it names no team")
            continue
        other = seen.get(entry.lower())
        if other is not None:
            verdict = Verdict.LEFT if other.team_assignment == team else Verdict.MEND
            plan.say(verdict, what, f"is there already, in another case: {other.team_assignment}")
            continue
        seen[entry.lower()] = made = TeamEntry(hostname=entry, team_assignment=team)
        plan.teams.append(made)
        plan.say(Verdict.MAPPED, what, f"team {team}" + _if_pattern(entry))


def _by_host(rows: Iterable[Row]) -> list[Row]:
    # Of two that differ in case the same one counts, however the database sorts them.
    return sorted(rows, key=lambda row: str(row.get("hostname") or ""))


def _entry(row: Mapping[str, object], table: str, plan: TablePlan) -> str | None:
    name = str(row.get("hostname") or "").strip()
    try:
        return validate_host_entry(name)
    except InvalidInput as exc:
        [(_, why)] = exc.problems
        plan.say(Verdict.MEND, f"{table} {name or 'without hostname'}", f"not imported: {why}")
        return None


def _if_pattern(entry: str) -> str:
    if any(character in entry for character in "*?[/"):
        return "; there it was a name, here it is a pattern"
    return ""
