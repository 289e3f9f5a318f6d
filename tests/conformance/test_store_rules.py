"""What every store backend promises about rules, hosts, teams and the history of their changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from samples import a_draft, matched

from muttd.decision import AlertState, Handling
from muttd.errors import DuplicateRecord, NoSuchRecord
from muttd.rules.model import ExpectedSource, MatchType, Rule, RuleDraft, SeverityOp, TeamEntry
from muttd.store.contract import (
    Change,
    ChangedRecord,
    ChangeQuery,
    ConfigChange,
    RuleQuery,
    Store,
    Window,
)

ANN = Change("ann", reason="ticket 7", correlation_id="c-1")
BOB = Change("bob")


def a_team(hostname: str, team: str = "NETO") -> TeamEntry:
    return TeamEntry(hostname=hostname, team_assignment=team)


def as_json(rule: Rule) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(rule)
    return value


async def changes(store: Store, query: ChangeQuery | None = None) -> list[ConfigChange]:
    page = await store.config_changes(query or ChangeQuery(), Window(limit=200))
    assert page.total == len(page.items)
    return page.items


async def rule_ids(store: Store, query: RuleQuery) -> list[int]:
    page = await store.search_rules(query, Window(limit=200))
    assert page.total == len(page.items)
    return [rule.id for rule in page.items]


async def test_a_rule_comes_back_as_it_was_written(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    draft = RuleDraft(
        name="naïve \x00 ' \" %",
        match_string="^%LINK.*$",
        match_type=MatchType.REGEX,
        trap_oid="1.3.6.1.6.3.1.1.5.3",
        syslog_severity=0,
        severity_op=SeverityOp.AT_LEAST,
        host_pattern="192.0.2.0/24",
        priority=-5,
        prod_handling=Handling.TICKET_ONLY,
        dev_handling=Handling.SUPPRESS,
        team_assignment="Ünix",
        repeat_interval_s=0.1 + 0.2,
        clear_match="^%LINK.*é up$",
        destination="Moog EMEA",
        is_active=False,
        reason="because",
    )
    rule = await store.create_rule(draft, ANN)
    fields = {name: getattr(rule, name) for name in RuleDraft.__struct_fields__}
    assert RuleDraft(**fields) == draft
    assert rule.revision == 1
    assert before <= rule.created_at == rule.updated_at
    assert await store.get_rule(rule.id) == rule


async def test_an_updated_rule_has_the_next_revision(store: Store) -> None:
    rule = await store.create_rule(a_draft(), ANN)
    updated = await store.update_rule(rule.id, a_draft(name="renamed", priority=1), BOB)
    assert (updated.id, updated.name, updated.priority) == (rule.id, "renamed", 1)
    assert updated.revision == 2
    assert updated.created_at == rule.created_at <= updated.updated_at
    assert await store.get_rule(rule.id) == updated


async def test_a_deleted_rule_is_gone_from_every_list(store: Store) -> None:
    rule = await store.create_rule(a_draft(), ANN)
    await store.delete_rule(rule.id, BOB)
    assert await store.get_rule(rule.id) is None
    assert await rule_ids(store, RuleQuery()) == []
    assert (await store.rule_book()).rules == ()


async def test_events_keep_the_id_and_revision_of_a_deleted_rule(store: Store) -> None:
    rule = await store.create_rule(a_draft(), ANN)
    decided = matched(1, rule_id=rule.id)
    await store.record([decided], [], AlertState.QUEUED)
    await store.delete_rule(rule.id, BOB)
    assert await store.get_event(decided.event.event_id) == decided


async def test_a_rule_id_is_never_given_twice(store: Store) -> None:
    first = await store.create_rule(a_draft(), ANN)
    await store.delete_rule(first.id, ANN)
    second = await store.create_rule(a_draft(), ANN)
    assert second.id > first.id


@pytest.mark.parametrize("rule_id", [0, -1, 12345, 10**30])
async def test_a_rule_that_is_not_there_is_missing_everywhere(store: Store, rule_id: int) -> None:
    assert await store.get_rule(rule_id) is None
    with pytest.raises(NoSuchRecord):
        await store.update_rule(rule_id, a_draft(), ANN)
    with pytest.raises(NoSuchRecord):
        await store.delete_rule(rule_id, ANN)
    assert await changes(store) == []


async def test_a_deleted_rule_can_neither_be_updated_nor_deleted_again(store: Store) -> None:
    rule = await store.create_rule(a_draft(), ANN)
    await store.delete_rule(rule.id, ANN)
    with pytest.raises(NoSuchRecord):
        await store.update_rule(rule.id, a_draft(), ANN)
    with pytest.raises(NoSuchRecord):
        await store.delete_rule(rule.id, ANN)


async def test_rules_are_listed_by_priority_then_by_id(store: Store) -> None:
    created = [await store.create_rule(a_draft(priority=p), ANN) for p in (100, 5, 100, -1, 5)]
    expected = [created[n].id for n in (3, 1, 4, 0, 2)]
    assert await rule_ids(store, RuleQuery()) == expected
    assert [rule.id for rule in (await store.rule_book()).rules] == expected


async def test_rules_are_found_by_text_activity_and_team(store: Store) -> None:
    drafts = [
        a_draft(name="Link down"),
        a_draft(match_string="100% LINK", name="b", is_active=False),
        a_draft(match_string=None, trap_oid="1.3.6.1", name="c", team_assignment="SYSO"),
        a_draft(match_string=None, name="d", reason="see the link budget, déjà vu"),
    ]
    ids = [(await store.create_rule(draft, ANN)).id for draft in drafts]
    assert await rule_ids(store, RuleQuery(q="link")) == [ids[0], ids[1], ids[3]]
    assert await rule_ids(store, RuleQuery(q="%")) == [ids[1]]
    assert await rule_ids(store, RuleQuery(q="DÉJÀ")) == [ids[3]]
    assert await rule_ids(store, RuleQuery(q="1.3.6")) == [ids[2]]
    assert await rule_ids(store, RuleQuery(is_active=False)) == [ids[1]]
    assert await rule_ids(store, RuleQuery(is_active=True)) == [ids[0], ids[2], ids[3]]
    assert await rule_ids(store, RuleQuery(team="SYSO")) == [ids[2]]


async def test_following_the_cursor_shows_every_rule_once(store: Store) -> None:
    ids = [(await store.create_rule(a_draft(priority=n // 3), ANN)).id for n in range(9)]
    seen: list[int] = []
    cursor: str | None = None
    for _ in range(3):
        page = await store.search_rules(RuleQuery(), Window(limit=3, cursor=cursor))
        seen.extend(rule.id for rule in page.items)
        cursor = page.next_cursor
        await store.create_rule(a_draft(priority=-1), ANN)
    assert (seen, cursor) == (ids, None)
    second = await store.search_rules(RuleQuery(), Window(limit=6, page=2))
    assert (second.total, [rule.id for rule in second.items]) == (12, ids[3:])


async def test_the_rule_book_holds_active_rules_hosts_and_teams(store: Store) -> None:
    rule = await store.create_rule(a_draft(), ANN)
    await store.create_rule(a_draft(is_active=False), ANN)
    await store.add_development_host("lab-*", ANN)
    await store.add_device_team(a_team("10.0.0.0/8"), ANN)
    book = await store.rule_book()
    assert book.rules == (rule,)
    assert book.development_hosts == ("lab-*",)
    assert book.device_teams == (a_team("10.0.0.0/8"),)
    assert book.revision == await store.rule_book_revision()


async def test_every_change_raises_the_revision_of_the_rule_book(store: Store) -> None:
    revisions = [await store.rule_book_revision()]

    async def note() -> None:
        revisions.append(await store.rule_book_revision())

    rule = await store.create_rule(a_draft(), ANN)
    await note()
    await store.update_rule(rule.id, a_draft(name="x"), ANN)
    await note()
    await store.delete_rule(rule.id, ANN)
    await note()
    await store.add_development_host("lab", ANN)
    await note()
    await store.remove_development_host("lab", ANN)
    await note()
    await store.add_device_team(a_team("h"), ANN)
    await note()
    await store.update_device_team(a_team("h", "SYSO"), ANN)
    await note()
    await store.remove_device_team("h", ANN)
    await note()
    assert revisions == sorted(set(revisions))


async def test_every_change_of_a_rule_is_in_the_history_with_both_values(store: Store) -> None:
    rule = await store.create_rule(a_draft(), ANN)
    updated = await store.update_rule(rule.id, a_draft(name="renamed"), BOB)
    await store.delete_rule(rule.id, BOB)
    deleted, changed, created = await changes(store)
    assert [c.operation for c in (created, changed, deleted)] == ["CREATE", "UPDATE", "DELETE"]
    assert {c.table_name for c in (created, changed, deleted)} == {"alert_rules"}
    assert {c.record_id for c in (created, changed, deleted)} == {str(rule.id)}
    assert (created.old_value, created.new_value) == (None, as_json(rule))
    assert (changed.old_value, changed.new_value) == (as_json(rule), as_json(updated))
    assert (deleted.old_value, deleted.new_value) == (as_json(updated), None)
    assert (created.changed_by, created.reason, created.correlation_id) == (
        "ann",
        "ticket 7",
        "c-1",
    )
    assert (changed.changed_by, changed.reason, changed.correlation_id) == ("bob", None, None)


async def test_a_refused_change_leaves_no_trace(store: Store) -> None:
    await store.add_development_host("lab", ANN)
    revision = await store.rule_book_revision()
    with pytest.raises(DuplicateRecord):
        await store.add_development_host("LAB", BOB)
    with pytest.raises(NoSuchRecord):
        await store.remove_device_team("nobody", BOB)
    with pytest.raises(NoSuchRecord):
        await store.update_rule(99, a_draft(), BOB)
    assert len(await changes(store)) == 1
    assert await store.rule_book_revision() == revision


async def test_development_hosts_are_sorted_and_listed_once_in_either_case(store: Store) -> None:
    for hostname in ("lab-b", "Lab-A", "10.0.0.0/8", "lab-*"):
        await store.add_development_host(hostname, ANN)
    with pytest.raises(DuplicateRecord, match="LAB-B"):
        await store.add_development_host("LAB-B", ANN)
    assert await store.development_hosts() == ["10.0.0.0/8", "lab-*", "Lab-A", "lab-b"]
    await store.remove_development_host("LAB-A", ANN)
    assert await store.development_hosts() == ["10.0.0.0/8", "lab-*", "lab-b"]
    with pytest.raises(NoSuchRecord, match="Lab-A"):
        await store.remove_development_host("Lab-A", ANN)


async def test_device_teams_are_sorted_and_listed_once_in_either_case(store: Store) -> None:
    await store.add_device_team(a_team("core-2"), ANN)
    await store.add_device_team(a_team("Core-1"), ANN)
    with pytest.raises(DuplicateRecord):
        await store.add_device_team(a_team("CORE-1", "SYSO"), ANN)
    assert await store.device_teams() == [a_team("Core-1"), a_team("core-2")]
    await store.update_device_team(a_team("CORE-1", "SYSO"), BOB)
    assert await store.device_teams() == [a_team("Core-1", "SYSO"), a_team("core-2")]
    await store.remove_device_team("core-1", ANN)
    assert await store.device_teams() == [a_team("core-2")]
    with pytest.raises(NoSuchRecord):
        await store.update_device_team(a_team("core-1"), ANN)
    with pytest.raises(NoSuchRecord):
        await store.remove_device_team("core-1", ANN)


async def test_expected_sources_are_sorted_and_listed_once_in_either_case(store: Store) -> None:
    core = ExpectedSource(hostname="Core-*", expect_every_s=60)
    fan = ExpectedSource(hostname="10.0.0.0/8", expect_every_s=7, team_assignment="Ü", severity=0)
    await store.add_expected_source(core, ANN)
    await store.add_expected_source(fan, ANN)
    with pytest.raises(DuplicateRecord):
        await store.add_expected_source(replace(core, hostname="CORE-*"), ANN)
    assert await store.expected_sources() == [fan, core]
    book = await store.rule_book()
    assert (book.expected_sources, book.revision) == ((fan, core), 2)
    changed = replace(core, expect_every_s=90, team_assignment="LAN", severity=5)
    await store.update_expected_source(replace(changed, hostname="core-*"), BOB)
    assert await store.expected_sources() == [fan, changed]
    await store.remove_expected_source("CORE-*", ANN)
    assert await store.expected_sources() == [fan]
    with pytest.raises(NoSuchRecord):
        await store.update_expected_source(core, ANN)
    with pytest.raises(NoSuchRecord):
        await store.remove_expected_source("core-*", ANN)
    history = [(c.record_id, c.operation, c.old_value, c.new_value) for c in await changes(store)]
    old, new = msgspec.to_builtins(core), msgspec.to_builtins(changed)
    assert history[:2] == [("Core-*", "DELETE", new, None), ("Core-*", "UPDATE", old, new)]


async def test_every_change_of_a_host_or_team_is_in_the_history(store: Store) -> None:
    await store.add_development_host("lab", ANN)
    await store.remove_development_host("LAB", ANN)
    await store.add_device_team(a_team("h"), ANN)
    await store.update_device_team(a_team("H", "SYSO"), ANN)
    await store.remove_device_team("h", ANN)
    history = [
        (c.table_name, c.record_id, c.operation, c.old_value, c.new_value)
        for c in reversed(await changes(store))
    ]
    old, new = msgspec.to_builtins(a_team("h")), msgspec.to_builtins(a_team("h", "SYSO"))
    assert history == [
        ("development_hosts", "lab", "CREATE", None, {"hostname": "lab"}),
        ("development_hosts", "lab", "DELETE", {"hostname": "lab"}, None),
        ("device_teams", "h", "CREATE", None, old),
        ("device_teams", "h", "UPDATE", old, new),
        ("device_teams", "h", "DELETE", new, None),
    ]


async def test_the_history_is_found_by_each_of_its_fields(store: Store) -> None:
    rule = await store.create_rule(a_draft(), ANN)
    await store.update_rule(rule.id, a_draft(name="x"), BOB)
    await store.add_development_host("lab", BOB)
    newest, middle, oldest = await changes(store)
    assert await changes(store, ChangeQuery(changed_by="ann")) == [oldest]
    assert await changes(store, ChangeQuery(table_name="alert_rules")) == [middle, oldest]
    assert await changes(store, ChangeQuery(record_id="lab")) == [newest]
    assert await changes(store, ChangeQuery(operation="UPDATE")) == [middle]
    assert await changes(store, ChangeQuery(start=middle.changed_at)) == [newest, middle]
    assert await changes(store, ChangeQuery(end=middle.changed_at)) == [oldest]
    assert await changes(store, ChangeQuery(changed_by="carol")) == []


async def test_following_the_cursor_shows_every_change_once(store: Store) -> None:
    for n in range(5):
        await store.add_development_host(f"lab-{n}", ANN)
    first = await store.config_changes(ChangeQuery(), Window(limit=2))
    await store.add_development_host("later", ANN)
    second = await store.config_changes(ChangeQuery(), Window(cursor=first.next_cursor))
    shown = [change.record_id for change in first.items + second.items]
    assert shown == ["lab-4", "lab-3", "lab-2", "lab-1", "lab-0"]
    assert (first.total, second.total, second.next_cursor) == (5, 6, None)


async def test_a_rule_replaced_by_itself_is_still_a_revision(store: Store) -> None:
    rule = await store.create_rule(a_draft(), ANN)
    same = await store.update_rule(rule.id, a_draft(), ANN)
    assert replace(same, revision=1, updated_at=rule.updated_at) == rule
    assert same.revision == 2


async def test_what_is_changed_elsewhere_is_recorded_without_touching_the_rule_book(
    store: Store,
) -> None:
    revision = await store.rule_book_revision()
    records = [
        ChangedRecord("dead_letters", "a", {"state": "dead"}, None),
        ChangedRecord("dead_letters", "b", {"x": "é"}, {"x": 1}),
    ]
    await store.record_changes(ANN, records)
    edited, gone = await changes(store, ChangeQuery(table_name="dead_letters"))
    assert (gone.operation, gone.record_id) == ("DELETE", "a")
    assert (gone.old_value, gone.new_value) == ({"state": "dead"}, None)
    assert (edited.operation, edited.old_value, edited.new_value) == (
        "UPDATE",
        {"x": "é"},
        {"x": 1},
    )
    assert (edited.changed_by, edited.reason, edited.correlation_id) == ("ann", "ticket 7", "c-1")
    assert await store.rule_book_revision() == revision
