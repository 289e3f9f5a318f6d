"""What every store backend promises about API keys and sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from muttd.errors import DuplicateRecord, NoSuchRecord
from muttd.store.access import KeyDraft, SessionLimits, StoredSession
from muttd.store.contract import Change, ChangeQuery, ConfigChange, Store, Window

ANN = Change("ann", reason="new colleague", correlation_id="c-1")
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def a_draft(name: str = "bob", *, digest: bytes = b"\x00bob", **more: datetime) -> KeyDraft:
    return KeyDraft(name=name, role="operator", key_hash=digest, **more)


def a_session(n: int, *, key_hash: bytes = b"\x00bob", used_at: datetime = NOW) -> StoredSession:
    token_hash = b"\x00" + bytes([n])
    return StoredSession(token_hash=token_hash, key_hash=key_hash, opened_at=NOW, used_at=used_at)


def limits(*, since: datetime = NOW - HOUR, at_most: int = 100) -> SessionLimits:
    return SessionLimits(opened_since=since, used_since=since, at_most=at_most)


async def history(store: Store) -> list[ConfigChange]:
    return (await store.config_changes(ChangeQuery(table_name="api_keys"), Window())).items


async def test_a_key_comes_back_as_it_was_made(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    expires_at = datetime(2030, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    made = await store.create_api_key(a_draft(expires_at=expires_at), ANN)
    assert await store.api_keys() == [made]
    assert (made.name, made.role, made.key_hash) == ("bob", "operator", b"\x00bob")
    assert (made.expires_at, made.revoked_at, made.created_by) == (expires_at, None, "ann")
    assert made.created_at > before


async def test_keys_of_one_name_overlap_and_of_one_digest_do_not(store: Store) -> None:
    first = await store.create_api_key(a_draft(), ANN)
    second = await store.create_api_key(a_draft(digest=b"other"), ANN)
    assert second.id > first.id
    with pytest.raises(DuplicateRecord):
        await store.create_api_key(a_draft("eve"), ANN)
    assert [each.id for each in await store.api_keys()] == [first.id, second.id]


async def test_a_key_is_valid_until_it_is_revoked_or_expires(store: Store) -> None:
    made = await store.create_api_key(a_draft(expires_at=NOW), ANN)
    assert made.is_valid(NOW - HOUR)
    assert not made.is_valid(NOW)
    revoked = await store.revoke_api_key(made.id, ANN)
    assert revoked.revoked_at is not None
    assert not revoked.is_valid(NOW - HOUR)
    assert await store.revoke_api_key(made.id, ANN) == revoked
    with pytest.raises(NoSuchRecord):
        await store.revoke_api_key(made.id + 1, ANN)


async def test_the_audit_says_who_made_and_revoked_a_key_and_never_its_digest(
    store: Store,
) -> None:
    made = await store.create_api_key(a_draft(), ANN)
    await store.revoke_api_key(made.id, Change("eve"))
    revoked, created = await history(store)
    assert (created.operation, created.changed_by, created.old_value) == ("CREATE", "ann", None)
    assert (created.reason, created.correlation_id) == ("new colleague", "c-1")
    assert created.new_value == {
        "name": "bob",
        "role": "operator",
        "expires_at": None,
        "revoked_at": None,
    }
    assert (revoked.operation, revoked.changed_by) == ("UPDATE", "eve")
    assert revoked.record_id == created.record_id == str(made.id)
    assert revoked.new_value is not None
    assert revoked.new_value["revoked_at"] is not None


async def test_the_revision_rises_when_access_is_given_or_taken_and_not_when_it_is_used(
    store: Store,
) -> None:
    revisions = [await store.access_revision()]
    made = await store.create_api_key(a_draft(), ANN)
    revisions.append(await store.access_revision())
    await store.open_session(a_session(1), limits())
    await store.touch_sessions([a_session(1).token_hash], NOW)
    assert await store.access_revision() == revisions[-1]
    await store.close_session(a_session(1).token_hash)
    revisions.append(await store.access_revision())
    await store.close_session(a_session(1).token_hash)
    assert await store.access_revision() == revisions[-1]
    await store.revoke_api_key(made.id, ANN)
    revisions.append(await store.access_revision())
    assert revisions == sorted(set(revisions))


async def test_a_session_is_found_by_its_token_until_it_is_closed(store: Store) -> None:
    await store.open_session(a_session(1), limits())
    assert await store.find_session(a_session(1).token_hash) == a_session(1)
    assert await store.find_session(a_session(2).token_hash) is None
    later = NOW + HOUR
    await store.touch_sessions([a_session(1).token_hash, a_session(2).token_hash], later)
    await store.touch_sessions([a_session(1).token_hash], NOW)
    assert await store.find_session(a_session(1).token_hash) == a_session(1, used_at=later)
    await store.close_session(a_session(1).token_hash)
    assert await store.find_session(a_session(1).token_hash) is None


async def test_the_sessions_of_a_revoked_key_are_gone(store: Store) -> None:
    made = await store.create_api_key(a_draft(), ANN)
    await store.open_session(a_session(1), limits())
    await store.open_session(a_session(2, key_hash=b"other"), limits())
    await store.revoke_api_key(made.id, ANN)
    assert await store.find_session(a_session(1).token_hash) is None
    assert await store.find_session(a_session(2).token_hash) is not None


async def test_sessions_that_are_over_or_too_many_are_forgotten(store: Store) -> None:
    for n in range(3):
        await store.open_session(a_session(n, used_at=NOW + n * HOUR), limits())
    await store.open_session(a_session(3, used_at=NOW + 3 * HOUR), limits(at_most=3))
    assert await store.find_session(a_session(0).token_hash) is None
    assert await store.find_session(a_session(1).token_hash) is not None
    later = SessionLimits(opened_since=NOW, used_since=NOW + 2 * HOUR, at_most=100)
    await store.open_session(a_session(4, used_at=NOW + 4 * HOUR), later)
    assert await store.find_session(a_session(1).token_hash) is None
    assert await store.find_session(a_session(2).token_hash) is not None
