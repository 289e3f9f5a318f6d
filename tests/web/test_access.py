"""Who may come in follows the store: on every daemon within a second, and while it is away."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from muttd.api_keys import digest_of
from muttd.errors import StoreUnavailable
from muttd.store.access import KeyDraft, StoredKey
from muttd.store.contract import Change
from muttd.store.sqlite import SqliteStore, open_store
from muttd.web.access import CHECK_INTERVAL_S, Access
from muttd.web.auth import KeyRing, Role
from muttd.web.sessions import Sessions

OPS = Change("ops")


class Daemon:
    """What one daemon knows of who may come in."""

    def __init__(self, store: SqliteStore) -> None:
        self.keys = KeyRing([])
        self.sessions = Sessions(store, self.keys)
        self.access = Access(store, self.keys, self.sessions)

    async def wait_known(self, secret: str, *, is_known: bool) -> None:
        """Wait until it takes that key, or takes it no more."""
        with trio.fail_after(5):
            while (self.keys.holder(digest_of(secret)) is not None) is not is_known:  # noqa: ASYNC110 - a ring tells nobody
                await trio.sleep(0.01)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with open_store(tmp_path / "store.db") as store:
        yield store


def a_draft(secret: str) -> KeyDraft:
    return KeyDraft(name="eve", role="operator", key_hash=digest_of(secret))


async def test_a_key_works_and_stops_working_on_every_daemon_within_about_a_second(
    store: SqliteStore, nursery: trio.Nursery
) -> None:
    daemons = [Daemon(store), Daemon(store)]
    for daemon in daemons:
        nursery.start_soon(daemon.access.run)
    made = await store.create_api_key(a_draft("s"), OPS)
    started = trio.current_time()
    for daemon in daemons:
        await daemon.wait_known("s", is_known=True)
    principal = daemons[0].keys.check("s")
    assert principal is not None
    assert principal.role is Role.OPERATOR
    token, _ = await daemons[0].sessions.open(principal)
    assert await daemons[1].sessions.principal(f"muttd_session={token}") == principal
    await store.revoke_api_key(made.id, OPS)
    for daemon in daemons:
        await daemon.wait_known("s", is_known=False)
        assert await daemon.sessions.principal(f"muttd_session={token}") is None
    assert trio.current_time() - started < 2 * CHECK_INTERVAL_S + 3


async def test_a_poke_is_quicker_than_the_next_look(
    store: SqliteStore, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muttd.web.access.CHECK_INTERVAL_S", 3600)
    daemon = Daemon(store)
    nursery.start_soon(daemon.access.run)
    await store.create_api_key(a_draft("first"), OPS)
    daemon.access.poke()
    await daemon.wait_known("first", is_known=True)
    await store.create_api_key(a_draft("second"), OPS)
    daemon.access.poke()
    await daemon.wait_known("second", is_known=True)


async def test_a_slow_look_does_not_bring_a_revoked_key_back(
    store: SqliteStore, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon(store)
    made = await store.create_api_key(a_draft("s"), OPS)
    read, asked, may_answer = store.api_keys, trio.Event(), trio.Event()

    async def read_slowly() -> list[StoredKey]:
        keys = await read()
        if not asked.is_set():
            asked.set()
            await may_answer.wait()
        return keys

    monkeypatch.setattr(store, "api_keys", read_slowly)
    async with trio.open_nursery() as looks:
        looks.start_soon(daemon.access.refresh)
        await asked.wait()
        await store.revoke_api_key(made.id, OPS)
        looks.start_soon(daemon.access.refresh)
        await trio.testing.wait_all_tasks_blocked()
        may_answer.set()
    assert daemon.keys.check("s") is None


async def test_while_the_store_is_away_who_was_let_in_stays_so(
    store: SqliteStore,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("muttd.web.access.CHECK_INTERVAL_S", 0.01)
    asked = trio.Event()

    async def away() -> int:
        asked.set()
        raise StoreUnavailable("away for this test")

    caplog.set_level(logging.INFO, "muttd.web.access")
    daemon = Daemon(store)
    await store.create_api_key(a_draft("s"), OPS)
    await daemon.access.refresh()
    with monkeypatch.context() as patch:
        patch.setattr(store, "access_revision", away)
        nursery.start_soon(daemon.access.run)
        await asked.wait()
        await trio.sleep(0.05)
        assert daemon.keys.check("s") is not None
    await store.create_api_key(a_draft("t"), OPS)
    await daemon.wait_known("t", is_known=True)
    lines = [record.getMessage() for record in caplog.records if record.name == "muttd.web.access"]
    assert [line.partition(",")[0] for line in lines] == [
        "access: the store is away",
        "access: the store answers",
    ]


async def test_use_of_sessions_is_written_down_now_and_then(
    store: SqliteStore, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muttd.web.access.CHECK_INTERVAL_S", 0.01)
    monkeypatch.setattr("muttd.web.access._FLUSH_INTERVAL_S", 0.0)
    daemon = Daemon(store)
    await store.create_api_key(a_draft("s"), OPS)
    await daemon.access.refresh()
    principal = daemon.keys.check("s")
    assert principal is not None
    token, _ = await daemon.sessions.open(principal)
    before = await store.find_session(digest_of(token))
    assert before is not None
    assert await daemon.sessions.principal(f"muttd_session={token}") == principal
    nursery.start_soon(daemon.access.run)
    with trio.fail_after(5):
        while True:
            after = await store.find_session(digest_of(token))
            assert after is not None
            if after.used_at > before.used_at:
                break
            await trio.sleep(0.01)
