"""Rules in PostgreSQL.

alert_rules      what is in force; a deleted rule keeps its row and its id
rule_revisions   every rule as it ever was, by (rule_id, revision)
rule_book        one number that rises with every change to rules, hosts or teams

A rule is kept whole, as JSON; the columns beside it are what lists are found and ordered by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from muttd.errors import NoSuchRecord
from muttd.rules.model import Rule, RuleBook, RuleDraft, RulePlan
from muttd.store.contract import Change, Page, RuleQuery, Window
from muttd.store.postgres_changes import Value, as_json, write_change
from muttd.store.postgres_connection import Connection, clean_text
from muttd.store.postgres_hosts import list_expected, list_hosts, list_teams
from muttd.store.postgres_link import PostgresLink
from muttd.store.postgres_search import Where
from muttd.store.rule_contract import RuleRevision
from muttd.store.search import MAX_INTEGER, decode_cursor, encode_cursor, offset_of

_DRAFT_FIELDS = RuleDraft.__struct_fields__
_INSERT = """
    INSERT INTO alert_rules (id, priority, revision, created_at, updated_at, is_active, name,
        team_assignment, searched, rule)
    OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_UPDATE = """
    UPDATE alert_rules SET priority = %s, revision = %s, updated_at = %s, is_active = %s,
        name = %s, team_assignment = %s, searched = %s, rule = %s
    WHERE id = %s
"""

_decoder = msgspec.json.Decoder(Rule)


def _rule(text: str) -> Rule:
    return _decoder.decode(text)


def _value(rule: Rule) -> Value:
    value: Value = msgspec.to_builtins(rule)
    return value


def _searched(rule: Rule) -> str:
    texts = (rule.name, rule.match_string, rule.trap_oid, rule.team_assignment, rule.reason)
    return clean_text("\n".join(text for text in texts if text is not None)).casefold()


def _columns(rule: Rule) -> tuple[object, ...]:
    return rule.is_active, rule.name, rule.team_assignment, _searched(rule), as_json(rule)


def _get(connection: Connection, rule_id: int, *, lock: str = "") -> Rule | None:
    if abs(rule_id) > MAX_INTEGER:
        return None
    row = connection.execute(
        f"SELECT rule::text FROM alert_rules WHERE id = %s AND deleted_at IS NULL {lock}",
        (rule_id,),
    ).fetchone()
    return None if row is None else _rule(row[0])


def _take(connection: Connection, rule_id: int) -> Rule:
    # Nobody else changes it until this transaction ends: revisions count without a gap.
    rule = _get(connection, rule_id, lock="FOR UPDATE")
    if rule is None:
        raise NoSuchRecord([("rule_id", f"there is no rule {rule_id}")])
    return rule


def _keep_revision(connection: Connection, old: Rule | None, rule: Rule, change: Change) -> None:
    connection.execute(
        "INSERT INTO rule_revisions (rule_id, revision, changed_at, changed_by, rule)"
        " VALUES (%s, %s, %s, %s, %s)",
        (rule.id, rule.revision, rule.updated_at, change.actor, as_json(rule)),
    )
    record = ("alert_rules", str(rule.id))
    write_change(connection, change, record, None if old is None else _value(old), _value(rule))


def _made(draft: RuleDraft, rule_id: int, revision: int, times: tuple[datetime, datetime]) -> Rule:
    fields = {name: getattr(draft, name) for name in _DRAFT_FIELDS}
    created_at, updated_at = times
    return Rule(
        **fields, id=rule_id, revision=revision, created_at=created_at, updated_at=updated_at
    )


def _create(connection: Connection, draft: RuleDraft, change: Change) -> Rule:
    [(rule_id, now)] = connection.execute(
        "SELECT nextval(pg_get_serial_sequence('alert_rules', 'id')), now()"
    ).fetchall()
    rule = _made(draft, rule_id, 1, (now, now))
    connection.execute(
        _INSERT,
        (rule.id, rule.priority, rule.revision, rule.created_at, rule.updated_at, *_columns(rule)),
    )
    _keep_revision(connection, None, rule, change)
    return rule


def _update(connection: Connection, rule_id: int, draft: RuleDraft, change: Change) -> Rule:
    old = _take(connection, rule_id)
    [(now,)] = connection.execute("SELECT now()").fetchall()
    rule = _made(draft, rule_id, old.revision + 1, (old.created_at, now))
    connection.execute(
        _UPDATE, (rule.priority, rule.revision, rule.updated_at, *_columns(rule), rule.id)
    )
    _keep_revision(connection, old, rule, change)
    return rule


def _delete(connection: Connection, rule_id: int, change: Change) -> None:
    old = _take(connection, rule_id)
    connection.execute("UPDATE alert_rules SET deleted_at = now() WHERE id = %s", (rule_id,))
    write_change(connection, change, ("alert_rules", str(rule_id)), _value(old), None)


def _restore(connection: Connection, rule_id: int, revision: int, change: Change) -> Rule:
    was = _at(connection, rule_id, revision)
    if was is None:
        raise NoSuchRecord([("revision", f"there is no revision {revision} of rule {rule_id}")])
    [(last, created_at, now, is_deleted)] = connection.execute(
        "SELECT revision, created_at, now(), deleted_at IS NOT NULL FROM alert_rules"
        " WHERE id = %s FOR UPDATE",
        (rule_id,),
    ).fetchall()
    old = None if is_deleted else _take(connection, rule_id)
    rule = _made(was, rule_id, last + 1, (created_at, now))
    connection.execute(
        _UPDATE, (rule.priority, rule.revision, rule.updated_at, *_columns(rule), rule.id)
    )
    connection.execute("UPDATE alert_rules SET deleted_at = NULL WHERE id = %s", (rule_id,))
    _keep_revision(connection, old, rule, change)
    return rule


def _at(connection: Connection, rule_id: int, revision: int) -> Rule | None:
    if max(abs(rule_id), abs(revision)) > MAX_INTEGER:
        return None
    row = connection.execute(
        "SELECT rule::text FROM rule_revisions WHERE rule_id = %s AND revision = %s",
        (rule_id, revision),
    ).fetchone()
    return None if row is None else _rule(row[0])


def _revisions(connection: Connection, rule_id: int, window: Window) -> Page[RuleRevision]:
    offset = offset_of(window)
    where = Where()
    where.equal("rule_id", rule_id)
    total = connection.execute(
        f"SELECT count(*) FROM rule_revisions WHERE {where}", where.parameters
    ).fetchall()[0][0]
    if window.cursor is not None:
        where.add("revision < %s", *decode_cursor(window.cursor, "rule_revisions", int))
    rows = connection.execute(
        "SELECT revision, changed_at, changed_by, rule::text FROM rule_revisions"
        f" WHERE {where} ORDER BY revision DESC LIMIT %s OFFSET %s",
        (*where.parameters, window.limit + 1, offset),
    ).fetchall()
    shown = [
        RuleRevision(
            revision=revision, changed_at=changed_at, changed_by=changed_by, rule=_rule(rule)
        )
        for revision, changed_at, changed_by, rule in rows[: window.limit]
    ]
    more = len(rows) > window.limit
    return Page(shown, total, encode_cursor("rule_revisions", shown[-1].revision) if more else None)


def _all(connection: Connection) -> list[Rule]:
    rows = connection.execute(
        "SELECT rule::text FROM alert_rules WHERE deleted_at IS NULL ORDER BY priority, id"
    )
    return [_rule(row[0]) for row in rows]


def _rewrite(
    connection: Connection, plan: Callable[[Sequence[Rule]], RulePlan], change: Change
) -> RulePlan:
    # What the plan was made of must be what it is carried out on.
    connection.execute("LOCK TABLE alert_rules IN SHARE ROW EXCLUSIVE MODE")
    planned = plan(_all(connection))
    for rule in planned.delete:
        _delete(connection, rule.id, change)
    for rule, draft in planned.update:
        _update(connection, rule.id, draft, change)
    for draft in planned.create:
        _create(connection, draft, change)
    return planned


def _search(connection: Connection, query: RuleQuery, window: Window) -> Page[Rule]:
    offset = offset_of(window)
    where = Where()
    where.add(f"deleted_at IS {'NOT ' * query.is_deleted}NULL")
    if query.q is not None:
        where.add("strpos(searched, %s) > 0", clean_text(query.q).casefold())
    where.equal("is_active", query.is_active)
    where.equal("team_assignment", query.team)
    total = connection.execute(
        f"SELECT count(*) FROM alert_rules WHERE {where}", where.parameters
    ).fetchall()[0][0]
    if window.cursor is not None:
        priority, rule_id = decode_cursor(window.cursor, "rules", int, int)
        where.add("(priority, id) > (%s, %s)", priority, rule_id)
    rows = connection.execute(
        f"SELECT rule::text FROM alert_rules WHERE {where} ORDER BY priority, id"
        " LIMIT %s OFFSET %s",
        (*where.parameters, window.limit + 1, offset),
    ).fetchall()
    shown = [_rule(row[0]) for row in rows[: window.limit]]
    more = len(rows) > window.limit
    return Page(
        shown, total, encode_cursor("rules", shown[-1].priority, shown[-1].id) if more else None
    )


def _book(connection: Connection) -> RuleBook:
    rows = connection.execute(
        "SELECT rule::text FROM alert_rules WHERE deleted_at IS NULL AND is_active"
        " ORDER BY priority, id"
    )
    return RuleBook(
        revision=_revision(connection),
        rules=tuple(_rule(row[0]) for row in rows),
        development_hosts=tuple(list_hosts(connection)),
        device_teams=tuple(list_teams(connection)),
        expected_sources=tuple(list_expected(connection)),
    )


def _revision(connection: Connection) -> int:
    return int(connection.execute("SELECT revision FROM rule_book").fetchall()[0][0])


class PostgresRules:
    """The rule part of the store in PostgreSQL."""

    def __init__(self, link: PostgresLink) -> None:
        self._link = link

    async def rule_book(self) -> RuleBook:
        """What the engine is compiled from, read in one transaction."""
        return await self._link.read(_book)

    async def rule_book_revision(self) -> int:
        """The revision alone; cheap enough to ask every second."""
        return await self._link.read_alone(_revision)

    async def search_rules(self, query: RuleQuery, window: Window) -> Page[Rule]:
        """Rules that are not deleted, in (priority, id) order."""
        return await self._link.read(lambda connection: _search(connection, query, window))

    async def get_rule(self, rule_id: int) -> Rule | None:
        """One rule that is not deleted."""
        return await self._link.read(lambda connection: _get(connection, rule_id))

    async def create_rule(self, draft: RuleDraft, change: Change) -> Rule:
        """Add a rule."""
        return await self._link.write(lambda connection: _create(connection, draft, change))

    async def update_rule(self, rule_id: int, draft: RuleDraft, change: Change) -> Rule:
        """Replace a rule; its revision rises by one. Raises NoSuchRecord."""
        return await self._link.write(
            lambda connection: _update(connection, rule_id, draft, change)
        )

    async def delete_rule(self, rule_id: int, change: Change) -> None:
        """Delete a rule softly: audit rows keep its id and revision. Raises NoSuchRecord."""
        await self._link.write(lambda connection: _delete(connection, rule_id, change))

    async def restore_rule(self, rule_id: int, revision: int, change: Change) -> Rule:
        """Make a rule what it was at a revision; a deleted one comes back. Raises NoSuchRecord."""
        return await self._link.write(
            lambda connection: _restore(connection, rule_id, revision, change)
        )

    async def rule_revisions(self, rule_id: int, window: Window) -> Page[RuleRevision]:
        """A rule as it ever was, newest first; of a deleted rule too."""
        return await self._link.read(lambda connection: _revisions(connection, rule_id, window))

    async def rule_at(self, rule_id: int, revision: int) -> Rule | None:
        """A rule as it was at that revision."""
        return await self._link.read(lambda connection: _at(connection, rule_id, revision))

    async def all_rules(self) -> list[Rule]:
        """Every rule that is not deleted, in (priority, id) order."""
        return await self._link.read(_all)

    async def rewrite_rules(
        self, plan: Callable[[Sequence[Rule]], RulePlan], change: Change
    ) -> RulePlan:
        """Change many rules in one transaction, as the plan says that is made there."""
        # Thousands of rules take longer than any other change.
        return await self._link.keep(lambda connection: _rewrite(connection, plan, change))
