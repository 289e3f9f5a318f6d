"""Keys: who gets in, and how often one may guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from muttd.api_keys import digest_of
from muttd.errors import ConfigError, StoreUnavailable
from muttd.store.access import StoredKey
from muttd.web.auth import (
    ApiKey,
    KeyRing,
    KeysNotRead,
    Principal,
    Role,
    cookie_header,
    expired_session_cookie,
    is_same_origin,
    session_cookie,
)
from muttd.web.guesses import (
    GUESS_WINDOW_S,
    GUESSES_PER_WINDOW,
    MAX_GUESSING_PEERS,
    TooManyGuesses,
)

ADMIN = Principal("ops", Role.ADMIN)


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(clock: Clock) -> KeyRing:
    return KeyRing(
        [
            ApiKey("ops", Role.ADMIN, "old-secret"),
            ApiKey("ops", Role.ADMIN, "new-secret"),
            ApiKey("sender", Role.INGEST, "s3nd"),
        ],
        clock=clock,
    )


def test_roles_are_ordered_by_what_they_may() -> None:
    assert Role.INGEST < Role.VIEWER < Role.OPERATOR < Role.ADMIN


def test_two_keys_of_one_name_are_valid_while_they_are_rotated(keys: KeyRing) -> None:
    assert keys.check("old-secret") == keys.check("new-secret") == ADMIN


def test_a_key_has_its_own_role(keys: KeyRing) -> None:
    assert keys.check("s3nd") == Principal("sender", Role.INGEST)


@pytest.mark.parametrize("wrong", ["", "old-secre", "old-secret ", "OLD-SECRET", "\udcff", "\0"])
def test_a_key_that_is_not_quite_right_is_nobodys(keys: KeyRing, wrong: str) -> None:
    assert keys.check(wrong) is None


def test_an_empty_key_is_refused_at_start() -> None:
    with pytest.raises(ConfigError, match="'nobody' is empty"):
        KeyRing([ApiKey("nobody", Role.ADMIN, "")])


def test_no_secret_is_in_a_repr_or_in_the_ring() -> None:
    key = ApiKey("ops", Role.ADMIN, "hunter2")
    ring = KeyRing([key])
    assert ring.check("hunter2") == ADMIN
    assert "hunter2" not in repr(key)
    assert "hunter2" not in repr(vars(ring))


def test_every_key_is_compared_whichever_one_is_right(
    keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append(a)
        return a == b

    monkeypatch.setattr("muttd.web.auth.hmac.compare_digest", compare)
    for secret in ("old-secret", "s3nd", "wrong"):
        compared.clear()
        keys.check(secret)
        assert len(compared) == 3


NOW = datetime(2025, 3, 1, tzinfo=UTC)


def stored(secret: str, *, role: str = "viewer", **more: datetime | None) -> StoredKey:
    return StoredKey(
        id=1,
        name="eve",
        role=role,
        key_hash=digest_of(secret),
        created_at=NOW,
        created_by="ops",
        **more,
    )


def test_keys_of_the_store_are_valid_beside_the_configured_ones(keys: KeyRing) -> None:
    keys.use_stored([stored("from the store", role="operator"), stored("b", revoked_at=NOW)])
    assert keys.check("from the store") == Principal("eve", Role.OPERATOR)
    assert keys.check("b") is None
    assert keys.check("old-secret") == ADMIN
    keys.use_stored([])
    assert keys.check("from the store") is None
    assert keys.check("old-secret") == ADMIN


def test_a_key_is_none_from_the_moment_that_it_expires() -> None:
    moment = NOW
    keys = KeyRing([], now=lambda: moment)
    keys.use_stored([stored("a", expires_at=NOW + timedelta(seconds=1))])
    assert keys.check("a") is not None
    moment = NOW + timedelta(seconds=1)
    assert keys.check("a") is None


def test_nobody_is_told_that_he_has_no_key_before_the_keys_are_known(keys: KeyRing) -> None:
    keys.expect_stored()
    assert keys.check("s3nd") is not None
    for _ in range(GUESSES_PER_WINDOW + 1):
        with pytest.raises(StoreUnavailable):
            keys.check("from the store", peer="192.0.2.1")
    keys.use_stored([stored("from the store")])
    assert keys.check("from the store", peer="192.0.2.1") is not None


def test_a_principal_says_by_which_key_he_came_and_shows_it_nobody(keys: KeyRing) -> None:
    principal = keys.check("s3nd")
    assert principal is not None
    assert principal.key_hash == digest_of("s3nd")
    assert keys.holder(principal.key_hash) == principal
    assert "hash" not in repr(principal)


def guess(keys: KeyRing, count: int, peer: str = "192.0.2.1", stem: str = "guess") -> None:
    for n in range(count):
        assert keys.check(f"{stem}{n}", peer=peer) is None


def test_too_many_different_wrong_keys_lock_the_peer_out_even_with_the_right_one(
    keys: KeyRing, clock: Clock
) -> None:
    guess(keys, GUESSES_PER_WINDOW)
    clock.now += 10
    with pytest.raises(TooManyGuesses) as caught:
        keys.check("s3nd", peer="192.0.2.1")
    assert caught.value.retry_after_s == GUESS_WINDOW_S - 10


def test_another_peer_is_not_locked_out(keys: KeyRing) -> None:
    guess(keys, GUESSES_PER_WINDOW)
    assert keys.check("s3nd", peer="192.0.2.2") is not None


def test_a_locked_out_peer_may_try_again_after_the_window(keys: KeyRing, clock: Clock) -> None:
    guess(keys, GUESSES_PER_WINDOW)
    clock.now += GUESS_WINDOW_S
    assert keys.check("s3nd", peer="192.0.2.1") is not None


def test_the_window_slides(keys: KeyRing, clock: Clock) -> None:
    guess(keys, GUESSES_PER_WINDOW - 1)
    clock.now += GUESS_WINDOW_S / 2
    guess(keys, 1, stem="late")
    clock.now += GUESS_WINDOW_S / 2
    guess(keys, GUESSES_PER_WINDOW - 1, stem="next")
    with pytest.raises(TooManyGuesses):
        keys.check("s3nd", peer="192.0.2.1")


def test_the_same_wrong_key_again_is_no_new_guess(keys: KeyRing) -> None:
    for _ in range(10 * GUESSES_PER_WINDOW):
        assert keys.check("stale", peer="192.0.2.1") is None
    assert keys.check("s3nd", peer="192.0.2.1") is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8::1", "2001:db8::ffff:2"), ("::ffff:192.0.2.1", "192.0.2.1"), ("", "")],
)
def test_addresses_of_one_host_share_their_guesses(keys: KeyRing, one: str, other: str) -> None:
    guess(keys, GUESSES_PER_WINDOW, peer=one)
    with pytest.raises(TooManyGuesses):
        keys.check("s3nd", peer=other)


def test_the_next_ipv6_network_has_its_own(keys: KeyRing) -> None:
    guess(keys, GUESSES_PER_WINDOW, peer="2001:db8::1")
    assert keys.check("s3nd", peer="2001:db8:0:1::1") is not None


def test_guessing_peers_take_bounded_memory(keys: KeyRing) -> None:
    guess(keys, GUESSES_PER_WINDOW, peer="192.0.2.1")
    for n in range(MAX_GUESSING_PEERS):
        keys.check("wrong", peer=f"peer-{n}")
    # The oldest was forgotten; the newest are not.
    assert keys.check("s3nd", peer="192.0.2.1") is not None


def test_several_cookie_headers_are_one() -> None:
    assert cookie_header([(b"Cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")]) == "a=1; b=2"


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    cookie = session_cookie("token", secure=False)
    assert cookie == "muttd_session=token; Path=/; HttpOnly; SameSite=Strict"
    assert session_cookie("token", secure=True) == f"{cookie}; Secure"
    assert expired_session_cookie(secure=True).endswith("; Secure; Max-Age=0")


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://mutt.example"}, False),
        ({"Origin": "http://mutt.example"}, True),
        ({"Origin": "https://MUTT.example"}, True),
        ({"Origin": "http://mutt.example.evil"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
    ],
)
def test_only_our_own_pages_are_of_the_same_origin(headers: dict[str, str], same: bool) -> None:
    raw = [(b"host", b"mutt.example")]
    raw += [(name.encode(), value.encode()) for name, value in headers.items()]
    assert is_same_origin(raw) is same
    if "Origin" in headers:
        # Without a Host nothing is of our origin.
        assert is_same_origin(raw[1:]) is ("Sec-Fetch-Site" in headers and same)


def test_while_nobody_knows_the_keys_none_is_wrong() -> None:
    keys = KeyRing(None)
    for _ in range(GUESSES_PER_WINDOW + 1):
        with pytest.raises(KeysNotRead):
            keys.check("good", peer="192.0.2.1")
    keys.replace([ApiKey("admin", Role.ADMIN, "good")])
    assert keys.check("good", peer="192.0.2.1") == Principal("admin", Role.ADMIN)


def test_replaced_keys_are_no_good_any_more_and_an_empty_one_replaces_nothing() -> None:
    keys = KeyRing([ApiKey("old", Role.ADMIN, "old")])
    keys.replace([ApiKey("old", Role.ADMIN, "old"), ApiKey("new", Role.INGEST, "new")])
    assert keys.check("old") == Principal("old", Role.ADMIN)
    assert keys.check("new") == Principal("new", Role.INGEST)
    keys.replace([ApiKey("new", Role.INGEST, "new")])
    assert keys.check("old") is None
    with pytest.raises(ConfigError):
        keys.replace([ApiKey("newest", Role.INGEST, "")])
    assert keys.check("new") == Principal("new", Role.INGEST)
