"""What every store backend promises about dynamic configuration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import trio

from muttd.store.contract import Change, ChangeQuery, ConfigChange, SettingValue, Store, Window

ANN = Change("ann", reason="storm", correlation_id="c-1")
BOB = Change("bob")


async def history(store: Store) -> list[ConfigChange]:
    page = await store.config_changes(ChangeQuery(table_name="dynamic_config"), Window())
    return page.items


async def values(store: Store) -> dict[str, object]:
    return {each.key: each.value for each in await store.dynamic_values()}


async def test_values_come_back_with_their_types_and_who_set_them(store: Store) -> None:
    assert await store.dynamic_values() == []
    before = datetime.now(UTC) - timedelta(seconds=1)
    given: dict[str, SettingValue | None] = {
        "moog_rate_limit": 7,
        "moog_rate_period": 0.5,
        "unhandled_default_team": "Nätz \x00",
    }
    await store.change_dynamic_values(given, ANN)
    stored = await store.dynamic_values()
    assert [each.key for each in stored] == sorted(given)
    assert {each.key: each.value for each in stored} == given
    assert [type(each.value) for each in stored] == [int, float, str]
    assert all(each.changed_by == "ann" and each.changed_at > before for each in stored)


async def test_each_change_is_in_the_audit_with_the_value_before(store: Store) -> None:
    await store.change_dynamic_values({"moog_rate_limit": 7}, ANN)
    await store.change_dynamic_values({"moog_rate_limit": 8}, BOB)
    await store.change_dynamic_values({"moog_rate_limit": None}, ANN)
    assert await values(store) == {}
    assert [
        (each.changed_by, each.operation, each.record_id, each.old_value, each.new_value)
        for each in reversed(await history(store))
    ] == [
        ("ann", "CREATE", "moog_rate_limit", None, {"value": 7}),
        ("bob", "UPDATE", "moog_rate_limit", {"value": 7}, {"value": 8}),
        ("ann", "DELETE", "moog_rate_limit", {"value": 8}, None),
    ]
    first = (await history(store))[-1]
    assert (first.reason, first.correlation_id) == ("storm", "c-1")


async def test_some_keys_change_together(store: Store) -> None:
    await store.change_dynamic_values({"a": 1, "b": 2}, ANN)
    await store.change_dynamic_values({"a": None, "b": 3, "c": 4}, BOB)
    assert await values(store) == {"b": 3, "c": 4}
    assert len(await history(store)) == 5


async def test_what_is_at_its_default_is_no_change(store: Store) -> None:
    await store.change_dynamic_values({"a": None}, ANN)
    assert await history(store) == []


async def test_the_rules_need_not_be_read_again(store: Store) -> None:
    before = await store.rule_book_revision()
    await store.change_dynamic_values({"a": 1}, ANN)
    assert await store.rule_book_revision() == before


async def test_of_two_who_change_a_key_at_once_the_second_sees_the_first(store: Store) -> None:
    async with trio.open_nursery() as nursery:
        for n in range(1, 6):
            nursery.start_soon(store.change_dynamic_values, {"a": n}, BOB)
    told = list(reversed(await history(store)))
    assert [each.operation for each in told] == ["CREATE", *["UPDATE"] * 4]
    assert [each.old_value for each in told[1:]] == [each.new_value for each in told[:-1]]
