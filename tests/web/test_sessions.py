"""Sessions: whose they are, how long they last, on which daemon, and that use is written down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import trio
from web_site import Clock

from muttd.api_keys import digest_of
from muttd.store.access import KeyDraft, StoredSession
from muttd.store.contract import Change, Store
from muttd.store.sqlite import open_store
from muttd.web import sessions as sessions_module
from muttd.web.auth import ApiKey, KeyRing, Principal, Role
from muttd.web.sessions import SESSION_IDLE, SESSION_LIFE, Sessions, authenticate

HOUR_S = 3600.0
OPS = Change("ops")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "store.db") as store:
        yield store


@pytest.fixture
def keys(clock: Clock) -> KeyRing:
    given = [ApiKey("ops", Role.ADMIN, "admin-key"), ApiKey("sender", Role.INGEST, "s3nd")]
    return KeyRing(given, now=clock.time)


@pytest.fixture
async def sessions(store: Store, keys: KeyRing, clock: Clock) -> Sessions:
    return Sessions(store, keys, clock=clock.time)


@pytest.fixture
async def elsewhere(store: Store, keys: KeyRing, clock: Clock) -> Sessions:
    """Another daemon on the same store; or this one after a restart."""
    return Sessions(store, keys, clock=clock.time)


@pytest.fixture
async def admin(keys: KeyRing) -> Principal:
    admin = keys.check("admin-key")
    assert admin is not None
    return admin


def octets_in(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in directory.iterdir()]


async def opened(sessions: Sessions, principal: Principal) -> str:
    token, _ = await sessions.open(principal)
    return f"theme=dark; muttd_session={token}"


async def test_a_session_gives_back_its_principal_on_every_daemon(
    sessions: Sessions, elsewhere: Sessions, admin: Principal
) -> None:
    cookie = await opened(sessions, admin)
    assert await sessions.principal(cookie) == admin
    assert await elsewhere.principal(cookie) == admin
    assert await elsewhere.csrf_token(cookie) == await sessions.csrf_token(cookie)


@pytest.mark.parametrize(
    "cookies",
    ["", "muttd_session=", "muttd_session=x", "muttd_session", "=", ";;", "\udcff=1",
     "muttd_session=" + "x" * 43],
)  # fmt: skip
async def test_no_session_is_nobody(sessions: Sessions, admin: Principal, cookies: str) -> None:
    await sessions.open(admin)
    assert await sessions.principal(cookies) is None
    assert await sessions.csrf_token(cookies) is None
    assert not await sessions.check_csrf(cookies, "")
    await sessions.close(cookies)


async def test_a_planted_second_cookie_does_not_hide_the_session(
    sessions: Sessions, admin: Principal
) -> None:
    cookie = await opened(sessions, admin)
    assert await sessions.principal(f"muttd_session=planted; {cookie}") == admin


async def test_tokens_have_256_bits_and_are_kept_hashed(
    sessions: Sessions, admin: Principal, tmp_path: Path
) -> None:
    token, csrf_token = await sessions.open(admin)
    assert len(token) == 43
    for kept in (repr(vars(sessions)).encode(), *octets_in(tmp_path)):
        assert token.encode() not in kept
        assert csrf_token.encode() not in kept
        assert b"admin-key" not in kept


async def test_an_idle_session_ends(sessions: Sessions, admin: Principal, clock: Clock) -> None:
    cookie = await opened(sessions, admin)
    clock.now += SESSION_IDLE.total_seconds()
    assert await sessions.principal(cookie) is None


async def test_a_busy_session_ends_too_in_the_end(
    sessions: Sessions, admin: Principal, clock: Clock
) -> None:
    cookie = await opened(sessions, admin)
    for _ in range(SESSION_LIFE // timedelta(hours=1) - 1):
        clock.now += HOUR_S
        assert await sessions.principal(cookie) == admin
    clock.now += HOUR_S
    assert await sessions.principal(cookie) is None


async def test_a_session_that_is_used_elsewhere_is_not_idle_here(
    sessions: Sessions, elsewhere: Sessions, admin: Principal, clock: Clock
) -> None:
    cookie = await opened(sessions, admin)
    clock.now += 5 * HOUR_S
    assert await elsewhere.principal(cookie) == admin
    await elsewhere.flush()
    clock.now += 5 * HOUR_S
    assert await sessions.principal(cookie) == admin


async def test_looking_whether_a_session_is_there_is_no_use_of_it(
    sessions: Sessions, elsewhere: Sessions, admin: Principal, clock: Clock
) -> None:
    cookie = await opened(sessions, admin)
    clock.now += 5 * HOUR_S
    assert await sessions.principal(cookie, is_use=False) == admin
    await sessions.flush()
    clock.now += 5 * HOUR_S
    assert await sessions.principal(cookie) is None
    assert await elsewhere.principal(cookie) is None


async def test_a_closed_session_is_nobodys_as_soon_as_the_others_look(
    sessions: Sessions, elsewhere: Sessions, admin: Principal
) -> None:
    cookie = await opened(sessions, admin)
    assert await elsewhere.principal(cookie) == admin
    await sessions.close(cookie)
    assert await sessions.principal(cookie) is None
    elsewhere.forget()
    assert await elsewhere.principal(cookie) is None


@pytest.mark.parametrize("is_use", [True, False])
@pytest.mark.parametrize("closed", ["here", "elsewhere"])
async def test_an_answer_on_its_way_does_not_revive_a_session_that_was_closed(
    sessions: Sessions,
    elsewhere: Sessions,
    admin: Principal,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    closed: str,
    *,
    is_use: bool,
) -> None:
    cookie = await opened(elsewhere, admin)
    find, asked, may_answer = store.find_session, trio.Event(), trio.Event()

    async def find_slowly(token_hash: bytes) -> StoredSession | None:
        found = await find(token_hash)
        if not asked.is_set():
            asked.set()
            await may_answer.wait()
        return found

    monkeypatch.setattr(store, "find_session", find_slowly)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(sessions.principal, cookie, is_use=is_use))
        await asked.wait()
        if closed == "here":
            await sessions.close(cookie)
        else:
            await elsewhere.close(cookie)
            sessions.forget()
        may_answer.set()
    assert await sessions.principal(cookie) is None


async def test_a_session_ends_with_its_key(
    sessions: Sessions, store: Store, keys: KeyRing, clock: Clock
) -> None:
    draft = KeyDraft(
        name="eve",
        role="viewer",
        key_hash=digest_of("eve-key"),
        expires_at=clock.time() + timedelta(hours=1),
    )
    made = await store.create_api_key(draft, OPS)
    keys.use_stored(await store.api_keys())
    eve = keys.check("eve-key")
    assert eve is not None
    cookie = await opened(sessions, eve)
    assert await sessions.principal(cookie) == Principal("eve", Role.VIEWER)
    clock.now += HOUR_S
    assert await sessions.principal(cookie) is None
    clock.now -= HOUR_S
    await store.revoke_api_key(made.id, OPS)
    keys.use_stored(await store.api_keys())
    assert await sessions.principal(cookie) is None


async def test_the_csrf_token_belongs_to_one_session(sessions: Sessions, admin: Principal) -> None:
    token, csrf_token = await sessions.open(admin)
    other, other_csrf_token = await sessions.open(admin)
    assert csrf_token != other_csrf_token
    assert await sessions.csrf_token(f"muttd_session={token}") == csrf_token
    assert await sessions.check_csrf(f"muttd_session={token}", csrf_token)
    assert not await sessions.check_csrf(f"muttd_session={other}", csrf_token)
    assert not await sessions.check_csrf(f"muttd_session={token}", "")


async def test_sessions_are_bounded_in_the_store_and_in_memory(
    sessions: Sessions, admin: Principal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "MAX_SESSIONS", 3)
    monkeypatch.setattr(sessions_module, "_MAX_CACHED", 5)
    cookies = []
    for _ in range(4):
        clock.now += 1
        cookies.append(await opened(sessions, admin))
    sessions.forget()
    assert await sessions.principal(cookies[0]) is None
    assert await sessions.principal(cookies[-1]) == admin
    for n in range(10):
        assert await sessions.principal(f"muttd_session={n:043}") is None
    assert len(sessions._cached) == 5


async def test_a_key_decides_alone_even_beside_a_valid_session(
    keys: KeyRing, sessions: Sessions, admin: Principal
) -> None:
    cookie = (b"cookie", (await opened(sessions, admin)).encode())
    assert await authenticate([cookie], keys, sessions) == admin
    assert await authenticate([(b"x-api-key", b"wrong"), cookie], keys, sessions) is None
    sender = await authenticate([(b"X-Api-Key", b"s3nd"), cookie], keys, sessions)
    assert sender == Principal("sender", Role.INGEST)


async def test_a_request_without_any_credential_is_nobody(
    keys: KeyRing, sessions: Sessions
) -> None:
    assert await authenticate([(b"x-api-key", b"\xff\xfe")], keys, sessions) is None
    assert await authenticate([], keys, sessions) is None
