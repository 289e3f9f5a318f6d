"""What every store backend promises about operators' MIBs and the severities of traps."""

from __future__ import annotations

import hashlib

import pytest

from muttd.errors import NoSuchRecord
from muttd.store.contract import Change, ChangeQuery, ConfigChange, Store, Window

ANN = Change("ann", reason="ticket 7", correlation_id="c-1")
BOB = Change("bob")
TEXT = b"A-MIB DEFINITIONS ::= BEGIN \x00\xff END\n"
TRAP = "1.3.6.1.4.1.424242.0.1"


async def changes(store: Store) -> list[ConfigChange]:
    return (await store.config_changes(ChangeQuery(), Window(limit=200))).items


def value_of(text: bytes) -> dict[str, object]:
    return {"name": "A-MIB", "digest": hashlib.sha256(text).hexdigest(), "octets": len(text)}


async def test_a_mib_comes_back_as_it_was_uploaded(store: Store) -> None:
    assert await store.mibs() == []
    assert await store.mib_text("A-MIB") is None
    await store.put_mib("B-MIB", b"", BOB)
    await store.put_mib("A-MIB", TEXT, ANN)
    first, second = await store.mibs()
    assert (first.name, second.name) == ("A-MIB", "B-MIB")
    assert (first.digest, first.octets) == (hashlib.sha256(TEXT).hexdigest(), len(TEXT))
    assert first.uploaded_by == "ann"
    assert first.uploaded_at.tzinfo is not None
    assert await store.mib_text("A-MIB") == TEXT


async def test_an_upload_replaces_the_one_of_its_name(store: Store) -> None:
    await store.put_mib("A-MIB", TEXT, ANN)
    await store.put_mib("A-MIB", b"another", BOB)
    [found] = await store.mibs()
    assert (found.uploaded_by, found.octets) == ("bob", 7)
    assert await store.mib_text("A-MIB") == b"another"


async def test_a_mib_of_megabytes_is_kept(store: Store) -> None:
    text = bytes(range(256)) * 16_384
    await store.put_mib("BIG-MIB", text, ANN)
    assert await store.mib_text("BIG-MIB") == text


async def test_what_is_not_there_cannot_be_removed(store: Store) -> None:
    with pytest.raises(NoSuchRecord, match="A-MIB"):
        await store.remove_mib("A-MIB", ANN)
    with pytest.raises(NoSuchRecord, match=r"1\.3"):
        await store.remove_trap_severity("1.3", ANN)
    assert await changes(store) == []


async def test_severities_are_set_changed_and_removed(store: Store) -> None:
    assert await store.trap_severities() == {}
    await store.put_trap_severity(TRAP, 2, ANN)
    await store.put_trap_severity("1.3.6.1.4.1.9", 7, ANN)
    await store.put_trap_severity(TRAP, 0, BOB)
    assert await store.trap_severities() == {TRAP: 0, "1.3.6.1.4.1.9": 7}
    await store.remove_trap_severity(TRAP, BOB)
    assert await store.trap_severities() == {"1.3.6.1.4.1.9": 7}


async def test_every_change_is_in_the_history_and_the_text_is_not(store: Store) -> None:
    await store.put_mib("A-MIB", TEXT, ANN)
    await store.put_mib("A-MIB", b"another", BOB)
    await store.remove_mib("A-MIB", BOB)
    await store.put_trap_severity(TRAP, 2, ANN)
    await store.put_trap_severity(TRAP, 3, ANN)
    await store.remove_trap_severity(TRAP, ANN)
    found = [
        (each.table_name, each.record_id, each.operation, each.old_value, each.new_value)
        for each in reversed(await changes(store))
    ]
    two, three = {"trap_oid": TRAP, "severity": 2}, {"trap_oid": TRAP, "severity": 3}
    assert found == [
        ("mibs", "A-MIB", "CREATE", None, value_of(TEXT)),
        ("mibs", "A-MIB", "UPDATE", value_of(TEXT), value_of(b"another")),
        ("mibs", "A-MIB", "DELETE", value_of(b"another"), None),
        ("trap_severities", TRAP, "CREATE", None, two),
        ("trap_severities", TRAP, "UPDATE", two, three),
        ("trap_severities", TRAP, "DELETE", three, None),
    ]


async def test_every_change_raises_the_revision(store: Store) -> None:
    revisions = [await store.rule_book_revision()]
    for change in (
        store.put_mib("A-MIB", TEXT, ANN),
        store.put_trap_severity(TRAP, 2, ANN),
        store.remove_trap_severity(TRAP, ANN),
        store.remove_mib("A-MIB", ANN),
    ):
        await change
        revisions.append(await store.rule_book_revision())
    assert revisions == sorted(set(revisions))
