"""Rules in the embedded store.

alert_rules      what is in force; a deleted rule keeps its row and its id
rule_revisions   every rule as it ever was, by (rule_id, revision)
rule_book        one number that rises with every change to rules, hosts or teams
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from muttd.decision import Handling
from muttd.errors import NoSuchRecord
from muttd.rules.model import (
    MatchType,
    Rule,
    RuleBook,
    RuleDraft,
    RulePlan,
    SeverityOp,
    TeamEntry,
)
from muttd.sqlite_file import SqliteFile, from_microseconds, to_microseconds
from muttd.store.contract import Change, Page, RuleQuery, Window
from muttd.store.rule_contract import RuleRevision
from muttd.store.search import MAX_INTEGER, decode_cursor, encode_cursor, offset_of
from muttd.store.sqlite_changes import write_change
from muttd.store.sqlite_hosts import list_expected
from muttd.store.sqlite_search import Where

# Names of columns and of fields alike.
_DRAFT_FIELDS = RuleDraft.__struct_fields__
_FIELDS = (*_DRAFT_FIELDS, "id", "revision", "created_at", "updated_at")
_COLUMNS = ", ".join(_FIELDS)
_decoder = msgspec.json.Decoder(Rule)
_SEARCHED = ["name", "match_string", "trap_oid", "team_assignment", "reason"]


def _rule(row: tuple[Any, ...]) -> Rule:
    values = dict(zip(_FIELDS, row, strict=True))
    values["match_type"] = MatchType(values["match_type"])
    values["severity_op"] = SeverityOp(values["severity_op"])
    values["prod_handling"] = Handling(values["prod_handling"])
    values["dev_handling"] = Handling(values["dev_handling"])
    values["is_active"] = bool(values["is_active"])
    values["created_at"] = from_microseconds(values["created_at"])
    values["updated_at"] = from_microseconds(values["updated_at"])
    return Rule(**values)


def _draft_columns(draft: RuleDraft) -> list[object]:
    return [getattr(draft, field) for field in _DRAFT_FIELDS]


def _as_json(rule: Rule) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(rule)
    return value


def _get(connection: sqlite3.Connection, rule_id: int) -> Rule | None:
    if abs(rule_id) > MAX_INTEGER:
        return None
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM alert_rules WHERE id = ? AND deleted_at IS NULL", (rule_id,)
    ).fetchone()
    return None if row is None else _rule(row)


def _must_get(connection: sqlite3.Connection, rule_id: int) -> Rule:
    rule = _get(connection, rule_id)
    if rule is None:
        raise NoSuchRecord([("rule_id", f"there is no rule {rule_id}")])
    return rule


def _keep_revision(
    connection: sqlite3.Connection, old: Rule | None, rule: Rule, change: Change
) -> None:
    connection.execute(
        "INSERT INTO rule_revisions VALUES (?, ?, ?, ?, ?)",
        (
            rule.id,
            rule.revision,
            msgspec.json.encode(rule).decode(),
            to_microseconds(rule.updated_at),
            change.actor,
        ),
    )
    write_change(
        connection,
        change,
        ("alert_rules", str(rule.id)),
        None if old is None else _as_json(old),
        _as_json(rule),
    )


def _create(connection: sqlite3.Connection, draft: RuleDraft, change: Change) -> Rule:
    now = time.time_ns() // 1000
    columns = [*_draft_columns(draft), 1, now, now]
    names = ", ".join((*_DRAFT_FIELDS, "revision", "created_at", "updated_at"))
    marks = ", ".join("?" * len(columns))
    rule_id = connection.execute(
        f"INSERT INTO alert_rules ({names}) VALUES ({marks})", columns
    ).lastrowid
    assert rule_id is not None, "an INSERT without OR IGNORE always has a row"
    rule = _must_get(connection, rule_id)
    _keep_revision(connection, None, rule, change)
    return rule


def _update(connection: sqlite3.Connection, rule_id: int, draft: RuleDraft, change: Change) -> Rule:
    old = _must_get(connection, rule_id)
    assignments = ", ".join(f"{field} = ?" for field in _DRAFT_FIELDS)
    connection.execute(
        f"UPDATE alert_rules SET {assignments}, revision = revision + 1, updated_at = ?"
        " WHERE id = ?",
        (*_draft_columns(draft), time.time_ns() // 1000, rule_id),
    )
    rule = _must_get(connection, rule_id)
    _keep_revision(connection, old, rule, change)
    return rule


def _delete(connection: sqlite3.Connection, rule_id: int, change: Change) -> None:
    old = _must_get(connection, rule_id)
    connection.execute(
        "UPDATE alert_rules SET deleted_at = ? WHERE id = ?", (time.time_ns() // 1000, rule_id)
    )
    write_change(connection, change, ("alert_rules", str(rule_id)), _as_json(old), None)


def _restore(connection: sqlite3.Connection, rule_id: int, revision: int, change: Change) -> Rule:
    was = _at(connection, rule_id, revision)
    if was is None:
        raise NoSuchRecord([("revision", f"there is no revision {revision} of rule {rule_id}")])
    old = _get(connection, rule_id)
    assignments = ", ".join(f"{field} = ?" for field in _DRAFT_FIELDS)
    connection.execute(
        f"UPDATE alert_rules SET {assignments}, revision = revision + 1, updated_at = ?,"
        " deleted_at = NULL WHERE id = ?",
        (*_draft_columns(was), time.time_ns() // 1000, rule_id),
    )
    rule = _must_get(connection, rule_id)
    _keep_revision(connection, old, rule, change)
    return rule


def _at(connection: sqlite3.Connection, rule_id: int, revision: int) -> Rule | None:
    if max(abs(rule_id), abs(revision)) > MAX_INTEGER:
        return None
    row = connection.execute(
        "SELECT rule FROM rule_revisions WHERE rule_id = ? AND revision = ?", (rule_id, revision)
    ).fetchone()
    return None if row is None else _decoder.decode(row[0])


def _revisions(connection: sqlite3.Connection, rule_id: int, window: Window) -> Page[RuleRevision]:
    offset = offset_of(window)
    where = Where()
    where.equal("rule_id", rule_id)
    total = connection.execute(
        f"SELECT count(*) FROM rule_revisions WHERE {where}", where.parameters
    ).fetchone()[0]
    if window.cursor is not None:
        where.add("revision < ?", *decode_cursor(window.cursor, "rule_revisions", int))
    rows = connection.execute(
        "SELECT revision, changed_at, changed_by, rule FROM rule_revisions"
        f" WHERE {where} ORDER BY revision DESC LIMIT ? OFFSET ?",
        (*where.parameters, window.limit + 1, offset),
    ).fetchall()
    shown = [
        RuleRevision(
            revision=revision,
            changed_at=from_microseconds(changed_at),
            changed_by=changed_by,
            rule=_decoder.decode(rule),
        )
        for revision, changed_at, changed_by, rule in rows[: window.limit]
    ]
    more = len(rows) > window.limit
    return Page(shown, total, encode_cursor("rule_revisions", shown[-1].revision) if more else None)


def _all(connection: sqlite3.Connection) -> list[Rule]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM alert_rules WHERE deleted_at IS NULL ORDER BY priority, id"
    )
    return [_rule(row) for row in rows]


def _rewrite(
    connection: sqlite3.Connection, plan: Callable[[Sequence[Rule]], RulePlan], change: Change
) -> RulePlan:
    planned = plan(_all(connection))
    for rule in planned.delete:
        _delete(connection, rule.id, change)
    for rule, draft in planned.update:
        _update(connection, rule.id, draft, change)
    for draft in planned.create:
        _create(connection, draft, change)
    return planned


def _search(connection: sqlite3.Connection, query: RuleQuery, window: Window) -> Page[Rule]:
    offset = offset_of(window)
    where = Where()
    where.add(f"deleted_at IS {'NOT ' * query.is_deleted}NULL")
    where.contains(_SEARCHED, query.q)
    where.equal("is_active", query.is_active)
    where.equal("team_assignment", query.team)
    total = connection.execute(
        f"SELECT count(*) FROM alert_rules WHERE {where}", where.parameters
    ).fetchone()[0]
    if window.cursor is not None:
        priority, rule_id = decode_cursor(window.cursor, "rules", int, int)
        where.add("(priority, id) > (?, ?)", priority, rule_id)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM alert_rules WHERE {where} ORDER BY priority, id LIMIT ? OFFSET ?",
        (*where.parameters, window.limit + 1, offset),
    ).fetchall()
    shown = [_rule(row) for row in rows[: window.limit]]
    more = len(rows) > window.limit
    return Page(
        shown, total, encode_cursor("rules", shown[-1].priority, shown[-1].id) if more else None
    )


def _book(connection: sqlite3.Connection) -> RuleBook:
    rules = connection.execute(
        f"SELECT {_COLUMNS} FROM alert_rules WHERE deleted_at IS NULL AND is_active"
        " ORDER BY priority, id"
    )
    hosts = connection.execute("SELECT hostname FROM development_hosts ORDER BY hostname")
    teams = connection.execute(
        "SELECT hostname, team_assignment FROM device_teams ORDER BY hostname"
    )
    return RuleBook(
        revision=_revision(connection),
        rules=tuple(_rule(row) for row in rules),
        development_hosts=tuple(row[0] for row in hosts),
        device_teams=tuple(TeamEntry(hostname=row[0], team_assignment=row[1]) for row in teams),
        expected_sources=tuple(list_expected(connection)),
    )


def _revision(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT revision FROM rule_book").fetchone()[0])


class SqliteRules:
    """The rule part of the embedded store."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def rule_book(self) -> RuleBook:
        """What the engine is compiled from, read in one transaction."""
        return await self._file.read(_book)

    async def rule_book_revision(self) -> int:
        """The revision alone; cheap enough to ask every second."""
        return await self._file.read(_revision)

    async def search_rules(self, query: RuleQuery, window: Window) -> Page[Rule]:
        """Rules that are not deleted, in (priority, id) order."""
        return await self._file.read(lambda connection: _search(connection, query, window))

    async def get_rule(self, rule_id: int) -> Rule | None:
        """One rule that is not deleted."""
        return await self._file.read(lambda connection: _get(connection, rule_id))

    async def create_rule(self, draft: RuleDraft, change: Change) -> Rule:
        """Add a rule."""
        return await self._file.write(lambda connection: _create(connection, draft, change))

    async def update_rule(self, rule_id: int, draft: RuleDraft, change: Change) -> Rule:
        """Replace a rule; its revision rises by one. Raises NoSuchRecord."""
        return await self._file.write(
            lambda connection: _update(connection, rule_id, draft, change)
        )

    async def delete_rule(self, rule_id: int, change: Change) -> None:
        """Delete a rule softly: audit rows keep its id and revision. Raises NoSuchRecord."""
        await self._file.write(lambda connection: _delete(connection, rule_id, change))

    async def restore_rule(self, rule_id: int, revision: int, change: Change) -> Rule:
        """Make a rule what it was at a revision; a deleted one comes back. Raises NoSuchRecord."""
        return await self._file.write(
            lambda connection: _restore(connection, rule_id, revision, change)
        )

    async def rule_revisions(self, rule_id: int, window: Window) -> Page[RuleRevision]:
        """A rule as it ever was, newest first; of a deleted rule too."""
        return await self._file.read(lambda connection: _revisions(connection, rule_id, window))

    async def rule_at(self, rule_id: int, revision: int) -> Rule | None:
        """A rule as it was at that revision."""
        return await self._file.read(lambda connection: _at(connection, rule_id, revision))

    async def all_rules(self) -> list[Rule]:
        """Every rule that is not deleted, in (priority, id) order."""
        return await self._file.read(_all)

    async def rewrite_rules(
        self, plan: Callable[[Sequence[Rule]], RulePlan], change: Change
    ) -> RulePlan:
        """Change many rules in one transaction, as the plan says that is made there."""
        return await self._file.write(lambda connection: _rewrite(connection, plan, change))
