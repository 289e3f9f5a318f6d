"""What every store backend promises about what rules were, and about changing many at once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from samples import a_draft

from muttd.errors import InvalidInput, NoSuchRecord
from muttd.rules.model import Rule, RuleDraft, RulePlan
from muttd.store.contract import Change, ChangeQuery, RuleQuery, Store, Window

ANN = Change("ann", reason="ticket 7")
BOB = Change("bob")


async def names(store: Store) -> list[str]:
    return [rule.name for rule in await store.all_rules()]


def draft_of(rule: Rule) -> RuleDraft:
    return RuleDraft(**{name: getattr(rule, name) for name in RuleDraft.__struct_fields__})


async def test_every_revision_of_a_rule_is_kept_with_who_made_it(store: Store) -> None:
    first = await store.create_rule(a_draft(name="one"), ANN)
    second = await store.update_rule(first.id, a_draft(name="two"), BOB)
    await store.delete_rule(first.id, ANN)
    page = await store.rule_revisions(first.id, Window())
    assert [(each.revision, each.changed_by) for each in page.items] == [(2, "bob"), (1, "ann")]
    assert [each.rule for each in page.items] == [second, first]
    assert page.items[0].changed_at == second.updated_at
    assert (page.total, page.next_cursor) == (2, None)
    assert await store.rule_at(first.id, 1) == first
    assert await store.rule_at(first.id, 3) is None
    assert await store.rule_at(2**70, 1) is None
    assert (await store.rule_revisions(99, Window())).total == 0


async def test_revisions_come_in_parts(store: Store) -> None:
    rule = await store.create_rule(a_draft(), ANN)
    for n in range(2, 8):
        await store.update_rule(rule.id, a_draft(name=f"name {n}"), ANN)
    found: list[int] = []
    cursor = None
    while True:
        page = await store.rule_revisions(rule.id, Window(limit=3, cursor=cursor))
        found += [each.revision for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == [7, 6, 5, 4, 3, 2, 1]
    second = await store.rule_revisions(rule.id, Window(limit=3, page=2))
    assert [each.revision for each in second.items] == [4, 3, 2]


async def test_going_back_is_a_change_like_any_other(store: Store) -> None:
    rule = await store.create_rule(a_draft(name="one", priority=7), ANN)
    await store.update_rule(rule.id, a_draft(name="two", is_active=False), ANN)
    before = await store.rule_book_revision()
    restored = await store.restore_rule(rule.id, 1, BOB)
    assert draft_of(restored) == draft_of(rule)
    assert (restored.id, restored.revision, restored.created_at) == (rule.id, 3, rule.created_at)
    assert await store.get_rule(rule.id) == restored
    assert await store.rule_book_revision() > before
    [change, *_] = (await store.config_changes(ChangeQuery(), Window())).items
    assert (change.operation, change.changed_by) == ("UPDATE", "bob")
    assert change.old_value is not None
    assert change.old_value["name"] == "two"


async def test_a_deleted_rule_comes_back_with_its_number(store: Store) -> None:
    rule = await store.create_rule(a_draft(name="one"), ANN)
    await store.delete_rule(rule.id, ANN)
    restored = await store.restore_rule(rule.id, 1, BOB)
    assert (restored.id, restored.revision, restored.name) == (rule.id, 2, "one")
    assert [each.id for each in (await store.rule_book()).rules] == [rule.id]
    [change, *_] = (await store.config_changes(ChangeQuery(), Window())).items
    assert (change.operation, change.old_value) == ("CREATE", None)


async def test_deleted_rules_are_a_list_of_their_own(store: Store) -> None:
    kept, gone = [await store.create_rule(a_draft(name=name), ANN) for name in ("kept", "gone")]
    await store.delete_rule(gone.id, BOB)
    deleted = await store.search_rules(RuleQuery(is_deleted=True), Window())
    assert (deleted.items, deleted.total) == ([gone], 1)
    assert (await store.search_rules(RuleQuery(), Window())).items == [kept]
    assert (await store.search_rules(RuleQuery(q="kept", is_deleted=True), Window())).items == []
    await store.restore_rule(gone.id, 1, ANN)
    assert (await store.search_rules(RuleQuery(is_deleted=True), Window())).items == []


@pytest.mark.parametrize(("rule_id", "revision"), [(1, 9), (99, 1), (2**70, 1)])
async def test_a_revision_that_never_was_cannot_be_gone_back_to(
    store: Store, rule_id: int, revision: int
) -> None:
    await store.create_rule(a_draft(), ANN)
    with pytest.raises(NoSuchRecord):
        await store.restore_rule(rule_id, revision, ANN)


async def test_many_rules_change_at_once_with_an_audit_of_each(store: Store) -> None:
    kept, gone, changed = [
        await store.create_rule(a_draft(name=name), ANN) for name in ("kept", "gone", "changed")
    ]
    seen: list[Rule] = []

    def plan(present: Sequence[Rule]) -> RulePlan:
        seen[:] = present
        return RulePlan(
            create=(a_draft(name="new 1"), a_draft(name="new 2")),
            update=((present[2], a_draft(name="changed", priority=1)),),
            delete=(present[1],),
        )

    done = await store.rewrite_rules(plan, BOB)
    assert seen == [kept, gone, changed]
    assert (len(done.create), len(done.update), len(done.delete)) == (2, 1, 1)
    assert await names(store) == ["changed", "kept", "new 1", "new 2"]
    changes = (await store.config_changes(ChangeQuery(changed_by="bob"), Window())).items
    assert sorted(each.operation for each in changes) == ["CREATE", "CREATE", "DELETE", "UPDATE"]


async def test_a_plan_that_fails_leaves_everything_as_it_is(store: Store) -> None:
    rule = await store.create_rule(a_draft(name="one"), ANN)

    def refuse(present: Sequence[Rule]) -> RulePlan:
        raise InvalidInput([("rules", "no")])

    def fail_half_way(present: Sequence[Rule]) -> RulePlan:
        gone = present[0]
        return RulePlan(create=(a_draft(name="new"),), delete=(gone, gone))

    with pytest.raises(InvalidInput):
        await store.rewrite_rules(refuse, BOB)
    with pytest.raises(NoSuchRecord):
        await store.rewrite_rules(fail_half_way, BOB)
    assert await store.all_rules() == [rule]
    assert (await store.config_changes(ChangeQuery(), Window())).total == 1


async def test_two_who_rewrite_at_once_do_it_one_after_the_other(store: Store) -> None:
    def add_one(present: Sequence[Rule]) -> RulePlan:
        return RulePlan(create=(a_draft(name=f"rule {len(present)}"),))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(store.rewrite_rules, add_one, ANN)
    assert await names(store) == ["rule 0", "rule 1", "rule 2", "rule 3"]
